"""`Trainable`: a generator with a network that is trained by gradient descent."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models.text_to_regions.generator import Generator
from genoglot.nn.state import load_state_arrays, state_arrays
from genoglot.saved import Arrays, Saved
from genoglot.settings import Settings

if TYPE_CHECKING:
    import lightning
    from scipy.sparse import csr_array

Rows = Sequence[int] | NDArray[Any]

NETWORK = "network."  # what the names of a network's arrays begin with


class Batch(NamedTuple):
    """Region sets to learn from.

    Attributes
    ----------
    rows
        (batch,) int64: places of the sets among those that the generator is fitted to, or
        among those for validation.
    ids
        For each set, its sorted universe ids.
    vectors
        (batch, dim) float32: what the text encoder makes of the descriptions.
    training
        Whether the sets are those that the generator is fitted to.
    """

    rows: Tensor
    ids: list[NDArray[np.int32]]
    vectors: Tensor
    training: bool


class Schedule(NamedTuple):
    """How long, in which steps and at what rate a network is trained."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    warm_up: bool = False  # one cycle: up over the first 30 % of the steps, then down to zero


class TrainableSettings(Settings):
    """Settings of every generator with a network.

    Attributes
    ----------
    epochs
        Number of passes over the training sets.
    batch_size
        Number of region sets of a step.
    learning_rate
        Learning rate of the optimizer.
    seed
        Seed of everything random.
    """

    epochs: PositiveInt = 10
    batch_size: PositiveInt = 8
    learning_rate: PositiveFloat = 1e-3
    seed: NonNegativeInt = 0


class Trainable(Generator):
    """A generator with a network.

    A subclass gives `prepare`, which fits all that has no gradient and makes `network`, the `loss`
    of a batch, and a `schedule` (known once prepared). `train` adds logs,
    checkpoints, early stopping and resuming.
    """

    settings_class: ClassVar[type[TrainableSettings]] = TrainableSettings
    settings: TrainableSettings
    network: nn.Module

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        s = self.settings
        self.schedule = Schedule(s.epochs, s.batch_size, s.learning_rate)

    @abstractmethod
    def prepare(self, atlas: Atlas, rows: Rows | None = None) -> None:
        """Fit all that has no gradient to the training sets and make the network.

        Deterministic: called again with the same seed it gives the same network, so that a
        checkpoint can be loaded into it.
        """

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Loss of a batch, a scalar; random numbers are drawn from torch's global generator."""

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Encode texts as the network takes them: (texts, dim) float32."""

    def fit(self, atlas: Atlas, rows: Rows | None = None) -> Self:
        """Prepare and train, silently and keeping nothing but the result.

        Parameters
        ----------
        atlas, rows
            What to learn from; by default all sets of the atlas.
        """
        import lightning

        from genoglot.training.trainer import quiet_lightning

        self.prepare(atlas, rows)
        with quiet_lightning():
            trainer = lightning.Trainer(
                max_epochs=self.schedule.epochs,
                accelerator="cpu",
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            self.optimize(trainer, atlas, rows)
        return self

    def total_steps(self, atlas: Atlas, rows: Rows | None = None) -> int:
        """Count the steps of a training, once prepared."""
        n = len(atlas) if rows is None else len(rows)
        return self.schedule.epochs * -(-n // self.schedule.batch_size)

    def optimize(
        self,
        trainer: lightning.Trainer,
        atlas: Atlas,
        rows: Rows | None = None,
        *,
        validation: Rows | None = None,
        checkpoint: str | None = None,
        done: int = 0,
    ) -> None:
        """Train the prepared network.

        Parameters
        ----------
        trainer
            The Lightning trainer.
        atlas, rows
            What `prepare` was given.
        validation
            Rows whose loss is measured after every epoch.
        checkpoint
            A checkpoint of this same training to go on from.
        done
            Number of steps made until that checkpoint.
        """
        from genoglot.models.text_to_regions.optimization import Optimization

        train_loader = self._loader(atlas, rows, training=True, done=done)
        check_loader = None
        if validation is not None and len(validation):
            check_loader = self._loader(atlas, validation, training=False)
        trainer.fit(Optimization(self), train_loader, check_loader, ckpt_path=checkpoint)
        self.network.cpu().eval()

    def _arrays(self) -> Arrays:
        return state_arrays(self.network, NETWORK)

    def _load_network(self, network: nn.Module, saved: Saved) -> None:
        """Take a network and fill it with its saved weights."""
        load_state_arrays(network, saved.arrays, NETWORK)
        self.network = network.eval()

    def _loader(
        self, atlas: Atlas, rows: Rows | None, *, training: bool, done: int = 0
    ) -> DataLoader[Batch]:
        presence = atlas.presence(rows)
        if not presence.shape[0]:
            raise ModelError("no region set to learn from; give an atlas or a split with some")
        sets = _Sets(presence, self.encode(atlas.descriptions(rows)), training)
        batches = _Batches(
            len(sets),
            self.schedule.batch_size,
            seed=self.settings.seed if training else None,
            done=done,
        )
        # One item of the dataset is a whole batch; its ids shall stay numpy arrays.
        return DataLoader(cast(Any, sets), sampler=batches, batch_size=None, collate_fn=_as_it_is)


def _as_it_is(batch: Any) -> Any:
    return batch


class _Sets:
    """A dataset whose items are whole batches."""

    def __init__(self, presence: csr_array, vectors: Tensor, training: bool) -> None:
        # Its values are all 1 and not kept: of 20,000 sets they are 1 GB.
        self.ids, self.starts = presence.indices, presence.indptr
        self.vectors, self.training = vectors, training

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, rows: list[int]) -> Batch:
        ids = [self.ids[self.starts[row] : self.starts[row + 1]] for row in rows]
        index = torch.tensor(rows)
        return Batch(index, ids, self.vectors[index], self.training)


class _Batches(Sampler[list[int]]):
    """Rows of each batch; with a seed, in an order that depends on it and the epoch alone.

    The first `done` batches, over all epochs, are left out.
    """

    def __init__(self, size: int, batch_size: int, *, seed: int | None, done: int) -> None:
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self.epoch, self.done = 0, done

    def __len__(self) -> int:
        return -(-self.size // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Lightning says so before each epoch, also of a resumed training."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        order = np.arange(self.size)
        if self.seed is not None:
            order = np.random.default_rng((self.seed, self.epoch)).permutation(self.size)
        left_out = max(self.done - self.epoch * len(self), 0)
        for start in range(left_out * self.batch_size, self.size, self.batch_size):
            yield order[start : start + self.batch_size].tolist()
