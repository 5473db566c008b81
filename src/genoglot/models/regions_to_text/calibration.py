"""Calibration: from scores to probabilities, and when to give no answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import ModelError
from genoglot.models.regions_to_text.labels import FIELDS, Labels
from genoglot.models.regions_to_text.likelihood import Profiles

Probabilities = NDArray[np.float64]

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 1e-3, 1e3
NEVER = 2.0  # a threshold that no probability reaches


class HeldOut(NamedTuple):
    """A labeled set that the likelihood was not fitted to.

    Attributes
    ----------
    profiles
        Scores of its factors and biosamples: see `Likelihood.profiles`.
    truth
        Number of its label of each field: see `Labels.truth`.
    jaccard
        Jaccard index with the most similar set that the likelihood was fitted to.
    """

    profiles: Profiles
    truth: dict[str, int]
    jaccard: float


class Calibration(NamedTuple):
    """Temperatures and thresholds that make probabilities out of scores.

    Attributes
    ----------
    temperature
        For each field, what scores are divided by before the softmax.
    threshold
        For each field, the lowest probability of an accepted answer.
    min_jaccard
        Lowest Jaccard index with a labeled set at which a set is familiar.
    """

    temperature: dict[str, float]
    threshold: dict[str, float]
    min_jaccard: float

    @classmethod
    def fit(
        cls,
        held_out: Sequence[HeldOut],
        labels: Labels,
        spare: Callable[[], Sequence[HeldOut]],
        *,
        max_error: float,
        unfamiliar: float,
    ) -> Self:
        """Fit temperatures and thresholds to sets that the likelihood was not fitted to.

        Parameters
        ----------
        held_out
            The sets.
        labels
            The labels.
        spare
            Returns other such sets, to which the temperature of a field is fitted if none of
            `held_out` has a label of that field that can be answered, as in a split by biosample.
        max_error
            Proportion of wrong answers among the accepted.
        unfamiliar
            Proportion of the sets that is refused as unfamiliar.
        """
        temperature, threshold = {}, {}
        for field in FIELDS:
            true = np.array([one.truth[field] for one in held_out])
            usable = held_out if (true >= 0).any() else spare()
            temperature[field] = _fit_temperature(usable, labels, field)
            p = [probabilities(one.profiles, labels, field, temperature[field]) for one in held_out]
            correct = np.array([one.argmax() for one in p]) == true
            highest = np.array([one.max() for one in p])
            threshold[field] = acceptance_threshold(highest, correct, max_error=max_error)
        jaccard = float(np.quantile([one.jaccard for one in held_out], unfamiliar))
        return cls(temperature, threshold, jaccard)


def _fit_temperature(held_out: Sequence[HeldOut], labels: Labels, field: str) -> float:
    known = [(one.profiles, one.truth[field]) for one in held_out if one.truth[field] >= 0]

    def loss(temperature: float) -> float:
        p = [probabilities(one, labels, field, temperature)[label] for one, label in known]
        return float(-np.log(np.maximum(p, 1e-12)).mean())

    return best_temperature(loss) if known else 1.0


def probabilities(
    profiles: Profiles, labels: Labels, field: str, temperature: float
) -> Probabilities:
    """Turn the scores of a region set into probabilities of a field's labels.

    The best factor of an assay or target counts for it: a sum would favor assays of many targets.
    Scores of biosamples are standardized first, since how far apart they are depends on the
    factor: all are near for one that binds everywhere.

    Parameters
    ----------
    profiles
        Scores of factors and biosamples: see `Likelihood.profiles`.
    labels
        The labels.
    field
        "assay", "target" or "biosample".
    temperature
        What scores are divided by before the softmax.

    Returns
    -------
    array
        float64 (labels,), in the order of `labels.names[field]`.
    """
    if field == "biosample":
        score = profiles.biosample
        known = score[np.isfinite(score)]
        return softmax((score - known.mean()) / max(float(known.std()), 1e-9) / temperature)
    best = np.full(len(labels.names[field]), -np.inf)
    np.maximum.at(best, labels.of_factors(field), profiles.factor)
    return softmax(best / temperature)


def softmax(x: Probabilities) -> Probabilities:
    """Softmax over all elements."""
    p: Probabilities = np.exp(x - x.max())
    p /= p.sum()
    return p


def best_temperature(loss: Callable[[float], float]) -> float:
    """Find the temperature at which a loss is smallest (Guo et al. 2017, "On Calibration").

    Parameters
    ----------
    loss
        Mean negative log-likelihood of the true labels when scores are divided by a temperature.
        It has one minimum, which is searched for between 0.001 and 1,000.

    Returns
    -------
    float
        The temperature.

    Examples
    --------
    >>> round(best_temperature(lambda t: (np.log(t) - np.log(30)) ** 2), 2)
    30.0
    """
    from scipy.optimize import minimize_scalar

    bounds = (float(np.log(LOWEST_TEMPERATURE)), float(np.log(HIGHEST_TEMPERATURE)))
    found = minimize_scalar(
        lambda x: loss(float(np.exp(x))), bounds=bounds, method="bounded", options={"xatol": 1e-3}
    )
    return float(np.exp(found.x))


def expected_calibration_error(
    probability: ArrayLike, correct: ArrayLike, *, bins: int = 10
) -> float:
    """Compute the expected calibration error (ECE): the mean gap of confidence and accuracy.

    Answers are put into bins of equal width by the probability of their label. The gap of a bin is
    the difference of its mean probability and its proportion of correct answers; bins are weighted
    by their size (Naeini et al. 2015). With few answers it is above 0 by chance alone.

    Parameters
    ----------
    probability
        Probability of each answered label, (n,).
    correct
        Whether each answer is correct, (n,).
    bins
        Number of bins between 0 and 1.

    Returns
    -------
    float
        The error, between 0 and 1.

    Raises
    ------
    ModelError
        If there is no answer, or not one probability for each.

    Examples
    --------
    >>> round(expected_calibration_error([0.9, 0.9, 0.6, 0.6], [1, 1, 1, 0]), 3)
    0.1
    """
    p, right = np.asarray(probability, np.float64), np.asarray(correct, np.float64)
    if p.ndim != 1 or p.shape != right.shape or not len(p):
        raise ModelError(
            f"{p.size} probabilities of {right.size} answers; give one probability for each answer"
        )
    gap = np.bincount(np.minimum((p * bins).astype(np.int64), bins - 1), p - right)
    return float(np.abs(gap).sum() / len(p))


def acceptance_threshold(probability: ArrayLike, correct: ArrayLike, *, max_error: float) -> float:
    """Find the lowest probability above which few enough answers are wrong.

    One more answer than there are, a wrong one, is added (as in conformal prediction), so that a
    handful of correct answers proves nothing: with at most 10 % wrong, at least nine are needed.

    Parameters
    ----------
    probability, correct
        As in `expected_calibration_error`, of sets that were held out.
    max_error
        Maximum proportion of wrong answers among the accepted.

    Returns
    -------
    float
        The threshold; one that no probability reaches if there is none. Where all answers may be
        accepted, none of them shows what is too low, and 1 - `max_error` is enough.

    Examples
    --------
    >>> acceptance_threshold([0.9, 0.8, 0.7, 0.2], [1, 1, 1, 0], max_error=0.25)
    0.7
    >>> acceptance_threshold([0.9, 0.8], [1, 1], max_error=0.1)
    2.0
    """
    p, right = np.asarray(probability, np.float64), np.asarray(correct, bool)
    order = np.argsort(-p, kind="stable")
    p, wrong = p[order], np.cumsum(~right[order])
    # Equal probabilities are accepted together.
    last = np.append(p[1:] != p[:-1], True)[: len(p)]
    good = last & (wrong + 1 <= max_error * (np.arange(len(p)) + 2))
    if not good.any():
        return NEVER
    lowest = float(p[np.flatnonzero(good)[-1]])
    return min(lowest, 1 - max_error) if good[-1] else lowest
