"""`Ensemble`: residual CNNs and boosted trees in a bench."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from genoglot.bench.contender import Contender
from genoglot.bench.features import Inputs
from genoglot.bench.networks import count_parameters
from genoglot.errors import ModelError, TaskError, some
from genoglot.models.dna.ensemble import SequenceEnsemble
from genoglot.models.dna.ensemble_training import EnsembleSettings, fit_ensemble
from genoglot.models.dna.heads import not_learnable
from genoglot.sequence.alphabet import Codes
from genoglot.tasks.dataset import Examples, Floats, TaskData
from genoglot.training.device import DeviceOptions

log = logging.getLogger("genoglot")


class Ensemble(Contender):
    """See `genoglot.models.dna.ensemble_training`."""

    trained = False  # its settings are its model's, one set for all tasks

    @classmethod
    def axes(cls, model: str) -> dict[str, Any]:  # noqa: D102  (see Contender)
        return {}

    @classmethod
    def check(cls, model: str, settings: Mapping[str, Any]) -> None:  # noqa: D102
        EnsembleSettings.of(settings, model)

    def fit(self, folder: Path) -> None:  # noqa: D102
        p = self.problem
        self._model = fit_to(
            p.data, p.train, p.validation, seed=1000 * p.seed, log_folder=folder,
            resume=True, device=self.workshop.device_options or "auto", **p.settings["model"],
        )  # fmt: skip
        self.n_parameters = sum(
            count_parameters(part)
            for network in self._model.networks()
            for part in (network.encoder, network.head)
        )

    def predict(self, inputs: Inputs) -> Floats:  # noqa: D102
        return self._model.to(self.workshop.device).predict(cast(Codes, inputs), batch_size=512)


def fit_to(
    data: TaskData,
    train: Examples,
    validation: Examples,
    *,
    seed: int = 0,
    log_folder: Path | None = None,
    resume: bool = False,
    device: str | DeviceOptions = "auto",
    **settings: Any,
) -> SequenceEnsemble:
    """Fit an ensemble to parts of a dataset: see `fit_ensemble`.

    Raises
    ------
    TaskError
        If its labels are values, or all the same in the training part, or its examples variants.
    ModelError
        If a setting is unknown.
    """
    if data.target == "regression" or train.alternative is not None:
        raise TaskError(f"{data.name}: ensembles are of labels and classes of sequences")
    target = data.target

    def labels(part: Examples) -> Any:
        found = np.asarray(part.labels)
        return found[:, 0].astype(np.int64) if target == "multi-class" else found

    known = labels(train)
    try:
        without = not_learnable(known, target, data.outputs)
    except ModelError as error:
        raise TaskError(f"{data.path}: {error}") from None
    if without:
        of = "classes have no example" if target == "multi-class" else "outputs have one label only"
        log.warning(
            "%s: %d of %d %s in the training part: %s",
            data.path, len(without), len(data.outputs), of, some(without),
        )  # fmt: skip
    return fit_ensemble(
        cast(Codes, train.codes),
        known,
        (cast(Codes, validation.codes), labels(validation)),
        target=target,
        names=data.outputs,
        shortest=train.shortest,
        seed=seed,
        log_folder=log_folder,
        resume=resume,
        device=device,
        **settings,
    )
