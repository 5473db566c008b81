"""Encoder and decoder: masks, positions one by one, and torch's own attention as reference."""

import pytest
import torch

from genoglot.nn.transformer import Attention, Decoder, EncoderLayer, sinusoids


def test_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = Attention(16, 4), torch.nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    query, source = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    seen = torch.tensor([[True] * 5, [True, True, False, False, True]])
    expected, _ = theirs(query, source, source, key_padding_mask=~seen)
    torch.testing.assert_close(ours(query, ours.keys_values(source), seen=seen), expected)


def test_padding_is_not_seen_by_the_encoder() -> None:
    torch.manual_seed(0)
    layer = EncoderLayer(16, 2)
    x = torch.randn(1, 6, 16)
    seen = torch.tensor([[True, True, True, True, False, False]])
    other = x.clone()
    other[:, 4:] = 100
    torch.testing.assert_close(layer(x, seen)[:, :4], layer(other, seen)[:, :4])


@pytest.mark.parametrize("layers", [1, 3])
def test_a_position_never_sees_those_after_it(layers: int) -> None:
    torch.manual_seed(0)
    decoder = Decoder(16, 2, layers)
    source = decoder.source(torch.randn(2, 4, 16))
    x = torch.randn(2, 7, 16)
    plain = decoder(x, source)
    for position in range(7):
        other = x.clone()
        other[:, position] = torch.randn(2, 16)
        changed = ~torch.isclose(decoder(other, source), plain, atol=1e-6).all(2).all(0)
        assert changed.tolist() == [p >= position for p in range(7)]


def test_positions_one_by_one_are_those_of_the_whole_sequence() -> None:
    torch.manual_seed(0)
    decoder = Decoder(16, 2, 2)
    seen = torch.tensor([[True] * 4, [True, True, False, False]])
    source = decoder.source(torch.randn(2, 4, 16), seen)
    x = torch.randn(2, 6, 16)
    whole, state = decoder(x, source), source
    for position in range(6):
        one, state = decoder.step(x[:, position], state, context=6)
        torch.testing.assert_close(one, whole[:, position])


def test_without_positions_the_past_is_a_set() -> None:
    # One layer: with more, what a position holds depends on those before it.
    torch.manual_seed(0)
    decoder = Decoder(16, 2, 1)
    source = decoder.source(torch.randn(1, 4, 16))
    x = torch.randn(1, 6, 16)
    shuffled = x[:, [3, 1, 4, 0, 2, 5]]
    torch.testing.assert_close(decoder(x, source)[:, -1], decoder(shuffled, source)[:, -1])


def test_a_bounded_context_forgets() -> None:
    torch.manual_seed(0)
    decoder = Decoder(16, 2, 1)
    source = decoder.source(torch.randn(1, 4, 16))
    x = torch.randn(1, 6, 16)
    state = source
    for position in range(6):
        last, state = decoder.step(x[:, position], state, context=3)
    torch.testing.assert_close(last, decoder(x[:, 3:], source)[:, -1])


def test_rows_of_a_source_go_on_alone() -> None:
    torch.manual_seed(0)
    decoder = Decoder(16, 2, 2)
    source = decoder.source(torch.randn(3, 4, 16), torch.ones(3, 4, dtype=torch.bool))
    _, state = decoder.step(torch.randn(3, 16), source, 8)
    x = torch.randn(3, 16)
    both, _ = decoder.step(x, state, 8)
    rows = torch.tensor([2, 0, 2])
    some, _ = decoder.step(x[rows], state.of(rows), 8)
    torch.testing.assert_close(some, both[rows])


def test_sinusoids_are_those_of_the_paper() -> None:
    table = sinusoids(50, 8)
    assert table[7, 2].item() == pytest.approx(torch.sin(torch.tensor(7 / 10_000**0.25)).item())
    assert table[7, 3].item() == pytest.approx(torch.cos(torch.tensor(7 / 10_000**0.25)).item())
