"""What a builder leaves out, cuts or cannot place is counted, in the notes and in the log."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genoglot.errors import GenoglotError
from genoglot.sequence import Genome, reverse_complement, to_text
from genoglot.tasks import TASKS, TaskData

Letters = dict[str, str]


def build(name: str, sources: list[Path], out: Path, **options: Any) -> TaskData:
    (data,) = TASKS[name].build(sources, out, leakage=False, **options)
    return data


@pytest.fixture(scope="module")
def long_dna(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    """Three chromosomes of 100,050 bp, so that the last 50 bp are of no bin."""
    path = tmp_path_factory.mktemp("dna") / "g.fa"
    path.write_text("".join(f">chr{i}\n{'ACGTA' * 20_010}\n" for i in range(1, 4)))
    return Genome.open(path)


def test_peaks_past_an_end_count_as_far_as_they_are_inside(
    long_dna: Genome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    peaks = []
    for i in (1, 2, 3):
        starts = rng.integers(0, 99_000, 60)
        peaks += [(f"chr{i}", int(at), int(at + rng.integers(50, 900))) for at in starts]
        peaks += [(f"chr{i}", 99_650, 100_500), (f"chr{i}", 99_100, 3_000_000_000)]
    outside = [("chr1", 100_050, 100_300), ("chr2", 200_000, 200_100), ("chrUn", 5, 900)]
    empty = [("chr3", 500, 500)]
    # What is right, base by base.
    wanted = set()
    for chrom in ("chr1", "chr2", "chr3"):
        covered = np.zeros(100_050, bool)
        for name, start, end in peaks:
            if name == chrom:
                covered[start : min(end, 100_050)] = True
        share = covered[:100_000].reshape(-1, 200).mean(axis=1)
        wanted |= {(chrom, int(i) * 200) for i in np.flatnonzero(share > 0.5)}
    rows = [f"{c}\t{start}\t{end}\n" for c, start, end in [*peaks, *outside, *empty]]
    (tmp_path / "a.narrowPeak").write_text("".join(rows))
    data = build("Track7878", [tmp_path / "a.narrowPeak"], tmp_path / "d", genome=long_dna)
    assert set(data.examples.select("chrom", "start").rows()) == wanted
    notes = data.notes
    assert notes["peaks_cut"] == 6
    assert notes["peaks_off_the_genome"] == len(outside) and notes["empty_peaks"] == 1
    assert f"a.narrowPeak: 3 of {len(rows)} peaks lie outside the genome's seq" in caplog.text
    assert f"6 of {len(rows)} peaks reach past the end of a sequence: cut there" in caplog.text
    assert f"1 of {len(rows)} peaks are empty: left out" in caplog.text


def test_counts_of_many_files_are_one_line(
    long_dna: Genome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, extra in (("a", ""), ("b", "chr9\t1\t500\n"), ("c", "chr9\t1\t500\nchr8\t1\t500\n")):
        rows = "".join(f"chr{i}\t{1_000 * k}\t{1_000 * k + 300}\n" for i in (1, 2, 3)
                       for k in range(40))  # fmt: skip
        (tmp_path / f"{name}.bed").write_text(rows + extra)
    files = [tmp_path / f"{name}.bed" for name in "abc"]
    data = build("Track7878", files, tmp_path / "d", genome=long_dna)
    assert data.notes["peaks_off_the_genome"] == 3
    (line,) = [one for one in caplog.messages if "outside" in one]
    assert line.startswith("2 of 3 files, such as ") and "b.bed: 3 of 363 peaks lie" in line


@pytest.mark.parametrize(
    ("rows", "options", "problem"),
    [
        # Another assembly: most peaks on the genome's chromosomes begin past their ends.
        (
            ["chr1\t5\t900", "chr1\t200000\t200300", "chr2\t300000\t300300", "chrX\t1\t9"],
            {},
            r"2 of 3 regions lie past the ends of the genome's chromosomes \(such as chr1:200001-"
            r"200300; chr1 has 100,050 bp\); give the assembly",
        ),
        # Peaks of one base make no bin positive.
        (["chr1\t5\t6", "chr2\t5\t6", "chr3\t5\t6"], {}, "no bin of 200 bp has more than 50%.*=0"),
        (["chr1\t100040\t100050"], {"min_fraction": 0.0}, "no bin of 200 bp has more than 0%"),
    ],
)
def test_peaks_that_make_no_example_are_refused_with_the_reason(
    long_dna: Genome, tmp_path: Path, rows: list[str], options: dict[str, Any], problem: str
) -> None:
    (tmp_path / "a.bed").write_text("\n".join(rows) + "\n")
    with pytest.raises(GenoglotError, match=problem) as error:
        build("Track7878", [tmp_path / "a.bed"], tmp_path / "d", genome=long_dna, **options)
    assert "\n" not in str(error.value) and not (tmp_path / "d").exists()


def tables(folder: Path, genes: list[str], values: str) -> list[Path]:
    header = "id,symbol,seqnames,strand,TSS,CAGE_representative_TSS,type\n"
    (folder / "genes.csv").write_text(header + "".join(f"{row}\n" for row in genes))
    (folder / "values.csv").write_text(values)
    return [folder / "genes.csv", folder / "values.csv"]


GENES = [
    *("G1,g,chr1,1,2000,,x", "G2,g,chr2,-1,2000,1500,x", "G3,g,chr3,+,1800,,x"),
    *("G4,g,chr4,-,1700,,x", "G5,g,chr9,+,1700,,x", "G6,g,chr1,+,9999,,x"),
]
VALUES = ",liver\nG1,1\nG2,2\nG3,3\nG4,\nG5,5\nG6,6\nG7,7\nG8,8\n"


def test_genes_on_strands_as_biomart_writes_them_and_what_is_left_out(
    letters: Letters, dna: Genome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = build("GeneExp", tables(tmp_path, GENES, VALUES), tmp_path / "d", genome=dna)
    assert data.examples.select("id", "strand").rows() == [("G1", "+"), ("G2", "-"), ("G3", "+")]
    middle = {row: to_text(data.codes[row])[19_990:20_010] for row in range(3)}
    assert middle[0] == letters["chr1"][1_989:2_009]
    assert middle[1] == reverse_complement(letters["chr2"][1_490:1_510])
    notes = data.notes
    names = ("genes_off_the_genome", "genes_without_expression", "other_genes")
    assert [notes[name] for name in names] == [2, 1, 2]
    for line in (
        "genes.csv: 2 of 6 genes lie outside the genome's sequences: left out",
        "values.csv: 1 of 6 genes have no value: left out",
        "values.csv: 2 of 8 genes are not in the table of genes: left out",
    ):
        assert line in caplog.text


@pytest.mark.parametrize(
    ("gene", "values", "problem"),
    [
        ("G1,g,chr1,up,2000,,x", VALUES, "genes.csv: the strand of row 1 is 'up'"),
        ("G1,g,chr1,.,2000,,x", VALUES, "genes.csv:2: strand is '.', neither"),
        (
            "G1,g,chr1,1,2000.5,,x",
            VALUES,
            "genes.csv:2: the TSS is 2000.5, which is not a position",
        ),
        (GENES[0], ",liver\n5,1\n3,1\n4,1\n2,1\n1,1\n0,1\n", "values.csv: the numbers of the rows"),
    ],
)
def test_genes_that_are_not_clear_are_refused(
    dna: Genome, tmp_path: Path, gene: str, values: str, problem: str
) -> None:
    with pytest.raises(GenoglotError, match=problem):
        build("GeneExp", tables(tmp_path, [gene, *GENES[1:]], values), tmp_path / "d", genome=dna)


def variants(letters: Letters) -> list[str]:
    """A causal and two spurious variants on each chromosome, as DAP-G's table has them."""
    rows = ["tissue_id\tgene_id\tcluster_id\tcluster_pip\tvariant_id\tvariant_pip"]
    for chrom, text in letters.items():
        for at, pip in ((600, "0.95"), (1_900, "0.001"), (3_200, "0.002")):
            alt = "ACGT"["ACGT".index(text[at]) - 1]
            rows.append(f"Liver\tG\t1\t0.9\t{chrom}_{at + 1}_{text[at]}_{alt}_b38\t{pip}")
    return rows


@pytest.mark.parametrize("end", ["\r", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_table_of_variants_with_any_line_end_and_encoding(
    letters: Letters, dna: Genome, tmp_path: Path, end: str, encoding: str
) -> None:
    rows = variants(letters)
    (tmp_path / "plain.txt").write_text("\n".join(rows) + "\n")
    (tmp_path / "odd.txt.gz").write_bytes(gzip.compress((end.join(rows) + end).encode(encoding)))
    plain = build("CausalSNP", [tmp_path / "plain.txt"], tmp_path / "plain", genome=dna)
    odd = build("CausalSNP", [tmp_path / "odd.txt.gz"], tmp_path / "odd", genome=dna)
    assert len(plain) == 12 and odd.digest == plain.digest


def test_a_damaged_table_of_variants_is_one_line(
    letters: Letters, dna: Genome, tmp_path: Path
) -> None:
    whole = gzip.compress("\n".join(variants(letters)).encode())
    (tmp_path / "v.txt.gz").write_bytes(whole[:-20])
    with pytest.raises(GenoglotError, match=r"v.txt.gz: damaged gzip file") as error:
        build("CausalSNP", [tmp_path / "v.txt.gz"], tmp_path / "d", genome=dna)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("header", [True, False])
def test_variants_without_a_tissue_are_refused_with_their_line(
    letters: Letters, dna: Genome, tmp_path: Path, header: bool
) -> None:
    rows = variants(letters)
    rows[3] = rows[3].replace("Liver", " ")
    rows[2] = rows[2].replace("Liver", " Liver ")  # the same tissue
    (tmp_path / "v.txt").write_text("\n".join(rows[not header :]))
    with pytest.raises(GenoglotError, match=f"v.txt:{3 + header}: the tissue_id is missing"):
        build("CausalSNP", [tmp_path / "v.txt"], tmp_path / "d", genome=dna)
    (tmp_path / "v.txt").write_text("\n".join([*rows[not header : 3], *rows[4:]]))
    data = build("CausalSNP", [tmp_path / "v.txt"], tmp_path / "d", genome=dna)
    assert data.groups == ["Liver"]


def test_variants_that_are_left_out_are_counted(
    letters: Letters, dna: Genome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = variants(letters)
    rows += ["Liver\tG\t1\t0.9\tchr1_101_AC_A_b38\t0.99", "Liver\tG\t1\t0.9\tchr7_5_A_G_b38\t0.99"]
    rows += ["Heart\tG\t1\t0.9\t" + rows[1].split("\t")[4] + "\t0.99"]
    (tmp_path / "v.txt").write_text("\n".join(rows))
    build("CausalSNP", [tmp_path / "v.txt"], tmp_path / "d", genome=dna)
    for line in (
        "1 of 15 variants are insertions or deletions: left out",
        "1 of 14 variants lie outside the genome's sequences: left out",
        "1 of 2 tissues (Heart) do not have variants of both classes: left out",
    ):
        assert line in caplog.text


def test_rows_of_mutagenesis_that_are_left_out_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = "Chrom Pos Ref Alt Barcodes DNA RNA Coefficient pValue Element Release"
    rows = [names.split()]
    for i, element in enumerate(("F9", "HBB", "LDLR", "RET")):
        for pos in range(1_000 * i + 1, 1_000 * i + 11):
            rows.append(["1", str(pos), "A", "CGT"[pos % 3], "20", "9", "9", "0.1", "0.5", element])
            rows[-1].append("GRCh38")
    rows.append(["1", "1", "A", "-", "20", "9", "9", "0.1", "0.5", "F9", "GRCh38"])
    rows.append(["1", "2", "A", "C", "20", "9", "9", "NA", "0.5", "F9", "GRCh38"])
    (tmp_path / "m.tsv").write_text("\n".join("\t".join(row) for row in rows) + "\n")
    data = build("MPRAProm", [tmp_path / "m.tsv"], tmp_path / "d")
    assert len(data) == 30
    for line in (
        "m.tsv: 10 of 42 rows: left out (rows of enhancers)",
        "m.tsv: 1 of 32 rows: left out (rows without value)",
        "m.tsv: 1 of 31 rows: left out (deletions)",
    ):
        assert line in caplog.text


def test_elements_of_mutagenesis_on_chromosomes_of_two_spellings_are_one_locus(
    tmp_path: Path,
) -> None:
    names = "Chrom Pos Ref Alt Barcodes Coefficient Element"
    rows = [names.split()]
    elements = (("1", 1, "A1"), ("chr1", 5, "A2"), ("2", 1, "B"), ("3", 1, "C"))
    for chrom, first, element in elements:
        rows += [[chrom, str(first + i), "A", "C", "20", "0.1", element] for i in range(10)]
    (tmp_path / "m.tsv").write_text("\n".join("\t".join(row) for row in rows) + "\n")
    data = build("MPRAProm", [tmp_path / "m.tsv"], tmp_path / "d")
    assert data.groups == ["A1+A2", "B", "C"]


def test_mutagenesis_outside_the_genome_is_refused(dna: Genome, tmp_path: Path) -> None:
    row = "Chrom\tPos\tRef\tAlt\tBarcodes\tCoefficient\tElement\nchr1\t4000\tA\tC\t9\t1\tF9\n"
    (tmp_path / "m.tsv").write_text(row + "chr1\t4001\tA\tC\t9\t1\tF9\n")
    with pytest.raises(GenoglotError, match=r"'F9' \(chr1:4000-4001\) is not wholly in the genome"):
        build("MPRAProm", [tmp_path / "m.tsv"], tmp_path / "d", genome=dna)
