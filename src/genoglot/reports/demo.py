"""The demo: a simulated world, and models trained and evaluated on it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from genoglot.atlas import Atlas, Split, build_atlas, make_split
from genoglot.evaluation import RegionScorer, ResultsTable, evaluate
from genoglot.models import Generator, create, names
from genoglot.regions import Genes, Regions, Universe
from genoglot.reports.answer import add_nearest_gene
from genoglot.simulate import Oracle, World, simulate
from genoglot.training.log import LOSS, VALIDATION

log = logging.getLogger("genoglot")

TRAINED = ("text2bed", "direct", "diffusion", "seq2regions")
QUERIES: dict[str, dict[str, str]] = {  # query -> its biosamples, by columns of the sheet
    "kidney, human, cancer": {"organ": "kidney", "state": "cancer"},
    "pediatric, lung, inflammation": {"age": "pediatric", "organ": "lung", "state": "inflammation"},
    "lymphoma, human, prognosis": {"disease": "lymphoma"},
}
TOP = 100
"""N of precision and recall at N: a region set holds some hundred regions."""


@dataclass(frozen=True)
class DemoRun:
    """What the demo made: read by the sections of its report."""

    seed: int
    world: World
    atlas: Atlas
    split: Split
    models: dict[str, Generator]
    oracle: Oracle
    table: ResultsTable
    logs: dict[str, tuple[pl.DataFrame, pl.DataFrame]]
    answers: dict[str, dict[str, Regions]]  # query -> model -> regions
    seconds: dict[str, float] = field(default_factory=dict)


def run_demo(folder: Path, *, seed: int, **settings: Any) -> DemoRun:
    """Simulate a small world, train on it, evaluate, and answer three queries.

    Parameters
    ----------
    folder
        Directory that the world, the atlas and the models are written into.
    seed
        Seed of everything random.
    **settings
        Settings of the trained models, such as fewer epochs.
    """
    seconds: dict[str, float] = {}
    started = time.perf_counter()

    def done(step: str) -> None:
        nonlocal started
        seconds[step] = time.perf_counter() - started
        started += seconds[step]
        log.info("demo: %s: %.1f s", step, seconds[step])

    world = simulate(folder / "world", "small", seed)
    done("simulated a small world")
    universe = Universe.from_bed(world.universe_path, genome="simulated")
    sheet = world.path / "sheet.csv"
    atlas = build_atlas(world.path, sheet, universe, folder / "atlas", progress=False).atlas
    parts = atlas.add_split(make_split(atlas.metadata, "random-group", seed=seed))
    done("built and split the atlas")
    baselines = names("text-to-regions", baseline=True)
    models = {name: create(name).fit(atlas, parts.train) for name in baselines}
    done("fitted the baselines")
    logs = {}
    for kind in TRAINED:
        model = create(kind, seed=seed, **settings)
        lines = folder / "models" / f"{kind}.training"
        model.fit(atlas, parts.train, validation=parts.validation, log_folder=lines, device="cpu")
        model.save_pretrained(folder / "models" / kind)
        models[kind] = model
        logs[kind] = pl.read_csv(lines / LOSS), pl.read_csv(lines / VALIDATION)
        done(f"trained {kind}")
    oracle = Oracle(world, atlas)
    scorers: dict[str, RegionScorer] = {**models, "oracle": oracle}
    table = evaluate(scorers, atlas, split=parts.name, seed=seed, n=TOP, progress=False)
    done("evaluated")
    answers = _answers(models, Genes.from_file(world.genes_path))
    done("answered the queries")
    return DemoRun(seed, world, atlas, parts, models, oracle, table, logs, answers, seconds)


def _answers(models: dict[str, Generator], genes: Genes) -> dict[str, dict[str, Regions]]:
    def answer(kind: str, query: str) -> Regions:
        return add_nearest_gene(models[kind].generate(query, 1000), genes)

    return {query: {kind: answer(kind, query) for kind in TRAINED} for query in QUERIES}
