"""Peak x cell matrices in text files: MatrixMarket, its lists of peaks and cells, 10x folders."""

from __future__ import annotations

import gzip
import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import AtlasError, GenoglotError, some
from genoglot.files import explains_unreadable, read_lines
from genoglot.regions import Regions

log = logging.getLogger("genoglot")

Ints = NDArray[np.int64]

PEAKS = "Peaks"
"""Type of the features that are regions, as 10x writes it; others are genes or antibodies."""

_NAME = r"^(.+)[:_-](\d+)[_-](\d+)$"  # chr1:100-600, chr1_100_600, chr1-100-600
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
        Columns of text about the cells that are in the same file.
    genome
        Name of the assembly; empty if it is unknown.
    """

    name: str
    regions: Regions
    rows: Ints
    n_features: int
    barcodes: list[str]
    entries: Iterable[Entries]
    labels: dict[str, list[str | None]]
    genome: str = ""


def open_folder(
    folder: Path, barcodes: Path | None, peaks: Path | None, barcode_column: str | None
) -> CellMatrix:
    """Open the matrix of a folder as 10x Cell Ranger writes it; given files replace its own.

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
    return open_matrix_market(found["matrix"], found["barcodes"], found["peaks"], barcode_column)


def open_matrix_market(
    path: Path, barcodes: Path, peaks: Path, barcode_column: str | None
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

    Raises
    ------
    AtlasError
        If the numbers of peaks and cells are not those of the matrix, or a file is malformed.
    """
    regions, rows, n_features = read_peaks(peaks)
    with _open_text(path) as file:
        _, shape, _, _ = _read_header(file, path)
    cells = _read_barcodes(barcodes, barcode_column, shape, n_features)
    expected = (n_features, len(cells))
    transposed = shape == expected[::-1] and shape != expected
    if shape != expected and not transposed:
        raise AtlasError(
            f"{path}: a matrix of {shape[0]:,} x {shape[1]:,}, but {peaks} has {n_features:,} "
            f"peaks and {barcodes} has {len(cells):,} cells; give the files that belong to it"
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
        If a line is not a region.
    """
    lines = read_lines(path).decode().splitlines()
    first = next((line for line in lines if line.strip() and line[0] != "#"), "").split("\t")
    if len(first) == 1:
        first = first[0].split()
    if len(first) >= 3 and first[1].isdecimal() and first[2].isdecimal():
        regions = Regions.from_bed(path, columns=3)
        return regions, np.arange(len(regions)), len(regions)
    table = [line.split("\t") for line in lines if line.strip()]
    types = [row[2] if len(row) > 2 else PEAKS for row in table]
    rows = peak_rows(types, str(path))
    if rows.size and all(len(table[row]) >= 6 for row in rows):
        chrom, start, end = ([table[row][i] for row in rows] for i in (3, 4, 5))
        regions = Regions(chrom, _whole(start, path), _whole(end, path))
    else:
        regions = regions_from_names([table[row][0].strip('"') for row in rows], str(path))
    return regions, rows, len(table)


def _whole(texts: list[str], path: Path) -> list[int]:
    for text in texts:
        if not text.strip().isdecimal():
            raise AtlasError(f"{path}: the coordinate {text!r} is not a whole number; fix it")
    return [int(text) for text in texts]


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
    chrom, start, end = parts.get_columns()
    wrong = chrom.is_null().to_numpy()
    if not wrong.any():
        wrong = np.array([len(text) > 12 for text in end]) | (chrom.str.contains(r"\s").to_numpy())
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise AtlasError(
            f"{where}: peak {row + 1} is {names[row][:60]!r}, which names no region "
            f"({int(wrong.sum()):,} of {len(names):,} do not); give names such as chr1:100-600, or "
            "a BED file"
        )
    try:
        return Regions(chrom.to_numpy(), start.cast(pl.Int64), end.cast(pl.Int64))
    except GenoglotError as error:
        raise AtlasError(f"{where}: {error}") from None


def _read_barcodes(
    path: Path, column: str | None, shape: tuple[int, int], n_features: int
) -> list[str]:
    """Read the names of the cells, from the lines or from a column of a table with a header."""
    rows = [line.split("\t") for line in read_lines(path).decode().splitlines() if line.strip()]
    n_cells = shape[0] if shape[1] == n_features and shape[0] != n_features else shape[1]
    at = 0
    if len(rows) == n_cells + 1:
        header, rows = [name.strip('"') for name in rows[0]], rows[1:]
        if column is not None and column not in header:
            raise AtlasError(f"{path}: no column {column!r}; it has {', '.join(header)}")
        at = header.index(column) if column is not None else 0
        log.info("%s: the cells are those of the column %r", path, header[at])
    try:
        return [row[at].strip('"') for row in rows]
    except IndexError:
        raise AtlasError(f"{path}: a row has fewer than {at + 1} columns; complete it") from None


class _Blocks:
    """The entries of a MatrixMarket file, block by block; each loop reads the file again."""

    def __init__(self, path: Path, *, transposed: bool) -> None:
        self._path, self._transposed = path, transposed

    def __iter__(self) -> Iterator[Entries]:
        path = self._path
        with explains_unreadable(path, AtlasError), _open_text(path) as file:
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


def _open_text(path: Path) -> BinaryIO:
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
