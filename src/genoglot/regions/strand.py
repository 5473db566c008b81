"""Read strands in any usual spelling."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import GenoglotError

_SPELLINGS = {
    "+": ("+", "1", "+1", "plus", "forward", "fwd", "f"),
    "-": ("-", "-1", "minus", "reverse", "rev", "r", "\u2212"),
    ".": (".", "*", "?", "", "0", "na", "none", "unknown"),
}
_STRAND = {spelling: strand for strand, known in _SPELLINGS.items() for spelling in known}


def read_strand(value: object, what: str) -> str:
    """Read one strand: see `read_strands`.

    Parameters
    ----------
    value
        The strand in any usual spelling.
    what
        Name of the value, for the error.

    Returns
    -------
    str
        `+`, `-` or `.`.

    Raises
    ------
    GenoglotError
        If the value is not a strand.

    Examples
    --------
    >>> read_strand("?", "a.gff3:5: the strand")
    '.'
    """
    text = "" if value is None else str(value).strip().lower().removesuffix(".0")
    if text not in _STRAND:
        raise GenoglotError(f"{what} is {value!r}; write +, - or . (unknown)")
    return _STRAND[text]


def read_strands(values: Iterable[object], where: str) -> NDArray[np.object_]:
    """Read strands in any usual spelling.

    Parameters
    ----------
    values
        Strands, shape (n,): `+` and `-`; 1 and -1, as BioMart and Ensembl write them; plus and
        minus, forward and reverse, F and R in any case; `.`, `*`, `?`, 0, NA, None or an empty
        text for an unknown strand. Numbers can be integers or floats.
    where
        Name of the file, for the error.

    Returns
    -------
    NDArray
        `+`, `-` or `.`, str objects, shape (n,).

    Raises
    ------
    GenoglotError
        At the first other value, with its row, counted from 1.

    Examples
    --------
    >>> read_strands(["+", -1, "Reverse", None], "genes.bed").tolist()
    ['+', '-', '-', '.']
    """
    read: dict[object, str] = {}
    found = []
    for row, value in enumerate(values, 1):
        if value not in read:
            read[value] = read_strand(value, f"{where}: the strand of row {row}")
        found.append(read[value])
    return np.array(found, dtype=object)
