"""Peak x cell matrices in HDF5 files: those of 10x Cell Ranger and MAESTRO, and AnnData's h5ad."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoglot.atlas.cell_matrix_files import (
    PEAKS,
    CellMatrix,
    Entries,
    peak_rows,
    regions_from_names,
)
from genoglot.errors import AtlasError, GenoglotError
from genoglot.regions import Regions

HDF5 = b"\x89HDF\r\n\x1a\n"
"""First bytes of an HDF5 file."""

_BLOCK = 1 << 22  # entries that are read at a time
_LABELS = "OSiub"  # kinds of NumPy: text, whole numbers, true and false
_COLUMNS = (
    ("chrom", "chromosome", "chr", "seqnames", "seqname"),
    ("start", "chromstart", "chrom_start"),
    ("end", "chromend", "chrom_end", "stop"),
)


def open_hdf5(path: Path) -> CellMatrix:
    """Open an h5ad file of AnnData, or a matrix of 10x, which MAESTRO writes too.

    Raises
    ------
    AtlasError
        If the file is damaged or has neither layout.
    """
    with _opened(path) as file:
        if {"X", "obs", "var"} <= set(file):
            return _open_anndata(path, file)
        groups = [name for name in file if "indptr" in _children(file[name])]
        if len(groups) != 1:
            raise AtlasError(
                f"{path}: neither an h5ad file (X, obs, var) nor one matrix of 10x (indptr, "
                f"indices, data, barcodes); it has {', '.join(file) or 'nothing'}"
            )
        return _open_10x(path, file, groups[0])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    try:
        with h5py.File(path) as file:
            yield file
    except GenoglotError:
        raise
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).strip("\"'")
        raise AtlasError(f"{path}: damaged HDF5 file ({reason}); fetch it again") from None


def _children(node: Any) -> set[str]:
    return set(node) if hasattr(node, "keys") else set()


def _open_10x(path: Path, file: Any, name: str) -> CellMatrix:
    """Version 3 has a group `matrix` with a group `features`; that of version 2 is its genome."""
    group = file[name]
    shape = tuple(int(size) for size in group["shape"][:])
    barcodes = _texts(group["barcodes"])
    features = group["features"] if "features" in _children(group) else group
    keys = [key for key in ("id", "name", "peaks", "genes") if key in features]
    if not keys:
        raise AtlasError(f"{path}: the group {name!r} names no features; fetch it again")
    names = _texts(features[keys[0]])
    types = [PEAKS] * len(names)
    if "feature_type" in features:
        types = _texts(features["feature_type"])
    rows = peak_rows(types, str(path))
    genomes = {name} - {"matrix"}
    if "genome" in features:
        found = _texts(features["genome"])
        genomes = {found[row] for row in rows}
    if shape != (len(names), len(barcodes)) or len(types) != len(names):
        raise AtlasError(
            f"{path}: a matrix of {shape} for {len(names):,} features and {len(barcodes):,} cells; "
            "the file is damaged, fetch it again"
        )
    regions = regions_from_names([names[row] for row in rows], str(path))
    entries = _Compressed(path, name, major="cells", shape=shape)
    genome = genomes.pop() if len(genomes) == 1 else ""
    return CellMatrix(str(path), regions, rows, len(names), barcodes, entries, {}, genome)


def _open_anndata(path: Path, file: Any) -> CellMatrix:
    for name in ("obs", "var"):
        if not hasattr(file[name], "keys"):
            raise AtlasError(
                f"{path}: written by AnnData older than 0.7; read and write it with a newer one"
            )
    obs, var = file["obs"], file["var"]
    cells, peaks = _index(obs, path), _index(var, path)
    regions = _var_regions(var, path)
    if regions is None:
        try:
            regions = regions_from_names(peaks, f"{path}: var")
        except AtlasError as error:
            try:
                regions_from_names(cells, "")
            except AtlasError:
                raise error from None
            raise AtlasError(
                f"{path}: is peaks x cells; AnnData has cells x peaks: save adata.T instead"
            ) from None
    labels = _Labels(path, [name for name in obs if _is_label(obs, name, len(cells))], len(cells))
    shape = (len(cells), len(peaks))
    x = file["X"]
    kind = x.attrs.get("encoding-type", x.attrs.get("h5sparse_format", ""))
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if hasattr(x, "keys"):
        if kind[:3] not in ("csr", "csc"):
            raise AtlasError(f"{path}: X is stored as {kind or 'unknown'}; save it as csr or csc")
        sizes = x.attrs.get("shape", x.attrs.get("h5sparse_shape", shape))
        entries: Any = _Compressed(
            path, "X", major="cells" if kind[:3] == "csr" else "peaks", shape=shape[::-1]
        )
    else:
        sizes = x.shape
        entries = _Dense(path)
    if tuple(int(size) for size in sizes) != shape:
        raise AtlasError(
            f"{path}: X is {tuple(map(int, sizes))}, but there are {shape[0]:,} cells and "
            f"{shape[1]:,} peaks; the file is damaged, write it again"
        )
    rows = np.arange(len(peaks))
    return CellMatrix(str(path), regions, rows, len(peaks), cells, entries, labels)


def _index(group: Any, path: Path) -> list[str]:
    name = group.attrs.get("_index", "_index")
    name = name.decode() if isinstance(name, bytes) else name
    if name not in group:
        raise AtlasError(f"{path}: no names (_index) in {group.name[1:]}; write the file again")
    return _texts(group[name])


def _var_regions(var: Any, path: Path) -> Regions | None:
    """Return the regions of the columns chrom, start and end, if there are exactly these three."""
    columns = []
    for known in _COLUMNS:
        there = [name for name in var if name.lower() in known]
        if len(there) != 1:
            return None
        columns.append(there[0])
    chrom = _read_labels(var, columns[0]) if _is_label(var, columns[0]) else [None]
    start, end = (np.asarray(var[name]) for name in columns[1:])
    if None in chrom or start.dtype.kind not in "iu" or end.dtype.kind not in "iu":
        raise AtlasError(
            f"{path}: the columns {', '.join(columns)} of var are not regions; correct or remove "
            "them"
        )
    try:
        return Regions(np.array(chrom, object), start.astype(np.int64), end.astype(np.int64))
    except GenoglotError as error:
        raise AtlasError(f"{path}: var: {error}") from None


def _is_label(group: Any, name: str, n: int | None = None) -> bool:
    """Whether a column, of n values, has categories, text, whole numbers, or true and false."""
    column = group[name]
    if not hasattr(column, "keys"):
        return column.ndim == 1 and n in (None, len(column)) and column.dtype.kind in _LABELS
    parts = set(column)
    nullable = {"values", "mask"} <= parts and column["values"].dtype.kind in _LABELS
    return nullable or {"codes", "categories"} <= parts


def _read_labels(group: Any, name: str) -> list[str | None]:
    column = group[name]
    if not hasattr(column, "keys"):
        if "__categories" in group and name in group["__categories"]:  # AnnData 0.7
            return _categories(_texts(group["__categories"][name]), column[:])
        return list(_texts(column))
    if "codes" in column:
        return _categories(_texts(column["categories"]), column["codes"][:])
    missing = column["mask"][:].tolist()
    return [None if m else t for t, m in zip(_texts(column["values"]), missing, strict=True)]


class _Labels(Mapping[str, list[str | None]]):
    """Columns of obs; one is read when it is needed."""

    def __init__(self, path: Path, names: Sequence[str], n_cells: int) -> None:
        self._path, self._names, self._n_cells = path, names, n_cells

    def __getitem__(self, name: str) -> list[str | None]:
        if name not in self._names:
            raise KeyError(name)
        with _opened(self._path) as file:
            labels = _read_labels(file["obs"], name)
        if len(labels) != self._n_cells:
            raise AtlasError(
                f"{self._path}: the column {name!r} of obs has {len(labels):,} values for "
                f"{self._n_cells:,} cells; the file is damaged, write it again"
            )
        return labels

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _categories(names: Sequence[str], codes: NDArray[Any]) -> list[str | None]:
    return [names[code] if code >= 0 else None for code in codes.tolist()]


def _texts(dataset: Any) -> list[str]:
    values = dataset[:].tolist()
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]


class _Compressed:
    """Entries of a csr or csc matrix; each loop reads the file again."""

    def __init__(self, path: Path, group: str, *, major: str, shape: tuple[int, ...]) -> None:
        self._path, self._group, self._major, self._shape = path, group, major, shape

    def __iter__(self) -> Iterator[Entries]:
        n_peaks, n_cells = self._shape
        n, other = (n_cells, n_peaks) if self._major == "cells" else (n_peaks, n_cells)
        with _opened(self._path) as file:
            group = file[self._group]
            indptr = group["indptr"][:].astype(np.int64)
            indices, data = group["indices"], group["data"]
            sound = len(indptr) == n + 1 and indptr[0] == 0 and bool((np.diff(indptr) >= 0).all())
            if not sound or not indptr[-1] == len(indices) == len(data):
                raise AtlasError(
                    f"{self._path}: a damaged sparse matrix (indptr, indices and data do not "
                    "belong together); fetch it again"
                )
            for low in range(0, len(indices), _BLOCK):
                high = min(low + _BLOCK, len(indices))
                minor = indices[low:high].astype(np.int64)
                if minor.min() < 0 or minor.max() >= other:
                    raise AtlasError(f"{self._path}: an index is outside of the matrix")
                major = np.searchsorted(indptr, np.arange(low, high), "right") - 1
                counts = data[low:high].astype(np.float64)
                if self._major == "cells":
                    yield Entries(minor, major, counts)
                else:
                    yield Entries(major, minor, counts)


class _Dense:
    """Entries of a dense matrix of cells x peaks that are not 0."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Entries]:
        with _opened(self._path) as file:
            x = file["X"]
            step = max(_BLOCK // max(x.shape[1], 1), 1)
            for i in range(0, len(x), step):
                block = x[i : i + step].astype(np.float64)
                cells, peaks = np.nonzero(block)
                yield Entries(peaks, cells + i, block[cells, peaks])
