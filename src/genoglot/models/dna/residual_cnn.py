"""Residual CNN: known and learned motifs, residual convolutions, attentive pooling."""

from __future__ import annotations

from typing import Any, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.errors import ModelError
from genoglot.models.dna.cnn import one_hot_only
from genoglot.models.dna.sequence_encoder import Encoding, SequenceEncoder
from genoglot.nn.convolution import MotifConvolution, ResidualBlock
from genoglot.nn.seed import torch_seed
from genoglot.sequence import DnaTokenizer, OneHotTokenizer
from genoglot.sequence.motifs import jaspar
from genoglot.sequence.tokenizers.one_hot import CHANNELS
from genoglot.settings import Settings
from genoglot.training.examples import Batch

MOTIF_WIDTH = 19
"""Maximum number of positions of a motif; of a wider one those with most information are used."""


class ResidualCnnSettings(Settings):
    """Settings of a `ResidualCnn`.

    Attributes
    ----------
    width
        Number of channels.
    learned
        Number of learned convolutions in the first layer.
    kernel
        Width of the learned convolutions.
    motifs
        Whether the first layer scans for known motifs too.
    pool
        Width of the maximum pooling after the first layer, in positions.
    blocks
        Number of residual blocks.
    block_kernel
        Width of the convolutions of the blocks, an odd number.
    queries
        Number of weighted means over positions in the vector of a sequence.
    positions
        Number of bp from the start in which the position matters, as around a TSS: each position
        has a vector of its own, and a part of the vector of the sequence is computed from all
        positions. 0 if the position does not matter.
    dropout
        Dropout rate.
    seed
        Random seed of the weights.
    """

    width: int = Field(128, ge=1)
    learned: int = Field(64, ge=1)
    kernel: int = Field(15, ge=1)
    motifs: bool = True
    pool: int = Field(3, ge=1)
    blocks: int = Field(3, ge=0)
    block_kernel: int = Field(5, ge=1)
    queries: int = Field(4, ge=0)
    positions: int = Field(0, ge=0)
    dropout: float = Field(0.2, ge=0, lt=1)
    seed: int = Field(0, ge=0)


class ResidualCnn(SequenceEncoder):
    """Convolutional encoder whose first layer contains the motifs of JASPAR.

    Its first layer has learned convolutions and the sites of the 579 motifs of JASPAR 2018 (the
    better strand of each), which are not trained: a few thousand sequences are not enough to learn
    them. Residual convolutions follow, on every third position. The vector of a sequence is the
    maximum and the mean over positions, and several weighted means.

    Parameters
    ----------
    tokenizer
        One-hot, with the channels A C G T (the default).
    **settings
        Fields of `ResidualCnnSettings`; the others have their defaults.

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

    model_type = "residual-cnn"
    settings_class = ResidualCnnSettings
    settings: ResidualCnnSettings

    def __init__(self, tokenizer: DnaTokenizer | None = None, **settings: Any) -> None:
        super().__init__(one_hot_only(tokenizer, "residual CNN"), **settings)
        if tokenizer is not None and cast(OneHotTokenizer, tokenizer).channels != CHANNELS:
            raise ModelError(f"residual CNN reads its channels in the order {CHANNELS}")
        s = self.settings
        self.dim, self.token_dim = (2 + s.queries + bool(s.positions)) * s.width, s.width
        with torch_seed(s.seed):
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
            self.positions = None
            if s.positions:
                self.positions = nn.Parameter(torch.zeros(s.width, -(-s.positions // s.pool)))
                self.connect = nn.Linear(self.positions.numel(), s.width)
            self.blocks = nn.ModuleList(
                ResidualBlock(s.width, s.block_kernel, s.dropout) for _ in range(s.blocks)
            )
            self.last = nn.Sequential(nn.BatchNorm1d(s.width), nn.GELU())
            self.weigh = nn.Conv1d(s.width, s.queries, 1) if s.queries else None
        self.rectify = nn.ReLU()

    def forward(self, batch: Batch) -> Encoding:
        """Encode a batch from `tokenize`."""
        values, mask = batch["inputs"], batch.get("mask")
        if mask is not None:
            values = values * mask[:, None]
        sites = [self.rectify(self.learned(values))]
        if self.scan is not None:
            sites.append(self.scan(values))
        if mask is not None:  # values are rectified, so that the 0 of padding is never above others
            sites = [part * mask[:, None] for part in sites]
        # Pooled separately: the scan has no gradient, so that positions of maxima are not stored.
        x = self.first(torch.cat([self._pooled(part) for part in sites], 1))
        if mask is not None:
            mask = self._pooled(mask[:, None].float()) > 0  # (batch, 1, positions)
        if self.positions is not None:
            x = x + _as_long(self.positions, x.shape[2])
        for block in self.blocks:
            x = block(x, mask)
        x = self.last(x)
        sequence = torch.cat(self._summaries(x, mask), 1)
        return Encoding(sequence, x.transpose(1, 2), None if mask is None else mask[:, 0])

    def _summaries(self, x: Tensor, mask: Tensor | None) -> list[Tensor]:
        """Compute maximum, mean and weighted means over positions, (batch, ...) each."""
        weights = None if self.weigh is None else self.weigh(x)
        if mask is None:
            summaries = [x.amax(2), x.mean(2)]
        else:
            summaries = [x.masked_fill(~mask, -torch.inf).amax(2)]
            summaries.append((x * mask).sum(2) / mask.sum(2))
            weights = None if weights is None else weights.masked_fill(~mask, -torch.inf)
        if weights is not None:
            summaries.append(torch.einsum("bqn,bcn->bqc", weights.softmax(2), x).flatten(1))
        if self.positions is not None:
            all_positions = _as_long(x if mask is None else x * mask, self.positions.shape[1])
            summaries.append(F.gelu(self.connect(all_positions.flatten(1))))
        return summaries

    def _pooled(self, x: Tensor) -> Tensor:
        return F.max_pool1d(x, self.settings.pool, ceil_mode=True)


def _as_long(x: Tensor, length: int) -> Tensor:
    """Cut the last dimension to a length, or pad it with 0."""
    return F.pad(x[..., :length], (0, max(length - x.shape[-1], 0)))
