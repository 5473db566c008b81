"""`TextEncoder`, and the checks of a query."""

from __future__ import annotations

import logging
import unicodedata
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import TextError
from genoglot.pretrained import Pretrained

logger = logging.getLogger("genoglot")

MAX_QUERY = 10_000  # characters
TELLING_WORDS = 4  # fewer are often names, which are of no language
FOREIGN = 1e-3  # less probable than that, a text is not English


class TextEncoder(Pretrained):
    """Text to vectors of unit length.

    A subclass implements `dim` and `_encode`; the texts are checked here.
    """

    @property
    @abstractmethod
    def dim(self) -> int:
        """Length of a vector."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts.

        Parameters
        ----------
        texts
            Queries or descriptions. A list, even for one text.

        Returns
        -------
        (n, dim) float32 array, rows of unit length, so that a dot product is a cosine.

        Raises
        ------
        TextError
            If a text is empty or `texts` is one string instead of a list.

        Examples
        --------
        >>> from genoglot.text import Tfidf
        >>> encoder = Tfidf().fit(["CTCF in human liver", "ATAC-seq of human kidney"])
        >>> encoder.encode(["human kidney"]).shape == (1, encoder.dim)
        True
        """
        return self._encode(check_texts(texts))

    @abstractmethod
    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Encode texts that are known to be good (none is empty; the list may be)."""


def check_texts(texts: Sequence[str]) -> list[str]:
    """Return the texts as a list; a TextError if one is empty, or if there is a lone string."""
    if isinstance(texts, str):
        raise TextError(f"give a list of texts, not one string: [{texts!r}]")
    checked = list(texts)
    for i, text in enumerate(checked):
        if not isinstance(text, str):
            raise TextError(f"text {i} is {type(text).__name__}, not a string; give a description")
        if not text.strip():
            raise TextError(f"text {i} is empty; give a query or description")
    return checked


def check_query(text: str) -> None:
    """Refuse a query that no encoder can read, or that is too long to be meant.

    The encoders read English. Of a query of four words or more that reads like another language, a
    notice says so: names of species and organs are Latin, and the query is answered
    (docs/decisions/0015-english-queries.md).

    Raises
    ------
    TextError
        If it is empty, longer than 10,000 characters, or mostly in letters that are neither Latin
        nor Greek.

    Examples
    --------
    >>> check_query("TGF-β response, human liver")
    >>> check_query("人类肝脏")
    Traceback (most recent call last):
    ...
    genoglot.errors.TextError: the text is not in Latin letters ('人类肝脏'); write it in English
    """
    check_texts([text])
    if len(text) > MAX_QUERY:
        raise TextError(
            f"the text has {len(text):,} characters, but a query at most {MAX_QUERY:,}; "
            "describe the wanted regions in a sentence"
        )
    plain = unicodedata.normalize("NFKC", text)  # Japanese keyboards type wide Latin letters
    letters = [unicodedata.name(letter, "") for letter in plain if letter.isalpha()]
    read = sum(name.startswith(("LATIN", "GREEK", "MICRO")) for name in letters)
    if 2 * read < len(letters):
        raise TextError(f"the text is not in Latin letters ({text[:30]!r}); write it in English")
    if len(text.split()) >= TELLING_WORDS:
        language, english = _language(text)
        if english < FOREIGN:
            logger.warning(
                "the text may be in another language than English (%s: %r); models read English, "
                "so that the answer may mean nothing",
                *(language, text[:30]),
            )


def _language(text: str) -> tuple[str, float]:
    """Return the most likely language of a text, and the probability of English among all.

    Its letters are not independent, so that likelihoods are too sure: their logarithms are divided
    by the square root of the length, as py3langid does for its probabilities.
    """
    import py3langid

    languages, scores = zip(*py3langid.rank(text), strict=True)  # log-likelihoods, best first
    share = np.exp((np.array(scores) - scores[0]) / np.sqrt(len(text.encode())))
    return languages[0], float(share[languages.index("en")] / share.sum())
