"""SpliceSites: labels of hand-made annotations, on both strands; splits; what is refused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from genoglot.errors import GenoglotError
from genoglot.sequence import Genome, reverse_complement, to_text
from genoglot.tasks import TASKS, TaskData
from genoglot.tasks.builders.gene_transcripts import read_spliceai_table

LENGTH = 30_000


class Gene(NamedTuple):
    """A gene and the exons of its transcripts, from 1 and both ends included, as GTF has them."""

    name: str
    chrom: str
    strand: str
    transcripts: dict[str, list[tuple[int, int]]]


# B has two transcripts with introns; the mRNA of B1 is longer, B2 has more introns.
GENES = [
    Gene("A", "chr1", "+", {"A1": [(101, 150), (201, 260), (401, 480)]}),
    Gene("B", "chr1", "-", {
        "B1": [(1001, 1300), (1401, 1500)],
        "B2": [(1001, 1100), (1201, 1250), (1401, 1500)],
        "B3": [(1001, 1500)],
    }),
    Gene("C", "chr2", "-", {"C1": [(501, 520), (601, 660)]}),
    Gene("D", "chr2", "+", {"D1": [(901, 950)]}),
    Gene("E", "chr3", "+", {"E1": [(11, 60), (201, 260)]}),
]  # fmt: skip


def introns(gene: Gene) -> list[tuple[int, int]]:
    """Introns of all transcripts of a gene, from 0 and half-open."""
    found = []
    for exons in gene.transcripts.values():
        found += [(end, start - 1) for (_, end), (start, _) in pairwise(exons)]
    return found


def gtf(genes: list[Gene]) -> str:
    lines = []
    for gene in genes:
        about = f'gene_id "{gene.name}"; gene_biotype "protein_coding";'
        for transcript, exons in gene.transcripts.items():
            # Ensembl lists the exons of the minus strand from the last to the first.
            for start, end in exons if gene.strand == "+" else exons[::-1]:
                row = [gene.chrom, "x", "exon", start, end, ".", gene.strand, "."]
                lines.append(
                    "\t".join([*map(str, row), f'{about} transcript_id "{transcript}";']) + "\n"
                )
    return "".join(lines)


def spliced_genome(path: Path, genes: list[Gene], chroms: int = 3) -> Genome:
    """Random DNA in which each intron begins with GT and ends with AG, on its strand."""
    rng = np.random.default_rng(0)
    dna = {f"chr{i + 1}": list(rng.choice(list("ACGT"), LENGTH)) for i in range(chroms)}
    for gene in genes:
        first, last = ("GT", "AG") if gene.strand == "+" else ("CT", "AC")
        for start, end in introns(gene):
            dna[gene.chrom][start : start + 2] = first
            dna[gene.chrom][end - 2 : end] = last
    path.write_text("".join(f">{chrom}\n{''.join(bases)}\n" for chrom, bases in dna.items()))
    return Genome.open(path)


def filler(chroms: int = 3, n: int = 8) -> list[Gene]:
    """Genes that make up the rest of the subsets, far from those under test."""
    found = []
    for c in range(1, chroms + 1):
        for i, at in enumerate(range(5_001, 5_001 + n * 1_000, 1_000)):
            exons = {f"t{c}.{i}": [(at, at + 29), (at + 90, at + 130)]}
            found.append(Gene(f"f{c}.{i}", f"chr{c}", "+-"[i % 2], exons))
    return found


Build = Callable[..., TaskData]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def build(genes: list[Gene] | str | None = None, **options: Any) -> TaskData:
        made = [*GENES, *filler()] if genes is None or isinstance(genes, str) else genes
        genome = options.pop("genome", None) or spliced_genome(tmp_path / "g.fa", made)
        path = tmp_path / options.pop("file", "a.gtf")
        path.write_text(genes if isinstance(genes, str) else gtf(made))
        out = tmp_path / f"task{len(list(tmp_path.iterdir()))}"
        small = {"context": 20, "block": 64, "leakage": False}
        (data,) = TASKS["SpliceSites"].build([path], out, genome=genome, **{**small, **options})
        return data

    return build


def pre_mrna(data: TaskData, gene: str) -> tuple[str, np.ndarray]:
    """Put the blocks of a gene together again: DNA and labels, in the direction of the gene."""
    rows = data.examples.with_row_index().filter(group=gene)
    half = data.context // 2
    text, labels = "", []
    for row in rows.iter_rows(named=True):
        n = row["end"] - row["start"]
        text += to_text(data.codes[row["index"]])[half : half + n]
        found = data.labels[row["index"]]
        assert (found[n:] == -1).all() and (found[:n] >= 0).all()
        labels.append(found[:n])
    return text, np.concatenate(labels)


def test_sites_lie_at_the_ends_of_introns_on_both_strands(build: Build) -> None:
    data = build()
    assert data.target == "nucleotide-classes" and data.name == "20nt"
    assert data.outputs == ["neither", "acceptor", "donor"] and data.context == 20
    # Offsets in the direction of transcription, counted by hand from the exons above.
    wanted = {
        "A": (380, [100, 300], [49, 159]),  # 101..480: exons 0-49, 100-159, 300-379
        "B": (500, [200], [99]),  # 1500..1001: exons 0-99 and 200-499
        "C": (160, [140], [59]),  # 660..501: exons 0-59 and 140-159
        "E": (250, [190], [49]),
    }
    for gene, (length, acceptors, donors) in wanted.items():
        text, labels = pre_mrna(data, gene)
        assert len(text) == len(labels) == length
        assert np.flatnonzero(labels == 1).tolist() == acceptors
        assert np.flatnonzero(labels == 2).tolist() == donors
        assert [text[i - 2 : i] for i in acceptors] == ["AG"] * len(acceptors)
        assert [text[i + 1 : i + 3] for i in donors] == ["GT"] * len(donors)
    assert set(data.examples["group"]) == {*wanted, *(gene.name for gene in filler())}  # D has none
    assert data.notes["genes_without_introns"] == 1 and data.notes["genes"] == 28
    assert data.notes["introns"] == 29 and data.notes["noncanonical_introns"] == 0


def test_blocks_hold_the_dna_around_them_and_n_past_the_transcript(build: Build) -> None:
    data = build()
    genome = Genome.open(data.path.parent / "g.fa")
    for i, row in enumerate(data.examples.iter_rows(named=True)):
        gene = next(one for one in (*GENES, *filler()) if one.name == row["group"])
        exons = next(e for e in gene.transcripts.values() if len(e) > 1)
        low, high = exons[0][0] - 1, exons[-1][1]
        assert low <= row["start"] < row["end"] <= high
        padded = "N" * 74 + genome.sequence(gene.chrom, low, high) + "N" * 74
        if row["strand"] == "+":
            first = row["start"] - low + 64
            text = padded[first : first + 84]
        else:
            last = row["end"] - low + 84
            text = reverse_complement(padded[last - 84 : last])
        assert to_text(data.codes[i]) == text


def test_the_transcript_of_a_gene_can_be_the_longest_or_the_one_with_most_introns(
    build: Build,
) -> None:
    longest, most = build(), build(transcript="most-introns")
    assert (pre_mrna(longest, "B")[1] > 0).sum() == 2
    labels = pre_mrna(most, "B")[1]
    assert np.flatnonzero(labels == 1).tolist() == [250, 400]
    assert np.flatnonzero(labels == 2).tolist() == [99, 299]
    assert set(longest.examples["id"].str.split(":").list.first()) >= {"A1", "B1"}
    assert set(most.examples["id"].str.split(":").list.first()) >= {"A1", "B2"}


def test_gff3_and_the_table_of_spliceai_give_the_same_data(build: Build, tmp_path: Path) -> None:
    genes = [*GENES[:1], *GENES[2:], *filler()]  # the table has one transcript per gene
    from_gtf = build(genes)
    genome = Genome.open(tmp_path / "g.fa")
    gff, table = [f"##gff-version 3\n##sequence-region chr1 1 {LENGTH}\n"], []
    table.append("#NAME\tCHROM\tSTRAND\tTX_START\tTX_END\tEXON_START\tEXON_END\n")
    for gene in genes:
        for name, exons in gene.transcripts.items():
            row = f"{gene.chrom}\tx\t{{}}\t{{}}\t{{}}\t.\t{gene.strand}\t.\t"
            span = exons[0][0], exons[-1][1]
            gff.append(row.format("gene", *span) + f"ID={gene.name}\n")
            gff.append(row.format("mRNA", *span) + f"ID={name};Parent={gene.name}\n")
            gff += [row.format("exon", *exon) + f"Parent={name}\n" for exon in exons]
            starts = "".join(f"{start - 1}," for start, _ in exons)
            ends = "".join(f"{end}," for _, end in exons)
            line = [gene.name, gene.chrom, gene.strand, str(span[0] - 1), str(span[1])]
            table.append("\t".join([*line, starts, ends]) + "\n")
    others = (
        build("".join(gff), genome=genome, file="a.gff3"),
        build("".join(table), genome=genome, file="a.tsv"),
    )
    for other in others:
        np.testing.assert_array_equal(other.codes[:], from_gtf.codes[:])
        np.testing.assert_array_equal(other.labels[:], from_gtf.labels[:])
        assert other.examples["group"].to_list() == from_gtf.examples["group"].to_list()


def test_genes_of_a_split_are_apart_and_named_by_its_rule(build: Build) -> None:
    data = build(seed=3, gap=0)
    examples = data.examples
    assert data.splits == ["chromosome", "halves"] and data.default_split == "chromosome"
    for split in data.splits:
        subset = dict(examples.select("group", f"split:{split}").iter_rows())
        assert examples["group"].n_unique() == len(subset) and set(subset.values()) >= {
            "train", "validation", "test"
        }  # fmt: skip
    halves = examples.filter(examples["split:halves"] == "test")
    learned = examples.filter(examples["split:halves"].is_in(["train", "validation"]))
    for chrom in ("chr1", "chr2", "chr3"):
        ends = learned.filter(chrom=chrom)["end"]
        starts = halves.filter(chrom=chrom)["start"]
        assert ends.max() < starts.min()
    assert build(seed=3, gap=0).digest == data.digest
    assert build().splits == ["chromosome"]  # the default gap leaves no gene of these halves


def test_human_names_have_the_published_split(build: Build, tmp_path: Path) -> None:
    genes = filler(chroms=4)
    genes = [one._replace(chrom={"chr4": "chr21"}.get(one.chrom, one.chrom)) for one in genes]
    text = tmp_path / "g.fa"
    spliced_genome(text, filler(chroms=4), chroms=4)
    text.write_text(text.read_text().replace(">chr4", ">chr21"))
    data = build(gtf(genes), genome=Genome.open(text))
    subset = data.examples.group_by("chrom").agg(one="split:spliceai").sort("chrom")
    parts = {row["chrom"]: set(row["one"]) for row in subset.iter_rows(named=True)}
    assert data.default_split == "spliceai"
    assert parts["chr1"] == parts["chr3"] == {"test"}
    assert parts["chr2"] | parts["chr21"] == {"train", "validation"}


def test_names_of_other_species_do_not_have_it(build: Build, tmp_path: Path) -> None:
    names = {"chr1": "chr1", "chr2": "chr3", "chr3": "chr10", "chr4": "chr19"}  # of the mouse
    genes = [one._replace(chrom=names[one.chrom]) for one in filler(chroms=4)]
    text = tmp_path / "g.fa"
    spliced_genome(text, filler(chroms=4), chroms=4)
    records = text.read_text().split(">")[1:]
    text.write_text("".join(f">{names[one[:4]]}{one[4:]}" for one in records))
    data = build(gtf(genes), genome=Genome.open(text))
    assert data.default_split == "chromosome" and "spliceai" not in data.splits


def subsets_of_groups(data: TaskData) -> int:
    """Largest number of subsets that a group is in, of all splits."""
    return max(
        data.examples.drop_nulls(f"split:{split}")
        .group_by("group")
        .agg(n=pl.col(f"split:{split}").n_unique())["n"]
        .max()
        for split in data.splits
    )


def test_genes_of_one_name_are_one_group(
    build: Build, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    genes = filler(chroms=4)
    text = gtf(genes)
    for i, chrom in ((0, 1), (1, 1), (2, 3), (3, 3)):  # genes of chr4 have names of others
        for kind in "ft":
            text = text.replace(f'"{kind}4.{i}"', f'"{kind}{chrom}.{i}"')
    genome = spliced_genome(tmp_path / "g.fa", genes, chroms=4)
    data = build(text, genome=genome, gap=0)
    assert "8 of 32 genes have the name, or the DNA and exons, of another one" in caplog.text
    examples = data.examples
    assert examples["id"].n_unique() == len(examples)
    assert {"chr1:t1.0:0", "chr4:t1.0:0", "t2.0:0"} <= set(examples["id"])
    assert subsets_of_groups(data) == 1
    for split in ("chromosome", "halves"):  # none is lost
        assert examples.drop_nulls(f"split:{split}")["group"].n_unique() == 28


def test_copies_of_a_gene_are_one_group(build: Build, tmp_path: Path) -> None:
    genes = filler(chroms=4)
    text = tmp_path / "g.fa"
    spliced_genome(text, genes, chroms=4)
    *others, third, _ = text.read_text().split(">")[1:]
    # chr4 is a copy of chr3; its genes have the names that GENCODE gave those of Y, and others.
    text.write_text("".join(f">{one}" for one in [*others, third, f"chr4{third[4:]}"]))
    annotation = gtf(genes)
    for i in range(4):
        for kind in "ft":
            annotation = annotation.replace(f'"{kind}4.{i}"', f'"{kind}3.{i}_PAR_Y"')
    data = build(annotation, genome=Genome.open(text), gap=0)
    assert data.notes["genes_with_copies"] == 16
    groups = dict(data.examples.select("id", "group").iter_rows())
    assert (groups["t3.0_PAR_Y:0"], groups["t4.5:0"], groups["t2.5:0"]) == ("f3.0", "f3.5", "f2.5")
    assert subsets_of_groups(data) == 1


def test_a_genome_of_one_chromosome_is_split_into_halves(build: Build) -> None:
    genes = [*GENES[:1], *filler(chroms=1, n=20)]
    data = build(genes, gap=2_000)
    assert data.splits == ["halves"]
    starts, ends = (data.examples.filter(data.examples["split:halves"] == name)[column]
                    for name, column in (("test", "start"), ("train", "end")))  # fmt: skip
    assert 2_000 <= starts.min() - ends.max() < 5_000
    with pytest.raises(GenoglotError, match=r"too few to train.*gap=0"):
        build(genes, gap=50_000)


def test_genes_that_overlap_are_never_in_train_and_validation(build: Build) -> None:
    genes = filler(chroms=1, n=12)
    shifted = []
    for gene in genes:
        ((name, exons),) = gene.transcripts.items()
        moved = {f"{name}x": [(start + 3, end + 3) for start, end in exons]}
        shifted.append(gene._replace(name=f"{gene.name}x", transcripts=moved))
    genome_of = [*genes, *shifted]
    data = build(genome_of, gap=0)
    assert data.notes["genes_that_overlap_others"] == 24
    subset = dict(data.examples.select("group", "split:halves").iter_rows())
    assert {"train", "validation", "test"} <= set(subset.values())
    for gene in genes:
        assert {subset[gene.name], subset[f"{gene.name}x"]} != {"train", "validation"}


def test_what_is_left_out_is_counted(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    end = LENGTH
    beyond = Gene("Z", "chr1", "+", {"Z1": [(end - 100, end - 50), (end + 1, end + 60)]})
    elsewhere = Gene("Y", "chrUn_7", "+", {"Y1": [(1, 50), (101, 160)]})
    unstranded = Gene("X", "chr1", ".", {"X1": [(20_001, 20_050), (20_101, 20_160)]})
    exons = [(22_001, 22_050), (22_052, 22_100), (22_201, 22_250)]
    shift = Gene("W", "chr2", "+", {"W1": exons})
    usual = [*GENES, *filler()]
    # The intron of W1 has no GT and AG, and its exons 1 and 2 are one with a frameshift.
    data = build(gtf([*usual, beyond, elsewhere, unstranded, shift]))
    assert data.notes["transcripts_off_the_genome"] == 2
    assert data.notes["transcripts_without_strand"] == 1
    assert data.notes["exons_joined_to_the_next"] == 1
    assert data.notes["noncanonical_introns"] == 1
    assert not {"X", "Y", "Z"} & set(data.examples["group"])
    assert (pre_mrna(data, "W")[1] > 0).sum() == 2
    assert "2 of 31 transcripts lie outside the genome's sequences" in caplog.text
    assert "1 of 35 transcripts have no strand" in caplog.text


def test_biotypes_can_be_chosen(build: Build) -> None:
    text = gtf([*GENES, *filler()])
    of_a = 'gene_id "A"; gene_biotype "{}"'
    mixed = text.replace(of_a.format("protein_coding"), of_a.format("lncRNA"))
    data = build(mixed, biotype="protein_coding")
    assert "A" not in set(data.examples["group"])
    assert data.notes["transcripts_of_other_biotypes"] == 1
    with pytest.raises(GenoglotError, match="biotype 'mRNA'; it has lncRNA, protein_coding"):
        build(mixed, biotype="mRNA")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("chr", ""), "says '1' where the genome says 'chr1'"),
        (("exon", "gene"), "has no exon and no CDS records"),
        (("chr", "scaffold_"), "the genome has no chromosome 'scaffold_1'"),
        (("\t101\t", "\tx\t"), r"a.gtf:1: a GTF or GFF3 line has nine"),
        (("\t+\t", "\t-\t"), "introns neither begin with GT"),  # the other strand
    ],
)
def test_annotation_that_does_not_fit_is_refused(
    build: Build, change: tuple[str, str], problem: str, tmp_path: Path
) -> None:
    genes = [gene for gene in (*GENES, *filler()) if gene.strand == "+"]
    genome = spliced_genome(tmp_path / "g.fa", [*GENES, *filler()])
    with pytest.raises(GenoglotError, match=problem):
        build(gtf(genes).replace(*change), genome=genome)
    assert not list(tmp_path.glob("task*"))


def test_annotation_of_another_assembly_is_refused(
    build: Build, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    genes = [*GENES, *filler()]
    genome = spliced_genome(tmp_path / "g.fa", genes)
    text = gtf(genes)
    with pytest.raises(GenoglotError, match=r"chr2 has 29,990 bp according to this file, and 30"):
        build(f"##sequence-region chr2 1 29990\n{text}", genome=genome)
    record = "chr2\tSGD\tchromosome\t1\t29990\t.\t.\t.\tID=chr2\n"
    with pytest.raises(GenoglotError, match="give the annotation of the genome's assembly"):
        build(record + text, genome=genome)
    same = f"##sequence-region chr2 1 {LENGTH}\n##sequence-region chr9 1 5\n"
    build(same + text, genome=genome)
    assert "only if the genome is a part" not in caplog.text
    build(f"##sequence-region chr1 1 {LENGTH + 9}\n{text}", genome=genome)
    assert "chr1 has 30,009 bp according to this file, and 30,000 in the genome" in caplog.text


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"context": 81}, "give an even context"),
        ({"block": 0}, "a block of 1 or more"),
        ({"gap": -1}, "a gap of 0 or more"),
        ({"transcript": "first"}, "choose one of longest, most-introns"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    build: Build, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(GenoglotError, match=problem):
        build(**options)


def test_genes_without_introns_only_are_refused(build: Build) -> None:
    with pytest.raises(GenoglotError, match="no transcript has an intron"):
        build([GENES[3], GENES[3]._replace(name="D2", transcripts={"D2": [(1, 9)]})])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("g\t1\t+\t10\t90\t10,50\t30,90", None),
        ("g\t1\t+\t10\t90\t10,50,\t30,80,", ":2: the exons of g are not sorted ranges"),
        ("g\t1\t+\t10\t90\t10,20,\t30,90,", ":2: the exons of g are not sorted ranges"),
        ("g\t1\t+\t10\t90\t10,\t30,90,", ":2: the exons of g are not sorted ranges"),
        ("g\t1\t+\tx\t90\t10,50,\t30,90,", ":2: the exons of g are not sorted ranges"),
        ("g\t1\t+\t1²\t90\t10,50,\t30,90,", ":2: the exons of g are not sorted ranges"),
        (
            f"g\t1\t+\t10\t{10**19}\t10,50,\t30,{10**19},",
            ":2: the exons of g are not sorted ranges",
        ),
        ("g\t1\t%\t10\t90\t10,50,\t30,90,", "the strand of g is '%'"),
    ],
)
def test_tables_of_spliceai_are_checked(tmp_path: Path, line: str, problem: str | None) -> None:
    head = "#NAME\tCHROM\tSTRAND\tTX_START\tTX_END\tEXON_START\tEXON_END\n"
    (tmp_path / "t.tsv").write_text(head + line + "\n")
    if problem is None:
        (one,) = read_spliceai_table(tmp_path / "t.tsv")
        assert one.exons == ((10, 30), (50, 90)) and one.introns == [(30, 50)]
        return
    with pytest.raises(GenoglotError, match=problem):
        read_spliceai_table(tmp_path / "t.tsv")


def test_a_gene_that_a_table_lists_twice_is_counted(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    genes = filler()
    table = ["#NAME\tCHROM\tSTRAND\tTX_START\tTX_END\tEXON_START\tEXON_END\n"]
    for gene in genes:
        ((start, end), (again, last)) = next(iter(gene.transcripts.values()))
        line = [gene.name, gene.chrom, gene.strand, str(start - 1), str(last)]
        table.append("\t".join([*line, f"{start - 1},{again - 1},", f"{end},{last},"]) + "\n")
    options = {"genome": None, "file": "a.tsv"}
    once = build("".join(table), **options)
    twice = build("".join(table) + table[1], **options)
    assert (once.notes["repeated_names"], twice.notes["repeated_names"]) == (0, 1)
    assert "1 of 25 transcripts have the name of another on their chromosome" in caplog.text
    assert once.digest == twice.digest
