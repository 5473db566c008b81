"""Linear models of many outputs at once, some of whose labels may be missing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoglot.models.dna.target import Target
from genoglot.tasks.dataset import Floats

STEPS = 200
"""Most steps of the optimizer."""


def fit_linear(
    x: Floats, y: Floats, target: Target, penalty: float, start: Floats | None = None
) -> Floats:
    """Minimize the mean loss plus half the penalty times the squared weights.

    The loss is squared (regression), logistic (binary, multi-label), or that of the softmax
    (multi-class), over the labels that are there. It is convex, and minimized by L-BFGS from 0.

    Parameters
    ----------
    x
        float32 (n, features), standardized.
    y
        float32 (n, outputs), NaN where there is no label; of classes 0 and 1, one column each.
    target
        What the labels are.
    penalty
        Of the weights; the intercepts are free.
    start
        Weights to begin with.

    Returns
    -------
    float32 (features + 1, outputs); the last row holds the intercepts

    Examples
    --------
    >>> x = np.array([[-1.0], [0.0], [1.0]], np.float32)
    >>> fit_linear(x, 2 * x + 1, "regression", 1e-6).round(2).ravel().tolist()
    [2.0, 1.0]
    """
    from scipy.optimize import minimize

    known = ~np.isnan(y)
    truth = np.where(known, y, np.float32(0))
    # Every output weighs alike, however many of its labels are there.
    weight = (known / np.maximum(known.sum(axis=0), 1)).astype(np.float32)
    shape = (x.shape[1] + 1, y.shape[1])

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w = flat.reshape(shape).astype(np.float32)
        z = x @ w[:-1] + w[-1]
        if target == "regression":
            error = z - truth
            value = 0.5 * (weight * error**2).sum(dtype=np.float64)
        elif target != "multi-class":
            error = _sigmoid(z) - truth
            value = (weight * (np.logaddexp(0, z) - truth * z)).sum(dtype=np.float64)
        else:
            top = z.max(axis=1, keepdims=True)
            log_sum = np.log(np.exp(z - top).sum(axis=1, keepdims=True)) + top
            error = np.exp(z - log_sum) - truth
            value = (weight * truth * (log_sum - z)).sum(dtype=np.float64)
        slope = weight * error
        gradient = np.vstack([x.T @ slope + penalty * w[:-1], slope.sum(axis=0)])
        value += 0.5 * penalty * float((w[:-1].astype(np.float64) ** 2).sum())
        return float(value), gradient.astype(np.float64).ravel()

    begin = np.zeros(shape) if start is None else start
    found: Any = minimize(
        loss, begin.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": STEPS, "ftol": 1e-7}
    )
    weights: Floats = found.x.reshape(shape).astype(np.float32)
    return weights


def predict_linear(x: Floats, weights: Floats, target: Target) -> Floats:
    """Values, or probabilities, float32 (n, outputs)."""
    z: Floats = x @ weights[:-1] + weights[-1]
    if target == "regression":
        return z
    if target != "multi-class":
        return _sigmoid(z)
    odds = np.exp(z - z.max(axis=1, keepdims=True))
    shares: Floats = odds / odds.sum(axis=1, keepdims=True)
    return shares


def _sigmoid(z: Floats) -> Floats:
    found: Floats = np.exp(-np.logaddexp(0, -z))
    return found
