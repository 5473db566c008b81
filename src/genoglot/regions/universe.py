"""`Universe`: the fixed list of regions that serves as the vocabulary of region sets."""

from __future__ import annotations

import hashlib
import json
import logging
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import BedFormatError, GenoglotError, UniverseError, UniverseMismatchError
from genoglot.files import atomic_path, read_lines
from genoglot.permissions import explains_denial
from genoglot.regions.algebra import Ints, expand_ranges
from genoglot.regions.assembly import same_assembly
from genoglot.regions.bed import line_number, parse_bed
from genoglot.regions.overlap_index import Axis
from genoglot.regions.regions import Regions
from genoglot.regions.repair import Repair, find_problem, repaired
from genoglot.regions.signal import Strengths, rank_strengths, signal_problem

logger = logging.getLogger("genoglot")

Ids = NDArray[np.int32]


class Universe:
    """Sorted, non-overlapping regions, whose ids 0 to n - 1 are their rows.

    Each chromosome stands in one run, sorted by start; the order of the chromosomes is free.
    Bookended regions are allowed. Ids are the rows of the file, so that a file that is refused is
    never renumbered unless `repair` asks for it.

    Parameters
    ----------
    regions
        The regions; further columns are dropped.
    genome
        Name of the genome assembly, such as `"hg38"`; free text.

    Raises
    ------
    UniverseError
        If the regions are unsorted, overlap, are duplicates or empty (`start == end`).

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

    def __init__(self, regions: Regions, *, genome: str = "") -> None:
        problem = find_problem(regions)
        if problem is not None:
            raise UniverseError(f"universe: {problem.text}")
        self._build(regions, genome)

    @classmethod
    def from_regions(cls, regions: Regions, *, genome: str = "", repair: Repair = None) -> Universe:
        """Make a universe of regions, repaired on demand.

        Parameters
        ----------
        repair
            `"sort"` sorts; `"drop"` sorts and drops exact duplicates and empty regions; `"merge"`
            sorts, drops empty regions and joins overlapping ones (bookended ones stay apart).

        Raises
        ------
        UniverseError
            If the regions, repaired, are still no universe.
        """
        return cls(repaired(regions, repair), genome=genome)

    @classmethod
    def from_bed(cls, path: str | Path, *, genome: str = "", repair: Repair = None) -> Universe:
        """Read a universe from a BED file of three or more columns: see `from_regions`.

        Raises
        ------
        UniverseError
            With the line, if one is malformed, or that of the first offending region.
        """
        data = read_lines(path)  # once: it may be a pipe
        try:
            regions = repaired(parse_bed(data, path, columns=3), repair)
        except BedFormatError as error:
            raise UniverseError(f"{error.what} (a universe is read whole: fix the line)") from None
        problem = find_problem(regions)
        if problem is not None:
            known = len(regions) and not repair
            line = f":{line_number(data, problem.row)}" if known else ""
            raise UniverseError(f"{path}{line}: {problem.text}")
        del data
        universe = cls.__new__(cls)
        universe._build(regions, genome)
        return universe

    def _build(self, regions: Regions, genome: str) -> None:
        if regions.columns.width:
            regions = Regions.from_codes(
                regions.chrom_names, regions.chrom_codes, regions.start, regions.end
            )
        self.regions, self.genome = regions, genome
        self._axis = Axis(regions)

    def __len__(self) -> int:
        return len(self.regions)

    def __repr__(self) -> str:
        return f"Universe({len(self)} regions, genome={self.genome!r}, digest={self.digest[:12]})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Universe) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.regions, self.genome)

    @cached_property
    def digest(self) -> str:
        """SHA-256, as hex, of the chromosome names, codes and coordinates in the order of the ids.

        The genome's name is no part of it.
        """
        content = hashlib.sha256(json.dumps(self.regions.chrom_names).encode())
        for array in (self.regions.chrom_codes, self.regions.start, self.regions.end):
            content.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
        return content.hexdigest()

    def encode(
        self,
        regions: Regions,
        *,
        min_bp: int = 1,
        min_fraction: float = 0.0,
        min_universe_fraction: float = 0.0,
    ) -> Ids:
        """Ids of the universe regions that a region set overlaps, sorted and unique.

        Parameters
        ----------
        regions
            The region set, in any order.
        min_bp
            Base pairs that one region of the set must share with a universe region.
        min_fraction
            Fraction of the region of the set that must be shared, 0 to 1; `-f` of bedtools.
        min_universe_fraction
            Fraction of the universe's region that must be shared, 0 to 1; `-F` of bedtools.

        Returns
        -------
        ids
            int32, shape (number of ids,).

        Raises
        ------
        ChromosomeNameError
            If a chromosome of the set is spelled `1` in one and `chr1` in the other. Chromosomes
            that the universe lacks in both spellings match nothing.
        """
        if min_bp > 1 or min_fraction > 0 or min_universe_fraction > 0:
            _, ids = self.overlaps(
                regions,
                min_bp=min_bp,
                min_fraction=min_fraction,
                min_universe_fraction=min_universe_fraction,
            )
            return np.unique(ids)
        return self._axis.hits(*self._axis.keys(regions))

    def encode_strength(
        self,
        regions: Regions,
        *,
        min_bp: int = 1,
        min_fraction: float = 0.0,
        min_universe_fraction: float = 0.0,
        where: str | Path = "the region set",
    ) -> tuple[Ids, Strengths]:
        """Ids as by `encode`, each with the strength of the strongest region that overlaps it.

        The strength of a region is the rank of its signal (`Regions.signal`) among all regions of
        the set, overlapping or not, spread evenly over 1 (weakest) to 255 (strongest): ranks need
        no unit and compare across experiments. Equal signals share their mean rank; a missing one
        ranks lowest. Without a signal, or with a constant one, every strength is 255. Missing
        values, and a text that is no number, are reported in a notice, which calls the set
        `where`. The other parameters, and the errors, are those of `encode`.

        Returns
        -------
        ids
            int32, shape (number of ids,).
        strength
            uint8, same shape.

        Examples
        --------
        >>> universe = Universe(Regions(["chr1", "chr1"], [0, 50], [10, 60]))
        >>> peaks = Regions(["chr1"] * 3, [2, 6, 52], [4, 9, 70], {"score": [30, 800, 100]})
        >>> universe.encode_strength(peaks)
        (array([0, 1], dtype=int32), array([255, 128], dtype=uint8))
        """
        enough: dict[str, Any] = {
            "min_bp": min_bp,
            "min_fraction": min_fraction,
            "min_universe_fraction": min_universe_fraction,
        }
        if problem := signal_problem(regions):
            logger.warning("%s: %s", where, problem)
        signal = regions.signal
        if signal is None:
            ids = self.encode(regions, **enough)
            return ids, np.full(len(ids), 255, np.uint8)
        rows, ids = self.overlaps(regions, **enough)
        strongest = np.zeros(len(self), np.uint8)
        np.maximum.at(strongest, ids, rank_strengths(signal)[rows])
        # No strength is 0: what stays 0 is not overlapped.
        ids = np.flatnonzero(strongest > 0).astype(np.int32)
        return ids, strongest[ids]

    def overlaps(
        self,
        regions: Regions,
        *,
        min_bp: int = 1,
        min_fraction: float = 0.0,
        min_universe_fraction: float = 0.0,
    ) -> tuple[Ints, Ids]:
        """Every overlap, as (row of the region set, universe id), ordered by both.

        Parameters are those of `encode`.
        """
        start, end = self._axis.keys(regions)
        lo, hi = self._axis.ranges(start, end)
        rows, ids = expand_ranges(lo, hi)
        for fraction in (min_fraction, min_universe_fraction):
            if not 0 <= fraction <= 1:
                raise GenoglotError(f"a fraction of {fraction} cannot be shared; give 0 to 1")
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
        """Look up the universe regions of some ids, in their order.

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
                "decode ids with the universe that made them"
            )
        return self.regions[rows]

    def check_same(self, other: Universe | str, *, genome: str = "") -> None:
        """Refuse another universe, and the same regions declared to be of another assembly.

        Parameters
        ----------
        other
            A universe, or the digest of one.
        genome
            Name of the assembly that the other is declared to be of, if it is given by its digest.

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
        """Write the universe as a parquet file of chrom, start, end."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        regions = self.regions
        chrom = pa.DictionaryArray.from_arrays(
            regions.chrom_codes, pa.array(regions.chrom_names, pa.string())
        )
        table = pa.table({"chrom": chrom, "start": regions.start, "end": regions.end})
        about = {"genoglot.genome": self.genome, "genoglot.digest": self.digest}
        with atomic_path(path) as temporary:
            pq.write_table(table.replace_schema_metadata(about), temporary)

    @classmethod
    @explains_denial
    def load(cls, path: str | Path) -> Universe:
        """Read a universe that `save` wrote.

        Raises
        ------
        UniverseError
            If the file is missing, no universe, or its content is not what was saved.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(Path(path).absolute(), columns=["chrom", "start", "end"])
            about = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
            digest = about["genoglot.digest"]
        except (OSError, KeyError, pa.ArrowException) as error:
            raise UniverseError(f"{path}: no saved universe ({error}); use Universe.save") from None
        chrom = table["chrom"].combine_chunks().dictionary_encode()
        regions = Regions.from_codes(
            chrom.dictionary.to_pylist(),
            chrom.indices.to_numpy(),
            table["start"].to_numpy(),
            table["end"].to_numpy(),
        )
        universe = cls(regions, genome=about.get("genoglot.genome", ""))
        if universe.digest != digest:
            raise UniverseError(f"{path}: the content is not what was saved; save it again")
        return universe


def token_jaccard(a: ArrayLike, b: ArrayLike) -> float:
    """Jaccard index of two sets of universe ids: ids in both over ids in either.

    0.0 if both are empty.

    Examples
    --------
    >>> token_jaccard([1, 2, 3], [2, 3, 4])
    0.5
    """
    ours, theirs = np.unique(np.asarray(a)), np.unique(np.asarray(b))
    shared = len(np.intersect1d(ours, theirs, assume_unique=True))
    either = len(ours) + len(theirs) - shared
    return shared / either if either else 0.0


def _rebuilt(regions: Regions, genome: str) -> Universe:
    universe = Universe.__new__(Universe)
    universe._build(regions, genome)
    return universe
