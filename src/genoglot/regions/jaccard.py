"""The Jaccard index of two region sets: what both share, divided by what either of them has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.regions.regions import Regions


def jaccard_index(shared: ArrayLike, size: ArrayLike, other_size: ArrayLike) -> NDArray[Any]:
    """Jaccard index of two sets, from the size of their intersection and their own sizes.

    Parameters
    ----------
    shared
        Size of the intersection, in regions, ids or base pairs.
    size, other_size
        Size of each set, in the same unit. The three arrays are broadcast against each other.

    Returns
    -------
    NDArray
        Jaccard index, 0 to 1, of the broadcast shape; 0 where both sets are empty. float32 if all
        sizes are, else float64.

    Examples
    --------
    >>> jaccard_index([2, 0], [3, 0], 3)
    array([0.5, 0. ])
    """
    shared = np.asarray(shared)
    union = np.asarray(size) + np.asarray(other_size) - shared
    index: NDArray[Any] = shared / np.where(union > 0, union, 1)
    return index


def jaccard_of_ids(
    ids: ArrayLike, others: Sequence[ArrayLike], universe_size: int
) -> NDArray[np.float64]:
    """Jaccard index of a set of universe ids with each of several other sets.

    Parameters
    ----------
    ids
        Unique ids, shape (n,).
    others
        The other sets: unique ids each.
    universe_size
        Number of regions of the universe.

    Returns
    -------
    NDArray
        float64, shape (len(others),).

    Examples
    --------
    >>> jaccard_of_ids([1, 2, 3], [[2, 3, 4], [5]], universe_size=6)
    array([0.5, 0. ])
    """
    rows = [np.asarray(other, np.int64) for other in others]
    present = np.zeros(universe_size, bool)
    present[np.asarray(ids, np.int64)] = True
    shared = np.array([np.count_nonzero(present[row]) for row in rows], np.float64)
    return jaccard_index(shared, np.count_nonzero(present), [len(row) for row in rows])


def region_jaccard(a: Regions, b: Regions) -> float:
    """Jaccard index of the regions of two sets, where overlapping regions count as shared.

    If m regions of `a` overlap any of `b`, and n regions of `b` overlap any of `a`, the number of
    shared regions is (m + n) / 2. The index is symmetric, and equals the Jaccard index of sets if
    regions that overlap are equal.

    Returns
    -------
    float
        0 to 1; 0 if both sets are empty.

    Examples
    --------
    >>> region_jaccard(Regions(["1", "1"], [0, 50], [9, 60]), Regions(["1"], [3], [20]))
    0.5
    """
    ours, theirs = a.overlaps(b)
    shared = (len(np.unique(ours)) + len(np.unique(theirs))) / 2
    return float(jaccard_index(shared, len(a), len(b)))


def base_pair_jaccard(a: Regions, b: Regions) -> float:
    """Jaccard index of the base pairs that two region sets cover, as by `bedtools jaccard`.

    Returns
    -------
    float
        0 to 1; 0 if both sets have no base pair.

    Examples
    --------
    >>> base_pair_jaccard(Regions(["1"], [0], [10]), Regions(["1"], [5], [15]))
    0.3333333333333333
    """
    ours, theirs, either = (covered_base_pairs(x) for x in (a, b, Regions.concat((a, b))))
    return float(jaccard_index(ours + theirs - either, ours, theirs))


def covered_base_pairs(regions: Regions) -> int:
    """Count the base pairs that are in at least one region."""
    merged = regions.merge()
    return int((merged.end - merged.start).sum())
