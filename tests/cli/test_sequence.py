"""Pre-training, vectors and predictions from the command line; bad input in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from genoglot.models.dna.attention import AttentionEncoder
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.sequence import Genome, KmerTokenizer, stack_codes

Run = Callable[..., Any]
Here = Callable[..., str]

MLM = ("pretrain", "mlm", "genome.fa", "-o", "n")
TINY = ("--preset", "small", "--set", "dim=16", "--set", "heads=2", "--set", "layers=1")


@pytest.fixture(scope="session")
def files(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    letters = ["".join(rng.choice(list("ACGT"), 3000)) for _ in range(2)]
    (folder / "genome.fa").write_text(f">chr1\n{letters[0]}\n>chr2\n{letters[1]}\n")
    (folder / "some.fa").write_text(">a\nACGTACGTACGT\n>b first\nACGTAC\n")
    (folder / "some.bed").write_text("chr1\t10\t50\tx\t0\t+\nchr2\t20\t60\ty\t0\t-\n")
    (folder / "ragged.bed").write_text("chr1\t10\t50\nchr2\t20\t70\n")
    return folder


@pytest.fixture(scope="session")
def encoder(run: Run, files: Path) -> Path:
    done = run(
        *("pretrain", "mlm", "genome.fa", "-o", "encoder", *TINY),
        *(
            "--tokenizer",
            "kmer",
            "--k",
            "3",
            "--max-steps",
            "3",
            "--set",
            "batch_size=4",
            "--device",
            "cpu",
        ),
    )
    assert "encoder: kmer encoder trained on 6,000 bases" in done.stderr
    return files / "encoder"


@pytest.fixture(scope="session")
def model(files: Path) -> Path:
    codes, _ = stack_codes(["ACGTACGTACGT", "TTTTTTTTTTTT"])
    encoder = AttentionEncoder(KmerTokenizer(3), dim=16, heads=2, layers=1)
    made = SequenceModel(encoder, target="multi-label", max_steps=2)
    made.fit(codes, np.eye(2, dtype=np.float32), device="cpu")
    made.save_pretrained(files / "model")
    return files / "model"


def test_pretrain_writes_a_curve_and_replaces_nothing(
    here: Here, encoder: Path, files: Path
) -> None:
    lines = (files / "encoder.training" / "loss.csv").read_text().splitlines()
    assert lines[0] == "step,loss,learning_rate" and len(lines) == 4
    again = here("pretrain", "mlm", "genome.fa", "-o", "encoder", *TINY, status=2)
    assert "encoder: already exists; choose another name or use --overwrite" in again


@pytest.mark.parametrize("command", ["embed", "predict"])
def test_what_a_model_cannot_read_is_counted(
    here: Here, encoder: Path, model: Path, files: Path, command: str
) -> None:
    (files / "short.fa").write_text(">a\nACGTACGT\n>b\nAC\n>c\nG\n>d\nNNNNNN\n")
    which = encoder if command == "embed" else model
    options = ["--device", "cpu"] + ["--any-length"] * (command == "predict")
    said = here(command, which, "short.fa", "-o", "short.npy", *options)
    assert "short.fa: 3 of 4 sequences consist of N alone or are shorter than the model's" in said
    assert "the first is b;" in said
    a, b, c, _ = np.load(files / "short.npy")
    assert (b == c).all() and (a != b).any()
    (files / "long.fa").write_text(">a\nACGTACGT\n")
    assert "ignore their rows" not in here(command, which, "long.fa", "-o", "a.npy", *options)


def test_vectors_of_records(here: Here, encoder: Path, files: Path) -> None:
    here("embed", encoder, "some.fa", "-o", "some.parquet", "--device", "cpu")
    table = pl.read_parquet(files / "some.parquet")
    assert table["name"].to_list() == ["a", "b"]
    codes, lengths = stack_codes(["ACGTACGTACGT", "ACGTAC"])
    expected = AttentionEncoder.from_pretrained(encoder).embed(codes, lengths)
    np.testing.assert_allclose(table["vector"].to_numpy(), expected, atol=1e-6)
    here("embed", encoder, "some.fa", "-o", "some.npy", "--strands", "both", "--device", "cpu")
    assert np.load(files / "some.npy").shape == (2, 16)


def test_files_of_many_sequences_are_written_as_they_are_read(
    here: Here, encoder: Path, files: Path
) -> None:
    dna = np.random.default_rng(0).choice(list("ACGT"), (2500, 12))
    texts = ["".join(row) for row in dna]
    (files / "many.fa").write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate(texts)))
    here("embed", encoder, "many.fa", "-o", "many.parquet", "--device", "cpu")
    here("embed", encoder, "many.fa", "-o", "many.npy", "--device", "cpu")
    table = pl.read_parquet(files / "many.parquet")
    assert table["name"].to_list() == [f"s{i}" for i in range(2500)]
    expected = AttentionEncoder.from_pretrained(encoder).embed(*stack_codes(texts))
    np.testing.assert_allclose(np.load(files / "many.npy", mmap_mode="r"), expected, atol=1e-6)
    np.testing.assert_array_equal(table["vector"].to_numpy(), np.load(files / "many.npy"))
    # An error in the middle of the file leaves nothing.
    with (files / "many.fa").open("a") as file:
        file.write(">bad\nACGTEFGH\n")
    here("embed", encoder, "many.fa", "-o", "bad.npy", status=2)
    assert not (files / "bad.npy").exists() and not list(files.glob("*bad.npy*"))


def test_pretraining_takes_the_options_of_a_genome(here: Here, files: Path) -> None:
    how = (
        *TINY,
        "--max-steps",
        "1",
        "--set",
        "batch_size=2",
        "--set",
        "window=64",
        "--device",
        "cpu",
    )
    (files / "more.fa").write_text((files / "genome.fa").read_text().replace(">chr", ">z"))
    arguments = ("pretrain", "mlm", "genome.fa", "more.fa", "-o", "e2", *how, "--overwrite")
    here(*arguments, "--alias", "ensembl", "--origin", "z1=chr3:101", "--origin", "z2=chr4:1")
    said = here(*arguments, "--origin", "z1=chr1:101", status=2)
    assert "records 'chr1' and 'z1' are both chromosome 'chr1'" in said
    # Windows of one chromosome are sequences as any here.
    records = [f">chr1:{i}-{i + 500}\n{'ACGTACCTGA' * 50}\n" for i in (0, 500, 1000)]
    (files / "getfasta.fa").write_text("".join(records))
    here("pretrain", "mlm", "getfasta.fa", "-o", "e3", *how)


def test_records_of_all_lengths_stay_in_their_order(here: Here, encoder: Path, files: Path) -> None:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGT"), n)) for n in [50] * 40 + [5000, 7, 3000] + [50] * 9]
    (files / "all.fa").write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate(texts)))
    here("embed", encoder, "all.fa", "-o", "all.npy", "--device", "cpu")
    loaded, found = AttentionEncoder.from_pretrained(encoder), np.load(files / "all.npy")
    for i in (0, 39, 40, 41, 42, 43, 51):
        expected = loaded.embed(stack_codes([texts[i]])[0])[0]
        np.testing.assert_allclose(found[i], expected, atol=1e-4)


def test_vectors_of_regions_are_read_on_their_strand(
    here: Here, encoder: Path, files: Path
) -> None:
    here("embed", encoder, "some.bed", "--genome", "genome.fa", "-o", "bed.parquet")
    table = pl.read_parquet(files / "bed.parquet")
    assert table.columns[:3] == ["chrom", "start", "end"]
    genome = Genome.open(files / "genome.fa")
    text = genome.sequence("chr2", 20, 60).translate(str.maketrans("ACGT", "TGCA"))[::-1]
    codes, _ = stack_codes([genome.sequence("chr1", 10, 50), text])
    expected = AttentionEncoder.from_pretrained(encoder).embed(codes)
    np.testing.assert_allclose(table["vector"].to_numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("embed", "nowhere", "some.fa", "-o", "x.npy"), "no saved model here"),
        (
            ("embed", "model", "some.bed", "-o", "x.npy"),
            "the regions of a BED file need a genome",
        ),
        (
            ("embed", "model", "ragged.bed", "--genome", "genome.fa", "-o", "x.npy"),
            "40 to 50 bp long; give a width",
        ),
        (("embed", "model", "some.fa", "-o", "x.csv"), "ends with .parquet or .npy"),
        (("embed", "model", "protein.fa", "-o", "x.npy"), "protein.fa:2: 'E' at position 2"),
        (("predict", "encoder", "some.fa", "-o", "x.npy"), "holds 'attention', an encoder of DNA"),
        (("pretrain", "mlm", "none.fa", "-o", "n"), "none.fa: no such file"),
        (("embed", "model", "long.fa", "-o", "x.npy"), "record 'b' of 40,000 bp, but this model"),
        (("embed", "model", "genome.fa", "--alias", "ucsc", "-o", "x.npy"), "give one with --ge"),
        (("embed", "model", "a.bed", "--origin", "z", "-o", "x.npy"), "--origin needs a genome"),
        (("embed", "model", "none.bed", "-o", "x.npy"), "none.bed: no such file"),
        (("embed", "model", "empty", "-o", "x.npy"), "empty: is empty; give a FASTA or a BED"),
        (("embed", "model", "reads", "-o", "x.npy"), "is not a FASTA file, which begins with >"),
        (
            ("pretrain", "mlm", "genome.fa", "-o", "n", "--set", "width=3"),
            "pre-training has no setting 'width'",
        ),
        ((*MLM, "--set", "mask_rate=2"), "should be less than 1"),
        ((*MLM, "--tokenizer", "onehot", "--k", "3"), "has no k"),
    ],
)
def test_bad_input_is_one_line(
    here: Here, encoder: Path, model: Path, files: Path, arguments: tuple[str, ...], says: str
) -> None:
    (files / "protein.fa").write_text(">p\nMEEPQSDPSV\n")
    (files / "long.fa").write_text(f">a\nACGT\n>b\n{'ACGT' * 10_000}\n>c\nACGT\n")
    (files / "empty").write_text("\n")
    (files / "reads").write_text("@r\nACGT\n+\nIIII\n")
    said = here(*arguments, status=2)
    assert said.startswith("genoglot: error: ") and says in said
    assert said.count("\n") == 1
    assert not (files / "x.npy").exists()
