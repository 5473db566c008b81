"""Supervised models: they fit, mask missing labels, average strands, resume, are saved."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from genoglot.errors import ModelError
from genoglot.models.dna.attention import AttentionEncoder
from genoglot.models.dna.cnn import CnnFc, CnnLstm
from genoglot.models.dna.residual_cnn import ResidualCnn
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.models.dna.windowed import WindowedEncoder
from genoglot.sequence import (
    BpeTokenizer,
    DnaTokenizer,
    KmerTokenizer,
    OneHotTokenizer,
    PatchTokenizer,
    reverse_complement,
)
from genoglot.training.losses import bce, cross_entropy, focal, huber, mse

CPU = "cpu"


def dna(n: int = 12, length: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.uint8)


def attention(tokenizer: DnaTokenizer | None = None, **settings: object) -> AttentionEncoder:
    size = {"dim": 32, "heads": 2, "layers": 1, "dropout": 0.0, **settings}
    return AttentionEncoder(tokenizer or PatchTokenizer(2), **size)


ENCODERS: dict[str, Callable[[], SequenceEncoder]] = {
    "kmer": lambda: attention(KmerTokenizer(3)),
    "patch": lambda: attention(positions="relative"),
    "bpe": lambda: attention(BpeTokenizer.train(dna(), vocab_size=40), positions="absolute"),
    "onehot": lambda: attention(OneHotTokenizer(), pooling="mean"),
    "cnn-fc": lambda: CnnFc(length=40, channels=(16, 16), dim=16, dropout=0.0),
    "cnn-lstm": lambda: CnnLstm(channels=(16,), dim=16, dropout=0.0),
    "residual-cnn": lambda: ResidualCnn(width=16, learned=16, queries=0, blocks=1, dropout=0.0),
    "windowed": lambda: WindowedEncoder(
        attention(), window=10, context=5, dim=16, heads=2, layers=1, dropout=0.0, frozen=False
    ),
}


def model(encoder: SequenceEncoder | None = None, **settings: object) -> SequenceModel:
    how = {"max_steps": 60, "learning_rate": 1e-2, "dropout": 0.0, "batch_size": 12, **settings}
    return SequenceModel(encoder or attention(), **how)


@pytest.mark.parametrize("kind", ENCODERS)
def test_every_encoder_learns_a_few_sequences_by_heart(kind: str) -> None:
    codes, labels = dna(), np.arange(12, dtype=np.float32) % 2
    fitted = model(ENCODERS[kind]()).fit(codes, labels, device=CPU)
    predicted = fitted.predict(codes)
    assert predicted.shape == (12, 1) and predicted.dtype == np.float32
    assert np.array_equal(predicted[:, 0] > 0.5, labels > 0.5)
    assert np.abs(predicted[:, 0] - labels).max() < 0.3


@pytest.mark.parametrize(
    ("target", "objective"),
    [
        ("multi-label", "bce"),
        ("multi-label", "focal"),
        ("regression", "mse"),
        ("regression", "huber"),
        ("multi-class", "cross-entropy"),
    ],
)
def test_every_objective_learns(target: str, objective: str) -> None:
    codes, rng = dna(), np.random.default_rng(1)
    labels = {
        "multi-label": rng.integers(0, 2, (12, 3)).astype(np.float32),
        "regression": (100 + 30 * rng.standard_normal((12, 2))).astype(np.float32),
        "multi-class": np.arange(12) % 3,
    }[target]
    fitted = model(target=target, objective=objective, max_steps=90)
    predicted = fitted.fit(codes, labels, device=CPU).predict(codes)
    if target == "multi-class":
        assert predicted.shape == (12, 3)
        np.testing.assert_allclose(predicted.sum(1), 1, rtol=1e-5)
        assert np.array_equal(predicted.argmax(1), labels)
    elif target == "regression":
        assert np.corrcoef(predicted[:, 1], labels[:, 1])[0, 1] > 0.9
        assert np.abs(predicted - labels).mean() < 15
    else:
        assert np.array_equal(predicted > 0.5, labels > 0.5)


def test_objectives_are_those_of_torch_where_labels_are_there() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 3), torch.rand(6, 3).round()
    holes = labels.clone()
    holes[0, 1] = holes[4] = torch.nan
    there = ~holes.isnan()
    for ours, theirs in (
        (bce, F.binary_cross_entropy_with_logits),
        (mse, F.mse_loss),
        (huber, F.huber_loss),
    ):
        part = ours(logits, holes)
        assert int(part.n) == 14
        torch.testing.assert_close(part.mean, theirs(logits[there], labels[there]))
    p = torch.where(labels == 1, logits.sigmoid(), 1 - logits.sigmoid())[there]
    part = focal(logits, holes)
    torch.testing.assert_close(part.mean * part.n, (-((1 - p) ** 2) * p.log()).sum())
    part = cross_entropy(logits, torch.tensor([0, 2, -1, 1, 1, -1]))
    kept = torch.tensor([0, 1, 3, 4])
    expected = F.cross_entropy(logits[kept], torch.tensor([0, 2, 1, 1]), reduction="sum")
    torch.testing.assert_close(part.mean * part.n, expected)
    assert int(part.n) == 4


def test_smoothed_labels_are_those_of_torch() -> None:
    torch.manual_seed(0)
    logits, classes = torch.randn(6, 2), torch.tensor([0, 1, 1, 0, 1, 0])
    expected = F.cross_entropy(logits, classes, reduction="sum", label_smoothing=0.1)
    torch.testing.assert_close(cross_entropy(logits, classes, smoothing=0.1).mean * 6, expected)
    # Of two classes, cross-entropy is that of the difference of their logits.
    difference = logits[:, 1:] - logits[:, :1]
    part = bce(difference, classes[:, None].float(), smoothing=0.1)
    torch.testing.assert_close(part.mean * part.n, expected)
    with pytest.raises(ModelError, match="not smoothed"):
        SequenceModel(CnnLstm(), target="regression", label_smoothing=0.1)


@pytest.mark.parametrize("objective", [bce, focal, huber, mse])
def test_a_missing_label_has_no_gradient(objective: Callable[..., object]) -> None:
    logits = torch.zeros(2, 2, requires_grad=True)
    objective(logits, torch.tensor([[1.0, torch.nan], [torch.nan, 1.0]])).mean.backward()  # type: ignore[attr-defined]
    assert logits.grad is not None
    assert torch.equal(logits.grad != 0, torch.eye(2, dtype=torch.bool))


def test_missing_labels_change_nothing() -> None:
    codes, labels = dna(), np.tile(np.arange(2, dtype=np.float32), (6, 2)).reshape(12, 2)
    labels[::2, 0] = 1
    labels[:, 1] = np.nan
    twice = model(target="multi-label", max_steps=5).fit(codes, labels, device=CPU)
    labels[6:] = np.nan
    half = model(target="multi-label", max_steps=5, batch_size=12).fit(codes, labels, device=CPU)
    assert np.isfinite(twice.predict(codes)).all() and np.isfinite(half.predict(codes)).all()


@pytest.mark.parametrize("strands", ["random", "both"])
@pytest.mark.parametrize("frozen", [False, True])
def test_predictions_of_both_strands_are_one(strands: str, frozen: bool) -> None:
    codes, labels = dna(), np.arange(12, dtype=np.float32) % 2
    fitted = model(strands=strands, frozen=frozen, max_steps=8).fit(codes, labels, device=CPU)
    turned = reverse_complement(codes)
    assert np.array_equal(fitted.predict(codes), fitted.predict(turned))
    assert np.array_equal(fitted.embed(codes), fitted.embed(turned))
    assert len(np.unique(fitted.predict(codes))) > 6


def test_a_frozen_encoder_stays_and_the_head_learns() -> None:
    codes, labels = dna(), np.arange(12, dtype=np.float32) % 2
    encoder = attention(pooling="mean")
    before = encoder.embed(codes)
    fitted = model(encoder, frozen=True, max_steps=300, hidden=128).fit(codes, labels, device=CPU)
    assert np.array_equal(encoder.embed(codes), before)
    assert np.array_equal(fitted.predict(codes)[:, 0] > 0.5, labels > 0.5)
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_the_same_seed_is_the_same_model() -> None:
    codes, labels = dna(), np.arange(12, dtype=np.float32) % 2

    def predictions(seed: int) -> np.ndarray:
        torch.manual_seed(int(np.random.default_rng().integers(1000)))
        how = {"seed": seed, "dropout": 0.2, "strands": "random", "max_steps": 9, "batch_size": 5}
        return model(attention(dropout=0.2), **how).fit(codes, labels, device=CPU).predict(codes)

    assert np.array_equal(predictions(1), predictions(1))
    assert not np.array_equal(predictions(1), predictions(2))


def test_the_best_weights_are_kept_only_if_asked_for(tmp_path: Path) -> None:
    codes, labels = dna(), np.arange(12, dtype=np.float32) % 2
    other = dna(seed=1), labels[::-1].copy()
    how = {"epochs": 12, "max_steps": None}

    def accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
        return float(((predicted > 0.5) == truth).mean())

    plain = model(**how).fit(codes, labels, device=CPU).predict(codes)
    watched = model(**how).fit(codes, labels, validation=other, device=CPU, log_folder=tmp_path)
    assert np.array_equal(plain, watched.predict(codes))
    assert len((tmp_path / "validation.csv").read_text().splitlines()) == 13
    chosen = model(**how).fit(
        codes, labels, validation=other, choose_by="loss", device=CPU, log_folder=tmp_path / "b"
    )
    lines = (tmp_path / "b" / "validation.csv").read_text().splitlines()[1:]
    losses = [float(line.split(",")[1]) for line in lines]
    predicted = torch.from_numpy(chosen.predict(other[0]))
    found = F.binary_cross_entropy(predicted, torch.from_numpy(other[1])[:, None])
    assert float(found) == pytest.approx(min(losses), rel=1e-4)
    assert losses[-1] > min(losses)
    by_metric = model(**how).fit(codes, labels, validation=other, choose_by=accuracy, device=CPU)
    assert accuracy(other[1][:, None], by_metric.predict(other[0])) >= accuracy(
        other[1][:, None], plain
    )


def test_padding_of_validation_data_does_not_count(tmp_path: Path) -> None:
    codes, labels = dna(), (np.arange(12) % 2).astype(np.float32)
    lengths = np.full(12, 30)
    padded = dna(seed=1)
    fitted = model(max_steps=3).fit(
        codes, labels, validation=(padded, labels), validation_lengths=lengths, device=CPU,
        log_folder=tmp_path,
    )  # fmt: skip
    told = (tmp_path / "validation.csv").read_text().splitlines()[-1].split(",")[1]
    predicted = torch.from_numpy(fitted.predict(padded, lengths, any_length=True))
    expected = F.binary_cross_entropy(predicted, torch.from_numpy(labels)[:, None])
    assert float(told) == pytest.approx(float(expected), rel=1e-4)
    assert not np.allclose(fitted.predict(padded), predicted)


class Breaking:
    """Codes in a file that cannot be read any more after some reads."""

    def __init__(self, codes: np.ndarray, reads: int) -> None:
        self.codes, self.reads, self.shape = codes, reads, codes.shape

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: object) -> np.ndarray:
        self.reads -= 1
        if self.reads < 0:
            raise OSError("the disk is gone")
        return self.codes[rows]  # type: ignore[index]


def test_an_interrupted_fit_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    codes, labels = dna(), np.arange(12, dtype=np.float32) % 2
    how = {"epochs": 6, "max_steps": None, "batch_size": 4, "dropout": 0.1}
    fit = {"validation": (codes[:6], labels[:6]), "choose_by": "loss", "device": CPU}
    whole = model(**how).fit(codes, labels, log_folder=tmp_path / "whole", **fit)
    with pytest.raises(OSError, match="disk is gone"):
        model(**how).fit(Breaking(codes, 10), labels, log_folder=tmp_path / "broken", **fit)  # type: ignore[arg-type]
    resumed = model(**how).fit(codes, labels, log_folder=tmp_path / "broken", resume=True, **fit)
    assert np.array_equal(whole.predict(codes), resumed.predict(codes))
    for name in ("loss.csv", "validation.csv"):
        one, other = (tmp_path / which / name for which in ("whole", "broken"))
        assert one.read_text() == other.read_text()
    with pytest.raises(ModelError, match="of another model"):
        model(**how).fit(codes, 1 - labels, log_folder=tmp_path / "broken", resume=True, **fit)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    codes, labels = dna(), np.arange(12) % 3
    fitted = model(target="multi-class", names=["a", "b", "c"], strands="both", max_steps=5)
    fitted.fit(codes, labels, device=CPU).save_pretrained(tmp_path / "m")
    loaded = SequenceModel.from_pretrained(tmp_path / "m")
    assert np.array_equal(loaded.predict(codes), fitted.predict(codes))
    assert loaded.names == ["a", "b", "c"] and loaded.settings == fitted.settings
    encoder = SequenceEncoder.from_pretrained(tmp_path / "m")
    assert np.array_equal(encoder.embed(codes), fitted.encoder.embed(codes))
    encoder.save_pretrained(tmp_path / "e")
    with pytest.raises(ModelError, match="holds 'attention', an encoder of DNA"):
        SequenceModel.from_pretrained(tmp_path / "e")


@pytest.mark.parametrize(
    ("how", "labels", "says"),
    [
        ({"epoch": 3}, np.zeros(12), "no setting 'epoch'"),
        ({"objective": "mse"}, np.zeros(12), "mse is not an objective for binary; use bce or"),
        ({}, np.zeros(11), "12 sequences, but labels of 11"),
        ({}, np.full(12, np.nan), "all labels are missing"),
        ({}, np.full(12, 3.0), "not between 0 and 1"),
        ({}, np.ones(12), "all 12 training examples have the same label, 1; a model needs"),
        ({"target": "regression"}, np.full(12, 0.5), "all 12 training examples have the same"),
        ({"target": "multi-label"}, np.tile([0.0, 1.0, np.nan], (12, 1)), "have the same label"),
        (
            {"target": "multi-class", "names": ["a", "b"]},
            np.where(np.arange(12) < 6, 1, -1),
            "all 6 training examples are of the class 'b'; a model needs examples of two classes",
        ),
        ({}, np.zeros((12, 2)), "use target multi-label"),
        ({"target": "multi-class"}, np.zeros(12), r"classes are float64 \(12,\)"),
        ({"target": "multi-class", "names": ["a"]}, np.arange(12), "class number 11 is not one of"),
        ({"target": "multi-label", "names": ["a"]}, np.zeros((12, 2)), "1 names for 2 outputs"),
    ],
)
def test_what_does_not_fit_is_named(how: dict[str, object], labels: np.ndarray, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        model(**how).fit(dna(), labels, device=CPU)


def test_an_unfitted_model_predicts_nothing() -> None:
    with pytest.raises(ModelError, match="not fitted"):
        model().predict(dna())


def test_a_shifted_training_sees_every_shift_and_is_the_same_twice() -> None:
    codes = dna(1, 30).repeat(2, axis=0)
    seen: list[np.ndarray] = []

    class Spy(CnnLstm):
        def tokenize(self, codes, lengths=None):  # type: ignore[no-untyped-def]
            seen.append(codes.copy())
            return super().tokenize(codes, lengths)

    def shifts() -> list[int]:
        seen.clear()
        encoder = Spy(channels=(4,), dim=4)
        model(encoder, shift=2, max_steps=40, batch_size=1).fit(codes, np.arange(2), device=CPU)
        wide = np.pad(codes[0], 2, constant_values=4)
        found = []
        for batch in seen:
            at = [by for by in range(-2, 3) if (batch[0] == expected(wide, by)).all()]
            assert len(at) == 1
            found.append(at[0])
        return found

    def expected(wide: np.ndarray, by: int) -> np.ndarray:
        return wide[2 - by : 32 - by]

    first = shifts()
    assert set(first) == {-2, -1, 0, 1, 2}
    assert shifts() == first


def test_a_frozen_encoder_cannot_be_shown_shifts() -> None:
    with pytest.raises(ModelError, match="leave shift at 0"):
        model(frozen=True, shift=3)
