"""Genotypes of VCF files, and the DNA of haplotypes, against pysam and a brute-force reference."""

from __future__ import annotations

import gzip
import tempfile
from itertools import pairwise
from pathlib import Path
from random import Random

import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoglot.errors import ChromosomeNameError, GenoglotError
from genoglot.files import bgzip
from genoglot.sequence import Genome, to_text
from genoglot.sequence.haplotypes import Haplotypes
from genoglot.sequence.vcf import ABSENT, MISSING, Genotypes, Locus, read_genotypes

DNA = "ACGTTGCAACGGTTAACCATGCATTGACCA"
HEADER = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT"


def vcf(path: Path, people: str, *records: str, meta: str = "") -> Path:
    """Write a VCF file; a record is `POS REF ALT genotypes...`, or all columns."""
    lines = ["##fileformat=VCFv4.3", *meta.splitlines(), f"{HEADER} {people}".replace(" ", "\t")]
    for record in records:
        fields = record.split()
        if not fields[0].startswith("chr"):
            pos, ref, alt, *calls = fields
            fields = ["chr1", pos, ".", ref, alt, ".", ".", ".", "GT", *calls]
        lines.append("\t".join(fields))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    path = tmp_path / "g.fa"
    path.write_text(f">chr1\n{DNA}\n")
    return Genome.open(path)


def both(found: Haplotypes, person: int = 0) -> list[str]:
    return [to_text(found.sequence(int(i))) for i in found.copies[person]]


def read(path: Path, genome: Genome, first: int = 1, last: int = len(DNA)) -> Haplotypes:
    return Haplotypes.of(read_genotypes(path, Locus("chr1", first - 1, last)), genome)


def test_genotypes_are_those_of_pysam(tmp_path: Path) -> None:
    meta = (
        '##contig=<ID=chr1,length=30>\n##FORMAT=<ID=GT,Number=1,Type=String,Description="">\n'
        '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="">'
    )
    calls = ["0|1", "1/0", "./.", "2|.", "1", ".", "0|0"]
    people = " ".join(f"p{i}" for i in range(len(calls)))
    records = [
        f"5 T A,C {' '.join(calls)}",
        f"7 CAA C {' '.join(reversed([call.replace('2', '1') for call in calls]))}",
        f"chr1 9 . A G . . . GT:DP {' '.join(f'{call}:3' for call in calls)}".replace("2", "1"),
    ]
    path = vcf(tmp_path / "a.vcf", people, *records, meta=meta)
    found = read_genotypes(path, Locus("chr1", 0, 30))
    with pysam.VariantFile(str(path)) as file:
        for row, record in enumerate(file):
            for person, sample in enumerate(record.samples.values()):
                wanted = [MISSING if a is None else a for a in sample.allele_indices or (None,)]
                got = [a for a in found.alleles[row, person].tolist() if a != ABSENT]
                if set(wanted) != {MISSING}:  # the ploidy of "." is not known
                    assert got == wanted
                    assert len(wanted) < 2 or bool(found.phased[row, person]) == sample.phased
                else:
                    assert set(got) == {MISSING}
            assert found.variants[row].position == record.start
            assert found.variants[row].alternatives == record.alts


def test_gzip_and_bgzip_read_the_same_and_the_locus_limits_what_is_read(tmp_path: Path) -> None:
    records = ["2 C T 0|1", "9 AC A 1|1", "12 G T 1|0", "20 T G 0|1"]
    plain = vcf(tmp_path / "a.vcf", "p", *records)
    for name, compress in (("b.vcf.gz", gzip.compress), ("c.vcf.gz", bgzip)):
        (tmp_path / name).write_bytes(compress(plain.read_bytes()))
        found = read_genotypes(tmp_path / name, Locus("chr1", 9, 19))
        assert [variant.position for variant in found.variants] == [
            8,
            11,
        ]  # the deletion reaches in
        assert found.alleles[:, 0].tolist() == [[1, 1], [1, 0]]


def test_what_follows_the_locus_is_read_unless_there_is_an_index(tmp_path: Path) -> None:
    path = vcf(tmp_path / "a.vcf", "p", "3 G T 0|1", "15 T A 0|1", "9 A C 0|1")
    with pytest.raises(GenoglotError, match="position 9 comes after 15; sort the file"):
        read_genotypes(path, Locus("chr1", 0, 10))
    (tmp_path / "a.vcf.csi").touch()  # sorted files have one
    assert len(read_genotypes(path, Locus("chr1", 0, 10)).variants) == 1
    more = [f"chr{i} 3 . G T . . . GT 0|1" for i in (2, 10)]
    path = vcf(tmp_path / "b.vcf", "p", more[0], "3 G T 0|1", "9 A C 0|1", more[1])
    for _ in range(2):
        assert len(read_genotypes(path, Locus("chr1", 0, 30)).variants) == 2
        (tmp_path / "b.vcf.tbi").touch()


def test_a_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    path = vcf(tmp_path / "a.vcf", "p", "3 G T 0|1")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_genotypes(path, Locus("chr1", 0, 30)).people == ("p",)


def test_haplotypes_by_hand(tmp_path: Path, genome: Genome) -> None:
    # ACGTTGCAACGGTTAACCATGCATTGACCA
    path = vcf(
        tmp_path / "a.vcf",
        "ada bo",
        "3 G T,A 1|2 ./.",  # multi-allelic
        "5 T TCC 0|1 .|1",  # insertion after the 5th base
        "8 AACG A 1|0 0|0",  # deletion of bases 9 to 11
        "9 A * 1|0 0|0",  # deleted by the variant before
        "20 TG <CNV> 0|1 0|0",  # symbolic, not applied
        "26 G a 1|1 0|0",  # lower case
    )
    found = read(path, genome)
    assert both(found) == [
        "ACTTTGCAGTTAACCATGCATTAACCA",
        "ACATTCCGCAACGGTTAACCATGCATTAACCA",
    ]
    assert both(found, 1) == [DNA, "ACGTTCCGCAACGGTTAACCATGCATTGACCA"]
    assert found.counts["missing_alleles"] == 3
    assert found.counts["symbolic_alleles"] == 1
    assert found.counts["unphased_people"] == 0


def test_symbolic_deletion_ends_at_end(tmp_path: Path, genome: Genome) -> None:
    path = vcf(tmp_path / "a.vcf", "p", "chr1 3 . G <DEL> . . SVTYPE=DEL;END=10 GT 0|1")
    assert both(read(path, genome)) == [DNA, DNA[:3] + DNA[10:]]


@pytest.mark.parametrize(
    ("alt", "info", "calls", "wanted", "symbolic"),
    [
        ("<DEL>", "SVLEN=-7", "0|1", DNA[:3] + DNA[10:], 0),
        ("<DEL>", "SVLEN=7;SVTYPE=DEL", "0|1", DNA[:3] + DNA[10:], 0),
        ("T,<DEL>", "SVLEN=.,7", "0|2", DNA[:3] + DNA[10:], 0),
        ("<DEL>", ".", "0|1", DNA, 1),  # without a length: read as the reference, and counted
        ("<DEL>", "CIEND=-5,5", "0|1", DNA, 1),
        ("<DEL>,<DEL>", "END=10;SVLEN=7,4", "1|2", DNA, 2),  # END is that of one of them only
        ("<DUP>", "END=10", "0|1", DNA, 1),
        ("G]chr1:20]", ".", "0|1", DNA, 1),
        ("<NON_REF>", "END=10", "0|1", DNA, 0),
    ],
)
def test_symbolic_alleles_are_applied_or_counted(
    tmp_path: Path, genome: Genome, alt: str, info: str, calls: str, wanted: str, symbolic: int
) -> None:
    path = vcf(tmp_path / "a.vcf", "p", f"chr1 3 . G {alt} . PASS {info} GT {calls}")
    found = read(path, genome)
    assert both(found)[1] == wanted
    assert found.counts["symbolic_alleles"] == symbolic


def test_phase_sets_are_phased_within_themselves_only(tmp_path: Path, genome: Genome) -> None:
    """A person whose heterozygous variants are in two phase sets is not phased over the locus."""
    path = vcf(
        tmp_path / "a.vcf",
        "one two hom",
        "chr1 3 . G T . . . GT:PS 0|1:3 0|1:3 1|1:3",
        "chr1 9 . A C . . . GT:DP:PS 1|0:8:3 1|0:8:9 0|1:8:9",
        "chr1 20 . T C . . . PS:GT .:0|0 9:0|1 .",
    )
    genotypes = read_genotypes(path, Locus("chr1", 0, 30))
    assert genotypes.phased.tolist() == [[True] * 3, [True, False, True], [True, False, False]]
    assert Haplotypes.of(genotypes, genome).counts["unphased_people"] == 1


def test_variants_that_did_not_pass_a_filter_are_counted(tmp_path: Path, genome: Genome) -> None:
    records = [f"chr1 {at} . {DNA[at - 1]} N . {text} . GT 0|1"
               for at, text in ((3, "PASS"), (5, "."), (7, "LowQual"), (9, "q10;s50"))]  # fmt: skip
    found = read(vcf(tmp_path / "a.vcf", "p", *records), genome)
    assert found.counts["filtered_variants"] == 2
    changed = [base if i not in (2, 4, 6, 8) else "N" for i, base in enumerate(DNA)]
    assert both(found)[1] == "".join(changed)  # and applied


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        # As bcftools consensus: the second of two overlapping variants is skipped,
        (("9 ACG A 1|1", "10 C T 1|1"), DNA[:9] + DNA[11:]),
        (("9 A T 1|1", "9 A C 1|1"), DNA[:8] + "T" + DNA[9:]),
        # an insertion after the base that a substitution changed is applied to it,
        (("9 A T 1|1", "9 A AGG 1|1"), DNA[:8] + "TGG" + DNA[9:]),
        # an insertion right after a deletion too, but not after another insertion.
        (("9 ACG A 1|1", "11 G GTT 1|1"), DNA[:9] + "TT" + DNA[11:]),
        (("9 A AG 1|1", "9 A AT 1|1"), DNA[:9] + "G" + DNA[9:]),
        # The same position on the other haplotype does not overlap.
        (("9 A T 1|0", "9 A T 0|1"), DNA[:8] + "T" + DNA[9:]),
    ],
)
def test_overlapping_variants(
    tmp_path: Path, genome: Genome, records: tuple[str, ...], wanted: str
) -> None:
    found = read(vcf(tmp_path / "a.vcf", "p", *records), genome)
    assert both(found) == [wanted, wanted]


def test_locus_begins_inside_a_deletion_and_ends_inside_another(
    tmp_path: Path, genome: Genome
) -> None:
    path = vcf(tmp_path / "a.vcf", "p", "4 TTGC T 1|0", "18 CATG C 0|1")
    assert both(read(path, genome, 6, 20)) == [DNA[7:20], DNA[5:18]]


def test_haplotypes_are_those_of_bcftools(tmp_path: Path, genome: Genome) -> None:
    import pysam.bcftools

    meta = (
        '##contig=<ID=chr1,length=30>\n##INFO=<ID=END,Number=1,Type=Integer,Description="">\n'
        '##ALT=<ID=DEL,Description="">\n##FORMAT=<ID=GT,Number=1,Type=String,Description="">'
    )
    pysam.faidx(str(tmp_path / "g.fa"))
    draw = Random(0)
    skipped = 0
    for _ in range(150):
        records = set()
        while len(records) < 6:
            at = draw.randrange(26)
            ref = DNA[at : at + draw.choice((1, 1, 2, 3, 4))]
            alt = draw.choice((ref[0], "")) + "".join(draw.choices("ACGT", k=draw.randint(1, 3)))
            calls = draw.choice(("0|1", "1|0", "1|1"))
            end = at + 1 + draw.randint(1, 3)
            if draw.random() < 0.1:
                records.add((at, f"chr1 {at + 1} . {ref[0]} <DEL> . . END={end} GT {calls}"))
            elif alt != ref:
                records.add((at, f"chr1 {at + 1} . {ref} {alt} . . . GT {calls}"))
        path = vcf(tmp_path / "a.vcf", "p", *(record for _, record in sorted(records)), meta=meta)
        packed = str(tmp_path / "a.vcf.gz")
        pysam.tabix_compress(str(path), packed, force=True)
        pysam.tabix_index(packed, preset="vcf", force=True)
        found = read(path, genome)
        skipped += found.counts["overlapping_alleles"]
        for copy, ours in enumerate(both(found), 1):
            fasta = pysam.bcftools.consensus("-f", str(tmp_path / "g.fa"), "-H", str(copy), packed)
            assert ours == "".join(fasta.split()[1:]).upper(), path.read_text()
    assert skipped > 150


changes = st.lists(
    st.tuples(
        st.integers(0, len(DNA) - 5),
        st.integers(1, 4),
        st.text("ACGT", min_size=1, max_size=5),
        st.lists(st.integers(0, 1), min_size=6, max_size=6),
    ),
    max_size=8,
)


def brute_force(records: list[tuple[int, str, str]], begin: int, end: int) -> str:
    """Apply variants that do not overlap, to text, from the right; mark window borders."""
    bases = [[base] for base in DNA]
    for position, ref, alt in records:
        trim = int(len(ref) != len(alt) and ref[0] == alt[0])
        for i in range(position + trim, position + len(ref)):
            bases[i] = []
        # New bases belong to the record's first base: after it, or in its position.
        bases[position] = (bases[position] + list(alt[1:])) if trim else list(alt)
    return "".join("".join(letters) for letters in bases[begin:end])


@given(changes, st.lists(st.integers(1, len(DNA) - 1), max_size=3))
def test_haplotypes_and_windows_equal_brute_force(
    drawn: list[tuple[int, int, str, list[int]]], borders: list[int]
) -> None:
    folder = Path(tempfile.mkdtemp())
    fasta = folder / "g.fa"
    fasta.write_text(f">chr1\n{DNA}\n")
    genome = Genome.open(fasta)
    records: list[tuple[int, str, str, list[int]]] = []
    last = -1
    for position, length, alt, calls in sorted(drawn):
        ref = DNA[position : position + length]
        if position > last and ref != alt:  # apart from each other: every rule agrees
            records.append((position, ref, alt, calls))
            last = position + length - 1
    lines = [
        f"{position + 1} {ref} {alt} " + " ".join(f"{c[i]}|{c[i + 1]}" for i in (0, 2, 4))
        for position, ref, alt, c in records
    ]
    path = vcf(folder / "a.vcf", "a b c", *lines, meta="##contig=<ID=chr1>")
    found = read(path, genome)
    edges = sorted({0, len(DNA), *borders})
    for i in range(6):
        carried = [(p, ref, alt) for p, ref, alt, calls in records if calls[i]]
        haplotype = int(found.copies[i // 2, i % 2])
        assert to_text(found.sequence(haplotype)) == (brute_force(carried, 0, len(DNA)) or "N")
        for begin, end in pairwise(edges):
            codes, lengths, which = found.windows(begin, end)
            row = which[haplotype]
            wanted = brute_force(carried, begin, end)
            assert to_text(codes[row, : lengths[row]]) == (wanted or "N")


def test_distinct_haplotypes_and_windows_are_stored_once(tmp_path: Path, genome: Genome) -> None:
    people = " ".join(f"p{i}" for i in range(50))
    calls = " ".join(["0|1", "1|0"] * 25)
    path = vcf(tmp_path / "a.vcf", people, f"3 G T {calls}", f"20 T C {calls}")
    found = read(path, genome)
    assert len(found) == 2
    assert len(found.windows(5, 15).codes) == 1


def test_phase_and_ploidy(tmp_path: Path, genome: Genome) -> None:
    path = vcf(
        tmp_path / "a.vcf",
        "phased unphased one haploid",
        "3 G T 0|1 0/1 0/1 1",
        "9 A C 0|1 1/0 0/0 .",
    )
    found = read(path, genome)
    assert found.counts["unphased_people"] == 1  # with one heterozygous variant, order is the same
    assert found.counts["haploid_people"] == 1
    assert found.copies[3, 0] == found.copies[3, 1]
    mixed = vcf(tmp_path / "b.vcf", "p", "3 G T 1", "9 A C 0|1")
    with pytest.raises(GenoglotError, match=r"b\.vcf:3: 'p' has a haploid genotype here"):
        read(mixed, genome)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (
            ["3 A T 0|1"],
            r"a\.vcf:3: the reference allele of chr1:3 is A, but G in the genome \(1 of 1",
        ),
        (["9 A C 0|1", "3 G T 0|1"], r"a\.vcf:4: position 3 comes after 9; sort"),
        (["9 A C 0|1", "chr2 3 . G T . . . GT 0|1", "3 G T 0|1"], r"3 comes after chr2; sort"),
        (["9 A C 0|1", "chr2 3 . G T . . . GT 0|1", "12 G T 0|1"], r"12 comes after chr2; sort"),
        (["3 G T 0|40000"], r"a\.vcf:3: sample 1: the genotype '0\|40000' has an allele that no"),
        (["3 G T 99999999999999999999"], r"a\.vcf:3: sample 1: the genotype '9+' has an allele"),
        (["3 G T 0|2"], r"a\.vcf:3: a genotype has allele 2, but there are 1"),
        (["3 G T 0|1|1"], r"a\.vcf:3: sample 1: the genotype '0\|1\|1' does not have one or two"),
        (["3 G T x"], r"a\.vcf:3: sample 1: the genotype 'x'"),
        (["3 G T 0|1 0|1"], r"a\.vcf:3: 11 fields, .* where the header has 10"),
        (["x G T 0|1"], r"a\.vcf:3: POS is 'x'"),
        (["3 Q T 0|1"], r"a\.vcf:3: REF is 'Q'"),
        (["3 G T! 0|1"], r"a\.vcf:3: ALT has 'T!'"),
        (["chr1 3 . G T . . . DP 4"], r"a\.vcf:3: FORMAT has no GT"),
    ],
)
def test_malformed_records_are_refused_with_their_line(
    tmp_path: Path, genome: Genome, records: list[str], message: str
) -> None:
    with pytest.raises(GenoglotError, match=message):
        read(vcf(tmp_path / "a.vcf", "p", *records), genome)


def test_files_that_do_not_fit_are_refused(tmp_path: Path, genome: Genome) -> None:
    path = vcf(tmp_path / "a.vcf", "p", "3 G T 0|1", meta="##contig=<ID=chr1,length=20>")
    with pytest.raises(GenoglotError, match="chr1 has 20 bp according to the header, but 30 bp"):
        read(path, genome)
    says = r"the locus says '1' where .*a.vcf says 'chr1'; write 'chr1'$"
    with pytest.raises(ChromosomeNameError, match=says):
        read_genotypes(path, Locus("1", 0, 30))
    with pytest.raises(GenoglotError, match="not wholly in the genome, which has chr1:1-30"):
        read(vcf(tmp_path / "b.vcf", "p", "3 G T 0|1"), genome, 1, 31)
    with pytest.raises(GenoglotError, match="samples occur twice: 'p'"):
        read_genotypes(vcf(tmp_path / "c.vcf", "p p", "3 G T 0|1 0|1"), Locus("chr1", 0, 30))
    (tmp_path / "d.vcf").write_text("\t".join(HEADER.split()[:8]) + "\n")
    with pytest.raises(GenoglotError, match="sites but no genotypes"):
        read_genotypes(tmp_path / "d.vcf", Locus("chr1", 0, 30))
    (tmp_path / "e.bcf").write_bytes(bgzip(b"BCF\x02\x02..."))
    with pytest.raises(GenoglotError, match="is BCF; convert it"):
        read_genotypes(tmp_path / "e.bcf", Locus("chr1", 0, 30))
    (tmp_path / "f.vcf.gz").write_bytes(bgzip(path.read_bytes())[:60])
    with pytest.raises(GenoglotError, match="damaged gzip"):
        read_genotypes(tmp_path / "f.vcf.gz", Locus("chr1", 0, 30))


@pytest.mark.parametrize("text", ["chr1", "chr1:0-5", "chr1:9-3", "chr1:a-b", ""])
def test_a_locus_is_written_as_in_genome_browsers(text: str) -> None:
    with pytest.raises(GenoglotError, match="give it as CHROM:FIRST-LAST"):
        Locus.parse(text)


def test_no_variant_in_the_locus(tmp_path: Path, genome: Genome) -> None:
    path = vcf(tmp_path / "a.vcf", "p q", "3 G T 0|1 0|0")
    found = read_genotypes(path, Locus("chr1", 10, 30))
    assert isinstance(found, Genotypes)
    assert both(Haplotypes.of(found, genome)) == [DNA[10:], DNA[10:]]
