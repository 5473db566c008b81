"""CNN + FC: convolutions over one-hot DNA, flattened and fully connected, as in DeepSEA."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.errors import ModelError
from genoglot.models.dna.sequence_encoder import Lengths, SequenceEncoder, Vectors, seeded
from genoglot.nn.convolution import ConvolutionTower
from genoglot.sequence import DnaTokenizer, OneHotTokenizer
from genoglot.sequence.alphabet import Codes
from genoglot.settings import Settings


class CnnFcSettings(Settings):
    """Settings of a `CnnFc`; the defaults are DeepSEA's (Zhou and Troyanskaya 2015)."""

    length: int = Field(1000, ge=1)
    channels: tuple[int, ...] = Field((320, 480, 960), min_length=1)
    kernel: int = Field(8, ge=1)
    pool: int = Field(4, ge=1)
    dim: int = Field(925, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    seed: int = Field(0, ge=0)


class CnnFc(SequenceEncoder):
    """Convolution, rectifier and max-pool, several times; then flatten and connect.

    Parameters
    ----------
    tokenizer
        One-hot; by default in the order A C G T.
    **settings
        Those of `CnnFcSettings`: `length` (bp; shorter sequences are filled up with N, longer ones
        refused), `channels`, `kernel`, `pool` (of each convolution), `dim`, `dropout`, `seed`.

    Raises
    ------
    ModelError
        If a setting is unknown, or the tokenizer is not one-hot.
    """

    model_type = "cnn-fc"
    settings_class = CnnFcSettings
    settings: CnnFcSettings

    def __init__(self, tokenizer: DnaTokenizer | None = None, **settings: Any) -> None:
        super().__init__(one_hot_only(tokenizer, "CNN+FC"), **settings)
        s = self.settings
        self.dim, self.token_dim = s.dim, s.channels[-1]
        with seeded(s.seed):
            self.tower = ConvolutionTower(s.channels, s.kernel, s.pool, s.dropout)
            self.connected = nn.Linear(self.tower.length_after(s.length) * s.channels[-1], s.dim)

    @property
    def most_bases(self) -> int:
        """Length of the sequences that it reads, bp."""
        return self.settings.length

    def tokenize(  # noqa: D102  (see SequenceEncoder)
        self, codes: Codes, lengths: Lengths | None = None
    ) -> tuple[Tensor, Tensor | None]:
        values, seen = super().tokenize(codes, lengths)
        missing = self.settings.length - values.shape[-1]
        if missing < 0:
            raise ModelError(
                f"a sequence has {values.shape[-1]} bp, but this network reads "
                f"{self.settings.length}; make it with length={values.shape[-1]}"
            )
        if seen is not None:
            values = values * seen[:, None]
        return F.pad(values, (0, missing)), None

    def forward(self, inputs: Tensor, seen: Tensor | None = None) -> Vectors:
        """Encode what `tokenize` gave."""
        x, _ = self.tower(inputs)
        return Vectors(F.relu(self.connected(x.flatten(1))), x.transpose(1, 2), None)


def one_hot_only(tokenizer: DnaTokenizer | None, model: str) -> DnaTokenizer:
    """Refuse all but one-hot tokenizers; without any, take the usual one."""
    if tokenizer is None:
        return OneHotTokenizer()
    if not isinstance(tokenizer, OneHotTokenizer):
        raise ModelError(f"{model} reads one-hot DNA, not {type(tokenizer).__name__}; use onehot")
    return tokenizer
