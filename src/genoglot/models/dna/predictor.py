"""`DnaPredictor`: the base class of models that predict labels or values from DNA."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from genoglot.models.dna.lengths import TrainedLengths
from genoglot.pretrained import Pretrained
from genoglot.sequence import DnaTokenizer
from genoglot.sequence.alphabet import Codes, Lengths


class DnaPredictor(Pretrained):
    """A model that predicts from DNA: a network, trees, or an ensemble of them.

    A subclass implements `tokenizer`, `_predict` and, if there is a limit, `_check_maximum`.

    Attributes
    ----------
    names
        Names of the outputs, if they have some.
    lengths
        Lengths that the model was trained on, if they are known.
    """

    names: list[str] | None = None
    lengths: TrainedLengths | None = None

    @property
    @abstractmethod
    def tokenizer(self) -> DnaTokenizer:
        """How the model reads DNA."""

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
            Number of sequences that are read at a time.

        Returns
        -------
        NDArray
            Probabilities or values, float32 (n, outputs).

        Raises
        ------
        ModelError
            If a sequence is shorter or longer than those that the model was trained on, or longer
            than the model can read; or if the model is not fitted.
        """
        if len(codes):
            sizes = [codes.shape[1]] if lengths is None else [np.min(lengths), np.max(lengths)]
            for size in sizes:
                self.check_length(int(size), any_length=any_length)
        return self._predict(codes, lengths, batch_size)

    def check_length(
        self, length: int, what: str = "a sequence", *, any_length: bool = False
    ) -> None:
        """Refuse a length, in bp, that `predict` refuses; the error calls the sequence `what`."""
        if self.lengths is not None and not any_length:
            self.lengths.check(length, what)
        self._check_maximum(length, what)

    def to(self, device: str | torch.device) -> Self:
        """Move the networks of the model, if it has some, to a device."""
        return self

    @abstractmethod
    def _predict(
        self, codes: Codes, lengths: Lengths | None, batch_size: int
    ) -> NDArray[np.float32]:
        """Predict sequences of lengths that the model can read."""

    def _check_maximum(self, length: int, what: str) -> None:
        """Refuse a length that is longer than the model can read."""
