"""Logs of a training: CSV files of losses, and the same values for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from genoglot.files import atomic_path

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

LOSS, VALIDATION, TENSORBOARD = "loss.csv", "validation.csv", "tensorboard"

ROWS = 20  # that are written together


class StepLog:
    r"""A CSV file of values by optimizer step, and optionally the same for TensorBoard.

    Values stay where they are, also on a GPU, until some rows are written together: so a step does
    not wait for them.

    Parameters
    ----------
    path
        CSV file to write.
    done
        Number of steps that a resumed training made before. Their rows stay in the file; rows of
        later steps, made after the checkpoint that the training resumes from, are dropped.
    board
        TensorBoard's writer, if values are written there, too.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "loss.csv"
    >>> log = StepLog(path)
    >>> log.add(1, {"loss": 0.5})
    >>> log.add(2, {"loss": 0.25})
    >>> log.write()
    >>> path.read_text()
    'step,loss\n1,0.5\n2,0.25\n'
    """

    def __init__(self, path: Path, done: int = 0, board: SummaryWriter | None = None) -> None:
        self.path, self.done, self.board = path, done, board
        self._names: list[str] = []
        self._rows: list[tuple[int, Mapping[str, Any]]] = []

    def add(self, step: int, values: Mapping[str, Tensor | float]) -> None:
        """Add the values of a step, counted from 1; all steps have the names of the first."""
        if not self._names:
            self._names = list(values)
            self._begin()
        self._rows.append((step, values))
        if len(self._rows) == ROWS:
            self.write()

    def write(self) -> None:
        """Write the rows that are not written yet."""
        if not self._rows:
            return
        with self.path.open("a") as file:
            for step, values in self._rows:
                numbers = {name: float(values[name]) for name in self._names}
                file.write(",".join([str(step), *map(repr, numbers.values())]) + "\n")
                if self.board is not None:
                    for name, number in numbers.items():
                        self.board.add_scalar(f"{self.path.stem}/{name}", number, step)
        if self.board is not None:
            self.board.flush()
        self._rows = []

    def _begin(self) -> None:
        lines = [",".join(["step", *self._names])]
        if self.done and self.path.exists():
            for line in self.path.read_text().splitlines()[1:]:
                step, *others = line.split(",")
                if len(others) == len(self._names) and int(step) <= self.done:
                    lines.append(line)
        with atomic_path(self.path) as temporary:
            temporary.write_text("\n".join(lines) + "\n")


def open_logs(folder: Path, done: int) -> tuple[StepLog, StepLog]:
    """Open the logs of a training: `loss.csv` and `validation.csv`, both with TensorBoard's.

    Parameters
    ----------
    folder
        Folder of the training; TensorBoard's files are in its subfolder `tensorboard`.
    done
        Number of steps that a resumed training made before.
    """
    from torch.utils.tensorboard.writer import SummaryWriter

    board = SummaryWriter(str(folder / TENSORBOARD), purge_step=done + 1)
    return StepLog(folder / LOSS, done, board), StepLog(folder / VALIDATION, done, board)
