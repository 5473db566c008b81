"""What a user gets wrong: one line on standard error, status 2, and no file left behind."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from genoglot.atlas import Atlas

Run = Callable[..., Any]


def complaint(run: Run, *arguments: str | Path) -> str:
    """The one line with which `genoglot` refuses."""
    done = run(*arguments, status=2)
    (line,) = done.stderr.splitlines()
    assert line.startswith("genoglot: error: ") and done.stdout == ""
    return line.removeprefix("genoglot: error: ")


BAD = {
    "simulate world": "world: exists and is not empty",
    "atlas info nowhere": "nowhere: no atlas here",
    "atlas build world --universe world/universe.bed -o new": "give either --sheet or --encode",
    "atlas build world --sheet world/sheet.csv --universe world/genes.gtf -o new": "genes.gtf",
    "atlas build . --sheet world/sheet.csv --universe world/universe.bed -o new": "140 of 140",
    "atlas split atlas random-group --seed 9": "another split 'random-group'",
    "atlas split atlas random --within assay": "--within 'assay': give it as NAME=VALUE",
    "train ridge --atlas atlas --split nope -o new": "no split 'nope'",
    "train ridge --atlas atlas -o new --epochs 3": "ridge has no setting 'epochs'",
    "train ridge --atlas atlas -o new --set penalty=-1": "penalty: Input should be greater than 0",
    "train ridge --atlas atlas -o new --preset published": "ridge has only one preset",
    "train direct --atlas atlas -o new --set seed=3": "--set seed: use the option --seed instead",
    "train ridge --atlas atlas -o ridge": "ridge: already exists",
    "train ridge --atlas atlas -o new --set penalty=many": "penalty: Input should be a valid num",
    "generate nowhere kidney": "nowhere: no saved model here",
    "generate ridge kidney -n 5001 -o new": "between 1 and 5000",
    "generate ridge 人の肝臓": "not in Latin letters ('人の肝臓'); write it in English",
    "generate ridge kidney --decode beam": "a ridge model does not decode, only seq2regions does",
    "generate ridge kidney --genes world/genome.fa -o new": "genome.fa:1:",
}


@pytest.mark.parametrize("command", BAD)
def test_bad_input_is_reported_in_one_line(
    command: str, ridge: Path, run: Run, folder: Path
) -> None:
    before = sorted(path.name for path in folder.iterdir())
    assert BAD[command] in complaint(run, *command.split())
    assert sorted(path.name for path in folder.iterdir()) == before


def test_queries_that_are_none(ridge: Path, run: Run) -> None:
    assert "empty" in complaint(run, "generate", "ridge", "  ")
    assert "the text has 100,000 characters" in complaint(run, "generate", "ridge", 50_000 * "a ")


def test_a_query_in_another_language_is_answered_with_a_notice(ridge: Path, run: Run) -> None:
    for text, language in (
        ("chromatine ouverte dans le foie humain", "fr"),
        ("ileum jejunum duodenum colon", "la"),
    ):
        done = run("generate", "ridge", text, "-n", "3")
        assert len(done.stdout.splitlines()) == 4
        assert f"another language than English ({language}: '{text[:30]}')" in done.stderr


def test_a_query_of_unknown_words_is_answered_with_a_notice(ridge: Path, run: Run) -> None:
    done = run("generate", "ridge", "menschliche Leber", "-n", "3")
    assert len(done.stdout.splitlines()) == 4
    assert "no word is known from the training descriptions: menschliche Leber" in done.stderr


@pytest.mark.parametrize("part", ["model.safetensors", "config.json", "universe.parquet"])
def test_a_truncated_model(part: str, direct: Path, run: Run, tmp_path: Path) -> None:
    shutil.copytree(direct, tmp_path / "model")
    whole = (direct / part).read_bytes()
    (tmp_path / "model" / part).write_bytes(whole[: len(whole) // 2])
    assert part in complaint(run, "generate", tmp_path / "model", "kidney")


def test_a_truncated_checkpoint(direct: Path, run: Run, folder: Path) -> None:
    (checkpoint,) = folder.glob("direct.training/checkpoints/last.ckpt*")
    shutil.copytree(folder / "direct.training", folder / "cut.training")
    cut = folder / "cut.training" / "checkpoints" / checkpoint.name
    if cut.is_dir():
        cut = max((f for f in cut.rglob("*") if f.is_file()), key=lambda f: f.stat().st_size)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    train = ("train", "direct", "--atlas", "atlas", "--split", "random-group", "-o", "cut")
    message = complaint(run, *train, "--epochs", "3", "--set", "heads=1", "--resume")
    assert "cut.training" in message and not (folder / "cut").exists()


def test_a_model_of_another_universe(ridge: Path, toy_atlas: Atlas, run: Run, folder: Path) -> None:
    done = complaint(run, "evaluate", "ridge", "--atlas", toy_atlas.path, "--no-baselines")
    assert "universe" in done


@pytest.mark.parametrize("command", ["", "train wat --atlas a -o b", "generate only", "nonsense"])
def test_wrong_usage_is_explained(command: str, run: Run) -> None:
    done = run(*command.split(), status=2)
    assert "Usage: genoglot" in done.stdout + done.stderr


def test_debug_shows_the_traceback(run: Run) -> None:
    done = run("--debug", "atlas", "info", "nowhere", status=2)
    assert "Traceback" in done.stderr and "AtlasError" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("genoglot: error: nowhere: no atlas here")


def test_a_broken_file_is_left_out_and_listed(world: Path, run: Run, folder: Path) -> None:
    beds = folder / "beds"
    beds.mkdir()
    good, broken = pl.read_csv(world / "sheet.csv")["file"].head(2)
    (beds / "good.bed.gz").write_bytes((world / good).read_bytes())
    (beds / "broken.bed.gz").write_bytes((world / broken).read_bytes()[:500])
    lines = gzip.decompress((world / broken).read_bytes()).decode().splitlines()
    (beds / "line.bed").write_text("\n".join([lines[0], "chr1\t9\tnine", *lines[1:]]))
    names = ["good.bed.gz", "broken.bed.gz", "line.bed"]
    sheet = pl.DataFrame({"file": names, "description": ["one", "two", "three"]})
    sheet.write_csv(folder / "three.csv")
    build = ("atlas", "build", beds, "--sheet", "three.csv", "--universe", "world/universe.bed")
    done = run(*build, "-o", "some", status=2)
    assert "skipped broken.bed.gz: " in done.stderr and "line.bed:2: " in done.stderr
    assert "2 of 3 files were skipped" in done.stderr
    assert '"n_sets": 1,' in run("atlas", "info", "some", "--json").stdout

    done = run(*build, "-o", "some", "--on-error", "skip", "--overwrite", status=2)
    assert "1 of 3 files were skipped" in done.stderr
    assert '"n_sets": 2,' in run("atlas", "info", "some", "--json").stdout


def test_an_unfinished_training_is_not_lost(atlas: Path, run: Run, folder: Path) -> None:
    (folder / "long.training" / "checkpoints" / "last.ckpt").mkdir(parents=True)
    message = complaint(run, "train", "direct", "--atlas", "atlas", "-o", "long")
    assert "contains an unfinished training; use --resume or --overwrite" in message


def test_a_missing_gpu_is_reported(atlas: Path, run: Run, folder: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    train = ("train", "direct", "--atlas", "atlas", "-o", "gpu")
    for command in (train, ("evaluate", "gpu", "--atlas", "atlas"), ("generate", "gpu", "kidney")):
        assert "no CUDA device" in complaint(run, *command, "--device", "cuda")
    assert not (folder / "gpu.training").exists()
