"""Decoder: causality, masks, and positions one by one."""

import pytest
import torch

from genoglot.nn.decoder import Decoder


@pytest.mark.parametrize("layers", [1, 3])
def test_a_position_never_reads_those_after_it(layers: int) -> None:
    torch.manual_seed(0)
    decoder = Decoder(16, 2, layers)
    start = decoder.start(torch.randn(2, 4, 16))
    x = torch.randn(2, 7, 16)
    plain = decoder(x, start)
    for position in range(7):
        other = x.clone()
        other[:, position] = torch.randn(2, 16)
        changed = ~torch.isclose(decoder(other, start), plain, atol=1e-6).all(2).all(0)
        assert changed.tolist() == [p >= position for p in range(7)]


def test_positions_one_by_one_are_those_of_the_whole_sequence() -> None:
    torch.manual_seed(0)
    decoder = Decoder(16, 2, 2)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    start = decoder.start(torch.randn(2, 4, 16), mask)
    x = torch.randn(2, 6, 16)
    whole, state = decoder(x, start), start
    for position in range(6):
        one, state = decoder.step(x[:, position], state, context=6)
        torch.testing.assert_close(one, whole[:, position])


def test_without_positions_the_past_is_a_set() -> None:
    # One layer: with more, what a position holds depends on those before it.
    torch.manual_seed(0)
    decoder = Decoder(16, 2, 1)
    start = decoder.start(torch.randn(1, 4, 16))
    x = torch.randn(1, 6, 16)
    shuffled = x[:, [3, 1, 4, 0, 2, 5]]
    torch.testing.assert_close(decoder(x, start)[:, -1], decoder(shuffled, start)[:, -1])


def test_a_bounded_context_forgets() -> None:
    torch.manual_seed(0)
    decoder = Decoder(16, 2, 1)
    start = decoder.start(torch.randn(1, 4, 16))
    x = torch.randn(1, 6, 16)
    state = start
    for position in range(6):
        last, state = decoder.step(x[:, position], state, context=3)
    torch.testing.assert_close(last, decoder(x[:, 3:], start)[:, -1])


def test_rows_of_a_state_go_on_alone() -> None:
    torch.manual_seed(0)
    decoder = Decoder(16, 2, 2)
    start = decoder.start(torch.randn(3, 4, 16), torch.ones(3, 4, dtype=torch.bool))
    _, state = decoder.step(torch.randn(3, 16), start, 8)
    x = torch.randn(3, 16)
    both, _ = decoder.step(x, state, 8)
    rows = torch.tensor([2, 0, 2])
    some, _ = decoder.step(x[rows], state.select(rows), 8)
    torch.testing.assert_close(some, both[rows])
