"""Predictors as torch modules on one-hot DNA: the same predictions, gradients, other tools."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from genoglot.errors import ModelError
from genoglot.models.dna.attention import AttentionEncoder
from genoglot.models.dna.cnn import CnnFc, CnnLstm
from genoglot.models.dna.heads import SequenceHead, TrackHead
from genoglot.models.dna.one_hot_module import OneHotModule
from genoglot.models.dna.residual_cnn import ResidualCnn
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.models.dna.windowed import UpperTransformer, WindowedEncoder
from genoglot.sequence import (
    BpeTokenizer,
    KmerTokenizer,
    OneHotTokenizer,
    PatchTokenizer,
    one_hot,
    reverse_complement,
)

SMALL = {"dim": 16, "heads": 2, "layers": 1}
CODES = np.random.default_rng(0).integers(0, 4, (3, 50)).astype(np.uint8)
CODES[1, 20:23] = 4
VALUES = torch.from_numpy(one_hot(CODES))

ENCODERS: dict[str, Callable[[], SequenceEncoder]] = {
    "one-hot attention": lambda: AttentionEncoder(OneHotTokenizer("AGCT"), **SMALL),
    "patch attention": lambda: AttentionEncoder(PatchTokenizer(4), positions="relative", **SMALL),
    "cnn-fc": lambda: CnnFc(length=60, channels=(6, 8), dim=12),
    "cnn-lstm": lambda: CnnLstm(channels=(6, 8), dim=12),
    "residual-cnn": lambda: ResidualCnn(width=8, learned=4, blocks=2, queries=2),
    "windowed": lambda: WindowedEncoder(
        AttentionEncoder(PatchTokenizer(4), **SMALL), window=20, context=6, **SMALL
    ),
}


def head(encoder: SequenceEncoder, outputs: int = 2) -> SequenceHead:
    torch.manual_seed(0)
    made = SequenceHead(encoder.dim, outputs, "regression", hidden=8, dropout=0.5)
    made.center.fill_(3.0)
    made.scale.fill_(2.0)
    return made


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
def test_predictions_are_those_of_encoder_and_head(name: str, both: bool) -> None:
    encoder = ENCODERS[name]()
    top = head(encoder)
    module = OneHotModule(encoder, top, both_strands=both).eval()
    expected = top.answer(top(encoder(encoder.tokenize(CODES)).sequence))
    if both:
        reverse = encoder.tokenize(reverse_complement(CODES))
        expected = (expected + top.answer(top(encoder(reverse).sequence))) / 2
    torch.testing.assert_close(module(VALUES), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_gradients_reach_every_base(name: str) -> None:
    encoder = ENCODERS[name]()
    values = VALUES.clone().requires_grad_()
    OneHotModule(encoder, head(encoder)).eval()(values)[:, 0].sum().backward()
    assert values.grad is not None
    reached = values.grad.abs().sum(1) > 0
    assert reached.float().mean() > 0.9  # a maximum leaves some bases without an effect


@pytest.mark.parametrize("both", [False, True])
def test_tracks_of_both_strands_lie_at_the_same_bins(both: bool) -> None:
    encoder = CnnLstm(channels=(6,), dim=12, pool=5)
    torch.manual_seed(0)
    module = OneHotModule(encoder, TrackHead(12, 3, crop=2), both_strands=both).eval()
    tracks = module(VALUES)
    assert tracks.shape == (3, 6, 3)
    reverse = module(VALUES.flip(1, 2)).flip(1)
    assert torch.allclose(tracks, reverse, atol=1e-6) == both


def test_tokens_without_gradients_are_refused() -> None:
    bpe = BpeTokenizer.train(["ACGTACGTACGT"] * 10, vocab_size=13)
    for tokenizer in (KmerTokenizer(3), bpe):
        encoder = AttentionEncoder(tokenizer, **SMALL)
        with pytest.raises(ModelError, match="no gradient to single bases"):
            OneHotModule(encoder, head(encoder))(VALUES)
    whole = WindowedEncoder(CnnLstm(channels=(4,), dim=4), **SMALL)
    upper = UpperTransformer(whole)
    with pytest.raises(ModelError, match="reads vectors of windows"):
        OneHotModule(upper, head(upper))(VALUES)
    short = CnnFc(length=40)
    with pytest.raises(ModelError, match="50 bp, but this model reads up to 40 bp"):
        OneHotModule(short, head(short))(VALUES)


@pytest.mark.parametrize("name", ENCODERS)
def test_tangermeme_mutates_every_base(name: str) -> None:
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis

    encoder = ENCODERS[name]()
    module = OneHotModule(encoder, head(encoder)).eval()
    before, after = saturation_mutagenesis(
        module, VALUES[:1], device="cpu", raw_outputs=True, verbose=False
    )
    torch.testing.assert_close(before, module(VALUES[:1]).detach())
    assert after.shape == (1, 4, 50, 2)
    mutant = CODES[:1].copy()
    mutant[0, 7] = 2
    expected = module(torch.from_numpy(one_hot(mutant))).detach()
    torch.testing.assert_close(after[:, 2, 7], expected, atol=1e-5, rtol=1e-5)


def test_attributions_of_tangermeme_add_up_to_the_difference() -> None:
    """DeepLIFT's rules hold for the rectifiers and maxima of a CNN: Shrikumar et al. 2017."""
    from tangermeme.deep_lift_shap import deep_lift_shap

    encoder = CnnFc(length=50, channels=(6, 8), dim=12)
    module = OneHotModule(encoder, head(encoder, 1)).eval()
    values, references = VALUES[[0, 2]], torch.roll(VALUES[[0, 2]], 1, dims=2)[:, None]
    attributions = deep_lift_shap(
        module, values, references=references, device="cpu", hypothetical=True
    )
    assert attributions.shape == values.shape
    changes = (attributions * (values - references[:, 0])).sum((1, 2))
    expected = (module(values) - module(references[:, 0])).detach()[:, 0]
    torch.testing.assert_close(changes, expected, atol=1e-3, rtol=1e-3)
