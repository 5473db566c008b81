"""Which regions lie in a genome, which may be windows of one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Self

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
        At least one base of the region is in the genome, bool (n,); or, of a region without bases,
        its position.
    """

    wholly: NDArray[np.bool_]
    partly: NDArray[np.bool_]

    @classmethod
    def of(cls, regions: Regions, genome: Genome) -> Self:
        """Compare regions with the genome, whatever their chromosomes."""
        first, end = sequence_ends(regions, genome)
        known = first < end
        empty = regions.start == regions.end  # such a one may be at an end
        return cls(
            wholly=known & (regions.start >= first) & (regions.end <= end),
            partly=known & (regions.start < end + empty) & (regions.end + empty > first),
        )


def sequence_ends(regions: Regions, genome: Genome) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the ends of the sequence that the genome has of each region's chromosome.

    Returns
    -------
    first, end
        0-based position of its first base, and its end, int64 (n,); both 0 if it has none.
    """
    number = {name: i for i, name in enumerate(genome.names)}
    record = np.array([number.get(name, -1) for name in regions.chrom_names], np.int64)
    extents = genome.extents
    first, end = (np.append(ends, 0)[record] for ends in (extents.start, extents.end))
    return first[regions.chrom_codes], end[regions.chrom_codes]


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
    check_names(
        regions.chrom_names, genome.names, ours=str(name), theirs="the genome", renamed="theirs"
    )
    if len(regions) and not any(chrom in genome for chrom in regions.chrom_names):
        missing = unknown_chromosome(regions.chrom_names[0], genome.names)
        raise GenoglotError(f"{name}: {missing}; give the genome that the file is of")
    begin, end = sequence_ends(regions, genome)
    known = begin < end
    beyond = known & (regions.start >= end)
    if beyond.sum() > 0.5 * known.sum() and not genome.extents.start.any():
        first = int(np.flatnonzero(beyond)[0])
        raise GenoglotError(
            f"{name}: {beyond.sum():,} of {known.sum():,} regions lie past the ends of the "
            f"genome's chromosomes (such as {regions[[first]].loci[0]}; "
            f"{regions.chrom[first]} has {end[first]:,} bp); give the assembly that the file is of"
        )
    return Inside.of(regions, genome)
