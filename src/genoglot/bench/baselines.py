"""Cheap predictors that stand beside every deep model.

All have `fit(inputs, labels, validation)` and `predict(inputs)`. Inputs are codes, uint8 (n,
length), or a pair of those without and with a variant; labels are float32 (n, outputs) with NaN
where there is none, of classes their numbers (n, 1). Predictions are probabilities (of classes,
one column each) or values. Strength of regularization and number of trees are chosen on
validation data. Same seed, same predictions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.bench.features import Inputs, chosen, composition, described
from genoglot.bench.linear import fit_linear, predict_linear
from genoglot.errors import TaskError
from genoglot.evaluation.predictions import measure_predictions
from genoglot.models.dna.target import Target
from genoglot.sequence.kmers import kmer_counts
from genoglot.sequence.motifs import MotifScanner, jaspar
from genoglot.tasks.dataset import Examples, Floats, TaskData
from genoglot.tasks.minimizers import hash_rows

Validation = tuple[Inputs, ArrayLike]


class Baseline(ABC):
    """A cheap predictor.

    Parameters
    ----------
    target
        What the labels are.
    n_outputs
        Columns of the predictions: outputs, or classes.
    seed
        Of everything random.
    most
        Fit on at most so many examples, drawn at random.
    """

    name: ClassVar[str]
    reads_dna: ClassVar[bool] = True
    """Whether it predicts from what is in a sequence."""

    def __init__(
        self, target: Target, n_outputs: int, *, seed: int = 0, most: int = 100_000
    ) -> None:
        self.target, self.n_outputs, self.seed, self.most = target, n_outputs, seed, most

    def fit(self, inputs: Inputs, labels: Any, validation: Validation) -> None:
        """Learn.

        Parameters
        ----------
        inputs
            Codes (n, length), or a pair of them.
        labels
            float32 (n, outputs), NaN where there is none; of classes (n, 1).
        validation
            Inputs and labels on which settings are chosen.

        Raises
        ------
        TaskError
            If there is no example, or not one label for each.
        """
        n = len(inputs[0]) if isinstance(inputs, tuple) else len(inputs)
        if not n or n != len(labels):
            raise TaskError(f"{n} sequences and {len(labels)} labels; give as many of each")
        if n > self.most:
            rows = np.random.default_rng(self.seed).choice(n, self.most, replace=False)
            rows.sort()
            inputs, labels = chosen(inputs, rows), labels[rows]
        targets = self._targets(labels)
        check = self._features(validation[0]), self._targets(validation[1])
        self._fit(self._features(inputs), targets, *check)

    def predict(self, inputs: Inputs) -> Floats:
        """Predict.

        Returns
        -------
        float32 (n, n_outputs)
        """
        return self._predict(self._features(inputs)).astype(np.float32)

    def fit_subset(self, train: Examples, validation: Examples) -> None:
        """`fit` on the parts of a split."""
        self.fit(train.inputs, train.labels, (validation.inputs, validation.labels))

    def _targets(self, labels: ArrayLike) -> Floats:
        """Labels as (n, outputs); of classes one column each, 0 or 1."""
        values = np.asarray(labels, np.float32)
        values = values[:, None] if values.ndim == 1 else values
        if self.target != "multi-class":
            return values
        columns: Floats = (values == np.arange(self.n_outputs)).astype(np.float32)
        return columns

    def _features(self, inputs: Inputs) -> Floats:
        return described(inputs, self._describe)

    @abstractmethod
    def _describe(self, codes: NDArray[np.uint8]) -> Floats: ...

    @abstractmethod
    def _fit(self, x: Floats, y: Floats, x_check: Floats, y_check: Floats) -> None: ...

    @abstractmethod
    def _predict(self, x: Floats) -> NDArray[Any]: ...


class Constant(Baseline):
    """The mean label of training: the majority class, or the mean value, for everything."""

    name = "constant"
    reads_dna = False

    def _describe(self, codes: NDArray[np.uint8]) -> Floats:
        return np.zeros((len(codes), 1), np.float32)

    def _fit(self, x: Floats, y: Floats, x_check: Floats, y_check: Floats) -> None:
        known = ~np.isnan(y)
        total = np.where(known, y, 0).sum(axis=0, dtype=np.float64)
        self._mean = total / np.maximum(known.sum(axis=0), 1)

    def _predict(self, x: Floats) -> NDArray[Any]:
        return np.broadcast_to(self._mean, (len(x), self.n_outputs))


class Lookup(Baseline):
    """The mean label of the training examples with the very same sequence; else that of all.

    It learns nothing of DNA: what it reaches on the test part of a split, any model can reach by
    remembering the training part. Of variants, both alleles must be the same.
    """

    name = "lookup"
    reads_dna = False

    def _describe(self, codes: NDArray[np.uint8]) -> Any:
        return hash_rows(codes)[:, None]

    def _fit(self, x: Any, y: Floats, x_check: Floats, y_check: Floats) -> None:
        keys, index = np.unique(x, axis=0, return_inverse=True)
        sums, counts = (np.zeros((len(keys) + 1, y.shape[1])) for _ in range(2))
        known = ~np.isnan(y)
        for row in (index.ravel(), np.full(len(y), len(keys))):  # the last row is of all
            np.add.at(sums, row, np.where(known, y, 0))
            np.add.at(counts, row, known)
        means = sums / np.maximum(counts, 1)
        self._means = np.where(counts > 0, means, means[-1])
        self._row_of = {key: i for i, key in enumerate(map(tuple, keys.tolist()))}

    def _predict(self, x: Any) -> NDArray[Any]:
        unknown = len(self._means) - 1
        rows = [self._row_of.get(key, unknown) for key in map(tuple, x.tolist())]
        found: NDArray[Any] = self._means[rows]
        return found


class _Linear(Baseline):
    """Logistic regression, or ridge regression of real labels, on features."""

    PENALTIES: ClassVar[tuple[float, ...]] = (10.0, 1.0, 0.1, 0.01, 0.001)

    def _fit(self, x: Floats, y: Floats, x_check: Floats, y_check: Floats) -> None:
        self._center = x.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = x.std(axis=0, dtype=np.float64).astype(np.float32)
        self._scale = np.where(spread > 1e-6, spread, np.float32(1))
        x, x_check = self._scaled(x), self._scaled(x_check)
        best, weights = np.inf, None
        for penalty in self.PENALTIES:  # strongest first, each starting where the last one ended
            weights = fit_linear(x, y, self.target, penalty, start=weights)
            error = _loss(self.target, y_check, predict_linear(x_check, weights, self.target))
            if error >= best:  # from here on it only fits noise, and takes ever longer
                break
            best, self._weights, self.penalty = error, weights, penalty

    def _predict(self, x: Floats) -> NDArray[Any]:
        return predict_linear(self._scaled(x), self._weights, self.target)

    def _scaled(self, x: Floats) -> Floats:
        scaled: Floats = (x - self._center) / self._scale
        return scaled


class KmerLinear(_Linear):
    """Linear model of k-mer frequencies: logistic regression, or ridge for real labels.

    Parameters
    ----------
    k
        1 to 6.
    """

    name = "kmer-linear"

    def __init__(self, target: Target, n_outputs: int, *, k: int = 6, **common: Any) -> None:
        super().__init__(target, n_outputs, **common)
        self.k = k

    def _describe(self, codes: NDArray[np.uint8]) -> Floats:
        return kmer_counts(codes, self.k)


MOTIF_THRESHOLD = 0.85
"""Relative score from which a site of a motif counts: 0 is the worst site, 1 the best one."""


class MotifLinear(_Linear):
    """Linear model of the composition (G + C, CpG) and the counts of JASPAR 2018 motifs."""

    name = "motif-linear"

    def __init__(self, target: Target, n_outputs: int, **common: Any) -> None:
        super().__init__(target, n_outputs, **common)
        self._scanner = MotifScanner([motif.relative for motif in jaspar()])

    def _describe(self, codes: NDArray[np.uint8]) -> Floats:
        counts = np.log1p(self._scanner.count_sites(codes, MOTIF_THRESHOLD))
        return np.hstack([composition(codes), counts])


class KmerBoosting(Baseline):
    """Gradient-boosted trees on k-mer counts, an ensemble for each output.

    Parameters
    ----------
    k
        1 to 6.
    trees
        The most trees that an ensemble has; validation data tell how many it uses.
    """

    name = "kmer-boosting"

    def __init__(
        self, target: Target, n_outputs: int, *, k: int = 4, trees: int = 200, **common: Any
    ) -> None:
        super().__init__(target, n_outputs, **common)
        self.k, self.trees = k, trees

    def _describe(self, codes: NDArray[np.uint8]) -> Floats:
        return kmer_counts(codes, self.k)

    def _fit(self, x: Floats, y: Floats, x_check: Floats, y_check: Floats) -> None:
        self._models = [
            self._ensemble(x, y[:, i], x_check, y_check[:, i]) for i in range(self.n_outputs)
        ]

    def _ensemble(
        self, x: Floats, y: Floats, x_check: Floats, y_check: Floats
    ) -> tuple[Any, int] | float:
        """Train an ensemble and count the trees that are best; or a constant if all are alike."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        known, check = ~np.isnan(y), ~np.isnan(y_check)
        if len(np.unique(y[known])) < 2:
            return float(y[known][0]) if known.any() else 0.0
        settings = {"max_iter": self.trees, "early_stopping": False, "random_state": self.seed}
        if self.target == "regression":
            model = HistGradientBoostingRegressor(**settings)
        else:
            model = HistGradientBoostingClassifier(**settings)
        model.fit(x[known], y[known])
        if not check.any():
            return model, self.trees
        target: Target = "regression" if self.target == "regression" else "binary"
        errors = [
            _loss(target, y_check[check, None], told[:, None])
            for told in _staged(model, x_check[check], self.trees)
        ]
        return model, int(np.argmin(errors)) + 1

    def _predict(self, x: Floats) -> NDArray[Any]:
        columns = []
        for found in self._models:
            if isinstance(found, float):
                columns.append(np.full(len(x), found))
                continue
            model, trees = found
            *_, last = _staged(model, x, trees)
            columns.append(last)
        told = np.stack(columns, axis=1)
        if self.target == "multi-class":
            told = told / np.maximum(told.sum(axis=1, keepdims=True), 1e-12)
        return told


def _staged(model: Any, x: Floats, trees: int) -> Any:
    """Yield the predictions with 1, 2, ... trees: values, or probabilities of 1."""
    if hasattr(model, "staged_predict_proba"):
        stages = (told[:, 1] for told in model.staged_predict_proba(x))
    else:
        stages = iter(model.staged_predict(x))
    for _, told in zip(range(trees), stages, strict=False):
        yield told


def _loss(target: Target, labels: NDArray[Any], told: NDArray[Any]) -> float:
    """Mean over the known labels: squared error, or what the right answer surprises by."""
    known = ~np.isnan(labels)
    truth, guess = labels[known].astype(np.float64), told[known].astype(np.float64)
    if target == "regression":
        return float(((truth - guess) ** 2).mean())
    guess = np.clip(guess, 1e-7, 1 - 1e-7)
    return float(-(truth * np.log(guess) + (1 - truth) * np.log1p(-guess)).mean())


def lookup(data: TaskData, split: str) -> dict[str, float]:
    """Measure `Lookup` on the test part of a split, by the task's metrics."""
    train, validation, test = (data.subset(split, name) for name in ("train", "validation", "test"))
    model = Lookup(data.target, len(data.outputs))
    model.fit_subset(train, validation)
    found = measure_predictions(
        np.asarray(test.labels), model.predict(test.inputs), data.metrics, draws=0
    )
    return {measured.metric: measured.value for measured in found}


BASELINES: dict[str, type[Baseline]] = {
    kind.name: kind for kind in (Constant, Lookup, KmerLinear, KmerBoosting, MotifLinear)
}
"""Baselines by name."""
