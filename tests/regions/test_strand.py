"""Strands are read in every usual spelling, and refused in any other."""

import pytest

from genoglot.errors import GenoglotError
from genoglot.regions.strand import read_strands


@pytest.mark.parametrize(
    ("strand", "spellings"),
    [
        ("+", ["+", "1", "+1", 1, 1.0, "1.0", " + ", "plus", "Forward", "F"]),
        ("-", ["-", "-1", -1, -1.0, "minus", "REVERSE", "rev", "\u2212"]),
        (".", [".", "*", "?", None, "", "0", 0, "NA"]),
    ],
)
def test_every_usual_spelling_is_understood(strand, spellings):
    assert read_strands(spellings, "a.bed").tolist() == [strand] * len(spellings)


@pytest.mark.parametrize("value", ["2", "x", "+-", 7, "chr1"])
def test_another_spelling_is_refused_with_its_row(value):
    with pytest.raises(GenoglotError, match=r"a\.bed: the strand of row 3 is"):
        read_strands(["+", "-", value], "a.bed")
