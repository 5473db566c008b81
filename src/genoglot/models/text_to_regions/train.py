"""Train any generator: the one entry point of the command line and of Python."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from numpy.typing import NDArray

from genoglot.atlas import Atlas
from genoglot.models import Generator
from genoglot.models.text_to_regions.trainable import NETWORK, Trainable
from genoglot.training.checkpoints import CHECKPOINTS, Checkpoints, go_on_from, weights
from genoglot.training.curve import Curve
from genoglot.training.trainer import new_trainer, quiet_lightning

Rows = Sequence[int] | NDArray[Any]

CURVE = "csv/metrics.csv"
LOSS = "validation_loss"
COLUMNS = ("epoch", "step", "train_loss_epoch", "train_loss_step")


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
        Where `csv/metrics.csv`, TensorBoard's log and the checkpoints are written; by default
        nowhere. A checkpoint is written after every epoch and each minute.
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
    if patience is None:
        patience = 0 if generator.schedule.warm_up else 10
    watched = bool(patience and validation is not None and len(validation))
    checkpoint, done = go_on_from(
        folder, _about(generator, atlas, rows), generator.total_steps(atlas, rows), resume=resume
    )
    curve = None
    if folder is not None:
        curve = Curve(folder / CURVE, [*COLUMNS, LOSS] if validation is not None else COLUMNS)
    with TemporaryDirectory(prefix="genoglot-") as scratch, quiet_lightning():
        callbacks: list[Callback] = [Checkpoints(folder)]
        if watched:
            best = _Best(folder or Path(scratch))
            callbacks = [_Patience(LOSS, patience=patience), best, *callbacks]
        trainer = new_trainer(
            curve,
            done=done,
            max_epochs=generator.schedule.epochs,
            callbacks=callbacks,
            progress=sys.stderr.isatty() if progress is None else progress,
            device=device,
            devices=devices,
            num_nodes=num_nodes,
            strategy=strategy,
        )
        generator.optimize(
            trainer, atlas, rows, validation=validation, checkpoint=checkpoint, done=done
        )
        if watched and best.best_model_path:
            state = weights(best.best_model_path)
            generator.network.load_state_dict(
                {k.removeprefix(NETWORK): v for k, v in state.items() if k.startswith(NETWORK)}
            )
    return generator


def _about(generator: Trainable, atlas: Atlas, rows: Rows | None) -> dict[str, Any]:
    """Return what tells a training from others."""
    return {
        **generator.description(),
        "atlas": atlas.digest,
        "rows": len(atlas) if rows is None else np.asarray(rows).tolist(),
    }


class _Best(ModelCheckpoint):
    """Writes the weights of the epoch with the lowest validation loss."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder / CHECKPOINTS, filename="best", monitor=LOSS, save_weights_only=True,
            enable_version_counter=False, save_on_train_epoch_end=True,
        )  # fmt: skip


class _Patience(EarlyStopping):
    """Stops early. A training that is resumed and had stopped before makes no more steps."""

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Stop at once, if patience had ended."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience
