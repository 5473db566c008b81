"""Peak x cell matrices in text files: MatrixMarket, its lists of peaks and cells, 10x folders."""

from __future__ import annotations

import gzip
import io
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import AtlasError, BedFormatError, GenoglotError, some
from genoglot.files import explains_unreadable, read_lines
from genoglot.regions import Regions
from genoglot.regions.bed import BedReader, is_header
from genoglot.tables import read_table

log = logging.getLogger("genoglot")

Ints = NDArray[np.int64]

PEAKS = "Peaks"
"""Type of the features that are regions, as 10x writes it; others are genes or antibodies."""

_NAME = r"^(.*[^:_-])[:_-](\d+)[_-](\d+)$"  # chr1:100-600, chr1_100_600, chr1-100-600
_BED = re.compile(r"\S+(\s+[+-]?\d[\d.,e+]*){2}(\s|$)")  # also with numbers that are refused
_CELL_COLUMNS = (
    *("barcode", "barcodes", "cell", "cells", "cellbarcode", "cellbarcodes", "cellid", "cellids"),
    *("cellname", "cellnames", "obsnames", "index", "cb", "x"),  # x: what R calls a vector
)
_BLOCK = 1 << 24  # bytes of text that are parsed at a time
_FIELDS = ("integer", "real", "pattern")
_FOLDER = {
    "matrix": ("matrix.mtx", "matrix.mtx.gz"),
    "barcodes": ("barcodes.tsv", "barcodes.tsv.gz"),
    "peaks": ("peaks.bed", "peaks.bed.gz", "features.tsv", "features.tsv.gz"),
}


class Entries(NamedTuple):
    """Some entries: indices of peaks and cells, int64, and counts, float64; (m,) each."""

    peaks: Ints
    cells: Ints
    counts: NDArray[np.float64]


class CellMatrix(NamedTuple):
    """A peak x cell matrix, whose counts are read block by block.

    Attributes
    ----------
    name
        What errors call the matrix.
    regions
        Regions of the peaks.
    rows
        Which features of the matrix the peaks are, int64 (peaks,).
    n_features
        Number of features, genes included.
    barcodes
        Names of the cells.
    entries
        The counts; `Entries.peaks` are indices of features.
    labels
        Columns about the cells that are in the same file, as text.
    genome
        Name of the assembly; empty if it is unknown.
    """

    name: str
    regions: Regions
    rows: Ints
    n_features: int
    barcodes: list[str]
    entries: Iterable[Entries]
    labels: Mapping[str, list[str | None]]
    genome: str = ""


def open_folder(
    folder: Path,
    barcodes: Path | None,
    peaks: Path | None,
    barcode_column: str | None,
    required: bool,
) -> CellMatrix:
    """Open the matrix of a folder as 10x Cell Ranger writes it; given files replace its own.

    Parameters are those of `open_matrix_market`.

    Raises
    ------
    AtlasError
        If a file is missing, or there are several of a kind.
    """
    given = {"barcodes": barcodes, "peaks": peaks}
    found: dict[str, Path] = {}
    for what, names in _FOLDER.items():
        there = [folder / name for name in names if (folder / name).exists()]
        chosen = given.get(what)
        if chosen is None and len(there) != 1:
            problem = "several of the files" if there else "no"
            advice = f"; name it with {what}= (--{what})" if what in given else ""
            raise AtlasError(f"{folder}: {problem} {' or '.join(names)} in this folder{advice}")
        found[what] = chosen or there[0]
    return open_matrix_market(
        found["matrix"], found["barcodes"], found["peaks"], barcode_column, required
    )


def open_matrix_market(
    path: Path, barcodes: Path, peaks: Path, barcode_column: str | None, required: bool
) -> CellMatrix:
    """Open a MatrixMarket file of peaks x cells, or of cells x peaks.

    Parameters
    ----------
    path
        The file, plain or gzip.
    barcodes
        Names of the cells, one on each line, or a table with a header.
    peaks
        BED file, list of names such as chr1:100-600, or features.tsv of 10x.
    barcode_column
        Column of the barcodes, if `barcodes` is a table.
    required
        Refuse `barcodes` without this column.

    Raises
    ------
    AtlasError
        If the numbers of peaks and cells are not those of the matrix, or a file is malformed.
    """
    regions, rows, n_features = read_peaks(peaks)
    with open_bytes(path) as file:
        _, shape, _, _ = _read_header(file, path)
    cells = _read_barcodes(barcodes, barcode_column, required)
    expected = (n_features, len(cells))
    transposed = shape == expected[::-1] and shape != expected
    if shape != expected and not transposed:
        one_more = len(cells) - 1 in shape
        header = "; if its first line is a header, remove it or name its column (--barcode-column)"
        raise AtlasError(
            f"{path}: a matrix of {shape[0]:,} x {shape[1]:,}, but {peaks} has {n_features:,} "
            f"peaks and {barcodes} has {len(cells):,} cells; give the files that belong to it"
            f"{header * one_more}"
        )
    if transposed:
        log.warning("%s: is cells x peaks, as its size shows; it is read so", path)
    elif shape[0] == shape[1]:
        log.warning("%s: has as many rows as columns; read as peaks x cells", path)
    entries = _Blocks(path, transposed=transposed)
    return CellMatrix(str(path), regions, rows, n_features, cells, entries, {})


def read_peaks(path: Path) -> tuple[Regions, Ints, int]:
    """Read the peaks of a matrix.

    Parameters
    ----------
    path
        BED file; list of names, in the first column; or features.tsv of 10x (id, name,
        type and, in newer versions, chrom, start, end).

    Returns
    -------
    regions
        Regions of the peaks.
    rows
        Which features they are, int64; the others, such as genes, are left out with a notice.
    n_features
        Number of features.

    Raises
    ------
    AtlasError
        If a line is not a region, or there is none.
    """
    lines = read_lines(path).split(b"\n")
    numbered = [(i, line.decode()) for i, line in enumerate(lines) if not is_header(line)]
    if not numbered:
        raise AtlasError(f"{path}: no peaks in this file")
    if any(_BED.match(line) for _, line in numbered[:2]):  # the first can name the columns
        regions = _read_bed(path, b"\n".join(lines))
        return regions, np.arange(len(regions)), len(regions)
    table = [line.split("\t") for _, line in numbered]
    types = [row[2] if len(row) > 2 else PEAKS for row in table]
    rows = peak_rows(types, str(path))
    if all(len(table[row]) >= 6 and table[row][2] == PEAKS and table[row][3] for row in rows):
        text = [""] * len(lines)  # BED, each region on its line
        for row in rows:
            text[numbered[row][0]] = "\t".join(table[row][3:6])
        regions = _read_bed(path, "\n".join(text).encode())
    else:
        names = [table[row][0].strip().strip('"') for row in rows]
        regions = regions_from_names(names, str(path))
    return regions, rows, len(table)


def _read_bed(path: Path, text: bytes) -> Regions:
    try:
        return Regions.from_codes(*BedReader(path, columns=3).read(text))
    except BedFormatError as error:
        raise AtlasError(
            f"{path}:{error.line_number}: {error.problem}: {error.line!r}; correct the line, or "
            "remove it if it is not a peak"
        ) from None


def peak_rows(types: Sequence[str], name: str) -> Ints:
    """Return the indices of the features that are peaks; a notice counts the others."""
    is_peak = np.array([kind == PEAKS for kind in types], bool)
    others = [kind for kind in types if kind != PEAKS]
    if others and is_peak.any():
        log.warning(
            "%s: %s of %s features are not peaks and are left out: %s",
            *(name, f"{len(others):,}", f"{len(types):,}", some(others)),
        )
    return np.flatnonzero(is_peak) if is_peak.any() else np.arange(len(types))


def regions_from_names(names: Sequence[str], where: str) -> Regions:
    """Read regions from names such as chr1:100-600, chr1_100_600 or chr1-100-600.

    The numbers are read as in BED, 0-based and half-open, as 10x, ArchR and SnapATAC2 write them.

    Examples
    --------
    >>> regions_from_names(["chr1:100-600", "chrUn_GL000220v1_5_90"], "peaks.txt")
    Regions(2 regions on 2 chromosomes: chr1:100-600, chrUn_GL000220v1:5-90)
    """
    parts = (
        pl.DataFrame({"name": pl.Series(names, dtype=pl.String)})
        .select(pl.col("name").str.extract_groups(_NAME))
        .unnest("name")
    )
    chrom, *texts = parts.get_columns()
    start, end = (text.cast(pl.Int64, strict=False) for text in texts)  # null if it is too large
    wrong = start.is_null() | end.is_null() | chrom.str.contains(r"\s").fill_null(True)
    if wrong.any():
        row = int(np.flatnonzero(wrong.to_numpy())[0])
        raise AtlasError(
            f"{where}: peak {row + 1} is {names[row][:60]!r}, which names no region "
            f"({int(wrong.sum()):,} of {len(names):,} do not); give names such as chr1:100-600, or "
            "a BED file"
        )
    try:
        return Regions(chrom.to_numpy(), start, end)
    except GenoglotError as error:
        raise AtlasError(f"{where}: {error}") from None


def _read_barcodes(path: Path, column: str | None, required: bool) -> list[str]:
    """Read the names of the cells: one on each line, or a column of a table with a header.

    A line is a header only if it says so: by the name of the column, or by that of a column of
    cells, such as barcode; or if its first column has no name, as R writes it.
    """
    lines = [line for line in read_lines(path).decode().splitlines() if line.strip()]
    if not lines:
        raise AtlasError(f"{path}: no names of cells in this file")
    first = lines[0].strip(" ")
    separator = next((mark for mark in "\t,; " if mark in first), "\t")
    header = [name.strip().strip('"') for name in first.split(separator)]
    if column not in header and not any(map(_names_cells, header)) and header[0]:
        if required:
            raise AtlasError(f"{path}: no column {column!r} on its first line ({some(header)})")
        return [line.split("\t")[0].strip().strip('"') for line in lines]
    table = read_table(path, [column] if column in header else (), error=AtlasError)
    names = table.frame.columns
    if required and column not in names:
        raise AtlasError(f"{path}: no column {column!r}; it has {some(names)}")
    found = [name for name in names if name == column] or [*filter(_names_cells, names)] or names
    chosen = found[0]
    log.info("%s: the cells are those of the column %r", path, chosen)
    cells = table.frame[chosen]
    if cells.null_count():
        line = table.lines[cells.is_null().arg_max() or 0]
        raise AtlasError(f"{path}:{line}: no name of a cell in the column {chosen!r}; complete it")
    return cells.to_list()


def _names_cells(column: str) -> bool:
    return re.sub(r"[\s_.-]", "", column.lower()) in _CELL_COLUMNS


class _Blocks:
    """The entries of a MatrixMarket file, block by block; each loop reads the file again."""

    def __init__(self, path: Path, *, transposed: bool) -> None:
        self._path, self._transposed = path, transposed

    def __iter__(self) -> Iterator[Entries]:
        path = self._path
        with explains_unreadable(path, AtlasError), open_bytes(path) as file:
            field, shape, n_entries, line = _read_header(file, path)
            left, found = b"", 0
            while True:
                data = file.read(_BLOCK)
                text = left + data
                cut = text.rfind(b"\n") + 1 if data else len(text)
                block, left = text[:cut], text[cut:]
                if block.strip():
                    table = _parse(block, field == "pattern", path, line)
                    found += len(table)
                    line += block.count(b"\n")
                    yield self._checked(table, shape)
                if not data:
                    break
        if found != n_entries:
            raise AtlasError(
                f"{path}: has {found:,} entries, but its header says {n_entries:,}; the file is "
                "cut off or damaged, fetch it again"
            )

    def _checked(self, table: NDArray[np.float64], shape: tuple[int, int]) -> Entries:
        rows, columns = (table[:, i].astype(np.int64) - 1 for i in (0, 1))
        for index, size, what in zip((rows, columns), shape, ("row", "column"), strict=True):
            if len(index) and (index.min() < 0 or index.max() >= size):
                wrong = int(index[(index < 0) | (index >= size)][0]) + 1
                raise AtlasError(
                    f"{self._path}: an entry is in {what} {wrong:,}, but the matrix has {size:,} "
                    f"{what}s; fetch it again"
                )
        counts = table[:, 2] if table.shape[1] > 2 else np.ones(len(table))
        return (
            Entries(columns, rows, counts) if self._transposed else Entries(rows, columns, counts)
        )


def open_bytes(path: Path) -> BinaryIO:
    """Open a file, plain or gzip, for reading bytes."""
    with explains_unreadable(path, AtlasError):
        file = path.open("rb")
        magic = file.read(2)
        file.seek(0)
        return io.BufferedReader(gzip.GzipFile(fileobj=file)) if magic == b"\x1f\x8b" else file


def _read_header(file: BinaryIO, path: Path) -> tuple[str, tuple[int, int], int, int]:
    """Read the first lines of a MatrixMarket file.

    Returns
    -------
    field, shape, n_entries, line
        Kind of the entries, number of rows and columns, number of entries, and the number of the
        line after the header, from 1.
    """
    with explains_unreadable(path, AtlasError):
        banner = file.readline().decode("utf-8", "replace").lower().split()
        if banner[:1] != ["%%matrixmarket"]:
            raise AtlasError(f"{path}: is not a MatrixMarket file (no %%MatrixMarket on line 1)")
        kind = (*banner[1:], *[""] * 4)[:4]
        if kind[:2] != ("matrix", "coordinate") or kind[2] not in _FIELDS or kind[3] != "general":
            raise AtlasError(
                f"{path}: is '{' '.join(banner[1:])}'; give a sparse matrix of counts: 'matrix "
                "coordinate integer general' (or real, or pattern)"
            )
        number = 1
        while True:
            line = file.readline()
            number += 1
            if not line or (line.strip() and not line.startswith(b"%")):
                break
    sizes = line.split()
    if len(sizes) != 3 or not all(size.isdigit() for size in sizes):
        raise AtlasError(f"{path}:{number}: no line with the numbers of rows, columns and entries")
    rows, columns, entries = map(int, sizes)
    return kind[2], (rows, columns), entries, number + 1


def _parse(block: bytes, pattern: bool, path: Path, line: int) -> NDArray[np.float64]:
    """Parse lines of two or three numbers; float64 (lines, 2 or 3)."""
    n_columns = 2 if pattern else 3
    schema = {str(i): pl.Int64 if i < 2 else pl.Float64 for i in range(n_columns)}
    try:
        frame = pl.read_csv(block, has_header=False, separator=" ", schema=schema)
        if not any(frame.null_count().row(0)):
            return frame.select(pl.all().cast(pl.Float64)).to_numpy()
    except pl.exceptions.PolarsError:
        pass  # other blanks between the numbers, or a malformed line: the slow way finds out
    rows = []
    for number, text in enumerate(block.splitlines(), start=line):
        fields = text.split()
        if not fields:
            continue
        try:
            if len(fields) != n_columns or b"_" in text:  # Python reads 1_0 as 10
                raise ValueError
            rows.append([int(fields[0]), int(fields[1]), *map(float, fields[2:])])
        except ValueError:
            raise AtlasError(
                f"{path}:{number}: {text[:60].decode('utf-8', 'replace')!r} is not an entry (row, "
                f"column{'' if pattern else ', count'}); fetch the file again"
            ) from None
    return np.array(rows, np.float64).reshape(-1, n_columns)
