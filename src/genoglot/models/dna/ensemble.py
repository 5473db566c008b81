"""`SequenceEnsemble`: the mean of several models of the same labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from genoglot.errors import ModelError
from genoglot.models.dna.lengths import TrainedLengths
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.pretrained import Pretrained
from genoglot.registry import load
from genoglot.saved import Saved
from genoglot.sequence import DnaTokenizer
from genoglot.sequence.alphabet import Codes, Lengths


class Member(Protocol):
    """A model that predicts from DNA: a network, trees, or an ensemble of them."""

    names: list[str] | None

    @property
    def lengths(self) -> TrainedLengths | None:
        """Lengths that the model was trained on, if they are known."""

    @property
    def tokenizer(self) -> DnaTokenizer:
        """Tokenizer of the model."""

    def predict(
        self,
        codes: Codes,
        lengths: Lengths | None = None,
        *,
        any_length: bool = ...,
        batch_size: int = ...,
    ) -> NDArray[np.float32]:
        """Predict probabilities of labels or classes, or values: float32 (n, outputs)."""

    def check_length(self, length: int, what: str = ..., *, any_length: bool = ...) -> None:
        """Refuse a length in bp that the model cannot read or was not trained on."""

    def to(self, device: str | torch.device) -> Any:
        """Move to a device."""


class SequenceEnsemble(Pretrained):
    """The mean of the predictions of several models.

    Parameters
    ----------
    members
        Models of the same outputs; an ensemble among them counts as one.

    Raises
    ------
    ModelError
        If there is no member, or their outputs have other names.
    """

    model_type = "sequence-ensemble"

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.members: list[Member] = list(members)
        if not self.members:
            raise ModelError("an ensemble needs at least one model")
        if len({tuple(member.names or ()) for member in self.members}) > 1:
            raise ModelError("the models of an ensemble have different names of outputs")
        self.names = self.members[0].names

    @property
    def tokenizer(self) -> DnaTokenizer:
        """The tokenizer of the first model."""
        return self.members[0].tokenizer

    def networks(self) -> list[SequenceModel]:
        """List the networks among the members, also those inside ensembles."""
        found = []
        for member in self.members:
            if isinstance(member, SequenceEnsemble):
                found += member.networks()
            elif isinstance(member, SequenceModel):
                found.append(member)
        return found

    @property
    def lengths(self) -> TrainedLengths | None:
        """Lengths that all members were trained on; None if one does not record them."""
        known = [member.lengths for member in self.members]
        if None in known:
            return None
        shortest, longest, padded = zip(*known, strict=True)
        return TrainedLengths(max(shortest), min(longest), all(padded))

    def predict(
        self,
        codes: Codes,
        lengths: Lengths | None = None,
        *,
        any_length: bool = False,
        batch_size: int = 64,
    ) -> NDArray[np.float32]:
        """Predict probabilities of labels or classes, or values.

        Parameters and errors are those of `SequenceModel.predict`.

        Returns
        -------
        NDArray
            float32 (n, outputs).
        """
        predictions = [
            member.predict(codes, lengths, any_length=any_length, batch_size=batch_size)
            for member in self.members
        ]
        mean: NDArray[np.float32] = np.mean(predictions, axis=0, dtype=np.float32)
        return mean

    def check_length(
        self, length: int, what: str = "a sequence", *, any_length: bool = False
    ) -> None:
        """Refuse sequences of this length in bp, named `what` in the error, as `predict` does."""
        for member in self.members:
            member.check_length(length, what, any_length=any_length)

    def to(self, device: str | torch.device) -> Self:
        """Move to a device, as torch modules do."""
        for member in self.members:
            member.to(device)
        return self

    def _metadata(self) -> dict[str, Any]:
        return {"members": len(self.members)}

    def _parts(self) -> dict[str, Any]:
        return {f"member-{i}": member for i, member in enumerate(self.members)}

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        folders = [saved.folder / f"member-{i}" for i in range(saved.config["members"])]
        return cls([load(folder, "dna-predictor") for folder in folders])
