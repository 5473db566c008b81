"""Seq2regions of Fay et al. 2024: a transformer reads a text and decodes regions one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.atlas import Atlas
from genoglot.models.text_to_regions.network_generator import (
    NetworkGenerator,
    NetworkSettings,
    region_ids,
)
from genoglot.models.text_to_regions.set_decoder import SetDecoder
from genoglot.models.universe_model import SetRows
from genoglot.nn.attention import EncoderLayer
from genoglot.nn.decoder import Decoder, DecoderState
from genoglot.nn.positions import Sinusoidal
from genoglot.saved import Saved
from genoglot.text import WordPiece
from genoglot.training.examples import Batch

MAX_TEXT = 512  # maximum number of WordPiece tokens
VOCABULARY = "tokenizer.json"


class PublishedSeq2RegionsSettings(NetworkSettings):
    """Settings of a `PublishedSeq2Regions`.

    Attributes
    ----------
    dim
        Width of encoder and decoder.
    heads
        Number of attention heads of each layer.
    layers
        Number of layers of the encoder, and of the decoder.
    rank
        Length of the vector of a region.
    set_tokens
        Maximum number of regions of a set in a training step, sampled each time.
    negatives
        Number of wrong regions that are sampled in each step; if the universe is not larger, the
        softmax is exact.
    """

    learning_rate: PositiveFloat = 3e-4
    dim: PositiveInt = 512
    heads: PositiveInt = 8
    layers: PositiveInt = 2
    rank: PositiveInt = 64
    set_tokens: PositiveInt = 512
    negatives: PositiveInt = 8192


class PublishedSeq2Regions(SetDecoder, NetworkGenerator):
    """The transformer of Fay et al. 2024, as the paper describes it.

    WordPiece tokens of the text (at most 512) with sinusoidal positions -> encoder; decoder of
    width 512 over 512 regions sampled from a set, without positions, since a set has no order;
    cross-entropy over the universe, Adam. A million outputs at 512 positions do not fit into
    memory. So the softmax is over the right region and a random sample of others (Jean et al.
    2015), and input and output have the same region vectors, which are of low rank. That, the
    numbers of layers and heads, and the bias of the output, which starts as popularity, are ours.

    Parameters
    ----------
    **settings
        Fields of `PublishedSeq2RegionsSettings`.
    """

    model_type = "seq2regions-published"
    settings_class = PublishedSeq2RegionsSettings
    settings: PublishedSeq2RegionsSettings
    network: PublishedTransformer

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Make the network, with popularity as the bias of its output."""
        self.wordpiece = WordPiece()
        super().prepare(atlas, rows)
        regions = torch.from_numpy(atlas.presence(rows).indices)
        counts = torch.bincount(regions, minlength=len(self.universe))
        # A training as short as the published one would not even learn which regions are popular.
        with torch.no_grad():
            self.network.bias.copy_((counts + 0.1).log())

    def _new_network(self) -> PublishedTransformer:
        words, regions, s = self.wordpiece.vocabulary, len(self.universe), self.settings
        return PublishedTransformer(words, regions, s.dim, s.heads, s.layers, s.rank)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Tokenize texts by WordPiece: int64 (texts, length), 0 for padding."""
        return torch.from_numpy(self.wordpiece(texts, MAX_TEXT))

    def loss(self, batch: Batch) -> Tensor:
        """Compute the cross-entropy of each region, given the text and the regions before it."""
        target = sample_regions(region_ids(batch), self.settings.set_tokens).to(self.device)
        if not target.numel():  # only empty sets
            return 0 * self.network.begin.sum()
        source = self.network.read(batch["vectors"])
        mask = target >= 0  # (batch, length)
        hidden = self.network(target[:, :-1].clamp(min=0), source)[mask]  # (tokens, dim)
        return self.network.cross_entropy(hidden, target[mask], self.settings.negatives)

    def _start(self, texts: Sequence[str]) -> tuple[Tensor, DecoderState]:
        source = self.network.read(self.encode(texts).to(self.device))
        begin = self.network.begin.expand(len(texts), -1)
        return self.network.decoder.step(begin, source, self.settings.set_tokens)

    def _next(self, ids: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        embedded = self.network.embed(ids.to(self.device))
        return self.network.decoder.step(embedded, state, self.settings.set_tokens)

    def _next_logits(self, hidden: Tensor, state: DecoderState, regions: slice | Tensor) -> Tensor:
        return self.network.logits(hidden, regions)

    def _select(self, state: DecoderState, rows: Tensor) -> DecoderState:
        return state.select(rows)

    def _write(self, folder: Path) -> None:
        super()._write(folder)
        self.wordpiece.save(folder / VOCABULARY)

    def _restore(self, saved: Saved) -> None:
        self.wordpiece = WordPiece(saved.folder / VOCABULARY)
        super()._restore(saved)


class PublishedTransformer(nn.Module):
    """Text encoder and region decoder.

    Parameters
    ----------
    words
        Size of the vocabulary of the text.
    regions
        Number of regions of the universe.
    dim, heads, layers, rank
        As in `PublishedSeq2RegionsSettings`.
    """

    def __init__(
        self, words: int, regions: int, dim: int, heads: int, layers: int, rank: int
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(words, dim, padding_idx=0)
        self.positions = Sinusoidal(MAX_TEXT, dim)
        self.encoder = nn.ModuleList(EncoderLayer(dim, heads) for _ in range(layers))
        self.encoder_norm = nn.LayerNorm(dim)
        self.decoder = Decoder(dim, heads, layers)
        self.vectors = nn.Parameter(0.1 * torch.randn(regions, rank))
        self.bias = nn.Parameter(torch.zeros(regions))
        self.begin = nn.Parameter(torch.zeros(dim))
        self.input, self.output = nn.Linear(rank, dim), nn.Linear(dim, rank)

    def read(self, tokens: Tensor) -> DecoderState:
        """Encode texts for the decoder: (batch, length) token ids, 0 for padding."""
        mask = tokens != 0
        hidden = self.positions(self.words(tokens))
        for layer in self.encoder:
            hidden = layer(hidden, mask).values
        return self.decoder.start(self.encoder_norm(hidden), mask)

    def embed(self, ids: Tensor) -> Tensor:
        """Compute the input of the decoder for regions: (...) ids -> (..., dim)."""
        embedded: Tensor = self.input(self.vectors[ids])
        return embedded

    def forward(self, ids: Tensor, source: DecoderState) -> Tensor:
        """Compute hidden states before each region and after the last one.

        Parameters
        ----------
        ids
            Universe ids, (batch, n).
        source
            Encoded texts.

        Returns
        -------
        Tensor
            (batch, n + 1, dim).
        """
        begin = self.begin.expand(len(ids), 1, -1)
        hidden: Tensor = self.decoder(torch.cat([begin, self.embed(ids)], 1), source)
        return hidden

    def logits(self, hidden: Tensor, regions: slice | Tensor) -> Tensor:
        """Compute the logits of some regions: (..., dim) -> (..., regions)."""
        logits: Tensor = self.output(hidden) @ self.vectors[regions].T + self.bias[regions]
        return logits

    def cross_entropy(self, hidden: Tensor, target: Tensor, negatives: int) -> Tensor:
        """Compute the cross-entropy over all regions, or estimate it from a sample of wrong ones.

        Parameters
        ----------
        hidden
            Hidden states, (tokens, dim).
        target
            Universe id of the right region, (tokens,).
        negatives
            Number of regions that are sampled uniformly, the same for all tokens. Each of them
            represents `regions / negatives` regions.

        Returns
        -------
        Tensor
            Mean over the tokens, a scalar.
        """
        regions = len(self.bias)
        if regions <= negatives:
            return F.cross_entropy(self.logits(hidden, slice(None)), target)
        wrong = torch.randint(regions, (negatives,), device=target.device)
        point: Tensor = self.output(hidden)
        right = (point * self.vectors[target]).sum(1) + self.bias[target]
        others = point @ self.vectors[wrong].T + self.bias[wrong]
        others = others + float(np.log((regions - 1) / negatives))
        others = others.masked_fill(wrong == target[:, None], float("-inf"))
        return (torch.cat([right[:, None], others], 1).logsumexp(1) - right).mean()


def sample_regions(sets: Sequence[NDArray[np.int32]], maximum: int) -> Tensor:
    """Sample regions from each set without replacement, in random order.

    Parameters
    ----------
    sets
        Universe ids of each set.
    maximum
        Maximum number of regions of a set; a smaller set gives all its regions.

    Returns
    -------
    Tensor
        int64 (sets, length of the longest sample), -1 for padding.
    """
    rows = [torch.from_numpy(ids)[torch.randperm(len(ids))[:maximum]].long() for ids in sets]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
