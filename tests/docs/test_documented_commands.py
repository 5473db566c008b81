"""The code of README and the how-tos runs as it is written, in the order of the page.

Two comments in a page, which a reader does not see, are for this test: a block below
`<!-- not run: reason -->` is not run, and `<!-- run first: command -->` is what the reader did
before, on another page. Trainings are short: the shell below adds options to their commands.
"""

from __future__ import annotations

import gzip
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from markdown_it import MarkdownIt

from genoglot.regions import Regions, Universe
from genoglot.simulate import World

ROOT = Path(__file__).parents[2]
# bedtools, where it is not installed, passes on what it reads.
PRELUDE = """
genoglot() {
    case "$*" in
        train\\ direct* | train\\ text2bed* | train\\ seq2regions*)
            command genoglot "$@" --epochs 1 ;;
        pretrain\\ genebert*) command genoglot "$@" --max-steps 3 --set batch_size=8 ;;
        pretrain\\ *) command genoglot "$@" --max-steps 5 ;;
        task\\ train\\ splice*) command genoglot "$@" ;;
        task\\ train*)
            command genoglot "$@" --set epochs=1 --set min_steps=10 --set width=16 --set trees=20 ;;
        *) command genoglot "$@" ;;
    esac
}
command -v bedtools > /dev/null || bedtools() { cat; }
"""
SHELL = ["bash", "-euc"]
SLOW = pytest.mark.slow
PAGES = [
    pytest.param("README.md", marks=SLOW),
    pytest.param("docs/tutorial.md", marks=SLOW),
    pytest.param("docs/your-own-beds.md", marks=SLOW),
    pytest.param("docs/annotate.md", marks=SLOW),
    pytest.param("docs/extending.md", marks=SLOW),
    pytest.param("docs/library.md", marks=SLOW),
    pytest.param("docs/pretrain.md", marks=SLOW),
    pytest.param("docs/genebert.md", marks=SLOW),
    pytest.param("docs/tasks.md", marks=SLOW),
    pytest.param("docs/bench.md", marks=SLOW),
    pytest.param("docs/disease_risk.md", marks=SLOW),
    pytest.param("docs/motifs.md", marks=SLOW),
    pytest.param("docs/splice_sites.md", marks=SLOW),
    "docs/world.md",
]


class Block(NamedTuple):
    """A block of code that a reader can run."""

    line: int
    language: str
    code: str


def blocks(page: Path) -> list[Block]:
    """Return the shell and Python blocks of a page that are to be run, in order."""
    found, run = [], True
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "html_block":
            run = "<!-- not run:" not in token.content
            for command in re.findall(r"<!-- run first:(.*?)-->", token.content, re.S):
                found.append(Block(line, "sh", " ".join(command.split())))
        elif token.type == "fence":
            if run and token.info in ("sh", "bash", "python"):
                found.append(Block(line, token.info, token.content))
            run = True
    return found


@pytest.fixture
def reader(tmp_path: Path, world: World) -> Path:
    """A folder with the files that a reader is said to have: here of the simulated world."""
    assays, peaks = world.path / "assays", world.path / "files" / "SIMEX000018.1.bed.gz"
    for name, source in {
        "beds": world.path,
        "universe.bed": world.universe_path,
        "genes.gtf": world.path / "genes.gtf",
        "snps.bed": world.universe_path,
        "peaks.bed.gz": peaks,
        "peaks.narrowPeak.gz": peaks,
        "K562_CTCF.narrowPeak.gz": peaks,
        "peaks/files": world.path / "files",
        "peaks/sheet.csv": world.path / "sheet.csv",
        "Hs_EPDnew.bed": assays / "promoters.bed",
        "geneanno.csv": assays / "geneanno.csv",
        "geneanno.exp.csv": assays / "geneanno.exp.csv",
        "GTEx_v8_finemapping_DAPG.txt.gz": assays / "finemapping_DAPG.txt.gz",
        "saturation_mutagenesis.tsv.gz": assays / "saturation_mutagenesis.tsv.gz",
        **{
            f"rrbs/{path.name.removesuffix('.bedMethyl.gz')}.bed.gz": path
            for path in assays.glob("*.bedMethyl.gz")
        },
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(source)
    for name in ("unknown.bed", "peaks.bed"):
        (tmp_path / name).write_bytes(gzip.decompress(peaks.read_bytes()))
    shutil.copy(world.genome_path, tmp_path / "hg38.fa")
    for name in ("hg19.fa.gz", "hg38.fa.gz"):
        (tmp_path / name).write_bytes(gzip.compress(world.genome_path.read_bytes(), 1))
    columns = ["file", "description", "assay", "target", "biosample", "experiment"]
    sheet = pl.read_csv(world.path / "sheet.csv").select(columns)
    for name, rows in {"sheet": sheet, "aside": sheet.head(30), "more": sheet.tail(30)}.items():
        rows.write_csv(tmp_path / f"{name}.csv")
    _write_labeled_sequences(tmp_path)
    _write_single_cells(tmp_path, world)
    return tmp_path


def _write_single_cells(folder: Path, world: World) -> None:
    """Write single-cell ATAC-seq of four cell types of the simulated world, as Cell Ranger does."""
    rng, universe = np.random.default_rng(0), Universe.from_bed(world.universe_path)
    files = pl.read_csv(world.path / "sheet.csv").filter(pl.col("assay") == "DNase-seq")
    entries, cells = [], []
    for name, file in (
        files.unique("biosample", maintain_order=True)["biosample", "file"].head(4).rows()
    ):
        ids = np.unique(universe.encode(Regions.from_bed(world.path / file)))
        for _ in range(10):
            cells.append(f"BC{len(cells):03d}-1,{name}")
            found = ids[rng.random(len(ids)) < 0.3]
            entries += [f"{i + 1} {len(cells)} {rng.integers(1, 4)}" for i in found]
    (matrix := folder / "filtered_peak_bc_matrix").mkdir()
    head = "%%MatrixMarket matrix coordinate integer general"
    size = f"{len(universe)} {len(cells)} {len(entries)}"
    (matrix / "matrix.mtx").write_text("\n".join([head, size, *entries, ""]))
    (matrix / "barcodes.tsv").write_text("".join(cell.split(",")[0] + "\n" for cell in cells))
    shutil.copy(world.universe_path, matrix / "peaks.bed")
    (folder / "cells.csv").write_text("\n".join(["barcode,cell_type", *cells, ""]))


def _write_labeled_sequences(folder: Path) -> None:
    """Write sequences of two classes that differ in composition, as GUE and VISTA have them."""
    rng = random.Random(0)
    for task in ("my_folder", "gue/composition"):
        (folder / task).mkdir(parents=True)
        for part, n in (("train", 200), ("dev", 60), ("test", 60)):
            sequences = [
                "".join(rng.choices("ACGT", (1, 1 + i % 2, 1, 1), k=100)) for i in range(n)
            ]
            lines = [f"{sequence},{i % 2}" for i, sequence in enumerate(sequences)]
            (folder / task / f"{part}.csv").write_text("\n".join(["sequence,label", *lines, ""]))
    records = (f">r{i}\n{sequence}\n" for i, sequence in enumerate(sequences))
    (folder / "some.fa").write_text("".join(records))
    with gzip.open(folder / "vista.fa.gz", "wt") as file:
        for i in range(60):
            activity = ("negative ", "positive  | limb[4/6]")[i % 2]
            dna = "".join(rng.choices("ACGT", (1, 1 + i % 2, 1, 1), k=600))
            file.write(
                f">Human|chr1:{1_000 * i + 1}-{1_000 * i + 600} | element {i} | {activity}\n"
            )
            file.write(f"{dna}\n")


@pytest.mark.parametrize("page", PAGES)
def test_the_page_works_as_it_is_written(page: str, reader: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for block in blocks(ROOT / page):
        shell = block.language != "python"
        command = [*SHELL, PRELUDE + block.code] if shell else [sys.executable, "-c", block.code]
        done = subprocess.run(
            command,
            cwd=reader,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{page}:{block.line}\n{done.stdout}\n{done.stderr}"
