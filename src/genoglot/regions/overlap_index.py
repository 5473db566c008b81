"""All chromosomes of a universe laid end to end on one axis, for looking up overlaps fast."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoglot.regions.algebra import Ints
from genoglot.regions.chromosomes import check_names
from genoglot.regions.regions import Regions

Keys = NDArray[Any]  # uint32 or int64

_STEPS_OF_ALL = 2  # most intervals have arrived after so many; picking out the rest takes longer
_STEPS = 8  # regions looked at one after the other before a binary search takes over


class Axis:
    """Sorted, non-overlapping regions as two sorted arrays of keys.

    A key is the offset of the chromosome plus the coordinate. Keys of a genome of less than 4.29
    Gb fit 32 bits, which halves the memory that each lookup has to touch. A table over bins of
    the axis, about one per region, tells where to start looking: region sets need no sorting.

    Parameters
    ----------
    regions
        Sorted by chromosome (in the order of `chrom_names`) and start, non-overlapping.
    """

    def __init__(self, regions: Regions) -> None:
        # The order of the names is that of the runs, so that offsets rise with the rows.
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
            keys[n] = np.iinfo(kind).max  # what follows the last region is never reached
        self.shift = max(self.size // max(n, 1), 1).bit_length()
        # bins[b] = regions that end at or before the first base of bin b
        last = (self.size >> self.shift) + 1
        counts = np.bincount(((self.end[:n] - 1) >> self.shift) + 1, minlength=last + 1)
        self.bins = np.cumsum(counts, dtype=np.int32)

    def keys(self, regions: Regions) -> tuple[Keys, Keys]:
        """Place any regions on the axis, as starts and ends; empty where it lacks their chromosome.

        Raises
        ------
        ChromosomeNameError
            If the axis has a chromosome under its other spelling.
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

    def _first_ending_after(self, start: Keys) -> Ints:
        at: Ints = self.bins[start >> self.shift].astype(np.int64)
        for _ in range(_STEPS_OF_ALL):
            at += self.end[at] <= start
        moving = np.flatnonzero(self.end[at] <= start)
        for _ in range(_STEPS):
            if not len(moving):
                return at
            at[moving] += 1
            moving = moving[self.end[at[moving]] <= start[moving]]
        at[moving] = self.end.searchsorted(start[moving], "right")
        return at

    def ranges(self, start: Keys, end: Keys) -> tuple[Ints, Ints]:
        """Find the first, and one past the last, region that overlaps each interval of keys."""
        lo = self._first_ending_after(start)
        hi = lo.copy()
        moving = np.flatnonzero((self.start[lo] < end) & (start < end))
        for _ in range(_STEPS):
            hi[moving] += 1
            moving = moving[self.start[hi[moving]] < end[moving]]
        hi[moving] = self.start.searchsorted(end[moving], "left")
        return lo, hi

    def hits(self, start: Keys, end: Keys) -> NDArray[np.int32]:
        """Find the rows, sorted and unique, of the regions that any interval of keys overlaps."""
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
            # Where more of the long ranges have begun than ended: this takes no more time and
            # memory when many of them overlap each other.
            stop = self.start.searchsorted(end, "left")
            hit |= np.cumsum(np.bincount(at, minlength=n) - np.bincount(stop, minlength=n)) > 0
        return np.flatnonzero(hit).astype(np.int32)
