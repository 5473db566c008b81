"""The dilated CNN: the published numbers of parameters, and exactly the published context."""

from typing import get_args

import numpy as np
import pytest
import torch

from genoglot.errors import ModelError
from genoglot.models.dna.dilated_cnn import Context, DilatedCnn, context_of_network
from genoglot.models.dna.heads import TrackHead
from genoglot.sequence import KmerTokenizer, OneHotTokenizer

SHAPES = {
    80: [(11, 1)] * 4,
    400: [(11, 1)] * 4 + [(11, 4)] * 4,
    2000: [(11, 1)] * 4 + [(11, 4)] * 4 + [(21, 10)] * 4,
    10000: [(11, 1)] * 4 + [(11, 4)] * 4 + [(21, 10)] * 4 + [(41, 25)] * 4,
}
"""W and AR of the residual units, Jaganathan et al. 2019, Figure S1."""


@pytest.mark.parametrize("context", get_args(Context))
def test_parameters_are_those_of_the_published_network(context: Context) -> None:
    encoder = DilatedCnn(context=context)
    head = TrackHead(32, 3, softplus=False)
    n = 32
    convolution = lambda width, before, after: width * before * after + after  # noqa: E731
    wanted = convolution(1, 4, n) + convolution(1, n, n) + convolution(1, n, 3)
    for kernel, _ in SHAPES[context]:
        wanted += 2 * (2 * n + convolution(kernel, n, n))  # normalization, convolution
    wanted += len(SHAPES[context]) // 4 * convolution(1, n, n)
    found = sum(p.numel() for part in (encoder, head) for p in part.parameters())
    assert found == wanted
    assert 2 * sum(rate * (width - 1) for width, rate in SHAPES[context]) == context
    if context == 10000:
        assert found == 696_739  # some 700,000, as the paper says


@pytest.mark.parametrize("context", [80, 400, 2000])
def test_a_base_sees_its_context_and_nothing_else(context: Context) -> None:
    encoder = DilatedCnn(context=context, width=4).double().eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.abs_()  # then no rectifier hides a base
    half, at = context // 2, context // 2 + 60
    codes = np.random.default_rng(0).integers(0, 4, (1, 2 * at + 1), np.uint8)
    values = encoder.batch(codes)["inputs"].double().requires_grad_()
    encoder({"inputs": values}).tokens[0, at].sum().backward()
    assert values.grad is not None
    reached = np.flatnonzero(values.grad[0].abs().sum(0).numpy())
    assert (reached.min(), reached.max()) == (at - half, at + half)
    changed = codes.copy()
    changed[:, : at - half] = 3 - changed[:, : at - half]
    changed[:, at + half + 1 :] = 3 - changed[:, at + half + 1 :]
    inside = codes.copy()
    inside[0, at + 3] = 3 - inside[0, at + 3]
    with torch.inference_mode():
        same, outside, other = (
            encoder({"inputs": encoder.batch(one)["inputs"].double()}).tokens[0, at]
            for one in (codes, changed, inside)
        )
    assert torch.equal(same, outside) and not torch.allclose(same, other)


def test_tokens_are_bases_and_padding_is_as_if_it_were_not_there() -> None:
    encoder = DilatedCnn(context=80, width=8).eval()
    codes = np.random.default_rng(0).integers(0, 4, (2, 150), np.uint8)
    assert encoder.token_of_base(7).tolist() == list(range(7))
    tokens, mask = encoder.embed_tokens(codes, np.array([150, 100]))
    assert tokens.shape == (2, 150, 8) and mask.sum() == 250
    alone, _ = encoder.embed_tokens(codes[1:, :100])
    np.testing.assert_allclose(tokens[1, :60], alone[0, :60], atol=1e-5)
    whole = encoder.embed(codes, np.array([150, 100]))
    np.testing.assert_allclose(whole[1], tokens[1, :100].mean(0), atol=1e-5)


def test_the_order_of_channels_is_that_of_the_tokenizer() -> None:
    codes = np.random.default_rng(0).integers(0, 5, (2, 90), np.uint8)
    plain, other = (DilatedCnn(OneHotTokenizer(order), context=80) for order in ("ACGT", "AGCT"))
    with torch.no_grad():
        other.first.weight.copy_(plain.first.weight[:, [0, 2, 1, 3]])
    np.testing.assert_allclose(plain.embed(codes), other.embed(codes), atol=1e-6)


def test_the_network_that_sees_a_context() -> None:
    assert [context_of_network(n) for n in (0, 80, 81, 256, 400, 2000, 2001, 99_999)] == [
        *(80, 80, 400, 400, 400, 2000, 10000, 10000)
    ]


def test_other_settings_are_refused() -> None:
    with pytest.raises(ModelError, match="context"):
        DilatedCnn(context=100)
    with pytest.raises(ModelError, match="one-hot"):
        DilatedCnn(KmerTokenizer(3))


@pytest.mark.parametrize("context", get_args(Context))
def test_every_weight_has_a_gradient_and_the_seed_decides(context: Context) -> None:
    encoder = DilatedCnn(context=context, width=4).eval()
    batch = encoder.batch(np.random.default_rng(0).integers(0, 4, (2, 120), np.uint8))
    found = encoder(batch)
    assert found.tokens.shape == (2, 120, 4) and found.tokens.dtype == torch.float32
    found.tokens.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
    same, other = (DilatedCnn(context=context, width=4, seed=seed) for seed in (0, 1))
    weights = [torch.cat([p.flatten() for p in one.parameters()]) for one in (encoder, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
