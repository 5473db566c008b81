"""Patches of k bases, side by side, as tokens."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pydantic import Field

from genoglot.sequence.alphabet import Codes, Lengths, N, to_text
from genoglot.sequence.tokenizers.vocabulary import SPECIAL_TOKENS, Ids, IdTokenizer
from genoglot.settings import Settings

LARGEST = 8


class PatchSettings(Settings):
    """Settings of a `PatchTokenizer`.

    Attributes
    ----------
    k
        Number of bases of a patch, 1 to 8.
    """

    k: int = Field(4, ge=1, le=LARGEST)


class PatchTokenizer(IdTokenizer):
    """A token for every k bases: length / k tokens, rounded up; the last one is padded with N.

    Ids 0 to 4 are the special tokens, 5 to 5^k + 4 the patches of A C G T N: N (and every other
    IUPAC letter for more than one base) is a letter of its own, so that the bases beside it are
    not lost, and [UNK] never occurs. Decoding omits N at the end of the last patch, unless the
    whole patch is N.

    Parameters
    ----------
    k
        Number of bases of a patch, 1 to 8.

    Raises
    ------
    ModelError
        If `k` is out of range.

    Examples
    --------
    >>> tokenizer = PatchTokenizer(k=4)
    >>> tokens = tokenizer("ACGTAC")
    >>> tokens["input_ids"]
    [2, 43, 54, 3]
    >>> tokenizer.convert_ids_to_tokens(tokens["input_ids"])
    ['[CLS]', 'ACGT', 'ACNN', '[SEP]']
    >>> tokenizer.decode(tokens["input_ids"])
    'ACGTAC'
    """

    model_type = "patch"
    settings_class = PatchSettings

    def __init__(self, k: int = 4) -> None:
        super().__init__(k=k)
        self.k = k

    @property
    def vocab_size(self) -> int:
        """Number of tokens: 5^k + 5."""
        return len(SPECIAL_TOKENS) + int(5**self.k)

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Look up the text of each token."""
        return [
            SPECIAL_TOKENS[i] if i < len(SPECIAL_TOKENS) else to_text(self._codes(np.array([i])))
            for i in ids
        ]

    def max_bases(self, tokens: int) -> int:
        """Return the maximum number of bases of so many tokens, k each."""
        return tokens * self.k

    def _tokens(
        self, codes: Codes, lengths: Lengths, limit: int | None, margin: int
    ) -> tuple[Ids, Ids]:
        counts = -(-lengths // self.k)
        if limit is not None:
            counts = np.minimum(counts, limit)
        longest = int(counts.max(initial=0))
        ids = np.empty((len(codes), longest + 2 * margin), np.int64)
        letters = codes[:, : longest * self.k]
        missing = longest * self.k - letters.shape[1]
        if missing:
            letters = np.pad(letters, ((0, 0), (0, missing)), constant_values=N)
        if (lengths < codes.shape[1]).any():
            letters = np.where(np.arange(longest * self.k) < lengths[:, None], letters, np.uint8(N))
        numbers = letters[:, :: self.k].astype(np.int32)
        for i in range(1, self.k):
            numbers *= N + 1
            numbers += letters[:, i :: self.k]
        np.add(numbers, len(SPECIAL_TOKENS), out=ids[:, margin : margin + longest])
        return ids, counts

    def _letters(self, ids: Ids) -> str:
        text = to_text(self._codes(ids))
        last = text[-self.k :].rstrip("N")
        return text[: -self.k] + last if last else text

    def _codes(self, ids: Ids) -> Codes:
        """Codes of the bases of all patches, in one row; N for [UNK] and [MASK]."""
        powers = (N + 1) ** np.arange(self.k - 1, -1, -1)
        codes = (ids[:, None] - len(SPECIAL_TOKENS)) // powers % (N + 1)
        codes[ids < len(SPECIAL_TOKENS)] = N
        return codes.astype(np.uint8).ravel()
