"""Bootstrap intervals of means over region sets."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import GenoglotError

DRAWN_AT_ONCE = 2_000_000  # numbers of groups: bounds memory at some 50 MB


class Interval(NamedTuple):
    """A mean and the bounds of its interval; NaN bounds if there is one group only."""

    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    crossed: ArrayLike | None = None,
    runs: ArrayLike | None = None,
    proportion: bool = False,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Compute the percentile bootstrap interval of a mean.

    Replicates of one experiment are not independent, so that whole groups are drawn. Two labels
    may be crossed, such as factors and cell lines, where each factor occurs with many cell lines
    and each cell line with many factors. Both are drawn then: a value counts as often as its group
    was drawn, times as often as its crossed label was drawn. The same holds for the values that
    several runs (a model trained with several seeds) have on the same group: the draw of groups is
    the same for all runs, and the runs are drawn too (the "pigeonhole bootstrap" of Owen 2007,
    Annals of Applied Statistics 1:386).

    Parameters
    ----------
    values
        One value per region set, or per region set and run, (n,).
    groups
        Labels of the groups that are drawn as a whole, (n,). Default: each value is a group.
    crossed
        Labels of further groups that are drawn as a whole, across the first ones, (n,).
        Default: none.
    runs
        Labels of the runs, (n,). Default: one run.
    proportion
        Values are between 0 and 1 by definition. If all of them are 0 or 1, the interval is that of
        a proportion (see `proportion_interval`), which has a width even where all values are 1.
    level
        Level of the interval, between 0 and 1.
    draws
        Number of bootstrap draws, at least 100.
    seed
        Random seed of the draws: the same seed gives the same interval.

    Returns
    -------
    Interval
        The mean and the bounds of its interval.

    Raises
    ------
    GenoglotError
        If there are no values, a value is NaN, or there is not one label for each value.

    Examples
    --------
    >>> mean, low, high = bootstrap_interval([0.2, 0.4, 0.4, 0.6], seed=1)
    >>> print(f"{mean:.2f} [{low:.2f}, {high:.2f}]")
    0.40 [0.25, 0.55]
    >>> mean, low, high = bootstrap_interval([1] * 22, proportion=True)
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
    labels = [np.arange(len(array)) if groups is None else _numbers(groups, len(array))]
    labels += [_numbers(crossed, len(array))] if crossed is not None else []
    if max(int(label.max()) for label in labels) == 0:
        return Interval(mean, np.nan, np.nan)
    units = len(np.unique(np.stack(labels), axis=1).T)
    labels += [_numbers(runs, len(array))] if runs is not None else []
    means = _drawn_means(array, np.stack(labels), draws, np.random.default_rng(seed))
    if proportion and np.isin(array, (0, 1)).all():
        independent = crossed is None and units == len(array)
        spread = 0.0 if independent else float(means.std())
        return Interval(mean, *proportion_interval(mean, spread, units, level=level))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high))


def proportion_interval(
    value: float, spread: float, units: float, *, level: float = 0.95
) -> tuple[float, float]:
    """Compute the interval of a proportion, or of another mean of values between 0 and 1.

    This is the interval of Clopper and Pearson for the number of independent units that would have
    the given spread, but at most the number of units that there are (Korn and Graubard 1998,
    Survey Methodology 24:193). A percentile bootstrap has no width where all values are 1, and is
    too narrow near 0 and 1.

    Parameters
    ----------
    value
        The proportion.
    spread
        Standard deviation of the proportion over bootstrap draws; 0 if the units are independent.
    units
        Number of units.
    level
        Level of the interval, between 0 and 1.

    Returns
    -------
    tuple of float
        Lower and upper bound.

    Examples
    --------
    >>> print("{:.3f} {:.3f}".format(*proportion_interval(0.9, 0.0, 20)))
    0.683 0.988
    """
    from scipy.stats import beta

    n = min(units, value * (1 - value) / spread**2) if spread > 0 and 0 < value < 1 else units
    right = value * n
    tail = (1 - level) / 2
    low = beta.ppf(tail, right, n - right + 1) if value > 0 else 0.0
    high = beta.ppf(1 - tail, right + 1, n - right) if value < 1 else 1.0
    return float(low), float(high)


def resampling_units(per_set: pl.DataFrame) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Choose the labels that a bootstrap over region sets draws as a whole.

    These are the factors and the biosamples, if the table has several of either, and otherwise the
    experiments. A set without factor or biosample counts as one of its own.

    Parameters
    ----------
    per_set
        Region sets, with the columns group and, if known, factor and biosample.

    Returns
    -------
    tuple
        `groups` and `crossed` of `bootstrap_interval`.

    Examples
    --------
    >>> about = {"group": ["a", "b", "c"], "factor": ["CTCF", "MAX", "MAX"]}
    >>> resampling_units(pl.DataFrame({**about, "biosample": ["K562", "K562", ""]}))[1].tolist()
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


def _numbers(labels: ArrayLike, n: int) -> NDArray[np.int64]:
    array = np.asarray(labels)
    if array.shape != (n,):
        raise GenoglotError(f"labels of shape {array.shape} for {n} values; give one each")
    return np.unique(array, return_inverse=True)[1].astype(np.int64)


def _drawn_means(
    values: NDArray[np.float64], labels: NDArray[np.int64], draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Mean of each draw; every row of labels (several, n) is drawn by itself."""
    cells, cell = np.unique(labels, axis=1, return_inverse=True)
    cell = cell.reshape(-1)
    sums, counts = (np.bincount(cell, w) for w in (values, np.ones(len(values))))
    means: list[NDArray[np.float64]] = []
    at_once = max(1, DRAWN_AT_ONCE // len(sums))
    for first in range(0, draws, at_once):
        size = min(at_once, draws - first)
        weights = np.ones((size, len(sums)))
        for label in cells:
            weights *= resample_counts(size, int(label.max()) + 1, rng)[:, label]
        weight = weights @ counts
        means.append((weights @ sums)[weight > 0] / weight[weight > 0])
    return np.concatenate(means)


def resample_counts(draws: int, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw n of n things with replacement.

    Parameters
    ----------
    draws
        Number of draws.
    n
        Number of things.
    rng
        Source of random numbers.

    Returns
    -------
    float64 array
        How often each thing was drawn, (draws, n).
    """
    drawn = rng.integers(n, size=(draws, n)) + np.arange(draws)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)
