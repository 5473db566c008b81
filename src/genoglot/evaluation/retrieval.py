"""Retrieval: how often the candidate that matches a query is among the most similar ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import GenoglotError
from genoglot.evaluation.intervals import bootstrap_interval

Values = NDArray[np.float64]


class MatchRanks(NamedTuple):
    """Where the matching candidate of each query is among all candidates.

    Attributes
    ----------
    above
        Number of candidates that are more similar than the matching one, int64 (queries,).
    tied
        Number of candidates that are as similar as the matching one, itself included, int64
        (queries,).
    candidates
        Number of candidates.
    """

    above: NDArray[np.int64]
    tied: NDArray[np.int64]
    candidates: int

    @property
    def mean_ranks(self) -> Values:
        """Rank of the matching candidate, from 1, the mean of all orders of ties: (queries,)."""
        return np.asarray(self.above + (self.tied + 1) / 2)

    def recall(self, k: int) -> Values:
        """Probability that the matching candidate is among the first k, (queries,).

        It is 0 or 1, and between them where ties, in a random order, extend over position k.
        """
        return np.clip((k - self.above) / self.tied, 0, 1)


class RetrievalMetric(NamedTuple):
    """One metric of retrieval.

    Attributes
    ----------
    metric
        Name, such as "recall@10", or "mean rank".
    value
        Mean over the queries.
    low, high
        Bounds of its 95 % interval; NaN if all queries are in one group.
    chance
        Value of a random order of the candidates.
    """

    metric: str
    value: float
    low: float
    high: float
    chance: float


def match_ranks(similarity: ArrayLike, matches: ArrayLike | None = None) -> MatchRanks:
    """Compare the similarity of each query to its matching candidate with those to all others.

    Parameters
    ----------
    similarity
        Similarity of queries and candidates, (queries, candidates).
    matches
        Index of the matching candidate of each query, (queries,). Default: query i matches
        candidate i.

    Raises
    ------
    GenoglotError
        If there is no candidate, a value is NaN, or a query has no matching candidate.

    Examples
    --------
    >>> match_ranks([[0.9, 0.1, 0.1], [0.5, 0.5, 0.2], [0.3, 0.2, 0.1]]).mean_ranks
    array([1. , 1.5, 3. ])
    """
    array = np.asarray(similarity)
    if array.ndim != 2 or not array.size or np.isnan(array).any():
        raise GenoglotError(
            f"similarities of shape {array.shape}, with {np.isnan(array).sum()} NaN; give a number "
            "for each query and candidate"
        )
    rows = np.arange(len(array))
    columns = rows if matches is None else np.asarray(matches)
    inside = (columns >= 0) & (columns < array.shape[1])
    if columns.shape != rows.shape or not inside.all():
        raise GenoglotError(
            f"{len(array)} queries and {array.shape[1]} candidates; give the index of the matching "
            "candidate of each query"
        )
    own = array[rows, columns][:, None]
    above, tied = (array > own).sum(1), (array == own).sum(1)
    return MatchRanks(above.astype(np.int64), tied.astype(np.int64), array.shape[1])


def measure_retrieval(
    ranks: MatchRanks,
    *,
    at: Sequence[int] = (1, 10),
    groups: ArrayLike | None = None,
    crossed: ArrayLike | None = None,
    seed: int = 0,
) -> list[RetrievalMetric]:
    """Compute recall at each k and the mean rank, with intervals, beside those of chance.

    Queries that have something in common, such as neighboring regions, are not independent:
    the bootstrap draws whole groups of them.

    Parameters
    ----------
    ranks
        From `match_ranks`.
    at
        Numbers of first candidates.
    groups, crossed
        Labels of the queries, such as the part of the genome and the cell type: see
        `bootstrap_interval`. Default: each query is a group.
    seed
        Seed of the bootstrap.

    Examples
    --------
    >>> for m in measure_retrieval(match_ranks(np.eye(20)), at=[1]):
    ...     print(f"{m.metric} {m.value:.2f} [{m.low:.2f}, {m.high:.2f}], chance {m.chance:.2f}")
    recall@1 1.00 [0.83, 1.00], chance 0.05
    mean rank 1.00 [1.00, 1.00], chance 10.50
    """
    n = ranks.candidates
    drawn: dict[str, Any] = {"groups": groups, "crossed": crossed, "seed": seed}
    found = []
    for k in at:
        interval = bootstrap_interval(ranks.recall(k), proportion=True, **drawn)
        found.append(RetrievalMetric(f"recall@{k}", *interval, min(k / n, 1.0)))
    interval = bootstrap_interval(ranks.mean_ranks, **drawn)
    return [*found, RetrievalMetric("mean rank", *interval, (n + 1) / 2)]


class Candidates(NamedTuple):
    """Samples that are candidates of each other's queries.

    Attributes
    ----------
    rows
        Their numbers, sorted, int64 (candidates,).
    shared
        Maximum number of regions that two of them have in common.
    """

    rows: NDArray[np.int64]
    shared: int


def draw_candidates(members: ArrayLike, n: int, seed: int = 0) -> Candidates:
    """Draw samples that have as few regions in common as possible.

    Samples that overlap look similar, and the same sample twice cannot be distinguished. So they
    are taken in a random order, each only if it has no region in common with one that is taken
    already; if these are fewer than `n`, the rest is taken in the same way with one region in
    common, then two, and so on. Two samples with the same regions are never taken.

    Parameters
    ----------
    members
        Ids of the regions of each sample, int64 (samples, regions).
    n
        Number of candidates; fewer if there are not so many different samples.
    seed
        Seed of the order.

    Examples
    --------
    >>> rows, shared = draw_candidates([[0, 1], [1, 2], [2, 3], [0, 1]], 2)
    >>> shared
    0
    """
    regions = np.asarray(members)
    order = np.random.default_rng(seed).permutation(len(regions)).tolist()
    taken: list[int] = []
    holders: dict[int, list[int]] = {}
    shared = 0
    for allowed in range(regions.shape[1]):
        left = []
        for row in order:
            if len(taken) == n:
                break
            ids = regions[row].tolist()
            common: dict[int, int] = {}
            for region in ids:
                for other in holders.get(region, ()):
                    common[other] = common.get(other, 0) + 1
            most = max(common.values(), default=0)
            if most > allowed:
                left.append(row)
                continue
            shared = max(shared, most)
            taken.append(row)
            for region in ids:
                holders.setdefault(region, []).append(row)
        order = left
    return Candidates(np.sort(np.array(taken, np.int64)), shared)
