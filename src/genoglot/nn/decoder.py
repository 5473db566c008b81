"""The decoder of a transformer (Vaswani et al. 2017), normalized before each part."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from genoglot.nn.attention import Attention, FeedForward


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to a source, feed-forward.

    Parameters
    ----------
    dim, heads
        See `Attention`.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(dim), Attention(dim, heads)
        self.source_norm, self.source_attention = nn.LayerNorm(dim), Attention(dim, heads)
        self.feed_forward = FeedForward(dim)

    def forward(
        self,
        x: Tensor,
        source: Tensor,
        mask: Tensor | None,
        past: Tensor | None = None,
        *,
        context: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run the layer over whole sequences or, with a context, over one more position.

        Parameters
        ----------
        x
            (batch, m, dim).
        source
            Keys and values of the source: see `Attention.keys_values`.
        mask
            (batch, n) bool, True where a token of the source is present; None if all are.
        past
            Keys and values of the positions before `x`; None if there is none.
        context
            Maximum number of positions that are attended to; None: a position attends to itself
            and to all before it.

        Returns
        -------
        tuple of Tensor and Tensor
            (batch, m, dim), and the keys and values that were attended to.
        """
        normed = self.norm(x)
        own = self.attention.keys_values(normed)
        if past is not None and context is not None:
            own = torch.cat([past, own], 3)[..., -context:, :]
        x = x + self.attention(normed, own, causal=context is None).values
        x = x + self.source_attention(self.source_norm(x), source, mask=mask).values
        return x + self.feed_forward(x), own


class DecoderState(NamedTuple):
    """What a decoder attends to: a source, and the positions that it has decoded.

    Attributes
    ----------
    source
        Keys and values of the source in each layer: see `Attention.keys_values`.
    mask
        (batch, n) bool, True where a token of the source is present; None if all are.
    past
        Keys and values of the positions decoded so far, in each layer; empty at the start.
    """

    source: list[Tensor]
    mask: Tensor | None
    past: list[Tensor]

    def select(self, rows: Tensor) -> DecoderState:
        """Select rows of the batch, as a beam search continues with some of its beams."""
        return DecoderState(
            [keys_values[:, rows] for keys_values in self.source],
            None if self.mask is None else self.mask[rows],
            [keys_values[:, rows] for keys_values in self.past],
        )


class Decoder(nn.Module):
    """A stack of decoder layers, run over whole sequences or position by position.

    Parameters
    ----------
    dim, heads
        See `Attention`.
    layers
        Number of layers.
    """

    def __init__(self, dim: int, heads: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)

    def start(self, source: Tensor, mask: Tensor | None = None) -> DecoderState:
        """Prepare a source, (batch, n, dim), to be attended to; `mask` is True for its tokens."""
        layers = cast(list[DecoderLayer], list(self.layers))
        keys_values = [layer.source_attention.keys_values(source) for layer in layers]
        return DecoderState(keys_values, mask, [])

    def forward(self, x: Tensor, state: DecoderState) -> Tensor:
        """Run over whole sequences, each position attending to itself and those before it.

        Parameters
        ----------
        x
            (batch, m, dim).
        state
            From `start`.

        Returns
        -------
        Tensor
            (batch, m, dim).
        """
        for layer, source in zip(self.layers, state.source, strict=True):
            x, _ = layer(x, source, state.mask)
        return cast(Tensor, self.norm(x))

    def step(self, x: Tensor, state: DecoderState, context: int) -> tuple[Tensor, DecoderState]:
        """Run over one more position.

        Parameters
        ----------
        x
            (batch, dim).
        state
            From `start`, or from the step before.
        context
            Maximum number of positions that are attended to, the latest ones, this one included.

        Returns
        -------
        tuple of Tensor and DecoderState
            (batch, dim), and the state with this position added.
        """
        x, past = x[:, None], []
        before: list[Tensor | None] = [*state.past] or [None] * len(self.layers)
        for layer, source, own in zip(self.layers, state.source, before, strict=True):
            x, own = layer(x, source, state.mask, own, context=context)
            past.append(own)
        return self.norm(x)[:, 0], state._replace(past=past)
