"""`genoglot genebert` on an atlas and on cell matrices, and on files that do not match."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import mmwrite
from scipy.sparse import coo_array, csc_array
from typer.testing import CliRunner

from genoglot.atlas import Atlas
from genoglot.cli import app
from genoglot.models.dna.genebert_data import GeneBertData
from genoglot.sequence import Genome

Here = Callable[..., str]
Run = Callable[..., subprocess.CompletedProcess[str]]

N_PEAKS, N_CELLS = 240, 30
FUNGI = ("--tax-group", "fungi", "--width", "100")  # 176 motifs: a quick scan


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A genome of four chromosomes, and a matrix of peaks x cells on it."""
    folder = tmp_path_factory.mktemp("genebert")
    rng = np.random.default_rng(0)
    with (folder / "genome.fa").open("w") as file:
        for number in range(1, 5):
            file.write(f">chr{number}\n{''.join(rng.choice(list('ACGT'), 30_000))}\n")
    peaks = [(f"chr{i // 60 + 1}", 500 * (i % 60), 500 * (i % 60) + 200) for i in range(N_PEAKS)]
    (folder / "peaks.bed").write_text("".join(f"{c}\t{a}\t{b}\n" for c, a, b in peaks))
    counts = coo_array(rng.poisson(0.1, (N_PEAKS, N_CELLS)))
    mmwrite(folder / "plain.mtx", counts, symmetry="general")
    (folder / "counts.mtx.gz").write_bytes(gzip.compress((folder / "plain.mtx").read_bytes()))
    barcodes = [f"AAC{i}-1" for i in range(N_CELLS)]
    (folder / "barcodes.tsv").write_text("\n".join(barcodes) + "\n")
    rows = [f"{name},{('B cell', 'T cell')[i % 2]}\n" for i, name in enumerate(barcodes)]
    (folder / "cells.csv").write_text("barcode,cell_type\n" + "".join(rows))
    _write_bad_files(folder)
    with h5py.File(folder / "tenx.h5", "w") as file:
        group, matrix = file.create_group("matrix"), csc_array(counts)
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(matrix, name)
        group["shape"], group["barcodes"] = np.array(counts.shape), np.array(barcodes, "S9")
        features = group.create_group("features")
        features["id"] = np.array([f"{c}:{a}-{b}" for c, a, b in peaks], "S30")
        features["genome"] = np.array(["GRCh38"] * N_PEAKS, "S9")
    return folder


def _write_bad_files(folder: Path) -> None:
    """Files of which one thing is wrong."""
    for name in ("plain.mtx", "peaks.bed", "cells.csv", "genome.fa"):
        zipped = gzip.compress((folder / name).read_bytes())
        (folder / f"cut.{name}.gz").write_bytes(zipped[: len(zipped) // 2])
    for name in ("peaks.bed", "barcodes.tsv"):
        lines = (folder / name).read_text().splitlines(keepends=True)
        (folder / f"short.{name}").write_text("".join(lines[:-1]))
    rows = (folder / "cells.csv").read_text().splitlines()
    (folder / "short.csv").write_text("\n".join(rows[:-2]) + "\n")
    (folder / "blank.csv").write_text(
        "\n".join([*rows[:-1], rows[-1].split(",")[0] + ",NA"]) + "\n"
    )
    (folder / "three.csv").write_text("\n".join([*rows[:-1], rows[-1].split(",")[0] + ",rare"]))
    (folder / "bad.motifs").write_text(">M1 first\nA [1 2]\nC [3 x]\nG [1 1]\nT [0 4]\n")


MATRIX = (
    *("counts.mtx.gz", "--barcodes", "barcodes.tsv", "--peaks", "peaks.bed"),
    *("--cell-types", "cells.csv", "--genome", "genome.fa"),
)


def test_a_matrix_becomes_a_data_set(here: Here, files: Path) -> None:
    said = here("genebert", "build", *MATRIX, "-o", "data", *FUNGI)
    assert "barcodes of the matrix" not in said
    assert "cells.csv: cell types are in the column 'cell_type'" in said
    data = GeneBertData.open(files / "data")
    assert data.cell_types == ["B cell", "T cell"] and data.width == 100
    assert len(data.motifs) == 176
    samples = len(data.samples("train"))
    assert f"regions, {samples:,} samples of 10 regions" in said
    here("genebert", "build", "tenx.h5", "-o", "h5", *MATRIX[5:], *FUNGI)
    same = GeneBertData.open(files / "h5")
    for name in data.cell_types:
        assert (same.open_regions(name) == data.open_regions(name)).all()
    assert same.info()["assembly"] == "GRCh38" and data.info()["assembly"] == ""
    here("genebert", "build", *MATRIX, "-o", "named", *FUNGI, "--assembly", "hg38")
    assert GeneBertData.open(files / "named").info()["assembly"] == "hg38"


def test_info_shows_and_checks(here: Here, files: Path, run: Run) -> None:
    here("genebert", "build", *MATRIX, "-o", "info", *FUNGI)
    shown = run("genebert", "info", files / "info").stdout
    assert "n train samples" in shown and "by chromosome: validation" in shown
    facts = json.loads(run("genebert", "info", files / "info", "--json", "--check").stdout)
    assert facts["n_cell_types"] == 2 and facts["n_motifs"] == 176
    file = files / "info" / "offsets.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    assert "has changed since it was written" in here(
        "genebert", "info", "info", "--check", status=2
    )


def test_an_atlas_becomes_a_data_set(
    atlas: Path, world: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)

    def build(*options: str, status: int = 0) -> str:
        command = ["genebert", "build", "atlas", "--genome", "world/genome.fa", "-o", "genebert"]
        done = CliRunner().invoke(app, [*command, *FUNGI, *options])
        assert done.exit_code == status, done.output
        return done.stderr

    said = build("--assembly", "hg38", status=2)
    assert "is of the assembly 'simulated', not 'hg38'" in said
    said = build("--cell-types", "cells.csv", status=2)
    assert "--cell-types is for a peak x cell matrix" in said
    assert "split by chromosome: validation" in build("--assembly", "simulated")
    data, opened = GeneBertData.open(folder / "genebert"), Atlas.open(atlas)
    assert data.cell_types == opened.metadata["id"].to_list()
    for i in (0, 5):
        mine = data.open_regions(data.cell_types[i])
        theirs = opened.universe.decode(opened.tokens(i)).sort()
        assert data.start[mine].tolist() == theirs.start.tolist()
        dna = Genome.open(world / "genome.fa").fetch(theirs, 100)
        assert (data.codes(mine) == dna).all()


def test_a_part_of_a_genome_is_enough_if_asked(here: Here, files: Path) -> None:
    lines = (files / "genome.fa").read_text().split()
    (files / "part.fa").write_text("\n".join([*lines[:6], ">chr4:1-15000", lines[7][:15_000], ""]))
    part = [name.replace("genome.fa", "part.fa") for name in MATRIX]
    said = here("genebert", "build", *part, "-o", "part", *FUNGI, status=2)
    assert "30 of 240 regions lie outside of the genome's sequences" in said
    assert "--on-error skip" in said and not (files / "part").exists()
    said = here("genebert", "build", *part, "-o", "part", *FUNGI, "--on-error", "skip")
    assert "30 regions lie outside of the genome's sequences: left out" in said
    named = ("--validation", "chr2", "--test", "chr3", "--overwrite", "--on-error", "skip")
    said = here("genebert", "build", *part, "-o", "part", *FUNGI, *named)
    assert "validation chr2; test chr3" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("counts.mtx.gz", "--genome", "genome.fa"), "(--barcodes, --peaks)"),
        (("cut.plain.mtx.gz", *MATRIX[1:]), "cut.plain.mtx.gz: damaged gzip file"),
        ((*MATRIX, "--peaks", "cut.peaks.bed.gz"), "cut.peaks.bed.gz: damaged gzip file"),
        ((*MATRIX, "--cell-types", "cut.cells.csv.gz"), "cut.cells.csv.gz: damaged gzip file"),
        ((*MATRIX[:-1], "cut.genome.fa.gz"), "cut.genome.fa.gz: damaged gzip file"),
        ((*MATRIX, "--peaks", "short.peaks.bed"), "240 x 30, but short.peaks.bed has 239 peaks"),
        ((*MATRIX, "--barcodes", "short.barcodes.tsv"), "short.barcodes.tsv has 29 cells"),
        (
            (*MATRIX, "--cell-types", "short.csv"),
            "2 of 30 cells have no cell type, such as 'AAC28-1'",
        ),
        (
            (*MATRIX, "--cell-types", "blank.csv"),
            "1 of 30 cells have no cell type, such as 'AAC29-1'",
        ),
        (
            (*MATRIX, "--cell-types", "three.csv", "--min-count", "5"),
            "1 cell types have no open region: 'rare'",
        ),
        ((*MATRIX, "--motifs", "bad.motifs"), "bad.motifs:3: 'x' is not a number"),
        (MATRIX[:-2], "give the genome of the regions with --genome"),
        (MATRIX[:5] + MATRIX[-2:], "(--cell-types), or add up all cells"),
        (("tenx.h5", "--peaks", "peaks.bed", *MATRIX[-2:]), "has its own peaks"),
        (("tenx.h5", "--all-cells", "--barcode-column", "cell", *MATRIX[-2:]), "leave out 'cell'"),
        ((*MATRIX, "--all-cells"), "leave it out, or leave out cells.csv"),
        (("tenx.h5", *MATRIX[5:], "--assembly", "hg19"), "is of the assembly 'GRCh38'"),
        ((*MATRIX, "--alias", "ensembl"), "counts.mtx.gz says 'chr1' where the genome says '1'"),
        ((*MATRIX, "--cell-type-column", "kind"), "no column 'kind'; it has"),
        ((*MATRIX, "--barcode-column", "cell_type"), "2 cells have several rows"),
        ((*MATRIX, "--tax-group", "dragons"), "dragons"),
        ((*MATRIX, "--test", "chr1"), "both to validate and to test on"),
        ((*MATRIX, "--min-count", "1000"), "open in a cell type"),
        (("nothing.h5ad", "--genome", "genome.fa"), "nothing.h5ad: no such file"),
        (("genome.fa", *MATRIX[1:]), "genome.fa: is not a MatrixMarket file"),
    ],
)
def test_bad_input_ends_in_one_line(
    here: Here, files: Path, arguments: tuple[str, ...], message: str
) -> None:
    before = sorted(files.rglob("*"))
    said = here("genebert", "build", *arguments, "-o", "bad", status=2)
    assert message in said
    errors = [line for line in said.splitlines() if line.startswith("genoglot: error")]
    assert len(errors) == 1
    assert sorted(files.rglob("*")) == before


def test_cells_and_cell_types_without_data_are_left_out_if_asked(here: Here, files: Path) -> None:
    given = [*MATRIX, "-o", "skipped", *FUNGI, "--on-error", "skip", "--overwrite"]
    said = here("genebert", "build", *given, "--cell-types", "short.csv")
    assert "short.csv: 2 of 30 cells have no cell type and are left out" in said
    said = here("genebert", "build", *given, "--cell-types", "three.csv", "--min-count", "5")
    assert "1 cell types have no open region in the genome and are left out: 'rare'" in said
    assert GeneBertData.open(files / "skipped").cell_types == ["B cell", "T cell"]


def test_existing_output_is_not_replaced(here: Here, files: Path) -> None:
    (files / "mine").mkdir()
    (files / "mine" / "notes.txt").write_text("mine")
    said = here("genebert", "build", *MATRIX, "-o", "mine", *FUNGI, status=2)
    assert "exists already" in said and (files / "mine" / "notes.txt").read_text() == "mine"
    assert not (files / "mine.building").exists()
    here("genebert", "build", *MATRIX, "-o", "mine", *FUNGI, "--overwrite")
    assert not (files / "mine" / "notes.txt").exists()
