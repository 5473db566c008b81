"""`DnaTokenizer`: the base class of tokenizers of DNA, called like those of Hugging Face."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import SequenceError
from genoglot.files import atomic_path
from genoglot.hub import local_folder
from genoglot.permissions import explains_denial
from genoglot.sequence.alphabet import Codes, Lengths, stack_codes
from genoglot.sequence.tokenizers.padding import Padding, Tensors

CONFIG = "tokenizer_config.json"
FILES = [CONFIG, "tokenizer.json", "vocab.txt"]


class DnaTokenizer(ABC):
    """Convert DNA into tokens for a model, and back.

    A subclass gives `from_codes`, `decode`, `_write` and `_read`.
    """

    tokenizer_class: ClassVar[str]

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

    def save_pretrained(self, path: str | Path) -> None:
        """Write the tokenizer into a folder, beside a model's files if there are any."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        config = {"tokenizer_class": self.tokenizer_class, **self._write(folder)}
        with atomic_path(folder / CONFIG) as temporary:
            temporary.write_text(json.dumps(config, indent=1) + "\n")

    @classmethod
    @explains_denial
    def from_pretrained(cls, path: str | Path) -> Self:
        """Load a tokenizer.

        Called on `DnaTokenizer` it loads whichever kind there is.

        Parameters
        ----------
        path
            A folder, or the name of a repository on the Hugging Face hub. Besides what
            `save_pretrained` writes it may hold a `vocab.txt` of k-mers, as DNABERT has, or a
            `tokenizer.json`, as DNABERT-2 has.

        Raises
        ------
        SequenceError
            If there is no tokenizer, or one of another kind.
        """
        folder = local_folder(path, what="tokenizer", error=SequenceError, patterns=FILES)
        config = _read_config(folder)
        kinds = _kinds()
        kind = kinds.get(str(config.get("tokenizer_class")))
        if kind is None:
            foreign = {"tokenizer.json": "BpeTokenizer", "vocab.txt": "KmerTokenizer"}
            found = [name for file, name in foreign.items() if (folder / file).is_file()]
            if not found:
                raise SequenceError(f"{path}: no tokenizer of DNA here (none of {FILES})")
            kind = kinds[found[0]]
        if not issubclass(kind, cls):
            raise SequenceError(
                f"{path}: holds a {kind.__name__}, no {cls.__name__}; "
                "use DnaTokenizer.from_pretrained"
            )
        try:
            return kind._read(folder, config)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SequenceError(f"{path}: damaged tokenizer ({error}); save it again") from None

    @abstractmethod
    def _write(self, folder: Path) -> dict[str, Any]:
        """Write files of its own into a folder and return what the configuration shall hold."""

    @classmethod
    @abstractmethod
    def _read(cls, folder: Path, config: dict[str, Any]) -> Self:
        """Make the tokenizer from a folder and its configuration."""


def _kinds() -> dict[str, type[DnaTokenizer]]:
    from genoglot.sequence.tokenizers.byte_pair import BpeTokenizer
    from genoglot.sequence.tokenizers.kmer import KmerTokenizer
    from genoglot.sequence.tokenizers.one_hot import OneHotTokenizer
    from genoglot.sequence.tokenizers.patch import PatchTokenizer

    kinds = (BpeTokenizer, KmerTokenizer, OneHotTokenizer, PatchTokenizer)
    return {kind.tokenizer_class: kind for kind in kinds}


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG
    if not file.exists():
        return {}
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SequenceError(f"{file}: cannot be read ({error}); save the tokenizer again") from None
    return config if isinstance(config, dict) else {}
