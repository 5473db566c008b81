"""Long DNA: windows, each encoded in its context, and a transformer over their vectors."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.errors import ModelError
from genoglot.models.dna.attention import TransformerSettings
from genoglot.models.dna.sequence_encoder import (
    Encoding,
    SequenceEncoder,
    batches,
    inference,
)
from genoglot.nn.encoder import Encoder
from genoglot.nn.seed import torch_seed
from genoglot.nn.state import load_state_arrays, state_arrays
from genoglot.pretrained import Pretrained
from genoglot.saved import Arrays, Saved
from genoglot.sequence.alphabet import Codes, Lengths, N
from genoglot.training.examples import Batch

BACKBONE = "backbone"  # subfolder and attribute

_WINDOWS = 256  # number of windows that are encoded at a time; 40 kb have 200


class WindowedSettings(TransformerSettings):
    """Settings of a `WindowedEncoder`: its windows, and the transformer over their vectors.

    Attributes
    ----------
    window
        Length of the windows in bp.
    context
        Number of bp on either side of a window that the backbone reads as well.
    frozen
        Whether the weights of the backbone are not trained.
    dim, heads, layers, positions, dropout
        Settings of the transformer over windows: see `genoglot.nn.encoder.Encoder`.
    max_length
        Maximum number of windows with `"absolute"` positions.
    seed
        Random seed of the weights.
    """

    window: int = Field(200, ge=1)
    context: int = Field(400, ge=0)
    frozen: bool = True


class WindowedEncoder(SequenceEncoder):
    """A transformer over the vectors of windows, which a backbone encodes.

    With the defaults, 40,000 bp are 200 windows of 200 bp, each read with 400 bp of context on
    either side, and with N past the ends of the sequence. Its tokens are the windows.

    Parameters
    ----------
    backbone
        An encoder of DNA, such as one that was trained on chromatin tracks.
    **settings
        Fields of `WindowedSettings`; the others have their defaults.

    Raises
    ------
    ModelError
        If a setting is unknown.
    """

    model_type = "windowed"
    settings_class = WindowedSettings
    settings: WindowedSettings

    def __init__(self, backbone: SequenceEncoder, **settings: Any) -> None:
        super().__init__(backbone.tokenizer, **settings)
        s = self.settings
        self.dim = self.token_dim = s.dim
        self.backbone = backbone.requires_grad_(not s.frozen)
        with torch_seed(s.seed):
            self.project = nn.Linear(backbone.dim, s.dim)
            self.upper = Encoder(
                s.dim, s.heads, s.layers, positions=s.positions, activation="relu",
                dropout=s.dropout, max_length=s.max_length,
            )  # fmt: skip
        self.train(self.training)

    @property
    def max_bases(self) -> int:
        """Maximum length of a sequence in bp."""
        s = self.settings
        return s.window * (s.max_length if s.positions == "absolute" else self.max_tokens)

    def tokenize(self, codes: Codes, lengths: Lengths | None = None) -> Batch:
        """Cut sequences into windows with their context, and tokenize these.

        Parameters
        ----------
        codes, lengths
            See `SequenceEncoder.tokenize`.

        Returns
        -------
        Batch
            The tensors that the backbone reads, with one more dimension: (n, windows, ...).
        """
        s = self.settings
        codes = np.asarray(codes)
        if lengths is not None:
            codes = np.where(np.arange(codes.shape[1]) < lengths[:, None], codes, np.uint8(N))
        missing = -codes.shape[1] % s.window
        wide = np.pad(codes, ((0, 0), (s.context, s.context + missing)), constant_values=N)
        every = np.lib.stride_tricks.sliding_window_view(wide, s.window + 2 * s.context, axis=1)
        windows = every[:, :: s.window]
        n, m, width = windows.shape
        batch = self.backbone.tokenize(np.ascontiguousarray(windows).reshape(n * m, width))
        return {name: tensor.view(n, m, *tensor.shape[1:]) for name, tensor in batch.items()}

    def one_hot_batch(self, values: Tensor) -> Batch:  # noqa: D102  (see SequenceEncoder)
        s = self.settings
        missing = -values.shape[2] % s.window
        wide = F.pad(values, (s.context, s.context + missing))
        windows = wide.unfold(2, s.window + 2 * s.context, s.window).transpose(1, 2)
        batch = self.backbone.one_hot_batch(windows.flatten(0, 1))
        n, m = windows.shape[:2]
        return {name: tensor.view(n, m, *tensor.shape[1:]) for name, tensor in batch.items()}

    def forward(self, batch: Batch) -> Encoding:
        """Encode a batch from `tokenize`."""
        n, m = batch["inputs"].shape[:2]
        vectors = self._window_vectors({k: tensor.flatten(0, 1) for k, tensor in batch.items()})
        cls, tokens, _ = self.upper(self.project(vectors.view(n, m, -1)))
        return Encoding(cls, tokens, None)

    def window_vectors(self, codes: Codes, lengths: Lengths | None = None) -> NDArray[np.float32]:
        """Encode the windows of sequences by the backbone, for an `UpperTransformer`.

        Parameters
        ----------
        codes, lengths
            See `SequenceEncoder.tokenize`.

        Returns
        -------
        NDArray
            float32 (n, windows, dim of the backbone).
        """
        with inference(self):
            rows = []
            for part, some in batches(codes, lengths, 1):
                batch = {name: tensor[0] for name, tensor in self.batch(part, some).items()}
                rows.append(self._window_vectors(batch).float().cpu().numpy())
        return np.stack(rows)

    def _window_vectors(self, batch: Batch) -> Tensor:
        """Encode windows, a limited number at a time: (windows, dim of the backbone)."""
        starts = range(0, len(batch["inputs"]), _WINDOWS)
        parts = ({name: t[i : i + _WINDOWS] for name, t in batch.items()} for i in starts)
        return torch.cat([self.backbone(part).sequence for part in parts])

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, in which a frozen backbone has no dropout."""
        super().train(mode)
        if self.settings.frozen:
            self.backbone.eval()
        return self

    def description(self) -> dict[str, Any]:
        """Return `model_type` and `settings`, and the description of the backbone."""
        return {**super().description(), "backbone": self.backbone.description()}

    def _arrays(self) -> Arrays:
        arrays = super()._arrays()
        return {name: array for name, array in arrays.items() if not name.startswith(BACKBONE)}

    def _parts(self) -> dict[str, Pretrained]:
        return {BACKBONE: self.backbone}

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        encoder = cls(SequenceEncoder.from_pretrained(saved.folder / BACKBONE), **saved.settings)
        load_state_arrays(encoder, state_arrays(encoder.backbone, f"{BACKBONE}.") | saved.arrays)
        return encoder.eval()


class UpperTransformer(SequenceEncoder):
    """The transformer of a `WindowedEncoder`, which reads vectors of windows, not DNA.

    To train it is to train the whole encoder with a frozen backbone, which then encodes each window
    only once instead of in every epoch.

    Parameters
    ----------
    whole
        The encoder; it shares its weights.

    Examples
    --------
    >>> from genoglot.models.dna.cnn import CnnLstm
    >>> whole = WindowedEncoder(CnnLstm(channels=(4,), dim=4), dim=8, heads=2, layers=1).eval()
    >>> codes = np.zeros((2, 400), np.uint8)
    >>> vectors = UpperTransformer(whole).embed(whole.window_vectors(codes))
    >>> bool(np.allclose(vectors, whole.embed(codes), atol=1e-5))
    True
    """

    model_type = "upper"
    settings_class = WindowedSettings

    def __init__(self, whole: WindowedEncoder) -> None:
        super().__init__(whole.tokenizer, **whole.settings.model_dump())
        self.dim, self.token_dim = whole.dim, whole.token_dim
        self.project, self.upper = whole.project, whole.upper

    def tokenize(self, codes: NDArray[Any], lengths: Lengths | None = None) -> Batch:
        """Return the result of `WindowedEncoder.window_vectors`, (n, windows, dim), as a batch."""
        return {"inputs": torch.from_numpy(np.asarray(codes, np.float32))}

    def one_hot_batch(self, values: Tensor) -> Batch:  # noqa: D102  (see SequenceEncoder)
        raise ModelError("an upper transformer reads vectors of windows, not DNA")

    def forward(self, batch: Batch) -> Encoding:
        """Encode a batch from `tokenize`."""
        cls, tokens, _ = self.upper(self.project(batch["inputs"]))
        return Encoding(cls, tokens, None)
