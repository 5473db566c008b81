"""The Lightning trainer of every training here: devices, precision, logs, safe checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from genoglot.training.checkpoints import SafeCheckpointIO


def new_trainer(
    folder: Path | None,
    *,
    callbacks: Sequence[Callback],
    checkpoints: bool,
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
    folder
        Where CSV and TensorBoard logs are written; None: nowhere.
    callbacks
        Besides the progress bar.
    checkpoints
        Whether one of the callbacks writes checkpoints.
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
        logger=_loggers(folder),
        callbacks=[*callbacks, *bar],
        plugins=[SafeCheckpointIO()],
        enable_checkpointing=checkpoints,
        enable_progress_bar=progress,
        enable_model_summary=False,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        **limits,
    )


def _loggers(folder: Path | None) -> list[Any] | bool:
    if folder is None:
        return False
    return [
        CSVLogger(folder, name="", version="csv"),
        TensorBoardLogger(folder, name="", version="tensorboard"),
    ]
