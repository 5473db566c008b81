"""Bootstrap intervals of means over region sets."""

from __future__ import annotations

from typing import Any, NamedTuple

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
    crossed: ArrayLike | None = None,
    runs: ArrayLike | None = None,
    share: bool = False,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of the mean.

    Replicates of one experiment are not independent, so groups are drawn whole. Where two things
    are crossed, such as factors and cell lines, of which each occurs with many of the other, both
    are drawn: a value counts as often as its group was drawn times as often as its crossed label
    was. So it is with the values that several runs (a model trained with several seeds) have on
    the same group: the draw of groups is the same for all runs, and the runs are drawn too (the
    "pigeonhole bootstrap" of Owen, 2007, Annals of Applied Statistics 1:386).

    Parameters
    ----------
    values
        (n,) one per region set, or per region set and run.
    groups
        (n,) labels of what is drawn whole; default each value by itself.
    crossed
        (n,) labels of what is drawn whole as well, across the groups; default nothing.
    runs
        (n,) labels of the runs; default one run.
    share
        Values are between 0 and 1 by definition. If all of them are 0 or 1, the interval is that of
        a proportion (see `share_interval`), which has a width even where all are 1.
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
    >>> mean, low, high = bootstrap_interval([1] * 22, share=True)
    >>> print(f"{mean:.2f} [{low:.2f}, {high:.2f}]")
    1.00 [0.85, 1.00]
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not len(array) or np.isnan(array).any():
        raise GenoglotError(
            f"an interval needs at least one value and no NaN (got {array.size} values)"
        )
    if not 0 < level < 1 or draws < 100:
        raise GenoglotError(f"level {level} must be between 0 and 1, draws {draws} at least 100")
    mean = float(array.mean())
    own = np.arange(len(array))
    drawn = [own if groups is None else _codes(groups, len(array))]
    drawn += [_codes(crossed, len(array))] if crossed is not None else []
    if max(int(codes.max()) for codes in drawn) == 0:
        return Interval(mean, np.nan, np.nan)
    units = len(np.unique(np.stack(drawn), axis=1).T)
    drawn += [_codes(runs, len(array))] if runs is not None else []
    means = _drawn_means(array, np.stack(drawn), draws, np.random.default_rng(seed))
    if share and np.isin(array, (0, 1)).all():
        independent = crossed is None and units == len(array)
        spread = 0.0 if independent else float(means.std())
        return Interval(mean, *share_interval(mean, spread, units, level=level))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high))


def share_interval(
    value: float, spread: float, units: float, *, level: float = 0.95
) -> tuple[float, float]:
    """Bounds of a proportion, or of another mean of values between 0 and 1.

    The interval of Clopper and Pearson for as many independent units as have the given spread, but
    not more than there are (Korn and Graubard, 1998, Survey Methodology 24:193). A percentile
    bootstrap has no width where all values are 1, and is too narrow near 0 and 1.

    Parameters
    ----------
    value
        The proportion.
    spread
        Its standard deviation over bootstrap draws; 0 if it is that of `units` independent ones.
    units
        Number of independent units.
    level
        Of the interval, between 0 and 1.

    Examples
    --------
    >>> print("{:.3f} {:.3f}".format(*share_interval(0.9, 0.0, 20)))
    0.683 0.988
    """
    from scipy.stats import beta

    n = min(units, value * (1 - value) / spread**2) if spread > 0 and 0 < value < 1 else units
    right = value * n
    tail = (1 - level) / 2
    low = beta.ppf(tail, right, n - right + 1) if value > 0 else 0.0
    high = beta.ppf(1 - tail, right + 1, n - right) if value < 1 else 1.0
    return float(low), float(high)


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

    A model's values of several seeds are averaged per region set first; then factors and
    biosamples are drawn, or whole experiment groups where these are not known (`drawn_whole`). The
    difference is real, at the level, if the interval excludes 0.

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
    key = ["task", "split", "subset", "data", "id"]
    labels = [name for name in ("factor", "biosample") if name in per_set.columns]
    a, b = (
        per_set.filter(pl.col("model") == model)
        .drop_nulls(metric)
        .group_by(key, maintain_order=True)
        .agg(pl.first("group", *labels), pl.mean(metric))
        for model in (model_a, model_b)
    )
    both = a.join(b, on=key, suffix="_b", maintain_order="left")
    if not len(both):
        raise GenoglotError(
            f"{model_a!r} ({len(a)} region sets) and {model_b!r} ({len(b)}) have no region set "
            "in common; evaluate both on the same rows"
        )
    groups, crossed = drawn_whole(both)
    return bootstrap_interval(
        (both[metric] - both[f"{metric}_b"]).to_numpy(),
        groups=groups,
        crossed=crossed,
        level=level,
        draws=draws,
        seed=seed,
    )


def drawn_whole(per_set: pl.DataFrame) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Labels of what a bootstrap draws whole: `groups` and `crossed` of `bootstrap_interval`.

    Factors and biosamples, if the table knows of several of either; else experiment groups. A set
    without the label counts as one of its own.

    Examples
    --------
    >>> about = {"group": ["a", "b", "c"], "factor": ["CTCF", "MAX", "MAX"]}
    >>> drawn_whole(pl.DataFrame({**about, "biosample": ["K562", "K562", ""]}))[1].tolist()
    ['K562', 'K562', ' c']
    """
    labels = [
        per_set.select(pl.when(pl.col(name) != "").then(name).otherwise(" " + pl.col("group")))
        for name in ("factor", "biosample")
        if name in per_set.columns and (per_set[name] != "").any()
    ]
    several = [frame.to_series().to_numpy() for frame in labels if frame.n_unique() > 1]
    groups = several[0] if several else per_set["group"].to_numpy()
    return groups, several[1] if len(several) > 1 else None


def _codes(labels: ArrayLike, n: int) -> NDArray[np.int64]:
    array = np.asarray(labels)
    if array.shape != (n,):
        raise GenoglotError(f"labels of shape {array.shape} for {n} values; give one each")
    return np.unique(array, return_inverse=True)[1].astype(np.int64)


def _drawn_means(
    values: NDArray[np.float64], codes: NDArray[np.int64], draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Mean of each draw; codes are (labels, n), and all labels are drawn, each by itself."""
    cells, cell = np.unique(codes, axis=1, return_inverse=True)
    cell = cell.reshape(-1)
    sums, counts = (np.bincount(cell, w) for w in (values, np.ones(len(values))))
    parts: list[NDArray[np.float64]] = []
    at_once = max(1, DRAWN_AT_ONCE // len(sums))
    for first in range(0, draws, at_once):
        size = min(at_once, draws - first)
        weights = np.ones((size, len(sums)))
        for label in cells:
            weights *= drawn_counts(size, int(label.max()) + 1, rng)[:, label]
        weight = weights @ counts
        parts.append((weights @ sums)[weight > 0] / weight[weight > 0])
    return np.concatenate(parts)


def drawn_counts(size: int, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often each of n things is drawn in n draws with replacement, float64 (size, n)."""
    drawn = rng.integers(n, size=(size, n)) + np.arange(size)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
