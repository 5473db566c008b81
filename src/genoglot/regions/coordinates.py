"""The three first columns of BED lines, read by whole-array operations on the bytes.

A general table reader builds a string for every chromosome name and costs half a millisecond
before the first line, which is more than most region sets need altogether. Here eight bytes at a
time are taken as one integer: a name is such an integer, and the digits of a coordinate are turned
into its value by three multiplications. Blocks keep every temporary array in the processor's cache.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from genoglot.regions.regions import Codes, Ints

_BLOCK = 1 << 18  # bytes
_BEFORE, _AFTER = 16, 32  # padding, so that every eight-byte window lies inside the block
_TAB, _NEWLINE, _ZERO = 9, 10, 48
_DIGITS = 10  # most digits of a coordinate
_SLOTS_LOG2 = 14

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]


class Unusual(Exception):  # noqa: N818  (no error: the caller reads such a file line by line)
    """The bytes hold something that only a reader of lines can judge."""


def read_coordinates(
    data: bytes, offset: int, *, tabs: bool
) -> tuple[list[str], Codes, Ints, Ints]:
    r"""Chromosome names, and of each line its name's index, start and end.

    Parameters
    ----------
    data
        The lines, from byte `offset` on.
    tabs
        Whether columns are separated by tabs; else by any number of spaces.

    Raises
    ------
    Unusual
        If any line is blank, a comment, has less than three columns, another separator, or
        anything but one to ten digits as a coordinate. Whether `start <= end` is not looked at.

    Examples
    --------
    >>> read_coordinates(b"chr1\t5\t90\nchr2\t7\t8\n", 0, tabs=True)
    (['chr1', 'chr2'], array([0, 1], dtype=int32), array([5, 7]), array([90,  8]))
    """
    n = data.count(b"\n", offset) + (not data.endswith(b"\n"))
    codes, start, end = np.empty(n, np.int32), np.empty(n, np.int64), np.empty(n, np.int64)
    names: dict[bytes, int] = {}
    row = 0
    while offset < len(data):
        stop = offset + _BLOCK
        if stop < len(data):
            stop = data.rfind(b"\n", offset, stop) + 1 or data.find(b"\n", stop) + 1 or len(data)
        lines = _Lines(_clean(data[offset:stop], tabs))
        rows = slice(row, row + lines.n)
        start[rows] = lines.numbers(lines.tab1, lines.tab2)
        end[rows] = lines.numbers(lines.tab2, lines.tab3)
        local, which = lines.names()
        index = np.array([names.setdefault(name, len(names)) for name in local], np.int32)
        codes[rows] = index[which]
        row, offset = row + lines.n, stop
    return [_decoded(name) for name in names], codes, start, end


def _clean(block: bytes, tabs: bool) -> bytes:
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    if not tabs:
        if b"\t" in block:
            raise Unusual
        block = re.sub(rb" +", b"\t", block)
    return block if block.endswith(b"\n") else block + b"\n"


def _decoded(name: bytes) -> str:
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise Unusual from None
    if text.startswith("#") or text.split() != [text]:
        raise Unusual
    return text


class _Lines:
    """Where the lines of a block begin, and where their first three columns end."""

    def __init__(self, block: bytes) -> None:
        self.text = b"".join((b"\n" * _BEFORE, block, b"\n" * _AFTER))
        self.bytes = np.frombuffer(self.text, np.uint8)
        stops = np.flatnonzero(self.bytes[_BEFORE:-_AFTER] <= _NEWLINE) + _BEFORE
        kinds = self.bytes[stops]
        if (kinds < _TAB).any():
            raise Unusual
        newlines = np.flatnonzero(kinds == _NEWLINE)
        self.n = len(newlines)
        first = np.zeros(self.n, np.int64)
        first[1:] = newlines[:-1] + 1
        if (newlines - first < 2).any():
            raise Unusual
        self.tab1, self.tab2, self.tab3 = stops[first], stops[first + 1], stops[first + 2]
        self.begin = np.full(self.n, _BEFORE, np.int64)
        self.begin[1:] = stops[newlines[:-1]] + 1
        # The eight bytes from any byte on, as one integer, the first byte being the lowest.
        self.words = np.ndarray((len(self.text) - 7,), "<u8", buffer=self.text, strides=(1,))

    def numbers(self, before: Ints, end: Ints) -> Ints:
        """Values of the fields between two separators."""
        length = end - before - 1
        longest = int(length.max())
        if length.min() < 1 or longest > _DIGITS:
            raise Unusual
        word = self.words[end - 8]
        word ^= np.uint64(0x3030303030303030)  # digits become 0 to 9
        unused = np.maximum(8 - length, 0).astype(np.uint64) << np.uint64(3)
        word >>= unused
        word <<= unused
        above_nine = (word + np.uint64(0x7676767676767676)) | word
        if (above_nine & np.uint64(0x8080808080808080)).any():
            raise Unusual
        # Neighbors are joined: 8 digits to 4 pairs, to 2 fours, to one eight.
        pairs = word * np.uint64(10) + (word >> np.uint64(8))
        fours = np.uint64(0x000000FF000000FF)
        high = (pairs & fours) * np.uint64(100 + (1000000 << 32))
        low = ((pairs >> np.uint64(16)) & fours) * np.uint64(1 + (10000 << 32))
        value = ((high + low) >> np.uint64(32)).astype(np.int64)
        for place in range(9, longest + 1):
            rows = np.flatnonzero(length >= place)
            digit = self.bytes[end[rows] - place] ^ np.uint8(_ZERO)
            if (digit > 9).any():
                raise Unusual
            value[rows] += digit * np.int64(10 ** (place - 1))
        return value

    def names(self) -> tuple[list[bytes], NDArray[np.int32]]:
        """Distinct names in order of first appearance, and each line's index into them."""
        length = self.tab1 - self.begin
        if length.min() < 1 or length.max() > _AFTER:
            raise Unusual
        parts = []
        for at in range(0, int(length.max()), 8):
            unused = np.clip(8 * (at + 8 - length), 0, 64).astype(np.uint64)
            # A shift by all 64 bits is undefined, by 32 twice it is not.
            half = unused >> np.uint64(1)
            rest = unused - half
            parts.append(self.words[self.begin + at] << half << rest >> half >> rest)
        key = parts[0]
        for part in parts[1:]:
            key = key * np.uint64(0x9E3779B97F4A7C15) ^ part
        slot = (key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - _SLOTS_LOG2)
        first = np.full(1 << _SLOTS_LOG2, -1, np.int32)
        # Written from the last row to the first, so that the first one stays.
        first[slot[::-1]] = np.arange(self.n - 1, -1, -1, dtype=np.int32)
        if any((part != part[first[slot]]).any() for part in parts):
            # Two names share a slot, which is rare.
            _, some, which = np.unique(
                np.stack(parts, 1), axis=0, return_index=True, return_inverse=True
            )
            first, slot = some.astype(np.int32), which.reshape(-1)
        rows = np.sort(first[first >= 0])
        code = np.zeros(len(first), np.int32)
        code[slot[rows]] = np.arange(len(rows), dtype=np.int32)
        distinct = [self.text[self.begin[row] : self.tab1[row]] for row in rows]
        return distinct, code[slot]
