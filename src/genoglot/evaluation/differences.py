"""Differences between models on the same region sets: intervals, and a table of them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from genoglot.errors import GenoglotError
from genoglot.evaluation.intervals import Interval, bootstrap_interval, resampling_units
from genoglot.evaluation.results import ResultsTable
from genoglot.evaluation.text_table import TextTable, format_interval

EVALUATED_ON = ("task", "split", "subset", "data")
INTERVAL = ("difference", "low", "high")


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
    """Compute how much better `model_a` is than `model_b` on the same region sets.

    The values of several seeds of a model are averaged for each region set first. The bootstrap
    then draws factors and biosamples, or whole experiments where these are not known (see
    `resampling_units`). The difference is significant, at the level, if the interval excludes 0.

    Parameters
    ----------
    per_set
        `ResultsTable.per_set`, or the rows of it to compare on, such as those of one split.
    model_a, model_b
        Names of two models in it.
    metric
        Name of a metric in it.
    level, draws, seed
        As in `bootstrap_interval`.

    Returns
    -------
    Interval
        Mean difference, and its bounds.

    Raises
    ------
    GenoglotError
        If a model or metric is not in the table, or the models have no region set in common.
    """
    both = _paired(per_set, model_a, model_b, metric)
    if not len(both):
        raise GenoglotError(
            f"{model_a!r} and {model_b!r} have no region set in common; evaluate both on the same "
            "rows"
        )
    return _difference(both, metric, level=level, draws=draws, seed=seed)


def paired_differences(
    table: ResultsTable, baseline: str, metrics: Sequence[str] | None = None, *, seed: int = 0
) -> pl.DataFrame:
    """Compare every model of a table with a baseline, set by set.

    Parameters
    ----------
    table
        Results with their per-set measures.
    baseline
        Name of a model of the table.
    metrics
        Names of metrics. Default: the first metric of each task.
    seed
        Seed of the bootstrap: see `paired_difference`.

    Returns
    -------
    DataFrame
        One row for each task, split, metric and model: what both were evaluated on (task, split,
        subset, data), the names of model, baseline and metric, the mean of the model's value minus
        the baseline's (difference), the bounds of its 95 % interval (low, high), and the number of
        region sets that both were evaluated on (sets).

    Raises
    ------
    GenoglotError
        If the table has no such model, or no other one.
    """
    models = table.per_set["model"].unique(maintain_order=True).to_list()
    if baseline not in models or len(models) < 2:
        raise GenoglotError(
            f"nothing to compare with {baseline!r}: the table has the models {', '.join(models)}"
        )
    found = []
    for key, results in table.results.group_by(EVALUATED_ON, maintain_order=True):
        evaluated_on = dict(zip(EVALUATED_ON, map(str, key), strict=True))
        frame = table.per_set.filter(**evaluated_on)
        for metric in metrics or [results["metric"][0]]:
            for model in models:
                both = _paired(frame, model, baseline, metric)
                if model != baseline and len(both):
                    names = {"model": model, "baseline": baseline, "metric": metric}
                    gain = _difference(both, metric, seed=seed)
                    interval = dict(zip(INTERVAL, gain, strict=True))
                    found.append({**evaluated_on, **names, **interval, "sets": len(both)})
    return pl.DataFrame(found)


def differences_markdown(differences: pl.DataFrame) -> str:
    """Write the result of `paired_differences` as a Markdown table with one row per model.

    What all rows have in common is left out.

    Examples
    --------
    >>> row = {**dict.fromkeys(EVALUATED_ON, ""), "model": "direct", "baseline": "ridge"}
    >>> row |= {"metric": "AP", "difference": 0.0226, "low": -0.009, "high": 0.0624, "sets": 79}
    >>> print(differences_markdown(pl.DataFrame([row])))
    | model | AP less that of ridge | sets |
    | --- | --- | --- |
    | direct | 0.023 [-0.009, 0.062] | 79 |
    """
    intervals = differences.select(INTERVAL).iter_rows()
    frame = differences.with_columns(
        pl.col("data").str.head(12),
        pl.Series("difference", [format_interval(*interval) for interval in intervals]),
    )
    compared = frame.select("metric", "baseline").unique(maintain_order=True)
    columns = {
        f"{metric} less that of {baseline}": pl.col("difference").filter(metric=metric).first()
        for metric, baseline in compared.rows()
    }
    columns["sets"] = pl.col("sets").last()
    return TextTable.pivot(frame, [*EVALUATED_ON, "model"], columns).to_markdown()


def _paired(per_set: pl.DataFrame, model_a: str, model_b: str, metric: str) -> pl.DataFrame:
    """One row for each region set of both models, with the metric of both, mean over seeds."""
    if metric not in per_set.columns:
        raise GenoglotError(f"no metric {metric!r} in the table (it has: {per_set.columns})")
    key = [*EVALUATED_ON, "id"]
    labels = [name for name in ("factor", "biosample") if name in per_set.columns]
    a, b = (
        per_set.filter(pl.col("model") == model)
        .drop_nulls(metric)
        .group_by(key, maintain_order=True)
        .agg(pl.first("group", *labels), pl.mean(metric))
        for model in (model_a, model_b)
    )
    return a.join(b, on=key, suffix="_b", maintain_order="left")


def _difference(
    both: pl.DataFrame, metric: str, *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Interval:
    groups, crossed = resampling_units(both)
    return bootstrap_interval(
        (both[metric] - both[f"{metric}_b"]).to_numpy(),
        groups=groups, crossed=crossed, level=level, draws=draws, seed=seed,
    )  # fmt: skip
