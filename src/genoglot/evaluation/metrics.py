"""Metrics of generated region sets: how well scores over the universe rank the true regions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import GenoglotError, ModelError, UniverseError


class RegionMetrics(NamedTuple):
    """Metrics of one region set; see the methods of `RankedRegions` with these names."""

    average_precision: float
    precision_at_n: float
    recall_at_n: float
    region_jaccard: float
    base_pair_jaccard: float
    fold_enrichment: float


def metric_names(n: int) -> tuple[str, ...]:
    """Name the metrics of `RegionMetrics`, in their order, as tables do.

    Examples
    --------
    >>> metric_names(1000)[:3]
    ('average_precision', 'precision@1000', 'recall@1000')
    """
    return tuple(name.replace("_at_n", f"@{n}") for name in RegionMetrics._fields)


def region_metrics(
    scores: ArrayLike, ids: ArrayLike, lengths: ArrayLike, n: int = 1000
) -> RegionMetrics:
    """Compute all metrics of one region set, with one sort of the scores.

    Parameters
    ----------
    scores, ids
        As in `RankedRegions`.
    lengths
        Lengths of the regions of the universe in base pairs, (universe,).
    n
        Number of top regions that precision and recall are computed for.

    Returns
    -------
    RegionMetrics
        The metrics.

    Examples
    --------
    >>> region_metrics([0.9, 0.1, 0.8, 0.2], [0, 2], [100, 100, 100, 100], n=1)
    RegionMetrics(average_precision=1.0, precision_at_n=1.0, recall_at_n=0.5, region_jaccard=1.0,
                  base_pair_jaccard=1.0, fold_enrichment=2.0)
    """
    ranked = RankedRegions(scores, ids)
    return RegionMetrics(
        ranked.average_precision(),
        ranked.precision_at(n),
        ranked.recall_at(n),
        ranked.region_jaccard(),
        ranked.base_pair_jaccard(lengths),
        ranked.fold_enrichment(),
    )


class RankedRegions:
    """The regions of a universe in the order of their scores, some of which are true.

    No metric depends on the order of regions with equal scores. Average precision has a threshold
    at each distinct score, as in scikit-learn. Of the regions that are tied at the end of "the top
    n", a fraction counts, so that n regions count in all: the hits and base pairs are the average
    over all orders of the tied regions.

    Parameters
    ----------
    scores
        Score of each region, higher is more likely, finite or infinite, (universe,).
    ids
        Universe ids of the true regions, at least one.

    Raises
    ------
    ModelError
        If a score is NaN.
    UniverseError
        If an id is outside the universe.
    GenoglotError
        If there is no true region.

    Examples
    --------
    >>> ranked = RankedRegions([0.9, 0.5, 0.5, 0.1], [1, 3])
    >>> ranked.precision_at(2), ranked.recall_at(4)
    (0.25, 1.0)
    """

    def __init__(self, scores: ArrayLike, ids: ArrayLike) -> None:
        self._scores = np.asarray(scores)
        self._ids = np.unique(np.asarray(ids))
        if self._scores.ndim != 1 or not len(self._scores):
            raise ModelError(f"scores of shape {self._scores.shape}: one per region is needed")
        if not len(self._ids):
            raise GenoglotError("a set without true regions has no metrics; leave it out")
        if self._ids[0] < 0 or self._ids[-1] >= len(self._scores):
            raise UniverseError(
                f"true regions {self._ids[0]} to {self._ids[-1]}, but scores for "
                f"{len(self._scores)}; use the same universe"
            )
        # Sorting the values alone takes half the time of an argsort, and is enough for all metrics.
        self._sorted = np.sort(self._scores)
        self._sorted_true = np.sort(self._scores[self._ids])
        if np.isnan(self._sorted[-1]):  # a sort puts NaN last
            raise ModelError("some scores are NaN; check the training of the model")

    def average_precision(self) -> float:
        """Compute the precision at the rank of each true region, averaged over the true regions.

        The rank of a region is the number of regions with at least its score. The result is equal
        to that of ``sklearn.metrics.average_precision_score``.
        """
        true = self._sorted_true
        ranks = len(self._sorted) - np.searchsorted(self._sorted, true, "left")
        hits = len(true) - np.searchsorted(true, true, "left")
        return float(np.mean(hits / ranks))

    def precision_at(self, n: int) -> float:
        """Compute the proportion of the top n regions (of all, if there are fewer) that is true."""
        n = self._at_most_all(n)
        return self._hits(n) / n

    def recall_at(self, n: int) -> float:
        """Compute the proportion of the true regions that is among the top n."""
        return self._hits(self._at_most_all(n)) / len(self._ids)

    def region_jaccard(self) -> float:
        """Compute the Jaccard index of the true set and the same number of top regions."""
        size = len(self._ids)
        hits = self._hits(size)
        return hits / (2 * size - hits)

    def base_pair_jaccard(self, lengths: ArrayLike) -> float:
        """Compute the Jaccard index of the base pairs of the true set and as many top regions.

        Parameters
        ----------
        lengths
            Lengths in base pairs, (universe,). Regions of a universe do not overlap, so that their
            lengths add up.

        Returns
        -------
        float
            Base pairs in both sets divided by base pairs in either set.

        Raises
        ------
        UniverseError
            If there is not one length for each score.
        """
        bp = np.asarray(lengths)
        if bp.shape != self._scores.shape:
            raise UniverseError(f"{len(bp)} lengths for {len(self._scores)} scores")
        threshold, fraction = self._cut(len(self._ids))

        def covered(scores: NDArray[np.floating], bp: NDArray[np.integer]) -> float:
            if fraction == 1:
                return float(bp[scores >= threshold].sum())
            return float(bp[scores > threshold].sum() + fraction * bp[scores == threshold].sum())

        both = covered(self._scores[self._ids], bp[self._ids])
        either = covered(self._scores, bp) + float(bp[self._ids].sum()) - both
        return both / either if either else 0.0

    def fold_enrichment(self) -> float:
        """Compute the precision among as many top regions as are true, relative to chance.

        Chance is the proportion of true regions in the universe: random scores have a fold
        enrichment of 1.
        """
        size = len(self._ids)
        return self._hits(size) / size * len(self._scores) / size

    def _at_most_all(self, n: int) -> int:
        if n < 1:
            raise GenoglotError(f"the top {n} regions: n must be at least 1")
        return min(n, len(self._scores))

    def _cut(self, n: int) -> tuple[np.floating, float]:
        """Lowest score among the top n, and the fraction of the regions with it that counts."""
        threshold = self._sorted[-n]
        above, at_least = self._above(self._sorted, threshold)
        return threshold, (n - above) / (at_least - above)

    def _hits(self, n: int) -> float:
        """Count the true regions among the top n."""
        threshold, fraction = self._cut(n)
        above, at_least = self._above(self._sorted_true, threshold)
        return above + fraction * (at_least - above)

    @staticmethod
    def _above(ordered: NDArray[np.floating], threshold: np.floating) -> tuple[int, int]:
        """How many values are above, and how many at least at, a threshold."""
        first, end = (int(np.searchsorted(ordered, threshold, side)) for side in ("left", "right"))
        return len(ordered) - end, len(ordered) - first
