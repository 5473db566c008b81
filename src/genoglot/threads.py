"""The number of threads of PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit PyTorch to one thread, for work on a few texts.

    One thread is as fast as several on an idle machine, and many times faster beside other work:
    PyTorch's idle threads spin and take the cores from numpy's threads and from other processes,
    which costs up to 50 ms when the two alternate.

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
