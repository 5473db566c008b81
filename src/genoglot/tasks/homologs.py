"""Groups of sequences that share DNA, such as an enhancer of man and that of mouse."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from genoglot.sequence.alphabet import Codes
from genoglot.tasks.minimizers import find_minimizers

K, WINDOW = 15, 8
"""Minimizers: two sequences with 22 bases in common share one."""

LEAST_SHARED = 3
"""Minimum number of minimizers that two homologs share."""

FRACTION = 0.015
"""Minimum proportion of minimizers that two homologs share, of the one that has fewer."""

REPEATED = 4
"""A minimizer of more sequences than this one is of a repeat, and does not count."""

COPY = 0.3
"""Proportion of minimizers that makes two sequences homologs, repeats or not."""


def group_homologs(codes: Codes) -> NDArray[np.int64]:
    """Put sequences that share DNA, on either strand, into one group (single linkage).

    Enhancers of man and mouse share less than near duplicates do (`genoglot.tasks.leakage`): a few
    hundred bases of conserved cores. Sequences are linked if they have at
    least three minimizers in common, and at least 1.5 % of those of the one that has fewer.
    Minimizers of more than four sequences are of repeats, such as (CA)n, and do not count, unless
    two sequences share 30 % of all minimizers: then they are copies of each other.

    Parameters
    ----------
    codes
        A C G T N = 0 1 2 3 4, uint8 (n, length), padded with N.

    Returns
    -------
    NDArray
        Number of the group of each sequence, int64 (n,).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> codes = rng.integers(0, 4, (3, 400), np.uint8)
    >>> codes[2, 100:200] = codes[0, 250:350]
    >>> group_homologs(codes).tolist()
    [0, 1, 0]
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(codes)
    found = find_minimizers(codes, K, WINDOW)
    keys, key = np.unique(found.hashes, return_inverse=True)
    has = csr_matrix((np.ones(len(key), np.int64), (found.rows, key.ravel())), (n, len(keys)))
    has.data[:] = 1  # repeats within a sequence were added up
    fewer = np.asarray(has.sum(axis=1)).ravel()
    owners = np.asarray(has.sum(axis=0)).ravel()
    links = csr_matrix((n, n), dtype=bool)
    for most, fraction in ((n, COPY), (REPEATED, FRACTION)):
        some = has[:, (owners > 1) & (owners <= most)]
        shared = (some @ some.T).tocoo()
        least = fraction * np.minimum(fewer[shared.row], fewer[shared.col])
        linked = shared.data >= np.maximum(least, LEAST_SHARED)
        links += csr_matrix((linked[linked], (shared.row[linked], shared.col[linked])), (n, n))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)


def deal_groups(
    groups: NDArray[np.int64], folds: int, rng: np.random.Generator
) -> Iterator[NDArray[np.bool_]]:
    """Divide examples into folds of like size, the examples of a group together.

    Yields
    ------
    NDArray
        Which examples are in a fold, bool (n,).
    """
    numbers, sizes = np.unique(groups, return_counts=True)
    order = rng.permutation(len(numbers))
    order = order[np.argsort(-sizes[order], kind="stable")]  # the largest first
    fold_of, filled = np.empty(len(numbers), np.int64), np.zeros(folds, np.int64)
    for i in order:
        fold_of[i] = filled.argmin()
        filled[fold_of[i]] += sizes[i]
    fold = fold_of[np.searchsorted(numbers, groups)]
    for i in range(folds):
        yield fold == i
