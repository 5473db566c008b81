"""Byte pair encoding of DNA: tokens of any length, learned from sequences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from genoglot.errors import SequenceError
from genoglot.saved import Saved
from genoglot.sequence.alphabet import Codes, Lengths, to_codes, to_text
from genoglot.sequence.tokenizers.vocabulary import SPECIAL_TOKENS, Ids, IdTokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_FILE = "tokenizer.json"
_SEGMENT = 256  # bases; see `BpeTokenizer.train`


class BpeTokenizer(IdTokenizer):
    """Tokens that are learned from DNA by merging frequent neighbors (byte pair encoding).

    N (and every other IUPAC letter for more than one base) is [UNK], one for each base, and no
    token spans it. Decoding writes it as N, so that only the case is lost.

    Parameters
    ----------
    tokenizer
        Tokenizer of the library tokenizers, with the letters A C G T and the special tokens [PAD],
        [UNK], [CLS], [SEP], [MASK] in any order, as in DNABERT-2's `tokenizer.json`.

    Raises
    ------
    SequenceError
        If a special token or letter is missing.

    Examples
    --------
    >>> tokenizer = BpeTokenizer.train(["ACGTACGTACGTNACGT"] * 10, vocab_size=13)
    >>> tokens = tokenizer("acgtacgtnAA")["input_ids"]
    >>> tokenizer.convert_ids_to_tokens(tokens)
    ['[CLS]', 'ACGTACGT', '[UNK]', 'A', 'A', '[SEP]']
    >>> tokenizer.decode(tokens)
    'ACGTACGTNAA'
    """

    model_type = "bpe"

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        ids = tokenizer.get_vocab()
        missing = [token for token in (*SPECIAL_TOKENS, *"ACGT") if token not in ids]
        if missing:
            raise SequenceError(f"the vocabulary has no token {missing[0]}; train it on DNA")
        special = [ids[token] for token in SPECIAL_TOKENS]
        self.pad_token_id, self.unk_token_id, self.cls_token_id = special[:3]
        self.sep_token_id, self.mask_token_id = special[3:]
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer

    @classmethod
    def train(
        cls, sequences: Iterable[str | Codes], *, vocab_size: int = 16_000, min_frequency: int = 2
    ) -> Self:
        """Learn a vocabulary.

        Sequences are split at N and into segments of 256 bases. Every base takes about 100 bytes of
        memory and a microsecond, so use a sample of a large genome, such as some of its windows.

        Parameters
        ----------
        sequences
            DNA letters, or codes, uint8 (length,); read once, one by one.
        vocab_size
            Number of tokens, including the special ones. The vocabulary is smaller if the sequences
            have too few frequent neighbors.
        min_frequency
            Minimum number of times that two tokens are neighbors to be merged.

        Returns
        -------
        Self
            The tokenizer.

        Raises
        ------
        SequenceError
            At a character that is not a DNA letter; or if there is no sequence.
        """
        from tokenizers import Tokenizer, models, processors, trainers

        if vocab_size < len(SPECIAL_TOKENS) + 4:
            raise SequenceError(f"vocab_size is {vocab_size}; give at least 9")
        tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL_TOKENS[1]))
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=min_frequency,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=list("ACGT"),
            show_progress=False,
        )
        tokenizer.train_from_iterator(_segments(sequences), trainer)
        _, _, cls_token, sep_token, _ = SPECIAL_TOKENS
        # Other programs that read the file need it.
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{cls_token} $A {sep_token}",
            special_tokens=[(t, tokenizer.token_to_id(t)) for t in (cls_token, sep_token)],
        )
        return cls(tokenizer)

    @property
    def vocab_size(self) -> int:
        """Number of tokens, including the special ones."""
        return int(self._tokenizer.get_vocab_size())

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Look up the text of each token."""
        return [str(self._tokenizer.id_to_token(int(i))) for i in ids]

    def max_bases(self, tokens: int) -> int:
        """Return the maximum number of bases of so many tokens, if all are of the longest."""
        vocabulary = self._tokenizer.get_vocab()
        return tokens * max(len(token) for token in vocabulary if token not in SPECIAL_TOKENS)

    def _tokens(
        self, codes: Codes, lengths: Lengths, limit: int | None, margin: int
    ) -> tuple[Ids, Ids]:
        texts = [to_text(row[:n]) for row, n in zip(codes, lengths.tolist(), strict=True)]
        found = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        rows = [encoding.ids[:limit] for encoding in found]
        counts = np.array([len(row) for row in rows], np.int64)
        ids = np.empty((len(rows), int(counts.max(initial=0)) + 2 * margin), np.int64)
        for i, row in enumerate(rows):
            ids[i, margin : margin + len(row)] = row
        return ids, counts

    def _letters(self, ids: Ids) -> str:
        unknown = (self.unk_token_id, self.mask_token_id)
        tokens = self.convert_ids_to_tokens(ids)
        return "".join("N" if i in unknown else t for i, t in zip(ids, tokens, strict=True))

    def _write(self, folder: Path) -> None:
        self._tokenizer.save(str(folder / _FILE))

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        return cls.from_file(saved.folder / _FILE)

    @classmethod
    def from_file(cls, file: Path) -> Self:
        """Read a `tokenizer.json` of the library tokenizers."""
        from tokenizers import Tokenizer

        text = file.read_text(encoding="utf-8")
        try:
            tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # tokenizers raises bare exceptions
            raise ValueError(error) from None
        return cls(tokenizer)


def _segments(sequences: Iterable[str | Codes]) -> Iterator[str]:
    some = False
    for number, sequence in enumerate(sequences, 1):
        some = True
        codes = (
            to_codes(sequence, name=f"sequence {number}") if isinstance(sequence, str) else sequence
        )
        for run in re.finditer("[ACGT]+", to_text(codes)):
            for i in range(run.start(), run.end(), _SEGMENT):
                yield run.string[i : min(i + _SEGMENT, run.end())]
    if not some:
        raise SequenceError("there is no sequence to learn a vocabulary from; give at least one")
