"""Signal ranks of tokens: within-set ranks of the signal, against looking at every pair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoglot.errors import ChromosomeNameError
from genoglot.regions import Regions, Universe

ROWS = [("chr2", i * 10, i * 10 + 6 + i % 2 * 4) for i in range(12)] + [("chr1", 5, 9)]
PEAK = st.tuples(
    st.sampled_from(["chr1", "chr2", "chrUn_1"]),
    *(st.integers(0, 130), st.integers(0, 40)),
    st.sampled_from([-2.5, 0.0, -0.0, 1.0, 7.25, 900.0, np.inf, np.nan]) | st.floats(-5, 5),
)


def table(rows):
    return Regions(*zip(*rows, strict=True)) if rows else Regions([], [], [])


@given(st.lists(PEAK, max_size=14), st.integers(1, 12), st.floats(0, 1), st.floats(0, 1))
def test_the_strongest_region_counts_by_its_mean_rank(peaks, min_bp, of_peak, of_universe):
    universe = Universe(table(ROWS))
    regions = table([(c, s, s + n) for c, s, n, _ in peaks])
    regions = regions.with_columns(signalValue=np.array([p[3] for p in peaks], float))
    signals = [-np.inf if np.isnan(p[3]) else p[3] for p in peaks]
    expected = {}
    for (c, s, n, _), mine in zip(peaks, signals, strict=True):
        below, equal = sum(x < mine for x in signals), sum(x == mine for x in signals)
        signal_rank = 255
        if equal < len(peaks):
            signal_rank = 1 + 254 * (2 * below + equal - 1) // (2 * (len(peaks) - 1))
        for i, (chrom, start, end) in enumerate(ROWS):
            bp = min(end, s + n) - max(start, s)
            enough = bp >= min_bp and bp / n >= of_peak and bp / (end - start) >= of_universe
            if chrom == c and enough:
                expected[i] = max(expected.get(i, 0), signal_rank)
    overlap = {
        "min_bp": min_bp,
        "min_fraction": of_peak,
        "min_universe_fraction": of_universe,
    }
    ids, ranks = universe.encode_signal_ranks(regions, **overlap)
    assert (ids.dtype, ranks.dtype) == (np.int32, np.uint8)
    assert dict(zip(ids.tolist(), ranks.tolist(), strict=True)) == expected
    assert np.array_equal(ids, universe.encode(regions, **overlap))


def test_distinct_signals_span_1_to_255_whatever_their_unit():
    n = 1000
    start = np.arange(n) * 10
    universe = Universe(Regions(["1"] * n, start, start + 5))
    signal = np.random.default_rng(0).permutation(n)
    for values in (signal, np.exp(signal / 100), signal - 5000):
        _, ranks = universe.encode_signal_ranks(universe.regions.with_columns(signalValue=values))
        assert ranks.tolist() == (1 + 254 * signal // (n - 1)).tolist()


@pytest.mark.parametrize(
    ("name", "lines", "expected"),
    [
        ("a.bed", ["1 0 5", "1 20 25"], [255, 255]),
        ("a.bed", ["1 0 5 a 9 +", "1 20 25 b 3 -"], [255, 1]),
        ("a.bed", ["1 0 5 a 0 +", "1 20 25 b 0 -"], [255, 255]),
        ("a.bed", ["1 0 5 a . +", "1 20 25 b . -"], [255, 255]),
        ("a.broadPeak", ["1 0 5 a 9 . 1.5 2 3", "1 20 25 b 3 . 4.5 2 3"], [1, 255]),
        ("a.narrowPeak", ["1 0 5 a 9 . 1.5 2 3 1", "1 20 25 b 3 . 4.5 2 3 1"], [1, 255]),
        ("a.bed", ["1 0 5 a 9 . 1.5 2 3 1", "1 20 25 b 3 . 4.5 2 3 1"], [1, 255]),
        ("a.narrowPeak", ["1 0 5 a 9 . 1.5 2 3 1", "1 20 25 b 3 . 1.5 2 3 1"], [255, 255]),
    ],
)
def test_signal_is_that_of_the_format(tmp_path, name, lines, expected):
    (tmp_path / name).write_text("\n".join(lines).replace(" ", "\t"))
    universe = Universe(Regions(["1", "1"], [0, 20], [9, 30]))
    ids, ranks = universe.encode_signal_ranks(Regions.from_bed(tmp_path / name))
    assert (ids.tolist(), ranks.tolist()) == ([0, 1], expected)


def test_sets_without_tokens_and_other_spellings():
    universe = Universe(Regions(["chr1"], [0], [10]))
    for peaks in (Regions([], [], []), Regions(["chr7"], [0], [9], {"score": [5]})):
        ids, ranks = universe.encode_signal_ranks(peaks)
        assert (len(ids), len(ranks), ids.dtype, ranks.dtype) == (
            0,
            0,
            np.int32,
            np.uint8,
        )
    with pytest.raises(ChromosomeNameError):
        universe.encode_signal_ranks(Regions(["1"], [0], [9], {"score": [5]}))
