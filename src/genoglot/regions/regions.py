"""`Regions`: an immutable table of genomic intervals, and its algebra."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import GenoglotError
from genoglot.regions import algebra
from genoglot.regions.algebra import Ints
from genoglot.regions.chromosomes import (
    Alias,
    Codes,
    check_names,
    distinct_names,
    in_order_of_appearance,
    name_problem,
    natural_order,
    rename_chromosome,
)
from genoglot.regions.formats import Format

SIGNAL_COLUMNS = ("signalValue", "score")

_NO_COLUMNS = pl.DataFrame()


class Regions:
    """Half-open, 0-based intervals with any named columns; order and duplicates are kept.

    A region with `start == end` is legal (an insertion point): it holds no base, so that it
    overlaps nothing and adds nothing to a Jaccard index.

    Parameters
    ----------
    chrom
        Chromosome names, shape (n,).
    start, end
        0-based, half-open coordinates in base pairs, shape (n,), `0 <= start <= end`.
    columns
        Further columns, n rows.

    Raises
    ------
    GenoglotError
        If the lengths differ, a coordinate is negative, no integer, or ends before it starts, or
        a chromosome name cannot be one: see `name_problem`.

    Examples
    --------
    >>> peaks = Regions(["chr1", "chr1", "chr2"], [10, 15, 5], [20, 30, 9])
    >>> peaks.merge()
    Regions(2 regions on 2 chromosomes: chr1:10-30, chr2:5-9)
    >>> peaks[peaks.start > 9].chrom_names
    ('chr1',)
    """

    chrom_names: tuple[str, ...]
    chrom_codes: Codes
    start: Ints
    end: Ints
    columns: pl.DataFrame

    def __init__(
        self,
        chrom: ArrayLike,
        start: ArrayLike,
        end: ArrayLike,
        columns: pl.DataFrame | Mapping[str, ArrayLike] | None = None,
    ) -> None:
        names, codes = distinct_names(np.asarray(chrom, dtype=object))
        for problem in filter(None, map(name_problem, names)):
            raise GenoglotError(problem)
        starts, ends = _coordinates(start, "start"), _coordinates(end, "end")
        if not len(codes) == len(starts) == len(ends):
            raise GenoglotError(
                f"chrom, start and end have {len(codes)}, {len(starts)} and {len(ends)} rows; "
                "give as many of each"
            )
        wrong = np.flatnonzero((starts < 0) | (ends < starts))
        if len(wrong):
            row = int(wrong[0])
            raise GenoglotError(
                f"region {row} is {names[codes[row]]}:{starts[row]}-{ends[row]}; "
                "give 0 <= start <= end"
            )
        self._set(names, codes, starts, ends, _as_frame(columns, len(codes)))

    def _set(
        self, names: tuple[str, ...], codes: Codes, start: Ints, end: Ints, columns: pl.DataFrame
    ) -> None:
        if columns.width and columns.height != len(codes):
            raise GenoglotError(
                f"the columns have {columns.height} rows and there are {len(codes)} regions; "
                "give as many"
            )
        taken = {"chrom", "start", "end"} & set(columns.columns)
        if taken:
            raise GenoglotError(f"{sorted(taken)} cannot be further columns; rename them")
        self.chrom_names = names
        self.chrom_codes, self.start, self.end = (
            _read_only(array) for array in (codes, start, end)
        )
        self.columns = columns

    @classmethod
    def from_codes(
        cls,
        names: Sequence[str],
        codes: Codes,
        start: Ints,
        end: Ints,
        columns: pl.DataFrame | None = None,
    ) -> Regions:
        """Regions over arrays that are already clean; nothing is copied and nothing checked.

        Parameters
        ----------
        names
            Distinct chromosome names, in order of first appearance.
        codes
            Index into `names` of each region, int32, shape (n,).
        start, end
            int64, shape (n,).
        columns
            Further columns, n rows.
        """
        regions = cls.__new__(cls)
        regions._set(tuple(names), codes, start, end, _as_frame(columns, len(codes)))
        return regions

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> Regions:
        """Regions from a table with columns chrom, start, end and any others.

        Raises
        ------
        GenoglotError
            If one of the three is missing.
        """
        missing = [name for name in ("chrom", "start", "end") if name not in frame.columns]
        if missing:
            raise GenoglotError(f"the table lacks {missing}; it has {frame.columns}")
        chrom = frame["chrom"].cast(pl.String).to_numpy()
        return cls(chrom, frame["start"], frame["end"], frame.drop("chrom", "start", "end"))

    @classmethod
    def from_bed(
        cls,
        path: str | Path,
        *,
        on_error: Literal["raise", "skip"] = "raise",
        chrom_sizes: Mapping[str, int] | None = None,
        alias: Alias | None = None,
        columns: int | None = None,
        format: Format = "auto",
    ) -> Regions:
        """Read a file of the BED family: see `genoglot.regions.bed.read_bed`."""
        from genoglot.regions.bed import read_bed

        return read_bed(
            path,
            on_error=on_error,
            chrom_sizes=chrom_sizes,
            alias=alias,
            columns=columns,
            format=format,
        )

    def to_bed(self, path: str | Path = "-", *, header: str | None = None) -> None:
        """Write a BED file: see `genoglot.regions.bed.write_bed`."""
        from genoglot.regions.bed import write_bed

        write_bed(self, path, header=header)

    @classmethod
    def concat(cls, parts: Iterable[Regions]) -> Regions:
        """All regions of several tables, one after the other; a missing column becomes null.

        Raises
        ------
        ChromosomeNameError
            If they spell a chromosome differently, as `1` and `chr1`.
        """
        parts = list(parts)
        names: tuple[str, ...] = ()
        for i, part in enumerate(parts, 1):
            check_names(part.chrom_names, names, ours=f"table {i}", theirs="a table before it")
            names = tuple(dict.fromkeys((*names, *part.chrom_names)))
        codes = [_recode(part, names) for part in parts]
        frames = [part.columns for part in parts]
        columns = pl.DataFrame()
        if any(frame.width for frame in frames):
            # A table without columns has no height of its own: the start column lends it one.
            frames = [pl.DataFrame({" ": part.start}).hstack(part.columns) for part in parts]
            columns = pl.concat(frames, how="diagonal_relaxed").drop(" ")
        return cls.from_codes(
            names,
            np.concatenate([np.empty(0, np.int32), *codes]),
            np.concatenate([np.empty(0, np.int64), *(part.start for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.end for part in parts)]),
            columns,
        )

    @cached_property
    def chrom(self) -> NDArray[np.object_]:
        """Chromosome name of each region, str objects, shape (n,)."""
        return _read_only(np.array(self.chrom_names, dtype=object)[self.chrom_codes])

    @cached_property
    def frame(self) -> pl.DataFrame:
        """The whole table: chrom, start, end and the further columns."""
        chrom = pl.Series(self.chrom_names, dtype=pl.String).gather(self.chrom_codes)
        data = pl.DataFrame({"chrom": chrom, "start": self.start, "end": self.end})
        return data.hstack(self.columns) if self.columns.width else data

    @property
    def loci(self) -> list[str]:
        """Each region as people and genome browsers write it, from 1, both ends included.

        Examples
        --------
        >>> Regions(["chr1"], [0], [100]).loci
        ['chr1:1-100']
        """
        ends = zip(self.chrom, self.start + 1, self.end, strict=True)
        return [f"{chrom}:{first}-{last}" for chrom, first, last in ends]

    @property
    def signal(self) -> NDArray[np.float64] | None:
        """How strong each region is: column `signalValue`, else `score`, whichever holds numbers.

        float64, shape (n,), in the file's own unit, NaN where missing; None if there is no such
        column.

        Examples
        --------
        >>> Regions(["1", "1"], [0, 5], [9, 8]).with_columns(score=[7, 3]).signal
        array([7., 3.])
        """
        name = self.signal_column
        if name is None:
            return None
        return _read_only(self.columns[name].cast(pl.Float64).to_numpy())

    @property
    def signal_column(self) -> str | None:
        """Name of the column that `signal` is read from, or None."""
        for name in SIGNAL_COLUMNS:
            if name in self.columns.columns and self.columns[name].dtype.is_numeric():
                return name
        return None

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, rows: slice | ArrayLike) -> Regions:
        if not isinstance(rows, slice):
            rows = np.asarray(rows)
            rows = rows.astype(np.int64) if rows.size == 0 else np.atleast_1d(rows)
            if rows.dtype == bool:
                rows = np.flatnonzero(rows)
        columns = self.columns
        if columns.width:
            columns = columns[np.arange(len(self))[rows]]
        codes = self.chrom_codes[rows]
        names, codes = in_order_of_appearance(self.chrom_names, codes)
        return Regions.from_codes(names, codes, self.start[rows], self.end[rows], columns)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Regions)
            and len(self) == len(other)
            and np.array_equal(self.start, other.start)
            and np.array_equal(self.end, other.end)
            and np.array_equal(self.chrom, other.chrom)
            and self.columns.columns == other.columns.columns
            and self.columns.equals(other.columns)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{self.chrom_names[code]}:{start}-{end}"
            for code, start, end in zip(
                self.chrom_codes[:3], self.start[:3], self.end[:3], strict=True
            )
        )
        dots = ", ..." if len(self) > 3 else ""
        return (
            f"Regions({len(self)} regions on {len(self.chrom_names)} chromosomes"
            f"{': ' if shown else ''}{shown}{dots})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (self.chrom_names, self.chrom_codes, self.start, self.end, self.columns)
        return Regions.from_codes, arguments

    def with_columns(self, **columns: ArrayLike | pl.Series) -> Regions:
        """Add or replace columns.

        Examples
        --------
        >>> Regions(["chr1"], [1], [2]).with_columns(name=["peak"]).frame.row(0)
        ('chr1', 1, 2, 'peak')
        """
        added = _as_frame(columns, len(self))
        frame = self.columns.with_columns(added) if self.columns.width else added
        return Regions.from_codes(self.chrom_names, self.chrom_codes, self.start, self.end, frame)

    def rename_chroms(self, alias: Alias) -> Regions:
        """Spell chromosomes another way: see `rename_chromosome`."""
        renamed = np.array([rename_chromosome(name, alias) for name in self.chrom_names], object)
        # Two spellings may become one, e.g. 1 and chr1.
        names, merged = distinct_names(renamed)
        codes = merged[self.chrom_codes]
        return Regions.from_codes(names, codes, self.start, self.end, self.columns)

    def sort(self) -> Regions:
        """By chromosome (chr1, chr2, chr10, X, Y, M, others), start, end; equal rows keep order."""
        by_name = sorted(
            range(len(self.chrom_names)), key=lambda i: natural_order(self.chrom_names[i])
        )
        rank = np.empty(len(by_name), np.int32)
        rank[by_name] = np.arange(len(by_name), dtype=np.int32)
        return self[np.lexsort((self.end, self.start, rank[self.chrom_codes]))]

    def merge(self, gap: int = 0) -> Regions:
        """Sorted union of the regions; those at most `gap` bp apart become one.

        Bookended regions (gap 0) are joined, as by `bedtools merge -d`. Columns are dropped.

        Examples
        --------
        >>> Regions(["chr1"] * 3, [30, 0, 10], [40, 10, 20]).merge()
        Regions(2 regions on 1 chromosomes: chr1:0-20, chr1:30-40)
        """
        if not len(self):
            return self[:0]
        ordered = self.sort()
        start, end = _global(ordered, ordered.chrom_names, spacing=_span(ordered) + gap + 1)
        reach: Ints = np.maximum.accumulate(end)
        first = np.concatenate(([True], start[1:] > reach[:-1] + gap))
        last = np.concatenate((first[1:], [True]))
        # The furthest end of a run, back from the global coordinate to the chromosome's own.
        ends: Ints = ordered.end[last] + (reach[last] - end[last])
        codes = ordered.chrom_codes[first]
        return Regions.from_codes(ordered.chrom_names, codes, ordered.start[first], ends)

    def overlaps(self, other: Regions) -> tuple[Ints, Ints]:
        """Every pair of overlapping regions, as (row of self, row of other), ordered by both.

        Raises
        ------
        ChromosomeNameError
            If the two spell a chromosome differently, as `1` and `chr1`.

        Examples
        --------
        >>> a, b = Regions(["1"], [0], [9]), Regions(["1", "1"], [2, 9], [3, 12])
        >>> a.overlaps(b)
        (array([0]), array([0]))
        """
        axis_a, axis_b, _ = _on_one_axis(self, other)
        return algebra.overlapping_pairs(*axis_a, *axis_b)

    def intersect(self, other: Regions) -> Regions:
        """Cut out the part shared by each overlapping pair, as by `bedtools intersect`.

        One row for each pair of `overlaps`, in that order, with the columns of `self`.

        Examples
        --------
        >>> a, b = Regions(["1"], [0], [9]), Regions(["1", "1"], [2, 8], [3, 12])
        >>> a.intersect(b)
        Regions(2 regions on 1 chromosomes: 1:2-3, 1:8-9)
        """
        rows, others = self.overlaps(other)
        part = self[rows]
        return Regions.from_codes(
            part.chrom_names,
            part.chrom_codes,
            np.maximum(part.start, other.start[others]),
            np.minimum(part.end, other.end[others]),
            part.columns,
        )

    def nearest(self, other: Regions) -> tuple[Ints, Ints]:
        """Find the nearest region of `other` on the same chromosome, and how far it is.

        Distances are those of `bedtools closest -D ref`: 0 if the two overlap, 1 if they touch,
        and negative if the other one lies to the left (at lower coordinates). Of equally near
        ones the first by (start, end, row) is taken. A region with `start == end` counts as the
        point between two bases.

        Returns
        -------
        row
            Row of `other`, int64, shape (n,); -1 if there is none on the chromosome.
        distance
            Base pairs, int64, shape (n,); `NO_NEIGHBOR` if there is none.

        Raises
        ------
        ChromosomeNameError
            If the two spell a chromosome differently, as `1` and `chr1`.

        Examples
        --------
        >>> a, b = Regions(["1", "2"], [50, 0], [60, 9]), Regions(["1", "1"], [0, 80], [48, 99])
        >>> a.nearest(b)
        (array([ 0, -1]), array([                 -3, 9223372036854775807]))
        """
        axis_a, axis_b, spacing = _on_one_axis(self, other)
        return algebra.nearest_rows(*axis_a, *axis_b, spacing)

    def covered(self) -> int:
        """Count the base pairs that lie in at least one region."""
        merged = self.merge()
        return int((merged.end - merged.start).sum())

    def jaccard(self, other: Regions) -> float:
        """Divide the base pairs in both by those in either; 0.0 if neither holds a base.

        Examples
        --------
        >>> Regions(["1"], [0], [10]).jaccard(Regions(["1"], [5], [15]))
        0.3333333333333333
        """
        mine, theirs = self.merge(), other.merge()
        union = Regions.concat((mine, theirs)).covered()
        shared = mine.covered() + theirs.covered() - union
        return shared / union if union else 0.0

    def region_jaccard(self, other: Regions) -> float:
        """Regions in both over regions in either, where a region is in both if it is overlapped.

        With a the number of our regions that overlap any of `other`, and b the number of its
        regions that overlap any of ours, the shared number is s = (a + b) / 2, and the index is
        s / (len(self) + len(other) - s). It is symmetric, and equals the Jaccard index of sets
        where overlapping regions are equal ones. 0.0 if both are empty.

        Examples
        --------
        >>> a, b = Regions(["1", "1"], [0, 50], [9, 60]), Regions(["1"], [3], [20])
        >>> a.region_jaccard(b)
        0.5
        """
        mine, theirs = self.overlaps(other)
        shared = (len(np.unique(mine)) + len(np.unique(theirs))) / 2
        either = len(self) + len(other) - shared
        return shared / either if either else 0.0


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _coordinates(values: ArrayLike, what: str) -> Ints:
    array = np.asarray(values)
    if array.size == 0:
        return np.empty(0, np.int64)
    whole = array.dtype.kind in "iu" or (array.dtype.kind == "f" and (array % 1 == 0).all())
    if array.ndim != 1 or not whole:
        raise GenoglotError(f"{what} must be a list of whole numbers, not {array.dtype} values")
    return array.astype(np.int64)


def _as_frame(columns: pl.DataFrame | Mapping[str, Any] | None, n: int) -> pl.DataFrame:
    if columns is None or not len(columns):
        return _NO_COLUMNS
    if isinstance(columns, pl.DataFrame):
        return columns
    series = [pl.Series(name, values) for name, values in columns.items()]
    for column in series:
        if len(column) != n:
            raise GenoglotError(
                f"column {column.name!r} has {len(column)} rows and there are {n} regions; "
                "give as many"
            )
    return pl.DataFrame(series)


def _recode(regions: Regions, names: tuple[str, ...]) -> Codes:
    index = {name: code for code, name in enumerate(names)}
    lookup = np.array([index[name] for name in regions.chrom_names], np.int32)
    return lookup[regions.chrom_codes]


def _span(regions: Regions) -> int:
    return int(regions.end.max(initial=0))


def _global(regions: Regions, names: tuple[str, ...], spacing: int) -> tuple[Ints, Ints]:
    """Put starts and ends on one axis, where chromosome i of `names` begins at i * spacing."""
    offset = _recode(regions, names).astype(np.int64) * spacing
    return offset + regions.start, offset + regions.end


def _on_one_axis(
    ours: Regions, theirs: Regions
) -> tuple[tuple[Ints, Ints], tuple[Ints, Ints], int]:
    """Put two tables on one axis, and say how far apart its chromosomes begin."""
    check_names(ours.chrom_names, theirs.chrom_names, ours="this table", theirs="the other one")
    names = tuple(dict.fromkeys((*ours.chrom_names, *theirs.chrom_names)))
    spacing = max(_span(ours), _span(theirs)) + 1
    return _global(ours, names, spacing), _global(theirs, names, spacing), spacing
