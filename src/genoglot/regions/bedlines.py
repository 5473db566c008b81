"""Reading BED line by line: slow, but it tells which line is malformed and why."""

from __future__ import annotations

import io
import logging
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from genoglot.errors import BedFormatError
from genoglot.regions.chromosomes import Alias, check_names, name_problem, rename_chromosome
from genoglot.regions.regions import Regions

logger = logging.getLogger("genoglot")

_BEYOND_INT64 = 2**63


def is_header(line: bytes) -> bool:
    r"""Whether a line holds no region: blank, a comment, a `track` or a `browser` line.

    Examples
    --------
    >>> is_header(b"track name=a"), is_header(b"tracker\t1\t2")
    (True, False)
    """
    return not line.strip() or line[:1] == b"#" or line.split(None, 1)[0] in (b"track", b"browser")


@dataclass(frozen=True)
class Rules:
    """What a file's lines are held against."""

    path: str | Path
    tabs: bool
    n_headers: int
    chrom_sizes: Mapping[str, int] | None
    alias: Alias | None
    on_error: str


class _LineError(Exception):
    """What is wrong with the line at hand."""


def read_lines(data: bytes, rules: Rules, columns: int | None) -> Regions:
    """Read all lines, and raise at the first malformed one or count and report them.

    Parameters
    ----------
    data
        The file's text, as `read_lines` gives it.
    rules
        What the lines are held against.
    columns
        Read only the first so many columns.

    Raises
    ------
    BedFormatError
        At the first malformed line, unless `rules.on_error` is `"skip"`.
    ChromosomeNameError
        If the genome has a chromosome under another spelling, skip or not.
    """
    names: dict[str, int] = {}
    codes, start, end = array("i"), array("q"), array("q")
    extra: list[tuple[str | None, ...]] = []
    n_bad, first_error = 0, None
    for number, raw in enumerate(io.BytesIO(data), 1):
        line = raw.decode().rstrip("\n")
        if number <= rules.n_headers or not line.strip() or line[0] == "#":
            continue
        try:
            fields = _fields(line, rules.tabs)
            if problem := name_problem(fields[0]):
                raise _LineError(problem)
            chrom = rename_chromosome(fields[0], rules.alias)
            left, right = _interval(chrom, fields, rules)
        except _LineError as found:
            error = BedFormatError(rules.path, number, line, str(found))
            if rules.on_error == "raise":
                raise error from None
            n_bad, first_error = n_bad + 1, first_error or error
            continue
        codes.append(names.setdefault(chrom, len(names)))
        start.append(left)
        end.append(right)
        extra.append(tuple(field or None for field in fields[3:columns]))
    if first_error is not None:
        where = f"{first_error.path}:{first_error.line_number}"
        logger.warning(
            "%s: skipped %d malformed lines, kept %d; the first is %s: %s: %r",
            *(rules.path, n_bad, len(codes), where, first_error.problem, first_error.line),
        )
    width = max(map(len, extra), default=0)
    table = {
        f"column_{i + 4}": [row[i] if i < len(row) else None for row in extra] for i in range(width)
    }
    return Regions.from_codes(
        list(names),
        np.array(codes, np.int32),
        np.array(start, np.int64),
        np.array(end, np.int64),
        pl.DataFrame(table, schema=dict.fromkeys(table, pl.String)),
    )


def _fields(line: str, tabs: bool) -> list[str]:
    by_tabs, by_spaces = line.split("\t"), line.split()
    fields = by_tabs if tabs else by_spaces
    if by_spaces[0] in ("track", "browser") and len(fields) < 3:
        raise _LineError("a header line after the first region; headers stand at the top")
    if not tabs and len(by_tabs) > 1:
        raise _LineError("tabs and spaces are mixed (the first region is separated by spaces)")
    if tabs and len(by_spaces) >= 3 and (len(fields) < 3 or len(fields[0].split()) > 1):
        raise _LineError("tabs and spaces are mixed (the first region is separated by tabs)")
    if len(fields) < 3:
        raise _LineError(f"{len(fields)} column{'s' * (len(fields) > 1)}, at least 3 are needed")
    if not fields[0].strip():
        raise _LineError("the chromosome is missing")
    return fields


def _interval(chrom: str, fields: list[str], rules: Rules) -> tuple[int, int]:
    chrom_sizes = rules.chrom_sizes
    start, end = _coordinate("start", fields[1]), _coordinate("end", fields[2])
    if end < start:
        raise _LineError(f"end {end} is before start {start}")
    if chrom_sizes is not None:
        if chrom not in chrom_sizes:
            check_names([chrom], chrom_sizes, ours=str(rules.path), theirs="the genome")
            raise _LineError(f"chromosome {chrom} is not in the genome")
        if end > chrom_sizes[chrom]:
            raise _LineError(f"end {end} is past the end of {chrom} ({chrom_sizes[chrom]} bp)")
    return start, end


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
