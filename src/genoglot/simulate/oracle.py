"""The oracle: the best possible model of a simulated world, which knows its ground truth."""

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
    """A model that returns the true probability of each region for the descriptions of an atlas.

    It looks up the experiment of a description. No model can rank the regions better on average.

    Parameters
    ----------
    world
        A simulated world.
    atlas
        An atlas of the files of that world. Its metadata connect descriptions to experiments.

    Raises
    ------
    UniverseMismatchError
        If the atlas has another universe than the world.

    Examples
    --------
    >>> import tempfile
    >>> from genoglot.atlas import build_atlas
    >>> from genoglot.simulate import simulate
    >>> folder = tempfile.mkdtemp()
    >>> world = simulate(f"{folder}/world")
    >>> sheet = world.path / "sheet.csv"
    >>> atlas, _ = build_atlas(world.path, sheet, world.universe_path, f"{folder}/atlas")
    >>> oracle = Oracle(world, atlas)
    >>> oracle.score(atlas.descriptions([0])).shape
    (1, 5000)
    """

    model_type = "oracle"

    def __init__(self, world: World, atlas: Atlas) -> None:
        self.world = world
        self.universe: Universe = atlas.universe
        Universe.from_bed(world.universe_path).check_same(self.universe)
        labels = atlas.metadata.select("description", "assay", "target", "biosample").unique()
        self._experiments = labels.partition_by("description", as_dict=True)

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the true probability of each region.

        Parameters
        ----------
        texts
            Descriptions of the atlas. Several experiments with one description give their mean.

        Returns
        -------
        numpy.ndarray
            float32 (texts, universe).

        Raises
        ------
        TextError
            If a text is not a description of the atlas.
        """
        return np.stack([self._expected(text) for text in texts])

    def _expected(self, text: str) -> NDArray[np.float32]:
        rows: pl.DataFrame | None = self._experiments.get((text,))
        if rows is None:
            raise TextError(f"{text!r} is not a description of the atlas; use one of those")
        return np.asarray(self.world.expected_rows(rows).mean(0))
