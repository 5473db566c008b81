"""k-mers are the same on either strand, and counted as by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoglot.errors import SequenceError
from genoglot.sequence import reverse_complement, to_codes
from genoglot.sequence.kmers import UNKNOWN, canonical_kmers, kmer_counts


@given(st.text("ACGTN", min_size=1, max_size=60), st.integers(1, 15))
def test_kmers_are_the_smaller_of_both_strands(text: str, k: int) -> None:
    found = canonical_kmers(to_codes(text)[None], k)[0]
    wanted = []
    for i in range(len(text) - k + 1):
        kmer = text[i : i + k]
        if "N" in kmer:
            wanted.append(int(UNKNOWN))
            continue
        both = (kmer, reverse_complement(kmer))
        wanted.append(min(int("".join(str("ACGT".index(b)) for b in s), 4) for s in both))
    assert found.tolist() == wanted


@given(st.text("ACGTN", min_size=1, max_size=50), st.integers(1, 4))
def test_kmers_are_counted_on_both_strands(text: str, k: int) -> None:
    counts = kmer_counts(to_codes(text)[None], k)[0]
    other = kmer_counts(to_codes(reverse_complement(text))[None], k)[0]
    np.testing.assert_array_equal(counts, other)
    kmers = [text[i : i + k] for i in range(len(text) - k + 1)]
    known = [min(kmer, reverse_complement(kmer)) for kmer in kmers if "N" not in kmer]
    assert counts.sum() == len(known)
    assert sorted(counts[counts > 0]) == sorted(known.count(kmer) for kmer in set(known))


def test_there_are_as_many_kmers_as_the_books_say() -> None:
    codes = to_codes("ACGT")[None]
    sizes = [kmer_counts(codes, k).shape[1] for k in range(1, 5)]
    assert sizes == [2, 10, 32, 136]
    with pytest.raises(SequenceError, match="give 1 to 6"):
        kmer_counts(codes, 7)
