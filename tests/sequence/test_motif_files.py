"""Files of motifs as databases and tools write them, and what is wrong in which line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from Bio import motifs as biopython

from genoglot.errors import GenoglotError, SequenceError
from genoglot.sequence.motif_files import read_background, read_motifs

JASPAR = """>MA0004.1\tArnt
A  [     4     19      0      0      0      0 ]
C  [    16      0     20      0      0      0 ]
G  [     0      1      0     20      0     20 ]
T  [     0      0      0      0     20      0 ]
>MA0006.1\tAhr::Arnt
A  [     3      0      0      0      0      0 ]
C  [     8      0     23      0      0      0 ]
G  [     2     23      0     23      0     24 ]
T  [    11      1      1      1     24      0 ]
"""
PFM = """>MA0004.1 Arnt
 4.0 19.0  0.0  0.0  0.0  0.0
16.0  0.0 20.0  0.0  0.0  0.0
 0.0  1.0  0.0 20.0  0.0 20.0
 0.0  0.0  0.0  0.0 20.0  0.0
"""
TRANSFAC = """VV  TRANSFAC MATRIX TABLE, Release 3.4
XX
//
AC  MA0004.1
XX
ID  Arnt
XX
DE  MA0004.1 Arnt ; From JASPAR
PO  A      C      G      T
01    4.0   16.0    0.0    0.0
02   19.0    0.0    1.0    0.0
03    0.0   20.0    0.0    0.0
XX
CC  tax_group:vertebrates
CC  tf_family:PAS domain factors
CC  tf_class:Basic helix-loop-helix factors (bHLH)
XX
//
AC  M00001
XX
ID  V$MYOD_01
NA  MyoD
P0      G      C      A      T
01      1      2      3      4      N
XX
//
"""
MEME = """MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies
A 0.303 C 0.183 G 0.209 T 0.306

MOTIF crp
letter-probability matrix: alength= 4 w= 3 nsites= 17 E= 4.1e-009
 0.000000  0.176471  0.000000  0.823529
 0.000000  0.058824  0.647059  0.294118
 0.000000  0.058824  0.000000  0.941176

MOTIF lexA other name
letter-probability matrix: alength= 4 w= 1 E= 3.2e-035
 0.214286  0.000000  0.000000  0.785714
URL http://example.org
"""
MEME_TEXT = """********************************************************************************
MEME - Motif discovery tool
********************************************************************************
MEME version 5.4.1 (Release date: Sat Aug 21 19:23:23 2021 -0700)

PRIMARY SEQUENCES= crp0.fna
ALPHABET= ACGT
Sequence name            Weight Length  Sequence name            Weight Length
-------------            ------ ------  -------------            ------ ------
ce1cg                    1.0000    105  ara                      1.0000    105

Letter frequencies in dataset:
A 0.305 C 0.196 G 0.196 T 0.305
Background letter frequencies (from file dataset with add-one prior applied):
A 0.304 C 0.196 G 0.196 T 0.304
********************************************************************************
MOTIF WTGTGAN MEME-1\twidth =   2  sites =  18  llr = 161  E-value = 3.2e-003
********************************************************************************
--------------------------------------------------------------------------------
\tMotif WTGTGAN MEME-1 position-specific scoring matrix
--------------------------------------------------------------------------------
log-odds matrix: alength= 4 w= 2 n= 1872 bayes= 7.45661 E= 3.2e-003
    29  -1081  -1081    105
 -1081  -1081  -1081    172
--------------------------------------------------------------------------------
\tMotif WTGTGAN MEME-1 position-specific probability matrix
--------------------------------------------------------------------------------
letter-probability matrix: alength= 4 w= 2 nsites= 18 E= 3.2e-003
 0.375000  0.000000  0.000000  0.625000
 0.000000  0.000000  0.000000  1.000000
--------------------------------------------------------------------------------
Time  0.44 secs.
"""
HOMER = """>ATGCCCTGAGGC\tAP-2gamma(AP2)/MCF7-TFAP2C-ChIP-Seq(GSE21234)/Homer\t6.349794\t-24627.16
0.426\t0.061\t0.118\t0.395
0.001\t0.001\t0.997\t0.001
>TGASTCA\t1-TGASTCA,BestGuess:AP-1(bZIP)/ThioMac-PU.1-ChIP-Seq/Homer(0.98)\t7.1\t-2345.2\t0
0.001\t0.001\t0.001\t0.997
"""
GIMME = ">GM.5.0.Sox.0001\n10\t700\t90\t200\n1\t998\t0\t1\n"


def write(folder: Path, text: str, name: str = "motifs.txt") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_jaspar_with_and_without_brackets(tmp_path: Path) -> None:
    arnt, dimer = read_motifs(write(tmp_path, JASPAR))
    assert (arnt.id, arnt.name, dimer.name) == ("MA0004.1", "Arnt", "Ahr::Arnt")
    assert arnt.counts[1].tolist() == [19, 0, 1, 0] and dimer.counts.shape == (6, 4)
    (bare,) = read_motifs(write(tmp_path, PFM))
    np.testing.assert_array_equal(bare.counts, arnt.counts)
    with (tmp_path / "motifs.txt").open() as file:
        (other,) = biopython.parse(write(tmp_path, JASPAR[:210]).open(), "jaspar")
    np.testing.assert_array_equal([other.counts[base] for base in "ACGT"], arnt.counts.T)
    assert file.closed
    shuffled = "".join([PFM.split("\n")[0], "\nT 0\nG: 1\nA [2]\nC| 3\n"])
    assert read_motifs(write(tmp_path, shuffled))[0].counts.tolist() == [[2, 3, 1, 0]]


def test_transfac_with_columns_in_any_order(tmp_path: Path) -> None:
    arnt, myod = read_motifs(write(tmp_path, TRANSFAC))
    assert (arnt.id, arnt.name, arnt.family) == ("MA0004.1", "Arnt", "PAS domain factors")
    assert arnt.counts.tolist() == [[4, 16, 0, 0], [19, 0, 1, 0], [0, 20, 0, 0]]
    assert (myod.id, myod.name, myod.family) == ("M00001", "MyoD", "")
    assert myod.counts.tolist() == [[3, 2, 1, 4]]


def test_transfac_with_tabs_and_spaces(tmp_path: Path) -> None:
    text = "AC M1\nNA\tHeat shock factor\nP0\tA\tC\tG\tT\n01\t4\t0\t0\t0\tA\n02\t1\t2\t3\t4 N\n//\n"
    (motif,) = read_motifs(write(tmp_path, text))
    assert motif.name == "Heat shock factor"
    assert motif.counts.tolist() == [[4, 0, 0, 0], [1, 2, 3, 4]]


def test_names_have_no_tabs(tmp_path: Path) -> None:
    for text in (
        JASPAR.replace("Arnt\n", "Arnt\t two  words\n", 1),
        TRANSFAC.replace("ID  Arnt", "ID  Arnt\ttwo\twords"),
        MEME.replace("MOTIF crp", "MOTIF crp Arnt\ttwo words"),
    ):
        assert read_motifs(write(tmp_path, text))[0].name == "Arnt two words"


def test_the_background_of_a_meme_file(tmp_path: Path) -> None:
    for text in (
        "A 0.3 C 0.2 G 0.2 T 0.3",
        "A 0.3\nC 0.2\n\nG 0.2\nT 0.3",
        "a 3 c 2 g 2 t 3",
        "A 0.3 C 0.2 G 0.2 U 0.3",
    ):
        path = write(tmp_path, f"{MEME.split('A 0.3')[0]}{text}\n\nMOTIF crp\n")
        assert read_background(path) == pytest.approx((0.3, 0.2, 0.2, 0.3))
    for text, says in (
        ("A 0 C 0 G 0 T 0", "a frequency is 0"),
        ("A 0.3 C 0.2 G x T 0.3", "'X' is not"),
        ("A 0.3 C 0.2 G 0.2", "'' is not a number"),
    ):
        path = write(tmp_path, f"Background letter frequencies\n{text}\nMOTIF crp\n")
        with pytest.raises(SequenceError, match=rf"motifs\.txt:2: {says}"):
            read_background(path)


def test_minimal_meme(tmp_path: Path) -> None:
    path = write(tmp_path, MEME)
    crp, lexa = read_motifs(path)
    assert (crp.id, crp.name, lexa.id, lexa.name) == ("crp", "crp", "lexA", "other name")
    np.testing.assert_allclose(crp.counts[0], [0, 3, 0, 14], atol=1e-4)
    np.testing.assert_allclose(lexa.counts.sum(), 20)  # as MEME assumes
    assert read_background(path) == pytest.approx((0.303, 0.183, 0.209, 0.306), abs=1e-3)
    with path.open() as file:
        other = biopython.parse(file, "minimal")[0]
    found = np.array([other.counts[base] for base in "ACGT"]).T
    np.testing.assert_allclose(found / found.sum(1, keepdims=True), crp.counts / 17, atol=1e-2)


def test_full_text_of_meme(tmp_path: Path) -> None:
    path = write(tmp_path, MEME_TEXT)
    (motif,) = read_motifs(path)
    assert (motif.id, motif.name) == ("WTGTGAN", "MEME-1")
    np.testing.assert_allclose(motif.counts, [[6.75, 0, 0, 11.25], [0, 0, 0, 18]])
    assert read_background(path) == pytest.approx((0.304, 0.196, 0.196, 0.304))
    assert read_background(write(tmp_path, JASPAR)) is None


def test_homer_and_gimme(tmp_path: Path) -> None:
    known, found = read_motifs(write(tmp_path, HOMER))
    assert known.id == "AP-2gamma(AP2)/MCF7-TFAP2C-ChIP-Seq(GSE21234)/Homer"
    assert (known.name, known.family) == ("AP-2gamma", "AP2")
    assert known.counts.tolist() == [[0.426, 0.061, 0.118, 0.395], [0.001, 0.001, 0.997, 0.001]]
    assert found.name == found.id and found.family == ""
    (gimme,) = read_motifs(write(tmp_path, GIMME))
    assert gimme.id == gimme.name == "GM.5.0.Sox.0001" and gimme.counts[0, 1] == 700


def test_four_rows_are_bases_or_positions(tmp_path: Path) -> None:
    four = ">a\n4 1\n5 2\n6 3\n7 4\n>b\n1 2 3 4\n5 6 7 8\n9 10 11 12\n13 14 15 16\n"
    assert [motif.counts[0, 3] for motif in read_motifs(write(tmp_path, four))] == [7, 13]
    more = ">a\n" + "1 2 3 4\n" * 5 + four.split("7 4\n")[1]
    assert [motif.counts[0, 3] for motif in read_motifs(write(tmp_path, more))] == [4, 4]
    columns = ">a\n1 2 4 7\n2 3 3 0\n5 3 2 1\n2 2 1 2\n"  # 10 in each
    assert read_motifs(write(tmp_path, columns))[0].counts[0].tolist() == [1, 2, 5, 2]
    rows = "0.1 0.2 0.3 0.4\n0.7 0.1 0.1 0.1\n0.97 0.01 0.01 0.01\n0.25 0.25 0.25 0.25\n"
    homer = read_motifs(write(tmp_path, f">ACGT\tname\t5.5\n{rows}".replace(" ", "\t")))[0]
    assert homer.counts[0].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert read_motifs(write(tmp_path, f">name\n{rows}"))[0].counts[0, 3] == 0.4
    counts = "1 2 3 4\n5 6 7 8\n9 10 11 12\n13 14 15 16\n"
    assert read_motifs(write(tmp_path, f">id name\n{counts}"))[0].counts[0, 3] == 13


@pytest.mark.parametrize("text", [JASPAR, PFM, TRANSFAC, MEME, MEME_TEXT, HOMER])
def test_line_ends_and_gzip_make_no_difference(tmp_path: Path, text: str) -> None:
    expected = read_motifs(write(tmp_path, text))
    for end in ("\r\n", "\r"):
        (tmp_path / "x").write_bytes(gzip.compress(text.replace("\n", end).encode()))
        found = read_motifs(tmp_path / "x")
        for one, other in zip(expected, found, strict=True):
            assert (one.id, one.name, one.family) == (other.id, other.name, other.family)
            np.testing.assert_array_equal(one.counts, other.counts)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ": is empty; give a file of motifs"),
        ("#\n\n", ":3: is not the begin of a file of motifs"),
        ("chr1\t5\t9\n", ":1: is not the begin of a file of motifs"),
        (JASPAR.replace("19", "x9"), ":2: 'x9' is not a number from 0"),
        (JASPAR.replace("19", "-9"), ":2: '-9' is not a number from 0"),
        (JASPAR.replace("19", "nan"), ":2: 'nan' is not a number"),
        (JASPAR.replace("    19", ""), ":3: 6 numbers, but the first row has 5"),
        (JASPAR.replace("MA0006.1", "MA0004.1"), ":6: the id 'MA0004.1' is in line 1 as well"),
        (JASPAR.replace("G  [     2", "A  [     2"), ":9: a second row of A"),
        ("\n".join(JASPAR.split("\n")[:9]), ":9: the motif has no row of T"),
        (PFM.replace("19.0", " 0.0").replace(" 1.0", " 0.0"), ":2: the counts of position 2 are"),
        (JASPAR.replace("20 ]", "2_0 ]"), ":4: '2_0' is not a number"),
        (">a b\n", ":1: the motif 'a' has no rows"),
        (PFM + "1 2 3 4 5 6\n", ":1: the motif has 5 rows"),
        (f"{PFM}>b\n1 2\n1 2\n1 2\n", ":6: the motif has 3 rows"),  # not the first one
        (">a\n" + "1 2 3 4\n" * 5 + ">b\n1 2 3 4\n1 2 3\n", ":9: 3 numbers instead of 4"),
        (">a b\n1 2 3 4\n5 6 7 8\n9 1 2 3\n", ":1: the motif has 3 rows"),  # without that of T
        (">a\n1 2 3 4\n5 6 7 8\n9 1 2 3\n", ":1: rows may be bases or positions"),
        (">a\n1 0 0 0\n0 1 0 0\n0 0 0 1\n0 0 1 0\n", ":1: rows may be bases or positions"),
        (">a\n1 2 3 4\n5 6 7 8\n9 1 2 3\n4 5 6 7\n", ":1: rows may be bases or positions"),
        (">a b\n.7 .1 .1 .1\n.7 .1 .1 .1\n.1 .1 .7 .1\n0 0 0 1\n", ":1: rows may be bases or"),
        (HOMER.replace("0.426", "0.526"), ":2: the probabilities have a sum of 1.1"),
        (HOMER.replace("\t0.395", ""), ":2: 3 numbers instead of 4"),
        (MEME.replace("0.823529", "0.923529"), ":12: the probabilities have a sum of 1.1"),
        (MEME.replace("0.823529", "a"), ":12: 'a' is not a number"),
        (MEME.replace("w= 3", "w= 4"), ":11: w= 4, but 3 rows follow"),
        (MEME.replace("nsites= 17", "nsites= x"), ":11: 'x' is not a number"),
        (MEME.replace("= ACGT", "= ACDEFGHIKLMNPQRSTVWY"), ":3: 'ALPHABET= ACDEF"),
        (MEME.replace("MOTIF crp", ""), ":11: a matrix without a line MOTIF"),
        (MEME.split("MOTIF")[0], ": no motif in this file"),
        (
            MEME.replace("w= 3", "").replace(" 0.000000  0.05", "\n 0.0  0.05", 1),
            ":14: a row after",
        ),
        (MEME.replace("w= 3", "").replace(" 0.000000  0.05", "-0.1 0.05", 1), ":13: '-0.1' is not"),
        (MEME.replace("MOTIF lexA", "MOTIF x\nMOTIF lexA"), ":16: the motif 'x' has no letter-"),
        (f"{MEME}MOTIF x\nlog-odds matrix: w= 1\n1 2 3 4\n", ":20: the motif 'x' has no letter-"),
        (TRANSFAC.replace("01    4.0 ", "01"), ":10: 3 numbers instead of 4"),
        (TRANSFAC.replace("AC  M00001", "").replace("ID  V$MYOD_01\nNA", "BF"), "without an id"),
        (TRANSFAC.replace("02   19", "x2   19"), ":11: 'x2' is neither the number of a row nor a"),
        (
            TRANSFAC.replace("02   19", "-19"),
            ":11: '-19.0' is neither the number of a row nor a tag",
        ),
        (
            TRANSFAC.replace("XX\n//\nAC  M0", "XX\nAC  M0"),
            ":18: AC, but the record of line 4 goes",
        ),
        (TRANSFAC.replace("02   19", "P0 A C G T\n02   19"), ":11: P0, but the record of line 4"),
        (TRANSFAC.replace("P0 ", "XX "), ":24: a row without columns; write P0"),
        (TRANSFAC.replace("01      1", "XX      1"), ":26: the record of line 19 has no rows"),
        (f"{TRANSFAC}AC M3\nID x\n//\n", ":29: the record of line 27 has no rows"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SequenceError) as error:
        read_motifs(path)
    assert str(error.value).startswith(str(path)) and says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(GenoglotError, match="no such file"):
        read_motifs(tmp_path / "nowhere")
    (tmp_path / "x").write_bytes(gzip.compress(JASPAR.encode())[:-20])
    with pytest.raises(GenoglotError, match="damaged gzip file"):
        read_motifs(tmp_path / "x")
