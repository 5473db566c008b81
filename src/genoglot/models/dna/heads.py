"""Heads: from the vector of a sequence to what is predicted of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genoglot.errors import ModelError
from genoglot.models.dna.target import Target as Target


class Head(nn.Module):
    """Linear, GELU, linear.

    Parameters
    ----------
    dim
        Width of the vector.
    outputs
        Number of labels, values or classes.
    target
        What they are: one label (`"binary"`) or several (`"multi-label"`), each true or false;
        values (`"regression"`); or one of several classes (`"multi-class"`).
    hidden
        Width between.
    dropout
        Of the vector and between.

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
        """Logits, or values in units of the training data: (batch, dim) -> (batch, outputs)."""
        return cast(Tensor, self.layers(vectors))

    def answer(self, logits: Tensor) -> Tensor:
        """From logits to probabilities, or from values in those units to values."""
        if self.target == "regression":
            return logits * self.scale + self.center
        return logits.softmax(1) if self.target == "multi-class" else logits.sigmoid()


def not_learnable(
    labels: NDArray[Any], target: Target, names: Sequence[str] | None = None
) -> list[str]:
    """Name the outputs, or classes, of which training labels say nothing.

    These are outputs with the same label in all examples, and classes without any example.

    Parameters
    ----------
    labels
        (n, outputs) or (n,), NaN where a label is missing; for classes their numbers (n,) or
        (n, 1), below 0 where it is missing.
    target
        What is predicted: see `Head`.
    names
        Names of the outputs or classes; by default their numbers.

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
    if target == "multi-class":
        found, number = np.unique(labels[labels >= 0], return_counts=True)
        called = list(names or map(str, range(int(found.max(initial=-1)) + 1)))
        if len(found) == 1:
            raise ModelError(
                f"all {number[0]:,} training examples are of the class {called[int(found[0])]!r}; "
                "a model needs examples of two classes or more"
            )
        return [name for i, name in enumerate(called) if i not in found]
    low, high = np.fmin.reduce(labels), np.fmax.reduce(labels)
    alike = ~(low < high)  # also where no label is there
    n = int((~np.isnan(labels)).any(axis=1).sum()) if alike.all() else 0
    if n:
        raise ModelError(
            f"all {n:,} training examples have the same label, {np.nanmin(low):g}; a model needs "
            "examples that differ"
        )
    return [names[int(i)] if names else str(i) for i in np.flatnonzero(alike)]
