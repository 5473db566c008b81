"""Random numbers of PyTorch from a seed, without side effects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_seed(seed: int) -> Iterator[None]:
    """Seed PyTorch's generator for a block of code; afterwards its state is that from before.

    Parameters
    ----------
    seed
        Seed of the random numbers that are drawn inside of the block, such as initial weights.

    Examples
    --------
    >>> with torch_seed(0):
    ...     first = torch.rand(1)
    >>> with torch_seed(0):
    ...     second = torch.rand(1)
    >>> bool(first == second)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
