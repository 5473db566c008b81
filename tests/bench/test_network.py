"""DNA encoders in a benchmark: every kind of task and of pre-training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genoglot.bench.network import NetworkModel, windowed_vectors
from genoglot.bench.plan import Run, find_datasets, plan_runs
from genoglot.bench.recipe import Recipe
from genoglot.bench.results import read_results
from genoglot.bench.run import run_missing
from genoglot.bench.run_data import RunData
from genoglot.bench.tables import RecipeTables
from genoglot.bench.workspace import Workspace
from genoglot.errors import TaskError
from genoglot.models.dna.attention import AttentionEncoder
from genoglot.models.dna.cnn import CnnLstm
from genoglot.models.dna.kmer_bert import KmerBert
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.models.dna.windowed import UpperTransformer, WindowedEncoder
from genoglot.sequence import Genome, PatchTokenizer
from genoglot.tasks import TASKS, TaskData

MakeRecipe = Callable[..., Recipe]
MakeWorkspace = Callable[..., Workspace]


def test_every_kind_of_task_and_of_pretraining(
    datasets: dict[str, TaskData], tmp_path: Path, recipe: MakeRecipe, workspace: MakeWorkspace
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


def test_classes_are_learned_too(
    tmp_path: Path, recipe: MakeRecipe, workspace: MakeWorkspace
) -> None:
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


def test_long_variants_are_read_in_windows() -> None:
    encoder = AttentionEncoder(PatchTokenizer(4), dim=16, heads=2, layers=1)
    codes = np.random.default_rng(0).integers(0, 4, (3, 1400)).astype(np.uint8)
    vectors = windowed_vectors(encoder, codes)
    assert vectors.shape == (3, 48)
    for i in range(3):
        alone = encoder.embed(codes[:, 200 * i : 200 * i + 1000])
        np.testing.assert_allclose(vectors[:, 16 * i : 16 * (i + 1)], alone, atol=1e-6)
    short = encoder.embed(codes[:, :500])
    np.testing.assert_allclose(windowed_vectors(encoder, codes[:, :500]), short, atol=1e-6)


def test_an_upper_transformer_learns_the_same_from_vectors_as_from_dna(
    datasets: dict[str, TaskData], tmp_path: Path
) -> None:
    part = datasets["GeneExp"].take(np.arange(8))
    labels = part.labels[:]

    def whole() -> WindowedEncoder:
        return WindowedEncoder(
            CnnLstm(channels=(4,), dim=8, pool=8), dim=16, heads=2, layers=1, seed=0
        )

    how = {"target": "regression", "max_steps": 4, "batch_size": 4, "learning_rate": 0.01}
    codes = part.codes[:]
    slow = SequenceModel(whole(), **how).fit(codes, labels, device="cpu")
    encoder = whole()
    vectors = encoder.window_vectors(codes)
    fast = SequenceModel(UpperTransformer(encoder), **how).fit(vectors, labels, device="cpu")
    np.testing.assert_allclose(fast.predict(vectors), slow.predict(codes), atol=1e-4)
    assert np.ptp(fast.predict(vectors)) > 1e-3


def test_an_encoder_of_a_folder_fine_tuned_and_frozen_side_by_side(
    prom: dict[str, TaskData], tmp_path: Path, recipe: MakeRecipe, workspace: MakeWorkspace
) -> None:
    saved = AttentionEncoder(PatchTokenizer(4), dim=16, heads=2, layers=1, max_length=500, seed=7)
    saved.save_pretrained(tmp_path / "mine")
    grid = [
        {
            "tasks": "PromVary", "model": "attention", "frozen": [False, True],
            "tokenizer": ["patch", "kmer"], "pretrained": ["none", str(tmp_path / "mine")],
        }
    ]  # fmt: skip
    made = recipe(grid=grid, baselines=[], size={"seeds": 0})
    runs = plan_runs(made, "small", prom)
    # The folder has a tokenizer of its own, so that it is there once for all tokenizers.
    assert len(runs) == len({run.key for run in runs}) == 6
    own = [run for run in runs if run.configuration.pretrained == str(tmp_path / "mine")]
    assert [run.configuration.frozen for run in own] == [False, True]
    assert [str(run).rpartition(", seed")[0].rpartition(", ")[2] for run in own] == [
        "fine-tuned", "frozen",
    ]  # fmt: skip
    shared = workspace(tmp_path / "out", prom)
    for run in own:
        settings = json.loads(run.settings)
        data = RunData.select(prom["PromVary"], run.split, run.configuration, settings, run.seed)
        model = NetworkModel(data, shared)
        model.fit(tmp_path / str(run.configuration.frozen))
        same = [
            bool((old == new).all())
            for old, new in zip(saved.parameters(), model.encoder.parameters(), strict=True)
        ]
        assert all(same) == run.configuration.frozen
    assert run_missing(own, shared, lambda run, row: None) == 0
    made.copy_to(shared.folder)
    (board,) = RecipeTables.read(shared.folder)
    assert "| model | frozen |" in board.to_markdown()
    assert "| attention | no |" in board.to_markdown()
    assert "| attention | yes |" in board.to_markdown()
    # Another encoder in the same folder is another run.
    AttentionEncoder(PatchTokenizer(4), dim=16, heads=2, layers=1, seed=8).save_pretrained(
        tmp_path / "mine", overwrite=True
    )
    assert not {run.key for run in own} & {run.key for run in plan_runs(made, "small", prom)}


def test_the_setting_frozen_of_a_recipe_is_of_the_task_and_not_of_pretraining(
    datasets: dict[str, TaskData], tmp_path: Path, recipe: MakeRecipe, workspace: MakeWorkspace
) -> None:
    grid = [{"tasks": "Methyl96", "model": "cnn-fc", "pretrained": "Track7878"}]
    size = {"seeds": 0, "training": {"max_steps": 2, "batch_size": 8, "frozen": True}}
    (run,) = plan_runs(recipe(grid=grid, baselines=[], size=size), "small", datasets)
    data = RunData.select(
        datasets["Methyl96"], run.split, run.configuration, json.loads(run.settings), 0
    )
    model = NetworkModel(data, workspace(tmp_path, datasets))
    new = model.new(datasets["Track7878"].length, 0)
    trained = [parameter.clone() for parameter in model.encoder.parameters()]
    assert not all(bool((a == b).all()) for a, b in zip(trained, new.parameters(), strict=True))
    model.fit(tmp_path / "log")
    assert all(
        bool((a == b).all()) for a, b in zip(trained, model.encoder.parameters(), strict=True)
    )


@pytest.mark.parametrize("frozen", [[True, False], True, False])
def test_variants_have_no_frozen(
    datasets: dict[str, TaskData], recipe: MakeRecipe, frozen: list[bool] | bool
) -> None:
    grid = [{"tasks": ["PromVary", "CausalSNP"], "model": "cnn-lstm", "frozen": frozen}]
    with pytest.raises(TaskError, match=r"CausalSNP: cnn-lstm.*: encoders are never trained on"):
        plan_runs(recipe(grid=grid), "small", datasets)
    grid[0]["tasks"] = "PromVary"
    assert plan_runs(recipe(grid=grid), "small", datasets)


def test_pretrained_encoders_that_read_shorter_sequences_are_refused_before_any_run(
    datasets: dict[str, TaskData], tmp_path: Path, recipe: MakeRecipe
) -> None:
    saved = KmerBert.from_size("tiny", max_length=300)
    saved.save_pretrained(tmp_path / "short")
    small = {"dim": 16, "heads": 2, "layers": 1, "feed_forward": 16}

    def plan(task: str, pretrained: str, model: str = "kmer-bert", **settings: int) -> list[Run]:
        grid = [{"tasks": task, "model": model, "pretrained": pretrained}]
        size = {"models": {"kmer-bert": small | settings}}
        return plan_runs(recipe(grid=grid, baselines=[], size=size), "small", datasets)

    with pytest.raises(TaskError, match=r"short: .* 500 bp, but this model reads up to 303 bp"):
        plan("PromVary", str(tmp_path / "short"))
    with pytest.raises(TaskError, match=r"1,000 bp, but .* up to 515 bp.* larger max_length"):
        plan("Track7878", "PromVary")
    assert plan("Track7878", "PromVary", max_length=1000)
    assert plan("PromVary", "Track7878") and plan("GeneExp", "Track7878")
    with pytest.raises(TaskError, match=r"Track7878: cnn-fc, PromVary: .* reads up to 500 bp"):
        plan("Track7878", "PromVary", "cnn-fc")


def test_folders_that_hold_no_such_encoder_are_refused(
    prom: dict[str, TaskData], tmp_path: Path, recipe: MakeRecipe
) -> None:
    def plan(model: str, folder: Path, **more: Any) -> None:
        grid = [{"tasks": "PromVary", "model": model, "pretrained": str(folder), **more}]
        plan_runs(recipe(grid=grid, baselines=[]), "small", prom)

    saved = AttentionEncoder(PatchTokenizer(4), dim=16, heads=2, layers=1)
    saved.save_pretrained(tmp_path / "mine")
    with pytest.raises(TaskError, match="mine: is attention, not cnn-fc; set model to attention"):
        plan("cnn-fc", tmp_path / "mine")
    with pytest.raises(TaskError, match="no saved model here"):
        plan("attention", tmp_path)
    with pytest.raises(
        TaskError, match=r"no data of .*gone to pre-train on, and no folder of that"
    ):
        plan("attention", tmp_path / "gone")
    with pytest.raises(TaskError, match="kmer-linear has no frozen"):
        plan_runs(
            recipe(grid=[{"tasks": "PromVary", "model": "kmer-linear", "frozen": True}]),
            "small", prom,
        )  # fmt: skip
    # That of a whole model is read, too.
    codes = np.random.default_rng(0).integers(0, 4, (8, 500)).astype(np.uint8)
    labels = np.array([0, 1] * 4, np.float32)
    SequenceModel(saved, max_steps=1).fit(codes, labels, device="cpu").save_pretrained(
        tmp_path / "model"
    )
    plan("attention", tmp_path / "model")
