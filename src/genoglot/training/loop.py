"""The training loop of every model, under Lightning.

Every step is a function of its number: which examples it reads, what is drawn for each of them,
what dropout drops and how large the step is. So a training that was interrupted ends as it would
have without the interruption. And the loss of a step is that of the examples of all processes
together, so that several processes have the loss curve of one with the same batches.
"""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler

from genoglot.errors import ModelError
from genoglot.training.callbacks import Logging, Validator
from genoglot.training.checkpoints import (
    Checkpoints,
    SafeCheckpointIO,
    is_launched,
    resume_from,
)
from genoglot.training.device import DeviceOptions, trainer_options
from genoglot.training.examples import Batch, Draw, Examples, RowIndices
from genoglot.training.log import open_logs
from genoglot.training.losses import Losses
from genoglot.training.schedule import Schedule
from genoglot.training.validation import Validation


def train(
    network: nn.Module,
    examples: Examples,
    schedule: Schedule,
    *,
    seed: int,
    round_steps: int | None = None,
    validation: Validation | None = None,
    folder: Path | None = None,
    resume: bool = False,
    identity: dict[str, Any] | None = None,
    progress: bool | None = None,
    device: str | DeviceOptions = "auto",
) -> None:
    """Train a network in place; it ends on the device and in the mode in which it was before.

    Parameters
    ----------
    network
        Called with a batch it returns its `Losses`: one named loss, or several which are added up.
    examples
        Training examples.
    schedule
        Number of steps, learning rates.
    seed
        Seed of the order of the examples and of dropout.
    round_steps
        Number of steps after which a checkpoint is written and `validation` measures; by default
        an epoch. A checkpoint is also written every minute.
    validation
        What is measured on validation data; by default nothing.
    folder
        Where the logs (`loss.csv`, `validation.csv`, TensorBoard's) and the checkpoint are written;
        by default nowhere.
    resume
        Continue from the checkpoint in `folder`, if there is one.
    identity
        What distinguishes this training from others, as JSON can hold it; a checkpoint of another
        one is refused.
    progress
        Show a progress bar; by default in a terminal.
    device
        Device, number of devices and precision; by default one device, a GPU if there is one.

    Raises
    ------
    ModelError
        If there is no example, the processes cannot share a batch evenly, or the checkpoint is
        damaged or of another training.
    """
    if not examples.n:
        raise ModelError("nothing to learn from; give some training data")
    identity = {**(identity or {}), "examples": examples.n}
    checkpoint, done = resume_from(folder, identity, schedule.steps, resume=resume)
    round_steps = round_steps or examples.steps_per_epoch
    losses, measured = None, None
    if folder is not None and not is_launched():
        losses, measured = open_logs(folder, done)
    callbacks: list[Callback] = []
    validator = None
    if validation is not None:
        validator = Validator(validation, round_steps, measured)
        callbacks.append(validator)
    callbacks.append(Checkpoints(folder, round_steps))
    if losses is not None and measured is not None:
        callbacks.append(Logging(losses, measured))
    progress = sys.stderr.isatty() if progress is None else progress
    if progress:
        callbacks.append(RichProgressBar())
    loader = DataLoader(
        cast(Any, _Batches(examples, seed)),
        sampler=_Steps(done, schedule.steps),
        batch_size=None,
    )
    with _training_mode(network), _quiet_lightning(), torch.random.fork_rng(devices=[]):
        trainer = lightning.Trainer(
            **trainer_options(device),
            logger=False,
            callbacks=callbacks,
            plugins=[SafeCheckpointIO()],
            enable_progress_bar=progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            max_epochs=1,
            max_steps=schedule.steps,
            gradient_clip_val=schedule.clip_norm,
            use_distributed_sampler=False,
        )
        trainer.fit(_Module(network, schedule, seed), loader, ckpt_path=checkpoint)
    if validator is not None and validator.weights:
        network.load_state_dict(validator.weights)


@contextmanager
def _training_mode(network: nn.Module) -> Iterator[None]:
    """Set the training mode; at the end restore the mode of each module, and the device."""
    device = next(network.parameters()).device
    modes = {module: module.training for module in network.modules()}
    network.train()
    try:
        yield
    finally:
        network.to(device)
        for module, training in modes.items():
            module.training = training


class _Batches:
    """A dataset whose item is the part of a step's batch that this process computes.

    Every epoch is a permutation of the examples, which depends on the seed and the epoch alone.
    """

    def __init__(self, examples: Examples, seed: int) -> None:
        self.examples, self.seed = examples, seed
        self.batch_size = min(examples.batch_size, examples.n)
        self._order: tuple[int, RowIndices] | None = None

    def __getitem__(self, step: int) -> Batch:
        epoch, i = divmod(step, self.examples.steps_per_epoch)
        rows = self._permutation(epoch)[i * self.batch_size : (i + 1) * self.batch_size]
        rank, world = _process()
        if len(rows) % world:
            raise ModelError(
                f"{world} processes cannot share batches of {len(rows)}; choose a multiple"
            )
        return self.examples.make_batch(Draw(rows[rank::world], epoch, step))

    def _permutation(self, epoch: int) -> RowIndices:
        if self._order is None or self._order[0] != epoch:
            e = self.examples
            order = np.random.default_rng((self.seed, epoch)).permutation(e.n)
            if e.whole_batches:
                order = np.resize(order, e.steps_per_epoch * self.batch_size)
            self._order = epoch, order
        return self._order[1]


class _Steps(Sampler[int]):
    """Numbers of all steps that are left. To Lightning they are the rest of one epoch."""

    def __init__(self, done: int, steps: int) -> None:
        self.done, self.steps = done, steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.done, self.steps))


def _process() -> tuple[int, int]:
    """Return the number of this process, and how many train together."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


class _Module(lightning.LightningModule):
    """A network as Lightning needs it."""

    def __init__(self, network: nn.Module, schedule: Schedule, seed: int) -> None:
        super().__init__()
        self.network, self.schedule, self.seed = network, schedule, seed
        self.logged: dict[str, Tensor | float] = {}

    def training_step(self, batch: Batch, index: int) -> Tensor:
        rank, world = _process()
        # Seeded per step: a resumed training drops what an uninterrupted one would have dropped.
        torch.manual_seed((1_000_003 * self.seed + self.global_step) * 1_009 + rank)
        losses: Losses = self.network(batch)
        parts = {name: loss.mean for name, loss in losses.items()}
        for name, loss in losses.items() if world > 1 else ():
            # Lightning takes the mean of the processes' gradients; here it becomes the gradient of
            # the mean over all predictions of all processes.
            n = torch.as_tensor(loss.n, device=self.device).detach().float()
            everywhere = cast(Tensor, self.trainer.strategy.reduce(n.clone(), reduce_op="sum"))
            parts[name] = loss.mean * (n * world / everywhere.clamp(min=1))
        total = sum(
            (losses[name].weight * part for name, part in parts.items()),
            start=torch.zeros((), device=self.device),
        )
        self._log(parts, total, world)
        return total

    def _log(self, parts: Mapping[str, Tensor], total: Tensor, world: int) -> None:
        """Note the mean over the processes of the losses, and the learning rate."""
        values = {"loss": total, **(parts if len(parts) > 1 else {})}
        if world > 1:
            values = {
                name: cast(Tensor, self.trainer.strategy.reduce(v.detach().clone()))
                for name, v in values.items()
            }
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.logged = {**{k: v.detach() for k, v in values.items()}, "learning_rate": rate}
        self.log("loss", self.logged["loss"], prog_bar=True, batch_size=1)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        optimizer, rates = self.schedule.optimizer(self.network)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}


@contextmanager
def _quiet_lightning() -> Iterator[None]:
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
