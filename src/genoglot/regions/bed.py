"""Reading and writing the BED family, plain or compressed."""

from __future__ import annotations

import logging
import re
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from genoglot.errors import GenoglotError
from genoglot.files import atomic_path, read_lines
from genoglot.regions import bedlines
from genoglot.regions.chromosomes import Alias, Codes, name_problem
from genoglot.regions.coordinates import MAX_BYTES, Unusual, read_coordinates
from genoglot.regions.formats import COLUMNS, Format, Table, check_format, declared_format
from genoglot.regions.regions import Regions

logger = logging.getLogger("genoglot")

_MACS_TABLE = re.compile(rb"chr\tstart\tend\tlength\t")

# What stands for a value that a table lacks, when a later column has to be written.
_FILL = {
    "score": "0",
    "itemRgb": "0",
    "signalValue": "0",
    "pValue": "-1",
    "qValue": "-1",
    "peak": "-1",
}


def read_bed(
    path: str | Path,
    *,
    on_error: Literal["raise", "skip"] = "raise",
    chrom_sizes: Mapping[str, int] | None = None,
    alias: Alias | None = None,
    columns: int | None = None,
    format: Format = "auto",
) -> Regions:
    r"""Read BED3 to BED12, bedGraph, narrowPeak, broadPeak or gappedPeak; plain, gzip or bgzip.

    Header lines (`track`, `browser`) may stand at the top, comments (`#`) and blank lines
    anywhere; columns are separated by tabs, or throughout by spaces. Line ends and encodings are
    those of `read_lines`. A chromosome name with a blank, a quote or another character that the
    SAM specification forbids is malformed. A file without regions is valid, with a
    notice in the log.

    Columns 4 and on are named by a comment line right above the first region that has a name for
    each, else by the format. Values are numbers where the format says so and all of them are,
    those aside that stand for a missing one (`.`, NA, nan and others), which become null.
    Strands are spelled + - . whatever spelling the file has.

    Parameters
    ----------
    path
        The file; `-` is standard input.
    on_error
        `"skip"` leaves malformed lines out and logs one warning with their number and the first.
    chrom_sizes
        Chromosome lengths in bp; a region on another chromosome or past the end is malformed.
    alias
        Spelling of the chromosomes to translate to: see `rename_chromosome`.
    columns
        Read only the first so many columns (3: coordinates only, the fastest).
    format
        `"auto"` looks at the number of columns and at what they hold, since all formats are also
        called .bed: nine columns are a broadPeak if there are fractions, -1, or a falling pair
        of numbers in columns 7 to 9, and BED9 if 7 and 8 are a range inside the region. Where the
        ending (.narrowPeak, .broadPeak, .gappedPeak, .bedGraph) or the track line contradicts
        the content, the content counts and a notice says so.

    Raises
    ------
    BedFormatError
        At the first malformed line.
    ChromosomeNameError
        If a chromosome is spelled `1` in the file and `chr1` in `chrom_sizes`, or the like.
    GenoglotError
        If the file cannot be read, or has too few columns for the format that is asked for.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.bed"
    >>> _ = path.write_text("track name=a\nchr1\t5\t9\tpeak\t7\n")
    >>> read_bed(path).frame.row(0)
    ('chr1', 5, 9, 'peak', 7)
    """
    data = read_lines(path)
    return parse_bed(
        data,
        path,
        on_error=on_error,
        chrom_sizes=chrom_sizes,
        alias=alias,
        columns=columns,
        format=format,
    )


def parse_bed(
    data: bytes,
    path: str | Path,
    *,
    on_error: Literal["raise", "skip"] = "raise",
    chrom_sizes: Mapping[str, int] | None = None,
    alias: Alias | None = None,
    columns: int | None = None,
    format: Format = "auto",
) -> Regions:
    """Read the text of a file that `read_lines` has read: see `read_bed`."""
    if on_error not in ("raise", "skip"):
        raise GenoglotError(f'on_error is {on_error!r}; use "raise" or "skip"')
    if columns is not None and columns < 3:
        raise GenoglotError(f"columns is {columns}; the first 3 are always read")
    layout = _layout(data)
    if layout is None:
        logger.warning("%s: no regions in this file", path)
        return Regions([], [], [])
    if _MACS_TABLE.match(data, layout.offset):
        raise GenoglotError(
            f"{path}: a table of MACS (.xls), which counts from 1; give its narrowPeak or broadPeak"
        )
    check_format(path, format, layout.n_columns)
    keep = min(layout.n_columns, columns or layout.n_columns)
    all_columns = columns is None
    regions = _read_fast(data, layout, keep, all_columns) if layout.n_columns >= 3 else None
    if regions is not None and alias is not None:
        regions = regions.rename_chroms(alias)
    if regions is None or not _is_sound(regions, chrom_sizes):
        rules = bedlines.Rules(path, layout.tabs, layout.n_headers, chrom_sizes, alias, on_error)
        regions = bedlines.read_lines(data, rules, columns)
    if not regions.columns.width:
        return regions
    table = Table(regions.columns, regions.start, regions.end)
    names: Sequence[str] = layout.names
    if format != "auto" or not names:
        # The first columns alone do not show the format; up to the sixth they are those of BED.
        wanted = "bed" if format == "auto" and columns in (4, 5, 6) else format
        names = table.names(path, wanted, declared_format(path, data[: layout.offset]))
    return Regions.from_codes(
        regions.chrom_names,
        regions.chrom_codes,
        regions.start,
        regions.end,
        table.named(names),
    )


class _Layout(NamedTuple):
    n_headers: int  # lines before the first region
    offset: int  # bytes before it
    tabs: bool
    n_columns: int
    names: list[str]  # of the columns after the third, if a comment such as "#chrom ..." tells


def _layout(data: bytes) -> _Layout | None:
    """Look at the lines up to the first region; None if there is no region."""
    offset = 0
    last, n_headers = b"", 0
    while offset < len(data):
        stop = data.find(b"\n", offset)
        stop = len(data) if stop < 0 else stop
        line = data[offset:stop]
        if not bedlines.is_header(line):
            # A line of less than three words tells nothing: tabs are what to expect.
            tabs = b"\t" in line or len(line.split()) < 3
            n_columns = len(line.split(b"\t" if tabs else None))
            names = last.decode().split("\t")
            told = last[:1] == b"#" and len(names) == n_columns == len(set(names))
            return _Layout(n_headers, offset, tabs, n_columns, names[3:] if told else [])
        last, n_headers, offset = line, n_headers + 1, stop + 1
    return None


def _read_fast(data: bytes, layout: _Layout, keep: int, all_columns: bool) -> Regions | None:
    """Read whole columns at once; None if anything unusual calls for a look at single lines."""
    if not layout.tabs:
        if b"\t" in data:
            return None
        data = re.sub(rb" +", b"\t", data[layout.offset :])
        layout = layout._replace(n_headers=0, offset=0)
    try:
        if keep == 3 and len(data) <= MAX_BYTES:
            return Regions.from_codes(*read_coordinates(data, layout.offset, only=all_columns))
        return _read_table(data, layout, keep, all_columns)
    except (Unusual, pl.exceptions.PolarsError):
        return None


def _read_table(data: bytes, layout: _Layout, keep: int, all_columns: bool) -> Regions:
    kinds: list[type[pl.DataType]] = [pl.Categorical, pl.UInt32, pl.UInt32]
    kinds += [pl.String] * (layout.n_columns - 3)
    names = [f"column_{i}" for i in range(1, len(kinds) + 1)]
    table = pl.read_csv(
        data,
        has_header=False,
        separator="\t",
        quote_char=None,
        skip_lines=layout.n_headers,
        schema=dict(zip(names, kinds, strict=True)),
        columns=names[:keep],
        truncate_ragged_lines=not all_columns,  # of longer lines than the first nothing is lost
    )
    chrom, start, end = table.get_columns()[:3]
    if chrom.null_count() or start.null_count() or end.null_count():
        raise Unusual
    return Regions.from_codes(
        *_codes(chrom),
        start.to_numpy().astype(np.int64),
        end.to_numpy().astype(np.int64),
        table.drop(names[:3]) if keep > 3 else None,
    )


def _codes(chrom: pl.Series) -> tuple[list[str], Codes]:
    """Names in order of first appearance, and each row's index into them."""
    physical = chrom.to_physical().to_numpy()
    first = np.full(int(physical.max()) + 1, -1, np.int64)
    # Written from the last row to the first, so that the first one stays.
    first[physical[::-1]] = np.arange(len(physical) - 1, -1, -1)
    rows = np.sort(first[first >= 0])
    code = np.zeros(len(first), np.int32)
    code[physical[rows]] = np.arange(len(rows), dtype=np.int32)
    return chrom.gather(rows).cast(pl.String).to_list(), code[physical]


def _is_sound(regions: Regions, chrom_sizes: Mapping[str, int] | None) -> bool:
    """Whether nothing in the table calls for a look at the single lines."""
    if (regions.end < regions.start).any():
        return False
    if any(name[0] == "#" or name_problem(name) for name in regions.chrom_names):
        return False
    if chrom_sizes is None:
        return True
    sizes = np.array([chrom_sizes.get(name, -1) for name in regions.chrom_names], np.int64)
    return bool((regions.end <= sizes[regions.chrom_codes]).all() and (sizes >= 0).all())


def write_bed(regions: Regions, path: str | Path = "-", *, header: str | None = None) -> None:
    """Write regions as BED, with all their columns.

    Columns with the names of BED or a peak format come first, in the format's order, gaps before
    the last of them filled as the formats say (name `.`, score 0, ...); any others follow in
    theirs. A missing value is written as `.`.

    Parameters
    ----------
    path
        The file, replaced only when all is written; `-` is standard output; `.gz` or `.bgz` is
        written in bgzip blocks, which gzip reads too.
    header
        Lines to put first, such as a `track` line or comments.
    """
    text = f"{header.rstrip()}\n" if header else ""
    body = _written_columns(regions).write_csv(
        include_header=False, separator="\t", quote_style="never", null_value="."
    )
    if str(path) == "-":
        sys.stdout.write(text + body)
        sys.stdout.flush()
        return
    data = (text + body).encode()
    with atomic_path(path) as temporary:
        temporary.write_bytes(bgzip(data) if str(path).endswith((".gz", ".bgz")) else data)


def _written_columns(regions: Regions) -> pl.DataFrame:
    frame = regions.frame
    present = regions.columns.columns
    standard = COLUMNS["bed"]
    if {"signalValue", "pValue", "qValue", "peak"} & set(present):
        gapped = "peak" not in present and set(COLUMNS["bed"][3:]) & set(present)
        standard = COLUMNS["gappedPeak" if gapped else "narrowPeak"]
    last = max((i + 1 for i, name in enumerate(standard) if name in present), default=0)
    fills = {
        "thickStart": pl.col("start"),
        "thickEnd": pl.col("end"),
        "blockCount": pl.lit("1"),
        "blockSizes": pl.col("end") - pl.col("start"),
        "blockStarts": pl.lit("0"),
    }
    written = [
        pl.col(name)
        if name in present
        else fills.get(name, pl.lit(_FILL.get(name, "."))).alias(name)
        for name in standard[:last]
    ]
    others = [name for name in present if name not in standard]
    return frame.select("chrom", "start", "end", *written, *others)


def bgzip(data: bytes) -> bytes:
    """Compress into bgzip blocks (SAM specification, section 4.1), which tabix can index.

    Examples
    --------
    >>> import gzip
    >>> gzip.decompress(bgzip(b"chr1 1 2"))
    b'chr1 1 2'
    """
    blocks = [_bgzip_block(data[i : i + 65280]) for i in range(0, len(data), 65280)]
    return b"".join([*blocks, _bgzip_block(b"")])


def _bgzip_block(data: bytes) -> bytes:
    body = zlib.compress(data, 6, -15)
    # 18 bytes of header, of which the last two hold the block's size less one; 8 of trailer.
    size = (len(body) + 25).to_bytes(2, "little")
    head = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff\x06\x00BC\x02\x00" + size
    tail = zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return head + body + tail


def line_of_region(path: str | Path, row: int) -> int:
    r"""1-based line number in a file of its region number `row`, counted from 0.

    Of what cannot be read a second time, such as a pipe, the number of the region, from 1.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.bed"
    >>> _ = path.write_text("# two\nchr1\t5\t9\n\nchr1\t9\t11\n")
    >>> line_of_region(path, 1)
    4
    """
    return line_number(read_lines(path), row)


def line_number(data: bytes, row: int) -> int:
    r"""1-based line number of region number `row`, counted from 0, in a file's text.

    Examples
    --------
    >>> line_number(b"# two\nchr1\t5\t9\n\nchr1\t9\t11\n", 1)
    4
    """
    lines = data.split(b"\n")
    numbers = (n for n, line in enumerate(lines, 1) if not bedlines.is_header(line))
    return next((n for i, n in enumerate(numbers) if i == row), row + 1)
