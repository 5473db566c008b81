"""`Generator`: what every model that turns a text into regions can do."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from genoglot import __version__
from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.files import atomic_path
from genoglot.regions import Regions, Universe

Scores = NDArray[np.float32]
Ids = NDArray[np.int32]
Arrays = dict[str, NDArray[Any]]

CONFIG, WEIGHTS, UNIVERSE = "config.json", "model.safetensors", "universe.parquet"
FORMAT = 1


class Generator(ABC):
    """A model that answers a text with regions of its universe.

    A subclass gives `kind`, `fit`, `score` and what it saves; ranking, generating, saving and
    loading are done here.

    Attributes
    ----------
    universe
        The universe of the atlas that the generator was fitted to; scores are in its order.
    """

    kind: ClassVar[str]
    universe: Universe

    @abstractmethod
    def fit(self, atlas: Atlas, rows: Sequence[int] | NDArray[Any] | None = None) -> Self:
        """Learn from region sets and their descriptions.

        Parameters
        ----------
        atlas
            The collection to learn from.
        rows
            Which of its sets, by default all.
        """

    @abstractmethod
    def score(self, texts: Sequence[str]) -> Scores:
        """Score every region of the universe for each text.

        Returns
        -------
        (texts, universe) float32 between 0 and 1, higher for regions more likely in the set.

        Raises
        ------
        TextError
            If a text is empty.
        """

    def top(self, text: str, n: int) -> tuple[Ids, Scores]:
        """Ids and scores of the `n` best regions for a text, best first."""
        scores = self.score([text])[0]
        ids = best(scores, n)
        return ids, scores[ids]

    def generate(self, text: str, n: int = 1000) -> Regions:
        """Answer a text with a region set.

        Parameters
        ----------
        text
            A description of the wanted region set, as `"open chromatin, human kidney"`.
        n
            How many regions.

        Returns
        -------
        Regions, best first, with columns `name` (`region_<id>`), `score` (0 to 1000, as in BED),
        `strand` (`.`), `rank` (from 1) and `raw` (the score between 0 and 1).

        Raises
        ------
        ModelError
            If `n` is not between 1 and the size of the universe.
        TextError
            If the text is empty.
        """
        self._check_n(n)
        return self._answer(*self.top(text, n))

    def _check_n(self, n: int) -> None:
        if not 1 <= n <= len(self.universe):
            raise ModelError(
                f"n is {n}, but must be between 1 and {len(self.universe)}, the universe's size"
            )

    def _answer(self, ids: NDArray[np.integer[Any]], raw: Scores) -> Regions:
        return self.universe.decode(ids).with_columns(
            name=[f"region_{i}" for i in ids.tolist()],
            score=np.rint(1000 * np.clip(raw, 0, 1)).astype(np.int32),
            strand=["."] * len(ids),
            rank=np.arange(1, len(ids) + 1, dtype=np.int32),
            raw=raw,
        )

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """Everything of the configuration that is not an array, as JSON can hold it."""

    @abstractmethod
    def _save(self, folder: Path) -> Arrays:
        """Return the arrays to save; write other parts, as a text encoder, into the folder."""

    @classmethod
    @abstractmethod
    def _load(cls, folder: Path, settings: dict[str, Any], arrays: Arrays) -> Self:
        """Make the generator, without its universe, from what `_settings` and `_save` gave."""

    def save_pretrained(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Save into a directory: `config.json`, `model.safetensors` and the universe.

        Raises
        ------
        GenoglotError
            If the directory exists, is not empty and `overwrite` is false.
        """
        from safetensors.numpy import save_file

        with atomic_path(path, directory=True, overwrite=overwrite) as folder:
            arrays = self._save(folder)
            save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / WEIGHTS)
            self.universe.save(folder / UNIVERSE)
            config = {
                "kind": self.kind,
                "format": FORMAT,
                "genoglot": __version__,
                "genome": self.universe.genome,
                "universe": {"digest": self.universe.digest, "size": len(self.universe)},
                "settings": self._settings(),
            }
            (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Self:
        """Load a generator of this class from a directory or a hub id.

        Raises
        ------
        ModelError
            If it is missing, damaged, of another kind or of a newer format.
        """
        folder = local_folder(path)
        config = read_config(folder)
        if config["kind"] != cls.kind:
            raise ModelError(
                f"{path}: holds a {config['kind']!r} model, not {cls.kind!r}; use load"
            )
        try:
            generator = cls._load(folder, config["settings"], read_arrays(folder))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"{path}: damaged model ({error}); save it again") from error
        generator.universe = Universe.load(folder / UNIVERSE)
        generator.universe.check_same(config["universe"]["digest"])
        return generator


def best(scores: Scores, n: int) -> Ids:
    """Ids of the `n` highest scores, highest first; equal ones in order of id.

    Examples
    --------
    >>> best(np.array([0.1, 0.9, 0.5, 0.9], np.float32), 3)
    array([1, 3, 2], dtype=int32)
    """
    n = min(n, len(scores))
    likely = _likely(scores, n)
    values = scores[likely]
    if n < len(likely):
        # A strict cut first: everything above the n-th value, then the first ones equal to it.
        cut = np.partition(values, len(values) - n)[len(values) - n]
        above = np.flatnonzero(values > cut)
        kept = np.concatenate([above, np.flatnonzero(values == cut)[: n - len(above)]])
        likely, values = likely[kept], values[kept]
    return likely[np.lexsort((likely, -values))].astype(np.int32)


def _likely(scores: Scores, n: int) -> NDArray[np.int64]:
    """Ids, in order, of all scores that can be among the `n` highest, and not many more.

    Every 64th score tells about where the cut is. `np.partition` alone takes 130 ms for a million
    scores of which most are nearly alike, as popularities are.
    """
    sample = np.sort(scores[::64])[::-1]
    place = 2 * n // 64 + 32
    if place < len(sample):
        ids = np.flatnonzero(scores >= sample[place])
        if len(ids) >= n:
            return ids
    return np.arange(len(scores))


def local_folder(path: str | Path) -> Path:
    """Return the directory itself, or the local copy of a hub repository `owner/name`."""
    folder = Path(path)
    if folder.is_dir():
        return folder
    if folder.exists() or str(path).count("/") != 1 or str(path).startswith((".", "/", "~")):
        raise ModelError(f"{path}: no saved model here (neither a directory nor a hub id)")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(path)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{path}: no such directory, and not to be had from the hub ({reason})"
        ) from None


def read_config(folder: Path) -> dict[str, Any]:
    """Read the `config.json` of a saved model."""
    file = folder / CONFIG
    try:
        config = json.loads(file.read_text())
    except FileNotFoundError:
        raise ModelError(f"{folder}: no saved model here (no {CONFIG})") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: cannot be read ({error}); save the model again") from None
    if not isinstance(config, dict) or not {"kind", "format", "settings"} <= set(config):
        raise ModelError(f"{file}: describes no Genoglot model; give the directory of one")
    if config["format"] > FORMAT:
        raise ModelError(f"{file}: format {config['format']} needs a newer Genoglot; upgrade it")
    return config


def read_arrays(folder: Path) -> Arrays:
    """Read the arrays of a saved model."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(folder / WEIGHTS)
    except FileNotFoundError:
        raise ModelError(f"{folder}: no {WEIGHTS} here; save the model again") from None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{folder / WEIGHTS}: damaged ({error}); save the model again") from None
