"""Metrics of predicted labels, such as AUROC, top-k, MCC, macro precision; with intervals.

Every metric takes the weights of the examples, of many bootstrap draws at once: a draw is a weight
for each example. Examples are then sorted once, and not once per draw as with scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import GenoglotError
from genoglot.evaluation.intervals import DRAWN_AT_ONCE, proportion_interval, resample_counts

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Values = NDArray[np.float64]


class MetricValue(NamedTuple):
    """Value of one metric of a set of predictions.

    Attributes
    ----------
    metric
        Name of the metric, a key of `METRICS`.
    value
        Mean over the outputs for which the metric is defined.
    low, high
        Bounds of the 95 % interval of `value`; NaN if no interval was asked for. For Spearman and
        MSE, and for MCC, macro precision and macro recall below 1, these are percentiles of a
        bootstrap. For accuracy, AUPRC, top-k and AUROC it is the interval of a proportion with
        the spread of the bootstrap (`proportion_interval`), since percentiles are too narrow where
        a label is rare or the value near 1.
    outputs
        Value for each output, NaN where the metric is not defined, float64 (outputs,).
    """

    metric: str
    value: float
    low: float
    high: float
    outputs: Values


def auroc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Values:
    """Compute the area under the receiver operating characteristic; ties count a half.

    Parameters
    ----------
    labels
        Labels, 0 or 1, (n,).
    scores
        Scores, higher for label 1, (n,).
    weights
        Weight of each example in each draw, (draws, n). Default: one draw with all weights 1.

    Returns
    -------
    float64 array
        Value for each draw, (draws,); NaN where one of the classes is missing.

    Examples
    --------
    >>> auroc([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8])
    array([0.875])
    """
    positive, negative = _by_score(labels, scores, weights)
    below = np.cumsum(negative, axis=1) - negative
    area = (positive * (below + negative / 2)).sum(axis=1)
    return _ratio(area, positive.sum(axis=1) * negative.sum(axis=1))


def auprc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Values:
    """Compute the area under the precision-recall curve, as average precision.

    There is a threshold at each distinct score, as in ``sklearn.metrics.average_precision_score``.
    Parameters and result are as in `auroc`.

    Examples
    --------
    >>> auprc([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8]).round(4)
    array([0.8333])
    """
    positive, negative = (array[:, ::-1] for array in _by_score(labels, scores, weights))
    hits, misses = np.cumsum(positive, axis=1), np.cumsum(negative, axis=1)
    precision = hits / np.maximum(hits + misses, np.finfo(np.float64).tiny)
    return _ratio((positive * precision).sum(axis=1), positive.sum(axis=1))


def top_k(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Values:
    """Compute the top-k accuracy, where k is the number of labels 1 (Jaganathan et al. 2019).

    This is the proportion of label 1 among the k highest scores: precision and recall at the
    threshold at which they are equal. If the last of them are tied with further scores, each of the
    tied counts in proportion. Parameters and result are as in `auroc`.

    Examples
    --------
    >>> top_k([0, 1, 0, 1, 0], [0.1, 0.4, 0.5, 0.8, 0.4])
    array([0.5])
    """
    positive, negative = (array[:, ::-1] for array in _by_score(labels, scores, weights))
    size, k = positive + negative, positive.sum(axis=1)
    above = np.cumsum(size, axis=1) - size
    taken = np.clip(k[:, None] - above, 0, size)
    hits = (positive * taken / np.maximum(size, np.finfo(np.float64).tiny)).sum(axis=1)
    return _ratio(hits, k)


def accuracy(labels: ArrayLike, classes: ArrayLike, weights: ArrayLike | None = None) -> Values:
    """Compute the proportion of right classes; parameters and result are as in `mcc`.

    Examples
    --------
    >>> accuracy([0, 1, 2, 2], [0, 1, 1, 2])
    array([0.75])
    """
    right = np.asarray(labels) == np.asarray(classes)
    weight = _weights(weights, len(right))
    return _ratio(weight @ right, weight.sum(axis=1))


def mcc(labels: ArrayLike, classes: ArrayLike, weights: ArrayLike | None = None) -> Values:
    """Compute the Matthews correlation coefficient of two or more classes (Gorodkin 2004).

    Parameters
    ----------
    labels, classes
        True and predicted class numbers, (n,).
    weights
        As in `auroc`.

    Returns
    -------
    float64 array
        Value for each draw, (draws,); 0 where all labels, or all predictions, are the same class.

    Examples
    --------
    >>> mcc([0, 0, 1, 1], [0, 0, 1, 0]).round(4)
    array([0.5774])
    """
    true, predicted, each = _class_weights(labels, classes, weights)
    total, right = true.sum(axis=1), each.sum(axis=1)
    spread = [total**2 - (counts**2).sum(axis=1) for counts in (true, predicted)]
    covariance = right * total - (true * predicted).sum(axis=1)
    return np.nan_to_num(_ratio(covariance, np.sqrt(spread[0] * spread[1])))


def macro_precision(
    labels: ArrayLike, classes: ArrayLike, weights: ArrayLike | None = None
) -> Values:
    """Compute the mean over the classes of the proportion of their predictions that are right.

    The precision of a class that is never predicted is 0, so that a classifier that predicts one of
    two equally frequent classes for everything has 0.25. Parameters and result are as in `mcc`.

    Examples
    --------
    >>> macro_precision([0, 0, 1, 1], [0, 0, 1, 0]).round(4)
    array([0.8333])
    >>> macro_precision([0, 0, 1, 1], [0, 0, 0, 0])
    array([0.25])
    """
    true, predicted, right = _class_weights(labels, classes, weights)
    return _mean_of_classes(right, predicted, true + predicted > 0)


def macro_recall(labels: ArrayLike, classes: ArrayLike, weights: ArrayLike | None = None) -> Values:
    """Compute the mean over the classes of the proportion of their examples that are found.

    A classifier that predicts one of two classes for everything has 0.5. Parameters and result are
    as in `mcc`.

    Examples
    --------
    >>> macro_recall([0, 0, 1, 1], [0, 0, 1, 0])
    array([0.75])
    """
    true, predicted, right = _class_weights(labels, classes, weights)
    return _mean_of_classes(right, true, true + predicted > 0)


def _mean_of_classes(right: Values, of: Values, occurs: NDArray[np.bool_]) -> Values:
    """Mean of the proportions `right / of`, 0 where `of` is 0, over the classes that occur."""
    proportions = np.nan_to_num(_ratio(right, of))
    return _ratio((proportions * occurs).sum(axis=1), occurs.sum(axis=1).astype(np.float64))


def _class_weights(
    labels: ArrayLike, classes: ArrayLike, weights: ArrayLike | None
) -> tuple[Values, Values, Values]:
    """Weight of each class in the labels, in the predictions and in both: (draws, classes)."""
    truth, answers = np.asarray(labels, np.int64), np.asarray(classes, np.int64)
    weight = _weights(weights, len(truth))
    numbers = range(int(max(truth.max(initial=0), answers.max(initial=0))) + 1)
    is_true, is_predicted = (
        np.stack([side == number for number in numbers], axis=1).astype(np.float64)
        for side in (truth, answers)
    )
    return weight @ is_true, weight @ is_predicted, weight @ (is_true * is_predicted)


def spearman(labels: ArrayLike, values: ArrayLike, weights: ArrayLike | None = None) -> Values:
    """Compute Spearman's rank correlation; ties have their mean rank.

    Parameters
    ----------
    labels, values
        True and predicted values, (n,).
    weights
        As in `auroc`.

    Returns
    -------
    float64 array
        Value for each draw, (draws,); NaN where the labels or the values are all equal.

    Examples
    --------
    >>> spearman([1, 2, 3, 4], [0.1, 0.3, 0.2, 0.9]).round(4)
    array([0.8])
    """
    weight = _weights(weights, len(np.asarray(labels)))
    a, b = (_ranks(np.asarray(side, np.float64), weight) for side in (labels, values))
    total = weight.sum(axis=1, keepdims=True)
    a, b = (side - (weight * side).sum(axis=1, keepdims=True) / total for side in (a, b))
    variance = (weight * a**2).sum(axis=1) * (weight * b**2).sum(axis=1)
    return _ratio((weight * a * b).sum(axis=1), np.sqrt(variance))


def mse(labels: ArrayLike, values: ArrayLike, weights: ArrayLike | None = None) -> Values:
    """Compute the mean squared error; parameters and result are as in `spearman`.

    Examples
    --------
    >>> mse([1, 2], [1, 4])
    array([2.])
    """
    error = (np.asarray(labels, np.float64) - np.asarray(values, np.float64)) ** 2
    weight = _weights(weights, len(error))
    return _ratio(weight @ error, weight.sum(axis=1))


Metric = Callable[[Any, Any, Any], Values]

METRICS: dict[str, Metric] = {
    "AUROC": auroc,
    "AUPRC": auprc,
    "top-k": top_k,
    "MCC": mcc,
    "accuracy": accuracy,
    "precision (macro)": macro_precision,
    "recall (macro)": macro_recall,
    "Spearman": spearman,
    "MSE": mse,
}
"""Metrics by the names that tables show."""

OF_CLASSES = ("MCC", "accuracy", "precision (macro)", "recall (macro)")
"""Metrics of class numbers; where there are probabilities of classes, the highest one counts."""

OF_SCORES = ("AUROC", "AUPRC", "top-k")
"""Metrics of the order of scores."""


def measure_predictions(
    labels: ArrayLike,
    predictions: ArrayLike,
    metrics: Sequence[str],
    *,
    groups: ArrayLike | None = None,
    counts: csr_array | None = None,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> list[MetricValue]:
    """Compute metrics of predictions, with bootstrap intervals.

    Parameters
    ----------
    labels
        Labels, (n, outputs) or (n,), NaN where a label is missing; or class numbers.
    predictions
        Predictions, (n, outputs) or (n,); of classes, their probabilities (n, classes) or their
        numbers (n,). One column of numbers between 0 and 1 that are not all whole is the
        probability of class 1. AUROC and AUPRC of probabilities of two classes are those of class
        1; of more classes, the mean over the classes, each against all others.
    metrics
        Names of metrics, keys of `METRICS`.
    groups
        Labels of the groups that a draw takes as a whole, such as elements, (n,). Default: each
        example is a group.
    counts
        In place of groups: how many equal examples of each group an example stands for, sparse
        (groups, n).
    draws
        Number of bootstrap draws; 0 for no interval.
    level
        Level of the interval, between 0 and 1.
    seed
        Random seed of the draws: the same seed gives the same interval.

    Returns
    -------
    list of MetricValue
        One for each metric.

    Raises
    ------
    GenoglotError
        If a metric is unknown, shapes differ, a prediction is NaN, or a metric of classes is asked
        for and the predictions are neither numbers nor probabilities of classes.

    Examples
    --------
    >>> found = measure_predictions([0, 1, 0, 1], [0.1, 0.3, 0.2, 0.8], ["AUROC"], draws=0)
    >>> found[0].metric, found[0].value
    ('AUROC', 1.0)
    """
    truth, predicted = (np.asarray(side, np.float64) for side in (labels, predictions))
    truth, predicted = (side[:, None] if side.ndim == 1 else side for side in (truth, predicted))
    if unknown := [name for name in metrics if name not in METRICS]:
        raise GenoglotError(f"no metric {unknown[0]!r}; choose one of {', '.join(METRICS)}")
    if len(truth) != len(predicted) or not len(truth):
        raise GenoglotError(f"{len(truth)} labels for {len(predicted)} predictions; give one each")
    if np.isnan(predicted).any():
        raise GenoglotError("some predictions are NaN; check the model")
    compared = [_compared(name, truth, predicted) for name in metrics]
    units = _Groups(len(truth), groups) if counts is None else _Counts(counts)
    found = []
    for name, (true, given) in zip(metrics, compared, strict=True):
        values = _each_output(name, true, given, units.weights(np.ones((1, len(units)))))[0]
        value = float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
        low = high = np.nan
        if draws and len(units) > 1 and not np.isnan(value):
            means = _drawn_means(name, true, given, units, draws, seed)
            low, high = _bounds(name, value, means[~np.isnan(means)], true, units, level)
        found.append(MetricValue(name, value, float(low), float(high), values))
    return found


def _compared(name: str, truth: Values, predicted: Values) -> tuple[Values, Values]:
    """Labels and predictions as a metric compares them, of one shape."""
    if name in OF_CLASSES:
        if truth.shape[1] != 1:
            raise GenoglotError(f"{name} needs class numbers, not {truth.shape[1]} labels each")
        return truth, _classes(truth, predicted)
    n_classes = predicted.shape[1]
    if (
        name in OF_SCORES
        and truth.shape[1] == 1 < n_classes
        and np.nanmax(truth, initial=0) < n_classes
    ):
        each = np.where(np.isnan(truth), np.nan, truth == np.arange(n_classes))
        return (each[:, 1:], predicted[:, 1:]) if n_classes == 2 else (each, predicted)
    if predicted.shape != truth.shape:
        raise GenoglotError(f"predictions of shape {predicted.shape} for labels {truth.shape}")
    return truth, predicted


def _classes(truth: Values, predicted: Values) -> Values:
    """Class numbers of predictions, (n, 1)."""
    if predicted.shape[1] > 1:
        return np.asarray(predicted.argmax(axis=1)[:, None], np.float64)
    whole, last = (predicted == np.rint(predicted)).all(), np.nanmax(truth, initial=0)
    if whole and predicted.min() >= 0:
        return predicted
    if last <= 1 and predicted.min() >= 0 and predicted.max() <= 1:
        return (predicted > 0.5).astype(np.float64)
    raise GenoglotError(
        f"one column of predictions from {predicted.min():.4g} to {predicted.max():.4g} for "
        f"classes 0 to {last:.0f}: give class numbers, the probability of class 1 (of two "
        "classes), or a probability for each class"
    )


class _Groups:
    """The groups of examples that a draw takes as a whole."""

    def __init__(self, n: int, groups: ArrayLike | None) -> None:
        self._group = np.arange(n)
        if groups is not None:
            self._group = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
        self.independent = len(self) == n

    def __len__(self) -> int:
        return int(self._group.max()) + 1

    def weights(self, drawn: Values) -> Values:
        """Weight of each example, (draws, n), where those of groups are (draws, groups)."""
        return drawn[:, self._group]

    def having(self, chosen: NDArray[np.bool_]) -> int:
        """Count the groups with one of the chosen examples, bool (n,)."""
        return len(np.unique(self._group[chosen]))


class _Counts:
    """How often each group has each of the distinct examples: sparse (groups, n)."""

    independent = False

    def __init__(self, counts: csr_array) -> None:
        self._counts = counts

    def __len__(self) -> int:
        return int(self._counts.shape[0])

    def weights(self, drawn: Values) -> Values:
        """Weight of each example, (draws, n), where those of groups are (draws, groups)."""
        return np.asarray(drawn @ self._counts)

    def having(self, chosen: NDArray[np.bool_]) -> int:
        """Count the groups with one of the chosen examples, bool (n,)."""
        return int((self._counts @ chosen > 0).sum())


def _bounds(
    name: str,
    value: float,
    means: Values,
    truth: Values,
    units: _Groups | _Counts,
    level: float,
) -> tuple[float, float]:
    """Interval of a metric from its draws; tests/evaluation/test_coverage.py simulates coverage."""
    spread = float(means.std())
    edge = spread == 0 and name in OF_CLASSES and value == 1
    if name not in ("accuracy", *OF_SCORES) and not edge:
        low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)
    if name == "accuracy":
        spread = 0.0 if units.independent else spread
        return proportion_interval(value, spread, float(len(units)), level=level)
    if edge:  # of two classes of like size, these are the accuracy, and MCC is 2 * accuracy - 1
        rare = min(units.having(truth[:, 0] == label) for label in np.unique(truth))
        low, high = proportion_interval(value, 0.0, 2 * rare, level=level)
        return (2 * low - 1, 2 * high - 1) if name == "MCC" else (low, high)
    positive, negative = (
        sum(units.having(some) for some in table.T) for table in (truth > 0, truth == 0)
    )
    if name in ("AUPRC", "top-k"):
        return proportion_interval(value, spread, positive, level=level)
    # An AUROC is at most three times as precise as a proportion of the rarer class.
    return proportion_interval(value, spread, 3 * min(positive, negative), level=level)


def _drawn_means(
    name: str,
    truth: Values,
    predicted: Values,
    units: _Groups | _Counts,
    draws: int,
    seed: int,
) -> Values:
    """Mean over the outputs in each draw; all metrics have the same draws for a seed."""
    rng = np.random.default_rng(seed)
    at_once = max(1, DRAWN_AT_ONCE // len(truth))
    means = []
    for first in range(0, draws, at_once):
        size = min(at_once, draws - first)
        weights = units.weights(resample_counts(size, len(units), rng))
        values = _each_output(name, truth, predicted, weights)
        known = ~np.isnan(values)
        means.append(
            _ratio(np.where(known, values, 0).sum(axis=1), known.sum(axis=1).astype(np.float64))
        )
    return np.concatenate(means)


def _each_output(name: str, truth: Values, predicted: Values, weights: Values) -> Values:
    """Value for each draw and output, (draws, outputs), over the examples with a label."""
    columns = []
    for label, value in zip(truth.T, predicted.T, strict=True):
        known = ~np.isnan(label)
        if known.any():
            some = weights if known.all() else weights[:, known]
            columns.append(METRICS[name](label[known], value[known], some))
        else:
            columns.append(np.full(len(weights), np.nan))
    return np.stack(columns, axis=1)


def _weights(weights: ArrayLike | None, n: int) -> Values:
    return np.ones((1, n)) if weights is None else np.asarray(weights, np.float64)


def _by_score(
    labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None
) -> tuple[Values, Values]:
    """Weight of positives and negatives at each distinct score, ascending: (draws, scores)."""
    truth, score = np.asarray(labels) > 0, np.asarray(scores)
    weight = _weights(weights, len(truth))
    order = np.argsort(score, kind="stable")
    first = _first_of_each(score[order])
    weight = weight[:, order]
    positive = np.add.reduceat(weight * truth[order], first, axis=1)
    return positive, np.add.reduceat(weight, first, axis=1) - positive


def _ranks(values: Values, weight: Values) -> Values:
    """Mean rank of each example in each draw, up to a constant: (draws, n)."""
    order = np.argsort(values, kind="stable")
    first = _first_of_each(values[order])
    tied = np.add.reduceat(weight[:, order], first, axis=1)
    rank = np.cumsum(tied, axis=1) - tied / 2
    of_group = np.repeat(np.arange(len(first)), np.diff(np.r_[first, len(values)]))
    ranks = np.empty(weight.shape)
    ranks[:, order] = rank[:, of_group]
    return ranks


def _first_of_each(ordered: NDArray[Any]) -> NDArray[np.int64]:
    return np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])


def _ratio(above: Values, below: Values) -> Values:
    """Divide; NaN where the divisor is 0."""
    ratio: Values = np.full(np.shape(above), np.nan)
    return np.divide(above, below, out=ratio, where=below > 0)
