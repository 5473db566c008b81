"""The small simulated world taken through the commands once, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from genoglot.cli import app
from genoglot.simulate import World

Run = Callable[..., subprocess.CompletedProcess[str]]
Here = Callable[..., str]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands")


@pytest.fixture(scope="session")
def run(folder: Path) -> Run:
    """Run `genoglot` in the folder; any status but the expected one fails."""

    def run(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "genoglot", *map(str, arguments)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def here(files: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """Run `genoglot` in this process, in the folder `files` of a test's module; what it says."""
    monkeypatch.chdir(files)

    def run(*arguments: str | Path, status: int = 0) -> str:
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == status, done.output
        return done.stderr

    return run


@pytest.fixture(scope="session")
def world(world: World, folder: Path) -> Path:
    (folder / "world").symlink_to(world.path)
    return folder / "world"


@pytest.fixture(scope="session")
def atlas(run: Run, world: Path, folder: Path) -> Path:
    run(
        *("atlas", "build", "world", "--sheet", "world/sheet.csv"),
        *("--universe", "world/universe.bed", "-o", "atlas", "--genome", "simulated"),
    )
    return folder / "atlas"


@pytest.fixture(scope="session")
def split(run: Run, atlas: Path) -> str:
    done = run("atlas", "split", "atlas", "random-group", "--seed", "1")
    assert "random-group: test 14" in done.stderr
    return "random-group"


@pytest.fixture(scope="session")
def ridge(run: Run, split: str, folder: Path) -> Path:
    run("train", "ridge", "--atlas", "atlas", "--split", split, "-o", "ridge", "--set", "penalty=2")
    return folder / "ridge"


@pytest.fixture(scope="session")
def direct(run: Run, split: str, folder: Path) -> Path:
    train = ("train", "direct", "--atlas", "atlas", "--split", split, "-o", "direct")
    run(*train, "--epochs", "2", "--set", "heads=1")
    return folder / "direct"
