"""`SetDecoder`: a generator that can also decode a region set, one region after another."""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from genoglot.errors import ModelError
from genoglot.models.text_to_regions.generator import Generator, Scores, best
from genoglot.models.text_to_regions.retrieval import CHUNK
from genoglot.nn.decoding import beam_search, greedy, sample
from genoglot.regions import Regions

Decoding = Literal["greedy", "beam", "sample"]

SHORTLIST = 1 << 15  # regions among which a set is decoded


class SetDecoder(Generator):
    """A generator that can also decode a set region by region, each knowing those before it."""

    set_size: float  # mean number of regions of a training set

    @abstractmethod
    def _start(self, texts: Sequence[str]) -> tuple[Tensor, Any]:
        """Hidden states (texts, dim) before any region, and the state to go on with."""

    @abstractmethod
    def _next(self, ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Hidden states (batch, dim) after one more region each, and the state."""

    @abstractmethod
    def _logits_of(self, hidden: Tensor, state: Any, regions: slice | Tensor) -> Tensor:
        """Logits of the next region: hidden states (..., dim) -> (..., regions)."""

    @abstractmethod
    def _reordered(self, state: Any, rows: Tensor) -> Any:
        """Rows of the state's batch."""

    def _all_logits(self, hidden: Tensor, state: Any) -> Tensor:
        """Logits over the universe, part by part: (texts, universe)."""
        logits = torch.empty(len(hidden), len(self.universe))
        for start in range(0, len(self.universe), CHUNK):
            part = slice(start, start + CHUNK)
            logits[:, part] = self._logits_of(hidden, state, part).cpu()
        return logits

    @torch.inference_mode()
    def score(self, texts: Sequence[str]) -> Scores:
        """Score every region by how sure it is among as many draws as a usual set has regions.

        Draws are from the softmax of the first region decoded, before any other is known; it is
        not calibrated, so the score is no probability.
        """
        logits = self._all_logits(*self._start(texts))
        return -torch.expm1(-self.set_size * logits.softmax(1)).numpy()

    @torch.inference_mode()
    def decode(
        self, text: str, n: int = 1000, *, method: Decoding = "greedy", beams: int = 4,
        temperature: float = 1.0, top_p: float = 1.0, seed: int = 0,
    ) -> Regions:  # fmt: skip
        """Decode a region set, each region given those before it, none twice.

        Of a large universe, the regions that are likely at the start are candidates, and the
        softmax is over them.

        Parameters
        ----------
        text
            A description.
        n
            How many regions.
        method
            `"greedy"`: always the best; `"beam"`: the best of `beams`
            sequences; `"sample"`: at random.
        beams
            How many sequences are kept.
        temperature, top_p, seed
            Of sampling: see `genoglot.nn.decoding.sample`.

        Returns
        -------
        Regions in the order of decoding, with columns as `generate` gives them; `raw` is the
        softmax given the regions before, which is not calibrated.

        Raises
        ------
        ModelError
            If `n` is not between 1 and the size of the universe, or the decoding is none.
        TextError
            If the text is empty, overlong or not in Latin letters.
        """
        self._check(text, n)
        if method not in get_args(Decoding):
            raise ModelError(f"no decoding named {method!r}; choose greedy, beam or sample")
        if not (beams >= 1 and temperature > 0 and 0 < top_p <= 1):
            raise ModelError(
                f"beams {beams}, temperature {temperature:g}, top_p {top_p:g}: give at least one "
                "beam, a temperature above 0 and a top_p above 0 and at most 1"
            )
        hidden, state = self._start([text])
        first = self._all_logits(hidden, state)[0].numpy()
        listed = torch.from_numpy(np.sort(best(first, max(SHORTLIST, 8 * n)))).long()

        def step(last: Tensor | None, state: Any) -> tuple[Tensor, Any]:
            if last is None:
                return self._logits_of(hidden, state, listed).cpu(), state
            after, state = self._next(listed[last], state)
            return self._logits_of(after, state, listed).cpu(), state

        if method == "sample":
            own = 1_000_003 * seed + zlib.crc32(text.encode())
            found = sample(step, state, n, temperature=temperature, top_p=top_p, seed=own)
        elif method == "beam":
            found = beam_search(step, state, n, width=beams, reorder=self._reordered)
        else:
            found = greedy(step, state, n)
        return self._answer(listed[found.ids].numpy(), found.probabilities.numpy())
