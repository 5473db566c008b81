"""The attention encoder of the seed: tokens, four layers of attention, a CLS token."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field
from torch import Tensor, nn

from genoglot.errors import ModelError
from genoglot.models.dna.sequence_encoder import Lengths, SequenceEncoder, Vectors, seeded
from genoglot.models.settings import Settings
from genoglot.nn.embedding import OneHotEmbedding, PatchEmbedding, TokenEmbedding
from genoglot.nn.encoder import Encoder, Positions
from genoglot.sequence import DnaTokenizer, IdTokenizer, OneHotTokenizer, PatchTokenizer
from genoglot.sequence.alphabet import Codes


class AttentionSettings(Settings):
    """Settings of an `AttentionEncoder`; the defaults are the seed's."""

    dim: int = Field(512, ge=4)
    heads: int = Field(8, ge=1)
    layers: int = Field(4, ge=1)
    positions: Positions = "rotary"
    pooling: Literal["cls", "mean"] = "cls"
    dropout: float = Field(0.1, ge=0, lt=1)
    max_length: int = Field(1024, ge=1)
    seed: int = Field(0, ge=0)


class AttentionEncoder(SequenceEncoder):
    """Attention over the tokens of any tokenizer.

    Parameters
    ----------
    tokenizer
        Decides the embedding too: a table for k-mers and byte pairs; a table and a convolution
        over 7 patches; or, for one-hot bases, a convolution over 25 bp and the maximum of every 4.
    **settings
        Those of `AttentionSettings`: `dim`, `heads`, `layers`, `positions` (`"rotary"`,
        `"relative"`, `"absolute"`), `pooling` (the vector of a sequence is that of its CLS token,
        `"cls"`, or the mean of its tokens, `"mean"`), `dropout`, `max_length` (most tokens with
        absolute positions), `seed` (of the weights).

    Raises
    ------
    ModelError
        If a setting is unknown, or `dim` cannot be shared among the heads.

    Examples
    --------
    >>> from genoglot.sequence import PatchTokenizer, stack_codes
    >>> encoder = AttentionEncoder(PatchTokenizer(4), dim=16, heads=2, layers=1)
    >>> encoder.embed(*stack_codes(["ACGTACGT", "ACG"])).shape
    (2, 16)
    """

    kind = "attention"

    def __init__(self, tokenizer: DnaTokenizer, **settings: Any) -> None:
        super().__init__(tokenizer)
        self.settings: AttentionSettings = AttentionSettings.of(settings, "attention encoder")
        s = self.settings
        self.dim = self.token_dim = s.dim
        with seeded(s.seed):
            self.embedding = _embedding(tokenizer, s.dim)
            self.encoder = Encoder(
                s.dim, s.heads, s.layers, positions=s.positions, dropout=s.dropout,
                max_length=s.max_length,
            )  # fmt: skip

    @property
    def most_bases(self) -> int:
        """Length of the longest sequence that can be read, bp (of byte pairs: that may be)."""
        if self.settings.positions != "absolute":
            return super().most_bases
        tokens = self.settings.max_length
        if isinstance(self.embedding, OneHotEmbedding):
            tokens *= self.embedding.pool
        return min(super().most_bases, self.tokenizer.most_bases(tokens))

    def tokenize(  # noqa: D102  (see SequenceEncoder)
        self, codes: Codes, lengths: Lengths | None = None
    ) -> tuple[Tensor, Tensor | None]:
        inputs, seen = super().tokenize(codes, lengths)
        tokens = inputs.shape[-1]
        if isinstance(self.embedding, OneHotEmbedding):
            tokens = -(-tokens // self.embedding.pool)
        most = self.settings.max_length
        if self.settings.positions == "absolute" and tokens > most:
            raise ModelError(
                f"a sequence has {tokens} tokens, but there are absolute positions for {most}; cut "
                "it into windows, or make the encoder with a larger max_length"
            )
        return inputs, seen

    def forward(self, inputs: Tensor, seen: Tensor | None = None) -> Vectors:
        """Encode what `tokenize` gave."""
        x, seen = self.embedding(inputs, seen)
        cls, tokens, _ = self.encoder(x, seen)
        if self.settings.pooling == "cls":
            return Vectors(cls, tokens, seen)
        if seen is None:
            return Vectors(tokens.mean(1), tokens, None)
        weight = seen[..., None].to(tokens.dtype)
        mean = (tokens * weight).sum(1) / weight.sum(1).clamp(min=1)
        return Vectors(mean, tokens, seen)

    @classmethod
    def _make(cls, settings: dict[str, Any], tokenizer: DnaTokenizer) -> Self:
        return cls(tokenizer, **settings)


def _embedding(tokenizer: DnaTokenizer, dim: int) -> nn.Module:
    if isinstance(tokenizer, OneHotTokenizer):
        return OneHotEmbedding(dim)
    assert isinstance(tokenizer, IdTokenizer)
    kind = PatchEmbedding if isinstance(tokenizer, PatchTokenizer) else TokenEmbedding
    return kind(tokenizer.vocab_size, dim)
