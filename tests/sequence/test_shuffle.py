"""Dinucleotide-preserving shuffles, held against all sequences that they may be."""

import tracemalloc
from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from genoglot.sequence import to_codes, to_text
from genoglot.sequence.shuffle import dinucleotide_shuffle


def pairs(codes: np.ndarray) -> list[Counter[tuple[int, int]]]:
    """Number of each dinucleotide of each sequence, N included."""
    return [Counter(pairwise(row)) for row in codes.tolist()]


@given(st.integers(0, 1_000), st.integers(0, 60), st.sampled_from(["ACGT", "AC", "ACGTN", "AANN"]))
def test_all_dinucleotides_and_both_ends_stay_and_so_does_every_n(
    seed: int, length: int, letters: str
) -> None:
    rng = np.random.default_rng(seed)
    codes = to_codes("".join(rng.choice(list(letters), 7 * length))).reshape(7, length)
    before = codes.copy()
    shuffled = dinucleotide_shuffle(codes, seed=seed)
    assert (codes == before).all() and shuffled.shape == codes.shape
    assert pairs(shuffled) == pairs(codes)
    assert (shuffled[:, :1] == codes[:, :1]).all() and (shuffled[:, -1:] == codes[:, -1:]).all()
    assert ((shuffled == 4) == (codes == 4)).all()


def possible(text: str) -> set[str]:
    """All sequences with the dinucleotides of one, by trying every order of its letters."""
    wanted = Counter(pairwise(text))
    orders = {text[0] + "".join(inner) + text[-1] for inner in permutations(text[1:-1])}
    return {order for order in orders if Counter(pairwise(order)) == wanted}


@pytest.mark.parametrize(
    "text",
    [
        "ACGATCGAA",
        "AAAAAACAG",  # A is nearly always followed by A, and must be left once for C, last for G
        "ACACACGC",  # the last letter comes before, too
        "ACAGATACA",  # ends as it begins
        "TGGATTTGT",
    ],
)
def test_every_possible_shuffle_is_equally_likely(text: str) -> None:
    draws = 30_000
    shuffled = dinucleotide_shuffle(np.repeat(to_codes(text)[None], draws, axis=0), seed=1)
    counts = Counter(map(to_text, shuffled))
    expected = possible(text)
    assert counts.keys() == expected and len(expected) > 2
    assert stats.chisquare([counts[one] for one in sorted(expected)]).pvalue > 1e-3


def test_a_sequence_of_one_letter_with_one_other_takes_no_longer() -> None:
    text = "A" * 20_000 + "CAG"
    (shuffled,) = dinucleotide_shuffle(to_codes(text)[None])
    assert pairs(shuffled[None]) == pairs(to_codes(text)[None])
    assert to_text(shuffled) != text


def test_seeds() -> None:
    codes = np.random.default_rng(0).integers(0, 4, (50, 101)).astype(np.uint8)
    first, again, other = (dinucleotide_shuffle(codes, seed=seed) for seed in (0, 0, 1))
    assert (first == again).all()
    # Hardly a base is where it was, or where another seed puts it: a quarter by chance.
    for left, right in ((first, codes), (first, other)):
        assert 0.2 < (left == right).mean() < 0.4
    same = dinucleotide_shuffle(np.repeat(codes[:1], 50, axis=0))
    assert len(np.unique(same, axis=0)) == 50  # each sequence has draws of its own


def test_runs_between_n_are_shuffled_by_themselves() -> None:
    text = "NNACGATCGAANNNNTTGATTACTTNACGN"
    shuffled = dinucleotide_shuffle(np.repeat(to_codes(text)[None], 500, axis=0))
    parts = [to_text(row).replace("N", " ").split() for row in shuffled]
    for i, part in enumerate(text.replace("N", " ").split()):
        assert {found[i] for found in parts} == possible(part)


def test_memory_does_not_grow_with_the_number_of_runs() -> None:
    codes = np.random.default_rng(0).integers(0, 4, (1, 40_000)).astype(np.uint8)
    codes[0, :20_000:10] = 4  # 2,000 short runs beside one of 20,000 bases
    tracemalloc.start()
    shuffled = dinucleotide_shuffle(codes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6 and (shuffled != codes).any()
    assert ((shuffled == 4) == (codes == 4)).all()
    for run in (slice(1, 10), slice(4_991, 5_000), slice(19_991, None)):
        assert pairs(shuffled[:, run]) == pairs(codes[:, run])
