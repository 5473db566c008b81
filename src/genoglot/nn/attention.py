"""Multi-head attention, feed-forward, and the encoder layer that is made of them."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["gelu", "gated-gelu", "relu"]


class Attended(NamedTuple):
    """The result of attention.

    Attributes
    ----------
    values
        What the queries read.
    weights
        (batch, heads, queries, keys) attention weights; None if they were not asked for.
    """

    values: Tensor
    weights: Tensor | None


def attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None = None,
    *,
    bias: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    return_weights: bool = False,
) -> Attended:
    """Scaled dot-product attention (Vaswani et al. 2017, equation 1).

    Parameters
    ----------
    queries, keys, values
        (..., m, width), (..., n, width) and (..., n, value width).
    mask
        Bool, broadcast to (..., m, n): True where a query may read a key.
    bias
        Numbers that are added to the logits, broadcast to (..., m, n).
    causal
        Query i reads keys 0 to i only. Not together with a mask or a bias.
    scale
        Factor of the logits; by default one over the square root of `width`.
    return_weights
        Also return the attention weights. Without them torch's fused kernels are used.

    Returns
    -------
    Attended
        Values (..., m, value width), and weights (..., m, n) or None.

    Examples
    --------
    >>> import torch
    >>> query, keys = torch.tensor([[1.0]]), torch.tensor([[14.0], [12.0]])
    >>> attend(query, keys, keys, return_weights=True).weights
    tensor([[0.8808, 0.1192]])
    """
    if bias is not None:
        mask = bias if mask is None else bias.masked_fill(~mask, -math.inf)
    if not return_weights:
        read = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=causal, scale=scale
        )
        return Attended(read, None)
    logits = queries @ keys.transpose(-1, -2)
    logits = logits * (queries.shape[-1] ** -0.5 if scale is None else scale)
    if causal:
        mask = logits.new_ones(logits.shape[-2:]).tril().bool()
    if mask is not None:
        logits = logits + mask if bias is not None else logits.masked_fill(~mask, -math.inf)
    weights = logits.softmax(-1)
    return Attended(weights @ values, weights)


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017).

    Parameters
    ----------
    dim
        Width of queries, keys and values.
    heads
        Number of heads; divides `dim`.
    position
        How self-attention uses the positions of tokens: a module of `genoglot.nn.positions` that
        takes queries and keys, such as `Rotary()`. By default attention ignores positions.
    """

    def __init__(self, dim: int, heads: int, *, position: nn.Module | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.out = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.position = position

    def keys_values(self, source: Tensor) -> Tensor:
        """Project what is attended to: (batch, n, dim) -> (2, batch, heads, n, width of a head)."""
        batch, n, _ = source.shape
        both: Tensor = self.key_value(source).view(batch, n, 2, self.heads, -1)
        return both.permute(2, 0, 3, 1, 4)

    def forward(
        self,
        x: Tensor,
        keys_values: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        causal: bool = False,
        return_weights: bool = False,
    ) -> Attended:
        """Attend.

        Parameters
        ----------
        x
            What attends, (batch, m, dim).
        keys_values
            What is attended to, from the method `keys_values`; by default `x` itself.
        mask
            (batch, n) bool, True where a key is present; by default all are.
        positions
            What `position` needs beside queries and keys, the same in every layer.
        causal
            Position i reads positions 0 to i only.
        return_weights
            Also return the attention weights, which is slower.

        Returns
        -------
        Attended
            Values (batch, m, dim), and weights (batch, heads, m, n) or None.
        """
        batch, m, _ = x.shape
        queries = self.query(x).view(batch, m, self.heads, -1).transpose(1, 2)
        keys, values = self.keys_values(x) if keys_values is None else keys_values
        bias = scale = None
        if self.position is not None:
            queries, keys, bias, scale = self.position(queries, keys, positions)
        read, weights = attend(
            queries,
            keys,
            values,
            None if mask is None else mask[:, None, None],
            bias=bias,
            causal=causal,
            scale=scale,
            return_weights=return_weights,
        )
        return Attended(self.out(read.transpose(1, 2).flatten(2)), weights)


class FeedForward(nn.Module):
    """Normalization, a linear layer, an activation, and a linear layer back.

    Parameters
    ----------
    dim
        Width of input and output.
    activation
        `"gelu"` or `"relu"`, with a hidden layer of 4 x `dim`; or `"gated-gelu"` (Shazeer 2020),
        with a hidden layer of 2 x `dim`: GELU of one half of the first linear layer multiplies the
        other half. It has three quarters of the weights, and takes three quarters of the time.
    """

    def __init__(self, dim: int, activation: Activation = "gelu") -> None:
        super().__init__()
        self.gated = activation == "gated-gelu"
        self.activation = F.relu if activation == "relu" else F.gelu
        self.norm = nn.LayerNorm(dim)
        self.first = nn.Linear(dim, 4 * dim)
        self.last = nn.Linear((2 if self.gated else 4) * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n, dim) -> (batch, n, dim)."""
        hidden = self.first(self.norm(x))
        if self.gated:
            gate, value = hidden.chunk(2, -1)
            hidden = self.activation(gate) * value
        else:
            hidden = self.activation(hidden)
        added: Tensor = self.last(hidden)
        return added


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each normalized before and added to its input.

    Parameters
    ----------
    dim, heads, position
        See `Attention`.
    activation
        See `FeedForward`.
    dropout
        Dropout rate of what attention and feed-forward add. Attention weights are not dropped:
        the fused kernels are twice as fast without.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        position: nn.Module | None = None,
        activation: Activation = "gelu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, position=position)
        self.feed_forward = FeedForward(dim, activation)
        self.drop = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        *,
        return_weights: bool = False,
    ) -> Attended:
        """Run the layer over (batch, n, dim).

        `mask`, `positions`, `return_weights` and the result are as in `Attention.forward`.
        """
        read, weights = self.attention(
            self.norm(x), mask=mask, positions=positions, return_weights=return_weights
        )
        x = x + self.drop(read)
        return Attended(x + self.drop(self.feed_forward(x)), weights)
