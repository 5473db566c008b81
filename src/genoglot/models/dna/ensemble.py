"""`SequenceEnsemble`: the mean of several models of the same labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from genoglot.errors import ModelError
from genoglot.models.dna.lengths import TrainedLengths
from genoglot.models.dna.predictor import DnaPredictor
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.registry import load
from genoglot.saved import Saved
from genoglot.sequence import DnaTokenizer
from genoglot.sequence.alphabet import Codes, Lengths


class SequenceEnsemble(DnaPredictor):
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

    def __init__(self, members: Sequence[DnaPredictor]) -> None:
        super().__init__()
        self.members: list[DnaPredictor] = list(members)
        if not self.members:
            raise ModelError("an ensemble needs at least one model")
        if len({tuple(member.names or ()) for member in self.members}) > 1:
            raise ModelError("the models of an ensemble have different names of outputs")
        self.names = self.members[0].names
        known = [member.lengths for member in self.members]
        if None not in known:  # those that all members were trained on
            shortest, longest, filled = zip(*known, strict=True)
            self.lengths = TrainedLengths(max(shortest), min(longest), all(filled))

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

    def check_length(
        self, length: int, what: str = "a sequence", *, any_length: bool = False
    ) -> None:
        """Refuse a length, in bp, that a member refuses; the error calls the sequence `what`."""
        for member in self.members:
            member.check_length(length, what, any_length=any_length)

    def to(self, device: str | torch.device) -> Self:
        """Move to a device, as torch modules do."""
        for member in self.members:
            member.to(device)
        return self

    def _predict(
        self, codes: Codes, lengths: Lengths | None, batch_size: int
    ) -> NDArray[np.float32]:
        predictions = [
            member.predict(codes, lengths, any_length=True, batch_size=batch_size)
            for member in self.members
        ]
        mean: NDArray[np.float32] = np.mean(predictions, axis=0, dtype=np.float32)
        return mean

    def _metadata(self) -> dict[str, Any]:
        return {"members": len(self.members)}

    def _parts(self) -> dict[str, Any]:
        return {f"member-{i}": member for i, member in enumerate(self.members)}

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        folders = [saved.folder / f"member-{i}" for i in range(saved.config["members"])]
        return cls([load(folder, "dna-predictor") for folder in folders])
