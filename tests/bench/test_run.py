"""Runs are done once, resumed, and do not stop each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from genoglot.bench.plan import Run, plan_runs
from genoglot.bench.recipe import Recipe
from genoglot.bench.results import SCHEMA, read_results
from genoglot.bench.run import run_missing
from genoglot.bench.workspace import Workspace
from genoglot.tasks import TaskData

MakeRecipe = Callable[..., Recipe]
MakeWorkspace = Callable[..., Workspace]


def test_a_stopped_bench_goes_on_to_the_same_table(
    prom: dict[str, TaskData], tmp_path: Path, recipe: MakeRecipe, workspace: MakeWorkspace
) -> None:
    grid = [{"tasks": "PromVary", "model": ["attention", "cnn-fc", "cnn-lstm"]}]
    runs = plan_runs(recipe(grid=grid), "small", prom)
    told: list[Any] = []

    def stop_after_three(run: Run, row: Any) -> None:
        told.append(row)
        if len(told) == 3:
            raise KeyboardInterrupt

    whole, parts = (workspace(tmp_path / name, prom) for name in ("whole", "parts"))
    assert run_missing(runs, whole, lambda run, row: None) == 0
    with pytest.raises(KeyboardInterrupt):
        run_missing(runs, parts, stop_after_three)
    assert len(read_results(parts.folder)) == 3
    run_missing(runs, parts, lambda run, row: told.append(row))
    assert len(told) == len(runs)  # none was done twice
    tables = [read_results(shared.folder).drop("seconds") for shared in (whole, parts)]
    assert tables[0].equals(tables[1]) and len(tables[0]) == len(runs)
    assert tables[0].schema == pl.Schema({k: v for k, v in SCHEMA.items() if k != "seconds"})
    row = tables[0].row(0, named=True)
    assert 0 <= row["AUROC_low"] <= row["AUROC"] <= row["AUROC_high"] <= 1
    assert row["Spearman"] is None and row["simulated"] and row["n_test"] == 40
    # The same runs in another recipe are not run again.
    others = [replace(run, recipe="y") for run in runs]
    run_missing(others, replace_datasets(parts), lambda run, row: None)
    both = read_results(parts.folder)
    assert len(both) == 2 * len(runs) and both["key"].n_unique() == len(runs)


def replace_datasets(shared: Workspace) -> Workspace:
    """A workspace that has no data to run anything on."""
    return Workspace(shared.folder, {}, None, shared.device_options)


def test_a_run_that_fails_does_not_stop_the_others(
    prom: dict[str, TaskData], tmp_path: Path, recipe: MakeRecipe, workspace: MakeWorkspace
) -> None:
    training = {"max_steps": 2, "batch_size": 8, "shift": 1}
    grid = [{"tasks": "PromVary", "model": "attention", "frozen": [True, False]}]
    made = recipe(grid=grid, size={"training": training, "seeds": 0})
    told = {}
    shared = workspace(tmp_path, prom)
    failed = run_missing(
        plan_runs(made, "small", prom),
        shared,
        lambda run, row: told.update({run.configuration: row}),
    )
    assert failed == 1
    (error,) = [row for row in told.values() if isinstance(row, Exception)]
    assert "a frozen encoder reads each sequence once" in str(error)
    assert read_results(tmp_path)["model"].to_list() == ["attention", "constant", "kmer-linear"]
