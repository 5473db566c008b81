"""Losses that can be averaged over batches and processes, with missing labels left out.

Each function takes the outputs of a network and the labels. NaN (for class numbers: anything below
0) is a missing label, which does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Objective = Literal["bce", "focal", "huber", "mse", "poisson", "cross-entropy"]


class Loss(NamedTuple):
    """One named part of what a training minimizes.

    Attributes
    ----------
    mean
        Mean loss of all predictions of the batch, a scalar.
    n
        Number of these predictions, a scalar: over several processes, means are weighted by it.
    weight
        Factor of this part in the sum of all parts.
    """

    mean: Tensor
    n: Tensor | int = 1
    weight: float = 1.0


Losses = Mapping[str, Loss]


def bce(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Loss:
    """Binary cross-entropy.

    Parameters
    ----------
    logits
        (batch, outputs).
    labels
        Between 0 and 1, (batch, outputs).
    smoothing
        Label smoothing (Szegedy et al. 2016): at 0.1, labels of 0 and 1 count as 0.05 and 0.95.

    Examples
    --------
    >>> loss = bce(torch.zeros(1, 3), torch.tensor([[1.0, 0.0, float("nan")]]))
    >>> round(float(loss.mean), 4), int(loss.n)
    (0.6931, 2)
    """
    known, labels = _known(labels)
    labels = labels + smoothing * (0.5 - labels)
    return _mean(F.binary_cross_entropy_with_logits(logits, labels, reduction="none"), known)


def focal(logits: Tensor, labels: Tensor, gamma: float = 2.0) -> Loss:
    """Focal loss (Lin et al. 2017): binary cross-entropy, less of it for easy examples.

    Parameters
    ----------
    logits, labels
        As for `bce`.
    gamma
        Exponent of the probability of the wrong outcome.
    """
    known, labels = _known(labels)
    loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    wrong = torch.sigmoid(logits) * (1 - 2 * labels) + labels
    return _mean(loss * wrong.clamp(0, 1) ** gamma, known)


def huber(values: Tensor, labels: Tensor) -> Loss:
    """Huber loss, linear from an error of 1: values and labels (batch, outputs)."""
    known, labels = _known(labels)
    return _mean(F.huber_loss(values, labels, reduction="none"), known)


def mse(values: Tensor, labels: Tensor) -> Loss:
    """Squared error: values and labels (batch, outputs)."""
    known, labels = _known(labels)
    return _mean((values - labels) ** 2, known)


def poisson(rates: Tensor, counts: Tensor) -> Loss:
    """Poisson negative log-likelihood without its constant, as for Enformer (Avsec et al. 2021).

    Parameters
    ----------
    rates
        Predicted rates above 0, of any shape, such as (batch, bins, tracks).
    counts
        Observed counts of the same shape.

    Examples
    --------
    >>> float(poisson(torch.ones(1, 2), torch.zeros(1, 2)).mean)
    1.0
    """
    known, counts = _known(counts)
    return _mean(F.poisson_nll_loss(rates, counts, log_input=False, reduction="none"), known)


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Loss:
    """Cross-entropy of one of several classes.

    Parameters
    ----------
    logits
        (batch, classes).
    labels
        Class numbers, int64 (batch,).
    smoothing
        Label smoothing, as for `bce`.
    """
    known, labels = labels >= 0, labels.clamp(min=0)
    loss = F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    return _mean(loss, known)


def info_nce(one: Tensor, other: Tensor, scale: Tensor) -> Loss:
    """Symmetric InfoNCE (Radford et al. 2021): each vector finds its partner among all.

    It is the mean of two cross-entropies: of the partner of each row of `one` among all rows of
    `other`, and the other way round. With several processes, rows are compared with those of all
    processes, and gradients flow back to them, so that the loss is that of one process with all
    rows.

    Parameters
    ----------
    one, other
        Vectors of length 1, (batch, dim); row i of both is a pair. All processes have as many.
    scale
        Factor of the cosine similarities, one over the temperature; a number, or a tensor with one.

    Examples
    --------
    >>> vectors = torch.eye(2)
    >>> round(float(info_nce(vectors, vectors, torch.tensor(1.0)).mean), 4)
    0.3133
    """
    with torch.autocast(one.device.type, enabled=False):  # half precision is too coarse here
        one, other = one.float(), other.float()
        all_one, first = _of_all_processes(one)
        all_other, _ = _of_all_processes(other)
        partner = torch.arange(first, first + len(one), device=one.device)
        finds_other = F.cross_entropy(scale * one @ all_other.T, partner)
        finds_one = F.cross_entropy(scale * other @ all_one.T, partner)
    return Loss((finds_other + finds_one) / 2, len(one))


SMOOTHED: tuple[Objective, ...] = ("bce", "cross-entropy")
OBJECTIVES: dict[Objective, Callable[..., Loss]] = {
    "bce": bce,
    "focal": focal,
    "huber": huber,
    "mse": mse,
    "poisson": poisson,
    "cross-entropy": cross_entropy,
}


def _of_all_processes(rows: Tensor) -> tuple[Tensor, int]:
    """Concatenate the rows of all processes, with gradients, and count those before one's own."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return rows, 0
    gathered: Tensor = _AllGather.apply(rows)  # type: ignore[no-untyped-call]
    return gathered, torch.distributed.get_rank() * len(rows)


class _AllGather(torch.autograd.Function):
    """The rows of all processes; their gradients are summed over all processes."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.n = len(rows)
        parts = [torch.empty_like(rows) for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total[torch.distributed.get_rank() * ctx.n :][: ctx.n]


def _known(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mask of the labels that are not missing, and the labels with 0 where they are."""
    return ~labels.isnan(), labels.nan_to_num()


def _mean(loss: Tensor, known: Tensor) -> Loss:
    n = known.sum()
    return Loss((loss * known).sum() / n.float().clamp(min=1), n)
