"""Metrics of the classes of nucleotides, such as splice sites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import GenoglotError
from genoglot.evaluation.predictions import (
    METRICS,
    OF_CLASSES,
    OF_SCORES,
    MetricValue,
    measure_predictions,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

OF_NUCLEOTIDES = (*OF_SCORES, *OF_CLASSES)
"""Metrics that nucleotides have."""


def measure_nucleotides(
    labels: ArrayLike,
    predictions: ArrayLike,
    metrics: Sequence[str] = ("top-k", "AUPRC"),
    *,
    groups: ArrayLike | None = None,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> list[MetricValue]:
    """Compute metrics of the classes of nucleotides, over all nucleotides of all sequences.

    Class 0 is the background, such as nucleotides that are not splice sites. For metrics of scores
    (top-k, AUPRC and AUROC), each other class is measured against all nucleotides, and the value is
    the mean over these classes. For metrics of classes, such as MCC and macro precision, a
    nucleotide has the class with the highest probability, and the background is a class too.

    Parameters
    ----------
    labels
        Class numbers, (n, positions), below 0 where a label is missing.
    predictions
        Probabilities of the classes, (n, positions, classes).
    metrics
        Names of metrics: top-k, AUPRC, AUROC, MCC, accuracy, precision (macro), recall (macro).
    groups
        Labels of the groups of sequences that a draw of the bootstrap takes as a whole, such as
        genes, (n,). Default: each sequence is a group.
    draws, level, seed
        As in `measure_predictions`.

    Returns
    -------
    list of MetricValue
        One for each metric; for metrics of scores, `outputs` has the value of each class but
        class 0.

    Raises
    ------
    GenoglotError
        If a metric is another one, shapes do not fit, or a prediction is NaN.

    Examples
    --------
    >>> labels = np.array([[0, 1, 2, 0, -1]])
    >>> predictions = np.eye(3)[[[0, 1, 2, 0, 0]]] * 0.9
    >>> [(found.metric, found.value) for found in measure_nucleotides(labels, predictions, draws=0)]
    [('top-k', 1.0), ('AUPRC', 1.0)]
    """
    truth, predicted = np.asarray(labels), np.asarray(predictions)
    if predicted.ndim != 3 or predicted.shape[:2] != truth.shape:
        raise GenoglotError(f"predictions of shape {predicted.shape} for labels {truth.shape}")
    if wrong := [name for name in metrics if name not in OF_NUCLEOTIDES]:
        what = "is not a metric of nucleotides" if wrong[0] in METRICS else "is not a metric"
        raise GenoglotError(f"{wrong[0]!r} {what}; choose one of {', '.join(OF_NUCLEOTIDES)}")
    units = np.arange(len(truth)) if groups is None else np.unique(groups, return_inverse=True)[1]
    unit = np.repeat(units, truth.shape[1]).reshape(truth.shape)
    known = truth >= 0
    truth, predicted, unit = truth[known], predicted[known], unit[known]
    if np.isnan(predicted).any():
        raise GenoglotError("some predictions are NaN; check the model")
    scores = [_by_threshold(truth == c, predicted[:, c]) for c in range(1, predicted.shape[1])]
    classes = np.stack([truth, predicted.argmax(axis=1)], axis=1)
    found = []
    for name in metrics:
        pairs = [classes] if name in OF_CLASSES else scores
        labels, answers, counts = _count_equal(pairs, unit)
        found += measure_predictions(
            labels, answers, [name], counts=counts, draws=draws, level=level, seed=seed
        )
    return found


def _by_threshold(sites: NDArray[np.bool_], scores: NDArray[Any]) -> NDArray[np.int64]:
    """Pair the label of each nucleotide with its rank among the scores of the sites.

    Metrics of scores depend on that only. Ranks are odd for the score of a site and even between.
    """
    thresholds = np.unique(scores[sites])
    rank = sum(np.searchsorted(thresholds, scores, side) for side in ("left", "right"))
    return np.stack([sites, rank], axis=1)


def _count_equal(
    pairs: Sequence[NDArray[np.int64]], unit: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], csr_array]:
    """Count equal pairs of label and prediction in each group.

    Returns
    -------
    tuple
        Labels, (n, outputs), NaN but for the output that the pair is of; predictions, (n,
        outputs); and the number of each pair in each group, sparse (groups, n).
    """
    from scipy.sparse import coo_array, hstack

    labels, predictions, counts = [], [], []
    ones = np.ones(len(unit))
    for output, pair in enumerate(pairs):
        base = int(pair[:, 1].max()) + 1
        different, which = np.unique(pair[:, 0] * base + pair[:, 1], return_inverse=True)
        label, prediction = np.divmod(different, base)
        columns = np.full((2, len(different), len(pairs)), [[[np.nan]], [[0.0]]])
        columns[:, :, output] = label, prediction
        labels.append(columns[0])
        predictions.append(columns[1])
        counts.append(coo_array((ones, (unit, which)), (unit.max() + 1, len(different))))
    return np.concatenate(labels), np.concatenate(predictions), hstack(counts, format="csr")
