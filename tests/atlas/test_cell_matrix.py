"""Peak x cell matrices in every format, beside sums in a dictionary."""

from __future__ import annotations

import gzip
import shutil
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import mmwrite
from scipy.sparse import coo_array, csc_array, csr_array

from genoglot.atlas.accessibility import Accessibility
from genoglot.atlas.cell_matrix import read_cell_matrix
from genoglot.errors import AtlasError, GenoglotError

N_PEAKS, N_CELLS = 70, 41
COUNTS = np.random.default_rng(0).poisson(0.08, (N_PEAKS, N_CELLS))
CHROMS = ["chr1", "chr2", "chrUn_KI270302v1"]
PEAKS = [(CHROMS[i % 3], 1000 * i + 7, 1000 * i + 507) for i in range(N_PEAKS)][::-1]  # unsorted
BARCODES = [f"AC{i:04d}-1" for i in range(N_CELLS)]
TYPES = [["B cell", "monocyte", "T cell", ""][i % 4] for i in range(N_CELLS)]
TEXT = h5py.string_dtype()

read = partial(read_cell_matrix, on_error="skip")  # some cells have no cell type


def expected(counts: np.ndarray = COUNTS, min_count: float = 1) -> dict[str, set[Any]]:
    """Open regions of each cell type, one count after the other."""
    sums: dict[tuple[str, Any], float] = defaultdict(float)
    for i, peak in enumerate(PEAKS):
        for j, cell_type in enumerate(TYPES):
            if cell_type:
                sums[cell_type, peak] += counts[i, j]
    opened: dict[str, set[Any]] = {name: set() for name in sorted(set(TYPES) - {""})}
    for (cell_type, peak), value in sums.items():
        if value >= min_count:
            opened[cell_type].add(peak)
    return opened


def found(data: Accessibility) -> dict[str, set[Any]]:
    loci = list(zip(data.regions.chrom, data.regions.start, data.regions.end, strict=True))
    rows = data.open_regions.toarray()
    return {
        name: {loci[i] for i in np.flatnonzero(row)}
        for name, row in zip(data.cell_types, rows, strict=True)
    }


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def write_mtx(path: Path, matrix: Any, **options: Any) -> Path:
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    mmwrite(plain, coo_array(matrix), symmetry="general", **options)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    return path


def bed(peaks: list[Any] = PEAKS) -> str:
    return "".join(f"{c}\t{a}\t{b}\n" for c, a, b in peaks)


def names(separators: str) -> list[str]:
    return [f"{c}{separators[0]}{a}{separators[1]}{b}" for c, a, b in PEAKS]


def table(barcode: str = "barcode", cell_type: str = "cell_type", separator: str = ",") -> str:
    rows = [(barcode, "n", cell_type), *zip(BARCODES, map(str, range(N_CELLS)), TYPES, strict=True)]
    rows[1:] = rows[:0:-1]  # in another order than the matrix
    return "".join(separator.join(row) + "\n" for row in rows)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {
        "source": write_mtx(tmp_path / "counts.mtx", COUNTS),
        "barcodes": write(tmp_path / "barcodes.tsv", "\n".join(BARCODES) + "\n"),
        "peaks": write(tmp_path / "peaks.bed", bed()),
        "cell_types": write(tmp_path / "cells.csv", table()),
    }


def test_matrix_market_is_summed_by_cell_type(files: dict[str, Path]) -> None:
    data = read(**files)
    assert found(data) == expected()
    assert data.cell_types == ["B cell", "T cell", "monocyte"]


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("separators", ["bed", ":-", "__", "--"])
def test_plain_and_gzip_with_peaks_as_bed_or_names(
    files: dict[str, Path], separators: str, ending: str
) -> None:
    folder = files["source"].parent
    text = bed() if separators == "bed" else "\n".join(names(separators)) + "\n"
    given = {
        "source": write_mtx(folder / f"m.mtx{ending}", COUNTS.astype(float)),
        "barcodes": write(folder / f"b.tsv{ending}", "\n".join(BARCODES)),
        "peaks": write(folder / f"p.txt{ending}", text),
        "cell_types": write(folder / f"c.tsv{ending}", table(separator="\t")),
    }
    assert found(read(**given)) == expected()


def test_transposed_matrices_are_recognized(
    files: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    write_mtx(files["source"], COUNTS.T)
    assert found(read(**files)) == expected()
    assert "is cells x peaks" in caplog.text


def test_a_pattern_and_other_blanks_are_read(files: dict[str, Path]) -> None:
    write_mtx(files["source"], (COUNTS > 0).astype(int), field="pattern")
    assert found(read(**files)) == expected((COUNTS > 0).astype(int))
    write_mtx(files["source"], COUNTS)
    head, *rows = files["source"].read_text().split("\n")
    files["source"].write_text("\r\n".join([head, *(row.replace(" ", "\t ") for row in rows)]))
    assert found(read(**files)) == expected()


def test_min_count_is_a_minimum_of_the_sum(files: dict[str, Path]) -> None:
    assert found(read(**files, min_count=2)) == expected(min_count=2)
    halves = {**files, "source": write_mtx(files["source"], COUNTS * 0.5)}
    assert found(read(**halves)) == expected()


def test_all_cells_are_one_cell_type_if_asked(files: dict[str, Path]) -> None:
    del files["cell_types"]
    with pytest.raises(AtlasError, match=r"cell types are not known.*--all-cells"):
        read(**files)
    data = read(**files, all_cells=True)
    assert data.cell_types == ["all cells"]
    opened = {peak for peak, row in zip(PEAKS, COUNTS, strict=True) if row.any()}
    assert found(data) == {"all cells": opened}


def test_one_table_can_name_cells_and_types(
    files: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    rows = zip(BARCODES, TYPES, strict=True)
    text = "sample\tcell\tCellType\n" + "".join(f"s1\t{b}\t{t}\n" for b, t in rows)
    cells = write(files["source"].parent / "cells.tsv", text)
    given = {**files, "barcodes": cells, "cell_types": cells}
    assert found(read(**given, barcode_column="cell")) == expected()
    assert "cell types are in the column 'CellType'" in caplog.text


def write_10x_folder(folder: Path, peaks: str, text: str, ending: str) -> Path:
    folder.mkdir()
    write_mtx(folder / f"matrix.mtx{ending}", COUNTS)
    write(folder / f"barcodes.tsv{ending}", "\n".join(BARCODES) + "\n")
    write(folder / f"{peaks}{ending}", text)
    return folder


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_folders_of_10x(files: dict[str, Path], tmp_path: Path, ending: str) -> None:
    cells = files["cell_types"]
    folder = write_10x_folder(tmp_path / "bed", "peaks.bed", bed(), ending)
    assert found(read(folder, cell_types=cells)) == expected()
    rows = zip(names(":-"), PEAKS, strict=True)
    text = "".join(f"{name}\t{name}\tPeaks\t{c}\t{a}\t{b}\n" for name, (c, a, b) in rows)
    odd = write_10x_folder(
        tmp_path / "odd", "features.tsv", text.replace("\t1007\t", "\t1_007\t"), ending
    )
    with pytest.raises(AtlasError, match="the start '1_007' is not a whole number"):
        read(odd, cell_types=cells)
    folder = write_10x_folder(tmp_path / "features", "features.tsv", text, ending)
    assert found(read(folder, cell_types=cells)) == expected()
    shutil.copy(files["peaks"], folder / "peaks.bed")
    with pytest.raises(AtlasError, match=r"several of the files.*--peaks"):
        read(folder, cell_types=cells)
    assert found(read(folder, cell_types=cells, peaks=files["peaks"])) == expected()


def test_genes_among_the_features_are_left_out(
    files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A multiome matrix: 5 genes before the peaks, with counts in every cell."""
    both = np.concatenate([np.full((5, N_CELLS), 9), COUNTS])
    genes = [f"ENSG{i}\tGENE{i}\tGene Expression\tchr1\t{i}\t{i + 9}\n" for i in range(5)]
    rows = [
        f"{n}\t{n}\tPeaks\t{c}\t{a}\t{b}\n" for n, (c, a, b) in zip(names(":-"), PEAKS, strict=True)
    ]
    folder = write_10x_folder(tmp_path / "arc", "features.tsv", "".join(genes + rows), ".gz")
    write_mtx(folder / "matrix.mtx.gz", both)
    assert found(read(folder, cell_types=files["cell_types"])) == expected()
    assert "5 of 75 features are not peaks" in caplog.text
    h5 = write_10x_h5(tmp_path / "arc.h5", both, [f"ENSG{i}" for i in range(5)] + names(":-"), 5)
    assert found(read(h5, cell_types=files["cell_types"])) == expected()


def write_10x_h5(path: Path, counts: np.ndarray, ids: list[str], n_genes: int = 0) -> Path:
    matrix = csc_array(counts)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(matrix, name)
        group["shape"] = np.array(counts.shape)
        group["barcodes"] = np.array(BARCODES, "S30")
        features = group.create_group("features")
        features["id"] = features["name"] = np.array(ids, "S60")
        types = ["Gene Expression"] * n_genes + ["Peaks"] * (len(ids) - n_genes)
        features["feature_type"] = np.array(types, "S30")
        features["genome"] = np.array(["GRCh38"] * len(ids), "S10")
    return path


@pytest.mark.parametrize("separators", [":-", "__"])
def test_h5_of_10x_and_maestro(files: dict[str, Path], tmp_path: Path, separators: str) -> None:
    cells = files["cell_types"]
    path = write_10x_h5(tmp_path / "new.h5", COUNTS, names(separators))
    data = read(path, cell_types=cells)
    assert found(data) == expected() and data.genome == "GRCh38"
    assert read(path, cell_types=cells, genome="hg38").genome == "hg38"
    matrix, old = csc_array(COUNTS), tmp_path / "old.h5"
    with h5py.File(old, "w") as file:
        group = file.create_group("mm10")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(matrix, name)
        group["shape"] = np.array(COUNTS.shape)
        group["barcodes"] = np.array(BARCODES, "S30")
        group["genes"] = group["gene_names"] = np.array(names(separators), "S60")
    data = read(old, cell_types=cells)
    assert found(data) == expected() and data.genome == "mm10"


def write_h5ad(
    path: Path, counts: np.ndarray, x: str, obs: str = "categorical", columns: bool = False
) -> Path:
    """Write an h5ad file (cells x peaks) as AnnData 0.8 and later does; `obs`: how text is."""
    with h5py.File(path, "w") as file:
        if x == "dense":
            file["X"] = counts.T.astype(np.float32)
        else:
            matrix = {"csr": csr_array, "csc": csc_array}[x](counts.T)
            group = file.create_group("X")
            group.attrs["encoding-type"], group.attrs["shape"] = f"{x}_matrix", counts.T.shape
            for name in ("data", "indices", "indptr"):
                group[name] = getattr(matrix, name)
        cells = file.create_group("obs")
        cells.attrs["_index"] = "barcode"
        cells.create_dataset("barcode", data=BARCODES, dtype=TEXT)
        cells["n_fragments"] = np.arange(len(BARCODES))
        known = sorted(set(TYPES) - {""})
        codes = np.array([known.index(name) if name else -1 for name in TYPES], np.int8)
        if obs == "categorical":
            group = cells.create_group("cell_type")
            group["codes"] = codes
            group.create_dataset("categories", data=known, dtype=TEXT)
        elif obs == "old categorical":
            cells["cell_type"] = codes
            cells.create_group("__categories").create_dataset("cell_type", data=known, dtype=TEXT)
        elif obs == "nullable":
            group = cells.create_group("cell_type")
            group.create_dataset("values", data=TYPES, dtype=TEXT)
            group["mask"] = np.array([not name for name in TYPES])
        else:
            cells.create_dataset("cell_type", data=[t or "NA" for t in TYPES], dtype=TEXT)
        var = file.create_group("var")
        var.attrs["_index"] = "_index"
        index = [f"peak{i}" for i in range(len(PEAKS))] if columns else names(":-")
        var.create_dataset("_index", data=index, dtype=TEXT)
        if columns:
            var.create_dataset("seqnames", data=[peak[0] for peak in PEAKS], dtype=TEXT)
            var["start"], var["end"] = (np.array([peak[i] for peak in PEAKS]) for i in (1, 2))
    return path


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("obs", ["categorical", "old categorical", "nullable", "text"])
@pytest.mark.parametrize("x", ["csr", "csc", "dense"])
def test_anndata(tmp_path: Path, x: str, obs: str, columns: bool) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, x, obs, columns)
    assert found(read(path)) == expected()


def test_a_table_goes_before_the_columns_of_anndata(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, "csr")
    other = "cell,kind\n" + "".join(f"{b},{i % 2}\n" for i, b in enumerate(BARCODES))
    cells = write(tmp_path / "cells.csv", other)
    data = read(path, cell_types=cells, cell_type_column="kind")
    assert data.cell_types == ["0", "1"]


def test_a_transposed_h5ad_is_refused(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, "csr")
    with h5py.File(path, "a") as file:
        file.move("obs", "cells")
        file.move("var", "obs")
        file.move("cells", "var")
    with pytest.raises(AtlasError, match=r"is peaks x cells.*adata\.T"):
        read(path)


@settings(max_examples=50)
@given(st.data())
def test_any_matrix_is_summed_as_a_dictionary_does(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    n_peaks, n_cells = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    counts = np.array(
        data.draw(
            st.lists(st.integers(0, 2), min_size=n_peaks * n_cells, max_size=n_peaks * n_cells)
        )
    ).reshape(n_peaks, n_cells)
    types = data.draw(st.lists(st.sampled_from("abc"), min_size=n_cells, max_size=n_cells))
    minimum = data.draw(st.integers(1, 3))
    folder = tmp_path_factory.mktemp("matrix")
    rows = "".join(f"c{j}\t{name}\n" for j, name in enumerate(types))
    result = read(
        write_mtx(folder / "m.mtx", counts),
        barcodes=write(folder / "b", "".join(f"c{j}\n" for j in range(n_cells))),
        peaks=write(folder / "p", "".join(f"chr1:{9 * i}-{9 * i + 5}\n" for i in range(n_peaks))),
        cell_types=write(folder / "t", "cell\tcluster\n" + rows),
        min_count=minimum,
    )
    assert result.cell_types == sorted(set(types))
    for i, name in enumerate(result.cell_types):
        total = sum(counts[:, j] for j in range(n_cells) if types[j] == name)
        assert (result.open_regions.toarray()[i] == (total >= minimum)).all()


def random_matrix(n_peaks: int, n_cells: int, n: int) -> tuple[Any, Any]:
    """A sparse matrix with at most n counts of 1 and more, and the cell type of each cell."""
    rng = np.random.default_rng(1)
    at = rng.integers(0, n_peaks, n), rng.integers(0, n_cells, n)
    return csc_array((np.ones(n, np.int32), at), (n_peaks, n_cells)), rng.integers(0, 4, n_cells)


def check_sums(data: Accessibility, matrix: Any, types: Any, minimum: int) -> None:
    sums = matrix @ (types[:, None] == np.arange(4)).astype(np.int32)
    assert abs((sums >= minimum).mean() - 0.5) < 0.4
    assert (data.open_regions.toarray() == (minimum <= sums.T)).all()


def test_an_hdf5_file_of_several_blocks(tmp_path: Path) -> None:
    matrix, types = random_matrix(5_000, 1_700, 6_000_000)
    assert matrix.nnz > 1 << 22
    cells = [f"c{i}" for i in range(1_700)]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("matrix")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(matrix, name)
        group["shape"], group["barcodes"] = np.array(matrix.shape), np.array(cells, "S9")
        peaks = np.array([f"chr1:{900 * i}-{900 * i + 500}" for i in range(5_000)], "S30")
        group.create_group("features")["id"] = peaks
    rows = "".join(f"{cell},{t}\n" for cell, t in zip(cells, types, strict=True))
    table = write(tmp_path / "cells.csv", "cell,cluster\n" + rows)
    data = read(tmp_path / "a.h5", cell_types=table, min_count=300)
    check_sums(data, matrix, types, 300)


def test_a_text_file_of_several_blocks(tmp_path: Path) -> None:
    matrix, types = random_matrix(90_000, 50_000, 1_600_000)
    path = write_mtx(tmp_path / "m.mtx", matrix)
    assert path.stat().st_size > 1 << 24
    rows = "".join(f"c{i},{t}\n" for i, t in enumerate(types))
    data = read(
        path,
        barcodes=write(tmp_path / "b", "".join(f"c{i}\n" for i in range(50_000))),
        peaks=write(tmp_path / "p", "".join(f"chr1:{9 * i}-{9 * i + 5}\n" for i in range(90_000))),
        cell_types=write(tmp_path / "cells.csv", "cell,cluster\n" + rows),
        min_count=5,
    )
    check_sums(data, matrix, types, 5)


def edit(name: str, change: Callable[[str], str]) -> Callable[[dict[str, Path]], None]:
    def apply(files: dict[str, Path]) -> None:
        files[name].write_text(change(files[name].read_text()))

    return apply


BAD = {
    "a peak too few": (edit("peaks", lambda t: t.split("\n", 1)[1]), r"70 x 41.*69 peaks"),
    "two barcodes too few": (edit("barcodes", lambda t: t.split("\n", 2)[2]), r"39 cells"),
    "a barcode twice": (
        edit("barcodes", lambda t: t.replace("AC0003-1", "AC0004-1")),
        "1 names of cells are there twice: 'AC0004-1'",
    ),
    "a text among the counts": (
        edit("source", lambda t: t.replace("\n4 ", "\nfour ", 1)),
        r"counts.mtx:\d+: 'four .*' is not an entry",
    ),
    "a number as only Python writes it": (
        edit("source", lambda t: t.replace("\n4 ", "\n0_4 ", 1)),
        r"counts.mtx:\d+: '0_4 .*' is not an entry",
    ),
    "a row past the end": (edit("source", lambda t: t.replace("\n4 ", "\n400 ", 1)), "in row 400"),
    "a row 0": (edit("source", lambda t: t.replace("\n4 ", "\n0 ", 1)), "in row 0"),
    "a file that is cut off": (edit("source", lambda t: t[:-200]), "cut off|not an entry"),
    "lines that are missing": (
        edit("source", lambda t: "\n".join(t.split("\n")[:-9]) + "\n"),
        r"has \d+ entries, but its header says",
    ),
    "more entries than it says": (edit("source", lambda t: t + "1 1 1\n"), "its header says"),
    "another kind of matrix": (
        edit("source", lambda t: t.replace("general", "symmetric")),
        "'matrix coordinate integer symmetric'; give a sparse matrix",
    ),
    "no matrix": (edit("source", lambda t: "a,b\n1,2\n"), "is not a MatrixMarket file"),
    "a peak that is no region": (
        edit("peaks", lambda t: "\n".join(["peak", *names(":-")[1:]])),
        r"peak 1 is 'peak', which names no region \(1 of 70",
    ),
    "names of other cells": (
        edit("cell_types", lambda t: t.replace("-1", "_1")),
        r"no column has names of the cells.*'AC0000-1'",
    ),
    "a cell with two rows": (
        edit("cell_types", lambda t: t + "AC0003-1,1,B cell\n"),
        "1 cells have several rows: 'AC0003-1'",
    ),
    "two columns of cell types": (
        edit("cell_types", lambda t: t.replace(",n,", ",cluster,")),
        r"not clear \(the columns 'cluster', 'cell_type'\).*--cell-type-column",
    ),
    "no cell type at all": (
        edit(
            "cell_types", lambda t: "barcode,cell_type\n" + "\n".join(f"{b},NA" for b in BARCODES)
        ),
        "no cell has a cell type",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_in_one_line(files: dict[str, Path], case: str) -> None:
    change, message = BAD[case]
    change(files)
    with pytest.raises(GenoglotError, match=message) as error:
        read(**files)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("value", "shown"), [(-1.0, "-1"), (np.nan, "nan"), (np.inf, "inf")])
def test_scaled_values_are_refused(tmp_path: Path, value: float, shown: str) -> None:
    counts = COUNTS.astype(float)
    counts[7, 9] = value
    path = write_h5ad(tmp_path / "a.h5ad", counts, "csr")
    with pytest.raises(AtlasError, match=f"peak 8 and cell 10 is {shown}; give counts"):
        read(path)


def test_damaged_files_are_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, "csr")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AtlasError, match="damaged HDF5 file"):
        read(path)
    path.write_bytes(whole)
    with h5py.File(path, "a") as file:
        file["X/indptr"][3] = 10_000
    with pytest.raises(AtlasError, match="damaged sparse matrix"):
        read(path)
    zipped = tmp_path / "m.mtx.gz"
    zipped.write_bytes(gzip.compress(files["source"].read_bytes())[:-30])
    with pytest.raises(AtlasError, match="damaged gzip file"):
        read(**{**files, "source": zipped})
    with pytest.raises(AtlasError, match="no such file"):
        read(tmp_path / "nothing.h5ad")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(AtlasError, match=r"no matrix\.mtx or matrix\.mtx\.gz in this folder"):
        read(empty)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["weights"] = np.ones(3)
    with pytest.raises(AtlasError, match=r"neither an h5ad file .* it has weights"):
        read(tmp_path / "other.h5")


def test_cells_that_do_not_match_are_counted(
    files: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    lines = files["cell_types"].read_text().splitlines()
    gone = [i for i, name in enumerate(BARCODES) if f"{name}," in "".join(lines[1:6])]
    write(files["cell_types"], "\n".join([lines[0], *lines[6:], "ZZ-1,0,B cell", "ZY-1,0,x"]))
    assert len(gone) == 5
    without = COUNTS.copy()
    without[:, gone] = 0
    unlabeled = {i for i, name in enumerate(TYPES) if not name} | set(gone)
    first = BARCODES[min(unlabeled)]
    with pytest.raises(AtlasError, match=f"{len(unlabeled)} of 41 cells .* such as '{first}'"):
        read_cell_matrix(**files)
    caplog.clear()
    assert found(read(**files)) == expected(without)
    assert f"{len(unlabeled)} of 41 cells have no cell type" in caplog.text
    assert "2 of 38 rows are of cells that the matrix does not have" in caplog.text


R_TABLE = '"n" "cell"\n' + "".join(f'"{i}" {i} "{name}"\n' for i, name in enumerate(BARCODES))
LISTS = {
    "quoted": ("tsv", "\n".join(f'"{name}"' for name in BARCODES)),
    "blanks around": ("tsv", "\n".join(f" {name} " for name in BARCODES)),
    "other columns": ("tsv", "\n".join(f"{name}\t7" for name in BARCODES)),
    "a vector of R": ("csv", "x\n" + "\n".join(BARCODES)),
    "a table of R": ("txt", R_TABLE),
    "a table of pandas": ("csv", ",n\n" + "".join(f"{name},7\n" for name in BARCODES)),
    "CSV": ("csv", "n,Cell.ID\n" + "".join(f'"7,5",{name}\n' for name in BARCODES)),
    "TSV, gzip": ("tsv.gz", "barcode\tn\n" + "".join(f"{name}\t7\n" for name in BARCODES)),
    "semicolons, gzip": ("csv.gz", "n;barcode\n" + "".join(f"7;{name}\n" for name in BARCODES)),
}


@pytest.mark.parametrize("case", LISTS)
def test_names_of_cells_are_read_from_lists_and_tables(files: dict[str, Path], case: str) -> None:
    ending, text = LISTS[case]
    cells = write(files["source"].parent / f"list.{ending}", text)
    assert found(read(**{**files, "barcodes": cells})) == expected()


def test_a_header_of_another_name_is_found_by_the_name_of_the_column(
    files: dict[str, Path],
) -> None:
    """No barcode is taken for a header, only because there is one more than the matrix has."""
    write(files["barcodes"], "well\n" + "\n".join(BARCODES))
    write(files["cell_types"], table("well"))
    with pytest.raises(AtlasError, match=r"42 cells; .*; if its first line is a header"):
        read(**files)
    assert found(read(**files, barcode_column="well")) == expected()
    for names in (["ZZ-1", *BARCODES], [*BARCODES, "ZZ-1"]):
        write(files["barcodes"], "\n".join(names))
        with pytest.raises(AtlasError, match=r"a matrix of 70 x 41, but .* 42 cells"):
            read(**files)
    write(
        files["barcodes"], "barcode,n\n" + "\n".join(f"{name},7" for name in BARCODES[:5]) + "\n,"
    )
    assert "5 cells" in refusal(files)
    write(files["barcodes"], "\n\n")
    assert "barcodes.tsv: no names of cells in this file" in refusal(files)
    write(files["barcodes"], "barcode,n\nA,7\n,7\n")
    assert "barcodes.tsv:3: no name of a cell in the column 'barcode'" in refusal(files)


def refusal(files: dict[str, Path], **options: Any) -> str:
    with pytest.raises(AtlasError) as error:
        read(**files, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "tsv.gz"])
def test_tables_of_cell_types_can_be_quoted(files: dict[str, Path], ending: str) -> None:
    mark = "," if "csv" in ending else "\t"
    rows = [
        ("Cell ID", "note", "cell.type"),
        *((b, "a, b", t) for b, t in zip(BARCODES, TYPES, strict=True)),
    ]
    text = "\n".join(mark.join(f'"{field}"' for field in row) for row in rows)
    cells = write(files["source"].parent / f"quoted.{ending}", text)
    assert found(read(**{**files, "cell_types": cells})) == expected()
    write(cells, text.replace('"a, b"', "a, b", 1) if mark == "," else text + "\t7")
    assert f"quoted.{ending}:" in refusal({**files, "cell_types": cells})


REST = bed(PEAKS[1:])
PEAK_FILES = {
    "a header": (
        "chrom\tstart\tend\n" + bed(),
        "peaks.bed:1: the start 'start' is not a whole number",
    ),
    "a float": ("chr1\t5.5\t9\n" + REST, "peaks.bed:1: the start '5.5' is not a whole number"),
    "only floats": ("chr1\t5.5\t9.0\n" * 70, "peaks.bed:1: the start '5.5' is not a whole number"),
    "floats and names": ("chr1\t1e5\t2e5\tp\t0\t+\n" * 70, "peaks.bed:1: the start '1e5' is not"),
    "a negative start": ("chr1\t-5\t9\n" + REST, "peaks.bed:1: the start -5 is negative"),
    "an end before the start": (REST + "chr1\t15\t9\n", "peaks.bed:70: end 9 is before start 15"),
    "a missing column": (REST + "chr1\t15\n", "peaks.bed:70: 2 columns, at least 3 are needed"),
    "a huge end": (REST + f"chr1\t15\t{10**20}\n", "peaks.bed:70: the end '1000"),
    "two columns": ("chr1\t15\n" * 70, "peak 1 is 'chr1', which names no region (70 of 70"),
    "commas": (bed().replace("\t", ","), "which names no region (70 of 70"),
    "a negative name": ("\n".join(["chr1:-5-9", *names(":-")[1:]]), "peak 1 is 'chr1:-5-9'"),
    "a huge name": ("\n".join([f"chr1:{10**20}-5", *names(":-")[1:]]), "peak 1 is 'chr1:1000"),
    "a reversed name": ("\n".join(["chr1:9-5", *names(":-")[1:]]), "chr1:9-5; give 0 <= start"),
    "a name among lines of BED": (
        REST + "chr1:5-9\n",
        "peaks.bed:70: 1 column, at least 3 are needed",
    ),
    "features.tsv": (
        "# 10x\n" + "a\ta\tPeaks\tchr1\tx\t9\n" * 70,
        "peaks.bed:2: the start 'x' is not a",
    ),
    "nothing": ("\n\n", "no peaks in this file"),
}


@pytest.mark.parametrize("case", PEAK_FILES)
def test_bad_peaks_are_refused_with_their_line(files: dict[str, Path], case: str) -> None:
    text, message = PEAK_FILES[case]
    write(files["peaks"], text)
    said = refusal(files)
    assert message in said and "peaks.bed:" in said


@pytest.mark.parametrize("head", ["#chrom\tstart\tend\n", "track name=peaks\nbrowser hide all\n\n"])
def test_lines_before_the_peaks_are_not_counted(files: dict[str, Path], head: str) -> None:
    write(files["peaks"], head + bed())
    assert found(read(**files)) == expected()


def test_features_without_coordinates_are_read_by_their_names(files: dict[str, Path]) -> None:
    write(files["peaks"], "".join(f"{name}\t{name}\tPeaks\t\t\t\n" for name in names(":-")))
    assert found(read(**files)) == expected()


def with_column(path: Path, values: Any, **options: Any) -> Path:
    """An h5ad file with another column of cell types."""
    write_h5ad(path, COUNTS, "csr", "text")
    with h5py.File(path, "a") as file:
        file["obs"].create_dataset("kind", data=values, **options)
    return path


def test_whole_numbers_are_labels(tmp_path: Path) -> None:
    known = sorted(set(TYPES))
    numbers = [known.index(name) for name in TYPES]
    wanted = {str(known.index(name)): opened for name, opened in expected().items()}
    for dtype in (np.int64, np.uint8):
        path = with_column(tmp_path / f"{dtype.__name__}.h5ad", np.array(numbers, dtype))
        data = found(read(path, cell_type_column="kind"))
        assert {name: data[name] for name in wanted} == wanted and len(data) == 4
    path = with_column(tmp_path / "bool.h5ad", np.array(TYPES) == "B cell")
    assert found(read(path, cell_type_column="kind"))["True"] == expected()["B cell"]
    with h5py.File(path, "a") as file:
        del file["obs/kind"]
        group = file["obs"].create_group("kind")
        group["codes"] = np.array(numbers, np.int8)
        group["categories"] = np.array([10, 20, 30, 40])
    assert read(path, cell_type_column="kind").cell_types == ["10", "20", "30", "40"]


def test_blanks_around_labels_are_removed(tmp_path: Path) -> None:
    blank = [f" {name}" if i % 3 else f"{name} " for i, name in enumerate(TYPES)]
    path = with_column(tmp_path / "a.h5ad", blank, dtype=TEXT)
    assert found(read(path, cell_type_column="kind")) == expected()


@pytest.mark.parametrize("ending", ["h5", "h5ad"])
def test_hdf5_in_gzip_is_refused(files: dict[str, Path], tmp_path: Path, ending: str) -> None:
    path = write_h5ad(tmp_path / "a", COUNTS, "csr")
    zipped = tmp_path / f"a.{ending}.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    message = "an HDF5 file that is compressed by gzip; unpack it"
    assert message in refusal({**files, "source": zipped})
    assert message in refusal({"source": zipped})


@pytest.mark.parametrize(
    "name", ["X/indptr", "obs/barcode", "obs/cell_type/codes", "obs/cell_type/categories"]
)
@pytest.mark.parametrize("how", ["shorter", "one number", "a group", "text"])
def test_damaged_parts_of_hdf5_are_refused(tmp_path: Path, name: str, how: str) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, "csr")
    with h5py.File(path, "a") as file:
        values = file[name][:]
        del file[name]
        if how == "a group":
            file.create_group(name)
        elif how == "one number":
            file[name] = 3
        else:
            file[name] = values[:-1] if how == "shorter" else np.array(["x"] * len(values), "S1")
    if (name, how) == ("obs/cell_type/categories", "text"):
        assert read(path).cell_types == ["x"]
    else:
        assert "a.h5ad" in refusal({"source": path})


def test_features_of_10x_without_a_type_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    path = write_10x_h5(tmp_path / "a.h5", COUNTS, names(":-"))
    with h5py.File(path, "a") as file:
        types = file["matrix/features/feature_type"][:-1]
        del file["matrix/features/feature_type"]
        file["matrix/features/feature_type"] = types
    said = refusal({"source": path, "cell_types": files["cell_types"]})
    assert "the file is damaged" in said


def test_regions_of_var_are_checked(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", COUNTS, "csr", columns=True)
    with h5py.File(path, "a") as file:
        file["var/start"][3] = 10**9
    assert "a.h5ad: var: region 3 is" in refusal({"source": path})


def test_options_without_effect_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    h5ad = {"source": write_h5ad(tmp_path / "a.h5ad", COUNTS, "csr")}
    said = refusal(h5ad, barcode_column="barcode")
    assert "has its own names of cells; leave out 'barcode'" in said
    assert "all_cells=True" in refusal(files, all_cells=True)
    assert "leave out kind" in refusal(h5ad, all_cells=True, cell_type_column="kind")
    del files["cell_types"]
    said = refusal(files, all_cells=True, barcode_column="cell")
    assert "barcodes.tsv: no column 'cell' on its first line ('AC0000-1')" in said
    write(files["barcodes"], "barcode\n" + "\n".join(BARCODES))
    assert "no column 'cell'; it has 'barcode'" in refusal(
        files, all_cells=True, barcode_column="cell"
    )
