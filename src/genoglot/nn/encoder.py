"""An attention encoder, from embedded tokens to a vector of each and one of the whole.

Normalized before each part; gated feed-forward; a CLS token in front; three schemes of positions:

- `rotary`: queries and keys are turned by angles that grow with their position (Su et al. 2021),
  so that their product depends on their distance. Nothing to learn, nothing added to the logits.
- `relative`: the disentangled attention of DeBERTa (He et al. 2021). To the logit of contents are
  added those of content to position and of position to content; distances share buckets.
- `absolute`: a learned vector of each position is added to its token, as in BERT.

The fused kernels of torch compute all three; only `relative` has to hold a table of logits.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.errors import ModelError
from genoglot.nn.transformer import Attention

Positions = Literal["rotary", "relative", "absolute"]
FeedForward = Literal["gated-gelu", "relu"]

BUCKETS = 64  # of distances either way, of which the first half are single ones
FARTHEST = 1024  # tokens; distances from here on share the last bucket


class Encoded(NamedTuple):
    """What an encoder makes of a batch.

    Attributes
    ----------
    cls
        The CLS token: (batch, dim).
    tokens
        All others: (batch, n, dim).
    """

    cls: Tensor
    tokens: Tensor


class Encoder(nn.Module):
    """A stack of self-attention layers over embedded tokens.

    Parameters
    ----------
    dim
        Width of a token.
    heads
        Number of attention heads; divides `dim` into even parts.
    layers
        Their number.
    positions
        `"rotary"`, `"relative"` or `"absolute"`.
    feed_forward
        `"gated-gelu"`, of 2 x `dim` hidden units, or `"relu"`, of 4 x `dim`.
    dropout
        Of the embedded tokens and of what each part adds. Attention weights are not dropped: the
        fused kernels are twice as fast without, and what is read is dropped anyway.
    max_length
        Most tokens of a sequence, CLS aside, with `absolute` positions.

    Raises
    ------
    ModelError
        If `dim` cannot be shared among the heads.

    Examples
    --------
    >>> encoded = Encoder(16, 2, 1)(torch.zeros(3, 5, 16))
    >>> encoded.cls.shape, encoded.tokens.shape
    (torch.Size([3, 16]), torch.Size([3, 5, 16]))
    """

    def __init__(
        self, dim: int = 512, heads: int = 8, layers: int = 4, *, positions: Positions = "rotary",
        feed_forward: FeedForward = "gated-gelu", dropout: float = 0.1, max_length: int = 1024,
    ) -> None:  # fmt: skip
        super().__init__()
        if dim % (2 * heads):
            raise ModelError(f"dim {dim} is no multiple of twice the {heads} heads; choose others")
        self.positions, self.head = positions, dim // heads
        self.cls = nn.Parameter(torch.zeros(dim))
        self.drop = nn.Dropout(dropout)
        if positions == "absolute":
            self.places = nn.Parameter(torch.zeros(max_length + 1, dim))
        if positions == "relative":
            self.distances = nn.Parameter(torch.zeros(2 * BUCKETS - 1, dim))
        self.layers = nn.ModuleList(
            EncoderLayer(dim, heads, positions, feed_forward, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim)
        self._initialize(layers)

    def _initialize(self, layers: int) -> None:
        """Small weights, as in BERT; smaller still where layers add to the stream, as in GPT-2."""
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1 or name == "cls":
                adds = name.endswith((".out.weight", ".last.weight"))
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * layers) if adds else 1))
            elif name.endswith(".bias"):
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Encoded:
        """Encode.

        Parameters
        ----------
        x
            Embedded tokens, (batch, n, dim).
        seen
            (batch, n) bool, false for padding; None if there is none, which is faster.
        """
        x = torch.cat([self.cls.to(x.dtype).expand(len(x), 1, -1), x], 1)
        n = x.shape[1]
        mask = None if seen is None else F.pad(seen, (1, 0), value=True)[:, None, None]
        place = None
        if self.positions == "rotary":
            place = turns(n, self.head, x.device)
        elif self.positions == "relative":
            place = distance_buckets(n, x.device)
        else:
            if n > len(self.places):
                raise ValueError(f"{n - 1} tokens, but positions for {len(self.places) - 1} only")
            x = x + self.places[:n]
        x = self.drop(x)
        table = self.distances if self.positions == "relative" else None
        for layer in self.layers:
            x = layer(x, mask, place, table)
        x = self.norm(x)
        return Encoded(x[:, 0], x[:, 1:])


class EncoderLayer(nn.Module):
    """Self-attention that knows positions, and feed-forward.

    Parameters
    ----------
    dim, heads, positions, feed_forward, dropout
        As in `Encoder`.
    """

    def __init__(
        self, dim: int, heads: int, positions: Positions, feed_forward: FeedForward, dropout: float
    ) -> None:
        super().__init__()
        self.positions = positions
        self.norm, self.attention = nn.LayerNorm(dim), Attention(dim, heads)
        if positions == "relative":
            self.distance_query = nn.Linear(dim, dim)
            self.distance_key = nn.Linear(dim, dim, bias=False)
        kind = GatedFeedForward if feed_forward == "gated-gelu" else PlainFeedForward
        self.feed_forward = kind(dim)
        self.drop = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None, place: Tensor | None, table: Tensor | None
    ) -> Tensor:
        """Run the layer.

        Parameters
        ----------
        x
            (batch, n, dim).
        mask
            (batch, 1, 1, n) bool, false for padding.
        place
            `turns` for rotary, `distance_buckets` for relative positions.
        table
            A vector of each bucket of distances, (buckets, dim), for relative positions.
        """
        normed = self.norm(x)
        queries, (keys, values) = self.attention.queries(normed), self.attention.keys_values(normed)
        scale = None
        if self.positions == "rotary":
            assert place is not None
            queries, keys = turned(queries, place), turned(keys, place)
        elif self.positions == "relative":
            assert place is not None and table is not None
            scale = (3 * queries.shape[-1]) ** -0.5  # three products are summed
            bias = scale * self._distance_logits(queries, keys, place, table)
            mask = bias if mask is None else bias.masked_fill(~mask, -math.inf)
        x = x + self.drop(self.attention.read(queries, keys, values, mask, scale=scale))
        added: Tensor = self.drop(self.feed_forward(x))
        return x + added

    def _distance_logits(
        self, queries: Tensor, keys: Tensor, place: Tensor, table: Tensor
    ) -> Tensor:
        """Content to position plus position to content, unscaled: (batch, heads, n, n)."""
        batch, heads, n, head = queries.shape
        place_keys = self.distance_key(table).view(-1, heads, head).permute(1, 2, 0)
        place_queries = self.distance_query(table).view(-1, heads, head).permute(1, 2, 0)
        rows = place.expand(batch, heads, n, n)
        to_position = (queries @ place_keys).gather(-1, rows)  # query i, distance i - j
        from_position = (keys @ place_queries).gather(-1, rows)  # key j, distance j - i
        logits: Tensor = to_position + from_position.transpose(-1, -2)
        return logits


class GatedFeedForward(nn.Module):
    """One half of the first layer, through GELU, gates the other (Shazeer 2020).

    With 2 x `dim` hidden units it has three quarters of the weights, and of the time, of a plain
    one of 4 x `dim`.

    Parameters
    ----------
    dim
        Width of input and output.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.first, self.last = nn.Linear(dim, 4 * dim), nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n, dim) -> the same."""
        gate, value = self.first(self.norm(x)).chunk(2, -1)
        added: Tensor = self.last(F.gelu(gate) * value)
        return added


class PlainFeedForward(nn.Module):
    """Linear, rectifier, linear (Vaswani et al. 2017).

    Parameters
    ----------
    dim
        Width of input and output.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.first, self.last = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n, dim) -> the same."""
        added: Tensor = self.last(F.relu(self.first(self.norm(x))))
        return added


def turns(n: int, head: int, device: torch.device | None = None) -> Tensor:
    """Rotations of rotary positions, as complex numbers of length 1: (n, head / 2).

    Examples
    --------
    >>> turns(2, 4)[0]
    tensor([1.+0.j, 1.+0.j])
    """
    rates = torch.exp(torch.arange(0, head, 2, device=device) * (-math.log(10_000) / head))
    angle = torch.arange(n, device=device)[:, None] * rates
    return torch.polar(torch.ones_like(angle), angle)


def turned(x: Tensor, turns: Tensor) -> Tensor:
    """Turn each pair of neighboring channels in its plane: (..., n, head) -> the same.

    As complex numbers: a third of the time of sines and cosines on halves.
    """
    pairs = torch.view_as_complex(x.float().view(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)


def distance_buckets(n: int, device: torch.device | None = None) -> Tensor:
    """Bucket of the distance i - j of any two positions: (n, n) int64, from 0.

    Distances below half of `BUCKETS` have one each; from there buckets widen, by the same factor
    each, up to `FARTHEST`.

    Examples
    --------
    >>> distance_buckets(3) - (BUCKETS - 1)
    tensor([[ 0, -1, -2],
            [ 1,  0, -1],
            [ 2,  1,  0]])
    """
    place = torch.arange(n, device=device)
    distance = place[:, None] - place
    far, single = distance.abs(), BUCKETS // 2
    share = (far.clamp(min=single) / single).log() / math.log(FARTHEST / single)
    wide = (single + (share * (BUCKETS - single)).long()).clamp(max=BUCKETS - 1)
    return torch.where(far < single, distance, distance.sign() * wide) + BUCKETS - 1
