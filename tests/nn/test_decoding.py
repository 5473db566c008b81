"""Decoding of sets, against all sequences tried one by one."""

from itertools import permutations

import pytest
import torch
from torch import Tensor

from genoglot.nn.decoding import beam_search, greedy, sample

CANDIDATES = 5
TABLE = 2 * torch.randn(CANDIDATES + 1, CANDIDATES, generator=torch.Generator().manual_seed(36))


def step(last: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
    """Logits that depend on the sum of all members chosen so far, which is the state."""
    if last is not None:
        state = state + last + 1
    return TABLE[state % (CANDIDATES + 1)].clone(), state


START = torch.zeros(1, dtype=torch.long)


def log_probability(sequence: tuple[int, ...]) -> float:
    total, state, last = 0.0, START, None
    for i, member in enumerate(sequence):
        logits, state = step(last, state)
        logits[0, list(sequence[:i])] = float("-inf")
        total += float(logits.log_softmax(1)[0, member])
        last = torch.tensor([member])
    return total


@pytest.mark.parametrize("n", [1, 3, 5])
def test_no_member_comes_twice(n: int) -> None:
    for decoded in (
        greedy(step, START, n),
        sample(step, START, n, seed=4),
        beam_search(step, START, n, width=3, reorder=lambda s, rows: s[rows]),
    ):
        assert len(set(decoded.ids.tolist())) == n == len(decoded.probabilities)


def test_probabilities_are_those_of_the_sequence() -> None:
    for decoded in (greedy(step, START, 4), sample(step, START, 4, seed=1)):
        expected = log_probability(tuple(decoded.ids.tolist()))
        assert decoded.probabilities.log().sum().item() == pytest.approx(expected, abs=1e-5)


def test_greedy_takes_the_most_probable_each_time() -> None:
    chosen: list[int] = []
    for decoded in greedy(step, START, 4).ids.tolist():
        others = [m for m in range(CANDIDATES) if m not in chosen]
        assert decoded == max(others, key=lambda m: log_probability((*chosen, m)))
        chosen.append(decoded)


def test_a_beam_as_wide_as_all_sequences_finds_the_best() -> None:
    everything = list(permutations(range(CANDIDATES), 3))
    best = max(everything, key=log_probability)
    found = beam_search(step, START, 3, width=len(everything), reorder=lambda s, rows: s[rows])
    assert tuple(found.ids.tolist()) == best
    assert log_probability(best) > log_probability(tuple(greedy(step, START, 3).ids.tolist()))


def test_samples_follow_the_probabilities() -> None:
    first = torch.tensor([sample(step, START, 1, seed=s).ids[0] for s in range(2000)])
    shares = torch.bincount(first, minlength=CANDIDATES) / 2000
    torch.testing.assert_close(shares, TABLE[0].softmax(0), atol=0.04, rtol=0)


def test_temperature_and_nucleus_narrow_the_choice() -> None:
    best = int(TABLE[0].argmax())
    assert all(sample(step, START, 1, temperature=0.01, seed=s).ids[0] == best for s in range(50))
    assert all(sample(step, START, 1, top_p=1e-6, seed=s).ids[0] == best for s in range(50))
    ordered = TABLE[0].softmax(0).sort(descending=True)
    kept = set(ordered.indices[:2].tolist())
    drawn = {
        int(sample(step, START, 1, top_p=float(ordered.values[0]) + 1e-3, seed=s).ids[0])
        for s in range(200)
    }
    assert drawn == kept
