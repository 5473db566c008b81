"""Simulated experiments: their design, and the BED files of their peaks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.simulate.biosamples import Biosample
from genoglot.simulate.descriptions import describe
from genoglot.simulate.elements import Elements
from genoglot.simulate.factors import Factor
from genoglot.simulate.parameters import Parameters
from genoglot.simulate.peaks import (
    LOWEST_ENRICHMENT,
    REPLICATE_SPREAD,
    SLOPE,
    SPURIOUS_ENRICHMENT,
    call_peaks,
)
from genoglot.simulate.regulation import (
    ACCESSIBILITY,
    FACTOR_ASSAY,
    HISTONE_ASSAY,
    HISTONE_MARKS,
    Regulation,
)
from genoglot.simulate.tsv import write_gzip

DROPOUT = {"DNase-seq": 0.10, "ATAC-seq": 0.14, "TF ChIP-seq": 0.12, "Histone ChIP-seq": 0.16}
"""Mean probability, over the files of an assay, that an element of median strength is missed."""
SPURIOUS = 0.03
"""Mean number of peaks on universe regions that are not positive, per true peak."""
OFF_UNIVERSE = 0.06
"""Mean number of peaks that overlap no universe region, per true peak."""
_MINIMUM_LEVEL = 0.3  # a factor is assayed only where its expression is at least this
_WIDENING = {"DNase-seq": -20, "ATAC-seq": 0, "TF ChIP-seq": -30, "Histone ChIP-seq": 60}


def detection_probability(presence: NDArray[np.float32], dropout: float) -> NDArray[np.float32]:
    """Return the probability that a file has a peak on a positive element.

    Parameters
    ----------
    presence
        Probability that the element is positive, which makes its signal strong, float32.
    dropout
        Probability that an element of presence 0.5 is missed.
    """
    return 1 - np.float32(dropout) * (np.float32(1.5) - presence)


def design(
    parameters: Parameters,
    samples: Sequence[Biosample],
    factors: Sequence[Factor],
    regulation: Regulation,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Draw the experiments, their replicates, their noise and their descriptions.

    Only some combinations of assay, target and biosample are measured. Some of the others have an
    assay, a target and a biosample that are all measured elsewhere. A factor is only assayed where
    it is expressed.

    Parameters
    ----------
    parameters
        Parameters of the world, for the number of files.
    samples, factors
        Biosamples and factors of the world.
    regulation
        The rules of the world, for the expression of the factors.
    rng
        Source of the draws.

    Returns
    -------
    polars.DataFrame
        One row per file: experiment, assay, target, biosample, replicate, description, dropout,
        spurious, off_universe and jitter (bp).
    """
    plain = [(assay, "") for assay in ACCESSIBILITY] + [(HISTONE_ASSAY, m) for m in HISTONE_MARKS]
    possible = [
        (row, assay, target)
        for row in range(len(samples))
        for assay, target in [*plain, *((FACTOR_ASSAY, factor.name) for factor in factors)]
        if assay != FACTOR_ASSAY
        or regulation.expression[row, regulation.factors.index(target)] >= _MINIMUM_LEVEL
    ]
    by_name = {factor.name: factor for factor in factors}
    rows: list[dict[str, object]] = []
    for number, choice in enumerate(rng.permutation(len(possible)), start=1):
        row, assay, target = possible[int(choice)]
        wanted = int(rng.choice([1, 2, 3], p=[0.15, 0.75, 0.10]))
        replicates = min(wanted, parameters.files - len(rows))
        wording = describe(assay, target, samples[row], by_name, rng)
        for replicate in range(1, replicates + 1):
            if rng.random() < 0.4:  # replicates can have different descriptions
                wording = describe(assay, target, samples[row], by_name, rng)
            rows.append(
                {
                    "experiment": f"SIMEX{number:06d}",
                    "assay": assay,
                    "target": target,
                    "biosample": samples[row].name,
                    "replicate": replicate,
                    "description": wording,
                    "dropout": _around(DROPOUT[assay], rng),
                    "spurious": _around(SPURIOUS, rng),
                    "off_universe": _around(OFF_UNIVERSE, rng),
                    "jitter": float(rng.uniform(8, 25)),
                }
            )
        if len(rows) == parameters.files:
            break
    return pl.DataFrame(rows)


def _around(mean: float, rng: np.random.Generator) -> float:
    """Draw a fraction that varies between files, with this mean."""
    return float(rng.beta(8 * mean, 8 * (1 - mean)))


class PeakWriter:
    """Writer of the BED files of all experiments.

    Parameters
    ----------
    elements
        The elements, which are the regions of the universe.
    """

    def __init__(self, elements: Elements) -> None:
        before, after = elements.free_space()
        self._elements = elements
        # A peak whose borders vary remains closer to its own element than to any other.
        self._low = elements.start - before // 2
        self._high = elements.end + after // 2
        self._gaps = np.flatnonzero(after > 150)
        self._gap_end = elements.end[self._gaps] + after[self._gaps]

    def write(
        self,
        path: Path,
        present: NDArray[np.int64],
        presence: NDArray[np.float32],
        effect: NDArray[np.float32],
        experiment: dict[str, Any],
        rng: np.random.Generator,
    ) -> None:
        """Write one replicate as a gzipped narrowPeak file.

        Parameters
        ----------
        path
            The file.
        present
            Sorted indices of the elements that are positive in all replicates.
        presence
            Probability that each of them had of being positive, float32 (present,).
        effect
            Log-normal factor on the enrichment of each, the same in all replicates, float32
            (present,).
        experiment
            Row of `design`.
        rng
            Source of the noise of this replicate.
        """
        n = len(self._elements)
        found = rng.random(len(present)) < detection_probability(presence, experiment["dropout"])
        noise = int(rng.poisson(experiment["spurious"] * len(present)))
        spurious = np.unique(rng.integers(0, n, noise))
        spurious = spurious[~np.isin(spurious, present)]
        on = self._peaks_on(np.r_[present[found], spurious], experiment, rng)
        off = self._peaks_off(rng.poisson(experiment["off_universe"] * len(present)), rng)
        table = {name: np.r_[on[name], off[name]] for name in on}
        true = LOWEST_ENRICHMENT * np.exp(SLOPE * presence[found]) * effect[found]
        enrichment = np.full(len(table["start"]), SPURIOUS_ENRICHMENT)
        enrichment[: len(true)] = true
        enrichment *= np.exp(rng.normal(0, REPLICATE_SPREAD, len(enrichment)))
        # A spawned generator leaves the draws of the next replicate unchanged.
        called = call_peaks(enrichment, n, rng.spawn(1)[0])
        order = np.lexsort((table["start"], table["chrom"]))
        frame = pl.DataFrame(
            {
                "chrom": self._elements.chromosome_names(table["chrom"][order]),
                "start": table["start"][order],
                "end": table["end"][order],
                "name": pl.repeat(".", len(order), eager=True),
                "score": called.score[order],
                "strand": pl.repeat(".", len(order), eager=True),
                "signal": called.signal[order].round(5),
                "p": called.p[order].round(5),
                "q": called.q[order].round(5),
                "summit": table["summit"][order],
            }
        )
        write_gzip(path, frame, header=False)

    def _peaks_on(
        self, ids: NDArray[np.int64], experiment: dict[str, Any], rng: np.random.Generator
    ) -> dict[str, NDArray[np.int64]]:
        """Draw peaks on elements whose borders differ from those of the elements."""
        low, high = self._elements.start[ids], self._elements.end[ids]
        widening = _WIDENING[experiment["assay"]]
        shift = rng.normal(0, experiment["jitter"], (2, len(ids))).astype(np.int64)
        middle = (low + high) // 2
        start = np.clip(low - widening + shift[0], self._low[ids], middle - 20)
        end = np.clip(high + widening + shift[1], middle + 20, self._high[ids])
        summit = np.clip(middle + rng.normal(0, 8, len(ids)).astype(np.int64), start, end - 1)
        chrom = self._elements.chrom[ids].astype(np.int64)
        return {"chrom": chrom, "start": start, "end": end, "summit": summit - start}

    def _peaks_off(self, n: int, rng: np.random.Generator) -> dict[str, NDArray[np.int64]]:
        """Draw up to `n` peaks that overlap no element, in different gaps."""
        gap = np.unique(rng.integers(0, len(self._gaps), n))
        width = rng.integers(50, 100, len(gap))
        before = self._gaps[gap]
        slack = self._gap_end[gap] - self._elements.end[before] - width - 20
        start = self._elements.end[before] + 10 + (rng.random(len(gap)) * slack).astype(np.int64)
        chrom = self._elements.chrom[before].astype(np.int64)
        return {"chrom": chrom, "start": start, "end": start + width, "summit": width // 2}
