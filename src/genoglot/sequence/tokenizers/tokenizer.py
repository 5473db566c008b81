"""`DnaTokenizer`: the base class of tokenizers of DNA, called like those of Hugging Face."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import SequenceError
from genoglot.hub import local_folder
from genoglot.permissions import explains_denial
from genoglot.pretrained import Pretrained
from genoglot.registry import model_class
from genoglot.saved import CONFIG, is_saved
from genoglot.sequence.alphabet import Codes, Lengths, stack_codes
from genoglot.sequence.tokenizers.padding import Padding, Tensors

FILES = [CONFIG, "tokenizer_config.json", "tokenizer.json", "vocab.txt"]
FOREIGN = {"tokenizer.json": "bpe", "vocab.txt": "kmer"}
"""Files of other projects' tokenizers, and the kind of tokenizer that reads each."""


class DnaTokenizer(Pretrained):
    """Convert DNA into tokens for a model, and back.

    A subclass implements `from_codes`, `readable` and `decode`.
    """

    def __call__(
        self,
        sequences: str | Sequence[str],
        *,
        padding: Padding = False,
        truncation: bool = False,
        max_length: int | None = None,
        return_tensors: Tensors = None,
        add_special_tokens: bool = True,
    ) -> dict[str, Any]:
        """Tokenize DNA.

        Parameters
        ----------
        sequences
            DNA letters in either case, one sequence or a list of them.
        padding
            Pad with [PAD]: True or `"longest"` to the longest sequence, `"max_length"` to
            `max_length`.
        truncation
            Whether to truncate sequences to `max_length` tokens.
        max_length
            Number of tokens, including the special ones.
        return_tensors
            `"np"` for numpy, `"pt"` for PyTorch; by default lists.
        add_special_tokens
            Whether to put [CLS] before and [SEP] after the tokens, if the tokenizer has them.

        Returns
        -------
        dict
            `input_ids` and `attention_mask` (1 for tokens, 0 for [PAD]), int64 (n, tokens). Without
            `return_tensors` lists; of a single string a list each. The numpy mask of a batch
            without padding is read-only.

        Raises
        ------
        SequenceError
            At a character that is not a DNA letter, with its sequence and position from 1; or if
            tensors of sequences with different numbers of tokens are requested without padding.

        Examples
        --------
        >>> from genoglot.sequence import KmerTokenizer
        >>> KmerTokenizer(k=1)(["ACGT", "nT"], padding=True, return_tensors="np")["input_ids"]
        array([[2, 5, 6, 7, 8, 3],
               [2, 1, 8, 3, 0, 0]])
        """
        batch = self.from_codes(
            *stack_codes([sequences] if isinstance(sequences, str) else sequences),
            padding=padding,
            truncation=truncation,
            max_length=max_length,
            return_tensors=return_tensors,
            add_special_tokens=add_special_tokens,
        )
        if isinstance(sequences, str) and return_tensors is None:
            return {name: rows[0] for name, rows in batch.items()}
        return batch

    @abstractmethod
    def from_codes(
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
        """Tokenize codes, as `Genome.fetch` and `stack_codes` return them.

        Parameters
        ----------
        codes
            A C G T N = 0 1 2 3 4, uint8 (n, length).
        lengths
            Number of bases of each sequence, int64 (n,); by default all.
        padding, truncation, max_length, return_tensors, add_special_tokens
            See `__call__`.

        Returns
        -------
        dict
            See `__call__`.
        """

    def max_bases(self, tokens: int) -> int:
        """Return the maximum number of bases of so many tokens, without special ones."""
        return tokens

    @abstractmethod
    def readable(self, codes: Codes, lengths: Lengths | None = None) -> NDArray[np.bool_]:
        """Find the sequences with at least one token of A, C, G and T alone.

        A model cannot distinguish any others, which are shorter than a token, or have N everywhere.

        Parameters
        ----------
        codes, lengths
            See `from_codes`.

        Returns
        -------
        NDArray
            bool (n,).

        Examples
        --------
        >>> from genoglot.sequence import KmerTokenizer, stack_codes
        >>> KmerTokenizer(3).readable(*stack_codes(["ACGT", "AC", "ANCN", "NNNNN"])).tolist()
        [True, False, False, False]
        """

    @abstractmethod
    def decode(self, tokens: Any) -> str:
        """Convert one tokenized sequence into letters."""

    def batch_decode(self, batch: Iterable[Any], **options: Any) -> list[str]:
        """Convert tokenized sequences into letters, with the options of `decode`."""
        return [self.decode(tokens, **options) for tokens in batch]

    @classmethod
    @explains_denial
    def from_pretrained(cls, path: str | Path) -> Self:
        """Load a tokenizer of this class, or of any subclass.

        Parameters
        ----------
        path
            A folder, or the name of a repository on the Hugging Face hub. Besides what
            `save_pretrained` writes it may hold a `vocab.txt` of k-mers, as DNABERT has, or a
            `tokenizer.json`, as DNABERT-2 has.

        Returns
        -------
        Self
            The tokenizer.

        Raises
        ------
        ModelError
            If there is no tokenizer, or one of another class.
        SequenceError
            If a file of another project is damaged or does not tokenize DNA.
        """
        folder = local_folder(path, what="tokenizer", patterns=FILES)
        file = next((folder / name for name in FOREIGN if (folder / name).is_file()), None)
        if file is None or is_saved(folder):
            return super().from_pretrained(folder)
        kind: Any = model_class(FOREIGN[file.name])
        if not issubclass(kind, cls):
            raise SequenceError(
                f"{path}: holds a {kind.__name__}, not a {cls.__name__}; "
                "use DnaTokenizer.from_pretrained"
            )
        try:
            tokenizer: Self = kind.from_file(file)
        except (OSError, ValueError) as error:
            raise SequenceError(f"{file}: damaged tokenizer ({error}); download it again") from None
        return tokenizer
