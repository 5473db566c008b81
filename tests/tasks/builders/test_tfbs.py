"""TFBS: windows around summits, and both kinds of negatives, held against plain Python."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from genoglot.errors import GenoglotError
from genoglot.sequence import Genome, to_text
from genoglot.tasks import TASKS, TaskData

WIDTH = 101
SIZE = 30_000
Letters = dict[str, str]


@pytest.fixture(scope="module")
def letters() -> Letters:
    """Four chromosomes whose G + C changes along them; chr2 has a run of N."""
    rng = np.random.default_rng(0)
    found = {}
    for number in range(1, 5):
        gc = 0.35 + 0.3 * (1 + np.sin(np.arange(SIZE) / 500)) / 2
        strong = rng.random(SIZE) < gc
        dna = np.where(strong, rng.choice(list("CG"), SIZE), rng.choice(list("AT"), SIZE))
        if number == 2:
            dna[10_000:10_500] = "N"
        found[f"chr{number}"] = "".join(dna)
    return found


@pytest.fixture(scope="module")
def dna(letters: Letters, tmp_path_factory: pytest.TempPathFactory) -> Genome:
    path = tmp_path_factory.mktemp("dna") / "g.fa"
    path.write_text("".join(f">{name}\n{text}\n" for name, text in letters.items()))
    return Genome.open(path)


PEAKS = [
    (f"chr{1 + i % 4}", 300 + 700 * (i // 4), 160 + 20 * (i % 7), 11 * i % 150) for i in range(100)
]
"""Chromosome, start, length and summit of each peak."""


def narrow_peak(summits: bool = True) -> str:
    rows = [
        (c, start, start + length, f"p{i}", 1000, ".", 5.5, -1, 3.2, summit if summits else -1)
        for i, (c, start, length, summit) in enumerate(PEAKS)
    ]
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


def build(source: Path, genome: Genome, **options: Any) -> dict[str, TaskData]:
    out = source.parent / f"built-{len(list(source.parent.iterdir()))}"
    made = TASKS["TFBS"].build([source], out, genome=genome, leakage=False, **options)
    return {data.name.rpartition("/")[2]: data for data in made}


def texts(data: TaskData, label: int) -> list[str]:
    return [to_text(row) for row in data.codes[:][data.labels[:][:, 0] == label]]


def clean(windows: list[str]) -> list[str]:
    return sorted(window for window in windows if "N" not in window)


def test_positives_are_centered_on_the_summit_or_else_on_the_peak(
    letters: Letters, dna: Genome, tmp_path: Path
) -> None:
    (tmp_path / "CTCF.narrowPeak").write_text(narrow_peak())
    at = [(c, start + summit) for c, start, _, summit in PEAKS]
    wanted = clean([letters[c][center - 50 : center + 51] for c, center in at])
    for data in build(tmp_path / "CTCF.narrowPeak", dna).values():
        assert sorted(texts(data, 1)) == wanted and data.length == WIDTH
        assert data.target == "binary" and data.outputs == ["bound"]
    middle = [(c, start + length // 2) for c, start, length, _ in PEAKS]
    wanted = clean([letters[c][center - 100 : center + 101] for c, center in middle])
    bed = "".join("\t".join(line.split("\t")[:3]) + "\n" for line in narrow_peak().splitlines())
    for name, text in (("none.narrowPeak", narrow_peak(summits=False)), ("a.bed", bed)):
        (tmp_path / name).write_text(text)
        data = build(tmp_path / name, dna, width=201)["shuffled"]
        assert sorted(texts(data, 1)) == wanted


def test_shuffled_negatives_keep_dinucleotides_and_stay_in_the_subset_of_their_positive(
    dna: Genome, tmp_path: Path
) -> None:
    (tmp_path / "CTCF.narrowPeak").write_text(narrow_peak())
    data = build(tmp_path / "CTCF.narrowPeak", dna)["shuffled"]
    examples = data.examples
    dna_of = dict(zip(examples["id"], map(to_text, data.codes[:]), strict=True))
    rows = {row["id"]: row for row in examples.iter_rows(named=True)}
    negatives = [name for name in rows if name.startswith("shuffled:")]
    assert 2 * len(negatives) == len(data) == 2 * int(data.labels[:].sum())
    assert [str(name).startswith("shuffled:") for name in examples["id"]] == (
        data.labels[:][:, 0] == 0
    ).tolist()
    for name in negatives:
        original = name.removeprefix("shuffled:")
        assert Counter(pairwise(dna_of[name])) == Counter(pairwise(dna_of[original]))
        assert dna_of[name] != dna_of[original]
        assert rows[name]["start"] is None and rows[name]["chrom"] == rows[original]["chrom"]
        for split in ("split:random", "split:chromosome"):
            assert rows[name][split] == rows[original][split]
    for split in data.splits:
        for subset in ("train", "validation", "test"):
            assert data.labels[:][data.rows(split, subset)].mean() == 0.5


def test_genomic_negatives_match_in_chromosome_and_gc_and_lie_outside_of_all_peaks(
    letters: Letters, dna: Genome, tmp_path: Path
) -> None:
    (tmp_path / "CTCF.narrowPeak").write_text(narrow_peak())
    data = build(tmp_path / "CTCF.narrowPeak", dna)["genomic"]
    examples, label = data.examples, data.labels[:][:, 0]
    gc = np.array([sum(to_text(row).count(base) for base in "CG") for row in data.codes[:]])
    keys = list(zip(examples["chrom"], (gc // 2).tolist(), strict=True))
    kinds = [Counter(keys[i] for i in np.flatnonzero(label == one)) for one in (0, 1)]
    assert kinds[0] == kinds[1] and sum(kinds[0].values()) > 80
    taken = []
    drawn = examples.filter(pl.Series(label == 0)).iter_rows(named=True)
    for row, codes in zip(drawn, data.codes[:][label == 0], strict=True):
        chrom, start, end = row["chrom"], row["start"], row["end"]
        assert to_text(codes) == letters[chrom][start:end] and 4 not in codes
        for c, low, length, summit in PEAKS:
            touched = (low < end and start < low + length) or abs(low + summit - start - 50) < WIDTH
            assert c != chrom or not touched
        assert not any(c == chrom and s < end and start < e for c, s, e in taken)
        taken.append((chrom, start, end))


def test_a_positive_is_in_the_same_subset_whatever_the_negatives_are(
    letters: Letters, tmp_path: Path
) -> None:
    # chr1 has windows of G + C that no other window has: the genomic data set leaves them out.
    rich = letters["chr1"][:400].translate(str.maketrans("AT", "CG")) + letters["chr1"][400:]
    (tmp_path / "rich.fa").write_text(
        "".join(f">{c}\n{rich if c == 'chr1' else t}\n" for c, t in letters.items())
    )
    more = "".join(f"chr1\t{i}\t{i + 120}\tr\t0\t.\t1\t1\t1\t60\n" for i in range(10, 250, 40))
    (tmp_path / "p.narrowPeak").write_text(more + narrow_peak())
    made = build(tmp_path / "p.narrowPeak", Genome.open(tmp_path / "rich.fa"))
    subset_of: list[dict[str, tuple[str, str]]] = []
    for data in made.values():
        rows = data.examples.select("id", "split:random", "split:chromosome").iter_rows()
        subset_of.append({name: (at, by) for name, at, by in rows if name.startswith("chr")})
        assert {at for at, _ in subset_of[-1].values()} == {"train", "validation", "test"}
    shuffled, genomic = subset_of
    assert genomic.keys() < shuffled.keys()
    assert {name: shuffled[name] for name in genomic} == genomic


def test_what_is_left_out_is_counted(
    letters: Letters, dna: Genome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = narrow_peak()
    again = text.split("\n")[0] + "\n"
    edge = "chr1\t0\t60\te\t0\t.\t1\t1\t1\t20\nchr9\t500\t600\tx\t0\t.\t1\t1\t1\t50\n"
    unknown = "chr2\t10100\t10200\tn\t0\t.\t1\t1\t1\t50\n"
    inside = sum("N" in letters[c][s + at - 50 : s + at + 51] for c, s, _, at in PEAKS)
    (tmp_path / "p.narrowPeak").write_text(text + again + edge + unknown)
    made = build(tmp_path / "p.narrowPeak", dna)
    for data in made.values():
        notes = data.notes
        assert notes["repeated_peaks"] == 1 and notes["peaks_off_the_genome"] == 2
        assert notes["peaks_with_unknown_bases"] == 1 + inside
    assert "1 of 104 peaks have the window of another: left out" in caplog.text
    # A window of G + C that no other window has is left out, and counted.
    rich = letters["chr3"][:20_000] + "CG" * 200 + letters["chr3"][20_400:]
    (tmp_path / "rich.fa").write_text(
        "".join(f">{c}\n{rich if c == 'chr3' else t}\n" for c, t in letters.items())
    )
    (tmp_path / "p.narrowPeak").write_text(text + "chr3\t20000\t20400\tr\t0\t.\t1\t1\t1\t200\n")
    found = build(tmp_path / "p.narrowPeak", Genome.open(tmp_path / "rich.fa"))
    assert found["genomic"].notes["positives_without_match"] >= 1
    assert not any("CG" * 40 in window for window in texts(found["genomic"], 1))
    # (CG)n has no other shuffle.
    assert found["shuffled"].notes["positives_without_shuffle"] == 1


def test_a_folder_of_peak_files_is_a_family_with_both_negatives_of_each(
    dna: Genome, tmp_path: Path
) -> None:
    files = tmp_path / "peaks"
    files.mkdir()
    for name in ("CTCF_A549_CTCF_UT-A.narrowPeak", "wgEncodeAwgTfbsUwBe2cCtcfUniPk.narrowPeak"):
        (files / name).write_text(narrow_peak())
    (files / "README.txt").write_text("not peaks")
    made = TASKS["TFBS"].build([files], tmp_path / "out", genome=dna, leakage=False)
    assert [data.name for data in made] == [
        "CTCF_A549_CTCF_UT-A/shuffled", "CTCF_A549_CTCF_UT-A/genomic",
        "wgEncodeAwgTfbsUwBe2cCtcfUniPk/shuffled", "wgEncodeAwgTfbsUwBe2cCtcfUniPk/genomic",
    ]  # fmt: skip
    assert [data.path for data in made] == [tmp_path / "out" / data.name for data in made]
    figures = {
        data.name: {(row.model.split(",")[0], row.metric): row.value for row in
                    TASKS["TFBS"].published_results(data.name)}
        for data in made
    }  # fmt: skip
    first, easy, second, genomic = figures.values()
    assert first["GeneBERT", "AUROC"] == 0.983 and second["GeneBERT", "AUROC"] == 0.989
    assert first["DNABERT", "precision (macro)"] == 0.25 == second["DNABERT", "recall (macro)"] / 2
    assert not easy and not genomic  # the paper has shuffles only
    collapsed = [r for r in TASKS["TFBS"].published if r.value == 0.25]
    assert collapsed and all("collapsed" in row.model for row in collapsed)
    (files / "CTCF_A549_CTCF_UT-A.bed").write_text(narrow_peak())
    with pytest.raises(GenoglotError, match="would both be written into"):
        TASKS["TFBS"].build([files], tmp_path / "two", genome=dna)
    with pytest.raises(GenoglotError, match=r"no file in it ends in \.narrowPeak"):
        TASKS["TFBS"].build([tmp_path / "out"], tmp_path / "three", genome=dna)


def test_seeds(dna: Genome, tmp_path: Path) -> None:
    path = tmp_path / "a.narrowPeak"
    path.write_text(narrow_peak())
    first, again, other = (build(path, dna, seed=seed) for seed in (0, 0, 1))
    for kind in ("shuffled", "genomic"):
        assert first[kind].digest == again[kind].digest != other[kind].digest
        assert sorted(texts(first[kind], 0)) != sorted(texts(other[kind], 0))


@pytest.mark.parametrize(
    ("text", "options", "problem"),
    [
        ("chr1\t900\t800\n", {}, r"p.bed:1: .*correct the line|p.bed:1"),
        ("1\t900\t1800\n", {}, "chr1"),
        ("chr1\t900\t1800\n", {"negatives": "shuffled"}, "TFBS has no option 'negatives'"),
        ("chr1\t900\t1800\n", {"width": 3}, "width is 3"),
        ("chr1\t900\t1800\n", {"width": "wide"}, "width is 'wide'"),
        ("", {}, "no examples are left"),
    ],
)
def test_what_is_refused(
    dna: Genome, tmp_path: Path, text: str, options: dict[str, Any], problem: str
) -> None:
    (tmp_path / "p.bed").write_text(text)
    with pytest.raises(GenoglotError, match=problem) as error:
        build(tmp_path / "p.bed", dna, **options)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("dataset.json"))


def test_column_10_without_a_summit(dna: Genome, tmp_path: Path) -> None:
    def centers(*texts: str) -> list[int]:
        lines = [f"chr1\t{1000 * i}\t{1000 * i + 200}\tp\t0\t.\t1\t1\t1\t{text}\n" for i, text in
                 enumerate(texts, 1)]  # fmt: skip
        (tmp_path / "p.narrowPeak").write_text("".join(lines))
        examples = build(tmp_path / "p.narrowPeak", dna)["genomic"].examples
        drawn = examples["id"].str.starts_with("genomic")
        assert examples["start"].dtype == pl.Int64
        return sorted(examples.filter(~drawn)["start"] + WIDTH // 2)

    nothing = ("-1", ".", "NA", "")
    for text in nothing:
        assert centers(*[text] * 3) == [1100, 2100, 3100]
    assert centers(*nothing, "50.0", "7") == [1100, 2100, 3100, 4100, 5050, 6007]
    assert centers("0", "200", "1e2") == [1000, 2200, 3100]  # files of ENCODE have 200, the end


@pytest.mark.parametrize(
    "text", ["9000000000000000000", "50.5", "high", "201", "1050", "-2", "inf"]
)
def test_summits_outside_of_the_peak(
    dna: Genome, tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    peak = "chr1\t{}\t{}\tp\t0\t.\t1\t1\t1\t{}\n"
    good = "".join(peak.format(at, at + 200, 5) for at in range(3000, 9000, 500))
    (tmp_path / "p.narrowPeak").write_text("track name=x\n" + good + peak.format(1000, 1200, text))
    with pytest.raises(GenoglotError, match=r"p.narrowPeak:14: .*offset from the start") as error:
        build(tmp_path / "p.narrowPeak", dna)
    assert repr(text) in str(error.value) and "--on-error skip" in str(error.value)
    made = build(tmp_path / "p.narrowPeak", dna, on_error="skip")
    assert made["shuffled"].notes["positives"] == 12
    assert "skipped 1 lines whose summit is not in the peak" in caplog.text


def test_malformed_lines_can_be_skipped(dna: Genome, tmp_path: Path) -> None:
    (tmp_path / "p.narrowPeak").write_text(narrow_peak() + "chr1\t900\tx\tp\t0\t.\t1\t1\t1\t5\n")
    whole = build(tmp_path / "p.narrowPeak", dna, on_error="skip")
    assert whole["shuffled"].notes["positives"] > 90
