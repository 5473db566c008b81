"""FASTA files as people have them: good, odd and broken."""

import gzip
import io
import sys
from functools import partial

import numpy as np
import pytest

from genoglot.errors import GenoglotError, SequenceError
from genoglot.files import bgzip
from genoglot.sequence import Genome, read_fasta, to_text

TEXT = ">chr1 first one\nACGTNacgtn\nACG\n>chr2\nRYUu\n"
GOOD = [("chr1", "first one", "ACGTNACGTNACG"), ("chr2", "", "NNTT")]


def records(path, **options):
    return [(r.name, r.description, to_text(r.codes)) for r in read_fasta(path, **options)]


@pytest.fixture
def fasta(tmp_path):
    def write(content, name="a.fa"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


BLOCK_SIZES = [1, 2, 5, 1 << 20]  # block boundaries may fall anywhere


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        TEXT.rstrip("\n"),
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r"),
        TEXT.replace("\n", "\r").rstrip("\r"),
        TEXT.replace("one\n", "one\r").replace("\nACG", "\rACG"),  # lone CRs in an LF file
        TEXT.replace("\nACG\n", "\r\r\nACG\r\r\n\r"),
        "\ufeff" + TEXT,
        "\ufeff" + TEXT.replace("\n", "\r"),
        TEXT.encode("utf-16"),
        TEXT.replace("\n", "\r\n").encode("utf-16"),
        ("\ufeff" + TEXT).encode("utf-16-be"),
        TEXT.encode("utf-32"),
        gzip.compress(TEXT.replace("\n", "\r").encode(), mtime=0),
        "\n\n" + TEXT,
        TEXT.replace("\nACG\n", "\n\nA\nC\nG\n\n\n"),
        TEXT.replace("acgtn", "acgtn  "),
        TEXT.replace(">chr1 first", "> chr1   first"),
        gzip.compress(TEXT.encode(), mtime=0),
        bgzip(TEXT.encode()),
        gzip.compress(TEXT[:21].encode(), mtime=0) + gzip.compress(TEXT[21:].encode(), mtime=0),
    ],
)
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_every_way_of_writing_the_same_records(fasta, block_size, content):
    assert records(fasta(content), block_size=block_size) == GOOD


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (">a\nACGT\n>b\nAC\n>a\nGG\n", 5, "the name 'a' is not unique, it is in line 1 as well"),
        (">a\nACGT\n>b\n>c\nAC\n", 3, "record 'b' is empty"),
        (">a\nACGT\n>b\n\n\n", 3, "record 'b' is empty"),
        (">a", 1, "record 'a' is empty"),
        ("\n\nACGT\n>a\nAC\n", 3, "sequence before the first header"),
        ("chr1\t5\t9\n", 1, "sequence before the first header"),
        (">a\nAC\n>\nAC\n", 3, "the header has no name"),
        (">a\nACGT\nAC\n>p\nACGT\n\nMKLV\n", 7, "'L' at position 7 of record 'p'"),
        (">a\nAC-GT\n", 2, "'-' at position 3 of record 'a'"),
        (">a\nACGT>b\nAC\n", 2, "'>' at position 5 of record 'a'"),
        (">a\n1 ACGT\n", 2, "'1' at position 1 of record 'a'"),
        (">a\rACGT\rAC\r>p\rACGT\r\rMKLV\r", 7, "'L' at position 7 of record 'p'"),
        (">a\nACGT\r\rAC*\n", 4, "'*' at position 7 of record 'a'"),
        (">a\nAC\n>b\x07\nAC\n", 3, "the name 'b\\x07' has a character"),
    ],
)
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_a_broken_file_is_named_with_line_and_problem(fasta, block_size, content, line, problem):
    path = fasta(content)
    for read in (partial(records, block_size=block_size), Genome.open):
        with pytest.raises(SequenceError) as raised:
            read(path)
        assert str(raised.value).startswith(f"{path}:{line}: ")
        assert problem in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"@read1\nACGT\n+\nIIII\n", "is FASTQ"),
        (b"C'A\x1a\0\0\0\0", r"is a \.2bit file"),
        (b"PK\3\4" + b"\0" * 30, "is a zip archive"),
        (gzip.compress(b"BAM\1\0\0", mtime=0), "is a BAM file"),
        (TEXT.encode("utf-16-le"), "UTF-16 without a byte-order mark"),
        (TEXT.encode("utf-16") + b"A", "damaged text"),
        (bytes(range(256)), "is not text"),
    ],
)
def test_other_kinds_of_files_are_named(fasta, content, what):
    path = fasta(content)
    for read in (records, Genome.open):
        with pytest.raises(SequenceError, match=what) as raised:
            read(path)
        assert str(raised.value).startswith(f"{path}: ") and "\n" not in str(raised.value)


def test_headers_in_latin_1_are_read_with_a_notice(fasta, caplog):
    path = fasta(b">one\nAC\n>gen\xe9 caf\xe9\nAC\n>gen\xe8\nAC\n")
    assert [name for name, _, _ in records(path)] == ["one", "gen\u00e9", "gen\u00e8"]
    assert len(caplog.records) == 1
    assert f"{path}:3: byte 0xe9 is not UTF-8" in caplog.text


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff", gzip.compress(b"", mtime=0)])
def test_a_file_without_records_is_refused(fasta, content):
    with pytest.raises(SequenceError, match="no record in this file"):
        records(fasta(content))


def test_a_file_that_cannot_be_read(fasta, tmp_path):
    noise = np.random.default_rng(0).choice(list("ACGT"), 5000)
    zipped = gzip.compress(f">a\n{''.join(noise)}\n".encode(), mtime=0)
    assert b"\n" in zipped  # as an FTP copy in ASCII mode damages it
    for path, problem in [
        (tmp_path / "none.fa", "no such file"),
        (tmp_path, "is a directory"),
        (fasta(gzip.compress(TEXT.encode() * 99)[:40]), "damaged gzip file"),
        (fasta(b"\x1f\x8b" + b"?" * 40, "b.fa"), "damaged gzip file"),
        (fasta(zipped[:10] + b"\xff\xff" + zipped[12:], "c.fa.gz"), "damaged gzip file"),
        (fasta(zipped.replace(b"\n", b"\r\n"), "d.fa.gz"), "damaged gzip file"),
        (fasta(zipped[: len(zipped) // 2] + zipped, "e.fa.gz"), "damaged gzip file"),
    ]:
        with pytest.raises(SequenceError, match=problem):
            records(path)
        with pytest.raises(GenoglotError) as raised:
            Genome.open(path)
        assert "\n" not in str(raised.value)


def test_standard_input(monkeypatch):
    for content in (TEXT.encode(), gzip.compress(TEXT.encode(), mtime=0)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
        assert records("-") == GOOD
