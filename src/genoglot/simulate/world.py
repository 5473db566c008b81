"""A simulated world on disk: its files, and the ground truth behind them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import AtlasError
from genoglot.files import read_manifest
from genoglot.permissions import explains_denial
from genoglot.simulate.experiments import DROPOUT, SPURIOUS, detection_probability
from genoglot.simulate.ground_truth import read_regulation
from genoglot.simulate.regulation import Regulation

FORMAT = 1
MANIFEST = "world.json"


class World:
    """A simulated world: the files that a user has, and the ground truth for tests.

    Created by `simulate`, opened by `World.open`. Tables are read when they are first needed.
    Positions are 0-based half-open.

    Parameters
    ----------
    path
        Directory of the world.
    size, seed
        Size and random seed that it was simulated with.

    Attributes
    ----------
    genome_path
        FASTA file of the simulated genome; its index is beside it.
    genes_path
        GTF file of the genes.
    universe_path
        BED3 file of the universe; its region i is element i of the ground truth.
    assays_path
        Folder of the files in formats of public archives.
    ground_truth_path
        Folder of the ground truth.
    """

    def __init__(self, path: Path, size: str, seed: int) -> None:
        self.path, self.size, self.seed = path, size, seed
        self.genome_path = path / "genome.fa"
        self.genes_path = path / "genes.gtf"
        self.universe_path = path / "universe.bed"
        self.assays_path = path / "assays"
        self.ground_truth_path = path / "truth"

    @classmethod
    @explains_denial
    def open(cls, path: str | Path) -> World:
        """Open a directory that `simulate` wrote.

        Parameters
        ----------
        path
            The directory.

        Raises
        ------
        AtlasError
            If it is not a simulated world, or has another format.
        """
        manifest = read_manifest(
            Path(path) / MANIFEST,
            "simulated world",
            FORMAT,
            advice="simulate it again",
            error=AtlasError,
        )
        return cls(Path(path), str(manifest["size"]), int(manifest["seed"]))

    def __len__(self) -> int:
        """Return the number of regions in the universe."""
        return len(self.regulation)

    def __repr__(self) -> str:
        return f"World({str(self.path)!r}, size={self.size!r}, seed={self.seed})"

    @cached_property
    def sheet(self) -> pl.DataFrame:
        """Sample sheet, one row per BED file; `target` is empty for accessibility assays."""
        return pl.read_csv(self.path / "sheet.csv").with_columns(pl.col(pl.String).fill_null(""))

    def ground_truth(self, table: str) -> pl.DataFrame:
        """Read a table of the ground truth.

        Parameters
        ----------
        table
            Name of the table: elements, motif_instances, factors, biosamples, programs,
            expression, genes, links, methylation, variants, mutagenesis or experiments.

        Raises
        ------
        AtlasError
            If there is no such table.
        """
        path = self.ground_truth_path / f"{table}.parquet"
        if not path.is_file():
            known = ", ".join(sorted(found.stem for found in path.parent.glob("*.parquet")))
            raise AtlasError(
                f"{self.path}: the ground truth has no table {table!r}; choose one of {known}"
            )
        return pl.read_parquet(path)

    @cached_property
    def regulation(self) -> Regulation:
        """The rules, with the elements and the expression of this world."""
        return read_regulation(self.ground_truth_path)

    def openness(self, biosample: str) -> NDArray[np.float32]:
        """Return the true probability that each element is open in a biosample.

        Parameters
        ----------
        biosample
            Name of the biosample.

        Returns
        -------
        numpy.ndarray
            float32 (universe,).
        """
        return self.regulation.openness(biosample)

    def expected(self, assay: str, target: str | None, biosample: str) -> NDArray[np.float32]:
        """Return the true probability that a file has a peak on each element.

        This is the mean over the noise of replicates: elements are missed, and spurious peaks
        occur, as often as in the average file of the assay. The combination does not have to be
        measured. No predictor can rank the elements better.

        Parameters
        ----------
        assay, target, biosample
            As in the sheet; the target of an accessibility assay is empty or None.

        Returns
        -------
        numpy.ndarray
            float32 (universe,).

        Raises
        ------
        GenoglotError
            If the world has no such assay, target or biosample.
        """
        presence = self.regulation.presence(assay, target or "", biosample)
        found = presence * detection_probability(presence, DROPOUT[assay])
        spurious = np.float32(SPURIOUS * presence.sum() / len(presence))
        return found + (1 - presence) * spurious

    def expected_rows(self, rows: pl.DataFrame) -> NDArray[np.float32]:
        """Return `expected` for rows of the sheet.

        Parameters
        ----------
        rows
            Table with the columns assay, target and biosample. In a large world, use few rows at
            a time.

        Returns
        -------
        numpy.ndarray
            float32 (rows, universe).
        """
        out = np.empty((rows.height, len(self)), np.float32)
        first: dict[tuple[str, str, str], int] = {}
        columns = rows.select("assay", pl.col("target").fill_null(""), "biosample")
        for i, key in enumerate(columns.iter_rows()):
            known = first.setdefault(key, i)
            out[i] = out[known] if known < i else self.expected(*key)
        return out
