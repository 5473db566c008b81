"""`TextTable`: a table for people, as Markdown or in a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

import polars as pl

if TYPE_CHECKING:
    from rich.table import Table


class TextTable(NamedTuple):
    """A table whose cells are text.

    Attributes
    ----------
    header
        Names of the columns.
    rows
        Cells of each row, as many as there are columns.
    caption
        Text below the table.
    title
        Text above the table.

    Examples
    --------
    >>> print(TextTable(["model", "AUROC"], [["cnn-fc", "0.939"]]).to_markdown())
    | model | AUROC |
    | --- | --- |
    | cnn-fc | 0.939 |
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    title: str = ""

    @classmethod
    def pivot(
        cls,
        results: pl.DataFrame,
        keys: Sequence[str],
        columns: Mapping[str, pl.Expr],
        *,
        shown: Sequence[str] | None = None,
        caption: str = "",
        title: str = "",
    ) -> Self:
        """Make one row of all results that agree in some columns.

        Parameters
        ----------
        results
            One row per model and metric.
        keys
            Columns of text that identify a row of the table.
        columns
            Header of each further column, and the aggregation that gives its text.
        shown
            The keys that get a column. Default: "model", and all keys that differ between rows.
        caption, title
            Text below and above the table.

        Returns
        -------
        TextTable
            The rows in the order in which they first occur in the results.
        """
        frame = results.group_by(keys, maintain_order=True).agg(
            **{name: text.cast(pl.String) for name, text in columns.items()}
        )
        if shown is None:
            shown = [key for key in keys if key == "model" or frame[key].n_unique() > 1]
        frame = frame.select(*shown, *columns).fill_null("")
        header = [name.replace("_", " ") for name in frame.columns]
        return cls(header, frame.rows(), caption, title)

    def to_markdown(self) -> str:
        """Write the header and the rows as a Markdown table, without caption and title.

        Returns
        -------
        str
            One line per row, without a line break at the end.
        """
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "\n".join(
            f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
        )

    def __rich__(self) -> Table:
        """Return the table for a terminal: shown by ``rich.print``."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        shown = Table(
            title=Text(self.title) if self.title else None, title_justify="left",
            caption=Text(self.caption), caption_justify="left", box=box.SIMPLE, padding=0,
        )  # fmt: skip
        header = [name.replace("@", " @") for name in self.header]
        for name, *cells in zip(header, *self.rows, strict=True):
            # Cells break between words, never within a figure: all fits into 80 columns.
            words = [word for cell in (name, *cells) for word in cell.split()]
            shown.add_column(name, min_width=max(map(len, words), default=1))
        for row in self.rows:
            shown.add_row(*map(Text, row))  # as text: "[0.1, 0.2]" is not markup
        return shown


def format_interval(
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    *,
    decimals: int = 3,
) -> str:
    """Write a value with its interval.

    Parameters
    ----------
    value
        The value; None or NaN if it is not defined.
    low, high
        Bounds of the interval; None or NaN if there is none.
    decimals
        Number of digits after the point.

    Returns
    -------
    str
        Such as "0.512 [0.491, 0.530]"; empty if the value is not defined.

    Examples
    --------
    >>> format_interval(0.5123, 0.4911, 0.5301), format_interval(0.945), format_interval(math.nan)
    ('0.512 [0.491, 0.530]', '0.945', '')
    """
    if value is None or math.isnan(value):
        return ""
    if low is None or math.isnan(low):
        return f"{value:.{decimals}f}"
    return f"{value:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def distinct(values: pl.Series) -> str:
    """List the distinct values of a column that are not empty, in the order of the column.

    Examples
    --------
    >>> distinct(pl.Series(["a", "", "b", "a"]))
    'a, b'
    """
    return ", ".join(value for value in values.unique(maintain_order=True) if value)
