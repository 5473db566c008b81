"""`NetworkGenerator`: a generator with a network that is trained by gradient descent."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from genoglot.atlas import Atlas
from genoglot.models.text_to_regions.generator import Generator
from genoglot.models.universe_model import SetRows, check_training_sets
from genoglot.nn.seed import torch_seed
from genoglot.nn.state import load_state_arrays, state_arrays
from genoglot.saved import Arrays, Saved
from genoglot.settings import Settings
from genoglot.training.device import DeviceOptions, choose_device
from genoglot.training.examples import Batch, Draw, Examples
from genoglot.training.losses import Loss, Losses
from genoglot.training.schedule import Schedule
from genoglot.training.validation import Validation

NETWORK = "network."  # prefix of the names of a network's arrays
PATIENCE = 10  # epochs


class NetworkSettings(Settings):
    """Settings of every generator with a network.

    Attributes
    ----------
    epochs
        Number of passes over the training sets.
    batch_size
        Number of region sets in a training step.
    learning_rate
        Learning rate of the optimizer.
    seed
        Seed of all random numbers.
    """

    epochs: PositiveInt = 10
    batch_size: PositiveInt = 8
    learning_rate: PositiveFloat = 1e-3
    seed: NonNegativeInt = 0


class NetworkGenerator(Generator):
    """A generator with a network.

    A subclass implements `_new_network`, the `loss` of a batch, and `encode` for texts. What has to
    be fitted before the network is made is computed in `prepare` and named in `fitted`.
    """

    settings_class: ClassVar[type[NetworkSettings]] = NetworkSettings
    settings: NetworkSettings
    network: nn.Module

    @abstractmethod
    def _new_network(self) -> nn.Module:
        """Make the network, with initial weights; everything in `fitted` is set before."""

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Make the network, with initial weights that depend on the seed alone."""
        super().prepare(atlas, rows)
        with torch_seed(self.settings.seed):
            self.network = self._new_network()

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Compute the mean loss of a batch.

        Random numbers are drawn from PyTorch's global generator.

        Parameters
        ----------
        batch
            `vectors`: encoded descriptions, float32 (batch, dim). `ids`: universe ids of all sets,
            one set after another, int32. `sizes`: number of ids of each set, int64 (batch,); see
            `region_ids`. `rows`: indices among the training sets, int64 (batch,); only for training
            sets, not for validation sets.

        Returns
        -------
        Tensor
            The loss, a scalar.
        """

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Encode texts for the network, as float32 (texts, dim)."""

    def schedule(self, steps: int) -> Schedule:
        """Return the learning rates of a training with this number of steps."""
        return Schedule(steps, self.settings.learning_rate, weight_decay=0.0, clip_norm=None)

    def n_epochs(self, steps_per_epoch: int) -> int:
        """Return the number of passes over the training sets, given the steps of a pass."""
        return self.settings.epochs

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return next(self.network.parameters()).device

    def to(self, device: str | torch.device) -> Self:
        """Move the network to a device; `"auto"` means a GPU if there is one."""
        self.network.to(choose_device(device))
        return self

    def fit(
        self,
        atlas: Atlas,
        rows: SetRows | None = None,
        *,
        validation: SetRows | None = None,
        patience: int | None = None,
        log_folder: str | Path | None = None,
        resume: bool = False,
        progress: bool | None = None,
        device: str | DeviceOptions = "auto",
    ) -> Self:
        """Learn from region sets and their descriptions: see `Generator.fit`."""
        from genoglot.training.loop import train

        check_training_sets(atlas, rows)
        self.prepare(atlas, rows)
        examples = self.examples(atlas, rows)
        steps = self.n_epochs(examples.steps_per_epoch) * examples.steps_per_epoch
        schedule = self.schedule(steps)
        if patience is None:  # see docs/decisions/0007
            patience = 0 if schedule.decay == "one-cycle" else PATIENCE
        train(
            _Training(self),
            examples,
            schedule,
            seed=self.settings.seed,
            validation=self._validation(atlas, validation, patience),
            folder=Path(log_folder) if log_folder is not None else None,
            resume=resume,
            identity={
                **self.description(),
                "atlas": atlas.digest,
                "rows": len(atlas) if rows is None else np.asarray(rows).tolist(),
            },
            progress=progress,
            device=device,
        )
        self.network.eval()
        return self

    def examples(self, atlas: Atlas, rows: SetRows | None = None) -> Examples:
        """Return the training examples of a prepared generator: see `loss` for their batches."""
        sets = _Sets(self, atlas, rows)

        def make_batch(draw: Draw) -> Batch:
            return {
                **sets.batch(draw.rows),
                "rows": torch.from_numpy(draw.rows),
                "step": torch.tensor(draw.step),
            }

        return Examples(len(sets), self.settings.batch_size, make_batch, whole_batches=False)

    def _validation(self, atlas: Atlas, rows: SetRows | None, patience: int) -> Validation | None:
        if rows is None or not len(rows):
            return None
        sets = _Sets(self, atlas, rows)

        def measure() -> dict[str, float]:
            total = 0.0
            for i, start in enumerate(range(0, len(sets), self.settings.batch_size)):
                chosen = np.arange(start, min(start + self.settings.batch_size, len(sets)))
                batch = {k: v.to(self.device) for k, v in sets.batch(chosen).items()}
                with torch_seed(i):
                    total += float(self.loss(batch)) * len(chosen)
            return {"loss": total / len(sets)}

        return Validation(measure, best_by="loss" if patience else None, patience=patience)

    def _arrays(self) -> Arrays:
        return {**super()._arrays(), **state_arrays(self.network, NETWORK)}

    def _restore(self, saved: Saved) -> None:
        super()._restore(saved)
        with torch_seed(self.settings.seed):
            self.network = self._new_network().eval()
        load_state_arrays(self.network, saved.arrays, NETWORK)


def region_ids(batch: Batch) -> list[NDArray[np.int32]]:
    """Return the sorted universe ids of each set of a batch.

    Examples
    --------
    >>> ids, sizes = torch.tensor([2, 5, 7], dtype=torch.int32), torch.tensor([1, 2])
    >>> [part.tolist() for part in region_ids({"ids": ids, "sizes": sizes})]
    [[2], [5, 7]]
    """
    ends = np.cumsum(batch["sizes"].cpu().numpy())
    return np.split(batch["ids"].cpu().numpy(), ends[:-1])


def multi_hot(batch: Batch, size: int) -> Tensor:
    """Return which set of a batch contains which regions.

    Parameters
    ----------
    batch
        A batch: see `NetworkGenerator.loss`.
    size
        Number of columns, at least that of the regions of the universe.

    Returns
    -------
    Tensor
        float32 (batch, size), 1 where a set contains a region, else 0, on the device of the batch.

    Examples
    --------
    >>> ids, sizes = torch.tensor([2, 0, 1], dtype=torch.int32), torch.tensor([1, 2])
    >>> multi_hot({"ids": ids, "sizes": sizes}, 4).tolist()
    [[0.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]]
    """
    presence = torch.zeros(len(batch["sizes"]), size, device=batch["ids"].device)
    presence[torch.repeat_interleave(batch["sizes"]), batch["ids"].long()] = 1
    return presence


class _Sets:
    """Region sets of an atlas and their encoded descriptions."""

    def __init__(self, generator: NetworkGenerator, atlas: Atlas, rows: SetRows | None) -> None:
        presence = atlas.presence(rows)
        # The values, which are all 1, are not stored: those of 20,000 sets would take 1 GB.
        self.ids, self.starts = presence.indices, presence.indptr
        self.vectors = generator.encode(atlas.descriptions(rows))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def batch(self, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        parts = [self.ids[self.starts[row] : self.starts[row + 1]] for row in rows]
        return {
            "ids": torch.from_numpy(np.concatenate(parts)),
            "sizes": torch.tensor([len(part) for part in parts]),
            "vectors": self.vectors[torch.from_numpy(rows)],
        }


class _Training(nn.Module):
    """A generator as the training loop needs it: from a batch to its losses."""

    def __init__(self, generator: NetworkGenerator) -> None:
        super().__init__()
        self.generator, self.network = generator, generator.network

    def forward(self, batch: Batch) -> Losses:
        # Seeded by the step, so that a resumed training draws the same regions and noise.
        torch.manual_seed(1_000_003 * self.generator.settings.seed + int(batch["step"]))
        return {"sets": Loss(self.generator.loss(batch), len(batch["rows"]))}
