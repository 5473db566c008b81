"""Samples of GeneBERT: consecutive accessible regions of one cell type, drawn by index."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import ModelError

Ints = NDArray[np.int64]


class Runs(NamedTuple):
    """Runs of regions that are open in one cell type, on one chromosome and in one subset.

    The regions of a run are consecutive: no region between them is open in the cell type.

    Attributes
    ----------
    first, size
        Position of the first region of each run in `open_ids`, and its number of regions, int64
        (runs,).
    cell_type
        Index of the cell type of each run, in ascending order, int64 (runs,).
    open_ids
        Ids of the open regions of all cell types, one cell type after the other.
    """

    first: Ints
    size: Ints
    cell_type: Ints
    open_ids: NDArray[np.int32]


class Samples:
    """Samples of a data set: one for each first region of `n_regions` consecutive ones.

    Parameters
    ----------
    runs
        The runs that samples are taken from.
    n_regions
        Number of regions of a sample.

    Raises
    ------
    ModelError
        If `n_regions` is below 2, or no run has that many regions.
    """

    def __init__(self, runs: Runs, n_regions: int) -> None:
        if n_regions < 2:
            raise ModelError(f"a sample of {n_regions} regions has no two segments; give 2 or more")
        self.n_regions, self._runs = n_regions, runs
        self._ends = np.cumsum(np.maximum(runs.size - n_regions + 1, 0))
        if not len(self):
            longest = int(runs.size.max(initial=0))
            raise ModelError(
                f"no cell type has {n_regions} consecutive open regions on a chromosome (at most "
                f"{longest}); take fewer regions per sample"
            )
        segments = runs.size - self._segment + 1
        self._segment_ends = np.cumsum(np.maximum(segments, 0))

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @property
    def _segment(self) -> int:
        """Number of regions of the second segment of a sample."""
        return self.n_regions - self.n_regions // 2

    def cell_type(self, rows: Ints) -> Ints:
        """Return the index of the cell type of samples, int64, in the shape of `rows`."""
        found: Ints = self._runs.cell_type[self._run(rows)]
        return found

    def region_ids(self, rows: Ints) -> Ints:
        """Return the ids of the regions of samples, int64 (..., n_regions) for `rows` (...)."""
        return self._ids(self._position(np.asarray(rows)), self.n_regions)

    def other_segment(self, rows: Ints, draws: NDArray[np.float64]) -> Ints:
        """Return segments that do not follow the first segments of samples.

        Such a segment has as many regions as the second half of a sample. It is drawn
        from all segments of the same cell type and the same subset that share no region with the
        sample; if there are none, from those that are not the second half of the sample.

        Parameters
        ----------
        rows
            Samples, int64 (n,).
        draws
            A random number from 0 up to 1 (without 1) for each sample, float64 (n,). The same one
            gives the same segment.

        Returns
        -------
        NDArray
            Ids of regions, int64 (n, n_regions - n_regions // 2).
        """
        rows = np.asarray(rows)
        runs, segment = self._runs, self._segment
        run, position = self._run(rows), self._position(rows)
        cells = runs.cell_type[run]
        ends = np.concatenate([[0], self._segment_ends])
        # Segments of a cell type are numbered from low to high.
        low = ends[np.searchsorted(runs.cell_type, cells, "left")]
        high = ends[np.searchsorted(runs.cell_type, cells, "right")]
        of_run = ends[run] - runs.first[run]  # number of the segment at a position of its run
        begin = of_run + np.maximum(position - segment + 1, runs.first[run])
        end = of_run + np.minimum(
            position + self.n_regions, runs.first[run] + runs.size[run] - segment + 1
        )
        none_left = end - begin == high - low
        second = of_run + position + self.n_regions // 2
        begin = np.where(none_left, second, begin)
        end = np.where(none_left, second + 1, end)
        number = low + (draws * (high - low - (end - begin))).astype(np.int64)
        number = np.where(number >= begin, number + end - begin, number)
        chosen = np.searchsorted(self._segment_ends, number, "right")
        return self._ids(runs.first[chosen] + number - ends[chosen], segment)

    def _run(self, rows: Ints) -> Ints:
        return np.searchsorted(self._ends, rows, "right")

    def _position(self, rows: Ints) -> Ints:
        """Position of the first region of samples in the ids of all open regions."""
        run = self._run(rows)
        before = np.concatenate([[0], self._ends])[run]
        position: Ints = self._runs.first[run] + rows - before
        return position

    def _ids(self, position: Ints, n: int) -> Ints:
        found: Ints = self._runs.open_ids[position[..., None] + np.arange(n)].astype(np.int64)
        return found
