"""Examples made of regions of a genome."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl
from numpy.typing import NDArray

from genoglot.regions import Regions
from genoglot.sequence import Genome
from genoglot.sequence.inside import Inside, find_inside
from genoglot.tasks.splits import TaskSplit
from genoglot.tasks.writer import Batch

__all__ = ["OUTSIDE", "Inside", "find_inside", "window_batches"]

OUTSIDE = "lie outside the genome's sequences: left out"
"""What the log says of regions that are not in the genome: see `Notes.count`."""

_BATCH = 1 << 22  # bases in a batch


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
