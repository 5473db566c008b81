"""`Curve`: a CSV file that grows while a model is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from genoglot.files import atomic_path

AT_ONCE = 20  # rows that are written together


class Curve:
    r"""A CSV file of losses and other values, with a column `step`.

    Values are held where they are, also on a GPU, until some rows are written together: so a step
    does not wait for them.

    Parameters
    ----------
    path
        CSV file to write.
    columns
        Names of the columns.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "loss.csv"
    >>> curve = Curve(path, ["step", "loss"])
    >>> curve.begin(0)
    >>> curve.add({"step": 1, "loss": 0.5})
    >>> curve.add({"step": 2})
    >>> curve.write()
    >>> path.read_text()
    'step,loss\n1,0.5\n2,\n'
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path, self.columns = path, list(columns)
        self._waiting: list[list[Any]] = []

    def begin(self, last: int) -> None:
        """Begin the file. Of rows from before, those up to step `last` stay."""
        lines = [",".join(self.columns)]
        if last and self.path.exists():
            # What is behind the checkpoint that a training goes on from is learned again.
            at = self.columns.index("step")
            for line in self.path.read_text().splitlines()[1:]:
                cells = line.split(",")
                if len(cells) == len(self.columns) and int(cells[at]) <= last:
                    lines.append(line)
        with atomic_path(self.path) as temporary:
            temporary.write_text("\n".join(lines) + "\n")

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row; a column that it lacks is left empty."""
        self._waiting.append([row.get(name) for name in self.columns])
        if len(self._waiting) == AT_ONCE:
            self.write()

    def write(self) -> None:
        """Write the rows that are not written yet."""
        if self._waiting:
            with self.path.open("a") as file:
                file.writelines(",".join(map(_text, row)) + "\n" for row in self._waiting)
        self._waiting = []


def _text(value: Any) -> str:
    if isinstance(value, Tensor):
        value = float(value)
    return "" if value is None else repr(value)
