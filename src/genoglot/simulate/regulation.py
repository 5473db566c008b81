"""The rules of the simulated world: what is open, bound and marked in which biosample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import GenoglotError
from genoglot.simulate.elements import CTCF, ENHANCER, PROMOTER

Floats = NDArray[np.float32]

ACCESSIBILITY = ("DNase-seq", "ATAC-seq")
HISTONE_MARKS = ("H3K27ac", "H3K4me1", "H3K4me3", "H3K27me3")
FACTOR_ASSAY, HISTONE_ASSAY = "TF ChIP-seq", "Histone ChIP-seq"

COBINDING = 0.02
"""Probability that a factor is found at a very open element without a site of its own."""

MINIMUM_OCCUPANCY = 0.02
"""Occupancy of a motif site whose factor is not expressed."""


def sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    """Return the probability for log-odds, in the precision of `x`.

    This is not `scipy.special.expit`, whose last digit differs: worlds must remain the same.
    """
    return np.asarray(1 / (1 + np.exp(-x)))


def binding_strength(score: Floats) -> Floats:
    """Return the binding strength of motif sites, 0 to 1, from their relative motif scores.

    The curve is logistic with its middle at 0.85: one changed base can halve the strength of a
    site, which is why variants have an effect.

    Examples
    --------
    >>> binding_strength(np.array([0.5, 0.85, 1.0], dtype=np.float32)).round(2)
    array([0.  , 0.5 , 0.98], dtype=float32)
    """
    return sigmoid((score - 0.85) / 0.04)


@dataclass(frozen=True)
class Regulation:
    """The rules that turn elements, motif sites and expression into probabilities.

    Attributes
    ----------
    kind, baseline, gain, activity, polycomb
        Properties of each element, as in `genoglot.simulate.elements.Elements`.
    site_element, site_factor, site_score
        Properties of each motif site, sorted by element, as in
        `genoglot.simulate.elements.MotifSites`.
    expression
        Expression of each factor in each biosample, float32 (biosamples, factors), 0 to 1.
    affinity
        float32 (factors, factors): see `genoglot.simulate.factors.family_affinity`.
    factors, biosamples
        Names of the columns and of the rows of `expression`.
    """

    kind: NDArray[np.uint8]
    baseline: Floats
    gain: Floats
    activity: Floats
    polycomb: Floats
    site_element: NDArray[np.int32]
    site_factor: NDArray[np.int16]
    site_score: Floats
    expression: Floats
    affinity: Floats
    factors: tuple[str, ...]
    biosamples: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of elements."""
        return len(self.kind)

    def levels(self, biosample: str) -> Floats:
        """Return the expression of each factor in a biosample, 0 to 1, float32 (factors,).

        Raises
        ------
        GenoglotError
            If the world has no such biosample.
        """
        if biosample not in self.biosamples:
            raise GenoglotError(f"the simulated world has no biosample {biosample!r}")
        return np.asarray(self.expression[self.biosamples.index(biosample)])

    def log_odds_open(self, biosample: str) -> Floats:
        """Return the log-odds of each element being open in a biosample.

        They are the element's baseline plus its gain times the harmonic mean of the occupancy of
        its motif sites, which is near 0 as soon as one factor is missing. A sum over words or
        factors cannot express this cooperation.

        Returns
        -------
        numpy.ndarray
            float32 (elements,).
        """
        count, inverse, _ = self._occupancy(biosample)
        drive: Floats = (count / np.maximum(inverse, 1)).astype(np.float32)
        return self.baseline + self.gain * drive

    def log_odds_after(self, site: NDArray[np.int64], score: Floats, biosample: str) -> Floats:
        """Return the log-odds of an element being open if one of its motif sites is changed.

        Parameters
        ----------
        site
            Indices of motif sites, (changes,); each is changed alone.
        score
            Relative motif score of each site after the change, (changes,).
        biosample
            Name of the biosample.

        Returns
        -------
        numpy.ndarray
            float32 (changes,), of the element of each site.
        """
        count, inverse, level = self._occupancy(biosample)
        element = self.site_element[site]
        before = _occupied(level[site], self.site_score[site])
        changed = inverse[element] - 1 / before + 1 / _occupied(level[site], score)
        drive = (count[element] / np.maximum(changed, 1)).astype(np.float32)
        return np.asarray(self.baseline[element] + self.gain[element] * drive)

    def _occupancy(self, biosample: str) -> tuple[NDArray[Any], NDArray[Any], Floats]:
        """Return number and sum of the inverse occupancies of each element's motif sites.

        The third array is the level of the best factor of the family for each motif site.
        """
        level = (self.affinity * self.levels(biosample)).max(1)[self.site_factor]
        occupied = _occupied(level, self.site_score)
        count = np.bincount(self.site_element, minlength=len(self))
        return count, np.bincount(self.site_element, 1 / occupied, minlength=len(self)), level

    def openness(self, biosample: str) -> Floats:
        """Return the probability of each element being open in a biosample, float32 (elements,)."""
        return sigmoid(self.log_odds_open(biosample))

    def bound(self, factor: str) -> Floats:
        """Return the strength of the best motif site that a factor can use in each element.

        Returns
        -------
        numpy.ndarray
            float32 (elements,), 0 to 1; 0 without a site.
        """
        affinity = self.affinity[self.factors.index(factor)]
        best = np.zeros(len(self), np.float32)
        for other in np.flatnonzero(affinity):
            mine = np.flatnonzero(self.site_factor == other)
            at = self.site_element[mine]  # an element has at most one site of a factor
            strength = affinity[other] * binding_strength(self.site_score[mine])
            best[at] = np.maximum(best[at], strength)
        return best

    def presence(
        self, assay: str, target: str, biosample: str, log_odds_open: Floats | None = None
    ) -> Floats:
        """Return the probability of each element being positive in a perfect experiment.

        Parameters
        ----------
        assay, target, biosample
            As in the sample sheet; the target of an accessibility assay is empty.
        log_odds_open
            Result of `log_odds_open(biosample)`, if it is known already.

        Returns
        -------
        numpy.ndarray
            float32 (elements,).

        Raises
        ------
        GenoglotError
            If the world has no such assay, target or biosample.
        """
        logit = self.log_odds_open(biosample) if log_odds_open is None else log_odds_open
        opened: Floats = sigmoid(logit)
        if assay in ACCESSIBILITY and not target:
            # Transposase needs a little more space than DNase.
            if assay == "ATAC-seq":
                opened = sigmoid(logit - 0.4)
            return np.float32(0.98 if assay == "DNase-seq" else 0.96) * opened
        if assay == HISTONE_ASSAY and target in HISTONE_MARKS:
            return self._marked(target, opened, logit)
        if assay == FACTOR_ASSAY and target in self.factors:
            level = self.levels(biosample)[self.factors.index(target)]
            saturation = np.float32(1.1 * level / (level + 0.1))
            very_open = np.where(opened > 0.95, np.float32(COBINDING), np.float32(0))
            bound: Floats = np.maximum(self.bound(target), very_open)
            return opened * saturation * bound
        raise GenoglotError(f"the simulated world has no assay {assay!r} of target {target!r}")

    def _marked(self, mark: str, opened: Floats, logit: Floats) -> Floats:
        promoter, enhancer, ctcf = (self.kind == kind for kind in (PROMOTER, ENHANCER, CTCF))
        if mark == "H3K27ac":
            return opened * self.activity * np.where(ctcf, np.float32(0.1), np.float32(1))
        if mark == "H3K4me3":
            return opened * np.select([promoter, enhancer], [0.95, 0.03], 0.01).astype(np.float32)
        if mark == "H3K4me1":  # primed enhancers have it before they open
            at_enhancer = 0.92 * sigmoid(logit + 2)
            elsewhere = opened * np.where(promoter, np.float32(0.15), np.float32(0.1))
            return np.where(enhancer, at_enhancer, elsewhere)
        return self.polycomb * (1 - opened)


def _occupied(level: Floats, score: Floats) -> Floats:
    """Return the occupancy of motif sites, from the level of their factor and their score."""
    return np.asarray(np.maximum(level * binding_strength(score), MINIMUM_OCCUPANCY))
