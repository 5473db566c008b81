"""Where the transcription start site is in the BED files that people have, and what is counted."""

from pathlib import Path
from typing import Any

import pytest

from genoglot.errors import GenoglotError
from genoglot.sequence import Genome, reverse_complement, to_text
from genoglot.tasks import TASKS, TaskData
from genoglot.tasks.builders.promoters import read_promoters

Letters = dict[str, str]
Start = tuple[str, int, str]


def build(source: Path, genome: Genome, **options: Any) -> TaskData:
    out = source.parent / f"built-{len(list(source.parent.iterdir()))}"
    (data,) = TASKS["PromFix"].build([source], out, genome=genome, leakage=False, **options)
    return data


def positives(data: TaskData) -> list[str]:
    """The DNA of the positive windows, sorted."""
    found = data.codes[:][data.labels[:][:, 0] == 1]
    return sorted(to_text(row) for row in found)


def windows(letters: Letters, starts: list[Start]) -> list[str]:
    """500 bp centered 100 bp before each start site, in the direction of the gene, by hand."""
    found = []
    for chrom, tss, strand in starts:
        text = letters[chrom]
        if strand == "+":
            found.append(text[tss - 350 : tss + 150])
        else:
            found.append(reverse_complement(text[tss - 149 : tss + 351]))
    return sorted(found)


GENES: list[tuple[str, int, int, str]] = [
    (f"chr{1 + i % 4}", 600 + 70 * i, 1_900 + 80 * i, "+-"[i % 2]) for i in range(12)
]
STARTS: list[Start] = [(c, start if s == "+" else end - 1, s) for c, start, end, s in GENES]


def gene_models(columns: int) -> str:
    """Genes as BED12 (or its first columns), whose columns 7 and 8 are the coding sequence."""
    rows = []
    for i, (chrom, start, end, strand) in enumerate(GENES):
        fields = [chrom, start, end, f"G{i}", 0, strand, start + 100, end - 200, "0,0,0"]
        fields += [2, "50,60", f"0,{end - start - 60}"]
        rows.append("\t".join(map(str, fields[:columns])) + "\n")
    return "".join(rows)


@pytest.mark.parametrize("columns", [8, 9, 12])
def test_gene_models_begin_at_their_first_base(
    letters: Letters, dna: Genome, tmp_path: Path, columns: int, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "genes.bed").write_text(gene_models(columns))
    data = build(tmp_path / "genes.bed", dna)
    assert positives(data) == windows(letters, STARTS)
    assert "genes.bed: read as gene models" in caplog.text and "set tss=thick" in caplog.text
    caplog.clear()
    coding = [(c, start + 100 if s == "+" else end - 200 - 1, s) for c, start, end, s in GENES]
    data = build(tmp_path / "genes.bed", dna, tss="thick")
    assert positives(data) == windows(letters, coding)
    assert caplog.text == ""


def test_epd_files_begin_where_they_are_thick(
    letters: Letters, dna: Genome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = []
    for i, (chrom, tss, strand) in enumerate(STARTS):
        low, high = (tss - 49, tss + 11) if strand == "+" else (tss - 10, tss + 50)
        thick = (high - 11, high) if strand == "+" else (low, low + 11)
        rows.append(f"{chrom}\t{low}\t{high}\tG_{i}\t900\t{strand}\t{thick[0]}\t{thick[1]}\n")
    (tmp_path / "epd.bed").write_text("".join(rows))
    assert positives(build(tmp_path / "epd.bed", dna)) == windows(letters, STARTS)
    assert caplog.text == ""
    # Wider regions around the same: what is thick still decides, and so it does in peaks of CAGE.
    wider = [row.split("\t") for row in rows]
    for row in wider:
        row[1], row[2] = str(int(row[1]) - 7), str(int(row[2]) + 5)
    (tmp_path / "wider.bed").write_text("".join("\t".join(row) for row in wider))
    assert positives(build(tmp_path / "wider.bed", dna)) == windows(letters, STARTS)
    cage = [
        f"{c}\t{at - 20 - i}\t{at + 9}\tp{i}\t9\t{strand}\t{at}\t{at + 1}\t0,0,0\n"
        for i, (c, at, strand) in enumerate(STARTS)
    ]
    (tmp_path / "cage.bed").write_text("".join(cage))
    assert positives(build(tmp_path / "cage.bed", dna)) == windows(letters, STARTS)
    assert caplog.text == ""
    whole = [(c, tss - 49 if s == "+" else tss + 49, s) for c, tss, s in STARTS]
    found = build(tmp_path / "epd.bed", dna, tss="region")
    assert positives(found) == windows(letters, whole)


@pytest.mark.parametrize("columns", [6, 8, 12])
@pytest.mark.parametrize("strands", [("+", "-"), ("1", "-1"), ("forward", "reverse")])
def test_a_region_of_one_base_is_the_start_itself_on_both_strands(
    letters: Letters, dna: Genome, tmp_path: Path, columns: int, strands: tuple[str, str]
) -> None:
    rows = []
    for i, (chrom, tss, strand) in enumerate(STARTS):
        spelled = strands["+-".index(strand)]
        fields = [chrom, tss, tss + 1, f"G{i}", 0, spelled, tss, tss, 0, 1, 1, 0]
        rows.append("\t".join(map(str, fields[:columns])) + "\n")
    (tmp_path / "tss.bed").write_text("".join(rows))
    data = build(tmp_path / "tss.bed", dna)
    assert positives(data) == windows(letters, STARTS)
    found = set(data.examples.filter(data.labels[:][:, 0] == 1)["strand"])
    assert found == {"+", "-"}


@pytest.mark.parametrize(
    ("row", "options", "problem"),
    [
        ("chr1\t900\t1900\tG\t0\t+", {}, "neither columns 7 and 8 .* set tss=region"),
        ("chr1\t900\t900\tG\t0\t+\t900\t900", {}, "p.bed:1: the promoter is 0 bp long"),
        ("chr1\t900\t1900\tG\t0\tup\t900\t990", {}, "p.bed: the strand of row 1 is 'up'"),
        ("chr1\t900\t1900\tG\t0\t+\t990\t990", {"tss": "thick"}, "leave out tss=thick"),
        ("chr1\t900\t1900\tG\t0\t+", {"tss": "middle"}, "choose one of auto, region, thick"),
    ],
)
def test_bed_files_of_which_the_start_is_not_clear(
    dna: Genome, tmp_path: Path, row: str, options: dict[str, Any], problem: str
) -> None:
    (tmp_path / "p.bed").write_text(row + "\n")
    with pytest.raises(GenoglotError, match=problem):
        build(tmp_path / "p.bed", dna, **options)


def test_regions_begin_at_their_start_site_if_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "p.bed").write_text("chr1\t900\t1900\tG\t0\t+\nchr1\t900\t1900\tG\t0\t-\n")
    found = read_promoters(tmp_path / "p.bed", tss="region")
    assert found.start.tolist() == [900, 1899] and found.end.tolist() == [901, 1900]


def test_transcripts_that_share_a_start_are_one_promoter_and_all_drops_are_counted(
    letters: Letters, dna: Genome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = gene_models(12)
    again = text.split("\n")[0].replace("G0", "G0.2").replace("\t1900\t", "\t2500\t")
    edge = "chr1\t20\t900\tEDGE\t0\t+\t30\t40\t0\t1\t880\t0"
    other = "chrY\t1000\t1900\tY\t0\t+\t1000\t1010\t0\t1\t900\t0"
    (tmp_path / "genes.bed").write_text(text + f"{again}\n{edge}\n{other}\n")
    data = build(tmp_path / "genes.bed", dna)
    assert positives(data) == windows(letters, STARTS)
    notes = data.notes
    assert (notes["repeated_promoters"], notes["promoters_off_the_genome"]) == (1, 2)
    assert "1 of 15 rows repeat the TSS of another: left out" in caplog.text
    assert "2 of 14 promoters lie outside the genome's sequences: left out" in caplog.text
