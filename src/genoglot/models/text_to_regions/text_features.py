"""`TextFeatures`: words and meaning of a text in one vector, read by generators and annotators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from genoglot.saved import Saved
from genoglot.text import MiniLM, Tfidf

if TYPE_CHECKING:
    from torch import Tensor

MAX_WORDS = 5000


class TextFeatures(NamedTuple):
    """TF-IDF vectors, reduced to their principal directions, beside MiniLM embeddings.

    Words distinguish factors whose names are similar for MiniLM; MiniLM knows words that no
    training description has.

    Attributes
    ----------
    tfidf
        A fitted TF-IDF encoder.
    minilm
        A sentence transformer.
    directions
        Principal directions of the TF-IDF vectors, float32 (words, directions).
    """

    tfidf: Tfidf
    minilm: MiniLM
    directions: NDArray[np.float32]

    @classmethod
    def fit(cls, texts: list[str], *, dim: int, seed: int) -> Self:
        """Fit TF-IDF and its principal directions to training descriptions.

        Parameters
        ----------
        texts
            Training descriptions.
        dim
            Maximum number of principal directions.
        seed
            Seed of the randomized singular value decomposition.

        Returns
        -------
        TextFeatures
            The fitted encoder.
        """
        from sklearn.decomposition import TruncatedSVD

        tfidf = Tfidf(max_words=MAX_WORDS).fit(texts)
        words = tfidf.encode_sparse(texts)
        dim = min(dim, *words.shape)
        svd = TruncatedSVD(dim, algorithm="randomized", n_iter=4, random_state=seed).fit(words)
        return cls(tfidf, MiniLM(), svd.components_.T.astype(np.float32))

    @classmethod
    def load(cls, saved: Saved) -> Self:
        """Read the encoders and directions that a model has saved under the names of the fields.

        Parameters
        ----------
        saved
            Content of the model's folder.

        Returns
        -------
        TextFeatures
            The fitted encoder.
        """
        tfidf = Tfidf.from_pretrained(saved.folder / "tfidf")
        minilm = MiniLM.from_pretrained(saved.folder / "minilm")
        return cls(tfidf, minilm, saved.arrays["directions"])

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Encode texts.

        Parameters
        ----------
        texts
            Queries or descriptions.

        Returns
        -------
        Tensor
            float32 (texts, directions + 384).
        """
        import torch

        words = self.tfidf.encode(texts) @ self.directions
        return torch.from_numpy(np.concatenate([words, self.minilm.encode(texts)], axis=1))
