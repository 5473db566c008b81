"""`UniverseModel`: a model of one universe, which is saved with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from genoglot.atlas import Atlas
from genoglot.errors import AtlasError
from genoglot.pretrained import Pretrained
from genoglot.regions import Universe
from genoglot.saved import Arrays, Saved

UNIVERSE = "universe.parquet"

SetRows = Sequence[int] | NDArray[Any]
"""Indices of region sets of an atlas."""


class UniverseModel(Pretrained):
    """A model of the regions of one universe.

    A subclass names in `fitted` the attributes that fitting computes: they are saved with the model
    and set again by loading. An array is saved in `model.safetensors`, another model in a folder of
    its own, and anything else in `config.json`.

    Attributes
    ----------
    universe
        Universe of the atlas that the model was fitted to.
    """

    fitted: ClassVar[tuple[str, ...]] = ()
    universe: Universe

    def _fitted_values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.fitted}

    def _arrays(self) -> Arrays:
        values = self._fitted_values().items()
        return {name: value for name, value in values if isinstance(value, np.ndarray)}

    def _parts(self) -> dict[str, Pretrained]:
        values = self._fitted_values().items()
        return {name: value for name, value in values if isinstance(value, Pretrained)}

    def _metadata(self) -> dict[str, Any]:
        values = self._fitted_values().items()
        return {
            "genome": self.universe.genome,
            "universe": {"digest": self.universe.digest, "size": len(self.universe)},
            **{name: v for name, v in values if not isinstance(v, (np.ndarray, Pretrained))},
        }

    def _write(self, folder: Path) -> None:
        self.universe.save(folder / UNIVERSE)

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        self = super()._load(saved)
        self.universe = Universe.load(saved.folder / UNIVERSE)
        self.universe.check_same(saved.config["universe"]["digest"])
        self._restore(saved)
        return self

    def _restore(self, saved: Saved) -> None:
        """Set what fitting has computed to the values that were saved."""
        for name in self.fitted:
            if (folder := saved.folder / name).is_dir():
                value: Any = Pretrained.from_pretrained(folder)
            else:
                value = saved.arrays[name] if name in saved.arrays else saved.config[name]
            setattr(self, name, value)


def check_training_sets(atlas: Atlas, rows: SetRows | None) -> None:
    """Refuse to learn from sets that contain no region of the universe.

    Parameters
    ----------
    atlas
        Collection of region sets.
    rows
        Indices of the sets to learn from; None means all.

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
