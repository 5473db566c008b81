"""What a peak caller would report of a simulated peak: enrichment, p, q and score."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WEAKEST, SLOPE = 4.0, 1.5
"""Median enrichment of a peak is WEAKEST * exp(SLOPE * probability)."""
SHARED_SPREAD, REPLICATE_SPREAD = 0.6, 0.4
"""Standard deviations of log enrichment: that of an experiment, and that of a replicate."""
SPURIOUS_ENRICHMENT = 3.0
"""Median enrichment of a peak where there is nothing."""
BACKGROUND = 6.0
"""Median number of reads that a replicate has in a peak's width without enrichment."""
LEAST_EVIDENCE = 3.0
"""-log10 p below which a peak would not have been called."""


class Called(NamedTuple):
    """Columns of narrowPeak, (peaks,) each.

    Attributes
    ----------
    score
        Ten times q, at most 1000, as MACS2 writes it.
    signal
        Enrichment: reads over background, with one read added to both.
    p, q
        -log10 of the Poisson p-value and of its false discovery rate.
    """

    score: NDArray[np.int64]
    signal: Floats
    p: Floats
    q: Floats


def call(enrichment: Floats, tested: int, rng: np.random.Generator) -> Called:
    """Count reads in peaks, and test the counts against the background.

    Parameters
    ----------
    enrichment
        (peaks,) true ratio of reads to background.
    tested
        Number of regions that the false discovery rate is over.
    rng
        The replicate's own source of noise.

    Examples
    --------
    >>> called = call(np.array([3.0, 30.0]), 1000, np.random.default_rng(0))
    >>> bool(called.signal[0] < called.signal[1]), bool((called.q <= called.p).all())
    (True, True)
    """
    background = BACKGROUND * float(rng.lognormal(0, 0.3))
    reads = rng.poisson(background * enrichment)
    reads = np.maximum(reads, _least_reads(background))
    p = -_log10_tail(reads, background)
    order = np.argsort(-p, kind="stable")
    rank = np.arange(1, len(p) + 1)
    q = np.empty_like(p)  # Benjamini and Hochberg: no weaker peak has a larger one
    q[order] = np.maximum.accumulate((p[order] - np.log10(tested / rank))[::-1])[::-1].clip(0)
    signal = (reads + 1) / (background + 1)
    return Called(np.minimum(1000, 10 * q).astype(np.int64), signal, p, q)


def _least_reads(background: float) -> int:
    counts = np.arange(int(background) + 1, int(10 * background) + 50)
    return int(counts[np.argmax(_log10_tail(counts, background) <= -LEAST_EVIDENCE)])


def _log10_tail(reads: NDArray[np.int64], background: float) -> Floats:
    """log10 of the chance of so many reads or more, for more than the background."""
    from scipy.special import gammaln

    # The first term of the sum, and the geometric series that bounds the others: no underflow.
    first = reads * np.log(background) - background - gammaln(reads + 1.0)
    tail: Floats = (first - np.log1p(-background / (reads + 1))) / np.log(10)
    return tail
