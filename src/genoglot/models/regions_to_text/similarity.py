"""Jaccard indices of many region sets at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genoglot.regions.jaccard import jaccard_index

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def pairwise_jaccard(sets: csr_array, others: csr_array) -> NDArray[np.float32]:
    """Compute the Jaccard index of every pair of region sets.

    Parameters
    ----------
    sets, others
        Presence of each region of the universe in each set, 0 or 1: (sets, universe) each.

    Returns
    -------
    array
        float32 (sets, others).
    """
    shared = (sets @ others.T).toarray().astype(np.float32)
    n_sets, n_others = (np.diff(x.indptr).astype(np.float32) for x in (sets, others))
    indices: NDArray[np.float32] = jaccard_index(shared, n_sets[:, None], n_others)
    return indices


def jaccard_with(ids: NDArray[np.int32], others: csr_array) -> NDArray[np.float32]:
    """Compute the Jaccard index of one set, given by its universe ids, with each of others."""
    from scipy.sparse import csr_array

    ones, shape = np.ones(len(ids), np.float32), (1, others.shape[1])
    one = csr_array((ones, ids, [0, len(ids)]), shape=shape)
    indices: NDArray[np.float32] = pairwise_jaccard(one, others)[0]
    return indices
