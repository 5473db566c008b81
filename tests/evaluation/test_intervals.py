from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from genoglot.errors import GenoglotError
from genoglot.evaluation import bootstrap_interval, paired_difference, proportion_interval


def coverage(interval_of, truth: float) -> float:
    """Share of 200 seeded draws whose interval holds the truth."""
    held = 0
    for seed in range(200):
        interval = interval_of(np.random.default_rng(seed), seed)
        held += interval.low <= truth <= interval.high
    return held / 200


def test_an_interval_holds_the_mean_as_often_as_it_says() -> None:
    share = coverage(
        lambda rng, seed: bootstrap_interval(rng.beta(2, 5, 60), draws=1000, seed=seed), 2 / 7
    )
    assert 0.90 <= share <= 0.98


def replicated(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """40 experiments of 5 replicates that are nearly alike."""
    group = np.repeat(np.arange(40), 5)
    return rng.normal(0, 1, 40)[group] + rng.normal(0, 0.1, 200), group


def test_replicates_of_one_experiment_are_no_further_evidence() -> None:
    def whole(rng: np.random.Generator, seed: int):
        values, groups = replicated(rng)
        return bootstrap_interval(values, groups=groups, draws=1000, seed=seed)

    def apart(rng: np.random.Generator, seed: int):
        return bootstrap_interval(replicated(rng)[0], draws=1000, seed=seed)

    assert 0.90 <= coverage(whole, 0) <= 0.98
    assert coverage(apart, 0) < 0.75


def test_runs_are_part_of_what_is_drawn() -> None:
    def crossed(rng: np.random.Generator, seed: int):
        """Eight runs on the same 30 sets: a difficulty per set, a luck per run."""
        values = rng.normal(0, 1, 30)[None] + rng.normal(0, 0.3, 8)[:, None]
        values += rng.normal(0, 0.1, values.shape)
        sets, runs = np.tile(np.arange(30), 8), np.repeat(np.arange(8), 30)
        return bootstrap_interval(values.ravel(), groups=sets, runs=runs, draws=1000, seed=seed)

    assert 0.88 <= coverage(crossed, 0) <= 0.99


def test_the_same_run_thrice_is_as_wide_as_once() -> None:
    values = np.random.default_rng(0).random(50)
    once = bootstrap_interval(values)
    thrice = bootstrap_interval(
        np.tile(values, 3), groups=np.tile(np.arange(50), 3), runs=np.repeat([0, 1, 2], 50)
    )
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low, rel=0.1)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=40), st.integers(0, 5))
def test_an_interval_is_around_the_mean_and_within_the_values(
    values: list[float], seed: int
) -> None:
    interval = bootstrap_interval(values, draws=200, seed=seed)
    assert interval.mean == pytest.approx(np.mean(values))
    slack = 1e-9 * max(map(abs, values)) + 1e-12
    assert min(values) - slack <= interval.low <= interval.high <= max(values) + slack


def test_the_bootstrap_written_out() -> None:
    """Percentiles of plainly drawn means, groups of different sizes."""
    rng = np.random.default_rng(3)
    groups = np.sort(rng.integers(0, 12, 50))
    values = rng.random(50)
    labels = np.unique(groups)
    means = [
        np.concatenate([values[groups == g] for g in rng.choice(labels, len(labels))]).mean()
        for _ in range(4000)
    ]
    interval = bootstrap_interval(values, groups=groups, draws=4000)
    assert interval[1:] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.01)


def test_names_as_groups_and_their_order_do_not_matter() -> None:
    values, groups = replicated(np.random.default_rng(0))
    order = np.random.default_rng(1).permutation(len(values))
    names = np.array([f"experiment {g:03d}" for g in groups])
    assert bootstrap_interval(values[order], groups=names[order]) == pytest.approx(
        bootstrap_interval(values, groups=groups)
    )


def test_same_seed_same_interval_and_wider_at_a_higher_level() -> None:
    values = np.random.default_rng(0).random(30)
    assert bootstrap_interval(values, seed=4) == bootstrap_interval(values, seed=4)
    assert bootstrap_interval(values, seed=4) != bootstrap_interval(values, seed=5)
    wide, narrow = bootstrap_interval(values, level=0.99), bootstrap_interval(values, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_many_groups_are_drawn_as_few_are() -> None:
    """So many that their draws are not held in memory all at once."""
    values = np.random.default_rng(0).random(30_000)
    rng = np.random.default_rng(7)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(200)]
    interval = bootstrap_interval(values, draws=200, seed=7)
    assert interval == pytest.approx((values.mean(), *np.quantile(means, [0.025, 0.975])))


@pytest.mark.parametrize(("right", "of"), [(22, 22), (0, 22), (21, 22), (3, 40), (1, 1)])
def test_a_proportion_has_the_exact_interval(right: int, of: int) -> None:
    exact = binomtest(right, of).proportion_ci()
    assert proportion_interval(right / of, 0.0, of) == pytest.approx(
        (exact.low, exact.high), abs=1e-9
    )
    if of > 1:
        values = [1] * right + [0] * (of - right)
        interval = bootstrap_interval(values, proportion=True)
        assert interval == pytest.approx((right / of, exact.low, exact.high), abs=1e-9)


def test_replicates_widen_the_interval_of_a_proportion() -> None:
    values = np.repeat([1, 1, 1, 0, 1, 1, 1, 1, 0, 1], 5)
    alone = bootstrap_interval(values, proportion=True)
    together = bootstrap_interval(values, groups=np.repeat(np.arange(10), 5), proportion=True)
    exact = binomtest(8, 10).proportion_ci()
    assert together[1:] == pytest.approx((exact.low, exact.high), abs=0.02)
    assert alone.low > together.low + 0.1
    # All right, five times ten: ten experiments, not fifty.
    certain = bootstrap_interval(np.ones(50), groups=np.repeat(np.arange(10), 5), proportion=True)
    assert certain.low == pytest.approx(binomtest(10, 10).proportion_ci().low)


def test_values_that_are_no_shares_have_no_such_interval() -> None:
    assert bootstrap_interval(np.ones(22)) == (1, 1, 1)


def crossed(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eight cell lines by 20 factors, half of them measured; both have an effect."""
    line, factor = np.divmod(rng.permutation(160)[:80], 20)
    values = rng.normal(0, 1, 8)[line] + rng.normal(0, 1, 20)[factor] + rng.normal(0, 0.5, 80)
    return values, line, factor


def test_what_is_crossed_is_drawn_both_ways() -> None:
    def both(rng: np.random.Generator, seed: int):
        values, line, factor = crossed(rng)
        return bootstrap_interval(values, groups=factor, crossed=line, draws=500, seed=seed)

    def apart(rng: np.random.Generator, seed: int):
        return bootstrap_interval(crossed(rng)[0], draws=500, seed=seed)

    assert 0.88 <= coverage(both, 0) <= 0.99
    assert coverage(apart, 0) < 0.6


def test_the_crossed_bootstrap_written_out() -> None:
    values, line, factor = crossed(np.random.default_rng(5))
    rng, means = np.random.default_rng(0), []
    for _ in range(3000):
        lines, factors = rng.integers(8, size=8), rng.integers(20, size=20)
        drawn = [
            value
            for value, a, b in zip(values, line, factor, strict=True)
            for _ in range((lines == a).sum() * (factors == b).sum())
        ]
        if drawn:
            means.append(np.mean(drawn))
    interval = bootstrap_interval(values, groups=factor, crossed=line, draws=4000)
    assert interval[1:] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.06)


def test_one_experiment_tells_of_no_spread() -> None:
    interval = bootstrap_interval([0.1, 0.3], groups=["a", "a"])
    assert interval.mean == pytest.approx(0.2)
    assert np.isnan([interval.low, interval.high]).all()


@pytest.mark.parametrize(
    ("values", "options", "problem"),
    [
        ([], {}, "at least one value"),
        ([0.1, np.nan], {}, "no NaN"),
        ([0.1, 0.2], {"groups": ["a"]}, "one each"),
        ([0.1, 0.2], {"level": 1.0}, "level"),
        ([0.1, 0.2], {"draws": 0}, "draws"),
    ],
)
def test_what_has_no_interval_is_refused(values, options, problem) -> None:
    with pytest.raises(GenoglotError, match=problem):
        bootstrap_interval(values, **options)


def per_set(model: str, values: np.ndarray, seed: int = 0, first: int = 0) -> pl.DataFrame:
    """RegionMetrics of a model, two region sets to an experiment."""
    names = range(first, first + len(values))
    return pl.DataFrame(
        {
            "task": "t",
            "split": "s",
            "subset": "test",
            "data": "d",
            "model": model,
            "seed": seed,
            "id": [f"set{i}" for i in names],
            "group": [f"experiment{i // 2}" for i in names],
            "score": values,
        }
    )


def test_a_small_steady_difference_shows_when_paired() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(100)  # sets differ far more than models do
    frame = pl.concat([per_set("a", hard + 0.02 + rng.normal(0, 0.01, 100)), per_set("b", hard)])
    difference = paired_difference(frame, "a", "b", "score")
    assert 0.015 < difference.low < difference.mean < difference.high < 0.025
    a, b = (bootstrap_interval(frame.filter(model=name)["score"]) for name in "ab")
    assert a.low < b.high  # unpaired, they cannot be told apart
    back = paired_difference(frame, "b", "a", "score")
    assert back.mean == pytest.approx(-difference.mean)


def test_sets_are_paired_by_name_and_seeds_averaged() -> None:
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    frame = pl.concat(
        [
            per_set("a", values + 0.1, seed=0),
            per_set("a", values + 0.3, seed=1)[::-1],
            per_set("b", values[2:], first=2),
        ]
    )
    assert paired_difference(frame, "a", "b", "score") == pytest.approx((0.2, 0.2, 0.2))


def test_a_paired_difference_draws_cell_lines_and_factors() -> None:
    values, line, factor = crossed(np.random.default_rng(1))
    labels = {
        "factor": [f"factor{i}" for i in factor],
        "biosample": [f"line{i}" for i in line],
        "group": [f"experiment{i}" for i in range(80)],
    }
    a = per_set("a", values).with_columns(**{k: pl.Series(v) for k, v in labels.items()})
    frame = pl.concat([a, a.with_columns(pl.lit("b").alias("model"), score=pl.lit(0.0))])
    both = paired_difference(frame, "a", "b", "score")
    assert both == bootstrap_interval(
        values, groups=factor_names(factor), crossed=[f"line{i}" for i in line]
    )
    apart = paired_difference(frame.drop("factor", "biosample"), "a", "b", "score")
    assert both.high - both.low > 1.5 * (apart.high - apart.low)
    unknown = frame.with_columns(pl.lit("").alias("factor"), pl.lit("").alias("biosample"))
    assert paired_difference(unknown, "a", "b", "score") == apart


def factor_names(factor: np.ndarray) -> np.ndarray:
    return np.array([f"factor{i}" for i in factor])


def test_models_without_sets_in_common_are_refused() -> None:
    values = np.arange(4.0)
    frame = pl.concat([per_set("a", values), per_set("b", values, first=10)])
    with pytest.raises(GenoglotError, match="no region set in common"):
        paired_difference(frame, "a", "b", "score")
    with pytest.raises(GenoglotError, match="no metric 'f1'"):
        paired_difference(frame, "a", "b", "f1")
