"""From tokens of DNA to vectors: a table, patches, or convolutions over one-hot bases.

All have the same signature: `(tokens, mask) -> (vectors, mask)`, (batch, n, dim) and (batch, n).
`mask` is True where a token is present; it is None if all are. Padding changes nothing elsewhere.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.nn.convolution import pooled_mask

Embedded = tuple[Tensor, Tensor | None]


class TokenEmbedding(nn.Module):
    """A vector for every token of a vocabulary, such as k-mers or byte pairs.

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

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Embedded:
        """(batch, n) int64 -> (batch, n, dim)."""
        return self.table(tokens), mask


class PatchEmbedding(TokenEmbedding):
    """A vector for every patch, then a convolution over patches.

    With patches of 4 bases and a kernel of 7 each vector depends on 28 bp.

    Parameters
    ----------
    vocabulary, dim
        See `TokenEmbedding`.
    kernel
        Width of the convolution in patches, an odd number.
    """

    def __init__(self, vocabulary: int, dim: int, *, kernel: int = 7) -> None:
        super().__init__(vocabulary, dim)
        self.convolution = nn.Conv1d(dim, dim, kernel, padding=kernel // 2)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Embedded:
        """(batch, n) int64, or probabilities (batch, n, vocabulary) -> (batch, n, dim)."""
        by_id = not tokens.is_floating_point()
        x = self.table(tokens) if by_id else tokens @ self.table.weight
        if mask is not None:
            x = x * mask[..., None]
        return self.convolution(x.transpose(1, 2)).transpose(1, 2), mask


def patch_probabilities(values: Tensor, k: int, special: int = 5) -> Tensor:
    """Probability of every patch of k bases: products of those of its bases.

    Of one-hot DNA, 1 for the patch that is there; differentiable, unlike a look-up of its id.

    Parameters
    ----------
    values
        Floats (batch, 4, length), channels A C G T; what is missing to 1 is the probability of N.
    k
        Number of bases of a patch.
    special
        Number of ids before those of patches.

    Returns
    -------
    Tensor
        (batch, length / k rounded up, special + 5 ** k), in the order of the ids.

    Examples
    --------
    >>> dna = torch.eye(4)[[0, 3, 1]].T[None]  # ATC
    >>> patch_probabilities(dna, 2).argmax(2)  # AT, CN
    tensor([[ 8, 14]])
    """
    values = F.pad(values, (0, -values.shape[2] % k))
    bases = torch.cat([values, 1 - values.sum(1, keepdim=True)], 1)
    bases = bases.unfold(2, k, k).permute(0, 2, 3, 1)  # (batch, n, k, 5)
    patches = bases[:, :, 0]
    for i in range(1, k):
        patches = (patches[..., None] * bases[:, :, i, None]).flatten(2)
    return F.pad(patches, (special, 0))


class OneHotEmbedding(nn.Module):
    """A convolution over one-hot bases, then the maximum of every few positions.

    Parameters
    ----------
    dim
        Width of a vector.
    kernel
        Width of the convolution in bases, an odd number.
    pool
        Number of bases of a token; the last token of a sequence may have fewer.
    """

    def __init__(self, dim: int, *, kernel: int = 25, pool: int = 4) -> None:
        super().__init__()
        self.pool = pool
        self.convolution = nn.Conv1d(4, dim, kernel, padding=kernel // 2)
        self.maximum = nn.MaxPool1d(pool, ceil_mode=True)

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Embedded:
        """(batch, 4, bases), `mask` (batch, bases) -> (batch, bases / pool, dim)."""
        if mask is None:
            return self.maximum(self.convolution(values)).transpose(1, 2), None
        x = self.convolution(values * mask[:, None])
        x = self.maximum(x.masked_fill(~mask[:, None], -torch.inf))
        mask = pooled_mask(mask, self.pool)
        return x.masked_fill(~mask[:, None], 0).transpose(1, 2), mask
