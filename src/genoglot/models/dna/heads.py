"""Heads: from the vectors of an encoder to predictions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genoglot.errors import ModelError, some
from genoglot.models.dna.target import NUCLEOTIDES, Target, TaskTarget

log = logging.getLogger("genoglot")


class SequenceHead(nn.Module):
    """Predictions for a whole sequence, from its vector: linear, GELU, linear.

    Parameters
    ----------
    dim
        Width of the vector of a sequence.
    outputs
        Number of labels, values or classes.
    target
        What is predicted: one label (`"binary"`) or several (`"multi-label"`), each true or false;
        values (`"regression"`); or one of several classes (`"multi-class"`).
    hidden
        Width of the hidden layer.
    dropout
        Dropout rate of the vector and of the hidden layer.

    Attributes
    ----------
    center, scale
        Mean and standard deviation of each value in the training data, (outputs,): the network
        learns values in these units. 0 and 1 for other targets.
    """

    center: Tensor
    scale: Tensor

    def __init__(
        self, dim: int, outputs: int, target: Target, *, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.target: Target = target
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(dim, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, outputs),
        )
        self.register_buffer("center", torch.zeros(outputs))
        self.register_buffer("scale", torch.ones(outputs))

    def forward(self, vectors: Tensor) -> Tensor:
        """Compute logits, or standardized values: (batch, dim) -> (batch, outputs)."""
        return cast(Tensor, self.layers(vectors))

    def answer(self, logits: Tensor) -> Tensor:
        """Convert logits to probabilities, or standardized values to values."""
        if self.target == "regression":
            return logits * self.scale + self.center
        return logits.softmax(1) if self.target == "multi-class" else logits.sigmoid()


class TrackHead(nn.Module):
    """Tracks along a sequence, from the vectors of its tokens: one value of each token and track.

    Parameters
    ----------
    dim
        Width of the vector of a token.
    tracks
        Number of tracks.
    crop
        Number of bins to remove at either end, where a token has context on one side only.
    softplus
        Whether the values are made positive, as for counts of reads with a Poisson loss.

    Examples
    --------
    >>> TrackHead(8, 3, crop=2)(torch.zeros(1, 10, 8)).shape
    torch.Size([1, 6, 3])
    """

    def __init__(self, dim: int, tracks: int, *, crop: int = 0, softplus: bool = True) -> None:
        super().__init__()
        self.crop = crop
        self.linear = nn.Linear(dim, tracks)
        self.activation = nn.Softplus() if softplus else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        """Predict tracks: (batch, bins, dim) -> (batch, bins - 2 * crop, tracks).

        Raises
        ------
        ModelError
            If no bin is left.
        """
        bins = tokens.shape[1]
        if bins <= 2 * self.crop:
            raise ModelError(
                f"{bins} bins, but {self.crop} are removed at either end; give a longer sequence "
                "or a smaller crop"
            )
        return cast(Tensor, self.activation(self.linear(tokens[:, self.crop : bins - self.crop])))


def not_learnable(
    labels: NDArray[Any], target: TaskTarget, names: Sequence[str] | None = None
) -> list[str]:
    """Find the outputs, or classes, that cannot be learned from training labels.

    These are outputs with the same label in all examples, and classes without any example.

    Parameters
    ----------
    labels
        (n, outputs) or (n,), NaN where a label is missing; for classes their numbers (n,) or
        (n, 1), of nucleotides (n, positions), below 0 where it is missing.
    target
        What is predicted: see `genoglot.models.dna.target`.
    names
        Names of the outputs or classes; by default their numbers.

    Returns
    -------
    list of str
        Names of these outputs or classes.

    Raises
    ------
    ModelError
        If nothing can be learned at all, since all labels are the same.

    Examples
    --------
    >>> not_learnable(np.array([[0, 1], [0, 0]], np.float32), "multi-label", ["a", "b"])
    ['a']
    >>> not_learnable(np.array([1, 1, 1]), "multi-class", ["free", "bound"])
    Traceback (most recent call last):
    genoglot.errors.ModelError: all 3 training examples are of the class 'bound'; a model needs ...
    """
    labels = labels.reshape(len(labels), -1)
    if target in ("multi-class", NUCLEOTIDES):
        found, number = np.unique(labels[labels >= 0], return_counts=True)
        classes = list(names or map(str, range(int(found[-1]) + 1 if len(found) else 0)))
        if len(found) == 1:
            what = "nucleotides" if target == NUCLEOTIDES else "examples"
            raise ModelError(
                f"all {number[0]:,} training {what} are of the class {classes[int(found[0])]!r}; "
                "a model needs examples of two classes or more"
            )
        return [name for i, name in enumerate(classes) if i not in found]
    low, high = np.fmin.reduce(labels), np.fmax.reduce(labels)
    constant = ~(low < high)  # also where all labels are missing
    n = int((~np.isnan(labels)).any(axis=1).sum()) if constant.all() else 0
    if n:
        raise ModelError(
            f"all {n:,} training examples have the same label, {np.nanmin(low):g}; a model needs "
            "examples that differ"
        )
    return [names[int(i)] if names else str(i) for i in np.flatnonzero(constant)]


def warn_of_not_learnable(
    labels: NDArray[Any], target: TaskTarget, names: Sequence[str] | None
) -> None:
    """Warn of outputs or classes that cannot be learned; parameters as of `not_learnable`."""
    if missing := not_learnable(labels, target, names):
        of_classes = target in ("multi-class", NUCLEOTIDES)
        what = "classes have no example" if of_classes else "outputs have one label"
        log.warning("%d %s in the training data: %s", len(missing), what, some(missing))
