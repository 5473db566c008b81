"""The small simulated world taken through the commands once."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from genoglot.cli import app
from genoglot.simulate import World

Run = Callable[..., Any]
Here = Callable[..., str]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands")


@pytest.fixture(scope="session")
def run(folder: Path) -> Run:
    """Run `genoglot` in this process, in the folder; any status but the expected one fails."""
    return partial(invoke, folder)


@pytest.fixture(scope="session")
def run_in() -> Run:
    """Run `genoglot` in this process, in the folder that is the first argument."""
    return invoke


@pytest.fixture(scope="session")
def process(folder: Path) -> Run:
    """Run `genoglot` as a user does: in a process of its own, which takes two seconds to start."""

    def run(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "genoglot", *map(str, arguments)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stderr}"
        return done

    return run


def invoke(folder: Path, *arguments: str | Path, status: int = 0) -> Result:
    """Run `genoglot` in this process and in a folder; afterwards the log is what it was."""
    logger = logging.getLogger("genoglot")
    before = logger.handlers[:], logger.level, logger.propagate
    try:
        with chdir(folder):
            done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    finally:
        logger.handlers[:], logger.level, logger.propagate = before
    assert done.exit_code == status, f"{arguments}: {done.exit_code}\n{done.output}"
    return done


@pytest.fixture
def here(files: Path) -> Here:
    """Run `genoglot` in this process, in the folder `files` of a test's module; what it says."""
    return lambda *arguments, status=0: invoke(files, *arguments, status=status).stderr


@pytest.fixture(scope="session")
def world(world: World, folder: Path) -> Path:
    (folder / "world").symlink_to(world.path)
    return folder / "world"


@pytest.fixture(scope="session")
def atlas(process: Run, world: Path, folder: Path) -> Path:
    process(
        *("atlas", "build", "world", "--sheet", "world/sheet.csv"),
        *("--universe", "world/universe.bed", "-o", "atlas", "--genome", "simulated"),
    )
    return folder / "atlas"


@pytest.fixture(scope="session")
def split(process: Run, atlas: Path) -> str:
    done = process("atlas", "split", "atlas", "random-group", "--seed", "1")
    assert "random-group: test 14" in done.stderr
    return "random-group"


@pytest.fixture(scope="session")
def ridge(process: Run, split: str, folder: Path) -> Path:
    train = ("train", "ridge", "--atlas", "atlas", "--split", split, "-o", "ridge")
    process(*train, "--set", "penalty=2")
    return folder / "ridge"


@pytest.fixture(scope="session")
def direct(process: Run, split: str, folder: Path) -> Path:
    train = ("train", "direct", "--atlas", "atlas", "--split", split, "-o", "direct")
    process(*train, "--epochs", "2", "--set", "heads=1")
    return folder / "direct"
