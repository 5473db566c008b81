"""Tables of results beside published figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from genoglot.bench.plan import find_datasets, plan_runs
from genoglot.bench.recipe import Recipe
from genoglot.bench.results import read_results
from genoglot.bench.run import run_missing
from genoglot.bench.tables import RecipeTables, to_csv
from genoglot.bench.workspace import Workspace
from genoglot.tasks import TASKS, TaskData

MakeRecipe = Callable[..., Recipe]
MakeWorkspace = Callable[..., Workspace]


def test_tables_show_intervals_spread_and_published_figures(
    prom: dict[str, TaskData], tmp_path: Path, recipe: MakeRecipe, workspace: MakeWorkspace
) -> None:
    figure = {"dataset": "PromVary", "model": "Attention", "positions": "rotary"}
    published = {"source": "a paper", "figures": [{**figure, "values": {"AUROC": 0.945}}]}
    grid = [{"tasks": "PromVary", "model": "attention", "positions": ["rotary", "absolute"]}]
    made = recipe(grid=grid, published=published)
    run_missing(plan_runs(made, "small", prom), workspace(tmp_path, prom), lambda run, row: None)
    made.copy_to(tmp_path)
    (board,) = RecipeTables.read(tmp_path)
    text = board.to_markdown()
    main, others = "AUROC | min-max | without duplicates", "AUPRC | MCC | precision (macro)"
    header = (
        f"| model | positions | {main} | {others} | recall (macro) | validation AUROC | seeds |"
    )
    assert text.startswith(f"## X\n\n### PromVary\n\n{header}\n")
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    found = read_results(tmp_path).filter(model="attention", positions="rotary")
    mean, low, high = (found[f"AUROC{end}"].mean() for end in ("", "_low", "_high"))
    assert f"| attention | rotary | {mean:.3f} [{low:.3f}, {high:.3f}] | " in rows[0]
    assert f"{found['AUROC'].min():.3f}-{found['AUROC'].max():.3f}" in rows[0]
    assert "| published: Attention | rotary | 0.945 |  |  |  |  |  |  |  |  |" in rows
    # The task knows this one.
    assert "| published: CNN+FC |  | 0.939 |  |  | 0.880 |  |  |  |  |  |" in rows
    assert rows[2].startswith("| constant |  | 0.500")
    best = board.results.filter(pl.col("validation") == pl.max("validation"))
    starred = {line.split(" | ")[0][2:] for line in rows if " * |" in line}
    assert starred == set(best["model"])
    for told in (
        "Simulated data",
        "Small size, trained for minutes: not the published size",
        "published figures: a paper; Training Transformers for Genetic Sequence Tasks",
        prom["PromVary"].digest[:12],
        "CPU cores",
    ):
        assert told in text
    csv = pl.read_csv(to_csv([board]).encode())
    assert csv.filter(model="attention", positions="rotary", metric="AUROC")["value"][0] == mean
    from rich.console import Console

    console = Console(width=200, record=True, file=(tmp_path / "shown").open("w"))
    console.print(board)
    assert "published: CNN+FC" in console.export_text()
    # Another setting: another line, and a column that tells which is which.
    other = recipe(grid=grid, size={"draws": 30, "seeds": 0}, baselines=[])
    run_missing(plan_runs(other, "small", prom), workspace(tmp_path, prom), lambda run, row: None)
    other.copy_to(tmp_path)
    attention = RecipeTables.read(tmp_path)[0].results.filter(model="attention")
    assert attention["settings"].n_unique() == 2
    assert "| positions | settings | AUROC |" in RecipeTables.read(tmp_path)[0].to_markdown()


def test_a_figure_without_test_examples_that_are_duplicates(
    tmp_path: Path, recipe: MakeRecipe, workspace: MakeWorkspace
) -> None:
    """All duplicates have one label and are answered wrong: without them the figure is better."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "csv" / "tf" / "0"
    folder.mkdir(parents=True)
    bases = np.array(list("ACGT"))

    def dna(label: int) -> str:
        shares = [0.1, 0.4, 0.4, 0.1] if label else [0.4, 0.1, 0.1, 0.4]
        return "".join(rng.choice(bases, 60, p=shares))

    train = [(dna(i % 2), i % 2) for i in range(60)]
    same = [(sequence, 1 - label) for sequence, label in train[:20]]
    parts = {
        "train": train,
        "dev": [(dna(i % 2), i % 2) for i in range(20)],
        "test": [(dna(i % 2), i % 2) for i in range(20)] + same,
    }
    for name, rows in parts.items():
        lines = ["sequence,label", *(f"{sequence},{label}" for sequence, label in rows)]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    TASKS["GUE"].build([tmp_path / "csv"], tmp_path / "data")
    data = find_datasets(tmp_path / "data")
    made = recipe(grid=[{"tasks": "GUE/*", "model": "kmer-linear"}], baselines=[])
    run_missing(plan_runs(made, "small", data), workspace(tmp_path / "out", data), lambda *_: None)
    row = read_results(tmp_path / "out").row(0, named=True)
    assert row["n_duplicates"] == 20 and row["n_test"] == 40
    assert row["without_duplicates"] > 0.9 > 0.5 > row["MCC"]
    made.copy_to(tmp_path / "out")
    (board,) = RecipeTables.read(tmp_path / "out")
    assert "40 of test (20 of them duplicates, exact or near," in board.to_markdown()
