"""The demo: a simulated world, models trained on it, and a report on how well they translate."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from genoglot.atlas import Atlas, Split, build_atlas, split
from genoglot.evaluation import RegionScorer, ResultsTable, evaluate
from genoglot.files import atomic_path
from genoglot.models import BASELINES, Generator, create
from genoglot.regions import Genes, Regions, Universe
from genoglot.reports.annotate import with_nearest_gene
from genoglot.reports.demo_report import write_report
from genoglot.simulate import Oracle, World, simulate

log = logging.getLogger("genoglot")

TRAINED = ("text2bed", "direct", "diffusion", "seq2regions")
QUERIES: dict[str, dict[str, str]] = {  # query -> what it says of biosamples, as in the sheet
    "kidney, human, cancer": {"organ": "kidney", "state": "cancer"},
    "pediatric, lung, inflammation": {"age": "pediatric", "organ": "lung", "state": "inflammation"},
    "lymphoma, human, prognosis": {"disease": "lymphoma"},
}
TOP = 100
"""Regions that precision and recall look at: a region set holds some hundred."""
REPORT = "report.html"


@dataclass(frozen=True)
class Demo:
    """What was made: read by the sections of the report."""

    seed: int
    world: World
    atlas: Atlas
    split: Split
    models: dict[str, Generator]
    oracle: Oracle
    table: ResultsTable
    logs: dict[str, pl.DataFrame]
    answers: dict[str, dict[str, Regions]]  # query -> model -> regions
    seconds: dict[str, float] = field(default_factory=dict)


def demo(out: str | Path, *, seed: int = 0, **settings: Any) -> ResultsTable:
    """Simulate a small world, train on it, evaluate, translate three queries, write the report.

    Parameters
    ----------
    out
        Directory to make, with `report.html` in it; an earlier demo is replaced.
    seed
        Seed of everything random.
    **settings
        Of the trained models, such as fewer epochs.

    Returns
    -------
    The results.

    Raises
    ------
    GenoglotError
        If the directory holds something else than a demo.
    """
    replace = (Path(out) / REPORT).is_file()
    with atomic_path(out, directory=True, overwrite=replace) as folder:
        made = run(folder, seed=seed, **settings)
        made.table.to_parquet(folder / "results.parquet")
        made.table.to_markdown(folder / "results.md")
        for query, answers in made.answers.items():
            for name, regions in answers.items():
                header = f"# {query} ({name}); simulated\n#" + "\t".join(regions.frame.columns)
                file = f"{query.replace(', ', '-')}.{name}.bed"
                regions.to_bed(folder / "answers" / file, header=header)
        write_report(made).write(folder / REPORT)
    return made.table


def run(folder: Path, *, seed: int, **settings: Any) -> Demo:
    """Do the work of the demo in a folder."""
    from genoglot.models.text_to_regions.train import train

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
    parts = split(atlas, "random-group", seed=seed)
    done("built and split the atlas")
    models = {kind: create(kind).fit(atlas, parts.train) for kind in BASELINES}
    done("fitted the baselines")
    logs = {}
    for kind in TRAINED:
        model = create(kind, seed=seed, **settings)
        lines = folder / "models" / f"{kind}.training"
        train(
            model, atlas, parts.train, validation=parts.validation, log_folder=lines, device="cpu"
        )
        model.save_pretrained(folder / "models" / kind)
        models[kind] = model
        logs[kind] = pl.read_csv(lines / "csv" / "metrics.csv")
        done(f"trained {kind}")
    oracle = Oracle(world, atlas)
    scorers: dict[str, RegionScorer] = {**models, "oracle": oracle}
    table = evaluate(scorers, atlas, split=parts.name, seed=seed, n=TOP, progress=False)
    done("evaluated")
    answers = _answers(models, Genes.from_file(world.genes_path))
    done("answered the queries")
    return Demo(seed, world, atlas, parts, models, oracle, table, logs, answers, seconds)


def _answers(models: dict[str, Generator], genes: Genes) -> dict[str, dict[str, Regions]]:
    def answer(kind: str, query: str) -> Regions:
        return with_nearest_gene(models[kind].generate(query, 1000), genes)

    return {query: {kind: answer(kind, query) for kind in TRAINED} for query in QUERIES}
