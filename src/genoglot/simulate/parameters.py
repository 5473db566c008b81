"""Every number of the simulated world that a size changes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

from genoglot.errors import GenoglotError

Size = Literal["small", "medium", "large"]


@dataclass(frozen=True)
class Parameters:
    """What a world is made of.

    Parameters
    ----------
    chromosomes
        Number of chromosomes, chr1 .. chrN, each a little shorter than the one before.
    elements
        Regions of the universe, over all kinds.
    shares
        Fraction of the elements of each kind: promoter, enhancer, ctcf, inactive.
    lengths
        Shortest and longest element, bp (a promoter is always 300 bp).
    mean_gap
        Mean distance between neighboring elements, bp.
    factors
        Transcription factors, the first so many of `factors.FACTORS`.
    biosamples
        Biosamples, the first so many of `biosamples.biosamples`.
    files
        BED files, replicates counted.
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

    def as_dict(self) -> dict[str, object]:
        """All values, as JSON takes them."""
        return asdict(self)


SIZES: dict[Size, Parameters] = {
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


def parameters_of(size: Size) -> Parameters:
    """Parameters of a size by its name.

    Raises
    ------
    GenoglotError
        If there is no such size.

    Examples
    --------
    >>> parameters_of("large").elements
    1063878
    """
    if size not in SIZES:
        raise GenoglotError(f"no world of size {size!r}; choose one of {', '.join(SIZES)}")
    return SIZES[size]
