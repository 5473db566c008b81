"""The recipes that come with Genoglot, on simulated data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genoglot.bench.plan import plan_runs
from genoglot.bench.recipe import Recipe, shipped
from genoglot.bench.results import read_results
from genoglot.bench.run import run_missing
from genoglot.bench.tables import RecipeTables
from genoglot.bench.workspace import Workspace
from genoglot.sequence import Genome
from genoglot.tasks import TASKS, TaskData

MakeRecipe = Callable[..., Recipe]
MakeWorkspace = Callable[..., Workspace]


TABLES = ["positions", "tokenizers", "mask-rate", "transfer", "baselines"]
GENEBERT = ["losses", "cell-types", "backbones", "batch-size", "lambda"]


def test_there_is_a_recipe_of_each_published_table_and_of_gue() -> None:
    assert sorted([*TABLES, "gue", *(f"genebert-{name}" for name in GENEBERT)]) == shipped()


@pytest.mark.parametrize("name", TABLES)
def test_recipes_that_ship_run_on_simulated_data(
    name: str,
    datasets: dict[str, TaskData],
    genome: Genome,
    tmp_path: Path,
    workspace: MakeWorkspace,
) -> None:
    made = Recipe.read(name)
    assert made.figures and made.title.endswith(f"(table {1 + TABLES.index(name)})")
    assert plan_runs(made, "published", datasets, genome)[0].settings != ""
    small = made.size("small")
    quick = small.model_copy(
        update={
            "training": small.training | {"max_steps": 2},
            "pretraining": small.pretraining | {"max_steps": 2} if small.pretraining else {},
            "bases": dict.fromkeys(("train", "validation", "test"), 30_000),
        }
    )
    runs = plan_runs(made.model_copy(update={"sizes": {"small": quick}}), "small", datasets, genome)
    figures = {figure.dataset for figure in made.figures}
    assert figures == {run.dataset for run in runs}
    shared = workspace(tmp_path, datasets, genome)
    runs = [run for run in runs if run.configuration.tokenizer == "patch"]
    assert run_missing(runs[:1], shared, lambda run, row: None) == 0
    made.copy_to(tmp_path)
    assert Recipe.read_copy(tmp_path, name) == made
    (board,) = RecipeTables.read(tmp_path)
    assert "published: Attention" in board.to_markdown()


def test_the_recipe_of_gue_runs_on_any_folder_of_csv_files(
    tmp_path: Path, workspace: MakeWorkspace
) -> None:
    rng = np.random.default_rng(0)
    for part, n in (("train", 120), ("dev", 40), ("test", 60)):
        lines = ["sequence,label"]
        for i in range(n):
            dna = "".join(rng.choice(list("ACGT"), 40))
            at = rng.integers(0, 30)
            lines.append(f"{dna[:at]}TGACTCATCC{dna[at + 10 :]},1" if i % 2 else f"{dna},0")
        (tmp_path / "csv").mkdir(exist_ok=True)
        (tmp_path / f"csv/{part}.csv").write_text("\n".join(lines) + "\n")
    (data,) = TASKS["GUE"].build([tmp_path / "csv"], tmp_path / "tasks/ours")
    found = {f"GUE/{data.name}": data}
    made = Recipe.read("gue")
    small = made.size("small")
    ensemble = small.models["ensemble"] | {"trees": 10, "epochs": 1}
    quick = small.model_copy(update={"models": {"ensemble": ensemble}})
    runs = plan_runs(made.model_copy(update={"sizes": {"small": quick}}), "small", found)
    assert len(plan_runs(made, "published", found)) == 3 * len(runs) == 15
    assert run_missing(runs[:2], workspace(tmp_path / "out", found), lambda run, row: None) == 0
    table = read_results(tmp_path / "out")
    assert table["model"].to_list() == ["ensemble", "constant"]
    assert table["MCC"][0] > 0.5 and table["parameters"][0] > 1000
