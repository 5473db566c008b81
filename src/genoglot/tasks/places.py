"""Places in a genome: whether it holds them, whether the names fit, and what is kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.regions import Regions
from genoglot.regions.chromosomes import check_names
from genoglot.sequence import Genome


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


def check_chromosomes(regions: Regions, genome: Genome, path: Path) -> NDArray[np.bool_]:
    """Tell which regions lie wholly in the genome, which may be windows of one.

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
    bool (n,)

    Raises
    ------
    ChromosomeNameError
        If the file spells the genome's chromosomes another way.
    TaskError
        If there are regions and none is on a chromosome of the genome.
    """
    extents = genome.extents
    place = {name: i for i, name in enumerate(genome.names)}
    check_names(
        regions.chrom_names, place.keys(), ours=str(path), theirs="the genome", renamed="theirs"
    )
    if len(regions) and not any(name in place for name in regions.chrom_names):
        raise TaskError(
            f"{path}: chromosomes {', '.join(regions.chrom_names[:3])} are not in the genome "
            f"({', '.join(genome.names[:3])}); give the genome that the file is of"
        )
    chrom = np.array([place.get(name, -1) for name in regions.chrom_names], np.int64)
    record = chrom[regions.chrom_codes]
    inside = (regions.start >= extents.start[record]) & (regions.end <= extents.end[record])
    return inside & (record >= 0)
