"""Convolutions over one-hot DNA."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvolutionTower(nn.Module):
    """Convolution, rectifier, max-pool and dropout, several times.

    Parameters
    ----------
    channels
        Channels of each convolution.
    kernel
        Width of the convolutions.
    pool
        Width of the max-pools.
    dropout
        Dropout rate after each max-pool.

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
        # A module for each, not a function: attribution methods such as DeepLIFT hook modules.
        self.rectify = nn.ModuleList(nn.ReLU() for _ in channels)
        self.pools = nn.ModuleList(nn.MaxPool1d(pool, ceil_mode=True) for _ in channels)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Run the tower.

        Parameters
        ----------
        x
            One-hot DNA, (batch, 4, length).
        mask
            (batch, length) bool, True where a base is present; None if all are.

        Returns
        -------
        tuple of Tensor and Tensor
            (batch, last channels, `length_after(length)`), and the mask of these positions.
        """
        if mask is not None:
            x = x * mask[:, None]
        layers = zip(self.convolutions, self.rectify, self.pools, strict=True)
        for convolution, rectify, pool in layers:
            x = rectify(convolution(F.pad(x, self.margins)))
            if mask is not None:  # rectified: a 0 is never the maximum beside other values
                x = x * mask[:, None]
                mask = pooled_mask(mask, self.pool)
            x = self.drop(pool(x))
        return x, mask

    def length_after(self, length: int) -> int:
        """Compute the number of positions that the tower makes of a sequence."""
        for _ in self.convolutions:
            length = -(-length // self.pool)
        return length


def pooled_mask(mask: Tensor, pool: int) -> Tensor:
    """Mask after a max-pool: (batch, n) bool -> (batch, n / pool, rounded up) bool."""
    return F.max_pool1d(mask.float(), pool, ceil_mode=True) > 0


class MotifConvolution(nn.Module):
    """Sites of known motifs: how far the better strand is above a threshold.

    Its weights are given, not learned. What is past the ends of a sequence, and N, scores 0.

    Parameters
    ----------
    matrices
        Log-odds of each motif, (width, 4) in the order A C G T, as those of
        `genoglot.sequence.motifs.Motif`.
    threshold
        Log-odds at which a site has the value 0, as a fraction of the way from those of the worst
        to those of the best site; the best site has the value 1.

    Examples
    --------
    >>> import torch
    >>> tata = torch.eye(4)[[3, 0, 3, 0]] * 4 - 2  # log-odds 2 for each letter of TATA, else -2
    >>> motifs = MotifConvolution([tata], threshold=0.5)
    >>> dna = torch.eye(4)[[1, 3, 0, 3, 0, 1, 3, 0]].T[None]  # CTATACTA
    >>> motifs(dna).shape, round(float(motifs(dna).max()), 2)
    (torch.Size([1, 1, 8]), 1.0)
    """

    kernels: Tensor
    thresholds: Tensor

    def __init__(self, matrices: Sequence[Tensor], threshold: float = 0.8) -> None:
        super().__init__()
        kernels = torch.zeros(len(matrices), 4, max(len(matrix) for matrix in matrices))
        thresholds = torch.zeros(len(matrices))
        for i, matrix in enumerate(matrices):
            matrix = matrix.double()
            best, worst = matrix.max(1).values.sum(), matrix.min(1).values.sum()
            zero = worst + threshold * (best - worst)
            first = (kernels.shape[2] - len(matrix)) // 2
            kernels[i, :, first : first + len(matrix)] = matrix.T / (best - zero)
            thresholds[i] = zero / (best - zero)
        self.register_buffer("kernels", kernels)
        self.register_buffer("thresholds", thresholds)

    def forward(self, x: Tensor) -> Tensor:
        """One-hot DNA, A C G T, (batch, 4, length) -> (batch, motifs, length), 0 or more."""
        width = self.kernels.shape[2]
        left, right = width // 2, (width - 1) // 2
        forward = F.conv1d(F.pad(x, (left, right)), self.kernels, -self.thresholds)
        complement = self.kernels.flip(1, 2)
        reverse = F.conv1d(F.pad(x, (right, left)), complement, -self.thresholds)
        return F.relu(torch.maximum(forward, reverse))


class ResidualBlock(nn.Module):
    """Two convolutions, the second one over single positions, added to the input.

    Parameters
    ----------
    channels
        Number of channels.
    kernel
        Width of the first convolution, an odd number.
    dropout
        Dropout rate of what is added.
    """

    def __init__(self, channels: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.BatchNorm1d(channels), nn.GELU())
        self.convolution = nn.Conv1d(channels, channels, kernel, padding=kernel // 2)
        self.after = nn.Sequential(
            nn.BatchNorm1d(channels),
            nn.GELU(),
            nn.Conv1d(channels, channels, 1),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Run the block.

        Parameters
        ----------
        x
            (batch, channels, length).
        mask
            (batch, 1, length) bool, True where a position is present; None if all are.

        Returns
        -------
        Tensor
            (batch, channels, length).
        """
        inside = self.before(x)
        if mask is not None:
            inside = inside * mask
        added: Tensor = self.after(self.convolution(inside))
        return x + added
