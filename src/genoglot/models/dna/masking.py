"""Which tokens are hidden from a masked language model, and which of them it is asked for.

Bases are hidden in spans. Every token that overlaps a hidden base is masked, and the model is
asked only for tokens all of whose bases are hidden. So no token that it sees tells anything of a
base that it is asked for, although k-mers overlap: a span of s bases masks s + k - 1 k-mers and
asks for the s - k + 1 in its middle. (Masked one by one, k-mers could be read off their neighbors;
k of them in a row, as in DNABERT, hide a single base.) Tokens that lie side by side - patches, byte
pairs - are hidden whole, and all of them asked for. Where byte pairs begin and end is seen, and
depends a little on what is hidden: that is left as it is.

All that is masked is [MASK] (for one-hot DNA: zero, as N is). BERT puts other tokens in the place
of some and leaves some as they are, so that fine-tuning, which has no [MASK], finds the model
prepared. But a k-mer left as it is gives away its neighbors, a random one fits none of them, and
at such mask rates both cost more than they bring (Wettig et al. 2022).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoglot.errors import ModelError
from genoglot.models.dna.sequence_encoder import Batch
from genoglot.sequence import (
    DnaTokenizer,
    IdTokenizer,
    KmerTokenizer,
    OneHotTokenizer,
    PatchTokenizer,
)
from genoglot.sequence.alphabet import Codes, N

Flags = NDArray[np.bool_]
Ids = NDArray[np.int64]
Generators = list[np.random.Generator]

IGNORED = -100  # target of what is not asked for, as torch's cross-entropy has it
ONE_HOT_SPAN = 4


class MaskedBatch(NamedTuple):
    """Masked tokens, and what stood there.

    Attributes
    ----------
    inputs
        What the encoder reads: see `SequenceEncoder.tokenize`.
    targets
        (batch, tokens or bases) int64: id of the token, or code of the base, that the model is
        asked for; `IGNORED` elsewhere.
    """

    inputs: Batch
    targets: Tensor


class Masker:
    """Hides spans of bases and makes batches of what is left.

    Parameters
    ----------
    tokenizer
        The tokenizer.
    rate
        Share of the tokens to mask (of the bases, if one-hot), between 0 and 1.
    span
        Bases hidden together; byte pairs: tokens. By default 2 k for k-mers, one patch, one byte
        pair, 4 one-hot bases. For patches it is rounded to whole ones.

    Raises
    ------
    ModelError
        If the rate or span is out of range: a span shorter than k hides no k-mer.
    """

    def __init__(
        self, tokenizer: DnaTokenizer, *, rate: float = 0.3, span: int | None = None
    ) -> None:
        if not 0 < rate < 1:
            raise ModelError(f"the mask rate is {rate}; give a share between 0 and 1")
        if span is not None and span < 1:
            raise ModelError(f"the span is {span}; give at least 1")
        self.tokenizer, self.rate = tokenizer, rate
        self.reach = 0  # how far apart tokens overlap
        self._known: Flags | None = None
        if isinstance(tokenizer, OneHotTokenizer):
            self.run = span or ONE_HOT_SPAN
            return
        assert isinstance(tokenizer, IdTokenizer)
        self._known = tokenizer.of_dna
        if isinstance(tokenizer, KmerTokenizer):
            k = tokenizer.k
            if span is not None and span < k:
                raise ModelError(f"the span is {span}, which hides no {k}-mer; give at least {k}")
            self.reach, self.run = k - 1, (span or 2 * k) + k - 1
        else:
            width = tokenizer.k if isinstance(tokenizer, PatchTokenizer) else 1
            self.run = max(round((span or width) / width), 1)

    def __call__(
        self, codes: Codes, lengths: NDArray[np.int64] | None, generators: Generators
    ) -> MaskedBatch:
        """Tokenize and mask.

        Parameters
        ----------
        codes
            A C G T N = 0 1 2 3 4, uint8 (batch, length).
        lengths
            Bases of each that count, int64 (batch,), or None: all.
        generators
            One of each sequence, from which its mask is drawn.
        """
        if self._known is None:
            inputs, mask, targets = self._bases(codes, lengths, generators)
        else:
            inputs, mask, targets = self._tokens(codes, lengths, generators)
        batch = {"inputs": torch.from_numpy(inputs)}
        if not mask.all():
            batch["mask"] = torch.from_numpy(mask)
        return MaskedBatch(batch, torch.from_numpy(targets))

    def _tokens(
        self, codes: Codes, lengths: NDArray[np.int64] | None, generators: Generators
    ) -> tuple[Ids, Flags, Ids]:
        assert isinstance(self.tokenizer, IdTokenizer) and self._known is not None
        batch = self.tokenizer.from_codes(codes, lengths, padding=True, add_special_tokens=False)
        ids, mask = batch["input_ids"], np.asarray(batch["attention_mask"], np.bool_)
        masked = self._masked(mask.shape[1], generators) & mask
        asked = masked & self._known[ids] & _deep_inside(masked | ~mask, self.reach)
        targets = np.where(asked, ids, IGNORED)
        return np.where(masked, self.tokenizer.mask_token_id, ids), mask, targets

    def _bases(
        self, codes: Codes, lengths: NDArray[np.int64] | None, generators: Generators
    ) -> tuple[NDArray[Any], Flags, Ids]:
        hidden = self._masked(codes.shape[1], generators)
        targets = np.where(hidden & (codes < N), codes.astype(np.int64), IGNORED)
        left = np.where(hidden, np.uint8(N), codes)
        batch = self.tokenizer.from_codes(left, lengths, padding=True)
        mask = np.asarray(batch["attention_mask"], np.bool_)
        width = mask.shape[1]
        return batch["input_values"], mask, np.where(mask, targets[:, :width], IGNORED)

    def _masked(self, n: int, generators: Generators) -> Flags:
        """Draw runs of `run` tokens, so that each token is masked with probability `rate`."""
        begins = 1 - (1 - self.rate) ** (1 / self.run)
        draws = np.stack([g.random(n + self.run - 1) for g in generators]) < begins
        # Runs may begin before the first token: those at the ends are masked as often as others.
        before = np.pad(np.cumsum(draws, axis=1), ((0, 0), (1, 0)))
        masked: Flags = before[:, self.run :] > before[:, : -self.run]
        return masked


def _deep_inside(masked: Flags, reach: int) -> Flags:
    """Tokens with nothing but masked ones, or none, up to `reach` to both sides."""
    n = masked.shape[1]
    visible = np.pad(np.cumsum(~masked, axis=1), ((0, 0), (1, 0)))  # before each token
    place = np.arange(n)
    first, end = np.maximum(place - reach, 0), np.minimum(place + reach + 1, n)
    inside: Flags = visible[:, end] == visible[:, first]
    return inside
