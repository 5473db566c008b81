"""Parse the text of files of the BED family.

Whole columns are read at once if no line is unusual. Otherwise `BedReader._read_lines` parses one
line after the other, and reports malformed lines and their problems. This file does not know the
class `Regions`: see `Regions.from_bed`.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import BedFormatError, GenoglotError
from genoglot.files import read_lines
from genoglot.regions.chromosomes import (
    Alias,
    ChromCodes,
    name_problem,
    rename_chromosome,
    rename_chromosomes,
    unknown_chromosome,
)
from genoglot.regions.formats import Format, UnnamedColumns, check_format, declared_format

logger = logging.getLogger("genoglot")

_MACS_TABLE = re.compile(rb"chr\tstart\tend\tlength\t")
_BEYOND_INT64 = 2**63


class BedColumns(NamedTuple):
    """The content of a BED file: the arguments of `Regions.from_codes`.

    Attributes
    ----------
    chrom_names
        Distinct chromosome names in order of first appearance.
    chrom_codes
        Index into `chrom_names` of each region, int32, shape (n,).
    start, end
        0-based, half-open coordinates in base pairs, int64, shape (n,).
    columns
        Further columns, n rows.
    """

    chrom_names: tuple[str, ...]
    chrom_codes: ChromCodes
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    columns: pl.DataFrame


_NONE = np.empty(0, np.int64)
_NO_REGIONS = BedColumns((), _NONE.astype(np.int32), _NONE, _NONE, pl.DataFrame())


@dataclass(frozen=True)
class BedReader:
    """Reader of a file of the BED family; its options are those of `Regions.from_bed`.

    Raises
    ------
    GenoglotError
        If an option has a value that does not exist.
    """

    path: str | Path
    on_error: Literal["raise", "skip"] = "raise"
    chrom_sizes: Mapping[str, int] | None = None
    alias: Alias | None = None
    columns: int | None = None
    format: Format = "auto"

    def __post_init__(self) -> None:
        if self.on_error not in ("raise", "skip"):
            raise GenoglotError(f'on_error is {self.on_error!r}; use "raise" or "skip"')
        if self.columns is not None and self.columns < 3:
            raise GenoglotError(f"columns is {self.columns}; the first 3 are always read")

    def read(self, data: bytes) -> BedColumns:
        """Parse the text of the file.

        Parameters
        ----------
        data
            The text, as `genoglot.files.read_lines` returns it.

        Returns
        -------
        BedColumns
            Named and typed columns.

        Raises
        ------
        BedFormatError, ChromosomeNameError, GenoglotError
            As in `Regions.from_bed`.
        """
        layout = _Layout.of(data)
        if layout is None:
            logger.warning("%s: no regions in this file", self.path)
            return _NO_REGIONS
        if _MACS_TABLE.match(data, layout.offset):
            raise GenoglotError(
                f"{self.path}: a table of MACS (.xls), which counts from 1; give its narrowPeak or "
                "broadPeak file"
            )
        check_format(self.path, self.format, layout.n_columns)
        bed = self._read_columns(data, layout)
        if bed is None or not self._is_valid(bed):
            rows = self._read_lines(data, layout)
            if not rows:
                return _NO_REGIONS
            width = max(map(len, rows))
            text = "\n".join("\t".join(row) + "\t" * (width - len(row)) for row in rows)
            bed = cast(BedColumns, _parse_columns(text.encode(), width, self.columns))
        if not bed.columns.width:
            return bed
        unnamed = UnnamedColumns(bed.columns, bed.start, bed.end)
        names = layout.names
        if self.format != "auto" or not names:
            # The first columns alone do not show the format; up to the sixth they are those of BED.
            few = self.format == "auto" and self.columns in (4, 5, 6)
            declared = declared_format(self.path, data[: layout.offset])
            names = unnamed.find_names(self.path, "bed" if few else self.format, declared)
        return bed._replace(columns=unnamed.named(names))

    def _read_columns(self, data: bytes, layout: _Layout) -> BedColumns | None:
        """Read whole columns at once; None if a line calls for `_read_lines`."""
        if layout.n_columns < 3 or (not layout.tabs and b"\t" in data):
            return None
        body = data[layout.offset :]
        if not layout.tabs:
            body = re.sub(rb" +", b"\t", body)
        bed = _parse_columns(body, layout.n_columns, self.columns)
        if bed is None:
            return None
        names, codes = rename_chromosomes(bed.chrom_names, bed.chrom_codes, self.alias)
        return bed._replace(chrom_names=names, chrom_codes=codes)

    def _is_valid(self, bed: BedColumns) -> bool:
        """Whether no line is malformed."""
        if bed.start.min() < 0 or (bed.end < bed.start).any():
            return False
        if any(name[0] == "#" or name_problem(name) for name in bed.chrom_names):
            return False
        if self.chrom_sizes is None:
            return True
        sizes = np.array([self.chrom_sizes.get(name, -1) for name in bed.chrom_names], np.int64)
        return bool((sizes >= 0).all() and (bed.end <= sizes[bed.chrom_codes]).all())

    def _read_lines(self, data: bytes, layout: _Layout) -> list[list[str]]:
        """Parse line by line: raise at the first malformed line, or count and report them.

        Returns the fields of each region, with its chromosome in the spelling of `alias`.
        """
        rows: list[list[str]] = []
        malformed: list[BedFormatError] = []
        n_headers = data.count(b"\n", 0, layout.offset)
        for number, raw in enumerate(io.BytesIO(data[layout.offset :]), n_headers + 1):
            line = raw.decode().rstrip("\n")
            if not line.strip() or line[0] == "#":
                continue
            try:
                rows.append(self._parse(_split(line, layout.tabs)))
            except _LineError as problem:
                malformed.append(BedFormatError(self.path, number, line, str(problem)))
                if self.on_error == "raise":
                    raise malformed[0] from None
        if malformed:
            first = malformed[0]
            logger.warning(
                "%s: skipped %d malformed lines, read %d; the first is %s:%d: %s: %r",
                *(self.path, len(malformed), len(rows)),
                *(self.path, first.line_number, first.problem, first.line),
            )
        return rows

    def _parse(self, fields: list[str]) -> list[str]:
        """Check the first three fields of a line: chromosome, start and end."""
        if problem := name_problem(fields[0]):
            raise _LineError(problem)
        chrom = rename_chromosome(fields[0], self.alias)
        start, end = _coordinate("start", fields[1]), _coordinate("end", fields[2])
        if end < start:
            raise _LineError(f"end {end} is before start {start}")
        if self.chrom_sizes is not None:
            if chrom not in self.chrom_sizes:
                where = str(self.path)
                raise _LineError(
                    unknown_chromosome(chrom, self.chrom_sizes, ours=where, renamed="ours")
                )
            if end > (size := self.chrom_sizes[chrom]):
                raise _LineError(f"end {end} is past the end of {chrom} ({size} bp)")
        return [chrom, str(start), str(end), *fields[3:]]


class _LineError(Exception):
    """What is wrong with the line at hand."""


class _Layout(NamedTuple):
    offset: int  # bytes before the first region
    tabs: bool
    n_columns: int
    names: tuple[str, ...]  # of the columns after the third, if a comment such as "#chrom" has them

    @classmethod
    def of(cls, data: bytes) -> _Layout | None:
        """Look at the lines up to the first region; None if there is no region."""
        offset, comment = 0, b""
        while offset < len(data):
            stop = data.find(b"\n", offset)
            line = data[offset:] if stop < 0 else data[offset:stop]
            if not is_header(line):
                # A line of less than three words may have any separator: tabs are expected.
                tabs = b"\t" in line or len(line.split()) < 3
                n_columns = len(line.split(b"\t" if tabs else None))
                names = comment.decode().split("\t")
                named = comment[:1] == b"#" and len(names) == n_columns == len(set(names))
                return cls(offset, tabs, n_columns, tuple(names[3:]) if named else ())
            offset, comment = offset + len(line) + 1, line
        return None


def is_header(line: bytes) -> bool:
    r"""Whether a line holds no region: blank, a comment, a `track` or a `browser` line.

    Examples
    --------
    >>> is_header(b"track name=a"), is_header(b"tracker\t1\t2")
    (True, False)
    """
    return not line.strip() or line[:1] == b"#" or line.split(None, 1)[0] in (b"track", b"browser")


def line_of_region(path: str | Path, row: int, data: bytes | None = None) -> int:
    r"""Line number of a region in its file.

    Parameters
    ----------
    path
        The file.
    row
        Number of the region, from 0.
    data
        The text of the file; by default the file is read again.

    Returns
    -------
    int
        Number of the line, from 1. Of a file that cannot be read twice, such as a pipe, the number
        of the region, from 1.

    Examples
    --------
    >>> line_of_region("a.bed", 1, b"# two\nchr1\t5\t9\n\nchr1\t9\t11\n")
    4
    """
    lines = (read_lines(path) if data is None else data).split(b"\n")
    numbers = (number for number, line in enumerate(lines, 1) if not is_header(line))
    return next((number for i, number in enumerate(numbers) if i == row), row + 1)


def _parse_columns(data: bytes, n_columns: int, n_wanted: int | None) -> BedColumns | None:
    """Parse lines of tab-separated columns, the second and third of them whole numbers.

    None if a coordinate is not a number, one of the first three fields is empty, or a line has more
    columns than the first one and all are wanted.
    """
    names = [f"column_{i}" for i in range(1, n_columns + 1)]
    types: list[type[pl.DataType]] = [pl.Categorical, pl.Int64, pl.Int64]
    types += [pl.String] * (n_columns - 3)
    try:
        table = pl.read_csv(
            data,
            has_header=False,
            separator="\t",
            quote_char=None,
            schema=dict(zip(names, types, strict=True)),
            columns=names[:n_wanted],
            truncate_ragged_lines=n_wanted is not None,
        )
    except pl.exceptions.PolarsError:
        return None
    chrom, start, end = table.get_columns()[:3]
    if chrom.null_count() or start.null_count() or end.null_count():
        return None
    codes, distinct = chrom.to_physical().to_numpy(), chrom.unique(maintain_order=True)
    code = np.empty(int(codes.max()) + 1, np.int32)
    code[distinct.to_physical().to_numpy()] = np.arange(len(distinct))
    return BedColumns(
        tuple(distinct.cast(pl.String)),
        code[codes],
        start.to_numpy(),
        end.to_numpy(),
        table.drop(names[:3]),
    )


def _split(line: str, tabs: bool) -> list[str]:
    by_tabs, by_spaces = line.split("\t"), line.split()
    fields = by_tabs if tabs else by_spaces
    if by_spaces[0] in ("track", "browser") and len(fields) < 3:
        raise _LineError("a header line after the first region; headers belong at the top")
    if not tabs and len(by_tabs) > 1:
        raise _LineError("tabs and spaces are mixed (the first region is separated by spaces)")
    if tabs and len(by_spaces) >= 3 and (len(fields) < 3 or len(fields[0].split()) > 1):
        raise _LineError("tabs and spaces are mixed (the first region is separated by tabs)")
    if len(fields) < 3:
        raise _LineError(f"{len(fields)} column{'s' * (len(fields) > 1)}, at least 3 are needed")
    if not fields[0].strip():
        raise _LineError("the chromosome is missing")
    return fields


def _coordinate(what: str, text: str) -> int:
    text = text.strip()
    digits = text.removeprefix("-").removeprefix("+")
    if not text:
        raise _LineError(f"the {what} is missing")
    if not (digits.isascii() and digits.isdecimal()) or int(digits) >= _BEYOND_INT64:
        raise _LineError(f"the {what} {text!r} is not a whole number")
    value = int(text)
    if value < 0:
        raise _LineError(f"the {what} {value} is negative")
    return value
