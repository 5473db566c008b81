"""`Tfidf`: words and word pairs, weighted by their rarity in the training descriptions."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from genoglot.errors import TextError
from genoglot.saved import Arrays, Saved
from genoglot.settings import Settings
from genoglot.text.encoder import TextEncoder, check_texts

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import TfidfVectorizer

logger = logging.getLogger("genoglot")

VOCABULARY = "vocabulary.json"

# Keeps names of biology whole (H3K27ac, NKX2-1, HL-60, CD34+, B of "B cell"): the default pattern
# of scikit-learn splits them, and drops single letters.
TOKEN_PATTERN = r"(?u)[^\W_]+(?:[-.'][^\W_]+)*\+?"


class TfidfSettings(Settings):
    """Settings of a `Tfidf`.

    Attributes
    ----------
    max_words
        Maximum number of words and word pairs, the most frequent ones: the length of a vector.
    pairs
        Count pairs of neighboring words too.
    lowercase
        Take "CTCF" and "ctcf" for one word.
    token_pattern
        Regular expression of a word.
    """

    max_words: PositiveInt = 20_000
    pairs: bool = True
    lowercase: bool = True
    token_pattern: str = TOKEN_PATTERN


class Tfidf(TextEncoder):
    """Term frequency times inverse document frequency, by scikit-learn.

    Parameters
    ----------
    **settings
        Fields of `TfidfSettings`.

    Notes
    -----
    The vector of a text without any known word is zero, not of unit length.

    Examples
    --------
    >>> encoder = Tfidf().fit(["NKX2-1 in human lung", "H3K27ac in human liver"])
    >>> a, b = encoder.encode(["nkx2-1 lung", "liver H3K27ac"])
    >>> round(float(a @ a), 3), float(a @ b)
    (1.0, 0.0)
    """

    model_type = "tfidf"
    settings_class = TfidfSettings
    settings: TfidfSettings

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._vectorizer: TfidfVectorizer | None = None

    @property
    def dim(self) -> int:
        """Length of a vector: the number of words and word pairs."""
        return len(self._fitted().vocabulary_)

    @property
    def words(self) -> list[str]:
        """Word or word pair of each element of a vector."""
        return [str(word) for word in self._fitted().get_feature_names_out()]

    def fit(self, texts: Sequence[str]) -> Self:
        """Find the vocabulary and its weights in training descriptions.

        Parameters
        ----------
        texts
            The descriptions.

        Returns
        -------
        Tfidf
            This encoder.

        Raises
        ------
        TextError
            If there is no text, a text is empty, or no text has a word.
        """
        vectorizer = self._new_vectorizer()
        try:
            vectorizer.fit(check_texts(texts))
        except ValueError as error:
            raise TextError(f"the texts have no words ({error}); give descriptions") from None
        self._vectorizer = vectorizer
        return self

    def encode_sparse(self, texts: Sequence[str]) -> csr_array:
        """Encode texts as a sparse array, which saves memory if there are many.

        Returns
        -------
        scipy.sparse.csr_array
            float32, shape (n, dim).
        """
        from scipy.sparse import csr_array

        checked = check_texts(texts)
        if not checked:
            return csr_array((0, self.dim), dtype=np.float32)
        vectors = csr_array(self._fitted().transform(checked), dtype=np.float32)
        for row in np.flatnonzero(np.diff(vectors.indptr) == 0):
            logger.warning("no word is known from the training descriptions: %.60s", checked[row])
        return vectors

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        dense: NDArray[np.float32] = self.encode_sparse(texts).toarray()
        return dense

    def _arrays(self) -> Arrays:
        return {"idf": self._fitted().idf_}

    def _write(self, folder: Path) -> None:
        (folder / VOCABULARY).write_text(json.dumps(self.words, indent=0) + "\n")

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        encoder = super()._load(saved)
        words, idf = json.loads((saved.folder / VOCABULARY).read_text()), saved.arrays["idf"]
        if idf.shape != (len(words),):
            raise ValueError(f"{len(words)} words but weights of shape {idf.shape}")
        vectorizer = encoder._new_vectorizer(vocabulary={word: i for i, word in enumerate(words)})
        vectorizer.idf_ = idf
        encoder._vectorizer = vectorizer
        return encoder

    def _new_vectorizer(self, vocabulary: dict[str, int] | None = None) -> TfidfVectorizer:
        from sklearn.feature_extraction.text import TfidfVectorizer

        s = self.settings
        return TfidfVectorizer(
            lowercase=s.lowercase,
            token_pattern=s.token_pattern,
            ngram_range=(1, 2 if s.pairs else 1),
            max_features=s.max_words,
            vocabulary=vocabulary,
            dtype=np.float32,
        )

    def _fitted(self) -> TfidfVectorizer:
        if self._vectorizer is None:
            raise TextError("the TF-IDF encoder is not fitted yet; call fit(descriptions) first")
        return self._vectorizer
