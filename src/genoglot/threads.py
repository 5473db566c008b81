"""How many threads PyTorch uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread, for work on a few texts.

    It is as fast alone, and many times faster beside others: PyTorch's idle threads spin for a
    while and take the cores from numpy's, so that taking turns between the two costs 50 ms now and
    then, and from other processes.

    Examples
    --------
    >>> import torch
    >>> with one_thread():
    ...     print(torch.get_num_threads())
    1
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
