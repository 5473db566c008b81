"""Simulated peak calls: the enrichment, p, q and score of each peak."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LOWEST_ENRICHMENT, SLOPE = 4.0, 1.5
"""The median enrichment of a peak is LOWEST_ENRICHMENT * exp(SLOPE * probability)."""
SHARED_SPREAD, REPLICATE_SPREAD = 0.6, 0.4
"""Standard deviations of log enrichment, between experiments and between replicates."""
SPURIOUS_ENRICHMENT = 3.0
"""Median enrichment of a peak where the element is not positive."""
BACKGROUND = 6.0
"""Median number of reads per peak in a replicate without enrichment."""
MINIMUM_P = 3.0
"""Minimum -log10 p of a peak that is called."""


class PeakCalls(NamedTuple):
    """Columns of narrowPeak, each of shape (peaks,).

    Attributes
    ----------
    score
        Ten times q, at most 1000, as MACS2 writes it.
    signal
        Enrichment: number of reads divided by the background, with one read added to both.
    p, q
        -log10 of the Poisson p-value, and of its false discovery rate.
    """

    score: NDArray[np.int64]
    signal: Floats
    p: Floats
    q: Floats


def call_peaks(enrichment: Floats, tested: int, rng: np.random.Generator) -> PeakCalls:
    """Draw the number of reads in each peak, and test it against the background.

    Parameters
    ----------
    enrichment
        True ratio of reads to background, float64 (peaks,).
    tested
        Number of tested regions, for the false discovery rate.
    rng
        Source of the noise of this replicate.

    Examples
    --------
    >>> called = call_peaks(np.array([3.0, 30.0]), 1000, np.random.default_rng(0))
    >>> bool(called.signal[0] < called.signal[1]), bool((called.q <= called.p).all())
    (True, True)
    """
    background = BACKGROUND * float(rng.lognormal(0, 0.3))
    reads = rng.poisson(background * enrichment)
    reads = np.maximum(reads, _minimum_reads(background))
    p = -_log10_tail(reads, background)
    order = np.argsort(-p, kind="stable")
    rank = np.arange(1, len(p) + 1)
    q = np.empty_like(p)  # Benjamini and Hochberg 1995: q never rises from a peak to a weaker one
    q[order] = np.maximum.accumulate((p[order] - np.log10(tested / rank))[::-1])[::-1].clip(0)
    signal = (reads + 1) / (background + 1)
    return PeakCalls(np.minimum(1000, 10 * q).astype(np.int64), signal, p, q)


def _minimum_reads(background: float) -> int:
    """Return the minimum number of reads of a peak that is called."""
    counts = np.arange(int(background) + 1, int(10 * background) + 50)
    return int(counts[np.argmax(_log10_tail(counts, background) <= -MINIMUM_P)])


def _log10_tail(reads: NDArray[np.int64], background: float) -> Floats:
    """Return log10 of the probability of at least so many reads, above the background."""
    from scipy.special import gammaln

    # The first term of the sum times the geometric series that bounds the sum: no underflow.
    first = reads * np.log(background) - background - gammaln(reads + 1.0)
    return np.asarray((first - np.log1p(-background / (reads + 1))) / np.log(10))
