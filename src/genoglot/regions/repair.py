"""Check whether regions can be a universe, and repair them if not."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import UniverseError
from genoglot.regions.regions import Regions

Repair = Literal["sort", "merge", "drop"] | None


class UniverseProblem(NamedTuple):
    """Why regions cannot be a universe.

    Attributes
    ----------
    row
        The first region with the problem.
    text
        The problem, for an error.
    """

    row: int
    text: str


def find_problem(regions: Regions) -> UniverseProblem | None:
    """Find out why regions cannot be a universe.

    Returns
    -------
    UniverseProblem or None
        None if they can.

    Examples
    --------
    >>> find_problem(Regions(["1", "1"], [0, 5], [9, 12])).row
    1
    """
    if not len(regions):
        return UniverseProblem(0, "there is no region, but a universe needs at least one")
    codes, start, end = regions.chrom_codes, regions.start, regions.end
    if (start == end).any():
        return _explained(regions, start == end, "empty regions (start = end)")
    same = codes[1:] == codes[:-1]
    unsorted = (codes[1:] < codes[:-1]) | (same & (start[1:] < start[:-1]))
    if unsorted.any():
        return _explained(regions, np.append(False, unsorted), "regions out of order")
    overlapping = same & (start[1:] < end[:-1])
    if overlapping.any():
        equal = overlapping & (start[1:] == start[:-1]) & (end[1:] == end[:-1])
        if equal.any():
            return _explained(regions, np.append(False, equal), "exact duplicates")
        return _explained(regions, np.append(False, overlapping), "overlaps with the region before")
    return None


def _explained(regions: Regions, offending: NDArray[np.bool_], what: str) -> UniverseProblem:
    row = int(np.argmax(offending))
    name = regions.chrom_names[regions.chrom_codes[row]]
    where = f"{name}:{regions.start[row]}-{regions.end[row]}"
    return UniverseProblem(
        row,
        f"{int(offending.sum())} {what}, the first {where} (region {row}); a universe must be "
        'sorted and free of overlaps; repair it with repair="sort", "drop" or "merge"',
    )


def repaired(regions: Regions, repair: Repair) -> Regions:
    """Repair regions as `Universe` describes.

    Returns
    -------
    Regions
        The regions themselves if `repair` is None.

    Raises
    ------
    UniverseError
        If there is no such repair.

    Examples
    --------
    >>> repaired(Regions(["1", "1"], [5, 0], [12, 9]), "merge")
    Regions(1 regions on 1 chromosomes: 1:0-12)
    """
    if repair is None:
        return regions
    if repair not in ("sort", "merge", "drop"):
        raise UniverseError(f'repair is {repair!r}; use "sort", "merge" or "drop"')
    regions = regions.sort()
    if repair == "sort":
        return regions
    regions = regions[regions.end > regions.start]
    if repair == "merge":
        # A gap of -1 bp: bookended regions stay apart.
        return regions.merge(gap=-1)
    same = np.ones(max(len(regions) - 1, 0), bool)
    for array in (regions.chrom_codes, regions.start, regions.end):
        same &= array[1:] == array[:-1]
    return regions[~np.append(False, same)[: len(regions)]]
