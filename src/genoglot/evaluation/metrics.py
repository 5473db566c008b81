"""How well scores over the universe rank the regions of a true set."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import GenoglotError, ModelError, UniverseError
from genoglot.regions import jaccard_index


class Measures(NamedTuple):
    """The metrics of one region set, each described at the method of `Ranking` of its name."""

    average_precision: float
    precision_at_n: float
    recall_at_n: float
    region_jaccard: float
    base_pair_jaccard: float
    fold_enrichment: float


def metric_names(n: int) -> tuple[str, ...]:
    """Names of the metrics of `Measures`, in its order, as tables show them.

    Examples
    --------
    >>> metric_names(1000)[:3]
    ('average_precision', 'precision@1000', 'recall@1000')
    """
    return tuple(name.replace("_at_n", f"@{n}") for name in Measures._fields)


def measure(scores: ArrayLike, ids: ArrayLike, lengths: ArrayLike, n: int = 1000) -> Measures:
    """All metrics of one region set, with one sort of the scores.

    Parameters
    ----------
    scores, ids
        See `Ranking`.
    lengths
        (universe,) lengths of the universe's regions in base pairs.
    n
        How many regions precision and recall look at.

    Examples
    --------
    >>> measure([0.9, 0.1, 0.8, 0.2], [0, 2], [100, 100, 100, 100], n=1)
    Measures(average_precision=1.0, precision_at_n=1.0, recall_at_n=0.5, region_jaccard=1.0,
             base_pair_jaccard=1.0, fold_enrichment=2.0)
    """
    ranking = Ranking(scores, ids)
    return Measures(
        ranking.average_precision(),
        ranking.precision_at(n),
        ranking.recall_at(n),
        ranking.region_jaccard(),
        ranking.base_pair_jaccard(lengths),
        ranking.fold_enrichment(),
    )


class Ranking:
    """The universe's regions ordered by score, and which of them are true.

    No metric depends on the order in which regions of equal score stand. Average precision has a
    threshold at each distinct score, as scikit-learn's has. "The top n" takes, of the regions
    tied at its end, the share that fits: hits and base pairs are what a random order among the
    tied gives on average.

    Parameters
    ----------
    scores
        (universe,) higher is more likely; finite or infinite.
    ids
        Universe ids of the true regions, at least one.

    Raises
    ------
    ModelError
        If a score is not a number.
    UniverseError
        If an id is outside the universe.
    GenoglotError
        If there is no true region.

    Examples
    --------
    >>> ranking = Ranking([0.9, 0.5, 0.5, 0.1], [1, 3])
    >>> ranking.precision_at(2), ranking.recall_at(4)
    (0.25, 1.0)
    """

    def __init__(self, scores: ArrayLike, ids: ArrayLike) -> None:
        self._scores = np.asarray(scores)
        self._ids = np.unique(np.asarray(ids))
        if self._scores.ndim != 1 or not len(self._scores):
            raise ModelError(f"scores of shape {self._scores.shape}: one per region is needed")
        if not len(self._ids):
            raise GenoglotError("a set without true regions cannot be measured; leave it out")
        if self._ids[0] < 0 or self._ids[-1] >= len(self._scores):
            raise UniverseError(
                f"true regions {self._ids[0]} to {self._ids[-1]}, but scores for "
                f"{len(self._scores)}; use the same universe"
            )
        # Sorting values alone is half the work of an argsort, and all metrics can do with it.
        self._sorted = np.sort(self._scores)
        self._sorted_true = np.sort(self._scores[self._ids])
        if np.isnan(self._sorted[-1]):  # where the sort puts them
            raise ModelError("some scores are not numbers (NaN); check the model's training")

    def average_precision(self) -> float:
        """Precision at the rank of each true region, averaged over the true regions.

        A region's rank is the number of regions with at least its score. This equals
        ``sklearn.metrics.average_precision_score``.
        """
        true = self._sorted_true
        ranks = len(self._sorted) - np.searchsorted(self._sorted, true, "left")
        hits = len(true) - np.searchsorted(true, true, "left")
        return float(np.mean(hits / ranks))

    def precision_at(self, n: int) -> float:
        """Share of the top n regions that is true (of all, where there are fewer than n)."""
        n = self._at_most_all(n)
        return self._hits(n) / n

    def recall_at(self, n: int) -> float:
        """Share of the true regions that is among the top n."""
        return self._hits(self._at_most_all(n)) / len(self._ids)

    def region_jaccard(self) -> float:
        """Regions in both over regions in either: the true set, and as many top regions."""
        size = len(self._ids)
        hits = self._hits(size)
        return float(jaccard_index(hits, size, size))

    def base_pair_jaccard(self, lengths: ArrayLike) -> float:
        """Shared base pairs over those in either: the true set, and as many top regions.

        Parameters
        ----------
        lengths
            (universe,) in base pairs; regions of a universe do not overlap, so they add up.

        Raises
        ------
        UniverseError
            If there are not as many lengths as scores.
        """
        bp = np.asarray(lengths)
        if bp.shape != self._scores.shape:
            raise UniverseError(f"{len(bp)} lengths for {len(self._scores)} scores")
        threshold, share = self._cut(len(self._ids))

        def covered(scores: NDArray[np.floating], bp: NDArray[np.integer]) -> float:
            if share == 1:
                return float(bp[scores >= threshold].sum())
            return float(bp[scores > threshold].sum() + share * bp[scores == threshold].sum())

        both = covered(self._scores[self._ids], bp[self._ids])
        return float(jaccard_index(both, covered(self._scores, bp), float(bp[self._ids].sum())))

    def fold_enrichment(self) -> float:
        """Precision among as many top regions as are true, over the true share of the universe.

        1 is what random scores get.
        """
        size = len(self._ids)
        return self._hits(size) / size * len(self._scores) / size

    def _at_most_all(self, n: int) -> int:
        if n < 1:
            raise GenoglotError(f"the top {n} regions: n must be at least 1")
        return min(n, len(self._scores))

    def _cut(self, n: int) -> tuple[np.floating, float]:
        """Lowest score among the top n, and the share of the regions of that score that fits."""
        threshold = self._sorted[-n]
        at_least = len(self._sorted) - int(np.searchsorted(self._sorted, threshold, "left"))
        above = len(self._sorted) - int(np.searchsorted(self._sorted, threshold, "right"))
        return threshold, (n - above) / (at_least - above)

    def _hits(self, n: int) -> float:
        threshold, share = self._cut(n)
        at_least = len(self._ids) - int(np.searchsorted(self._sorted_true, threshold, "left"))
        above = len(self._ids) - int(np.searchsorted(self._sorted_true, threshold, "right"))
        return above + share * (at_least - above)
