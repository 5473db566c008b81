"""bedMethyl as callers write it: several modifications of a C, fractions, odd separators, drops."""

import gzip
import logging
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genoglot.errors import GenoglotError
from genoglot.sequence import Genome
from genoglot.tasks import TASKS, TaskData

Letters = dict[str, str]
Site = tuple[str, int]


def cpgs(letters: Letters) -> list[Site]:
    return [
        (chrom, at)
        for chrom, text in letters.items()
        for at in range(len(text) - 1)
        if text[at : at + 2] == "CG"
    ]


def modkit(
    chrom: str, at: int, strand: str, code: str, reads: int, hits: int, mixed: bool = False
) -> str:
    """A row of modkit's pileup: 18 columns, the last nine separated by spaces if mixed."""
    percent = f"{100 * hits / max(reads, 1):.2f}"
    first = [chrom, at, at + 1, code, reads, strand, at, at + 1, "255,0,0"]
    last = [reads, percent, hits, reads - hits, 0, 0, 0, 0, 0]
    return "\t".join(map(str, first)) + "\t" + (" " if mixed else "\t").join(map(str, last)) + "\n"


def both_strands(
    letters: Letters, seed: int = 0, mixed: bool = False, codes: tuple[str, str] = ("h", "m")
) -> tuple[str, dict[str, dict[Site, float]]]:
    """Rows of h and m of every CpG, and what is right for m, h and both of them, by hand."""
    rng = np.random.default_rng(seed)
    rows = []
    hits: dict[str, dict[Site, int]] = {name: defaultdict(int) for name in ("m", "h", "both")}
    reads: dict[Site, int] = defaultdict(int)
    for chrom, at in cpgs(letters):
        for strand, position in (("+", at), ("-", at + 1)):
            n = int(rng.integers(5, 40))
            h, m = rng.multinomial(n, [0.2, 0.5, 0.3])[:2].tolist()
            rows += [modkit(chrom, position, strand, codes[0], n, h, mixed)]
            rows += [modkit(chrom, position, strand, codes[1], n, m, mixed)]
            reads[chrom, at] += n
            hits["m"][chrom, at] += m
            hits["h"][chrom, at] += h
            hits["both"][chrom, at] += m + h
    return "".join(rows), {
        name: {site: count / reads[site] for site, count in found.items() if reads[site] >= 20}
        for name, found in hits.items()
    }


def build(source: Path, genome: Genome, **options: Any) -> TaskData:
    out = source.parent / f"built-{len(list(source.parent.iterdir()))}"
    (data,) = TASKS["Methyl96"].build([source], out, genome=genome, leakage=False, **options)
    return data


def labels(data: TaskData) -> dict[Site, float]:
    sites = data.examples.select("chrom", "start").rows()
    return dict(zip(sites, data.labels[:][:, 0].tolist(), strict=True))


def refused(source: Path, genome: Genome, problem: str, **options: Any) -> None:
    with pytest.raises(GenoglotError, match=problem) as error:
        build(source, genome, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("modification", ["m", "h", "both"])
@pytest.mark.parametrize("mixed", [False, True])
def test_modifications_of_a_c_are_shares_of_the_same_reads(
    letters: Letters, dna: Genome, tmp_path: Path, modification: str, mixed: bool
) -> None:
    text, right = both_strands(letters, mixed=mixed)
    (tmp_path / "pileup.bed").write_text(text)
    data = build(tmp_path / "pileup.bed", dna, min_reads=20, modification=modification)
    assert labels(data) == pytest.approx(right[modification], abs=1e-6)
    other = 0 if modification == "both" else text.count("\n") // 2
    assert data.notes["calls_other_modifications"] == other


def test_a_fully_methylated_c_is_one(letters: Letters, dna: Genome, tmp_path: Path) -> None:
    rows = [
        modkit(chrom, at, "+", code, 20, hits)
        for chrom, at in cpgs(letters)
        for code, hits in (("h", 0), ("m", 20))
    ]
    (tmp_path / "m.bed").write_text("".join(rows))
    assert set(labels(build(tmp_path / "m.bed", dna)).values()) == {1.0}
    refused(tmp_path / "m.bed", dna, "three are needed", min_reads=21)  # 20 reads, not 40


@pytest.mark.parametrize(
    "codes", [("h,CG,0", "m,CG,0"), ("76792", "27551"), ("5hmC", "5mC")], ids=str
)
def test_modifications_under_their_other_names(
    letters: Letters, dna: Genome, tmp_path: Path, codes: tuple[str, str]
) -> None:
    text, right = both_strands(letters, codes=codes)
    header = "#chrom\tstart\tend\tname\tscore\tstrand\ttstart\ttend\tcolor\tvalid\tpercent\tmod\t"
    (tmp_path / "m.bed.gz").write_bytes(
        gzip.compress((header + "a\tb\tc\td\te\tf\n" + text).encode())
    )
    data = build(tmp_path / "m.bed.gz", dna, min_reads=20)
    assert labels(data) == pytest.approx(right["m"], abs=1e-6)


def test_a_modification_that_is_not_there(letters: Letters, dna: Genome, tmp_path: Path) -> None:
    file = tmp_path / "m.bed"
    for code, modification, problem in (
        ("h", "m", r"no row is of the modification m \(column 4 names h\); set another"),
        ("C", "h", "no row is of the modification h .*m and h together"),
        ("sample", "h", "column 4 names no modification"),
        ("m", "5mC", "modification is '5mC'; choose one of m, h, both"),
    ):
        file.write_text("".join(modkit(*site, "+", code, 20, 5) for site in cpgs(letters)))
        refused(file, dna, problem, modification=modification)


def test_combined_modifications_are_read_with_a_notice(
    letters: Letters, dna: Genome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "m.bed").write_text(
        "".join(modkit(*site, "+", "C", 20, 5) for site in cpgs(letters))
    )
    assert set(labels(build(tmp_path / "m.bed", dna)).values()) == {0.25}
    assert "5mC and 5hmC are counted together" in caplog.text
    caplog.clear()
    build(tmp_path / "m.bed", dna, modification="both")
    assert "together" not in caplog.text


def encode(chrom: str, at: int, reads: int, value: str, strand: str = "+") -> str:
    """A row of ENCODE's bedMethyl: 11 columns."""
    return f"{chrom}\t{at}\t{at + 1}\ts\t9\t{strand}\t{at}\t{at + 1}\t0,0,0\t{reads}\t{value}\n"


def test_fractions_are_told_from_percentages(
    letters: Letters, dna: Genome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "m.bed"
    sites = cpgs(letters)
    share = {site: (i % 21) / 20 for i, site in enumerate(sites)}
    file.write_text("".join(encode(*site, 20, f"{share[site]:g}") for site in sites))
    assert labels(build(file, dna)) == pytest.approx(share, abs=1e-6)
    assert "column 11 is read as fractions of 1; set unit=percent" in caplog.text
    caplog.clear()
    file.write_text("".join(encode(*site, 20, f"{100 * share[site]:g}") for site in sites))
    assert labels(build(file, dna)) == pytest.approx(share, abs=1e-6)
    assert "fraction" not in caplog.text
    # All or nothing: 1 % of 20 reads is no read.
    file.write_text("".join(encode(*site, 20, str(i % 2)) for i, site in enumerate(sites)))
    wanted = {site: float(i % 2) for i, site in enumerate(sites)}
    assert labels(build(file, dna)) == wanted


def test_few_methylated_reads_of_many_are_ambiguous_unless_the_file_counts_them(
    letters: Letters, dna: Genome, tmp_path: Path
) -> None:
    file = tmp_path / "m.bed"
    sites = cpgs(letters)
    file.write_text("".join(encode(*site, 400, "0.5") for site in sites))
    refused(file, dna, "may be percentages or fractions; set unit=percent or unit=fraction")
    assert set(labels(build(file, dna, unit="percent")).values()) == {float(np.float32(0.005))}
    assert set(labels(build(file, dna, unit="fraction")).values()) == {0.5}
    refused(file, dna, "unit is 'auto '; choose one of", unit="auto ")
    # modkit's column 12 has the methylated reads: 2 of 400, or 200 of them.
    for hits, wanted in ((2, 0.005), (200, 0.5)):
        rows = [encode(*site, 400, "0.5").replace("\n", f"\t{hits}\t9\n") for site in sites]
        file.write_text("".join(rows))
        assert set(labels(build(file, dna)).values()) == {float(np.float32(wanted))}
    file.write_text("".join(encode(*site, 400, "50") for site in sites))
    refused(file, dna, "m.bed:1: column 11 is 50.0, no fraction", unit="fraction")


def test_calls_that_repeat_or_contradict_each_other(
    letters: Letters, dna: Genome, tmp_path: Path
) -> None:
    file = tmp_path / "m.bed"
    rows = [encode(*site, 12, "25") for site in cpgs(letters)]
    file.write_text("".join([*rows, rows[3]]))
    data = build(file, dna)
    assert data.notes["calls_repeated"] == 1 and len(data) == len(rows)
    again = rows[3].replace("\t12\t25", "\t14\t25")
    file.write_text("".join([*rows, again]))
    refused(file, dna, rf"m.bed:{len(rows) + 1}: another call of the same position as in line 4,")
    text, _ = both_strands(letters)
    first, rest = text.split("\n", 1)
    fields = first.split("\t")
    fields[9] = str(int(fields[9]) + 1)
    file.write_text("\t".join(fields) + "\n" + rest)
    build(file, dna)  # only the reads of m count here
    refused(file, dna, "m.bed:2: another call of the same position", modification="both")


def test_positions_counted_from_1_are_refused(
    letters: Letters, dna: Genome, tmp_path: Path
) -> None:
    rows = []
    for chrom, at in cpgs(letters):
        rows += [encode(chrom, at + 1, 20, "50"), encode(chrom, at + 2, 20, "50", "-")]
    (tmp_path / "m.bed").write_text("".join(rows))
    refused(tmp_path / "m.bed", dna, "not at a CpG of the genome.*counted from 0")


@pytest.mark.parametrize(("plus", "minus"), [("+", "-"), ("1", "-1"), ("F", "R"), (".", "*")])
def test_strands_in_any_spelling(
    letters: Letters, dna: Genome, tmp_path: Path, plus: str, minus: str
) -> None:
    rows = []
    for i, (chrom, at) in enumerate(cpgs(letters)):
        rows.append(encode(chrom, at, 20, f"{i % 101}", plus))
        rows.append(encode(chrom, at + 1, 20, f"{i % 101}", minus))
    (tmp_path / "m.bed").write_text("".join(rows))
    wanted = {site: (i % 101) / 100 for i, site in enumerate(cpgs(letters))}
    assert labels(build(tmp_path / "m.bed", dna)) == pytest.approx(wanted, abs=0.026)


def test_calls_of_every_c_are_read_at_cpgs_and_the_others_counted(
    letters: Letters, dna: Genome, tmp_path: Path
) -> None:
    rows, n = [], 0
    for chrom, text in letters.items():
        for at, base in enumerate(text):
            if base in "CG":
                rows.append(encode(chrom, at, 20, "40", "+" if base == "C" else "-"))
                n += 1
    (tmp_path / "m.bed").write_text("".join(rows))
    data = build(tmp_path / "m.bed", dna)
    assert sorted(labels(data)) == sorted(cpgs(letters))
    assert data.notes["calls_not_at_a_CpG"] == n - 2 * len(data)


def test_what_is_left_out_is_counted_in_the_notes_and_in_the_log(
    letters: Letters, dna: Genome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sites = cpgs(letters)
    not_cpg = next(at for at in range(9, 999) if letters["chr1"][at : at + 2] == "CA")
    rows = [encode(*site, 20, "50") for site in sites]
    rows[0] = encode(*sites[0], 3, "50")
    rows[1] = encode(*sites[1], 20, "nan")
    rows += [encode("chr1", not_cpg, 20, "50"), encode("chrM", 5, 20, "50")]
    rows += [encode("chr1", 4_000, 20, "50")]
    (tmp_path / "m.bed").write_text("".join(rows))
    with caplog.at_level(logging.WARNING, "genoglot"):
        data = build(tmp_path / "m.bed", dna)
    assert len(data) == len(sites) - 2
    notes = {k: v for k, v in data.notes.items() if k.startswith("calls_") and v}
    assert notes == {
        "calls_without_percentage": 1,
        "calls_off_the_genome": 2,
        "calls_not_at_a_CpG": 1,
        "calls_few_reads": 1,
    }
    assert f"2 of {len(rows) - 1:,} calls lie outside the genome's sequences: left out" in (
        caplog.text
    )
    assert f"1 of {len(sites) - 1:,} CpGs have too few reads: left out" in caplog.text
