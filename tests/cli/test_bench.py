"""`genoglot bench`: killed and resumed, refused, shown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from genoglot.cli import app

Run = Callable[..., subprocess.CompletedProcess[str]]
Here = Callable[..., Result]

RECIPE = """
title: Tiny
grid:
  - {tasks: PromVary, model: [cnn-lstm, cnn-fc]}
sizes:
  small:
    seeds: [0, 1]
    models: {cnn-fc: {channels: [4, 4], dim: 8}, cnn-lstm: {channels: [4, 4], dim: 8}}
    training: {epochs: 3, batch_size: 16}
    bases: {train: 50_000}
    draws: 20
"""


@pytest.fixture(scope="module")
def bench(run: Run, world: Path, folder: Path) -> Path:
    (folder / "tiny.yaml").write_text(RECIPE)
    run(
        *("task", "build", "PromVary", "world/assays/promoters.bed", "--no-leakage"),
        *("--genome", "world/genome.fa", "-o", "data/PromVary"),
    )
    return folder


@pytest.fixture
def here(bench: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """Run the command in this process, which has imported all it needs."""
    monkeypatch.chdir(bench)

    def run(*arguments: str | Path, status: int = 0) -> Result:
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == status, done.output
        return done

    return run


WHAT = ("bench", "run", "tiny.yaml", "--data", "data", "--size", "small", "--device", "cpu")


def test_a_killed_bench_goes_on_to_the_same_table(here: Here, bench: Path) -> None:
    done = here(*WHAT, "-o", "whole")
    assert "tiny: 8 runs, 0 done" in done.stderr
    assert "8/8 PromVary (random): kmer-linear, seed 1: AUROC" in done.stderr
    results = bench / "killed" / "results.parquet"
    process = subprocess.Popen(
        [sys.executable, "-m", "genoglot", *WHAT, "-o", "killed"],
        cwd=bench, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not results.exists() and process.poll() is None and time.monotonic() < deadline:
        os.sched_yield()
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = len(pl.read_parquet(results))
    assert 0 < before < 8
    shown = here(
        *("bench", "list", "tiny.yaml", "--data", "data", "-o", "killed", "--size", "small")
    ).stdout.splitlines()
    assert [line.startswith("done\t") for line in shown] == [i < before for i in range(8)]
    done = here(*WHAT, "-o", "killed")
    assert f"tiny: 8 runs, {before} done" in done.stderr
    tables = [pl.read_parquet(bench / out / "results.parquet") for out in ("whole", "killed")]
    assert tables[0].drop("seconds").equals(tables[1].drop("seconds"))
    text = here("bench", "table", "killed", "--format", "markdown").stdout
    assert "### PromVary" in text and "| published: CNN+FC |" in text
    assert here("bench", "table", "killed", "--format", "csv").stdout.startswith("recipe,size,")
    assert "kmer-linear" in here("bench", "table", "killed").stdout


def test_what_there_is(run: Run) -> None:
    shown = run("bench", "list").stdout
    assert "positions\tSchemes of positions (table 1)" in shown and "PromFix\t" in shown


def test_a_failed_run_is_told_of(here: Here, bench: Path) -> None:
    text = RECIPE.replace("model: [cnn-lstm, cnn-fc]", "model: attention, positions: absolute")
    text = text.replace("cnn-fc: {channels: [4, 4], dim: 8}", "attention: {dim: 8, max_length: 9}")
    (bench / "long.yaml").write_text(text.replace("dim: 8,", "dim: 16,").replace("[0, 1]", "0"))
    what = ("bench", "run", "long.yaml", "--data", "data", "-o", "long", "--size", "small")
    done = here(*what, status=1)
    assert "1/3 PromVary (random): attention, patch, absolute, seed 0: failed: a seq" in done.stderr
    assert "1 of 3 runs failed" in done.stderr
    assert len(pl.read_parquet(bench / "long" / "results.parquet")) == 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["run", "tiny.yaml", "--data", "nowhere", "-o", "x"], "no task data in this folder"),
        (["run", "tiny.yaml", "--data", "data", "-o", "x"], "has no size 'seed' (it has: small)"),
        (["run", "best", "--data", "data", "-o", "x"], "give a YAML file or one of baselines"),
        (["run", "none.yaml", "--data", "data", "-o", "x"], "none.yaml: cannot be read"),
        (["run", "bad.yaml", "--data", "data", "-o", "x"], "bad.yaml: no key 'titel'"),
        (["run", "bert.yaml", "--data", "data", "-o", "x"], "no model 'bert' (there are: "),
        (["run", "mask-rate", "--data", "data", "-o", "x"], "give it as FASTA (--genome)"),
        ([*WHAT[1:], "-o", "x", "--only", "modle=x"], "runs have no 'modle'"),
        ([*WHAT[1:], "-o", "x", "--only", "model=x"], "no run is left by --only"),
        (["list", "tiny.yaml"], "--data is missing"),
        (["table", "data"], "no results there"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    here: Here, bench: Path, arguments: list[str], problem: str
) -> None:
    (bench / "bad.yaml").write_text(RECIPE.replace("title", "titel"))
    (bench / "bert.yaml").write_text(
        RECIPE.replace("[cnn-lstm, cnn-fc]", "bert").replace("small:", "seed:")
    )
    done = here("bench", *arguments, status=2)
    lines = [line for line in done.stderr.splitlines() if "left out" not in line]
    assert problem in done.stderr and len(lines) == 1
    assert not (bench / "x").exists()
