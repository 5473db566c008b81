"""DNA as one-hot arrays, in any order of channels, and back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from genoglot.errors import SequenceError
from genoglot.sequence.alphabet import (
    CODES,
    INVALID,
    LETTERS,
    Codes,
    Lengths,
    N,
    ascii_letters,
    to_codes,
    to_text,
)
from genoglot.sequence.tokenizers.padding import (
    Padding,
    Tensors,
    check_codes,
    pad_rows,
    token_limit,
)
from genoglot.sequence.tokenizers.tokenizer import DnaTokenizer
from genoglot.settings import Settings

CHANNELS = "ACGT"
"""The usual order of the channels; DeepSEA and ExPecto have A G C T."""

_BLOCK = 1 << 17  # letters at a time, so that they are still in the cache for every channel


def one_hot(
    sequence: str | bytes | NDArray[np.uint8],
    *,
    channels: str = CHANNELS,
    dtype: DTypeLike = np.float32,
) -> NDArray[Any]:
    """Convert DNA into one-hot arrays, channel first, as convolutions read them.

    An unknown base (N or another IUPAC letter for more than one base) is all zero.

    Parameters
    ----------
    sequence
        Letters of one sequence, in either case, or codes, uint8 (..., length).
    channels
        The letters A, C, G and T in the order of the channels, such as `"AGCT"` for DeepSEA.
    dtype
        Type of the result, such as int8, bool or float32.

    Returns
    -------
    NDArray
        (4, length) for letters, (..., 4, length) for codes.

    Raises
    ------
    SequenceError
        If a character is not a DNA letter, a code is above 4, or `channels` are other letters.

    Examples
    --------
    >>> one_hot("acgtn", dtype=np.int8)
    array([[1, 0, 0, 0, 0],
           [0, 1, 0, 0, 0],
           [0, 0, 1, 0, 0],
           [0, 0, 0, 1, 0]], dtype=int8)
    >>> one_hot(np.zeros((2, 1000), np.uint8)).shape
    (2, 4, 1000)
    """
    order = ordered_codes(channels, "channels")
    if isinstance(sequence, str | bytes):
        out = np.empty((4, len(sequence)), dtype)
        _write_letters(sequence, order, _flags(out))
        return out
    codes = np.asarray(sequence)
    if codes.dtype != np.uint8:
        raise SequenceError(f"the codes are {codes.dtype}; give uint8, as to_codes returns them")
    out = np.empty((*codes.shape[:-1], 4, codes.shape[-1]), dtype)
    length = codes.shape[-1]
    n = math.prod(codes.shape[:-1])
    flags, rows = _flags(out).reshape(n, 4, length), codes.reshape(n, length)
    for block in _blocks(*rows.shape):
        part = rows[block]
        if part.max(initial=0) > N:
            raise SequenceError(f"code {part.max()} is not one of A C G T N = 0 1 2 3 4")
        for channel, code in enumerate(order):
            flags[block[0], channel, block[1]] = part == code
    return out


def from_one_hot(values: NDArray[Any], *, channels: str = CHANNELS) -> Codes:
    """Convert one-hot arrays, or probabilities of bases, into codes.

    Parameters
    ----------
    values
        (..., 4, length), of any number type or bool.
    channels
        The letter of each channel.

    Returns
    -------
    Codes
        uint8 (..., length): the base whose value is above one half, else N.

    Examples
    --------
    >>> from_one_hot(one_hot("ACGTN"))
    array([0, 1, 2, 3, 4], dtype=uint8)
    """
    order = ordered_codes(channels, "channels")
    if values.ndim < 2 or values.shape[-2] != 4:
        raise SequenceError(f"the array is {values.shape}; give (..., 4, length), channel first")
    codes = np.full((*values.shape[:-2], values.shape[-1]), N, np.uint8)
    for channel, code in enumerate(order):
        np.copyto(codes, np.uint8(code), where=values[..., channel, :] > 0.5)
    return codes


class OneHotSettings(Settings):
    """Settings of a `OneHotTokenizer`.

    Attributes
    ----------
    channels
        The letters A, C, G and T in the order of the channels.
    """

    channels: str = CHANNELS


class OneHotTokenizer(DnaTokenizer):
    """A one-hot vector for every base, zero for N (and other IUPAC letters for several bases).

    There are no ids and no special tokens: `input_values`, float32 (n, 4, length), replace
    `input_ids`; the channels come first, as convolutions read them, and padding is zero. (For ids
    of single bases use `KmerTokenizer(k=1)`.)

    Parameters
    ----------
    channels
        The letters A, C, G and T in the order of the channels, such as `"AGCT"` for DeepSEA.

    Examples
    --------
    >>> tokenizer = OneHotTokenizer()
    >>> batch = tokenizer(["ACGT", "AC"], padding=True, return_tensors="np")
    >>> batch["input_values"].shape, batch["attention_mask"].tolist()
    ((2, 4, 4), [[1, 1, 1, 1], [1, 1, 0, 0]])
    >>> tokenizer.batch_decode(batch["input_values"])
    ['ACGT', 'ACNN']
    """

    model_type = "onehot"
    settings_class = OneHotSettings

    def __init__(self, channels: str = CHANNELS) -> None:
        super().__init__(channels=channels)
        ordered_codes(channels, "channels")
        self.channels = channels

    def from_codes(  # noqa: D102  (see DnaTokenizer)
        self,
        codes: Codes,
        lengths: Lengths | None = None,
        *,
        padding: Padding = False,
        truncation: bool = False,
        max_length: int | None = None,
        return_tensors: Tensors = "np",
        add_special_tokens: bool = True,
    ) -> dict[str, Any]:
        codes, lengths = check_codes(codes, lengths)
        limit = token_limit(padding, truncation, max_length, 0)
        if limit is not None:
            lengths = np.minimum(lengths, limit)
        rows, mask = pad_rows(codes.copy(), lengths, N, padding, max_length, return_tensors)
        values: Any
        if return_tensors is None:
            values = [self._values(np.array(row, np.uint8)).tolist() for row in rows]
        elif return_tensors == "np":
            values = self._values(rows)
        else:
            import torch

            values = torch.from_numpy(self._values(rows.numpy()))
        return {"input_values": values, "attention_mask": mask}

    def readable(self, codes: Codes, lengths: Lengths | None = None) -> NDArray[np.bool_]:  # noqa: D102
        codes, lengths = check_codes(codes, lengths)
        known = (codes < N) & (np.arange(codes.shape[1]) < lengths[:, None])
        found: NDArray[np.bool_] = np.any(known, axis=1)
        return found

    def _values(self, codes: Codes) -> NDArray[np.float32]:
        return one_hot(codes, channels=self.channels)

    def decode(self, tokens: Any) -> str:
        """Convert the values of one sequence, (4, length), into letters."""
        return to_text(from_one_hot(np.asarray(tokens), channels=self.channels))


def ordered_codes(letters: str, name: str) -> list[int]:
    """Look up the code of each letter, which have to be A, C, G and T in some order."""
    if sorted(letters) != sorted(CHANNELS):
        raise SequenceError(f"{name} is {letters!r}; give A, C, G and T in some order")
    return [LETTERS.index(letter) for letter in letters]


def _flags(out: NDArray[Any]) -> NDArray[Any]:
    """View an array of single bytes as bool, so that comparisons are written right into it."""
    return out.view(np.bool_) if out.dtype in (np.int8, np.uint8) else out


def _blocks(rows: int, length: int) -> Iterator[tuple[slice, slice]]:
    """Cut an array into blocks of whole rows, or of parts of one row if these are long."""
    height, width = max(_BLOCK // max(length, 1), 1), min(length, _BLOCK)
    for row in range(0, rows, height):
        for column in range(0, length, max(width, 1)):
            yield slice(row, row + height), slice(column, column + width)


def _write_letters(text: str | bytes, order: list[int], flags: NDArray[Any]) -> None:
    """Compare letters with those of the channels: half the work of looking up their codes."""
    letters = [ord(LETTERS[code]) for code in order]
    for at in range(0, len(text), _BLOCK):
        raw = ascii_letters(text[at : at + _BLOCK], "sequence")
        block = flags[:, at : at + len(raw)]
        upper = np.frombuffer(raw, np.uint8) & 0xDF  # without the bit of lower case
        known = np.zeros(len(raw), np.bool_)
        for channel, letter in zip(block, letters, strict=True):
            hit = np.equal(upper, letter, out=channel if channel.dtype == np.bool_ else None)
            known |= hit
            if hit is not channel:
                channel[:] = hit
        if not known.all():
            codes = raw.translate(CODES)
            if INVALID in codes:
                to_codes(text)  # raises the error with the position
            for channel, code in zip(block, order, strict=True):
                channel[:] = np.frombuffer(codes, np.uint8) == code
