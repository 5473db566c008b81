"""k-mers of both strands: their numbers and their counts, over whole batches of sequences."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import SequenceError
from genoglot.sequence.alphabet import Codes, N, reverse_complement

Hashes = NDArray[np.uint32]

UNKNOWN = np.uint32(0xFFFFFFFF)
"""In the place of a k-mer that holds N; k of up to 15 leaves it free."""

MAX_K = 6
_BLOCK = 1 << 18  # bases at a time, so that what is made of them is still in the cache


def canonical_kmers(codes: Codes, k: int) -> Hashes:
    """Make a number of every k-mer, the smaller one of both strands.

    Parameters
    ----------
    codes
        uint8 (n, length).
    k
        1 to 15.

    Returns
    -------
    uint32 (n, length - k + 1), `UNKNOWN` where a k-mer holds N

    Examples
    --------
    >>> from genoglot.sequence import to_codes
    >>> canonical_kmers(to_codes("AACGTTN")[None], 3)
    array([[         1,          6,          6,          1, 4294967295]], dtype=uint32)
    """
    n, length = codes.shape
    out = np.empty((n, max(length - k + 1, 0)), np.uint32)
    step = max(_BLOCK // max(length, 1), 1)
    for i in range(0, n if out.shape[1] else 0, step):
        block = np.asarray(codes[i : i + step])
        other = reverse_complement(block)
        # The k-mer from i on reads, on the other strand, from length - k - i on.
        np.minimum(_numbers(block, k), _numbers(other, k)[:, ::-1], out=out[i : i + step])
        unknown = block == N
        if unknown.any():
            count = np.cumsum(unknown, axis=1, dtype=np.int32)
            within = count[:, k - 1 :].copy()
            within[:, 1:] -= count[:, :-k]
            out[i : i + step][within > 0] = UNKNOWN
    return out


def _numbers(codes: Codes, k: int) -> Hashes:
    """Two bits for each base of every k-mer; N counts as A."""
    ranks = (codes & np.uint8(3)).astype(np.uint32)
    numbers, m = ranks, 1
    for bit in f"{k:b}"[1:]:
        numbers = numbers[:, :-m] * np.uint32(4**m) + numbers[:, m:]
        m *= 2
        if bit == "1":
            numbers = numbers[:, :-1] * np.uint32(4) + ranks[:, m:]
            m += 1
    return numbers


@lru_cache(maxsize=MAX_K)
def _ranks(k: int) -> tuple[NDArray[np.int32], int]:
    """Give numbers to the k-mers that are the smaller of both strands: 136 of 256 for k = 4."""
    letters = np.arange(4**k)[:, None] >> 2 * np.arange(k - 1, -1, -1) & 3
    smaller = canonical_kmers(letters.astype(np.uint8), k)[:, 0] == np.arange(4**k)
    return np.where(smaller, np.cumsum(smaller) - 1, -1).astype(np.int32), int(smaller.sum())


def kmer_counts(codes: Codes, k: int) -> NDArray[np.float32]:
    """Count k-mers, each together with its reverse complement.

    Parameters
    ----------
    codes
        uint8 (n, length).
    k
        1 to 6.

    Returns
    -------
    float32 (n, number of k-mers): 2, 10, 32, 136, 512 or 2,080 columns

    Examples
    --------
    >>> from genoglot.sequence import to_codes
    >>> kmer_counts(to_codes("ACGTN")[None], 2).tolist()  # AA AC AG AT CA CC CG GA GC TA
    [[0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]]
    """
    if not 1 <= k <= MAX_K:
        raise SequenceError(f"k is {k}; give 1 to {MAX_K}")
    rank, columns = _ranks(k)
    kmers = canonical_kmers(codes, k)
    known = kmers != UNKNOWN
    column = rank[np.where(known, kmers, 0)].astype(np.int64)
    column += np.arange(len(codes))[:, None] * columns
    counts = np.bincount(column[known], minlength=len(codes) * columns)
    return counts.reshape(len(codes), columns).astype(np.float32)
