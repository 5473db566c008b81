"""FASTA files, plain, gzip or bgzip: records, and errors with file and line."""

from __future__ import annotations

import codecs
import gzip
import io
import logging
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from genoglot.errors import SequenceError
from genoglot.files import BYTE_ORDER_MARKS, explains_unreadable, standard_input
from genoglot.sequence.alphabet import INVALID, MARKED_CODES, MASKED, Codes

logger = logging.getLogger("genoglot")

BLOCK = 1 << 22
"""Bytes of a FASTA file that are read at a time."""

_SPACE = b" \t\n"
_START = 1 << 16  # bytes by which a FASTA file is recognized
_BEFORE_TEXT = b" \t\r\n\0\xef\xbb\xbf\xff\xfe"  # and the bytes of byte-order marks, and of UTF-16
_SUFFIXES = (".fa", ".fasta", ".fna", ".ffn", ".fas")

# First bytes of other formats that are given instead of FASTA, and what to do about them.
_FOREIGN = {
    b"@": "FASTQ (or SAM); turn it into FASTA (seqtk seq -a, or samtools fasta)",
    b"C'A\x1a": "a .2bit file; turn it into FASTA (twoBitToFa)",
    b"\x1aA'C": "a .2bit file; turn it into FASTA (twoBitToFa)",
    b"BAM\1": "a BAM file; turn it into FASTA (samtools fasta)",
    b"PK\3\4": "a zip archive; unpack it, or compress the FASTA file with gzip",
    b"BZh": "compressed with bzip2; unpack it, or compress the FASTA file with gzip",
    b"\xfd7zXZ": "compressed with xz; unpack it, or compress the FASTA file with gzip",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it, or compress the FASTA file with gzip",
}


@dataclass(frozen=True, eq=False)
class FastaRecord:
    """One sequence of a FASTA file.

    Attributes
    ----------
    name
        First word of the header line.
    description
        The rest of the header line.
    codes
        A C G T N = 0 1 2 3 4, uint8 (length,).
    """

    name: str
    description: str
    codes: Codes


class Header(NamedTuple):
    """A header line, as `scan_fasta` meets it."""

    name: str
    description: str


def read_fasta(path: str | Path, *, block_size: int = BLOCK) -> Iterator[FastaRecord]:
    r"""Read a FASTA file record by record.

    Blank lines, the line ends of Windows (CR LF) and of old Macs (CR), a byte-order mark (UTF-8,
    UTF-16 or UTF-32) and a missing last line end are accepted. U is read as T, and IUPAC letters
    for more than one base as N.

    Parameters
    ----------
    path
        The file, plain, gzip or bgzip; `-` is standard input.
    block_size
        Number of bytes that are read at a time.

    Raises
    ------
    SequenceError
        With file and line, if a name is missing or not unique, a record is empty, a character is
        not a DNA letter, there is sequence before the first header, or there is no record; or if
        the file cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.fa"
    >>> _ = path.write_text(">chrM test\nACGT\nacg\n>chr2\nNN\n")
    >>> [(record.name, record.description, len(record.codes)) for record in read_fasta(path)]
    [('chrM', 'test', 7), ('chr2', '', 2)]
    """
    header: Header | None = None
    marked = bytearray()
    for item in scan_fasta(path, block_size=block_size):
        if not isinstance(item, Header):
            marked += item
            continue
        if header is not None:
            yield _record(header, marked)
        header, marked = item, bytearray()
    if header is not None:
        yield _record(header, marked)


def is_fasta(path: str | Path) -> bool:
    """Whether a file begins with >, or has the name of a FASTA file.

    Parameters
    ----------
    path
        The file, plain, gzip or bgzip; `-` is standard input; nothing of it is consumed.

    Raises
    ------
    SequenceError
        If the file is empty or cannot be read.
    """
    with _opened(path) as file:
        start = file.peek(_START)
        if _is_gzip(file):
            try:
                start = zlib.decompressobj(31).decompress(start, _START)
            except zlib.error:
                return True  # read_fasta says what is wrong
    if not start.strip(_BEFORE_TEXT):
        raise SequenceError(f"{path}: is empty; give a FASTA or a BED file")
    bare = Path(str(path).lower().removesuffix(".gz").removesuffix(".bgz"))
    return start.lstrip(_BEFORE_TEXT)[:1] == b">" or bare.suffix in _SUFFIXES


def _record(header: Header, marked: bytearray) -> FastaRecord:
    codes = np.frombuffer(marked, np.uint8)
    return FastaRecord(*header, codes & np.uint8(MASKED - 1))


def scan_fasta(path: str | Path, *, block_size: int = BLOCK) -> Iterator[Header | bytes]:
    """Read a FASTA file in chunks: each header, then its sequence in one chunk or more.

    Yields
    ------
    A header, or a chunk of sequence: a byte per base, its code, plus `MASKED` in lower case.
    """
    return _Scan(path).chunks(block_size)


class _Scan:
    """The state of reading one file: its line and record."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.line = 1  # number of the line to be read next
        self.name = ""
        self.header_line = 0
        self.length = 0  # bases of this record so far
        self.lines_of: dict[str, int] = {}  # of each name
        self.foreign = False  # whether a header was not UTF-8

    def chunks(self, block_size: int) -> Iterator[Header | bytes]:
        data, at_line_start = b"", True
        for block in _blocks(self.path, block_size):
            data += block
            at = 0
            while at < len(data):
                if at_line_start and data[at : at + 1] == b">":
                    stop = data.find(b"\n", at)
                    if stop < 0:
                        break  # the rest of the header is still to come
                    yield self._header(data[at + 1 : stop])
                    at = stop + 1
                    continue
                stop = _next_header(data, at)
                chunk = data[at:stop]
                at_line_start = chunk.endswith(b"\n")
                if codes := self._sequence(chunk):
                    yield codes
                at = stop
            data = data[at:]
        self._close_record()
        if not self.lines_of:
            raise SequenceError(f"{self.path}: no record in this file; give a FASTA file")

    def _header(self, line: bytes) -> Header:
        self._close_record()
        words = self._decoded(line).split(maxsplit=1)
        if not words:
            raise self._error(self.line, "the header has no name; write one after >")
        name = words[0]
        if not name.isprintable():
            raise self._error(
                self.line,
                f"the name {name!r} has a character that cannot be printed; is this a FASTA file?",
            )
        if name in self.lines_of:
            raise self._error(
                self.line,
                f"the name {name!r} is not unique, it is in line {self.lines_of[name]} as well; "
                "rename or remove one of the records",
            )
        self.lines_of[name] = self.header_line = self.line
        self.name, self.length = name, 0
        self.line += 1
        return Header(name, words[1].strip() if len(words) > 1 else "")

    def _decoded(self, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            if not self.foreign:
                logger.warning(
                    "%s:%d: byte 0x%02x is not UTF-8; headers are read as Windows-1252 (Latin-1)",
                    *(self.path, self.line, line[error.start]),
                )
            self.foreign = True
            return line.decode("cp1252", "replace")

    def _sequence(self, chunk: bytes) -> bytes:
        codes = chunk.translate(MARKED_CODES, _SPACE)
        if codes and not self.lines_of:
            before = len(chunk) - len(chunk.lstrip())
            line = self.line + chunk.count(b"\n", 0, before)
            raise self._error(
                line, "sequence before the first header (a line >name); is this a FASTA file?"
            )
        if INVALID in codes:
            raise self._bad_letter(chunk)
        self.line += chunk.count(b"\n")
        self.length += len(codes)
        return codes

    def _bad_letter(self, chunk: bytes) -> SequenceError:
        for number, line in enumerate(chunk.split(b"\n"), self.line):
            letters = line.translate(None, _SPACE)
            at = letters.translate(MARKED_CODES).find(INVALID)
            if at >= 0:
                return self._error(
                    number,
                    f"{chr(letters[at])!r} at position {self.length + at + 1} of record "
                    f"{self.name!r} is not a DNA letter; "
                    "remove it or write N (or is this a protein?)",
                )
            self.length += len(letters)
        raise AssertionError("called for a chunk without a bad letter")

    def _close_record(self) -> None:
        if self.lines_of and not self.length:
            raise self._error(
                self.header_line, f"record {self.name!r} is empty; add its sequence or remove it"
            )

    def _error(self, line: int, problem: str) -> SequenceError:
        return SequenceError(f"{self.path}:{line}: {problem}")


def _next_header(data: bytes, at: int) -> int:
    """Where the next line that begins with > begins, or the end of the data."""
    while True:
        at = data.find(b">", at)
        if at < 0:
            return len(data)
        if at and data[at - 1 : at] == b"\n":
            return at
        at += 1


def _blocks(path: str | Path, size: int) -> Iterator[bytes]:
    """Read a file's text block by block; every line, the last one too, is ended by LF."""
    if str(path) == "-":
        standard_input()  # refuses a second reading; to peek, as below, is none
    with _opened(path) as stored:
        file = stored
        if _is_gzip(stored):  # its reader can peek as well
            file = cast(io.BufferedReader, gzip.GzipFile(fileobj=stored))
        start = file.peek(8)
        mark = next((mark for mark in BYTE_ORDER_MARKS if start.startswith(mark)), b"")
        _check_start(path, start.removeprefix(mark), mark)
        # Without a mark bytes stay as they are: as Latin-1 each of them is a character.
        encoding, written = "latin-1", "latin-1"
        if mark == codecs.BOM_UTF8:
            file.read(len(mark))
        elif mark:
            encoding, written = BYTE_ORDER_MARKS[mark], "utf-8"
        text = codecs.getincrementaldecoder(encoding)()
        lines = io.IncrementalNewlineDecoder(text, translate=True)
        while block := file.read(size):
            yield lines.decode(block).encode(written)
        yield lines.decode(b"", final=True).encode(written) + b"\n"


def _check_start(path: str | Path, start: bytes, mark: bytes) -> None:
    """Refuse other kinds of files by how they begin."""
    for magic, what in _FOREIGN.items():
        if start.startswith(magic):
            raise SequenceError(f"{path}: is {what}")
    if b"\0" in start and not mark:
        raise SequenceError(
            f"{path}: is not text (or UTF-16 without a byte-order mark); give a FASTA file, and "
            "save it as UTF-8"
        )


@contextmanager
def _opened(path: str | Path) -> Iterator[io.BufferedReader]:
    """Open a file, or standard input (`-`), in which a reader can peek; the bytes are as stored."""
    with explains_unreadable(path, SequenceError):
        try:
            if str(path) == "-":
                yield cast(io.BufferedReader, sys.stdin.buffer)
                return
            with Path(path).open("rb") as file:
                yield file
        except UnicodeError as error:
            raise SequenceError(f"{path}: damaged text ({error}); save it as UTF-8") from None


def _is_gzip(file: io.BufferedReader) -> bool:
    return file.peek(2)[:2] == b"\x1f\x8b"
