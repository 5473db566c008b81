"""Linear models of many outputs at once, where some labels may be missing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoglot.models.dna.target import Target
from genoglot.tasks.dataset import Floats

MAX_STEPS = 200
"""Maximum number of optimizer steps."""


def fit_linear(
    x: Floats, y: Floats, target: Target, penalty: float, start: Floats | None = None
) -> Floats:
    """Fit a ridge, logistic or softmax regression.

    The mean loss over the labels that are not missing, plus half the penalty times the squared
    weights, is minimized by L-BFGS. The loss is the squared error (regression), the logistic
    loss (binary, multi-label) or the cross-entropy of the softmax (multi-class). Each output has
    the same weight, however many of its labels are missing.

    Parameters
    ----------
    x
        Standardized features, float32 (n, features).
    y
        Labels, float32 (n, outputs), NaN where a label is missing; for classes one column of 0 and
        1 for each class.
    target
        What the labels are.
    penalty
        Penalty of the weights; the intercepts have none.
    start
        Weights to start from. Default: 0.

    Returns
    -------
    float32 array
        Weights, (features + 1, outputs); the last row holds the intercepts.

    Examples
    --------
    >>> x = np.array([[-1.0], [0.0], [1.0]], np.float32)
    >>> fit_linear(x, 2 * x + 1, "regression", 1e-6).round(2).ravel().tolist()
    [2.0, 1.0]
    """
    from scipy.optimize import minimize

    known = ~np.isnan(y)
    truth = np.where(known, y, np.float32(0))
    weight = (known / np.maximum(known.sum(axis=0), 1)).astype(np.float32)
    shape = (x.shape[1] + 1, y.shape[1])

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w = flat.reshape(shape).astype(np.float32)
        z = x @ w[:-1] + w[-1]
        error = _activate(z, target) - truth
        if target == "regression":
            losses = 0.5 * error**2
        elif target == "multi-class":
            losses = truth * (_log_sum_exp(z) - z)
        else:
            losses = np.logaddexp(0, z) - truth * z
        slope = weight * error
        gradient = np.vstack([x.T @ slope + penalty * w[:-1], slope.sum(axis=0)])
        value = (weight * losses).sum(dtype=np.float64)
        value += 0.5 * penalty * (w[:-1].astype(np.float64) ** 2).sum()
        return float(value), gradient.astype(np.float64).ravel()

    begin = np.zeros(shape) if start is None else start
    options = {"maxiter": MAX_STEPS, "ftol": 1e-7}
    found: Any = minimize(loss, begin.ravel(), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x.reshape(shape), np.float32)


def predict_linear(x: Floats, weights: Floats, target: Target) -> Floats:
    """Predict values or probabilities, float32 (n, outputs)."""
    return _activate(x @ weights[:-1] + weights[-1], target)


def _activate(z: Floats, target: Target) -> Floats:
    """Turn linear predictions into values or probabilities."""
    if target == "regression":
        return z
    # This is not `scipy.special.expit`, whose last digit differs: figures must remain the same.
    log_sum = _log_sum_exp(z) - z if target == "multi-class" else np.logaddexp(0, -z)
    return np.asarray(np.exp(-log_sum))


def _log_sum_exp(z: Floats) -> Floats:
    top = z.max(axis=1, keepdims=True)
    return np.asarray(np.log(np.exp(z - top).sum(axis=1, keepdims=True)) + top)
