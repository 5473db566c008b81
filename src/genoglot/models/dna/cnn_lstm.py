"""CNN + LSTM: convolutions over one-hot DNA, read from both ends by an LSTM."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from genoglot.models.dna.cnn_fc import one_hot_only
from genoglot.models.dna.sequence_encoder import Encoding, SequenceEncoder
from genoglot.nn.convolution import ConvolutionTower
from genoglot.nn.seed import torch_seed
from genoglot.sequence import DnaTokenizer
from genoglot.settings import Settings
from genoglot.training.examples import Batch


class CnnLstmSettings(Settings):
    """Settings of a `CnnLstm`.

    Attributes
    ----------
    channels
        Channels of each convolution.
    kernel
        Width of the convolutions.
    pool
        Width of the max-pool after each convolution.
    dim
        Width of the vectors, an even number; each direction has one half.
    dropout
        Dropout rate after each max-pool.
    seed
        Random seed of the weights.
    """

    channels: tuple[int, ...] = Field((320, 480), min_length=1)
    kernel: int = Field(8, ge=1)
    pool: int = Field(4, ge=1)
    dim: int = Field(512, ge=2, multiple_of=2)
    dropout: float = Field(0.2, ge=0, lt=1)
    seed: int = Field(0, ge=0)


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
