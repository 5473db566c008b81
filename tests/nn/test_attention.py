"""Attention against torch's own, its weights, masks and feed-forward."""

import pytest
import torch

from genoglot.nn.attention import Activation, Attention, EncoderLayer, FeedForward, attend
from genoglot.nn.encoder import Encoder, Positions

SCHEMES: tuple[Positions, ...] = ("rotary", "relative", "absolute")
MASK = torch.tensor([[True] * 5, [True, True, False, False, True]])


def test_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = Attention(16, 4), torch.nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    x, source = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    expected, expected_weights = theirs(
        x, source, source, key_padding_mask=~MASK, average_attn_weights=False
    )
    values, weights = ours(x, ours.keys_values(source), mask=MASK, return_weights=True)
    torch.testing.assert_close(values, expected)
    torch.testing.assert_close(weights, expected_weights)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_values_are_the_same_with_and_without_weights(masked: bool, biased: bool) -> None:
    torch.manual_seed(0)
    queries, keys, values = torch.randn(3, 2, 4, 5, 8)
    mask = MASK[:, None, None] if masked else None
    bias = torch.randn(2, 4, 5, 5) if biased else None
    fused = attend(queries, keys, values, mask, bias=bias)
    explicit = attend(queries, keys, values, mask, bias=bias, return_weights=True)
    assert fused.weights is None and explicit.weights is not None
    torch.testing.assert_close(explicit.values, fused.values)
    torch.testing.assert_close(explicit.weights.sum(-1), torch.ones(2, 4, 5))


def test_causal_weights_are_zero_after_the_query() -> None:
    torch.manual_seed(0)
    queries, keys, values = torch.randn(3, 2, 4, 5, 8)
    fused = attend(queries, keys, values, causal=True)
    explicit = attend(queries, keys, values, causal=True, return_weights=True)
    torch.testing.assert_close(explicit.values, fused.values)
    assert explicit.weights is not None and not explicit.weights.triu(1).any()


@pytest.mark.parametrize("positions", SCHEMES)
def test_an_encoder_is_the_same_with_and_without_weights(positions: Positions) -> None:
    torch.manual_seed(0)
    encoder = Encoder(16, 2, 2, positions=positions, dropout=0.0)
    for parameter in encoder.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 5, 16)
    fused, explicit = encoder(x, MASK), encoder(x, MASK, return_weights=True)
    torch.testing.assert_close(explicit.cls, fused.cls)
    torch.testing.assert_close(explicit.tokens, fused.tokens)
    assert fused.attention == [] and len(explicit.attention) == 2
    for weights in explicit.attention:
        assert weights.shape == (2, 2, 6, 6)
        assert not weights[1, :, :, 3:5].any()  # absent tokens: CLS is in front


def test_padding_is_not_read_by_a_layer() -> None:
    torch.manual_seed(0)
    layer = EncoderLayer(16, 2)
    x = torch.randn(1, 6, 16)
    mask = torch.tensor([[True, True, True, True, False, False]])
    other = x.clone()
    other[:, 4:] = 100
    torch.testing.assert_close(layer(x, mask).values[:, :4], layer(other, mask).values[:, :4])


@pytest.mark.parametrize("activation", ["gelu", "relu", "gated-gelu"])
def test_feed_forward_is_its_formula(activation: Activation) -> None:
    torch.manual_seed(0)
    layer = FeedForward(8, activation)
    x = torch.randn(2, 3, 8)
    hidden = layer.norm(x) @ layer.first.weight.T + layer.first.bias
    if activation == "gated-gelu":
        hidden = torch.nn.functional.gelu(hidden[..., :16]) * hidden[..., 16:]
    else:
        hidden = getattr(torch.nn.functional, activation)(hidden)
    torch.testing.assert_close(layer(x), hidden @ layer.last.weight.T + layer.last.bias)
