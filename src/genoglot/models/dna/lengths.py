"""The lengths of the sequences that a model was trained on, and what it makes of others."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from genoglot.errors import ModelError
from genoglot.sequence.alphabet import Codes, N
from genoglot.sequence.tokenizers.padding import Lengths, checked_codes


class TrainedLengths(NamedTuple):
    """Lengths of the sequences that a model was trained on.

    Attributes
    ----------
    shortest, longest
        In bp.
    filled
        Whether the model was trained on sequences that were filled up with N to the longest, as
        those of a task are, and not given their lengths. Predictions then fill up sequences too.
    """

    shortest: int
    longest: int
    filled: bool

    @classmethod
    def of(cls, codes: Codes, lengths: Lengths | None, shortest: int | None) -> Self:
        """Lengths of training data, with the arguments of `SequenceModel.fit`."""
        width = int(codes.shape[1])
        if lengths is None:
            return cls(min(shortest or width, width), width, True)
        return cls(int(np.min(lengths)), int(np.max(lengths)), False)

    def check(self, length: int, what: str = "a sequence") -> None:
        """Refuse another length.

        Parameters
        ----------
        length
            In bp.
        what
            What an error calls the sequence.

        Raises
        ------
        ModelError
            If it is below the shortest or above the longest.

        Examples
        --------
        >>> TrainedLengths(50, 70, filled=True).check(60)
        >>> TrainedLengths(70, 70, filled=True).check(130)
        Traceback (most recent call last):
        genoglot.errors.ModelError: a sequence of 130 bp, but the model was trained on 70 bp; ...
        """
        if not self.shortest <= length <= self.longest:
            raise ModelError(
                f"{what} of {length:,} bp, but the model was trained on {self}; give such a "
                f"length (of regions: --width {self.longest}), or overrule this by any_length=True "
                "(--any-length)"
            )

    def fill(self, codes: Codes, lengths: Lengths | None) -> tuple[Codes, Lengths | None]:
        """Lay a batch out as the model saw those of its training.

        If it was trained on sequences that were filled up with N, so are these: what a model
        answers then depends neither on the other sequences of a batch nor on who fills them up.

        Examples
        --------
        >>> trained = TrainedLengths(2, 4, filled=True)
        >>> trained.fill(np.array([[0, 1, 2], [3, 3, 0]], np.uint8), np.array([3, 2]))
        (array([[0, 1, 2, 4],
               [3, 3, 4, 4]], dtype=uint8), None)
        """
        if not self.filled or (lengths is None and codes.shape[1] >= self.longest):
            return codes, lengths
        codes, lengths = checked_codes(codes, lengths)
        counted = np.maximum(lengths, self.longest)
        width = int(counted.max(initial=self.longest))
        kept = codes[:, :width]
        filled = np.full((len(codes), width), N, np.uint8)
        place = np.arange(kept.shape[1])
        filled[:, : len(place)] = np.where(place < lengths[:, None], kept, np.uint8(N))
        return filled, None if (counted == width).all() else counted

    def __str__(self) -> str:
        if self.shortest == self.longest:
            return f"{self.longest:,} bp"
        return f"{self.shortest:,} to {self.longest:,} bp"


def extremes(codes: Codes, lengths: Lengths | None) -> list[int]:
    """Bases of the shortest and of the longest sequence, with the arguments of `predict`."""
    if not len(codes):
        return []
    if lengths is None:
        return [int(codes.shape[1])]
    return [int(np.min(lengths)), int(np.max(lengths))]
