"""Finding the nearest of a million vectors: exactly, or by HNSW."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import ModelError

Floats = NDArray[np.float32]
Ids = NDArray[np.int32]


class VectorIndex(Protocol):
    """An index of vectors, searched by inner product."""

    def top(self, query: Floats, n: int) -> tuple[Ids, Floats]:
        """Ids and inner products of `n` vectors, (n,) each, best first."""


class ExactIndex:
    """Every inner product by one matrix product: recall 1 and nothing to build.

    Parameters
    ----------
    vectors
        (n, dim) float32.

    Examples
    --------
    >>> ids, products = ExactIndex(np.eye(3, dtype=np.float32)).top(np.array([0, 2, 1]), 2)
    >>> ids.tolist(), products.tolist()
    ([1, 2], [2.0, 1.0])
    """

    def __init__(self, vectors: Floats) -> None:
        self.vectors = vectors

    def top(self, query: Floats, n: int) -> tuple[Ids, Floats]:
        """Ids and inner products of the `n` best vectors, best first."""
        from genoglot.models.text_to_regions.generator import best

        products = self.vectors @ query.astype(np.float32)
        ids = best(products, n)
        return ids, products[ids]


class HnswIndex:
    """Hierarchical navigable small worlds (usearch), the index of Fay et al. 2024: approximate.

    The largest inner product is found as the smallest distance, once one more coordinate has made
    all vectors equally long (Bachrach et al. 2014).

    Parameters
    ----------
    vectors
        (n, dim) float32.
    links
        Links of each vector (M): more are slower to build and more exact.
    build_width
        Candidates kept when a vector is added (ef_construction).
    threads
        Threads that build it. With one, the same vectors give the same index.
    """

    def __init__(
        self, vectors: Floats, *, links: int = 16, build_width: int = 100, threads: int = 1
    ) -> None:
        from usearch.index import Index as Graph

        self._hold(vectors)
        self.graph: Any = Graph(
            ndim=vectors.shape[1] + 1,
            metric="l2sq",
            dtype="f32",
            connectivity=links,
            expansion_add=build_width,
        )
        squares = np.einsum("nd,nd->n", vectors, vectors)
        rest = np.sqrt(np.maximum(self._longest - squares, 0))
        self.graph.add(np.arange(len(vectors)), np.column_stack([vectors, rest]), threads=threads)

    def _hold(self, vectors: Floats) -> None:
        self.vectors = vectors
        self._longest = float(np.einsum("nd,nd->n", vectors, vectors).max())  # squared

    def top(self, query: Floats, n: int) -> tuple[Ids, Floats]:
        """Ids and inner products of about the `n` best vectors, best first."""
        query = query.astype(np.float32)
        self.graph.expansion_search = max(2 * n, 200)
        found = self.graph.search(np.append(query, np.float32(0)), n)
        products = (query @ query + self._longest - found.distances) / 2
        return found.keys.astype(np.int32), products.astype(np.float32)

    def recall(self, queries: Floats, n: int) -> float:
        """Share of the exact `n` best that `top` finds, over some queries."""
        exact = ExactIndex(self.vectors)
        found = [
            len(np.intersect1d(self.top(q, n)[0], exact.top(q, n)[0], assume_unique=True))
            for q in queries
        ]
        return float(np.mean(found)) / n

    def save(self, path: Path) -> None:
        """Write the graph in usearch's own format."""
        self.graph.save(str(path))

    @classmethod
    def load(cls, path: Path, vectors: Floats) -> HnswIndex:
        """Read a graph that `save` wrote for these vectors.

        Raises
        ------
        ModelError
            If the file is damaged or the graph of other vectors.
        """
        from usearch.index import Index as Graph

        self = cls.__new__(cls)
        self._hold(vectors)
        try:
            self.graph = Graph.restore(str(path))
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path}: damaged HNSW index ({error}); build it again") from None
        if self.graph is None or len(self.graph) != len(vectors):
            raise ModelError(f"{path}: no HNSW index of these vectors; build it again")
        return self
