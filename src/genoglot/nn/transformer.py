"""Encoder and decoder of a transformer (Vaswani et al. 2017), normalized before each part."""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head attention by torch's fused kernels.

    Parameters
    ----------
    dim
        Width of queries, keys and values.
    heads
        Number of heads; divides `dim`.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.out = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)

    def queries(self, x: Tensor) -> Tensor:
        """Make queries of what attends: (batch, m, dim) -> (batch, heads, m, head)."""
        batch, m, _ = x.shape
        queries: Tensor = self.query(x).view(batch, m, self.heads, -1)
        return queries.transpose(1, 2)

    def keys_values(self, source: Tensor) -> Tensor:
        """Keys and values of what is attended to: (batch, n, dim) -> (2, batch, heads, n, head)."""
        batch, n, _ = source.shape
        both: Tensor = self.key_value(source).view(batch, n, 2, self.heads, -1)
        return both.permute(2, 0, 3, 1, 4)

    def read(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None, *,
        causal: bool = False, scale: float | None = None,
    ) -> Tensor:  # fmt: skip
        """Attend by given queries, keys and values, each (batch, heads, m or n, head).

        Parameters
        ----------
        queries, keys, values
            As `queries` and `keys_values` make them, turned or shifted as may be.
        mask
            What fits (batch, heads, m, n): bool, true where a key is seen, or numbers to add to
            the logits.
        causal
            Query i sees keys 0 to i only.
        scale
            Of the logits; by default one over the root of the width of a head.

        Returns
        -------
        (batch, m, dim).
        """
        read = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=causal, scale=scale
        )
        attended: Tensor = self.out(read.transpose(1, 2).flatten(2))
        return attended

    def forward(
        self, query: Tensor, keys_values: Tensor, *, seen: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """Attend.

        Parameters
        ----------
        query
            (batch, m, dim).
        keys_values
            What `keys_values` gave.
        seen
            (batch, n) bool: which of the keys there are; the others are padding.
        causal
            Query i sees keys 0 to i only.

        Returns
        -------
        (batch, m, dim).
        """
        mask = None if seen is None else seen[:, None, None]
        keys, values = keys_values
        return self.read(self.queries(query), keys, values, mask, causal=causal)


def _feed_forward(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(),
                         nn.Linear(4 * dim, dim))  # fmt: skip


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward.

    Parameters
    ----------
    dim, heads
        As in `Attention`.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(dim), Attention(dim, heads)
        self.feed_forward = _feed_forward(dim)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """(batch, n, dim) -> the same; `seen` (batch, n) is false for padding."""
        normed = self.norm(x)
        x = x + self.attention(normed, self.attention.keys_values(normed), seen=seen)
        return cast(Tensor, x + self.feed_forward(x))


class DecoderLayer(nn.Module):
    """Causal self-attention, attention over a source, feed-forward.

    Parameters
    ----------
    dim, heads
        As in `Attention`.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(dim), Attention(dim, heads)
        self.source_norm, self.source_attention = nn.LayerNorm(dim), Attention(dim, heads)
        self.feed_forward = _feed_forward(dim)


class Source(NamedTuple):
    """What a decoder attends to, and what it has decoded so far.

    Attributes
    ----------
    keys_values
        Of the source, per layer: see `Attention.keys_values`.
    seen
        (batch, n) bool, or None if the source has no padding.
    past
        Keys and values of the positions decoded so far, per layer; empty at the start.
    """

    keys_values: list[Tensor]
    seen: Tensor | None
    past: list[Tensor]

    def of(self, rows: Tensor) -> Source:
        """Take some rows of the batch, as a beam search goes on with some of its beams."""
        return Source(
            [kv[:, rows] for kv in self.keys_values],
            None if self.seen is None else self.seen[rows],
            [kv[:, rows] for kv in self.past],
        )


class Decoder(nn.Module):
    """A stack of decoder layers, run over whole sequences or position by position.

    Parameters
    ----------
    dim, heads
        As in `Attention`.
    layers
        Their number.
    """

    def __init__(self, dim: int, heads: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)

    def source(self, source: Tensor, seen: Tensor | None = None) -> Source:
        """Prepare (batch, n, dim) to be attended to."""
        kv = [layer.source_attention.keys_values(source) for layer in self._layers()]
        return Source(kv, seen, [])

    def forward(self, x: Tensor, source: Source) -> Tensor:
        """Run over whole sequences, each position seeing those before it: (batch, m, dim)."""
        for layer, kv in zip(self._layers(), source.keys_values, strict=True):
            normed = layer.norm(x)
            own = layer.attention.keys_values(normed)
            x = x + layer.attention(normed, own, causal=True)
            x = x + layer.source_attention(layer.source_norm(x), kv, seen=source.seen)
            x = x + layer.feed_forward(x)
        return cast(Tensor, self.norm(x))

    def step(self, x: Tensor, source: Source, context: int) -> tuple[Tensor, Source]:
        """Run over one more position.

        Parameters
        ----------
        x
            (batch, dim).
        source
            From `source`, or from the step before.
        context
            How many of the latest positions, this one included, are seen.

        Returns
        -------
        (batch, dim), and the source with this position added.
        """
        x, past = x[:, None], []
        for i, (layer, kv) in enumerate(zip(self._layers(), source.keys_values, strict=True)):
            normed = layer.norm(x)
            own = layer.attention.keys_values(normed)
            if source.past:
                own = torch.cat([source.past[i], own], 3)[..., -context:, :]
            past.append(own)
            x = x + layer.attention(normed, own)
            x = x + layer.source_attention(layer.source_norm(x), kv, seen=source.seen)
            x = x + layer.feed_forward(x)
        return self.norm(x)[:, 0], source._replace(past=past)

    def _layers(self) -> list[DecoderLayer]:
        return cast(list[DecoderLayer], list(self.layers))


def sinusoids(length: int, dim: int) -> Tensor:
    """Sinusoidal position embeddings: (length, dim).

    Examples
    --------
    >>> sinusoids(3, 4)[0]
    tensor([0., 1., 0., 1.])
    """
    rates = torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000) / dim))
    angle = torch.arange(length)[:, None] * rates
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)[:, :dim]
