"""`UniverseModel`: a model of one universe, which is saved with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from genoglot.atlas import Atlas
from genoglot.errors import AtlasError
from genoglot.pretrained import Pretrained
from genoglot.regions import Universe
from genoglot.saved import Saved

UNIVERSE = "universe.parquet"

SetRows = Sequence[int] | NDArray[Any]
"""Indices of region sets of an atlas."""


class UniverseModel(Pretrained):
    """A model of the regions of one universe.

    Attributes
    ----------
    universe
        Universe of the atlas that the model was fitted to.
    """

    universe: Universe

    def _metadata(self) -> dict[str, Any]:
        universe = {"digest": self.universe.digest, "size": len(self.universe)}
        return {"genome": self.universe.genome, "universe": universe}

    def _write(self, folder: Path) -> None:
        self.universe.save(folder / UNIVERSE)

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        self = super()._load(saved)
        self.universe = Universe.load(saved.folder / UNIVERSE)
        self.universe.check_same(saved.config["universe"]["digest"])
        return self


def check_training_sets(atlas: Atlas, rows: SetRows | None) -> None:
    """Refuse to learn from sets that contain no region of the universe.

    Raises
    ------
    AtlasError
        If there is no set, or no set with a region.
    """
    n_tokens = atlas.metadata["n_tokens"].to_numpy()
    if not n_tokens[slice(None) if rows is None else np.asarray(rows, np.int64)].any():
        raise AtlasError(
            f"{atlas.path}: none of the sets to learn from has a region of the universe; give "
            "other sets, or build the atlas with their universe"
        )
