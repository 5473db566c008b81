"""`SetDecoder`: a generator that can also decode a region set, one region after another."""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models.text_to_regions.generator import Generator, Scores, best
from genoglot.models.text_to_regions.retrieval import in_chunks
from genoglot.models.universe_model import SetRows
from genoglot.nn.decoding import beam_search, greedy, sample
from genoglot.regions import Regions

Decoding = Literal["greedy", "beam", "sample"]

SHORTLIST = 1 << 15  # candidates of decoding


class SetDecoder(Generator):
    """A generator that can also decode a set region by region, each given those before it."""

    fitted: ClassVar[tuple[str, ...]] = ("set_size",)
    set_size: float  # mean number of regions of a training set

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Compute the mean size of a training set, and prepare everything else."""
        super().prepare(atlas, rows)
        sizes = atlas.metadata["n_tokens"].to_numpy()
        self.set_size = float(np.mean(sizes if rows is None else sizes[np.asarray(rows)]))

    @abstractmethod
    def _start(self, texts: Sequence[str]) -> tuple[Tensor, Any]:
        """Return hidden states (texts, dim) before the first region, and the decoder's state."""

    @abstractmethod
    def _next(self, ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return hidden states (batch, dim) after one more region each, and the state."""

    @abstractmethod
    def _next_logits(self, hidden: Tensor, state: Any, regions: slice | Tensor) -> Tensor:
        """Compute logits of the next region: hidden states (batch, dim) -> (batch, regions)."""

    @abstractmethod
    def _select(self, state: Any, rows: Tensor) -> Any:
        """Return the state of some rows of the batch."""

    def _all_logits(self, hidden: Tensor, state: Any) -> Tensor:
        """Compute logits over the universe, in chunks: (texts, universe)."""
        return in_chunks(
            lambda regions: self._next_logits(hidden, state, regions),
            len(hidden),
            len(self.universe),
        )

    @torch.inference_mode()
    def score(self, texts: Sequence[str]) -> Scores:
        """Score every region by the probability that it is in a set of the usual size.

        The regions of the set are drawn, independently, by the softmax of the first region that is
        decoded. Scores are not calibrated probabilities.
        """
        logits = self._all_logits(*self._start(texts))
        return self._probability_in_set(logits.softmax(1)).numpy()

    def _probability_in_set(self, p: Tensor) -> Tensor:
        return -torch.expm1(-self.set_size * p)

    @torch.inference_mode()
    def decode(
        self, text: str, n: int = 1000, *, method: Decoding = "greedy", beams: int = 4,
        temperature: float = 1.0, top_p: float = 1.0, seed: int = 0,
    ) -> Regions:  # fmt: skip
        """Decode a region set, each region given those before it, none twice.

        In a large universe the candidates are the regions that are likely at the start, and the
        softmax is over them.

        Parameters
        ----------
        text
            Description of the wanted region set.
        n
            Number of regions.
        method
            `"greedy"`: the most likely region each time; `"beam"`: the most likely of `beams`
            sequences; `"sample"`: at random.
        beams
            Number of sequences that beam search compares.
        temperature, top_p, seed
            Options of sampling: see `genoglot.nn.decoding.sample`.

        Returns
        -------
        Regions
            Regions in the order of decoding, with the columns of `generate`; `raw` is the softmax
            given the regions before, which is not calibrated.

        Raises
        ------
        ModelError
            If `n` is not between 1 and the size of the universe, or an option is not valid.
        TextError
            If the text is empty, overlong or not in Latin letters.
        """
        self._check_request(text, n)
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
                return self._next_logits(hidden, state, listed).cpu(), state
            after, state = self._next(listed[last], state)
            return self._next_logits(after, state, listed).cpu(), state

        if method == "sample":
            text_seed = 1_000_003 * seed + zlib.crc32(text.encode())
            found = sample(step, state, n, temperature=temperature, top_p=top_p, seed=text_seed)
        elif method == "beam":
            found = beam_search(step, state, n, width=beams, reorder=self._select)
        else:
            found = greedy(step, state, n)
        return self._answer(listed[found.ids].numpy(), found.probabilities.numpy())
