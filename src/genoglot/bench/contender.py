"""`Contender`: what a bench asks of a model, and the models that a recipe can name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from genoglot.bench.baselines import BASELINES
from genoglot.bench.cache import Workshop
from genoglot.bench.features import Inputs
from genoglot.bench.recipe import Choice
from genoglot.errors import ModelError, TaskError
from genoglot.evaluation.predictions import Measured, measure_predictions
from genoglot.models.dna.heads import not_learnable
from genoglot.registry import names
from genoglot.tasks.dataset import Examples, Floats, TaskData
from genoglot.tasks.lazy_array import RowIndices

CONTENDERS: dict[str, str] = {
    **dict.fromkeys(
        (name for name in names("dna-encoder") if name != "windowed"),  # that wraps another one
        "genoglot.bench.networks:Network",
    ),
    "ensemble": "genoglot.bench.ensemble:Ensemble",
    **dict.fromkeys(BASELINES, "genoglot.bench.contender:Cheap"),
}
"""Models by the name that recipes use, and where their `Contender` is: add one here."""


@dataclass(frozen=True)
class Problem:
    """What a model is to learn.

    Attributes
    ----------
    data
        The dataset.
    train, validation, test
        What is learned from, chosen by and tested on, once.
    choice
        The model.
    settings
        Of the model and its training: see `genoglot.bench.run.Run`.
    seed
        Of everything random.
    outputs
        Columns that are measured; None for all.
    duplicated
        Which examples of test have a duplicate, exact or near, in the parts before it, bool (m,);
        None if nobody has looked for them.
    rows
        Which examples of the data train, validation and test are, int64 each.
    """

    data: TaskData
    train: Examples
    validation: Examples
    test: Examples
    choice: Choice
    settings: Mapping[str, Any]
    seed: int
    outputs: RowIndices | None
    duplicated: NDArray[np.bool_] | None = None
    rows: tuple[RowIndices, ...] = ()

    @classmethod
    def of(
        cls, data: TaskData, split: str, choice: Choice, settings: Mapping[str, Any], seed: int
    ) -> Self:
        """Make the problem of a run.

        Of the training part a fraction is drawn by the seed; of all parts not more bases than
        `settings["bases"]` tells. What is validated and tested on does not depend on the seed.
        """
        parts, drawn = {}, {}
        for number, name in enumerate(("train", "validation", "test")):
            rows = data.rows(split, name)
            wanted = len(rows)
            if name == "train":
                wanted = max(round(choice.fraction * wanted), 1)
            if (most := settings["bases"].get(name)) is not None:
                wanted = min(wanted, max(most // data.length, 1))
            if wanted < len(rows):
                rng = np.random.default_rng((seed if name == "train" else 0, number))
                rows = np.sort(rng.choice(rows, wanted, replace=False))
            parts[name], drawn[name] = data.take(rows), rows
        outputs = measured_outputs(data, settings.get("measured"))
        duplicated = None
        if split in data.leakage:
            leaked = data.rows(split, "test")[data.leaked(split, "test", near=True)]
            duplicated = np.isin(drawn["test"], leaked)
        return cls(
            data, **parts, choice=choice, settings=settings, seed=seed, outputs=outputs,
            duplicated=duplicated, rows=tuple(drawn.values()),
        )  # fmt: skip

    def by_group(self) -> list[tuple[Problem, RowIndices, RowIndices]]:
        """Make a problem of each group of examples, such as a tissue.

        Groups without training examples, such as one that is left out, are together predicted by
        what is learned of all groups. A group without validation examples is validated on all.

        Returns
        -------
        Each problem, and which examples of validation and of test its model predicts, int64.
        """
        groups = self.data.examples["group"].to_numpy().astype(str)
        train, *held = (groups[rows] for rows in self.rows)
        held = [np.where(np.isin(part, train), part, "") for part in held]
        found = []
        for group in np.unique(np.concatenate(held)):
            validation, test = (np.flatnonzero(part == group) for part in held)
            problem: Problem = self
            if group:
                problem = replace(self, train=self.data.take(self.rows[0][train == group]))
                if len(validation):
                    checked = self.data.take(self.rows[1][validation])
                    problem = replace(problem, validation=checked)
            found.append((problem, validation, test))
        return found

    @property
    def width(self) -> int:
        """Columns of predictions: outputs, or classes."""
        return len(self.data.outputs)

    @property
    def metrics(self) -> list[str]:
        """Names of the task's metrics, the main one first."""
        return list(self.data.metrics)

    def measure(self, labels: Any, predictions: Floats, draws: int) -> list[Measured]:
        """Measure predictions by all metrics."""
        labels = np.asarray(labels)
        if self.outputs is not None:
            labels, predictions = labels[:, self.outputs], predictions[:, self.outputs]
        return measure_predictions(labels, predictions, self.metrics, draws=draws)

    def without_duplicates(self, predictions: Floats) -> float | None:
        """Measure predictions of the test examples that have no duplicate; None if not known."""
        if self.duplicated is None:
            return None
        kept = ~self.duplicated
        if not kept.any():
            return float("nan")
        return self.score(np.asarray(self.test.labels)[kept], predictions[kept])

    def score(self, labels: NDArray[Any], predictions: Floats) -> float:
        """Measure predictions by the main metric; more is better."""
        if self.outputs is not None:
            labels, predictions = labels[:, self.outputs], predictions[:, self.outputs]
        return measure_predictions(labels, predictions, self.metrics[:1], draws=0)[0].value


class Contender(ABC):
    """A model in a bench.

    Parameters
    ----------
    problem
        What it is to learn.
    workshop
        What runs share. What is made once for several runs is made here, not in `fit`.

    Attributes
    ----------
    trained
        Whether `training` of a recipe's size is about it.
    n_parameters
        How many numbers are learned; None where nobody counts them.
    """

    trained: ClassVar[bool] = True
    n_parameters: int | None = None

    def __init__(self, problem: Problem, workshop: Workshop) -> None:
        self.problem, self.workshop = problem, workshop

    @classmethod
    @abstractmethod
    def axes(cls, model: str) -> dict[str, Any]:
        """Axes of the grid that the model has, besides fraction, each with its default."""

    @classmethod
    @abstractmethod
    def check(cls, model: str, settings: Mapping[str, Any]) -> None:
        """Refuse settings of the model that it does not have, by a GenoglotError."""

    @classmethod
    def reads_dna(cls, model: str) -> bool:
        """Whether it predicts from what is in a sequence; if not, it is fitted to all groups."""
        return True

    @abstractmethod
    def fit(self, folder: Path) -> None:
        """Learn from `train`, with what is best on `validation`; logs go into a folder.

        A folder that holds a training begun before is resumed.
        """

    @abstractmethod
    def predict(self, inputs: Inputs) -> Floats:
        """Predict: probabilities (of classes, one column each) or values, (n, width)."""


class Cheap(Contender):
    """A cheap baseline, of `BASELINES`."""

    trained = False

    @classmethod
    def axes(cls, model: str) -> dict[str, Any]:  # noqa: D102  (see Contender)
        return {}

    @classmethod
    def check(cls, model: str, settings: Mapping[str, Any]) -> None:  # noqa: D102
        try:
            BASELINES[model]("binary", 1, **settings)
        except TypeError as error:
            raise ModelError(f"{model}: {str(error).partition(') ')[2] or error}") from None

    @classmethod
    def reads_dna(cls, model: str) -> bool:  # noqa: D102
        return BASELINES[model].reads_dna

    def fit(self, folder: Path) -> None:  # noqa: D102
        p = self.problem
        labels = np.asarray(p.train.labels)
        not_learnable(labels, p.data.target, p.data.outputs)
        kind = BASELINES[p.choice.model]
        self._model = kind(p.data.target, p.width, seed=p.seed, **p.settings["model"])
        self._model.fit_subset(p.train, p.validation)

    def predict(self, inputs: Inputs) -> Floats:  # noqa: D102
        return self._model.predict(inputs)


def contender_class(model: str) -> type[Contender]:
    """Return what a recipe's model is.

    Raises
    ------
    TaskError
        If there is no such model.

    Examples
    --------
    >>> contender_class("kmer-linear").__name__
    'Cheap'
    """
    if model not in CONTENDERS:
        raise TaskError(f"no model {model!r} (there are: {', '.join(CONTENDERS)})")
    found: type[Contender] = resolve_name(CONTENDERS[model])
    return found


def fit_and_predict(
    problem: Problem, workshop: Workshop, folder: Path
) -> tuple[Floats, Floats, int | None]:
    """Fit the model of a problem, or one to each group if `settings["per_group"]` is true.

    Returns
    -------
    Predictions of validation and of test, float32 (n, width); and how many numbers are learned.
    """
    kind = contender_class(problem.choice.model)
    _, validation, test = problem.rows
    parts = [(problem, np.arange(len(validation)), np.arange(len(test)))]
    if problem.settings.get("per_group"):
        parts = problem.by_group()
    told = [np.empty((len(rows), problem.width), np.float32) for rows in (validation, test)]
    n_parameters = None
    for i, (part, *which) in enumerate(parts):
        contender = kind(part, workshop)
        contender.fit(folder if len(parts) == 1 else folder / str(i))
        n_parameters = contender.n_parameters
        for out, rows, mine in zip(told, (validation, test), which, strict=True):
            if len(mine):
                out[mine] = contender.predict(problem.data.take(rows[mine]).inputs)
    return told[0], told[1], n_parameters


def measured_outputs(data: TaskData, groups: str | None) -> RowIndices | None:
    """Columns whose group matches a pattern; None, which is all, if groups are not known.

    Raises
    ------
    TaskError
        If groups are known, and none matches.
    """
    if groups is None or not data.output_groups:
        return None
    found = np.flatnonzero([fnmatchcase(group, groups) for group in data.output_groups])
    if not len(found):
        known = ", ".join(sorted(set(data.output_groups))[:4])
        raise TaskError(f"{data.path}: no output is of a group {groups!r} (it has {known})")
    return found
