"""A simulated world on disk, and the oracle that knows the truth behind its files."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import AtlasError
from genoglot.permissions import explains_denial
from genoglot.simulate.experiments import DROPOUT, SPURIOUS, kept
from genoglot.simulate.regulation import Regulation
from genoglot.simulate.truth import read_regulation

FORMAT = 1


class World:
    """A simulated world: the files that a user sees, and the truth that a test may ask.

    Made by `simulate` or `World.open`. Tables are read when first asked for; coordinates are
    0-based half-open.

    Parameters
    ----------
    path
        The directory.
    size, seed
        What `simulate` was given.
    """

    def __init__(self, path: Path, size: str, seed: int) -> None:
        self.path, self.size, self.seed = path, size, seed

    @classmethod
    @explains_denial
    def open(cls, path: str | Path) -> World:
        """Open a directory that `simulate` wrote.

        Raises
        ------
        AtlasError
            If it is not a simulated world, or of another version.
        """
        path = Path(path)
        try:
            about = json.loads((path / "world.json").read_text("utf-8"))
        except (OSError, ValueError):
            raise AtlasError(f"{path}: not a simulated world (no readable world.json)") from None
        if about.get("format") != FORMAT:
            raise AtlasError(
                f"{path}: simulated world of format {about.get('format')}, this version reads "
                f"{FORMAT}; simulate it again"
            )
        return cls(path, str(about["size"]), int(about["seed"]))

    def __len__(self) -> int:
        """Regions of the universe."""
        return len(self.regulation)

    def __repr__(self) -> str:
        return f"World({str(self.path)!r}, size={self.size!r}, seed={self.seed})"

    @property
    def genome_path(self) -> Path:
        """The FASTA file; its index lies beside it."""
        return self.path / "genome.fa"

    @property
    def genes_path(self) -> Path:
        """The GTF file."""
        return self.path / "genes.gtf"

    @property
    def universe_path(self) -> Path:
        """The universe, BED3; region i is element i of the truth."""
        return self.path / "universe.bed"

    @cached_property
    def sheet(self) -> pl.DataFrame:
        """The sample sheet, one row per file; `target` is empty for accessibility assays."""
        return pl.read_csv(self.path / "sheet.csv").with_columns(pl.col(pl.String).fill_null(""))

    def truth(self, table: str) -> pl.DataFrame:
        """One of the truth's tables.

        Parameters
        ----------
        table
            elements, motif_instances, factors, biosamples, programs, expression, genes, links
            or experiments.

        Raises
        ------
        AtlasError
            If there is no such table.
        """
        path = self.path / "truth" / f"{table}.parquet"
        if not path.is_file():
            known = ", ".join(sorted(found.stem for found in path.parent.glob("*.parquet")))
            raise AtlasError(
                f"{self.path}: the truth has no table {table!r}; choose one of {known}"
            )
        return pl.read_parquet(path)

    @cached_property
    def regulation(self) -> Regulation:
        """The rules, with this world's elements and expression."""
        return read_regulation(self.path / "truth")

    def openness(self, biosample: str) -> NDArray[np.float32]:
        """Compute the true probability that each element is open in a biosample.

        Returns
        -------
        float32 (universe,)
        """
        return self.regulation.openness(biosample)

    def expected(self, assay: str, target: str | None, biosample: str) -> NDArray[np.float32]:
        """Compute the true probability that such a file has a peak on each element.

        Averaged over the noise of replicates: a site is missed as often, and a spurious peak
        lies on the element as often, as in the mean file of the assay. Any combination may be
        asked for, measured or not; no predictor can rank the elements better.

        Parameters
        ----------
        assay, target, biosample
            As in the sheet; the target of an accessibility assay is empty or None.

        Returns
        -------
        float32 (universe,)

        Raises
        ------
        GenoglotError
            If the world has no such assay, target or biosample.
        """
        presence = self.regulation.presence(assay, target or "", biosample)
        found = presence * kept(presence, DROPOUT[assay])
        spurious = np.float32(SPURIOUS * presence.sum() / len(presence))
        return found + (1 - presence) * spurious

    def expected_rows(self, rows: pl.DataFrame) -> NDArray[np.float32]:
        """Compute `expected` of each row of (a part of) the sheet.

        Parameters
        ----------
        rows
            Columns assay, target, biosample; at large size, few rows at a time.

        Returns
        -------
        float32 (rows, universe)
        """
        out = np.empty((rows.height, len(self)), np.float32)
        first: dict[tuple[str, str, str], int] = {}
        columns = rows.select("assay", pl.col("target").fill_null(""), "biosample")
        for i, key in enumerate(columns.iter_rows()):
            known = first.setdefault(key, i)
            out[i] = out[known] if known < i else self.expected(*key)
        return out
