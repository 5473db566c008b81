"""`LazyArray`: rows of an array on disk, which are read when they are indexed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

RowIndices = NDArray[np.int64]
"""Indices of examples."""

_BLOCK = 1 << 26  # bytes read at a time where a whole array has to be gone through


class LazyArray:
    """Some rows of an array on disk, in a given order; only what is indexed is read.

    Parameters
    ----------
    array
        Memory-mapped array, (n, ...).
    rows
        Indices of the rows, int64 (m,); by default all rows.
    outputs
        If given, the array holds bits, eight to a byte, of this number of columns: they are read as
        0 and 1, float32.

    Examples
    --------
    >>> rows = LazyArray(np.arange(12).reshape(4, 3), np.array([3, 0]))
    >>> rows.shape, rows[1].tolist(), rows[:1].tolist()
    ((2, 3), [0, 1, 2], [[9, 10, 11]])
    """

    def __init__(
        self, array: NDArray[Any], rows: RowIndices | None = None, outputs: int | None = None
    ) -> None:
        self._array, self._rows, self._outputs = array, rows, outputs
        width = array.shape[1:] if outputs is None else (outputs,)
        self.shape = (len(array) if rows is None else len(rows), *width)
        self.dtype = array.dtype if outputs is None else np.dtype(np.float32)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: int | slice | ArrayLike) -> NDArray[Any]:
        index = index if isinstance(index, int | slice) else np.asarray(index)
        found = np.asarray(self._array[index if self._rows is None else self._rows[index]])
        if self._outputs is None:
            return found
        return np.unpackbits(found, axis=-1, count=self._outputs).astype(np.float32)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        found = self[:]
        return found if dtype is None else found.astype(dtype, copy=False)

    def blocks(self, size: int | None = None) -> Iterator[NDArray[Any]]:
        """Read all rows block by block.

        Parameters
        ----------
        size
            Number of rows in a block; by default as many as take 64 MB.
        """
        row = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        step = size or max(_BLOCK // max(row, 1), 1)
        for i in range(0, len(self), step):
            yield self[i : i + step]
