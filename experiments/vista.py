"""VISTA enhancers: baselines, the ensemble and saved encoders, in five folds.

    python experiments/vista.py vista.fa.gz -o OUT [--task VISTATissues] [--encoder FOLDER ...]

Each model is fitted to each fold's training subset, its settings are chosen by the validation
subset, and it predicts the test subset. Elements that share DNA are in one fold. The predictions of all five folds, one for each
element, are measured together; intervals draw groups of homologs. (A constant differs between folds, so
that its AUROC over all of them is not exactly 0.5.) A saved encoder (`--encoder`, such as that
of a GeneBert) is measured twice: `embedding`, a linear model of its frozen vectors (the mean over
windows that it can read), and `fine-tuned`, with a head, on the central part that it can read.
Writes OUT.csv and OUT.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from genoglot.bench.baselines import BASELINES, Linear
from genoglot.bench.ensemble import fit_ensemble_to_task
from genoglot.evaluation import TextTable, format_interval, measure_predictions
from genoglot.evaluation.provenance import code_version, hardware
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.sequence.alphabet import N
from genoglot.tasks import TASKS, TaskData
from genoglot.tasks.dataset import Examples

CHEAP = ["constant", "kmer-linear", "motif-linear", "kmer-boosting"]
Predict = Callable[[Any], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fasta", metavar="FASTA", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--task", choices=["VISTA", "VISTATissues"], default="VISTA")
    parser.add_argument("--models", nargs="*", choices=[*BASELINES, "ensemble"], default=CHEAP)
    parser.add_argument("--encoder", nargs="*", default=[], help="folders of saved encoders")
    parser.add_argument("--window", type=int, default=512, help="bp that an encoder reads at once")
    parser.add_argument("--width", type=int, default=2000, help="maximum length of an element, bp")
    parser.add_argument("--ensemble", type=json.loads, default={}, help="its settings, as JSON")
    parser.add_argument("--training", type=json.loads, default={}, help="of fine-tuning, as JSON")
    parser.add_argument("--seed", type=int, default=0, help="seed of the folds and the models")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        (data,) = TASKS[options.task].build(
            [options.fasta], Path(folder) / "task", seed=options.seed, leakage=False,
            width=options.width,
        )  # fmt: skip
        for name, fit in models(data, options).items():
            rows += measured(data, name, fit)
            print(rows[-len(data.metrics) :], flush=True)
    table = pl.DataFrame(rows)
    table.write_csv(options.out.with_suffix(".csv"))
    text = f"{about(data, options)}\n\n{shown(table)}\n"
    options.out.with_suffix(".md").write_text(text)
    print(text)


def models(data: TaskData, options: argparse.Namespace) -> dict[str, Callable[..., Predict]]:
    """Functions that fit a model to training and validation examples, by the model's name."""
    found: dict[str, Callable[..., Predict]] = {}

    def baseline(name: str) -> Callable[..., Predict]:
        def fit(train: Examples, validation: Examples) -> Predict:
            model = BASELINES[name](data.target, len(data.outputs), seed=options.seed)
            model.fit_subset(train, validation)
            return model.predict

        return fit

    def ensemble(train: Examples, validation: Examples) -> Predict:
        model = fit_ensemble_to_task(data, train, validation, seed=options.seed, **options.ensemble)
        return lambda inputs: model.predict(np.asarray(inputs[:]))

    def embedding(encoder: SequenceEncoder) -> Callable[..., Predict]:
        def fit(train: Examples, validation: Examples) -> Predict:
            model = Embedding(encoder, options.window, data)
            model.fit_subset(train, validation)
            return model.predict

        return fit

    def fine_tuned(path: str) -> Callable[..., Predict]:
        def fit(train: Examples, validation: Examples) -> Predict:
            encoder = SequenceEncoder.from_pretrained(path)
            model = SequenceModel(
                encoder, target=data.target, names=data.outputs, seed=options.seed,
                **options.training,
            )  # fmt: skip
            width = min(encoder.max_bases, options.window)
            held_out = central(validation.codes[:], width), np.asarray(validation.labels)
            model.fit(
                central(train.codes[:], width), np.asarray(train.labels), validation=held_out,
                choose_by="loss",
            )  # fmt: skip
            return lambda inputs: model.predict(central(inputs[:], width))

        return fit

    for name in options.models:
        found[name] = ensemble if name == "ensemble" else baseline(name)
    for path in options.encoder:
        label = Path(path).name
        found[f"{label}, embedding"] = embedding(SequenceEncoder.from_pretrained(path))
        found[f"{label}, fine-tuned"] = fine_tuned(path)
    return found


class Embedding(Linear):
    """Linear model of the vectors of an encoder, the mean over windows of a sequence."""

    def __init__(self, encoder: SequenceEncoder, window: int, data: TaskData) -> None:
        super().__init__(data.target, len(data.outputs))
        self.encoder, self.window = encoder, min(encoder.max_bases, window)

    def _describe(self, codes: Any) -> Any:
        missing = -codes.shape[1] % self.window
        windows = np.pad(codes, ((0, 0), (0, missing)), constant_values=N)
        windows = windows.reshape(-1, self.window)
        read = (windows != N).sum(axis=1) >= self.window // 2
        read |= np.arange(len(windows)) % (len(windows) // len(codes)) == 0  # the first, always
        vectors = np.full((len(windows), self.encoder.dim), np.nan, np.float32)
        vectors[read] = self.encoder.embed(windows[read], strands="both")
        return np.nanmean(vectors.reshape(len(codes), -1, self.encoder.dim), axis=1)


def central(codes: Any, width: int) -> Any:
    """The central bases of each sequence, which is padded with N at its end."""
    lengths = (codes != N).sum(axis=1)
    start = np.maximum(lengths - width, 0) // 2
    padded = np.pad(codes, ((0, 0), (0, width)), constant_values=N)
    return np.take_along_axis(padded, start[:, None] + np.arange(width), axis=1)


def measured(data: TaskData, name: str, fit: Callable[..., Predict]) -> list[dict[str, Any]]:
    """Fit one model to each fold and measure its predictions of all elements."""
    begin = time.perf_counter()
    predictions = np.empty((len(data), len(data.outputs)), np.float32)
    for split in data.splits:
        train, validation, test = (data.subset(split, s) for s in ("train", "validation", "test"))
        predictions[data.rows(split, "test")] = fit(train, validation)(test.inputs)
    groups = data.examples["group"].to_numpy()
    metrics = [*data.metrics]
    if data.target == "binary":
        metrics += ["precision (macro)", "recall (macro)"]
    found = measure_predictions(np.asarray(data.labels[:]), predictions, metrics, groups=groups)
    seconds = time.perf_counter() - begin
    return [
        {"model": name, "metric": one.metric, "value": one.value, "low": one.low,
         "high": one.high, "seconds": seconds}
        for one in found
    ]  # fmt: skip


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
    metrics = table["metric"].unique(maintain_order=True).to_list()
    lines = []
    for (name,), rows in table.group_by("model", maintain_order=True):
        cells = [format_interval(*row) for row in rows.select("value", "low", "high").iter_rows()]
        lines.append([str(name), *cells, f"{rows['seconds'][0]:.0f}"])
    return TextTable(["model", *metrics, "s"], lines).to_markdown()


if __name__ == "__main__":
    main()
