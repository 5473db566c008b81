"""`SequenceModel`: an encoder of DNA with a head, trained on labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from genoglot.errors import ModelError
from genoglot.models.dna.heads import SequenceHead, Target, not_learnable
from genoglot.models.dna.lengths import TrainedLengths
from genoglot.models.dna.predictor import PredictorSettings, SequencePredictor
from genoglot.models.dna.sequence_encoder import Batch, SequenceEncoder, batches
from genoglot.sequence import reverse_complement
from genoglot.sequence.alphabet import Codes, Lengths, N
from genoglot.training.checkpoints import data_digest
from genoglot.training.loop import (
    Decay,
    Part,
    Rows,
    Schedule,
    Where,
    learn,
    tokenizer_digest,
)
from genoglot.training.losses import OBJECTIVES, SMOOTHED, Objective
from genoglot.training.validation import Metric, Watch

Labels = NDArray[Any]

VALIDATION = "validation.csv"

_OBJECTIVE_OF: dict[Target, Objective] = {
    "binary": "bce",
    "multi-label": "bce",
    "regression": "mse",
    "multi-class": "cross-entropy",
}


class SupervisedSettings(PredictorSettings):
    """Settings of a `SequenceModel`, besides those of a `SequencePredictor`.

    Attributes
    ----------
    objective
        `"bce"` or `"focal"` for labels, `"mse"` or `"huber"` for values, `"cross-entropy"` for
        classes; by default the first.
    label_smoothing
        Share of each label that is spread over all outcomes in training; of `"bce"` and
        `"cross-entropy"`.
    frozen
        Train the head only. Vectors are computed once, before the training.
    shift
        Training shifts each sequence by up to so many bp to either side, drawn at random; N fills
        what is left free.
    epochs, max_steps
        Passes over the data, or steps in their place.
    batch_size
        Sequences of a step, over all processes.
    learning_rate, decay, weight_decay
        See `Schedule`.
    warm_up
        Share of the steps in which the learning rate rises.
    """

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


class SequenceModel(SequencePredictor):
    """An encoder with a head: `fit` it to labels, then `predict`.

    Parameters
    ----------
    encoder
        New, or pre-trained. It becomes part of the model and is trained with it, unless `frozen`.
    names
        Of the outputs: labels, values or classes. By default they have none.
    **settings
        Those of `SupervisedSettings`.

    Raises
    ------
    ModelError
        If a setting is unknown, or the objective is none for the target.

    Examples
    --------
    >>> from genoglot.models.dna.cnn_lstm import CnnLstm
    >>> from genoglot.sequence import stack_codes
    >>> codes, _ = stack_codes(["ACGTACGT", "TTTTTTTT"] * 4)
    >>> model = SequenceModel(CnnLstm(channels=(8,), dim=8), epochs=1)
    >>> model.fit(codes, np.array([1, 0] * 4, np.float32)).predict(codes).shape
    (8, 1)
    """

    def __init__(
        self, encoder: SequenceEncoder, *, names: Sequence[str] | None = None, **settings: Any
    ) -> None:
        s = SupervisedSettings.of(settings, "sequence model")
        super().__init__(encoder, s)
        self.settings: SupervisedSettings = s
        default = _OBJECTIVE_OF[s.target]
        self.objective: Objective = s.objective or default
        fits = {"bce": ("bce", "focal"), "mse": ("mse", "huber")}.get(default, (default,))
        if self.objective not in fits:
            raise ModelError(
                f"{self.objective} is no objective for {s.target}; use {' or '.join(fits)}"
            )
        if s.label_smoothing and self.objective not in SMOOTHED:
            raise ModelError(f"labels of {self.objective} are not smoothed; leave label_smoothing")
        if s.frozen and s.shift:
            raise ModelError("a frozen encoder reads each sequence once; leave shift at 0")
        self.names = list(names) if names is not None else None

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
        progress: bool | None = False,
        where: Where | None = None,
    ) -> Self:
        """Train on labeled sequences.

        Parameters
        ----------
        codes
            A C G T N = 0 1 2 3 4, uint8 (n, length); also a memory-mapped array, of which only the
            rows of a batch are read.
        labels
            float32 (n, outputs) or, if there is one output, (n,), NaN where a label is missing;
            for classes their numbers, int64 (n,), below 0 where it is missing.
        lengths
            Bases of each sequence that count, int64 (n,); by default all.
        shortest
            Without lengths: bases of the shortest sequence, where sequences are filled up with N at
            their end; by default none is. `predict` takes sequences from this length on, and fills
            them up as well.
        validation
            Codes and labels on which loss and `choose_by` are measured after every epoch.
        validation_lengths
            Bases of each of these that count; by default all.
        choose_by
            Keep the weights of the epoch at which this is best: `"loss"` (lowest), or a function
            of labels and predictions (highest). By default the last weights are kept.
        log_folder
            Where `loss.csv`, `validation.csv` and the checkpoint are written; by default nowhere.
        resume
            Go on from the checkpoint in `log_folder`, if there is one, to the same result.
        progress
            Show a progress bar; if None, in a terminal.
        where
            Devices; by default one, a GPU if there is any.

        Raises
        ------
        ModelError
            If labels do not fit the sequences or the target, there are none, or all are the same.
        """
        s = self.settings
        labels = self._checked(codes, labels)
        if choose_by is not None and validation is None:
            raise ModelError("weights are chosen by validation data; give some")
        self._make_head(labels)
        self.lengths = TrainedLengths.of(codes, lengths, shortest)
        not_learnable(labels, s.target, self.names)
        network = _Network(self.encoder, self._head(), self.objective, s.label_smoothing).train()
        learned = [parameter.requires_grad for parameter in self.encoder.parameters()]
        if s.frozen:
            self.encoder.requires_grad_(False)
        data = _Data(self, codes, lengths, labels)
        per_pass = -(-len(codes) // min(s.batch_size, len(codes)))
        steps = s.max_steps or s.epochs * per_pass
        folder = Path(log_folder) if log_folder is not None else None
        watch: list[Watch] = []
        held_out: tuple[Any, ...] = ()
        if validation is not None:
            path = folder / VALIDATION if folder else None
            held_out = validation[0], validation_lengths, self._checked(*validation)
            watch.append(self._watch(network, per_pass, *held_out, choose_by, path))
        learn(
            network,
            data.batch,
            len(codes),
            Schedule(steps, s.learning_rate, round(s.warm_up * steps), s.decay, s.weight_decay),
            batch_size=s.batch_size,
            seed=s.seed,
            round_steps=per_pass,
            folder=folder,
            resume=resume,
            about={
                "settings": s.model_dump(),
                "encoder": self.encoder.description(),
                "tokenizer": tokenizer_digest(self.encoder.tokenizer),
                "data": folder and data_digest(codes, lengths, labels),
                "validation": folder and data_digest(*held_out),
            },
            callbacks=watch,
            progress=progress,
            where=where,
        )
        if watch and watch[0].weights:
            network.load_state_dict(watch[0].weights)
        for parameter, was in zip(self.encoder.parameters(), learned, strict=True):
            parameter.requires_grad_(was)
        return self

    @classmethod
    def _of(cls, encoder: SequenceEncoder, settings: dict[str, Any]) -> Self:
        return cls(encoder, **settings)

    def _watch(
        self,
        network: _Network,
        per_pass: int,
        codes: Codes,
        lengths: Lengths | None,
        labels: Labels,
        choose_by: Metric | Literal["loss"] | None,
        path: Path | None,
    ) -> Watch:
        def logits() -> Tensor:
            return torch.cat(self._logits(codes, lengths, self.settings.batch_size))

        return Watch(per_pass, logits, network.loss, network.head.answer, labels, choose_by, path)

    def _make_head(self, labels: Labels) -> None:
        """Make the head that the labels need, unless there is one from before."""
        classes = self.settings.target == "multi-class"
        if self.head is None:
            outputs = labels.shape[1] if not classes else len(self.names or ()) or _classes(labels)
            self.head = self._new_head(outputs)
        outputs = self.head.center.numel()
        if classes and labels.max() >= outputs:
            raise ModelError(f"class number {labels.max()} is none of the {outputs} classes")
        if not classes and labels.shape[1] != outputs:
            raise ModelError(f"{labels.shape[1]} labels a sequence, but the model has {outputs}")
        if self.names is not None and len(self.names) != outputs:
            raise ModelError(f"{len(self.names)} names for {outputs} outputs; give one for each")
        if self.settings.target == "regression":
            there = ~np.isnan(labels)
            number = np.maximum(there.sum(axis=0), 1)
            center = np.where(there, labels, 0).sum(axis=0, dtype=np.float64) / number
            spread = np.sqrt((np.where(there, labels - center, 0) ** 2).sum(axis=0) / number)
            self.head.center.copy_(torch.from_numpy(center))
            self.head.scale.copy_(torch.from_numpy(np.where(spread > 0, spread, 1)))

    def _checked(self, codes: Codes, labels: Labels) -> Labels:
        """Labels as the objective takes them: float32 (n, outputs), or int64 (n,) classes."""
        labels = np.asarray(labels)
        if len(labels) != len(codes):
            raise ModelError(f"{len(codes)} sequences, but labels of {len(labels)}; give one each")
        if self.settings.target == "multi-class":
            if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
                raise ModelError(
                    f"classes are {labels.dtype} {labels.shape}; give their numbers, int64 (n,)"
                )
            missing, labels = labels < 0, labels.astype(np.int64)
        else:
            if labels.ndim not in (1, 2):
                raise ModelError(f"the labels are {labels.shape}; give (n, outputs)")
            labels = labels.astype(np.float32).reshape(len(labels), -1)
            missing = np.isnan(labels)
            if self.settings.target == "binary" and labels.shape[1] != 1:
                raise ModelError(f"{labels.shape[1]} labels a sequence; make it multi-label")
            if (
                self.settings.target != "regression"
                and not (missing | ((labels >= 0) & (labels <= 1))).all()
            ):
                raise ModelError("a label is not between 0 and 1; for other values, regression")
        if missing.all():
            raise ModelError("no label is there; give some")
        return labels


def _shifted(codes: Codes, by: Rows) -> Codes:
    """Shift sequences to the right by so many bp each, (n, length) and (n,); N comes in."""
    width = codes.shape[1]
    place = np.arange(width) - by[:, None]
    inside = (place >= 0) & (place < width)
    moved = np.take_along_axis(codes, np.where(inside, place, 0), axis=1)
    return np.where(inside, moved, np.uint8(N))


def _classes(labels: Labels) -> int:
    return int(labels.max()) + 1


class _Labeled(NamedTuple):
    """A batch: what the encoder reads of each strand, or its vectors of each; and labels."""

    views: list[Batch]
    vectors: list[Tensor]
    labels: Tensor


class _Network(nn.Module):
    """Encoder and head, as the training loop sees them."""

    def __init__(
        self, encoder: SequenceEncoder, head: SequenceHead, objective: Objective, smoothing: float
    ) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.objective = OBJECTIVES[objective]
        self.smoothed = {"smoothing": smoothing} if smoothing else {}

    def forward(self, batch: _Labeled) -> Part:
        vectors = batch.vectors or [self.encoder(view).sequence for view in batch.views]
        return self.loss(torch.stack([self.head(part) for part in vectors]).mean(0), batch.labels)

    def loss(self, logits: Tensor, labels: Tensor) -> Part:
        if self.head.target == "regression":
            labels = (labels - self.head.center) / self.head.scale
        smoothed = self.smoothed if self.training else {}
        return self.objective(logits.float(), labels, **smoothed)


class _Data:
    """Makes batches of the training data."""

    def __init__(
        self, model: SequenceModel, codes: Codes, lengths: Lengths | None, labels: Labels
    ) -> None:
        self.encoder, self.settings = model.encoder, model.settings
        self.codes, self.lengths, self.labels = codes, lengths, labels
        self.vectors: list[NDArray[np.float32]] = []
        if self.settings.frozen:
            self.vectors = [self.encoder.embed(codes, lengths)]
            if self.settings.strands != "forward":
                pairs = batches(codes, lengths, 1024)
                self.vectors.append(
                    np.concatenate(
                        [self.encoder.embed(reverse_complement(*pair), pair[1]) for pair in pairs]
                    )
                )

    def batch(self, rows: Rows, number: int) -> _Labeled:
        rows = np.sort(rows)  # files are read in their order
        labels = torch.from_numpy(self.labels[rows])
        strands, shift = self.settings.strands, self.settings.shift
        turned = np.zeros(len(rows), np.bool_)
        if strands == "random" or shift:
            draws = [np.random.default_rng((self.settings.seed, number, row)) for row in rows]
        if strands == "random":
            turned = np.array([draw.random() < 0.5 for draw in draws])
        if self.vectors:
            read = [vectors[rows] for vectors in self.vectors]
            if strands == "random":
                read = [np.where(turned[:, None], read[1], read[0])]
            return _Labeled([], [torch.from_numpy(part) for part in read], labels)
        codes = np.asarray(self.codes[rows])
        lengths = None if self.lengths is None else self.lengths[rows]
        if turned.any():
            codes = np.where(turned[:, None], reverse_complement(codes, lengths), codes)
        if shift:
            codes = _shifted(codes, np.array([draw.integers(-shift, shift + 1) for draw in draws]))
        views = [self.encoder.tokenize(codes, lengths)]
        if strands == "both":
            views.append(self.encoder.tokenize(reverse_complement(codes, lengths), lengths))
        return _Labeled(views, [], labels)
