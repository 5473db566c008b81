"""`BenchModel`: what a benchmark asks of a model, and the models that a recipe can name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, ClassVar

import numpy as np

from genoglot.bench.baselines import BASELINES
from genoglot.bench.features import Inputs
from genoglot.bench.recipe import Configuration
from genoglot.bench.run_data import RunData
from genoglot.bench.workspace import Workspace
from genoglot.errors import ModelError, TaskError
from genoglot.models.dna.heads import not_learnable
from genoglot.models.dna.target import NUCLEOTIDES
from genoglot.registry import names
from genoglot.tasks.dataset import Floats, TaskData

BENCH_MODELS: dict[str, str] = {
    **dict.fromkeys(
        (name for name in names("dna-encoder") if name != "windowed"),  # that wraps another one
        "genoglot.bench.network:NetworkModel",
    ),
    "ensemble": "genoglot.bench.ensemble:EnsembleModel",
    **dict.fromkeys(BASELINES, "genoglot.bench.models:BaselineModel"),
}
"""Models by the names that recipes use, and the `BenchModel` of each, as "module:Class"."""


class BenchModel(ABC):
    """A model in a benchmark.

    Parameters
    ----------
    run
        Examples and settings of the run.
    workspace
        What the runs share. What is made once for several runs is made in the constructor, and not
        in `fit`.

    Attributes
    ----------
    trained
        Whether the settings `training` of a recipe's size apply to the model.
    n_parameters
        Number of trained parameters; None if it is not known.
    """

    trained: ClassVar[bool] = True
    n_parameters: int | None = None

    def __init__(self, run: RunData, workspace: Workspace) -> None:
        self.run, self.workspace = run, workspace

    @classmethod
    def axes(cls, model: str) -> dict[str, Any]:
        """Return the axes of the grid that the model has, except fraction, with their defaults."""
        return {}

    @classmethod
    def check(cls, model: str, settings: Mapping[str, Any]) -> None:
        """Refuse settings that the model does not have, with a GenoglotError."""
        if settings:
            raise ModelError(f"{model} has no settings, but {', '.join(settings)} is given")

    @classmethod
    def reads_dna(cls, model: str) -> bool:
        """Return whether it predicts from the sequence; if not, all groups share one model."""
        return True

    @classmethod
    def check_run(
        cls,
        data: TaskData,
        configuration: Configuration,
        settings: Mapping[str, Any],
        datasets: Mapping[str, TaskData],
    ) -> None:
        """Refuse a run that would fail, or not be what it says, before any run is begun.

        Parameters
        ----------
        data
            The dataset.
        configuration, settings
            See `Run`; the settings are read.
        datasets
            Datasets by name, one of them perhaps to pre-train on.

        Raises
        ------
        GenoglotError
            If the model cannot be used in this way.
        """
        return

    @abstractmethod
    def fit(self, folder: Path) -> None:
        """Train on the training examples, and choose by the validation examples.

        Parameters
        ----------
        folder
            Folder for the logs. If it holds an interrupted training, that is resumed.
        """

    @abstractmethod
    def predict(self, inputs: Inputs) -> Floats:
        """Predict probabilities (of classes, one column each) or values, (n, width)."""


class BaselineModel(BenchModel):
    """A baseline, of `BASELINES`."""

    trained = False

    @classmethod
    def check(cls, model: str, settings: Mapping[str, Any]) -> None:  # noqa: D102  (see BenchModel)
        try:
            BASELINES[model]("binary", 1, **settings)
        except TypeError as error:
            raise ModelError(f"{model}: {str(error).partition(') ')[2] or error}") from None

    @classmethod
    def reads_dna(cls, model: str) -> bool:  # noqa: D102
        return BASELINES[model].reads_dna

    def fit(self, folder: Path) -> None:  # noqa: D102
        run, data = self.run, self.run.data
        not_learnable(np.asarray(run.train.labels), data.target, data.outputs)
        baseline = BASELINES[run.configuration.model]
        self._model = baseline(
            data.target, len(run.data.outputs), seed=run.seed, **run.settings["model"]
        )
        self._model.fit_subset(run.train, run.validation)

    def predict(self, inputs: Inputs) -> Floats:  # noqa: D102
        return self._model.predict(inputs)


def bench_model(name: str) -> type[BenchModel]:
    """Return the class of a model that a recipe names.

    Parameters
    ----------
    name
        A key of `BENCH_MODELS`, or "package.module:Class" of a `BenchModel` that can be imported.

    Returns
    -------
    type
        The class.

    Raises
    ------
    TaskError
        If there is no such model.

    Examples
    --------
    >>> bench_model("kmer-linear").__name__
    'BaselineModel'
    """
    if name not in BENCH_MODELS and ":" not in name:
        raise TaskError(
            f"no model {name!r} (there are: {', '.join(BENCH_MODELS)}, or package.module:Class)"
        )
    try:
        found: type[BenchModel] = resolve_name(BENCH_MODELS.get(name, name))
    except (ImportError, AttributeError, ValueError) as error:
        raise TaskError(f"model {name!r} cannot be imported ({error})") from None
    if not (isinstance(found, type) and issubclass(found, BenchModel)):
        raise TaskError(f"model {name!r} is not a genoglot.bench.models.BenchModel")
    return found


def fit_and_predict(
    run: RunData, workspace: Workspace, folder: Path
) -> tuple[Floats, Floats, int | None]:
    """Fit the model of a run, or one to each group if `settings["per_group"]` is true.

    Parameters
    ----------
    run
        Examples and settings.
    workspace
        What the runs share.
    folder
        Folder for the logs.

    Returns
    -------
    tuple
        Predictions of validation and of test, float32 (n, width), of nucleotides (n, positions,
        width); and the number of parameters.
    """
    model_class = bench_model(run.configuration.model)
    _, validation, test = run.rows
    groups = [(run, np.arange(len(validation)), np.arange(len(test)))]
    if run.settings.get("per_group"):
        groups = run.by_group()
    width: tuple[int, ...] = (len(run.data.outputs),)
    if run.data.target == NUCLEOTIDES:
        width = (run.data.length - run.data.context, *width)
    predictions = [np.empty((len(rows), *width), np.float32) for rows in (validation, test)]
    n_parameters = None
    for i, (examples, *own) in enumerate(groups):
        model = model_class(examples, workspace)
        model.fit(folder if len(groups) == 1 else folder / str(i))
        n_parameters = model.n_parameters
        for out, rows, mine in zip(predictions, (validation, test), own, strict=True):
            if len(mine):
                out[mine] = model.predict(run.data.take(rows[mine]).inputs)
    return predictions[0], predictions[1], n_parameters
