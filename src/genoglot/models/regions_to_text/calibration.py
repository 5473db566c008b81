"""From scores to probabilities that mean what they say, and when to give no answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from genoglot.errors import ModelError

COLDEST, HOTTEST = 1e-3, 1e3
NEVER = 2.0  # a threshold that no probability reaches


def best_temperature(loss: Callable[[float], float]) -> float:
    """Find the temperature at which a loss is smallest (Guo et al. 2017, "On Calibration").

    Parameters
    ----------
    loss
        Mean negative log-likelihood of the right labels when log-scores are divided by a
        temperature. It has one minimum, which is looked for between 0.001 and 1,000.

    Examples
    --------
    >>> round(best_temperature(lambda t: (np.log(t) - np.log(30)) ** 2), 2)
    30.0
    """
    from scipy.optimize import minimize_scalar

    bounds = (float(np.log(COLDEST)), float(np.log(HOTTEST)))
    found = minimize_scalar(
        lambda x: loss(float(np.exp(x))), bounds=bounds, method="bounded", options={"xatol": 1e-3}
    )
    return float(np.exp(found.x))


def expected_calibration_error(
    probability: ArrayLike, correct: ArrayLike, *, bins: int = 10
) -> float:
    """Mean gap between how sure and how right the answers are (ECE).

    Answers are put into bins of equal width by the probability of their label; the gap of a bin is
    that between its mean probability and its share of right answers, and bins count by their size
    (Naeini et al. 2015). With few answers it is above 0 by chance alone.

    Parameters
    ----------
    probability
        (n,) of the label that was answered.
    correct
        (n,) whether it is right.
    bins
        Number of bins between 0 and 1.

    Raises
    ------
    ModelError
        If there are no answers, or not as many of both.

    Examples
    --------
    >>> round(expected_calibration_error([0.9, 0.9, 0.6, 0.6], [1, 1, 1, 0]), 3)
    0.1
    """
    sure, right = np.asarray(probability, np.float64), np.asarray(correct, np.float64)
    if sure.ndim != 1 or sure.shape != right.shape or not len(sure):
        raise ModelError(f"{sure.size} probabilities of {right.size} answers; give as many, and 1")
    place = np.minimum((sure * bins).astype(np.int64), bins - 1)
    gap = np.bincount(place, sure - right, minlength=bins)
    return float(np.abs(gap).sum() / len(sure))


def acceptance_threshold(probability: ArrayLike, correct: ArrayLike, *, max_error: float) -> float:
    """Lowest probability from which on few enough of the answers are wrong.

    An answer more than there are, and a wrong one, are counted in (as in conformal prediction), so
    that a handful of right answers proves nothing: with at most 10 % wrong, it takes nine.

    Parameters
    ----------
    probability, correct
        As in `expected_calibration_error`, of sets kept aside.
    max_error
        Share of wrong answers among the accepted.

    Returns
    -------
    The threshold; one that no answer reaches if there is none. Where all the answers may be
    accepted, none of them tells what is too low: then 1 - `max_error` is enough.

    Examples
    --------
    >>> acceptance_threshold([0.9, 0.8, 0.7, 0.2], [1, 1, 1, 0], max_error=0.25)
    0.7
    >>> acceptance_threshold([0.9, 0.8], [1, 1], max_error=0.1)
    2.0
    """
    sure, right = np.asarray(probability, np.float64), np.asarray(correct, bool)
    order = np.argsort(-sure, kind="stable")
    sure, wrong = sure[order], np.cumsum(~right[order])
    # Equal probabilities are accepted together.
    last = np.append(sure[1:] != sure[:-1], True)[: len(sure)]
    good = last & (wrong + 1 <= max_error * (np.arange(len(sure)) + 2))
    if not good.any():
        return NEVER
    lowest = float(sure[np.flatnonzero(good)[-1]])
    return min(lowest, 1 - max_error) if good[-1] else lowest
