"""What is measured on validation data after every round of a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Validation(NamedTuple):
    """What is measured on validation data, and what follows from it.

    Attributes
    ----------
    measure
        Returns named values, such as the loss. Called after every round, without gradients, with
        the network in evaluation mode.
    best_by
        Name of the value by which the best weights are chosen, which the network then ends with;
        None: it ends with the last weights.
    highest
        The highest value is the best one, not the lowest.
    patience
        Stop the training when so many rounds have not improved the value; 0: never.
    """

    measure: Callable[[], Mapping[str, float]]
    best_by: str | None = None
    highest: bool = False
    patience: int = 0
