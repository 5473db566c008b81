"""Checkpoints: what they are made of, when they are written, and from which one to go on.

They hold no pickle: tensors are in safetensors, all else in JSON.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
import signal
import threading
import time
import uuid
from pathlib import Path
from types import FrameType
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor

from genoglot.errors import ModelError
from genoglot.files import atomic_path
from genoglot.permissions import explains_denial

log = logging.getLogger("genoglot")

STATE, TENSORS = "state.json", "tensors.safetensors"
CHECKPOINTS, LAST, ABOUT = "checkpoints", "last.ckpt", "training.json"

EVERY = 60.0  # seconds after which a checkpoint is written, whatever a round takes
SHARE = 0.05  # of the time, at most, is spent on those

_BLOCK = 1 << 24  # numbers
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class SafeCheckpointIO(CheckpointIO):
    """Writes and reads checkpoints without pickle.

    A checkpoint is a directory with `state.json` and a file of the tensors that `state.json`
    names. When a checkpoint is replaced, `state.json` is replaced last: whenever the process is
    killed, the old checkpoint or the new one is there.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint, in place of one of the same name."""
        path = Path(path)
        if path.exists():
            _write(checkpoint, path)
        else:
            with atomic_path(path, directory=True) as folder:
                _write(checkpoint, folder)

    @explains_denial
    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint.

        Raises
        ------
        ModelError
            If it is missing, damaged or may not be read.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            state = dict(json.loads((Path(path) / STATE).read_text())["$dict"])
            tensors = load_file(Path(path) / state.pop(TENSORS))
            return {key: _unpacked(value, tensors) for key, value in state.items()}
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ModelError(f"{path}: no whole checkpoint ({error}); train anew") from None

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        shutil.rmtree(path, ignore_errors=True)


def _write(checkpoint: dict[str, Any], folder: Path) -> None:
    """Write a checkpoint into a folder that may hold another one."""
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    name = f"{uuid.uuid4().hex[:8]}.{TENSORS}"
    state = _packed({**checkpoint, TENSORS: name}, "", tensors)
    with atomic_path(folder / name) as temporary:
        save_file(tensors, temporary)
    with atomic_path(folder / STATE) as temporary:
        temporary.write_text(json.dumps(state))
    for other in folder.iterdir():
        if other.name not in (STATE, name):  # what a killed process has left, too
            shutil.rmtree(other) if other.is_dir() else other.unlink()


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


def go_on_from(
    folder: Path | None, about: dict[str, Any], steps: int, *, resume: bool
) -> tuple[str | None, int]:
    """Find the checkpoint that a training goes on from, or prepare its folder for a new one.

    Parameters
    ----------
    folder
        Folder of the training; None if it writes nothing.
    about
        What tells the training from others, as JSON can hold it.
    steps
        Number of steps of the whole training.
    resume
        Whether to go on from a checkpoint, if there is one.

    Returns
    -------
    The checkpoint, None if there is none to go on from; and the number of steps made until it.

    Raises
    ------
    ModelError
        If the checkpoint is of another training, or damaged.
    """
    if folder is None or not begun(folder, about, resume=resume):
        return None, 0
    last = folder / CHECKPOINTS / LAST
    if not last.exists():
        return None, 0
    step = int(SafeCheckpointIO().load_checkpoint(last)["global_step"])
    if not launched():
        done = "; not trained again" if step >= steps else ""
        log.info("%s: resuming at step %d of %d%s", folder, step, steps, done)
    return str(last), step


@explains_denial
def begun(folder: Path, about: dict[str, Any], *, resume: bool) -> bool:
    """Whether a folder holds checkpoints to go on from; else it is prepared for new ones.

    Parameters are those of `go_on_from`.
    """
    checkpoints, about_file = folder / CHECKPOINTS, folder / ABOUT
    if resume and checkpoints.exists() and any(checkpoints.glob("[!.]*")):
        try:
            known = json.loads(about_file.read_text())
        except (FileNotFoundError, ValueError):
            known = None
        if known != json.loads(json.dumps(about)):
            raise ModelError(
                f"{folder}: its checkpoint is of another model, other settings or other data; "
                "choose another folder, or train without resuming"
            )
        return True
    if not launched():
        shutil.rmtree(checkpoints, ignore_errors=True)
        with atomic_path(about_file) as temporary:
            temporary.write_text(json.dumps(about))
    return False


def data_digest(*arrays: Any) -> str:
    """SHA-256 of arrays of data, of which 16 million numbers are read at once. None is no array.

    Examples
    --------
    >>> data_digest(np.zeros((2, 3))) == data_digest(np.zeros((3, 2)))
    False
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(str(None if array is None else array.shape).encode())
        if array is not None:
            step = max(_BLOCK // max(math.prod(array.shape[1:]), 1), 1)
            for i in range(0, len(array), step):
                digest.update(np.ascontiguousarray(array[i : i + step]).data)
    return digest.hexdigest()


def launched() -> bool:
    """Whether this process was started by another that trains with it."""
    from lightning.pytorch.utilities import rank_zero_only

    return getattr(rank_zero_only, "rank", 0) != 0


class Checkpoints(Checkpoint):
    """Writes the checkpoint `last.ckpt`: after each round, and each minute.

    A signal that asks the process to stop (SIGTERM, SIGHUP, SIGINT) waits until the step at hand is
    done and its checkpoint is written, and then does what it would have done without this callback.
    The same signal once more does so at once. A signal that is ignored stays so.

    Parameters
    ----------
    folder
        Folder of the training; None: no checkpoint is written.
    round_steps
        Steps of a round; by default a round is an epoch. The end of an epoch ends a round, too.
    """

    def __init__(self, folder: Path | None, round_steps: int | None = None) -> None:
        self.path = folder and folder / CHECKPOINTS / LAST
        self.round_steps = round_steps or math.inf
        self._due = math.inf
        self._asked = 0  # number of the signal
        # Before Lightning puts its own in their place.
        self._handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        self._holding = False

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Begin to count time and to hold signals."""
        self._due = time.monotonic() + EVERY
        if threading.current_thread() is threading.main_thread():
            self._holding = True
            for number, handler in self._handlers.items():
                if handler not in (signal.SIG_IGN, None):
                    signal.signal(number, self._hold)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, *batch: Any
    ) -> None:
        """Write a checkpoint, if a round or a minute is over or a signal has come."""
        if batch[-1] + 1 == trainer.num_training_batches:
            return  # the epoch ends
        asked, late = self._agreed(trainer)
        if asked or late or trainer.global_step % self.round_steps == 0:
            self._write(trainer)
        if asked:
            self._stop(asked)

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        """Write a checkpoint."""
        asked, _ = self._agreed(trainer)
        self._write(trainer)
        if asked:
            self._stop(asked)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Hold signals no more."""
        self._release()

    def on_exception(self, *_: Any) -> None:
        """Hold signals no more."""
        self._release()

    def _write(self, trainer: lightning.Trainer) -> None:
        if self.path is not None:
            begun = time.monotonic()
            trainer.save_checkpoint(self.path)
            took = time.monotonic() - begun
            self._due = begun + max(EVERY, took / SHARE)

    def _agreed(self, trainer: lightning.Trainer) -> tuple[int, bool]:
        """Signal that has come and whether a checkpoint is due: the same on all processes."""
        late = time.monotonic() > self._due
        if trainer.world_size == 1:
            return self._asked, late
        wishes = torch.tensor([self._asked, late], device=trainer.strategy.root_device)
        asked, due = trainer.strategy.reduce(wishes, reduce_op="max").tolist()
        return asked, bool(due)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            self._stop(number)
        self._asked = number

    def _stop(self, number: int) -> None:
        self._asked = 0
        self._release()
        signal.raise_signal(number)

    def _release(self) -> None:
        if self._holding:
            self._holding = False
            for number, handler in self._handlers.items():
                if handler is not None:
                    signal.signal(number, handler)
        if self._asked:  # since the last step
            self._stop(self._asked)
