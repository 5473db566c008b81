"""`TfidfMiniLM`: words and meaning of a text in one vector."""

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


class TfidfMiniLM(TextEncoder):
    """TF-IDF and MiniLM vectors, concatenated with equal weight.

    Words distinguish factors whose names are similar for MiniLM; MiniLM knows words that no
    training description has.

    Parameters
    ----------
    tfidf
        A fitted TF-IDF encoder.
    minilm
        A sentence transformer.

    Examples
    --------
    >>> encoder = TfidfMiniLM.fit(["CTCF in human liver", "ATAC-seq of human kidney"])
    >>> encoder.encode(["human kidney"]).shape == (1, encoder.tfidf.dim + 384)
    True
    """

    model_type = "tfidf+minilm"

    def __init__(self, tfidf: Tfidf, minilm: MiniLM) -> None:
        super().__init__()
        self.tfidf, self.minilm = tfidf, minilm

    @classmethod
    def fit(cls, texts: Sequence[str], *, max_words: int = 5000) -> Self:
        """Fit the TF-IDF encoder to training descriptions.

        Parameters
        ----------
        texts
            Training descriptions.
        max_words
            Maximum number of words and word pairs: the most frequent are used.

        Returns
        -------
        TfidfMiniLM
            The fitted encoder.
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
