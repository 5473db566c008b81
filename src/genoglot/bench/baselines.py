"""Baselines: cheap predictors to compare every deep model with.

Every baseline has `fit(inputs, labels, validation)` and `predict(inputs)`. Inputs are codes, uint8
(n, length), or, for variants, a pair of codes without and with the variant. Labels and predictions
are those of `genoglot.tasks.dataset.Examples`: predictions are probabilities (of classes, one
column each) or values. The strength of regularization and the number of trees are chosen on
validation data. The same seed gives the same predictions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.bench.features import Inputs, composition, compute_features, take
from genoglot.bench.linear import fit_linear, predict_linear
from genoglot.errors import TaskError
from genoglot.evaluation.predictions import measure_predictions
from genoglot.models.dna.target import NUCLEOTIDES, Target, TaskTarget
from genoglot.sequence.alphabet import N
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
        Number of columns of the predictions: outputs, or classes.
    seed
        Random seed.
    max_examples
        Maximum number of training examples; of more, so many are drawn at random.
    """

    name: ClassVar[str]
    reads_dna: ClassVar[bool] = True
    """Whether the prediction depends on what is similar between sequences."""

    def __init__(
        self, target: TaskTarget, n_outputs: int, *, seed: int = 0, max_examples: int = 100_000
    ) -> None:
        self.n_outputs, self.seed, self.max_examples = n_outputs, seed, max_examples

    @abstractmethod
    def fit(self, inputs: Inputs, labels: Any, validation: Validation) -> None:
        """Fit to examples.

        Parameters
        ----------
        inputs
            Codes (n, length), or a pair of codes.
        labels
            Labels, float32 (n, outputs), NaN where a label is missing; classes (n, 1); of
            nucleotides (n, positions).
        validation
            Inputs and labels that settings are chosen by.

        Raises
        ------
        TaskError
            If there is no example, or not one row of labels for each.
        """

    @abstractmethod
    def predict(self, inputs: Inputs) -> Floats:
        """Predict.

        Returns
        -------
        float32 array
            Predictions, (n, n_outputs); of nucleotides (n, positions, n_outputs).
        """

    def fit_subset(self, train: Examples, validation: Examples) -> None:
        """Fit to the subsets of a split."""
        self.fit(train.inputs, train.labels, (validation.inputs, validation.labels))


class FeatureBaseline(Baseline):
    """A baseline that predicts labels of a sequence from its features.

    Raises
    ------
    TaskError
        If the labels are those of nucleotides.
    """

    def __init__(self, target: TaskTarget, n_outputs: int, **common: Any) -> None:
        super().__init__(target, n_outputs, **common)
        if target == NUCLEOTIDES:
            raise TaskError(f"{self.name} predicts labels of sequences, not of nucleotides")
        self.target = target

    def fit(self, inputs: Inputs, labels: Any, validation: Validation) -> None:  # noqa: D102
        n = len(inputs[0]) if isinstance(inputs, tuple) else len(inputs)
        if not n or n != len(labels):
            raise TaskError(f"{n} sequences and {len(labels)} labels; give as many of each")
        if n > self.max_examples:
            rng = np.random.default_rng(self.seed)
            rows = np.sort(rng.choice(n, self.max_examples, replace=False))
            inputs, labels = take(inputs, rows), labels[rows]
        y, y_validation = self._columns(labels), self._columns(validation[1])
        x_validation = self._features(validation[0])
        self._fit(self._features(inputs), y, x_validation, y_validation)

    def predict(self, inputs: Inputs) -> Floats:  # noqa: D102
        return self._predict(self._features(inputs)).astype(np.float32)

    def _columns(self, labels: ArrayLike) -> Floats:
        """Labels as (n, outputs); for classes one column of 0 and 1 for each."""
        values = np.asarray(labels, np.float32)
        values = values[:, None] if values.ndim == 1 else values
        if self.target != "multi-class":
            return values
        return np.asarray(values == np.arange(self.n_outputs), np.float32)

    def _features(self, inputs: Inputs) -> Floats:
        return compute_features(inputs, self._describe)

    @abstractmethod
    def _describe(self, codes: NDArray[np.uint8]) -> Floats: ...

    @abstractmethod
    def _fit(self, x: Floats, y: Floats, x_validation: Floats, y_validation: Floats) -> None: ...

    @abstractmethod
    def _predict(self, x: Floats) -> NDArray[Any]: ...


class Lookup(FeatureBaseline):
    """The mean label of the training examples with the same sequence; else the mean of all labels.

    The lookup learns nothing about DNA: any model can reach its figures on the test subset of a
    split by memorizing the training subset. For variants, both alleles must be the same.
    """

    name = "lookup"
    reads_dna = False

    def _describe(self, codes: NDArray[np.uint8]) -> Any:
        return hash_rows(codes)[:, None]

    def _fit(self, x: Any, y: Floats, x_validation: Floats, y_validation: Floats) -> None:
        keys, index = np.unique(x, axis=0, return_inverse=True)
        sums, counts = (np.zeros((len(keys) + 1, y.shape[1])) for _ in range(2))
        known = ~np.isnan(y)
        for row in (
            index.ravel(),
            np.full(len(y), len(keys)),
        ):  # the last row is that of all labels
            np.add.at(sums, row, np.where(known, y, 0))
            np.add.at(counts, row, known)
        means = sums / np.maximum(counts, 1)
        self._means = np.where(counts > 0, means, means[-1])
        self._row_of = {key: i for i, key in enumerate(map(tuple, keys.tolist()))}

    def _predict(self, x: Any) -> NDArray[Any]:
        unknown = len(self._means) - 1
        rows = [self._row_of.get(key, unknown) for key in map(tuple, x.tolist())]
        return np.asarray(self._means[rows])


class Constant(Lookup):
    """The mean training label for every sequence: the majority class, or the mean value.

    For nucleotides, the frequency of each class, for every nucleotide.
    """

    name = "constant"

    def __init__(self, target: TaskTarget, n_outputs: int, **common: Any) -> None:
        super().__init__("multi-class" if target == NUCLEOTIDES else target, n_outputs, **common)
        self._nucleotides = target == NUCLEOTIDES

    def fit(self, inputs: Inputs, labels: Any, validation: Validation) -> None:  # noqa: D102
        if not self._nucleotides:
            super().fit(inputs, labels, validation)
            return
        assert not isinstance(inputs, tuple)
        classes = np.asarray(labels)
        self._context = inputs.shape[1] - classes.shape[1]
        self._frequency = np.bincount(classes[classes >= 0], minlength=self.n_outputs)
        self._frequency = self._frequency / self._frequency.sum()

    def predict(self, inputs: Inputs) -> Floats:  # noqa: D102
        if not self._nucleotides:
            return super().predict(inputs)
        assert not isinstance(inputs, tuple)
        shape = (len(inputs), inputs.shape[1] - self._context, self.n_outputs)
        return np.broadcast_to(self._frequency, shape).astype(np.float32)

    def _describe(self, codes: NDArray[np.uint8]) -> Any:
        return np.zeros((len(codes), 1), np.float32)


class Linear(FeatureBaseline):
    """Logistic regression, or ridge regression of values, on features."""

    PENALTIES: ClassVar[tuple[float, ...]] = (10.0, 1.0, 0.1, 0.01, 0.001)

    def _fit(self, x: Floats, y: Floats, x_validation: Floats, y_validation: Floats) -> None:
        self._center = x.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = x.std(axis=0, dtype=np.float64).astype(np.float32)
        self._scale = np.where(spread > 1e-6, spread, np.float32(1))
        x, x_validation = self._scaled(x), self._scaled(x_validation)
        best, weights = np.inf, None
        for penalty in self.PENALTIES:  # from the strongest, each from the weights of the last one
            weights = fit_linear(x, y, self.target, penalty, start=weights)
            predictions = predict_linear(x_validation, weights, self.target)
            loss = _loss(self.target, y_validation, predictions)
            if loss >= best:  # weaker penalties would only fit noise, and take longer
                break
            best, self._weights, self.penalty = loss, weights, penalty

    def _predict(self, x: Floats) -> NDArray[Any]:
        return predict_linear(self._scaled(x), self._weights, self.target)

    def _scaled(self, x: Floats) -> Floats:
        return np.asarray((x - self._center) / self._scale)


class Kmers(FeatureBaseline):
    """A baseline that reads k-mer counts.

    Parameters
    ----------
    target, n_outputs, **common
        As in `Baseline`.
    k
        Length of the k-mers, 1 to 6. Default: 6 of `KmerLinear`, 4 of `KmerBoosting`.
    """

    K: ClassVar[int]

    def __init__(
        self, target: TaskTarget, n_outputs: int, *, k: int | None = None, **common: Any
    ) -> None:
        super().__init__(target, n_outputs, **common)
        self.k = self.K if k is None else k

    def _describe(self, codes: NDArray[np.uint8]) -> Floats:
        return kmer_counts(codes, self.k)


class KmerLinear(Kmers, Linear):
    """Linear model of k-mer frequencies: logistic regression, or ridge regression of values."""

    name = "kmer-linear"
    K = 6


MOTIF_THRESHOLD = 0.85
"""Relative score from which a site of a motif counts: 0 is the worst site, 1 the best one."""


class MotifLinear(Linear):
    """Linear model of the composition (G + C, CpG) and the counts of JASPAR 2018 motifs."""

    name = "motif-linear"

    def __init__(self, target: TaskTarget, n_outputs: int, **common: Any) -> None:
        super().__init__(target, n_outputs, **common)
        self._scanner = MotifScanner([motif.relative for motif in jaspar()])

    def _describe(self, codes: NDArray[np.uint8]) -> Floats:
        counts = np.log1p(self._scanner.count_sites(codes, MOTIF_THRESHOLD))
        return np.hstack([composition(codes), counts])


class KmerBoosting(Kmers):
    """Gradient-boosted trees on k-mer counts, some for each output.

    Parameters
    ----------
    target, n_outputs, **common
        As in `Kmers`.
    trees
        Maximum number of trees for each output; the number is chosen on validation data.
    """

    name = "kmer-boosting"
    K = 4

    def __init__(
        self, target: TaskTarget, n_outputs: int, *, trees: int = 200, **common: Any
    ) -> None:
        super().__init__(target, n_outputs, **common)
        self.trees = trees

    def _fit(self, x: Floats, y: Floats, x_validation: Floats, y_validation: Floats) -> None:
        self._models = [
            self._grow(x, y[:, i], x_validation, y_validation[:, i]) for i in range(self.n_outputs)
        ]

    def _grow(
        self, x: Floats, y: Floats, x_validation: Floats, y_validation: Floats
    ) -> tuple[Any, int] | float:
        """Train trees and choose how many are used; a constant if all labels are the same."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        known, check = ~np.isnan(y), ~np.isnan(y_validation)
        if len(np.unique(y[known])) < 2:
            return float(y[known][0]) if known.any() else 0.0
        regression = self.target == "regression"
        boosting = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
        model = boosting(max_iter=self.trees, early_stopping=False, random_state=self.seed)
        model.fit(x[known], y[known])
        if not check.any():
            return model, self.trees
        losses = [
            _loss("regression" if regression else "binary", y_validation[check], predictions)
            for predictions in _staged(model, x_validation[check])
        ]
        return model, int(np.argmin(losses)) + 1

    def _predict(self, x: Floats) -> NDArray[Any]:
        columns = []
        for found in self._models:
            if isinstance(found, float):
                columns.append(np.full(len(x), found))
            else:
                model, trees = found
                columns.append(list(_staged(model, x))[trees - 1])
        predictions = np.stack(columns, axis=1)
        if self.target == "multi-class":
            predictions /= np.maximum(predictions.sum(axis=1, keepdims=True), 1e-12)
        return predictions


def _staged(model: Any, x: Floats) -> Any:
    """Yield the predictions with 1, 2, ... trees: values, or probabilities of 1."""
    if hasattr(model, "staged_predict_proba"):
        return (probabilities[:, 1] for probabilities in model.staged_predict_proba(x))
    return model.staged_predict(x)


def _loss(target: Target, labels: NDArray[Any], predictions: NDArray[Any]) -> float:
    """Mean over the labels that are not missing: squared error, or cross-entropy."""
    known = ~np.isnan(labels)
    truth, p = labels[known].astype(np.float64), predictions[known].astype(np.float64)
    if target == "regression":
        return float(((truth - p) ** 2).mean())
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return float(-(truth * np.log(p) + (1 - truth) * np.log1p(-p)).mean())


def lookup_metrics(data: TaskData, split: str) -> dict[str, float]:
    """Compute the task's metrics of a `Lookup` on the test subset of a split."""
    train, validation, test = (data.subset(split, name) for name in ("train", "validation", "test"))
    model = Lookup(data.target, len(data.outputs))
    model.fit_subset(train, validation)
    found = measure_predictions(
        np.asarray(test.labels), model.predict(test.inputs), data.metrics, draws=0
    )
    return {one.metric: one.value for one in found}


SPLICE_WINDOWS = ((-20, 3), (-2, 7))
"""Bases around a site that its matrix reads, half-open: 20 of the intron and 3 of the exon of an
acceptor, 3 of the exon and 6 of the intron of a donor (as Yeo and Burge 2004, MaxEntScan)."""

_LOW, _HIGH = min(low for low, _ in SPLICE_WINDOWS), max(high for _, high in SPLICE_WINDOWS)


class SpliceMatrices(Baseline):
    """Position weight matrices of acceptors and donors, classes 1 and 2 of nucleotides.

    The score of a site is the sum of the log-odds of its bases, against those of all nucleotides;
    with the frequency of each class that gives probabilities.
    """

    name = "splice-matrices"

    def __init__(self, target: TaskTarget, n_outputs: int, **common: Any) -> None:
        super().__init__(target, n_outputs, **common)
        self._fits = target == NUCLEOTIDES and n_outputs == len(SPLICE_WINDOWS) + 1

    def fit(self, inputs: Inputs, labels: Any, validation: Validation) -> None:  # noqa: D102
        if not self._fits or isinstance(inputs, tuple) or not len(inputs):
            raise TaskError(f"{self.name} predicts neither, acceptor or donor of nucleotides only")
        self._context = inputs.shape[1] - labels.shape[1]
        background = np.ones(4)
        counts = [np.ones((high - low, 4)) for low, high in SPLICE_WINDOWS]
        numbers = np.zeros(self.n_outputs)
        for number in range(len(inputs)):
            classes, windows = np.asarray(labels[number]), self._windows(inputs[number])
            numbers += np.bincount(classes[classes >= 0], minlength=self.n_outputs)
            background += np.bincount(inputs[number], minlength=N + 1)[:N]
            for i, (low, high) in enumerate(SPLICE_WINDOWS):
                sites = windows[classes == i + 1, low - _LOW : high - _LOW]
                counts[i] += (sites[:, :, None] == np.arange(4)).sum(axis=0)
        background /= background.sum()
        odds = [np.log(n / n.sum(axis=1, keepdims=True) / background) for n in counts]
        self._log_odds = [np.pad(matrix, ((0, 0), (0, 1))).astype(np.float32) for matrix in odds]
        self._prior = np.log((numbers + 1) / (numbers + 1).sum())

    def predict(self, inputs: Inputs) -> Floats:  # noqa: D102
        assert not isinstance(inputs, tuple)
        found = []
        for number in range(len(inputs)):
            windows = self._windows(inputs[number])
            scores = np.zeros((len(windows), self.n_outputs), np.float32)
            for i, (low, high) in enumerate(SPLICE_WINDOWS):
                part = windows[:, low - _LOW : high - _LOW]
                scores[:, i + 1] = self._log_odds[i][np.arange(high - low), part].sum(axis=1)
            scores += self._prior
            odds = np.exp(scores - scores.max(axis=1, keepdims=True))
            found.append(odds / odds.sum(axis=1, keepdims=True))
        return np.asarray(found, np.float32)

    def _windows(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bases around each nucleotide with a label, N past the ends: (positions, width)."""
        crop = self._context // 2
        padded = np.pad(codes, (-_LOW, _HIGH), constant_values=N)
        every = np.lib.stride_tricks.sliding_window_view(padded, _HIGH - _LOW)
        return every[crop : len(codes) - crop]


BASELINES: dict[str, type[Baseline]] = {
    baseline.name: baseline
    for baseline in (Constant, Lookup, KmerLinear, KmerBoosting, MotifLinear, SpliceMatrices)
}
"""Baselines by name."""
