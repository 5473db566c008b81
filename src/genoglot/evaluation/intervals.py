"""Bootstrap intervals of means over region sets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import GenoglotError

DRAWN_AT_ONCE = 2_000_000  # group numbers: bounds memory at some 50 MB


class Interval(NamedTuple):
    """A mean and the bounds of its interval; NaN bounds where one group tells of no spread."""

    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    runs: ArrayLike | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of the mean.

    Replicates of one experiment are not independent, so groups are drawn whole. Neither are the
    values that several runs (a model trained with several seeds) have on the same group: the draw
    of groups is the same for all runs, and the runs are drawn too (the "pigeonhole bootstrap" of
    Owen, 2007, Annals of Applied Statistics 1:386).

    Parameters
    ----------
    values
        (n,) one per region set, or per region set and run.
    groups
        (n,) labels of what is drawn whole; default each value by itself.
    runs
        (n,) labels of the runs; default one run.
    level
        Of the interval, between 0 and 1.
    draws
        Number of bootstrap draws, at least 100.
    seed
        Same seed, same interval.

    Raises
    ------
    GenoglotError
        If there are no values, some are not numbers, or the labels are not as many.

    Examples
    --------
    >>> mean, low, high = bootstrap_interval([0.2, 0.4, 0.4, 0.6], seed=1)
    >>> print(f"{mean:.2f} [{low:.2f}, {high:.2f}]")
    0.40 [0.25, 0.55]
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not len(array) or np.isnan(array).any():
        raise GenoglotError(
            f"an interval needs at least one value and no NaN (got {array.size} values)"
        )
    if not 0 < level < 1 or draws < 100:
        raise GenoglotError(f"level {level} must be between 0 and 1, draws {draws} at least 100")
    mean = float(array.mean())
    group = np.arange(len(array)) if groups is None else _codes(groups, len(array))
    run = np.zeros(len(array), np.int64) if runs is None else _codes(runs, len(array))
    if group.max() == 0:
        return Interval(mean, np.nan, np.nan)
    # (runs, groups) tables, of which each draw is a weighted sum.
    shape = (int(run.max()) + 1, int(group.max()) + 1)
    cell = run * shape[1] + group
    sums, counts = (
        np.bincount(cell, weights, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)
        for weights in (array, np.ones(len(array)))
    )
    means = _drawn_means(sums, counts, draws, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high))


def paired_difference(
    per_set: pl.DataFrame,
    model_a: str,
    model_b: str,
    metric: str,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """How much better `model_a` is than `model_b` on the same region sets.

    A model's values of several seeds are averaged per region set first; then whole experiment
    groups are drawn. The difference is real, at the level, if the interval excludes 0.

    Parameters
    ----------
    per_set
        `Table.per_set`, or the part of it to compare on, such as one split.
    model_a, model_b
        Names of models in it.
    metric
        Name of a metric in it.
    level, draws, seed
        As in `bootstrap_interval`.

    Raises
    ------
    GenoglotError
        If a model or metric is not in the table, or both have no region set in common.
    """
    if metric not in per_set.columns:
        raise GenoglotError(f"no metric {metric!r} in the table (it has: {per_set.columns})")
    key = ["task", "split", "part", "data", "id"]
    a, b = (
        per_set.filter(pl.col("model") == model)
        .drop_nulls(metric)
        .group_by(key, maintain_order=True)
        .agg(pl.first("group"), pl.mean(metric))
        for model in (model_a, model_b)
    )
    both = a.join(b, on=key, suffix="_b", maintain_order="left")
    if not len(both):
        raise GenoglotError(
            f"{model_a!r} ({len(a)} region sets) and {model_b!r} ({len(b)}) have no region set "
            "in common; evaluate both on the same rows"
        )
    return bootstrap_interval(
        (both[metric] - both[f"{metric}_b"]).to_numpy(),
        groups=both["group"].to_numpy(),
        level=level,
        draws=draws,
        seed=seed,
    )


def _codes(labels: ArrayLike, n: int) -> NDArray[np.int64]:
    array = np.asarray(labels)
    if array.shape != (n,):
        raise GenoglotError(f"labels of shape {array.shape} for {n} values; give one each")
    return np.unique(array, return_inverse=True)[1].astype(np.int64)


def _drawn_means(
    sums: NDArray[np.float64], counts: NDArray[np.float64], draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Mean of each draw of groups and runs; sums and counts are (runs, groups)."""
    n_runs, n_groups = sums.shape
    parts: list[NDArray[np.float64]] = []
    at_once = max(1, DRAWN_AT_ONCE // n_groups)
    for first in range(0, draws, at_once):
        size = min(at_once, draws - first)
        group_weights = drawn_counts(size, n_groups, rng)
        run_weights = drawn_counts(size, n_runs, rng)
        total = (group_weights @ sums.T * run_weights).sum(1)
        weight = (group_weights @ counts.T * run_weights).sum(1)
        parts.append(total[weight > 0] / weight[weight > 0])
    return np.concatenate(parts)


def drawn_counts(size: int, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often each of n things is drawn in n draws with replacement, float64 (size, n)."""
    drawn = rng.integers(n, size=(size, n)) + np.arange(size)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
