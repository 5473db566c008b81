"""`TextEncoder`: the interface of all text encoders."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import TextError
from genoglot.pretrained import Pretrained


class TextEncoder(Pretrained):
    """Encoder of texts into vectors of unit length.

    A subclass implements `dim` and `_encode`. This class checks the texts.
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
            Queries or descriptions, n of them. A list, even for one text.

        Returns
        -------
        NDArray
            float32, shape (n, dim). Rows have unit length, so that a dot product is a cosine.

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
        """Encode texts that have been checked: the list may be empty, its texts are not."""


def check_texts(texts: Sequence[str]) -> list[str]:
    """Return texts as a list, or raise a TextError if one is empty or if they are one string."""
    if isinstance(texts, str):
        raise TextError(f"give a list of texts, not one string: [{texts!r}]")
    checked = list(texts)
    for i, text in enumerate(checked):
        if not isinstance(text, str):
            raise TextError(f"text {i} is {type(text).__name__}, not a string; give a description")
        if not text.strip():
            raise TextError(f"text {i} is empty; give a query or description")
    return checked
