"""Metrics of the classes of nucleotides, such as splice sites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import GenoglotError
from genoglot.evaluation.predictions import (
    METRICS,
    OF_CLASSES,
    OF_SCORES,
    MetricValue,
    measure_predictions,
)

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
    background = _is_plain_background(truth, predicted)
    predicted = np.where(background[:, None], np.eye(predicted.shape[1])[0], predicted)
    equal = pl.DataFrame([unit, truth, *predicted.T]).group_by(pl.all(), maintain_order=True)
    unit, truth, *scores, counts = (column.to_numpy() for column in equal.len())
    predicted = np.stack(scores, axis=1)
    sites = (truth[:, None] == np.arange(1, predicted.shape[1])).astype(np.float32)
    found = []
    for name in metrics:
        of_classes = name in OF_CLASSES
        true, given = (truth, predicted) if of_classes else (sites, predicted[:, 1:])
        found += measure_predictions(
            true, given, [name], groups=unit, counts=counts, draws=draws, level=level, seed=seed
        )
    return found


def _is_plain_background(truth: NDArray[Any], predicted: NDArray[Any]) -> NDArray[np.bool_]:
    """Which nucleotides may have any scores below those of all sites: most of them, bool (n,).

    They are predicted as background, and each of their scores is below that of every site of the
    class, so that no metric of any draw depends on the order among them.
    """
    classes = np.arange(1, predicted.shape[1])
    scores = predicted[:, 1:]
    lowest = np.where(truth[:, None] == classes, scores, np.inf).min(axis=0, initial=np.inf)
    below = (scores < lowest).all(axis=1) & (predicted.argmax(axis=1) == 0)
    return np.asarray(below & (lowest > 0).all())
