"""Maps of region sets: points on a plane, near each other where the sets hold the same regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def map_sets(presence: csr_array, *, dim: int = 30, seed: int = 0) -> NDArray[np.float32]:
    """Lay out region sets on a plane, by truncated SVD and t-SNE.

    Rows are scaled to unit length first, so that sets are compared by which regions they hold
    and not by how many.

    Parameters
    ----------
    presence
        Which regions each set holds, sparse (sets, universe), at least two sets: see
        `Atlas.presence`.
    dim
        Number of dimensions after the SVD.
    seed
        Seed of the SVD and of t-SNE.

    Returns
    -------
    NDArray
        Coordinates of each set, float32 (sets, 2).

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> map_sets(csr_array(np.eye(6, 9, dtype=np.float32))).shape
    (6, 2)
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.manifold import TSNE
    from sklearn.preprocessing import normalize

    sets, universe = presence.shape
    svd = TruncatedSVD(min(dim, sets - 1, universe - 1), random_state=seed)
    reduced = svd.fit_transform(normalize(presence))
    tsne = TSNE(perplexity=min(20.0, (sets - 1) / 3), init="pca", random_state=seed)
    return np.asarray(tsne.fit_transform(reduced), np.float32)
