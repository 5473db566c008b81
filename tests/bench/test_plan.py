"""The runs of a recipe: which there are, what identifies them, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genoglot.bench.models import BenchModel
from genoglot.bench.plan import Run, find_datasets, plan_runs
from genoglot.bench.recipe import Configuration, Recipe
from genoglot.bench.results import read_results
from genoglot.bench.run import run_missing
from genoglot.bench.workspace import Workspace
from genoglot.errors import TaskError
from genoglot.tasks import TaskData

MakeRecipe = Callable[..., Recipe]
MakeWorkspace = Callable[..., Workspace]


def test_a_grid_is_every_combination_beside_baselines(
    prom: dict[str, TaskData], recipe: MakeRecipe
) -> None:
    grid = [
        {
            "tasks": "Prom*",
            "model": "attention",
            "positions": ["rotary", "absolute"],
            "fraction": [0.5, 1],
        },
        {"tasks": ["PromVary"], "model": ["cnn-fc", "cnn-lstm"]},
        {"tasks": "PromVary", "model": "cnn-fc"},  # again: not run twice
    ]
    runs = plan_runs(recipe(grid=grid), "small", prom)
    choices = list(dict.fromkeys(run.configuration for run in runs))
    assert len(runs) == 2 * len(choices) == len({run.key for run in runs})
    assert choices[:4] == [
        Configuration("attention", "patch", positions, "none", fraction=fraction)
        for positions in ("rotary", "absolute")
        for fraction in (0.5, 1)
    ]
    assert [(c.model, c.fraction) for c in choices[4:]] == [
        *(("cnn-fc", 1), ("cnn-lstm", 1), ("constant", 0.5), ("kmer-linear", 0.5)),
        *(("constant", 1), ("kmer-linear", 1)),
    ]
    assert [run.seed for run in runs[:2]] == [0, 1] and {run.split for run in runs} == {"random"}
    assert {run.split for run in plan_runs(recipe(), "small", prom, split="chromosome")} == {
        "chromosome"
    }


def test_runs_are_picked_by_patterns(prom: dict[str, TaskData], recipe: MakeRecipe) -> None:
    runs = plan_runs(recipe(), "small", prom)
    assert [str(r) for r in runs if r.matches({"model": "att*", "seed": "1"})] == [
        "PromVary (random): attention, patch, rotary, seed 1"
    ]
    assert [r for r in runs if r.matches({"key": runs[2].key})] == [runs[2]]
    with pytest.raises(TaskError, match="runs have no 'modle'"):
        runs[0].matches({"modle": "x"})


def test_a_key_tells_what_decides_the_result_and_nothing_else() -> None:
    settings = {"training": {"epochs": 3}, "model": {}}
    run = Run(
        "a", "small", "D", "d1", "random", Configuration("attention"), 0, json.dumps(settings)
    )
    turned = json.dumps(dict(reversed(settings.items())))
    assert replace(run, recipe="b", size="published", settings=turned).key == run.key
    others = [
        replace(run, digest="d2"),
        replace(run, split="chromosome"),
        replace(run, seed=1),
        replace(run, configuration=Configuration("attention", fraction=0.5)),
        replace(run, settings=json.dumps(settings | {"model": {"dim": 8}})),
    ]
    assert len({run.key, *(other.key for other in others)}) == 6


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"grid": [{"tasks": "PromVary", "model": "bert"}]}, "no model 'bert' (there are: att"),
        ({"grid": [{"tasks": "MNIST", "model": "constant"}]}, "no task 'MNIST'"),
        ({"grid": [{"tasks": "Methyl96", "model": "constant"}]}, "no data of Methyl96"),
        (
            {"grid": [{"tasks": "PromVary", "model": "cnn-fc", "tokenizer": "kmer"}]},
            "cnn-fc has no tokenizer",
        ),
        (
            {"grid": [{"tasks": "PromVary", "model": "cnn-fc", "pretrained": "Track7878"}]},
            "no data of Track7878 to pre-train on",
        ),
        (
            {"grid": [{"tasks": "PromVary", "model": "attention", "pretrained": "mlm"}]},
            "give it as FASTA (--genome)",
        ),
        ({"baselines": "best"}, "no model 'best'"),
        ({"size": {"models": {"attention": {"dims": 3}}}}, "attention has no setting 'dims'"),
        ({"size": {"models": {"attention": {"positions": "rotary"}}}}, "is not set here"),
        ({"size": {"models": {"kmer-linear": {"z": 3}}}}, "unexpected keyword argument 'z'"),
        ({"size": {"models": {"bert": {}}}}, "no model 'bert'"),
        ({"size": {"models": {"windowed": {"window": 0}}}}, "windowed: window: Input should be"),
        ({"size": {"models": {"windowed": {"seed": 1}}}}, "is not set here"),
        ({"size": {"training": {"epoch": 3}}}, "training has no setting 'epoch'"),
        ({"size": {"pretraining": {"mask_rate": 0.1}}}, "mask_rate is not set here"),
        ({"split": "best"}, "no split 'best'"),
        (
            {
                "grid": [{"tasks": "PromVary", "model": "attention", "positions": "absolute"}],
                "size": {"models": {"attention": {"max_length": 20}}},
            },
            "PromVary: attention, patch, absolute: a sequence of the task of 500 bp, but this "
            "model reads up to 80 bp",
        ),
    ],
)
def test_recipes_that_do_not_fit_are_refused_before_anything_runs(
    content: dict[str, Any], problem: str, prom: dict[str, TaskData], recipe: MakeRecipe
) -> None:
    with pytest.raises(TaskError) as error:
        plan_runs(recipe(**content), "small", prom)
    assert problem in str(error.value) and str(error.value).startswith("recipe x: ")


def test_datasets_are_found_by_what_they_hold(tmp_path: Path, prom: dict[str, TaskData]) -> None:
    data = prom["PromVary"]
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(data.path)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "any-name").symlink_to(data.path)
    assert list(find_datasets(tmp_path / "one" / "any-name")) == ["PromVary"]
    with pytest.raises(TaskError, match="no task data in this folder"):
        find_datasets(tmp_path / "nowhere")


class AdenineContent(BenchModel):
    """Predicts the fraction of A; it has a tokenizer in name only."""

    @classmethod
    def axes(cls, model: str) -> dict[str, Any]:
        return {"tokenizer": "patch"}

    def fit(self, folder: Path) -> None:
        self.n_parameters = 0

    def predict(self, inputs: Any) -> np.ndarray:
        return (np.asarray(inputs) == 0).mean(axis=1, keepdims=True, dtype=np.float32)


def test_a_recipe_can_name_a_model_of_another_package(
    prom: dict[str, TaskData], tmp_path: Path, recipe: MakeRecipe, workspace: MakeWorkspace
) -> None:
    name = f"{__name__}:AdenineContent"
    made = recipe(grid=[{"tasks": "PromVary", "model": name, "tokenizer": "kmer"}], baselines=[])
    runs = plan_runs(made, "small", prom)
    assert run_missing(runs, workspace(tmp_path, prom), lambda run, row: None) == 0
    row = read_results(tmp_path).row(0, named=True)
    assert row["model"] == name and row["tokenizer"] == "kmer" and row["parameters"] == 0
    for model, problem in (
        ("no_such_package:Model", "cannot be imported"),
        (f"{__name__}:NoModel", "cannot be imported"),
        ("pathlib:Path", "is not a genoglot.bench.models.BenchModel"),
    ):
        grid = [{"tasks": "PromVary", "model": model}]
        with pytest.raises(TaskError, match=problem):
            plan_runs(recipe(grid=grid), "small", prom)
    with pytest.raises(TaskError, match="has no settings, but width is given"):
        plan_runs(recipe(size={"models": {name: {"width": 3}}}), "small", prom)
