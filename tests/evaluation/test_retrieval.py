from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoglot.errors import GenoglotError
from genoglot.evaluation.retrieval import draw_candidates, match_ranks, measure_retrieval


def expected_recall(row: np.ndarray, match: int, k: int, rng: np.random.Generator) -> float:
    """Fraction of many random orders of ties in which the match is among the first k."""
    found = 0
    for _ in range(400):
        order = np.lexsort((rng.random(len(row)), -row))
        found += match in order[:k]
    return found / 400


@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(1, 5))
def test_recall_is_that_of_sorting_in_a_random_order_of_ties(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    similarity = rng.integers(0, 4, (3, n)).astype(float)
    matches = rng.integers(0, n, 3)
    recall = match_ranks(similarity, matches).recall(k)
    for row, match, value in zip(similarity, matches, recall, strict=True):
        assert abs(expected_recall(row, match, k, rng) - value) < 0.13


@given(st.integers(0, 10_000))
def test_ranks_without_ties_are_those_of_sorting(seed: int) -> None:
    rng = np.random.default_rng(seed)
    similarity = rng.normal(size=(8, 8))
    places = [list(np.argsort(-row)).index(i) + 1 for i, row in enumerate(similarity)]
    ranks = match_ranks(similarity)
    assert ranks.mean_ranks.tolist() == places
    assert ranks.recall(3).tolist() == [float(place <= 3) for place in places]


def test_equal_similarities_are_chance() -> None:
    found = measure_retrieval(match_ranks(np.zeros((50, 50))), at=(1, 10))
    assert [(m.metric, round(m.value, 6)) for m in found] == [
        ("recall@1", 0.02), ("recall@10", 0.2), ("mean rank", 25.5)
    ]  # fmt: skip
    assert all(m.value == pytest.approx(m.chance) for m in found)


def test_random_similarities_are_near_chance_and_the_interval_holds_it() -> None:
    found = measure_retrieval(match_ranks(np.random.default_rng(0).random((500, 500))), at=(10,))
    assert all(m.low < m.chance < m.high for m in found)


def test_whole_groups_are_drawn() -> None:
    # In each of 10 groups, all 20 queries are right or all are wrong.
    similarity = np.tile(np.arange(200.0), (200, 1))
    right = np.repeat(np.arange(10) % 2 == 0, 20)
    similarity[right, np.flatnonzero(right)] = 1000
    ranks = match_ranks(similarity)
    single, whole = (
        measure_retrieval(ranks, at=(1,), groups=groups)[0]
        for groups in (None, np.repeat(np.arange(10), 20))
    )
    assert single.value == whole.value
    assert whole.high - whole.low > 3 * (single.high - single.low)


@pytest.mark.parametrize("similarity", [np.zeros((0, 3)), [[np.nan, 1]], [1.0, 2.0]])
def test_similarities_that_are_none(similarity) -> None:
    with pytest.raises(GenoglotError, match="for each query and candidate"):
        match_ranks(similarity)


def test_a_query_without_its_candidate() -> None:
    with pytest.raises(GenoglotError, match="matching candidate of each query"):
        match_ranks(np.zeros((3, 2)))


def common(members: np.ndarray, rows: np.ndarray) -> int:
    sets = [set(members[row].tolist()) for row in rows]
    return max(len(a & b) for i, a in enumerate(sets) for b in sets[:i])


@given(st.integers(0, 10_000), st.integers(2, 30))
def test_candidates_share_as_few_regions_as_reported(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    members = np.array([np.sort(rng.choice(12, 3, replace=False)) for _ in range(40)])
    rows, shared = draw_candidates(members, n, seed)
    different = len({tuple(row) for row in members.tolist()})
    assert len(rows) == min(n, different) == len(set(rows.tolist()))
    assert common(members, rows) == shared


def test_candidates_without_common_regions_come_first() -> None:
    members = np.array([[i, i + 1] for i in range(100)])
    few, many = draw_candidates(members, 20), draw_candidates(members, 60)
    assert (few.shared, many.shared) == (0, 1)
    assert draw_candidates(members, 20, seed=1).rows.tolist() != few.rows.tolist()
    assert draw_candidates(members, 20).rows.tolist() == few.rows.tolist()
