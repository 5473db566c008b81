"""Models compared with a baseline set by set: a table of paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from genoglot.errors import GenoglotError
from genoglot.evaluation.intervals import Interval, paired_difference
from genoglot.evaluation.table import Table

WHAT = ("task", "split", "subset", "data")


class Difference(NamedTuple):
    """How much better a model is than a baseline on the same region sets.

    Attributes
    ----------
    task, split, subset, data
        What both were evaluated on.
    model, baseline
        Their names.
    metric
        Such as "average_precision".
    difference
        Mean of the model's value less the baseline's, and its 95 % interval.
    sets
        Number of region sets that both were evaluated on.
    """

    task: str
    split: str
    subset: str
    data: str
    model: str
    baseline: str
    metric: str
    difference: Interval
    sets: int


def paired_differences(
    table: Table, baseline: str, metrics: Sequence[str] | None = None, *, seed: int = 0
) -> list[Difference]:
    """Compare every model of a table with a baseline, set by set.

    Parameters
    ----------
    table
        Results with their per-set measures.
    baseline
        Name of a model of the table.
    metrics
        Names of metrics; default the first of each task.
    seed
        Seed of the bootstrap: see `paired_difference`.

    Raises
    ------
    GenoglotError
        If the table has no such model, or it is the only one.
    """
    models = table.per_set["model"].unique(maintain_order=True).to_list()
    if baseline not in models or len(models) < 2:
        raise GenoglotError(
            f"nothing to compare with {baseline!r}: the table has the models {', '.join(models)}"
        )
    found = []
    for key, results in table.results.group_by(WHAT, maintain_order=True):
        same = [pl.col(name) == value for name, value in zip(WHAT, key, strict=True)]
        frame = table.per_set.filter(*same)
        here = [name for name in models if name in frame["model"]]
        if baseline not in here:
            continue
        for metric in metrics or [results["metric"][0]]:
            sets = set(frame.filter(model=baseline).drop_nulls(metric)["id"])
            for model in here:
                both = sets & set(frame.filter(model=model).drop_nulls(metric)["id"])
                if model != baseline and both:
                    gain = paired_difference(frame, model, baseline, metric, seed=seed)
                    about = dict(zip(WHAT, map(str, key), strict=True))
                    found.append(
                        Difference(
                            **about,
                            model=model,
                            baseline=baseline,
                            metric=metric,
                            difference=gain,
                            sets=len(both),
                        )
                    )
    return found


def differences_markdown(differences: Sequence[Difference]) -> str:
    """Write differences as a Markdown table, one row each; what all share is left out.

    Examples
    --------
    >>> about = ("t", "s", "test", "d")
    >>> gain = Difference(*about, "direct", "ridge", "AP", Interval(0.0226, -0.009, 0.0624), 79)
    >>> print(differences_markdown([gain]))
    | model | AP less that of ridge | sets |
    | --- | --- | --- |
    | direct | 0.023 [-0.009, 0.062] | 79 |
    """
    shown = [name for name in WHAT if len({getattr(d, name) for d in differences}) > 1]
    metrics = list(dict.fromkeys(d.metric for d in differences))
    header = [*shown, "model", *(f"{m} less that of {differences[0].baseline}" for m in metrics)]
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for d in differences:
        what = ((d.data[:12] if name == "data" else getattr(d, name)) for name in shown)
        key = (*what, d.model)
        mean, low, high = d.difference
        row = rows.setdefault(key, {})
        row[d.metric] = f"{mean:.3f} [{low:.3f}, {high:.3f}]"
        row["sets"] = str(d.sets)
    lines = [[name.replace("_", " ") for name in [*header, "sets"]], ["---"] * (len(header) + 1)]
    lines += [[*key, *(row.get(m, "") for m in metrics), row["sets"]] for key, row in rows.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
