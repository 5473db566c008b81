"""Motifs of transcription factors from JASPAR 2018."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from genoglot.sequence.alphabet import Codes

Matrix = NDArray[np.float64]
Floats = NDArray[np.float32]

BACKGROUND = 0.25
"""Probability of each base outside of motifs."""

PSEUDOCOUNT = 0.01
"""Pseudocount of a position, as a fraction of its counts; it is divided among the four bases."""


@dataclass(frozen=True, eq=False)
class Motif:
    """A motif, as a matrix of counts.

    Attributes
    ----------
    id, name
        Such as MA0139.1, and CTCF.
    counts
        Number of times that each base was observed at each position, float64 (width, 4), in the
        order A C G T.

    Examples
    --------
    >>> motif = Motif("X", "x", np.array([[98.0, 0, 0, 0]]))
    >>> motif.log_odds.round(1).tolist()
    [[2.0, -6.7, -6.7, -6.7]]
    """

    id: str
    name: str
    counts: Matrix

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def probabilities(self) -> Matrix:
        """Probability of each base at each position, (width, 4), with `PSEUDOCOUNT`."""
        counts = self.counts + PSEUDOCOUNT * self.counts.sum(1, keepdims=True) / 4
        probabilities: Matrix = counts / counts.sum(1, keepdims=True)
        return probabilities

    @cached_property
    def log_odds(self) -> Matrix:
        """Log-odds of each base at each position against `BACKGROUND`, bits, (width, 4)."""
        log_odds: Matrix = np.log2(self.probabilities / BACKGROUND)
        return log_odds

    @cached_property
    def relative(self) -> Matrix:
        """Log-odds shifted and scaled so that the worst site scores 0 and the best one 1."""
        shifted = self.log_odds - self.log_odds.min(axis=1, keepdims=True)
        scaled: Matrix = shifted / shifted.max(axis=1).sum()
        return scaled

    def relative_scores(self, sites: Codes) -> Floats:
        """Score sites: 0 for the worst site that is possible, 1 for the best one.

        Parameters
        ----------
        sites
            uint8 (n, width), codes A C G T = 0 1 2 3, on the strand of the motif.

        Returns
        -------
        Floats
            float32 (n,).
        """
        bases = sites[:, :, None].astype(np.intp)
        total = np.take_along_axis(self.log_odds[None], bases, 2).sum((1, 2))
        worst, best = self.log_odds.min(1).sum(), self.log_odds.max(1).sum()
        scores: Floats = ((total - worst) / (best - worst)).astype(np.float32)
        return scores

    def core(self, width: int) -> Matrix:
        """Log-odds of the `width` neighboring positions with most information, or of all."""
        if len(self) <= width:
            return self.log_odds
        information = (self.probabilities * self.log_odds).sum(1)
        windows = np.lib.stride_tricks.sliding_window_view(information, width)
        first = int(windows.sum(1).argmax())
        return self.log_odds[first : first + width]


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
    return tuple(sorted(motifs, key=lambda motif: motif.id))
