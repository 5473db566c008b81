"""Weights that other projects have published: a folder or a repository on the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from genoglot.errors import ModelError
from genoglot.hub import local_folder

CONFIG = "config.json"
SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"
OTHER_FILES = ["vocab.txt"]


class Checkpoint(NamedTuple):
    """Published weights.

    Attributes
    ----------
    folder
        The local folder.
    config
        Content of `config.json`; empty if there is none.
    tensors
        Weights by name.
    """

    folder: Path
    config: dict[str, Any]
    tensors: dict[str, Tensor]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read `config.json` and the weights of a model that the library transformers saved.

    Pickled objects are never loaded: of `pytorch_model.bin` only tensors are read.

    Parameters
    ----------
    path
        A folder, or the name of a repository on the Hugging Face hub (`owner/name`).

    Returns
    -------
    Checkpoint
        The weights, on the CPU.

    Raises
    ------
    ModelError
        If a file is missing, damaged, or holds other objects than tensors.
    """
    from safetensors.torch import load_file

    patterns = [CONFIG, SAFE, PICKLED, *OTHER_FILES]
    folder = local_folder(path, what="checkpoint", patterns=patterns, cached=True)
    file = next((folder / name for name in (SAFE, PICKLED) if (folder / name).is_file()), None)
    if file is None:
        raise ModelError(f"{path}: no weights here ({SAFE} or {PICKLED}); download them again")
    try:
        config = (
            dict(json.loads((folder / CONFIG).read_text("utf-8")))
            if (folder / CONFIG).is_file()
            else {}
        )
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(
            f"{folder / CONFIG}: cannot be read ({error}); download it again"
        ) from None
    try:
        tensors = (
            load_file(file)
            if file.name == SAFE
            else torch.load(file, map_location="cpu", weights_only=True)
        )
    except Exception as error:  # whatever a damaged file raises
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{file}: not a file of weights ({reason}); download it again") from None
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise ModelError(f"{file}: holds other objects than weights; give a file of weights only")
    return Checkpoint(folder, config, tensors)


def load_weights(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    prefix: str,
    ignored: Sequence[str],
    what: str | Path,
) -> None:
    """Fill a module with published weights, in place.

    Parameters
    ----------
    module
        The module.
    tensors
        Weights by name; the names have the prefix or not.
    prefix
        Name of the module in a larger model, such as `"bert."`.
    ignored
        Parts of the names of weights that are left out, such as those of a classifier.
    what
        File or folder of the weights, for errors.

    Raises
    ------
    ModelError
        If a weight is missing, unknown or of another shape.
    """
    state = {
        name.removeprefix(prefix)
        .replace("LayerNorm.gamma", "LayerNorm.weight")
        .replace("LayerNorm.beta", "LayerNorm.bias"): tensor
        for name, tensor in tensors.items()
    }  # gamma and beta: names of checkpoints that TensorFlow wrote
    state, own = (
        {name: t for name, t in weights.items() if not any(part in name for part in ignored)}
        for weights in (state, module.state_dict())
    )
    problems = [f"{name} is missing" for name in own if name not in state]
    problems += [f"{name} is unknown" for name in state if name not in own]
    problems += [
        f"{name} is {tuple(state[name].shape)}, not {tuple(own[name].shape)}"
        for name in own.keys() & state.keys()
        if own[name].shape != state[name].shape
    ]
    refuse_other_weights(problems, what)
    module.load_state_dict(state, strict=False)


def refuse_other_weights(problems: Sequence[str], what: str | Path) -> None:
    """Raise a `ModelError` if there are problems: the weights are those of another model."""
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise ModelError(f"{what}: weights of another model ({min(problems)}{more})")
