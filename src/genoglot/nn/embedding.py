"""From tokens of DNA to vectors: a table, patches, or convolutions over one-hot bases.

All are called alike: `(tokens, seen) -> (vectors, seen)`, (batch, n, dim) and (batch, n), where
`seen` is false for padding, or None where there is none. What stands at padding changes nothing
elsewhere.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Embedded = tuple[Tensor, Tensor | None]


class TokenEmbedding(nn.Module):
    """A vector for every token of a vocabulary, as of k-mers or byte pairs.

    Parameters
    ----------
    vocabulary
        Number of tokens.
    dim
        Width of a vector.
    """

    def __init__(self, vocabulary: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, dim)
        nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, tokens: Tensor, seen: Tensor | None = None) -> Embedded:
        """(batch, n) int64 -> (batch, n, dim)."""
        return self.table(tokens), seen


class PatchEmbedding(TokenEmbedding):
    """A vector for every patch, then a convolution over patches.

    With patches of 4 bases and a kernel of 7 each vector sees 28 bp.

    Parameters
    ----------
    vocabulary, dim
        As in `TokenEmbedding`.
    kernel
        Patches that the convolution sees, an odd number.
    """

    def __init__(self, vocabulary: int, dim: int, *, kernel: int = 7) -> None:
        super().__init__(vocabulary, dim)
        self.convolution = nn.Conv1d(dim, dim, kernel, padding=kernel // 2)

    def forward(self, tokens: Tensor, seen: Tensor | None = None) -> Embedded:
        """(batch, n) int64 -> (batch, n, dim)."""
        x = self.table(tokens)
        if seen is not None:
            x = x * seen[..., None]
        return self.convolution(x.transpose(1, 2)).transpose(1, 2), seen


class OneHotEmbedding(nn.Module):
    """A convolution over one-hot bases, then the maximum of every few positions.

    Parameters
    ----------
    dim
        Width of a vector.
    kernel
        Bases that the convolution sees, an odd number.
    pool
        Bases of a token; the last token of a sequence may have less.
    """

    def __init__(self, dim: int, *, kernel: int = 25, pool: int = 4) -> None:
        super().__init__()
        self.pool = pool
        self.convolution = nn.Conv1d(4, dim, kernel, padding=kernel // 2)

    def forward(self, values: Tensor, seen: Tensor | None = None) -> Embedded:
        """(batch, 4, bases), `seen` (batch, bases) -> (batch, bases / pool, dim)."""
        if seen is None:
            x = F.max_pool1d(self.convolution(values), self.pool, ceil_mode=True)
            return x.transpose(1, 2), None
        x = self.convolution(values * seen[:, None])
        x = F.max_pool1d(x.masked_fill(~seen[:, None], -torch.inf), self.pool, ceil_mode=True)
        seen = F.max_pool1d(seen.float(), self.pool, ceil_mode=True) > 0
        return x.masked_fill(~seen[:, None], 0).transpose(1, 2), seen
