"""What a network is trained for: losses whose parts add up, with missing labels left out.

Each takes what the network says and the labels, and returns the summed loss of all labels that
there are, and their number. NaN (for class numbers: anything below 0) is a missing label.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from genoglot.training.loop import Part

Objective = Literal["bce", "focal", "huber", "mse", "cross-entropy"]


def bce(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Part:
    """Binary cross-entropy: (batch, outputs), labels 0 to 1.

    With `smoothing` a label is that share of the way nearer to all outcomes being as likely
    (Szegedy et al. 2016): at 0.1, labels of 0 and 1 count as 0.05 and 0.95.

    Examples
    --------
    >>> part = bce(torch.zeros(1, 3), torch.tensor([[1.0, 0.0, float("nan")]]))
    >>> round(float(part.total), 4), int(part.number)
    (1.3863, 2)
    """
    there, labels = _known(labels)
    labels = labels + smoothing * (0.5 - labels)
    return _part(F.binary_cross_entropy_with_logits(logits, labels, reduction="none"), there)


def focal(logits: Tensor, labels: Tensor, gamma: float = 2.0) -> Part:
    """Focal loss (Lin et al. 2017): cross-entropy, less of it where the answer is right anyway."""
    there, labels = _known(labels)
    loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    wrong = torch.sigmoid(logits) * (1 - 2 * labels) + labels  # p of the other answer
    return _part(loss * wrong.clamp(0, 1) ** gamma, there)


def huber(values: Tensor, labels: Tensor) -> Part:
    """Huber loss, linear beyond 1: (batch, outputs)."""
    there, labels = _known(labels)
    return _part(F.huber_loss(values, labels, reduction="none"), there)


def mse(values: Tensor, labels: Tensor) -> Part:
    """Squared error: (batch, outputs)."""
    there, labels = _known(labels)
    return _part((values - labels) ** 2, there)


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Part:
    """Cross-entropy of one of several classes: logits (batch, classes), class numbers (batch,).

    `smoothing` as for `bce`.
    """
    there, labels = labels >= 0, labels.clamp(min=0)
    loss = F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    return _part(loss, there)


SMOOTHED: tuple[Objective, ...] = ("bce", "cross-entropy")
OBJECTIVES: dict[Objective, Callable[..., Part]] = {
    "bce": bce,
    "focal": focal,
    "huber": huber,
    "mse": mse,
    "cross-entropy": cross_entropy,
}


def _known(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Where there are labels, and the labels with 0 where there are none."""
    there = ~labels.isnan()
    return there, labels.nan_to_num()


def _part(loss: Tensor, there: Tensor) -> Part:
    return Part((loss * there).sum(), there.sum())
