"""U-Net over images, conditioned on a time step and a vector in every block."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.nn.diffusion import time_features

DEPTH = 5  # max poolings, and up-samplings


class UNet(nn.Module):
    """Five max poolings, five up-samplings, skip concatenation (Ronneberger et al. 2015).

    Channels grow as the image shrinks. The time step and the condition are added in every block.

    Parameters
    ----------
    channels
        Channels of the image.
    condition_dim
        Width of the condition.
    widths
        Channels at the six sizes, from the full size to the smallest one.
    time_dim
        Width of the features of the time step.

    Examples
    --------
    >>> net = UNet(3, condition_dim=384, widths=(4, 4, 8, 8, 16, 16))
    >>> net(torch.randn(2, 3, 20, 37), torch.tensor([0, 9]), torch.randn(2, 384)).shape
    torch.Size([2, 3, 20, 37])
    """

    def __init__(
        self,
        channels: int,
        *,
        condition_dim: int,
        widths: tuple[int, ...] = (8, 16, 32, 64, 128, 128),
        time_dim: int = 64,
    ) -> None:
        super().__init__()
        if len(widths) != DEPTH + 1:
            raise ValueError(f"{len(widths)} widths given, but a U-Net of {DEPTH} levels has 6")
        self.time_dim = time_dim
        wide = 2 * time_dim
        self.time = nn.Sequential(nn.Linear(time_dim, wide), nn.SiLU(), nn.Linear(wide, wide))
        self.condition = nn.Linear(condition_dim, wide)
        self.first = nn.Conv2d(channels, widths[0], 3, padding=1)
        larger, smaller = widths[:-1], widths[1:]
        before = (widths[0], *larger)
        self.down = nn.ModuleList(Block(v, w, wide) for v, w in zip(before, larger, strict=False))
        self.shrink = nn.MaxPool2d(2)
        self.middle = Block(widths[-2], widths[-1], wide)
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(v, w, 4, stride=2, padding=1)
            for w, v in zip(larger, smaller, strict=True)
        )
        self.up = nn.ModuleList(Block(2 * w, w, wide) for w in larger)
        self.last = nn.Conv2d(widths[0], channels, 1)

    def forward(self, image: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        """Predict the noise in images.

        Parameters
        ----------
        image
            (batch, channels, height, width), of any size.
        step
            Time steps, (batch,).
        condition
            (batch, condition_dim).

        Returns
        -------
        Tensor
            (batch, channels, height, width).
        """
        height, width = image.shape[-2:]
        unit = 2**DEPTH
        image = F.pad(image, (0, -width % unit, 0, -height % unit))
        embedding = F.silu(
            self.time(time_features(step, self.time_dim)) + self.condition(condition)
        )
        hidden, skips = self.first(image), []
        for block in self.down:
            hidden = block(hidden, embedding)
            skips.append(hidden)
            hidden = self.shrink(hidden)
        hidden = self.middle(hidden, embedding)
        for block, grow in zip(reversed(self.up), reversed(self.grow), strict=True):
            hidden = block(torch.cat([grow(hidden), skips.pop()], 1), embedding)
        predicted: Tensor = self.last(hidden)[..., :height, :width]
        return predicted


class Block(nn.Module):
    """Two convolutions; the embedding of time step and condition is added between them.

    Parameters
    ----------
    before, after
        Channels of the input and of the output.
    embedding_dim
        Width of the embedding of time step and condition.
    """

    def __init__(self, before: int, after: int, embedding_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(embedding_dim, after)
        self.one = nn.Conv2d(before, after, 3, padding=1)
        self.norm_one = nn.GroupNorm(1, after)
        self.two = nn.Conv2d(after, after, 3, padding=1)
        self.norm_two = nn.GroupNorm(1, after)

    def forward(self, image: Tensor, embedding: Tensor) -> Tensor:
        """(batch, before, height, width) -> (batch, after, height, width)."""
        hidden = F.silu(self.norm_one(self.one(image))) + self.embedding(embedding)[..., None, None]
        return F.silu(self.norm_two(self.two(hidden)))
