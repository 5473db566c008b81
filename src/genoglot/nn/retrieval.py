"""Attention over a memory of training examples, whose values are codes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MemoryAttention(nn.Module):
    """Multi-head attention of queries over a fixed memory, in two hops.

    The first hop compares the query's features with those of the examples in memory, so that one
    head can learn to look for the same factor and another for the same tissue. The second hop
    compares the codes that the first hop read with the codes in memory, so that examples alike in
    content are found whatever words describe them. Similarities are cosines of learned projections
    with a learned temperature per head.

    Parameters
    ----------
    features
        (examples, feature_dim) float32: what each example in memory is described by.
    codes
        (examples, code_dim) float32: what is read from memory.
    heads
        Heads of each hop.
    key_dim
        Width of the projections.

    Examples
    --------
    >>> memory = MemoryAttention(torch.eye(4), torch.randn(4, 3), heads=2, key_dim=8)
    >>> memory(torch.eye(4)[:1]).shape
    torch.Size([1, 4, 3])
    """

    features: Tensor
    codes: Tensor

    def __init__(self, features: Tensor, codes: Tensor, *, heads: int, key_dim: int) -> None:
        super().__init__()
        self.register_buffer("features", features)
        self.register_buffer("codes", codes)
        self.heads = heads
        self.by_feature = nn.Parameter(_projection(heads, features.shape[1], key_dim))
        self.by_code = nn.Parameter(_projection(heads, codes.shape[1], key_dim))
        self.log_temperature = nn.Parameter(torch.full((2, heads), 1.5))

    def forward(self, query: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Read codes from memory.

        Parameters
        ----------
        query
            (batch, feature_dim).
        hidden
            (batch, examples) bool: examples that a query may not see, as its own group in training.

        Returns
        -------
        (batch, 2 * heads, code_dim): what each head of the first, then the second hop read.
        """
        first = self._read(query, self.features, self.by_feature, self.log_temperature[0], hidden)
        summary = first.mean(1)
        second = self._read(summary, self.codes, self.by_code, self.log_temperature[1], hidden)
        return torch.cat([first, second], 1)

    def _read(
        self, query: Tensor, keys: Tensor, projection: Tensor, log_temperature: Tensor,
        hidden: Tensor | None,
    ) -> Tensor:  # fmt: skip
        q = F.normalize(torch.einsum("bf,hfk->hbk", query, projection), dim=-1)
        k = F.normalize(torch.einsum("nf,hfk->hnk", keys, projection), dim=-1)
        similarity = torch.einsum("hbk,hnk->bhn", q, k) * log_temperature.exp()[:, None]
        if hidden is not None:
            similarity = similarity.masked_fill(hidden[:, None], float("-inf"))
        read: Tensor = similarity.softmax(-1) @ self.codes
        return read


def _projection(heads: int, dim: int, key_dim: int) -> Tensor:
    return torch.randn(heads, dim, key_dim) / math.sqrt(key_dim)
