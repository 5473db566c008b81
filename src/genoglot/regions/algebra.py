"""Overlaps and neighbors of intervals on one axis, whatever their order and nesting."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

NO_NEIGHBOR = np.iinfo(np.int64).max
"""Distance of `nearest_rows` where the chromosome holds no other interval."""


def overlapping_pairs(start_a: Ints, end_a: Ints, start_b: Ints, end_b: Ints) -> tuple[Ints, Ints]:
    """Find every pair that shares a base, as (row of a, row of b), ordered by both.

    Takes time in proportion to n log n and the number of pairs.
    """
    a, b = np.flatnonzero(end_a > start_a), np.flatnonzero(end_b > start_b)
    start_a, end_a, start_b, end_b = start_a[a], end_a[a], start_b[b], end_b[b]
    # Of two overlapping intervals one starts inside the other: either b starts in a, ties
    # included, or a starts strictly inside b. Each pair is found once, whatever the nesting.
    around_b, inside_a = _starting_within(start_a, end_a, start_b, "left")
    around_a, inside_b = _starting_within(start_b, end_b, start_a, "right")
    rows = a[np.concatenate((around_b, inside_b))]
    others = b[np.concatenate((inside_a, around_a))]
    order = np.lexsort((others, rows))
    return rows[order], others[order]


def nearest_rows(
    start_a: Ints, end_a: Ints, start_b: Ints, end_b: Ints, spacing: int
) -> tuple[Ints, Ints]:
    """Find the nearest b of each a, and its signed distance: see `Regions.nearest`.

    Chromosome i spans `i * spacing` to `(i + 1) * spacing`, the last base of which is free.
    """
    row = np.full(len(start_a), -1, np.int64)
    distance = np.full(len(start_a), NO_NEIGHBOR, np.int64)
    if not len(start_a) or not len(start_b):
        return row, distance
    order = np.lexsort((end_b, start_b))
    start_b, end_b = start_b[order], end_b[order]
    # `reach` makes ends monotonic where intervals are nested. Where it first exceeds a start
    # stands the first interval ending after that start; the one that set it last before an end
    # reaches furthest right.
    reach: Ints = np.maximum.accumulate(end_b)
    setter = np.flatnonzero(np.concatenate(([True], end_b[1:] > reach[:-1])))
    last = len(order) - 1
    lo = reach.searchsorted(start_a, "right")
    hi = start_b.searchsorted(end_a, "left")  # first interval starting at or after our end
    left = setter[np.maximum(setter.searchsorted(hi, "left") - 1, 0)]
    right = np.minimum(hi, last)
    chrom = start_a // spacing
    has_left = (hi > 0) & (start_b[left] // spacing == chrom)
    has_right = (hi <= last) & (start_b[right] // spacing == chrom)
    to_left = np.where(has_left, start_a - end_b[left] + 1, NO_NEIGHBOR)
    to_right = np.where(has_right, start_b[right] - end_a + 1, NO_NEIGHBOR)
    inside, leftwards = lo < hi, has_left & (to_left <= to_right)
    found = inside | has_left | has_right
    best = np.where(inside, np.minimum(lo, last), np.where(leftwards, left, right))
    signed = np.where(inside, 0, np.where(leftwards, -to_left, to_right))
    row[found], distance[found] = order[best[found]], signed[found]
    return row, distance


def _starting_within(
    start: Ints, end: Ints, points: Ints, side: Literal["left", "right"]
) -> tuple[Ints, Ints]:
    """Pairs (interval, point) with the point in [start, end), or in (start, end) from "right"."""
    order = np.argsort(points, kind="stable")
    ordered = points[order]
    lo, hi = ordered.searchsorted(start, side), ordered.searchsorted(end, "left")
    intervals, positions = expand_ranges(lo, np.maximum(lo, hi))
    return intervals, order[positions]


def expand_ranges(lo: NDArray[Any], hi: NDArray[Any]) -> tuple[Ints, Ints]:
    """Every integer of the ranges [lo, hi), after the index of its range.

    Examples
    --------
    >>> expand_ranges(np.array([4, 7, 7]), np.array([6, 7, 8]))
    (array([0, 0, 2]), array([4, 5, 7]))
    """
    length = hi - lo
    index = np.repeat(np.arange(len(lo)), length)
    before = np.cumsum(length) - length
    return index, np.arange(len(index)) + np.repeat(lo - before, length)
