"""A stack of attention layers over embedded tokens, with a CLS token in front."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.errors import ModelError
from genoglot.nn.attention import Activation, EncoderLayer
from genoglot.nn.positions import BUCKETS, Absolute, Relative, Rotary, rotations

Positions = Literal["rotary", "relative", "absolute"]


class Encoded(NamedTuple):
    """The encoding of a batch.

    Attributes
    ----------
    cls
        Vector of the CLS token, (batch, dim).
    tokens
        Vectors of all other tokens, (batch, n, dim).
    attention
        Attention weights of each layer, (batch, heads, n + 1, n + 1), CLS first; empty if they
        were not asked for.
    """

    cls: Tensor
    tokens: Tensor
    attention: list[Tensor]


class Encoder(nn.Module):
    """A stack of self-attention layers over embedded tokens.

    Parameters
    ----------
    dim
        Width of a token.
    heads
        Number of attention heads; divides `dim` into even parts.
    layers
        Number of layers.
    positions
        `"rotary"`, `"relative"` or `"absolute"`: see `genoglot.nn.positions`. torch's fused
        kernels compute all three; only `"relative"` has to hold a table of logits.
    activation
        See `genoglot.nn.attention.FeedForward`.
    dropout
        Dropout rate of the embedded tokens and of what each part of a layer adds.
    max_length
        Maximum number of tokens with `"absolute"` positions, without CLS.

    Raises
    ------
    ModelError
        If `dim` cannot be divided among the heads.

    Examples
    --------
    >>> encoded = Encoder(16, 2, 1)(torch.zeros(3, 5, 16))
    >>> encoded.cls.shape, encoded.tokens.shape
    (torch.Size([3, 16]), torch.Size([3, 5, 16]))
    """

    def __init__(
        self,
        dim: int = 512,
        heads: int = 8,
        layers: int = 4,
        *,
        positions: Positions = "rotary",
        activation: Activation = "gated-gelu",
        dropout: float = 0.1,
        max_length: int = 1024,
    ) -> None:
        super().__init__()
        if dim % (2 * heads):
            raise ModelError(f"dim {dim} is not a multiple of twice the {heads} heads; change one")
        self.width = dim // heads
        self.cls = nn.Parameter(torch.zeros(dim))
        self.drop = nn.Dropout(dropout)
        self.absolute = Absolute(max_length + 1, dim) if positions == "absolute" else None
        self.distances = None
        if positions == "relative":
            self.distances = nn.Parameter(torch.zeros(2 * BUCKETS - 1, dim))

        def position() -> nn.Module | None:
            if positions == "relative":
                return Relative(dim, heads)
            return Rotary() if positions == "rotary" else None

        self.layers = nn.ModuleList(
            EncoderLayer(dim, heads, position=position(), activation=activation, dropout=dropout)
            for _ in range(layers)
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

    def forward(
        self, x: Tensor, mask: Tensor | None = None, *, return_weights: bool = False
    ) -> Encoded:
        """Encode.

        Parameters
        ----------
        x
            Embedded tokens, (batch, n, dim).
        mask
            (batch, n) bool, True where a token is present; None if all are, which is faster.
        return_weights
            Also return the attention weights, which is slower and holds a table of each layer.

        Returns
        -------
        Encoded
            Vectors of CLS and of the tokens.
        """
        x = torch.cat([self.cls.to(x.dtype).expand(len(x), 1, -1), x], 1)
        mask = None if mask is None else F.pad(mask, (1, 0), value=True)
        positions: Tensor | None = self.distances
        if self.absolute is not None:
            x = self.absolute(x)
        elif positions is None:
            positions = rotations(x.shape[1], self.width, x.device)
        x = self.drop(x)
        attention = []
        for layer in self.layers:
            x, weights = layer(x, mask, positions, return_weights=return_weights)
            if weights is not None:
                attention.append(weights)
        x = self.norm(x)
        return Encoded(x[:, 0], x[:, 1:], attention)
