"""Order, union, overlaps and neighbors of intervals, by whole-array operations.

The chromosomes of two tables are laid end to end on one axis, so that one sort or search covers
them all.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from genoglot.regions.chromosomes import ChromCodes, check_names, natural_order, recode

Coordinates = NDArray[np.int64]
"""0-based positions or lengths in base pairs."""
RowIndices = NDArray[np.int64]

NO_NEIGHBOR = np.iinfo(np.int64).max
"""Distance of `nearest` where the chromosome has no other interval."""


class Intervals(Protocol):
    """Intervals as arrays: what `Regions` holds, without its further columns.

    Attributes
    ----------
    chrom_names
        Distinct chromosome names.
    chrom_codes
        Index into `chrom_names` of each interval, int32, shape (n,).
    start, end
        0-based, half-open coordinates in base pairs, int64, shape (n,).
    """

    chrom_names: tuple[str, ...]
    chrom_codes: ChromCodes
    start: Coordinates
    end: Coordinates


def sorted_rows(intervals: Intervals) -> RowIndices:
    """Rows in the order of chromosome (see `natural_order`), start and end; equal ones stay.

    Returns
    -------
    NDArray
        Row indices, int64, shape (n,).
    """
    names = intervals.chrom_names
    rank = np.empty(len(names), np.int32)
    rank[sorted(range(len(names)), key=lambda i: natural_order(names[i]))] = np.arange(len(names))
    return np.lexsort((intervals.end, intervals.start, rank[intervals.chrom_codes]))


def merge_sorted(intervals: Intervals, gap: int) -> tuple[ChromCodes, Coordinates, Coordinates]:
    """Join sorted intervals that are at most `gap` bp apart.

    Parameters
    ----------
    intervals
        At least one interval, in the order of `sorted_rows`.
    gap
        Base pairs; -1 joins only intervals that share a base.

    Returns
    -------
    chrom_codes, start, end
        The merged intervals, shape (m,) each.
    """
    spacing = int(intervals.end.max()) + gap + 1
    start, end = _on_axis(intervals, intervals.chrom_names, spacing)
    reach: Coordinates = np.maximum.accumulate(end)
    first = np.concatenate(([True], start[1:] > reach[:-1] + gap))
    last = np.concatenate((first[1:], [True]))
    # The furthest end of a run, converted back from the axis to the chromosome.
    ends = intervals.end[last] + (reach[last] - end[last])
    return intervals.chrom_codes[first], intervals.start[first], ends


def overlapping_pairs(a: Intervals, b: Intervals) -> tuple[RowIndices, RowIndices]:
    """Find every pair of intervals that share a base, in n log n time plus the number of pairs.

    Returns
    -------
    rows, other_rows
        Row of `a` and row of `b` of each pair, int64, shape (pairs,), sorted by both.

    Raises
    ------
    ChromosomeNameError
        If the two spell a chromosome differently, such as `1` and `chr1`.
    """
    (start_a, end_a), (start_b, end_b), _ = _on_one_axis(a, b)
    rows_a, rows_b = np.flatnonzero(end_a > start_a), np.flatnonzero(end_b > start_b)
    start_a, end_a, start_b, end_b = start_a[rows_a], end_a[rows_a], start_b[rows_b], end_b[rows_b]
    # One of two overlapping intervals starts inside the other: either b starts in a, ties
    # included, or a starts strictly inside b. Each pair is found once, whatever the nesting.
    around_b, inside_a = _starting_within(start_a, end_a, start_b, "left")
    around_a, inside_b = _starting_within(start_b, end_b, start_a, "right")
    rows = rows_a[np.concatenate((around_b, inside_b))]
    others = rows_b[np.concatenate((inside_a, around_a))]
    order = np.lexsort((others, rows))
    return rows[order], others[order]


def nearest(a: Intervals, b: Intervals) -> tuple[RowIndices, Coordinates]:
    """Find the nearest interval of `b` for each interval of `a`: see `Regions.nearest`."""
    (start_a, end_a), (start_b, end_b), spacing = _on_one_axis(a, b)
    row = np.full(len(start_a), -1, np.int64)
    distance = np.full(len(start_a), NO_NEIGHBOR, np.int64)
    if not len(start_a) or not len(start_b):
        return row, distance
    order = np.lexsort((end_b, start_b))
    start_b, end_b = start_b[order], end_b[order]
    # `reach` makes the ends monotonic where intervals are nested. Where it first exceeds a start
    # is the first interval that ends after that start; the one that set it last before an end
    # reaches furthest right.
    reach: Coordinates = np.maximum.accumulate(end_b)
    setter = np.flatnonzero(np.concatenate(([True], end_b[1:] > reach[:-1])))
    last = len(order) - 1
    lo = reach.searchsorted(start_a, "right")
    hi = start_b.searchsorted(end_a, "left")  # first interval that starts at or after our end
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


def expand_ranges(lo: NDArray[Any], hi: NDArray[Any]) -> tuple[RowIndices, RowIndices]:
    """List every integer of the ranges [lo, hi), with the index of its range.

    Returns
    -------
    index, value
        Index of the range and the integer, int64, shape (sum of the ranges' lengths,).

    Examples
    --------
    >>> expand_ranges(np.array([4, 7, 7]), np.array([6, 7, 8]))
    (array([0, 0, 2]), array([4, 5, 7]))
    """
    length = hi - lo
    index = np.repeat(np.arange(len(lo)), length)
    before = np.cumsum(length) - length
    return index, np.arange(len(index)) + np.repeat(lo - before, length)


def _starting_within(
    start: Coordinates, end: Coordinates, points: Coordinates, side: Literal["left", "right"]
) -> tuple[RowIndices, RowIndices]:
    """Pairs (interval, point) with the point in [start, end), or in (start, end) from "right"."""
    order = np.argsort(points, kind="stable")
    ordered = points[order]
    lo, hi = ordered.searchsorted(start, side), ordered.searchsorted(end, "left")
    intervals, positions = expand_ranges(lo, np.maximum(lo, hi))
    return intervals, order[positions]


def _on_axis(
    intervals: Intervals, names: tuple[str, ...], spacing: int
) -> tuple[Coordinates, Coordinates]:
    """Convert coordinates to an axis where chromosome i of `names` begins at i * spacing."""
    codes = recode(intervals.chrom_codes, intervals.chrom_names, names)
    offset = codes.astype(np.int64) * spacing
    return offset + intervals.start, offset + intervals.end


def _on_one_axis(
    a: Intervals, b: Intervals
) -> tuple[tuple[Coordinates, Coordinates], tuple[Coordinates, Coordinates], int]:
    """Convert the coordinates of two tables to one axis.

    Returns
    -------
    a, b
        Starts and ends of each table on the axis, int64, shape (n,).
    spacing
        Base pairs from the begin of a chromosome to the next; the last one is always free.
    """
    check_names(a.chrom_names, b.chrom_names, ours="this table", theirs="the other one")
    names = tuple(dict.fromkeys((*a.chrom_names, *b.chrom_names)))
    spacing = int(max(a.end.max(initial=0), b.end.max(initial=0))) + 1
    return _on_axis(a, names, spacing), _on_axis(b, names, spacing), spacing
