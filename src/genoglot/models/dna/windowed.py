"""Long DNA: cut into pieces, each encoded in its context, and read by an upper transformer."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from genoglot.errors import ModelError
from genoglot.models.dna.sequence_encoder import (
    LONGEST,
    Lengths,
    SequenceEncoder,
    Vectors,
    batches,
    made_from,
    resting,
    seeded,
)
from genoglot.models.settings import Settings
from genoglot.nn.encoder import Encoder, Positions
from genoglot.sequence import DnaTokenizer
from genoglot.sequence.alphabet import Codes, N

_AT_ONCE = 256  # pieces: 40 kb have 200, and the memory that a piece takes is the backbone's


class PieceSettings(Settings):
    """Settings of a `PieceEncoder`; the defaults are the seed's for gene expression."""

    piece: int = Field(200, ge=1)
    context: int = Field(400, ge=0)
    frozen: bool = True
    dim: int = Field(512, ge=4)
    heads: int = Field(8, ge=1)
    layers: int = Field(4, ge=1)
    positions: Positions = "rotary"
    dropout: float = Field(0.1, ge=0, lt=1)
    max_length: int = Field(1024, ge=1)
    seed: int = Field(0, ge=0)


class PieceEncoder(SequenceEncoder):
    """An upper transformer over the vectors of pieces, each encoded by a backbone.

    With the defaults, 40,000 bp are 200 pieces of 200 bp, read as windows of 1,000 bp: 400 bp of
    context on both sides, N past the ends of the sequence. Its tokens are the pieces.

    Parameters
    ----------
    backbone
        An encoder of DNA, such as one that was trained on chromatin tracks.
    **settings
        Those of `PieceSettings`: `piece` and `context` (bp), `frozen` (the backbone stays as it
        is), `dim`, `heads`, `layers`, `positions`, `dropout`, `max_length` (most pieces with
        absolute positions), `seed`.

    Raises
    ------
    ModelError
        If a setting is unknown.
    """

    kind = "pieces"

    def __init__(self, backbone: SequenceEncoder, **settings: Any) -> None:
        super().__init__(backbone.tokenizer)
        self.settings: PieceSettings = PieceSettings.of(settings, "piece encoder")
        s = self.settings
        self.dim = self.token_dim = s.dim
        self.backbone = backbone.requires_grad_(not s.frozen)
        with seeded(s.seed):
            self.project = nn.Linear(backbone.dim, s.dim)
            self.upper = Encoder(
                s.dim, s.heads, s.layers, positions=s.positions, activation="relu",
                dropout=s.dropout, max_length=s.max_length,
            )  # fmt: skip
        self.train(self.training)

    @property
    def most_bases(self) -> int:
        """Length of the longest sequence that can be read, bp."""
        s = self.settings
        return s.piece * (s.max_length if s.positions == "absolute" else LONGEST)

    def tokenize(
        self, codes: Codes, lengths: Lengths | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Cut sequences into pieces with their context, and tokenize these.

        Parameters
        ----------
        codes, lengths
            As for any encoder.

        Returns
        -------
        What the backbone reads, with a dimension more: (n, pieces, ...); and what of it is no
        padding, (n, pieces, ...), or None.
        """
        s = self.settings
        codes = np.asarray(codes)
        if lengths is not None:
            codes = np.where(np.arange(codes.shape[1]) < lengths[:, None], codes, np.uint8(N))
        missing = -codes.shape[1] % s.piece
        wide = np.pad(codes, ((0, 0), (s.context, s.context + missing)), constant_values=N)
        windows = np.lib.stride_tricks.sliding_window_view(wide, s.piece + 2 * s.context, axis=1)
        pieces = windows[:, :: s.piece]
        n, m, width = pieces.shape
        inputs, seen = self.backbone.tokenize(np.ascontiguousarray(pieces).reshape(n * m, width))
        seen = None if seen is None else seen.view(n, m, *seen.shape[1:])
        return inputs.view(n, m, *inputs.shape[1:]), seen

    def forward(self, inputs: Tensor, seen: Tensor | None = None) -> Vectors:
        """Encode what `tokenize` gave."""
        n, m = inputs.shape[:2]
        flat = inputs.flatten(0, 1)
        masks = None if seen is None else seen.flatten(0, 1)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.settings.frozen):
            read = torch.cat(
                [
                    self.backbone(
                        flat[i : i + _AT_ONCE], None if masks is None else masks[i : i + _AT_ONCE]
                    ).sequence
                    for i in range(0, n * m, _AT_ONCE)
                ]
            )
        cls, tokens, _ = self.upper(self.project(read.view(n, m, -1)))
        return Vectors(cls, tokens, None)

    def read(self, codes: Codes, lengths: Lengths | None = None) -> NDArray[np.float32]:
        """Vectors of all pieces by the backbone, which an `Upper` reads in the place of DNA.

        Returns
        -------
        float32 (n, pieces, dim of the backbone)
        """
        rows = []
        with resting(self):
            for part, some in batches(codes, lengths, 1):
                flat, seen = self._inputs(part, some)
                seen = None if seen is None else seen[0]
                read = [
                    self.backbone(
                        flat[0, i : i + _AT_ONCE], None if seen is None else seen[i : i + _AT_ONCE]
                    ).sequence
                    for i in range(0, flat.shape[1], _AT_ONCE)
                ]
                rows.append(torch.cat(read).float().cpu().numpy())
        return np.stack(rows)

    def train(self, mode: bool = True) -> Self:
        """Switch to training; a frozen backbone stays without dropout."""
        super().train(mode)
        if self.settings.frozen:
            self.backbone.eval()
        return self

    def description(self) -> dict[str, Any]:
        """Kind and settings, those of the backbone among them."""
        described = super().description()
        described["settings"]["backbone"] = self.backbone.description()
        return described

    @classmethod
    def _make(cls, settings: dict[str, Any], tokenizer: DnaTokenizer) -> Self:
        own = dict(settings)
        if "backbone" not in own:
            raise ModelError("a piece encoder needs a backbone; make one by PieceEncoder(backbone)")
        return cls(made_from(own.pop("backbone"), tokenizer, "backbone"), **own)


class Upper(SequenceEncoder):
    """The upper transformer of a `PieceEncoder`: reads vectors of pieces, not DNA.

    To train it is to train the whole one with its frozen backbone, whose work is done once and not
    in every pass.

    Parameters
    ----------
    whole
        The encoder; it shares its weights.

    Examples
    --------
    >>> from genoglot.models.dna.cnn_lstm import CnnLstm
    >>> whole = PieceEncoder(CnnLstm(channels=(4,), dim=4), dim=8, heads=2, layers=1).eval()
    >>> codes = np.zeros((2, 400), np.uint8)
    >>> bool(np.allclose(Upper(whole).embed(whole.read(codes)), whole.embed(codes), atol=1e-5))
    True
    """

    kind = "upper"

    def __init__(self, whole: PieceEncoder) -> None:
        super().__init__(whole.tokenizer)
        self.settings, self.dim, self.token_dim = whole.settings, whole.dim, whole.token_dim
        self.project, self.upper = whole.project, whole.upper

    def tokenize(
        self, codes: NDArray[Any], lengths: Lengths | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Take vectors of `PieceEncoder.read`, (n, pieces, dim), as they are."""
        return torch.from_numpy(np.asarray(codes, np.float32)), None

    def forward(self, inputs: Tensor, seen: Tensor | None = None) -> Vectors:
        """Encode what `tokenize` gave."""
        cls, tokens, _ = self.upper(self.project(inputs))
        return Vectors(cls, tokens, None)

    @classmethod
    def _make(cls, settings: dict[str, Any], tokenizer: DnaTokenizer) -> Self:
        raise ModelError("an upper transformer is saved with its backbone; save the piece encoder")
