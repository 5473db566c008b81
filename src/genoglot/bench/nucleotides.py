"""Training a `NucleotideModel` on the data of a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from genoglot.bench.run_data import training_labels
from genoglot.errors import TaskError
from genoglot.models.dna.dilated_cnn import DilatedCnn, context_of_network
from genoglot.models.dna.nucleotide_model import NucleotideModel
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.models.dna.target import NUCLEOTIDES
from genoglot.sequence.alphabet import Codes
from genoglot.tasks.dataset import Examples, TaskData
from genoglot.training.device import DeviceOptions


def fit_nucleotide_model_to_task(
    data: TaskData,
    train: Examples,
    validation: Examples,
    *,
    encoder: SequenceEncoder | None = None,
    seed: int = 0,
    log_folder: Path | None = None,
    resume: bool = False,
    device: str | DeviceOptions = "auto",
    **settings: Any,
) -> NucleotideModel:
    """Fit an encoder with a head to the nucleotides of a task.

    Parameters
    ----------
    data
        The dataset.
    train, validation
        Examples to train on, and to choose the best epoch by (lowest loss).
    encoder
        The encoder. Default: a new `DilatedCnn` that sees the context of the task.
    seed, log_folder, resume, device
        As in `NucleotideModel.fit`.
    **settings
        Settings of the `NucleotideModel`.

    Returns
    -------
    NucleotideModel
        The fitted model.

    Raises
    ------
    TaskError
        If the labels are not those of nucleotides.
    ModelError
        If a setting is unknown, or the encoder has no token for each nucleotide or cannot read such
        long sequences.
    """
    if data.target != NUCLEOTIDES:
        raise TaskError(f"{data.name}: has labels of sequences, not of nucleotides")
    if encoder is None:
        encoder = DilatedCnn(context=context_of_network(data.context), seed=seed)
    model = NucleotideModel(encoder, names=data.outputs, seed=seed, **settings)
    return model.fit(
        cast(Codes, train.codes),
        training_labels(data, train),
        validation=(cast(Codes, validation.codes), training_labels(data, validation)),
        choose_by="loss",
        log_folder=log_folder,
        resume=resume,
        device=device,
    )
