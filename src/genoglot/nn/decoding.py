"""Decoding of sets: one member after another, never the same twice."""

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
        (n,) float32: of each member, given those before it.
    """

    ids: Tensor
    probabilities: Tensor


def greedy(step: Step, state: Any, n: int) -> Decoded:
    """Take the most probable member each time.

    Parameters
    ----------
    step
        `step(members, state)` takes the members chosen last, (batch,) int64, or None at the start,
        and returns logits (batch, candidates) and the state to go on with. Here the batch is 1.
    state
        To start with.
    n
        How many members; at most the number of candidates.

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
        As in `greedy`.
    temperature
        Below 1 the probable becomes more probable; above 1 less.
    top_p
        Draw among the fewest candidates that together have this probability (Holtzman et al. 2020).
    seed
        Of the drawing.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen: list[int] = []
    probabilities: list[float] = []
    last: Tensor | None = None
    for _ in range(n):
        logits, state = step(last, state)
        logits[0, chosen] = float("-inf")
        probability = (logits[0] / temperature).softmax(0)
        kept = _nucleus(probability, top_p) if top_p < 1 else probability
        last = torch.multinomial(kept, 1, generator=generator)
        chosen.append(int(last))
        probabilities.append(float(probability[last]))
    return Decoded(torch.tensor(chosen), torch.tensor(probabilities))


def _nucleus(probability: Tensor, top_p: float) -> Tensor:
    ordered, order = probability.sort(descending=True, stable=True)
    before = ordered.cumsum(0) - ordered  # the first is always kept
    kept = torch.zeros_like(probability)
    kept[order] = ordered.masked_fill(before >= top_p, 0)
    return kept


def beam_search(
    step: Step, state: Any, n: int, *, width: int, reorder: Callable[[Any, Tensor], Any]
) -> Decoded:
    """Keep the `width` most probable sequences at each step and return the best.

    Parameters
    ----------
    step, state, n
        As in `greedy`; the batch grows to the number of beams.
    width
        Number of beams.
    reorder
        `reorder(state, rows)` takes rows of the state's batch.
    """
    chosen = torch.empty(1, 0, dtype=torch.long)
    logs = torch.empty(1, 0)  # log-probability of each member
    last: Tensor | None = None
    for _ in range(n):
        logits, state = step(last, state)
        logits.scatter_(1, chosen, float("-inf"))
        log_probability = logits.log_softmax(1)
        total = (logs.sum(1, keepdim=True) + log_probability).flatten()
        most = min(width, int(total.isfinite().sum()))
        best = total.topk(most).indices
        rows, last = best // logits.shape[1], best % logits.shape[1]
        if width > 1:
            state = reorder(state, rows)
        chosen = torch.cat([chosen[rows], last[:, None]], 1)
        logs = torch.cat([logs[rows], log_probability[rows, last][:, None]], 1)
    return Decoded(chosen[0], logs[0].exp())
