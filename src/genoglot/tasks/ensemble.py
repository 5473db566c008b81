"""`Ensemble`: residual CNNs in a bench, with known motifs and without."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from genoglot.errors import TaskError
from genoglot.sequence.alphabet import Codes
from genoglot.tasks.contender import Contender
from genoglot.tasks.dataset import Floats, Part
from genoglot.tasks.features import Inputs
from genoglot.tasks.networks import count_parameters
from genoglot.tasks.workshop import discard_checkpoints
from genoglot.training.ensemble import EnsembleSettings, fit_ensemble


class Ensemble(Contender):
    """See `genoglot.training.ensemble`."""

    trained = False  # its settings are its model's, one set for all tasks

    @classmethod
    def axes(cls, model: str) -> dict[str, Any]:  # noqa: D102  (see Contender)
        return {}

    @classmethod
    def check(cls, model: str, settings: Mapping[str, Any]) -> None:  # noqa: D102
        EnsembleSettings.of(settings, model)

    def fit(self, folder: Path) -> None:  # noqa: D102
        p = self.problem
        if p.data.kind == "real" or p.train.alternative is not None:
            raise TaskError(f"{p.data.name}: ensembles are of labels and classes of sequences")
        if p.data.kind == "classes":
            target: Any = "multi-class"
        else:
            target = "binary" if p.width == 1 else "multi-label"

        def labels(part: Part) -> Any:
            found = np.asarray(part.labels)
            return found[:, 0].astype(np.int64) if target == "multi-class" else found

        self._model = fit_ensemble(
            cast(Codes, p.train.codes),
            labels(p.train),
            (cast(Codes, p.validation.codes), labels(p.validation)),
            target=target,
            names=p.data.outputs,
            seed=1000 * p.seed,
            log_folder=folder,
            where=self.workshop.where,
            **p.settings["model"],
        )
        self.n_parameters = sum(
            count_parameters(part)
            for member in self._model.members
            for part in (member.encoder, member.head)
        )
        for place in folder.iterdir():
            discard_checkpoints(place)

    def predict(self, inputs: Inputs) -> Floats:  # noqa: D102
        return self._model.to(self.workshop.device).predict(cast(Codes, inputs), batch_size=512)
