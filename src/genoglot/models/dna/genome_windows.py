"""Windows of a genome for pre-training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genoglot.regions import Regions
from genoglot.regions.intervals import expand_ranges
from genoglot.sequence import DnaTokenizer, Genome, reverse_complement
from genoglot.sequence.alphabet import Codes, N
from genoglot.training.examples import RowIndices

SHORTEST = 16  # bp; shorter records have too little context
_CHECKED = 1024  # number of windows that are checked at a time


class GenomeWindows:
    """Adjacent windows of a genome, fetched by index.

    Parameters
    ----------
    genome
        The genome.
    width
        Length of a window in bp. A shorter record is a window of its own, unless it is
        shorter than 16 bp.
    tokenizer
        Tokenizer of the model: windows without a single known token are left out. By default
        no window is left out for its tokens.
    """

    def __init__(self, genome: Genome, width: int, tokenizer: DnaTokenizer | None = None) -> None:
        self.genome, self.width = genome, width
        extents = genome.extents
        self._size = size = extents.end - extents.start
        whole, number = expand_ranges(np.zeros_like(size), size // width)
        short = np.flatnonzero((size < width) & (size >= SHORTEST))
        self._chrom = np.concatenate([whole, short])
        self._start = extents.start[self._chrom]
        self._start[: len(whole)] += number * width
        known = np.ones(len(self), np.bool_)  # not mostly N
        legible = known.copy()
        for i in range(0, len(self), _CHECKED):
            rows = np.arange(i, min(i + _CHECKED, len(self)))
            codes, lengths = self.fetch(rows, np.zeros(len(rows), np.bool_))
            counts = np.full(len(rows), width) if lengths is None else lengths
            known[rows] = (codes < N).sum(axis=1) >= counts / 2
            partly = np.flatnonzero((codes == N).any(axis=1))  # few; the others are not tokenized
            if tokenizer is not None and len(partly):
                legible[rows[partly]] = tokenizer.readable(codes[partly], counts[partly])
        self._left_out = {
            "windows that are mostly N": int((~known).sum()),
            f"records below {SHORTEST} bp": int((size < SHORTEST).sum()),
            "windows without a whole token": int((known & ~legible).sum()),
        }
        self._chrom, self._start = self._chrom[known & legible], self._start[known & legible]

    def left_out(self) -> str:
        """Describe what is left out, with counts; an empty string if nothing is."""
        return ", ".join(f"{number:,} {what}" for what, number in self._left_out.items() if number)

    def __len__(self) -> int:
        return len(self._start)

    def fetch(
        self, rows: RowIndices, reverse: NDArray[np.bool_]
    ) -> tuple[Codes, NDArray[np.int64] | None]:
        """Fetch some windows.

        Parameters
        ----------
        rows
            Indices of windows, int64 (n,).
        reverse
            Which of them to read on the reverse strand, bool (n,).

        Returns
        -------
        tuple
            DNA codes, uint8 (n, width), and the length of each window in bp, int64 (n,), or None if
            none is shorter than `width`.
        """
        number: dict[int, int] = {}  # a genome may have many records; a batch has few of them
        codes = [number.setdefault(chrom, len(number)) for chrom in self._chrom[rows].tolist()]
        start = self._start[rows]
        names = [self.genome.names[chrom] for chrom in number]
        regions = Regions.from_codes(names, np.array(codes, np.int32), start, start + self.width)
        forward = self.genome.fetch(regions)
        sizes = np.minimum(self._size[self._chrom[rows]], self.width)
        lengths = None if (sizes == self.width).all() else sizes
        complement = reverse_complement(forward, lengths)
        return np.where(reverse[:, None], complement, forward), lengths
