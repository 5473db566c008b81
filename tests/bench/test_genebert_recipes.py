"""The recipes of GeneBERT: they cover the paper's tables, and pre-trainings are made once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from genoglot.bench.network import NetworkModel
from genoglot.bench.plan import plan_runs
from genoglot.bench.recipe import Recipe, SizeSettings
from genoglot.bench.results import read_results
from genoglot.bench.run import run_missing
from genoglot.bench.run_data import RunData
from genoglot.bench.tables import RecipeTables
from genoglot.bench.workspace import Workspace
from genoglot.errors import GenoglotError, TaskError
from genoglot.models.dna.genebert import GeneBert
from genoglot.models.dna.genebert_data import GeneBertData
from genoglot.sequence import Genome
from genoglot.simulate import World
from genoglot.tasks import TASKS, TaskData

MakeRecipe = Callable[..., Recipe]
MakeWorkspace = Callable[..., Workspace]

TABLES = {  # by number: the recipe, and what it compares at the published size
    5: (
        "losses",
        [
            *("MGM", "MGM + NGSP", "MGM + NGSP + SRM", "MGM + SRM", "SRM"),
            "MGM + NGSP + SRM by region",
        ],
    ),
    6: ("cell-types", ["MGM", "MGM + NGSP + SRM"]),
    7: (
        "backbones",
        [
            *(
                "patches",
                "patches by region",
                "ViT-B-384",
                "ViT-L-384",
                "T2T-ViT-14",
                "T2T-ViT-24",
                "DeiT-S-224",
            ),
            *("DeiT-B-224", "DeiT-B-384", "Swin-T-224", "Swin-S-224", "Swin-B-224", "Swin-B-384"),
        ],
    ),
    8: ("batch-size", ["16", "32", "64", "128", "256", "512"]),
}
NARROW = {"dim": 8, "heads": 2, "layers": 1, "feed_forward": 16}
QUICK: dict[str, Any] = {"preset": "tiny", "max_steps": 2, "batch_size": 4, "warm_up": 0}


@pytest.fixture(scope="module")
def accessible(toy_genebert: Path) -> GeneBertData:
    return GeneBertData.open(toy_genebert)


@pytest.fixture(scope="module")
def datasets(
    built: Callable[[str], TaskData],
    world: World,
    genome: Genome,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, TaskData]:
    """Promoters and binding sites of the simulated world."""
    sheet = world.sheet.filter(pl.col("assay") == "TF ChIP-seq")
    peaks, out = world.path / sheet["file"][0], tmp_path_factory.mktemp("tfbs")
    found = {f"TFBS/{d.name}": d for d in TASKS["TFBS"].build([peaks], out, genome=genome)}
    assert len(found) == 2
    return {"PromFix": built("PromFix"), **found}


def quick(recipe: Recipe, **settings: Any) -> Recipe:
    """Make the size small a tiny one, with what each pre-training is about."""
    small = recipe.size("small")
    smaller = {
        name: {key: value for key, value in asked.items() if not key.startswith("region_")} | QUICK
        for name, asked in small.genebert.items()
    }
    size = {
        "seeds": [0], "models": {"kmer-bert": NARROW},
        "training": {"max_steps": 2, "batch_size": 8},
        "genebert": smaller, "bases": dict.fromkeys(("train", "validation", "test"), 10_000),
        "draws": 20, **settings,
    }  # fmt: skip
    return recipe.model_copy(update={"sizes": {"small": SizeSettings.model_validate(size)}})


@pytest.mark.parametrize("number", TABLES)
def test_each_table_of_the_paper_can_be_run(
    number: int, datasets: dict[str, TaskData], accessible: GeneBertData
) -> None:
    name, compared = TABLES[number]
    made = Recipe.read(f"genebert-{name}")
    assert made.title.endswith(f"(Mo et al. 2021, table {number})")
    assert list(made.size("published").genebert) == compared
    for size in ("published", "small"):
        runs = plan_runs(made, size, datasets, genebert=accessible)
        assert {run.seed for run in runs} == {0, 1, 2, 3, 4}
        pretrainings = {run.configuration.pretraining for run in runs}
        assert pretrainings == {None, *made.size(size).genebert}
        tasks = {run.dataset for run in runs}
        assert tasks == {d for d in datasets if number != 6 or d.startswith("TFBS/")}
        # What pre-training adds, and what no model at all reaches, is in each table.
        for task in tasks:
            shown = {str(run.configuration) for run in runs if run.dataset == task}
            assert {"kmer-bert", "constant", "kmer-linear"} <= shown
    for figure in made.figures:
        assert figure.pretraining is None or figure.pretraining in compared
        assert set(figure.values) == {"precision (macro)", "recall (macro)", "AUROC"}


def test_lambda_has_all_weights_of_the_paper() -> None:
    made = Recipe.read("genebert-lambda")
    assert made.title.endswith("(Mo et al. 2021, table 8)")
    for size in ("published", "small"):
        weights = {n: s["matching_weight"] for n, s in made.size(size).genebert.items()}
        assert weights == {"0.01": 0.01, "0.05": 0.05, "0.1": 0.1, "0.5": 0.5, "1": 1, "5": 5}


def test_losses_run_and_each_pretraining_is_made_once(
    datasets: dict[str, TaskData],
    accessible: GeneBertData,
    workspace: MakeWorkspace,
    tmp_path: Path,
) -> None:
    made = quick(Recipe.read("genebert-losses"))
    datasets = {name: data for name, data in datasets.items() if not name.endswith("/genomic")}
    shared = workspace(tmp_path, datasets, genebert=accessible)
    failed: list[Any] = []
    runs = plan_runs(made, "small", datasets, genebert=accessible)
    assert run_missing(runs, shared, lambda run, row: failed.append(row)) == 0, failed
    folders = [p for p in (tmp_path / "cache").glob("genebert-*") if (p / "config.json").exists()]
    assert len(folders) == 6  # for two datasets
    models = [GeneBert.from_pretrained(folder) for folder in folders]
    weights = {
        (s.masked_weight, s.next_segment_weight, s.matching_weight)
        for s in (model.settings for model in models)
    }
    assert weights == {(1, 0, 0), (1, 1, 0), (1, 1, 0.5), (1, 0, 0.5), (0, 0, 0.5)}
    results = read_results(tmp_path)
    assert len(results) == len(runs) == 2 * 9
    assert results["MCC"].is_not_null().all()
    constant = results.filter(pl.col("model") == "constant")
    assert (constant["recall (macro)"] == 0.5).all() and (constant["MCC"] == 0).all()
    made.copy_to(tmp_path)
    (tables,) = RecipeTables.read(tmp_path)
    assert "MGM + NGSP + SRM" in tables.to_markdown()


def encoder_weights(run: Any, datasets: Any, shared: Workspace) -> np.ndarray:
    data = datasets[run.dataset]
    settings = json.loads(run.settings)
    examples = RunData.select(data, run.split, run.configuration, settings, run.seed)
    state = NetworkModel(examples, shared).encoder.state_dict()
    return np.concatenate([tensor.numpy().ravel() for tensor in state.values()])


def test_a_pretraining_is_that_of_its_seed_settings_and_data(
    datasets: dict[str, TaskData],
    accessible: GeneBertData,
    workspace: MakeWorkspace,
    tmp_path: Path,
    recipe: MakeRecipe,
) -> None:
    def weights(folder: str, **genebert: Any) -> list[np.ndarray]:
        made = recipe(
            grid=[{"tasks": "PromFix", "model": "kmer-bert", "pretrained": "genebert"}],
            baselines=[],
            size={"models": {"kmer-bert": NARROW}, "genebert": {"a": QUICK | genebert}},
        )
        runs = plan_runs(made, "small", datasets, genebert=accessible)
        shared = workspace(tmp_path / folder, datasets, genebert=accessible)
        return [encoder_weights(run, datasets, shared) for run in runs]

    first, second = weights("a")
    assert not np.array_equal(first, second)  # seeds 0 and 1
    assert np.array_equal(weights("b")[1], second)
    same, again = weights("a", seed=0)
    assert np.array_equal(same, again) and np.array_equal(same, first)
    assert not np.array_equal(weights("a", matching_weight=2)[0], first)
    assert not np.array_equal(weights("a", cell_types=["glia"])[0], first)


@pytest.mark.parametrize(
    ("genebert", "problem"),
    [
        ({"a": {"matching_wait": 1}}, "genebert a has no setting 'matching_wait'"),
        ({"a": {"region_backbones": "vit-b"}}, "'backbones'"),
        ({"a": {"region_backbone": "resnet"}}, "backbone"),
        ({"a": {"matching_weight": -1}}, "matching_weight"),
        ({"a": {"preset": "huge"}}, "no preset 'huge'; choose from published, small, tiny"),
        ({"a": {"region_seed": 1}}, "region_seed is not set here"),
        ({}, "no settings of this pre-training in the size (genebert has: none)"),
    ],
)
def test_pretrainings_that_cannot_be_are_refused(
    genebert: dict[str, Any],
    problem: str,
    datasets: dict[str, TaskData],
    accessible: GeneBertData,
    recipe: MakeRecipe,
) -> None:
    grid = [{"tasks": "PromFix", "model": "kmer-bert", "pretrained": "genebert"}]
    with pytest.raises(TaskError) as error:
        plan_runs(recipe(grid=grid, size={"genebert": genebert}), "small", datasets,
                  genebert=accessible)  # fmt: skip
    assert problem in str(error.value)


def test_what_is_missing_is_named(
    datasets: dict[str, TaskData], accessible: GeneBertData, recipe: MakeRecipe
) -> None:
    made = Recipe.read("genebert-losses")
    with pytest.raises(GenoglotError, match=r"needs accessible regions.*\(--genebert\)"):
        plan_runs(made, "small", datasets)
    grid = {"tasks": "PromFix", "model": "kmer-bert", "pretrained": "genebert", "pretraining": "b"}
    with pytest.raises(TaskError, match=r"no settings of this pre-training.*genebert has: a\)"):
        plan_runs(recipe(grid=[grid], size={"genebert": {"a": QUICK}}), "small", datasets,
                  genebert=accessible)  # fmt: skip
    grid = {"tasks": "PromFix", "model": "cnn-fc", "pretraining": "a"}
    with pytest.raises(TaskError, match="cnn-fc has no pretraining"):
        plan_runs(recipe(grid=[grid]), "small", datasets)
