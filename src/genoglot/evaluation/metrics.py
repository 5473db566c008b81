"""Metrics of generated region sets: how well scores over the universe rank the true regions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import GenoglotError, ModelError, UniverseError
from genoglot.regions import jaccard_index


class RegionMetrics(NamedTuple):
    """Metrics of one region set.

    Attributes
    ----------
    average_precision
        Precision at the rank of each true region, averaged over the true regions. The rank of a
        region is the number of regions with at least its score. The result is equal to that of
        ``sklearn.metrics.average_precision_score``.
    precision_at_n
        Proportion of the top n regions (of all, if there are fewer) that is true.
    recall_at_n
        Proportion of the true regions that is among the top n.
    region_jaccard
        Jaccard index of the true set and the same number of top regions.
    base_pair_jaccard
        Jaccard index of the base pairs of these two sets.
    fold_enrichment
        Precision among as many top regions as are true, divided by the proportion of true regions
        in the universe: 1 for random scores.
    """

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
    """Compute how well scores over the universe rank the regions of a true set.

    No metric depends on the order of regions with equal scores. Average precision has a threshold
    at each distinct score, as in scikit-learn. Of the regions that are tied at the end of "the top
    n", a fraction counts, so that n regions count in all: hits and base pairs are the average over
    all orders of the tied regions.

    Parameters
    ----------
    scores
        Score of each region, higher is more likely, finite or infinite, (universe,).
    ids
        Universe ids of the true regions, at least one.
    lengths
        Length of each region in base pairs, (universe,). Regions of a universe do not overlap, so
        that their lengths add up.
    n
        Number of top regions that precision and recall are computed for.

    Returns
    -------
    RegionMetrics
        The metrics.

    Raises
    ------
    ModelError
        If a score is NaN.
    UniverseError
        If an id is outside the universe, or there is not one length for each score.
    GenoglotError
        If there is no true region, or n is below 1.

    Examples
    --------
    >>> region_metrics([0.9, 0.1, 0.8, 0.2], [0, 2], [100, 100, 100, 100], n=1)
    RegionMetrics(average_precision=1.0, precision_at_n=1.0, recall_at_n=0.5, region_jaccard=1.0,
                  base_pair_jaccard=1.0, fold_enrichment=2.0)
    """
    all_scores, true, bp = np.asarray(scores), np.unique(np.asarray(ids)), np.asarray(lengths)
    _check(all_scores, true, bp, n)
    # Sorting the values alone takes half the time of an argsort, and is enough for all metrics.
    ordered, ordered_true = np.sort(all_scores), np.sort(all_scores[true])
    if np.isnan(ordered[-1]):  # a sort puts NaN last
        raise ModelError("some scores are NaN; check the training of the model")
    size, universe = len(true), len(ordered)
    ranks = universe - np.searchsorted(ordered, ordered_true, "left")
    hits_at_rank = size - np.searchsorted(ordered_true, ordered_true, "left")
    n = min(n, universe)
    hits_at_n = _top(ordered, ordered_true, n).hits
    threshold, fraction, hits = _top(ordered, ordered_true, size)

    def covered(scores: NDArray[np.floating], bp: NDArray[np.integer]) -> float:
        """Sum up the base pairs of the regions among the top ones, as many as are true."""
        if fraction == 1:
            return float(bp[scores >= threshold].sum())
        return float(bp[scores > threshold].sum() + fraction * bp[scores == threshold].sum())

    both = covered(all_scores[true], bp[true])
    return RegionMetrics(
        average_precision=float(np.mean(hits_at_rank / ranks)),
        precision_at_n=hits_at_n / n,
        recall_at_n=hits_at_n / size,
        region_jaccard=float(jaccard_index(hits, size, size)),
        base_pair_jaccard=float(
            jaccard_index(both, covered(all_scores, bp), float(bp[true].sum()))
        ),
        fold_enrichment=hits / size * universe / size,
    )


class _Top(NamedTuple):
    threshold: np.floating  # lowest score among the top regions
    fraction: float  # of the regions with that score that counts
    hits: float  # true regions among the top regions


def _top(ordered: NDArray[np.floating], ordered_true: NDArray[np.floating], n: int) -> _Top:
    """Find the top n regions from sorted scores, and from those of the true regions."""
    threshold = ordered[-n]
    (above, at_least), (true_above, true_at_least) = (
        [len(scores) - int(np.searchsorted(scores, threshold, side)) for side in ("right", "left")]
        for scores in (ordered, ordered_true)
    )
    fraction = (n - above) / (at_least - above)
    return _Top(threshold, fraction, true_above + fraction * (true_at_least - true_above))


def _check(
    scores: NDArray[np.floating], ids: NDArray[np.integer], bp: NDArray[np.integer], n: int
) -> None:
    if scores.ndim != 1 or not len(scores):
        raise ModelError(f"scores of shape {scores.shape}: one per region is needed")
    if not len(ids):
        raise GenoglotError("a set without true regions has no metrics; leave it out")
    if ids[0] < 0 or ids[-1] >= len(scores):
        raise UniverseError(
            f"true regions {ids[0]} to {ids[-1]}, but scores for {len(scores)}; use the same "
            "universe"
        )
    if bp.shape != scores.shape:
        raise UniverseError(f"{len(bp)} lengths for {len(scores)} scores")
    if n < 1:
        raise GenoglotError(f"the top {n} regions: n must be at least 1")
