"""Tables of the results of experiments/genebert.py, as Markdown."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebert_models.promoters import Promoters
from genoglot.evaluation.intervals import bootstrap_interval, resample_counts
from genoglot.evaluation.predictions import auroc, measure_predictions
from genoglot.evaluation.retrieval import MatchRanks
from genoglot.evaluation.text_table import TextTable, format_interval

Line = dict[str, Any]
PROMOTER_METRICS = ("precision (macro)", "recall (macro)", "AUROC", "MCC")
BOUNDS = ("value", "low", "high")
GAIN = "AUROC, more than from scratch"


def write_tables(results: Iterable[Path], promoters: Path | None) -> str:
    """Write a table of each measure and data set; of several seeds, the mean.

    Intervals draw blocks of the genome, cell types, and seeds, crossed. Those of promoters draw
    test sequences, and are of one seed each.

    Parameters
    ----------
    results
        Files that the experiments appended to.
    promoters
        Folder of the core promoters, to read the labels of the test set.
    """
    lines = [json.loads(line) for path in results for line in path.read_text().splitlines()]
    tables = []
    for data, experiment in dict.fromkeys((line["data"], line["experiment"]) for line in lines):
        of_both = [x for x in lines if (x["data"], x["experiment"]) == (data, experiment)]
        measured = [(line, m) for line in of_both for m in line.get("measured", ())]
        for measure, columns in COLUMNS.items():
            chosen = [(line, m) for line, m in measured if m["measure"] == measure]
            if chosen:
                title = f"{data}, {experiment}" + f": {measure}" * (measure != experiment)
                tables.append(_measure_table(title, columns, chosen))
    if promoters is not None:
        chosen = [line for line in lines if line["experiment"] == "promoters"]
        tables.append(_promoter_table(chosen, Promoters.read(promoters)))
    return "\n\n".join(f"**{t.title}**\n\n{t.to_markdown()}\n\n{t.caption}" for t in tables)


def _ranks(measured: Line) -> MatchRanks:
    return MatchRanks(
        np.array(measured["above"]), np.array(measured["tied"]), measured["candidates"]
    )


COLUMNS: dict[str, dict[str, Callable[[Line], NDArray[np.float64]]]] = {
    "retrieval": {
        "recall@1": lambda m: _ranks(m).recall(1),
        "recall@10": lambda m: _ranks(m).recall(10),
        "mean rank": lambda m: _ranks(m).mean_ranks,
    },
    "cell type": {"accuracy": lambda m: np.array(m["right"], float)},
    "next segment": {"accuracy": lambda m: np.array(m["right"], float)},
}
"""Value of each sample, by measure and column."""


def _measure_table(
    title: str, columns: dict[str, Callable[[Line], Any]], chosen: list[tuple[Line, Line]]
) -> TextTable:
    """Make a row of each variant and way to measure it; those of several seeds are pooled."""
    rows = defaultdict(list)
    for line, measured in chosen:
        asked = line["asked"]
        image = "" if asked["backbone"] == "patches" else f"{asked['backbone']}, {asked['image']}"
        steps = str(asked["steps"]) if "settings" in line and line["variant"] != "untrained" else ""
        size = asked["size"] if "settings" in line else ""
        matched = ""
        if line.get("settings", {}).get("matching_weight"):
            matched = line["settings"].get("match", "samples")
        key = (line["variant"], matched, size, image, measured.get("tested", ""), measured["by"],
               steps)  # fmt: skip
        rows[key].append((line["seed"], measured))
    table: list[list[str]] = []
    for key, found in rows.items():
        block, cell_type, seed = (
            np.concatenate(parts)
            for parts in (
                [m["block"] for _, m in found],
                [m["cell_type"] for _, m in found],
                [np.full(len(m["block"]), s) for s, m in found],
            )
        )
        cells = []
        for name, values in columns.items():
            interval = bootstrap_interval(
                np.concatenate([values(m) for _, m in found]),
                groups=block, crossed=cell_type, runs=seed, proportion=name != "mean rank",
            )  # fmt: skip
            cells.append(format_interval(*interval, decimals=1 if name == "mean rank" else 3))
        table.append([*key, str(len(found)), *cells])
    header = ["variant", "matched", "size", "image", "tested on", "by", "steps", "seeds", *columns]
    empty = {i for i, name in enumerate(header[:7]) if not any(row[i] for row in table)}
    first = chosen[0][1]
    chance = ", ".join(f"{m['metric']} {m['chance']:.3f}" for m in first["metrics"])
    candidates = f" among {len(first['block']):,} samples of {len(set(first['block']))} blocks"
    return TextTable(
        [name for i, name in enumerate(header) if i not in empty],
        [[cell for i, cell in enumerate(row) if i not in empty] for row in table],
        title=title,
        caption=f"Chance{candidates}: {chance}.",
    )


def _promoter_table(lines: list[Line], task: Promoters) -> TextTable:
    """Make a row of each variant, the mean over its seeds; only this reads the test labels."""
    known = {row.tobytes() for row in task.train[0]}
    new = np.array([row.tobytes() not in known for row in task.test[0]])
    labels = task.test[1]
    draws = resample_counts(1000, len(labels), np.random.default_rng(0))
    variants: dict[tuple[str, str], dict[int, NDArray[np.float64]]] = defaultdict(dict)
    parameters = {}
    for line in lines:
        matches = line["variant"] == "all three"
        matched = line["settings"].get("match", "samples") if matches else ""
        variants[line["variant"], matched][line["seed"]] = np.array(line["predictions"])
        parameters[line["variant"]] = f"{line['fine_tuned_parameters']:,}"
    scratch = variants["untrained", ""]
    rows = []
    for (variant, matched), of_seeds in variants.items():
        found = [measure_predictions(labels, p, PROMOTER_METRICS) for p in of_seeds.values()]
        values = [
            format_interval(*(np.mean([getattr(m, name) for m in of_metric]) for name in BOUNDS))
            for of_metric in zip(*found, strict=True)
        ]
        unseen = [
            measure_predictions(labels[new], p[new], ["AUROC"], draws=0)[0].value
            for p in of_seeds.values()
        ]
        gain, each = "", ""
        if variant != "untrained":
            more = [
                [auroc(labels, p, w) - auroc(labels, scratch[seed], w) for w in (None, draws)]
                for seed, p in of_seeds.items()
            ]
            value, drawn = (np.mean(part, axis=0) for part in zip(*more, strict=True))
            gain = format_interval(value[0], *np.quantile(drawn, [0.025, 0.975]))
            each = ", ".join(f"{one[0][0]:+.3f}" for one in more)
        rows.append([
            variant, matched, str(len(of_seeds)), parameters[variant], *values, gain, each,
            f"{np.mean(unseen):.3f}",
        ])  # fmt: skip
    header = ["variant", "matched", "seeds", "parameters", *PROMOTER_METRICS, GAIN, "of each seed",
              "AUROC of new sequences"]  # fmt: skip
    caption = f"{len(labels):,} test sequences; {(~new).sum()} of them are in the training set too."
    return TextTable(header, rows, title="core promoters", caption=caption)
