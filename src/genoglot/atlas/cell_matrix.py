"""Peak x cell matrices of single-cell ATAC-seq, added up by cell type: `Accessibility`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.atlas.accessibility import Accessibility
from genoglot.atlas.cell_matrix_files import (
    CellMatrix,
    open_bytes,
    open_folder,
    open_matrix_market,
)
from genoglot.atlas.cell_matrix_h5 import HDF5, open_hdf5
from genoglot.errors import AtlasError, some
from genoglot.files import explains_unreadable
from genoglot.permissions import explains_denial
from genoglot.progress import with_progress
from genoglot.tables import missing_values, read_table

log = logging.getLogger("genoglot")

ALL_CELLS = "all cells"
"""Name of the one cell type of a matrix whose cells are not labeled."""

_CELL_TYPE_NAMES = ("celltype", "celltypes", "celllabel", "annotation", "cluster", "clusters")

Labels = Mapping[str, Sequence[str | None]]


@explains_denial
def read_cell_matrix(
    source: str | Path,
    *,
    barcodes: str | Path | None = None,
    peaks: str | Path | None = None,
    cell_types: str | Path | None = None,
    barcode_column: str | None = None,
    cell_type_column: str | None = None,
    all_cells: bool = False,
    min_count: float = 0,
    genome: str = "",
    on_error: Literal["raise", "skip"] = "raise",
    progress: bool = True,
) -> Accessibility:
    """Read a peak x cell matrix and add up the cells of each cell type.

    The matrix is read block by block and never made dense; the sums take four bytes for each
    region and cell type.

    Parameters
    ----------
    source
        A folder of 10x Cell Ranger (matrix.mtx, barcodes.tsv and peaks.bed or features.tsv); an
        HDF5 file of 10x (version 2 or 3) or MAESTRO; AnnData's h5ad; or a MatrixMarket file. Text
        files can be gzip. A matrix of cells x peaks is recognized by its size.
    barcodes
        For MatrixMarket: the cells in the order of the matrix, one on each line, or a table (CSV or
        TSV) with a header, which has a column `barcode_column` or one with a name such as barcode.
    peaks
        For MatrixMarket: the peaks in the order of the matrix: BED, names such as chr1:100-600, or
        features.tsv of 10x.
    cell_types
        Table (CSV or TSV with a header) with a row for each cell. By default the columns of obs, in
        an h5ad file: text, categories, whole numbers or true and false.
    barcode_column, cell_type_column
        Columns of that table. By default the only column with barcodes of the matrix, and the only
        one with a name such as cell_type; a notice says which.
    all_cells
        Add up all cells; then no cell types may be given.
    min_count
        Minimum sum of the counts of a cell type's cells for a region to be open in it. By default
        any sum above 0.
    genome
        Name of the genome assembly. By default what the file says, if it says it.
    on_error
        What to do if cells have no cell type: "raise" an error, or "skip" them and report how many.
    progress
        Show a progress bar in a terminal.

    Returns
    -------
    Accessibility
        Regions, and the cell types they are open in. Rows of the table without a cell in the matrix
        are ignored; a notice counts them.

    Raises
    ------
    AtlasError
        If files do not belong together, a count is negative or not a number, or the cell types are
        not known: of the matrix, or of a cell if `on_error` is "raise". Or if an option has no
        effect on the files that are given.
    """
    from scipy.sparse import csr_array

    path = Path(source)
    if all_cells and (cell_types or cell_type_column):
        raise AtlasError(
            f"{path}: all_cells=True (--all-cells) adds up cells without regard to their cell "
            f"types; leave it out, or leave out {cell_types or cell_type_column}"
        )
    matrix = _open(
        path,
        Path(barcodes) if barcodes else None,
        Path(peaks) if peaks else None,
        barcode_column,
        required=barcode_column is not None and cell_types is None,
    )
    if repeated := [name for name, n in Counter(matrix.barcodes).items() if n > 1]:
        raise AtlasError(
            f"{matrix.name}: {len(repeated):,} names of cells are there twice: {some(repeated)}; "
            "give each cell a name of its own, or name the column that has one"
        )
    table = Path(cell_types) if cell_types else None
    if all_cells:
        labels: Sequence[str | None] = [ALL_CELLS] * len(matrix.barcodes)
        log.info("%s: all %s cells are added up", path, f"{len(labels):,}")
    else:
        labels = _label_cells(matrix, table, barcode_column, cell_type_column)
        _check_labels(labels, matrix, table, on_error)
    names = sorted({label for label in labels if label is not None})
    sums = _add_up(matrix, names, labels, progress)
    opened = (sums > 0) & (sums >= min_count)
    return Accessibility(
        matrix.regions, names, csr_array(opened), str(path), genome or matrix.genome
    )


def _open(
    path: Path,
    barcodes: Path | None,
    peaks: Path | None,
    barcode_column: str | None,
    *,
    required: bool,
) -> CellMatrix:
    """Open a matrix of any format, which its first bytes show."""
    if path.is_dir():
        return open_folder(path, barcodes, peaks, barcode_column, required)
    with explains_unreadable(path, AtlasError), path.open("rb") as file:
        first = file.read(len(HDF5))
    if first != HDF5:
        with explains_unreadable(path, AtlasError), open_bytes(path) as content:
            if content.read(len(HDF5)) == HDF5:
                raise AtlasError(f"{path}: an HDF5 file that is compressed by gzip; unpack it")
        if barcodes is None or peaks is None:
            raise AtlasError(
                f"{path}: a MatrixMarket file names neither its cells nor its peaks; give them "
                "with barcodes= and peaks= (--barcodes, --peaks)"
            )
        return open_matrix_market(path, barcodes, peaks, barcode_column, required)
    for option, given in (("barcodes", barcodes), ("peaks", peaks)):
        if given is not None:
            raise AtlasError(f"{path}: an HDF5 file has its own {option}; leave out {given}")
    if required:
        raise AtlasError(
            f"{path}: an HDF5 file has its own names of cells; leave out {barcode_column!r} "
            "(--barcode-column)"
        )
    return open_hdf5(path)


def _label_cells(
    matrix: CellMatrix, table: Path | None, barcode_column: str | None, cell_type_column: str | None
) -> list[str | None]:
    """Return the cell type of each cell; None if it has none."""
    if table is None and not matrix.labels:
        raise AtlasError(
            f"{matrix.name}: the cell types are not known; give a table with cell_types= "
            "(--cell-types), or add up all cells with all_cells=True (--all-cells)"
        )
    if table is None:
        column = _choose_cell_types(matrix.labels, cell_type_column, f"{matrix.name}: obs")
        return _without_missing(matrix.labels[column])
    return _labels_of_table(matrix, table, barcode_column, cell_type_column)


def _check_labels(
    labels: Sequence[str | None],
    matrix: CellMatrix,
    table: Path | None,
    on_error: Literal["raise", "skip"],
) -> None:
    """Refuse, or count, cells without a cell type."""
    where = table or matrix.name
    unlabeled = [name for name, label in zip(matrix.barcodes, labels, strict=True) if label is None]
    if len(unlabeled) == len(labels):
        raise AtlasError(
            f"{where}: no cell has a cell type; name another column with cell_type_column= "
            "(--cell-type-column)"
        )
    found = f"{where}: {len(unlabeled):,} of {len(labels):,} cells have no cell type"
    if unlabeled and on_error == "raise":
        raise AtlasError(
            f"{found}, such as {some(unlabeled[:1])}; add them, or leave the cells out with "
            'on_error="skip" (--on-error skip)'
        )
    if unlabeled:
        log.warning("%s and are left out", found)


def _labels_of_table(
    matrix: CellMatrix, path: Path, barcode_column: str | None, cell_type_column: str | None
) -> list[str | None]:
    needed = [name for name in (barcode_column, cell_type_column) if name]
    frame = read_table(path, needed, error=AtlasError).frame
    known = set(matrix.barcodes)
    if barcode_column is None:
        having = [name for name in frame.columns if known & set(frame[name])]
        if not having:
            first = frame.to_series(0).drop_nulls().to_list()
            raise AtlasError(
                f"{path}: no column has names of the cells of {matrix.name}, such as "
                f"{matrix.barcodes[0]!r} (its first column has {some(first[:1])}); correct them"
            )
        if len(having) > 1:
            raise AtlasError(
                f"{path}: the columns {some(having)} have names of cells; choose with "
                "barcode_column= (--barcode-column)"
            )
        barcode_column = having[0]
        log.info("%s: names of cells are in the column %r", path, barcode_column)
    columns = {name: frame[name].to_list() for name in frame.columns}
    if barcode_column not in columns:
        raise AtlasError(f"{path}: no column {barcode_column!r}; it has {some(columns)}")
    names = columns.pop(barcode_column)
    if repeated := [name for name, n in Counter(names).items() if n > 1 and name is not None]:
        raise AtlasError(
            f"{path}: {len(repeated):,} cells have several rows: {some(repeated)}; remove all but "
            "one, or name the column that differs (--barcode-column)"
        )
    column = _choose_cell_types(columns, cell_type_column, str(path))
    label_of = dict(zip(names, _without_missing(columns[column]), strict=True))
    shared = len(known & set(names))
    if not shared:
        raise AtlasError(
            f"{path}: the column {barcode_column!r} has no cell of {matrix.name}: it has "
            f"{some(names[:1])}, the matrix {matrix.barcodes[0]!r}; correct the names"
        )
    if shared < len(names):
        log.warning(
            "%s: %s of %s rows are of cells that the matrix does not have: ignored",
            *(path, f"{len(names) - shared:,}", f"{len(names):,}"),
        )
    return [label_of.get(name) for name in matrix.barcodes]


def _without_missing(labels: Sequence[str | None]) -> list[str | None]:
    """Remove blanks around labels, and replace those that mean a missing value, as NA, by None."""
    column = pl.Series(labels, dtype=pl.String).str.strip_chars()
    return column.set(missing_values(column), None).to_list()


def _choose_cell_types(columns: Labels, chosen: str | None, where: str) -> str:
    """Return the column of the cell types: the chosen one, or the only one with such a name."""
    if chosen is not None:
        if chosen not in columns:
            raise AtlasError(f"{where}: no column {chosen!r}; it has {some(columns)}")
        return chosen
    plain = {name: "".join(filter(str.isalpha, name.lower())) for name in columns}
    alike = [name for name in columns if plain[name] in _CELL_TYPE_NAMES]
    if len(alike) != 1:
        problem = f"the columns {some(alike)}" if alike else f"no such column of {some(columns)}"
        raise AtlasError(
            f"{where}: which column has the cell types is not clear ({problem}); choose with "
            "cell_type_column= (--cell-type-column)"
        )
    log.info("%s: cell types are in the column %r", where, alike[0])
    return alike[0]


def _add_up(
    matrix: CellMatrix, names: Sequence[str], labels: Sequence[str | None], progress: bool
) -> NDArray[np.float32]:
    """Add up the counts of each cell type's cells, float32 (cell types, peaks)."""
    number = {name: i for i, name in enumerate(names)}
    type_of = np.array([number[label] if label is not None else -1 for label in labels], np.int64)
    peak_of = np.full(matrix.n_features, -1, np.int64)
    peak_of[matrix.rows] = np.arange(len(matrix.rows))
    sums = np.zeros((len(names), len(matrix.rows)), np.float32)
    flat = sums.reshape(-1)  # add.at is six times as fast with one index as with two
    for entries in with_progress(matrix.entries, "reading cells", shown=progress):
        bad = ~(entries.counts >= 0) | (entries.counts == np.inf)
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            raise AtlasError(
                f"{matrix.name}: the entry of peak {entries.peaks[i] + 1:,} and cell "
                f"{entries.cells[i] + 1:,} is {entries.counts[i]:g}; give counts, not scaled values"
            )
        types, peaks = type_of[entries.cells], peak_of[entries.peaks]
        used = (types >= 0) & (peaks >= 0)
        at = types[used] * len(matrix.rows) + peaks[used]
        np.add.at(flat, at, entries.counts[used].astype(np.float32))
    return sums
