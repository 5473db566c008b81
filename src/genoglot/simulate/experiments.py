"""Simulated experiments: which are done, what they find, and the BED files they leave."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.simulate.biosamples import Biosample
from genoglot.simulate.descriptions import describe
from genoglot.simulate.elements import Elements
from genoglot.simulate.factors import Factor
from genoglot.simulate.parameters import Parameters
from genoglot.simulate.peaks import (
    REPLICATE_SPREAD,
    SLOPE,
    SPURIOUS_ENRICHMENT,
    WEAKEST,
    Called,
    call,
)
from genoglot.simulate.regulation import (
    ACCESSIBILITY,
    FACTOR_ASSAY,
    HISTONE_ASSAY,
    HISTONE_MARKS,
    Regulation,
)

DROPOUT = {"DNase-seq": 0.10, "ATAC-seq": 0.14, "TF ChIP-seq": 0.12, "Histone ChIP-seq": 0.16}
"""Mean chance, over the files of an assay, that a site of middling strength is missed."""
SPURIOUS = 0.03
"""Mean share of peaks on universe regions that are not positive, per true peak."""
OFF_UNIVERSE = 0.06
"""Mean share of peaks that touch no universe region, per true peak."""
_MEASURED_LEVEL = 0.3  # a factor is assayed only where it is expressed so much
_WIDENING = {"DNase-seq": -20, "ATAC-seq": 0, "TF ChIP-seq": -30, "Histone ChIP-seq": 60}


def kept(presence: NDArray[np.float32], dropout: float) -> NDArray[np.float32]:
    """Chance that a present element is found in a file: strong sites are lost less often."""
    return 1 - np.float32(dropout) * (np.float32(1.5) - presence)


def design(
    parameters: Parameters,
    samples: Sequence[Biosample],
    factors: Sequence[Factor],
    regulation: Regulation,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Choose the experiments, their replicates, their noise and their descriptions.

    Only a part of all (assay, target, biosample) is measured, so that combinations remain whose
    parts are known and that nobody has seen. A factor is assayed where it is expressed.

    Returns
    -------
    One row per file: experiment, assay, target, biosample, replicate, description, dropout,
    spurious, off_universe, jitter (bp)
    """
    plain = [(assay, "") for assay in ACCESSIBILITY] + [(HISTONE_ASSAY, m) for m in HISTONE_MARKS]
    possible = [
        (row, assay, target)
        for row in range(len(samples))
        for assay, target in [*plain, *((FACTOR_ASSAY, factor.name) for factor in factors)]
        if assay != FACTOR_ASSAY
        or regulation.expression[row, regulation.factors.index(target)] >= _MEASURED_LEVEL
    ]
    by_name = {factor.name: factor for factor in factors}
    rows: list[dict[str, object]] = []
    for number, choice in enumerate(rng.permutation(len(possible)), start=1):
        row, assay, target = possible[int(choice)]
        wanted = int(rng.choice([1, 2, 3], p=[0.15, 0.75, 0.10]))
        replicates = min(wanted, parameters.files - len(rows))
        wording = describe(assay, target, samples[row], by_name, rng)
        for replicate in range(1, replicates + 1):
            if rng.random() < 0.4:  # replicates are not always described alike
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
    """Draw a share that varies from file to file around its mean."""
    return float(rng.beta(8 * mean, 8 * (1 - mean)))


class PeakWriter:
    """Writes the files of experiments on one universe.

    Parameters
    ----------
    elements
        The universe.
    """

    def __init__(self, elements: Elements) -> None:
        before, after = elements.room()
        self._elements = elements
        self._low = elements.start - before // 2  # a jittered peak stays nearer to its own
        self._high = elements.end + after // 2  # element than to any other
        self._gaps = np.flatnonzero(after > 150)
        self._gap_end = elements.end[self._gaps] + after[self._gaps]
        self._names = pl.Series(elements.chrom_names)

    def write(
        self,
        path: Path,
        present: NDArray[np.int64],
        presence: NDArray[np.float32],
        effect: NDArray[np.float32],
        experiment: dict[str, object],
        rng: np.random.Generator,
    ) -> None:
        """Write one replicate as gzipped narrowPeak.

        Parameters
        ----------
        path
            Where to.
        present
            Sorted ids of the elements that are positive in the experiment, all replicates.
        presence
            float32 (present,), the probability that each had of being so.
        effect
            float32 (present,), log-normal factor on its enrichment, shared by the replicates.
        experiment
            Row of `design`.
        rng
            The replicate's own source of noise.
        """
        n = len(self._elements)
        found = rng.random(len(present)) < kept(presence, float(str(experiment["dropout"])))
        noise = int(rng.poisson(float(str(experiment["spurious"])) * len(present)))
        spurious = np.unique(rng.integers(0, n, noise))
        spurious = spurious[~np.isin(spurious, present)]
        ids = np.r_[present[found], spurious]
        true = WEAKEST * np.exp(SLOPE * presence[found]) * effect[found]
        widening = _WIDENING[str(experiment["assay"])]
        jitter = float(str(experiment["jitter"]))
        shift = rng.normal(0, jitter, (2, len(ids)))
        middle = (self._elements.start[ids] + self._elements.end[ids]) // 2
        start = self._elements.start[ids] - widening + shift[0].astype(np.int64)
        end = self._elements.end[ids] + widening + shift[1].astype(np.int64)
        start = np.clip(start, self._low[ids], middle - 20)
        end = np.clip(end, middle + 20, self._high[ids])
        summit = np.clip(middle + rng.normal(0, 8, len(ids)).astype(np.int64), start, end - 1)

        outside = int(rng.poisson(float(str(experiment["off_universe"])) * len(present)))
        gap = np.unique(rng.integers(0, len(self._gaps), outside))
        wide = rng.integers(50, 100, len(gap))
        slack = self._gap_end[gap] - self._elements.end[self._gaps[gap]] - wide - 20
        out_start = self._elements.end[self._gaps[gap]] + 10
        out_start = out_start + (rng.random(len(gap)) * slack).astype(np.int64)
        table = {
            "code": np.r_[self._elements.chrom[ids], self._elements.chrom[self._gaps[gap]]],
            "start": np.r_[start, out_start],
            "end": np.r_[end, out_start + wide],
            "summit": np.r_[summit - start, wide // 2],
        }
        nothing = np.full(len(spurious) + len(gap), SPURIOUS_ENRICHMENT)
        enrichment = np.r_[true, nothing].astype(np.float64)
        enrichment *= np.exp(rng.normal(0, REPLICATE_SPREAD, len(enrichment)))
        # A child's draws leave the peaks of the next replicate as they are.
        called = call(enrichment, n, rng.spawn(1)[0])
        order = np.lexsort((table["start"], table["code"]))
        self._write(table, called, order, path)

    def _write(
        self,
        table: dict[str, NDArray[np.int64]],
        called: Called,
        order: NDArray[np.int64],
        path: Path,
    ) -> None:
        none = pl.repeat(".", len(order), eager=True)
        frame = pl.DataFrame(
            {
                "chrom": self._names.gather(table["code"][order].astype(np.uint32)),
                "start": table["start"][order],
                "end": table["end"][order],
                "name": none,
                "score": called.score[order],
                "strand": none,
                "signal": called.signal[order].round(5),
                "p": called.p[order].round(5),
                "q": called.q[order].round(5),
                "summit": table["summit"][order],
            }
        )
        text = io.BytesIO()
        frame.write_csv(text, include_header=False, separator="\t")
        path.write_bytes(gzip.compress(text.getvalue(), compresslevel=1, mtime=0))
