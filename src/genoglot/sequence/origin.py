"""Where the records of a FASTA file lie, if they are windows of chromosomes."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from genoglot.errors import ChromosomeNameError, GenoglotError, SequenceError, some

logger = logging.getLogger("genoglot")

Origin = Mapping[str, tuple[str, int]] | Literal["names"]

# chr1:100-200, with the name of the region before it (bedtools getfasta -name) and its strand
# behind it (-s).
_WINDOW = re.compile(r"(?:.*::)?(.+):(\d+)-(\d+)(?:\(([+.-])\))?")
_ADVICE = "give its place with origin= (--origin), or rename it"


def places_of(
    names: Sequence[str], lengths: Sequence[int], origin: Origin | None, where: str
) -> list[tuple[str, int]]:
    """Tell the chromosome of each record, and the 0-based position of its first base there.

    Parameters
    ----------
    names, lengths
        Of the records; lengths in bp.
    origin
        See `Genome.open`.
    where
        The file, as an error calls it.

    Raises
    ------
    SequenceError
        If a name tells of a window that the record is not, or of the minus strand; or if some
        names count from 0 and others from 1.
    ChromosomeNameError
        If `origin` names a record that is not there.

    Examples
    --------
    >>> places_of(["22:101-110", "z"], [10, 5], "names", "a.fa")  # samtools: both ends included
    [('22', 100), ('z', 0)]
    >>> places_of(["peak::22:100-110"], [10], "names", "a.fa")  # bedtools: from 0, half-open
    [('22', 100)]
    """
    if origin is None:
        return [(name, 0) for name in names]
    if not isinstance(origin, str):
        unknown = list(origin.keys() - set(names))
        if unknown:
            raise ChromosomeNameError(
                f"origin names the record {unknown[0]!r}, but the records are {some(names)}"
            )
        return [origin.get(name, (name, 0)) for name in names]
    if origin != "names":
        raise GenoglotError(f'origin is {origin!r}; use "names" or a mapping of records')
    windows = [_WINDOW.fullmatch(name) for name in names]
    most = Counter(
        window[1] if window else name for window, name in zip(windows, names, strict=True)
    )
    if (several := most.most_common(1)) and several[0][1] > 1:
        logger.warning(
            "%s: %d records are of chromosome %s, of which a genome has one; the records are read "
            "under their own names, not as windows",
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
    """Whether a name counts from 0 (half-open) or from 1 (both ends included): its length tells."""
    start, end = int(window[2]), int(window[3])
    if window[4] == "-":
        raise SequenceError(
            f"{where}: record {name!r} is of the minus strand; extract it from the plus strand "
            "(bedtools getfasta without -s)"
        )
    if end - start == length:
        return 0
    if end - start + 1 == length and start > 0:
        return 1
    raise SequenceError(
        f"{where}: record {name!r} has {length} bp, but its name tells of {end - start} bp (from "
        f"0, half-open) or {end - start + 1} bp (from 1, both ends included); {_ADVICE}"
    )
