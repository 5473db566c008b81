"""Metrics of the classes of nucleotides, such as splice sites: each class but the first one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from genoglot.errors import GenoglotError
from genoglot.evaluation.predictions import METRICS, MetricValue, measure_predictions

OF_NUCLEOTIDES = ("top-k", "AUPRC")
"""Metrics that depend on nucleotides from the lowest score of a site on alone."""


def measure_nucleotides(
    labels: ArrayLike,
    predictions: ArrayLike,
    metrics: Sequence[str] = OF_NUCLEOTIDES,
    *,
    groups: ArrayLike | None = None,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> list[MetricValue]:
    """Compute metrics of the classes of nucleotides, over all nucleotides of all sequences.

    Class 0 is the background, such as nucleotides that are no splice site. Each other class is
    measured against all nucleotides, and the value is the mean over these classes.

    Parameters
    ----------
    labels
        Class numbers, (n, positions), below 0 where a label is missing.
    predictions
        Probabilities of the classes, (n, positions, classes).
    metrics
        Names of metrics: top-k and AUPRC.
    groups
        Labels of the groups of sequences that a draw of the bootstrap takes as a whole, such as
        transcripts, (n,). Default: each sequence is a group.
    draws, level, seed
        As in `measure_predictions`.

    Returns
    -------
    list of MetricValue
        One for each metric; `outputs` has the value of each class but class 0.

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
    units = np.arange(len(truth)) if groups is None else np.asarray(groups)
    unit = np.repeat(units, truth.shape[1]).reshape(truth.shape)
    known = truth >= 0
    truth, predicted, unit = truth[known], predicted[known], unit[known]
    if np.isnan(predicted).any():
        raise GenoglotError("some predictions are NaN; check the model")
    classes = np.arange(1, predicted.shape[1])
    sites = truth[:, None] == classes
    scores = predicted[:, 1:]
    lowest = np.where(sites, scores, np.inf).min(axis=0, initial=np.inf)
    # Below the lowest site nothing counts for these metrics, in no draw: that is most nucleotides.
    counts = (scores >= lowest).any(axis=1)
    counts[np.unique(unit, return_index=True)[1]] = True  # every group remains, to be drawn
    return measure_predictions(
        sites[counts].astype(np.float32), scores[counts], metrics,
        groups=unit[counts], draws=draws, level=level, seed=seed,
    )  # fmt: skip
