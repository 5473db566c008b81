"""Lightning checkpoints without pickle: tensors in safetensors, all else in JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor

from genoglot.errors import ModelError
from genoglot.files import atomic_path

STATE, TENSORS = "state.json", "tensors.safetensors"


class SafeCheckpointIO(CheckpointIO):
    """A checkpoint is a directory: `state.json`, in which tensors stand as names of
    `tensors.safetensors`. It is written whole or not at all.
    """  # noqa: D205

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint, in place of one of the same name."""
        from safetensors.torch import save_file

        tensors: dict[str, Tensor] = {}
        state = _packed(checkpoint, "", tensors)
        with atomic_path(path, directory=True, overwrite=True) as folder:
            save_file(tensors, folder / TENSORS)
            (folder / STATE).write_text(json.dumps(state))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint.

        Raises
        ------
        ModelError
            If it is missing or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            state = json.loads((Path(path) / STATE).read_text())
            tensors = load_file(Path(path) / TENSORS)
            unpacked: dict[str, Any] = _unpacked(state, tensors)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ModelError(f"{path}: no whole checkpoint ({error}); train anew") from None
        return unpacked

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        shutil.rmtree(path, ignore_errors=True)


def _packed(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """JSON for a value; its tensors go into `tensors`, each under its path."""
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"$tensor": name}
    if isinstance(value, dict):
        # Pairs, since keys are not all strings: optimizers number their parameters.
        return {"$dict": [[k, _packed(v, f"{name}/{k}", tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        kind = "$tuple" if isinstance(value, tuple) else "$list"
        return {kind: [_packed(v, f"{name}/{i}", tensors) for i, v in enumerate(value)]}
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ModelError(f"checkpoint: {name} is a {type(value).__name__}, which cannot be saved")


def _unpacked(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "$tensor":
        return tensors[content]
    if kind == "$dict":
        return {k: _unpacked(v, tensors) for k, v in content}
    items = [_unpacked(v, tensors) for v in content]
    return tuple(items) if kind == "$tuple" else items


def weights(path: str | Path) -> dict[str, Tensor]:
    """Return the module's state in a checkpoint."""
    state: dict[str, torch.Tensor] = SafeCheckpointIO().load_checkpoint(path)["state_dict"]
    return state
