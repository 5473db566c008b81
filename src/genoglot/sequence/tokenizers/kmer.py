"""Overlapping k-mers as tokens."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field

from genoglot.errors import GenoglotError, SequenceError
from genoglot.sequence.alphabet import Codes, Lengths, N, to_text
from genoglot.sequence.kmers import kmer_numbers, sliding
from genoglot.sequence.tokenizers.one_hot import ordered_codes
from genoglot.sequence.tokenizers.vocabulary import SPECIAL_TOKENS, Ids, IdTokenizer
from genoglot.settings import Settings

LARGEST = 8

_VOCABULARY = "vocab.txt"
_BLOCK = 1 << 15  # bases at a time, so that intermediate arrays fit into the cache


class KmerSettings(Settings):
    """Settings of a `KmerTokenizer`.

    Attributes
    ----------
    k
        Number of bases of a token, 1 to 8.
    order
        Order of the letters A, C, G and T in the vocabulary.
    """

    k: int = Field(5, ge=1, le=LARGEST)
    order: str = "ACGT"


class KmerTokenizer(IdTokenizer):
    """A token for the k-mer at every base: length - k + 1 tokens.

    Ids 0 to 4 are the special tokens, 5 to 4^k + 4 the k-mers, sorted by `order`. A k-mer with N
    (or another IUPAC letter for more than one base) is [UNK]. Decoding restores every base of a
    known k-mer, and writes N elsewhere; a sequence shorter than k has no token.

    Parameters
    ----------
    k
        Number of bases of a token, 1 to 8.
    order
        Order of the letters A, C, G and T in the vocabulary. `"ATCG"` gives the ids of DNABERT.

    Raises
    ------
    ModelError
        If `k` is out of range.
    SequenceError
        If `order` does not consist of A, C, G and T.

    Examples
    --------
    >>> tokenizer = KmerTokenizer(k=3, order="ATCG")
    >>> tokens = tokenizer("AAACGTN")
    >>> tokens["input_ids"]
    [2, 5, 7, 16, 50, 1, 3]
    >>> tokenizer.convert_ids_to_tokens(tokens["input_ids"])
    ['[CLS]', 'AAA', 'AAC', 'ACG', 'CGT', '[UNK]', '[SEP]']
    >>> tokenizer.decode(tokens["input_ids"])
    'AAACGTN'
    """

    model_type = "kmer"
    settings_class = KmerSettings

    def __init__(self, k: int = 5, *, order: str = "ACGT") -> None:
        super().__init__(k=k, order=order)
        self.k, self.order = k, order
        self._code_of_rank = np.array(ordered_codes(order, "order"), np.uint8)
        self._rank_of_code = np.argsort(self._code_of_rank).astype(np.uint8)

    @property
    def vocab_size(self) -> int:
        """Number of tokens: 4^k + 5."""
        return len(SPECIAL_TOKENS) + int(4**self.k)

    @cached_property
    def vocabulary(self) -> list[str]:
        """Text of each token."""
        kmers = itertools.product(self.order, repeat=self.k)
        return [*SPECIAL_TOKENS, *map("".join, kmers)]

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Look up the text of each token."""
        return [self.vocabulary[i] for i in ids]

    def max_bases(self, tokens: int) -> int:
        """Return the maximum number of bases of so many tokens, which overlap."""
        return tokens + self.k - 1

    def _tokens(
        self, codes: Codes, lengths: Lengths, limit: int | None, margin: int
    ) -> tuple[Ids, Ids]:
        counts = np.maximum(lengths - (self.k - 1), 0)
        if limit is not None:
            counts = np.minimum(counts, limit)
        longest = int(counts.max(initial=0))
        ids = np.empty((len(codes), longest + 2 * margin), np.int64)
        if longest:
            codes = codes[:, : longest + self.k - 1]
            step = max(_BLOCK // codes.shape[1], 1)
            for i in range(0, len(codes), step):
                self._write_ids(codes[i : i + step], ids[i : i + step, margin : margin + longest])
        return ids, counts

    def _write_ids(self, codes: Codes, ids: Ids) -> None:
        """Write the ids (n, length - k + 1) of a block of codes (n, length)."""
        known = codes.max() < N
        ranks = self._ranks(codes if known else codes & np.uint8(3))
        numbers = kmer_numbers(ranks, self.k)
        numbers += len(SPECIAL_TOKENS)
        ids[:] = numbers
        if not known:
            ids[sliding(np.logical_or, codes == N, self.k)] = self.unk_token_id

    def _ranks(self, codes: Codes) -> Codes:
        """Convert codes 0 to 3 into ranks in the order of this vocabulary."""
        # Any permutation of two bits is linear in them, but for a constant: three operations on
        # whole arrays are five times faster than a look-up of each code.
        of_0, of_1, of_2, _ = self._rank_of_code
        if self.order == "ACGT":
            return codes
        ranks: Codes = (codes & np.uint8(1)) * (of_1 ^ of_0)
        ranks ^= (codes >> np.uint8(1)) * (of_2 ^ of_0)
        ranks ^= of_0
        return ranks

    def _letters(self, ids: Ids) -> str:
        if not len(ids):
            return ""
        known = ids >= len(SPECIAL_TOKENS)
        kmers = ids - len(SPECIAL_TOKENS)
        codes = np.full(len(ids) + self.k - 1, N, np.uint8)
        for i in range(self.k):
            ranks = (kmers >> 2 * (self.k - 1 - i)) & 3
            part = codes[i : i + len(ids)]
            part[known] = self._code_of_rank[ranks[known]]
        return to_text(codes)

    def _write(self, folder: Path) -> None:
        """Write the vocabulary for other projects, as DNABERT has it."""
        (folder / _VOCABULARY).write_text("\n".join(self.vocabulary) + "\n")

    @classmethod
    def from_file(cls, file: Path) -> Self:
        """Read the vocabulary of DNABERT: k and the order are those of its first k-mers."""
        tokens = file.read_text(encoding="utf-8").split()
        kmers = tokens[len(SPECIAL_TOKENS) :][:4]
        try:
            tokenizer = cls(len(kmers[0]), order="".join(kmer[-1] for kmer in kmers))
        except (IndexError, GenoglotError):
            tokenizer = cls()
        if tokenizer.vocabulary != tokens:
            raise SequenceError(
                f"{file}: holds not {', '.join(SPECIAL_TOKENS)} and all k-mers in order; give a "
                "folder that save_pretrained wrote, or DNABERT's"
            )
        return tokenizer
