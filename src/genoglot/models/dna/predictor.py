"""`SequencePredictor`: an encoder of DNA with a head, that answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from genoglot.errors import ModelError
from genoglot.models.dna.heads import SequenceHead, Target
from genoglot.models.dna.lengths import TrainedLengths, extreme_lengths
from genoglot.models.dna.sequence_encoder import (
    ENCODER,
    SequenceEncoder,
    batches,
    inference,
    load_weights,
    to_numpy,
    torch_seed,
    weights_of,
)
from genoglot.models.pretrained import Arrays, Pretrained
from genoglot.models.settings import Settings
from genoglot.sequence import DnaTokenizer, reverse_complement
from genoglot.sequence.alphabet import Codes, Lengths

HEAD = "head."


class PredictorSettings(Settings):
    """Settings of a `SequencePredictor`.

    Attributes
    ----------
    target
        What is predicted: see `SequenceHead`.
    strands
        `"forward"`: sequences as they are given. `"random"`: training reads each on a strand drawn
        at random, prediction reads both. `"both"`: training, too, reads both. Where both are read,
        their logits (or values) are averaged.
    hidden
        Width between the two layers of the head; by default that of the vector.
    dropout
        In the head.
    seed
        Of the head's weights; in training, of order, strands and dropout too.
    """

    target: Target = "binary"
    strands: Literal["forward", "random", "both"] = "forward"
    hidden: int | None = Field(None, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    seed: int = Field(0, ge=0)


class SequencePredictor(Pretrained):
    """An encoder with a head, as `from_pretrained` loads it.

    (To train one: `SequenceModel`.) `SequenceEncoder.from_pretrained` reads
    the encoder from where it is saved.

    Parameters
    ----------
    encoder
        The encoder.
    settings
        Those of the head and of what it is given.

    Attributes
    ----------
    names
        Of the outputs: labels, values or classes; None if they have none.
    head
        None before the model is fitted.
    lengths
        Lengths that the model was trained on; None before it is fitted, or if it was saved by a
        version that did not record them.
    """

    kind = "sequence-model"
    hint = "use load_predictor; an encoder alone predicts nothing; train a model on it"

    settings: PredictorSettings

    def __init__(self, encoder: SequenceEncoder, settings: PredictorSettings) -> None:
        self.encoder, self.settings = encoder, settings
        self.names: list[str] | None = None
        self.head: SequenceHead | None = None
        self.lengths: TrainedLengths | None = None

    def predict(
        self,
        codes: Codes,
        lengths: Lengths | None = None,
        *,
        any_length: bool = False,
        batch_size: int = 64,
    ) -> NDArray[np.float32]:
        """Predict probabilities of labels or classes, or values.

        Parameters
        ----------
        codes, lengths
            As for `SequenceEncoder.embed`. A model that was fitted without lengths reads sequences
            that are filled up with N to those of its training.
        any_length
            Also predict sequences of other lengths than those that the model was trained on.
        batch_size
            Sequences at a time.

        Returns
        -------
        float32 (n, outputs)

        Raises
        ------
        ModelError
            If a sequence is shorter or longer than those that the model was trained on, or longer
            than the encoder can read.
        """
        head = self._head()
        for length in extreme_lengths(codes, lengths):
            self.check_length(length, any_length=any_length)
        logits = self._logits(codes, lengths, batch_size)
        return to_numpy([head.answer(part).detach() for part in logits], head.center.numel())

    def check_length(
        self, length: int, what: str = "a sequence", *, any_length: bool = False
    ) -> None:
        """Refuse sequences of so many bp, with the errors of `predict`, which call them `what`."""
        if self.lengths is not None and not any_length:
            self.lengths.check(length, what)
        self.encoder.check_length(length, what)

    def embed(
        self, codes: Codes, lengths: Lengths | None = None, *, batch_size: int = 64
    ) -> NDArray[np.float32]:
        """Vectors of the encoder, float32 (n, dim): the mean of both strands if it reads both."""
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

    def _settings(self) -> dict[str, Any]:
        return {
            "encoder": self.encoder.description(),
            "model": self.settings.model_dump(mode="json"),
            "outputs": self._head().center.numel(),
            "names": self.names,
            "lengths": self.lengths,
        }

    def _save(self, folder: Path) -> Arrays:
        self.encoder.tokenizer.save_pretrained(folder)
        return weights_of(self.encoder, ENCODER) | weights_of(self._head(), HEAD)

    @classmethod
    def _load(cls, folder: Path, settings: dict[str, Any], arrays: Arrays) -> Self:
        made = cls._of(SequenceEncoder.from_pretrained(folder), settings["model"])
        made.names = settings["names"]
        made.lengths = TrainedLengths(*found) if (found := settings.get("lengths")) else None
        made.head = made._new_head(settings["outputs"]).eval()
        load_weights(made.head, arrays, HEAD, folder)
        return made

    @classmethod
    def _of(cls, encoder: SequenceEncoder, settings: dict[str, Any]) -> Self:
        """Make one from the settings of a saved model."""
        known = {k: v for k, v in settings.items() if k in PredictorSettings.model_fields}
        return cls(encoder, PredictorSettings.of(known, "sequence model"))

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
