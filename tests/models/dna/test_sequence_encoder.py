"""Encoders of DNA: every kind and option, padding, both strands, saving and loading."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from genoglot.errors import ModelError
from genoglot.models.dna.attention import AttentionEncoder
from genoglot.models.dna.cnn import CnnFc, CnnLstm
from genoglot.models.dna.dilated_cnn import DilatedCnn
from genoglot.models.dna.kmer_bert import SIZES, KmerBert
from genoglot.models.dna.residual_cnn import ResidualCnn
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.models.dna.windowed import WindowedEncoder
from genoglot.registry import create
from genoglot.sequence import (
    BpeTokenizer,
    DnaTokenizer,
    KmerTokenizer,
    OneHotTokenizer,
    PatchTokenizer,
    reverse_complement,
)

SMALL = {"dim": 16, "heads": 2, "layers": 2}


def dna(n: int, length: int, seed: int = 0) -> np.ndarray:
    codes = np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.uint8)
    codes[:, length // 2] = 4
    return codes


TOKENIZERS: dict[str, Callable[[], DnaTokenizer]] = {
    "kmer": lambda: KmerTokenizer(3),
    "patch": lambda: PatchTokenizer(4),
    "bpe": lambda: BpeTokenizer.train(dna(20, 200), vocab_size=60),
    "onehot": lambda: OneHotTokenizer("AGCT"),
}


def attention(tokenizer: str = "patch", **settings: object) -> AttentionEncoder:
    return AttentionEncoder(TOKENIZERS[tokenizer](), **{**SMALL, **settings})


ALL: dict[str, Callable[[], SequenceEncoder]] = {
    "kmer": lambda: attention("kmer"),
    "patch": lambda: attention("patch", positions="relative"),
    "bpe": lambda: attention("bpe", positions="absolute", pooling="mean"),
    "onehot": lambda: attention("onehot"),
    "cnn-fc": lambda: CnnFc(length=50, channels=(6, 8), dim=12),
    "cnn-lstm": lambda: CnnLstm(channels=(6, 8), dim=12),
    "dilated-cnn": lambda: DilatedCnn(context=400, width=6),
    "residual-cnn": lambda: ResidualCnn(width=8, learned=4, blocks=2, queries=2),
    "residual-cnn-learned": lambda: ResidualCnn(width=8, motifs=False, queries=0, positions=21),
    "kmer-bert": lambda: KmerBert(KmerTokenizer(3), **SIZES["tiny"]),
    "windowed": lambda: WindowedEncoder(
        attention(layers=1), window=10, context=5, frozen=False, **SMALL
    ),
}


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("positions", ["rotary", "relative", "absolute"])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_every_combination(tokenizer: str, positions: str, pooling: str) -> None:
    encoder = attention(tokenizer, positions=positions, pooling=pooling)
    codes = dna(3, 42)
    vectors = encoder.embed(codes, batch_size=2)
    assert vectors.shape == (3, 16)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    tokens, mask = encoder.embed_tokens(codes)
    expected = {"kmer": 40, "patch": 11, "onehot": 11}
    assert mask.shape == tokens.shape[:2] == (3, expected.get(tokenizer, mask.shape[1]))
    assert tokens.shape[2] == encoder.token_dim
    assert encoder.embed(codes[:0]).shape == (0, 16)


@pytest.mark.parametrize("kind", ALL)
def test_padding_and_batches_change_nothing(kind: str) -> None:
    encoder = ALL[kind]()
    codes, lengths = dna(4, 50), np.array([50, 21, 38, 50])
    together = encoder.embed(codes, lengths)
    rubbish = codes.copy()
    rubbish[np.arange(50) >= lengths[:, None]] = 1
    np.testing.assert_allclose(encoder.embed(rubbish, lengths, batch_size=3), together, atol=1e-5)
    if kind != "windowed":  # there, N to the common length make more windows
        for row, n in zip(range(4), lengths, strict=True):
            alone = encoder.embed(codes[row : row + 1, :n])[0]
            np.testing.assert_allclose(alone, together[row], atol=1e-5)


@pytest.mark.parametrize("kind", ALL)
def test_both_strands_are_one(kind: str) -> None:
    encoder = ALL[kind]()
    codes = dna(5, 50)
    one = encoder.embed(codes, strands="both")
    other = encoder.embed(reverse_complement(codes), strands="both")
    assert np.array_equal(one, other)
    assert not np.allclose(encoder.embed(codes), encoder.embed(reverse_complement(codes)))


@pytest.mark.parametrize("kind", ALL)
def test_gradients_reach_every_parameter(kind: str) -> None:
    encoder = ALL[kind]()
    vectors = encoder(encoder.tokenize(dna(4, 50)))
    (vectors.sequence.sin().sum() + vectors.tokens.cos().sum()).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", ALL)
def test_the_seed_decides_and_nothing_else_is_disturbed(kind: str) -> None:
    codes = dna(2, 50)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = ALL[kind]()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    first.train()
    assert np.array_equal(first.embed(codes), ALL[kind]().embed(codes))
    assert first.training


def test_another_seed_is_another_encoder() -> None:
    codes = dna(2, 50)
    assert not np.allclose(attention(seed=1).embed(codes), attention(seed=2).embed(codes))


def test_a_frozen_backbone_learns_nothing_and_drops_nothing() -> None:
    encoder = WindowedEncoder(attention(dropout=0.5), window=10, context=5, **SMALL).train()
    assert not encoder.backbone.training and encoder.upper.training
    encoder(encoder.tokenize(dna(2, 50))).sequence.sum().backward()
    assert all(p.grad is None for p in encoder.backbone.parameters())


def test_windows_have_context() -> None:
    encoder = WindowedEncoder(attention("kmer"), window=10, context=5, **SMALL)
    codes = dna(2, 45)
    inputs = encoder.tokenize(codes)["inputs"]
    assert inputs.shape == (2, 5, 18)  # 20 bp are 18 3-mers
    padded = np.pad(codes, ((0, 0), (5, 10)), constant_values=4)
    for i in range(5):
        expected = encoder.backbone.tokenize(padded[:, i * 10 : i * 10 + 20])["inputs"]
        assert torch.equal(inputs[:, i], expected)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: attention(width=3), "has no setting 'width'"),
        (lambda: attention(positions="circular"), "positions: Input should be 'rotary'"),
        (lambda: attention(dim="wide"), "dim: Input should be a valid integer"),
        (lambda: attention(dim=18, heads=4), "not a multiple of twice the 4 heads"),
        (
            lambda: attention(positions="absolute", max_length=3).embed(dna(1, 20)),
            "5 tokens, .* larger max_length",
        ),
        (lambda: CnnFc(length=20).embed(dna(1, 21)), "of 21 tokens, .* with a larger length"),
        (lambda: CnnLstm(KmerTokenizer(3)), "reads one-hot DNA, not KmerTokenizer"),
        (lambda: create("rnn", KmerTokenizer(3)), "no model named 'rnn'; choose from"),
        (lambda: attention("kmer").embed(dna(1, 40_000)), "cut it into windows"),
    ],
)
def test_mistakes_are_named(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        make()


def test_damaged_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    attention().save_pretrained(tmp_path / "a")
    with pytest.raises(ModelError, match="expected CnnFc, but it holds 'attention'"):
        CnnFc.from_pretrained(tmp_path / "a")
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    config["settings"]["layers"] = 3
    (tmp_path / "a" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="damaged model"):
        SequenceEncoder.from_pretrained(tmp_path / "a")
    config["settings"] = {"width": 3}
    (tmp_path / "a" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="attention has no setting 'width'"):
        SequenceEncoder.from_pretrained(tmp_path / "a")
    with pytest.raises(ModelError, match="no saved model"):
        SequenceEncoder.from_pretrained(tmp_path / "nowhere")
