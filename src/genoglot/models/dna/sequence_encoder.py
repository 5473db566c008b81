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
from genoglot.nn.state import load_state_arrays, state_arrays
from genoglot.pretrained import Pretrained
from genoglot.saved import CONFIG, Arrays, Saved
from genoglot.sequence import DnaTokenizer, reverse_complement
from genoglot.sequence.alphabet import Codes, N

Lengths = NDArray[np.int64]
Strands = Literal["forward", "both"]

ENCODER, TOKENIZER = "encoder", "tokenizer"  # subfolders of saved models

LONGEST = 1 << 15  # tokens: beyond, attention takes minutes and gigabytes


class Vectors(NamedTuple):
    """What an encoder makes of a batch.

    Attributes
    ----------
    sequence
        One of each sequence, (batch, dim).
    tokens
        One of each token, (batch, tokens, token_dim).
    seen
        (batch, tokens) bool, false for padding; None if there is none.
    """

    sequence: Tensor
    tokens: Tensor
    seen: Tensor | None


class SequenceEncoder(nn.Module, Pretrained):
    """DNA to vectors. A torch module of `tokenize`d batches, with verbs for codes.

    A subclass has `model_type`, `settings_class` and `forward`, and is made of a tokenizer and
    settings.

    Attributes
    ----------
    tokenizer
        From DNA to what the network reads.
    dim, token_dim
        Width of the vectors of sequences, and of tokens.
    """

    dim: int
    token_dim: int

    def __init__(self, tokenizer: DnaTokenizer, **settings: Any) -> None:
        super().__init__()
        Pretrained.__init__(self, **settings)
        self.tokenizer = tokenizer

    @abstractmethod
    def forward(self, inputs: Tensor, seen: Tensor | None = None) -> Vectors:
        """Encode what `tokenize` gave, on the device of the weights."""

    @property
    def most_bases(self) -> int:
        """Length of the longest sequence that can be read, bp (of byte pairs: that may be)."""
        return self.tokenizer.most_bases(LONGEST)

    def check_length(self, length: int, what: str = "a sequence") -> None:
        """Refuse a sequence of so many bp, before it is read.

        Parameters
        ----------
        length
            In bp.
        what
            What an error calls the sequence.

        Raises
        ------
        ModelError
            If it is longer than `most_bases`.
        """
        if length > self.most_bases:
            raise ModelError(
                f"{what} of {length:,} bp, but this encoder reads up to {self.most_bases:,} "
                "bp; cut it into windows"
            )

    def tokenize(
        self, codes: Codes, lengths: Lengths | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Make what the network reads.

        Parameters
        ----------
        codes
            A C G T N = 0 1 2 3 4, uint8 (n, length).
        lengths
            Bases of each sequence that count, int64 (n,); by default all.

        Returns
        -------
        Token ids (n, tokens) int64 or one-hot values (n, 4, length) float32; and which of the
        tokens (or bases) there are, bool (n, tokens), or None if there is no padding.

        Raises
        ------
        ModelError
            If a sequence is too long.
        """
        tokens = self.tokenizer.from_codes(
            codes, lengths, padding=True, add_special_tokens=False, return_tensors="np"
        )
        seen = np.asarray(tokens.pop("attention_mask"))
        (inputs,) = tokens.values()
        if seen.shape[1] > LONGEST:
            raise ModelError(
                f"a sequence has {seen.shape[1]} tokens, more than {LONGEST}; cut it into windows"
            )
        padded = None if seen.all() else torch.from_numpy(seen.astype(np.bool_))
        return torch.from_numpy(inputs), padded

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
            As in `tokenize`.
        strands
            `"both"`: the mean of the vectors of a sequence and of its reverse complement.
        batch_size
            Sequences at a time.

        Returns
        -------
        float32 (n, dim)

        Raises
        ------
        ModelError
            If a sequence is too long.
        """
        with resting(self):
            rows = [
                self._sequence(*batch, strands) for batch in batches(codes, lengths, batch_size)
            ]
        return numpy_rows(rows, self.dim)

    def embed_tokens(
        self, codes: Codes, lengths: Lengths | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Encode the tokens of a few sequences.

        Returns
        -------
        float32 (n, tokens, token_dim), and which of them there are, bool (n, tokens).
        """
        with resting(self):
            vectors = self(*self._inputs(codes, lengths))
            seen = vectors.seen
            if seen is None:
                seen = torch.ones(vectors.tokens.shape[:2], dtype=torch.bool)
            return vectors.tokens.float().cpu().numpy(), seen.cpu().numpy()

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
        folder = local_folder(path, what="saved model")
        inside = folder / ENCODER
        return super().from_pretrained(inside if (inside / CONFIG).exists() else folder)

    def _arrays(self) -> Arrays:
        return state_arrays(self)

    def _parts(self) -> dict[str, Pretrained]:
        return {TOKENIZER: self.tokenizer}

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        encoder = cls(DnaTokenizer.from_pretrained(saved.folder / TOKENIZER), **saved.settings)
        load_state_arrays(encoder, saved.arrays)
        return encoder.eval()

    def _inputs(self, codes: Codes, lengths: Lengths | None) -> tuple[Tensor, Tensor | None]:
        inputs, seen = self.tokenize(codes, lengths)
        device = next(self.parameters()).device
        return inputs.to(device), None if seen is None else seen.to(device)

    def _sequence(self, codes: Codes, lengths: Lengths | None, strands: Strands) -> Tensor:
        one: Tensor = self(*self._inputs(codes, lengths)).sequence
        if strands == "forward":
            return one
        other: Tensor = self(*self._inputs(other_strand(codes, lengths), lengths)).sequence
        return (one + other) / 2


def other_strand(codes: Codes, lengths: Lengths | None = None) -> Codes:
    """Reverse complement of sequences, which begin at the first column like those given.

    Examples
    --------
    >>> other_strand(np.array([[0, 1, 4, 4]], np.uint8), np.array([2]))
    array([[2, 3, 4, 4]], dtype=uint8)
    """
    turned = reverse_complement(np.asarray(codes))
    if lengths is None:
        return turned
    width = codes.shape[1]
    place = np.arange(width) + (width - lengths[:, None])
    inside = place < width
    shifted = np.take_along_axis(turned, np.where(inside, place, 0), axis=1)
    return np.where(inside, shifted, np.uint8(N))


@contextmanager
def resting(module: nn.Module) -> Iterator[None]:
    """Without dropout and gradients; the module is left as it was found."""
    training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        module.train(training)


def batches(
    codes: Codes, lengths: Lengths | None, size: int
) -> Iterator[tuple[Codes, Lengths | None]]:
    """Cut codes into batches, each as long as its longest sequence."""
    for i in range(0, len(codes), size):
        part = np.asarray(codes[i : i + size])
        if lengths is None:
            yield part, None
            continue
        some = lengths[i : i + size]
        yield part[:, : int(some.max())], some


def numpy_rows(rows: list[Tensor], width: int) -> NDArray[np.float32]:
    """Join batches of rows: float32 (n, width), also if there are none."""
    if not rows:
        return np.empty((0, width), np.float32)
    joined: NDArray[np.float32] = torch.cat(rows).float().cpu().numpy()
    return joined


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw weights from a seed; torch's own random numbers go on as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
