"""`SourceTable`: a table that a task is built from, whose errors name the line of a wrong value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from genoglot.errors import TaskError
from genoglot.tables import missing_values, read_table

LINE = "line of the file"
"""Column that holds the line, from 1, on which each row begins."""


class SourceTable(NamedTuple):
    """A table of text, and where it was read.

    Attributes
    ----------
    path
        The file.
    frame
        The column `LINE`, and a column of text for each of the file's, null where a cell is empty.
    """

    path: Path
    frame: pl.DataFrame

    @classmethod
    def read(
        cls, path: Path, needed: Sequence[str], renamed: Mapping[str, str] | None = None
    ) -> SourceTable:
        r"""Read a table with a header: see `genoglot.tables.read_table`.

        Parameters
        ----------
        path
            The file.
        needed
            Columns that it must have.
        renamed
            Other names that columns may have, and their names in `needed`.

        Raises
        ------
        TaskError
            If it cannot be read, does not have a column, or holds no row.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.csv"
        >>> _ = path.write_text("a,b\n1, x\n")
        >>> SourceTable.read(path, ["b"]).frame.rows()
        [(2, '1', 'x')]
        """
        table = read_table(path, needed, error=TaskError)
        frame = table.frame.rename(renamed or {}, strict=False)
        if missing := [name for name in needed if name not in frame.columns]:
            header = ",".join(frame.columns)
            shown = header if len(header) <= 80 else header[:77] + "..."
            raise TaskError(
                f"{path}:1: the header has no column {missing[0]!r} (it is {shown!r}); "
                f"it must have {', '.join(needed)}"
            )
        if not len(frame):
            raise TaskError(f"{path}: no rows in this file")
        return cls(path, frame.insert_column(0, pl.Series(LINE, table.lines)))

    def refuse(self, wrong: Any, problem: str | Callable[[dict[str, Any]], str]) -> None:
        """Refuse the table if a row is wrong.

        Parameters
        ----------
        wrong
            Whether each row is wrong: an expression, or bool (n,).
        problem
            What is wrong and what to do, or a function that says so of the row.

        Raises
        ------
        TaskError
            With the line of the first such row.
        """
        mask = self.frame.select(wrong).to_series() if isinstance(wrong, pl.Expr) else wrong
        rows = pl.Series(mask).arg_true()
        if len(rows):
            row = self.frame.row(rows[0], named=True)
            said = problem if isinstance(problem, str) else problem(row)
            raise TaskError(f"{self.path}:{row[LINE]}: {said}")

    def require(self, *columns: str) -> None:
        """Refuse the table if a cell of these columns is empty.

        A marker such as NA counts as a value: it may be the name of a class, or be in a row that is
        left out later.

        Raises
        ------
        TaskError
            With the line of the first empty cell.
        """
        for name in columns:
            self.refuse(
                pl.col(name).is_null(), f"the {name} is missing; fill it in or remove the row"
            )

    def numbers(self, column: str, dtype: Any = pl.Float64) -> pl.Series:
        """Return a column as numbers; missing values (empty, NA and the like) become null.

        Raises
        ------
        TaskError
            With the line of the first value that is not a number.
        """
        text = self.frame[column]
        text = text.set(missing_values(text), None)
        found = text.cast(dtype, strict=False)
        self.refuse(
            (found.is_null() | ~found.is_finite()) & text.is_not_null(),
            lambda row: f"{column} is {row[column]!r}, which is not a number; correct it",
        )
        return found
