"""`Optimization`: a `Trainable` as Lightning sees it.

Apart from it, for Lightning takes seconds to import: who only asks a model does not wait for it.
"""

from __future__ import annotations

from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from genoglot.models.text_to_regions.trainable import Batch, Trainable


class Optimization(lightning.LightningModule):
    """Steps, losses and the optimizer of a `Trainable`."""

    def __init__(self, generator: Trainable) -> None:
        super().__init__()
        self.generator = generator
        self.network = generator.network
        self._summed: Tensor | float = 0.0  # losses of the epoch's sets
        self._seen = 0

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the loss of a batch."""
        # Seeded per step: a resumed training draws what an uninterrupted one would have drawn.
        torch.manual_seed(1_000_003 * self.generator.settings.seed + self.global_step)
        loss = self.generator.loss(batch)
        self.log("train_loss", loss, prog_bar=True, logger=False, batch_size=len(batch.rows))
        self._record(self.global_step, train_loss_step=loss.detach())
        self._summed = self._summed + loss.detach() * len(batch.rows)
        self._seen += len(batch.rows)
        return loss

    def on_train_epoch_end(self) -> None:
        """Write the mean loss of the epoch."""
        self._record(self.global_step - 1, train_loss_epoch=self._summed / self._seen)
        self._summed, self._seen = 0.0, 0

    def validation_step(self, batch: Batch, index: int) -> None:
        """Measure the loss of a batch."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(index)
            loss = self.generator.loss(batch)
        self.log("validation_loss", loss, prog_bar=True, logger=False, batch_size=len(batch.rows))

    def on_validation_end(self) -> None:
        """Write the mean loss of the validation sets."""
        loss = self.trainer.callback_metrics["validation_loss"]
        self._record(self.global_step - 1, validation_loss=loss)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what a resumed training needs, after the log has been written so far."""
        checkpoint["epoch_loss"] = [float(self._summed), self._seen]
        for logger in self.trainer.loggers:
            logger.save()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up what was stored."""
        self._summed, self._seen = checkpoint["epoch_loss"]

    def _record(self, step: int, **metrics: Any) -> None:
        """Write values into the logs. Steps count from 0."""
        if self.trainer.is_global_zero:
            for logger in self.trainer.loggers:
                logger.log_metrics({"epoch": self.current_epoch, **metrics}, step)

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
