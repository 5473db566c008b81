"""The report of the demo: what `genoglot demo` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot import __version__
from genoglot.evaluation import RegionScorer, ResultsTable, paired_difference
from genoglot.evaluation.provenance import code_version, hardware
from genoglot.files import atomic_path
from genoglot.models.text_to_regions.generator import best
from genoglot.regions import Genes, Regions
from genoglot.reports import plots
from genoglot.reports.demo import QUERIES, TOP, DemoRun, run_demo
from genoglot.reports.maps import map_sets
from genoglot.reports.report import Cell, Report

WINDOW = 50_000
"""Width of the genome plot in bp."""
SHOWN = "direct"
"""Model whose answers are shown in full."""
BASELINE = "ridge"
"""Baseline that is hardest to beat."""


REPORT = "report.html"


def write_demo(out: str | Path, *, seed: int = 0, **settings: Any) -> ResultsTable:
    """Simulate a small world, train on it, evaluate, answer three queries, and write a report.

    Parameters
    ----------
    out
        Directory to write, with `report.html` in it; an earlier demo is replaced.
    seed
        Seed of everything random.
    **settings
        Settings of the trained models, such as fewer epochs.

    Returns
    -------
    ResultsTable
        The results.

    Raises
    ------
    GenoglotError
        If the directory holds something else than a demo.
    """
    replace = (Path(out) / REPORT).is_file()
    with atomic_path(out, directory=True, overwrite=replace) as folder:
        demo = run_demo(folder, seed=seed, **settings)
        demo.table.to_parquet(folder / "results.parquet")
        demo.table.to_markdown(folder / "results.md")
        for query, answers in demo.answers.items():
            for name, regions in answers.items():
                header = f"# {query} ({name}); simulated\n#" + "\t".join(regions.frame.columns)
                file = f"{query.replace(', ', '-')}.{name}.bed"
                regions.to_bed(folder / "answers" / file, header=header)
        make_report(demo).write(folder / REPORT)
    return demo.table


def make_report(demo: DemoRun) -> Report:
    """Make the report of a demo, section by section."""
    report = Report(
        "From a description to a BED file",
        "Genoglot learned, from described region sets, to answer a text with regions of the "
        "genome. This page shows what it learned from a small simulated world.",
    )
    report.notice(
        "Everything here is simulated. Names of factors, organs and diseases are real; the "
        "genome, the peaks and the descriptions are drawn at random, and the training is short. "
        "The figures say nothing about biology: they show whether a method learns what was put in."
    )
    for add_section in (
        add_summary, add_results, add_training, add_scores, add_set_map, add_genome, add_queries,
    ):  # fmt: skip
        add_section(report, demo)
    report.footer(
        f"genoglot {__version__}, code {code_version()}; seed {demo.seed}; {hardware()}; "
        f"{sum(demo.seconds.values()):.0f} seconds. Made by: genoglot demo --seed {demo.seed}"
    )
    return report


def add_summary(report: Report, demo: DemoRun) -> None:
    """Describe the data and the models."""
    info, split = demo.atlas.info(), demo.split
    report.section("What was done")
    report.points(
        [
            f"A world was simulated: {info['universe_size']:,} regulatory elements on three "
            f"chromosomes, and {info['n_sets']} BED files of {info['n_groups']} experiments in "
            f"{info['n_biosamples']} biosamples, each with a description in words.",
            f"The files became an atlas, split by experiment: {len(split.train)} region sets to "
            f"train on, {len(split.validation)} to validate on, {len(split.test)} to test on. "
            "Replicates of an experiment are in one subset.",
            f"{len(demo.logs)} models were trained ({', '.join(demo.logs)}), and three baselines "
            "fitted: popularity (the most frequent regions, whatever the text), nearest (the "
            "training set with the most similar description) and ridge (linear regression on the "
            "words).",
            "Each model answered the descriptions of the test sets, which it had not seen.",
        ]
    )
    took = "; ".join(f"{step} {seconds:.1f}\u00a0s" for step, seconds in demo.seconds.items())
    report.paragraph(f"Time: {took}.")


def add_results(report: Report, demo: DemoRun) -> None:
    """Add the table of results."""
    found = demo.table.results
    models = found["model"].unique(maintain_order=True).to_list()
    metrics = found["metric"].unique(maintain_order=True).to_list()
    rows: list[list[Cell]] = []
    for model in models:
        cells: list[Cell] = [model]
        for metric in metrics:
            row = found.filter(model=model, metric=metric).row(0, named=True)
            digits = 1 if row["value"] >= 10 else 2 if row["value"] >= 1 else 3
            value, low, high = (f"{row[key]:.{digits}f}" for key in ("value", "low", "high"))
            cells.append((value, f"{low} to {high}"))
        rows.append(cells)
    report.section("Results on held-out experiments")
    report.table(
        ["model", *(metric.replace("_", " ").replace("jac", "Jac") for metric in metrics)],
        rows,
        f"Mean over {len(demo.split.test)} region sets and, below it, its 95 % interval "
        "(bootstrap over factors and biosamples). Average precision and the measures at N rank all "
        "regions by score; Jaccard and fold enrichment compare as many top regions as are true. "
        "The oracle knows the probability of every region: what it misses is noise of the files, "
        "and no model can do better on average.",
        strong=[models.index(name) for name in demo.logs],
    )
    report.figure(
        plots.plot_intervals(found, "average_precision", highlight=list(demo.logs)),
        "Average precision with its 95 % interval; the trained models in blue. The intervals are "
        "wide: the test sets are few, and some are much harder than others.",
    )
    better = []
    for model in demo.logs:
        gain = paired_difference(demo.table.per_set, model, BASELINE, "average_precision")
        better.append(
            f"{model} less {BASELINE} is {_signed(gain.mean, '.3f')} (95 % interval "
            f"{_signed(gain.low, '.3f')} to {_signed(gain.high, '.3f')})"
        )
    report.paragraph(
        "Models are better compared set by set. In average precision on the same sets, "
        + " and ".join(better)
        + ". An interval that holds 0 means that the difference may be chance."
    )


def add_training(report: Report, demo: DemoRun) -> None:
    """Add the loss curves."""
    report.section("Training")
    report.figure(
        plots.plot_losses(demo.logs),
        "Mean loss of each epoch; the model has the weights of the last one. In training, a set "
        "never reads from its own experiment, so its loss is not on the scale of validation's.",
    )


def add_scores(report: Report, demo: DemoRun) -> None:
    """Add the scores of true and of other regions of the test sets."""
    rows = [row for row in demo.split.test.tolist() if len(demo.atlas.tokens(row))]
    texts = demo.atlas.descriptions(rows)
    true = np.zeros((len(rows), len(demo.atlas.universe)), bool)
    for mask, ids in zip(true, demo.atlas.tokens_of(rows), strict=True):
        mask[ids] = True
    given = {name: demo.models[name].score(texts) for name in demo.logs}
    report.section("Scores of true and of other regions")
    report.figure(
        plots.plot_score_distributions({name: (s[true], s[~true]) for name, s in given.items()}),
        f"Scores of the regions of {len(rows)} held-out sets: those that are in the set, and all "
        f"others ({true.sum():,} and {(~true).sum():,}). The vertical axis is logarithmic. "
        "Scores rank regions; they are not calibrated probabilities.",
    )


def add_set_map(report: Report, demo: DemoRun) -> None:
    """Add the map of region sets."""
    metadata = demo.atlas.metadata
    plane = map_sets(demo.atlas.presence(), seed=demo.seed)
    report.section("The atlas on a map")
    report.figure(
        plots.plot_set_map(plane, metadata["organ"].to_list(), metadata["assay"].to_list()),
        f"The {len(metadata)} region sets, arranged by t-SNE of the regions that they "
        "contain (truncated SVD, 30 dimensions). Sets lie together for what they measure and "
        "for where: "
        "descriptions were not used.",
    )


def add_genome(report: Report, demo: DemoRun) -> None:
    """Add a window of the genome for one test set."""
    row = median_set(demo)
    text = demo.atlas.descriptions([row])[0]
    ids = demo.atlas.tokens(row)
    regions = demo.atlas.universe.regions
    chrom, start, end = busiest_window(regions[ids], WINDOW)
    there = regions.chrom == chrom

    def plot_row(
        name: str, chosen: NDArray[np.integer], note: str, *, judge: bool
    ) -> plots.RegionRow:
        chosen = chosen[there[chosen]]
        hit = np.isin(chosen, ids) if judge else None
        return plots.RegionRow(name, regions.start[chosen], regions.end[chosen], hit, note)

    plot_rows = [
        plot_row("all regions", np.arange(len(regions)), f"{len(regions):,}", judge=False),
        plot_row("true", ids, f"{len(ids):,}", judge=True),
    ]
    scorers: dict[str, RegionScorer] = {**demo.models, "oracle": demo.oracle}
    for name, model in scorers.items():
        top = best(model.score([text])[0], len(ids))
        note = f"{100 * np.isin(top, ids).mean():.0f} % true"
        plot_rows.append(plot_row(name, top, note, judge=True))
    genes = Genes.from_file(demo.world.genes_path)
    inside = (genes.chrom == chrom) & (genes.tss >= start) & (genes.tss < end)
    starts = dict(zip(genes.name[inside].tolist(), genes.tss[inside].tolist(), strict=True))
    report.section("Generated beside true regions")
    report.paragraph(f"Held-out experiment: \u201c{text}\u201d")
    report.figure(
        plots.plot_regions(chrom, start, end, plot_rows, starts),
        f"Every model was asked for as many regions as the experiment has ({len(ids)}). Filled: "
        "true; hollow: not in the experiment. On the right, the proportion that is true over the "
        f"whole genome. The experiment is the one of median average precision of {SHOWN}, the "
        "window the one with the most true regions.",
    )


def add_queries(report: Report, demo: DemoRun) -> None:
    """Add the answers to the queries."""
    report.section("Three queries")
    report.paragraph(
        "The queries name an organ or a disease and no assay. The right answer is taken to be: "
        "regions open in the biosamples meant, and not everywhere. Since the world is simulated, "
        "the true probability that a region is open is known."
    )
    rows: list[list[Cell]] = []
    for query, columns in QUERIES.items():
        names = meant_biosamples(demo, columns)
        there, elsewhere = openness(demo, names)
        tops = [best(demo.models[m].score([query])[0], TOP) for m in ("popularity", *demo.logs)]
        judged: list[NDArray[np.integer]] = [np.arange(len(there)), *tops]
        means = [(f"{there[ids].mean():.2f}", f"{elsewhere[ids].mean():.2f}") for ids in judged]
        rows.append([(query, "; ".join(names)), *means])
    report.table(
        ["query", "all regions", "popularity", *demo.logs],
        rows,
        "Mean true probability that a region is open in the biosamples meant (named below the "
        f"query) and, below it, in all other biosamples: over all regions, and over the top {TOP} "
        "of each model. Popular regions are open everywhere.",
    )
    report.paragraph(
        f"The ten best regions by {SHOWN} follow, with the nearest gene and the distance from its "
        "start, negative upstream. All 1,000, and those of the other models, are BED files in "
        "the folder answers/ beside this page."
    )
    for query, answers in demo.answers.items():
        report.table(
            ["rank", "region", "nearest gene", "raw score", "distance (bp)"],
            [_answer(row) for row in answers[SHOWN][:10].frame.iter_rows(named=True)],
            f"Top ten for \u201c{query}\u201d.",
            left=3,
        )


def _answer(row: dict[str, object]) -> list[Cell]:
    start, end, distance = (int(str(row[key])) for key in ("start", "end", "distance"))
    locus = f"{row['chrom']}:{start + 1:,}\u2013{end:,}"
    far = _signed(distance, ",") if distance else "0"
    return [str(row["rank"]), locus, str(row["gene"]), f"{row['raw']:.3f}", far]


def _signed(number: float, form: str) -> str:
    """Write a number with its sign, minus as a real minus."""
    return f"{number:+{form}}".replace("-", "\u2212")


def openness(demo: DemoRun, names: list[str]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Compute the mean true openness of each region in some biosamples, and in all others."""
    every = demo.world.ground_truth("biosamples")["name"].to_list()
    chance = {name: demo.world.openness(name) for name in every}
    there = np.mean([chance[name] for name in names], axis=0)
    elsewhere = np.mean([chance[name] for name in every if name not in names], axis=0)
    return there, elsewhere


def meant_biosamples(demo: DemoRun, columns: dict[str, str]) -> list[str]:
    """Find the biosamples that a query means."""
    return list(demo.world.ground_truth("biosamples").filter(**columns)["name"])


def median_set(demo: DemoRun) -> int:
    """Return the row of the test set that has the median average precision."""
    rows = demo.table.per_set.filter(model=SHOWN).sort("average_precision", "id")
    name = rows["id"][len(rows) // 2]
    return int(demo.atlas.metadata.select((pl.col("id") == name).arg_max()).item())


def busiest_window(regions: Regions, width: int) -> tuple[str, int, int]:
    """Find the window in which the most regions begin: chromosome, start and end.

    Examples
    --------
    >>> busiest_window(Regions(["chr1", "chr2", "chr2"], [5, 100, 130], [9, 110, 140]), 50)
    ('chr2', 95, 145)
    """
    windows = []
    for chrom in regions.chrom_names:
        start = np.sort(regions.start[regions.chrom == chrom])
        count = np.searchsorted(start, start + width) - np.arange(len(start))
        first = int(np.argmax(count))
        windows.append((int(count[first]), chrom, int(start[first])))
    _, chrom, begin = max(windows, key=lambda window: window[0])
    margin = width // 10  # so that the first region does not touch the border
    return chrom, max(0, begin - margin), max(0, begin - margin) + width
