"""Minimizers and hashes of sequences, over whole batches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.sequence.alphabet import Codes, N
from genoglot.sequence.kmers import UNKNOWN, Hashes, canonical_kmers, sliding

_BLOCK = 1 << 18  # bases at a time, so that what is made of them is still in the cache
_MIX = (np.uint32(0x7FEB352D), np.uint32(0x846CA68B))  # Wellons' lowbias32: a bijection


class Minimizers(NamedTuple):
    """Minimizers of a batch of sequences.

    Attributes
    ----------
    hashes
        uint32 (m,).
    rows
        Index of the sequence that each is of, int64 (m,).
    """

    hashes: Hashes
    rows: NDArray[np.int64]

    def sort(self) -> Minimizers:
        """Sort by hash, and by row among equal hashes."""
        # One sort of 64-bit numbers takes a tenth of the time of sorting indices.
        both = np.sort(self.hashes.astype(np.uint64) << np.uint64(32) | self.rows.astype(np.uint64))
        hashes = (both >> np.uint64(32)).astype(np.uint32)
        return Minimizers(hashes, both.astype(np.uint32).astype(np.int64))


def _scramble(numbers: Hashes) -> Hashes:
    """Map numbers to others over all 32 bits, one to one."""
    x = numbers ^ (numbers >> np.uint32(16))
    x *= _MIX[0]
    x ^= x >> np.uint32(15)
    x *= _MIX[1]
    x ^= x >> np.uint32(16)
    return x


def find_minimizers(codes: Codes, k: int, window: int) -> Minimizers:
    """Pick from every run of `window` k-mers the one with the smallest hash (a minimizer).

    Two sequences that share `window + k - 1` bases on either strand share one. A sequence with
    fewer k-mers than a window has the smallest of all.

    Source: Roberts et al. 2004, Bioinformatics 20:3363.

    Parameters
    ----------
    codes
        uint8 (n, length).
    k
        Length of the k-mers, 1 to 15.
    window
        Number of k-mers in a run.

    Returns
    -------
    Minimizers
        Each minimizer of a sequence, once for every position.
    """
    length = codes.shape[1]
    hashes, rows = [np.empty(0, np.uint32)], [np.empty(0, np.int64)]
    step = max(_BLOCK // max(length, 1), 1)
    for i in range(0, len(codes), step):
        kmers = canonical_kmers(codes[i : i + step], k)
        if not kmers.shape[1]:
            continue
        unknown = kmers == UNKNOWN
        order = _scramble(kmers)
        order[unknown] = UNKNOWN
        lowest = sliding(np.minimum, order, min(window, order.shape[1]))
        # Neighboring windows often have the same minimizer: take it where it is new.
        new = np.ones(lowest.shape, bool)
        new[:, 1:] = lowest[:, 1:] != lowest[:, :-1]
        row, column = np.nonzero(new & (lowest != UNKNOWN))
        hashes.append(lowest[row, column])
        rows.append(row + i)
    return Minimizers(np.concatenate(hashes), np.concatenate(rows))


def align_left(codes: Codes, width: int) -> Codes:
    """Write each sequence at the beginning of its row, without the N at its ends.

    Sequences that are padded with N to a common length can then be compared, whatever their length,
    on both strands.

    Parameters
    ----------
    codes
        uint8 (n, length).
    width
        Length of the rows, at least `length`.

    Returns
    -------
    Codes
        uint8 (n, width), N behind each sequence.

    Examples
    --------
    >>> align_left(np.uint8([[4, 0, 4, 1], [2, 3, 4, 4]]), 5).tolist()
    [[0, 4, 1, 4, 4], [2, 3, 4, 4, 4]]
    """
    out: Codes = np.full((len(codes), width), N, np.uint8)
    out[:, : codes.shape[1]] = codes
    first = (codes != N).argmax(axis=1)
    for row in np.flatnonzero(first).tolist():
        rest = codes[row, first[row] :]
        out[row, : len(rest)], out[row, len(rest) :] = rest, N
    return out


def hash_rows(codes: Codes) -> NDArray[np.uint64]:
    """Hash whole rows, so that equal rows have equal hashes, uint64 (n,)."""
    words = -(-codes.shape[1] // 8)
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 1 << 63, words, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    out = np.empty(len(codes), np.uint64)
    step = max(_BLOCK // max(codes.shape[1], 1), 1)
    for i in range(0, len(codes), step):
        block = np.zeros((len(codes[i : i + step]), words * 8), np.uint8)
        block[:, : codes.shape[1]] = codes[i : i + step]
        word = block.view(np.uint64)
        word ^= word >> np.uint64(29)
        out[i : i + step] = (word * factors).sum(axis=1, dtype=np.uint64)
    return out
