"""Variants in tissues: a clean split, a model for each tissue, and what remembering reaches."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genoglot.bench.baselines import BASELINES
from genoglot.bench.plan import plan_runs
from genoglot.bench.recipe import Recipe
from genoglot.bench.results import read_results
from genoglot.bench.run import run_missing
from genoglot.bench.tables import RecipeTables
from genoglot.bench.workspace import Workspace
from genoglot.evaluation import measure_predictions
from genoglot.sequence import Genome, reverse_complement
from genoglot.tasks import TASKS, TaskData
from genoglot.tasks.dataset import SUBSETS
from genoglot.tasks.splits import TaskSplit
from genoglot.tasks.writer import Batch, TaskContent, write_task

Build = Callable[[str], TaskData]


def test_by_default_no_window_of_train_overlaps_one_of_test(built: Build) -> None:
    data = built("CausalSNP")
    assert data.default_split == "variant" and TASKS["CausalSNP"].split == "random"
    places = data.examples.select("chrom", "start", subset="split:variant").rows()
    by_subset = {part: [(c, at) for c, at, p in places if p == part] for part in SUBSETS}
    assert all(len(rows) > 100 for rows in by_subset.values())
    for one, other in combinations(SUBSETS, 2):
        for chrom in ("chr1", "chr2", "chr3"):
            a, b = (np.array([at for c, at in by_subset[p] if c == chrom]) for p in (one, other))
            assert np.abs(a[:, None] - b).min() >= 1_000
    assert all(row["rate"] == 0 for row in data.leakage["variant"])
    # The published one repeats variants on both sides, and counts that.
    seen = data.leakage["random"]
    assert max(row["same"] / row["examples"] for row in seen) > 0.1


def looked_up(data: TaskData, split: str) -> float:
    """AUPRC of a variant's mean label in the other tissues of train, by hand."""
    variant = data.examples["id"].str.split(":").list.first().to_list()
    labels = data.labels[:][:, 0]
    known: dict[str, list[float]] = {}
    train = data.rows(split, "train")
    for row in train:
        known.setdefault(variant[row], []).append(float(labels[row]))
    test = data.rows(split, "test")
    mean = float(labels[train].mean())
    told = np.array([[np.mean(known.get(variant[row], [mean]))] for row in test], np.float32)
    return measure_predictions(labels[test][:, None], told, ["AUPRC"], draws=0)[0].value


def test_a_lookup_without_dna_reaches_much_on_the_published_split_only(built: Build) -> None:
    data = built("CausalSNP")
    found = {}
    for split in data.splits:
        train, validation, test = (data.subset(split, name) for name in SUBSETS)
        model = BASELINES["lookup"]("binary", 1)
        model.fit_subset(train, validation)
        told = model.predict(test.inputs)
        found[split] = measure_predictions(test.labels[:], told, ["AUPRC"], draws=0)[0].value
        assert found[split] == pytest.approx(looked_up(data, split), abs=1e-6)
        rate = float(test.labels[:].mean())
        if split == "random":
            assert found[split] > 1.5 * rate
        else:
            assert found[split] == pytest.approx(rate)


def test_a_lookup_compares_whole_sequences_and_both_alleles() -> None:
    codes = np.random.default_rng(0).integers(0, 4, (6, 33), dtype=np.uint8)
    codes[3] = codes[0]
    labels = np.array([[1, 9], [0, np.nan], [0, 3], [0, 5], [1, 1], [1, 2]], np.float32)
    model = BASELINES["lookup"]("regression", 2)
    model.fit(codes, labels, (codes, labels))
    asked = np.stack([codes[0], codes[1], reverse_complement(codes[4])])
    np.testing.assert_allclose(model.predict(asked), [[0.5, 7], [0, 4], [0.5, 4]])
    pair = codes[:3], codes[3:]  # the same alternative allele as another's reference is no match
    model = BASELINES["lookup"]("binary", 1)
    model.fit(pair, labels[:3, :1], (pair, labels[:3, :1]))
    found = model.predict((codes[[0, 2, 0]], codes[[3, 5, 4]]))
    np.testing.assert_allclose(found[:, 0], [1, 0, 1 / 3], atol=1e-6)


def opposite_tissues(out: Path, n: int = 180) -> TaskData:
    """Variants of which a G-rich one is causal in one tissue and spurious in the other one."""
    rng = np.random.default_rng(0)
    (out.parent / "source.txt").write_text("x")
    tissues = ["Liver", "Heart", "Rare"]
    rich = rng.integers(0, 2, n)
    codes = np.where(rng.random((n, 60)) < np.where(rich, 0.5, 0.05)[:, None], 2, 0)
    codes = codes.astype(np.uint8)
    changed = codes.copy()
    changed[:, 30] = 3
    # A tissue without training examples is predicted by what all of them say.
    subset = np.array(SUBSETS, object)[np.arange(n) % 3]
    which = np.where(np.arange(n) % 30 == 2, 2, np.arange(n) // 3 % 2)
    label = np.where(which == 1, 1 - rich, rich)
    examples = {
        "id": [str(i) for i in range(n)],
        "split:thirds": subset.astype(str),
        "group": [tissues[i] for i in which],
    }
    batch = Batch(codes, label[:, None].astype(np.float32), examples, changed)
    content = TaskContent(
        [out.parent / "source.txt"],
        ["causal"],
        60,
        {"thirds": TaskSplit("every third", subset)},
        [batch],
    )
    metrics = ["AUPRC", "AUROC"]
    return write_task(out, content, task="CausalSNP", target="binary", metrics=metrics)


def test_each_tissue_has_a_model_of_its_own(tmp_path: Path) -> None:
    data = opposite_tissues(tmp_path / "data")
    assert set(data.groups) == {"Liver", "Heart", "Rare"}
    size = {"seeds": 0, "models": {"cnn-fc": {"channels": [4], "dim": 8}}, "draws": 20}
    recipe = Recipe.model_validate(
        {
            "name": "x",
            "title": "X",
            "grid": [{"tasks": "CausalSNP", "model": ["kmer-linear", "cnn-fc"]}],
            "baselines": ["constant", "lookup"],
            "sizes": {"small": size},
        }
    )
    datasets = {"CausalSNP": data}
    shop = Workspace(tmp_path / "out", datasets, None)
    shop.folder.mkdir()
    runs = plan_runs(recipe, "small", datasets)
    failed: list[object] = []
    assert run_missing(runs, shop, lambda run, row: failed.append(row)) == 0, failed
    table = read_results(shop.folder)
    rows = {row["model"]: row for row in table.iter_rows(named=True)}
    assert set(rows) == {"kmer-linear", "cnn-fc", "constant", "lookup"}
    # All tissues together say nothing: which tissue it is decides.
    assert rows["kmer-linear"]["AUROC"] > 0.85 and rows["cnn-fc"]["AUROC"] > 0.75
    assert rows["constant"]["AUROC"] == 0.5
    recipe.copy_to(shop.folder)
    (board,) = RecipeTables.read(shop.folder)
    assert (
        "Training Transformers for Genetic Sequence Tasks, of split random" in board.to_markdown()
    )
    # One tissue left out: no model of it can be, and the others' is used.
    runs = plan_runs(recipe, "small", datasets, split="leave-out:Liver")
    assert run_missing(runs[:1], shop, lambda run, row: failed.append(row)) == 0
    last = read_results(shop.folder).filter(pl.col("split") == "leave-out:Liver")
    assert last["n_test"][0] == (data.examples["group"] == "Liver").sum()
    assert np.isfinite(last["AUROC"][0])


def test_published_random_subsets_are_still_those_of_each_tissue(
    sources: dict[str, list[Path]], genome: Genome, tmp_path: Path, built: Build
) -> None:
    (again,) = TASKS["CausalSNP"].build(
        sources["CausalSNP"], tmp_path / "d", genome=genome, seed=1, leakage=False
    )
    first = built("CausalSNP")
    assert again.assignment("random").tolist() != first.assignment("random").tolist()
    for data in (first, again):
        counts = data.examples.group_by("group", "split:random").len()
        for tissue in data.groups:
            mine = dict(counts.filter(group=tissue).select("split:random", "len").rows())
            assert mine["train"] / sum(mine.values()) == pytest.approx(0.7, abs=0.01)
