"""Attention of queries over training examples, whose values are their vectors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.nn.attention import attend


class RetrievalAttention(nn.Module):
    """Multi-head attention of queries over fixed training examples, in two hops.

    The first hop compares the features of the query with those of the examples, so that one head
    can learn to look for the same factor and another one for the same tissue. The second hop
    compares the values that the first hop retrieved with those of the examples, so that examples
    with similar content are found whatever words describe them. Similarities are cosines of learned
    projections with a learned temperature per head.

    Parameters
    ----------
    features
        Description of each example, float32 (examples, feature_dim). Not part of the state dict.
    values
        Vector of each example, which is retrieved, float32 (examples, value_dim). Not part of the
        state dict.
    heads
        Number of heads of each hop.
    key_dim
        Width of the projections.

    Examples
    --------
    >>> retrieval = RetrievalAttention(torch.eye(4), torch.randn(4, 3), heads=2, key_dim=8)
    >>> retrieval(torch.eye(4)[:1]).shape
    torch.Size([1, 4, 3])
    """

    features: Tensor
    values: Tensor

    def __init__(self, features: Tensor, values: Tensor, *, heads: int, key_dim: int) -> None:
        super().__init__()
        self.register_buffer("features", features, persistent=False)
        self.register_buffer("values", values, persistent=False)
        self.heads = heads
        self.by_feature = nn.Parameter(_projection(heads, features.shape[1], key_dim))
        self.by_value = nn.Parameter(_projection(heads, values.shape[1], key_dim))
        self.log_temperature = nn.Parameter(torch.full((2, heads), 1.5))

    def forward(self, query: Tensor, mask: Tensor | None = None) -> Tensor:
        """Retrieve values.

        Parameters
        ----------
        query
            (batch, feature_dim).
        mask
            bool (batch, examples), True where a query can read an example; in training it must not
            read its own group. By default it can read all.

        Returns
        -------
        Tensor
            (batch, 2 * heads, value_dim): what each head of the first hop has read, then what each
            head of the second one has.
        """
        first = self._read(query, self.features, self.by_feature, self.log_temperature[0], mask)
        summary = first.mean(1)
        second = self._read(summary, self.values, self.by_value, self.log_temperature[1], mask)
        return torch.cat([first, second], 1)

    def _read(
        self,
        query: Tensor,
        examples: Tensor,
        projection: Tensor,
        log_temperature: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        queries = F.normalize(torch.einsum("bf,hfk->hbk", query, projection), dim=-1)
        keys = F.normalize(torch.einsum("nf,hfk->hnk", examples, projection), dim=-1)
        queries = queries * log_temperature.exp()[:, None, None]
        values = self.values.expand(self.heads, -1, -1)
        return attend(queries, keys, values, mask, scale=1.0).values.transpose(0, 1)


def _projection(heads: int, dim: int, key_dim: int) -> Tensor:
    return torch.randn(heads, dim, key_dim) / math.sqrt(key_dim)
