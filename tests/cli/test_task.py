"""`genoglot task` on the files of a simulated world, and on files that are no good."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from genoglot.cli import app
from genoglot.cli.task import Name
from genoglot.tasks import TASKS

Run = Callable[..., Any]


def test_the_command_knows_every_task() -> None:
    assert list(get_args(Name)) == list(TASKS)


@pytest.fixture(scope="session")
def task(run: Run, world: Path, folder: Path) -> Path:
    done = run(
        *("task", "build", "Methyl96", *sorted(world.glob("assays/*.bedMethyl.gz"))),
        *("--genome", "world/genome.fa", "-o", "methyl", "--set", "min_reads=30"),
    )
    assert "split chromosome: 0 of" in done.stderr
    return folder / "methyl"


def test_info_shows_sizes_labels_leakage_and_figures(run: Run, task: Path) -> None:
    shown = run("task", "info", task).stdout
    assert "leave-out:GROUP test on one of chr1, chr2, chr3" in shown
    assert "min reads" in shown and "published: Attention Spearman 0.607" in shown
    facts = json.loads(run("task", "info", task, "--json", "--check").stdout)
    subsets = facts["splits"]["chromosome"]["subsets"]
    assert sum(subset["examples"] for subset in subsets) == facts["examples"]
    assert all(0 < subset["mean"] < 1 for subset in subsets)


def test_info_names_the_splits_and_what_a_lookup_reaches(run: Run, world: Path) -> None:
    table = world / "assays" / "finemapping_DAPG.txt.gz"
    done = run("task", "build", "CausalSNP", table, "--genome", "world/genome.fa", "-o", "snps")
    assert "variants are insertions or deletions: left out" in done.stderr
    assert "split variant: 0 of" in done.stderr
    shown = " ".join(run("task", "info", "snps").stdout.split())
    assert "split variant, the default: 70/10/20 %" in shown
    assert "split random, the published one: 70/10/20 %" in shown
    source = "Training Transformers for Genetic Sequence Tasks"
    assert f"published: Attention AUPRC 0.61 ({source}, split random)" in shown
    facts = json.loads(run("task", "info", "snps", "--json").stdout)
    auroc = {split: found["lookup"]["AUROC"] for split, found in facts["splits"].items()}
    assert auroc["variant"] == auroc["chromosome"] == 0.5 < auroc["random"] - 0.1
    for split, found in facts["splits"].items():
        assert f"{found['lookup']['AUPRC']:.3f}, AUROC {auroc[split]:.3f}" in shown


@pytest.fixture(scope="session")
def gue(run: Run, folder: Path) -> str:
    """A GUE dataset of two sequences, which are the same in every subset."""
    (folder / "gue" / "tf" / "0").mkdir(parents=True)
    for name in ("train", "dev", "test"):
        text = "sequence,label\n" + "ACGTTGCATGGATCGATTACAGAT,1\nTTTTTTGGGGCCAATCGATTAGCA,0\n"
        (folder / "gue" / "tf" / "0" / f"{name}.csv").write_text(text)
    done = run("task", "build", "GUE", "gue", "-o", "gue_tasks")
    assert "2 of 2 test examples have a duplicate in train (2 the same" in done.stderr
    return "gue_tasks/tf/0"


def test_gue_folders_are_built_and_shown(run: Run, gue: str) -> None:
    shown = run("task", "info", gue).stdout
    assert "0: 1, 1: 1" in shown and "2, 0, 0 in train" in shown and "0.7199" in shown


def test_from_labeled_sequences_to_predictions(run: Run, folder: Path) -> None:
    rng = np.random.default_rng(0)
    (folder / "mine").mkdir()
    for name, n in (("train", 400), ("dev", 60), ("test", 60)):
        lines = ["sequence,label"]
        for i in range(n):
            dna = "".join(rng.choice(list("ACGT"), 40))
            at = rng.integers(0, 28)
            site = "GGGGTTTTCCAA" if i % 2 else dna[at : at + 12]
            lines.append(f"{dna[:at]}{site}{dna[at + 12 :]},{'bound' if i % 2 else 'free'}")
        (folder / "mine" / f"{name}.csv").write_text("\n".join(lines) + "\n")
    run("task", "build", "GUE", "mine", "-o", "mine_task")
    small = (
        "width=16",
        "learned=16",
        "blocks=1",
        "min_steps=1",
        "epochs=2",
        "trees=9",
        "anchored=false",
    )
    command = ("task", "train", "mine_task", "-o", "bound.model", "--device", "cpu")
    settings = [part for text in small for part in ("--set", text)]
    done = run(*command, *settings)
    assert "MCC" in done.stderr and "on the 60 sequences of the validation subset" in done.stderr
    test = pl.read_csv(folder / "mine" / "test.csv")
    fasta = "".join(f">s{i}\n{dna}\n" for i, dna in enumerate(test["sequence"]))
    (folder / "test.fa").write_text(fasta)
    run("predict", "bound.model", "test.fa", "-o", "p.parquet", "--device", "cpu")
    predicted = pl.read_parquet(folder / "p.parquet")
    assert predicted.columns == ["name", "bound", "free"]
    right = ((predicted["bound"] > 0.5) == (test["label"] == "bound")).mean()
    assert right is not None and right > 0.8


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run `genoglot` in this process, in the folder of all commands; what it refuses."""
    monkeypatch.chdir(folder)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == 2, done.output
        return done.stderr

    return run


def test_one_class_is_refused_before_anything_is_trained(
    run: Run, here: Callable[..., str], folder: Path
) -> None:
    rng = np.random.default_rng(0)
    (folder / "alike").mkdir()
    for name in ("train", "dev", "test"):
        lines = ["".join(rng.choice(list("ACGT"), 30)) + ",free" for _ in range(40)]
        (folder / "alike" / f"{name}.csv").write_text("\n".join(["sequence,label", *lines]) + "\n")
    run("task", "build", "GUE", "alike", "-o", "alike_tasks/one", "--no-leakage")
    assert here("task", "train", "alike_tasks/one", "-o", "alike_model") == (
        "genoglot: error: alike_tasks/one: all 40 training examples are of the class 'free'; "
        "a model needs examples of two classes or more\n"
    )
    assert not list(folder.glob("alike_model*"))


@pytest.mark.slow
def test_one_class_is_refused_by_every_model_of_a_bench(run: Run, folder: Path) -> None:
    rng = np.random.default_rng(0)
    (folder / "same").mkdir()
    for name in ("train", "dev", "test"):
        lines = ["".join(rng.choice(list("ACGT"), 30)) + ",free" for _ in range(40)]
        (folder / "same" / f"{name}.csv").write_text("\n".join(["sequence,label", *lines]) + "\n")
    run("task", "build", "GUE", "same", "-o", "alike_tasks/one", "--no-leakage", "--overwrite")
    done = run("bench", "run", "gue", "--data", "alike_tasks", "-o", "alike_bench", status=1)
    lines = done.stderr.splitlines()
    failed = [line for line in lines if "all 40 training examples are of the class" in line]
    assert len(failed) == len(lines) - 2 == 15
    assert not list((folder / "alike_bench").rglob("*.parquet"))


def test_values_are_no_labels(here: Callable[..., str], task: Path, gue: str) -> None:
    said = here("task", "train", "methyl", "-o", "x", "--split", "chromosome")
    assert "Methyl96" in said and "\n" not in said.strip()
    said = here("task", "train", gue, "-o", "x", "--set", "widht=3")
    assert "no setting 'widht'" in said


@pytest.mark.slow
def test_an_unfinished_training_is_resumed_or_restarted(run: Run, folder: Path) -> None:
    rng = np.random.default_rng(0)
    (folder / "begun").mkdir()
    for name in ("train", "dev", "test"):
        lines = ["".join(rng.choice(list("ACGT"), 30)) + f",{i % 2}" for i in range(60)]
        (folder / "begun" / f"{name}.csv").write_text("\n".join(["sequence,label", *lines]) + "\n")
    run("task", "build", "GUE", "begun", "-o", "begun_task", "--no-leakage")
    small = ("width=8", "learned=8", "blocks=1", "min_steps=1", "epochs=2", "trees=9")
    command = ("task", "train", "begun_task", "-o", "begun.model", "--device", "cpu")
    settings = [part for text in (*small, "anchored=false") for part in ("--set", text)]
    fasta = "".join(f">s{i}\n{''.join(rng.choice(list('ACGT'), 30))}\n" for i in range(9))
    (folder / "begun.fa").write_text(fasta)
    found = []
    for out, options in (("p", []), ("q", ["--resume"]), ("r", ["--seed", "1", "--overwrite"])):
        run(*command, *settings, *options)
        run("predict", "begun.model", "begun.fa", "-o", f"{out}.parquet", "--device", "cpu")
        found.append(pl.read_parquet(folder / f"{out}.parquet"))
        if out == "p":
            again = run(*command, *settings, status=2)
            assert "already exists; choose another name or use --overwrite" in again.stderr
            shutil.rmtree(folder / "begun.model")
            again = run(*command, *settings, status=2)
            assert "contains an unfinished training; use --resume or --overwrite" in again.stderr
    assert found[1].equals(found[0]) and not found[2].equals(found[0])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["GUE", "world", "-o", "x"], "no folder with train.csv"),
        (["PromVary", "world/genes.gtf", "-o", "x"], "give the genome as FASTA (--genome)"),
        (["MPRAProm", "world/sheet.csv", "-o", "x"], "the header has no column 'Chrom'"),
        (["MPRAProm", "none.tsv", "-o", "x"], "none.tsv: no such file"),
        (["MPRAProm", "world/sheet.csv", "-o", "x", "--set", "depth=3"], "has no option 'depth'"),
        (
            ["MPRAProm", "world/sheet.csv", "-o", "x", "--set", "min_barcodes=few"],
            "min_barcodes is 'few'; give a value such as 0",
        ),
        (
            ["MPRAProm", "world/sheet.csv", "-o", "x", "--set", "promoters_only=2"],
            "promoters_only is 2; give true or false",
        ),
        (
            [
                *("PromFix", "world/assays/promoters.bed", "-o", "x"),
                *("--genome", "world/genome.fa", "--set", "tss=start"),
            ],
            "tss is 'start'; choose one of auto, region, thick",
        ),
        (
            [
                *("PromFix", "world/assays/promoters.bed", "-o", "x"),
                *("--genome", "world/genome.fa", "--alias", "ensembl"),
            ],
            "says 'chr1' where the genome says '1'",
        ),
        (
            ["PromFix", "a.bed", "-o", "x", "--genome", "world/genome.fa", "--origin", "z=chr1"],
            "give it as RECORD=CHROM:FIRST",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    run: Run, world: Path, arguments: list[str], problem: str
) -> None:
    done = run("task", "build", *arguments, status=2)
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1 and not (world.parent / "x").exists()


def test_info_of_what_is_no_task(run: Run, world: Path) -> None:
    assert "no task data" in run("task", "info", world, status=2).stderr
