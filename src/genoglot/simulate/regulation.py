"""The rules of the simulated world: what is open, bound and marked in which biosample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import GenoglotError
from genoglot.simulate.elements import CTCF, ENHANCER, PROMOTER
from genoglot.simulate.factors import strength

ACCESSIBILITY = ("DNase-seq", "ATAC-seq")
HISTONE_MARKS = ("H3K27ac", "H3K4me1", "H3K4me3", "H3K27me3")
FACTOR_ASSAY, HISTONE_ASSAY = "TF ChIP-seq", "Histone ChIP-seq"

COBINDING = 0.02
"""Chance that a factor is found at a very open enhancer or promoter without a site of its own."""


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return (1 / (1 + np.exp(-x))).astype(np.float32)


@dataclass(frozen=True)
class Regulation:
    """Turns elements, sites and expression into probabilities.

    Parameters
    ----------
    kind, baseline, gain, activity, polycomb
        Per element, as in `elements.Elements`.
    site_element, site_factor, site_score
        Per planted site, sorted by element, as in `elements.Sites`.
    expression
        float32 (biosamples, factors), 0 to 1.
    affinity
        float32 (factors, factors), as in `factors.family_affinity`.
    factors, biosamples
        Names of the rows and columns of `expression`.
    """

    kind: NDArray[np.uint8]
    baseline: NDArray[np.float32]
    gain: NDArray[np.float32]
    activity: NDArray[np.float32]
    polycomb: NDArray[np.float32]
    site_element: NDArray[np.int32]
    site_factor: NDArray[np.int16]
    site_score: NDArray[np.float32]
    expression: NDArray[np.float32]
    affinity: NDArray[np.float32]
    factors: tuple[str, ...]
    biosamples: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.kind)

    def row_of(self, biosample: str) -> int:
        """Index of a biosample.

        Raises
        ------
        GenoglotError
            If the world has no such biosample.
        """
        if biosample not in self.biosamples:
            raise GenoglotError(f"the simulated world has no biosample {biosample!r}")
        return self.biosamples.index(biosample)

    def drive(self, biosample: str) -> NDArray[np.float32]:
        """How well an element's sites are occupied together.

        The harmonic mean, over the element's sites, of the site's strength times the level of
        the best factor of its family: near 0 as soon as one of the factors is missing. This
        cooperation is what a sum over words or factors cannot express.

        Returns
        -------
        float32 (elements,), 0 to 1; 0 without sites
        """
        levels = (self.affinity * self.expression[self.row_of(biosample)]).max(1)
        occupied = np.maximum(levels[self.site_factor] * strength(self.site_score), 0.02)
        count = np.bincount(self.site_element, minlength=len(self))
        inverse = np.bincount(self.site_element, 1 / occupied, minlength=len(self))
        return (count / np.maximum(inverse, 1)).astype(np.float32)

    def log_odds_open(self, biosample: str) -> NDArray[np.float32]:
        """Log-odds of each element being open in the biosample.

        Returns
        -------
        float32 (elements,)
        """
        return self.baseline + self.gain * self.drive(biosample)

    def openness(self, biosample: str) -> NDArray[np.float32]:
        """Probability of each element being open in the biosample.

        Returns
        -------
        float32 (elements,)
        """
        return _sigmoid(self.log_odds_open(biosample))

    def bound(self, factor: str) -> NDArray[np.float32]:
        """Strength of the best site that the factor can use in each element, 0 without one.

        Returns
        -------
        float32 (elements,), 0 to 1
        """
        affinity = self.affinity[self.factors.index(factor)]
        best = np.zeros(len(self), np.float32)
        for other in np.flatnonzero(affinity):
            mine = np.flatnonzero(self.site_factor == other)
            at = self.site_element[mine]  # an element has at most one site of a factor
            best[at] = np.maximum(best[at], affinity[other] * strength(self.site_score[mine]))
        return best

    def presence(
        self,
        assay: str,
        target: str,
        biosample: str,
        log_odds_open: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Probability of each element being positive in a perfect experiment.

        Parameters
        ----------
        assay, target, biosample
            As in the sheet; the target of an accessibility assay is empty.
        log_odds_open
            `log_odds_open(biosample)`, if it is at hand.

        Returns
        -------
        float32 (elements,)

        Raises
        ------
        GenoglotError
            If the assay, target or biosample is not of this world.
        """
        logit = self.log_odds_open(biosample) if log_odds_open is None else log_odds_open
        opened = _sigmoid(logit)
        if assay in ACCESSIBILITY and not target:
            # Transposase needs a little more room than DNase.
            return 0.98 * opened if assay == "DNase-seq" else 0.96 * _sigmoid(logit - 0.4)
        if assay == HISTONE_ASSAY and target in HISTONE_MARKS:
            return self._marked(target, opened, logit)
        if assay == FACTOR_ASSAY and target in self.factors:
            level = self.expression[self.row_of(biosample), self.factors.index(target)]
            saturation = np.float32(1.1 * level / (level + 0.1))
            hot = np.where(opened > 0.95, np.float32(COBINDING), np.float32(0))
            bound: NDArray[np.float32] = np.maximum(self.bound(target), hot)
            return opened * saturation * bound
        raise GenoglotError(f"the simulated world has no assay {assay!r} of target {target!r}")

    def _marked(
        self, mark: str, opened: NDArray[np.float32], logit: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        promoter, enhancer, ctcf = (self.kind == kind for kind in (PROMOTER, ENHANCER, CTCF))
        if mark == "H3K27ac":
            return opened * self.activity * np.where(ctcf, np.float32(0.1), np.float32(1))
        if mark == "H3K4me3":
            return opened * np.select([promoter, enhancer], [0.95, 0.03], 0.01).astype(np.float32)
        if mark == "H3K4me1":  # primed enhancers carry it before they open
            at_enhancer = 0.92 * _sigmoid(logit + 2)
            elsewhere = opened * np.where(promoter, np.float32(0.15), np.float32(0.1))
            return np.where(enhancer, at_enhancer, elsewhere)
        return self.polycomb * (1 - opened)
