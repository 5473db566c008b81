"""`IdTokenizer`: the base class of tokenizers with a vocabulary and special tokens."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import SequenceError
from genoglot.sequence.alphabet import Codes, Lengths
from genoglot.sequence.tokenizers.padding import (
    Padding,
    Tensors,
    check_codes,
    pad_rows,
    token_limit,
)
from genoglot.sequence.tokenizers.tokenizer import DnaTokenizer

Ids = NDArray[np.int64]

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class IdTokenizer(DnaTokenizer):
    """Convert DNA into token ids, and back.

    A subclass implements `vocab_size`, `convert_ids_to_tokens`, `_tokens` and `_letters`.

    Attributes
    ----------
    pad_token_id, unk_token_id, cls_token_id, sep_token_id, mask_token_id
        Ids of the special tokens [PAD], [UNK], [CLS], [SEP], [MASK].
    """

    pad_token_id: int = 0
    unk_token_id: int = 1
    cls_token_id: int = 2
    sep_token_id: int = 3
    mask_token_id: int = 4

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Number of tokens, including the special ones."""

    def __len__(self) -> int:
        return self.vocab_size

    def from_codes(  # noqa: D102  (see DnaTokenizer)
        self,
        codes: Codes,
        lengths: Lengths | None = None,
        *,
        padding: Padding = False,
        truncation: bool = False,
        max_length: int | None = None,
        return_tensors: Tensors = "np",
        add_special_tokens: bool = True,
    ) -> dict[str, Any]:
        codes, lengths = check_codes(codes, lengths)
        margin = int(add_special_tokens)
        limit = token_limit(padding, truncation, max_length, 2 * margin)
        ids, counts = self._tokens(codes, lengths, limit, margin)
        if margin:
            ids[:, 0] = self.cls_token_id
            ids[np.arange(len(ids)), counts + 1] = self.sep_token_id
            counts = counts + 2
        tokens, mask = pad_rows(ids, counts, self.pad_token_id, padding, max_length, return_tensors)
        return {"input_ids": tokens, "attention_mask": mask}

    @cached_property
    def of_dna(self) -> NDArray[np.bool_]:
        """Which tokens consist of A, C, G and T alone, bool (vocab_size,)."""
        texts = self.convert_ids_to_tokens(range(self.vocab_size))
        return np.array([set(text) <= set("ACGT") for text in texts])

    def readable(self, codes: Codes, lengths: Lengths | None = None) -> NDArray[np.bool_]:  # noqa: D102
        batch = self.from_codes(codes, lengths, padding=True, add_special_tokens=False)
        mask = np.asarray(batch["attention_mask"], np.bool_)
        found: NDArray[np.bool_] = (self.of_dna[batch["input_ids"]] & mask).any(axis=1)
        return found

    def decode(self, ids: Any, *, skip_special_tokens: bool = True) -> str:
        """Convert the ids of one sequence into letters.

        [PAD], [CLS] and [SEP] are skipped; [UNK] and [MASK] become N.

        Parameters
        ----------
        ids
            List, array or tensor (tokens,).
        skip_special_tokens
            If false, return the tokens, including the special ones, separated by spaces.

        Returns
        -------
        str
            The letters.

        Raises
        ------
        SequenceError
            If an id is not in the vocabulary.
        """
        array = np.asarray(ids.tolist() if hasattr(ids, "tolist") else ids, np.int64)
        if array.ndim != 1:
            raise SequenceError("decode takes the ids of one sequence; use batch_decode")
        wrong = array[(array < 0) | (array >= self.vocab_size)]
        if len(wrong):
            raise SequenceError(
                f"id {wrong[0]} is outside the vocabulary of {self.vocab_size} tokens; "
                "decode with the tokenizer that made it"
            )
        if not skip_special_tokens:
            return " ".join(self.convert_ids_to_tokens(array))
        around = (self.pad_token_id, self.cls_token_id, self.sep_token_id)
        return self._letters(array[~np.isin(array, around)])

    @abstractmethod
    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Look up the text of each token."""

    @abstractmethod
    def _tokens(
        self, codes: Codes, lengths: Lengths, limit: int | None, margin: int
    ) -> tuple[Ids, Ids]:
        """Tokenize rows, each into `limit` tokens at most.

        Returns
        -------
        tuple of Ids and Ids
            (n, margin + maximum number of tokens + margin), and the number of tokens of each row.
            Ids in the margins and after the last token of a row may be anything.
        """

    @abstractmethod
    def _letters(self, ids: Ids) -> str:
        """Convert ids without [PAD], [CLS] and [SEP] into letters."""
