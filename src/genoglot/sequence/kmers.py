"""k-mers as numbers, and how often each occurs, over whole batches of sequences."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import SequenceError
from genoglot.sequence.alphabet import Codes, N, reverse_complement

Hashes = NDArray[np.uint32]

UNKNOWN = np.uint32(0xFFFFFFFF)
"""Number of a k-mer that contains N; with k of at most 15 no other k-mer has it."""

MAX_K = 6
_BLOCK = 1 << 18  # bases at a time, so that the intermediate arrays fit into the cache


def kmer_numbers(ranks: Codes, k: int) -> NDArray[Any]:
    """Compute the number of every k-mer: two bits a base, the first base in the highest bits.

    Two numbers of m bases make one of 2 m: k = 8 takes three steps, not seven. Each step uses the
    smallest type that holds the number plus the ids of a few special tokens.

    Parameters
    ----------
    ranks
        Bases as numbers 0 to 3, uint8 (n, length).
    k
        Number of bases of a k-mer, 1 to 15.

    Returns
    -------
    NDArray
        A new array of unsigned integers, (n, length - k + 1).

    Examples
    --------
    >>> kmer_numbers(np.array([[0, 1, 2, 3]], np.uint8), 3)
    array([[ 6, 27]], dtype=uint8)
    """
    numbers: NDArray[Any] = ranks
    m = 1
    for bit in f"{k:b}"[1:]:
        numbers = _joined(numbers[:, :-m], numbers[:, m:], m, 2 * m)
        m *= 2
        if bit == "1":
            numbers = _joined(numbers[:, :-1], ranks[:, m:], 1, m + 1)
            m += 1
    return numbers if k > 1 else ranks.copy()


def _joined(left: NDArray[Any], right: NDArray[Any], letters: int, total: int) -> NDArray[Any]:
    """Append `letters` bases to those of `left`, which makes `total` bases."""
    numbers: NDArray[Any] = left.astype(
        np.uint8 if total < 4 else np.uint16 if total < 8 else np.uint32
    )
    # Unlike a shift, a product of small integers is computed many at a time by the processor.
    numbers *= 4**letters
    numbers += right
    return numbers


def sliding(operation: np.ufunc, values: NDArray[Any], window: int) -> NDArray[Any]:
    """Combine every `window` neighboring columns, in log2(window) steps.

    Parameters
    ----------
    operation
        `np.minimum`, `np.logical_or` or another one to which the same value may be given twice.
    values
        (n, length).
    window
        Number of columns.

    Returns
    -------
    NDArray
        (n, length - window + 1).

    Examples
    --------
    >>> sliding(np.minimum, np.array([[3, 1, 4, 1, 5, 9]]), 3)
    array([[1, 1, 1, 1]])
    """
    width = 1
    while width < window:
        step = min(width, window - width)
        values = operation(values[:, :-step], values[:, step:])
        width += step
    return values


def canonical_kmers(codes: Codes, k: int) -> Hashes:
    """Compute the number of every k-mer, the smaller one of the two strands.

    Parameters
    ----------
    codes
        uint8 (n, length).
    k
        Number of bases of a k-mer, 1 to 15.

    Returns
    -------
    NDArray
        uint32 (n, length - k + 1), `UNKNOWN` where a k-mer contains N.

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
        reverse = reverse_complement(block)
        # The k-mer at i is, on the reverse strand, the one at length - k - i.
        np.minimum(_numbers(block, k), _numbers(reverse, k)[:, ::-1], out=out[i : i + step])
        unknown = block == N
        if unknown.any():
            out[i : i + step][sliding(np.logical_or, unknown, k)] = UNKNOWN
    return out


def _numbers(codes: Codes, k: int) -> NDArray[Any]:
    return kmer_numbers(codes & np.uint8(3), k)  # N counts as A


@lru_cache(maxsize=MAX_K)
def _columns(k: int) -> tuple[NDArray[np.int32], int]:
    """Column of each k-mer that is the smaller of both strands (136 of 256 for k = 4), else -1."""
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
        Number of bases of a k-mer, 1 to 6.

    Returns
    -------
    NDArray
        float32 (n, k-mers): 2, 10, 32, 136, 512 or 2,080 columns. K-mers with N are not counted.

    Raises
    ------
    SequenceError
        If `k` is out of range.

    Examples
    --------
    >>> from genoglot.sequence import to_codes
    >>> kmer_counts(to_codes("ACGTN")[None], 2).tolist()  # AA AC AG AT CA CC CG GA GC TA
    [[0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]]
    """
    if not 1 <= k <= MAX_K:
        raise SequenceError(f"k is {k}; give 1 to {MAX_K}")
    column_of, columns = _columns(k)
    kmers = canonical_kmers(codes, k)
    known = kmers != UNKNOWN
    column = column_of[np.where(known, kmers, 0)].astype(np.int64)
    column += np.arange(len(codes))[:, None] * columns
    counts = np.bincount(column[known], minlength=len(codes) * columns)
    return counts.reshape(len(codes), columns).astype(np.float32)
