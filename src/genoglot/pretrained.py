"""`Pretrained`: how every model, tokenizer and text encoder is saved and loaded."""

from __future__ import annotations

from abc import ABC
from pathlib import Path
from typing import Any, ClassVar, Self

from genoglot.errors import ModelError
from genoglot.files import atomic_path
from genoglot.hub import local_folder
from genoglot.permissions import explains_denial
from genoglot.registry import model_class, purpose
from genoglot.saved import Arrays, Saved, read_config, write
from genoglot.settings import Settings


class Pretrained(ABC):
    """A model that can be saved as a folder and loaded again.

    The folder has a `config.json`, a `model.safetensors` if the model has arrays, files of its
    own and a subfolder for each model that it consists of. A subclass names its `model_type`, as
    the registry has it, and its `settings_class`. It overrides `_arrays`, `_parts`, `_metadata`
    and `_write` as far as it has something to save, and `_load`, which reads it.

    Parameters
    ----------
    **settings
        Fields of `settings_class`; the others have their defaults.

    Attributes
    ----------
    model_type
        Name of this kind of model, in `config.json` and in `genoglot.registry`.
    settings
        Settings of the model, which cannot be changed.

    Raises
    ------
    ModelError
        If a setting is unknown or not valid.
    """

    model_type: ClassVar[str]
    settings_class: ClassVar[type[Settings]] = Settings
    settings: Settings

    def __init__(self, **settings: Any) -> None:
        self.settings = self.settings_class.of(settings, self.model_type)

    def description(self) -> dict[str, Any]:
        """Return `model_type` and `settings`, as JSON can hold them."""
        settings = self.settings.model_dump(mode="json")
        return {"model_type": self.model_type, "settings": settings}

    def save_pretrained(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Save the model into a new folder, whole or not at all.

        Parameters
        ----------
        path
            The folder.
        overwrite
            Replace what is in the folder.

        Raises
        ------
        GenoglotError
            If the folder is not empty and `overwrite` is false.
        """
        with atomic_path(path, directory=True, overwrite=overwrite) as folder:
            for name, part in self._parts().items():
                part.save_pretrained(folder / name)
            self._write(folder)
            write(folder, {**self.description(), **self._metadata()}, self._arrays())

    @classmethod
    @explains_denial
    def from_pretrained(cls, path: str | Path) -> Self:
        """Load a saved model of this class, or of any subclass.

        Parameters
        ----------
        path
            Folder of the model, or its name on the Hugging Face hub (`owner/name`).

        Returns
        -------
        Self
            The model.

        Raises
        ------
        ModelError
            If it is missing, damaged, of another class or saved in another format.
        """
        folder = local_folder(path, what="saved model")
        name = read_config(folder)["model_type"]
        if name != getattr(cls, "model_type", None):
            found = model_class(name)
            if not issubclass(found, cls):
                raise ModelError(f"{path}: expected {cls.__name__}, but it {purpose(name)}")
            model: Self = found.from_pretrained(folder)
            return model
        try:
            return cls._load(Saved.read(folder))
        except (KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
            reason = " ".join(str(error).split())
            raise ModelError(f"{path}: damaged model ({reason}); save it again") from error

    def _arrays(self) -> Arrays:
        """Return the arrays to save."""
        return {}

    def _parts(self) -> dict[str, Pretrained]:
        """Return the models that this one consists of, by the name of their subfolder."""
        return {}

    def _metadata(self) -> dict[str, Any]:
        """Return what `config.json` holds besides the description, as JSON can hold it."""
        return {}

    def _write(self, folder: Path) -> None:  # noqa: B027  (most have none)
        """Write files of its own into the folder."""

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        """Make the model from its saved files."""
        return cls(**saved.settings)
