"""Genes from GTF, GFF3 and BED, and their distance from regions."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoglot.errors import AnnotationError, ChromosomeNameError, GenoglotError
from genoglot.regions import NO_NEIGHBOR, Genes, Regions

GTF = """#!genome-build GRCh38
chr1\tH\tgene\t101\t200\t.\t+\t.\tgene_id "ENSG1"; gene_type "x"; gene_name "PLUS";
chr1\tH\ttranscript\t150\t200\t.\t+\t.\tgene_id "ENSG1"; gene_name "PLUS";
chr1\tH\tgene\t901\t1000\t.\t-\t.\tgene_id "ENSG2";
"""
GFF3 = """##gff-version 3
chr1\tS\tgene\t101\t200\t.\t+\t.\tID=g1;Name=PLUS%2C1;Note=a
chr1\tS\tmRNA\t150\t200\t.\t+\t.\tID=t1;Parent=g1
chr1\tS\tpseudogene\t901\t1000\t.\t-\t.\tID=g2
##FASTA
>chr1
ACGT
"""


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("g.gtf", GTF, ["PLUS", "ENSG2"]),
        ("g.gtf.gz", GTF, ["PLUS", "ENSG2"]),
        ("g.gff3", GFF3, ["PLUS,1", "g2"]),
        ("g.bed", "chr1\t100\t200\tPLUS\t0\t+\nchr1\t900\t1000\t.\t0\t-\n", ["PLUS", "chr1:1000"]),
        ("g.bed", "chr1\t100\t101\nchr1\t999\t1000\n", ["chr1:101", "chr1:1000"]),
    ],
)
def test_the_first_transcribed_base_is_the_tss(tmp_path, name, text, names):
    genes = Genes.from_file(write(tmp_path, name, text))
    assert genes.name.tolist() == names
    assert genes.tss.tolist() == [100, 999]
    assert genes.chrom.tolist() == ["chr1", "chr1"]
    assert len(genes) == 2


def test_without_genes_the_transcripts_are_taken(tmp_path):
    text = GTF.replace("\tgene\t", "\texon\t")
    assert Genes.from_file(write(tmp_path, "g.gtf", text)).tss.tolist() == [149]
    with pytest.raises(AnnotationError, match="no gene and no transcript"):
        Genes.from_file(write(tmp_path, "g.gtf", text.replace("\ttranscript\t", "\texon\t")))


@pytest.mark.parametrize("line", ["chr1 5 6", "chr1\tH\tgene\tx\t6\t.\t+\t.\tID=1"])
def test_a_broken_line_is_named(tmp_path, line):
    with pytest.raises(AnnotationError, match=r"g\.gtf:5: "):
        Genes.from_file(write(tmp_path, "g.gtf", GTF + line + "\n"))
    with pytest.raises(AnnotationError, match=r"g\.txt:1: "):
        Genes.from_file(write(tmp_path, "g.txt", "gene\tchrom\tstart\n"))


def test_distance_is_negative_upstream_in_the_direction_of_the_gene():
    genes = Genes(["P", "M"], ["1", "2"], [100, 100], ["+", "-"])
    before, over, after = (90, 100), (95, 105), (101, 110)
    starts, ends = zip(before, over, after, strict=True)
    _, plus = genes.nearest(Regions(["1"] * 3, starts, ends))
    _, minus = genes.nearest(Regions(["2"] * 3, starts, ends))
    assert plus.tolist() == [-1, 0, 1]
    assert minus.tolist() == [1, 0, -1]


GENES = st.lists(st.tuples(st.integers(0, 99), st.sampled_from("+-.")), min_size=1, max_size=9)


@given(GENES, st.integers(0, 99), st.integers(1, 30))
def test_the_nearest_gene_is_the_least_distant(rows, start, length):
    tss, strand = zip(*rows, strict=True)
    genes = Genes([str(i) for i in range(len(rows))], ["1"] * len(rows), tss, strand)
    names, distance = genes.nearest(Regions(["1"], [start], [start + length]))
    bases = range(start, start + length)
    assert abs(distance[0]) == min(abs(at - t) for at in bases for t in tss)
    at, direction = rows[int(names[0])]
    nearest = min((b - at for b in bases), key=abs)
    assert distance[0] == (-nearest if direction == "-" else nearest)


def gtf(*attributes, chrom="chr1", strand="+"):
    return "".join(
        f"{chrom}\tH\tgene\t{100 * i + 101}\t{100 * i + 150}\t.\t{strand}\t.\t{one}\n"
        for i, one in enumerate(attributes)
    )


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ('gene_id "AT4G34160"; gene_name "CYCD1;1";', "CYCD1;1"),
        ('gene_name "CYCD1;1"; gene_id "AT4G34160"', "CYCD1;1"),
        ('gene_id "g";gene_name "A"', "A"),
        ('  gene_id   "g" ;  gene_name   "A"  ', "A"),
        ("gene_id g; gene_name A;", "A"),
        ('note "gene_name \\"X\\"; ID=Y"; gene_id "say \\"g\\"";', 'say "g"'),
        ('gene_name ""; gene_id "g";', "g"),
        ('gene_id "100%25";', "100%25"),
        ('gene_id "g"; gene_name "first"; gene_name "second"; # and a comment', "first"),
        ('"gene_id ""g""; gene_name ""A;1"";"', "A;1"),
        ("ID=g1;Name=A%3B1;Note=x", "A;1"),
        ("Note=Name;ID=g1", "g1"),
        ("ID=g1; Name = A", "A"),
        ('ID="g1";Note="a;ID=b"', "g1"),
        ("Note=5' \"end;ID=g1;", "g1"),
    ],
)
def test_the_name_is_read_whole_in_every_way_of_writing(tmp_path, attributes, name):
    genes = Genes.from_file(write(tmp_path, "g.gtf", gtf(attributes, 'gene_id "second"')))
    assert genes.name.tolist() == [name, "second"]


@pytest.mark.parametrize("ending", ["gtf", "gff", "gff3.gz", "txt", "bed"])
@pytest.mark.parametrize(
    "changed",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: "track name=genes\n" + text,
        lambda text: text + ">chr1\nACGT\n",
    ],
)
def test_no_gene_is_lost_whatever_the_file_is_called(tmp_path, ending, changed):
    text = gtf('gene_id "A"', 'gene_id "B"')
    genes = Genes.from_file(write(tmp_path, f"g.{ending}", changed(text)))
    assert genes.name.tolist() == ["A", "B"]
    assert genes.tss.tolist() == [100, 200]


def test_a_byte_that_is_not_utf8_is_read_with_a_notice(tmp_path, caplog):
    path = tmp_path / "g.gtf"
    path.write_bytes(gtf('gene_id "A"', 'gene_id "Stra\xdfe"').encode("latin-1"))
    assert Genes.from_file(path).name.tolist() == ["A", "Stra\xdfe"]
    assert "g.gtf:2: byte 0xdf is not UTF-8" in caplog.text


def test_damaged_gzip_is_refused(tmp_path):
    data = bytearray(gzip.compress(gtf('gene_id "A"').encode()))
    data[10:12] = b"\xff\xff"
    (tmp_path / "g.gtf.gz").write_bytes(data)
    with pytest.raises(GenoglotError, match="damaged gzip"):
        Genes.from_file(tmp_path / "g.gtf.gz")


@pytest.mark.parametrize(
    ("plus", "minus"), [("+", "-"), ("1", "-1"), ("Forward", "reverse"), ("F", "R")]
)
def test_strands_are_read_in_any_spelling(tmp_path, plus, minus):
    bed = f"1\t5\t9\ta\t0\t{plus}\n1\t5\t9\tb\t0\t{minus}\n1\t5\t9\tc\t0\t?\n"
    lines = gtf("ID=a", strand=plus), gtf("ID=b", strand=minus), gtf("ID=c", strand="?")
    for name, text, ends in (("g.bed", bed, (5, 8)), ("g.gff3", "".join(lines), (100, 149))):
        genes = Genes.from_file(write(tmp_path, name, text))
        assert genes.strand.tolist() == ["+", "-", "."]
        assert genes.tss.tolist() == [*ends, ends[0]]
    made = Genes(["a", "b"], ["1", "1"], [5, 8], [plus, minus])
    assert made.strand.tolist() == ["+", "-"]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("g.bed", "1\t5\t9\ta\t0\t+\n1\t5\t9\tb\t0\tup\n", "strand of row 2 is 'up'"),
        ("g.gtf", "# x\n" + gtf("ID=a", strand="up"), r"g\.gtf:2: the strand is 'up'"),
        (
            "g.gtf",
            gtf("ID=a", chrom="chr1 "),
            r"g\.gtf:1: the chromosome name 'chr1 ' contains a blank",
        ),
        ("g.gtf", gtf("ID=a", chrom='"1"'), "g.gtf:1: .* the character '\"'"),
        ("g.bed", "chr1 \t5\t9\n", r"g\.bed:1: .* contains a blank"),
        ("g.gtf", gtf("ID=a").replace("\t101\t", "\t0\t"), r"g\.gtf:1: 0 to 150 is not a range"),
        ("g.gtf", gtf("ID=a").replace("\t101\t", "\t151\t"), "151 to 150 is not a range"),
    ],
)
def test_what_cannot_be_a_gene_is_refused_with_its_line(tmp_path, name, text, problem):
    with pytest.raises(GenoglotError, match=problem):
        Genes.from_file(write(tmp_path, name, text))


def test_genes_without_a_name_are_counted(tmp_path, caplog):
    genes = Genes.from_file(write(tmp_path, "g.gtf", gtf("ID=a", "Note=x", 'gene_id "."')))
    assert genes.name.tolist() == ["a", "chr1:201", "chr1:301"]
    assert "2 of 3 genes have no name; they are called by their position, such as chr1:201" in (
        caplog.text
    )


@pytest.mark.parametrize(("ours", "theirs"), [("chr1", "1"), ("chr1", "Chr01"), ("MT", "chrM")])
@pytest.mark.parametrize("name", ["g.gtf", "g.bed"])
def test_other_chromosome_names_are_refused_or_translated(tmp_path, ours, theirs, name):
    text = gtf("ID=a", chrom=theirs) if name == "g.gtf" else f"{theirs}\t100\t150\ta\n"
    alias = "ucsc" if ours == "chr1" else "ensembl"
    path = write(tmp_path, name, text)
    regions = Regions([ours, ours], [10, 190], [20, 200])
    with pytest.raises(
        ChromosomeNameError, match=f"the gene annotation says '{theirs}'.*--alias {alias}"
    ):
        Genes.from_file(path).nearest(regions)
    names, distance = Genes.from_file(path, alias=alias).nearest(regions)
    assert (names.tolist(), distance.tolist()) == (["a", "a"], [-81, 90])


def test_chromosomes_without_a_gene_are_counted_and_none_in_common_is_refused(caplog):
    genes = Genes(["A"], ["chr1"], [100], ["+"])
    names, distance = genes.nearest(Regions(["chr1", "chr2", "chrUn_1"], [0] * 3, [9] * 3))
    assert names.tolist() == ["A", "", ""]
    assert distance.tolist() == [-92, NO_NEIGHBOR, NO_NEIGHBOR]
    assert "2 of 3 regions are on chromosomes without a gene ('chr2', 'chrUn_1')" in caplog.text
    with pytest.raises(
        ChromosomeNameError, match="the gene annotation has no chromosome 'chrI'; it has 'chr1'"
    ):
        genes.nearest(Regions(["chrI", "chrII"], [0, 0], [9, 9]))
