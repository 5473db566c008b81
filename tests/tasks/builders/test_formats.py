"""The public files as they really are: their spellings, gaps and oddities, against brute force."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genoglot.errors import GenoglotError
from genoglot.sequence import Genome, to_text
from genoglot.tasks import TASKS, TaskData
from genoglot.tasks.builders.promoters import read_promoters

BASES = 4_000  # of each chromosome of `letters`


def build(name: str, sources: list[Path], out: Path, **options: Any) -> TaskData:
    (data,) = TASKS[name].build(sources, out, leakage=False, **options)
    return data


def refused(name: str, source: Path, problem: str, **options: Any) -> None:
    """The build fails with one line that says so."""
    with pytest.raises(GenoglotError, match=problem) as error:
        build(name, [source], source.parent / "refused", **options)
    assert "\n" not in str(error.value)


def mutagenesis(
    letters: dict[str, str], elements: list[str], start: int = 1_000, release: str = "GRCh38"
) -> list[list[str]]:
    """Rows of the table of saturation mutagenesis: two changes at each of 10 positions."""
    rows = []
    for i, element in enumerate(elements):
        chrom = f"chr{i % 4 + 1}"
        for pos in range(start + 50 * (i // 4), start + 50 * (i // 4) + 10):
            ref = letters[chrom][pos - 1]
            for alt in [base for base in "ACGT" if base != ref][:2]:
                fields = [chrom[3:], str(pos), ref, alt, "20", "9", "9", f"0.{pos}", "0.5"]
                rows.append([*fields, element, release])
    return rows


HEADER = ["Chrom", "Pos", "Ref", "Alt", "Barcodes", "DNA", "RNA", "Coefficient", "pValue"]
HEADER += ["Element", "Release"]


def tsv(path: Path, *rows: list[str]) -> Path:
    body = "".join("\t".join(row) + "\n" for row in rows)
    path.write_bytes(
        gzip.compress(body.encode(), mtime=0) if path.suffix == ".gz" else body.encode()
    )
    return path


def test_every_enhancer_of_the_whole_table_is_left_out(
    letters: dict[str, str], tmp_path: Path
) -> None:
    # As they are called in the public table: data/enhancers.tsv and data/promoters.tsv.
    enhancers = "BCL11A IRF4 IRF6 MYCrs11986220 MYCrs6983267 RET SORT1.2 SORT1-flip SORT1 TCF7L2 "
    enhancers += "UC88 ZFAND3 ZRSh-13h2 ZRSh-13"
    promoters = "F9 FOXE1 GP1BA HBB HBG1 HNF4A LDLR.2 LDLR MSMB TERT-GBM PKLR-24h PKLR-48h "
    promoters += "TERT-GAa TERT-GSc TERT-HEK"
    rows = mutagenesis(letters, [*enhancers.split(), *promoters.split()])
    data = build("MPRAProm", [tsv(tmp_path / "m.tsv", HEADER, *rows)], tmp_path / "d")
    assert set(data.examples["element"]) == set(promoters.split())
    assert data.notes["rows_of_enhancers"] == 14 * 20


def test_mutagenesis_on_two_assemblies_is_read_on_one(
    letters: dict[str, str], dna: Genome, tmp_path: Path
) -> None:
    names = ["F9", "HBB", "TERT-GBM"]
    new, old = mutagenesis(letters, names), mutagenesis(letters, names, 3_000, "GRCh37")
    both = tsv(tmp_path / "m.tsv.gz", HEADER, *old, *new)
    for release, rows in (("GRCh38", new), ("GRCh37", old)):
        data = build("MPRAProm", [both], tmp_path / release, release=release)
        assert [int(row[1]) - 1 for row in rows] == data.examples["start"].to_list()
        assert data.notes["rows_of_other_releases"] == len(rows)
    refused("MPRAProm", both, "no release 'hg19'; set it to one of GRCh37, GRCh38", release="hg19")


def test_mutagenesis_as_the_web_page_spells_it(letters: dict[str, str], tmp_path: Path) -> None:
    rows = mutagenesis(letters, ["F9", "HBB", "LDLR"])
    header = "Chromosome\tPosition\tRef\tAlt\tTags\tDNA\tRNA\tValue\tP-Value\tElement"
    table = tsv(tmp_path / "m.tsv", HEADER, *rows)
    web = tsv(tmp_path / "web.tsv", [header], *(row[:-1] for row in rows))
    wanted, found = (build("MPRAProm", [path], tmp_path / f"d{path.name}") for path in (table, web))
    assert found.digest == wanted.digest


@pytest.mark.parametrize("column", [0, 2, 3])
def test_mutagenesis_with_a_gap(letters: dict[str, str], tmp_path: Path, column: int) -> None:
    rows = mutagenesis(letters, ["F9", "HBB", "LDLR"])
    rows[1][column] = ""
    file = tsv(tmp_path / "m.tsv", HEADER, *rows)
    refused("MPRAProm", file, r"m.tsv:3: .*(the Chrom is missing|not a change of one base)")


def test_an_element_too_long_is_told_of_with_a_genome_too(
    letters: dict[str, str], dna: Genome, tmp_path: Path
) -> None:
    rows = mutagenesis(letters, ["F9"]) + mutagenesis(letters, ["F9"], 2_500)
    file = tsv(tmp_path / "m.tsv", HEADER, *(["chr1", *row[1:]] for row in rows))
    for genome in (None, dna):
        refused("MPRAProm", file, "'F9' is longer than 1400 bp", genome=genome)


CALL = "{chrom}\t{start}\t{end}\ts\t{reads}\t{strand}\t{start}\t{end}\t0,0,0\t{reads}\t{percent}\n"


def calls(letters: dict[str, str], width: int = 1) -> str:
    """A call of each CpG of each chromosome: 1 bp on both strands, or 2 bp of both together."""
    rows = []
    for chrom, text in letters.items():
        for at in (i for i in range(BASES - 1) if text[i : i + 2] == "CG"):
            one = {"chrom": chrom, "percent": 25 + at % 50}
            if width == 2:
                rows.append(CALL.format(**one, start=at, end=at + 2, strand=".", reads=24))
                continue
            for strand, start in (("+", at), ("-", at + 1)):
                rows.append(CALL.format(**one, start=start, end=start + 1, strand=strand, reads=12))
    return "".join(rows)


def test_methylation_calls_of_one_strand_and_of_both_are_the_same_sites(
    letters: dict[str, str], dna: Genome, tmp_path: Path
) -> None:
    (tmp_path / "one.bed").write_text("track name=a\n" + calls(letters))
    (tmp_path / "both.bed.gz").write_bytes(gzip.compress(calls(letters, width=2).encode()))
    one, both = (
        build("Methyl96", [tmp_path / name], tmp_path / f"d{name}", genome=dna)
        for name in ("one.bed", "both.bed.gz")
    )
    assert one.outputs == ["one"] and both.outputs == ["both"]
    for data in (one, both):
        places = data.examples.select("chrom", "start").rows()
        assert places == [
            (chrom, at)
            for chrom, text in letters.items()
            for at in range(BASES - 1)
            if text[at : at + 2] == "CG"
        ]
        assert all(to_text(row)[250:252] == "CG" for row in data.codes[:])
        wanted = [(25 + at % 50) / 100 for _, at in places]
        np.testing.assert_allclose(data.labels[:][:, 0], wanted, atol=0.05)


@pytest.mark.parametrize(
    ("reads", "percent", "problem"),
    [
        (".", "5", r"m.bed:4: .*reads \(column 10\)"),
        ("inf", "5", "m.bed:4: "),
        ("12", "101", "m.bed:4: .*101"),
    ],
)
def test_methylation_that_is_none_is_told_of_with_its_line(
    dna: Genome, tmp_path: Path, reads: str, percent: str, problem: str
) -> None:
    call = {"chrom": "chr1", "start": 5, "end": 6, "strand": "+"}
    good, bad = (
        CALL.format(**call, reads=9, percent=7),
        CALL.format(**call, reads=reads, percent=percent),
    )
    (tmp_path / "m.bed").write_text(f"track name=a\n{good}\n{bad}{good}")
    refused("Methyl96", tmp_path / "m.bed", problem, genome=dna)


def test_methylation_in_nine_columns_is_refused(dna: Genome, tmp_path: Path) -> None:
    file = tmp_path / "m.bed"
    file.write_text("chr1\t5\t6\ts\t9\t+\t5\t6\t0,0,0\n")
    refused("Methyl96", file, "m.bed: has 9 columns; bedMethyl has 11", genome=dna)


EPD = "chr1\t1000\t1060\tA_1\t900\t+\t1049\t1060\nchr2\t2000\t2060\tB_1\t900\t-\t2000\t2011\n"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("\t-\t", "\t\t", "p.bed:2: .* no strand"),
        ("\t2011", "\t.", "p.bed: neither columns 7 and 8"),
        ("\t2000\t2011", "", "p.bed: neither columns 7 and 8"),
    ],
)
def test_promoters_with_gaps_are_refused(
    dna: Genome, tmp_path: Path, old: str, new: str, problem: str
) -> None:
    (tmp_path / "p.bed").write_text(EPD.replace(old, new))
    refused("PromFix", tmp_path / "p.bed", problem, genome=dna)


def fps(name: str, sequence: str, strand: str, position: int) -> str:
    """A line of EPD's functional position sets."""
    return f"FP   {name:20}:+U  EU:{sequence:18}1{strand}{position:10}; 00001.050*\n"


def test_promoters_under_other_column_names_and_behind_other_lines(tmp_path: Path) -> None:
    files = {
        "plain.bed": EPD,
        "spaces.bed": EPD.replace("\t", " "),
        "named.bed": f"#chr\tbegin\tend\tgene\tscore\tStrand\tthickStart\tthickEnd\n{EPD}",
        "a.fps": fps("A_1", "chr1", "+", 1050) + fps("B_1", "chr2", "-", 2011),
        "title.fps": "TI   EPDnew\nXX\n"
        + fps("A_1", "NC_000001.11", "+", 1050)
        + fps("B_1", "NC_000002.12", "-", 2011),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        found = read_promoters(tmp_path / name)
        assert found.frame.rows() == [
            ("chr1", 1049, 1050, "A_1", "+"),
            ("chr2", 2010, 2011, "B_1", "-"),
        ], name


@pytest.mark.parametrize(
    ("sequence", "position", "problem"),
    [
        ("chr1", 0, "p.fps:2: no FP line of EPD"),
        ("NC_000067.7", 9, "p.fps: the genome has no chromosome 'NC_000067.7'"),  # mouse chr1
    ],
)
def test_fps_lines_at_no_place_of_the_genome(
    dna: Genome, tmp_path: Path, sequence: str, position: int, problem: str
) -> None:
    (tmp_path / "p.fps").write_text("XX\n" + fps("A_1", sequence, "+", position))
    refused("PromFix", tmp_path / "p.fps", problem, genome=dna)


def test_an_empty_peak_makes_no_bin_positive(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text("".join(f">chr{i}\n{'ACGT' * 50_000}\n" for i in range(1, 5)))
    wanted = [(f"chr{i}", at) for i in range(1, 4) for at in range(0, 200_000, 400)]
    peaks = "".join(f"{chrom}\t{at}\t{at + 150}\n" for chrom, at in wanted)
    (tmp_path / "a.narrowPeak").write_text(f"{peaks}chr4\t200\t200\n")
    genome = Genome.open(tmp_path / "g.fa")
    data = build("DeepSEA919", [tmp_path / "a.narrowPeak"], tmp_path / "d", genome=genome)
    assert data.examples.select("chrom", "start").rows() == wanted


PIP = "Liver\tG\t1\t0.9\t{variant}\t{pip}\n"


def variant_rows(letters: dict[str, str]) -> list[str]:
    """Causal and spurious single-base variants on each chromosome."""
    rows = []
    for chrom, text in letters.items():
        for k, pip in enumerate(["0.95", "0.001", "0.002", "0.003"]):
            at = 1_000 + 600 * k
            alt = "ACGT"["ACGT".index(text[at]) - 1]
            rows.append(PIP.format(variant=f"{chrom}_{at + 1}_{text[at]}_{alt}_b38", pip=pip))
    return rows


def test_variants_with_indels_and_past_the_end(
    letters: dict[str, str], dna: Genome, tmp_path: Path
) -> None:
    rows = variant_rows(letters)
    ref = letters["chr1"][99:102]
    rows += [PIP.format(variant=f"chr1_100_{ref}_{ref[0]}_b38", pip="0.99")]
    rows += [PIP.format(variant="chr1_900000_A_G_b38", pip="0.99")]
    rows += [PIP.format(variant="chr9_5_A_G_b38", pip="0.99")]
    rows[0] = rows[0].replace("_b38", "").lower().replace("liver\tg", "Liver\tG")
    (tmp_path / "v.txt.gz").write_bytes(gzip.compress("".join(rows).encode()))
    data = build("CausalSNP", [tmp_path / "v.txt.gz"], tmp_path / "d", genome=dna)
    notes = data.notes
    assert notes["insertions_and_deletions"] == 1 and notes["rows_off_the_genome"] == 2
    assert len(data) == 4 * 3 and data.labels[:].sum() == 4
    assert data.alternative is not None
    for i, row in enumerate(data.examples.iter_rows(named=True)):
        _, at, ref, alt = row["id"].split(":")[0].upper().split("_")[:4]
        assert row["start"] == int(at) - 1
        window = letters[row["chrom"]][int(at) - 501 : int(at) + 499]
        assert to_text(data.codes[i]) == window and window[500] == ref
        assert to_text(data.alternative[i]) == window[:500] + alt + window[501:]


@pytest.mark.parametrize("variant", ["chr1_0_A_G_b38", "chr1_99999999999999999999_A_G", "chr1_7_A"])
def test_variants_at_no_place_are_told_of_with_their_line(
    letters: dict[str, str], dna: Genome, tmp_path: Path, variant: str
) -> None:
    rows = variant_rows(letters)
    rows.insert(2, PIP.format(variant=variant, pip="0.99"))
    (tmp_path / "v.txt").write_text("".join(rows))
    refused("CausalSNP", tmp_path / "v.txt", "v.txt:3: .* is not a variant such as", genome=dna)


@pytest.mark.parametrize("alt", ["N", "same", "Q"])
def test_variants_that_change_no_base_are_told_of_as_such(
    letters: dict[str, str], dna: Genome, tmp_path: Path, alt: str
) -> None:
    rows = variant_rows(letters)
    base = letters["chr1"][6]
    variant = f"chr1_7_{base}_{base if alt == 'same' else alt}_b38"
    rows.insert(2, PIP.format(variant=variant, pip="0.99"))
    (tmp_path / "v.txt").write_text("".join(rows))
    refused("CausalSNP", tmp_path / "v.txt", "v.txt:3: .* is not a change of one base", genome=dna)


def expression(folder: Path, table: str, genes: str | None = None) -> list[Path]:
    text = "id,symbol,seqnames,strand,TSS,CAGE_representative_TSS,type\n" + (
        genes or "".join(f"G{i},g,chr{i},-,2000,1500,x\n" for i in range(1, 5))
    )
    (folder / "geneanno.csv").write_text(text)
    (folder / "e.csv").write_text(table)
    return [folder / "geneanno.csv", folder / "e.csv"]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (",liver\nG1,1\nG2,2\nG3,3\nG4,4\nG2,9\n", "e.csv:6: gene G2 twice"),
        (",liver\n0,1\n1,inf\n2,3\n3,4\n", "e.csv:3: liver is 'inf', which is not a number"),
    ],
)
def test_expression_that_is_ambiguous_or_no_number(
    dna: Genome, tmp_path: Path, table: str, problem: str
) -> None:
    with pytest.raises(GenoglotError, match=problem):
        build("GeneExp", expression(tmp_path, table), tmp_path / "d", genome=dna)
