"""Byte pair encoding of DNA: tokens of any length, learned from sequences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from genoglot.errors import SequenceError
from genoglot.files import atomic_path
from genoglot.sequence.alphabet import Codes, Lengths, to_codes, to_text
from genoglot.sequence.tokenizers.vocabulary import SPECIAL_TOKENS, Ids, IdTokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_FILE = "tokenizer.json"
_PIECE = 256  # bases; see `BpeTokenizer.train`


class BpeTokenizer(IdTokenizer):
    """Tokens that were learned from DNA by merging frequent neighbors (byte pair encoding).

    N (and every other IUPAC letter for more than one base) is [UNK], one for each base, and no
    token spans it; decoding writes it as N again, so that nothing but the case is lost.

    Parameters
    ----------
    tokenizer
        Of the library tokenizers, over the letters A C G T, with the special tokens [PAD], [UNK],
        [CLS], [SEP], [MASK] in any order, as in DNABERT-2's `tokenizer.json`.

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

    tokenizer_class: ClassVar[str] = "BpeTokenizer"

    def __init__(self, tokenizer: Tokenizer) -> None:
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

        Sequences are cut at N and into pieces of 256 bases, all of which the library keeps: it
        takes about 100 bytes of memory and a microsecond for every base. Of a large genome take a
        sample, such as some batches of `tile`.

        Parameters
        ----------
        sequences
            DNA letters, or codes, uint8 (length,); read once, one by one.
        vocab_size
            Number of tokens, the special ones included. There may be less if the sequences have
            not so many frequent neighbors.
        min_frequency
            Least number of times that two tokens must be neighbors to be merged.

        Raises
        ------
        SequenceError
            At a character that is no letter of DNA; or if there is no sequence.
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
        tokenizer.train_from_iterator(_pieces(sequences), trainer)
        _, _, cls_token, sep_token, _ = SPECIAL_TOKENS
        # Not needed here, but by others that read the file.
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{cls_token} $A {sep_token}",
            special_tokens=[(t, tokenizer.token_to_id(t)) for t in (cls_token, sep_token)],
        )
        return cls(tokenizer)

    @property
    def vocab_size(self) -> int:
        """Number of tokens, the special ones included."""
        return int(self._tokenizer.get_vocab_size())

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Look up the text of each token."""
        return [str(self._tokenizer.id_to_token(int(i))) for i in ids]

    def max_bases(self, tokens: int) -> int:
        """Bases that so many tokens can hold at most, if each is the longest one."""
        vocabulary = self._tokenizer.get_vocab()
        return tokens * max(len(token) for token in vocabulary if token not in SPECIAL_TOKENS)

    def _tokens(
        self, codes: Codes, lengths: Lengths, room: int | None, margin: int
    ) -> tuple[Ids, Ids]:
        texts = [to_text(row[:n]) for row, n in zip(codes, lengths.tolist(), strict=True)]
        found = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        rows = [encoding.ids[:room] for encoding in found]
        counts = np.array([len(row) for row in rows], np.int64)
        ids = np.empty((len(rows), int(counts.max(initial=0)) + 2 * margin), np.int64)
        for i, row in enumerate(rows):
            ids[i, margin : margin + len(row)] = row
        return ids, counts

    def _letters(self, ids: Ids) -> str:
        unknown = (self.unk_token_id, self.mask_token_id)
        tokens = self.convert_ids_to_tokens(ids)
        return "".join("N" if i in unknown else t for i, t in zip(ids, tokens, strict=True))

    def _write(self, folder: Path) -> dict[str, Any]:
        with atomic_path(folder / _FILE) as temporary:
            self._tokenizer.save(str(temporary))
        return {}

    @classmethod
    def _read(cls, folder: Path, config: dict[str, Any]) -> Self:
        from tokenizers import Tokenizer

        text = (folder / _FILE).read_text(encoding="utf-8")
        try:
            tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # tokenizers raises bare exceptions
            raise ValueError(error) from None
        return cls(tokenizer)


def _pieces(sequences: Iterable[str | Codes]) -> Iterator[str]:
    some = False
    for number, sequence in enumerate(sequences, 1):
        some = True
        codes = (
            to_codes(sequence, name=f"sequence {number}") if isinstance(sequence, str) else sequence
        )
        for run in re.finditer("[ACGT]+", to_text(codes)):
            for i in range(run.start(), run.end(), _PIECE):
                yield run.string[i : min(i + _PIECE, run.end())]
    if not some:
        raise SequenceError("there is no sequence to learn from; give some")
