"""Adjacent windows over a whole genome, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from genoglot.errors import SequenceError
from genoglot.regions import Regions
from genoglot.sequence.alphabet import N
from genoglot.sequence.genome import Genome


def tile(
    genome: Genome, width: int, *, max_unknown: float = 0.5, batch: int = 1024
) -> Iterator[Regions]:
    r"""Cut a genome into adjacent windows.

    The last bases of a chromosome are left out if they are fewer than a window.

    Parameters
    ----------
    genome
        The genome.
    width
        Length of the windows in bp.
    max_unknown
        Maximum proportion of N in a window; other windows are left out.
    batch
        Maximum number of windows in a batch.

    Yields
    ------
    Regions
        Batches that are not empty, each on one chromosome, in the order of the genome.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.fa"
    >>> _ = path.write_text(">1\nNNNNACGTNACGTAC\n")
    >>> list(tile(Genome.open(path), 4))
    [Regions(2 regions on 1 chromosomes: 1:4-8, 1:8-12)]
    """
    if width < 1 or batch < 1:
        raise SequenceError(f"width is {width} and batch {batch}; both must be positive")
    extents = genome.extents
    for name, first, end in zip(genome.names, extents.start, extents.end, strict=True):
        starts = np.arange(first, end - width + 1, width, dtype=np.int64)
        for i in range(0, len(starts), batch):
            start = starts[i : i + batch]
            windows = Regions.from_codes(
                [name], np.zeros(len(start), np.int32), start, start + width
            )
            known = (genome.fetch(windows) == N).mean(axis=1) <= max_unknown
            if known.any():
                yield windows if known.all() else windows[known]
