"""Positions in a genome: which of a file's regions lie in it, and examples made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.regions import Regions
from genoglot.regions.chromosomes import check_names, unknown_chromosome
from genoglot.sequence import Genome
from genoglot.tasks.splits import TaskSplit
from genoglot.tasks.writer import Batch

OUTSIDE = "lie outside the genome's sequences: left out"
"""What the log says of regions that are not in the genome: see `Notes.count`."""

_BATCH = 1 << 22  # bases in a batch


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


def find_inside(regions: Regions, genome: Genome, path: Path) -> Inside:
    """Find which regions lie in the genome, which may be windows of one.

    Parameters
    ----------
    regions
        The regions of a file.
    genome
        The genome.
    path
        The file, as errors name it.

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
    number = {name: i for i, name in enumerate(genome.names)}
    check_names(
        regions.chrom_names, number.keys(), ours=str(path), theirs="the genome", renamed="theirs"
    )
    if len(regions) and not any(name in number for name in regions.chrom_names):
        missing = unknown_chromosome(regions.chrom_names[0], genome.names)
        raise TaskError(f"{path}: {missing}; give the genome that the file is of")
    chrom = np.array([number.get(name, -1) for name in regions.chrom_names], np.int64)
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


def window_batches(
    genome: Genome,
    regions: Regions,
    length: int,
    *,
    ids: Sequence[str] | pl.Series,
    labels: NDArray[Any],
    splits: Mapping[str, TaskSplit],
    groups: Sequence[str] | pl.Series | None = None,
    packed: bool = False,
) -> Iterator[Batch]:
    """Make examples of the windows of a genome around the centers of regions.

    Parameters
    ----------
    genome
        The genome.
    regions
        n regions, on the plus strand if they have no column strand.
    length
        Length of the windows in bp.
    ids
        Name of each example.
    labels, packed
        See `Batch`.
    splits
        The splits by name.
    groups
        Group of each example; by default its chromosome.
    """
    size = max(_BATCH // length, 1)
    for i in range(0, len(regions), size):
        rows = slice(i, i + size)
        some = regions[rows]
        chrom = some.chrom.astype(str)
        columns = {
            "id": ids[rows],
            "chrom": chrom,
            "start": some.start,
            "end": some.end,
            "strand": some.columns["strand"] if "strand" in some.columns.columns else "+",
            "group": chrom if groups is None else groups[rows],
        }
        for name, (_, subsets) in splits.items():
            columns[f"split:{name}"] = (
                pl.Series(chrom).replace_strict(subsets)
                if isinstance(subsets, Mapping)
                else subsets[rows].astype(str)
            )
        yield Batch(genome.fetch(some, length), labels[rows], pl.DataFrame(columns), packed=packed)
