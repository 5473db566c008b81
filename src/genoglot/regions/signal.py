"""The strength of regions: ranks of their signal, which compare across experiments."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.regions.formats import read_numbers
from genoglot.regions.regions import SIGNAL_COLUMNS, Regions

Strengths = NDArray[np.uint8]


def rank_strengths(signal: NDArray[np.float64]) -> Strengths:
    """Mean rank of each signal, spread evenly over 1 (weakest) to 255 (strongest).

    Parameters
    ----------
    signal
        Shape (n,); NaN, which stands for a missing one, ranks lowest.

    Returns
    -------
    uint8, shape (n,): 255 for all if they are equal.

    Examples
    --------
    >>> rank_strengths(np.array([30.0, 800.0, 30.0, np.nan]))
    array([128, 255, 128,   1], dtype=uint8)
    """
    signal = np.where(np.isnan(signal), -np.inf, signal)
    order = np.argsort(signal)
    ordered = signal[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(order)])
    if len(first) <= 1:
        return np.full(len(signal), 255, np.uint8)
    size = np.diff(first, append=len(order))
    # Twice the mean rank of a run of equals is its first rank plus its last: a whole number.
    level = 1 + 254 * (2 * first + size - 1) // (2 * (len(order) - 1))
    strengths = np.empty(len(order), np.uint8)
    strengths[order] = np.repeat(level, size)
    return strengths


def signal_problem(regions: Regions) -> str | None:
    """Say what is wrong with the signal of a region set, or None if nothing is.

    A text that is no number, because of which a column is not used, is named with its region;
    missing values are counted; names that may be a signal are pointed out.

    Examples
    --------
    >>> signal_problem(Regions(["1", "1"], [0, 5], [9, 8], {"score": ["12", "high"]}))
    "the score of region 2 is 'high', which is no number: without a signal, every strength is 255"
    """
    used = regions.signal_column
    problems = []
    for name in SIGNAL_COLUMNS:
        if name == used:
            missing = int(np.isnan(regions.columns[name].cast(pl.Float64).to_numpy()).sum())
            if missing:
                of = f"{missing} of {len(regions)}"
                problems.append(f"the {name} is missing in {of} regions, which rank lowest")
            break
        column = regions.columns.get_column(name, default=None)
        if column is None or column.dtype != pl.String:
            continue
        for row in read_numbers(column).unreadable[:1].tolist():
            instead = f"{used} is used" if used else "without a signal, every strength is 255"
            problems.append(
                f"the {name} of region {row + 1} is {column[row]!r}, which is no number: {instead}"
            )
    if used is None and regions.columns.columns == ["name"]:
        names = read_numbers(regions.columns["name"].cast(pl.String))
        if not len(names.unreadable) and np.isfinite(names.values).any():
            problems.append(
                "column 4 holds whole numbers, which are read as names; if they are the signal, "
                'give format="bedGraph" (--format bedGraph)'
            )
    return "; ".join(problems) or None
