"""The oracle: what a model of the simulated world would score if it knew the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.atlas.store import Atlas
from genoglot.errors import TextError
from genoglot.regions import Universe
from genoglot.simulate.world import World


class Oracle:
    """The true probability of each region for the descriptions of an atlas.

    It looks the description up and asks the world for that experiment; no model can rank the
    regions better on average.

    Parameters
    ----------
    world
        A simulated world.
    atlas
        An atlas of its files: its metadata says which experiment a description is of.

    Raises
    ------
    UniverseMismatchError
        If the atlas is over another universe than the world's.

    Examples
    --------
    >>> import tempfile
    >>> from genoglot.atlas import build_atlas
    >>> from genoglot.simulate import simulate
    >>> folder = tempfile.mkdtemp()
    >>> world = simulate(f"{folder}/world")
    >>> built = build_atlas(
    ...     world.path, world.path / "sheet.csv", world.universe_path, f"{folder}/atlas"
    ... )
    >>> oracle = Oracle(world, built.atlas)
    >>> oracle.score(built.atlas.descriptions([0])).shape
    (1, 5000)
    """

    model_type = "oracle"

    def __init__(self, world: World, atlas: Atlas) -> None:
        self.world = world
        self.universe: Universe = atlas.universe
        Universe.from_bed(world.universe_path).check_same(self.universe)
        about = atlas.metadata.select("description", "assay", "target", "biosample").unique()
        self._experiments = about.partition_by("description", as_dict=True)

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Give the expected presence of each region, (texts, universe).

        A description that several experiments share has their mean.

        Raises
        ------
        TextError
            If a text is no description of the atlas.
        """
        return np.stack([self._expected(text) for text in texts])

    def _expected(self, text: str) -> NDArray[np.float32]:
        rows: pl.DataFrame | None = self._experiments.get((text,))
        if rows is None:
            raise TextError(f"{text!r} describes no region set of the atlas; the oracle knows none")
        mean: NDArray[np.float32] = self.world.expected_rows(rows).mean(0)
        return mean
