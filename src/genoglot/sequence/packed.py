"""Genomes packed into one file that is mapped into memory: a byte per base, then an index.

A byte is the code of a base, plus `MASKED` in lower case. The file ends with the index as JSON, the
length of the index in eight bytes, and a magic word, so that it is written in one pass. Why a byte
and not two or four bits: docs/decisions/0011.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from genoglot.errors import SequenceError
from genoglot.files import atomic_path, cache_folder, explains_unreadable
from genoglot.sequence.alphabet import MASKED, Codes
from genoglot.sequence.fasta import Header, scan_fasta

SMALL = 8 << 20
"""Maximum size in bytes of FASTA files that are not packed, but read each time, in 0.2 s."""

_MAGIC = b"GENOGLOT"
_FORMAT = 1
_UNMASKED = bytes(code & (MASKED - 1) for code in range(256))
_SAMPLE = 1 << 16  # bytes that are read at three positions for a fingerprint
_AGAIN = "remove it, so that the genome is packed again"


class Packed(NamedTuple):
    """A packed genome.

    Attributes
    ----------
    path
        Its file; None if it is only in memory.
    bases
        Codes of all records one after the other, plus `MASKED` in lower case; uint8.
    names
        Names of the records.
    lengths
        Number of bases of each record.
    digests
        SHA-256 of the codes of each record, as hex, whatever their case.
    source
        Fingerprint of each FASTA file that was packed: see `_fingerprint`.
    """

    path: Path | None
    bases: Codes
    names: list[str]
    lengths: list[int]
    digests: list[str]
    source: list[list[str | int]]


def is_packed(path: Path) -> bool:
    """Whether a file is a packed genome."""
    try:
        if not path.is_file():  # a pipe can be read only once
            return False
        with path.open("rb") as file:
            file.seek(-len(_MAGIC), os.SEEK_END)
            return file.read() == _MAGIC
    except OSError:
        return False


def open_packed(path: Path) -> Packed:
    """Map a packed genome into memory.

    Raises
    ------
    SequenceError
        If it is missing, damaged or of another version.
    """
    try:
        with path.open("rb") as file:
            index = _read_index(file, path)
        bases = np.asarray(np.memmap(path, np.uint8, "r", shape=(sum(index["lengths"]),)))
    except FileNotFoundError:
        raise SequenceError(f"{path}: no such file; open the genome's FASTA file again") from None
    except OSError as error:
        raise SequenceError(f"{path}: cannot be read ({error.strerror})") from None
    return Packed(path, bases, **index)


def packed_from_fasta(fasta: Sequence[Path], path: Path | None) -> Packed:
    """Pack FASTA files, or map the genome that was packed before if they have not changed.

    Parameters
    ----------
    fasta
        The files.
    path
        File of the packed genome. If None: a file in the cache or, if the FASTA files are small,
        memory only.

    Returns
    -------
    Packed
        The packed genome.

    Raises
    ------
    SequenceError
        If a FASTA file cannot be read, or the packed genome cannot be written.
    """
    source = [_fingerprint(file) for file in fasta]
    if path is None and sum(int(stamp[1]) for stamp in source) <= SMALL:
        buffer = io.BytesIO()
        _write(fasta, source, buffer)
        index = _read_index(buffer, fasta[0])
        return Packed(
            None, np.frombuffer(buffer.getvalue(), np.uint8, sum(index["lengths"])), **index
        )
    path = path or _in_cache(fasta)
    if path.exists():
        try:
            found = open_packed(path)
        except SequenceError:
            found = None
        if found is not None and found.source == source:
            return found
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            _write(fasta, source, file)
    except OSError as error:
        raise SequenceError(
            f"{path}: the packed genome cannot be written there ({error.strerror}); choose "
            "another file with packed=, or another folder with the variable GENOGLOT_CACHE"
        ) from None
    return open_packed(path)


def _fingerprint(file: Path) -> list[str | int]:
    """Compute a fingerprint of a file that changes with it, even at the same size and time.

    It has the path, size, mtime, ctime, inode number, and a digest of the first, the middle and the
    last 64 KB. Tools that copy the time of a file (cp -p, rsync -t, touch -r) cannot copy its
    ctime; the digest helps where a file system has none, and takes less than a millisecond, where
    reading a human genome would take seconds.
    """
    digest = hashlib.sha256()
    with explains_unreadable(file, SequenceError):
        status = file.stat()
        if file.is_file():  # a pipe can be read only once
            with file.open("rb") as opened:
                for at in (0, status.st_size // 2, max(status.st_size - _SAMPLE, 0)):
                    opened.seek(at)
                    digest.update(opened.read(_SAMPLE))
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return [str(file.resolve()), status.st_size, *times, status.st_ino, digest.hexdigest()]


def _in_cache(fasta: Sequence[Path]) -> Path:
    """File in the cache, whose name depends on the paths of the FASTA files."""
    key = hashlib.sha256("\n".join(str(file.resolve()) for file in fasta).encode()).hexdigest()
    return cache_folder() / "genomes" / f"{fasta[0].name}-{key[:16]}.genome"


def _write(fasta: Sequence[Path], source: list[list[str | int]], packed: BinaryIO) -> None:
    lengths: dict[str, int] = {}  # of the records, by name
    digests: dict[str, Any] = {}
    for file in fasta:
        name = ""
        for item in scan_fasta(file):
            if not isinstance(item, Header):
                packed.write(item)
                lengths[name] += len(item)
                digests[name].update(item.translate(_UNMASKED))
                continue
            name = item.name
            if name in lengths:
                raise SequenceError(
                    f"{file}: record {name!r} is in an earlier file as well; rename or remove one "
                    "of them"
                )
            lengths[name], digests[name] = 0, hashlib.sha256()
    index = {
        "format": _FORMAT,
        "names": list(lengths),
        "lengths": list(lengths.values()),
        "digests": [digest.hexdigest() for digest in digests.values()],
        "source": source,
    }
    tail = json.dumps(index).encode()
    packed.write(tail + len(tail).to_bytes(8, "little") + _MAGIC)


def _read_index(file: BinaryIO, path: Path) -> dict[str, Any]:
    """Read names, lengths, digests and source of the records."""
    size, tail = file.seek(0, os.SEEK_END), 8 + len(_MAGIC)
    file.seek(max(size - tail, 0))
    length, magic = int.from_bytes(file.read(8), "little"), file.read()
    if magic != _MAGIC or length > size - tail:
        raise SequenceError(f"{path}: not a packed genome, or damaged; {_AGAIN}")
    file.seek(size - tail - length)
    try:
        index: dict[str, Any] = json.loads(file.read(length))
        kind = index.pop("format")
        sound = sum(index["lengths"]) + length + tail == size
    except (ValueError, KeyError, TypeError, AttributeError):
        sound, kind = False, _FORMAT
    if kind != _FORMAT:
        raise SequenceError(f"{path}: packed by another version of Genoglot; {_AGAIN}")
    if not sound or index.keys() != {"names", "lengths", "digests", "source"}:
        raise SequenceError(f"{path}: a damaged packed genome; {_AGAIN}")
    return index
