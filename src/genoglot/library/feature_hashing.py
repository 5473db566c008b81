"""Feature hashing: region sets as short vectors, by which a library finds similar sets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int32]

DIM = 512
"""Length of the vectors of a new library."""


class FeatureHasher:
    """Feature hashing of sets of universe ids: vectors whose cosine is close to that of the sets.

    Each region of the universe has one coordinate and one sign, both from a hash of its id. The
    vector of a set is the sum over its regions (Charikar et al. 2002). Nothing
    is learned, so a set that is added later is encoded in the same way, on any machine. The cosine
    of two vectors has a standard error of about ``dim ** -0.5``;
    docs/decisions/0008-library-store.md measures what that costs.

    Parameters
    ----------
    universe_size
        Number of regions in the universe.
    dim
        Length of a vector.

    Examples
    --------
    >>> hasher = FeatureHasher(1000, dim=64)
    >>> a, b, c = hasher.encode([np.arange(0, 300), np.arange(50, 350), np.arange(600, 900)])
    >>> bool(a @ b > 0.6 > 0.4 > a @ c)
    True
    """

    def __init__(self, universe_size: int, dim: int = DIM) -> None:
        self.dim = dim
        hashes = _splitmix64(np.arange(universe_size, dtype=np.uint64))
        self._coordinate = ((hashes >> np.uint64(1)) % np.uint64(dim)).astype(np.int32)
        self._sign = np.where(hashes & np.uint64(1), 1.0, -1.0)

    def encode(self, sets: Sequence[Tokens]) -> NDArray[np.float32]:
        """Encode sets of ids.

        Parameters
        ----------
        sets
            n sets of ids.

        Returns
        -------
        numpy.ndarray
            float32, shape (n, dim): rows of unit length; the row of an empty set is 0.
        """
        vectors = np.zeros((len(sets), self.dim), np.float32)
        for vector, ids in zip(vectors, sets, strict=True):
            vector[:] = np.bincount(self._coordinate[ids], self._sign[ids], self.dim)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, lengths, out=vectors, where=lengths > 0)
        return vectors


def _splitmix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash integers (Steele et al. 2014), the same with every version of numpy."""
    x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
