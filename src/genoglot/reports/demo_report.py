"""The report of the demo, section by section."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot import __version__
from genoglot.evaluation import RegionScorer, paired_difference
from genoglot.evaluation.provenance import code_version, hardware
from genoglot.models.text_to_regions.generator import best
from genoglot.regions import Genes, Regions
from genoglot.reports import plots
from genoglot.reports.maps import map_sets
from genoglot.reports.report import Cell, Report

if TYPE_CHECKING:
    from genoglot.reports.demo import Demo

WINDOW = 50_000
"""Base pairs of the genome picture."""
SHOWN = "direct"
"""The model whose answers are shown in full."""
BASELINE = "ridge"
"""The baseline that is hardest to beat."""


def write_report(demo: Demo) -> Report:
    """Put the report together."""
    report = Report(
        "From a description to a BED file",
        "Genoglot learned, from described region sets, to answer a text with regions of the "
        "genome. This page shows what it learned from a small simulated world.",
    )
    report.notice(
        "Everything here is simulated. Names of factors, organs and diseases are real; the "
        "genome, the peaks and the descriptions are drawn at random, and the training is short. "
        "No figure says anything about biology: it says whether a method can learn what was put in."
    )
    for section in (what_was_done, results, training, scores, sets, genome, queries):
        section(report, demo)
    report.footer(
        f"genoglot {__version__}, code {code_version()}; seed {demo.seed}; {hardware()}; "
        f"{sum(demo.seconds.values()):.0f} seconds. Made by: genoglot demo --seed {demo.seed}"
    )
    return report


def what_was_done(report: Report, demo: Demo) -> None:
    """Say what the data are and what was trained."""
    info, parts = demo.atlas.info(), demo.split
    report.section("What was done")
    report.points(
        [
            f"A world was simulated: {info['universe_size']:,} regulatory elements on three "
            f"chromosomes, and {info['n_sets']} BED files of {info['n_groups']} experiments in "
            f"{info['n_biosamples']} biosamples, each with a description in words.",
            f"The files became an atlas, split by experiment: {len(parts.train)} region sets to "
            f"train on, {len(parts.validation)} to watch the training by, {len(parts.test)} to "
            "test on. Replicates of an experiment stay on one side.",
            f"{len(demo.logs)} models were trained ({', '.join(demo.logs)}), and three baselines "
            "fitted: popularity (the most frequent regions, whatever the text), nearest (the "
            "training set with the most similar description) and ridge (linear regression on the "
            "words).",
            "Each model answered the descriptions of the test sets, which it had not seen.",
        ]
    )
    took = "; ".join(f"{step} {seconds:.1f}\u00a0s" for step, seconds in demo.seconds.items())
    report.paragraph(f"Time: {took}.")


def results(report: Report, demo: Demo) -> None:
    """Show the results table."""
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
        plots.interval_plot(found, "average_precision", highlight=list(demo.logs)),
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


def training(report: Report, demo: Demo) -> None:
    """Show the loss curves."""
    report.section("Training")
    report.figure(
        plots.loss_curves(demo.logs),
        "Mean loss of each epoch; the weights of the last one are kept. In training a set may not "
        "read from its own experiment, so that its loss is not on the scale of validation's.",
    )


def scores(report: Report, demo: Demo) -> None:
    """Show how true and other regions of the test sets are scored."""
    rows = [row for row in demo.split.test.tolist() if len(demo.atlas.tokens(row))]
    texts = demo.atlas.descriptions(rows)
    true = np.zeros((len(rows), len(demo.atlas.universe)), bool)
    for held, ids in zip(true, demo.atlas.tokens_of(rows), strict=True):
        held[ids] = True
    given = {name: demo.models[name].score(texts) for name in demo.logs}
    report.section("What the scores tell")
    report.figure(
        plots.score_distributions({name: (s[true], s[~true]) for name, s in given.items()}),
        f"Scores of the regions of {len(rows)} held-out sets: those that are in the set, and all "
        f"others ({true.sum():,} and {(~true).sum():,}). The vertical axis is logarithmic. "
        "Scores rank regions; they are not calibrated, so they are no probabilities.",
    )


def sets(report: Report, demo: Demo) -> None:
    """Show the map of region sets."""
    about = demo.atlas.metadata
    plane = map_sets(demo.atlas.presence(), seed=demo.seed)
    report.section("The atlas on a map")
    report.figure(
        plots.set_map(plane, about["organ"].to_list(), about["assay"].to_list()),
        f"The {len(about)} region sets, laid out by t-SNE of which regions they hold (truncated "
        "SVD, 30 dimensions). Sets lie together for what they measure and for where: "
        "descriptions were not used.",
    )


def genome(report: Report, demo: Demo) -> None:
    """Show a stretch of the genome for one test set."""
    row = median_set(demo)
    text = demo.atlas.descriptions([row])[0]
    ids = demo.atlas.tokens(row)
    regions = demo.atlas.universe.regions
    chrom, start, end = busiest_window(regions[ids], WINDOW)
    there = regions.chrom == chrom

    def track(name: str, chosen: NDArray[np.integer], note: str, *, judge: bool) -> plots.Track:
        chosen = chosen[there[chosen]]
        hit = np.isin(chosen, ids) if judge else None
        return plots.Track(name, regions.start[chosen], regions.end[chosen], hit, note)

    tracks = [
        track("all regions", np.arange(len(regions)), f"{len(regions):,}", judge=False),
        track("true", ids, f"{len(ids):,}", judge=True),
    ]
    scorers: dict[str, RegionScorer] = {**demo.models, "oracle": demo.oracle}
    for name, model in scorers.items():
        top = best(model.score([text])[0], len(ids))
        tracks.append(track(name, top, f"{100 * np.isin(top, ids).mean():.0f} % true", judge=True))
    genes = Genes.from_file(demo.world.genes_path)
    inside = (genes.chrom == chrom) & (genes.tss >= start) & (genes.tss < end)
    starts = dict(zip(genes.name[inside].tolist(), genes.tss[inside].tolist(), strict=True))
    report.section("Generated beside true regions")
    report.paragraph(f"Held-out experiment: \u201c{text}\u201d")
    report.figure(
        plots.region_tracks(chrom, start, end, tracks, starts),
        f"Every model was asked for as many regions as the experiment has ({len(ids)}). Filled: "
        "true; hollow: not in the experiment. On the right, the share that is true over the whole "
        f"genome. The experiment is the one of median average precision of {SHOWN}, the window "
        "the one with the most true regions.",
    )


def queries(report: Report, demo: Demo) -> None:
    """Show the answers to the queries."""
    from genoglot.reports.demo import QUERIES, TOP

    report.section("Three queries")
    report.paragraph(
        "The queries name an organ or a disease and no assay. The right answer is taken to be: "
        "regions open in the biosamples meant, and not everywhere. Since the world is simulated, "
        "the true probability that a region is open is known."
    )
    rows: list[list[Cell]] = []
    for query, about in QUERIES.items():
        names = meant(demo, about)
        there, elsewhere = openness(demo, names)
        tops = [best(demo.models[m].score([query])[0], TOP) for m in ("popularity", *demo.logs)]
        row: list[Cell] = [(query, "; ".join(names))]
        judged: list[NDArray[np.integer]] = [np.arange(len(there)), *tops]
        for chosen in judged:
            row.append((f"{there[chosen].mean():.2f}", f"{elsewhere[chosen].mean():.2f}"))
        rows.append(row)
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
    place = f"{row['chrom']}:{start + 1:,}\u2013{end:,}"
    far = _signed(distance, ",") if distance else "0"
    return [str(row["rank"]), place, str(row["gene"]), f"{row['raw']:.3f}", far]


def _signed(number: float, form: str) -> str:
    """Write a number with its sign, minus as a real minus."""
    return f"{number:+{form}}".replace("-", "\u2212")


def openness(demo: Demo, names: list[str]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Mean true openness of each region in some biosamples, and in all others."""
    every = demo.world.truth("biosamples")["name"].to_list()
    chance = {name: demo.world.openness(name) for name in every}
    there = np.mean([chance[name] for name in names], axis=0)
    elsewhere = np.mean([chance[name] for name in every if name not in names], axis=0)
    return there, elsewhere


def meant(demo: Demo, about: dict[str, str]) -> list[str]:
    """Biosamples of the world that a query means."""
    table = demo.world.truth("biosamples").filter(**about)
    return list(table["name"])


def median_set(demo: Demo) -> int:
    """Row of the test set of median average precision."""
    rows = demo.table.per_set.filter(model=SHOWN).sort("average_precision", "id")
    name = rows["id"][len(rows) // 2]
    return int(demo.atlas.metadata.select((pl.col("id") == name).arg_max()).item())


def busiest_window(regions: Regions, width: int) -> tuple[str, int, int]:
    """Chromosome, start and end of the window in which the most regions begin.

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
