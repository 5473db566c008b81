"""Pre-training: it learns, goes on where it stopped, and is the same on two processes."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from genoglot.errors import ModelError
from genoglot.models.dna.attention import AttentionEncoder
from genoglot.models.dna.genome_windows import GenomeWindows
from genoglot.models.dna.masked_lm import MaskedLanguageModel
from genoglot.models.dna.new_tokenizer import new_tokenizer
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.regions import Regions
from genoglot.sequence import Genome, KmerTokenizer, PatchTokenizer, to_text

SMALL = {"dim": 16, "heads": 2, "layers": 1}
SHORT = {"window": 64, "batch_size": 8, "warm_up": 2, "learning_rate": 5e-3, "checkpoint_every": 5}
CPU = "cpu"


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Repeats of a few words, so that there is something to learn; two short records."""
    rng = np.random.default_rng(0)
    words = ["ACGGTCA", "TTGACGATC", "GGCA", "CATATCG"]
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    with path.open("w") as file:
        for name in ("chr1", "chr2"):
            file.write(f">{name}\n{''.join(rng.choice(words, 400))}\n")
        file.write(f">short\n{to_text(rng.integers(0, 4, 40).astype(np.uint8))}\n>tiny\nACGT\n")
    return path


def curve(folder: Path) -> list[tuple[int, float]]:
    with (folder / "loss.csv").open() as file:
        return [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]


@pytest.mark.parametrize("tokenizer", ["kmer", "patch", "bpe", "onehot"])
def test_the_loss_falls_below_that_of_guessing(tokenizer: str, fasta: Path, tmp_path: Path) -> None:
    genome = Genome.open(fasta)
    made = new_tokenizer(tokenizer, genome, k={"kmer": 3, "patch": 2}.get(tokenizer))  # type: ignore[arg-type]
    encoder = AttentionEncoder(made, **{**SMALL, "dim": 32}, dropout=0.0)
    model = MaskedLanguageModel(encoder, max_steps=60, **{**SHORT, "learning_rate": 1e-2})
    model.fit(genome, log_folder=tmp_path, device=CPU)
    losses = [loss for _, loss in curve(tmp_path)]
    assert len(losses) == 60
    assert np.mean(losses[-5:]) < 0.93 * np.mean(losses[:3])


class Failing(Genome):
    """A genome on a disk that breaks after some reads."""

    reads = 10_000

    def fetch(self, regions: Regions, *options: object, **named: object) -> np.ndarray:
        if regions.end[0] - regions.start[0] == 64 and len(regions) == 8:  # not while it is tiled
            self.reads -= 1
            if self.reads < 0:
                raise OSError("the disk is gone")
        return super().fetch(regions, *options, **named)  # type: ignore[arg-type]


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(fasta: Path, tmp_path: Path) -> None:
    def run(name: str, *, reads: int = 10_000, resume: bool = False) -> AttentionEncoder:
        genome = Failing.open(fasta)
        assert isinstance(genome, Failing)
        genome.reads = reads
        encoder = AttentionEncoder(KmerTokenizer(3), **SMALL)  # with dropout
        model = MaskedLanguageModel(encoder, max_steps=17, decay="cosine", **SHORT)
        model.fit(genome, log_folder=tmp_path / name, resume=resume, device=CPU)
        return encoder

    whole = run("whole")
    with pytest.raises(OSError, match="disk is gone"):
        run("broken", reads=13)
    assert 10 < len(curve(tmp_path / "broken")) < 15  # beyond the checkpoint after step 10
    resumed = run("broken", resume=True)
    assert [step for step, _ in curve(tmp_path / "broken")] == list(range(1, 18))
    assert curve(tmp_path / "broken") == curve(tmp_path / "whole")
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    files = sorted(file.name for file in (tmp_path / "broken" / "checkpoints").rglob("*.*"))
    assert len(files) == 3 and files[0].endswith(".tensors.safetensors")
    assert files[1:] == ["last.ckpt", "state.json"]
    with pytest.raises(ModelError, match="of another model, other settings or other data"):
        other = AttentionEncoder(KmerTokenizer(4), **SMALL)
        MaskedLanguageModel(other, max_steps=17, decay="cosine", **SHORT).fit(
            Genome.open(fasta), log_folder=tmp_path / "broken", resume=True, device=CPU
        )


SCRIPT = """
import sys
from genoglot.models.dna.attention import AttentionEncoder
from genoglot.sequence import Genome, KmerTokenizer
from genoglot.training.device import DeviceOptions
from genoglot.models.dna.masked_lm import MaskedLanguageModel
fasta, folder = sys.argv[1:]
encoder = AttentionEncoder(KmerTokenizer(3), dim=16, heads=2, layers=1, dropout=0.0)
model = MaskedLanguageModel(encoder, max_steps=12, window=64, batch_size=8, warm_up=2,
                            learning_rate=5e-3, checkpoint_every=5)
model.fit(Genome.open(fasta), log_folder=folder, device=DeviceOptions("cpu", 2, strategy="ddp"))
"""


@pytest.mark.slow
def test_two_processes_see_the_curve_of_one(fasta: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, fasta, tmp_path / "two"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    encoder = AttentionEncoder(KmerTokenizer(3), **SMALL, dropout=0.0)
    model = MaskedLanguageModel(encoder, max_steps=12, **SHORT)
    model.fit(Genome.open(fasta), log_folder=tmp_path / "one", device=CPU)
    one, two = curve(tmp_path / "one"), curve(tmp_path / "two")
    assert len(one) == len(two) == 12
    np.testing.assert_allclose(one, two, rtol=1e-5)


def test_what_was_trained_is_loaded(fasta: Path, tmp_path: Path) -> None:
    genome = Genome.open(fasta)
    encoder = AttentionEncoder(PatchTokenizer(4), **SMALL)
    start = encoder.embed(codes := np.tile(np.arange(4, dtype=np.uint8), (2, 10)))
    MaskedLanguageModel(encoder, max_steps=3, **SHORT).fit(genome, device=CPU)
    encoder.save_pretrained(tmp_path / "model")
    loaded = SequenceEncoder.from_pretrained(tmp_path / "model")
    assert np.array_equal(loaded.embed(codes), encoder.embed(codes))
    assert not np.array_equal(start, encoder.embed(codes))


def test_windows_cover_the_genome_and_turn_around(fasta: Path) -> None:
    genome = Genome.open(fasta)
    windows = GenomeWindows(genome, 64)
    sizes = genome.chrom_sizes
    assert len(windows) == sizes["chr1"] // 64 + sizes["chr2"] // 64 + 1
    rows = np.array([len(windows) - 1, 0, sizes["chr1"] // 64])
    codes, lengths = windows.fetch(rows, np.array([True, False, False]))
    assert lengths is not None and lengths.tolist() == [40, 64, 64]
    text = genome.sequence("short", 0, 40)
    turned = text.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    assert to_text(codes[0]) == turned + "N" * 24
    assert to_text(codes[1]) == genome.sequence("chr1", 0, 64)
    assert to_text(codes[2]) == genome.sequence("chr2", 0, 64)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"mask_rat": 0.3}, "pre-training has no setting 'mask_rat'"),
        ({"mask_rate": 2}, "mask_rate: Input should be less than 1"),
        ({"span": 2}, "masks no 3-mer"),
        ({"window": 100_000}, "cut it into windows"),
    ],
)
def test_wrong_settings_are_named(how: dict[str, object], says: str, fasta: Path) -> None:
    encoder = AttentionEncoder(KmerTokenizer(3), **SMALL)
    with pytest.raises(ModelError, match=says):
        MaskedLanguageModel(encoder, **how).fit(Genome.open(fasta), device=CPU)


def test_what_holds_nothing_to_predict_is_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    letters = to_text(np.random.default_rng(0).integers(0, 4, 640).astype(np.uint8))
    nothing = f">n\n{'N' * 40}\n>long\n{'N' * 130}\n>tiny\nACGT\n>gaps\n{'ACN' * 20}\n"
    (tmp_path / "n.fa").write_text(nothing)
    (tmp_path / "some.fa").write_text(f">a\n{letters}\n{nothing}>b\n{letters[:30]}{'N' * 30}\n")
    (tmp_path / "clean.fa").write_text(f">a\n{letters}\n>b\n{letters[:30]}{'N' * 30}\n")
    counts = "3 windows that are mostly N, 1 records below 16 bp, 1 windows without a whole token"
    genome = Genome.open(tmp_path / "n.fa")
    with pytest.raises(ModelError, match=f"nothing to learn from \\({counts}\\)"):
        encoder = AttentionEncoder(KmerTokenizer(3), **SMALL)
        MaskedLanguageModel(encoder, **SHORT).fit(genome, device=CPU)
    told = []
    for name in ("some", "clean"):
        caplog.clear()
        encoder = AttentionEncoder(KmerTokenizer(3), **SMALL)
        with caplog.at_level("INFO", "genoglot"):
            genome = Genome.open(tmp_path / f"{name}.fa")
            model = MaskedLanguageModel(encoder, max_steps=4, **SHORT)
            model.fit(genome, device=CPU, log_folder=tmp_path / name)
        told.append(caplog.text)
    assert f"11 windows of 64 bp to learn from; left out: {counts}" in told[0]
    assert "left out" not in told[1]
    assert curve(tmp_path / "some") == curve(tmp_path / "clean")  # they have taught nothing


def test_windows_lie_side_by_side_where_half_or_more_is_known(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    records = {}
    for number, length in enumerate((15, 16, 40, 64, 65, 500)):
        letters = rng.choice(list("ACGT"), length)
        letters[rng.random(length // 8 + 1).repeat(8)[:length] < 0.5] = "N"
        records[f"r{number}"] = "".join(letters)
    (tmp_path / "a.fa").write_text("".join(f">{n}\n{dna}\n" for n, dna in records.items()))
    windows = GenomeWindows(Genome.open(tmp_path / "a.fa"), 64)
    whole = [dna[i : i + 64] for dna in records.values() for i in range(0, len(dna) - 63, 64)]
    short = [dna for dna in records.values() if 16 <= len(dna) < 64]
    expected = [dna for dna in whole + short if 2 * dna.count("N") <= len(dna)]
    rows = np.arange(len(windows))
    codes, _ = windows.fetch(rows, np.zeros(len(rows), np.bool_))
    assert [to_text(row) for row in codes] == [dna.ljust(64, "N") for dna in expected]
    assert 0 < len(expected) < len(whole + short)
