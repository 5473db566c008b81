"""Checkpoints: how they are written and read, when, and which one a training resumes from.

They hold no pickle: tensors are in safetensors, everything else in JSON.
"""

from __future__ import annotations

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
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor

from genoglot.errors import ModelError
from genoglot.files import atomic_path
from genoglot.permissions import explains_denial
from genoglot.training.log import TENSORBOARD

log = logging.getLogger("genoglot")

STATE, TENSORS = "state.json", "tensors.safetensors"
CHECKPOINTS, LAST, IDENTITY = "checkpoints", "last.ckpt", "training.json"

INTERVAL = 60.0  # seconds after which a checkpoint is written, however long a round takes
MAX_FRACTION = 0.05  # of the time that may be spent on those

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
            If it is missing or damaged, or if reading it is not permitted.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            state = dict(json.loads((Path(path) / STATE).read_text())["$dict"])
            tensors = load_file(Path(path) / state.pop(TENSORS))
            return {key: _unpacked(value, tensors) for key, value in state.items()}
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ModelError(
                f"{path}: not a complete checkpoint ({error}); train without resuming"
            ) from None

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
        container = "$tuple" if isinstance(value, tuple) else "$list"
        return {container: [_packed(v, f"{name}/{i}", tensors) for i, v in enumerate(value)]}
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ModelError(f"checkpoint: {name} is a {type(value).__name__}, which cannot be saved")


def _unpacked(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((container, content),) = value.items()
    if container == "$tensor":
        return tensors[content]
    if container == "$dict":
        return {k: _unpacked(v, tensors) for k, v in content}
    items = [_unpacked(v, tensors) for v in content]
    return tuple(items) if container == "$tuple" else items


def resume_from(
    folder: Path | None, identity: dict[str, Any], steps: int, *, resume: bool
) -> tuple[str | None, int]:
    """Find the checkpoint that a training resumes from, or prepare its folder for a new training.

    Parameters
    ----------
    folder
        Folder of the training; None if it writes nothing.
    identity
        What distinguishes the training from others, as JSON can hold it.
    steps
        Number of steps of the whole training.
    resume
        Whether to continue from a checkpoint, if there is one.

    Returns
    -------
    tuple
        The checkpoint, None if there is none to continue from; and the number of steps made before
        it was written.

    Raises
    ------
    ModelError
        If the checkpoint is damaged or of another training.
    """
    if folder is None or not can_resume(folder, identity, resume=resume):
        return None, 0
    last = folder / CHECKPOINTS / LAST
    if not last.exists():
        return None, 0
    step = int(SafeCheckpointIO().load_checkpoint(last)["global_step"])
    if not is_launched():
        done = "; not trained again" if step >= steps else ""
        log.info("%s: resuming at step %d of %d%s", folder, step, steps, done)
    return str(last), step


@explains_denial
def can_resume(folder: Path, identity: dict[str, Any], *, resume: bool) -> bool:
    """Return whether a folder holds checkpoints to continue from; else prepare it for new ones.

    Parameters are those of `resume_from`.
    """
    checkpoints, identity_file = folder / CHECKPOINTS, folder / IDENTITY
    if resume and checkpoints.exists() and any(checkpoints.glob("[!.]*")):
        try:
            known = json.loads(identity_file.read_text())
        except (FileNotFoundError, ValueError):
            known = None
        if known != json.loads(json.dumps(identity)):
            raise ModelError(
                f"{folder}: its checkpoint is of another model, other settings or other data; "
                "choose another folder, or train without resuming"
            )
        return True
    if not is_launched():
        for former in (checkpoints, folder / TENSORBOARD):
            shutil.rmtree(former, ignore_errors=True)
        with atomic_path(identity_file) as temporary:
            temporary.write_text(json.dumps(identity))
    return False


def is_launched() -> bool:
    """Return whether another process of the same training started this one."""
    from lightning.pytorch.utilities import rank_zero_only

    return getattr(rank_zero_only, "rank", 0) != 0


class Checkpoints(Checkpoint):
    """Writes the checkpoint `last.ckpt`, after each round and each minute.

    A signal that asks the process to stop (SIGTERM, SIGHUP, SIGINT) is held until the current step
    is done and its checkpoint is written; then it has the effect that it has without this callback.
    A second signal has its effect at once. A signal that is ignored stays ignored.

    Parameters
    ----------
    folder
        Folder of the training; None: no checkpoint is written.
    round_steps
        Number of steps of a round. The last step ends a round, too.
    """

    def __init__(self, folder: Path | None, round_steps: int) -> None:
        self.path = folder and folder / CHECKPOINTS / LAST
        self.round_steps = round_steps
        self._due = math.inf
        self._signal = 0  # number of the signal that is held
        # Before Lightning replaces them by its own.
        self._handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        self._holding = False

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Start the clock and begin to hold signals."""
        self._due = time.monotonic() + INTERVAL
        if threading.current_thread() is threading.main_thread():
            self._holding = True
            for number, handler in self._handlers.items():
                if handler not in (signal.SIG_IGN, None):
                    signal.signal(number, self._hold)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, *batch: Any
    ) -> None:
        """Write a checkpoint after a round, a minute or a signal."""
        if batch[-1] + 1 == trainer.num_training_batches:
            return  # `on_train_epoch_end` follows
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
        """Stop holding signals."""
        self._release()

    def on_exception(self, *_: Any) -> None:
        """Stop holding signals."""
        self._release()

    def _write(self, trainer: lightning.Trainer) -> None:
        if self.path is not None:
            start = time.monotonic()
            trainer.save_checkpoint(self.path)
            took = time.monotonic() - start
            self._due = start + max(INTERVAL, took / MAX_FRACTION)

    def _agreed(self, trainer: lightning.Trainer) -> tuple[int, bool]:
        """Return the signal that any process got (0: none), and whether a checkpoint is due."""
        late = time.monotonic() > self._due
        if trainer.world_size == 1:
            return self._signal, late
        states = torch.tensor([self._signal, late], device=trainer.strategy.root_device)
        asked, due = trainer.strategy.reduce(states, reduce_op="max").tolist()
        return asked, bool(due)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        if self._signal:
            self._stop(number)
        self._signal = number

    def _stop(self, number: int) -> None:
        self._signal = 0
        self._release()
        signal.raise_signal(number)

    def _release(self) -> None:
        if self._holding:
            self._holding = False
            for number, handler in self._handlers.items():
                if handler is not None:
                    signal.signal(number, handler)
        if self._signal:  # it came after the last step
            self._stop(self._signal)
