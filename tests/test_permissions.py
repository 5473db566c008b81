"""An error names the file that cannot be read, and does not advise to make it again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from genoglot.atlas import Atlas, make_split
from genoglot.errors import GenoglotError
from genoglot.models import Annotator, create, load
from genoglot.models.dna.attention import AttentionEncoder
from genoglot.models.dna.cnn import CnnLstm
from genoglot.models.dna.ensemble import SequenceEnsemble
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.models.dna.sequence_trees import SequenceTrees
from genoglot.regions import Region2Vec, Universe
from genoglot.sequence import BpeTokenizer, DnaTokenizer, Genome, KmerTokenizer
from genoglot.tasks import TASKS, TaskData
from genoglot.text import Tfidf
from genoglot.training.checkpoints import SafeCheckpointIO

NOBODY = 65534
CODES = np.random.default_rng(0).integers(0, 4, (40, 30)).astype(np.uint8)
LABELS = np.arange(40) % 2


@contextmanager
def without_rights() -> Iterator[None]:
    """Give up root's right to read everything, for a while."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder to which others have access, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def save_fasta(path: Path, _: Atlas) -> None:
    path.write_text(">a\nACGT\n")


def save_task(path: Path, _: Atlas) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("train", "dev", "test"):
            lines = ["sequence,label", "ACGTACGTAC,0", "TTTTGGGGAA,1", "TTGAGAGGAA,1"]
            Path(folder, f"{name}.csv").write_text("\n".join(lines) + "\n")
        TASKS["GUE"].build([Path(folder)], path, leakage=False)


def save_split(path: Path, toy: Atlas) -> None:
    save_atlas(path, toy)
    atlas = Atlas.open(path)
    atlas.add_split(make_split(atlas.metadata, "random-group"))


def save_atlas(path: Path, toy: Atlas) -> None:
    about = toy.metadata.select("id", "file", "description", "target", "biosample", "group")
    Atlas.from_sets(path, toy.universe, about, toy.tokens_of(range(60)))


def save_ensemble(path: Path, _: Atlas) -> None:
    network = SequenceModel(CnnLstm(channels=(4,), dim=4), epochs=1)
    trees = SequenceTrees(trees=2).fit(CODES, LABELS, (CODES, LABELS))
    network.fit(CODES, LABELS, device="cpu")
    SequenceEnsemble([network, trees]).save_pretrained(path)


def annotate(path: Path) -> None:
    Annotator.from_pretrained(path).rank([np.array([1])], ["CTCF in liver"])


SAVED: dict[str, tuple[Callable[[Path, Atlas], object], Callable[[Path], object]]] = {
    "generator": (lambda p, toy: create("ridge").fit(toy).save_pretrained(p), load),
    "annotator": (lambda p, toy: Annotator().fit(toy).save_pretrained(p), annotate),
    "encoder": (
        lambda p, _: AttentionEncoder(KmerTokenizer(3), dim=8, heads=2).save_pretrained(p),
        load,
    ),
    "ensemble": (save_ensemble, load),
    "tokenizer": (
        lambda p, _: BpeTokenizer.train(CODES, vocab_size=20).save_pretrained(p),
        DnaTokenizer.from_pretrained,
    ),
    "text encoder": (lambda p, _: Tfidf().fit(["a b", "b c"]).save_pretrained(p), load),
    "universe": (lambda p, toy: toy.universe.save(p), Universe.load),
    "vectors": (
        lambda p, _: Region2Vec(np.ones((5, 3), np.float32), "digest").save_pretrained(p),
        load,
    ),
    "atlas": (save_atlas, lambda p: Atlas.open(p).universe),
    "split": (save_split, lambda p: Atlas.open(p).split("random-group")),
    "task": (save_task, lambda p: TaskData.open(p).verify()),
    "checkpoint": (
        lambda p, _: SafeCheckpointIO().save_checkpoint({"x": torch.arange(3)}, p),
        SafeCheckpointIO().load_checkpoint,
    ),
    "genome": (save_fasta, Genome.open),
}


@pytest.mark.parametrize("what", SAVED)
def test_a_file_that_may_not_be_read_is_named(what: str, toy_atlas: Atlas, public: Path) -> None:
    save, read = SAVED[what]
    path = public / "saved"
    save(path, toy_atlas)
    everything = [path, *path.rglob("*")]
    for part in everything:
        part.chmod(0o755 if part.is_dir() else 0o644)
    read(path)  # all that this imports can be read now
    with without_rights():
        read(path)
    said = 0
    for part in everything:
        mode = part.stat().st_mode
        part.chmod(0)
        with without_rights():
            try:
                read(path)  # it may do without this file
            except GenoglotError as error:
                assert str(error) == f"{part}: cannot be read (permission denied)"
                said += 1
        part.chmod(mode)
    assert said >= sum(part.is_file() for part in everything)
    public.chmod(0)
    with without_rights(), pytest.raises(GenoglotError, match="cannot be read") as denied:
        read(path)
    assert str(denied.value).startswith(f"{public}: ")
    public.chmod(0o755)


def test_a_file_of_somebody_else_beside_changes_no_error(public: Path) -> None:
    (public / "private").write_text("x")
    (public / "private").chmod(0)
    with without_rights(), pytest.raises(GenoglotError, match="no saved model here"):
        load(public)
    with without_rights(), pytest.raises(GenoglotError, match="no atlas here"):
        Atlas.open(public)
