"""Motifs of transcription factors, from JASPAR 2018."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BACKGROUND = 0.25
"""Share of each base where there is no motif."""

PSEUDOCOUNT = 0.01
"""What is added to each base of a column, as a share of the column's counts."""


class Motif(NamedTuple):
    """A motif.

    Attributes
    ----------
    id, name
        Such as MA0139.1, and CTCF.
    counts
        How often each base was seen at each place: float64 (width, 4), in the order A C G T.
    """

    id: str
    name: str
    counts: NDArray[np.float64]

    @property
    def log_odds(self) -> NDArray[np.float64]:
        """Information that each base at each place tells of a site, bits: float64 (width, 4).

        Examples
        --------
        >>> Motif("X", "x", np.array([[98.0, 0, 0, 0]])).log_odds.round(1).tolist()
        [[2.0, -6.7, -6.7, -6.7]]
        """
        total = self.counts.sum(axis=1, keepdims=True)
        share = (self.counts + PSEUDOCOUNT / 4 * total) / (total * (1 + PSEUDOCOUNT))
        odds: NDArray[np.float64] = np.log2(share / BACKGROUND)
        return odds


@cache
def jaspar() -> tuple[Motif, ...]:
    """Read the 579 motifs of JASPAR 2018, CORE, vertebrates, in the order of their ids.

    Source: Khan et al. 2018, Nucleic Acids Research 46:D260; the matrices come with pyjaspar.

    Examples
    --------
    >>> motifs = jaspar()
    >>> len(motifs), motifs[0].id, motifs[0].name, motifs[0].counts.shape
    (579, 'MA0002.2', 'RUNX1', (11, 4))
    """
    from pyjaspar import jaspardb

    found = jaspardb(release="JASPAR2018").fetch_motifs(
        collection="CORE", tax_group=["vertebrates"]
    )
    motifs = [
        Motif(
            str(motif.matrix_id),
            str(motif.name),
            np.array([motif.counts[base] for base in "ACGT"], np.float64).T.copy(),
        )
        for motif in found
    ]
    return tuple(sorted(motifs))
