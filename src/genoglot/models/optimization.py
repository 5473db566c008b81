"""`Optimization`: a `Trainable` as Lightning sees it.

Apart from it, for Lightning takes seconds to import: who only asks a model does not wait for it.
"""

from __future__ import annotations

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from genoglot.models.trainable import Batch, Trainable


class Optimization(lightning.LightningModule):
    """Steps, losses and the optimizer of a `Trainable`."""

    def __init__(self, generator: Trainable) -> None:
        super().__init__()
        self.generator = generator
        self.network = generator.network

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the loss of a batch."""
        # Seeded per step: a resumed training draws what an uninterrupted one would have drawn.
        torch.manual_seed(1_000_003 * self.generator.seed + self.global_step)
        loss = self.generator.loss(batch)
        self.log("train_loss", loss, prog_bar=True, on_epoch=True, batch_size=len(batch.rows))
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """Log the loss of a batch."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(index)
            loss = self.generator.loss(batch)
        self.log("validation_loss", loss, prog_bar=True, batch_size=len(batch.rows))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig | torch.optim.Optimizer:
        """Make what the generator's schedule tells."""
        s = self.generator.schedule
        parameters = self.network.parameters()
        if not s.weight_decay:
            optimizer: torch.optim.Optimizer = torch.optim.Adam(parameters, s.learning_rate)
        else:
            optimizer = torch.optim.AdamW(parameters, s.learning_rate, weight_decay=s.weight_decay)
        if not s.warm_up:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, s.learning_rate, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}
