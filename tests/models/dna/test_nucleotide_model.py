"""A class of each nucleotide: learning, tokens and bases, frozen encoders, resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genoglot.errors import ModelError
from genoglot.models.dna.attention import AttentionEncoder
from genoglot.models.dna.cnn import CnnLstm
from genoglot.models.dna.dilated_cnn import DilatedCnn
from genoglot.models.dna.nucleotide_model import NucleotideModel
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.sequence import KmerTokenizer, PatchTokenizer

CONTEXT = 12
CODES = np.random.default_rng(0).integers(0, 4, (24, 60 + CONTEXT), np.uint8)


def motif_labels(codes: np.ndarray) -> np.ndarray:
    """Class 1 of the A before GT, class 2 of the base after AG; the last five have no label."""
    labels = np.zeros(codes.shape, np.int8)
    labels[:, :-2][(codes[:, 1:-1] == 2) & (codes[:, 2:] == 3) & (codes[:, :-2] == 0)] = 1
    labels[:, 2:][(codes[:, :-2] == 0) & (codes[:, 1:-1] == 2)] = 2
    labels = labels[:, CONTEXT // 2 : -CONTEXT // 2]
    labels[:, -5:] = -1
    return labels


LABELS = motif_labels(CODES)


def small(**settings: Any) -> NucleotideModel:
    defaults = {"batch_size": 8, "max_steps": 3, "learning_rate": 1e-2}
    return NucleotideModel(DilatedCnn(context=80, width=8), **{**defaults, **settings})


def transformer(k: int) -> AttentionEncoder:
    return AttentionEncoder(KmerTokenizer(k), dim=32, heads=2, layers=1, dropout=0.0)


@pytest.mark.parametrize("encoder", [DilatedCnn(context=80, width=8), transformer(3)])
def test_it_learns_which_bases_a_motif_marks(encoder: SequenceEncoder) -> None:
    model = NucleotideModel(encoder, batch_size=24, max_steps=100, learning_rate=2e-2)
    predicted = model.fit(CODES, LABELS, device="cpu").predict(CODES)
    assert predicted.shape == (24, 60, 3) and predicted.dtype == np.float32
    np.testing.assert_allclose(predicted.sum(axis=2), 1, atol=1e-5)
    known = LABELS >= 0
    assert (predicted.argmax(2) == LABELS)[known].mean() > 0.99
    other = np.random.default_rng(1).integers(0, 4, (8, 60 + CONTEXT), np.uint8)
    truth = motif_labels(other)
    assert (model.predict(other).argmax(2) == truth)[truth >= 0].mean() > 0.9


@pytest.mark.parametrize("k", [3, 4, 6])
def test_a_base_has_the_k_mer_in_whose_middle_it_is(k: int) -> None:
    token = transformer(k).token_of_base(20)
    for base, index in enumerate(token.tolist()):
        middle = index + (k - 1) // 2
        assert middle == base or index in (0, 20 - k)
    assert (token[0], token[-1], len(token)) == (0, 20 - k, 20)
    with pytest.raises(ModelError, match=f"give at least {k} bp"):
        transformer(k).token_of_base(k - 1)


def test_missing_labels_do_not_count() -> None:
    few = LABELS.copy()
    few[:, 30:] = -1
    answers = []
    for labels in (few, np.where(few < 0, -7, few)):
        answers.append(small().fit(CODES, labels, device="cpu").predict(CODES))
    np.testing.assert_array_equal(*answers)
    assert not np.allclose(answers[0], small().fit(CODES, LABELS, device="cpu").predict(CODES))


def test_a_frozen_encoder_does_not_change_and_its_head_does() -> None:
    model = small(frozen=True)
    before = {name: tensor.clone() for name, tensor in model.encoder.state_dict().items()}
    model.fit(CODES, LABELS, device="cpu")
    after = model.encoder.state_dict()  # statistics of the batch normalization too
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.requires_grad for parameter in model.encoder.parameters())
    one = model.predict(CODES)
    assert not np.allclose(one, model.fit(CODES, LABELS, device="cpu").predict(CODES))
    tuned = small().fit(CODES, LABELS, device="cpu").encoder.state_dict()
    assert not torch.equal(tuned["first.weight"], before["first.weight"])


def test_an_unlearned_head_says_how_frequent_each_class_is() -> None:
    # From a bias of 0, a class of one base in 300 would need thousands of steps.
    labels = np.zeros((24, 60), np.int8)
    labels[:4, 30], labels[:, :5] = 2, -1
    begun = small(max_steps=1, learning_rate=1e-9, frozen=True)
    predicted = begun.fit(CODES, labels, device="cpu").predict(CODES).mean((0, 1))
    assert 0.98 < predicted[0] < 1 and predicted[1] < 0.003
    assert 4 / 1320 / 3 < predicted[2] < 3 * 4 / 1320


def test_what_is_refused_leaves_the_model_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    named = NucleotideModel(DilatedCnn(context=80, width=8), names=["no", "donor"], max_steps=1)
    for labels, problem in (
        (LABELS, "class number 2 is not one of the 2 classes"),
        (LABELS[:, :0], "all labels are missing"),
        (np.zeros_like(LABELS), "all 1,440 training nucleotides are of the class 'no'"),
    ):
        with pytest.raises(ModelError, match=problem):
            named.fit(CODES, labels, device="cpu")
        with pytest.raises(ModelError, match="not fitted"):
            named.predict(CODES)
    three = NucleotideModel(
        DilatedCnn(context=80, width=8), names=["no", "donor", "acceptor"], max_steps=1
    )
    three.fit(CODES, np.minimum(LABELS, 1), device="cpu")
    assert "1 classes have no example in the training data: 'acceptor'" in caplog.text


def test_an_interrupted_training_leaves_the_encoder_trainable() -> None:
    model = small(frozen=True)

    def stop(labels: np.ndarray, predictions: np.ndarray) -> float:
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        model.fit(CODES, LABELS, validation=(CODES, LABELS), choose_by=stop, device="cpu")
    assert all(parameter.requires_grad for parameter in model.encoder.parameters())


def test_the_seed_decides_and_saving_preserves(tmp_path: Path) -> None:
    one, same, other = (
        small(seed=seed, max_steps=6).fit(CODES, LABELS, device="cpu") for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.predict(CODES), same.predict(CODES))
    assert not np.allclose(one.predict(CODES), other.predict(CODES))
    one.save_pretrained(tmp_path / "model")
    loaded = NucleotideModel.from_pretrained(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(CODES), one.predict(CODES))
    assert loaded.context == CONTEXT
    encoder = SequenceEncoder.from_pretrained(tmp_path / "model")
    np.testing.assert_array_equal(encoder.embed(CODES), one.encoder.embed(CODES))


def test_an_interrupted_training_gives_the_same_model(tmp_path: Path) -> None:
    whole = small(max_steps=9).fit(CODES, LABELS, log_folder=tmp_path / "a", device="cpu")

    def stop(labels: Any, predictions: Any) -> float:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        small(max_steps=9).fit(
            CODES, LABELS, validation=(CODES, LABELS), choose_by=stop,
            log_folder=tmp_path / "b", device="cpu",
        )  # fmt: skip
    again = small(max_steps=9).fit(
        CODES, LABELS, log_folder=tmp_path / "b", resume=True, device="cpu"
    )
    np.testing.assert_array_equal(again.predict(CODES), whole.predict(CODES))


def test_the_best_epoch_is_used() -> None:
    seen: list[float] = []

    def value(labels: np.ndarray, predictions: np.ndarray) -> float:
        assert labels.shape == (24, 60) and predictions.shape == (24, 60, 3)
        seen.append(float(-len(seen)))  # the first epoch is the best one
        return seen[-1]

    model = small(max_steps=9)
    model.fit(CODES, LABELS, validation=(CODES, LABELS), choose_by=value, device="cpu")
    assert len(seen) == 3
    last = small(max_steps=9).fit(CODES, LABELS, device="cpu")
    assert not np.allclose(model.predict(CODES), last.predict(CODES))


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (LABELS[:5], "labels are int8 \\(5, 60\\) for 24 sequences"),
        (LABELS.astype(np.float32), "give class numbers, integers"),
        (LABELS[:, 1:], "as much context on one side"),
        (np.full_like(LABELS, -1), "all labels are missing"),
        (np.zeros_like(LABELS), "all 1,440 training nucleotides are of the class '0'"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: np.ndarray, problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        small().fit(CODES, labels, device="cpu")


def test_encoders_without_a_token_for_each_base_are_refused() -> None:
    patches = AttentionEncoder(PatchTokenizer(3), dim=8, heads=2, layers=1)
    with pytest.raises(ModelError, match="PatchTokenizer has no token for each base"):
        NucleotideModel(patches).fit(CODES, LABELS, device="cpu")
    with pytest.raises(ModelError, match="cnn-lstm gives 18 vectors of 72 bases; use"):
        NucleotideModel(CnnLstm(channels=(4,), dim=4)).fit(CODES, LABELS, device="cpu")
    with pytest.raises(ModelError, match="is not fitted"):
        small().predict(CODES)
    fitted = small().fit(CODES, LABELS, device="cpu")
    with pytest.raises(ModelError, match="20 bp of context, but the model was trained on 12 bp"):
        fitted.fit(CODES, LABELS[:, 4:-4], device="cpu")
