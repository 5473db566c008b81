"""`genoglot bench`: killed and resumed, refused, shown."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from genoglot.bench.results import read_results
from genoglot.cli import app
from genoglot.training.checkpoints import SafeCheckpointIO

Run = Callable[..., Any]
Here = Callable[..., Result]

RECIPE = """
title: Tiny
grid:
  - {tasks: PromVary, model: [cnn-lstm, cnn-fc]}
sizes:
  small:
    seeds: [0, 1]
    models: {cnn-fc: {channels: [4, 4], dim: 8}, cnn-lstm: {channels: [4, 4], dim: 8}}
    training: {epochs: 4, batch_size: 4}
    bases: {train: 50_000}
    draws: 20
"""


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def start(bench: Path, unmeasured: dict[str, str]) -> Callable[..., subprocess.Popen[str]]:
    """Start the command in a process of its own."""

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "genoglot", *arguments]
        return subprocess.Popen(
            command, cwd=bench, stderr=subprocess.PIPE, text=True, env=unmeasured
        )

    return start


@pytest.fixture(scope="session")
def whole(bench: Path, start: Callable[..., subprocess.Popen[str]]) -> pl.DataFrame:
    """Results of a bench that was never interrupted."""
    process = start(*WHAT, "-o", "whole")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "tiny: 8 runs, 0 done" in errors
    assert "8/8 PromVary (random): kmer-linear, seed 1: AUROC" in errors
    return read_results(bench / "whole").drop("seconds")


def until(process: subprocess.Popen[str], folder: Path, pattern: str) -> Path:
    """Wait for a file that a running process writes."""
    while not (found := list(folder.glob(pattern))):
        assert process.poll() is None, process.communicate()[1]
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    return found[0]


@pytest.mark.slow
def test_a_killed_bench_goes_on_to_the_same_table(
    here: Here, bench: Path, start: Callable[..., subprocess.Popen[str]], whole: pl.DataFrame
) -> None:
    process = start(*WHAT, "-o", "killed")
    until(process, bench, "killed/results/tiny/*.parquet")
    pattern = "killed/runs/*/checkpoints/last.ckpt/state.json"
    until(process, bench, pattern)
    while True:  # until it is stopped between a checkpoint and the end of that run
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        found = list(bench.glob(pattern))
        if found and not list(bench.glob(f"killed/results/*/*-{found[0].parts[-4]}.parquet")):
            break
        process.send_signal(signal.SIGCONT)
        until(process, bench, pattern)
    checkpoint = found[0].parent
    step = SafeCheckpointIO().load_checkpoint(checkpoint)["global_step"]
    process.kill()
    process.communicate()
    before = len(read_results(bench / "killed"))
    assert 0 < before < 8
    shown = here(
        *("bench", "list", "tiny.yaml", "--data", "data", "-o", "killed", "--size", "small")
    ).stdout.splitlines()
    assert [line.startswith("done\t") for line in shown] == [i < before for i in range(8)]
    done = here(*WHAT, "-o", "killed")
    assert f"tiny: 8 runs, {before} done" in done.stderr
    assert done.stderr.count("was interrupted, and goes on from its checkpoint") == 1
    assert f"{checkpoint.parents[1].relative_to(bench)}: resuming at step {step} of" in done.stderr
    table = read_results(bench / "killed")
    assert table.drop("seconds").equals(whole)
    assert table["seconds"].null_count() == 1  # those before the kill are not known
    assert not list(bench.glob("*/runs/**/checkpoints")) and not list(bench.glob("*/runs/*.lock"))
    text = here("bench", "table", "killed", "--format", "markdown").stdout
    assert "### PromVary" in text and "| published: CNN+FC |" in text
    assert here("bench", "table", "killed", "--format", "csv").stdout.startswith("recipe,size,")
    assert "kmer-linear" in here("bench", "table", "killed").stdout


@pytest.mark.slow
def test_several_processes_share_the_runs_of_a_bench(
    bench: Path, start: Callable[..., subprocess.Popen[str]], whole: pl.DataFrame
) -> None:
    processes = [start(*WHAT, "-o", "shared") for _ in range(2)]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    done = [run for text in errors for run in re.findall(r"\d/\d (PromVary .*): AUROC", text)]
    assert len(done) == len(set(done)) == 8  # none was lost, none was done twice
    assert read_results(bench / "shared").drop("seconds").equals(whole)


@pytest.mark.slow
def test_a_run_that_another_process_is_doing_is_left_to_it(
    here: Here, bench: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    one = (*WHAT, "-o", "twice", "--only", "model=cnn-lstm", "--only", "seed=0")
    process = start(*one)
    until(process, bench, "twice/runs/*.lock")
    process.send_signal(signal.SIGSTOP)
    done = here(*one)
    assert "PromVary (random): cnn-lstm, seed 0: another process is doing this run" in done.stderr
    assert not len(read_results(bench / "twice"))
    process.send_signal(signal.SIGCONT)
    assert process.wait() == 0
    assert len(read_results(bench / "twice")) == 1


@pytest.mark.slow
def test_a_bench_that_is_asked_to_stop_goes_on(
    here: Here, bench: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start(*WHAT, "-o", "stopped")
    until(process, bench, "stopped/runs/*/checkpoints/last.ckpt")
    process.terminate()
    lines = process.communicate()[1].splitlines()
    assert lines[-1] == "genoglot: stopped by SIGTERM; continue with the same command"
    assert process.returncode == 143
    assert "goes on from its checkpoint" in here(*WHAT, "-o", "stopped").stderr


def test_a_run_without_checkpoint_is_done_again(here: Here, bench: Path) -> None:
    one = (*WHAT, "-o", "interrupted", "--only", "model=constant", "--only", "seed=0")
    here(*one)
    (file,) = bench.glob("interrupted/results/tiny/*.parquet")
    file.unlink()
    (bench / "interrupted" / "runs").mkdir(exist_ok=True)
    (bench / "interrupted" / "runs" / f"{file.stem[-16:]}.lock").touch()  # as after a kill
    assert "constant, seed 0: was interrupted, and is done again" in here(*one).stderr
    assert file.exists()


def test_what_there_is(run: Run) -> None:
    shown = run("bench", "list").stdout
    assert "positions\tSchemes of positions (table 1)" in shown and "PromFix\t" in shown
    assert "genebert-lambda\tWeight of the matching loss in GeneBERT" in shown


def test_a_failed_run_is_reported(here: Here, bench: Path) -> None:
    text = RECIPE.replace("model: [cnn-lstm, cnn-fc]", "model: cnn-fc, frozen: true")
    text = text.replace("batch_size: 4", "batch_size: 4, shift: 1")  # not of a frozen encoder
    (bench / "shift.yaml").write_text(text.replace("[0, 1]", "0"))
    what = ("bench", "run", "shift.yaml", "--data", "data", "-o", "shift", "--size", "small")
    done = here(*what, status=1)
    assert "1/3 PromVary (random): cnn-fc, frozen, seed 0: failed: a frozen" in done.stderr
    assert "1 of 3 runs failed" in done.stderr
    assert len(read_results(bench / "shift")) == 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["run", "tiny.yaml", "--data", "nowhere", "-o", "x"], "no task data in this folder"),
        (
            ["run", "tiny.yaml", "--data", "data", "-o", "x"],
            "has no size 'published' (it has: small)",
        ),
        (["run", "best", "--data", "data", "-o", "x"], "give a YAML file or one of baselines"),
        (["run", "none.yaml", "--data", "data", "-o", "x"], "none.yaml: cannot be read"),
        (["run", "bad.yaml", "--data", "data", "-o", "x"], "bad.yaml: no key 'titel'"),
        (["run", "bert.yaml", "--data", "data", "-o", "x"], "no model 'bert' (there are: "),
        (["run", "mask-rate", "--data", "data", "-o", "x"], "give it as FASTA (--genome)"),
        ([*WHAT[1:], "-o", "x", "--only", "modle=x"], "runs have no 'modle'"),
        ([*WHAT[1:], "-o", "x", "--only", "model=x"], "no run matches --only"),
        (["list", "tiny.yaml"], "--data is missing"),
        (["table", "data"], "no results in this folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    here: Here, bench: Path, arguments: list[str], problem: str
) -> None:
    (bench / "bad.yaml").write_text(RECIPE.replace("title", "titel"))
    (bench / "bert.yaml").write_text(
        RECIPE.replace("[cnn-lstm, cnn-fc]", "bert").replace("small:", "published:")
    )
    done = here("bench", *arguments, status=2)
    lines = [line for line in done.stderr.splitlines() if "left out" not in line]
    assert problem in done.stderr and len(lines) == 1
    assert not (bench / "x").exists()
