"""Results of a benchmark on disk: one file per run, so that any number of processes can write."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from genoglot.bench.plan import Run
from genoglot.errors import TaskError
from genoglot.evaluation.predictions import METRICS
from genoglot.files import atomic_path
from genoglot.permissions import explains_denial
from genoglot.tables import read_parquet

FOLDER = "results"
_METRICS = [f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")]
SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("recipe", "key", "size", "task", "dataset", "digest"), pl.String()),
        **dict.fromkeys(("split", "model", "tokenizer", "positions", "pretrained"), pl.String()),
        "mask_rate": pl.Float64(),
        "pretraining": pl.String(),
        "fraction": pl.Float64(),
        "frozen": pl.Boolean(),
        **dict.fromkeys(("seed", "n_train", "n_validation", "n_test"), pl.Int64()),
        "n_duplicates": pl.Int64(),  # test examples with a duplicate in the other subsets
        **dict.fromkeys(_METRICS, pl.Float64()),
        "validation": pl.Float64(),  # main metric on the validation examples
        "without_duplicates": pl.Float64(),  # main metric on the test examples without duplicate
        "seconds": pl.Float64(),
        "parameters": pl.Int64(),
        "simulated": pl.Boolean(),
        **dict.fromkeys(("settings", "commit", "hardware", "version"), pl.String()),
    }
)
"""Columns of the results, with one row per run; a metric that a task does not have is null."""

_OPTIONAL = {*_METRICS, "pretraining", "frozen"}  # not in the results of earlier versions


@explains_denial
def read_results(out: str | Path) -> pl.DataFrame:
    """Read the results of a benchmark.

    Parameters
    ----------
    out
        Folder of the benchmark.

    Returns
    -------
    DataFrame
        One row per run, with the columns of `SCHEMA`; no rows if there are no results.

    Raises
    ------
    TaskError
        If a file in the folder is not a result of a benchmark.
    """
    files = sorted(Path(out, FOLDER).glob("*/*.parquet"))
    return pl.concat([pl.DataFrame(schema=SCHEMA), *map(_read, files)])


def done_keys(out: str | Path, recipe: str) -> set[str]:
    """Return the keys of the runs of a recipe that are done."""
    return {file.stem.rpartition("-")[2] for file in Path(out, FOLDER, recipe).glob("*.parquet")}


def write_result(out: Path, run: Run, row: Mapping[str, Any]) -> None:
    """Write the result of a run."""
    file = out / FOLDER / run.recipe / f"{run.number:05d}-{run.key}.parquet"
    with atomic_path(file) as temporary:
        pl.DataFrame([dict(row)], schema=SCHEMA).write_parquet(temporary)


def result_of_another_recipe(out: Path, run: Run) -> dict[str, Any] | None:
    """Return the result of the same run for another recipe; None if there is none."""
    for file in Path(out, FOLDER).glob(f"*/*-{run.key}.parquet"):
        return {**_read(file).row(0, named=True), "recipe": run.recipe, "size": run.size}
    return None


def describe_result(row: Mapping[str, Any], metric: str) -> str:
    """Describe the result of a run: its main metric, and the seconds that it took.

    Examples
    --------
    >>> describe_result({"AUROC": 0.9123, "seconds": 3.21}, "AUROC")
    'AUROC 0.912, 3.2 s'
    """
    value = "not defined" if math.isnan(row[metric]) else f"{row[metric]:.3f}"
    return f"{metric} {value}" + ("" if row["seconds"] is None else f", {row['seconds']:.1f} s")


def _read(path: Path) -> pl.DataFrame:
    expected = {"what": "a results table", "advice": "move it away"}
    needed = [name for name in SCHEMA if name not in _OPTIONAL]
    frame = read_parquet(path, needed, **expected, error=TaskError)
    absent = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in SCHEMA.items()
        if name not in frame.columns
    ]
    return frame.with_columns(absent).select(SCHEMA.names())
