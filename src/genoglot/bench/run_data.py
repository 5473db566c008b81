"""`RunData`: the examples that a model of a benchmark is trained, validated and tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from genoglot.bench.recipe import Configuration
from genoglot.errors import TaskError
from genoglot.evaluation.nucleotides import measure_nucleotides
from genoglot.evaluation.predictions import MetricValue, measure_predictions
from genoglot.models.dna.target import NUCLEOTIDES
from genoglot.tasks.dataset import Examples, Floats, TaskData
from genoglot.tasks.lazy_array import RowIndices


@dataclass(frozen=True)
class RunData:
    """The examples of a run, and the settings of its model.

    Attributes
    ----------
    data
        The dataset.
    train, validation, test
        Examples that the model is trained on, chosen by, and tested on once.
    configuration
        The model.
    settings
        Settings of the model and its training: see `genoglot.bench.plan.Run`.
    seed
        Random seed.
    outputs
        Columns that the metrics are computed for; None for all.
    duplicated
        Which test examples have a duplicate, exact or near, in the other subsets, bool (m,); None
        if the split was not searched for duplicates.
    rows
        Rows of the dataset that train, validation and test consist of, int64 each.
    """

    data: TaskData
    train: Examples
    validation: Examples
    test: Examples
    configuration: Configuration
    settings: Mapping[str, Any]
    seed: int
    outputs: RowIndices | None
    duplicated: NDArray[np.bool_] | None
    rows: tuple[RowIndices, ...]

    @classmethod
    def select(
        cls,
        data: TaskData,
        split: str,
        configuration: Configuration,
        settings: Mapping[str, Any],
        seed: int,
    ) -> Self:
        """Select the examples of a run.

        A fraction of the training examples is drawn with the seed, and of all subsets at most the
        number of bases in `settings["bases"]`. Validation and test examples do not depend on the
        seed.

        Raises
        ------
        TaskError
            If the dataset has no such split, or no output of the groups in `settings["measured"]`.
        """
        rows: dict[str, RowIndices] = {}
        for number, name in enumerate(("train", "validation", "test")):
            found = data.rows(split, name)
            wanted = len(found)
            if name == "train":
                wanted = max(round(configuration.fraction * wanted), 1)
            if (bases := settings["bases"].get(name)) is not None:
                wanted = min(wanted, max(bases // data.length, 1))
            if wanted < len(found):
                rng = np.random.default_rng((seed if name == "train" else 0, number))
                found = np.sort(rng.choice(found, wanted, replace=False))
            rows[name] = found
        duplicated = None
        if split in data.leakage:
            leaked = data.rows(split, "test")[data.leaked(split, "test", near=True)]
            duplicated = np.isin(rows["test"], leaked)
        subsets = {name: data.take(found) for name, found in rows.items()}
        outputs = measured_outputs(data, settings.get("measured"))
        return cls(
            data, **subsets, configuration=configuration, settings=settings, seed=seed,
            outputs=outputs, duplicated=duplicated, rows=tuple(rows.values()),
        )  # fmt: skip

    def by_group(self) -> list[tuple[RunData, RowIndices, RowIndices]]:
        """Divide the examples by group, such as a tissue.

        Validation and test examples of groups without training examples, such as a group that is
        left out, are predicted by a model of all groups. A group without validation examples is
        validated on those of all groups.

        Returns
        -------
        list of tuple
            The examples of each group, and which examples of validation and of test its model
            predicts, int64.
        """
        groups = self.data.examples["group"].to_numpy().astype(str)
        train, *others = (groups[rows] for rows in self.rows)
        others = [np.where(np.isin(names, train), names, "") for names in others]
        found = []
        for group in np.unique(np.concatenate(others)):
            validation, test = (np.flatnonzero(names == group) for names in others)
            examples: RunData = self
            if group:
                examples = replace(self, train=self.data.take(self.rows[0][train == group]))
                if len(validation):
                    own = self.data.take(self.rows[1][validation])
                    examples = replace(examples, validation=own)
            found.append((examples, validation, test))
        return found

    @property
    def test_groups(self) -> NDArray[np.str_] | None:
        """Genes of the test examples, whose nucleotides a draw takes as a whole; else None."""
        if self.data.target != NUCLEOTIDES:
            return None
        return self.data.examples["group"].to_numpy().astype(str)[self.rows[2]]

    def measure(
        self,
        labels: Any,
        predictions: Floats,
        metrics: Sequence[str],
        draws: int = 0,
        groups: NDArray[np.str_] | None = None,
    ) -> list[MetricValue]:
        """Compute metrics of predictions; groups are those of the draws of their intervals."""
        labels = np.asarray(labels)
        if self.data.target == NUCLEOTIDES:
            return measure_nucleotides(labels, predictions, metrics, groups=groups, draws=draws)
        if self.outputs is not None:
            labels, predictions = labels[:, self.outputs], predictions[:, self.outputs]
        return measure_predictions(labels, predictions, metrics, groups=groups, draws=draws)

    def score(self, labels: Any, predictions: Floats) -> float:
        """Compute the main metric of predictions; higher is better."""
        return self.measure(labels, predictions, self.data.metrics[:1])[0].value

    def without_duplicates(self, predictions: Floats) -> float | None:
        """Compute the main metric on the test examples without duplicate; None if not known."""
        if self.duplicated is None:
            return None
        unique = ~self.duplicated
        if not unique.any():
            return float("nan")
        return self.score(np.asarray(self.test.labels)[unique], predictions[unique])


def training_labels(data: TaskData, examples: Examples) -> Any:
    """Return labels as models are trained on them.

    Returns
    -------
    array
        float32 (n, outputs); or class numbers, int64 (n,); or those of nucleotides, int8
        (n, positions), which are read when indexed.
    """
    if data.target == NUCLEOTIDES:
        return examples.labels
    labels = np.asarray(examples.labels)
    return labels[:, 0].astype(np.int64) if data.target == "multi-class" else labels


def measured_outputs(data: TaskData, groups: str | None) -> RowIndices | None:
    """Find the columns whose group matches a pattern.

    Returns
    -------
    int64 array or None
        The columns; None, for all of them, if there is no pattern or groups are not known.

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
