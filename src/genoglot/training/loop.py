"""The training loop of networks that read DNA, under Lightning: one for all of them.

Every step is a function of its number: which rows it sees, what is drawn for each of them, what is
dropped and how large the step is. So a training that was interrupted goes on to the very end that
it would have had; and as the loss is that of all processes' rows together, several processes see
the curve that one would see with the same batches.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple, cast

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler

from genoglot.errors import ModelError
from genoglot.sequence import DnaTokenizer
from genoglot.training.checkpoints import Checkpoints, go_on_from
from genoglot.training.curve import Curve
from genoglot.training.trainer import new_trainer, quiet_lightning

Rows = NDArray[np.int64]
Decay = Literal["none", "linear", "cosine"]
MakeBatch = Callable[[Rows, int], Any]

CURVE = "loss.csv"
CLIP = 1.0  # largest norm of a gradient


class Part(NamedTuple):
    """Loss of some rows, which other rows' can be added to.

    Attributes
    ----------
    total
        Summed over all that was predicted, a scalar.
    number
        How many that is, a scalar.
    """

    total: Tensor
    number: Tensor


class Schedule(NamedTuple):
    """How many steps, and how large.

    Attributes
    ----------
    steps
        Their number.
    rate
        Learning rate at its highest.
    warm_up
        Steps over which it rises from 0.
    decay
        How it falls to 0 from there, if at all.
    weight_decay
        Of AdamW, for all but vectors: biases, norms, the CLS token.

    Examples
    --------
    >>> schedule = Schedule(steps=10, rate=1.0, warm_up=2, decay="linear")
    >>> [round(schedule.factor(step), 2) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.12]
    """

    steps: int
    rate: float
    warm_up: int = 0
    decay: Decay = "none"
    weight_decay: float = 0.01

    def factor(self, step: int) -> float:
        """Share of the highest rate at which a step is made; steps count from 0."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        if self.decay == "none":
            return 1.0
        left = max(self.steps - step, 0) / max(self.steps - self.warm_up, 1)
        return left if self.decay == "linear" else (1 - math.cos(math.pi * left)) / 2


class Where(NamedTuple):
    """On what a training runs, and in which precision: see `lightning.Trainer`."""

    device: str = "auto"
    devices: int | str = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = "auto"


def learn(
    network: nn.Module,
    make_batch: MakeBatch,
    n: int,
    schedule: Schedule,
    *,
    batch_size: int,
    seed: int,
    round_steps: int,
    folder: Path | None = None,
    resume: bool = False,
    about: dict[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
    where: Where | None = None,
) -> None:
    """Train a network in place.

    Parameters
    ----------
    network
        Called with a batch it returns the `Part` of its loss.
    make_batch
        From rows of the data, int64, and the number of the pass over them, to a batch. What it
        draws may depend on a row and the pass, not on the other rows.
    n
        Rows of the data.
    schedule
        How many steps, and how large.
    batch_size
        Rows of a step, over all processes. If there are less in all, so many.
    seed
        Of the order of the rows and of dropout.
    round_steps
        Steps after which a checkpoint is written; one is written each minute, too.
    folder
        Where the loss curve (`loss.csv`: step, loss, learning rate) and the checkpoint are
        written; None: nowhere.
    resume
        Go on from the checkpoint in `folder`, if there is one.
    about
        What tells this training from others; a checkpoint of another one is refused.
    callbacks
        Of Lightning.
    progress
        Show a progress bar; by default in a terminal.
    where
        Devices; by default one, a GPU if there is any.

    Raises
    ------
    ModelError
        If there is nothing to learn from, the processes cannot share a batch evenly, or the
        checkpoint is of another training or damaged.
    """
    where = where or Where()
    if not n:
        raise ModelError("nothing to learn from; give some sequences")
    checkpoint, done = go_on_from(
        folder, {**(about or {}), "rows": n}, schedule.steps, resume=resume
    )
    keepers: list[Callback] = [Checkpoints(folder, round_steps)]
    if folder is not None:
        keepers.append(_Curve(folder / CURVE))
    data = _Batches(make_batch, _Draws(n, min(batch_size, n), seed))
    loader = DataLoader(
        cast(Any, data), sampler=_Steps(done, schedule.steps), batch_size=None, collate_fn=_as_it_is
    )
    with quiet_lightning(), torch.random.fork_rng(devices=[]):
        trainer = new_trainer(
            None,
            callbacks=[*callbacks, *keepers],
            progress=sys.stderr.isatty() if progress is None else progress,
            max_epochs=1,
            max_steps=schedule.steps,
            gradient_clip_val=CLIP,
            use_distributed_sampler=False,
            **where._asdict(),
        )
        trainer.fit(_Learner(network, schedule, seed), loader, ckpt_path=checkpoint)
    network.cpu().eval()


class _Draws:
    """Which rows a step sees: every pass is a permutation, filled up to whole batches."""

    def __init__(self, n: int, batch_size: int, seed: int) -> None:
        self.n, self.batch_size, self.seed = n, batch_size, seed
        self.per_pass = -(-n // batch_size)
        self._order: tuple[int, Rows] | None = None

    def rows(self, step: int) -> tuple[Rows, int]:
        """Rows of a step, over all processes, and the number of the pass."""
        number, at = divmod(step, self.per_pass)
        if self._order is None or self._order[0] != number:
            order = np.random.default_rng((self.seed, number)).permutation(self.n)
            self._order = number, np.resize(order, self.per_pass * self.batch_size)
        return self._order[1][at * self.batch_size : (at + 1) * self.batch_size], number


class _Batches:
    """A dataset whose item is this process's share of the batch of a step."""

    def __init__(self, make_batch: MakeBatch, draws: _Draws) -> None:
        self.make_batch, self.draws = make_batch, draws

    def __getitem__(self, step: int) -> Any:
        rank, world = _process()
        rows, number = self.draws.rows(step)
        if len(rows) % world:
            raise ModelError(
                f"{world} processes cannot share batches of {len(rows)}; choose a multiple"
            )
        return self.make_batch(rows[rank::world], number)


class _Steps(Sampler[int]):
    """Numbers of all steps that are left. To Lightning they are the rest of one epoch."""

    def __init__(self, done: int, steps: int) -> None:
        self.done, self.steps = done, steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.done, self.steps))


def _as_it_is(batch: Any) -> Any:
    return batch


def _process() -> tuple[int, int]:
    """Count processes: which this is, and how many train together."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


class _Learner(lightning.LightningModule):
    """A network as Lightning sees it."""

    def __init__(self, network: nn.Module, schedule: Schedule, seed: int) -> None:
        super().__init__()
        self.network, self.schedule, self.seed = network, schedule, seed

    def training_step(self, batch: Any, index: int) -> Tensor:
        rank, world = _process()
        # Seeded per step: a resumed training drops what an uninterrupted one would have dropped.
        torch.manual_seed((1_000_003 * self.seed + self.global_step) * 1_009 + rank)
        part: Part = self.network(batch)
        number = part.number.detach().float().clone()
        everywhere = cast(Tensor, self.trainer.strategy.reduce(number, reduce_op="sum"))
        # The gradient becomes the mean over the processes: it shall be that of the mean over all
        # that was predicted, wherever.
        loss = part.total * world / everywhere.clamp(min=1)
        self.log("loss", loss, prog_bar=True, batch_size=1, sync_dist=world > 1)
        return loss

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        s = self.schedule
        learned = [p for p in self.network.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in learned if p.dim() > 1], "weight_decay": s.weight_decay},
            {"params": [p for p in learned if p.dim() <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, s.rate)
        rates = torch.optim.lr_scheduler.LambdaLR(optimizer, s.factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}


class _Curve(Callback):
    """Writes step, loss and learning rate into a CSV file; a resumed training goes on in it."""

    def __init__(self, path: Path) -> None:
        self.curve = Curve(path, ["step", "loss", "learning_rate"])

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if trainer.is_global_zero:
            self.curve.begin(trainer.global_step)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, *_: Any
    ) -> None:
        if trainer.is_global_zero:
            step, schedule = trainer.global_step, cast(_Learner, module).schedule
            rate = schedule.rate * schedule.factor(step - 1)
            loss = trainer.callback_metrics["loss"].clone()
            self.curve.add({"step": step, "loss": loss, "learning_rate": rate})

    def on_save_checkpoint(self, *_: Any) -> None:
        """Write before a checkpoint is: the curve reaches as far as it."""
        self.curve.write()

    def on_train_end(self, *_: Any) -> None:
        """Write the last steps."""
        self.curve.write()

    def on_exception(self, *_: Any) -> None:
        """Write what was learned before."""
        self.curve.write()


def tokenizer_digest(tokenizer: DnaTokenizer) -> str:
    """SHA-256 of all that a tokenizer saves, as hex."""
    digest = hashlib.sha256()
    with TemporaryDirectory(prefix="genoglot-") as folder:
        tokenizer.save_pretrained(folder)
        for file in sorted(Path(folder).iterdir()):
            digest.update(file.read_bytes())
    return digest.hexdigest()
