"""Reading tables with a header, and telling which line is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from genoglot.errors import TaskError
from genoglot.files import read_bytes


def read_table(
    path: Path,
    needed: Sequence[str],
    *,
    separator: str = ",",
    renamed: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    r"""Read a table with a header, plain or gzip; all columns as text, without outer blanks.

    Parameters
    ----------
    path
        The file.
    needed
        Columns that it must have.
    separator
        Between columns.
    renamed
        Other names of columns, and those to give them.

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
    try:
        table = pl.read_csv(read_bytes(path), infer_schema=False, separator=separator)
    except pl.exceptions.PolarsError as error:
        raise TaskError(f"{path}: no table ({str(error).splitlines()[0]})") from None
    table = table.rename(renamed or {}, strict=False)
    if missing := [name for name in needed if name not in table.columns]:
        header = separator.join(table.columns)
        shown = header if len(header) <= 80 else header[:77] + "..."
        raise TaskError(
            f"{path}:1: the header has no column {missing[0]!r} (it is {shown!r}); "
            f"it must have {', '.join(needed)}"
        )
    if not len(table):
        raise TaskError(f"{path}: no rows in this file")
    return table.select(pl.all().str.strip_chars())


def present(table: pl.DataFrame, column: str, path: Path) -> pl.Series:
    """Return a column of which no value may be missing.

    Raises
    ------
    TaskError
        With the line of the first missing value.
    """
    empty = (table[column].is_null() | (table[column] == "")).arg_true()
    if len(empty):
        line = int(empty[0]) + 2
        raise TaskError(f"{path}:{line}: the {column} is missing; fill it in or remove the row")
    return table[column]


def numbers(table: pl.DataFrame, column: str, path: Path, kind: Any = pl.Float64) -> pl.Series:
    """Turn a column of text into numbers; missing values (empty, NA) become null.

    Raises
    ------
    TaskError
        With the line of the first value that is none.
    """
    text = table[column]
    text = text.set(text.is_in(["", "NA", "NaN", "nan", "."]).fill_null(value=False), None)
    found = text.cast(kind, strict=False)
    wrong = ((found.is_null() | ~found.is_finite()) & text.is_not_null()).arg_true()
    if len(wrong):
        row = int(wrong[0])
        raise TaskError(f"{path}:{row + 2}: {column} is {text[row]!r}, no number; correct it")
    return found
