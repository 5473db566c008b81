"""Decoding of sets: one member after another, none twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

Step = Callable[[Tensor | None, Any], tuple[Tensor, Any]]


class Decoded(NamedTuple):
    """A decoded set.

    Attributes
    ----------
    ids
        (n,) int64, in the order of decoding.
    probabilities
        (n,) float32, probability of each member given those before it.
    """

    ids: Tensor
    probabilities: Tensor


def greedy(step: Step, state: Any, n: int) -> Decoded:
    """Decode the most probable member in each step.

    Parameters
    ----------
    step
        `step(members, state)` takes the latest members, (batch,) int64, or None at the start, and
        returns logits (batch, candidates) and the next state. Here the batch is 1.
    state
        State at the start.
    n
        Number of members, which is not above the number of candidates.

    Returns
    -------
    Decoded
        The set.

    Examples
    --------
    >>> fixed = torch.tensor([[0.0, 2.0, 1.0]])
    >>> greedy(lambda last, state: (fixed, state), None, 2).ids
    tensor([1, 2])
    """
    return beam_search(step, state, n, width=1, reorder=lambda state, rows: state)


def sample(
    step: Step, state: Any, n: int, *, temperature: float = 1.0, top_p: float = 1.0, seed: int = 0
) -> Decoded:
    """Draw each member at random.

    Parameters
    ----------
    step, state, n
        See `greedy`.
    temperature
        Divisor of the logits: below 1, probable members become more probable; above 1, less.
    top_p
        Draw among the fewest candidates that together have this probability (Holtzman et al. 2020).
    seed
        Random seed.

    Returns
    -------
    Decoded
        The set.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen: list[int] = []
    probabilities: list[float] = []
    last: Tensor | None = None
    for _ in range(n):
        logits, state = step(last, state)
        logits[0, chosen] = float("-inf")
        probability = (logits[0] / temperature).softmax(0)
        weights = _nucleus(probability, top_p) if top_p < 1 else probability
        last = torch.multinomial(weights, 1, generator=generator)
        chosen.append(int(last))
        probabilities.append(float(probability[last]))
    return Decoded(torch.tensor(chosen), torch.tensor(probabilities))


def _nucleus(probability: Tensor, top_p: float) -> Tensor:
    ordered, order = probability.sort(descending=True, stable=True)
    before = ordered.cumsum(0) - ordered  # 0 for the most probable one, which always remains
    nucleus = torch.zeros_like(probability)
    nucleus[order] = ordered.masked_fill(before >= top_p, 0)
    return nucleus


def beam_search(
    step: Step, state: Any, n: int, *, width: int, reorder: Callable[[Any, Tensor], Any]
) -> Decoded:
    """Follow the `width` most probable sequences of members and return the best one.

    Parameters
    ----------
    step, state, n
        See `greedy`; the batch grows to the number of beams.
    width
        Number of beams.
    reorder
        `reorder(state, rows)` selects rows of the batch of a state.

    Returns
    -------
    Decoded
        The set.
    """
    chosen = torch.empty(1, 0, dtype=torch.long)
    logs = torch.empty(1, 0)  # log-probability of each member
    last: Tensor | None = None
    for _ in range(n):
        logits, state = step(last, state)
        logits.scatter_(1, chosen, float("-inf"))
        log_probability = logits.log_softmax(1)
        total = (logs.sum(1, keepdim=True) + log_probability).flatten()
        beams = min(width, int(total.isfinite().sum()))
        best = total.topk(beams).indices
        rows, last = best // logits.shape[1], best % logits.shape[1]
        if width > 1:
            state = reorder(state, rows)
        chosen = torch.cat([chosen[rows], last[:, None]], 1)
        logs = torch.cat([logs[rows], log_probability[rows, last][:, None]], 1)
    return Decoded(chosen[0], logs[0].exp())
