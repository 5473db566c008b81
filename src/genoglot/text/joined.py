"""Words (TF-IDF) and meaning (MiniLM) side by side, as one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from genoglot.pretrained import Pretrained
from genoglot.saved import Saved
from genoglot.text.encoder import TextEncoder
from genoglot.text.minilm import MiniLM
from genoglot.text.tfidf import Tfidf


class WordsAndMeaning(TextEncoder):
    """TF-IDF and MiniLM vectors side by side, of equal weight.

    Words tell factors apart whose names mean much the same to MiniLM; MiniLM knows words that no
    training description has.

    Parameters
    ----------
    tfidf
        A fitted TF-IDF encoder.
    minilm
        A sentence transformer.

    Examples
    --------
    >>> encoder = WordsAndMeaning.fit(["CTCF in human liver", "ATAC-seq of human kidney"])
    >>> encoder.encode(["human kidney"]).shape == (1, encoder.tfidf.dim + 384)
    True
    """

    model_type = "tfidf+minilm"

    def __init__(self, tfidf: Tfidf, minilm: MiniLM) -> None:
        super().__init__()
        self.tfidf, self.minilm = tfidf, minilm

    @classmethod
    def fit(cls, texts: Sequence[str], *, max_words: int = 5000) -> Self:
        """Take the words and their weights from training descriptions.

        Parameters
        ----------
        texts
            Training descriptions.
        max_words
            Number of the most frequent words and word pairs to use.
        """
        return cls(Tfidf(max_words=max_words).fit(texts), MiniLM())

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.tfidf.dim + self.minilm.dim

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        both = np.concatenate([self.tfidf.encode(texts), self.minilm.encode(texts)], axis=1)
        joined: NDArray[np.float32] = both * np.float32(np.sqrt(0.5))
        return joined

    def _parts(self) -> dict[str, Pretrained]:
        return {"tfidf": self.tfidf, "minilm": self.minilm}

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        folder = saved.folder
        return cls(
            Tfidf.from_pretrained(folder / "tfidf"), MiniLM.from_pretrained(folder / "minilm")
        )
