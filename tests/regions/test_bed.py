"""BED files as people have them: good, odd and broken."""

import gzip
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import genoglot
from genoglot.errors import BedFormatError, ChromosomeNameError, GenoglotError
from genoglot.files import bgzip
from genoglot.regions import Regions

SIZES = {"chr1": 1000, "chr2": 500}
GOOD = [("chr1", 5, 90), ("chr2", 0, 7), ("chr1", 5, 90)]
TEXT = "chr1\t5\t90\nchr2\t0\t7\nchr1\t5\t90\n"


def rows_of(regions):
    return list(zip(regions.chrom, regions.start.tolist(), regions.end.tolist(), strict=True))


@pytest.fixture
def bed(tmp_path):
    def write(content, name="a.bed"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        TEXT.rstrip("\n"),
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r\n").rstrip(),
        "\ufeff" + TEXT,
        TEXT.replace("\t", " "),
        TEXT.replace("\t", "   "),
        "track name=x  type=bed\n" + TEXT.replace("\t", "  "),
        "browser position chr7:1-2\nbrowser hide all\ntrack name=a\n#comment\n\n" + TEXT,
        "\ufeff# made on Windows\r\n\r\n" + TEXT.replace("\n", "\r\n"),
        TEXT + "\n\n",
        TEXT.replace("chr2", "#chr9\t1\t2\nchr2"),
        TEXT.replace("chr2", "\n   \nchr2"),
        TEXT.replace("\t5", "\t005"),
        TEXT.replace("\t5", "\t 5"),
        TEXT.replace("\n", "\tname with spaces\t7\t+\n"),
        TEXT.replace("7\n", "7\tname\n"),
        TEXT.replace("90\n", "90\tname\n", 1),
        TEXT.replace("\n", '\t"quoted\n'),
        gzip.compress(TEXT.encode(), mtime=0),
        bgzip(TEXT.encode()),
        gzip.compress(TEXT[:12].encode(), mtime=0) + gzip.compress(TEXT[12:].encode(), mtime=0),
    ],
)
@pytest.mark.parametrize("columns", [3, None])
def test_every_way_of_writing_the_same_regions(bed, content, columns):
    assert rows_of(Regions.from_bed(bed(content), columns=columns)) == GOOD


BROKEN = [
    ("chr1\t9\t5", "end 5 is before start 9"),
    ("chr1\t-4\t5", "negative"),
    ("chr1\t4\t5.5", "not a whole number"),
    ("chr1\tfour\t5", "not a whole number"),
    ("chr1\t1e3\t5000", "not a whole number"),
    ("chr1\t0x10\t50", "not a whole number"),
    ("chr1\t4\t0X10", "not a whole number"),
    ("chr1\t4\tNA", "not a whole number"),
    ("chr1\t4\t99999999999999999999", "not a whole number"),
    ("chr1\t\t5", "start is missing"),
    ("\t4\t5", "chromosome is missing"),
    ("chr1\t4", "2 columns"),
    ("chr1", "1 column,"),
    ("chr1 4 5", "tabs and spaces are mixed"),
    ("chr1 4\t5\t6", "tabs and spaces are mixed"),
    ("chr1\t4 5", "tabs and spaces are mixed"),
    ("track name=second", "header line after the first region"),
    ("chr3\t4\t5", "the genome has no chromosome 'chr3'; it has 'chr1', 'chr2'"),
    ("chr1\t4\t1001", "past the end of chr1"),
]


@pytest.mark.parametrize(("line", "problem"), BROKEN)
@pytest.mark.parametrize("columns", [3, None])
def test_a_broken_line_is_named_with_its_number_and_problem(bed, line, problem, columns):
    path = bed(f"# header\n{TEXT}{line}\n{TEXT}")
    with pytest.raises(BedFormatError, match=problem) as raised:
        Regions.from_bed(path, chrom_sizes=SIZES, columns=columns)
    assert raised.value.line_number == 5
    assert raised.value.line == line
    assert str(raised.value).startswith(f"{path}:5: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("line", "problem"), BROKEN)
def test_broken_lines_can_be_skipped_and_are_counted(bed, caplog, line, problem):
    path = bed(f"{TEXT}{line}\n{TEXT}{line}\n")
    with caplog.at_level(logging.WARNING, "genoglot"):
        regions = Regions.from_bed(path, chrom_sizes=SIZES, on_error="skip")
    assert rows_of(regions) == GOOD + GOOD
    assert len(caplog.messages) == 1
    assert f"skipped 2 malformed lines, read 6; the first is {path}:4: " in caplog.text
    assert problem in caplog.text


@pytest.mark.parametrize("first", ["", "chr1\t1\t2\n\n#comment\n"])
def test_a_line_may_be_longer_than_a_megabyte(bed, first):
    blocks = "1," * 1_000_000
    regions = Regions.from_bed(bed(f"{first}{TEXT[:-1]}\t{blocks}\n"))
    assert regions.columns.row(-1) == (blocks,)


def test_skipping_every_line_leaves_no_regions(bed, caplog):
    assert len(Regions.from_bed(bed("chr1\t9\t5\tname\n"), on_error="skip")) == 0
    assert "skipped 1 malformed lines, read 0" in caplog.text


def test_tabs_in_a_file_of_spaces_are_refused(bed):
    with pytest.raises(BedFormatError, match="first region is separated by spaces"):
        Regions.from_bed(bed("chr1 4 5\nchr1\t4\t5\n"))


def test_a_broken_first_line_is_found(bed):
    with pytest.raises(BedFormatError, match="1 column") as raised:
        Regions.from_bed(bed("chromosome\nchr1\t4\t5\n"))
    assert raised.value.line_number == 1


def test_skipping_a_broken_first_line_keeps_the_rest(bed):
    for first in ("garbage", "two words", "chrom\tstart\tend"):
        assert rows_of(Regions.from_bed(bed(f"{first}\n{TEXT}"), on_error="skip")) == GOOD


def test_a_file_that_is_not_utf8_is_read_as_latin1_with_a_notice(bed, caplog):
    regions = Regions.from_bed(bed(b"chr1\t1\t2\tname\nchr1\t4\t5\tn\xe4me\n"))
    assert regions.columns["name"].to_list() == ["name", "n\u00e4me"]
    assert ":2: byte 0xe4 is not UTF-8" in caplog.text
    with pytest.raises(BedFormatError, match=":1: "):
        Regions.from_bed(bed(bytes(range(128, 256)) + b"\t\xff\t\xfe\n"))


@pytest.mark.parametrize("name", ["chr1 ", " chr1", "chr1\u00a0", "\u200bchr1", '"chr1"', "chr(1)"])
def test_a_name_that_no_chromosome_has_is_malformed(bed, name):
    lines = f"chr1\t1\t2\n{name}\t3\t4\n"
    for columns in (3, None):
        with pytest.raises(BedFormatError, match=r":2: the chromosome name .* not allowed"):
            Regions.from_bed(bed(lines), columns=columns)
        assert len(Regions.from_bed(bed(lines), columns=columns, on_error="skip")) == 1


@pytest.mark.parametrize("columns", [3, None])
def test_a_lone_cr_ends_a_line(bed, columns):
    old_mac = TEXT.replace("\n", "\r")
    mixed = TEXT.replace("\n", "\r", 1)
    for text in (old_mac, mixed, f"# a comment\r{old_mac}"):
        assert rows_of(Regions.from_bed(bed(text), columns=columns)) == GOOD
    with pytest.raises(BedFormatError, match=":3: end 5 is before start 9"):
        Regions.from_bed(bed("chr1\t1\t2\rchr1\t3\t4\rchr1\t9\t5\r"), columns=columns)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"# only\ntrack name=a\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)]
)
def test_a_file_without_regions_is_valid_and_noticed(bed, caplog, content):
    with caplog.at_level(logging.WARNING, "genoglot"):
        assert len(Regions.from_bed(bed(content))) == 0
    assert "no regions" in caplog.text


def test_a_missing_or_damaged_file_is_told_in_one_line(bed, tmp_path):
    with pytest.raises(GenoglotError, match="no such file"):
        Regions.from_bed(tmp_path / "none.bed")
    with pytest.raises(GenoglotError, match="damaged"):
        Regions.from_bed(bed(gzip.compress(TEXT.encode(), mtime=0)[:-9], "a.bed.gz"))
    with pytest.raises(GenoglotError, match="on_error"):
        Regions.from_bed(bed(TEXT), on_error="ignore")
    with pytest.raises(GenoglotError, match="always read"):
        Regions.from_bed(bed(TEXT), columns=2)


def test_aliases_are_applied_before_the_genome_is_asked(bed):
    path = bed("1\t5\t90\nchr1\t6\t7\n")
    regions = Regions.from_bed(path, alias="ucsc", chrom_sizes=SIZES)
    assert regions.chrom_names == ("chr1",)
    for on_error in ("raise", "skip"):
        with pytest.raises(ChromosomeNameError, match=r"a\.bed says '1' .*--alias ucsc"):
            Regions.from_bed(path, chrom_sizes=SIZES, on_error=on_error)


@pytest.mark.parametrize(
    ("name", "line", "columns"),
    [
        ("a.bed", "n\t7\t+", {"name": "n", "score": 7, "strand": "+"}),
        ("a.bed", "n\t7.5\t+", {"name": "n", "score": 7.5, "strand": "+"}),
        ("a.bed", "n\t.\t+", {"name": "n", "score": ".", "strand": "+"}),
        (
            "a.bed",
            "n\t7\t+\t6\t8\t255,0,0\t2\t1,2\t0,83",
            {
                "name": "n",
                "score": 7,
                "strand": "+",
                "thickStart": 6,
                "thickEnd": 8,
                "itemRgb": "255,0,0",
                "blockCount": 2,
                "blockSizes": "1,2",
                "blockStarts": "0,83",
            },
        ),
        (
            "a.narrowPeak",
            "n\t7\t.\t1.5\t2\t-1\t44",
            {
                "name": "n",
                "score": 7,
                "strand": ".",
                "signalValue": 1.5,
                "pValue": 2.0,
                "qValue": -1.0,
                "peak": 44,
            },
        ),
        (
            "a.broadPeak.gz",
            "n\t7\t.\t1\t2\t3",
            {
                "name": "n",
                "score": 7,
                "strand": ".",
                "signalValue": 1.0,
                "pValue": 2.0,
                "qValue": 3.0,
            },
        ),
        ("a.txt", "n\t7\t.\t1.5\t2\t3", {"signalValue": 1.5}),
        ("a.txt", "n\t7\t.\t10\t20\t0", {"thickStart": 10, "itemRgb": "0"}),
        ("a.txt", "n\t7\t.\t1\t2\t3\t4", {"qValue": 3.0, "peak": 4}),
    ],
)
def test_columns_are_named_and_typed_by_the_format(bed, name, line, columns):
    content = f"chr1\t5\t90\t{line}\n".encode()
    path = bed(gzip.compress(content) if name.endswith(".gz") else content, name)
    read = Regions.from_bed(path).columns.row(0, named=True)
    assert {key: read[key] for key in columns} == columns
    assert len(read) == len(line.split("\t"))
    written = path.with_name(f"again.{name.removeprefix('a.')}")
    Regions.from_bed(path).to_bed(written)
    assert Regions.from_bed(written) == Regions.from_bed(path)


def test_a_header_comment_names_the_columns(bed):
    path = bed("#chrom\tstart\tend\tname\tgene\nchr1\t5\t90\tn\tRET\n")
    assert Regions.from_bed(path).columns.row(0, named=True) == {"name": "n", "gene": "RET"}
    beyond = bed("chr1\t1\t2" + "\tx" * 11 + "\n")
    assert Regions.from_bed(beyond).columns.columns[-2:] == ["column_13", "column_14"]


def test_short_lines_miss_their_further_columns(bed):
    regions = Regions.from_bed(bed("chr1\t5\t90\ta\t1\nchr1\t6\t7\n"))
    assert regions.columns.rows() == [("a", 1), (None, None)]
    assert Regions.from_bed(bed("chr1\t5\t90\ta\t1\nchr1\t6\t7\n"), columns=4).columns.width == 1


def test_longer_lines_lose_none_of_their_columns(bed):
    regions = Regions.from_bed(bed("chr1\t5\t90\nchr1\t6\t7\ta\t1\nchr1\t8\t9\n"))
    assert regions.columns.rows() == [(None, None), ("a", 1), (None, None)]


NAMES = st.from_regex(
    r"[0-9A-Za-z!#$%&+./:;?@^_|~-][0-9A-Za-z!#$%&*+./:;=?@^_|~-]{,25}", fullmatch=True
)
REGION = st.tuples(
    NAMES.filter(lambda name: name[0] != "#" and name not in ("track", "browser")),
    st.integers(0, 2**33),
    st.integers(0, 2**20),
)


@given(rows=st.lists(REGION, min_size=1, max_size=30), suffix=st.sampled_from(["bed", "bed.gz"]))
def test_what_is_written_is_read_back(tmp_path_factory, rows, suffix):
    regions = Regions(*zip(*((c, s, s + n) for c, s, n in rows), strict=True))
    path = tmp_path_factory.getbasetemp() / f"round.{suffix}"
    regions.to_bed(path, header="track name=round")
    assert Regions.from_bed(path) == regions
    assert Regions.from_bed(path, columns=3) == regions


@pytest.mark.parametrize("count", [1, 8, 2000])
def test_any_number_of_chromosomes_is_told_apart(bed, count):
    rows = [(f"chrUn_KI{i:06d}v{i % 3}_random"[: 4 + i % 30], i, i + 5) for i in range(count)]
    rows = rows + rows[::-1]
    path = bed("".join(f"{c}\t{s}\t{e}\n" for c, s, e in rows))
    regions = Regions.from_bed(path, columns=3)
    assert rows_of(regions) == rows
    assert regions.chrom_names == tuple(dict.fromkeys(c for c, _, _ in rows))


def test_gaps_between_written_columns_are_filled_as_the_formats_say(tmp_path, capsys):
    one = Regions(["chr1"], [5], [90])
    one.with_columns(strand=["-"], rank=[3]).to_bed()
    one.with_columns(peak=[7]).to_bed()
    one.with_columns(itemRgb=["1,2,3"]).to_bed("-", header="track name=x\n")
    assert capsys.readouterr().out.splitlines() == [
        "chr1\t5\t90\t.\t0\t-\t3",
        "chr1\t5\t90\t.\t0\t.\t0\t-1\t-1\t7",
        "track name=x",
        "chr1\t5\t90\t.\t0\t.\t5\t90\t1,2,3",
    ]


def test_compressed_output_is_bgzip(tmp_path):
    pysam = pytest.importorskip("pysam")
    n = 20_000
    Regions(["chr1"] * n, np.arange(n), np.arange(n) + 5).to_bed(tmp_path / "a.bed.gz")
    pysam.tabix_index(str(tmp_path / "a.bed.gz"), preset="bed")
    with pysam.TabixFile(str(tmp_path / "a.bed.gz")) as file:
        assert [r.split("\t")[1] for r in file.fetch("chr1", 15_000, 15_001)] == [
            str(start) for start in range(14_996, 15_001)
        ]


def test_standard_input_and_output():
    code = "from genoglot.regions import Regions; Regions.from_bed('-').sort().to_bed('-')"
    source = str(Path(genoglot.__file__).parents[1])
    for data in (TEXT.encode(), gzip.compress(TEXT.encode(), mtime=0)):
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=data,
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONPATH": source},
        )
        assert done.stdout.decode() == "chr1\t5\t90\nchr1\t5\t90\nchr2\t0\t7\n"


def large_file(path, n):
    start = np.arange(n) * 7 % 200_000_000
    with path.open("w") as file:
        for at in range(0, n, 1_000_000):
            rows = start[at : at + 1_000_000].tolist()
            file.write("".join(f"chr{s % 20}\t{s}\t{s + 300}\n" for s in rows))
    return start


def check_large_file(path, n):
    start = large_file(path, n)
    regions = Regions.from_bed(path)
    assert np.array_equal(regions.start, start)
    assert np.array_equal(regions.end, start + 300)
    assert regions.chrom[n - 1] == f"chr{start[-1] % 20}"
    with path.open("a") as file:
        file.write("chr1\t5\t4\n")
    with pytest.raises(BedFormatError, match=f":{n + 1}: end 4 is before start 5"):
        Regions.from_bed(path)


def test_a_million_lines(tmp_path):
    check_large_file(tmp_path / "large.bed", 1_000_000)


@pytest.mark.slow
def test_ten_million_lines(tmp_path):
    check_large_file(tmp_path / "large.bed", 10_000_000)
