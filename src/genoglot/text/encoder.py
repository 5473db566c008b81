"""`TextEncoder`: the interface of all text encoders."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import ModelError, TextError
from genoglot.files import atomic_path
from genoglot.permissions import explains_denial

CONFIG = "config.json"


class TextEncoder(ABC):
    """Encoder of texts into vectors of unit length.

    A subclass defines `kind`, `dim`, `_encode`, `_write` and `_read`. This class checks the texts
    and saves the encoder completely or not at all.
    """

    kind: ClassVar[str]

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

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Save into a new directory: `config.json` and the files of the encoder.

        Parameters
        ----------
        path
            The directory.
        overwrite
            Replace a directory that is not empty.

        Raises
        ------
        GenoglotError
            If the directory is not empty and `overwrite` is false.
        """
        with atomic_path(path, directory=True, overwrite=overwrite) as folder:
            config = {"kind": self.kind, **self._write(folder)}
            (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")

    @classmethod
    @explains_denial
    def load(cls, path: str | Path) -> Self:
        """Load an encoder of this class that `save` wrote.

        Returns
        -------
        TextEncoder
            The encoder.

        Raises
        ------
        ModelError
            If it is missing, damaged or of another kind.
        """
        config = read_config(path)
        if config["kind"] != cls.kind:
            raise ModelError(
                f"{path}: a text encoder of kind {config['kind']!r}, not {cls.kind!r}; "
                "use load_text_encoder"
            )
        try:
            return cls._read(Path(path), config)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path}: damaged text encoder ({error}); save it again") from error

    @abstractmethod
    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Encode texts that have been checked: the list may be empty, its texts are not."""

    @abstractmethod
    def _write(self, folder: Path) -> dict[str, Any]:
        """Write files into an empty folder and return the content of `config.json`."""

    @classmethod
    @abstractmethod
    def _read(cls, folder: Path, config: dict[str, Any]) -> Self:
        """Make the encoder from a folder and its `config.json`."""


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


@explains_denial
def read_config(path: str | Path) -> dict[str, Any]:
    """Read the `config.json` of a saved encoder, which has a `kind`."""
    file = Path(path) / CONFIG
    try:
        config = json.loads(file.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"{path}: not a saved text encoder (no {CONFIG})") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: cannot be read ({error}); save the encoder again") from None
    if not isinstance(config, dict) or "kind" not in config:
        raise ModelError(f"{file}: does not name the kind of encoder; save the encoder again")
    return config
