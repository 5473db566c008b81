"""Residual CNN: known and learned motifs, residual convolutions, attentive pooling."""

from __future__ import annotations

from typing import Any, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.errors import ModelError
from genoglot.models.dna.cnn_fc import one_hot_only
from genoglot.models.dna.sequence_encoder import SequenceEncoder, Vectors, seeded
from genoglot.models.settings import Settings
from genoglot.nn.convolution import MotifConvolution, ResidualBlock
from genoglot.sequence import DnaTokenizer, OneHotTokenizer
from genoglot.sequence.motifs import jaspar
from genoglot.sequence.tokenizers.one_hot import CHANNELS

MOTIF_WIDTH = 19
"""Maximum number of positions of a motif; of a wider one those with most information are used."""


class ResidualCnnSettings(Settings):
    """Settings of a `ResidualCnn`."""

    width: int = Field(128, ge=1)
    learned: int = Field(64, ge=1)
    kernel: int = Field(15, ge=1)
    motifs: bool = True
    pool: int = Field(3, ge=1)
    blocks: int = Field(3, ge=0)
    block_kernel: int = Field(5, ge=1)
    queries: int = Field(4, ge=0)
    places: int = Field(0, ge=0)
    dropout: float = Field(0.2, ge=0, lt=1)
    seed: int = Field(0, ge=0)


class ResidualCnn(SequenceEncoder):
    """Convolutional encoder that knows the motifs of JASPAR from the start.

    Its first layer has `learned` convolutions and the sites of the 579 motifs of JASPAR 2018 (the
    better strand of each), which are not trained: with some thousand sequences to learn from, most
    of what there is to know of factors' sites is not in them. Residual convolutions follow, on
    every third position. The vector of a sequence is the maximum and the mean over positions, and
    `queries` means that are weighted by what stands at a position.

    Parameters
    ----------
    tokenizer
        One-hot, in the order A C G T (the default).
    **settings
        Those of `ResidualCnnSettings`: `width` (channels), `learned` (convolutions beside the
        motifs) and their `kernel`, `motifs` (whether to scan for them), `pool` (positions of which
        the maximum is kept), `blocks` and their `block_kernel` (odd), `queries`, `places`
        (bp from the start in which it matters where something stands, as around a TSS: each place
        has a vector of its own, and a part of the sequence's vector is all of them, connected; 0:
        it does not matter), `dropout`, `seed` (of the weights).

    Raises
    ------
    ModelError
        If a setting is unknown, or the tokenizer is not one-hot.

    Examples
    --------
    >>> from genoglot.sequence import stack_codes
    >>> encoder = ResidualCnn(width=8, learned=4, queries=2)
    >>> encoder.embed(*stack_codes(["ACGTACGTACGT", "ACGTAC"])).shape
    (2, 32)
    """

    kind = "residual-cnn"

    def __init__(self, tokenizer: DnaTokenizer | None = None, **settings: Any) -> None:
        super().__init__(one_hot_only(tokenizer, "residual CNN"))
        if tokenizer is not None and cast(OneHotTokenizer, tokenizer).channels != CHANNELS:
            raise ModelError(f"residual CNN reads its channels in the order {CHANNELS}")
        self.settings: ResidualCnnSettings = ResidualCnnSettings.of(settings, "residual CNN")
        s = self.settings
        self.dim, self.token_dim = (2 + s.queries + bool(s.places)) * s.width, s.width
        with seeded(s.seed):
            self.learned = nn.Conv1d(4, s.learned, s.kernel, padding="same")
            self.scan = None
            channels = s.learned
            if s.motifs:
                cores = [torch.from_numpy(motif.core(MOTIF_WIDTH)) for motif in jaspar()]
                self.scan = MotifConvolution(cores)
                channels += len(cores)
            self.first = nn.Sequential(
                nn.BatchNorm1d(channels), nn.Conv1d(channels, s.width, 1), nn.Dropout(s.dropout)
            )
            self.places = None
            if s.places:
                self.places = nn.Parameter(torch.zeros(s.width, -(-s.places // s.pool)))
                self.connect = nn.Linear(self.places.numel(), s.width)
            self.blocks = nn.ModuleList(
                ResidualBlock(s.width, s.block_kernel, s.dropout) for _ in range(s.blocks)
            )
            self.last = nn.Sequential(nn.BatchNorm1d(s.width), nn.GELU())
            self.weigh = nn.Conv1d(s.width, s.queries, 1) if s.queries else None

    def forward(self, inputs: Tensor, seen: Tensor | None = None) -> Vectors:
        """Encode what `tokenize` gave."""
        if seen is not None:
            inputs = inputs * seen[:, None]
        sites = [F.relu(self.learned(inputs))]
        if self.scan is not None:
            sites.append(self.scan(inputs))
        if seen is not None:  # rectified: 0 is never more than what it stands beside
            sites = [part * seen[:, None] for part in sites]
        # Pooled apart: no gradient, and so no place of a maximum, is kept of the scan.
        x = self.first(torch.cat([self._pooled(part) for part in sites], 1))
        there = None
        if seen is not None:
            there = self._pooled(seen[:, None].float()) > 0
            seen = there[:, 0]
        if self.places is not None:
            x = x + _as_long(self.places, x.shape[2])
        for block in self.blocks:
            x = block(x, there)
        x = self.last(x)
        return Vectors(torch.cat(self._told(x, there), 1), x.transpose(1, 2), seen)

    def _told(self, x: Tensor, there: Tensor | None) -> list[Tensor]:
        """Maximum, mean and weighted means over positions: (batch, ...) each."""
        weights = None if self.weigh is None else self.weigh(x)
        if there is None:
            told = [x.amax(2), x.mean(2)]
        else:
            told = [x.masked_fill(~there, -torch.inf).amax(2)]
            told.append((x * there).sum(2) / there.sum(2))
            weights = None if weights is None else weights.masked_fill(~there, -torch.inf)
        if weights is not None:
            told.append(torch.einsum("bqn,bcn->bqc", weights.softmax(2), x).flatten(1))
        if self.places is not None:
            all_of_it = _as_long(x if there is None else x * there, self.places.shape[1])
            told.append(F.gelu(self.connect(all_of_it.flatten(1))))
        return told

    def _pooled(self, x: Tensor) -> Tensor:
        return F.max_pool1d(x, self.settings.pool, ceil_mode=True)

    @classmethod
    def _make(cls, settings: dict[str, Any], tokenizer: DnaTokenizer) -> Self:
        return cls(tokenizer, **settings)


def _as_long(x: Tensor, length: int) -> Tensor:
    """Cut the last dimension to a length, or fill it up with 0."""
    return F.pad(x[..., :length], (0, max(length - x.shape[-1], 0)))
