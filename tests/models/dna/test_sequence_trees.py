"""Boosted trees: they find k-mers, motifs and places, and answer the same after saving."""

from pathlib import Path

import numpy as np
import pytest

from genoglot.errors import ModelError
from genoglot.models import load
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.models.dna.sequence_trees import SequenceTrees
from genoglot.sequence import reverse_complement, to_codes
from genoglot.sequence.motifs import jaspar

FEW = {"trees": 60}
LENGTH = 40


def background(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, (n, LENGTH)).astype(np.uint8)


def with_kmer(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Every second sequence holds a 5-mer twice, every fourth on the other strand."""
    codes, rng = background(n, seed), np.random.default_rng(seed)
    for i in range(0, n, 2):
        for at in rng.choice(7, 2, replace=False) * 5:
            kmer = to_codes("GATCC")
            codes[i, at : at + 5] = reverse_complement(kmer) if i % 4 else kmer
    return codes, np.arange(n) % 2 == 0


def with_motif(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Every second sequence holds a site of CTCF, drawn from its motif."""
    (motif,) = (found for found in jaspar() if found.name == "CTCF")
    share = motif.counts / motif.counts.sum(1, keepdims=True)
    codes, rng = background(n, seed), np.random.default_rng(seed)
    for i in range(0, n, 2):
        at = rng.integers(0, LENGTH - len(share))
        codes[i, at : at + len(share)] = [rng.choice(4, p=column) for column in share]
    return codes, np.arange(n) % 2 == 0


def with_place(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The same 8-mer is in every sequence, in every second one at another place."""
    codes = background(n, seed)
    for i in range(n):
        codes[i, 10 + 15 * (i % 2) :][:8] = to_codes("ACCATGGT")
    return codes, np.arange(n) % 2 == 0


@pytest.mark.parametrize("make", [with_kmer, with_motif, with_place])
def test_what_is_planted_is_found(make) -> None:
    model = SequenceTrees(**FEW).fit(*make(600, 0), make(200, 1))
    codes, truth = make(200, 2)
    told = model.predict(codes)
    assert told.shape == (200, 1) and told.dtype == np.float32
    assert ((told[:, 0] > 0.5) == truth).mean() > 0.9


def test_same_seed_same_trees_and_the_codes_are_left_as_they_were() -> None:
    codes, labels = with_kmer(200, 0)
    before = codes.copy()
    one, other, third = (
        SequenceTrees(**FEW, seed=seed).fit(codes, labels, (codes, labels)).predict(codes)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, other)
    assert (one != third).any()
    np.testing.assert_array_equal(codes, before)


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("binary", ["bound"]),
        ("multi-label", ["a", "b", "c"]),
        ("regression", None),
        ("multi-class", ["x", "y", "z", "never"]),
    ],
)
def test_every_target_and_missing_labels_and_saving(target, names, tmp_path: Path) -> None:
    codes, rng = background(120, 0), np.random.default_rng(0)
    labels = {
        "binary": rng.integers(0, 2, 120).astype(np.float32),
        "multi-label": rng.integers(0, 2, (120, 3)).astype(np.float32),
        "regression": rng.normal(size=(120, 2)).astype(np.float32),
        "multi-class": rng.integers(0, 3, 120),
    }[target]
    labels[:10] = -1 if target == "multi-class" else np.nan
    model = SequenceTrees(names=names, target=target, trees=5)
    with pytest.raises(ModelError, match="not fitted"):
        model.predict(codes)
    told = model.fit(codes, labels, (codes, labels)).predict(codes)
    outputs = {"binary": 1, "multi-label": 3, "regression": 2, "multi-class": 4}[target]
    assert told.shape == (120, outputs) and np.isfinite(told).all()
    if target == "multi-class":
        np.testing.assert_allclose(told.sum(1), 1, atol=1e-5)
    assert model.predict(codes[:0]).shape == (0, outputs)
    model.save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model", "dna-predictor")
    assert isinstance(loaded, SequenceTrees) and loaded.names == names
    np.testing.assert_array_equal(loaded.predict(codes, batch_size=7), told)


def test_trees_that_were_grown_before_an_interruption_are_not_grown_again(tmp_path: Path) -> None:
    codes, labels = background(120, 0), np.arange(240, dtype=np.float32).reshape(120, 2) % 3 % 2
    model = SequenceTrees(target="multi-label", trees=5)
    whole = model.fit(codes, labels, (codes, labels), folder=tmp_path).predict(codes)
    names = ["trees-0.ubj", "trees-1.ubj"]
    assert sorted(file.name for file in tmp_path.iterdir()) == names
    before = [(tmp_path / name).read_bytes() for name in names]
    (tmp_path / names[1]).unlink()
    others = np.stack([1 - labels[:, 0], labels[:, 1]], axis=1)  # the first are not looked at
    again = SequenceTrees(target="multi-label", trees=5)
    again.fit(codes, others, (codes, others), folder=tmp_path)
    np.testing.assert_array_equal(again.predict(codes), whole)
    assert [(tmp_path / name).read_bytes() for name in names] == before
    model.save_pretrained(tmp_path / "one")
    again.save_pretrained(tmp_path / "other")
    one, other = (tmp_path / name / "model.safetensors" for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


def test_labels_that_are_all_the_same_are_refused() -> None:
    codes, labels = with_kmer(20, 0)
    with pytest.raises(ModelError, match="all 20 training examples have the same label, 1;"):
        SequenceTrees(**FEW).fit(codes, np.ones(20), (codes, labels))
    with pytest.raises(ModelError, match="all 20 training examples are of the class 'b'; a model"):
        SequenceTrees(target="multi-class", names=["a", "b"]).fit(
            codes, np.ones(20, np.int64), (codes, labels.astype(np.int64))
        )


def test_what_is_past_a_sequences_end_does_not_count() -> None:
    codes, labels = with_kmer(200, 0)
    model = SequenceTrees(**FEW).fit(codes, labels, (codes, labels))
    lengths = np.full(200, 25)
    cut = np.where(np.arange(LENGTH) < 25, codes, 4).astype(np.uint8)
    shorter = model.predict(cut[:, :25], any_length=True)
    np.testing.assert_array_equal(model.predict(codes, lengths, any_length=True), shorter)
    longer = np.pad(codes, ((0, 0), (0, 9)), constant_values=4)
    np.testing.assert_array_equal(model.predict(longer, any_length=True), model.predict(codes))


def test_bad_trees_are_refused_in_one_line(tmp_path: Path) -> None:
    codes, labels = with_kmer(20, 0)
    with pytest.raises(ModelError, match="trees has no setting 'tree'"):
        SequenceTrees(tree=3)
    with pytest.raises(ModelError, match="20 sequences, but labels of 19"):
        SequenceTrees().fit(codes, labels[:19], (codes, labels))
    nothing = np.full(20, np.nan)
    for some, check in ((nothing, labels), (labels, nothing)):
        with pytest.raises(ModelError, match="an output has no training label"):
            SequenceTrees().fit(codes, some, (codes, check))
    model = SequenceTrees(trees=2).fit(codes, labels, (codes, labels))
    model.save_pretrained(tmp_path / "model")
    with pytest.raises(ModelError, match="sequence-trees"):
        SequenceModel.from_pretrained(tmp_path / "model")
    with pytest.raises(ModelError, match="use genoglot predict"):
        load(tmp_path / "model", "text-to-regions")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-200])
    with pytest.raises(ModelError, match="damaged"):
        load(tmp_path / "model", "dna-predictor")
