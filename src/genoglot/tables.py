"""Read tables: text with a header, as spreadsheets, R and people write it, and Parquet files."""

from __future__ import annotations

import csv
import json
import logging
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from genoglot.errors import GenoglotError
from genoglot.files import read_lines

logger = logging.getLogger("genoglot")

MISSING = ("", "NA", "N/A", "#N/A", "<NA>", "nan", "null", "none", "-", ".")
"""Markers of a missing value, in any case of letters."""

_SEPARATORS = {"\t": "tab", ",": "comma", ";": "semicolon", " ": "blank"}
_SEP = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # a first line for Excel
_COMMENT = re.compile(r'\s*("?)#[#\s]*')  # quoted if Excel wrote it and it has a comma
_INVISIBLE = ("\ufeff", "\u200b")  # byte-order marks inside a file, zero-width blanks

csv.field_size_limit(sys.maxsize)  # DNA sequences may be longer than the default, 131,072


class TextTable(NamedTuple):
    """A table of text, and the position of each row in its file.

    Attributes
    ----------
    frame
        Columns of text without leading and trailing blanks, null where a cell is empty. A column
        without a name is called column_N, N being its number from 1.
    rows
        Number of each row in a spreadsheet, where the header counts.
    lines
        Number of the line, from 1, on which each row begins. It differs from the row in a
        spreadsheet if a cell above contains a line break.
    """

    frame: pl.DataFrame
    rows: list[int]
    lines: list[int]


def read_table(
    path: str | Path,
    needed: Collection[str] = (),
    *,
    separator: str | None = None,
    error: type[GenoglotError] = GenoglotError,
) -> TextTable:
    r"""Read a table of text with a header, plain or gzip.

    All common variants are read: fields separated by commas, tabs or semicolons (or blanks, if the
    header has none of these), quoted or not; the first line `sep=;` of Excel; comment lines (`#`)
    at the top, the last of which may be the header; blank lines; empty columns without a name, as
    Excel writes them; a column of row names without a name, as R writes it. Line ends and encodings
    are those of `genoglot.files.read_lines`.

    Parameters
    ----------
    path
        The file; `-` is standard input.
    needed
        Names of columns, in any case of letters, by which the header and the separator are
        recognized. The table may lack them.
    separator
        Separator of the fields. By default the one that gives all rows as many fields as the
        header.
    error
        Class of the errors to raise.

    Returns
    -------
    TextTable
        The table, and the rows and lines of the file.

    Raises
    ------
    error
        With file, row and line, if rows have other numbers of fields than the header or a quote is
        never closed; if two columns have the same name; if the file is empty, JSON or not text.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "sheet.csv"
    >>> _ = path.write_text('sep=;\n# mine\nfile;tissue\na.bed;"skin; 5"" deep"\n\nb.bed;\n')
    >>> table = read_table(path)
    >>> table.frame.rows(), table.lines
    ([('a.bed', 'skin; 5" deep'), ('b.bed', None)], [4, 6])
    """
    try:
        text = read_lines(path).decode()
    except GenoglotError as problem:
        raise error(str(problem)) from None
    if "\0" in text:
        raise error(f"{path}: is not text, it contains NUL characters; save it as CSV (UTF-8)")
    for mark in _INVISIBLE:
        text = text.replace(mark, "")
    if _is_json(text):
        raise error(f"{path}: is not a table but JSON; give CSV or TSV")
    lines = text.split("\n")
    first = 0
    if named := _SEP.fullmatch(lines[0]):
        first, separator = 1, named[1]
    start, header = _header(lines, first, needed, separator)
    if start is None:
        raise error(f"{path}: no table in this file, as it has no header line; give CSV or TSV")
    lines[start] = header
    candidates = [separator] if separator else _separators(header)
    readings = [_Reading.of(lines, start, first, candidate) for candidate in candidates]
    best = max(
        readings,
        key=lambda reading: (
            reading.problem is None, _has_names(reading.names, needed), len(reading.names)
        ),
    )  # fmt: skip
    if best.problem is not None:
        raise error(f"{path}:{best.problem}")
    if best.spanning:
        logger.warning("%s:%s", path, best.spanning)
    repeated = [name for i, name in enumerate(best.names) if name in best.names[:i]]
    if repeated:
        raise error(f"{path}:{start + 1}: two columns are called {repeated[0]!r}; rename one")
    columns = [list(column) for column in zip(*best.cells, strict=True)] or [[] for _ in best.names]
    frame = pl.DataFrame(
        [pl.Series(n, cells, pl.String) for n, cells in zip(best.names, columns, strict=True)]
    )
    cell = pl.all().str.strip_chars()
    frame = frame.select(pl.when(cell != "").then(cell))
    return TextTable(frame, best.rows, best.lines)


def read_parquet(
    path: Path,
    columns: Iterable[str],
    *,
    what: str,
    advice: str,
    error: type[GenoglotError] = GenoglotError,
) -> pl.DataFrame:
    """Read a Parquet file that must have certain columns.

    Parameters
    ----------
    path
        The file.
    columns
        Names of these columns; the others are read too.
    what, advice
        What the file should be, such as "a results table", and what to do if it is not.
    error
        Class of the errors.

    Raises
    ------
    GenoglotError
        As `error`, if the file is missing or damaged, or does not have a column.
    """
    try:
        # Absolute and without patterns, because hg38:encode and [1] are parts of names here.
        frame = pl.read_parquet(path.absolute(), glob=False)
    except (OSError, pl.exceptions.PolarsError) as problem:
        reason = str(problem).splitlines()[0]
        raise error(f"{path}: cannot be read as {what} ({reason}); {advice}") from None
    if missing := [name for name in columns if name not in frame.columns]:
        raise error(f"{path}: is not {what}: it has no column {missing[0]!r}; {advice}")
    return frame


def missing_values(column: pl.Series, markers: Collection[str] = MISSING) -> pl.Series:
    """Find the missing values of a column of text: null, blank, or one of the markers.

    Returns
    -------
    polars.Series
        Mask of the missing values, bool, n rows.

    Examples
    --------
    >>> missing_values(pl.Series(["CTCF", "n/a", None, "NANOG"])).to_list()
    [False, True, True, False]
    """
    known = {marker.strip().lower() for marker in markers} | {""}
    return column.is_null() | column.str.strip_chars().str.to_lowercase().is_in(list(known))


class _Record(NamedTuple):
    row: int  # as a spreadsheet counts
    line: int  # of the file, from 1
    n_lines: int
    fields: list[str]


class _QuoteError(Exception):
    """What is wrong with the quotes, after the number of the line."""


class _Reading(NamedTuple):
    """A table read with one of the possible separators, or the problem with that separator."""

    names: list[str]
    cells: list[list[str]]
    rows: list[int]
    lines: list[int]
    problem: str | None = None
    spanning: str | None = None

    @classmethod
    def of(cls, lines: list[str], start: int, first: int, separator: str) -> _Reading:
        try:
            header, *records = _records(lines, start, first, separator)
        except _QuoteError as problem:
            return cls([], [], [], [], str(problem))
        records = [record for record in records if any(map(str.strip, record.fields))]
        names = [" ".join(name.split()) for name in header.fields]
        used = max((_used(record.fields) for record in records), default=0)
        width = max(_used(names), min(len(names), used))
        if used > width == len(names) and _has_row_names(records, width, separator):
            names, width = ["", *names], width + 1
        names = [name or f"column_{i}" for i, name in enumerate(names[:width], 1)]
        ragged = [r for r in records if len(r.fields) < width or _used(r.fields) > width]
        return cls(
            names,
            [record.fields[:width] for record in records],
            [record.row for record in records],
            [record.line for record in records],
            _ragged(ragged, len(records), width, separator) if ragged else None,
            _spanning(records, lines, width, separator),
        )


def _records(lines: list[str], start: int, first: int, separator: str) -> Iterator[_Record]:
    """Read the header and the rows."""
    given = (f"{line}\n" for line in lines[start:])
    reader = csv.reader(given, delimiter=separator, skipinitialspace=True, strict=True)
    row, line = start - first + 1, start + 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            what = "is never closed; close it, or double it within a quoted field"
            if "expected after" in str(error):
                what = 'is closed before the field ends; write a quote within a field twice ("")'
            raise _QuoteError(f"{line}: row {row}: a quote {what}") from None
        after = start + reader.line_num + 1
        yield _Record(row, line, after - line, fields)
        row, line = row + 1, after


def _header(
    lines: Sequence[str], first: int, needed: Collection[str], separator: str | None
) -> tuple[int | None, str]:
    """Find the header: the first line that is not a comment, or the comment line right above it.

    A comment is the header if it has the needed names and the line does not, or, if no names are
    needed, if it has as many fields as the line.
    """
    plain = None
    for i, line in enumerate(lines[first:], first):
        if line.strip() and not _COMMENT.match(line):
            plain = i
            break
    above = (len(lines) if plain is None else plain) - 1
    while above > first and not lines[above].strip():
        above -= 1
    if above >= first and _COMMENT.match(lines[above]):
        comment = _COMMENT.sub(r"\1", lines[above], count=1)
        for candidate in [separator] if separator else _separators(comment):
            names = comment.split(candidate)
            others = [] if plain is None else lines[plain].split(candidate)
            if needed and _has_names(names, needed) and not _has_names(others, needed):
                return above, comment
            if not needed and 1 < len(names) == len(others):
                return above, comment
    return plain, "" if plain is None else lines[plain]


def _separators(header: str) -> list[str]:
    """Return the separators that the header can have."""
    found = [candidate for candidate in "\t,;" if candidate in header]
    return found or [",", " "]


def _has_names(names: Collection[str], needed: Collection[str]) -> bool:
    """Whether the names include all that are needed."""
    found = {name.strip().strip('"').lower() for name in names}
    return {name.lower() for name in needed} <= found


def _used(fields: Sequence[str]) -> int:
    """Return the number of fields up to the last one that is not blank."""
    return next((i for i in range(len(fields), 0, -1) if fields[i - 1].strip()), 0)


def _has_row_names(records: list[_Record], width: int, separator: str) -> bool:
    """Whether all rows have one more field than the header because R wrote row names first.

    Between commas, only numbers are row names: other first fields can be the first column, with the
    additional field from an unquoted text.
    """
    first = [record.fields[0] for record in records]
    if any(len(record.fields) != width + 1 for record in records) or len(set(first)) < len(first):
        return False
    return separator in "\t " or all(name.isdecimal() for name in first)


def _ragged(ragged: list[_Record], n: int, width: int, separator: str) -> str:
    """Describe rows with another number of fields than the header."""
    row, line, _, fields = ragged[0]
    n_fields = max(_used(fields), min(len(fields), width))
    name = _SEPARATORS.get(separator, repr(separator))
    advice = f"quote a field that contains a {name}"
    if n_fields < width:
        advice = f"write the {name}s that are missing, or quote a field that contains a line break"
    elif len(ragged) == n:
        advice += ", or name all columns in the header"
    count = f" ({len(ragged)} of {n} rows differ)" if len(ragged) > 1 else ""
    return (
        f"{line}: row {row} has {n_fields} field{'s' * (n_fields != 1)}, separated by {name}s, "
        f"where the header has {width}{count}; {advice}"
    )


def _spanning(records: list[_Record], lines: list[str], width: int, separator: str) -> str | None:
    """Describe quoted fields that span lines that look like rows, as if a quote were missing."""
    spanning = [
        record
        for record in records
        for line in lines[record.line : record.line + record.n_lines - 1]
        if width > 1 and line.count(separator) >= width - 1
    ]
    if not spanning:
        return None
    row, line, n_lines, _ = spanning[0]
    return (
        f"{line}: row {row} has a quoted field that extends to line {line + n_lines - 1}, over "
        "lines that look like rows; if they are, close the quote"
    )


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.JSONDecoder().raw_decode(text.lstrip())
    except ValueError:
        return False
    return True
