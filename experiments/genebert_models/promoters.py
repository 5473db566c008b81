"""Core promoters (GUE/prom/prom_core_all): fine-tuning after each pre-training, and a CNN."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.models.dna.cnn import CnnFc
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.nn.seed import torch_seed
from genoglot.sequence import to_codes

LEARNING_RATES = (1e-4, 3e-4)
"""Learning rates of fine-tuning; one is chosen on the development set, for each model."""


class Promoters(NamedTuple):
    """Training, development and test sequences with their labels: codes (n, 70), float32 (n,)."""

    train: tuple[NDArray[np.uint8], NDArray[np.float32]]
    dev: tuple[NDArray[np.uint8], NDArray[np.float32]]
    test: tuple[NDArray[np.uint8], NDArray[np.float32]]


def read_promoters(table: Path) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Read sequences and labels of a CSV file of GUE."""
    with table.open(newline="") as file:
        rows = [(row["sequence"], float(row["label"])) for row in csv.DictReader(file)]
    codes = np.stack([to_codes(sequence) for sequence, _ in rows])
    return codes, np.array([label for _, label in rows], np.float32)


def read_all(folder: Path) -> Promoters:
    """Read train.csv, dev.csv and test.csv."""
    return Promoters(*(read_promoters(folder / f"{part}.csv") for part in Promoters._fields))


def plain_cnn(length: int, parameters: int, seed: int) -> CnnFc:
    """Make a CNN of DeepSEA's shape, two convolutions, with about a number of parameters."""
    best: CnnFc | None = None
    for channels in range(32, 1025, 16):
        with torch_seed(seed):
            found = CnnFc(
                length=length, channels=(channels, channels), dim=channels, pool=3, seed=seed
            )
        if best is not None and count(found) > parameters:
            smaller = parameters - count(best) < count(found) - parameters
            return best if smaller else found
        best = found
    assert best is not None
    return best


def count(encoder: SequenceEncoder) -> int:
    return sum(parameter.numel() for parameter in encoder.parameters())


def fine_tune(
    make: Any, data: Promoters, *, seed: int, epochs: int, batch_size: int, device: str
) -> dict[str, Any]:
    """Fine-tune an encoder with each learning rate, and predict the test set with the best.

    The epoch and the learning rate are those with the highest Matthews correlation on the
    development set. The labels of the test set are not read here.

    Parameters
    ----------
    make
        Function that returns the encoder to begin with.
    data
        The sequences.
    seed, epochs, batch_size, device
        See `SequenceModelSettings`.
    """
    from genoglot.evaluation.predictions import mcc

    def quality(labels: NDArray[Any], predictions: NDArray[np.float32]) -> float:
        return float(mcc(labels.ravel(), (predictions.ravel() >= 0.5).astype(int))[0])

    best: dict[str, Any] = {"dev_mcc": -2.0}
    for rate in LEARNING_RATES:
        model = SequenceModel(
            make(), target="binary", epochs=epochs, batch_size=batch_size, learning_rate=rate,
            seed=seed,
        )  # fmt: skip
        model.fit(*data.train, validation=data.dev, choose_by=quality, device=device,
                  progress=False)  # fmt: skip
        if device != "cpu":
            model.to(device)
        dev = quality(data.dev[1], model.predict(data.dev[0], batch_size=512))
        if dev > best["dev_mcc"]:
            best = {
                "dev_mcc": dev, "learning_rate": rate, "parameters": count(model.encoder),
                "predictions": model.predict(data.test[0], batch_size=512).ravel().round(5).tolist(),
            }  # fmt: skip
    return best


def measure_promoters(
    labels: NDArray[np.float32], predictions: NDArray[np.float32], known: NDArray[np.bool_]
) -> dict[str, Any]:
    """Macro precision and recall, AUC and MCC with intervals over test sequences.

    Parameters
    ----------
    labels, predictions
        Labels, and probabilities (n,) or, of several seeds, (seeds, n).
    known
        Sequences that are in the training set too.
    """
    probabilities = np.atleast_2d(predictions)
    rng = np.random.default_rng(0)
    n = len(labels)
    draws = rng.integers(n, size=(1000, n))
    result: dict[str, Any] = {}
    for name, function in METRICS.items():
        values = [function(labels, p) for p in probabilities]
        # Sequences are drawn, and seeds.
        spread = [
            np.mean([function(labels[draw], probabilities[i][draw]) for i in seeds])
            for draw, seeds in zip(
                draws, rng.integers(len(probabilities), size=(1000, len(probabilities))), strict=True
            )
        ]
        low, high = np.nanquantile(spread, [0.025, 0.975])
        result[name] = {"value": float(np.mean(values)), "low": float(low), "high": float(high),
                        "seeds": [float(v) for v in values]}  # fmt: skip
    new = ~known
    result["AUC of new sequences"] = {
        "value": float(np.mean([METRICS["AUC"](labels[new], p[new]) for p in probabilities]))
    }
    return result


def _confusion(labels: NDArray[Any], p: NDArray[Any]) -> tuple[float, float, float, float]:
    said, true = p >= 0.5, labels > 0
    return (
        float((said & true).sum()), float((said & ~true).sum()),
        float((~said & true).sum()), float((~said & ~true).sum()),
    )  # fmt: skip


def macro_precision(labels: NDArray[Any], p: NDArray[Any]) -> float:
    """Mean precision of both classes; 0 of a class that is never predicted."""
    tp, fp, fn, tn = _confusion(labels, p)
    return (tp / max(tp + fp, 1) + tn / max(tn + fn, 1)) / 2


def macro_recall(labels: NDArray[Any], p: NDArray[Any]) -> float:
    """Mean recall of both classes."""
    tp, fp, fn, tn = _confusion(labels, p)
    return (tp / max(tp + fn, 1) + tn / max(tn + fp, 1)) / 2


def matthews(labels: NDArray[Any], p: NDArray[Any]) -> float:
    tp, fp, fn, tn = _confusion(labels, p)
    below = ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)) ** 0.5
    return (tp * tn - fp * fn) / below if below else 0.0


def area(labels: NDArray[Any], p: NDArray[Any]) -> float:
    from genoglot.evaluation.predictions import auroc

    return float(auroc(labels, p)[0])


METRICS = {"precision": macro_precision, "recall": macro_recall, "AUC": area, "MCC": matthews}
