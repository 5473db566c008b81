"""Commands that a signal asks to stop: a line, a status, nothing half-written, work on disk."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

Run = Callable[..., Any]

TINY = ("width=8", "learned=8", "blocks=1", "min_steps=1", "epochs=4", "trees=9", "anchored=false")


@pytest.fixture(scope="session")
def inputs(world: Path, atlas: Path, folder: Path) -> Path:
    """Folder with work of some size for each command, beside the world and its atlas."""
    rng = np.random.default_rng(0)
    letters = "".join(rng.choice(list("ACGT"), 50_000))
    (folder / "random.fa").write_text(f">chr1\n{letters}\n")
    (folder / "labeled").mkdir()
    for name, n in (("train", 400), ("dev", 40), ("test", 40)):
        rows = [f"{letters[i : i + 30]},{i % 2}" for i in range(n)]
        (folder / "labeled" / f"{name}.csv").write_text("\n".join(["sequence,label", *rows]) + "\n")
    sheet = pl.read_csv(world / "sheet.csv")
    (folder / "many").mkdir()
    sheets = []
    for i in range(40):
        sheets.append(sheet.with_columns(pl.col("file").str.replace("files", str(i))))
        shutil.copytree(world / "files", folder / "many" / str(i))
    pl.concat(sheets).write_csv(folder / "many" / "sheet.csv")
    return folder


LONG = {
    "pretrain": (
        *("pretrain", "mlm", "random.fa", "-o", "enc", "--preset", "small"),
        *(
            "--set",
            "checkpoint_every=5",
            "--max-steps",
            "200",
            "--set",
            "window=64",
            "--set",
            "batch_size=8",
            "--device",
            "cpu",
        ),
    ),
    "task train": (
        *("task", "train", "labeled.task", "-o", "bound", "--device", "cpu"),
        *(part for text in TINY for part in ("--set", text)),
    ),
    "train": (
        *("train", "direct", "--preset", "published", "--epochs", "30", "--atlas", "atlas"),
        *("-o", "direct2", "--device", "cpu"),
    ),
    "simulate": ("simulate", "world2", "--size", "medium"),
    "atlas build": (
        *("atlas", "build", "many", "--sheet", "many/sheet.csv"),
        *("--universe", "world/universe.bed", "-o", "atlas2"),
    ),
}
BEGUN = {
    "pretrain": "enc.training/checkpoints/last.ckpt",
    "task train": "bound.training/0-motifs/checkpoints/last.ckpt",
    "train": "direct2.training/checkpoints/last.ckpt",
    "simulate": ".world2.*/world2/*",
    "atlas build": ".atlas2.*/atlas2/tokens.parquet",
}
OUT = {"pretrain": "enc", "task train": "bound", "train": "direct2"}
SIGNALS = ("SIGTERM", "SIGHUP", "SIGINT")


def stopped(
    folder: Path, begun: str, name: str, command: tuple[str, ...], env: dict[str, str]
) -> list[str]:
    """Start a command, send it a signal when a file is there, and return what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "genoglot", *command],
        cwd=folder, stderr=subprocess.PIPE, text=True, env=env,
    )  # fmt: skip
    while not list(folder.glob(begun)):
        assert process.poll() is None, process.communicate()[1]
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    number = getattr(signal, name)
    process.send_signal(number)
    lines = process.communicate()[1].splitlines()
    assert process.returncode == 128 + number, lines
    return lines


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("pretrain", "SIGTERM"),
        pytest.param("task train", "SIGHUP", marks=pytest.mark.slow),
        pytest.param("train", "SIGINT", marks=pytest.mark.slow),
    ],
)
def test_a_stopped_training_is_resumed(
    inputs: Path, run: Run, what: str, name: str, unmeasured: dict[str, str]
) -> None:
    if what == "task train":
        run("task", "build", "GUE", "labeled", "-o", "labeled.task", "--no-leakage")
    lines = stopped(inputs, BEGUN[what], name, LONG[what], unmeasured)
    assert lines == [f"genoglot: stopped by {name}; continue with --resume"]
    out = inputs / OUT[what]
    assert not out.exists() and not list(inputs.glob(f".{out.name}*"))
    done = run(*LONG[what], "--resume")
    steps = [tuple(map(int, found)) for found in re.findall(r"at step (\d+) of (\d+)", done.stderr)]
    assert 0 < steps[-1][0] < steps[-1][1]
    assert out.exists()


@pytest.mark.parametrize("what", ["simulate", "atlas build"])
@pytest.mark.parametrize("name", SIGNALS)
def test_what_is_stopped_leaves_nothing_behind(
    inputs: Path, what: str, name: str, unmeasured: dict[str, str]
) -> None:
    before = sorted(inputs.iterdir())
    lines = stopped(inputs, BEGUN[what], name, LONG[what], unmeasured)
    assert lines == [f"genoglot: stopped by {name}"]
    assert sorted(inputs.iterdir()) == before


@pytest.mark.slow
def test_a_stopped_library_goes_on(inputs: Path, run: Run, unmeasured: dict[str, str]) -> None:
    run(*LONG["atlas build"])
    add = ("library", "add", "lib", "--atlas", "atlas2")
    lines = stopped(inputs, "lib/sets.lance/data/*", "SIGTERM", add, unmeasured)
    assert lines == ["genoglot: stopped by SIGTERM; continue with --existing skip"]
    run(*add, "--existing", "skip")
    assert "5,600" in run("library", "info", "lib").stdout


@pytest.mark.slow
def test_under_nohup_a_hangup_changes_nothing(inputs: Path, unmeasured: dict[str, str]) -> None:
    command = ["hup" if word == "enc" else word for word in LONG["pretrain"]]
    process = subprocess.Popen(
        ["nohup", sys.executable, "-m", "genoglot", *command],
        cwd=inputs, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, env=unmeasured,
    )  # fmt: skip
    while not (inputs / "hup.training/checkpoints/last.ckpt").exists():
        assert process.poll() is None, process.communicate()[1]
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    process.send_signal(signal.SIGHUP)
    errors = process.communicate()[1]
    assert process.returncode == 0, errors
    assert (inputs / "hup").exists() and "stopped" not in errors
