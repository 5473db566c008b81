"""CNN + LSTM: convolutions over one-hot DNA, read from both ends by an LSTM."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from genoglot.models.dna.cnn_fc import one_hot_only
from genoglot.models.dna.sequence_encoder import SequenceEncoder, Vectors, seeded
from genoglot.nn.convolution import ConvolutionTower
from genoglot.sequence import DnaTokenizer
from genoglot.settings import Settings


class CnnLstmSettings(Settings):
    """Settings of a `CnnLstm`."""

    channels: tuple[int, ...] = Field((320, 480), min_length=1)
    kernel: int = Field(8, ge=1)
    pool: int = Field(4, ge=1)
    dim: int = Field(512, ge=2, multiple_of=2)
    dropout: float = Field(0.2, ge=0, lt=1)
    seed: int = Field(0, ge=0)


class CnnLstm(SequenceEncoder):
    """Convolution, rectifier and max-pool, several times; then an LSTM in both directions.

    The vector of a sequence is where the two directions end.

    Parameters
    ----------
    tokenizer
        One-hot; by default in the order A C G T.
    **settings
        Those of `CnnLstmSettings`: `channels`, `kernel`, `pool` (of each convolution), `dim`
        (even: half of it for each direction), `dropout`, `seed`.

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
        with seeded(s.seed):
            self.tower = ConvolutionTower(s.channels, s.kernel, s.pool, s.dropout)
            self.lstm = nn.LSTM(s.channels[-1], s.dim // 2, batch_first=True, bidirectional=True)

    def forward(self, inputs: Tensor, seen: Tensor | None = None) -> Vectors:
        """Encode what `tokenize` gave."""
        x, seen = self.tower(inputs, seen)
        x = x.transpose(1, 2)
        if seen is None:
            tokens, (ends, _) = self.lstm(x)
        else:
            packed = pack_padded_sequence(x, seen.sum(1).cpu(), True, enforce_sorted=False)
            read, (ends, _) = self.lstm(packed)
            tokens, _ = pad_packed_sequence(read, True, total_length=x.shape[1])
        return Vectors(torch.cat([ends[0], ends[1]], 1), tokens, seen)
