"""Predictions of records and regions as people have them: right, reported, or refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genoglot.files import bgzip
from genoglot.models import load
from genoglot.models.dna.attention import AttentionEncoder
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.regions import Regions
from genoglot.sequence import Genome, KmerTokenizer, reverse_complement, stack_codes
from genoglot.tasks import TaskData

Here = Callable[..., str]

FASTA = ">a\nACGTACGTACGT\n>b\nACGTACGGACGT\n"
BED = "chr1\t10\t50\tx\t0\t+\nchr2\t20\t60\ty\t0\t-\n"


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predict")
    rng = np.random.default_rng(0)
    one, two = ("".join(rng.choice(list("ACGT"), 3000)) for _ in range(2))
    two = f"{two[:1000]}{'N' * 500}{two[1500:]}"
    (folder / "genome.fa").write_text(f">chr1\n{one}\n>chr2\n{two}\n")
    (folder / "ensembl.fa").write_text(f">1\n{one}\n>2\n{two}\n")
    (folder / "12.fa").write_text(FASTA)
    (folder / "unequal.fa").write_text(">a\nACGTACGTACGT\n>b\nACGTAC\n")
    (folder / "some.bed").write_text(BED)
    (folder / "ragged.bed").write_text("chr1\t10\t50\nchr2\t20\t70\n")
    (folder / "off.bed").write_text(
        "chr1\t100\t140\nchr1\t9000000\t9000101\nchr2\t2995\t3005\nchr9\t5\t45\nchr2\t1100\t1112\n"
    )
    return folder


@pytest.fixture(scope="session")
def model(files: Path) -> SequenceModel:
    """A model of 12 bp, saved as `model`."""
    rng = np.random.default_rng(1)
    encoder = AttentionEncoder(KmerTokenizer(3), dim=16, heads=2, layers=1)
    made = SequenceModel(encoder, target="multi-label", names=["open", "name"], max_steps=5)
    codes = rng.integers(0, 4, (8, 12)).astype(np.uint8)
    made.fit(codes, rng.integers(0, 2, (8, 2)).astype(np.float32), device="cpu")
    made.save_pretrained(files / "model")
    return made


@pytest.fixture(scope="session")
def genome(files: Path) -> Genome:
    return Genome.open(files / "genome.fa")


def values(file: Path) -> np.ndarray:
    return pl.read_parquet(file).select("open", "name").to_numpy()


def same(file: Path, expected: np.ndarray) -> None:
    np.testing.assert_allclose(values(file), expected, atol=1e-6)


def test_predictions_have_the_names_of_the_outputs(
    here: Here, model: SequenceModel, files: Path
) -> None:
    here("predict", "model", "12.fa", "-o", "p.parquet")
    table = pl.read_parquet(files / "p.parquet")
    assert table.columns == ["input_name", "open", "name"]
    codes, _ = stack_codes(["ACGTACGTACGT", "ACGTACGGACGT"])
    same(files / "p.parquet", model.predict(codes))


def test_windows_are_as_long_as_those_of_the_training(
    here: Here, model: SequenceModel, genome: Genome, files: Path
) -> None:
    out = files / "w.parquet"
    arguments = ("--genome", "genome.fa", "-o", out)
    for bed, length in (("some.bed", "40"), ("ragged.bed", "40 to 50")):
        notice = here("predict", "model", bed, *arguments)
        assert f"the regions are {length} bp long; they are replaced by windows of 12 bp" in notice
        assert notice.count("\n") == 2
        same(out, model.predict(genome.fetch(Regions.from_bed(files / bed), 12)))
    some = Regions.from_bed(files / "some.bed")
    for width in ("20", "11"):
        said = here("predict", "model", "some.bed", *arguments, "--width", width, status=2)
        assert f"windows of {width} bp, but the model was trained on 12 bp" in said
        assert "--width 12" in said and "--any-length" in said
    said = here("predict", "model", "some.bed", *arguments, "--width", "20", "--any-length")
    assert "model was trained on 12 bp; its predictions for other lengths" in said
    same(out, model.predict(genome.fetch(some, 20), any_length=True))
    here("predict", "model", "some.bed", *arguments, "--any-length")
    same(out, model.predict(genome.fetch(some), any_length=True))


def test_records_of_another_length_are_refused(
    here: Here, model: SequenceModel, files: Path
) -> None:
    said = here("predict", "model", "unequal.fa", "-o", "x.npy", status=2)
    assert "unequal.fa: record 'b' of 6 bp, but the model was trained on 12 bp" in said
    assert not (files / "x.npy").exists()
    here("predict", "model", "unequal.fa", "-o", "p.parquet", "--any-length")
    codes, lengths = stack_codes(["ACGTACGTACGT", "ACGTAC"])
    expected = model.predict(codes, lengths, any_length=True)
    same(files / "p.parquet", expected)
    # What a model says of a sequence does not depend on the others of a batch.
    alone = model.predict(codes[1:, :6], any_length=True)
    np.testing.assert_allclose(expected[1:], alone, atol=1e-6)


def test_unequal_lengths_are_read_as_they_were_in_training(here: Here, files: Path) -> None:
    rng = np.random.default_rng(0)
    (files / "mine").mkdir()
    dna: dict[str, list[str]] = {}
    for name, n in (("train", 200), ("dev", 60), ("test", 20)):
        dna[name] = ["".join(rng.choice(list("ACGT"), rng.integers(30, 61))) for _ in range(n)]
        rows = [f"{text},{int(text.count('G') > len(text) / 4)}" for text in dna[name]]
        (files / "mine" / f"{name}.csv").write_text("\n".join(["sequence,label", *rows, ""]))
    here("task", "build", "GUE", "mine", "-o", "task")
    small = ("width=16", "learned=16", "blocks=1", "min_steps=1", "epochs=2", "trees=60")
    settings = [part for text in small for part in ("--set", text)]
    here("task", "train", "task", "-o", "unequal", "--device", "cpu", *settings)
    loaded = load(files / "unequal", "dna-predictor")
    data = TaskData.open(files / "task")
    lengths = [len(text) for text in dna["train"]]
    assert loaded.lengths == (min(lengths), max(lengths), True)
    assert {type(member).__name__ for member in loaded.members} == {
        "SequenceEnsemble",
        "SequenceTrees",
    }
    expected = loaded.predict(np.asarray(data.subset(None, "validation").codes))
    assert np.ptp(expected) > 0.05
    (files / "dev.fa").write_text("".join(f">{i}\n{t}\n" for i, t in enumerate(dna["dev"])))
    here("predict", "unequal", "dev.fa", "-o", "dev.npy")
    np.testing.assert_allclose(np.load(files / "dev.npy"), expected, atol=1e-6)
    (files / "short.fa").write_text(">a\nACGTACGT\n")
    said = here("predict", "unequal", "short.fa", "-o", "x.npy", status=2)
    assert f"record 'a' of 8 bp, but the model was trained on {min(lengths)} to 60 bp" in said


@pytest.mark.parametrize("command", ["embed", "predict"])
def test_regions_outside_of_the_genome_and_windows_of_n(
    here: Here, model: SequenceModel, files: Path, command: str
) -> None:
    arguments = ["--genome", "ensembl.fa", "-o", "off.parquet", "--width", "12", "--alias", "ucsc"]
    said = here(command, "model", "off.bed", *arguments, status=2)
    assert "off.bed: 2 of 5 regions lie outside of the genome" in said
    assert "the first is chr1:9000001-9000101; the genome has chr1:1-3000" in said
    assert "--on-error skip" in said and "assembly" not in said
    said = here(command, "model", "off.bed", *arguments, "--on-error", "skip")
    assert "2 of 5 regions lie outside" in said and "left out" in said
    assert "1 of 3 windows reach past an end" in said and "chr2:2996-3005" in said
    assert "1 of 3 sequences consist of N alone" in said and "first is chr2:1101-1112" in said
    table = pl.read_parquet(files / "off.parquet")
    assert table["start"].to_list() == [100, 2995, 1100]
    genome = Genome.open(files / "ensembl.fa", alias="ucsc")
    dna = genome.fetch(Regions(["chr1", "chr2", "chr2"], [114, 2994, 1100], [126, 3006, 1112]))
    assert (dna[1] == 4).sum() == 6 and (dna[2] == 4).all()
    if command == "predict":
        same(files / "off.parquet", model.predict(dna))
    for bed in ("chr9\t5\t9\n", "chr1\t7000\t7009\nchr2\t9000\t9009\nchr1\t10\t19\n"):
        (files / "other.bed").write_text(bed)
        said = here(command, "model", "other.bed", *arguments, status=2)
        assert "another assembly" in said


def test_the_other_naming_is_refused_with_the_option_that_helps(
    here: Here, model: SequenceModel, files: Path
) -> None:
    arguments = ("model", "some.bed", "--genome", "ensembl.fa", "--width", "12", "-o", "a.npy")
    for command in ("embed", "predict"):
        for on_error in ("raise", "skip"):
            said = here(command, *arguments, "--on-error", on_error, status=2)
            assert "says 'chr1' where the genome says '1'" in said and "--alias ucsc" in said
        here(command, *arguments, "--alias", "ucsc")


def test_malformed_lines_can_be_left_out(here: Here, model: SequenceModel, files: Path) -> None:
    (files / "bad.bed").write_text(f"{BED}chr1\t60\tx\n")
    arguments = ("model", "bad.bed", "--genome", "genome.fa", "--width", "12", "-o", "bad.npy")
    for command in ("embed", "predict"):
        assert "bad.bed:3" in here(command, *arguments, status=2)
        assert "skipped 1 malformed line" in here(command, *arguments, "--on-error", "skip")
        assert len(np.load(files / "bad.npy")) == 2


def test_points_have_windows_but_no_bases(
    here: Here, model: SequenceModel, genome: Genome, files: Path
) -> None:
    (files / "points.bed").write_text("chr1\t30\t30\nchr2\t3000\t3000\n")
    arguments = ("model", "points.bed", "--genome", "genome.fa", "-o", "points.parquet")
    said = here("embed", *arguments, status=2)
    assert "points.bed: the regions are 0 bp long; give a width (--width)" in said
    here("predict", *arguments)
    where = [("chr1", 24, 36), ("chr2", 2994, 3006)]
    same(
        files / "points.parquet",
        model.predict(stack_codes([genome.sequence(*w) for w in where])[0]),
    )


@pytest.mark.parametrize(
    ("record", "options"),
    [
        ("22:1000-4000", ["--alias", "ucsc"]),
        ("22:1001-4000", ["--alias", "ucsc"]),
        ("gene::chr22:1000-4000(+)", []),
        ("z", ["--origin", "z=chr22:1001"]),
        ("z", ["--origin", "z=22:1001", "--alias", "ucsc"]),
    ],
)
def test_a_window_of_a_chromosome_is_a_genome(
    here: Here, model: SequenceModel, genome: Genome, files: Path, record: str, options: list[str]
) -> None:
    (files / "window.fa").write_text(f">{record}\n{genome.sequence('chr1', 0, 3000)}\n")
    (files / "w.bed").write_text("chr22\t1010\t1022\n")
    arguments = ("model", "w.bed", "--genome", "window.fa", *options, "-o", "w.parquet")
    here("predict", *arguments)
    dna, _ = stack_codes([genome.sequence("chr1", 10, 22)])
    same(files / "w.parquet", model.predict(dna))
    here("embed", *arguments)
    vectors = pl.read_parquet(files / "w.parquet")["vector"].to_numpy()
    np.testing.assert_allclose(vectors, model.encoder.embed(dna), atol=1e-6)


def test_a_tss_is_at_one_place_on_both_strands(
    here: Here, model: SequenceModel, genome: Genome, files: Path
) -> None:
    # As GeneExp is trained: base number `width // 2`, in the direction of the gene.
    (files / "tss.bed").write_text("chr1\t500\t501\ta\t0\t1\nchr1\t700\t701\tb\t0\t-1\n")
    here("predict", "model", "tss.bed", "--genome", "genome.fa", "-o", "tss.parquet")
    other = reverse_complement(genome.sequence("chr1", 0, 3000))
    at = 3000 - 701
    dna, _ = stack_codes([genome.sequence("chr1", 494, 506), other[at - 6 : at + 6]])
    same(files / "tss.parquet", model.predict(dna))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dna.txt", FASTA.encode()),
        ("dna.fas", FASTA.replace("\n", "\r").encode()),
        ("dna.fa.bgz", bgzip(FASTA.encode())),
        ("dna", FASTA.encode("utf-16")),
        ("dna.bed", b"\n" + FASTA.encode()),
        ("dna.lower", FASTA.lower().replace("t", "u").encode()),
    ],
)
def test_fasta_is_recognized_by_its_first_bytes(
    here: Here, model: SequenceModel, files: Path, name: str, content: bytes
) -> None:
    (files / name).write_bytes(content)
    here("predict", "model", name, "-o", "read.parquet")
    same(files / "read.parquet", model.predict(stack_codes(["ACGTACGTACGT", "ACGTACGGACGT"])[0]))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("regions", BED.encode()),
        ("regions.txt", BED.replace("\n", "\r").encode()),
        ("regions.bed.bgz", bgzip(BED.encode())),
    ],
)
def test_whatever_else_is_a_bed_file(
    here: Here, model: SequenceModel, genome: Genome, files: Path, name: str, content: bytes
) -> None:
    (files / name).write_bytes(content)
    here("predict", "model", name, "--genome", "genome.fa", "-o", "read.parquet")
    some = Regions.from_bed(files / "some.bed")
    same(files / "read.parquet", model.predict(genome.fetch(some, 12)))


def test_standard_input(model: SequenceModel, genome: Genome, files: Path) -> None:
    some = genome.fetch(Regions.from_bed(files / "some.bed"), 12)
    dna = stack_codes(["ACGTACGTACGT", "ACGTACGGACGT"])[0]
    for content, options, codes in (
        (bgzip(FASTA.encode()), [], dna),
        (BED.encode(), ["--genome", "genome.fa"], some),
    ):
        command = [sys.executable, "-m", "genoglot", "predict", "model", "-", "-o", "in.parquet"]
        subprocess.run([*command, *options], input=content, cwd=files, check=True)
        same(files / "in.parquet", model.predict(codes))
