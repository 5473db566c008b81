"""Lengths of sequences: which ones a model was trained on, and how it reads others."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from genoglot.errors import ModelError
from genoglot.sequence.alphabet import Codes, Lengths, N
from genoglot.sequence.tokenizers.padding import check_codes


class TrainedLengths(NamedTuple):
    """Lengths of the sequences that a model was trained on.

    Attributes
    ----------
    shortest
        Length of the shortest sequence in bp.
    longest
        Length of the longest sequence in bp.
    padded
        Whether the model was trained on sequences that were padded with N to the longest, as those
        of a task are, and not given their lengths. Predictions then pad sequences as well.
    """

    shortest: int
    longest: int
    padded: bool

    @classmethod
    def of(cls, codes: Codes, lengths: Lengths | None, shortest: int | None) -> Self:
        """Find the lengths of training data, from the arguments of `SequenceModel.fit`."""
        width = int(codes.shape[1])
        if lengths is None:
            return cls(min(shortest or width, width), width, True)
        return cls(int(np.min(lengths)), int(np.max(lengths)), False)

    def check(self, length: int, what: str = "a sequence") -> None:
        """Refuse a length outside of those of the training.

        Parameters
        ----------
        length
            Length of the sequence in bp.
        what
            Name of the sequence in the error.

        Raises
        ------
        ModelError
            If it is below the shortest or above the longest.

        Examples
        --------
        >>> TrainedLengths(50, 70, padded=True).check(60)
        >>> TrainedLengths(70, 70, padded=True).check(130)
        Traceback (most recent call last):
        genoglot.errors.ModelError: a sequence of 130 bp, but the model was trained on 70 bp; ...
        """
        if not self.shortest <= length <= self.longest:
            raise ModelError(
                f"{what} of {length:,} bp, but the model was trained on {self}; give such a "
                f"length (of regions: --width {self.longest}), or allow any by any_length=True "
                "(--any-length)"
            )

    def pad(self, codes: Codes, lengths: Lengths | None) -> tuple[Codes, Lengths | None]:
        """Pad sequences with N to the longest of the training, if those were padded.

        Predictions then do not depend on the other sequences of a batch.

        Parameters
        ----------
        codes
            uint8 (n, length).
        lengths
            Number of bases of each sequence, int64 (n,); by default all.

        Returns
        -------
        tuple of Codes and Lengths
            The padded codes, and the lengths of sequences that the model reads, or None: all.

        Examples
        --------
        >>> trained = TrainedLengths(2, 4, padded=True)
        >>> trained.pad(np.array([[0, 1, 2], [3, 3, 0]], np.uint8), np.array([3, 2]))
        (array([[0, 1, 2, 4],
               [3, 3, 4, 4]], dtype=uint8), None)
        """
        if not self.padded or (lengths is None and codes.shape[1] >= self.longest):
            return codes, lengths
        codes, lengths = check_codes(codes, lengths)
        padded_lengths = np.maximum(lengths, self.longest)
        width = int(padded_lengths.max(initial=self.longest))
        codes = codes[:, :width]
        padded = np.full((len(codes), width), N, np.uint8)
        position = np.arange(codes.shape[1])
        padded[:, : len(position)] = np.where(position < lengths[:, None], codes, np.uint8(N))
        return padded, None if (padded_lengths == width).all() else padded_lengths

    def __str__(self) -> str:
        if self.shortest == self.longest:
            return f"{self.longest:,} bp"
        return f"{self.shortest:,} to {self.longest:,} bp"


def check_maximum(
    length: int, maximum: int, what: str = "a sequence", *, unit: str = "bp",
    setting: str | None = None,
) -> None:  # fmt: skip
    """Refuse a sequence that is too long for a model.

    Parameters
    ----------
    length
        Length of the sequence.
    maximum
        Maximum length.
    what
        Name of the sequence in the error.
    unit
        Unit of the lengths.
    setting
        Setting that raises the maximum, if there is one.

    Raises
    ------
    ModelError
        If the length is above the maximum.

    Examples
    --------
    >>> check_maximum(60, 50)
    Traceback (most recent call last):
    genoglot.errors.ModelError: a sequence of 60 bp, but this model reads up to 50 bp; cut it ...
    """
    if length > maximum:
        advice = f", or make the model with a larger {setting}" if setting else ""
        raise ModelError(
            f"{what} of {length:,} {unit}, but this model reads up to {maximum:,} {unit}; cut it "
            f"into windows{advice}"
        )
