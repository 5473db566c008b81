"""Convolutional encoders of one-hot DNA: CNN + FC, as in DeepSEA, and CNN + LSTM."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from genoglot.errors import ModelError
from genoglot.models.dna.sequence_encoder import Encoding, SequenceEncoder
from genoglot.nn.convolution import ConvolutionTower
from genoglot.nn.seed import torch_seed
from genoglot.sequence import DnaTokenizer, OneHotTokenizer
from genoglot.settings import Settings
from genoglot.training.examples import Batch


class CnnSettings(Settings):
    """Settings of a `ConvolutionTower` and of the weights after it.

    Attributes
    ----------
    kernel
        Width of the convolutions.
    pool
        Width of the max-pool after each convolution.
    dropout
        Dropout rate after each max-pool.
    seed
        Random seed of the weights.
    """

    kernel: int = Field(8, ge=1)
    pool: int = Field(4, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    seed: int = Field(0, ge=0)


class CnnFcSettings(CnnSettings):
    """Settings of a `CnnFc`; the defaults are DeepSEA's (Zhou and Troyanskaya 2015).

    Attributes
    ----------
    length
        Length of the sequences in bp; shorter ones are padded with N, longer ones refused.
    channels
        Channels of each convolution.
    dim
        Width of the vector of a sequence.
    """

    length: int = Field(1000, ge=1)
    channels: tuple[int, ...] = Field((320, 480, 960), min_length=1)
    dim: int = Field(925, ge=1)


class CnnLstmSettings(CnnSettings):
    """Settings of a `CnnLstm`.

    Attributes
    ----------
    channels
        Channels of each convolution.
    dim
        Width of the vectors, an even number; each direction has one half.
    """

    channels: tuple[int, ...] = Field((320, 480), min_length=1)
    dim: int = Field(512, ge=2, multiple_of=2)


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


class CnnLstm(SequenceEncoder):
    """Several convolutions with rectifier and max-pool, then an LSTM in both directions.

    The vector of a sequence is the last state of each of the two directions.

    Parameters
    ----------
    tokenizer
        One-hot; by default with the channels A C G T.
    **settings
        Fields of `CnnLstmSettings`; the others have their defaults.

    Raises
    ------
    ModelError
        If a setting is unknown, or the tokenizer is not one-hot.
    """

    model_type = "cnn-lstm"
    settings_class = CnnLstmSettings
    settings: CnnLstmSettings

    def __init__(self, tokenizer: DnaTokenizer | None = None, **settings: Any) -> None:
        super().__init__(one_hot_only(tokenizer, "CNN+LSTM"), **settings)
        s = self.settings
        self.dim = self.token_dim = s.dim
        with torch_seed(s.seed):
            self.tower = ConvolutionTower(s.channels, s.kernel, s.pool, s.dropout)
            self.lstm = nn.LSTM(s.channels[-1], s.dim // 2, batch_first=True, bidirectional=True)

    def forward(self, batch: Batch) -> Encoding:
        """Encode a batch from `tokenize`."""
        x, mask = self.tower(batch["inputs"], batch.get("mask"))
        x = x.transpose(1, 2)
        if mask is None:
            tokens, (ends, _) = self.lstm(x)
        else:
            packed = pack_padded_sequence(x, mask.sum(1).cpu(), True, enforce_sorted=False)
            read, (ends, _) = self.lstm(packed)
            tokens, _ = pad_packed_sequence(read, True, total_length=x.shape[1])
        return Encoding(torch.cat([ends[0], ends[1]], 1), tokens, mask)


def one_hot_only(tokenizer: DnaTokenizer | None, model: str) -> DnaTokenizer:
    """Refuse all but one-hot tokenizers; without a tokenizer, make one."""
    if tokenizer is None:
        return OneHotTokenizer()
    if not isinstance(tokenizer, OneHotTokenizer):
        raise ModelError(f"{model} reads one-hot DNA, not {type(tokenizer).__name__}; use onehot")
    return tokenizer
