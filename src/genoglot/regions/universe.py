"""`Universe`: the fixed list of regions that is the vocabulary of region sets."""

from __future__ import annotations

import logging
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import BedFormatError, GenoglotError, UniverseError, UniverseMismatchError
from genoglot.files import ContentDigest, atomic_path, read_lines
from genoglot.permissions import explains_denial
from genoglot.regions.assembly import same_assembly
from genoglot.regions.bed import BedReader, line_of_region
from genoglot.regions.intervals import RowIndices, expand_ranges
from genoglot.regions.overlap_index import OverlapIndex
from genoglot.regions.regions import Regions
from genoglot.regions.repair import Repair, find_problem, repaired
from genoglot.regions.signal import SignalRanks, signal_column, signal_problem, signal_ranks

logger = logging.getLogger("genoglot")

Ids = NDArray[np.int32]


class Universe:
    """Sorted, non-overlapping regions with the ids 0 to n - 1, their rows.

    The regions of a chromosome are consecutive rows, sorted by start; the order of the chromosomes
    is free. Bookended regions are allowed. Ids are the rows of the file: regions are only
    renumbered if `repair` is given.

    Parameters
    ----------
    regions
        The regions; further columns are dropped.
    genome
        Name of the genome assembly, such as `"hg38"`; free text.
    repair
        `"sort"` sorts; `"drop"` sorts and drops exact duplicates and empty regions; `"merge"`
        sorts, drops empty regions and joins overlapping ones (bookended ones stay apart). By
        default nothing is changed.

    Raises
    ------
    UniverseError
        If regions, after the repair, are unsorted, overlapping, duplicate or empty
        (`start == end`).

    Examples
    --------
    >>> universe = Universe(Regions(["chr1", "chr1", "chr2"], [0, 50, 0], [10, 60, 10]))
    >>> universe.encode(Regions(["chr2", "chr1"], [5, 8], [6, 9]))
    array([0, 2], dtype=int32)
    >>> universe.decode([2])
    Regions(1 regions on 1 chromosomes: chr2:0-10)
    """

    regions: Regions
    genome: str

    def __init__(self, regions: Regions, *, genome: str = "", repair: Repair = None) -> None:
        regions = repaired(regions, repair)
        problem = find_problem(regions)
        if problem is not None:
            raise UniverseError(f"universe: {problem.text}")
        if regions.columns.width:
            regions = Regions.from_codes(
                regions.chrom_names, regions.chrom_codes, regions.start, regions.end
            )
        self.regions, self.genome = regions, genome
        self._index = OverlapIndex(regions)

    @classmethod
    def from_bed(cls, path: str | Path, *, genome: str = "", repair: Repair = None) -> Universe:
        """Read a universe from a BED file of three or more columns.

        Parameters
        ----------
        path
            The file; `-` is standard input.
        genome, repair
            As in `Universe`.

        Returns
        -------
        Universe
            The universe.

        Raises
        ------
        UniverseError
            If a line is malformed or the regions cannot be a universe, with the number of the
            first such line.
        """
        data = read_lines(path)  # once: it may be a pipe
        try:
            regions = Regions.from_codes(*BedReader(path, columns=3).read(data))
        except BedFormatError as error:
            raise UniverseError(f"{error.what} (fix the line: none can be skipped)") from None
        regions = repaired(regions, repair)
        problem = find_problem(regions)
        if problem is not None:
            known = len(regions) and not repair
            line = f":{line_of_region(path, problem.row, data)}" if known else ""
            raise UniverseError(f"{path}{line}: {problem.text}")
        return cls(regions, genome=genome)

    def __len__(self) -> int:
        return len(self.regions)

    def __repr__(self) -> str:
        return f"Universe({len(self)} regions, genome={self.genome!r}, digest={self.digest[:12]})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Universe) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Universe, genome=self.genome), (self.regions,)

    @cached_property
    def digest(self) -> str:
        """SHA-256, as hex, of the chromosome names, codes and coordinates in the order of the ids.

        The name of the genome is not part of it.
        """
        content = ContentDigest()
        regions = self.regions
        for part in (regions.chrom_names, regions.chrom_codes, regions.start, regions.end):
            content.add(part)
        return content.hexdigest()

    def encode(
        self,
        regions: Regions,
        *,
        min_bp: int = 1,
        min_fraction: float = 0.0,
        min_universe_fraction: float = 0.0,
    ) -> Ids:
        """Find the universe regions that a region set overlaps.

        Parameters
        ----------
        regions
            The region set, in any order.
        min_bp
            Minimum number of base pairs that a region of the set must share with a universe region.
        min_fraction
            Minimum fraction of the region of the set that must be shared, 0 to 1; `-f` of bedtools.
        min_universe_fraction
            Minimum fraction of the universe region that must be shared, 0 to 1; `-F` of bedtools.

        Returns
        -------
        NDArray
            Ids, sorted and unique, int32, shape (number of ids,).

        Raises
        ------
        ChromosomeNameError
            If the set and the universe spell a chromosome differently, such as `1` and `chr1`. A
            chromosome that the universe does not have in any spelling matches nothing.
        """
        if min_bp > 1 or min_fraction > 0 or min_universe_fraction > 0:
            _, ids = self.overlaps(
                regions,
                min_bp=min_bp,
                min_fraction=min_fraction,
                min_universe_fraction=min_universe_fraction,
            )
            return np.unique(ids)
        return self._index.hits(*self._index.keys(regions))

    def encode_signal_ranks(
        self,
        regions: Regions,
        *,
        min_bp: int = 1,
        min_fraction: float = 0.0,
        min_universe_fraction: float = 0.0,
        where: str | Path = "the region set",
    ) -> tuple[Ids, SignalRanks]:
        """Find the universe regions that a set overlaps, with the rank of the strongest overlap.

        The signal rank of a region is the rank of its signal (column `signalValue`, else `score`)
        among all regions of the set, overlapping or not, scaled to 1 (weakest) to 255 (strongest):
        ranks have no unit and can be compared between experiments. Equal signals have their mean
        rank; a missing signal ranks lowest. Without a signal, or with a constant one, every rank
        is 255. A notice reports missing values and a text that is not a number.

        Parameters
        ----------
        regions, min_bp, min_fraction, min_universe_fraction
            As in `encode`.
        where
            Name of the region set, for the notice.

        Returns
        -------
        ids
            Ids, sorted and unique, int32, shape (number of ids,).
        signal_ranks
            Signal rank of the strongest region that overlaps each id, uint8, same shape.

        Examples
        --------
        >>> universe = Universe(Regions(["chr1", "chr1"], [0, 50], [10, 60]))
        >>> peaks = Regions(["chr1"] * 3, [2, 6, 52], [4, 9, 70], {"score": [30, 800, 100]})
        >>> universe.encode_signal_ranks(peaks)
        (array([0, 1], dtype=int32), array([255, 128], dtype=uint8))
        """
        enough: dict[str, Any] = {
            "min_bp": min_bp,
            "min_fraction": min_fraction,
            "min_universe_fraction": min_universe_fraction,
        }
        if problem := signal_problem(regions.columns):
            logger.warning("%s: %s", where, problem)
        column = signal_column(regions.columns)
        if column is None:
            ids = self.encode(regions, **enough)
            return ids, np.full(len(ids), 255, np.uint8)
        signal = regions.columns[column].cast(pl.Float64).to_numpy()
        rows, ids = self.overlaps(regions, **enough)
        strongest = np.zeros(len(self), np.uint8)
        np.maximum.at(strongest, ids, signal_ranks(signal)[rows])
        # No signal rank is 0: an id that is still 0 is not overlapped.
        ids = np.flatnonzero(strongest > 0).astype(np.int32)
        return ids, strongest[ids]

    def overlaps(
        self,
        regions: Regions,
        *,
        min_bp: int = 1,
        min_fraction: float = 0.0,
        min_universe_fraction: float = 0.0,
    ) -> tuple[RowIndices, Ids]:
        """Find every overlap of a region set with the universe.

        Parameters
        ----------
        regions, min_bp, min_fraction, min_universe_fraction
            As in `encode`.

        Returns
        -------
        rows
            Row of the region set of each overlap, int64, shape (overlaps,), sorted.
        ids
            Id of the universe region, int32, same shape, sorted for each row.
        """
        start, end = self._index.keys(regions)
        lo, hi = self._index.ranges(start, end)
        rows, ids = expand_ranges(lo, hi)
        for fraction in (min_fraction, min_universe_fraction):
            if not 0 <= fraction <= 1:
                raise GenoglotError(f"the minimum fraction is {fraction}; give 0 to 1")
        if min_bp > 1 or min_fraction > 0 or min_universe_fraction > 0:
            shared = np.minimum(regions.end[rows], self.regions.end[ids])
            shared -= np.maximum(regions.start[rows], self.regions.start[ids])
            enough = shared >= min_bp
            # Divided, not multiplied: 3 of 30 bp are a fraction of 0.1, but 0.1 * 30 is above 3.
            enough &= shared / (regions.end - regions.start)[rows] >= min_fraction
            enough &= shared / (self.regions.end - self.regions.start)[ids] >= min_universe_fraction
            rows, ids = rows[enough], ids[enough]
        return rows, ids.astype(np.int32)

    def decode(self, ids: ArrayLike) -> Regions:
        """Look up universe regions by their ids.

        Parameters
        ----------
        ids
            Ids in any order, shape (n,).

        Returns
        -------
        Regions
            n regions, in the order of the ids.

        Raises
        ------
        UniverseError
            If an id is not in the universe.
        """
        rows = np.asarray(ids).astype(np.int64)
        outside = rows[(rows < 0) | (rows >= len(self))]
        if len(outside):
            raise UniverseError(
                f"id {outside[0]} is outside this universe of {len(self)} regions; "
                "decode ids with the universe that they were encoded with"
            )
        return self.regions[rows]

    def check_same(self, other: Universe | str, *, genome: str = "") -> None:
        """Refuse another universe, and the same regions of another assembly.

        Parameters
        ----------
        other
            A universe or its digest.
        genome
            Name of the assembly of the other universe, if it is given by its digest.

        Raises
        ------
        UniverseMismatchError
            If its digest or its assembly differs.
        """
        digest, genome = (other, genome) if isinstance(other, str) else (other.digest, other.genome)
        if digest != self.digest:
            raise UniverseMismatchError(
                f"made for the universe {digest[:12]}, but this one is {self.digest[:12]} "
                f"({len(self)} regions, genome {self.genome or 'unnamed'}); use the same universe"
            )
        if not same_assembly(self.genome, genome):
            raise UniverseMismatchError(
                f"the same regions, but declared to be of {genome!r} there and of {self.genome!r} "
                "here; make one of the two again with the right genome"
            )

    def save(self, path: str | Path) -> None:
        """Write the universe as a parquet file with the columns chrom, start and end."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        regions = self.regions
        chrom = pa.DictionaryArray.from_arrays(
            regions.chrom_codes, pa.array(regions.chrom_names, pa.string())
        )
        table = pa.table({"chrom": chrom, "start": regions.start, "end": regions.end})
        metadata = {"genoglot.genome": self.genome, "genoglot.digest": self.digest}
        with atomic_path(path) as temporary:
            pq.write_table(table.replace_schema_metadata(metadata), temporary)

    @classmethod
    @explains_denial
    def load(cls, path: str | Path) -> Universe:
        """Read a universe that `save` wrote.

        Returns
        -------
        Universe
            The universe.

        Raises
        ------
        UniverseError
            If the file is missing, is not a universe, or its content has changed.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(Path(path).absolute(), columns=["chrom", "start", "end"])
            metadata = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
            digest = metadata["genoglot.digest"]
        except (OSError, KeyError, pa.ArrowException) as error:
            raise UniverseError(
                f"{path}: not a saved universe ({error}); use Universe.save"
            ) from None
        chrom = table["chrom"].combine_chunks().dictionary_encode()
        regions = Regions.from_codes(
            chrom.dictionary.to_pylist(),
            chrom.indices.to_numpy(),
            table["start"].to_numpy(),
            table["end"].to_numpy(),
        )
        universe = cls(regions, genome=metadata.get("genoglot.genome", ""))
        if universe.digest != digest:
            raise UniverseError(f"{path}: the content has changed; save the universe again")
        return universe
