"""CNN + FC: convolutions over one-hot DNA, then a fully connected layer, as in DeepSEA."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import nn
from torch.nn import functional as F

from genoglot.errors import ModelError
from genoglot.models.dna.sequence_encoder import Encoding, SequenceEncoder
from genoglot.nn.convolution import ConvolutionTower
from genoglot.nn.seed import torch_seed
from genoglot.sequence import DnaTokenizer, OneHotTokenizer
from genoglot.settings import Settings
from genoglot.training.examples import Batch


class CnnFcSettings(Settings):
    """Settings of a `CnnFc`; the defaults are DeepSEA's (Zhou and Troyanskaya 2015).

    Attributes
    ----------
    length
        Length of the sequences in bp; shorter ones are padded with N, longer ones refused.
    channels
        Channels of each convolution.
    kernel
        Width of the convolutions.
    pool
        Width of the max-pool after each convolution.
    dim
        Width of the vector of a sequence.
    dropout
        Dropout rate after each max-pool.
    seed
        Random seed of the weights.
    """

    length: int = Field(1000, ge=1)
    channels: tuple[int, ...] = Field((320, 480, 960), min_length=1)
    kernel: int = Field(8, ge=1)
    pool: int = Field(4, ge=1)
    dim: int = Field(925, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    seed: int = Field(0, ge=0)


class CnnFc(SequenceEncoder):
    """Several convolutions with rectifier and max-pool, then a fully connected layer.

    Parameters
    ----------
    tokenizer
        One-hot; by default with the channels A C G T.
    **settings
        Fields of `CnnFcSettings`; the others have their defaults.

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
        with torch_seed(s.seed):
            self.tower = ConvolutionTower(s.channels, s.kernel, s.pool, s.dropout)
            self.connected = nn.Linear(self.tower.length_after(s.length) * s.channels[-1], s.dim)
        self.rectify = nn.ReLU()
        self.max_tokens, self.length_setting = s.length, "length"

    def forward(self, batch: Batch) -> Encoding:
        """Encode a batch from `tokenize`."""
        values = batch["inputs"]
        if "mask" in batch:
            values = values * batch["mask"][:, None]
        x, _ = self.tower(F.pad(values, (0, self.settings.length - values.shape[2])))
        return Encoding(self.rectify(self.connected(x.flatten(1))), x.transpose(1, 2), None)


def one_hot_only(tokenizer: DnaTokenizer | None, model: str) -> DnaTokenizer:
    """Refuse all but one-hot tokenizers; without a tokenizer, make one."""
    if tokenizer is None:
        return OneHotTokenizer()
    if not isinstance(tokenizer, OneHotTokenizer):
        raise ModelError(f"{model} reads one-hot DNA, not {type(tokenizer).__name__}; use onehot")
    return tokenizer
