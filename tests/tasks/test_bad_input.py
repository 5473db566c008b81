"""Bad input: one clear line that names file, line and what to do."""

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genoglot.errors import GenoglotError
from genoglot.sequence import Genome
from genoglot.tasks import TASKS

Sources = dict[str, list[Path]]


def refused(name: str, sources: list[Path], out: Path, problem: str, **options: Any) -> None:
    """The build fails with one line that says so, and leaves nothing behind."""
    with pytest.raises(GenoglotError, match=problem) as error:
        TASKS[name].build(sources, out, **options)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400
    assert not out.exists()


def gue(folder: Path, **files: str) -> Path:
    good = "sequence,label\nACGT,0\nACGA,1\nCCGA,0\n"
    for name in ("train", "dev", "test"):
        (folder / f"{name}.csv").write_text(files.get(name, good))
    return folder


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        (
            "dev",
            "seq,y\nACGT,0\n",
            r"dev.csv:1: the header has no column 'sequence' \(it is 'seq,y'",
        ),
        ("train", "sequence,label\nACGT,0\nACGT,\n", "train.csv:3: the label is missing"),
        ("train", "sequence,label\nACGT,0\n,1\n", "train.csv:3: the sequence is missing"),
        (
            "train",
            "sequence,label\nACGT,0\nMKLV,1\n",
            "train.csv:3: position 3: 'L' is not a DNA letter",
        ),
        ("test", "sequence,label\nACGT,0\nACGT,7\n", "class '7' is in validation or test"),
        ("test", "sequence,label\n", "test.csv: no rows"),
        ("test", "", "test.csv: no table"),
    ],
)
def test_csv_files_that_are_no_task(tmp_path: Path, file: str, text: str, problem: str) -> None:
    refused("GUE", [gue(tmp_path, **{file: text})], tmp_path / "out", problem)


def test_folders_that_are_no_task(tmp_path: Path) -> None:
    refused("GUE", [tmp_path], tmp_path / "out", "no folder with train.csv")
    (gue(tmp_path) / "dev.csv").unlink()
    refused("GUE", [tmp_path], tmp_path / "out", "no dev.csv there")
    refused("GUE", [tmp_path / "x"], tmp_path / "out", "x: no such file")
    refused("GUE", [], tmp_path / "out", "give the files")
    refused("GUE", [tmp_path], tmp_path / "out", "no option 'k'; it has none", k=3)
    refused("Methyl96", [tmp_path], tmp_path / "out", "give the genome as FASTA")


def changed(path: Path, out: Path, **edits: str) -> Path:
    """A copy of a table with a line replaced: line3="..."."""
    data = path.read_bytes()
    zipped = data[:2] == b"\x1f\x8b"
    rows = (gzip.decompress(data) if zipped else data).decode().splitlines()
    for key, text in edits.items():
        rows[int(key.removeprefix("line")) - 1] = text
    body = ("\n".join(rows) + "\n").encode()
    out.write_bytes(gzip.compress(body) if zipped else body)
    return out


def first_lines(path: Path, n: int = 4) -> list[str]:
    data = path.read_bytes()
    text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return text.decode().splitlines()[:n]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("FP   short", "p.fps:2: no FP line of EPD"),
        ("FP   GLT1_1              :+S  EU:chr1              1?     20112; 00001.", "p.fps:2"),
    ],
)
def test_promoters_that_are_none(
    sources: Sources, genome: Genome, tmp_path: Path, row: str, problem: str
) -> None:
    file = changed(sources["PromVary"][0], tmp_path / "p.fps", line2=row)
    refused("PromVary", [file], tmp_path / "out", re.escape(problem), genome=genome)


def test_bed_files_without_a_transcription_start_site(genome: Genome, tmp_path: Path) -> None:
    file = tmp_path / "p.bed"
    for text, problem in {
        "chr1\t5000\t5060\ta\t900\t+\n": "neither columns 7 and 8 nor regions of 1 bp",
        "chr1\t5000\t5060\ta\t900\t.\n": "has no strand in column 6",
        "1\t5000\t5001\ta\t900\t+\n": r"says \'1\' where the genome says \'chr1\'.*--alias ensembl",
        "chr9\t5000\t5001\ta\t900\t+\n": "the genome has no chromosome 'chr9'",
        "chr1\t10\t11\ta\t900\t+\n": "no promoter lies wholly in the genome",
        "# nothing\n": "no promoters in this file",
    }.items():
        file.write_text(text)
        refused("PromVary", [file], tmp_path / "out", problem, genome=genome)


def test_methylation_of_another_assembly_or_format(
    sources: Sources, genome: Genome, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    file = tmp_path / "m.bed"

    def row(at: int, reads: str = "20", percent: str = "50", chrom: str = "chr1") -> str:
        return f"{chrom}\t{at}\t{at + 1}\ts\t20\t+\t{at}\t{at + 1}\t0,0,0\t{reads}\t{percent}\n"

    for text, problem in {
        "".join(
            row(at) for at in sorted(rng.integers(0, 10**6, 200))
        ): "not at a CpG of the genome",
        row(100, "20", "150"): "150.0 % of them methylated",
        row(100, "x", "50"): "not bedMethyl",
        "chr1\t5\t6\n": "has 3 columns; bedMethyl has 11 or more",
        row(100, chrom="1"): "--alias",
    }.items():
        file.write_text(text)
        refused("Methyl96", [file], tmp_path / "out", problem, genome=genome)
    refused("Methyl96", [file], tmp_path / "out", "it has min_reads", genome=genome, reads=3)
    refused(
        *("Methyl96", sources["Methyl96"], tmp_path / "out", "three are needed"),
        genome=genome,
        min_reads=100_000,
    )


def test_peaks_that_are_not_there_or_elsewhere(genome: Genome, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("file,assay\na.bed,DNase\n")
    refused("Track7878", [sheet], tmp_path / "out", r"sheet.csv:2: .*a.bed is not", genome=genome)
    sheet.write_text("path\na.bed\n")
    refused("Track7878", [sheet], tmp_path / "out", "no column 'file'", genome=genome)
    bed = tmp_path / "a.bed"
    bed.write_text("chr1\t900000000\t900000200\n")
    refused("Track7878", [bed], tmp_path / "out", "1 of 1 regions lie past the ends", genome=genome)
    bed.write_text("chr1\t5\t2\n")
    refused("Track7878", [bed], tmp_path / "out", "a.bed:1: end 2 is before start 5", genome=genome)
    bed.write_text("chr1\t1000\t2000\n")
    again = tmp_path / "x" / "a.bed"
    again.parent.mkdir()
    again.write_bytes(bed.read_bytes())
    refused(
        "Track7878", [bed, again], tmp_path / "out", "two outputs are called 'a'", genome=genome
    )


def test_expression_that_does_not_fit(sources: Sources, genome: Genome, tmp_path: Path) -> None:
    genes, table = sources["GeneExp"]
    bad, out = tmp_path / "bad.csv", tmp_path / "out"
    header, first, *_ = first_lines(table)
    for edit, problem in {
        first.replace(first.split(",")[2], "-1.5", 1): "bad.csv:2: .* RPKM are not negative",
        first.replace(
            first.split(",")[2], "high", 1
        ): "bad.csv:2: .* is 'high', which is not a number",
        "zero" + first[1:]: "begin with 'zero'; give a row for each of the",
    }.items():
        refused("GeneExp", [genes, changed(table, bad, line2=edit)], out, problem, genome=genome)
    for edit, problem in {
        "G,g,chr1,*,5,5,x": r"bad.csv:2: strand is '\*'",
        "G,g,chr1,+,,,x": "bad.csv:2: the TSS is missing",
        "G,g,chr1,+,five,5,x": "bad.csv:2: TSS is 'five', which is not a number",
        first_lines(genes)[2]: "twice",
    }.items():
        refused("GeneExp", [changed(genes, bad, line2=edit), table], out, problem, genome=genome)
    refused("GeneExp", [table, genes], out, "no column 'id'", genome=genome)
    refused("GeneExp", [genes], out, "1 files are given", genome=genome)
    assert header.startswith(",")


def test_variants_of_another_assembly_or_format(
    sources: Sources, genome: Genome, tmp_path: Path
) -> None:
    (table,) = sources["CausalSNP"]
    header, first, *_ = first_lines(table)
    fields = first.split("\t")
    chrom, at, ref, alt, _ = fields[4].split("_")
    other = next(base for base in "ACGT" if base not in (ref, alt))
    bad, out = tmp_path / "bad.txt.gz", tmp_path / "out"

    def row(variant: str, pip: str = "0.99") -> str:
        return "\t".join([*fields[:4], variant, pip])

    for edit, problem in {
        row(
            f"{chrom}_{at}_{other}_{alt}_b38"
        ): rf"bad.txt.gz:2: the reference allele .* is {ref} in",
        row(f"{chrom}:{at}"): "bad.txt.gz:2: .* is not a variant such as chr1_12345_A_G_b38",
        row(fields[4], "1.7"): "bad.txt.gz:2: the posterior is '1.7'",
        row(f"1_{at}_{ref}_{alt}_b38"): "--alias ensembl",
    }.items():
        refused("CausalSNP", [changed(table, bad, line2=edit)], out, problem, genome=genome)
    refused(
        *("CausalSNP", [changed(table, bad, line1="a\tb")], out, "no table of DAP-G"), genome=genome
    )
    bad.write_text("\n".join([header, row(fields[4], "0.5"), ""]))
    refused("CausalSNP", [bad], out, "no single-base variant of it lies", genome=genome)
    bad.write_text("\n".join([header, row(fields[4]), ""]))
    refused("CausalSNP", [bad], out, "no tissue has variants", genome=genome)


def test_mutagenesis_that_contradicts_itself_or_the_genome(
    sources: Sources, genome: Genome, tmp_path: Path
) -> None:
    (table,) = sources["MPRAProm"]
    _, first, second, _ = first_lines(table)
    fields = first.split("\t")
    other = next(base for base in "ACGT" if base not in fields[2:4])
    bad, out = tmp_path / "bad.tsv.gz", tmp_path / "out"

    def row(**edits: str) -> str:
        names = ("Chrom", "Pos", "Ref", "Alt", "Barcodes", "DNA", "RNA", "Coefficient")
        found = dict(zip(names, fields, strict=False)) | edits
        return "\t".join([*(found[name] for name in names), *fields[8:]])

    for edit, problem in {
        row(Ref=other): "position .* has two reference bases",
        row(Alt=fields[2]): f"bad.tsv.gz:2: {fields[2]}>{fields[2]} is not a change of one base",
        row(Alt="AC"): "is not a change of one base",
        row(Pos="x"): "bad.tsv.gz:2: Pos is 'x', which is not a number",
        second: "bad.tsv.gz:3: .* is there twice",
        row(Pos="9"): "is longer than 1400 bp",
    }.items():
        refused("MPRAProm", [changed(table, bad, line2=edit)], out, problem)
    header = "\t".join(["Chr", *first_lines(table, 1)[0].split("\t")[1:]])
    refused("MPRAProm", [changed(table, bad, line1=header)], out, "no column 'Chrom'")
    refused("MPRAProm", [table], out, "--alias ensembl", genome=genome)
    shifted = tmp_path / "shifted.fa"
    text = "".join(
        f">{chrom.removeprefix('chr')}\nA{genome.sequence(chrom, 0, size)}\n"
        for chrom, size in genome.chrom_sizes.items()
    )
    shifted.write_text(text)
    refused("MPRAProm", [table], out, "give the assembly that", genome=Genome.open(shifted))
    refused("MPRAProm", [table], out, "no single-base change", min_barcodes=10**9)
