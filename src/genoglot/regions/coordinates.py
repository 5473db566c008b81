"""The three first columns of a small BED file, read by whole-array operations on its bytes.

A general table reader costs half a millisecond before the first line, which is more than most
region sets need altogether. Here eight bytes at a time are taken as one integer: a name is such an
integer, and the digits of a coordinate are turned into its value by three multiplications.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genoglot.regions.algebra import Ints
from genoglot.regions.chromosomes import Codes

MAX_BYTES = 1 << 19
"""Above this many bytes the table reader, which has several threads, is faster (measured)."""

_BEFORE, _AFTER = 16, 32  # padding, so that every eight-byte window lies inside the block
_TAB, _NEWLINE, _ZERO = 9, 10, 48
_DIGITS = 10  # most digits of a coordinate
_SLOTS_LOG2 = 14
_ODD = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplier: spreads names over the slots

# Masks that keep the first, or the last, so many of a word's eight bytes.
_FIRST = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
_LAST = np.array([((1 << 8 * n) - 1) << (64 - 8 * n) for n in range(9)], np.uint64)

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]


class Unusual(Exception):  # noqa: N818  (no error: the caller reads such a file line by line)
    """The bytes hold something that only a reader of lines can judge."""


def read_coordinates(
    data: bytes, offset: int, *, only: bool = False
) -> tuple[list[str], Codes, Ints, Ints]:
    r"""Read chromosome names, and of each line its name's index, start and end.

    Parameters
    ----------
    data
        Lines of tab-separated columns, from byte `offset` on.
    only
        There are no other columns.

    Raises
    ------
    Unusual
        If any line is blank, a comment, has less than three columns (with `only`, another
        number), another separator, or anything but one to ten digits as a coordinate. Whether
        `start <= end` is not looked at.

    Examples
    --------
    >>> read_coordinates(b"chr1\t5\t90\nchr2\t7\t8\n", 0)
    (['chr1', 'chr2'], array([0, 1], dtype=int32), array([5, 7]), array([90,  8]))
    """
    block = data[offset:] if offset else data
    lines = _Lines(block if block.endswith(b"\n") else block + b"\n")
    if only and lines.n_stops != 3 * lines.n:
        raise Unusual
    numbers = lines.numbers()
    names, codes = lines.names()
    try:
        return [n.decode() for n in names], codes, numbers[: lines.n], numbers[lines.n :]
    except UnicodeDecodeError:
        raise Unusual from None


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
        self.n, self.n_stops = len(newlines), len(stops)
        first = np.zeros(self.n, np.int64)
        first[1:] = newlines[:-1] + 1
        if (newlines - first < 2).any():
            raise Unusual
        self.tab1, self.tab2, self.tab3 = stops[first], stops[first + 1], stops[first + 2]
        self.begin = np.full(self.n, _BEFORE, np.int64)
        self.begin[1:] = stops[newlines[:-1]] + 1
        # The eight bytes from any byte on, as one integer, the first byte being the lowest.
        self.words = np.ndarray((len(self.text) - 7,), "<u8", buffer=self.text, strides=(1,))

    def numbers(self) -> Ints:
        """All starts, then all ends."""
        before = np.concatenate((self.tab1, self.tab2))
        end = np.concatenate((self.tab2, self.tab3))
        length = end - before - 1
        longest = int(length.max())
        if length.min() < 1 or longest > _DIGITS:
            raise Unusual
        word = self.words[end - 8]
        word ^= np.uint64(0x3030303030303030)  # digits become 0 to 9
        word &= _LAST[np.minimum(length, 8)]
        above_nine = (word + np.uint64(0x7676767676767676)) | word
        if (above_nine & np.uint64(0x8080808080808080)).any():
            raise Unusual
        # Neighbors are joined: 8 digits to 4 pairs, to 2 fours, to one eight.
        pairs = word * np.uint64(10)
        pairs += word >> np.uint64(8)
        fours = np.uint64(0x000000FF000000FF)
        high = (pairs & fours) * np.uint64(100 + (1000000 << 32))
        low = ((pairs >> np.uint64(16)) & fours) * np.uint64(1 + (10000 << 32))
        value: Ints = ((high + low) >> np.uint64(32)).view(np.int64)
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
        longest = int(length.max())
        if length.min() < 1 or longest > _AFTER:
            raise Unusual
        parts = [self.words[self.begin] & _FIRST[np.minimum(length, 8)]]
        for at in range(8, longest, 8):
            kept = np.minimum(np.maximum(length - at, 0), 8)
            parts.append(self.words[self.begin + at] & _FIRST[kept])
        key = parts[0]
        for part in parts[1:]:
            key = key * _ODD ^ part
        slot = (key * _ODD) >> np.uint64(64 - _SLOTS_LOG2)
        # Each slot's first row: written from the last row to the first, so that it stays.
        row = np.arange(self.n, dtype=np.int32)
        table = np.empty(1 << _SLOTS_LOG2, np.int32)
        table[slot[::-1]] = row[::-1]
        head = table[slot]
        if any((part != part[head]).any() for part in parts):  # two names in a slot: rare
            order = np.lexsort((row, *parts))
            new = np.any([part[order[1:]] != part[order[:-1]] for part in parts], axis=0)
            starts = np.append(True, new)
            head[order] = order[starts][np.cumsum(starts) - 1]
            table, slot = np.empty(self.n, np.int32), head
        rows = np.flatnonzero(head == row)
        table[slot[rows]] = row[: len(rows)]
        distinct = [self.text[self.begin[i] : self.tab1[i]] for i in rows]
        return distinct, table[slot]
