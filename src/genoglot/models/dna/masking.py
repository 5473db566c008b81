"""Masking for masked language models: which tokens are masked, and which ones are predicted.

Bases are masked in spans. Every token that overlaps a masked base is masked, and only tokens all
of whose bases are masked are predicted. So no visible token contains a base of a predicted token,
although k-mers overlap: a span of s bases masks s + k - 1 k-mers, and the s - k + 1 in their
middle are predicted. (Masked one by one, k-mers could be read off their neighbors; k masked k-mers
in a row, as in DNABERT (Ji et al. 2021), leave a single base to predict.) Tokens that lie side by
side, patches and byte pairs, are masked whole, and all masked ones are predicted. Where byte pairs
begin and end is visible, and depends a little on the masked bases: that is accepted.

A masked token is always [MASK] (for one-hot DNA: zero, as N is). BERT replaces some tokens by
random ones and leaves some as they are, so that fine-tuning, which has no [MASK], finds the model
prepared. But a k-mer that is left as it is reveals its neighbors, a random one fits none of them,
and at such mask rates both cost more than they bring (Wettig et al. 2022).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genoglot.errors import ModelError
from genoglot.sequence import (
    DnaTokenizer,
    IdTokenizer,
    KmerTokenizer,
    OneHotTokenizer,
    PatchTokenizer,
)
from genoglot.sequence.alphabet import Codes, N
from genoglot.training.examples import Batch

Flags = NDArray[np.bool_]
Ids = NDArray[np.int64]
Generators = list[np.random.Generator]

IGNORED = -100  # target of tokens that are not predicted, as in torch's cross-entropy
ONE_HOT_SPAN = 4


class Masker:
    """Masks spans of bases and makes batches for a masked language model.

    Parameters
    ----------
    tokenizer
        The tokenizer.
    rate
        Fraction of the tokens (one-hot: of the bases) that are masked, between 0 and 1.
    span
        Number of neighboring bases (byte pairs: tokens) that are masked together. By default 2 k
        for k-mers, one patch, one byte pair, 4 one-hot bases. For patches it is rounded to whole
        ones.

    Raises
    ------
    ModelError
        If the rate or the span is out of range: a span shorter than k masks no k-mer.
    """

    def __init__(
        self, tokenizer: DnaTokenizer, *, rate: float = 0.3, span: int | None = None
    ) -> None:
        if not 0 < rate < 1:
            raise ModelError(f"the mask rate is {rate}; give a fraction between 0 and 1")
        if span is not None and span < 1:
            raise ModelError(f"the span is {span}; give at least 1")
        self.tokenizer, self.rate = tokenizer, rate
        self.reach = 0  # largest distance of tokens that overlap
        self._known: Flags | None = None
        if isinstance(tokenizer, OneHotTokenizer):
            self.run = span or ONE_HOT_SPAN
            return
        assert isinstance(tokenizer, IdTokenizer)
        self._known = tokenizer.of_dna
        if isinstance(tokenizer, KmerTokenizer):
            k = tokenizer.k
            if span is not None and span < k:
                raise ModelError(f"the span is {span}, which masks no {k}-mer; give at least {k}")
            self.reach, self.run = k - 1, (span or 2 * k) + k - 1
        else:
            width = tokenizer.k if isinstance(tokenizer, PatchTokenizer) else 1
            self.run = max(round((span or width) / width), 1)

    def __call__(
        self, codes: Codes, lengths: NDArray[np.int64] | None, generators: Generators
    ) -> Batch:
        """Tokenize and mask.

        Parameters
        ----------
        codes
            A C G T N = 0 1 2 3 4, uint8 (batch, length).
        lengths
            Length of each sequence in bp, int64 (batch,); None: all columns count.
        generators
            One for each sequence, from which its mask is drawn.

        Returns
        -------
        dict
            `inputs`: token ids (batch, tokens) int64, or one-hot values (batch, 4, bases) float32.
            `mask`: (batch, tokens or bases) bool, False for padding; missing if there is none.
            `targets`: (batch, tokens or bases) int64, id of the token or code of the base to
            predict; `IGNORED` elsewhere.
        """
        if self._known is None:
            inputs, mask, targets = self._bases(codes, lengths, generators)
        else:
            inputs, mask, targets = self._tokens(codes, lengths, generators)
        batch = {"inputs": torch.from_numpy(inputs), "targets": torch.from_numpy(targets)}
        return batch if mask.all() else {**batch, "mask": torch.from_numpy(mask)}

    def _tokens(
        self, codes: Codes, lengths: NDArray[np.int64] | None, generators: Generators
    ) -> tuple[Ids, Flags, Ids]:
        assert isinstance(self.tokenizer, IdTokenizer) and self._known is not None
        batch = self.tokenizer.from_codes(codes, lengths, padding=True, add_special_tokens=False)
        ids, mask = batch["input_ids"], np.asarray(batch["attention_mask"], np.bool_)
        masked = self._masked(mask.shape[1], generators) & mask
        predicted = masked & self._known[ids] & _all_masked_around(masked | ~mask, self.reach)
        targets = np.where(predicted, ids, IGNORED)
        return np.where(masked, self.tokenizer.mask_token_id, ids), mask, targets

    def _bases(
        self, codes: Codes, lengths: NDArray[np.int64] | None, generators: Generators
    ) -> tuple[NDArray[Any], Flags, Ids]:
        masked = self._masked(codes.shape[1], generators)
        targets = np.where(masked & (codes < N), codes.astype(np.int64), IGNORED)
        visible = np.where(masked, np.uint8(N), codes)
        batch = self.tokenizer.from_codes(visible, lengths, padding=True)
        mask = np.asarray(batch["attention_mask"], np.bool_)
        width = mask.shape[1]
        return batch["input_values"], mask, np.where(mask, targets[:, :width], IGNORED)

    def _masked(self, n: int, generators: Generators) -> Flags:
        """Draw runs of `run` tokens, so that each token is masked with probability `rate`."""
        p_start = 1 - (1 - self.rate) ** (1 / self.run)
        draws = np.stack([g.random(n + self.run - 1) for g in generators]) < p_start
        # Runs may start before the first token: tokens at the ends are masked as often as others.
        before = np.pad(np.cumsum(draws, axis=1), ((0, 0), (1, 0)))
        masked: Flags = before[:, self.run :] > before[:, : -self.run]
        return masked


def _all_masked_around(masked: Flags, reach: int) -> Flags:
    """Tokens whose neighbors up to the distance `reach` are all masked, or do not exist."""
    n = masked.shape[1]
    visible = np.pad(np.cumsum(~masked, axis=1), ((0, 0), (1, 0)))  # before each token
    position = np.arange(n)
    first, end = np.maximum(position - reach, 0), np.minimum(position + reach + 1, n)
    inside: Flags = visible[:, end] == visible[:, first]
    return inside
