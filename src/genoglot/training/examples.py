"""Training examples, read batch by batch as named tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

RowIndices = NDArray[np.int64]
Batch = Mapping[str, Tensor]


class Draw(NamedTuple):
    """Which examples a step reads.

    Attributes
    ----------
    rows
        Indices of the examples, int64.
    epoch
        Number of the pass over the examples, from 0.
    step
        Number of the step, from 0.
    """

    rows: RowIndices
    epoch: int
    step: int


class Examples(NamedTuple):
    """Training examples, which are read batch by batch.

    Attributes
    ----------
    n
        Number of examples.
    batch_size
        Number of examples of a step, over all processes; at most all of them.
    make_batch
        Makes a batch of named tensors. What it draws at random may depend on an example, the epoch
        and the step, but not on the other examples of the batch.
    whole_batches
        Fill the last batch of an epoch with further examples, which several processes need to share
        it evenly; or else leave it smaller.
    """

    n: int
    batch_size: int
    make_batch: Callable[[Draw], Batch]
    whole_batches: bool = True

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps of a pass over all examples."""
        return -(-self.n // min(self.batch_size, self.n)) if self.n else 0
