"""Heads: from the vector of a sequence to what is predicted of it."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn

Target = Literal["binary", "multi-label", "regression", "multi-class"]


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
