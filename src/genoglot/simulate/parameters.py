"""Sizes of the simulated world, and all parameters that depend on the size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

WorldSize = Literal["small", "medium", "large"]


@dataclass(frozen=True)
class Parameters:
    """Parameters of a simulated world.

    Attributes
    ----------
    chromosomes
        Number of chromosomes, chr1 to chrN, each a little shorter than the one before.
    elements
        Number of regions in the universe, over all kinds of elements.
    mean_gap
        Mean distance between neighboring elements, bp.
    factors
        Number of transcription factors: the first ones of `genoglot.simulate.factors.FACTORS`.
    biosamples
        Number of biosamples: the first ones of `genoglot.simulate.biosamples.biosamples`.
    files
        Number of BED files, replicates included.
    shares
        Fraction of the elements of each kind: promoter, enhancer, ctcf and inactive.
    lengths
        Minimum and maximum length of an element, bp. (A promoter always has 300 bp.)
    """

    chromosomes: int
    elements: int
    mean_gap: int
    factors: int
    biosamples: int
    files: int
    shares: dict[str, float] = field(
        default_factory=lambda: {"promoter": 0.10, "enhancer": 0.62, "ctcf": 0.05, "inactive": 0.23}
    )
    lengths: tuple[int, int] = (180, 400)


SIZES: dict[WorldSize, Parameters] = {
    "small": Parameters(3, 5_000, 650, factors=24, biosamples=15, files=140),
    "medium": Parameters(6, 30_000, 700, factors=60, biosamples=40, files=960),
    "large": Parameters(
        22,
        1_063_878,  # the number of ENCODE candidate elements on GRCh38
        480,
        factors=100,
        biosamples=400,
        files=20_000,
        shares={"promoter": 0.02, "enhancer": 0.34, "ctcf": 0.02, "inactive": 0.62},
        lengths=(170, 270),
    ),
}
