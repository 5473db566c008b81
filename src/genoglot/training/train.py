"""Train any generator: the one entry point of the command line and of Python."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from numpy.typing import NDArray

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models import Generator
from genoglot.models.trainable import Trainable, quiet_lightning
from genoglot.training.checkpoints import SafeCheckpointIO, weights
from genoglot.training.trainer import new_trainer

Rows = Sequence[int] | NDArray[Any]

LAST = "last.ckpt"


def train(
    generator: Generator,
    atlas: Atlas,
    rows: Rows | None = None,
    *,
    validation: Rows | None = None,
    log_folder: str | Path | None = None,
    resume: bool = False,
    patience: int | None = None,
    progress: bool | None = None,
    device: str = "auto",
    devices: int | str = 1,
    num_nodes: int = 1,
    strategy: str = "auto",
) -> Generator:
    """Fit a generator; one with a network is trained under Lightning.

    Parameters
    ----------
    generator
        A new generator: see `genoglot.models.create`.
    atlas, rows
        What to learn from; by default all sets of the atlas.
    validation
        Rows on which the loss is measured after every epoch.
    log_folder
        Where `metrics.csv`, TensorBoard's log and the checkpoints are written; by default nowhere.
    resume
        Go on from the last checkpoint in `log_folder`, if there is one: the result is that of a
        run that was never interrupted.
    patience
        Stop when the validation loss has not improved for so many epochs, and keep the weights of
        the best one; 0: never. By default 10, and 0 for a model whose learning rate falls to zero
        by its schedule: there the last epoch ranks best (docs/decisions/0007).
    progress
        Show a progress bar; by default in a terminal.
    device
        `"auto"`, `"cpu"` or `"cuda"`. On a GPU, bf16 mixed precision is used.
    devices, num_nodes, strategy
        As in `lightning.Trainer`.

    Returns
    -------
    The same generator, fitted.

    Raises
    ------
    ModelError
        If there is nothing to learn from, or the checkpoint to resume from is damaged or of
        another training.
    """
    if not isinstance(generator, Trainable):
        return generator.fit(atlas, rows)
    generator.prepare(atlas, rows)
    folder = Path(log_folder) if log_folder is not None else None
    checkpoint = _checkpoint(folder, generator, atlas, rows, resume=resume)
    if patience is None:
        patience = 0 if generator.schedule.warm_up else 10
    watched = patience and validation is not None and len(validation)
    watch = "validation_loss" if watched else None
    show = sys.stderr.isatty() if progress is None else progress
    with TemporaryDirectory(prefix="genoglot-") as scratch, quiet_lightning():
        keeper = _keeper(folder or Path(scratch), watch)
        callbacks: list[Callback] = [keeper] if folder or watch else []
        if watch:
            callbacks.append(EarlyStopping(watch, patience=patience))
        trainer = new_trainer(
            folder,
            max_epochs=generator.schedule.epochs,
            callbacks=callbacks,
            checkpoints=keeper in callbacks,
            progress=show,
            device=device,
            devices=devices,
            num_nodes=num_nodes,
            strategy=strategy,
        )
        generator.optimize(trainer, atlas, rows, validation=validation, checkpoint=checkpoint)
        if watch and keeper.best_model_path:
            state = weights(keeper.best_model_path)
            generator.network.load_state_dict(
                {
                    k.removeprefix("network."): v
                    for k, v in state.items()
                    if k.startswith("network.")
                }
            )
    return generator


def _keeper(folder: Path, watch: str | None) -> ModelCheckpoint:
    return ModelCheckpoint(
        folder / "checkpoints", filename="best", monitor=watch, save_top_k=1, save_last=True,
        enable_version_counter=False, save_on_train_epoch_end=True,
    )  # fmt: skip


def _checkpoint(
    folder: Path | None, generator: Generator, atlas: Atlas, rows: Rows | None, *, resume: bool
) -> str | None:
    """Return the checkpoint to go on from, having checked that it is of this same training."""
    if folder is None:
        return None
    about = {
        "kind": generator.kind,
        "settings": generator._settings(),
        "atlas": atlas.digest,
        "rows": len(atlas) if rows is None else np.asarray(rows).tolist(),
    }
    about_file, last = folder / "training.json", folder / "checkpoints" / LAST
    if resume and last.exists():
        if not about_file.exists() or json.loads(about_file.read_text()) != about:
            raise ModelError(
                f"{folder}: its checkpoint is of another model, atlas or split; "
                "choose another folder, or train without resuming"
            )
        return str(last)
    if last.exists():
        SafeCheckpointIO().remove_checkpoint(last)
    folder.mkdir(parents=True, exist_ok=True)
    about_file.write_text(json.dumps(about))
    return None
