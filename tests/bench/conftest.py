"""A tiny size of benchmarks, and the tasks of the simulated world by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from genoglot.bench.recipe import Recipe
from genoglot.bench.workspace import Workspace
from genoglot.models.dna.genebert_data import GeneBertData
from genoglot.sequence import Genome
from genoglot.tasks import TaskData

TINY = {
    "seeds": [0, 1],
    "models": {
        "attention": {"dim": 16, "heads": 2, "layers": 1},
        "cnn-fc": {"channels": [4, 4], "dim": 8},
        "cnn-lstm": {"channels": [4, 4], "dim": 8},
        "windowed": {"dim": 16, "heads": 2, "layers": 1},
    },
    "training": {"max_steps": 2, "batch_size": 8},
    "pretraining": {"max_steps": 2, "batch_size": 4, "window": 200},
    "bases": {"train": 20_000, "validation": 20_000, "test": 20_000},
    "draws": 20,
}


@pytest.fixture(scope="session")
def recipe() -> Callable[..., Recipe]:
    """Make a recipe of the tiny size; by default attention on PromVary."""

    def make(**content: Any) -> Recipe:
        size = content.pop("size", {})
        grid = content.pop("grid", [{"tasks": "PromVary", "model": "attention"}])
        return Recipe.model_validate(
            {"name": "x", "title": "X", "grid": grid, "sizes": {"small": TINY | size}, **content}
        )

    return make


@pytest.fixture(scope="session")
def workspace() -> Callable[..., Workspace]:
    """Make a workspace on the CPU."""

    def make(
        folder: Path,
        datasets: Mapping[str, TaskData],
        genome: Genome | None = None,
        genebert: GeneBertData | None = None,
    ) -> Workspace:
        folder.mkdir(exist_ok=True)
        return Workspace(folder, datasets, genome, "cpu", genebert)

    return make


@pytest.fixture(scope="session")
def datasets(
    built: Callable[[str], TaskData], sources: dict[str, list[Path]]
) -> dict[str, TaskData]:
    """The tasks of the simulated world that are one dataset each."""
    return {name: built(name) for name in sources}


@pytest.fixture(scope="session")
def prom(built: Callable[[str], TaskData]) -> dict[str, TaskData]:
    """One task of the simulated world."""
    return {"PromVary": built("PromVary")}
