"""`Notes`: facts about a dataset that its builder counted, such as rows that were left out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger("genoglot")


class Notes(dict[str, Any]):
    """Facts about a dataset by name; what is left out or changed is also logged."""

    def count(self, name: str, message: str, counts: Mapping[Path, tuple[int, int]]) -> None:
        """Note how many rows of the source files are concerned, and log it if there are any.

        Parameters
        ----------
        name
            Name of the note.
        message
            What the log says after the number.
        counts
            For each file, the number of rows that are concerned, and the number of all rows.

        Examples
        --------
        >>> notes = Notes()
        >>> notes.count("empty_peaks", "peaks are empty: left out", {Path("a.bed"): (0, 5)})
        >>> notes
        {'empty_peaks': 0}
        """
        self[name] = number = sum(n for n, _ in counts.values())
        if not number:
            return
        some = [path for path, (n, _) in counts.items() if n]
        where = str(some[0])
        if len(counts) > 1:
            where = f"{len(some)} of {len(counts)} files, such as {some[0]}"
        total = sum(total for _, total in counts.values())
        logger.warning("%s: %s of %s %s", where, f"{number:,}", f"{total:,}", message)

    def count_dropped(self, name: str, message: str, path: Path, keep: NDArray[np.bool_]) -> None:
        """Note how many rows of one file are left out: those where `keep`, (n,), is False."""
        self.count(name, message, {path: (int((~keep).sum()), len(keep))})
