"""Read and write files safely: a file is written completely or not at all."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import json
import logging
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO
from weakref import WeakSet

import numpy as np

from genoglot.errors import GenoglotError

logger = logging.getLogger("genoglot")

BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte-order marks and their encodings; UTF-32 comes first, since its mark begins with that of
UTF-16."""

# Files that are not text, by their first bytes, and what to do about them.
_BINARY = {
    b"PK\x03\x04": "a zip archive; unpack it",
    b"\xd0\xcf\x11\xe0": "an Excel workbook (.xls); save it as CSV",
    b"BZh91AY&SY": "compressed by bzip2; unpack it",
    b"\xfd7zXZ\x00": "compressed by xz; unpack it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it",
    b"\xeb\xf2\x89\x87": "a bigBed file; turn it into BED with bigBedToBed",
    b"\x26\xfc\x8f\x88": "a bigWig file; give peaks or regions as BED",
    b"BAM\x01": "a BAM file; give peaks or regions as BED",
}
_BLOCK = 65_280  # bytes of a bgzip block, before compression
_WEB_PAGE = (b"<!doctype html", b"<html", b"<?xml")

_read_before: WeakSet[BinaryIO] = WeakSet()  # streams of standard input


@contextmanager
def atomic_path(
    path: str | Path, *, directory: bool = False, overwrite: bool = False
) -> Iterator[Path]:
    """Give a temporary path that replaces `path` when the block succeeds.

    Files get the permissions that the umask gives to new files, whatever wrote them.

    Parameters
    ----------
    path
        The file or directory to write. Missing parent directories are made.
    directory
        Make the temporary path a directory to fill. Default: a file.
    overwrite
        Replace a non-empty directory at `path`. A file is always replaced.

    Yields
    ------
    Path
        The temporary path, beside `path`.

    Raises
    ------
    GenoglotError
        If `path` is a non-empty directory and `overwrite` is false, or a file where a directory is
        written, or the reverse.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "out.txt"
    >>> with atomic_path(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    path = Path(path)
    if path.exists() and path.is_dir() != directory:
        kind = "a directory" if path.is_dir() else "a file"
        raise GenoglotError(f"{path}: is {kind}; choose another name")
    if directory and path.exists() and any(path.iterdir()) and not overwrite:
        raise GenoglotError(f"{path}: exists and is not empty; remove it or choose another name")
    if path.exists() and not path.is_dir() and not path.is_file():
        with tempfile.TemporaryDirectory() as elsewhere:
            temporary = Path(elsewhere) / path.name
            yield temporary
            # A pipe or device, such as /dev/stdout, is written to and not replaced.
            with temporary.open("rb") as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Absolute: pyarrow takes the relative path hg38:encode/a for an address.
    holder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent.absolute()))
    temporary = holder / path.name
    try:
        if directory:
            temporary.mkdir()
        yield temporary
        _permit_as_umask(temporary, holder)
        if directory and path.exists():
            path.replace(holder / f"{path.name}.replaced")
        temporary.replace(path)
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def check_apart(out: str | Path, sources: Iterable[str | Path | None]) -> None:
    """Refuse a directory whose replacement would delete what is read to make it.

    Parameters
    ----------
    out
        The directory to write.
    sources
        Files and directories that are read; None is for an option that is not given.

    Raises
    ------
    GenoglotError
        If one of them is `out` or lies in it.
    """
    for source in sources:
        if source and Path(source).resolve().is_relative_to(Path(out).resolve()):
            raise GenoglotError(
                f"{out}: holds the source {source}, which would be replaced; choose another output "
                "directory (-o)"
            )


def check_not_read(out: str | Path | None, sources: Iterable[str | Path | None]) -> None:
    """Refuse a file that would replace one that is read to make it.

    Parameters
    ----------
    out
        The file to write; `-` is standard output, and None is for an option that is not given.
    sources
        Files that are read; `-` is standard input, and None is for an option that is not given.

    Raises
    ------
    GenoglotError
        If one of them is `out`.
    """
    read = {Path(source).resolve() for source in sources if source and str(source) != "-"}
    if out and str(out) != "-" and Path(out).resolve() in read:
        raise GenoglotError(f"{out}: is read, and would be replaced; choose another output (-o)")


def _permit_as_umask(path: Path, holder: Path) -> None:
    """Give files the permissions of new ones; safetensors lets only their owner read."""
    new = holder / f"{path.name}.new"  # a name that the file itself cannot have
    new.touch()
    mode = new.stat().st_mode & 0o777
    new.unlink()
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file() and not file.is_symlink():
            file.chmod(mode)


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes, as hex.

    Examples
    --------
    >>> file_digest("/dev/null")[:8]
    'e3b0c442'
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ContentDigest:
    """SHA-256 of content, which does not depend on how a library writes it to a file.

    Examples
    --------
    >>> digest = ContentDigest()
    >>> digest.add(["chr1", "chr2"])
    >>> digest.add(np.array([1, 2], np.int32))
    >>> digest.hexdigest()[:8]
    '90c65ae0'
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, content: Any) -> None:
        """Add the next part of the content.

        Parameters
        ----------
        content
            Bytes; text, as UTF-8; an array, as its little-endian bytes in C order; anything else as
            JSON, in which unknown types are text.
        """
        data: bytes | memoryview
        if isinstance(content, np.ndarray):
            data = np.ascontiguousarray(content, content.dtype.newbyteorder("<")).data
        elif isinstance(content, bytes):
            data = content
        elif isinstance(content, str):
            data = content.encode()
        else:
            data = json.dumps(content, default=str).encode()
        self._hash.update(data)

    def hexdigest(self) -> str:
        """Return the digest of all that was added, as hex."""
        return self._hash.hexdigest()


def write_manifest(file: Path, manifest: dict[str, Any]) -> None:
    """Write the JSON file that describes a directory."""
    file.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read_manifest(
    file: Path, what: str, version: int, *, advice: str, error: type[GenoglotError]
) -> dict[str, Any]:
    """Read the JSON file that describes a directory.

    Parameters
    ----------
    file
        The JSON file. Its key `format` is the version of the directory's format.
    what
        What the directory holds, such as "atlas".
    version
        The only version that is read.
    advice
        What to do about a directory that cannot be read, such as "build the atlas again".
    error
        Class of the errors.

    Returns
    -------
    dict
        The content of the file.

    Raises
    ------
    GenoglotError
        Of the given class, if the file is missing, damaged or of another version.
    """
    try:
        manifest = json.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise error(f"{file.parent}: no {what} here (no {file.name})") from None
    except (OSError, ValueError) as problem:
        raise error(f"{file}: damaged ({problem}); {advice}") from None
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != version:
        raise error(
            f"{file.parent}: {what} of format {found or 'unknown'}, but this version of Genoglot "
            f"reads format {version}; {advice}"
        )
    return dict(manifest)


def read_bytes(path: str | Path) -> bytes:
    """Read all bytes of a file, decompressed if it is gzip or bgzip; `-` is standard input.

    Returns
    -------
    bytes
        The decompressed content.

    Raises
    ------
    GenoglotError
        If the file is missing, unreadable or a damaged gzip file, or if standard input was read
        before.
    """
    with explains_unreadable(path):
        data = standard_input().read() if str(path) == "-" else Path(path).read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def standard_input() -> BinaryIO:
    """Return the stream of standard input, to be read to its end.

    Raises
    ------
    GenoglotError
        If it was returned before: two files cannot both be standard input.
    """
    stream = sys.stdin.buffer
    if stream in _read_before:
        raise GenoglotError(
            "-: standard input can be read once; give a file for all inputs but one"
        )
    _read_before.add(stream)
    return stream


@contextmanager
def explains_unreadable(
    path: str | Path, error: type[GenoglotError] = GenoglotError
) -> Iterator[None]:
    """Raise errors that name the file and what to do, if it cannot be read in this context.

    Parameters
    ----------
    path
        The file, plain or gzip.
    error
        Class of the errors.
    """
    try:
        yield
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except IsADirectoryError:
        raise error(f"{path}: is a directory, not a file") from None
    except PermissionError:
        raise error(f"{path}: cannot be read (permission denied)") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as problem:
        raise error(f"{path}: damaged gzip file ({problem}); fetch it again") from None
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror})") from None


def read_lines(path: str | Path) -> bytes:
    r"""Read a text file (plain, gzip or bgzip; `-`: standard input) as UTF-8 lines.

    Line ends of Windows (CR LF) and of old Macs (a lone CR) become LF. A byte-order mark is
    removed; UTF-16 and UTF-32 are read if they have one. A file that is not UTF-8 is read as
    Windows-1252 (Latin-1), with a notice that names the line.

    Returns
    -------
    bytes
        The text in UTF-8, with LF after each line; after the last one only if the file has it.

    Raises
    ------
    GenoglotError
        If the file is missing, unreadable or damaged (see `read_bytes`), or if it is not text but
        an Excel workbook, an archive, a web page or a binary format of genomics.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "mac.txt"
    >>> _ = path.write_bytes(b"one\rtwo\r\n")
    >>> read_lines(path)
    b'one\ntwo\n'
    """
    data = read_bytes(path)
    if kind := _not_text(data):
        raise GenoglotError(f"{path}: is not text but {kind}")
    data = _as_utf8(data, path)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data


def _not_text(data: bytes) -> str | None:
    """Describe a file that is not text; None if it is."""
    if data.startswith(b"PK\x03\x04"):
        if b"xl/workbook" in data:
            return "an Excel workbook (.xlsx); save it as CSV (UTF-8)"
        if b"opendocument.spreadsheet" in data[:200]:
            return "a spreadsheet (.ods); save it as CSV (UTF-8)"
    if data[:100].lstrip(b"\xef\xbb\xbf \t\r\n")[:14].lower().startswith(_WEB_PAGE):
        return "a web page (HTML or XML); fetch the file itself"
    return next((kind for magic, kind in _BINARY.items() if data.startswith(magic)), None)


def _as_utf8(data: bytes, path: str | Path) -> bytes:
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            if encoding == "utf-8":
                data = data.removeprefix(mark)
                break
            try:
                return data.decode(encoding).encode()
            except UnicodeDecodeError:
                raise GenoglotError(
                    f"{path}: damaged {encoding.upper()} text; save it as UTF-8"
                ) from None
    if data.isascii():
        return data
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        logger.warning(
            "%s:%d: byte 0x%02x is not UTF-8; the file is read as Windows-1252 (Latin-1); "
            "save it as UTF-8 if that is wrong",
            *(path, line, data[error.start]),
        )
        return data.decode("cp1252", "replace").encode()
    return data


def read_text(path: str | Path) -> TextIO:
    """Read a file as `read_lines` does, into a stream of lines of text."""
    return io.StringIO(read_lines(path).decode())


def read_number(text: str) -> float:
    """Read a number of a text file or option; 1_0 is not one, although Python reads it as 10.

    Raises
    ------
    ValueError
        If the text is not a number.
    """
    if "_" in text:
        raise ValueError(f"not a number: {text!r}")
    return float(text)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, completely or not at all: see `text_writer`."""
    with text_writer(path) as write:
        write(text)


@contextmanager
def text_writer(path: str | Path) -> Iterator[Callable[[str], object]]:
    """Write a text file in UTF-8 part by part; it replaces `path` when the block succeeds.

    Parameters
    ----------
    path
        The file; `-` is standard output. A name that ends in .gz or .bgz is written in bgzip
        blocks.

    Yields
    ------
    function
        Writes a text after those before it.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.txt.gz"
    >>> with text_writer(path) as write:
    ...     write("one, ")
    ...     write("two")
    >>> gzip.decompress(path.read_bytes())
    b'one, two'
    """
    if str(path) == "-":
        yield sys.stdout.write
        sys.stdout.flush()
        return
    compress = str(path).endswith((".gz", ".bgz"))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        pending = bytearray()  # less than a block

        def write(text: str) -> None:
            if not compress:
                file.write(text.encode())
                return
            pending.extend(text.encode())
            whole = len(pending) // _BLOCK * _BLOCK
            file.write(b"".join(_bgzip_blocks(pending[:whole])))
            del pending[:whole]

        yield write
        if compress:
            file.write(bgzip(pending))


def bgzip(data: bytes | bytearray) -> bytes:
    """Compress into bgzip blocks (SAM specification, section 4.1), which tabix can index.

    Examples
    --------
    >>> gzip.decompress(bgzip(b"chr1 1 2"))
    b'chr1 1 2'
    """
    return b"".join([*_bgzip_blocks(data), _bgzip_block(b"")])


def _bgzip_blocks(data: bytes | bytearray) -> Iterator[bytes]:
    return (_bgzip_block(data[i : i + _BLOCK]) for i in range(0, len(data), _BLOCK))


def _bgzip_block(data: bytes | bytearray) -> bytes:
    body = zlib.compress(data, 6, -15)
    # A header of 18 bytes, the last two for the size of the block less one, and a trailer of 8.
    size = (len(body) + 25).to_bytes(2, "little")
    head = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff\x06\x00BC\x02\x00" + size
    tail = zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return head + body + tail


def cache_folder() -> Path:
    """Folder of cached files.

    Returns
    -------
    Path
        `$GENOGLOT_CACHE`, else `$XDG_CACHE_HOME/genoglot`, else `~/.cache/genoglot`.

    Raises
    ------
    GenoglotError
        If neither variable is set and the user has no home directory.
    """
    if chosen := os.environ.get("GENOGLOT_CACHE"):
        return Path(chosen)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "genoglot"
    try:
        return Path.home() / ".cache" / "genoglot"
    except RuntimeError:
        raise GenoglotError(
            "no home directory for the cache; set the environment variable GENOGLOT_CACHE to a "
            "folder"
        ) from None
