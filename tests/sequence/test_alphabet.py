"""Letters, codes, reverse complements and one-hot arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoglot.errors import SequenceError
from genoglot.sequence import (
    from_one_hot,
    one_hot,
    reverse_complement,
    stack_codes,
    to_codes,
    to_text,
)

DNA = st.text("ACGTN", max_size=60)
ANY_CASE = st.text("ACGTNacgtn", max_size=60)
IUPAC = st.text("ACGTNRYSWKMBDHVacgtnryswkmbdhv", max_size=60)


@given(ANY_CASE)
def test_letters_survive_the_way_to_codes_and_back(text):
    assert to_text(to_codes(text)) == text.upper()
    assert to_codes(text.encode()).tolist() == ["ACGTN".index(c) for c in text.upper()]


def test_ambiguous_letters_are_unknown_bases_and_u_is_t():
    assert to_text(to_codes("RYSWKMBDHVNryswkmbdhvn")) == "N" * 22
    assert to_text(to_codes("ACGUacgu")) == "ACGTACGT"


@pytest.mark.parametrize("letter", "EFIJLOPQXZ-*. \n0é>\x00\xff")
def test_any_other_character_is_refused_with_its_position(letter):
    with pytest.raises(SequenceError, match=r"^sequence: position 4: .* is not a DNA letter"):
        to_codes("ACG" + letter + "ACGT")
    with pytest.raises(SequenceError, match=r"^peak 7: position 1: "):
        to_codes(letter, name="peak 7")
    with pytest.raises(SequenceError, match=r"^sequence 2: position 2: "):
        stack_codes(["ACGT", f"A{letter}"])
    with pytest.raises(SequenceError, match="position 3"):
        one_hot(f"AC{letter}")
    with pytest.raises(SequenceError, match="position 3"):
        reverse_complement(f"AC{letter}")


@given(st.lists(DNA, max_size=5))
def test_a_batch_is_padded_with_n(texts):
    codes, lengths = stack_codes(texts)
    assert lengths.tolist() == [len(text) for text in texts]
    longest = max(map(len, texts), default=0)
    assert codes.shape == (len(texts), longest)
    assert [to_text(row) for row in codes] == [text.ljust(longest, "N") for text in texts]


def test_a_batch_is_a_list_of_strings():
    with pytest.raises(SequenceError, match="not one string"):
        stack_codes("ACGT")
    with pytest.raises(SequenceError, match="sequence 2 is int"):
        stack_codes(["ACGT", 5])


@given(IUPAC)
def test_the_reverse_complement_twice_changes_nothing(text):
    assert reverse_complement(reverse_complement(text)) == text
    codes = to_codes(text)
    assert (reverse_complement(reverse_complement(codes)) == codes).all()
    assert to_codes(reverse_complement(text)).tolist() == reverse_complement(codes).tolist()


def test_the_reverse_complement_of_a_batch():
    codes, _ = stack_codes(["AACGN", "TTTTT"])
    assert [to_text(row) for row in reverse_complement(codes)] == ["NCGTT", "AAAAA"]
    assert to_text(codes[0]) == "AACGN"


def test_reverse_complements_of_padded_sequences_are_padded_at_their_end():
    codes = np.random.default_rng(0).integers(0, 5, (6, 20)).astype(np.uint8)
    lengths = np.array([20, 1, 7, 13, 20, 0])
    reverse = reverse_complement(codes, lengths)
    for row, n in enumerate(lengths):
        assert np.array_equal(reverse[row, :n], reverse_complement(codes[row, :n]))
        assert (reverse[row, n:] == 4).all()


@given(IUPAC, st.permutations("ACGT"), st.sampled_from([np.int8, np.float32, bool, np.int64]))
def test_one_hot_of_letters(text, order, dtype):
    channels = "".join(order)
    values = one_hot(text, channels=channels, dtype=dtype)
    assert values.dtype == dtype
    expected = [[letter == channel for letter in text.upper()] for channel in channels]
    assert (values == np.array(expected, bool).reshape(4, len(text))).all()
    assert (values == one_hot(to_codes(text), channels=channels, dtype=dtype)).all()
    assert (values == one_hot(text.encode(), channels=channels, dtype=dtype)).all()
    assert to_text(from_one_hot(values, channels=channels)) == to_text(to_codes(text))


SHAPES = [(0,), (1,), (3, 50), (2, 3, 20), (3, 0), (0, 5), (300_000,), (2, 200_000), (700, 400)]


@pytest.mark.parametrize("shape", SHAPES)
def test_one_hot_of_codes_of_any_shape_and_size(shape):
    codes = np.random.default_rng(0).integers(0, 5, shape).astype(np.uint8)
    for dtype in (np.int8, np.float32):
        values = one_hot(codes, dtype=dtype)
        expected = codes[..., None, :] == np.arange(4)[:, None]
        assert values.shape == expected.shape
        assert (values == expected).all()
        assert (from_one_hot(values) == codes).all()
    if len(shape) == 1:
        assert (one_hot(to_text(codes)) == values).all()


def test_the_reverse_complement_of_a_one_hot_array_is_reversed_in_both_axes():
    for channels in ("ACGT", "AGCT"):
        values = one_hot("AACGN", channels=channels)
        assert (values[::-1, ::-1] == one_hot("NCGTT", channels=channels)).all()


def test_uncertain_probabilities_are_unknown_bases():
    values = np.array([[0.9, 0.5, 0.25], [0.1, 0.5, 0.25], [0, 0, 0.25], [0, 0, 0.25]])
    assert to_text(from_one_hot(values)) == "ANN"


def test_one_hot_refuses_what_it_cannot_read():
    for channels in ("ACG", "ACGU", "ACGTN", "AACG"):
        with pytest.raises(SequenceError, match="channels"):
            one_hot("A", channels=channels)
    with pytest.raises(SequenceError, match="int64"):
        one_hot(np.array([0, 1]))
    with pytest.raises(SequenceError, match="code 5"):
        one_hot(np.array([0, 5], np.uint8))
    with pytest.raises(SequenceError, match="channel first"):
        from_one_hot(np.zeros((10, 3)))
