"""Data sets that are built for experiments/genebert.py: simulated, and from core promoters."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from genebert_models.promoters import read_promoters
from genoglot.models.dna.genebert_data import GeneBertData


def build_simulated(out: Path, size: str, seed: int, world: Path | None = None) -> GeneBertData:
    """Build the data set of a simulated world: one accessibility set for each biosample.

    Parameters
    ----------
    out
        Folder of the data set.
    size, seed
        See `genoglot.simulate.simulate`.
    world
        Folder of the world, simulated if it does not exist; by default a temporary one.
    """
    import polars as pl

    from genoglot.atlas import build_atlas
    from genoglot.sequence import Genome
    from genoglot.sequence.motifs import jaspar
    from genoglot.simulate import World, simulate
    from genoglot.simulate.regulation import ACCESSIBILITY

    with tempfile.TemporaryDirectory() as folder:
        path = world or Path(folder) / "world"
        made = World.open(path) if path.exists() else simulate(path, size, seed)  # type: ignore[arg-type]
        sheet = made.sheet.filter(pl.col("assay").is_in(ACCESSIBILITY))
        sheet = sheet.unique("biosample", keep="first", maintain_order=True)
        sheet = sheet.with_columns(pl.col("biosample").alias("id"))
        sheet.write_csv(Path(folder) / "sheet.csv")
        atlas = build_atlas(
            path, Path(folder) / "sheet.csv", made.universe_path, Path(folder) / "atlas"
        ).atlas
        return GeneBertData.build(out, atlas, Genome.open(made.genome_path), jaspar())


def build_core_promoters(out: Path, table: Path) -> GeneBertData:
    """Build a data set of the training sequences of GUE's core promoters, without their labels.

    A core promoter has no neighbors in this set, so that samples of 10 consecutive regions do not
    exist. Each sequence of 70 bp is a chromosome with two regions, its halves: a sample has
    `n_regions=2`, the second segment is the second half or (next-segment loss) a half of another
    sequence, and the matrix has the motif scores of both halves. There is one "cell type", in
    which all is open. The last two sequences are the validation and the test subset, which a data
    set must have; they are not used.

    Parameters
    ----------
    out
        Folder of the data set.
    table
        `train.csv` of GUE/prom/prom_core_all.
    """
    from scipy.sparse import csr_array

    from genoglot.atlas.accessibility import Accessibility
    from genoglot.regions import Regions
    from genoglot.sequence import Genome, to_text
    from genoglot.sequence.motifs import jaspar

    codes = np.unique(read_promoters(table)[0], axis=0)
    n, length = codes.shape
    names = np.array([f"p{i:06d}" for i in range(n)])
    half = length // 2
    start = np.tile([0, half], n)
    regions = Regions(np.repeat(names, 2), start, start + half)
    opened = csr_array(np.ones((1, 2 * n), bool))
    with tempfile.TemporaryDirectory() as folder:
        fasta = Path(folder) / "promoters.fa"
        fasta.write_text(
            "".join(f">{name}\n{to_text(row)}\n" for name, row in zip(names, codes, strict=True))
        )
        source = Accessibility(regions, ["all"], opened, name="core promoters")
        return GeneBertData.build(
            out, source, Genome.open(fasta), jaspar(), width=half,
            validation=[str(names[-2])], test=[str(names[-1])],
        )  # fmt: skip
