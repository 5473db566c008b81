"""How attention knows positions: what is added to tokens, or done to queries and keys.

`Absolute` and `Sinusoidal` change the tokens before the first layer. `Rotary` and `Relative` work
inside every `Attention`: they take queries and keys, (batch, heads, n, width of a head), and a
tensor that is the same in every layer, and return `Positioned`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

BUCKETS = 64
"""Buckets of distances in either direction; the first half are single distances."""

FARTHEST = 1024
"""Distance in tokens from which on all distances share the last bucket."""


class Positioned(NamedTuple):
    """Queries and keys that know their positions.

    Attributes
    ----------
    queries, keys
        (batch, heads, n, width of a head).
    bias
        Numbers to add to the scaled logits, (batch, heads, n, n), or None.
    scale
        Factor of the logits; None for the usual one.
    """

    queries: Tensor
    keys: Tensor
    bias: Tensor | None = None
    scale: float | None = None


class Rotary(nn.Module):
    """Rotate queries and keys by angles that grow with their position (Su et al. 2021).

    The logits then depend on the distance of two positions. There are no weights.
    """

    def forward(self, queries: Tensor, keys: Tensor, rotations: Tensor) -> Positioned:
        """Rotate by `rotations(n, width of a head)`."""
        return Positioned(rotate(queries, rotations), rotate(keys, rotations))


def rotations(n: int, width: int, device: torch.device | None = None) -> Tensor:
    """Rotations of n positions, as complex numbers of length 1, (n, width / 2).

    Examples
    --------
    >>> rotations(2, 4)[0]
    tensor([1.+0.j, 1.+0.j])
    """
    angle = torch.arange(n, device=device)[:, None] * _frequencies(width, device)
    return torch.polar(torch.ones_like(angle), angle)


def rotate(x: Tensor, rotations: Tensor) -> Tensor:
    """Rotate each pair of neighboring channels in its plane: (..., n, width) -> the same.

    Complex numbers take a third of the time of sines and cosines on halves.
    """
    pairs = torch.view_as_complex(x.float().view(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * rotations).flatten(-2).to(x.dtype)


class Relative(nn.Module):
    """Disentangled attention to distances (DeBERTa, He et al. 2021, equation 4).

    To the logits of contents are added those of content to position and of position to content.

    Parameters
    ----------
    dim, heads
        Those of the attention.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)

    def forward(self, queries: Tensor, keys: Tensor, distances: Tensor) -> Positioned:
        """Compute the bias; `distances` has a vector of each bucket, (2 * BUCKETS - 1, dim)."""
        batch, heads, n, width = queries.shape
        distance_keys = self.key(distances).view(-1, heads, width).permute(1, 2, 0)
        distance_queries = self.query(distances).view(-1, heads, width).permute(1, 2, 0)
        buckets = distance_buckets(n, queries.device).expand(batch, heads, n, n)
        to_position = (queries @ distance_keys).gather(-1, buckets)  # query i, distance i - j
        from_position = (keys @ distance_queries).gather(-1, buckets)  # key j, distance j - i
        scale = (3 * width) ** -0.5  # three products are summed
        bias = scale * (to_position + from_position.transpose(-1, -2))
        return Positioned(queries, keys, bias, scale)


def distance_buckets(n: int, device: torch.device | None = None) -> Tensor:
    """Bucket of the distance i - j of any two positions, (n, n) int64, from 0.

    Distances below half of `BUCKETS` have one each; from there on buckets widen, by the same
    factor each, up to `FARTHEST`.

    Examples
    --------
    >>> distance_buckets(3) - (BUCKETS - 1)
    tensor([[ 0, -1, -2],
            [ 1,  0, -1],
            [ 2,  1,  0]])
    """
    distance = torch.arange(1 - n, n, device=device)
    far, single = distance.abs(), BUCKETS // 2
    widths = (far.clamp(min=single) / single).log() / math.log(FARTHEST / single)
    wide = (single + (widths * (BUCKETS - single)).long()).clamp(max=BUCKETS - 1)
    bucket = torch.where(far < single, distance, distance.sign() * wide) + BUCKETS - 1
    return bucket.unfold(0, n, 1).flip(1)  # row i: distances i - n + 1 to i, largest first


class Absolute(nn.Module):
    """Add a learned vector of each position to its token, as in BERT.

    Parameters
    ----------
    max_length
        Maximum number of tokens.
    dim
        Width of a token.
    """

    def __init__(self, max_length: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(max_length, dim))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n, dim) -> (batch, n, dim); a ValueError if n is above the maximum."""
        n = x.shape[1]
        if n > len(self.table):
            raise ValueError(f"{n} tokens, but positions for {len(self.table)} only")
        return x + self.table[:n]


class Sinusoidal(nn.Module):
    """Add sines and cosines of the position to tokens (Vaswani et al. 2017, section 3.5).

    Parameters
    ----------
    max_length
        Maximum number of tokens.
    dim
        Width of a token.
    """

    table: Tensor

    def __init__(self, max_length: int, dim: int) -> None:
        super().__init__()
        waves = sinusoids(torch.arange(max_length), _frequencies(dim))
        table = waves.transpose(1, 2).flatten(1)[:, :dim]  # sine and cosine take turns
        self.register_buffer("table", table, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n, dim) -> (batch, n, dim)."""
        return x + self.table[: x.shape[1]]


def sinusoids(positions: Tensor, frequencies: Tensor) -> Tensor:
    """Sines, then cosines of positions times frequencies: (n,) and (m,) -> (n, 2, m).

    Examples
    --------
    >>> sinusoids(torch.tensor([0.0]), torch.tensor([1.0, 0.1]))
    tensor([[[0., 0.],
             [1., 1.]]])
    """
    angle = positions[:, None] * frequencies
    return torch.stack([angle.sin(), angle.cos()], 1)


def _frequencies(dim: int, device: torch.device | None = None) -> Tensor:
    """Frequencies of Vaswani et al. 2017: 10,000 to the power of -2 i / dim, (dim / 2,)."""
    return torch.exp(torch.arange(0, dim, 2, device=device) * (-math.log(10_000) / dim))
