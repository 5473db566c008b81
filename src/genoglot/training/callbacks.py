"""Lightning callbacks of every training: validation with the best weights, and logs."""

from __future__ import annotations

import math
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from genoglot.training.log import StepLog
from genoglot.training.validation import Validation


class Validator(Callback):
    """Measures after every round of a training and keeps the best weights.

    Parameters
    ----------
    validation
        What is measured.
    round_steps
        Number of steps of a round. The last step ends a round, too.
    log
        Where values are written; None: nowhere.
    """

    def __init__(self, validation: Validation, round_steps: int, log: StepLog | None) -> None:
        self.validation, self.round_steps, self.step_log = validation, round_steps, log
        self.best, self.rounds_since = -math.inf, 0
        self.weights: dict[str, Tensor] = {}

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Stop a resumed training at once, if its patience had ended."""
        self._stop_if_stale(trainer)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, *_: Any
    ) -> None:
        """Measure at the end of a round."""
        step = trainer.global_step
        if step % self.round_steps and step != trainer.max_steps:
            return
        network = cast(nn.Module, module.network)
        training = network.training
        network.eval()
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            values = self.validation.measure()
        network.train(training)
        if self.step_log is not None and trainer.is_global_zero:
            self.step_log.add(step, values)
        if self.validation.best_by is not None:
            self._compare(values[self.validation.best_by], network)
        self._stop_if_stale(trainer)

    def _compare(self, value: float, network: nn.Module) -> None:
        value = value if self.validation.highest else -value
        self.rounds_since += 1
        if value > self.best:
            self.best, self.rounds_since = value, 0
            state = network.state_dict()
            self.weights = {name: v.detach().cpu().clone() for name, v in state.items()}

    def _stop_if_stale(self, trainer: lightning.Trainer) -> None:
        patience = self.validation.patience
        trainer.should_stop |= bool(patience and self.rounds_since >= patience)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds of this."""
        return {"best": self.best, "rounds_since": self.rounds_since, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what a checkpoint holds of this."""
        self.best, self.rounds_since = state_dict["best"], state_dict["rounds_since"]
        self.weights = state_dict["weights"]


class Logging(Callback):
    """Logs the losses of every step.

    Parameters
    ----------
    losses, validation
        Logs, which are written before a checkpoint is and at the end.
    """

    def __init__(self, losses: StepLog, validation: StepLog) -> None:
        self.losses, self.validation = losses, validation

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, *_: Any
    ) -> None:
        """Log the losses and the learning rate of the step."""
        if trainer.is_global_zero:
            self.losses.add(trainer.global_step, cast(Any, module).logged)

    def on_save_checkpoint(self, *_: Any) -> None:
        """Write the logs, so that they reach as far as the checkpoint."""
        self._write()

    def on_train_end(self, *_: Any) -> None:
        """Write the last steps."""
        self._write()

    def on_exception(self, *_: Any) -> None:
        """Write the steps made before the exception."""
        self._write()

    def _write(self) -> None:
        self.losses.write()
        self.validation.write()
