"""`SequenceModel`: an encoder of DNA with a head, to be fitted to labels and to predict them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from genoglot.errors import ModelError
from genoglot.models.dna.heads import SequenceHead, warn_of_not_learnable
from genoglot.models.dna.labeled_examples import (
    LabeledExamples,
    Labels,
    SupervisedNetwork,
    check_labels,
)
from genoglot.models.dna.lengths import TrainedLengths
from genoglot.models.dna.predictor import DnaPredictor
from genoglot.models.dna.sequence_encoder import (
    ENCODER,
    SequenceEncoder,
    batches,
    frozen,
    inference,
    to_numpy,
)
from genoglot.models.dna.target import Target
from genoglot.nn.seed import torch_seed
from genoglot.nn.state import load_state_arrays, state_arrays
from genoglot.pretrained import Pretrained
from genoglot.saved import Arrays, Saved
from genoglot.sequence import DnaTokenizer, reverse_complement
from genoglot.sequence.alphabet import Codes, Lengths
from genoglot.settings import Settings
from genoglot.training.device import DeviceOptions
from genoglot.training.examples import Examples
from genoglot.training.identity import data_digest, saved_digest
from genoglot.training.losses import SMOOTHED, Objective
from genoglot.training.schedule import Decay, Schedule
from genoglot.training.validation import Validation

Metric = Callable[[NDArray[Any], NDArray[np.float32]], float]

_OBJECTIVE_OF: dict[Target, Objective] = {
    "binary": "bce",
    "multi-label": "bce",
    "regression": "mse",
    "multi-class": "cross-entropy",
}


class SequenceModelSettings(Settings):
    """Settings of a `SequenceModel`.

    Attributes
    ----------
    target
        What is predicted: see `genoglot.models.dna.target`.
    strands
        `"forward"`: sequences are read as they are given. `"random"`: training reads each on a
        random strand, prediction reads both. `"both"`: training reads both, too. Where both are
        read, their logits (or values) are averaged.
    hidden
        Width of the hidden layer of the head; by default the width of the encoder's vector.
    dropout
        Dropout rate in the head.
    seed
        Seed of the weights of the head and, in training, of order, strands, shifts and dropout.
    objective
        Loss: `"bce"` or `"focal"` for labels, `"mse"` or `"huber"` for values, `"cross-entropy"`
        for classes; by default the first.
    label_smoothing
        Label smoothing in training, for `"bce"` and `"cross-entropy"`.
    frozen
        Train the head only. Vectors are computed once, before the training.
    shift
        Maximum of the random shift of a training sequence to either side, in bp; the sequence is
        padded with N.
    epochs
        Number of passes over the data.
    max_steps
        Number of optimizer steps, in place of `epochs`.
    batch_size
        Number of sequences in a training step, over all processes.
    learning_rate, decay, weight_decay
        See `genoglot.training.schedule.Schedule`.
    warm_up
        Fraction of the steps in which the learning rate rises.
    """

    target: Target = "binary"
    strands: Literal["forward", "random", "both"] = "forward"
    hidden: int | None = Field(None, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    seed: int = Field(0, ge=0)
    objective: Objective | None = None
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    frozen: bool = False
    shift: int = Field(0, ge=0)
    epochs: int = Field(10, ge=1)
    max_steps: int | None = Field(None, ge=1)
    batch_size: int = Field(64, ge=1)
    learning_rate: float = Field(3e-4, gt=0)
    warm_up: float = Field(0.1, ge=0, le=1)
    decay: Decay = "linear"
    weight_decay: float = Field(0.01, ge=0)


class SequenceModel(DnaPredictor):
    """An encoder with a head: `fit` it to labels, then `predict`.

    `SequenceEncoder.from_pretrained` reads only the encoder from the folder of a saved model.

    Parameters
    ----------
    encoder
        A new or pre-trained encoder. It becomes part of the model and is trained too, unless the
        setting `frozen` is true.
    names
        Names of the outputs: labels, values or classes. By default they have none.
    **settings
        Fields of `SequenceModelSettings`; the others have their defaults.

    Attributes
    ----------
    head
        Head of the model; None before it is fitted.
    lengths
        Lengths that the model was trained on; None before it is fitted.

    Raises
    ------
    ModelError
        If a setting is unknown, or the objective does not fit the target.

    Examples
    --------
    >>> from genoglot.models.dna.cnn import CnnLstm
    >>> from genoglot.sequence import stack_codes
    >>> codes, _ = stack_codes(["ACGTACGT", "TTTTTTTT"] * 4)
    >>> model = SequenceModel(CnnLstm(channels=(8,), dim=8), epochs=1)
    >>> model.fit(codes, np.array([1, 0] * 4, np.float32)).predict(codes).shape
    (8, 1)
    """

    model_type = "sequence-model"
    settings_class = SequenceModelSettings
    settings: SequenceModelSettings

    def __init__(
        self, encoder: SequenceEncoder, *, names: Sequence[str] | None = None, **settings: Any
    ) -> None:
        super().__init__(**settings)
        s = self.settings
        self.encoder = encoder
        self.names = list(names) if names is not None else None
        self.head: SequenceHead | None = None
        default = _OBJECTIVE_OF[s.target]
        self.objective: Objective = s.objective or default
        fitting = {"bce": ("bce", "focal"), "mse": ("mse", "huber")}.get(default, (default,))
        if self.objective not in fitting:
            raise ModelError(
                f"{self.objective} is not an objective for {s.target}; use {' or '.join(fitting)}"
            )
        if s.label_smoothing and self.objective not in SMOOTHED:
            raise ModelError(f"labels of {self.objective} are not smoothed; leave label_smoothing")
        if s.frozen and s.shift:
            raise ModelError("a frozen encoder reads each sequence once; leave shift at 0")

    def fit(
        self,
        codes: Codes,
        labels: Labels,
        *,
        lengths: Lengths | None = None,
        shortest: int | None = None,
        validation: tuple[Codes, Labels] | None = None,
        validation_lengths: Lengths | None = None,
        choose_by: Metric | Literal["loss"] | None = None,
        log_folder: str | Path | None = None,
        resume: bool = False,
        progress: bool | None = None,
        device: str | DeviceOptions = "auto",
    ) -> Self:
        """Train on labeled sequences.

        Parameters
        ----------
        codes
            A C G T N = 0 1 2 3 4, uint8 (n, length); of a memory-mapped array only the
            rows of a batch are read.
        labels
            float32 (n, outputs) or, if there is one output, (n,), NaN where a label is missing;
            for classes their numbers, int64 (n,), below 0 where a label is missing.
        lengths
            Length of each sequence in bp, int64 (n,); by default no sequence is padded.
        shortest
            Without lengths: length of the shortest sequence in bp, if sequences are padded with N
            at their end; by default none is. `predict` accepts sequences from this length on, and
            pads them as well.
        validation
            Codes and labels on which the loss and `choose_by` are measured after every epoch.
        validation_lengths
            Length of each of these sequences in bp; by default no sequence is padded.
        choose_by
            Use the weights of the epoch with the best value: `"loss"` (lowest), or a function of
            labels and predictions (highest). By default the last weights are used.
        log_folder
            Folder of `loss.csv`, `validation.csv`, TensorBoard's log and the checkpoint; by default
            nothing is written.
        resume
            Continue from the checkpoint in `log_folder`, if there is one, to the same result.
        progress
            Show a progress bar; by default in a terminal.
        device
            Device to train on; by default a GPU if there is one. Afterwards the model is on the
            device on which it was before.

        Returns
        -------
        SequenceModel
            The model itself, fitted.

        Raises
        ------
        ModelError
            If labels do not match the sequences or the target, there are none, or all are the same.
        """
        from genoglot.training.loop import train

        s = self.settings
        labels = check_labels(codes, labels, s.target)
        if choose_by is not None and validation is None:
            raise ModelError("choose_by needs validation data; give some")
        self._make_head(labels)
        self.lengths = TrainedLengths.of(codes, lengths, shortest)
        network = SupervisedNetwork(self.encoder, self._head(), self.objective, s.label_smoothing)
        held_out: tuple[Any, ...] = ()
        if validation is not None:
            held_out = (
                validation[0], validation_lengths, check_labels(*validation, s.target)
            )  # fmt: skip
        data = LabeledExamples(
            self.encoder, codes, lengths, labels,
            strands=s.strands, shift=s.shift, frozen=s.frozen, seed=s.seed,
        )  # fmt: skip
        examples = Examples(len(codes), s.batch_size, data.batch)
        steps = s.max_steps or s.epochs * examples.steps_per_epoch
        with frozen(self.encoder, enabled=s.frozen):
            train(
                network,
                examples,
                Schedule(steps, s.learning_rate, round(s.warm_up * steps), s.decay, s.weight_decay),
                seed=s.seed,
                validation=self._validation(network, held_out, choose_by),
                folder=Path(log_folder) if log_folder is not None else None,
                resume=resume,
                identity=None if log_folder is None else {
                    "settings": s.model_dump(),
                    "encoder": self.encoder.description(),
                    "tokenizer": saved_digest(self.encoder.tokenizer),
                    "data": data_digest(codes, lengths, labels),
                    "validation": data_digest(*held_out),
                },
                progress=progress,
                device=device,
            )  # fmt: skip
        return self

    def embed(
        self, codes: Codes, lengths: Lengths | None = None, *, batch_size: int = 64
    ) -> NDArray[np.float32]:
        """Encode sequences: float32 (n, dim), the mean of both strands if the model reads both."""
        strands: Literal["forward", "both"] = (
            "forward" if self.settings.strands == "forward" else "both"
        )
        return self.encoder.embed(codes, lengths, strands=strands, batch_size=batch_size)

    @property
    def tokenizer(self) -> DnaTokenizer:
        """The tokenizer of the encoder."""
        return self.encoder.tokenizer

    def to(self, device: str | torch.device) -> Self:
        """Move to a device, as torch modules do."""
        self.encoder.to(device)
        self._head().to(device)
        return self

    def _predict(
        self, codes: Codes, lengths: Lengths | None, batch_size: int
    ) -> NDArray[np.float32]:
        head = self._head()
        logits = self._logits(codes, lengths, batch_size)
        return to_numpy([head.answer(part).detach() for part in logits], head.center.numel())

    def _check_maximum(self, length: int, what: str) -> None:
        self.encoder.check_length(length, what)

    def _metadata(self) -> dict[str, Any]:
        outputs = self._head().center.numel()
        return {"outputs": outputs, "names": self.names, "lengths": self.lengths}

    def _parts(self) -> dict[str, Pretrained]:
        return {ENCODER: self.encoder}

    def _arrays(self) -> Arrays:
        return state_arrays(self._head())

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        config, encoder = saved.config, SequenceEncoder.from_pretrained(saved.folder / ENCODER)
        model = cls(encoder, names=config["names"], **saved.settings)
        model.lengths = TrainedLengths(*config["lengths"]) if config["lengths"] else None
        model.head = model._new_head(config["outputs"]).eval()
        load_state_arrays(model.head, saved.arrays)
        return model

    def _new_head(self, outputs: int) -> SequenceHead:
        s = self.settings
        with torch_seed(s.seed):
            return SequenceHead(
                self.encoder.dim, outputs, s.target, hidden=s.hidden or self.encoder.dim,
                dropout=s.dropout,
            )  # fmt: skip

    def _head(self) -> SequenceHead:
        if self.head is None:
            raise ModelError("the model is not fitted; fit it to labels")
        return self.head

    def _logits(self, codes: Codes, lengths: Lengths | None, batch_size: int) -> list[Tensor]:
        head = self._head()
        both = self.settings.strands != "forward"
        found = []
        with inference(self.encoder), inference(head):
            for part, some in batches(codes, lengths, batch_size):
                if self.lengths is not None:
                    part, some = self.lengths.pad(part, some)
                logits = head(self.encoder(self.encoder.batch(part, some)).sequence)
                if both:
                    reverse = self.encoder.batch(reverse_complement(part, some), some)
                    logits = (logits + head(self.encoder(reverse).sequence)) / 2
                found.append(logits)
        return found

    def _make_head(self, labels: Labels) -> None:
        """Make a head for the labels, unless there is one from an earlier `fit`."""
        classes = self.settings.target == "multi-class"
        head = self.head
        if head is not None:
            outputs = head.center.numel()
        else:
            outputs = labels.shape[1] if not classes else len(self.names or ()) or _classes(labels)
        if classes and labels.max() >= outputs:
            raise ModelError(f"class number {labels.max()} is not one of the {outputs} classes")
        if not classes and labels.shape[1] != outputs:
            raise ModelError(
                f"{labels.shape[1]} labels for each sequence, but the model has {outputs} outputs"
            )
        if self.names is not None and len(self.names) != outputs:
            raise ModelError(f"{len(self.names)} names for {outputs} outputs; give one for each")
        warn_of_not_learnable(labels, self.settings.target, self.names)
        if head is None:
            head = self._new_head(outputs).to(next(self.encoder.parameters()).device).eval()
        if self.settings.target == "regression":
            known = ~np.isnan(labels)
            number = np.maximum(known.sum(axis=0), 1)
            center = np.where(known, labels, 0).sum(axis=0, dtype=np.float64) / number
            deviation = np.sqrt((np.where(known, labels - center, 0) ** 2).sum(axis=0) / number)
            head.center.copy_(torch.from_numpy(center))
            head.scale.copy_(torch.from_numpy(np.where(deviation > 0, deviation, 1)))
        self.head = head

    def _validation(
        self, network: SupervisedNetwork, held_out: tuple[Any, ...],
        choose_by: Metric | Literal["loss"] | None,
    ) -> Validation | None:  # fmt: skip
        if not held_out:
            return None
        codes, lengths, labels = held_out

        def measure() -> dict[str, float]:
            logits = torch.cat(self._logits(codes, lengths, self.settings.batch_size))
            loss = network.loss(logits, torch.from_numpy(labels).to(logits.device))
            if not callable(choose_by):
                return {"loss": float(loss.mean)}
            predictions = network.head.answer(logits).float().cpu().numpy()
            return {"loss": float(loss.mean), "value": float(choose_by(labels, predictions))}

        if callable(choose_by):
            return Validation(measure, best_by="value", highest=True)
        return Validation(measure, best_by=choose_by)


def _classes(labels: Labels) -> int:
    return int(labels.max()) + 1
