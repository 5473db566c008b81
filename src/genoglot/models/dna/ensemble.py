"""`SequenceEnsemble`: models of the same labels, that answer together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from genoglot.errors import ModelError
from genoglot.models.dna.lengths import TrainedLengths
from genoglot.models.dna.predictor import SequencePredictor
from genoglot.models.pretrained import Arrays, Pretrained
from genoglot.sequence import DnaTokenizer
from genoglot.sequence.alphabet import Codes, Lengths


class Member(Protocol):
    """What predicts something of DNA: a network, trees, or an ensemble of such."""

    names: list[str] | None

    @property
    def lengths(self) -> TrainedLengths | None:
        """Lengths that it was trained on, if they are known."""

    @property
    def tokenizer(self) -> DnaTokenizer:
        """How it reads DNA."""

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
        """Refuse sequences of so many bp that it cannot read, or was not trained on."""

    def to(self, device: str | torch.device) -> Any:
        """Move to a device."""

    def save_pretrained(self, path: str | Path, *, overwrite: bool = ...) -> None:
        """Save into a directory."""


class SequenceEnsemble(Pretrained):
    """The mean of what several models predict.

    Parameters
    ----------
    members
        Models of the same outputs; also ensembles, each of which counts as one.

    Raises
    ------
    ModelError
        If there is no member, or their outputs have other names.
    """

    kind = "sequence-ensemble"

    def __init__(self, members: Sequence[Member]) -> None:
        self.members: list[Member] = list(members)
        if not self.members:
            raise ModelError("an ensemble of no model; give some")
        if len({tuple(member.names or ()) for member in self.members}) > 1:
            raise ModelError("the models of an ensemble have other names of outputs")
        self.names = self.members[0].names

    @property
    def tokenizer(self) -> DnaTokenizer:
        """The tokenizer of the first model."""
        return self.members[0].tokenizer

    def networks(self) -> list[SequencePredictor]:
        """List the networks among the members, those of ensembles too."""
        found = []
        for member in self.members:
            if isinstance(member, SequenceEnsemble):
                found += member.networks()
            elif isinstance(member, SequencePredictor):
                found.append(member)
        return found

    @property
    def lengths(self) -> TrainedLengths | None:
        """Lengths that all members were trained on; None if that is not known of one."""
        known = [member.lengths for member in self.members]
        if None in known:
            return None
        shortest, longest, filled = zip(*known, strict=True)
        return TrainedLengths(max(shortest), min(longest), all(filled))

    def predict(
        self,
        codes: Codes,
        lengths: Lengths | None = None,
        *,
        any_length: bool = False,
        batch_size: int = 64,
    ) -> NDArray[np.float32]:
        """Predict probabilities of labels or classes, or values: float32 (n, outputs).

        Parameters and errors are those of `SequencePredictor.predict`.
        """
        told = [
            member.predict(codes, lengths, any_length=any_length, batch_size=batch_size)
            for member in self.members
        ]
        mean: NDArray[np.float32] = np.mean(told, axis=0, dtype=np.float32)
        return mean

    def check_length(
        self, length: int, what: str = "a sequence", *, any_length: bool = False
    ) -> None:
        """Refuse sequences of so many bp, with the errors of `predict`, which call them `what`."""
        for member in self.members:
            member.check_length(length, what, any_length=any_length)

    def to(self, device: str | torch.device) -> Self:
        """Move to a device, as torch modules do."""
        for member in self.members:
            member.to(device)
        return self

    def _settings(self) -> dict[str, Any]:
        return {"members": len(self.members)}

    def _save(self, folder: Path) -> Arrays:
        for i, member in enumerate(self.members):
            member.save_pretrained(folder / f"member-{i}")
        return {}

    @classmethod
    def _load(cls, folder: Path, settings: dict[str, Any], arrays: Arrays) -> Self:
        from genoglot.models import load_predictor

        return cls([load_predictor(folder / f"member-{i}") for i in range(settings["members"])])
