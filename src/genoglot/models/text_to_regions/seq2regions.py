"""Seq2regions: a transformer reads a text and decodes regions, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.atlas import Atlas
from genoglot.models.text_to_regions.direct import log_odds
from genoglot.models.text_to_regions.generator import Ids, Scores, best
from genoglot.models.text_to_regions.network_generator import (
    NetworkGenerator,
    NetworkSettings,
    region_ids,
)
from genoglot.models.text_to_regions.retrieval import (
    MemoryGenerator,
    MemoryNetwork,
    MemorySettings,
    TextMemory,
    membership,
    spread,
)
from genoglot.models.text_to_regions.set_decoder import SetDecoder
from genoglot.models.universe_model import SetRows
from genoglot.nn.attention import EncoderLayer
from genoglot.nn.decoder import Decoder, DecoderState
from genoglot.nn.positions import Sinusoidal
from genoglot.saved import Saved
from genoglot.text import WordPiece
from genoglot.threads import one_thread
from genoglot.training.examples import Batch

MAX_TEXT = 512


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
        Length of a region's vector.
    set_tokens
        Number of regions drawn from a set each time it is seen.
    drawn
        Number of wrong regions drawn in each step; the softmax is exact if the universe is not
        larger.
    """

    learning_rate: PositiveFloat = 3e-4
    dim: PositiveInt = 512
    heads: PositiveInt = 8
    layers: PositiveInt = 2
    rank: PositiveInt = 64
    set_tokens: PositiveInt = 512
    drawn: PositiveInt = 8192


class PublishedSeq2Regions(SetDecoder, NetworkGenerator):
    """The transformer of Fay et al. 2024, as it is described there.

    WordPiece tokens of the text (at most 512) with sinusoidal positions -> encoder; decoder of
    width 512 over 512 regions drawn from a set, without positions, since a set has no order;
    cross-entropy over the universe, Adam. A million outputs at 512 positions do not fit into
    memory: the softmax is over regions drawn at random beside the right one (Jean et al. 2015),
    and input and output share region vectors of low rank. That, the layers, the heads and the
    output's bias, which starts from popularity, are ours.

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
        """Make the network."""
        self.universe = atlas.universe
        self.wordpiece = WordPiece()
        presence = atlas.presence(rows)
        self.set_size = presence.nnz / max(1, presence.shape[0])
        torch.manual_seed(self.settings.seed)
        self.network = self._transformer(len(self.universe))
        # So short a training would not even learn which regions are popular.
        held = torch.bincount(torch.from_numpy(presence.indices), minlength=len(self.universe))
        with torch.no_grad():
            self.network.bias.copy_((held + 0.1).log())

    def _transformer(self, regions: int) -> PublishedTransformer:
        words, s = self.wordpiece.vocabulary, self.settings
        return PublishedTransformer(words, regions, s.dim, s.heads, s.layers, s.rank)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """WordPiece tokens: (texts, length) int64, 0 where there is none."""
        return torch.from_numpy(self.wordpiece(texts, MAX_TEXT))

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy of each region, given the text and the regions drawn before it."""
        device = batch["vectors"].device
        target = drawn_regions(region_ids(batch), self.settings.set_tokens).to(
            device
        )  # (batch, length)
        if not target.numel():  # only empty sets
            return 0 * self.network.begin.sum()
        source = self.network.read(batch["vectors"])
        hidden = self.network(target[:, :-1].clamp(min=0), source)[target >= 0]  # (tokens, dim)
        return self.network.cross_entropy(hidden, target[target >= 0], self.settings.drawn)

    def _start(self, texts: Sequence[str]) -> tuple[Tensor, DecoderState]:
        source = self.network.read(self.encode(texts).to(self.device))
        begin = self.network.begin.expand(len(texts), -1)
        return self.network.decoder.step(begin, source, self.settings.set_tokens)

    def _next(self, ids: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        embedded = self.network.embed(ids.to(self.device))
        return self.network.decoder.step(embedded, state, self.settings.set_tokens)

    def _logits_of(self, hidden: Tensor, state: DecoderState, regions: slice | Tensor) -> Tensor:
        return self.network.logits(hidden, regions)

    def _reordered(self, state: DecoderState, rows: Tensor) -> DecoderState:
        return state.select(rows)

    def _metadata(self) -> dict[str, Any]:
        return {**super()._metadata(), "set_size": self.set_size}

    def _write(self, folder: Path) -> None:
        super()._write(folder)
        self.wordpiece.save(folder / "tokenizer.json")

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        self = super()._load(saved)
        self.wordpiece = WordPiece(saved.folder / "tokenizer.json")
        self.set_size = saved.config["set_size"]
        self._load_network(self._transformer(len(self.universe)), saved)
        return self


class PublishedTransformer(nn.Module):
    """Text encoder and region decoder.

    Parameters
    ----------
    words, regions
        Sizes of the two vocabularies.
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
        self.enter, self.leave = nn.Linear(rank, dim), nn.Linear(dim, rank)

    def read(self, tokens: Tensor) -> DecoderState:
        """Encode texts for the decoder: (batch, length) token ids, 0 for padding."""
        mask = tokens != 0
        hidden = self.positions(self.words(tokens))
        for layer in self.encoder:
            hidden = layer(hidden, mask).values
        return self.decoder.start(self.encoder_norm(hidden), mask)

    def embed(self, ids: Tensor) -> Tensor:
        """Input of the decoder for regions: (...) ids -> (..., dim)."""
        embedded: Tensor = self.enter(self.vectors[ids])
        return embedded

    def forward(self, ids: Tensor, source: DecoderState) -> Tensor:
        """Hidden states before each of the regions and after the last: (batch, n + 1, dim)."""
        begin = self.begin.expand(len(ids), 1, -1)
        hidden: Tensor = self.decoder(torch.cat([begin, self.embed(ids)], 1), source)
        return hidden

    def logits(self, hidden: Tensor, regions: slice | Tensor) -> Tensor:
        """(..., dim) -> (..., regions)."""
        logits: Tensor = self.leave(hidden) @ self.vectors[regions].T + self.bias[regions]
        return logits

    def cross_entropy(self, hidden: Tensor, target: Tensor, drawn: int) -> Tensor:
        """Cross-entropy over all regions, or an estimate from `drawn` wrong ones.

        Parameters
        ----------
        hidden
            (tokens, dim).
        target
            (tokens,) ids.
        drawn
            Regions drawn uniformly at random, the same for all tokens; each stands for
            `regions / drawn` others.
        """
        regions = len(self.bias)
        if regions <= drawn:
            return F.cross_entropy(self.logits(hidden, slice(None)), target)
        wrong = torch.randint(regions, (drawn,), device=target.device)
        point: Tensor = self.leave(hidden)
        right = (point * self.vectors[target]).sum(1) + self.bias[target]
        others = point @ self.vectors[wrong].T + self.bias[wrong]
        others = others + float(np.log((regions - 1) / drawn))
        others = others.masked_fill(wrong == target[:, None], float("-inf"))
        return (torch.cat([right[:, None], others], 1).logsumexp(1) - right).mean()


def drawn_regions(sets: Sequence[NDArray[np.int32]], most: int) -> Tensor:
    """Draw from each set `most` regions at random, or all, in random order.

    Returns
    -------
    (sets, length of the longest) int64, -1 where there is none.
    """
    rows = [torch.from_numpy(ids)[torch.randperm(len(ids))[:most]].long() for ids in sets]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)


class SetNetwork(MemoryNetwork):
    """A decoder whose text side is what the text reads from memory.

    The logits of the first region are those of `text2bed`, a weighted sum of the codes that were
    read; to those of a later one is added what the decoder makes of the regions before it.

    Parameters
    ----------
    memory
        From text to codes; the last of them is popularity, which is no part of the sum.
    heads
        How many the others are.
    region_scale
        (rank,) standard deviation of the region factors.
    dim, decoder_heads, layers
        Of the decoder.
    """

    code_scale: Tensor
    region_scale: Tensor

    def __init__(
        self, memory: TextMemory, *, heads: int, region_scale: Tensor, dim: int,
        decoder_heads: int, layers: int,
    ) -> None:  # fmt: skip
        super().__init__(memory)
        self.register_buffer("code_scale", spread(memory.attention.codes))
        self.register_buffer("region_scale", region_scale)
        rank = len(region_scale)
        self.head_weight = nn.Parameter(torch.full((heads,), 2.0))
        self.popularity_weight = nn.Parameter(torch.ones(1))
        self.which_head = nn.Parameter(0.1 * torch.randn(heads, dim))
        self.enter_code, self.enter_region = nn.Linear(rank, dim), nn.Linear(rank, dim)
        self.decoder = Decoder(dim, decoder_heads, layers)
        self.leave = nn.Linear(dim, rank, bias=False)
        nn.init.zeros_(self.leave.weight)

    def source(self, codes: Tensor) -> DecoderState:
        """Make the codes read, (batch, heads + 1, rank), what the decoder attends to."""
        told = codes[:, :-1] / self.code_scale
        return self.decoder.start(self.enter_code(told) + self.which_head)

    def embed(self, factors: Tensor) -> Tensor:
        """Input of the decoder for regions: factors (..., rank) -> (..., dim)."""
        embedded: Tensor = self.enter_region(factors / self.region_scale)
        return embedded

    def forward(self, factors: Tensor, source: DecoderState) -> Tensor:
        """Hidden states before the first region, zero, and after each: (batch, n, rank) -> n + 1.

        A decoder that speaks before it knows a region learns the training sets by heart: average
        precision on real peaks is 0.52 without and 0.47 with it.
        """
        return F.pad(self.decoder(self.embed(factors), source), (0, 0, 1, 0))

    def before(self, texts: int) -> Tensor:
        """Hidden states before the first region: (texts, dim)."""
        return torch.zeros(texts, self.leave.in_features)

    def next_logits(self, codes: Tensor, hidden: Tensor, factors: Tensor, share: Tensor) -> Tensor:
        """Logits of the next region.

        Parameters
        ----------
        codes, factors, share
            As in `MemoryNetwork.logits`.
        hidden
            (batch, n, dim), of the decoder.

        Returns
        -------
        (batch, n, regions).
        """
        popular = log_odds((codes[:, -1] @ factors.T + share).clamp(0, 1))
        told = self.points(codes, hidden) @ factors.T
        logits: Tensor = told + self.popularity_weight * popular[:, None]
        return logits

    def points(self, codes: Tensor, hidden: Tensor) -> Tensor:
        """Where among the factors the next region is sought: (batch, n, rank)."""
        point = torch.einsum("bhe,h->be", codes[:, :-1], self.head_weight)
        points: Tensor = point[:, None] + self.leave(hidden) * self.code_scale
        return points

    def logits(self, codes: Tensor, factors: Tensor, share: Tensor) -> Tensor:
        """Logits of the first region: see `MemoryNetwork`."""
        hidden = self.before(len(codes))[:, None].to(codes.device)
        return self.next_logits(codes, hidden, factors, share)[:, 0]


class Seq2RegionsSettings(MemorySettings):
    """Settings of a `Seq2Regions`.

    Attributes
    ----------
    dim
        Width of the decoder.
    decoder_heads
        Number of attention heads of each layer of the decoder.
    layers
        Number of layers of the decoder.
    set_tokens
        Number of regions drawn from a set each time it is seen, and how far back decoding looks.
    """

    dim: PositiveInt = 128
    decoder_heads: PositiveInt = 4
    layers: PositiveInt = 2
    set_tokens: PositiveInt = 32


class Seq2Regions(SetDecoder, MemoryGenerator):
    """Seq2regions, better: the text side reads from the memory of described sets.

    Regions go in and come out as their factors. Trained with the cross-entropy of all regions that
    are still to come, not of one of them drawn at random, so that the order of a set means nothing.

    Parameters
    ----------
    **settings
        Fields of `Seq2RegionsSettings`.
    """

    model_type = "seq2regions"
    settings_class = Seq2RegionsSettings
    settings: Seq2RegionsSettings
    network: SetNetwork

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Fit text features, region factors and ridge regressions; make the network."""
        presence = atlas.presence(rows)
        self.set_size = presence.nnz / max(1, presence.shape[0])
        super().prepare(atlas, rows)

    def _network(self, memory: TextMemory) -> SetNetwork:
        s = self.settings
        return SetNetwork(
            memory, heads=2 * s.heads + 1, region_scale=spread(self.factors), dim=s.dim,
            decoder_heads=s.decoder_heads, layers=s.layers,
        )  # fmt: skip

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy of the regions still to come, among regions drawn at random.

        The first position, by which regions are ranked, weighs as much as all others together.
        """
        device, network = batch["vectors"].device, self.network
        prefix = drawn_regions(region_ids(batch), self.settings.set_tokens)
        regions = self._candidates[
            torch.randint(len(self._candidates), (self.settings.regions_per_step,))
        ]
        held = torch.from_numpy(membership(region_ids(batch), regions.numpy())).to(device).bool()
        before = self.factors[prefix.clamp(min=0)].to(device)
        factors, share = self._region_factors(regions)
        prefix, regions = prefix.to(device), regions.to(device)
        given = (prefix[:, :, None] == regions).cumsum(1).bool()
        given = F.pad(given, (0, 0, 1, 0))  # none before the first: (batch, n + 1, regions)
        there = F.pad(prefix >= 0, (1, 0), value=True)  # (batch, n + 1)
        codes = self._read(batch)
        hidden = network(before, network.source(codes))
        logits = network.next_logits(codes, hidden, factors, share)
        log_p = logits.masked_fill(given, float("-inf")).log_softmax(2)
        target = held[:, None] & ~given
        told = torch.where(target, log_p, 0).sum(2) / target.sum(2).clamp(min=1)
        there &= target.any(2)
        first, later = told[:, :1], told[:, 1:]
        return -(mean_where(first, there[:, :1]) + mean_where(later, there[:, 1:])) / 2

    @torch.inference_mode()
    def top(self, text: str, n: int) -> tuple[Ids, Scores]:
        """Ids and scores of the `n` best regions, best first."""
        with one_thread():
            hidden, (codes, _) = self._start([text])
            point = self.network.points(codes, hidden[:, None])[0, 0]
            factors = self.factors.numpy()  # times a vector by numpy: see `direct`
            share = torch.from_numpy(factors @ codes[0, -1].cpu().numpy() + self.share)
            popular = self.network.popularity_weight.cpu() * log_odds(share.clamp_(0, 1))
            logits = torch.from_numpy(factors @ point.cpu().numpy()) + popular
            ids = best(logits.numpy(), n)
            log_p = logits[torch.from_numpy(ids).long()] - logits.logsumexp(0)
        return ids, -torch.expm1(-self.set_size * log_p.exp()).numpy()

    def _start(self, texts: Sequence[str]) -> tuple[Tensor, tuple[Tensor, DecoderState]]:
        codes = self.codes(texts)
        before = self.network.before(len(texts)).to(codes.device)
        return before, (codes, self.network.source(codes))

    def _next(
        self, ids: Tensor, state: tuple[Tensor, DecoderState]
    ) -> tuple[Tensor, tuple[Tensor, DecoderState]]:
        codes, source = state
        embedded = self.network.embed(self._region_factors(ids)[0])
        hidden, source = self.network.decoder.step(embedded, source, self.settings.set_tokens)
        return hidden, (codes, source)

    def _logits_of(
        self, hidden: Tensor, state: tuple[Tensor, DecoderState], regions: slice | Tensor
    ) -> Tensor:
        factors, share = self._region_factors(regions)
        return self.network.next_logits(state[0], hidden[:, None], factors, share)[:, 0]

    def _reordered(
        self, state: tuple[Tensor, DecoderState], rows: Tensor
    ) -> tuple[Tensor, DecoderState]:
        return state[0][rows], state[1].select(rows)

    def _metadata(self) -> dict[str, Any]:
        return {**super()._metadata(), "set_size": self.set_size}

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        self = super()._load(saved)
        self.set_size = saved.config["set_size"]
        return self


def mean_where(values: Tensor, there: Tensor) -> Tensor:
    """Mean of the values that are there, 0 if none is.

    Examples
    --------
    >>> mean_where(torch.tensor([1.0, 3.0, 8.0]), torch.tensor([True, True, False]))
    tensor(2.)
    """
    return torch.where(there, values, 0).sum() / there.sum().clamp(min=1)
