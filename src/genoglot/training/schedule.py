"""`Schedule`: the number of optimizer steps, and the learning rate of each."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

Decay = Literal["none", "linear", "cosine", "one-cycle"]


class Schedule(NamedTuple):
    """Optimizer steps and learning rates of a training with AdamW.

    Attributes
    ----------
    steps
        Number of optimizer steps.
    learning_rate
        Highest learning rate.
    warm_up
        Number of linear warm-up steps.
    decay
        How the learning rate falls after the warm-up: not at all (`"none"`), to 0 in a line
        (`"linear"`) or along a cosine (`"cosine"`). `"one-cycle"` (Smith and Topin 2018) has a
        warm-up of its own, the first 30 % of the steps.
    weight_decay
        Weight decay of matrices; biases, norms and other vectors have none.
    clip_norm
        Largest norm of a gradient; larger ones are scaled down. None: no limit.

    Examples
    --------
    >>> schedule = Schedule(steps=10, learning_rate=1.0, warm_up=2, decay="linear")
    >>> [round(schedule.factor(step), 2) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.12]
    """

    steps: int
    learning_rate: float
    warm_up: int = 0
    decay: Decay = "none"
    weight_decay: float = 0.01
    clip_norm: float | None = 1.0

    def factor(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0, as a fraction of the highest."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        if self.decay == "none":
            return 1.0
        left = max(self.steps - step, 0) / max(self.steps - self.warm_up, 1)
        return left if self.decay == "linear" else (1 - math.cos(math.pi * left)) / 2

    def optimizer(self, network: nn.Module) -> tuple[torch.optim.Optimizer, LRScheduler]:
        """Make the optimizer of a network's parameters, and what sets its learning rate."""
        trained = [p for p in network.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.dim() > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, self.learning_rate)
        if self.decay == "one-cycle":
            return optimizer, OneCycleLR(optimizer, self.learning_rate, total_steps=self.steps)
        return optimizer, LambdaLR(optimizer, self.factor)
