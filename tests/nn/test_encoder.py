"""Encoder: positions against their formulas, padding, gradients."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from genoglot.nn.attention import EncoderLayer
from genoglot.nn.encoder import Encoder, Positions
from genoglot.nn.positions import (
    BUCKETS,
    FARTHEST,
    Relative,
    Sinusoidal,
    distance_buckets,
    rotate,
    rotations,
)

SCHEMES: tuple[Positions, ...] = ("rotary", "relative", "absolute")


def encoder(positions: Positions, **settings: object) -> Encoder:
    torch.manual_seed(0)
    made = Encoder(16, 2, 2, positions=positions, dropout=0.0, max_length=32, **settings)  # type: ignore[arg-type]
    for parameter in made.parameters():
        if parameter.dim() > 1:  # larger than at the start of a training, so that mistakes show
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def test_rotary_rotates_each_pair_of_channels_by_position_times_rate() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 5, 8)
    expected = torch.empty_like(x)
    for place, pair in itertools.product(range(5), range(4)):
        angle = place * 10_000 ** (-2 * pair / 8)
        a, b = x[..., place, 2 * pair], x[..., place, 2 * pair + 1]
        expected[..., place, 2 * pair] = a * math.cos(angle) - b * math.sin(angle)
        expected[..., place, 2 * pair + 1] = a * math.sin(angle) + b * math.cos(angle)
    torch.testing.assert_close(rotate(x, rotations(5, 8)), expected)


def test_rotary_logits_depend_on_distance_alone() -> None:
    torch.manual_seed(0)
    query, key = torch.randn(8), torch.randn(8)
    at = rotations(40, 8)
    logits = rotate(query.expand(40, 8), at) @ rotate(key.expand(40, 8), at).T
    for distance in (0, 1, 7):
        diagonal = logits.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4, rtol=1e-4)


def test_relative_attention_is_that_of_deberta() -> None:
    """Content to content, content to position, position to content: He et al. 2021, equation 4."""
    torch.manual_seed(0)
    n, heads, head = 6, 2, 8
    layer = EncoderLayer(16, heads, position=Relative(16, heads))
    x, table = torch.randn(1, n, 16), torch.randn(2 * BUCKETS - 1, 16)
    normed = layer.norm(x)[0]
    a = layer.attention
    weights, bias = a.key_value.weight.chunk(2), a.key_value.bias.chunk(2)
    content_query = a.query(normed).view(n, heads, head)
    content_key = F.linear(normed, weights[0], bias[0]).view(n, heads, head)
    values = F.linear(normed, weights[1], bias[1]).view(n, heads, head)
    distance_query = a.position.query(table).view(-1, heads, head)
    distance_key = a.position.key(table).view(-1, heads, head)
    read = torch.zeros(n, heads, head)
    for i, h in itertools.product(range(n), range(heads)):
        logits = torch.stack([
            (content_query[i, h] @ content_key[j, h]
             + content_query[i, h] @ distance_key[i - j + BUCKETS - 1, h]
             + content_key[j, h] @ distance_query[j - i + BUCKETS - 1, h]) / math.sqrt(3 * head)
            for j in range(n)
        ])  # fmt: skip
        read[i, h] = logits.softmax(0) @ values[:, h]
    expected = x + a.out(read.flatten(1))[None]
    expected = expected + layer.feed_forward(expected)
    torch.testing.assert_close(layer(x, positions=table).values, expected)


def test_near_distances_have_buckets_of_their_own_and_far_ones_share_them() -> None:
    buckets = distance_buckets(2 * FARTHEST)[:, 0] - (BUCKETS - 1)
    half = BUCKETS // 2
    assert buckets[:half].tolist() == list(range(half))
    steps = buckets.diff()
    assert set(steps.tolist()) <= {0, 1}
    assert int(buckets[FARTHEST]) == int(buckets[-1]) == BUCKETS - 1
    assert torch.equal(
        distance_buckets(50) - (BUCKETS - 1), -(distance_buckets(50).T - BUCKETS + 1)
    )


@pytest.mark.parametrize("positions", SCHEMES)
def test_positions_matter(positions: Positions) -> None:
    made = encoder(positions)
    x = torch.randn(1, 6, 16)
    other = x[:, [1, 0, 2, 3, 4, 5]]
    assert not torch.allclose(made(x).cls, made(other).cls, atol=1e-4)


@pytest.mark.parametrize("positions", SCHEMES)
def test_padding_changes_nothing(positions: Positions) -> None:
    made = encoder(positions)
    x = torch.randn(2, 9, 16)
    mask = torch.arange(9) < torch.tensor([[9], [5]])
    padded = made(x, mask)
    x[1, 5:] = 50
    other = made(x, mask)
    alone = made(x[1:, :5])
    torch.testing.assert_close(padded.cls, other.cls)
    torch.testing.assert_close(padded.cls[1], alone.cls[0])
    torch.testing.assert_close(padded.tokens[1, :5], alone.tokens[0])


@pytest.mark.parametrize("positions", SCHEMES)
@pytest.mark.parametrize("activation", ["gated-gelu", "relu"])
def test_gradients_reach_every_parameter(positions: Positions, activation: str) -> None:
    made = encoder(positions, activation=activation)
    encoded = made(torch.randn(2, 7, 16))
    (encoded.cls.sin().sum() + encoded.tokens.cos().sum()).backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_too_many_tokens_for_absolute_positions() -> None:
    with pytest.raises(ValueError, match="34 tokens, but positions for 33 only"):
        encoder("absolute")(torch.zeros(1, 33, 16))


def test_sinusoids_are_those_of_the_paper() -> None:
    table = Sinusoidal(50, 8)(torch.zeros(1, 50, 8))[0]
    assert table[7, 2].item() == pytest.approx(math.sin(7 / 10_000**0.25), abs=1e-6)
    assert table[7, 3].item() == pytest.approx(math.cos(7 / 10_000**0.25), abs=1e-6)
