"""Low-rank factors of the presence matrix: a short vector for each region set and each region."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float32]

OVERSAMPLING = 16  # additional random directions, for accuracy (Halko et al. 2011)


class Factors(NamedTuple):
    """Factors of presence, which is about frequency + sets @ regions.T: see `factorize`.

    Attributes
    ----------
    sets
        Set factors, float32 (sets, rank).
    regions
        Region factors, float32 (universe, rank).
    """

    sets: Floats
    regions: Floats


def factorize(presence: csr_array, frequency: Floats, rank: int, *, seed: int) -> Factors:
    """Factorize centered presence by a randomized singular value decomposition.

    The algorithm is that of Halko, Martinsson and Tropp 2011. Centering is part of the products, so
    that the dense matrix `presence - frequency` is never built. The result is exact if `rank`
    reaches the number of sets.

    Parameters
    ----------
    presence
        Sparse matrix (sets, universe) of values between 0 and 1.
    frequency
        What is subtracted from every row, float32 (universe,).
    rank
        Number of factors of a set and of a region; at most the number of sets.
    seed
        Seed of the random projection.

    Returns
    -------
    Factors
        Set factors and region factors, which share the singular values evenly.
    """
    sets = presence.shape[0]
    rank = min(rank, sets)
    transposed = presence.T.tocsr()

    def to_regions(m: Floats) -> Floats:  # (sets, k) -> (universe, k)
        return sparse_product(transposed, m) - np.outer(frequency, m.sum(0))

    def to_sets(m: Floats) -> Floats:  # (universe, k) -> (sets, k)
        return sparse_product(presence, m) - frequency @ m

    start = np.random.default_rng(seed).standard_normal((sets, min(rank + OVERSAMPLING, sets)))
    basis = np.linalg.qr(start.astype(np.float32)).Q
    for _ in range(3):
        basis = np.linalg.qr(to_sets(to_regions(basis))).Q
    projected = to_regions(basis)
    squares, vectors = np.linalg.eigh((projected.T @ projected).astype(np.float64))
    largest = np.argsort(squares)[::-1][:rank]
    root = np.maximum(squares[largest], 1e-12) ** 0.25  # of each singular value, for either side
    vectors = vectors[:, largest]
    set_factors = (basis @ vectors) * root
    region_factors = projected @ (vectors / root).astype(np.float32)
    return Factors(set_factors.astype(np.float32), region_factors)


def sparse_product(sparse: csr_array, dense: Floats) -> Floats:
    """Multiply a sparse matrix by a dense one on all CPU cores; scipy uses a single one.

    Parameters
    ----------
    sparse
        Sparse float32 matrix (n, k).
    dense
        float32 (k, m).

    Returns
    -------
    NDArray
        float32 (n, m).

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> sparse_product(csr_array(np.eye(2, 3, dtype=np.float32)), np.ones((3, 1), np.float32))
    array([[1.],
           [1.]], dtype=float32)
    """
    with warnings.catch_warnings():
        # PyTorch warns that sparse matrices are in beta and that they are not checked.
        warnings.filterwarnings("ignore", message="Sparse")
        tensor = torch.sparse_csr_tensor(
            torch.from_numpy(sparse.indptr),
            torch.from_numpy(sparse.indices),
            torch.from_numpy(sparse.data),
            size=sparse.shape,
            check_invariants=False,
        )
        result: Floats = (tensor @ torch.from_numpy(dense)).numpy()
    return result


def standard_deviation(factors: Tensor) -> Tensor:
    """Compute the standard deviation of each factor, but at least 1 % of the largest one.

    Parameters
    ----------
    factors
        (n, rank).

    Returns
    -------
    Tensor
        (rank,), by which factors can be divided.
    """
    deviation = factors.std(0, correction=0)
    return deviation.clamp(min=1e-2 * float(deviation.max()))
