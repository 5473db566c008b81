"""`EnsembleModel`: residual CNNs and boosted trees in a benchmark."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from genoglot.bench.features import Inputs
from genoglot.bench.models import BenchModel
from genoglot.bench.network import count_parameters
from genoglot.bench.run_data import training_labels
from genoglot.errors import ModelError, TaskError, some
from genoglot.models.dna.ensemble import SequenceEnsemble
from genoglot.models.dna.ensemble_training import EnsembleSettings, fit_ensemble
from genoglot.models.dna.heads import not_learnable
from genoglot.models.dna.target import NUCLEOTIDES
from genoglot.sequence.alphabet import Codes
from genoglot.tasks.dataset import Examples, Floats, TaskData
from genoglot.training.device import DeviceOptions

log = logging.getLogger("genoglot")


class EnsembleModel(BenchModel):
    """An ensemble in a benchmark: see `genoglot.models.dna.ensemble_training`."""

    trained = False  # an ensemble has one set of settings for all tasks

    @classmethod
    def check(cls, model: str, settings: Mapping[str, Any]) -> None:  # noqa: D102  (see BenchModel)
        EnsembleSettings.of(settings, model)

    def fit(self, folder: Path) -> None:  # noqa: D102
        run = self.run
        self._model = fit_ensemble_to_task(
            run.data, run.train, run.validation, seed=1000 * run.seed, log_folder=folder,
            resume=True, device=self.workspace.device_options, **run.settings["model"],
        )  # fmt: skip
        self.n_parameters = sum(
            count_parameters(part)
            for network in self._model.networks()
            for part in (network.encoder, network.head)
        )

    def predict(self, inputs: Inputs) -> Floats:  # noqa: D102
        return self._model.to(self.workspace.device).predict(cast(Codes, inputs), batch_size=512)


def fit_ensemble_to_task(
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
    """Fit an ensemble to the examples of a task.

    Parameters
    ----------
    data
        The dataset.
    train, validation
        Examples to train on, and to choose by.
    seed, log_folder, resume, device, **settings
        As in `fit_ensemble`.

    Returns
    -------
    SequenceEnsemble
        The fitted ensemble.

    Raises
    ------
    TaskError
        If the labels are values or those of nucleotides, or all training labels are the same, or
        the examples are variants.
    ModelError
        If a setting is unknown.
    """
    target = data.target
    if target in ("regression", NUCLEOTIDES) or train.alternative is not None:
        raise TaskError(
            f"{data.name}: an ensemble predicts labels or classes of sequences, not values, and "
            "not nucleotides or the effects of variants"
        )
    labels, validation_labels = (training_labels(data, subset) for subset in (train, validation))
    try:
        missing = not_learnable(labels, data.target, data.outputs)
    except ModelError as error:
        raise TaskError(f"{data.path}: {error}") from None
    if missing:
        what = "classes have no example" if target == "multi-class" else "outputs have one label"
        log.warning(
            "%s: %d of %d %s in the training subset: %s",
            data.path, len(missing), len(data.outputs), what, some(missing),
        )  # fmt: skip
    return fit_ensemble(
        cast(Codes, train.codes), labels, (cast(Codes, validation.codes), validation_labels),
        target=target, names=data.outputs, shortest=train.shortest, seed=seed,
        log_folder=log_folder, resume=resume, device=device, **settings,
    )  # fmt: skip
