"""T2T-ViT: a vision transformer whose patches are split softly, tokens to token (Yuan et al. 2021).

Layers have the names of the published implementation, so that weights of its T2T-ViT_t models fit.
Its other models have performer layers between the splits, which are not implemented here.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.errors import ModelError
from genoglot.nn.attention import attend
from genoglot.nn.positions import Sinusoidal

TOKEN_DIM = 64
"""Width of the tokens between the soft splits."""

SPLITS = ((7, 4, 2), (3, 2, 1), (3, 2, 1))
"""Kernel, stride and padding of the soft splits: together every 16th pixel."""


class SelfAttention(nn.Module):
    """Multi-head self-attention without biases of queries, keys and values.

    As published, logits are divided by the square root of the input's width of a head.

    Parameters
    ----------
    dim
        Width of the input.
    width
        Width of the output. If it is not `dim`, the values are added to the output, in place of
        the input.
    heads
        Number of heads, which divides `width`.
    """

    def __init__(self, dim: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.adds_values = heads, width != dim
        self.scale = (dim // heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n, dim) -> (batch, n, width)."""
        batch, n, _ = x.shape
        queries, keys, values = self.qkv(x).view(batch, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        read = attend(queries, keys, values, scale=self.scale).values.transpose(1, 2).flatten(2)
        out: Tensor = self.proj(read)
        return out + values.transpose(1, 2).flatten(2) if self.adds_values else out


class FeedForward(nn.Module):
    """Linear, GELU, linear."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n, dim) -> (batch, n, dim)."""
        return cast(Tensor, self.fc2(F.gelu(self.fc1(x))))


class Block(nn.Module):
    """A transformer layer: attention and feed-forward, each normalized before.

    Parameters
    ----------
    dim, width, heads
        See `SelfAttention`.
    ratio
        Width of the hidden layer of the feed-forward network, as a multiple of `width`.
    drop_path
        Fraction of the images that skip a part of the layer in training (stochastic depth).
    """

    def __init__(
        self, dim: int, width: int, heads: int, ratio: float, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim), SelfAttention(dim, width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width), FeedForward(width, int(ratio * width))
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n, dim) -> (batch, n, width)."""
        read = self.attn(self.norm1(x))
        x = read if self.attn.adds_values else x + self._dropped(read)
        return x + self._dropped(cast(Tensor, self.mlp(self.norm2(x))))

    def _dropped(self, added: Tensor) -> Tensor:
        if not self.training or not self.drop_path:
            return added
        return added * F.dropout(added.new_ones(len(added), 1, 1), self.drop_path)


class TokensToToken(nn.Module):
    """From an image to tokens: three soft splits, with a transformer layer after two of them.

    A soft split cuts overlapping patches and concatenates the tokens (at first: the pixels) of a
    patch to one token, so that neighboring tokens share what they are made of.

    Parameters
    ----------
    dim
        Width of the tokens that come out.
    channels
        Channels of the image.
    """

    def __init__(self, dim: int, channels: int = 3) -> None:
        super().__init__()
        pixels, tokens = channels * SPLITS[0][0] ** 2, TOKEN_DIM * SPLITS[1][0] ** 2
        self.attention1 = Block(pixels, TOKEN_DIM, 1, 1.0)
        self.attention2 = Block(tokens, TOKEN_DIM, 1, 1.0)
        self.project = nn.Linear(TOKEN_DIM * SPLITS[2][0] ** 2, dim)

    def forward(self, image: Tensor) -> Tensor:
        """(batch, channels, size, size) -> (batch, (size / 16) ** 2, dim)."""
        for split, layer in zip(SPLITS, (self.attention1, self.attention2, None), strict=True):
            kernel, stride, padding = split
            size = -(-image.shape[-1] // stride)
            tokens = F.unfold(image, kernel, stride=stride, padding=padding).transpose(1, 2)
            if layer is not None:
                tokens = layer(tokens)
                image = tokens.transpose(1, 2).unflatten(2, (size, size))
        return cast(Tensor, self.project(tokens))


class T2TViT(nn.Module):
    """T2T-ViT (Yuan et al. 2021), with transformer layers between its soft splits.

    Parameters
    ----------
    size
        Height and width of the image in pixels, a multiple of 16.
    dim
        Width of a token.
    depth
        Number of layers.
    heads
        Number of attention heads, which divides `dim`.
    ratio
        Width of the hidden layer of the feed-forward networks, as a multiple of `dim`.
    drop_path
        That of the last layer, see `Block`; it rises from 0 at the first one.
    classes
        Number of classes of the published head; 0: the result is the vector of the class token.

    Raises
    ------
    ModelError
        If the size is not a multiple of 16.

    Examples
    --------
    >>> T2TViT(32, dim=16, depth=1, heads=2)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 16])
    """

    def __init__(
        self,
        size: int = 224,
        *,
        dim: int = 384,
        depth: int = 14,
        heads: int = 6,
        ratio: float = 3.0,
        drop_path: float = 0.0,
        classes: int = 0,
    ) -> None:
        super().__init__()
        if size % 16:
            raise ModelError(f"T2T-ViT reads images of a multiple of 16 pixels, not of {size}")
        self.tokens_to_token = TokensToToken(dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.positions = Sinusoidal((size // 16) ** 2 + 1, dim)
        self.blocks = nn.ModuleList(
            Block(dim, dim, heads, ratio, drop_path * i / max(depth - 1, 1)) for i in range(depth)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes) if classes else nn.Identity()
        self._initialize()

    def _initialize(self) -> None:
        """Small weights, as published."""
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        """(batch, 3, size, size) -> (batch, dim), or (batch, classes)."""
        tokens = self.tokens_to_token(image)
        x = self.positions(torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], 1))
        for block in self.blocks:
            x = block(x)
        return cast(Tensor, self.head(self.norm(x)[:, 0]))
