"""Two processes that run the same benchmark in the same folder at the same time."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from genoglot.bench.results import read_results
from genoglot.tasks import TASKS

RECIPE = """
title: Many short runs
grid:
  - {tasks: "GUE/*", model: kmer-linear}
baselines: constant
sizes:
  small:
    seeds: SEEDS
    models: {kmer-linear: {k: 1}}
    draws: 1
""".replace("SEEDS", str(list(range(25))))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a recipe of 50 runs, and the data of its task."""
    rng = np.random.default_rng(0)
    (tmp_path / "csv").mkdir()
    for name in ("train", "dev", "test"):
        rows = ["".join(rng.choice(list("ACGT"), 20)) + f",{i % 2}" for i in range(20)]
        (tmp_path / "csv" / f"{name}.csv").write_text("\n".join(["sequence,label", *rows]) + "\n")
    TASKS["GUE"].build([tmp_path / "csv"], tmp_path / "data" / "ours", leakage=False)
    (tmp_path / "many.yaml").write_text(RECIPE)
    return tmp_path


def test_no_result_is_lost_and_no_run_is_done_twice(folder: Path) -> None:
    command = [sys.executable, "-m", "genoglot", "bench", "run", "many.yaml", "--data", "data"]
    command += ["--size", "small", "--device", "cpu", "-o", "out"]
    processes = [
        subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    done = [
        line.partition(" ")[2] for text in errors for line in text.splitlines() if "seed" in line
    ]
    done = re.findall(r"\d+/\d+ (GUE/.*): MCC", "\n".join(errors))
    assert len(done) == len(set(done)) == 50
    results = read_results(folder / "out")
    assert len(results) == 50 == results["key"].n_unique()
    assert results["MCC"].is_not_null().all()
    assert results["model"].to_list() == ["kmer-linear"] * 25 + ["constant"] * 25
    assert results["seed"].to_list() == [*range(25)] * 2
    assert not list(folder.glob("out/runs/*.lock"))
