"""`UniverseModel`: a model of one universe, which is saved with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from genoglot.pretrained import Pretrained
from genoglot.regions import Universe
from genoglot.saved import Saved

UNIVERSE = "universe.parquet"


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
