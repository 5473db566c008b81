"""Tables that tasks are made of, and the line of a value that is missing or wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from genoglot import tables
from genoglot.errors import TaskError
from genoglot.tables import missing_values


def read_table(
    path: Path,
    needed: Sequence[str],
    *,
    separator: str | None = None,
    renamed: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    r"""Read a table with a header: see `genoglot.tables.read_table`.

    Parameters
    ----------
    path
        The file.
    needed
        Columns that it must have.
    separator
        Between columns; by default found out.
    renamed
        Other names of columns, and those to give them.

    Returns
    -------
    All columns as text, without outer blanks; null where a cell is empty.

    Raises
    ------
    TaskError
        If it cannot be read, lacks a column, or holds no row.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.csv"
    >>> _ = path.write_text("a,b\n1, x\n")
    >>> read_table(path, ["b"]).rows()
    [('1', 'x')]
    """
    table = tables.read_table(path, needed, separator=separator, error=TaskError).frame
    table = table.rename(renamed or {}, strict=False)
    if missing := [name for name in needed if name not in table.columns]:
        header = ",".join(table.columns)
        shown = header if len(header) <= 80 else header[:77] + "..."
        raise TaskError(
            f"{path}:1: the header has no column {missing[0]!r} (it is {shown!r}); "
            f"it must have {', '.join(needed)}"
        )
    if not len(table):
        raise TaskError(f"{path}: no rows in this file")
    return table


def present(table: pl.DataFrame, column: str, path: Path) -> pl.Series:
    """Return a column of which no value may be missing.

    A marker such as NA counts as a value: it may be the name of a class, or of rows that are left
    out later.

    Raises
    ------
    TaskError
        With the line of the first empty value.
    """
    empty = table[column].is_null().arg_true()
    if len(empty):
        line = line_of(path, int(empty[0]))
        raise TaskError(f"{path}:{line}: the {column} is missing; fill it in or remove the row")
    return table[column]


def numbers(table: pl.DataFrame, column: str, path: Path, kind: Any = pl.Float64) -> pl.Series:
    """Turn a column of text into numbers; missing values (empty, NA and the like) become null.

    Raises
    ------
    TaskError
        With the line of the first value that is none.
    """
    text = table[column]
    text = text.set(missing_values(text), None)
    found = text.cast(kind, strict=False)
    wrong = ((found.is_null() | ~found.is_finite()) & text.is_not_null()).arg_true()
    if len(wrong):
        row = int(wrong[0])
        raise TaskError(
            f"{path}:{line_of(path, row)}: {column} is {text[row]!r}, no number; correct it"
        )
    return found


def line_of(path: Path, row: int) -> int:
    """Line, from 1, of row number `row` (from 0) of a table that `read_table` read.

    Comments, blank lines and line breaks within quotes are counted. Of a table that has fewer rows
    than its file the line would be another's.
    """
    return tables.read_table(path, error=TaskError).lines[row]
