"""Which regions lie in a genome, which may be windows of one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import GenoglotError
from genoglot.regions import Regions
from genoglot.regions.chromosomes import check_names, unknown_chromosome
from genoglot.sequence.genome import Genome


class Inside(NamedTuple):
    """Which regions of a file lie in a genome.

    Attributes
    ----------
    wholly
        All bases of the region are in the genome, bool (n,).
    partly
        At least one base of the region is in the genome, bool (n,).
    """

    wholly: NDArray[np.bool_]
    partly: NDArray[np.bool_]


def find_inside(regions: Regions, genome: Genome, name: str | Path) -> Inside:
    """Find which regions lie in the genome, which may be windows of one.

    Parameters
    ----------
    regions
        n regions.
    genome
        The genome.
    name
        What errors call the regions, such as their file.

    Returns
    -------
    Inside
        Which regions lie in the genome wholly, and which at least partly.

    Raises
    ------
    ChromosomeNameError
        If the file spells the genome's chromosomes another way.
    GenoglotError
        If there are regions and none is on a chromosome of the genome; or if most of those on its
        chromosomes begin past their ends, and the genome holds whole chromosomes.
    """
    extents = genome.extents
    number = {name: i for i, name in enumerate(genome.names)}
    check_names(
        regions.chrom_names, number.keys(), ours=str(name), theirs="the genome", renamed="theirs"
    )
    if len(regions) and not any(chrom in number for chrom in regions.chrom_names):
        missing = unknown_chromosome(regions.chrom_names[0], genome.names)
        raise GenoglotError(f"{name}: {missing}; give the genome that the file is of")
    codes = np.array([number.get(chrom, -1) for chrom in regions.chrom_names], np.int64)
    record = codes[regions.chrom_codes]
    known = record >= 0
    low, high = extents.start[record], extents.end[record]
    beyond = known & (regions.start >= high)
    if beyond.sum() > 0.5 * known.sum() and not extents.start.any():
        first = int(np.flatnonzero(beyond)[0])
        raise GenoglotError(
            f"{name}: {beyond.sum():,} of {known.sum():,} regions lie past the ends of the "
            f"genome's chromosomes (such as {regions[[first]].loci[0]}; "
            f"{regions.chrom[first]} has {high[first]:,} bp); give the assembly that the file is of"
        )
    return Inside(
        wholly=known & (regions.start >= low) & (regions.end <= high),
        partly=known & (regions.start < high) & (regions.end > low),
    )
