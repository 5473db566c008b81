"""Transcripts of GTF and GFF3, as the sources that people have write them."""

import gzip
from pathlib import Path

import pytest

from genoglot.errors import GenoglotError
from genoglot.regions.transcripts import Transcript, read_transcripts


def row(feature: str, start: int, end: int, strand: str, about: str, chrom: str = "1") -> str:
    return f"{chrom}\tsource\t{feature}\t{start}\t{end}\t.\t{strand}\t.\t{about}\n"


GTF = (
    "#!genome-build x\n"
    + row("gene", 101, 400, "-", 'gene_id "G"; gene_biotype "protein_coding";')
    + row("transcript", 101, 400, "-", 'gene_id "G"; transcript_id "T1";')
    + row("exon", 301, 400, "-", 'gene_id "G"; transcript_id "T1"; gene_biotype "protein_coding";')
    + row("exon", 101, 200, "-", 'gene_id "G"; transcript_id "T1"; gene_biotype "protein_coding";')
    + row("CDS", 150, 200, "-", 'gene_id "G"; transcript_id "T1";')
    + row("exon", 151, 400, "-", 'gene_id "G"; transcript_id "T2";')
)
GFF3 = (
    "##gff-version 3\n"
    + row("gene", 101, 400, "-", "ID=gene:G;biotype=protein_coding")
    + row("mRNA", 101, 400, "-", "ID=T1;Parent=gene:G")
    + row("protein", 150, 200, "-", "ID=T1-Protein;Derives_from=T1")
    + row("exon", 101, 200, "-", "Parent=T1")
    + row("exon", 301, 400, "-", "Parent=T1")
    + row("CDS", 150, 200, "-", "ID=cds;Parent=T1,T1-Protein")
    + row("mRNA", 151, 400, "-", "ID=T2;Parent=gene:G")
    + row("exon", 151, 400, "-", "Parent=T2")
    + "##FASTA\n>1\nACGT\n"
)


def written(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["a.gtf", "a.gtf.gz"])
def test_gtf(tmp_path: Path, name: str) -> None:
    assert read_transcripts(written(tmp_path / name, GTF)) == [
        Transcript("T1", "G", "1", "-", ((100, 200), (300, 400)), "protein_coding"),
        Transcript("T2", "G", "1", "-", ((150, 400),)),
    ]


def test_gff3_has_the_same_transcripts_and_a_protein_is_none(tmp_path: Path) -> None:
    found = read_transcripts(written(tmp_path / "a.gff3", GFF3))
    assert [(one.name, one.exons) for one in found] == [
        ("T1", ((100, 200), (300, 400))),
        ("T2", ((150, 400),)),
    ]
    assert {(one.gene, one.biotype) for one in found} == {("gene:G", "protein_coding")}
    assert (found[0].start, found[0].end, found[0].introns) == (100, 400, [(200, 300)])


def test_coding_sequence_of_a_gene_without_exons(tmp_path: Path) -> None:
    text = row("gene", 1, 90, "+", "ID=YAL1") + "".join(
        row("CDS", start, end, "+", "Parent=YAL1;Name=YAL1") for start, end in [(1, 20), (51, 90)]
    )
    found = read_transcripts(written(tmp_path / "yeast.gff", text))
    assert found == [Transcript("YAL1", "YAL1", "1", "+", ((0, 20), (50, 90)))]


def test_one_name_on_two_chromosomes_and_one_on_two_strands(tmp_path: Path) -> None:
    about = 'gene_id "G"; transcript_id "NM_1";'
    text = row("exon", 1, 9, "+", about, "X") + row("exon", 1, 9, "+", about, "Y")
    text += row("exon", 1, 9, "+", 'transcript_id "trans";')
    text += row("exon", 21, 29, "-", 'transcript_id "trans";')
    found = read_transcripts(written(tmp_path / "a.gtf", text))
    assert [(one.name, one.chrom, one.strand) for one in found] == [
        ("NM_1", "X", "+"),
        ("NM_1", "Y", "+"),
        ("trans", "1", "."),
    ]


LOCI = [[(1, 9), (21, 29)], [(1001, 1009), (1041, 1049), (1061, 1069)]]
AT_LOCI = [tuple((start - 1, end) for start, end in exons) for exons in LOCI]


def loci(strand: str = "+", exons: str = "", records: str | None = None) -> str:
    """One name in two positions of a chromosome, listed from the first exon on."""
    lines = []
    for ranges in LOCI if strand == "+" else [ranges[::-1] for ranges in LOCI]:
        if records is not None:
            start, end = min(ranges)[0], max(ranges)[1]
            lines.append(row("transcript", start, end, strand, 'transcript_id "T";' + records))
        for number, (start, end) in enumerate(ranges, 1):
            about = f'gene_id "G"; transcript_id "T"; {exons.format(number)}'
            lines.append(row("exon", start, end, strand, about))
    return "".join(lines)


def test_positions_that_overlap_are_left_out(tmp_path: Path) -> None:
    def exon(start: int, number: int) -> str:
        return row("exon", start, start + 9, "+", f'transcript_id "T"; exon_number {number};')

    text = exon(1, 1) + exon(901, 2) + exon(301, 1) + exon(501, 2)
    assert [one.name for one in read_transcripts(written(tmp_path / "a.gtf", GTF + text))] == [
        "T1",
        "T2",
    ]
    (one,) = read_transcripts(written(tmp_path / "a.gtf", exon(1, 3) + exon(301, 4) + exon(501, 6)))
    assert len(one.exons) == 3


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize(
    "how", [{"records": ""}, {"exons": "exon_number {};"}, {"exons": 'exon_number "{}";'}]
)
def test_one_name_in_two_positions_of_a_chromosome(
    tmp_path: Path, strand: str, how: dict[str, str]
) -> None:
    text = loci(strand, **how)
    by_position = "".join(sorted(text.splitlines(True), key=lambda line: int(line.split("\t")[3])))
    for lines in (text, by_position):
        found = read_transcripts(written(tmp_path / "a.gtf", lines))
        assert [(one.name, one.gene, one.exons) for one in found] == [
            ("T", "G", exons) for exons in AT_LOCI
        ]


def test_repeated_lines_are_no_further_position(tmp_path: Path) -> None:
    text = loci(exons="exon_number {};").split("1001")[0].rpartition("1\tsource")[0]
    (one,) = read_transcripts(written(tmp_path / "a.gtf", text + text))
    assert set(one.exons) == set(AT_LOCI[0])
    (one,) = read_transcripts(written(tmp_path / "a.gff3", GFF3 + GFF3.partition("##FASTA")[0]))[:1]
    assert set(one.exons) == {(100, 200), (300, 400)}


def test_exons_outside_of_the_records_of_their_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outside = row("exon", 31, 39, "+", 'gene_id "G"; transcript_id "T";')
    both = row("transcript", 1, 2000, "+", 'transcript_id "T";')
    for more in (outside, both):
        caplog.clear()
        text = GTF + loci(records="") + more
        assert [one.name for one in read_transcripts(written(tmp_path / "a.gtf", text))] == [
            "T1",
            "T2",
        ]
        assert "1 of 3 transcripts have exons in several positions, or outside" in caplog.text


def test_names_with_commas(tmp_path: Path) -> None:
    about = 'gene_id "G"; transcript_id "T(1,2)";'
    text = row("exon", 1, 9, "+", about) + row("exon", 21, 29, "+", about)
    assert read_transcripts(written(tmp_path / "a.gtf", text)) == [
        Transcript("T(1,2)", "G", "1", "+", ((0, 9), (20, 29)))
    ]
    text = row("mRNA", 1, 29, "+", "ID=m%2C1;Parent=g%2C2") + row("mRNA", 1, 29, "+", "ID=n")
    text += row("exon", 1, 9, "+", "Parent=m%2C1,n") + row("exon", 21, 29, "+", "Parent=m%2C1")
    assert read_transcripts(written(tmp_path / "a.gff3", text)) == [
        Transcript("m,1", "g,2", "1", "+", ((0, 9), (20, 29))),
        Transcript("n", "n", "1", "+", ((0, 9),)),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (row("gene", 1, 9, "+", "ID=g"), "has no exon and no CDS records"),
        (row("exon", 9, 1, "+", "Parent=t"), "a.gff3:1: 9 to 1 is not a range"),
        (
            row("exon", 9, 10**19, "+", "Parent=t"),
            "a.gff3:1: 9 to 10000000000000000000 is not a range",
        ),
        (row("exon", 1, 9, "+", "Note=x"), "a.gff3:1: an exon has neither a transcript_id"),
        (row("exon", 1, 9, "?!", "Parent=t"), "a.gff3:1: the strand"),
        ("1\t2\t3\n", "a.gff3:1: a GTF or GFF3 line has nine"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(
    tmp_path: Path, text: str, problem: str
) -> None:
    with pytest.raises(GenoglotError, match=problem):
        read_transcripts(written(tmp_path / "a.gff3", text))
