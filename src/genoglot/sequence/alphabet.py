"""DNA letters as numbers: A C G T N = 0 1 2 3 4, and the reverse complement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import SequenceError

Codes = NDArray[np.uint8]
Lengths = NDArray[np.int64]

LETTERS = "ACGTN"
"""The letter of each code."""

N = 4
"""Code of an unknown base."""

AMBIGUOUS = "NRYSWKMBDHV"
"""IUPAC letters for more than one base. All of them are read as N."""

MASKED = 8
"""Added to a code where the letter is in lower case (soft-masked), in packed genomes only."""

INVALID = 255

_IUPAC = "ACGTU" + AMBIGUOUS
_COMPLEMENTS = "TGCAA" + "NYRSWMKVHDB"


def _table(pairs: dict[str, int]) -> bytes:
    """Build a table of 256 entries for `bytes.translate`; missing letters become `INVALID`."""
    table = bytearray([INVALID]) * 256
    for letter, value in pairs.items():
        table[ord(letter)] = value
    return bytes(table)


# RNA is read as DNA: U is T.
_UPPER = dict.fromkeys(AMBIGUOUS, N) | {"A": 0, "C": 1, "G": 2, "T": 3, "U": 3}
_LOWER = {letter.lower(): code for letter, code in _UPPER.items()}

CODES = _table(_UPPER | _LOWER)
"""Table for `bytes.translate`: letter to code, in either case."""

MARKED_CODES = _table(_UPPER | {letter: code | MASKED for letter, code in _LOWER.items()})
"""Table for `bytes.translate`: letter to code, with `MASKED` added in lower case."""

_TEXT = bytes((LETTERS + "???" + LETTERS.lower()).ljust(256, "?"), "ascii")
_COMPLEMENT = _table(
    {
        of(letter): ord(of(other))
        for letter, other in zip(_IUPAC, _COMPLEMENTS, strict=True)
        for of in (str.upper, str.lower)
    }
)


def to_codes(text: str | bytes, *, name: str = "sequence") -> Codes:
    """Convert DNA letters into codes.

    Case does not matter, U is read as T, and the IUPAC letters for more than one base as N.

    Parameters
    ----------
    text
        DNA.
    name
        Name of the sequence in an error.

    Returns
    -------
    Codes
        uint8 (length,), A C G T N = 0 1 2 3 4.

    Raises
    ------
    SequenceError
        At any other character, with its position from 1.

    Examples
    --------
    >>> to_codes("ACGTNacgtR")
    array([0, 1, 2, 3, 4, 0, 1, 2, 3, 4], dtype=uint8)
    >>> to_codes("ACEGT")
    Traceback (most recent call last):
    ...
    genoglot.errors.SequenceError: sequence: position 3: 'E' is not a DNA letter ...
    """
    letters = ascii_letters(text, name)
    codes = letters.translate(CODES)
    at = codes.find(INVALID)
    if at >= 0:
        raise bad_letter(chr(letters[at]), at + 1, name)
    return np.frombuffer(bytearray(codes), np.uint8)


def stack_codes(texts: Sequence[str]) -> tuple[Codes, NDArray[np.int64]]:
    """Convert a batch of sequences into one array of codes, padded with N.

    Returns
    -------
    codes
        uint8 (n, length of the longest).
    lengths
        Length of each, int64 (n,).

    Raises
    ------
    SequenceError
        At a character that is not a DNA letter, with its sequence and position from 1.

    Examples
    --------
    >>> codes, lengths = stack_codes(["ACG", "T"])
    >>> codes.tolist(), lengths.tolist()
    ([[0, 1, 2], [3, 4, 4]], [3, 1])
    """
    if isinstance(texts, str | bytes):
        raise SequenceError("give a list of sequences, not one string")
    texts = list(texts)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise SequenceError(f"sequence {i + 1} is {type(text).__name__}, not a string of DNA")
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    longest = int(lengths.max(initial=0))
    ragged = (lengths != longest).any()
    try:
        codes = to_codes(
            "".join(text.ljust(longest, "N") for text in texts) if ragged else "".join(texts)
        )
    except SequenceError:
        for i, text in enumerate(texts):
            to_codes(text, name=f"sequence {i + 1}")
        raise
    return codes.reshape(len(texts), longest), lengths


def to_text(codes: NDArray[Any]) -> str:
    """Convert codes into letters.

    Parameters
    ----------
    codes
        uint8 (length,).

    Examples
    --------
    >>> to_text(to_codes("acgtn"))
    'ACGTN'
    """
    return np.ascontiguousarray(codes, np.uint8).tobytes().translate(_TEXT).decode("ascii")


@overload
def reverse_complement(sequence: str) -> str: ...


@overload
def reverse_complement(sequence: Codes, lengths: Lengths | None = None) -> Codes: ...


def reverse_complement(sequence: str | Codes, lengths: Lengths | None = None) -> str | Codes:
    """Return the reverse complement.

    Parameters
    ----------
    sequence
        DNA letters (case and IUPAC letters stay, U becomes A), or codes, uint8 (..., length).
    lengths
        Number of bases of each row of codes, int64 (n,), if some rows are padded with N: the
        reverse complements are padded at their end as well.

    Returns
    -------
    str or Codes
        A new string, or a new array of the same shape. (The reverse complement of a one-hot array
        is `values[..., ::-1, ::-1]`, with the channels in the order A C G T or A G C T.)

    Raises
    ------
    SequenceError
        At a character that is not a DNA letter.

    Examples
    --------
    >>> reverse_complement("AACGTRn")
    'nYACGTT'
    >>> reverse_complement(to_codes("AACGN"))
    array([4, 1, 2, 3, 3], dtype=uint8)
    >>> reverse_complement(np.array([[0, 1, 4, 4]], np.uint8), np.array([2]))
    array([[2, 3, 4, 4]], dtype=uint8)
    """
    if isinstance(sequence, str):
        letters = ascii_letters(sequence, "sequence")
        other = letters.translate(_COMPLEMENT)
        at = other.find(INVALID)
        if at >= 0:
            raise bad_letter(sequence[at], at + 1, "sequence")
        return other[::-1].decode("ascii")
    # In 8 bits 3 - N is 255, so that the smaller of that and N is N.
    reverse: Codes = np.minimum(np.uint8(3) - np.asarray(sequence)[..., ::-1], np.uint8(N))
    if lengths is None:
        return reverse
    return shifted(reverse, lengths - reverse.shape[1])


def shifted(codes: Codes, by: Lengths) -> Codes:
    """Shift sequences to the right by some bp each; N fills what is left free.

    Parameters
    ----------
    codes
        (n, length) uint8.
    by
        (n,) int64; negative values shift to the left.

    Examples
    --------
    >>> shifted(np.array([[0, 1, 2]], np.uint8), np.array([1]))
    array([[4, 0, 1]], dtype=uint8)
    """
    width = codes.shape[1]
    source = np.arange(width) - by[:, None]
    inside = (source >= 0) & (source < width)
    moved = np.take_along_axis(codes, np.where(inside, source, 0), axis=1)
    return np.where(inside, moved, np.uint8(N))


def ascii_letters(text: str | bytes, name: str) -> bytes:
    """Encode text that should be DNA, which is ASCII."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("ascii")
    except UnicodeEncodeError as error:
        raise bad_letter(text[error.start], error.start + 1, name) from None


def bad_letter(letter: str, position: int, name: str) -> SequenceError:
    """Make the error for a character that is not a DNA letter; `position` counts from 1."""
    return SequenceError(
        f"{name}: position {position}: {letter!r} is not a DNA letter (A, C, G, T, N or another "
        "IUPAC letter); remove it or write N"
    )
