"""The nearest of a million vectors: exact search, or HNSW."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import ModelError
from genoglot.models.text_to_regions.generator import Ids, best

Floats = NDArray[np.float32]


class VectorIndex(Protocol):
    """An index of vectors, searched by inner product."""

    def top(self, query: Floats, n: int) -> tuple[Ids, Floats]:
        """Find the vectors with the largest inner products.

        Parameters
        ----------
        query
            float32 (dim,).
        n
            Number of vectors to find.

        Returns
        -------
        tuple of NDArray
            Indices of the vectors, int32 (n,), and inner products, float32 (n,), best first.
        """


class ExactIndex:
    """All inner products by one matrix product: recall is 1 and nothing has to be built.

    Parameters
    ----------
    vectors
        float32 (n, dim).

    Examples
    --------
    >>> ids, products = ExactIndex(np.eye(3, dtype=np.float32)).top(np.array([0, 2, 1]), 2)
    >>> ids.tolist(), products.tolist()
    ([1, 2], [2.0, 1.0])
    """

    def __init__(self, vectors: Floats) -> None:
        self.vectors = vectors

    def top(self, query: Floats, n: int) -> tuple[Ids, Floats]:
        """Find the vectors with the largest inner products: see `VectorIndex`."""
        products = self.vectors @ query.astype(np.float32)
        ids = best(products, n)
        return ids, products[ids]


class HnswIndex:
    """Hierarchical navigable small worlds (usearch), as in Fay et al. 2024: approximate search.

    One more coordinate makes all vectors equally long, so that the largest inner product becomes
    the smallest distance (Bachrach et al. 2014).

    Parameters
    ----------
    vectors
        float32 (n, dim).
    links
        Number of links of each vector (M): with more, the index is slower to build and more exact.
    build_width
        Number of candidates that are compared when a vector is added (ef_construction).
    threads
        Number of threads that build the index. With one, the same vectors give the same index.
    """

    def __init__(
        self, vectors: Floats, *, links: int = 16, build_width: int = 100, threads: int = 1
    ) -> None:
        from usearch.index import Index as Graph

        self._set_vectors(vectors)
        self.graph: Any = Graph(
            ndim=vectors.shape[1] + 1,
            metric="l2sq",
            dtype="f32",
            connectivity=links,
            expansion_add=build_width,
        )
        squares = np.einsum("nd,nd->n", vectors, vectors)
        rest = np.sqrt(np.maximum(self._max_square - squares, 0))
        self.graph.add(np.arange(len(vectors)), np.column_stack([vectors, rest]), threads=threads)

    def _set_vectors(self, vectors: Floats) -> None:
        self.vectors = vectors
        self._max_square = float(np.einsum("nd,nd->n", vectors, vectors).max())  # squared length

    def top(self, query: Floats, n: int) -> tuple[Ids, Floats]:
        """Find most of the vectors with the largest inner products: see `VectorIndex`."""
        query = query.astype(np.float32)
        self.graph.expansion_search = max(2 * n, 200)
        found = self.graph.search(np.append(query, np.float32(0)), n)
        products = (query @ query + self._max_square - found.distances) / 2
        return found.keys.astype(np.int32), products.astype(np.float32)

    def recall(self, queries: Floats, n: int) -> float:
        """Compute the fraction of the exact `n` best vectors that `top` finds.

        Parameters
        ----------
        queries
            float32 (queries, dim).
        n
            Number of vectors to find for each query.

        Returns
        -------
        float
            Mean over the queries, between 0 and 1.
        """
        exact = ExactIndex(self.vectors)
        found = [
            len(np.intersect1d(self.top(q, n)[0], exact.top(q, n)[0], assume_unique=True))
            for q in queries
        ]
        return float(np.mean(found)) / n

    def save(self, path: Path) -> None:
        """Write the graph in the format of usearch, without the vectors."""
        self.graph.save(str(path))

    @classmethod
    def load(cls, path: Path, vectors: Floats) -> HnswIndex:
        """Read a graph that `save` has written.

        Parameters
        ----------
        path
            File of the graph.
        vectors
            The vectors from which it was built.

        Returns
        -------
        HnswIndex
            The index.

        Raises
        ------
        ModelError
            If the file is damaged, or the graph is one of other vectors.
        """
        from usearch.index import Index as Graph

        self = cls.__new__(cls)
        self._set_vectors(vectors)
        try:
            self.graph = Graph.restore(str(path))
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path}: damaged HNSW index ({error}); build it again") from None
        if self.graph is None or len(self.graph) != len(vectors):
            raise ModelError(f"{path}: not an HNSW index of these vectors; build it again")
        return self
