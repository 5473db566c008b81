"""`SequenceEncoder`: DNA to vectors, one of each token and one of the whole sequence."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genoglot.errors import ModelError
from genoglot.hub import local_folder
from genoglot.models.dna.lengths import check_maximum
from genoglot.nn.state import load_state_arrays, state_arrays
from genoglot.pretrained import Pretrained
from genoglot.saved import CONFIG, Arrays, Saved
from genoglot.sequence import (
    DnaTokenizer,
    KmerTokenizer,
    OneHotTokenizer,
    reverse_complement,
)
from genoglot.sequence.alphabet import Codes, Lengths
from genoglot.training.examples import Batch

Strands = Literal["forward", "both"]

ENCODER, TOKENIZER = "encoder", "tokenizer"  # subfolders of saved models


class Encoding(NamedTuple):
    """The encoding of a batch of sequences.

    Attributes
    ----------
    sequence
        Vector of each sequence, (batch, dim).
    tokens
        Vector of each token, (batch, tokens, token_dim).
    mask
        (batch, tokens) bool, True where a token is present; None if all are.
    """

    sequence: Tensor
    tokens: Tensor
    mask: Tensor | None


class SequenceEncoder(nn.Module, Pretrained):
    """A torch module that encodes batches from `tokenize`, with methods that encode DNA codes.

    A subclass defines `model_type`, `settings_class` and `forward`; its arguments are a tokenizer
    and settings.

    Attributes
    ----------
    tokenizer
        Tokenizer of the DNA that the network reads.
    dim
        Width of the vector of a sequence.
    token_dim
        Width of the vector of a token.
    max_tokens
        Maximum number of tokens of a sequence (of bases, if one-hot).
    length_setting
        Setting that raises `max_tokens`, which errors mention; None if there is no such setting.
    """

    max_tokens: int = 1 << 15
    length_setting: str | None = None

    dim: int
    token_dim: int

    def __init__(self, tokenizer: DnaTokenizer, **settings: Any) -> None:
        super().__init__()
        Pretrained.__init__(self, **settings)
        self.tokenizer = tokenizer

    @abstractmethod
    def forward(self, batch: Batch) -> Encoding:
        """Encode a batch from `tokenize`, on the device of the weights."""

    @property
    def max_bases(self) -> int:
        """Maximum length of a sequence in bp (for byte pairs: if all have the maximum length)."""
        return self.tokenizer.max_bases(self.max_tokens)

    def check_length(self, length: int, what: str = "a sequence") -> None:
        """Refuse a length that the encoder cannot read, before any sequence is read.

        Parameters
        ----------
        length
            Length of the sequence in bp.
        what
            Name of the sequence in an error.

        Raises
        ------
        ModelError
            If the length is above `max_bases`.
        """
        check_maximum(length, self.max_bases, what, setting=self.length_setting)

    def token_of_base(self, length: int) -> NDArray[np.int64]:
        """Return the index of the token of each base, for predictions of single bases.

        Of one-hot DNA, that is the base itself. Of overlapping k-mers it is the k-mer in whose
        middle the base is (for even k, the left one of the two bases in the middle); the bases at
        the two ends have the first and the last k-mer.

        Parameters
        ----------
        length
            Length of the sequence in bp.

        Returns
        -------
        NDArray
            int64 (length,).

        Raises
        ------
        ModelError
            If the tokenizer has no token for each base, or the sequence is shorter than a k-mer.
        """
        if isinstance(self.tokenizer, OneHotTokenizer):
            return np.arange(length)
        if not isinstance(self.tokenizer, KmerTokenizer):
            raise ModelError(
                f"{type(self.tokenizer).__name__} has no token for each base; use an encoder of "
                "single bases or of overlapping k-mers"
            )
        k = self.tokenizer.k
        if length < k:
            raise ModelError(f"a sequence of {length} bp has no {k}-mer; give at least {k} bp")
        return np.clip(np.arange(length) - (k - 1) // 2, 0, length - k)

    def tokenize(self, codes: Codes, lengths: Lengths | None = None) -> Batch:
        """Make the tensors that the network reads.

        Parameters
        ----------
        codes
            A C G T N = 0 1 2 3 4, uint8 (n, length).
        lengths
            Number of bases of each sequence, int64 (n,); by default all.

        Returns
        -------
        Batch
            `inputs`: token ids (n, tokens) int64, or one-hot values (n, 4, length) float32. `mask`,
            if there is padding: (n, tokens or bases) bool, True where a token is present.

        Raises
        ------
        ModelError
            If a sequence is too long.
        """
        found = self.tokenizer.from_codes(
            codes, lengths, padding=True, add_special_tokens=False, return_tensors="np"
        )
        mask = np.asarray(found.pop("attention_mask"))
        (inputs,) = found.values()
        tokens = mask.shape[1]
        check_maximum(tokens, self.max_tokens, unit="tokens", setting=self.length_setting)
        batch = {"inputs": torch.from_numpy(inputs)}
        return batch if mask.all() else {**batch, "mask": torch.from_numpy(mask.astype(np.bool_))}

    def one_hot_batch(self, values: Tensor) -> Batch:
        """Make the tensors that the network reads from one-hot DNA, differentiably.

        Parameters
        ----------
        values
            Floats (n, 4, length), channels in the order A C G T; N is zero.

        Returns
        -------
        Batch
            Like that of `tokenize`, without a mask.

        Raises
        ------
        ModelError
            If the tokens of this encoder are not differentiable functions of the bases.
        """
        if not isinstance(self.tokenizer, OneHotTokenizer):
            raise ModelError(
                f"{type(self.tokenizer).__name__} looks up whole tokens, so that there is no "
                "gradient to single bases; use an encoder of one-hot bases or patches"
            )
        return {"inputs": values[:, ["ACGT".index(base) for base in self.tokenizer.channels]]}

    def batch(self, codes: Codes, lengths: Lengths | None = None) -> Batch:
        """Tokenize sequences and move the tensors to the device of the weights."""
        device = next(self.parameters()).device
        found = self.tokenize(codes, lengths)
        return {name: tensor.to(device) for name, tensor in found.items()}

    def embed(
        self,
        codes: Codes,
        lengths: Lengths | None = None,
        *,
        strands: Strands = "forward",
        batch_size: int = 64,
    ) -> NDArray[np.float32]:
        """Encode sequences.

        Parameters
        ----------
        codes, lengths
            See `tokenize`.
        strands
            `"both"`: the mean of the vectors of a sequence and of its reverse complement.
        batch_size
            Number of sequences that are encoded at a time.

        Returns
        -------
        NDArray
            float32 (n, dim).

        Raises
        ------
        ModelError
            If a sequence is too long.
        """
        with inference(self):
            rows = [self._vectors(*batch, strands) for batch in batches(codes, lengths, batch_size)]
        return to_numpy(rows, self.dim)

    def embed_tokens(
        self, codes: Codes, lengths: Lengths | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Encode the tokens of sequences, all in one batch.

        Parameters
        ----------
        codes, lengths
            See `tokenize`.

        Returns
        -------
        tuple of NDArray and NDArray
            float32 (n, tokens, token_dim), and bool (n, tokens), True where a token is present.
        """
        with inference(self):
            encoding = self(self.batch(codes, lengths))
            mask = encoding.mask
            if mask is None:
                mask = torch.ones(encoding.tokens.shape[:2], dtype=torch.bool)
            return encoding.tokens.float().cpu().numpy(), mask.cpu().numpy()

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Self:
        """Load an encoder of this class, or of any subclass; also that of a `SequenceModel`.

        Parameters
        ----------
        path
            Folder of the encoder or of the model, or its name on the Hugging Face hub.

        Returns
        -------
        Self
            The encoder, in evaluation mode.

        Raises
        ------
        ModelError
            If it is missing, damaged, of another class or saved in another format.
        """
        return super().from_pretrained(encoder_folder(local_folder(path, what="saved model")))

    def _arrays(self) -> Arrays:
        return state_arrays(self)

    def _parts(self) -> dict[str, Pretrained]:
        return {TOKENIZER: self.tokenizer}

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        encoder = cls(DnaTokenizer.from_pretrained(saved.folder / TOKENIZER), **saved.settings)
        load_state_arrays(encoder, saved.arrays)
        return encoder.eval()

    def _vectors(self, codes: Codes, lengths: Lengths | None, strands: Strands) -> Tensor:
        forward: Tensor = self(self.batch(codes, lengths)).sequence
        if strands == "forward":
            return forward
        reverse_codes = reverse_complement(codes, lengths)
        reverse: Tensor = self(self.batch(reverse_codes, lengths)).sequence
        return (forward + reverse) / 2


def encoder_folder(folder: Path) -> Path:
    """Return the folder of the encoder of a saved model, or the folder itself."""
    inside = folder / ENCODER
    return inside if (inside / CONFIG).exists() else folder


@contextmanager
def inference(module: nn.Module) -> Iterator[None]:
    """Turn off dropout and gradients; restore the mode of the module afterwards."""
    training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        module.train(training)


@contextmanager
def frozen(encoder: nn.Module, *, enabled: bool) -> Iterator[None]:
    """Train nothing of an encoder for a while, if this is enabled."""
    trained = [parameter.requires_grad for parameter in encoder.parameters()]
    if enabled:
        encoder.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, was in zip(encoder.parameters(), trained, strict=True):
            parameter.requires_grad_(was)


def batches(
    codes: Codes, lengths: Lengths | None, size: int
) -> Iterator[tuple[Codes, Lengths | None]]:
    """Split codes into batches of `size` rows, each as wide as its longest sequence."""
    for i in range(0, len(codes), size):
        part = np.asarray(codes[i : i + size])
        if lengths is None:
            yield part, None
            continue
        some = lengths[i : i + size]
        yield part[:, : int(some.max())], some


def to_numpy(batches: list[Tensor], width: int) -> NDArray[np.float32]:
    """Concatenate batches of rows, if there are any: float32 (n, width)."""
    if not batches:
        return np.empty((0, width), np.float32)
    rows: NDArray[np.float32] = torch.cat(batches).float().cpu().numpy()
    return rows
