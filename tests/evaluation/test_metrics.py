from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from genoglot.errors import GenoglotError, ModelError, UniverseError
from genoglot.evaluation import metric_names, region_metrics
from genoglot.regions import Regions, Universe, base_pair_jaccard, region_jaccard


@st.composite
def cases(draw: st.DrawFn, *, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Scores over a small universe, and true ids."""
    size = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scores = rng.permutation(size) / size
    if ties:
        scores = np.round(scores, draw(st.integers(0, 2)))
    ids = np.sort(rng.choice(size, rng.integers(1, size + 1), replace=False))
    return scores.astype(np.float32), ids


def lengths_for(scores: np.ndarray) -> np.ndarray:
    return np.random.default_rng(len(scores)).integers(1, 500, len(scores))


@given(cases())
def test_average_precision_is_that_of_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, ids = case
    truth = np.isin(np.arange(len(scores)), ids)
    found = region_metrics(scores, ids, np.ones(len(scores)))
    assert found.average_precision == pytest.approx(average_precision_score(truth, scores))


@given(cases(ties=False), st.integers(1, 70))
def test_the_top_n_counted_by_hand(case: tuple[np.ndarray, np.ndarray], n: int) -> None:
    scores, ids = case
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    top, true, same_size = set(order[:n]), set(ids.tolist()), set(order[: len(ids)])
    got = region_metrics(scores, ids, np.ones(len(scores)), n)
    assert got.precision_at_n == pytest.approx(len(top & true) / len(top))
    assert got.recall_at_n == pytest.approx(len(top & true) / len(true))
    assert got.region_jaccard == pytest.approx(len(same_size & true) / len(same_size | true))
    assert got.base_pair_jaccard == pytest.approx(got.region_jaccard)  # all regions as long
    background = len(true) / len(scores)
    assert got.fold_enrichment == pytest.approx(len(same_size & true) / len(true) / background)


@given(cases(ties=False))
def test_jaccards_are_those_of_the_region_sets(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, ids = case
    lengths = lengths_for(scores)
    start = np.concatenate([[0], np.cumsum(lengths[:-1] + 7)])
    universe = Universe(Regions(["chr1"] * len(scores), start, start + lengths))
    true = universe.decode(ids)
    generated = universe.decode(np.argsort(-scores)[: len(ids)])
    found = region_metrics(scores, ids, lengths)
    assert found.base_pair_jaccard == pytest.approx(base_pair_jaccard(generated, true))
    assert found.region_jaccard == pytest.approx(region_jaccard(generated, true))


@given(cases(), st.integers(1, 70), st.randoms(use_true_random=False))
def test_the_order_of_the_universe_does_not_matter(
    case: tuple[np.ndarray, np.ndarray], n: int, random: st.RandomLike
) -> None:
    scores, ids = case
    lengths = lengths_for(scores)
    order = list(range(len(scores)))
    random.shuffle(order)
    place = np.argsort(order)
    shuffled = region_metrics(scores[order], place[ids], lengths[order], n)
    assert shuffled == pytest.approx(region_metrics(scores, ids, lengths, n))


@given(cases(), st.integers(1, 70))
def test_metrics_are_within_their_bounds(case: tuple[np.ndarray, np.ndarray], n: int) -> None:
    got = region_metrics(*case, lengths_for(case[0]), n)
    assert all(0 <= value <= 1 + 1e-12 for value in got[:-1])
    assert got.fold_enrichment >= 0


def test_ties_at_the_cut_count_as_the_average_over_their_orders() -> None:
    scores, ids = np.array([0.9, 0.5, 0.5, 0.5, 0.1]), np.array([1, 4])
    lengths = np.array([10, 20, 30, 40, 50])
    rng = np.random.default_rng(0)
    hits, shared, chosen = [], [], []
    for _ in range(20_000):
        top = np.lexsort((rng.random(5), -scores))[:2]
        both = np.intersect1d(top, ids)
        hits.append(len(both))
        shared.append(lengths[both].sum())
        chosen.append(lengths[top].sum())
    found = region_metrics(scores, ids, lengths, n=2)
    assert found.precision_at_n * 2 == pytest.approx(np.mean(hits), abs=0.01)
    expected = np.mean(shared) / (np.mean(chosen) + 70 - np.mean(shared))
    assert found.base_pair_jaccard == pytest.approx(expected, abs=0.01)


def test_the_truth_and_its_opposite() -> None:
    truth = np.zeros(100)
    truth[10:30] = 1
    ids = np.arange(10, 30)
    assert region_metrics(truth, ids, np.full(100, 9), 20) == (1, 1, 1, 1, 1, 5)
    worst = region_metrics(-truth, ids, np.full(100, 9), 20)
    assert worst.average_precision == pytest.approx(0.2)
    assert worst[1:] == (0, 0, 0, 0, 0)


def test_constant_scores_are_worth_the_background() -> None:
    got = region_metrics(np.full(1000, 0.3), np.arange(50), np.ones(1000), 100)
    assert got.average_precision == pytest.approx(0.05)
    assert got.precision_at_n == pytest.approx(0.05)
    assert got.fold_enrichment == pytest.approx(1)


def test_a_universe_smaller_than_n() -> None:
    got = region_metrics([0.1, 0.7, 0.3], [1], [1, 1, 1], n=1000)
    assert (got.precision_at_n, got.recall_at_n) == (pytest.approx(1 / 3), 1)


@pytest.mark.parametrize(("true", "expected"), [(2, 1), (0, 1 / 3)])
def test_infinite_scores_rank_last_and_first(true: int, expected: float) -> None:
    found = region_metrics([-np.inf, 0.0, np.inf], [true], [1, 1, 1])
    assert found.average_precision == pytest.approx(expected)


@pytest.mark.parametrize(
    ("scores", "ids", "lengths", "n", "error", "problem"),
    [
        ([0.1, np.nan], [0], [1, 1], 1, ModelError, "NaN"),
        ([0.1, 0.2], [2], [1, 1], 1, UniverseError, "same universe"),
        ([0.1, 0.2], [], [1, 1], 1, GenoglotError, "without true regions"),
        ([0.1, 0.2], [0], [1, 1, 1], 1, UniverseError, "3 lengths for 2 scores"),
        ([0.1, 0.2], [0], [1, 1], 0, GenoglotError, "at least 1"),
        ([[0.1, 0.2]], [0], [1, 1], 1, ModelError, "shape"),
    ],
)
def test_what_cannot_be_measured_is_refused(scores, ids, lengths, n, error, problem) -> None:
    with pytest.raises(error, match=problem):
        region_metrics(scores, ids, lengths, n)


def test_names_of_the_metrics() -> None:
    assert metric_names(50) == (
        "average_precision",
        "precision@50",
        "recall@50",
        "region_jaccard",
        "base_pair_jaccard",
        "fold_enrichment",
    )


def test_a_universe_of_a_million_regions_takes_a_moment() -> None:
    rng = np.random.default_rng(0)
    size = 1_063_878
    scores = rng.random(size, dtype=np.float32)
    ids = np.sort(rng.choice(size, 50_000, replace=False))
    lengths = rng.integers(150, 350, size)
    took = []
    for _ in range(3):
        before = time.process_time()  # what others do meanwhile does not count
        got = region_metrics(scores, ids, lengths)
        took.append(time.process_time() - before)
    assert got.fold_enrichment == pytest.approx(1, abs=0.1)
    assert min(took) < 1.0  # about 0.1 s
