"""Core promoters (GUE/prom/prom_core_all): fine-tuning after each pre-training, and a CNN."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.evaluation.predictions import auroc, mcc
from genoglot.models.dna.cnn import CnnFc
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.nn.seed import torch_seed
from genoglot.sequence import to_codes

LEARNING_RATE = 2e-3
"""Learning rate of fine-tuning, the same for all models."""

Labeled = tuple[NDArray[np.uint8], NDArray[np.float32]]


class Promoters(NamedTuple):
    """Training, development and test sequences with their labels: codes (n, 70), float32 (n,)."""

    train: Labeled
    dev: Labeled
    test: Labeled

    @classmethod
    def read(cls, folder: Path) -> Promoters:
        """Read train.csv, dev.csv and test.csv."""
        return cls(*(read_promoters(folder / f"{part}.csv") for part in cls._fields))


def read_promoters(table: Path) -> Labeled:
    """Read sequences and labels of a CSV file of GUE."""
    with table.open(newline="") as file:
        rows = [(row["sequence"], float(row["label"])) for row in csv.DictReader(file)]
    codes = np.stack([to_codes(sequence) for sequence, _ in rows])
    return codes, np.array([label for _, label in rows], np.float32)


def plain_cnn(length: int, parameters: int, seed: int) -> CnnFc:
    """Make a CNN of two convolutions with about a number of parameters."""

    def make(channels: int) -> CnnFc:
        with torch_seed(seed):
            return CnnFc(
                length=length, channels=(channels, channels), dim=channels, pool=3, seed=seed
            )

    return min(map(make, range(32, 513, 16)), key=lambda cnn: abs(count(cnn) - parameters))


def count(encoder: SequenceEncoder) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in encoder.parameters())


def fine_tune(
    encoder: SequenceEncoder,
    data: Promoters,
    *,
    seed: int,
    epochs: int,
    batch_size: int,
    device: str,
) -> dict[str, Any]:
    """Fine-tune an encoder and predict the development and the test set.

    The epoch is that with the highest Matthews correlation on the development set. The labels of
    the test set are not read here.
    """
    model = SequenceModel(
        encoder, target="binary", epochs=epochs, batch_size=batch_size,
        learning_rate=LEARNING_RATE, seed=seed,
    )  # fmt: skip
    model.fit(*data.train, validation=data.dev, choose_by=matthews, device=device, progress=False)
    dev, test = (model.predict(part[0], batch_size=512).ravel() for part in (data.dev, data.test))
    return {
        "dev_mcc": matthews(data.dev[1], dev), "dev_auroc": float(auroc(data.dev[1], dev)[0]),
        "fine_tuned_parameters": count(encoder), "predictions": test.round(5).tolist(),
    }  # fmt: skip


def matthews(labels: NDArray[Any], probabilities: NDArray[np.float32]) -> float:
    return float(mcc(labels.ravel(), (probabilities.ravel() >= 0.5).astype(int))[0])
