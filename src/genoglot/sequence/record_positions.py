"""Positions of the records of a FASTA file that are windows of chromosomes."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from genoglot.errors import ChromosomeNameError, GenoglotError, SequenceError, some

logger = logging.getLogger("genoglot")

RecordPositions = Mapping[str, tuple[str, int]] | Literal["names"]

# chr1:100-200, after the name of a region (bedtools getfasta -name), before its strand (-s).
_WINDOW = re.compile(r"(?:.*::)?(.+):(\d+)-(\d+)(?:\(([+.-])\))?")
_ADVICE = "give its position with record_positions= (--origin), or rename it"


def locate_records(
    names: Sequence[str], lengths: Sequence[int], positions: RecordPositions | None, where: str
) -> list[tuple[str, int]]:
    """Find the chromosome of each record, and the position of its first base on it.

    Parameters
    ----------
    names, lengths
        Names of the records, and their lengths in bp.
    positions
        See `Genome.open`.
    where
        Name of the file in an error.

    Returns
    -------
    list of tuple
        Chromosome and 0-based position of each record.

    Raises
    ------
    SequenceError
        If the window in a name has another length than the record, or is on the minus strand; or
        if some names count from 0 and others from 1.
    ChromosomeNameError
        If a record in `positions` is missing.

    Examples
    --------
    >>> locate_records(["22:101-110", "z"], [10, 5], "names", "a.fa")  # of samtools
    [('22', 100), ('z', 0)]
    >>> locate_records(["peak::22:100-110"], [10], "names", "a.fa")  # of bedtools
    [('22', 100)]
    """
    if positions is None:
        return [(name, 0) for name in names]
    if not isinstance(positions, str):
        unknown = list(positions.keys() - set(names))
        if unknown:
            raise ChromosomeNameError(
                f"a position is given for the record {unknown[0]!r}, but the records are "
                f"{some(names)}"
            )
        return [positions.get(name, (name, 0)) for name in names]
    if positions != "names":
        raise GenoglotError(
            f'record_positions is {positions!r}; use "names" or a mapping of records'
        )
    windows = [_WINDOW.fullmatch(name) for name in names]
    per_chromosome = Counter(
        window[1] if window else name for window, name in zip(windows, names, strict=True)
    )
    if (several := per_chromosome.most_common(1)) and several[0][1] > 1:
        logger.warning(
            "%s: %d records are windows of chromosome %s, but a genome has one record of each "
            "chromosome; the records are read under their own names, not as windows",
            *(where, several[0][1], several[0][0]),
        )
        return [(name, 0) for name in names]
    found: list[tuple[str, int]] = []
    first_of: dict[int, str] = {}  # record whose name counts from 0, and from 1
    for name, length, window in zip(names, lengths, windows, strict=True):
        if window is None:
            found.append((name, 0))
            continue
        base = _counted_from(name, length, window, where)
        first_of.setdefault(base, name)
        found.append((window[1], int(window[2]) - base))
    if len(first_of) > 1:
        raise SequenceError(
            f"{where}: the name of record {first_of[0]!r} counts from 0, that of {first_of[1]!r} "
            "from 1; make all of them with one tool"
        )
    for base in first_of:
        how = ("from 0, as bedtools getfasta does", "from 1, as samtools faidx does")[base]
        logger.info("%s: the names of windows, such as %s, count %s", where, first_of[base], how)
    return found


def _counted_from(name: str, length: int, window: re.Match[str], where: str) -> int:
    """Whether a name counts from 0 (half-open) or from 1 (inclusive), by the record's length."""
    start, end = int(window[2]), int(window[3])
    if window[4] == "-":
        raise SequenceError(
            f"{where}: record {name!r} is on the minus strand; extract it from the plus strand "
            "(bedtools getfasta without -s)"
        )
    if end - start == length:
        return 0
    if end - start + 1 == length and start > 0:
        return 1
    raise SequenceError(
        f"{where}: record {name!r} has {length} bp, but its name means {end - start} bp (from 0, "
        f"half-open) or {end - start + 1} bp (from 1, both ends included); {_ADVICE}"
    )
