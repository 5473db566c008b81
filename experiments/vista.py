"""VISTA enhancers: baselines, the ensemble and saved encoders, in five folds.

    python experiments/vista.py vista.fa.gz -o OUT [--task VISTATissues] [--models kmer-linear ...]
        [--encoder NAME=FOLDER ...] [--readouts frozen fine-tuned] [--than kmer-linear]

Each model is fitted to each fold's training subset, its settings are chosen by the validation
subset, and it predicts the test subset. Elements that share DNA are in one fold. Figures are means
over the five folds; intervals draw groups of homologs. (Predictions of all folds are not ranked
together: where more positives are in the test subset, fewer are in training, so that a model that
has learned nothing is then below an AUROC of 0.5.)

A saved encoder, such as that of a GeneBert, is read in two ways: `frozen`, a linear model of its
vectors (the mean over windows that it can read, and over both strands), and `fine-tuned`, with a
head, on the central part that it can read.

OUT/TASK holds the predictions of each model: what is there is not fitted again, so that models can
be added by further commands. table.md and table.csv are of all that is there; table.md also has the
difference of each model from that of `--than`, for the same draws.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.bench.baselines import BASELINES, Linear
from genoglot.bench.ensemble import fit_ensemble_to_task
from genoglot.evaluation import TextTable, format_interval
from genoglot.evaluation.intervals import resample_counts
from genoglot.evaluation.predictions import METRICS, OF_CLASSES
from genoglot.evaluation.provenance import code_version, hardware
from genoglot.files import atomic_path
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.sequence.alphabet import Codes, Lengths, N
from genoglot.tasks import TASKS, TaskData

CHEAP = ("constant", "kmer-linear", "motif-linear", "kmer-boosting")
READOUTS = ("frozen", "fine-tuned")
Floats = NDArray[np.float32]
Values = NDArray[np.float64]
Predict = Callable[[str], Floats]
"""Fits a model to the training subset of a split, and predicts its test subset."""


def main() -> None:
    options = parse()
    out = options.out / options.task
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        (data,) = TASKS[options.task].build(
            [options.fasta], Path(folder) / "task", seed=options.seed, leakage=False,
            width=options.width,
        )  # fmt: skip
        for name, predict in models(data, options).items():
            if not (out / f"{name}.npz").exists():
                save(out / f"{name}.npz", data, predict)
        predictions = {
            file.stem: np.load(file)["predictions"] for file in sorted(out.glob("*.npz"))
        }
        values = {name: drawn(data, found) for name, found in predictions.items()}
        table = summary(data, values)
        table.write_csv(out / "table.csv")
        text = f"{about(data, options)}\n\n{shown(table)}\n"
        if options.than in values:
            than = {name: found - values[options.than] for name, found in values.items()}
            text += f"\nMinus {options.than}:\n\n{shown(summary(data, than))}\n"
        if len(data.outputs) > 1:
            text += f"\n{by_output(data, predictions)}\n"
        (out / "table.md").write_text(text)
        print(text)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fasta", metavar="FASTA", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--task", choices=["VISTA", "VISTATissues"], default="VISTA")
    parser.add_argument("--models", nargs="*", choices=[*BASELINES, "ensemble"], default=CHEAP)
    parser.add_argument("--encoder", nargs="*", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--readouts", nargs="+", choices=READOUTS, default=READOUTS)
    parser.add_argument("--window", type=int, default=512, help="bp that an encoder reads at once")
    parser.add_argument("--width", type=int, default=2000, help="maximum length of an element, bp")
    parser.add_argument("--ensemble", type=json.loads, default={}, help="its settings, as JSON")
    parser.add_argument("--training", type=json.loads, default={}, help="of fine-tuning, as JSON")
    parser.add_argument("--than", default="kmer-linear", help="model to compare the others with")
    parser.add_argument("--seed", type=int, default=0, help="seed of the folds and the models")
    return parser.parse_args()


def models(data: TaskData, options: argparse.Namespace) -> dict[str, Predict]:
    """All models that are asked for, by name."""
    found: dict[str, Predict] = {}
    for name in options.models:
        found[name] = ensemble(data, options) if name == "ensemble" else baseline(data, name)
    for given in options.encoder:
        name, _, folder = given.rpartition("=")
        for readout in options.readouts:
            make = frozen if readout == "frozen" else fine_tuned
            found[f"{name or Path(folder).name}, {readout}"] = make(data, folder, options)
    return found


def baseline(data: TaskData, name: str) -> Predict:
    def predict(split: str) -> Floats:
        model = BASELINES[name](data.target, len(data.outputs))
        model.fit_subset(data.subset(split, "train"), data.subset(split, "validation"))
        return model.predict(data.subset(split, "test").inputs)

    return predict


def ensemble(data: TaskData, options: argparse.Namespace) -> Predict:
    def predict(split: str) -> Floats:
        train, validation, test = (data.subset(split, s) for s in ("train", "validation", "test"))
        model = fit_ensemble_to_task(data, train, validation, seed=options.seed, **options.ensemble)
        return model.predict(test.codes[:])

    return predict


class OfVectors(Linear):
    """Linear model of vectors that are at hand."""

    def _describe(self, codes: Any) -> Any:
        return codes


def frozen(data: TaskData, folder: str, options: argparse.Namespace) -> Predict:
    @cache
    def vectors() -> Floats:
        return mean_vectors(SequenceEncoder.from_pretrained(folder), data.codes[:], options.window)

    def predict(split: str) -> Floats:
        train, validation, test = (data.rows(split, s) for s in ("train", "validation", "test"))
        x, y = vectors(), data.labels[:]
        model = OfVectors(data.target, len(data.outputs))
        model.fit(x[train], y[train], (x[validation], y[validation]))
        return model.predict(x[test])

    return predict


def mean_vectors(encoder: SequenceEncoder, codes: Codes, window: int) -> Floats:
    """Mean vector of the windows of each sequence, without those that are mostly padding."""
    window = min(encoder.max_bases, window)
    codes = np.pad(codes, ((0, 0), (0, -codes.shape[1] % window)), constant_values=N)
    windows = codes.reshape(-1, window)
    lengths = (windows != N).sum(axis=1)
    read = lengths >= window // 2
    read[:: codes.shape[1] // window] = True  # the first one of each sequence, always
    vectors = np.full((len(windows), encoder.dim), np.nan, np.float32)
    vectors[read] = encoder.embed(windows[read], lengths[read], strands="both")
    return np.nanmean(vectors.reshape(len(codes), -1, encoder.dim), axis=1)


def fine_tuned(data: TaskData, folder: str, options: argparse.Namespace) -> Predict:
    def predict(split: str) -> Floats:
        encoder = SequenceEncoder.from_pretrained(folder)
        width = min(encoder.max_bases, options.window)
        model = SequenceModel(
            encoder, target=data.target, names=data.outputs, seed=options.seed, **options.training
        )
        train, validation, test = (
            (*central(subset.codes[:], width), np.asarray(subset.labels))
            for subset in (data.subset(split, s) for s in ("train", "validation", "test"))
        )
        model.fit(
            train[0], train[2], lengths=train[1], validation=(validation[0], validation[2]),
            validation_lengths=validation[1], choose_by="loss", progress=False,
        )  # fmt: skip
        return model.predict(test[0], test[1], any_length=True)

    return predict


def central(codes: Codes, width: int) -> tuple[Codes, Lengths]:
    """Central bases of each sequence, which ends with padding, and the number of bases."""
    lengths = (codes != N).sum(axis=1)
    start = np.maximum(lengths - width, 0) // 2
    padded = np.pad(codes, ((0, 0), (0, width)), constant_values=N)
    part = np.take_along_axis(padded, start[:, None] + np.arange(width), axis=1)
    return part, np.minimum(lengths, width)


def save(path: Path, data: TaskData, predict: Predict) -> None:
    """Fit one model to each fold, and write its predictions of all elements."""
    begin = time.perf_counter()
    predictions = np.empty((len(data), len(data.outputs)), np.float32)
    for split in data.splits:
        predictions[data.rows(split, "test")] = predict(split)
        print(f"{path.stem}: {split}, {time.perf_counter() - begin:.0f} s", flush=True)
    seconds = time.perf_counter() - begin
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, predictions=predictions, seconds=seconds)


def metrics(data: TaskData) -> list[str]:
    more = ["precision (macro)", "recall (macro)"] if data.target == "binary" else []
    return [*data.metrics, *more]


def drawn(data: TaskData, predictions: Floats, outputs: Sequence[int] | None = None) -> Values:
    """Each metric, the mean over outputs and folds: as it is, and in 1,000 draws of groups."""
    outputs = range(len(data.outputs)) if outputs is None else outputs
    _, group = np.unique(data.examples["group"].to_numpy(), return_inverse=True)
    draws = resample_counts(1000, int(group.max()) + 1, np.random.default_rng(0))[:, group]
    weights = np.concatenate([np.ones((1, len(group))), draws])
    labels, found = data.labels[:], []
    for name in metrics(data):
        answers = predictions > 0.5 if name in OF_CLASSES else predictions
        parts = [
            METRICS[name](labels[rows, i], answers[rows, i], weights[:, rows])
            for rows in (data.rows(split, "test") for split in data.splits)
            for i in outputs
        ]
        found.append(np.nanmean(parts, axis=0))
    return np.stack(found, axis=1)


def summary(data: TaskData, values: dict[str, Values]) -> pl.DataFrame:
    """Values with 95 % intervals, by the spread of the draws.

    Their quantiles would be too high for AUPRC: a positive that is drawn twice is easier to find.
    """
    rows = []
    for model, (value, *draws) in values.items():
        around = 1.96 * np.std(draws, axis=0)
        bounds = zip(value, value - around, value + around, strict=True)
        rows += [(model, name, *bound) for name, bound in zip(metrics(data), bounds, strict=True)]
    return pl.DataFrame(rows, ["model", "metric", "value", "low", "high"], orient="row")


def by_output(data: TaskData, predictions: dict[str, Floats]) -> str:
    """First metric of each output, by model."""
    lines = []
    for i, output in enumerate(data.outputs):
        values = {name: drawn(data, found, [i]) for name, found in predictions.items()}
        first = summary(data, values).filter(metric=data.metrics[0])
        cells = [format_interval(*row) for row in first.select("value", "low", "high").iter_rows()]
        lines.append([output, f"{data.labels[:][:, i].sum():.0f}", *cells])
    head = [f"{data.metrics[0]} by output", "elements", *predictions]
    return TextTable(head, lines).to_markdown()


def about(data: TaskData, options: argparse.Namespace) -> str:
    """What was measured."""
    groups = data.examples["group"].n_unique()
    return (
        f"{data.task}: {len(data):,} elements in {groups:,} groups of homologs, "
        f"{len(data.outputs)} outputs, at most {options.width:,} bp; five folds, seed "
        f"{options.seed}; data {data.digest[:12]}; commit {code_version()}; {hardware()}"
    )


def shown(table: pl.DataFrame) -> str:
    """Models by metrics."""
    names: Sequence[str] = table["metric"].unique(maintain_order=True).to_list()
    lines = []
    for (model,), rows in table.group_by("model", maintain_order=True):
        cells = [format_interval(*row) for row in rows.select("value", "low", "high").iter_rows()]
        lines.append([str(model), *cells])
    return TextTable(["model", *names], lines).to_markdown()


if __name__ == "__main__":
    main()
