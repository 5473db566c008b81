"""Fast look-up of the regions of a universe that overlap a region set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoglot.regions.chromosomes import check_names
from genoglot.regions.intervals import RowIndices
from genoglot.regions.regions import Regions

Keys = NDArray[Any]
"""Positions on the axis of an `OverlapIndex`, uint32 or int64, shape (n,)."""

_STEPS_FOR_ALL = 2  # steps made for all intervals: most are done then, and selecting others costs
_STEPS = 8  # regions visited one after the other before a binary search


class OverlapIndex:
    """Sorted, non-overlapping regions, laid end to end on one axis.

    The position of a base on the axis, its key, is the offset of its chromosome plus its
    coordinate. The keys of a genome of less than 4.29 Gb fit 32 bits, which halves the memory that
    each look-up reads. A table over bins of the axis, about one per region, gives the region at
    which a search starts, so that region sets need no sorting.

    Parameters
    ----------
    regions
        Sorted by chromosome (in the order of `chrom_names`) and start, non-overlapping.
    """

    def __init__(self, regions: Regions) -> None:
        # Chromosomes are numbered in the order of their rows, so that offsets rise with the rows.
        bounds = regions.chrom_codes.searchsorted(np.arange(len(regions.chrom_names)), "right")
        self.extent = regions.end[bounds - 1]
        offsets = np.concatenate(([0], np.cumsum(self.extent + 1)))
        self.size = int(offsets[-1])
        kind = np.uint32 if self.size < 2**32 - 1 else np.int64
        self.offset = offsets.astype(kind)
        self.codes = {name: code for code, name in enumerate(regions.chrom_names)}
        n = len(regions)
        self.start: Keys = np.empty(n + 1, kind)
        self.end: Keys = np.empty(n + 1, kind)
        lookup = self.offset[regions.chrom_codes]
        for keys, coordinates in ((self.start, regions.start), (self.end, regions.end)):
            np.add(lookup, coordinates, out=keys[:n], casting="unsafe")
            keys[n] = np.iinfo(kind).max  # a last region that no interval reaches
        self.shift = max(self.size // max(n, 1), 1).bit_length()
        # bins[b] = number of regions that end at or before the first base of bin b
        last = (self.size >> self.shift) + 1
        counts = np.bincount(((self.end[:n] - 1) >> self.shift) + 1, minlength=last + 1)
        self.bins = np.cumsum(counts, dtype=np.int32)

    def keys(self, regions: Regions) -> tuple[Keys, Keys]:
        """Convert the coordinates of any regions to keys.

        Returns
        -------
        start, end
            Keys, shape (n,) each. Regions on a chromosome that the index does not have are empty.

        Raises
        ------
        ChromosomeNameError
            If the index has a chromosome in another spelling.
        """
        unknown = len(self.codes)
        codes = [self.codes.get(name, unknown) for name in regions.chrom_names]
        if unknown in codes:
            check_names(
                regions.chrom_names, self.codes.keys(), ours="the region set", theirs="the universe"
            )
        lookup = np.array(codes, np.int64)
        offset = self.offset[lookup][regions.chrom_codes]
        extent = np.append(self.extent, 0)[lookup][regions.chrom_codes]
        start, end = (
            np.add(offset, np.minimum(at, extent), dtype=offset.dtype, casting="unsafe")
            for at in (regions.start, regions.end)
        )
        return start, end

    def _first_ending_after(self, start: Keys) -> RowIndices:
        at: RowIndices = self.bins[start >> self.shift].astype(np.int64)
        for _ in range(_STEPS_FOR_ALL):
            at += self.end[at] <= start
        moving = np.flatnonzero(self.end[at] <= start)
        for _ in range(_STEPS):
            if not len(moving):
                return at
            at[moving] += 1
            moving = moving[self.end[at[moving]] <= start[moving]]
        at[moving] = self.end.searchsorted(start[moving], "right")
        return at

    def ranges(self, start: Keys, end: Keys) -> tuple[RowIndices, RowIndices]:
        """Find the regions that overlap each interval of keys.

        Returns
        -------
        first, stop
            Row of the first region, and of the last one plus 1, int64, shape (n,).
        """
        lo = self._first_ending_after(start)
        hi = lo.copy()
        moving = np.flatnonzero((self.start[lo] < end) & (start < end))
        for _ in range(_STEPS):
            hi[moving] += 1
            moving = moving[self.start[hi[moving]] < end[moving]]
        hi[moving] = self.start.searchsorted(end[moving], "left")
        return lo, hi

    def hits(self, start: Keys, end: Keys) -> NDArray[np.int32]:
        """Find the regions that overlap any interval of keys.

        Returns
        -------
        NDArray
            Rows, sorted and unique, int32, shape (number of regions,).
        """
        at = self._first_ending_after(start)
        some = np.flatnonzero((self.start[at] < end) & (start < end))
        at, end = at[some], end[some]
        found = [at]  # the first rows of all intervals, the second ones, ...
        for _ in range(_STEPS):
            if not len(at):
                break
            at = at + 1
            more = self.start[at] < end
            at, end = at[more], end[more]
            found.append(at)
        n = len(self.start)
        if not len(at) and sum(map(len, found)) * 256 < n:
            rows = np.sort(np.concatenate(found))
            return rows[np.diff(rows, prepend=-1) > 0].astype(np.int32)
        hit = np.zeros(n, bool)
        for rows in found:
            hit[rows] = True
        if len(at):
            # A region is hit where more of the long ranges have begun than ended: many ranges
            # that overlap each other cost no more time or memory.
            stop = self.start.searchsorted(end, "left")
            hit |= np.cumsum(np.bincount(at, minlength=n) - np.bincount(stop, minlength=n)) > 0
        return np.flatnonzero(hit).astype(np.int32)
