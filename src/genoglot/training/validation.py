"""`Watch`: a supervised training measured on validation data, and its best weights kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from torch import Tensor, nn

from genoglot.training.loop import Part

Metric = Callable[[NDArray[Any], NDArray[np.float32]], float]


class Watch(Callback):
    """Measures after every round, and keeps the weights of the best if asked to.

    Parameters
    ----------
    round_steps
        Steps of a round. The last step ends a round, too.
    logits
        Computes what the head says of the validation data, (n, outputs).
    loss
        Of logits and labels.
    answer
        Turns logits into predictions.
    labels
        Of the validation data.
    choose_by
        `"loss"` (the lowest is best), a function of labels and predictions (the highest is), or
        None: weights are not kept.
    path
        CSV file to write: step, loss and, if there is such a function, its value. None: no file.
    """

    def __init__(
        self,
        round_steps: int,
        logits: Callable[[], Tensor],
        loss: Callable[[Tensor, Tensor], Part],
        answer: Callable[[Tensor], Tensor],
        labels: NDArray[Any],
        choose_by: Metric | Literal["loss"] | None,
        path: Path | None,
    ) -> None:
        self.round_steps = round_steps
        self.logits, self.loss, self.answer, self.labels = logits, loss, answer, labels
        self.choose_by, self.path = choose_by, path
        self.rows: list[list[float]] = []
        self.best = -float("inf")
        self.weights: dict[str, Tensor] = {}

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, *_: Any
    ) -> None:
        """Measure, if a round is over."""
        step = trainer.global_step
        if step % self.round_steps == 0 or step == trainer.max_steps:
            self._measure(trainer, cast(nn.Module, module.network))

    def _measure(self, trainer: lightning.Trainer, network: nn.Module) -> None:
        with torch.inference_mode():
            logits = self.logits()
            part = self.loss(logits, torch.from_numpy(self.labels).to(logits.device))
            predictions = self.answer(logits).float().cpu().numpy()
        row = [float(trainer.global_step), float(part.total / part.number.clamp(min=1))]
        if callable(self.choose_by):
            row.append(float(self.choose_by(self.labels, predictions)))
        self.rows.append(row)
        value = row[-1] if callable(self.choose_by) else -row[-1]
        if self.choose_by is not None and value > self.best:
            self.best = value
            state = network.state_dict()
            self.weights = {name: v.detach().cpu().clone() for name, v in state.items()}
        if self.path is not None and trainer.is_global_zero:
            names = "step,loss,value" if callable(self.choose_by) else "step,loss"
            lines = [",".join([f"{one[0]:.0f}", *map(repr, one[1:])]) for one in self.rows]
            self.path.write_text("\n".join([names, *lines]) + "\n")

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training has to know."""
        return {"best": self.best, "weights": self.weights, "rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what a resumed training has to know."""
        self.best, self.weights = state_dict["best"], state_dict["weights"]
        self.rows = state_dict["rows"]
