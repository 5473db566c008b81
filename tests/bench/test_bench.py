"""Recipes and their runs: what is run, that it is run once, and how its results are shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from genoglot.bench.models import BenchModel
from genoglot.bench.network import windowed_vectors
from genoglot.bench.plan import Run, find_datasets, plan_runs
from genoglot.bench.recipe import Configuration, Recipe, shipped
from genoglot.bench.results import SCHEMA, read_results
from genoglot.bench.run import run_missing
from genoglot.bench.run_data import RunData
from genoglot.bench.tables import RecipeTables, to_csv
from genoglot.bench.workspace import Workspace
from genoglot.errors import TaskError
from genoglot.models.dna.attention import AttentionEncoder
from genoglot.models.dna.cnn_lstm import CnnLstm
from genoglot.models.dna.supervised import SequenceModel
from genoglot.models.dna.windowed import PieceEncoder, Upper
from genoglot.sequence import Genome, PatchTokenizer
from genoglot.tasks import TASKS, TaskData
from genoglot.training.loop import Where

Build = Callable[..., TaskData]

TINY = {
    "seeds": [0, 1],
    "models": {
        "attention": {"dim": 16, "heads": 2, "layers": 1},
        "cnn-fc": {"channels": [4, 4], "dim": 8},
        "cnn-lstm": {"channels": [4, 4], "dim": 8},
        "windowed": {"dim": 16, "heads": 2, "layers": 1},
    },
    "training": {"max_steps": 2, "batch_size": 8},
    "pretraining": {"max_steps": 2, "batch_size": 4, "window": 200},
    "bases": {"train": 20_000, "validation": 20_000, "test": 20_000},
    "draws": 20,
}


def recipe(**content: Any) -> Recipe:
    size = content.pop("size", {})
    grid = content.pop("grid", [{"tasks": "PromVary", "model": "attention"}])
    return Recipe.model_validate(
        {"name": "x", "title": "X", "grid": grid, "sizes": {"small": TINY | size}, **content}
    )


@pytest.fixture(scope="module")
def datasets(built: Build) -> dict[str, TaskData]:
    return {name: built(name) for name in TASKS if name != "GUE"}


@pytest.fixture(scope="module")
def prom(built: Build) -> dict[str, TaskData]:
    return {"PromVary": built("PromVary")}


def workspace(
    folder: Path, datasets: dict[str, TaskData], genome: Genome | None = None
) -> Workspace:
    folder.mkdir(exist_ok=True)
    return Workspace(folder, datasets, genome, Where("cpu"))


def test_a_grid_is_every_combination_beside_baselines(prom: dict[str, TaskData]) -> None:
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
        Configuration("attention", "patch", positions, "none", None, fraction)
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


def test_runs_are_picked_by_patterns(prom: dict[str, TaskData]) -> None:
    runs = plan_runs(recipe(), "small", prom)
    assert [str(r) for r in runs if r.matches({"model": "att*", "seed": "1"})] == [
        "PromVary (random): attention, patch, rotary, seed 1"
    ]
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


def test_train_is_drawn_by_the_seed_and_test_is_not(prom: dict[str, TaskData]) -> None:
    def parts(seed: int, fraction: float = 1.0, **bases: int) -> list[np.ndarray]:
        examples = RunData.select(
            prom["PromVary"],
            "random",
            Configuration("x", fraction=fraction),
            {"bases": bases},
            seed,
        )
        return [part.codes[:] for part in (examples.train, examples.validation, examples.test)]

    whole, few, limited = parts(0), parts(0, 0.01), parts(0, test=5000, train=5000)
    assert len(few[0]) == round(len(whole[0]) / 100) and len(few[2]) == len(whole[2])
    assert len(limited[0]) == len(limited[2]) == 10
    other = parts(1, test=5000, train=5000)
    assert (other[2] == limited[2]).all() and not (other[0] == limited[0]).all()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("titel: x", "no key 'titel' (there are: name, title"),
        ("grid: [{tasks: PromVary, modle: a}]", "'modle' in grid.0 (there are: tasks, model"),
        ("sizes: {small: {epochs: 3}}", "no key 'epochs' in sizes.small (there are: seeds"),
        ("sizes: {tiny: {}}", "tiny"),
        ("grid: []", "grid: Tuple should have at least 1 item"),
        ("published: {source: s, figures: [{dataset: D, values: {F1: 1}}]}", "no metric 'F1'"),
        ("published: {source: s, figures: [{set: D, values: {}}]}", "(there are: dataset, model"),
        ("[", "is not YAML"),
        ("title", "is not a recipe"),
    ],
)
def test_what_is_no_recipe_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    whole = {"title": "t", "grid": [{"tasks": "PromVary", "model": "constant"}], "sizes": {}}
    if ":" in text:
        key = text.partition(":")[0]
        lines = [f"{k}: {json.dumps(v)}" for k, v in whole.items() if k != key]
        text = "\n".join([text, *lines])
    path.write_text(text)
    with pytest.raises(TaskError) as error:
        Recipe.read(path)
    assert problem in str(error.value) and str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


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
        ({"size": {"models": {"windowed": {"piece": 0}}}}, "windowed: piece: Input should be"),
        ({"size": {"models": {"windowed": {"seed": 1}}}}, "is not set here"),
        ({"size": {"training": {"epoch": 3}}}, "training has no setting 'epoch'"),
        ({"size": {"pretraining": {"mask_rate": 0.1}}}, "mask_rate is not set here"),
        ({"split": "best"}, "no split 'best'"),
    ],
)
def test_recipes_that_do_not_fit_are_refused_before_anything_runs(
    content: dict[str, Any], problem: str, prom: dict[str, TaskData]
) -> None:
    with pytest.raises(TaskError) as error:
        plan_runs(recipe(**content), "small", prom)
    assert problem in str(error.value) and str(error.value).startswith("recipe x: ")


def test_datasets_are_found_by_what_they_hold(
    built: Build, tmp_path: Path, prom: dict[str, TaskData]
) -> None:
    data = prom["PromVary"]
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(data.path)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "any-name").symlink_to(data.path)
    assert list(find_datasets(tmp_path / "one" / "any-name")) == ["PromVary"]
    with pytest.raises(TaskError, match="no task data in this folder"):
        find_datasets(tmp_path / "nowhere")


def test_a_stopped_bench_goes_on_to_the_same_table(
    prom: dict[str, TaskData], tmp_path: Path
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
    return Workspace(shared.folder, {}, None, shared.where)


def test_a_run_that_fails_does_not_stop_the_others(
    prom: dict[str, TaskData], tmp_path: Path
) -> None:
    models = {"attention": {"dim": 16, "heads": 2, "layers": 1, "max_length": 20}}
    grid = [{"tasks": "PromVary", "model": "attention", "positions": ["absolute", "rotary"]}]
    made = recipe(grid=grid, size={"models": models, "seeds": 0})
    told = {}
    shared = workspace(tmp_path, prom)
    failed = run_missing(
        plan_runs(made, "small", prom),
        shared,
        lambda run, row: told.update({run.configuration: row}),
    )
    assert failed == 1
    (error,) = [row for row in told.values() if isinstance(row, Exception)]
    assert "absolute positions for 20" in str(error)
    assert read_results(tmp_path)["model"].to_list() == ["attention", "constant", "kmer-linear"]


def test_tables_show_intervals_spread_and_published_figures(
    prom: dict[str, TaskData], tmp_path: Path
) -> None:
    figure = {"dataset": "PromVary", "model": "Attention", "positions": "rotary"}
    published = {"source": "a paper", "figures": [{**figure, "values": {"AUROC": 0.945}}]}
    grid = [{"tasks": "PromVary", "model": "attention", "positions": ["rotary", "absolute"]}]
    made = recipe(grid=grid, published=published)
    run_missing(plan_runs(made, "small", prom), workspace(tmp_path, prom), lambda run, row: None)
    made.copy_to(tmp_path)
    (board,) = RecipeTables.read(tmp_path)
    text = board.to_markdown()
    header = "| model | positions | AUROC | min-max | without duplicates | AUPRC | validation AUROC"
    assert text.startswith(f"## X\n\n### PromVary\n\n{header} | seeds |\n")
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    found = read_results(tmp_path).filter(model="attention", positions="rotary")
    mean, low, high = (found[f"AUROC{end}"].mean() for end in ("", "_low", "_high"))
    assert f"| attention | rotary | {mean:.3f} [{low:.3f}, {high:.3f}] | " in rows[0]
    assert f"{found['AUROC'].min():.3f}-{found['AUROC'].max():.3f}" in rows[0]
    assert "| published: Attention | rotary | 0.945 |  |  |  |  |  |" in rows
    assert "| published: CNN+FC |  | 0.939 |  |  | 0.880 |  |  |" in rows  # the task knows it
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


def test_a_figure_without_test_examples_that_are_duplicates(tmp_path: Path) -> None:
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


TABLES = ["positions", "tokenizers", "mask-rate", "transfer", "baselines"]


def test_there_is_a_recipe_of_each_table_of_the_seed_and_of_gue() -> None:
    assert sorted([*TABLES, "gue"]) == shipped()


@pytest.mark.parametrize("name", TABLES)
def test_recipes_that_ship_run_on_simulated_data(
    name: str, datasets: dict[str, TaskData], genome: Genome, tmp_path: Path
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


def test_the_recipe_of_gue_runs_on_any_folder_of_csv_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part, n in (("train", 240), ("dev", 60), ("test", 60)):
        lines = ["sequence,label"]
        for i in range(n):
            dna = "".join(rng.choice(list("ACGT"), 40))
            at = rng.integers(0, 30)
            lines.append(f"{dna[:at]}TGACTCATCC{dna[at + 10 :]},1" if i % 2 else f"{dna},0")
        (tmp_path / "csv").mkdir(exist_ok=True)
        (tmp_path / f"csv/{part}.csv").write_text("\n".join(lines) + "\n")
    (data,) = TASKS["GUE"].build([tmp_path / "csv"], tmp_path / "tasks/ours")
    found = {f"GUE/{data.name}": data}
    runs = plan_runs(Recipe.read("gue"), "small", found)
    assert len(plan_runs(Recipe.read("gue"), "published", found)) == 3 * len(runs) == 15
    assert run_missing(runs[:2], workspace(tmp_path / "out", found), lambda run, row: None) == 0
    table = read_results(tmp_path / "out")
    assert table["model"].to_list() == ["ensemble", "constant"]
    assert table["MCC"][0] > 0.5 and table["parameters"][0] > 1000


def test_every_kind_of_task_and_of_pretraining(
    datasets: dict[str, TaskData], tmp_path: Path
) -> None:
    letters = np.random.default_rng(0).choice(list("ACGT"), 20_000)
    (tmp_path / "genome.fa").write_text(f">chr1\n{''.join(letters)}\n")
    genome = Genome.open(tmp_path / "genome.fa")
    backbone = ["CausalSNP", "GeneExp", "MPRAProm"]
    grid = [
        {"tasks": "Methyl96", "model": "attention", "pretrained": "mlm", "tokenizer": "bpe"},
        {"tasks": "Methyl96", "model": "cnn-fc", "pretrained": "Track7878"},
        {"tasks": backbone, "model": ["attention", "cnn-fc"], "pretrained": "Track7878"},
        {"tasks": backbone, "model": "cnn-lstm"},
    ]
    size = {"bases": dict.fromkeys(("train", "validation", "test"), 120_000)}
    made = recipe(grid=grid, baselines=[], size=size)
    runs = [run for run in plan_runs(made, "small", datasets, genome) if run.seed == 0]
    told: list[Any] = []
    shared = workspace(tmp_path, datasets, genome)
    run_missing(runs, shared, lambda run, row: told.append(row))
    assert [row for row in told if isinstance(row, Exception)] == []
    mains = {row["dataset"]: TASKS[row["task"]].metrics[0] for row in told}
    assert mains["GeneExp"] == "Spearman" and mains["CausalSNP"] == "AUPRC"
    assert all(np.isfinite(row[mains[row["dataset"]]]) for row in told)
    kept = sorted(path.name.rpartition("-")[0] for path in (tmp_path / "cache").iterdir())
    made_once = ["Track7878-attention", "Track7878-cnn-fc", "bpe", "mlm-bpe-rotary-0.3"]
    assert sorted(set(kept)) == made_once
    assert not list(tmp_path.rglob("*.ckpt"))


def test_classes_are_learned_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "gue" / "tf" / "0"
    folder.mkdir(parents=True)
    for part in ("train", "dev", "test"):
        rows = ["".join(rng.choice(list("ACGT"), 40)) + f",{i % 3}" for i in range(30)]
        (folder / f"{part}.csv").write_text("\n".join(["sequence,label", *rows]) + "\n")
    TASKS["GUE"].build([tmp_path / "gue"], tmp_path / "tasks")
    datasets = find_datasets(tmp_path / "tasks")
    assert list(datasets) == ["GUE/tf/0"]
    grid = [{"tasks": "GUE/*", "model": ["attention", "cnn-fc"]}]
    made = recipe(grid=grid, size={"seeds": 0})
    shared = workspace(tmp_path / "out", datasets)
    assert run_missing(plan_runs(made, "small", datasets), shared, lambda run, row: None) == 0
    made.copy_to(shared.folder)
    (board,) = RecipeTables.read(shared.folder)
    assert "published: DNABERT-2 | 0.720" in board.to_markdown()
    assert read_results(shared.folder)["MCC"].is_not_null().all()


def test_long_variants_are_read_in_pieces() -> None:
    encoder = AttentionEncoder(PatchTokenizer(4), dim=16, heads=2, layers=1)
    codes = np.random.default_rng(0).integers(0, 4, (3, 1400)).astype(np.uint8)
    vectors = windowed_vectors(encoder, codes)
    assert vectors.shape == (3, 48)
    for i in range(3):
        alone = encoder.embed(codes[:, 200 * i : 200 * i + 1000])
        np.testing.assert_allclose(vectors[:, 16 * i : 16 * (i + 1)], alone, atol=1e-6)
    short = encoder.embed(codes[:, :500])
    np.testing.assert_allclose(windowed_vectors(encoder, codes[:, :500]), short, atol=1e-6)


def test_only_the_groups_asked_for_are_measured(datasets: dict[str, TaskData]) -> None:
    data = datasets["DeepSEA919"]
    groups = ["TF ChIP-seq" if i % 2 else "DNase-seq" for i in range(len(data.outputs))]
    known = TaskData(data.path, {**data.about, "output_groups": groups})
    settings = {"bases": {}, "measured": "*TF*"}
    examples = RunData.select(known, "random", Configuration("constant"), settings, 0)
    assert examples.outputs is not None
    assert examples.outputs.tolist() == list(range(1, len(groups), 2))
    labels = np.asarray(examples.test.labels)
    told = np.random.default_rng(0).random(labels.shape).astype(np.float32)
    value = examples.measure(labels, told, examples.metrics)[0].value
    told[:, ::2] = 0
    assert examples.measure(labels, told, examples.metrics)[0].value == value
    with pytest.raises(TaskError, match="no output is of a group 'H3'"):
        RunData.select(
            known, "random", Configuration("constant"), {"bases": {}, "measured": "H3"}, 0
        )


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
    prom: dict[str, TaskData], tmp_path: Path
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


def test_an_upper_transformer_learns_the_same_from_vectors_as_from_dna(
    datasets: dict[str, TaskData], tmp_path: Path
) -> None:
    part = datasets["GeneExp"].at(np.arange(8))
    labels = part.labels[:]

    def whole() -> PieceEncoder:
        return PieceEncoder(
            CnnLstm(channels=(4,), dim=8, pool=8), dim=16, heads=2, layers=1, seed=0
        )

    how = {"target": "regression", "max_steps": 4, "batch_size": 4, "learning_rate": 0.01}
    codes = part.codes[:]
    slow = SequenceModel(whole(), **how).fit(codes, labels, where=Where("cpu"))
    encoder = whole()
    vectors = encoder.read(codes)
    fast = SequenceModel(Upper(encoder), **how).fit(vectors, labels, where=Where("cpu"))
    np.testing.assert_allclose(fast.predict(vectors), slow.predict(codes), atol=1e-4)
    assert np.ptp(fast.predict(vectors)) > 1e-3
