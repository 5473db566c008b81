"""Trainings that are killed or asked to stop: what was learned is on disk, and not done again."""

from __future__ import annotations

import logging
import multiprocessing
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.training.checkpoints import SafeCheckpointIO

SCRIPT = '''
"""script.py KIND DATA FOLDER [STEP SIGNAL]: train; in that step, a signal comes."""
import os
import signal
import sys

import numpy as np

from genoglot.atlas import Atlas
from genoglot.models import create
from genoglot.models.dna.attention import AttentionEncoder
from genoglot.models.dna.cnn import CnnLstm
from genoglot.sequence import Genome, KmerTokenizer
from genoglot.models.dna.masked_lm import MaskedLanguageModel
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.training.device import DeviceOptions

CPU = "cpu"


def main(kind, data, folder, stop=0, name=""):
    """Return how many steps were made."""
    made = 0

    def count(module, inputs):
        nonlocal made
        if module.training:
            made += 1
            if made == int(stop):
                os.kill(os.getpid(), getattr(signal, name))

    def pretrained():
        encoder = AttentionEncoder(KmerTokenizer(3), dim=16, heads=2, layers=1)  # with dropout
        encoder.register_forward_pre_hook(count)
        MaskedLanguageModel(
            encoder, max_steps=150, window=64, batch_size=8, checkpoint_every=20, decay="cosine"
        ).fit(Genome.open(data), log_folder=folder, resume=True, device=CPU)
        return encoder

    def fitted():
        codes = np.random.default_rng(0).integers(0, 4, (40, 50)).astype(np.uint8)
        labels = np.arange(40) % 2
        encoder = CnnLstm(channels=(8,), dim=8)
        encoder.register_forward_pre_hook(count)
        return SequenceModel(encoder, epochs=30, batch_size=8, dropout=0.1).fit(
            codes, labels, validation=(codes[:20], labels[:20]), choose_by="loss",
            log_folder=folder, resume=True, device=CPU,
        )

    def trained():
        model = create("direct", rank=16, epochs=30, min_steps=1, batch_size=8, regions_per_step=64)
        learned = model.loss

        def loss(batch):
            if "rows" in batch:
                count(model.network, batch)
            return learned(batch)

        model.loss = loss
        return model.fit(
            Atlas.open(data), range(40), validation=range(40, 60), log_folder=folder,
            resume=True, patience=100, progress=False, device="cpu",
        )

    {"pretrain": pretrained, "fit": fitted, "train": trained}[kind]().save_pretrained(
        f"{folder}.model"
    )
    return made


if __name__ == "__main__":
    main(*sys.argv[1:])
'''

KINDS = ("pretrain", "fit", "train")
STEPS = 150
ROUND = {"pretrain": 20, "fit": 5, "train": 5}
CURVES = {"pretrain": ["loss.csv"], "fit": ["loss.csv", "validation.csv"]}


class Training:
    """A training, in this process or in one of its own."""

    def __init__(self, kind: str, script: Path, data: Path) -> None:
        self.kind, self.script, self.data = kind, script, data
        self.main: Callable[..., int] = runpy.run_path(str(script))["main"]

    def run(self, folder: Path) -> int:
        return self.main(self.kind, self.data, folder)

    def start(self, folder: Path, *stop: str) -> subprocess.Popen[str]:
        command = [sys.executable, self.script, self.kind, self.data, folder, *stop]
        return subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True)


def trainings(*fast: str) -> pytest.MarkDecorator:
    """Each kind of training; they share one loop, and those that are not `fast` are `slow`."""
    kinds = [pytest.param(kind, marks=[pytest.mark.slow] * (kind not in fast)) for kind in KINDS]
    return pytest.mark.parametrize("training", kinds, indirect=True, scope="module")


@pytest.fixture(scope="module")
def training(
    request: pytest.FixtureRequest, toy_atlas: Atlas, tmp_path_factory: pytest.TempPathFactory
) -> Training:
    folder = tmp_path_factory.mktemp("script")
    script, fasta = folder / "script.py", folder / "genome.fa"
    script.write_text(SCRIPT)
    letters = np.random.default_rng(0).choice(list("ACGT"), 5000)
    fasta.write_text(f">chr1\n{''.join(letters)}\n")
    return Training(request.param, script, toy_atlas.path if request.param == "train" else fasta)


@pytest.fixture(scope="module")
def whole(training: Training, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a training that was never interrupted."""
    folder = tmp_path_factory.mktemp("whole") / training.kind
    assert training.run(folder) == STEPS
    return folder


def step_on_disk(folder: Path) -> int:
    return int(SafeCheckpointIO().load_checkpoint(folder / "checkpoints/last.ckpt")["global_step"])


def check_resumed(
    training: Training, broken: Path, whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Go on from the checkpoint that is there, to the same files, without doing steps again."""
    done = step_on_disk(broken)
    with caplog.at_level(logging.INFO, "genoglot"):
        assert training.run(broken) == STEPS - done
    assert f"{broken}: resuming at step {done} of {STEPS}" in caplog.text
    for name in CURVES.get(training.kind, ["loss.csv", "validation.csv"]):
        assert (broken / name).read_text() == (whole / name).read_text()
    for name in ("config.json", "model.safetensors"):
        one, other = (Path(f"{folder}.model", name) for folder in (broken, whole))
        assert one.read_bytes() == other.read_bytes()


@trainings("pretrain")
def test_a_killed_training_goes_on_from_its_last_round(
    training: Training, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = training.start(tmp_path / "broken")
    while not (tmp_path / "broken/checkpoints/last.ckpt").exists():
        assert process.poll() is None, process.communicate()[1]
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    process.kill()
    process.communicate()
    done = step_on_disk(tmp_path / "broken")
    assert done % ROUND[training.kind] == 0 and 0 < done < STEPS
    check_resumed(training, tmp_path / "broken", whole, caplog)


@trainings("train")
def test_a_training_that_is_asked_to_stop_loses_no_step(
    training: Training, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = dict(zip(KINDS, ("SIGTERM", "SIGHUP", "SIGINT"), strict=True))[training.kind]
    process = training.start(tmp_path / "broken", "48", name)
    _, errors = process.communicate()
    # The process ends as the signal ends any other; Lightning turns Ctrl-C into exit(1).
    assert process.returncode == (1 if name == "SIGINT" else -getattr(signal, name)), errors
    assert not (tmp_path / "broken.model").exists()
    assert step_on_disk(tmp_path / "broken") == 48  # in the midst of a round
    check_resumed(training, tmp_path / "broken", whole, caplog)


@trainings(*KINDS)
def test_a_finished_training_is_not_done_again(
    training: Training, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = Path(f"{whole}.model")
    saved = (model / "model.safetensors").read_bytes()
    curves = {file: file.read_bytes() for file in whole.rglob("*.csv")}
    model.rename(tmp_path / "moved")
    with caplog.at_level(logging.INFO, "genoglot"):
        assert training.run(whole) == 0
    assert f"resuming at step {STEPS} of {STEPS}; not trained again" in caplog.text
    assert (model / "model.safetensors").read_bytes() == saved
    assert {file: file.read_bytes() for file in whole.rglob("*.csv")} == curves


@pytest.mark.slow
@pytest.mark.parametrize("training", ["pretrain"], indirect=True, scope="module")
def test_long_rounds_are_cut_by_a_minute(training: Training, tmp_path: Path) -> None:
    script = tmp_path / "long.py"
    text = SCRIPT.replace("checkpoint_every=20", "checkpoint_every=10**6")
    script.write_text(text.replace("max_steps=150", "max_steps=10**6"))
    process = Training(training.kind, script, training.data).start(tmp_path / "broken")
    while not (tmp_path / "broken/checkpoints/last.ckpt").exists():
        assert process.poll() is None, process.communicate()[1]
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    process.kill()
    process.communicate()
    assert 0 < step_on_disk(tmp_path / "broken") < 10**6


def write_forever(path: str) -> None:
    step = 0
    while True:
        step += 1
        SafeCheckpointIO().save_checkpoint({"step": step, "x": torch.full((5000,), step)}, path)


def test_a_kill_while_a_checkpoint_is_written_leaves_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    for _ in range(20):
        process = multiprocessing.get_context("fork").Process(
            target=write_forever, args=(str(path),)
        )
        process.start()
        names: set[str] = set()
        while len(names) < 5:  # some have been written
            names |= {file.name for file in path.glob("*.safetensors")}
        process.kill()
        process.join()
        found = SafeCheckpointIO().load_checkpoint(path)
        assert (found["x"] == found["step"]).all()
    SafeCheckpointIO().save_checkpoint({"step": 0}, path)
    assert len(list(path.iterdir())) == 2  # what the killed ones have left is removed


def test_half_a_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    SafeCheckpointIO().save_checkpoint({"step": 1, "x": torch.arange(100)}, path)
    (tensors,) = path.glob("*.safetensors")
    for file in (tensors, path / "state.json"):
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ModelError, match=r"last\.ckpt: not a complete checkpoint"):
            SafeCheckpointIO().load_checkpoint(path)
        file.write_bytes(whole)
    assert SafeCheckpointIO().load_checkpoint(path)["step"] == 1
