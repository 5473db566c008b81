"""Genes from GTF, GFF3 and BED, and their distance from regions."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoglot.errors import AnnotationError
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
    names, none = genes.nearest(Regions(["3"], [5], [6]))
    assert (names.tolist(), none.tolist()) == ([""], [NO_NEIGHBOR])


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
