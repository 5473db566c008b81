"""The folder of a saved model: `config.json`, `model.safetensors` and further files; no pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot import __version__
from genoglot.errors import ModelError
from genoglot.permissions import explains_denial

Arrays = dict[str, NDArray[Any]]

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FORMAT = 2

# The files of format 1 without a version: tokenizers had this one, and one of these classes.
_TOKENIZER_CONFIG = "tokenizer_config.json"
_TOKENIZERS = ("KmerTokenizer", "PatchTokenizer", "BpeTokenizer", "OneHotTokenizer")


class Saved(NamedTuple):
    """Content of a saved model's folder.

    Attributes
    ----------
    folder
        The folder, which may also hold other files and nested models.
    config
        Content of `config.json`: `model_type`, `format`, `genoglot` (version that wrote it),
        `settings` and whatever else the model saves as JSON.
    arrays
        Content of `model.safetensors`; empty if the model has no arrays.
    """

    folder: Path
    config: dict[str, Any]
    arrays: Arrays

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the model, by name."""
        return dict(self.config["settings"])

    @classmethod
    def read(cls, folder: Path) -> Saved:
        """Read `config.json` and `model.safetensors`.

        Raises
        ------
        ModelError
            If the folder holds no saved model of this format, or a file is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        config = read_config(folder)
        file = folder / WEIGHTS
        try:
            return cls(folder, config, load_file(file) if file.exists() else {})
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{file}: damaged ({error}); save the model again") from None


def write(folder: Path, config: dict[str, Any], arrays: Arrays) -> None:
    """Write the two files that `Saved.read` reads into an existing folder.

    Parameters
    ----------
    folder
        An existing folder.
    config
        At least `model_type` and `settings`; anything that JSON can hold.
    arrays
        Arrays by name; without any, `model.safetensors` is not written.
    """
    from safetensors.numpy import save_file

    if arrays:
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(contiguous, folder / WEIGHTS)
    header = {"model_type": config["model_type"], "format": FORMAT, "genoglot": __version__}
    (folder / CONFIG).write_text(json.dumps({**header, **config}, indent=1) + "\n")


@explains_denial
def read_config(folder: Path) -> dict[str, Any]:
    """Read the `config.json` of a saved model.

    Raises
    ------
    ModelError
        If there is none, it is damaged, or its format is older or newer than this version's.
    """
    if (old := _config_of_format_1(folder)) is not None:
        raise ModelError(
            f"{folder}: saved in format 1 by Genoglot {old.get('genoglot', '0.1.0 or earlier')}; "
            f"this version reads format {FORMAT} only: train or save it again with this version"
        )
    file = folder / CONFIG
    try:
        config = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder}: no saved model here (no {CONFIG})") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: cannot be read ({error}); save the model again") from None
    if not isinstance(config, dict) or not {"model_type", "format", "settings"} <= set(config):
        raise ModelError(f"{file}: describes no Genoglot model; give the folder of one")
    if config["format"] > FORMAT:
        raise ModelError(f"{file}: format {config['format']} needs a newer Genoglot; upgrade it")
    return config


def is_saved(folder: Path) -> bool:
    """Whether Genoglot wrote a folder, in any format."""
    return "settings" in _json(folder / CONFIG) or _config_of_format_1(folder) is not None


def _config_of_format_1(folder: Path) -> dict[str, Any] | None:
    """Return the configuration of a folder of format 1, or None if it is not one."""
    config, tokenizer = _json(folder / CONFIG), _json(folder / _TOKENIZER_CONFIG)
    if "kind" in config:
        return config
    return tokenizer if tokenizer.get("tokenizer_class") in _TOKENIZERS else None


def _json(file: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one if the file is missing, damaged or holds something else."""
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
