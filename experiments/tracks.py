"""Chromatin tracks, each chromosome left out in turn: the tables of docs/results/tracks.md.

    genoglot task build Track7878 SHEET --genome WINDOWS.fa.gz ... -o TASK
    python experiments/tracks.py TASK -o OUT [--subset validation] [--seeds 0 1 2]

Of the chromosomes that are not left out, every fifth block of 50 kb is used for validation, and the
others for training. The settings of the baselines, and the number of epochs of the network, are
chosen by the validation blocks, which `--subset validation` shows. `--subset test` measures the
chromosome that is left out, once. Means per assay are over the tracks with positives and negatives;
intervals draw blocks of 50 kb. Writes OUT.csv and OUT.md.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.bench.baselines import BASELINES
from genoglot.evaluation import TextTable, format_interval, measure_predictions
from genoglot.evaluation.provenance import code_version, hardware
from genoglot.models.dna.cnn import CnnFc
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.tasks import TaskData

BLOCK = 50_000
CHEAP = ("constant", "kmer-linear", "motif-linear")
NETWORK = "cnn-fc"
EPOCHS = (15, 30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", metavar="TASK", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--subset", choices=["validation", "test"], default="validation")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of the network")
    options = parser.parse_args()
    data = TaskData.open(options.task)
    about = (
        f"Subset {options.subset}, seeds {options.seeds}; data {data.digest[:12]}; "
        f"commit {code_version()}; {hardware()}"
    )
    codes, labels = np.asarray(data.codes), np.asarray(data.labels)
    block = data.examples["start"].to_numpy() // BLOCK
    rows: list[dict[str, Any]] = []
    for chrom in data.groups:
        out = (data.examples["chrom"] == chrom).to_numpy()
        subsets = {"test": out, "validation": ~out & (block % 5 == 4)}
        subsets["train"] = ~out & ~subsets["validation"]
        train, check = ((codes[of], labels[of]) for of in (subsets["train"], subsets["validation"]))
        held = subsets[options.subset]
        where = [f"{c} {b}" for c, b in zip(data.examples["chrom"].filter(held), block[held],
                                            strict=True)]  # fmt: skip
        for name in (*CHEAP, NETWORK):
            for seed in options.seeds if name == NETWORK else [0]:
                begin = time.perf_counter()
                predictions = predicted(name, seed, train, check, codes[held])
                for assay in sorted(set(data.output_groups)):
                    of = np.array(data.output_groups) == assay
                    rows += [
                        {"left_out": chrom, "model": name, "seed": seed, "assay": assay,
                         "metric": m.metric, "value": m.value, "low": m.low, "high": m.high,
                         "tracks": int((~np.isnan(m.outputs)).sum()), "bins": int(held.sum()),
                         "trained_on": len(train[0]), "positive": float(labels[held][:, of].mean()),
                         "seconds": time.perf_counter() - begin}
                        for m in measure_predictions(labels[held][:, of], predictions[:, of],
                                                     data.metrics, groups=where)
                    ]  # fmt: skip
                    print(rows[-2], flush=True)
    table = pl.DataFrame(rows)
    table.write_csv(options.out.with_suffix(".csv"))
    text = f"{about}\n\n{shown(table)}\n"
    options.out.with_suffix(".md").write_text(text)
    print(text)


def predicted(
    name: str, seed: int, train: tuple[Any, Any], check: tuple[Any, Any], codes: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Fit to the training subset, choose on the validation subset, predict."""
    outputs = train[1].shape[1]
    if name in CHEAP:
        baseline = BASELINES[name]("multi-label", outputs)
        baseline.fit(*train, check)
        return baseline.predict(codes)
    best, predictions = np.inf, None
    for epochs in EPOCHS:  # annealed again each time: see decision 7
        encoder = CnnFc(channels=(32, 48), kernel=12, pool=8, dim=64, dropout=0.3, seed=seed)
        model = SequenceModel(
            encoder, target="multi-label", strands="random", epochs=epochs, batch_size=32,
            learning_rate=1e-3, seed=seed,
        ).fit(*train)  # fmt: skip
        error = cross_entropy(check[1], model.predict(check[0]))
        print(f"{name}, seed {seed}, {epochs} epochs: validation {error:.4f}", flush=True)
        if error < best:
            best, predictions = error, model.predict(codes)
    assert predictions is not None
    return predictions


def cross_entropy(labels: NDArray[np.float32], predictions: NDArray[np.float32]) -> float:
    """Mean cross-entropy."""
    p = np.clip(predictions.astype(np.float64), 1e-6, 1 - 1e-6)
    return float(-(labels * np.log(p) + (1 - labels) * np.log1p(-p)).mean())


def shown(table: pl.DataFrame) -> str:
    """A line for each assay, metric and model; of several seeds, their mean and spread."""
    chroms = table["left_out"].unique(maintain_order=True).to_list()
    lines = []
    for key, rows in table.group_by(["assay", "metric", "model"], maintain_order=True):
        cells = []
        for chrom in chroms:
            some = rows.filter(pl.col("left_out") == chrom)
            cells.append(format_interval(*some.select(pl.mean("value", "low", "high")).row(0)))
            if len(some) > 1:
                cells[-1] += f", sd {some['value'].std():.3f}"
        lines.append([*map(str, key), *cells, f"{rows['value'].mean():.3f}"])
    heads = ["assay", "metric", "model", *(f"{chrom} left out" for chrom in chroms), "mean"]
    return TextTable(heads, sorted(lines, key=lambda line: line[:2])).to_markdown()


if __name__ == "__main__":
    main()
