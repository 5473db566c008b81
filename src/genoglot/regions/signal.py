"""The signal of regions, and its ranks, which can be compared between experiments."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.regions.formats import read_numbers

SIGNAL_COLUMNS = ("signalValue", "score")
"""Columns that can hold the signal: the first one that holds numbers is used."""

SignalRanks = NDArray[np.uint8]


def signal_column(columns: pl.DataFrame) -> str | None:
    """Name of the column that holds the signal: `signalValue`, else `score`; None without one.

    Parameters
    ----------
    columns
        Further columns of a region set: `Regions.columns`.

    Returns
    -------
    str or None
        The first of the two columns that is numeric.

    Examples
    --------
    >>> signal_column(pl.DataFrame({"signalValue": ["high", "low"], "score": [7, 3]}))
    'score'
    """
    names = (name for name in SIGNAL_COLUMNS if name in columns.columns)
    return next((name for name in names if columns[name].dtype.is_numeric()), None)


def signal_ranks(signal: NDArray[np.float64]) -> SignalRanks:
    """Mean rank of each signal, scaled to 1 (weakest) to 255 (strongest).

    Parameters
    ----------
    signal
        Signal in any unit, shape (n,); NaN, a missing value, ranks lowest.

    Returns
    -------
    NDArray
        uint8, shape (n,): 255 for all if all signals are equal.

    Examples
    --------
    >>> signal_ranks(np.array([30.0, 800.0, 30.0, np.nan]))
    array([128, 255, 128,   1], dtype=uint8)
    """
    signal = np.where(np.isnan(signal), -np.inf, signal)
    values, value, count = np.unique(signal, return_inverse=True, return_counts=True)
    if len(values) <= 1:
        return np.full(len(signal), 255, np.uint8)
    # Twice the mean rank of equal signals is their first rank plus their last: a whole number.
    first = np.cumsum(count) - count
    rank = 1 + 254 * (2 * first + count - 1) // (2 * (len(signal) - 1))
    return rank.astype(np.uint8)[value]


def signal_problem(columns: pl.DataFrame) -> str | None:
    """Describe what is wrong with the signal of a region set.

    Parameters
    ----------
    columns
        Further columns of the region set: `Regions.columns`.

    Returns
    -------
    str or None
        The first text that is not a number, if a column is not used because of it; the number of
        missing values; or a column of names that may be a signal. None if nothing is wrong.

    Examples
    --------
    >>> signal_problem(pl.DataFrame({"score": ["12", "high"]}))
    "the score of region 2 is 'high', which is not a number: without a signal, every signal rank
     is 255"
    """
    used = signal_column(columns)
    problems = []
    for name in SIGNAL_COLUMNS:
        if name == used:
            missing = int(np.isnan(columns[name].cast(pl.Float64).to_numpy()).sum())
            if missing:
                of = f"{missing} of {columns.height}"
                problems.append(f"the {name} is missing in {of} regions, which rank lowest")
            break
        column = columns.get_column(name, default=None)
        if column is None or column.dtype != pl.String:
            continue
        for row in read_numbers(column).unreadable[:1].tolist():
            instead = f"{used} is used" if used else "without a signal, every signal rank is 255"
            problems.append(
                f"the {name} of region {row + 1} is {column[row]!r}, which is not a number: "
                f"{instead}"
            )
    if used is None and columns.columns == ["name"]:
        names = read_numbers(columns["name"].cast(pl.String))
        if not len(names.unreadable) and np.isfinite(names.values).any():
            problems.append(
                "column 4 holds whole numbers, which are read as names; if they are the signal, "
                'give format="bedGraph" (--format bedGraph)'
            )
    return "; ".join(problems) or None
