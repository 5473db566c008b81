"""Attention encoder: embedded tokens, a stack of attention layers, a CLS token."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn

from genoglot.models.dna.sequence_encoder import Encoding, SequenceEncoder
from genoglot.nn.embedding import (
    OneHotEmbedding,
    PatchEmbedding,
    TokenEmbedding,
    patch_probabilities,
)
from genoglot.nn.encoder import Encoder, Positions
from genoglot.nn.seed import torch_seed
from genoglot.sequence import DnaTokenizer, IdTokenizer, OneHotTokenizer, PatchTokenizer
from genoglot.settings import Settings
from genoglot.training.examples import Batch


class TransformerSettings(Settings):
    """Settings of a `genoglot.nn.encoder.Encoder`.

    Attributes
    ----------
    dim
        Width of the vectors of tokens (or windows) and of sequences.
    heads
        Number of attention heads, by which `dim` is divisible.
    layers
        Number of attention layers.
    positions
        Encoding of positions: see `genoglot.nn.encoder.Encoder`.
    pooling
        The vector of a sequence is that of its CLS token, `"cls"`, or the mean of its tokens.
    dropout
        Dropout rate.
    max_length
        Maximum number of tokens (or windows) with `"absolute"` positions.
    seed
        Random seed of the weights.
    """

    dim: int = Field(512, ge=4)
    heads: int = Field(8, ge=1)
    layers: int = Field(4, ge=1)
    positions: Positions = "rotary"
    dropout: float = Field(0.1, ge=0, lt=1)
    max_length: int = Field(1024, ge=1)
    seed: int = Field(0, ge=0)


class AttentionSettings(TransformerSettings):
    """Settings of an `AttentionEncoder`.

    Attributes
    ----------
    pooling
        The vector of a sequence is that of its CLS token, `"cls"`, or the mean of its tokens.
    """

    pooling: Literal["cls", "mean"] = "cls"


class AttentionEncoder(SequenceEncoder):
    """Attention over the tokens of any tokenizer.

    Parameters
    ----------
    tokenizer
        The tokenizer. It decides on the embedding: a table for k-mers and byte pairs; a table and
        a convolution over 7 patches; or, for one-hot bases, a convolution over 25 bp and the
        maximum of every 4.
    **settings
        Fields of `AttentionSettings`; the others have their defaults.

    Raises
    ------
    ModelError
        If a setting is unknown, or `dim` cannot be divided among the heads.

    Examples
    --------
    >>> from genoglot.sequence import PatchTokenizer, stack_codes
    >>> encoder = AttentionEncoder(PatchTokenizer(4), dim=16, heads=2, layers=1)
    >>> encoder.embed(*stack_codes(["ACGTACGT", "ACG"])).shape
    (2, 16)
    """

    model_type = "attention"
    settings_class = AttentionSettings
    settings: AttentionSettings

    def __init__(self, tokenizer: DnaTokenizer, **settings: Any) -> None:
        super().__init__(tokenizer, **settings)
        s = self.settings
        self.dim = self.token_dim = s.dim
        with torch_seed(s.seed):
            self.embedding = _embedding(tokenizer, s.dim)
            self.encoder = Encoder(
                s.dim, s.heads, s.layers, positions=s.positions, dropout=s.dropout,
                max_length=s.max_length,
            )  # fmt: skip
        if s.positions == "absolute":
            pool = self.embedding.pool if isinstance(self.embedding, OneHotEmbedding) else 1
            self.max_tokens = min(self.max_tokens, s.max_length * pool)
            self.length_setting = "max_length"

    def one_hot_batch(self, values: Tensor) -> Batch:  # noqa: D102  (see SequenceEncoder)
        if not isinstance(self.tokenizer, PatchTokenizer):
            return super().one_hot_batch(values)
        return {"inputs": patch_probabilities(values, self.tokenizer.k)}

    def forward(self, batch: Batch) -> Encoding:
        """Encode a batch from `tokenize`."""
        x, mask = self.embedding(batch["inputs"], batch.get("mask"))
        cls, tokens, _ = self.encoder(x, mask)
        if self.settings.pooling == "cls":
            return Encoding(cls, tokens, mask)
        if mask is None:
            return Encoding(tokens.mean(1), tokens, None)
        weight = mask[..., None].to(tokens.dtype)
        mean = (tokens * weight).sum(1) / weight.sum(1).clamp(min=1)
        return Encoding(mean, tokens, mask)


def _embedding(tokenizer: DnaTokenizer, dim: int) -> nn.Module:
    if isinstance(tokenizer, OneHotTokenizer):
        return OneHotEmbedding(dim)
    assert isinstance(tokenizer, IdTokenizer)
    kind = PatchEmbedding if isinstance(tokenizer, PatchTokenizer) else TokenEmbedding
    return kind(tokenizer.vocab_size, dim)
