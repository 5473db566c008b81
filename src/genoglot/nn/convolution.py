"""Convolutions over one-hot DNA."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


class ConvolutionTower(nn.Module):
    """Convolution, rectifier, max-pool and dropout, several times.

    Parameters
    ----------
    channels
        Of each convolution.
    kernel
        Positions that a convolution sees.
    pool
        Positions of which the maximum is kept.
    dropout
        After each max-pool.

    Examples
    --------
    >>> import torch
    >>> tower = ConvolutionTower([8, 16], kernel=5, pool=4, dropout=0.0)
    >>> tower(torch.zeros(2, 4, 33))[0].shape, tower.length_after(33)
    (torch.Size([2, 16, 3]), 3)
    """

    def __init__(self, channels: Sequence[int], kernel: int, pool: int, dropout: float) -> None:
        super().__init__()
        self.pool, self.margins = pool, (kernel // 2, (kernel - 1) // 2)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, kernel)
            for before, after in zip((4, *channels), channels, strict=False)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Run the tower.

        Parameters
        ----------
        x
            One-hot DNA, (batch, 4, length).
        seen
            (batch, length) bool, false for padding, or None.

        Returns
        -------
        (batch, last of the channels, `length_after(length)`), and what of it is no padding.
        """
        if seen is not None:
            x = x * seen[:, None]
        for convolution in self.convolutions:
            x = F.relu(convolution(F.pad(x, self.margins)))
            if seen is not None:
                x = x * seen[:, None]  # rectified: 0 is never more than what it stands beside
                seen = F.max_pool1d(seen.float(), self.pool, ceil_mode=True) > 0
            x = self.drop(F.max_pool1d(x, self.pool, ceil_mode=True))
        return x, seen

    def length_after(self, length: int) -> int:
        """Positions that are left of a sequence."""
        for _ in self.convolutions:
            length = -(-length // self.pool)
        return length
