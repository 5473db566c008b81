"""Every builder on the simulated world: labels, windows and splits, checked by hand."""

import csv
import itertools
import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genoglot.errors import TaskError
from genoglot.files import read_text
from genoglot.regions import Regions
from genoglot.sequence import Genome, reverse_complement, to_codes, to_text
from genoglot.simulate import World
from genoglot.tasks import TASKS, TaskData
from genoglot.tasks.builders.promoters import read_promoters
from genoglot.tasks.dataset import SUBSETS

Build = Callable[[str], TaskData]
Sources = dict[str, list[Path]]


def lines(path: Path) -> list[list[str]]:
    with read_text(path) as file:
        return [line.rstrip("\n").split("\t") for line in file]


@pytest.mark.parametrize(
    "name", ["PromVary", "PromFix", "Methyl96", "Track7878", "DeepSEA919", "GeneExp", "CausalSNP"]
)
def test_no_chromosome_is_shared_and_no_test_window_overlaps_train(built: Build, name: str) -> None:
    data = built(name)
    part = data.examples["split:chromosome"]
    by_subset = [set(data.examples["chrom"].filter(part == value)) for value in SUBSETS]
    assert all(by_subset) and not any(a & b for a, b in itertools.combinations(by_subset, 2))
    assert set().union(*by_subset) == set(data.examples["chrom"])
    seen = data.leakage["chromosome"]
    assert all(row["same"] + row["reverse_complement"] == 0 for row in seen)
    data.verify()


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_says_what_it_is_and_with_what_to_compare(name: str) -> None:
    task = TASKS[name]
    assert bool(task.published) == (not name.startswith("VISTA"))  # nobody published figures
    assert {row.metric for row in task.published} <= {*task.metrics, "MSE"}
    assert all(0 < row.value < 1 for row in task.published)
    assert task.name == name and task.sources


def promoters_of(world: World) -> list[tuple[str, int, str]]:
    """(chrom, 0-based TSS, strand) from the BED file, by its description."""
    rows = lines(world.path / "assays" / "promoters.bed")
    return [(r[0], int(r[6]) if r[5] == "+" else int(r[7]) - 1, r[5]) for r in rows]


def test_fps_and_bed_tell_of_the_same_promoters(sources: Sources, world: World) -> None:
    bed, fps = (read_promoters(sources[name][0]) for name in ("PromFix", "PromVary"))
    assert bed == fps
    found = zip(bed.chrom, bed.start, bed.columns["strand"], strict=True)
    assert [(c, int(s), strand) for c, s, strand in found] == promoters_of(world)


@pytest.mark.parametrize("name", ["PromVary", "PromFix"])
def test_promoter_windows_hold_the_core_and_negatives_do_not(
    built: Build, world: World, genome: Genome, name: str
) -> None:
    data = built(name)
    labels = data.labels[:][:, 0]
    assert data.length == 500 and labels.mean() == 0.5
    promoters = promoters_of(world)
    cores = {}
    for chrom, tss, strand in promoters:
        cores[chrom, tss, strand] = (
            (tss - 250, tss + 50) if strand == "+" else (tss - 49, tss + 251)
        )
    left = set(cores)
    shifts = set()
    for i, row in enumerate(data.examples.iter_rows(named=True)):
        start, end = row["start"], row["end"]
        text = genome.sequence(row["chrom"], start, end)
        assert to_text(data.codes[i]) == (
            text if row["strand"] == "+" else reverse_complement(text)
        )
        held = [
            key
            for key, (low, high) in cores.items()
            if key[0] == row["chrom"] and key[2] == row["strand"] and start <= low and high <= end
        ]
        if labels[i]:
            assert held
            for key in held:
                center = (start + end) // 2 if row["strand"] == "+" else (start + end) // 2 - 1
                sign = 1 if row["strand"] == "+" else -1
                shifts.add(sign * (center - key[1]) + 100)
                left.discard(key)
        else:
            touched = any(
                key[0] == row["chrom"] and low < end and start < high
                for key, (low, high) in cores.items()
            )
            assert not touched and 4 not in data.codes[i]
    assert not left
    if name == "PromVary":
        assert len(shifts) > 150 and min(shifts) >= -100 and max(shifts) <= 100
    else:
        assert 0 in shifts


def test_methylation_is_methylated_over_all_reads_of_both_strands(
    built: Build, sources: Sources, genome: Genome
) -> None:
    data = built("Methyl96")
    sequence = {
        chrom: genome.sequence(chrom, 0, size) for chrom, size in genome.chrom_sizes.items()
    }
    wanted: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
    for column, path in enumerate(sources["Methyl96"]):
        counts: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
        for row in lines(path):
            assert len(row) == 11
            at = int(row[1]) - (row[5] == "-")
            assert sequence[row[0]][at : at + 2] == "CG"
            reads = int(row[9])
            counts[row[0], at][0] += reads
            counts[row[0], at][1] += round(reads * int(row[10]) / 100)
        for place, (reads, hits) in counts.items():
            if reads >= 10:
                wanted[place][column] = hits / reads
    labels = data.labels[:]
    rows = data.examples.select("chrom", "start").rows()
    assert set(rows) == set(wanted) and len(rows) == len(wanted)
    assert 0 < np.isnan(labels).mean() < 0.1
    for i in range(0, len(rows), 7):
        told = wanted[rows[i]]
        assert {j for j in range(4) if not np.isnan(labels[i, j])} == set(told)
        assert all(labels[i, j] == pytest.approx(value, abs=1e-6) for j, value in told.items())
    for i in range(0, len(rows), 501):
        chrom, at = rows[i]
        assert to_text(data.codes[i]) == genome.sequence(chrom, at - 250, at + 251)
        assert to_text(data.codes[i])[250:252] == "CG"


def test_a_bin_is_positive_if_more_than_half_of_it_lies_in_peaks(
    built: Build, sources: Sources, genome: Genome
) -> None:
    data = built("Track7878")
    labels = data.labels[:]
    assert data.outputs == [path.name.removesuffix(".bed.gz") for path in sources["Track7878"]]
    wanted: dict[tuple[str, int], list[int]] = {}
    for column, path in enumerate(sources["Track7878"]):
        covered = {chrom: np.zeros(size, bool) for chrom, size in genome.chrom_sizes.items()}
        for row in lines(path):
            covered[row[0]][int(row[1]) : int(row[2])] = True
        for chrom, bases in covered.items():
            n = len(bases) // 200
            share = bases[: n * 200].reshape(n, 200).mean(axis=1)
            for i in np.flatnonzero(share > 0.5).tolist():
                wanted.setdefault((chrom, i * 200), []).append(column)
    rows = data.examples.select("chrom", "start").rows()
    assert sorted(rows) == sorted(wanted)  # bins without any label are dropped
    for row, label in zip(rows, labels, strict=True):
        assert np.flatnonzero(label).tolist() == wanted[row]
    for i in range(0, len(rows), 200):
        chrom, at = rows[i]
        assert to_text(data.codes[i]) == genome.sequence(chrom, at - 400, at + 600)
    # Neighbors in a random split share most of their bases, which the report must tell.
    test = next(
        row
        for row in data.leakage["random"]
        if (row["subset"], row["other_subset"]) == ("test", "train")
    )
    assert test["rate"] > 0.4


def test_exactly_half_of_a_bin_is_not_enough(tmp_path: Path) -> None:
    from genoglot.tasks.builders.tracks import PeakTrack, positive_bins

    peaks = {"c": (np.array([0, 200, 400, 560, 900]), np.array([100, 301, 450, 611, 1500]))}
    labels = positive_bins([PeakTrack("a", "", peaks)], "c", 0, 9)
    assert (labels.ravel() > 0).tolist() == [False, True, False, False, False, True, True, False,
                                             False]  # fmt: skip
    assert (positive_bins([PeakTrack("a", "", peaks)], "c", 5, 7).ravel() > 0).all()


def test_a_sheet_names_files_and_assays(world: World, genome: Genome, tmp_path: Path) -> None:
    sheet = world.sheet.head(10).with_columns(
        file=pl.concat_str([pl.lit(f"{world.path}/"), pl.col("file")])
    )
    sheet.write_csv(tmp_path / "sheet.csv")
    (data,) = TASKS["DeepSEA919"].build(
        [tmp_path / "sheet.csv"], tmp_path / "d", genome=genome, leakage=False
    )
    assert data.output_groups == sheet["assay"].to_list()
    assert data.default_split == "chromosome" and data.leakage == {}
    assert len(data.sources) == 11


def test_expression_is_the_logarithm_of_rpkm_around_the_tss(
    built: Build, sources: Sources, genome: Genome
) -> None:
    data = built("GeneExp")
    with sources["GeneExp"][0].open() as file:
        genes = list(csv.DictReader(file))
    with sources["GeneExp"][1].open() as file:
        rpkm = list(csv.reader(file))
    assert data.length == 40_000 and data.outputs == rpkm[0][1:]
    assert data.examples["id"].to_list() == [gene["id"] for gene in genes]
    labels = data.labels[:]
    for i, (gene, row) in enumerate(zip(genes, rpkm[1:], strict=True)):
        assert labels[i] == pytest.approx([math.log(float(x) + 0.0001) for x in row[1:]], abs=1e-4)
        if i % 40 == 0:
            tss = int(gene["CAGE_representative_TSS"]) - 1
            low, high = (-20_000, 20_000) if gene["strand"] == "+" else (-19_999, 20_001)
            text = genome.sequence(gene["seqnames"], tss + low, tss + high)
            text = text if gene["strand"] == "+" else reverse_complement(text)
            assert to_text(data.codes[i]) == text


def test_expression_rows_are_found_by_gene_id(
    built: Build, sources: Sources, genome: Genome, tmp_path: Path
) -> None:
    ids = pl.read_csv(sources["GeneExp"][0])["id"]
    table = pl.read_csv(sources["GeneExp"][1])
    shuffled = table.with_columns(pl.Series(table.columns[0], ids)).sample(fraction=1, shuffle=True)
    shuffled.write_csv(tmp_path / "e.csv")
    (data,) = TASKS["GeneExp"].build(
        [sources["GeneExp"][0], tmp_path / "e.csv"], tmp_path / "d", genome=genome, leakage=False
    )
    np.testing.assert_array_equal(data.labels[:], built("GeneExp").labels[:])


def test_causal_variants_and_twice_as_many_spurious_ones_of_each_tissue(
    built: Build, sources: Sources, genome: Genome
) -> None:
    data = built("CausalSNP")
    header, *rows = lines(sources["CausalSNP"][0])
    assert header[-2:] == ["variant_id", "variant_pip"]
    pip = {(row[4], row[0]): float(row[5]) for row in rows}
    labels = data.labels[:][:, 0]
    seen = set()
    for i, row in enumerate(data.examples.iter_rows(named=True)):
        variant, tissue = row["id"].split(":")
        posterior = pip[variant, tissue]
        assert posterior > 0.9 if labels[i] else posterior < 0.01
        chrom, at, ref, alt, _ = variant.split("_")
        assert (row["chrom"], row["start"], row["group"]) == (chrom, int(at) - 1, tissue)
        if i % 20 == 0:
            text = genome.sequence(chrom, int(at) - 501, int(at) + 499)
            assert text[500] == ref
            assert to_text(data.codes[i]) == text
            assert data.alternative is not None
            assert to_text(data.alternative[i]) == text[:500] + alt + text[501:]
        seen.add((variant, tissue))
    single = {key for key in pip if len(key[0].split("_")[2]) == 1}
    assert {key for key in single if pip[key] > 0.9} <= seen
    for tissue in data.groups:
        mine = (data.examples["group"] == tissue).to_numpy()
        assert labels[mine].mean() == pytest.approx(1 / 3)
        for name, share in zip(SUBSETS, (0.7, 0.1, 0.2), strict=True):
            part = (data.examples["split:random"] == name).to_numpy()
            assert part[mine].mean() == pytest.approx(share, abs=0.01)
    places = data.examples.group_by(pl.col("id").str.split(":").list.first())
    assert (places.agg(pl.col("split:variant").n_unique())["split:variant"] == 1).all()


def test_mutagenesis_rebuilds_the_element_and_changes_one_base(
    built: Build, sources: Sources, genome: Genome
) -> None:
    data = built("MPRAProm")
    header, *rows = lines(sources["MPRAProm"][0])
    table = [dict(zip(header, row, strict=True)) for row in rows]
    kept = [row for row in table if row["Alt"] in "ACGT" and row["Coefficient"] != "NA"]
    by_id = {f"{r['Element']}:{r['Chrom']}:{r['Pos']}:{r['Ref']}>{r['Alt']}": r for r in kept}
    assert set(data.examples["id"]) == set(by_id) and len(data) == len(by_id)
    assert data.notes["deletions"] == sum(row["Alt"] == "-" for row in table)
    assert data.notes["rows_without_value"] == sum(row["Pos"] == "NA" for row in table) > 0
    extent: dict[str, list[int]] = defaultdict(list)
    for row in kept:
        extent[row["Element"]].append(int(row["Pos"]) - 1)
    assert data.alternative is not None
    for i in range(0, len(data), 97):
        row = by_id[data.examples["id"][i]]
        low, high = min(extent[row["Element"]]), max(extent[row["Element"]]) + 1
        begin = (low + high) // 2 - 700
        inner = genome.sequence(f"chr{row['Chrom']}", low, high)
        wanted = "N" * (low - begin) + inner + "N" * (begin + 1400 - high)
        assert to_text(data.codes[i]) == wanted
        at = int(row["Pos"]) - 1 - begin
        assert wanted[at] == row["Ref"]
        assert to_text(data.alternative[i]) == wanted[:at] + row["Alt"] + wanted[at + 1 :]
        assert data.labels[i][0] == pytest.approx(float(row["Coefficient"]), abs=1e-6)


def test_positions_and_loci_of_mutagenesis_are_in_one_subset(built: Build) -> None:
    data = built("MPRAProm")
    shared = [name for name in data.groups if "+" in name]
    assert len(shared) == 1 and set(shared[0].split("+")) <= set(data.examples["element"])
    by_position = data.examples.group_by("chrom", "start").agg(pl.col("split:positions").n_unique())
    assert (by_position["split:positions"] == 1).all()
    by_locus = data.examples.group_by("group").agg(pl.col("split:element").n_unique())
    assert (by_locus["split:element"] == 1).all()
    held = data.examples["element"].gather(data.rows(f"leave-out:{shared[0]}", "test"))
    assert set(held) == set(shared[0].split("+"))
    # The random split tests on elements that were trained on, and says so.
    report = {(r["subset"], r["other_subset"]): r["rate"] for r in data.leakage["positions"]}
    assert report["test", "train"] == 1.0
    assert all(row["rate"] == 0 for row in data.leakage["element"])


def test_errors_of_mutagenesis_are_told_by_p_values_and_change_nothing_else(
    built: Build, sources: Sources, tmp_path: Path
) -> None:
    (table,) = sources["MPRAProm"]
    plain = built("MPRAProm")
    (data,) = TASKS["MPRAProm"].build([table], tmp_path / "d", leakage=False, errors=True)
    error = (data.examples["error"] * data.examples["barcodes"].sqrt()).to_numpy()
    np.testing.assert_allclose(error, 0.8, rtol=0.1)  # as it was simulated
    assert data.examples.drop("error").equals(plain.examples)
    np.testing.assert_array_equal(data.labels[:], plain.labels[:])
    assert data.assignment("positions").tolist() == plain.assignment("positions").tolist()

    rows = pl.read_csv(table, separator="\t", infer_schema=False)
    path = tmp_path / "t.tsv"
    rows.drop("pValue").write_csv(path, separator="\t")
    with pytest.raises(TaskError, match="no column 'pValue'"):
        TASKS["MPRAProm"].build([path], tmp_path / "e", errors=True)
    rows.with_columns(pValue=pl.lit("1")).write_csv(path, separator="\t")
    with pytest.raises(TaskError, match="no p-value that gives an error"):
        TASKS["MPRAProm"].build([path], tmp_path / "e", errors=True)


def test_errors_are_told_by_training_rows_only(sources: Sources, tmp_path: Path) -> None:
    rows = pl.read_csv(sources["MPRAProm"][0], separator="\t", infer_schema=False)
    found = []
    path = tmp_path / "t.tsv"
    rows.write_csv(path, separator="\t")
    (data,) = TASKS["MPRAProm"].build([path], tmp_path / "0", leakage=False, errors=True)
    held = data.examples[data.rows("positions", "test")].select(
        key=pl.format("{} {}", "element", "end")
    )["key"]
    found.append(data.examples["error"].to_list())
    changed = pl.format("{} {}", "Element", "Pos").is_in(held.to_list())
    rows.with_columns(
        Coefficient=pl.when(changed).then(pl.lit("7")).otherwise("Coefficient")
    ).write_csv(path, separator="\t")
    (data,) = TASKS["MPRAProm"].build([path], tmp_path / "1", leakage=False, errors=True)
    assert data.examples["error"].to_list() == found[0]


def test_mutagenesis_with_a_genome_has_real_flanks(
    built: Build, sources: Sources, world: World, tmp_path: Path
) -> None:
    genome = Genome.open(world.genome_path, alias="ensembl")
    (data,) = TASKS["MPRAProm"].build(
        sources["MPRAProm"], tmp_path / "d", genome=genome, leakage=False, min_barcodes=20
    )
    assert data.notes["rows_with_few_barcodes"] > 0
    plain = built("MPRAProm")
    shared = np.flatnonzero(plain.examples["id"].is_in(data.examples["id"].to_list()).to_numpy())
    assert len(shared) == len(data)
    with_flanks, without = data.codes[:], plain.codes[shared]
    known = without != 4
    assert (with_flanks[known] == without[known]).all()
    assert (with_flanks == 4).mean() < 0.01 < (without == 4).mean()


def test_class_numbers_follow_sorted_labels_not_the_order_of_rows(tmp_path: Path) -> None:
    rows = {"train": ["b", "10", "a", "2"], "dev": ["a", "b"], "test": ["2", "b"]}
    for name, labels in rows.items():
        text = "".join(f"ACGT{'ACGT'[i]},{label}\n" for i, label in enumerate(labels))
        (tmp_path / f"{name}.csv").write_text("sequence,label\n" + text)
    (data,) = TASKS["GUE"].build([tmp_path], tmp_path / "out")
    assert data.outputs == ["10", "2", "a", "b"]
    assert data.subset(None, "train").labels[:].ravel().tolist() == [3, 0, 2, 1]
    assert data.subset(None, "test").labels[:].ravel().tolist() == [1, 3]
    assert to_text(data.subset(None, "validation").codes[1]) == "ACGTC"


def test_a_family_of_folders_keeps_its_places_and_short_sequences_are_filled_up(
    tmp_path: Path,
) -> None:
    for folder in ("tf/0", "tf/1", "splice"):
        (tmp_path / "gue" / folder).mkdir(parents=True)
        for name in ("train", "dev", "test"):
            rows = "".join(f"{'acgtr'[: 3 + i]},{i % 2}\n" for i in range(3))
            (tmp_path / "gue" / folder / f"{name}.csv").write_text("label,x,sequence\n".replace(
                "label,x,sequence", "sequence,label") + rows)  # fmt: skip
    made = TASKS["GUE"].build([tmp_path / "gue"], tmp_path / "out")
    assert [data.path.relative_to(tmp_path / "out").as_posix() for data in made] == [
        "splice", "tf/0", "tf/1",
    ]  # fmt: skip
    assert [to_text(row) for row in made[1].codes[:3]] == ["ACGNN", "ACGTN", "ACGTN"]
    figures = TASKS["GUE"].published_results("tf/0")
    assert {row.model: row.value for row in figures}["DNABERT-2"] == 0.7199


def test_without_train_csv_the_dev_set_is_split(tmp_path: Path) -> None:
    for name, n in (("dev", 50), ("test", 10)):
        text = "".join(f"{to_text(to_codes('ACGT' * 5))},{i % 2}\n" for i in range(n))
        (tmp_path / f"{name}.csv").write_text("sequence,label\n" + text)
    (data,) = TASKS["GUE"].build([tmp_path], tmp_path / "out")
    assert data.split_sizes["given"] == {"train": 40, "validation": 10, "test": 10}
    assert "missing" in data.notes["train"]


def test_windows_of_a_genome_leave_out_what_they_do_not_hold(
    sources: Sources, genome: Genome, tmp_path: Path
) -> None:
    fasta = tmp_path / "windows.fa"
    windows = {"chr1": (400_000, 900_000), "chr2": (100_000, 700_000), "chr3": (0, 500_000)}
    fasta.write_text(
        "".join(
            f">{chrom}:{low + 1}-{high}\n{genome.sequence(chrom, low, high)}\n"
            for chrom, (low, high) in windows.items()
        )
    )
    part = Genome.open(fasta, record_positions="names")
    for name in ("PromVary", "Track7878", "Methyl96", "CausalSNP", "GeneExp"):
        (data,) = TASKS[name].build(sources[name], tmp_path / name, genome=part, leakage=False)
        places = Regions.from_frame(data.examples.select("chrom", "start", "end"))
        for chrom, (low, high) in windows.items():
            mine = places[places.chrom == chrom]
            assert len(mine) and mine.start.min() >= low and mine.end.max() <= high


def test_negatives_that_are_shuffled_positives_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)

    def dna(n: int) -> str:
        return "".join(rng.choice(list("ACGT"), n))

    def rows(n: int) -> str:
        lines = ["sequence,label"]
        for _ in range(n):
            a, b, c, d = (dna(15) for _ in range(4))
            # Parts between the same letters change places: all neighbors stay the same.
            lines += [f"{a}G{b}G{c}G{d},1", f"{a}G{c}G{b}G{d},0"]
        return "\n".join(lines) + "\n"

    for part, n in (("train", 40), ("dev", 5), ("test", 5)):
        (tmp_path / f"{part}.csv").write_text(rows(n))
    (data,) = TASKS["GUE"].build([tmp_path], tmp_path / "out")
    assert data.notes["shuffled"] == 1.0
    assert "100 % of the sequences are shuffles" in caplog.text
    with (tmp_path / "train.csv").open("a") as file:
        file.write("".join(f"{dna(63)},{i % 2}\n" for i in range(100)))
    (data,) = TASKS["GUE"].build([tmp_path], tmp_path / "more", leakage=False)
    assert data.notes["shuffled"] == 0.5


def test_negatives_that_are_edited_positives_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)

    def write(edited: bool) -> Path:
        folder = tmp_path / ("edited" if edited else "apart")
        folder.mkdir()
        rows: dict[str, list[str]] = {"train": [], "dev": [], "test": []}
        for i in range(300):
            positive = rng.choice(list("ACGT"), 70)
            negative = positive.copy() if edited else rng.choice(list("ACGT"), 70)
            negative[20:50] = rng.choice(list("ACGT"), 30)
            for label, bases in ((1, positive), (0, negative)):
                part = rng.choice(["train", "dev", "test"], p=[0.7, 0.1, 0.2]) if i else "train"
                rows[part].append(f"{''.join(bases)},{label}")
        for part, lines in rows.items():
            (folder / f"{part}.csv").write_text("\n".join(["sequence,label", *lines]) + "\n")
        return folder

    (data,) = TASKS["GUE"].build([write(edited=True)], tmp_path / "a", leakage=False)
    # A test sequence's counterpart is in the train file in seven of ten cases.
    assert 0.5 < data.notes["edited_copies_mcc"] < 0.9
    assert "edited copies of positives" in caplog.text
    caplog.clear()
    (data,) = TASKS["GUE"].build([write(edited=False)], tmp_path / "b", leakage=False)
    assert "edited_copies_mcc" not in data.notes
    assert "edited" not in caplog.text
