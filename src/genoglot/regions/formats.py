"""The formats of the BED family: the names of their columns, and which format a file has."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import GenoglotError
from genoglot.regions.strand import read_strands
from genoglot.tables import missing_values

logger = logging.getLogger("genoglot")

Format = Literal["auto", "bed", "bedGraph", "narrowPeak", "broadPeak", "gappedPeak"]

_BED6 = ("name", "score", "strand")
_PEAK = ("signalValue", "pValue", "qValue")
_BED9 = (*_BED6, "thickStart", "thickEnd", "itemRgb")
_BED12 = (*_BED9, "blockCount", "blockSizes", "blockStarts")
COLUMNS: dict[str, tuple[str, ...]] = {
    "bed": _BED12,
    "bedGraph": ("score",),
    "narrowPeak": (*_BED6, *_PEAK, "peak"),
    "broadPeak": (*_BED6, *_PEAK),
    "gappedPeak": (*_BED12, *_PEAK),
}
"""Names of the columns after the third, by format."""

_SIGNAL = {"bedGraph": 4, "narrowPeak": 7, "broadPeak": 7, "gappedPeak": 13}
_WHOLE = {"score", "thickStart", "thickEnd", "blockCount", "peak"}
_REAL = {"score", *_PEAK}  # a score is either
_ENDINGS = {"bdg": "bedGraph", "bg": "bedGraph", **{name.lower(): name for name in COLUMNS}}
_TRACK_TYPE = re.compile(rb"^track\b.*\btype=[\"']?(\w+)", re.MULTILINE)
_RGB = r"^(?:\d+(?:,\d+,\d+,?)?|\.)$"

Floats = NDArray[np.float64]


class Numbers(NamedTuple):
    """A column of text, converted to numbers.

    Attributes
    ----------
    series
        Float64, n rows, null or NaN where there is no number.
    unreadable
        Rows whose text is neither a number nor a marker of a missing value, int64, shape (m,).
    """

    series: pl.Series
    unreadable: NDArray[np.int64]

    @property
    def values(self) -> Floats:
        """Numbers, float64, shape (n,), NaN where there is none."""
        return self.series.to_numpy()


def read_numbers(column: pl.Series) -> Numbers:
    """Convert a column of text to numbers.

    The markers of `genoglot.tables.MISSING`, such as `.` and NA, are missing values. Infinite
    values are numbers: they rank above, or below, all others.

    Returns
    -------
    Numbers
        The numbers, and the rows without one.

    Examples
    --------
    >>> numbers = read_numbers(pl.Series(["1.5", ".", "NA", "inf", "high"]))
    >>> numbers.values, numbers.unreadable
    (array([1.5, nan, nan, inf, nan]), array([4]))
    """
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.null_count() == column.null_count():
        return Numbers(numbers, np.empty(0, np.int64))
    numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
    unread = numbers.is_null() & ~missing_values(column)
    return Numbers(numbers, np.flatnonzero(unread.to_numpy()))


def declared_format(path: str | Path, header: bytes) -> str:
    """Format that is named by a file's track line, or else by its ending.

    Returns
    -------
    str
        A key of `COLUMNS`; "" if none is named. The ending .bed names none, since files of all
        formats have it.

    Examples
    --------
    >>> declared_format("a.narrowPeak.gz", b""), declared_format("a.txt", b"track type=bedGraph")
    ('narrowPeak', 'bedGraph')
    """
    track = _TRACK_TYPE.search(header)
    ending = re.sub(r"\.b?gz$", "", str(path).lower()).rpartition(".")[2]
    named = _ENDINGS.get(track[1].decode().lower() if track else ending, "")
    return "" if named == "bed" else named


def check_format(path: str | Path, wanted: str, n_columns: int) -> None:
    """Check that a format exists, and that a file has the column of its signal.

    Raises
    ------
    GenoglotError
        If the format is unknown, or the file has too few columns.
    """
    if wanted not in ("auto", *COLUMNS):
        raise GenoglotError(f"format is {wanted!r}; use auto, {', '.join(COLUMNS)}")
    if n_columns < _SIGNAL.get(wanted, 0):
        raise GenoglotError(
            f"{path}: has {n_columns} columns, but the signal of a {wanted} file is in column "
            f"{_SIGNAL[wanted]}; give the format of the file, or auto"
        )


class UnnamedColumns:
    """The columns after the third of a file without column names, as text.

    Parameters
    ----------
    columns
        n rows.
    start, end
        Coordinates of the regions, int64, shape (n,).
    """

    def __init__(
        self, columns: pl.DataFrame, start: NDArray[np.int64], end: NDArray[np.int64]
    ) -> None:
        self.columns, self.start, self.end = columns, start, end
        self._read: dict[int, Numbers] = {}

    def find_names(self, path: str | Path, wanted: str, declared: str) -> tuple[str, ...]:
        """Find the names of the columns by the format of the file.

        Parameters
        ----------
        path
            The file, for a notice if its content contradicts `declared`.
        wanted
            The format; "auto" finds it from the content of the columns.
        declared
            Result of `declared_format`.

        Returns
        -------
        tuple of str
            One of the values of `COLUMNS`.
        """
        if wanted != "auto":
            return COLUMNS[wanted]
        if declared and self._fits(declared):
            return COLUMNS[declared]
        found = self._format()
        if not declared:
            return COLUMNS[found] if found else _BED6
        if not found:  # no other format fits either: `signal_problem` says what is wrong
            return COLUMNS[declared]
        logger.warning(
            "%s: called %s by its name or track line, but read as %s, by its columns",
            *(path, declared, found),
        )
        return COLUMNS[found]

    def named(self, names: Sequence[str]) -> pl.DataFrame:
        """Name the columns, and convert those that hold numbers by the format.

        Parameters
        ----------
        names
            Names by which the columns are typed. Columns without a name are numbered,
            such as `column_13`. A column with an unreadable text, or without any number, stays
            as text.

        Returns
        -------
        polars.DataFrame
            n rows.
        """
        width = self.columns.width
        names = [*names, *(f"column_{i}" for i in range(len(names) + 4, width + 4))]
        return pl.DataFrame([self._typed(i, name) for i, name in enumerate(names[:width], 4)])

    def _typed(self, number: int, name: str) -> pl.Series:
        column = self.columns.to_series(number - 4)
        if name == "strand":
            column = _strands(column)
        elif name in _WHOLE | _REAL:
            if name in _WHOLE and number not in self._read:  # the usual case, in one step
                integers = column.cast(pl.Int64, strict=False)
                if integers.null_count() == column.null_count():
                    return integers.alias(name)
            numbers = self._numbers(number)
            missing = np.isnan(numbers.values)
            whole = name in _WHOLE and _are_whole(numbers.values)
            if not len(numbers.unreadable) and not missing.all() and (whole or name in _REAL):
                column = numbers.series.fill_nan(None) if missing.any() else numbers.series
                column = column.cast(pl.Int64) if whole else column
        return column.alias(name)

    def _numbers(self, number: int) -> Numbers:
        """Column `number`, counted from 1, as numbers."""
        if number not in self._read:
            self._read[number] = read_numbers(self.columns.to_series(number - 4))
        return self._read[number]

    def _are_numbers(self, *numbers: int) -> bool:
        """Whether columns, those that exist, have numbers in at least half of the rows."""
        return all(
            not np.isnan(self._numbers(i).values).all()
            and 2 * len(self._numbers(i).unreadable) <= len(self.start)
            for i in numbers
            if i < self.columns.width + 4
        )

    def _format(self) -> str:
        """Format of the columns; "" if none fits."""
        n = self.columns.width + 3
        if n == 4:
            # Whole numbers may be names, such as those of clusters or Entrez genes.
            is_signal = self._are_numbers(4) and not _are_whole(self._numbers(4).values)
            return "bedGraph" if is_signal else "bed"
        if n == 7:
            return "broadPeak" if self._are_numbers(7) else ""
        if n < 9:
            return "bed"
        # BED10 does not exist: ten columns are BED9 and one more only if there is no doubt.
        if self._has_thick(strict=n == 10):
            return "gappedPeak" if self._fits("gappedPeak") and n == 15 else "bed"
        for peaks in ("narrowPeak", "broadPeak"):
            if n >= len(COLUMNS[peaks]) + 3 and self._fits(peaks):
                return peaks
        return ""

    def _fits(self, name: str) -> bool:
        if name == "bedGraph":
            return self.columns.width == 1 and self._are_numbers(4)
        if name == "gappedPeak":
            return self._has_thick(strict=False) and self._are_numbers(13, 14, 15)
        if not self._are_numbers(7, 8, 9) or self._has_thick(strict=True):
            return False
        n = self.columns.width + 3
        has_peak = n >= 10 and self._has_peak()
        if name == "narrowPeak":
            return has_peak or n < 10
        return not has_peak and (n < 9 or self._looks_measured())

    def _has_peak(self) -> bool:
        """Whether column 10 is the offset of a summit from the start, or -1."""
        peak = self._numbers(10).values
        # Further columns, as IDR adds them, leave more doubt.
        limit = np.inf if self.columns.width == 7 else self.end - self.start
        inside = (peak >= -1) & (peak <= limit)
        return self._are_numbers(10) and bool((inside | np.isnan(peak)).all())

    def _looks_measured(self) -> bool:
        """Whether columns 7 to 9 are a signal, -log10 p and -log10 q, and not coordinates."""
        signal, p, q = (self._numbers(i).values for i in (7, 8, 9))
        for values in (p, q):
            if ((values < 0) & (values != -1)).any():
                return False
        fractions = not (_are_whole(signal) and _are_whole(p) and _are_whole(q))
        return fractions or bool(((p < signal) | (p == -1) | (q == -1)).any())

    def _has_thick(self, *, strict: bool) -> bool:
        """Whether columns 7 to 9 are a range inside the region, and a color.

        Without `strict` the range may also be 0 to 0, which means none, or reach beyond the
        region, as it does in files whose regions were resized.
        """
        if self.columns.width < 6:
            return False
        left, right = self._numbers(7), self._numbers(8)
        if len(left.unreadable) or len(right.unreadable):
            return False
        if not (_are_whole(left.values) and _are_whole(right.values)):
            return False
        if not self.columns.to_series(5).str.contains(_RGB).fill_null(value=True).all():
            return False
        some = ~(np.isnan(left.values) & np.isnan(right.values))
        a, b, start, end = (x[some] for x in (left.values, right.values, self.start, self.end))
        if strict:
            return len(a) > 0 and bool(((start <= a) & (a <= b) & (b <= end)).all())
        return bool((((a <= b) & (a <= end) & (b >= start)) | ((a == 0) & (b == 0))).all())


def _are_whole(values: Floats) -> bool:
    if len(values) > 1000 and not _are_whole(values[:1000]):  # most columns are decided by these
        return False
    known = values[~np.isnan(values)]
    return bool((known == np.floor(known)).all()) and bool((np.abs(known) < 2**53).all())


def _strands(column: pl.Series) -> pl.Series:
    """Spell strands + - . if all can be read; else leave them, as not every user needs them."""
    spellings = column.drop_nulls().unique().to_list()
    if set(spellings) <= {"+", "-", "."}:
        return column
    try:
        return column.replace_strict(
            spellings, read_strands(spellings, "").tolist(), return_dtype=pl.String
        )
    except GenoglotError:
        return column


# What is written for a missing value, or for a missing column before one that is written.
_FILL = {
    "score": pl.lit("0"),
    "thickStart": pl.col("start"),
    "thickEnd": pl.col("end"),
    "itemRgb": pl.lit("0"),
    "blockCount": pl.lit("1"),
    "blockSizes": pl.col("end") - pl.col("start"),
    "blockStarts": pl.lit("0"),
    "signalValue": pl.lit("0"),
    "pValue": pl.lit("-1"),
    "qValue": pl.lit("-1"),
    "peak": pl.lit("-1"),
}


def bed_text(frame: pl.DataFrame) -> str:
    r"""Format a table as the text of a BED file.

    Parameters
    ----------
    frame
        Columns chrom, start, end and any others. Columns of BED or of a peak format are written
        first, in the order of the format; a missing column before the last of them is filled as
        the format demands (name `.`, score 0, ...). Other columns follow.

    Returns
    -------
    str
        One line per row, separated by tabs; a missing value is `.`.

    Examples
    --------
    >>> bed_text(pl.DataFrame({"chrom": ["1"], "start": [5], "end": [9], "strand": ["-"]}))
    '1\t5\t9\t.\t0\t-\n'
    """
    present = frame.columns
    standard = COLUMNS["bed"]
    if {"signalValue", "pValue", "qValue", "peak"} & set(present):
        gapped = "peak" not in present and set(_BED12[3:]) & set(present)
        standard = COLUMNS["gappedPeak" if gapped else "narrowPeak"]
    last = max((i + 1 for i, name in enumerate(standard) if name in present), default=0)
    written = [
        pl.col(name) if name in present else _FILL.get(name, pl.lit(".")).alias(name)
        for name in standard[:last]
    ]
    others = [name for name in present[3:] if name not in standard]
    columns = frame.select("chrom", "start", "end", *written, *others)
    return columns.write_csv(
        include_header=False, separator="\t", quote_style="never", null_value="."
    )
