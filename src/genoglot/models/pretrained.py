"""`Pretrained`: how every model is saved and loaded, without pickle."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from genoglot import __version__, hub
from genoglot.errors import ModelError
from genoglot.files import atomic_path
from genoglot.permissions import explains_denial
from genoglot.regions import Universe

Arrays = dict[str, NDArray[Any]]

CONFIG, WEIGHTS, UNIVERSE = "config.json", "model.safetensors", "universe.parquet"
FORMAT = 1


class Pretrained(ABC):
    """A model that is saved as a directory.

    Attributes
    ----------
    kind
        Name of the kind of model, as in `config.json`.
    """

    kind: ClassVar[str]
    hint: ClassVar[str] = "load it as what it is"  # to who loads another kind as this one

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """Everything of the configuration that is not an array, as JSON can hold it."""

    @abstractmethod
    def _save(self, folder: Path) -> Arrays:
        """Return the arrays to save; write other parts, as a text encoder, into the folder."""

    @classmethod
    @abstractmethod
    def _load(cls, folder: Path, settings: dict[str, Any], arrays: Arrays) -> Self:
        """Make the model from what `_settings` and `_save` gave."""

    def _about(self, folder: Path) -> dict[str, Any]:
        """Say more in `config.json`, and write what belongs to it into the folder."""
        return {}

    def save_pretrained(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Save into a directory: `config.json`, `model.safetensors` and what else there is.

        Raises
        ------
        GenoglotError
            If the directory exists, is not empty and `overwrite` is false.
        """
        with atomic_path(path, directory=True, overwrite=overwrite) as folder:
            arrays, about = self._save(folder), self._about(folder)
            write_model(folder, self.kind, self._settings(), arrays, **about)

    @classmethod
    @explains_denial
    def from_pretrained(cls, path: str | Path) -> Self:
        """Load a model of this class from a directory or a hub id.

        Raises
        ------
        ModelError
            If it is missing, damaged, of another kind or of a newer format.
        """
        folder = local_folder(path)
        config = read_config(folder)
        if config["kind"] != cls.kind:
            raise ModelError(
                f"{path}: holds a {config['kind']!r} model, not {cls.kind!r}; {cls.hint}"
            )
        try:
            return cls._load(folder, config["settings"], read_arrays(folder))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"{path}: damaged model ({error}); save it again") from error


class OverUniverse(Pretrained):
    """A model of one universe, which is saved with it.

    Attributes
    ----------
    universe
        The universe of the atlas that the model was fitted to.
    """

    universe: Universe

    def _about(self, folder: Path) -> dict[str, Any]:
        self.universe.save(folder / UNIVERSE)
        universe = {"digest": self.universe.digest, "size": len(self.universe)}
        return {"genome": self.universe.genome, "universe": universe}

    @classmethod
    @explains_denial
    def from_pretrained(cls, path: str | Path) -> Self:
        """Load a model of this class, and its universe: see `Pretrained.from_pretrained`."""
        model = super().from_pretrained(path)
        folder = local_folder(path)
        model.universe = Universe.load(folder / UNIVERSE)
        model.universe.check_same(read_config(folder)["universe"]["digest"])
        return model


def local_folder(path: str | Path) -> Path:
    """Return the directory of a saved model, or the local copy of a hub repository."""
    return hub.local_folder(path, what="saved model", error=ModelError)


def write_model(
    folder: Path, kind: str, settings: dict[str, Any], arrays: Arrays, **about: Any
) -> None:
    """Write the `config.json` and the arrays of a model."""
    from safetensors.numpy import save_file

    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / WEIGHTS)
    config = {"kind": kind, "format": FORMAT, "genoglot": __version__, **about}
    config["settings"] = settings
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")


@explains_denial
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


@explains_denial
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
