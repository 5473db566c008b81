"""`Regions`: an immutable table of genomic intervals with any further columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import GenoglotError
from genoglot.files import read_lines, write_text
from genoglot.regions import intervals
from genoglot.regions.bed import BedReader
from genoglot.regions.chromosomes import (
    Alias,
    ChromCodes,
    check_names,
    distinct_names,
    in_order_of_appearance,
    name_problem,
    recode,
    rename_chromosomes,
)
from genoglot.regions.formats import Format, bed_text
from genoglot.regions.intervals import Coordinates, RowIndices


class Regions:
    """Half-open, 0-based intervals with any named columns, in any order, duplicates allowed.

    A region with `start == end` is valid (an insertion point): it has no base, so that it
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
        If the lengths differ, a coordinate is negative or not a whole number, a region ends before
        it starts, or a chromosome name is not valid: see `name_problem`.

    Examples
    --------
    >>> peaks = Regions(["chr1", "chr1", "chr2"], [10, 15, 5], [20, 30, 9])
    >>> peaks.merge()
    Regions(2 regions on 2 chromosomes: chr1:10-30, chr2:5-9)
    >>> peaks[peaks.start > 9].chrom_names
    ('chr1',)
    """

    chrom_names: tuple[str, ...]
    chrom_codes: ChromCodes
    start: Coordinates
    end: Coordinates
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
        self,
        names: tuple[str, ...],
        codes: ChromCodes,
        start: Coordinates,
        end: Coordinates,
        columns: pl.DataFrame,
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
        codes: ChromCodes,
        start: Coordinates,
        end: Coordinates,
        columns: pl.DataFrame | None = None,
    ) -> Regions:
        """Make regions from arrays that are already valid: nothing is copied or checked.

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

        Returns
        -------
        Regions
            n regions, which share the arrays.
        """
        regions = cls.__new__(cls)
        regions._set(tuple(names), codes, start, end, _as_frame(columns, len(codes)))
        return regions

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> Regions:
        """Make regions from a table with columns chrom, start, end and any others.

        Returns
        -------
        Regions
            One region per row; the other columns become further columns.

        Raises
        ------
        GenoglotError
            If one of the three is missing.
        """
        missing = [name for name in ("chrom", "start", "end") if name not in frame.columns]
        if missing:
            raise GenoglotError(f"the table has no column {missing}; it has {frame.columns}")
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
        r"""Read BED3 to BED12, bedGraph, narrowPeak, broadPeak or gappedPeak, also compressed.

        Header lines (`track`, `browser`) are allowed at the top, comments (`#`) and blank lines
        anywhere. Columns are separated by tabs, or throughout by spaces. Line ends and encodings
        are those of `genoglot.files.read_lines`, which also reads gzip and bgzip. A chromosome
        name with a blank, a quote or another character that the SAM specification forbids is
        malformed. A file without regions is valid; a notice says so.

        Columns 4 and on get their names from a comment line right above the first region that has
        a name for each, else from the format. They become numbers where the format says so and all
        values are numbers, except markers of a missing value (`.`, NA, nan and others), which
        become null. Strands are spelled + - . whatever their spelling in the file.

        Parameters
        ----------
        path
            The file; `-` is standard input.
        on_error
            `"skip"` leaves malformed lines out and logs one warning, with the first line
            and the number of lines.
        chrom_sizes
            Chromosome lengths in base pairs: a region on another chromosome, or past the end, is
            malformed. By default nothing is checked.
        alias
            Spelling to which chromosome names are translated: see `rename_chromosome`.
        columns
            Read only the first so many columns (3: only the coordinates, which is fastest).
        format
            Format of the file. `"auto"` finds it from the number and the content of the columns,
            since files of all formats are also called .bed: nine columns are a broadPeak if
            columns 7 to 9 have fractions, -1, or a falling pair of numbers, and BED9 if columns 7
            and 8 are a range inside the region. If the ending (.narrowPeak, .broadPeak,
            .gappedPeak, .bedGraph) or the track line contradicts the content, the content counts
            and a notice says so.

        Returns
        -------
        Regions
            One region per line, in the order of the file.

        Raises
        ------
        BedFormatError
            At the first malformed line.
        ChromosomeNameError
            If a chromosome is spelled `1` in the file and `chr1` in `chrom_sizes`, or similarly.
        GenoglotError
            If the file cannot be read, or has too few columns for the requested format.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.bed"
        >>> _ = path.write_text("track name=a\nchr1\t5\t9\tpeak\t7\n")
        >>> Regions.from_bed(path).frame.row(0)
        ('chr1', 5, 9, 'peak', 7)
        """
        reader = BedReader(path, on_error, chrom_sizes, alias, columns, format)
        return cls.from_codes(*reader.read(read_lines(path)))

    def to_bed(self, path: str | Path = "-", *, header: str | None = None) -> None:
        """Write the regions as BED, with all their columns: see `bed_text` for their order.

        Parameters
        ----------
        path
            The file, replaced only after everything is written; `-` is standard output. A file
            whose name ends in .gz or .bgz is written in bgzip blocks, which gzip reads too.
        header
            Lines to write first, such as a `track` line or comments.
        """
        write_text(path, (f"{header.rstrip()}\n" if header else "") + bed_text(self.frame))

    @classmethod
    def concat(cls, parts: Iterable[Regions]) -> Regions:
        """Put several tables one below the other.

        Returns
        -------
        Regions
            All regions in order. A column that a table does not have is null there.

        Raises
        ------
        ChromosomeNameError
            If two tables spell a chromosome differently, such as `1` and `chr1`.
        """
        parts = list(parts)
        names: tuple[str, ...] = ()
        for i, part in enumerate(parts, 1):
            check_names(part.chrom_names, names, ours=f"table {i}", theirs="a table before it")
            names = tuple(dict.fromkeys((*names, *part.chrom_names)))
        codes = [recode(part.chrom_codes, part.chrom_names, names) for part in parts]
        frames = [part.columns for part in parts]
        columns = None
        if any(frame.width for frame in frames):
            # A table without columns has no height: the start column gives it one.
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
        """Each region as genome browsers write it: 1-based, both ends included.

        Examples
        --------
        >>> Regions(["chr1"], [0], [100]).loci
        ['chr1:1-100']
        """
        ends = zip(self.chrom, self.start + 1, self.end, strict=True)
        return [f"{chrom}:{first}-{last}" for chrom, first, last in ends]

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
        """Translate chromosome names to another spelling: see `rename_chromosome`."""
        names, codes = rename_chromosomes(self.chrom_names, self.chrom_codes, alias)
        return Regions.from_codes(names, codes, self.start, self.end, self.columns)

    def sort(self) -> Regions:
        """Sort by chromosome (chr1, chr2, chr10, X, Y, M, others), start and end, stably."""
        return self[intervals.sorted_rows(self)]

    def merge(self, gap: int = 0) -> Regions:
        """Join regions that overlap or are at most `gap` base pairs apart.

        Bookended regions (gap 0) are joined, as by `bedtools merge -d`.

        Returns
        -------
        Regions
            Sorted and without overlaps; further columns are dropped.

        Examples
        --------
        >>> Regions(["chr1"] * 3, [30, 0, 10], [40, 10, 20]).merge()
        Regions(2 regions on 1 chromosomes: chr1:0-20, chr1:30-40)
        """
        if not len(self):
            return self[:0]
        ordered = self.sort()
        merged = intervals.merge_sorted(ordered, gap)
        return Regions.from_codes(ordered.chrom_names, *merged)

    def overlaps(self, other: Regions) -> tuple[RowIndices, RowIndices]:
        """Find every pair of overlapping regions.

        Returns
        -------
        rows, other_rows
            Row of this table and row of `other` of each pair, int64, shape (pairs,), sorted by
            both.

        Raises
        ------
        ChromosomeNameError
            If the two spell a chromosome differently, such as `1` and `chr1`.

        Examples
        --------
        >>> a, b = Regions(["1"], [0], [9]), Regions(["1", "1"], [2, 9], [3, 12])
        >>> a.overlaps(b)
        (array([0]), array([0]))
        """
        return intervals.overlapping_pairs(self, other)

    def intersect(self, other: Regions) -> Regions:
        """Cut out the part that each overlapping pair shares, as by `bedtools intersect`.

        Returns
        -------
        Regions
            One region for each pair of `overlaps`, in that order, with the columns of this table.

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

    def nearest(self, other: Regions) -> tuple[RowIndices, Coordinates]:
        """Find the nearest region of `other` on the same chromosome, and its distance.

        Distances are those of `bedtools closest -D ref`: 0 if the two overlap, 1 if they touch,
        and negative if the other region is on the left (at lower coordinates). Among equally near
        regions the first by (start, end, row) is taken. A region with `start == end` counts as
        the point between two bases.

        Returns
        -------
        row
            Row of `other`, int64, shape (n,); -1 if it has none on the chromosome.
        distance
            Base pairs, int64, shape (n,); `NO_NEIGHBOR` if there is no such region.

        Raises
        ------
        ChromosomeNameError
            If the two spell a chromosome differently, such as `1` and `chr1`.

        Examples
        --------
        >>> a, b = Regions(["1", "2"], [50, 0], [60, 9]), Regions(["1", "1"], [0, 80], [48, 99])
        >>> a.nearest(b)
        (array([ 0, -1]), array([                 -3, 9223372036854775807]))
        """
        return intervals.nearest(self, other)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _coordinates(values: ArrayLike, what: str) -> Coordinates:
    array = np.asarray(values)
    if array.size == 0:
        return np.empty(0, np.int64)
    whole = array.dtype.kind in "iu" or (array.dtype.kind == "f" and (array % 1 == 0).all())
    if array.ndim != 1 or not whole:
        raise GenoglotError(f"{what} must be a list of whole numbers, not {array.dtype} values")
    return array.astype(np.int64)


def _as_frame(columns: pl.DataFrame | Mapping[str, Any] | None, n: int) -> pl.DataFrame:
    if columns is None or not len(columns):
        return pl.DataFrame()
    if isinstance(columns, pl.DataFrame):
        return columns if columns.width else pl.DataFrame()
    series = [pl.Series(name, values) for name, values in columns.items()]
    for column in series:
        if len(column) != n:
            raise GenoglotError(
                f"column {column.name!r} has {len(column)} rows and there are {n} regions; "
                "give as many"
            )
    return pl.DataFrame(series)
