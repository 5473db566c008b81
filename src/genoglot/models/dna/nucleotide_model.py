"""`NucleotideModel`: an encoder of DNA with a head, which predicts a class of each nucleotide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from genoglot.errors import ModelError
from genoglot.models.dna.heads import TrackHead, warn_of_not_learnable
from genoglot.models.dna.predictor import DnaPredictor
from genoglot.models.dna.sequence_encoder import (
    ENCODER,
    SequenceEncoder,
    batches,
    frozen,
    inference,
)
from genoglot.models.dna.sequence_model import Metric
from genoglot.models.dna.target import NUCLEOTIDES
from genoglot.nn.seed import torch_seed
from genoglot.nn.state import load_state_arrays, state_arrays
from genoglot.pretrained import Pretrained
from genoglot.saved import Arrays, Saved
from genoglot.sequence import DnaTokenizer
from genoglot.sequence.alphabet import Codes, Lengths, N
from genoglot.settings import Settings
from genoglot.training.device import DeviceOptions
from genoglot.training.examples import Batch, Draw, Examples
from genoglot.training.identity import data_digest, saved_digest
from genoglot.training.losses import Losses, cross_entropy
from genoglot.training.schedule import Decay, Schedule
from genoglot.training.validation import Validation

Classes = NDArray[Any]


class NucleotideModelSettings(Settings):
    """Settings of a `NucleotideModel`.

    Attributes
    ----------
    seed
        Seed of the weights of the head and, in training, of order and dropout.
    frozen
        Train the head only.
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

    seed: int = Field(0, ge=0)
    frozen: bool = False
    epochs: int = Field(10, ge=1)
    max_steps: int | None = Field(None, ge=1)
    batch_size: int = Field(16, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    warm_up: float = Field(0.1, ge=0, le=1)
    decay: Decay = "linear"
    weight_decay: float = Field(0.0, ge=0)


class NucleotideModel(DnaPredictor):
    """An encoder with a linear head on the token of each nucleotide: `fit` it, then `predict`.

    Labels are those of the nucleotides in the middle of a sequence; those at both ends are their
    context. The loss is the mean cross-entropy of all nucleotides with a label. A new head begins
    with the frequencies of the classes.

    Parameters
    ----------
    encoder
        A new or pre-trained encoder that has a token for each nucleotide: see
        `SequenceEncoder.token_of_base`. It becomes part of the model and is trained too, unless the
        setting `frozen` is true.
    names
        Names of the classes. By default they have none.
    **settings
        Fields of `NucleotideModelSettings`; the others have their defaults.

    Attributes
    ----------
    head
        Head of the model; None before it is fitted.

    Raises
    ------
    ModelError
        If a setting is unknown.

    Examples
    --------
    >>> from genoglot.models.dna.dilated_cnn import DilatedCnn
    >>> codes = np.random.default_rng(0).integers(0, 4, (8, 100), np.uint8)
    >>> model = NucleotideModel(DilatedCnn(context=80, width=4), epochs=1)
    >>> model.fit(codes, codes[:, 40:-40] // 2).predict(codes).shape
    (8, 20, 2)
    """

    model_type = "nucleotide-model"
    settings_class = NucleotideModelSettings
    settings: NucleotideModelSettings

    def __init__(
        self, encoder: SequenceEncoder, *, names: Sequence[str] | None = None, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.encoder = encoder
        self.names = list(names) if names is not None else None
        self.head: TrackHead | None = None

    def fit(
        self,
        codes: Codes,
        labels: Classes,
        *,
        validation: tuple[Codes, Classes] | None = None,
        choose_by: Metric | Literal["loss"] | None = None,
        log_folder: str | Path | None = None,
        resume: bool = False,
        progress: bool | None = None,
        device: str | DeviceOptions = "auto",
    ) -> Self:
        """Train on sequences whose nucleotides have labels.

        Parameters
        ----------
        codes
            A C G T N = 0 1 2 3 4, uint8 (n, length); of a memory-mapped array only the rows of a
            batch are read.
        labels
            Class number of each nucleotide in the middle of a sequence, integers (n, positions),
            below 0 where a label is missing.
        validation
            Codes and labels on which the loss and `choose_by` are measured after every epoch.
        choose_by
            Use the weights of the epoch with the best value: `"loss"` (lowest), or a function of
            labels and predictions (highest). By default the last weights are used.
        log_folder, resume, progress, device
            As in `SequenceModel.fit`.

        Returns
        -------
        NucleotideModel
            The model itself, fitted.

        Raises
        ------
        ModelError
            If labels do not match the sequences, all are missing or the same, or the encoder has
            no token for each nucleotide.
        """
        from genoglot.training.loop import train

        s = self.settings
        if choose_by is not None and validation is None:
            raise ModelError("choose_by needs validation data; give some")
        self._make_head(codes, labels)
        network = NucleotideNetwork(self.encoder, self._head(), codes.shape[1], frozen=s.frozen)

        def make_batch(draw: Draw) -> Batch:
            rows = np.sort(draw.rows)  # files are read in their order
            batch = self.encoder.tokenize(np.asarray(codes[rows]))
            return {**batch, "labels": torch.from_numpy(np.asarray(labels[rows], np.int64))}

        examples = Examples(len(codes), s.batch_size, make_batch)
        steps = s.max_steps or s.epochs * examples.steps_per_epoch
        with frozen(self.encoder, enabled=s.frozen):
            train(
                network,
                examples,
                Schedule(steps, s.learning_rate, round(s.warm_up * steps), s.decay, s.weight_decay),
                seed=s.seed,
                validation=self._validation(validation, choose_by),
                folder=Path(log_folder) if log_folder is not None else None,
                resume=resume,
                identity=None if log_folder is None else {
                    "settings": s.model_dump(),
                    "encoder": self.encoder.description(),
                    "tokenizer": saved_digest(self.encoder.tokenizer),
                    "data": data_digest(codes, labels),
                    "validation": data_digest(*(validation or ())),
                },
                progress=progress,
                device=device,
            )  # fmt: skip
        return self

    @property
    def tokenizer(self) -> DnaTokenizer:
        """The tokenizer of the encoder."""
        return self.encoder.tokenizer

    @property
    def context(self) -> int:
        """Number of bp of a sequence, at both ends together, that have no prediction."""
        return 2 * self._head().crop

    def to(self, device: str | torch.device) -> Self:
        """Move to a device, as torch modules do."""
        self.encoder.to(device)
        self._head().to(device)
        return self

    def _predict(
        self, codes: Codes, lengths: Lengths | None, batch_size: int
    ) -> NDArray[np.float32]:
        """Predict float32 (n, length - context, classes); past the length of a sequence it is N."""
        codes = np.asarray(codes)
        if lengths is not None:
            codes = np.where(np.arange(codes.shape[1]) < lengths[:, None], codes, np.uint8(N))
        found = [
            logits.softmax(2).float().cpu().numpy() for logits in self._logits(codes, batch_size)
        ]
        if not found:
            positions = max(codes.shape[1] - self.context, 0)
            return np.empty((0, positions, self._head().linear.out_features), np.float32)
        return np.concatenate(found)

    def _check_maximum(self, length: int, what: str) -> None:
        self.encoder.check_length(length, what)

    def _metadata(self) -> dict[str, Any]:
        head = self._head()
        return {"classes": head.linear.out_features, "names": self.names, "crop": head.crop}

    def _parts(self) -> dict[str, Pretrained]:
        return {ENCODER: self.encoder}

    def _arrays(self) -> Arrays:
        return state_arrays(self._head())

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        config, encoder = saved.config, SequenceEncoder.from_pretrained(saved.folder / ENCODER)
        model = cls(encoder, names=config["names"], **saved.settings)
        model.head = model._new_head(config["classes"], config["crop"]).eval()
        load_state_arrays(model.head, saved.arrays)
        return model

    def _new_head(self, classes: int, crop: int) -> TrackHead:
        with torch_seed(self.settings.seed):
            return TrackHead(self.encoder.token_dim, classes, crop=crop, softplus=False)

    def _head(self) -> TrackHead:
        if self.head is None:
            raise ModelError("the model is not fitted; fit it to labels")
        return self.head

    def _logits(self, codes: Codes, batch_size: int) -> Iterator[Tensor]:
        network = NucleotideNetwork(self.encoder, self._head(), codes.shape[1], frozen=True)
        with inference(self.encoder), inference(self._head()):
            for part, _ in batches(codes, None, batch_size):
                yield network.logits(self.encoder.batch(part))

    def _make_head(self, codes: Codes, labels: Classes) -> None:
        """Make a head for the labels, unless there is one from an earlier `fit`."""
        if (
            len(labels.shape) != 2
            or len(labels) != len(codes)
            or not np.issubdtype(labels.dtype, np.integer)
        ):
            raise ModelError(
                f"labels are {labels.dtype} {labels.shape} for {len(codes)} sequences; give class "
                "numbers, integers (n, positions)"
            )
        values = np.asarray(labels)
        found = int(values.max()) if values.size else -1
        if found < 0:
            raise ModelError("all labels are missing; give some")
        crop, odd = divmod(codes.shape[1] - labels.shape[1], 2)
        if crop < 0 or odd:
            raise ModelError(
                f"{labels.shape[1]} labels are not those of the middle of {codes.shape[1]} bp; "
                "give sequences with as much context on one side as on the other"
            )
        self.encoder.check_length(codes.shape[1])
        head = self.head
        classes = head.linear.out_features if head else len(self.names or ()) or found + 1
        if found >= classes:
            raise ModelError(f"class number {found} is not one of the {classes} classes")
        if head is not None and crop != head.crop:
            raise ModelError(
                f"{2 * crop} bp of context, but the model was trained on {self.context} bp"
            )
        warn_of_not_learnable(values, NUCLEOTIDES, self.names)
        if head is None:
            head = self._new_head(classes, crop).to(next(self.encoder.parameters()).device)
            # The first answer is how frequent each class is: sites are rarer than one in a hundred,
            # and a bias that begins at 0 needs thousands of steps to get there.
            counts = np.bincount(values[values >= 0], minlength=classes) + 1
            with torch.no_grad():
                head.linear.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))
            self.head = head.eval()

    def _validation(
        self, held_out: tuple[Codes, Classes] | None, choose_by: Metric | Literal["loss"] | None
    ) -> Validation | None:
        if held_out is None:
            return None
        codes, labels = held_out

        def measure() -> dict[str, float]:
            truth = np.asarray(labels, np.int64)
            predictions = self._predict(codes, None, self.settings.batch_size)
            known = truth >= 0
            right = np.take_along_axis(predictions[known], truth[known][:, None], 1)
            loss = -float(np.log(np.maximum(right, np.finfo(np.float32).tiny)).mean())
            if not callable(choose_by):
                return {"loss": loss}
            return {"loss": loss, "value": float(choose_by(truth, predictions))}

        if callable(choose_by):
            return Validation(measure, best_by="value", highest=True)
        return Validation(measure, best_by=choose_by)


class NucleotideNetwork(nn.Module):
    """An encoder and the head of a `NucleotideModel`, as the training loop needs them.

    A base has the vector of its token.

    Parameters
    ----------
    encoder
        The encoder.
    head
        The head.
    length
        Length of the sequences in bp.
    frozen
        Whether the encoder is not trained; it then has neither gradients nor dropout.

    Raises
    ------
    ModelError
        If the encoder has no token for each base.
    """

    token: Tensor

    def __init__(
        self, encoder: SequenceEncoder, head: TrackHead, length: int, *, frozen: bool
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.frozen = encoder, head, frozen
        token = encoder.token_of_base(length)
        self.n_tokens = int(token[-1]) + 1
        self.register_buffer("token", torch.from_numpy(token), persistent=False)

    def forward(self, batch: Batch) -> Losses:
        """Compute the loss of a batch."""
        logits, labels = self.logits(batch), batch["labels"]
        return {"labels": cross_entropy(logits.flatten(0, 1).float(), labels.flatten())}

    def logits(self, batch: Batch) -> Tensor:
        """Compute the logits of a batch, (batch, positions, classes)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            tokens = self.encoder({k: v for k, v in batch.items() if k != "labels"}).tokens
        if tokens.shape[1] != self.n_tokens:
            raise ModelError(
                f"{self.encoder.model_type} gives {tokens.shape[1]} vectors of {len(self.token)} "
                "bases; use an encoder with one for each, such as dilated-cnn"
            )
        if self.n_tokens < len(self.token):
            tokens = tokens[:, self.token]
        logits: Tensor = self.head(tokens)
        return logits

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, in which a frozen encoder has no dropout."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self
