"""The Lightning trainer of every training here: devices, precision, logs, safe checkpoints."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from genoglot.training.checkpoints import SafeCheckpointIO
from genoglot.training.curve import Curve


def new_trainer(
    curve: Curve | None,
    *,
    done: int = 0,
    callbacks: Sequence[Callback],
    progress: bool,
    device: str,
    devices: int | str,
    num_nodes: int,
    strategy: str,
    precision: str = "auto",
    **limits: Any,
) -> lightning.Trainer:
    """Make a trainer.

    Parameters
    ----------
    curve
        CSV file of what the module logs; TensorBoard's log is written beside its folder. None:
        nothing is logged.
    done
        Number of steps made before, which the log has.
    callbacks
        Callbacks besides the progress bar. One of them is `Checkpoints`.
    progress
        Show a progress bar.
    device
        `"auto"`, `"cpu"` or `"cuda"`.
    devices, num_nodes, strategy
        As in `lightning.Trainer`.
    precision
        As there; `"auto"` is bf16 mixed precision on a GPU, else single precision.
    **limits
        Further arguments of it, such as `max_epochs`.
    """
    bar: list[Callback] = [RichProgressBar()] if progress else []
    if precision == "auto":
        on_gpu = device != "cpu" and torch.cuda.is_available()
        precision = "bf16-mixed" if on_gpu else "32-true"
    return lightning.Trainer(
        accelerator={"cuda": "gpu"}.get(device, device),
        devices=devices,
        num_nodes=num_nodes,
        strategy=strategy,
        precision=cast(Any, precision),
        logger=_loggers(curve, done),
        callbacks=[*callbacks, *bar],
        plugins=[SafeCheckpointIO()],
        enable_progress_bar=progress,
        enable_model_summary=False,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        **limits,
    )


def _loggers(curve: Curve | None, done: int) -> list[Logger]:
    if curve is None:
        return []
    beside = curve.path.parents[1]
    return [_Log(curve, done), TensorBoardLogger(beside, name="", version="tensorboard")]


class _Log(Logger):
    """A curve as Lightning's logger. Its steps count from 0."""

    name = version = ""

    def __init__(self, curve: Curve, done: int) -> None:
        super().__init__()
        self._curve, self._done, self._begun = curve, done, False

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if not self._begun:
            self._curve.begin(self._done - 1)
            self._begun = True
        self._curve.add({**metrics, "step": step})

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Log nothing: the settings are in `training.json`."""

    def save(self) -> None:
        self._curve.write()

    def finalize(self, status: str) -> None:
        self._curve.write()


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without Lightning's advice on machines, workers and folders.

    After SIGTERM Lightning ends a training by an exit of status 0. Here the signal does what it
    would have done without Lightning.
    """
    from lightning.pytorch.utilities.exceptions import SIGTERMException

    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    except SIGTERMException:
        signal.raise_signal(signal.SIGTERM)
        raise
    finally:
        logger.setLevel(level)
