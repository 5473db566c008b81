"""TFBS of many factors: means over the factors, and models that meet the other negatives.

    genoglot task build TFBS PEAKS --genome GENOME.fa.gz -o TASKS
    genoglot bench run RECIPE.yaml --data TASKS --size small -o RESULTS
    python experiments/tfbs.py TASKS --results RESULTS [--split chromosome] [--than MODEL]
    python experiments/tfbs.py TASKS --motif CTCF

First table: mean over the factors of each model of the bench, against shuffled and against genomic
negatives; with `--than MODEL`, also the differences from that model. Second table: logistic
regression on 6-mers, trained against one kind of negatives and tested against either kind; the
positives are the same. Intervals are of other factors such as
these: 10,000 bootstrap draws of factors, the same ones for all rows, so that the intervals of
differences are of pairs.

`--motif` learns nothing: the score of the best site of one motif of JASPAR separates all positives
of each peak file from all negatives. Intervals are of examples.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.bench.baselines import BASELINES
from genoglot.bench.results import read_results
from genoglot.evaluation import TextTable, format_interval, measure_predictions
from genoglot.evaluation.predictions import METRICS, OF_CLASSES
from genoglot.sequence.motifs import MotifScanner, jaspar
from genoglot.tasks import TASKS, TaskData
from genoglot.tasks.builders.tfbs import NEGATIVES

NAMES = TASKS["TFBS"].metrics
SHUFFLED, GENOMIC = NEGATIVES
Values = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", metavar="TASKS", type=Path, help="folder of the built tasks")
    parser.add_argument("--results", type=Path, help="folder of the bench")
    parser.add_argument("--than", metavar="MODEL", help="model of the first table to compare with")
    parser.add_argument("--split", default="chromosome")
    parser.add_argument("--motif", help="name of a motif of JASPAR 2018, vertebrates")
    options = parser.parse_args()
    factors = sorted(file.parents[1] for file in options.tasks.rglob(f"{SHUFFLED}/dataset.json"))
    if options.motif:
        print(of_motif(factors, options.motif))
        return
    if options.results:
        found = of_bench(options.results)
        print(shown(found, ["model", "negatives"]))
        if options.than:
            print(f"Minus {options.than}:\n")
            print(shown(minus(found, options.than), ["model", "negatives"]))
    crossed = of_other_negatives(factors, options.split)
    print(shown(crossed, ["trained against", "tested against"]))


def of_motif(factors: list[Path], name: str) -> str:
    """AUROC of the score of the best site of a motif, by peak file."""
    scanner = MotifScanner([motif.log_odds for motif in jaspar() if motif.name == name])
    lines = []
    for factor in factors:
        cells = []
        for negatives in NEGATIVES:
            data = TaskData.open(factor / negatives)
            scores = scanner.max_scores(data.codes[:])
            (found,) = measure_predictions(data.labels[:], scores, ["AUROC"])
            cells.append(format_interval(found.value, found.low, found.high))
        lines.append([factor.name, f"{data.notes['positives']:,}", *cells])
    return TextTable(["peaks", "positives", *NEGATIVES], lines).to_markdown()


def of_bench(folder: Path) -> dict[tuple[str, str], Values]:
    """Values of each model and kind of negatives, the mean over seeds: (factors, metrics)."""
    names = ["model", "pretrained", "frozen"]
    runs = read_results(folder).with_columns(
        pl.col("dataset").str.split("/").list.get(1).alias("factor"),
        pl.col("dataset").str.split("/").list.get(2).alias("negatives"),
    )
    of_factors = (
        runs.group_by(*names, "negatives", "factor", maintain_order=True)
        .agg(pl.col(NAMES).mean())
        .sort("factor", maintain_order=True)
    )
    found = {}
    for (*model, negatives), rows in of_factors.group_by(*names, "negatives", maintain_order=True):
        if len(rows) < runs["factor"].n_unique():
            continue  # not done for all factors yet
        found[named(*model), str(negatives)] = rows.select(NAMES).to_numpy()
    for model in dict.fromkeys(name for name, _ in found):
        if {(model, SHUFFLED), (model, GENOMIC)} <= found.keys():
            found[model, "difference"] = found[model, SHUFFLED] - found[model, GENOMIC]
    return dict(sorted(found.items()))


def minus(found: dict[tuple[str, str], Values], than: str) -> dict[tuple[str, str], Values]:
    """Differences from one model, factor by factor."""
    return {
        (model, negatives): values - found[than, negatives]
        for (model, negatives), values in found.items()
        if negatives in NEGATIVES and model != than
    }


def named(model: Any, pretrained: Any, frozen: Any) -> str:
    """Name of a model with what differs between its rows."""
    how = {None: "", True: ", frozen", False: ", fine-tuned"}[frozen]
    before = "" if pretrained in (None, "none") else f", {Path(str(pretrained)).name}"
    return f"{model}{before}{how}"


def of_other_negatives(factors: list[Path], split: str) -> dict[tuple[str, str], Values]:
    """Values of 6-mers that are trained and tested against each kind of negatives."""
    rows: dict[tuple[str, str], list[list[float]]] = {}
    for factor in factors:
        data = {name: TaskData.open(factor / name) for name in NEGATIVES}
        learned = set().union(*(ids(one, split, "train", "validation") for one in data.values()))
        tested_on = set().union(*(ids(one, split, "test") for one in data.values()))
        assert not learned & tested_on, (
            f"{factor}: a positive is trained and tested on; build it again"
        )
        for trained in NEGATIVES:
            model = BASELINES["kmer-linear"]("binary", 1)
            train, validation = (data[trained].subset(split, s) for s in ("train", "validation"))
            model.fit_subset(train, validation)
            for tested in NEGATIVES:
                test = data[tested].subset(split, "test")
                answers = model.predict(test.inputs)
                rows.setdefault((trained, tested), []).append(list(measured(test.labels, answers)))
    return {key: np.array(found) for key, found in rows.items()}


def ids(data: TaskData, split: str, *subsets: str) -> set[str]:
    return {name for one in subsets for name in data.examples["id"][data.rows(split, one)]}


def measured(labels: Any, predictions: Values) -> Iterator[float]:
    for name in NAMES:
        answers = predictions > 0.5 if name in OF_CLASSES else predictions
        yield float(METRICS[name](np.ravel(labels), np.ravel(answers), None)[0])


def shown(values: dict[tuple[str, str], Values], head: list[str]) -> str:
    """Means over the factors, with intervals over factors."""
    lines = []
    for key, found in values.items():
        draws = np.random.default_rng(0).integers(len(found), size=(10_000, len(found)))
        low, high = np.quantile(found[draws].mean(axis=1), [0.025, 0.975], axis=0)
        means = found.mean(axis=0)
        cells = [format_interval(*cell) for cell in zip(means, low, high, strict=True)]
        lines.append([*key, str(len(found)), *cells])
    return TextTable([*head, "factors", *NAMES], lines).to_markdown() + "\n"


if __name__ == "__main__":
    main()
