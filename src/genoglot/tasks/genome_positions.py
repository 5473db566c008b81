"""Places in a genome: whether it holds them, whether the names fit, and what is kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.regions import Regions
from genoglot.regions.chromosomes import check_names, unknown_chromosome
from genoglot.sequence import Genome

OUTSIDE = "lie outside the genome's sequences: left out"
"""What a builder says of such regions, by `genoglot.tasks.writer.note_count`."""


class Inside(NamedTuple):
    """Which regions of a file lie in a genome.

    Attributes
    ----------
    wholly
        All bases of the region are the genome's, bool (n,).
    partly
        At least one base of the region is the genome's, bool (n,).
    """

    wholly: NDArray[np.bool_]
    partly: NDArray[np.bool_]


def example_columns(places: Regions, ids: Sequence[str] | pl.Series) -> dict[str, Any]:
    """Columns of examples that are places, for `TaskWriter.add`; their group is the chromosome.

    Parameters
    ----------
    places
        n regions; they are on the plus strand if no column strand tells.
    ids
        Name of each.
    """
    chrom = places.chrom.astype(str)
    known = "strand" in places.columns.columns
    return {
        "id": ids,
        "chrom": chrom,
        "start": places.start,
        "end": places.end,
        "strand": places.columns["strand"] if known else ["+"] * len(places),
        "group": chrom,
    }


def find_inside(regions: Regions, genome: Genome, path: Path) -> Inside:
    """Find which regions lie in the genome, which may be windows of one.

    Parameters
    ----------
    regions
        Of a file.
    genome
        The genome.
    path
        The file, for the error.

    Returns
    -------
    Inside
        Which regions lie in the genome wholly, and which at least partly.

    Raises
    ------
    ChromosomeNameError
        If the file spells the genome's chromosomes another way.
    TaskError
        If there are regions and none is on a chromosome of the genome; or if most of those on its
        chromosomes begin past their ends, and the genome holds whole chromosomes.
    """
    extents = genome.extents
    place = {name: i for i, name in enumerate(genome.names)}
    check_names(
        regions.chrom_names, place.keys(), ours=str(path), theirs="the genome", renamed="theirs"
    )
    if len(regions) and not any(name in place for name in regions.chrom_names):
        missing = unknown_chromosome(regions.chrom_names[0], genome.names)
        raise TaskError(f"{path}: {missing}; give the genome that the file is of")
    chrom = np.array([place.get(name, -1) for name in regions.chrom_names], np.int64)
    record = chrom[regions.chrom_codes]
    known = record >= 0
    low, high = extents.start[record], extents.end[record]
    beyond = known & (regions.start >= high)
    if beyond.sum() > 0.5 * known.sum() and not extents.start.any():
        first = int(np.flatnonzero(beyond)[0])
        raise TaskError(
            f"{path}: {beyond.sum():,} of {known.sum():,} regions lie past the ends of the "
            f"genome's chromosomes (such as {regions[[first]].loci[0]}; "
            f"{regions.chrom[first]} has {high[first]:,} bp); give the assembly that the file is of"
        )
    return Inside(
        wholly=known & (regions.start >= low) & (regions.end <= high),
        partly=known & (regions.start < high) & (regions.end > low),
    )
