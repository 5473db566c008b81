"""Reading bedMethyl: how many reads cover each C, and how many of them are methylated.

ENCODE writes BED9+2 (the UCSC schema of wgEncodeHaibMethylRrbs), modkit BED9+9: column 6 is the
strand, 10 the number of reads and 11 the percentage of them that are methylated. modkit writes a
row for each modification of a C, which column 4 names (m is 5mC, h is 5hmC; all are proportions of
the same reads), and the number of modified reads in column 12; it may separate the columns from 10
on by spaces. Later columns are ignored.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.regions import Regions
from genoglot.regions.bed import line_of_region
from genoglot.regions.strand import read_strands

logger = logging.getLogger("genoglot")

Modification = Literal["m", "h", "both"]
Unit = Literal["auto", "percent", "fraction"]
Numbers = NDArray[np.float64]

MIN_COLUMNS = 11

# What callers write in column 4: a code of the SAM specification, its ChEBI number, or a name. C is
# any modification of C, as modkit pileup --combine-mods writes it.
_CODES = {"m": "m", "27551": "m", "5mC": "m", "h": "h", "76792": "h", "5hmC": "h", "C": "both"}


class MethylCalls(NamedTuple):
    """Calls of one file, a row for each C.

    Attributes
    ----------
    regions
        Position of each C, with a column strand of +, - or `.` (unknown, or both strands together).
    reads, methylated
        Number of reads, and of methylated reads, float64 (n,).
    dropped
        For each reason, how many rows were left out, and of how many: `other_modifications`,
        `without_percentage` and `repeated` (rows that repeat another row).
    """

    regions: Regions
    reads: Numbers
    methylated: Numbers
    dropped: dict[str, tuple[int, int]]


def read_bed_methyl(
    path: Path, modification: Modification = "m", unit: Unit = "auto"
) -> MethylCalls:
    r"""Read a bedMethyl file.

    Parameters
    ----------
    path
        The file, plain or gzip.
    modification
        Modification to read where column 4 names them: m (5mC), h (5hmC), or both, added up. The
        rows of one C are proportions of the same reads, which are counted once. Where column 4
        names no modification, all rows are read.
    unit
        Unit of column 11: percent, fraction (0 to 1), or auto. Values above 1 are percentages. If
        there are none, the number of methylated reads (column 12) decides, or the number of reads:
        1 % of ten reads is less than one read.

    Raises
    ------
    TaskError
        With the line, if the file has fewer than 11 columns or impossible values, or rows of one C
        contradict each other; and if the file does not have the modification, or its unit is not
        clear.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.bed"
    >>> columns = "chr1\t7\t8\t{}\t20\t+\t7\t8\t0,0,0\t20\t{}\t{}\n"
    >>> _ = path.write_text(columns.format("h", 25, 5) + columns.format("m", 50, 10))
    >>> calls = read_bed_methyl(path)
    >>> calls.reads.tolist(), calls.methylated.tolist()
    ([20.0], [10.0])
    >>> read_bed_methyl(path, "both").methylated.tolist()
    [15.0]
    """
    bed = Regions.from_bed(path)
    if len(bed) and bed.columns.width < MIN_COLUMNS - 4:
        raise TaskError(_no_columns(path, bed.columns.width + 3))
    text = _columns(bed, path)
    reads, value = _numbers(text, path)
    code, wanted = _choose(text["code"], modification, path)
    whole = _whole(value, reads, text["hits"], unit, path)
    frame = pl.DataFrame(
        {
            "row": np.arange(len(bed)),
            "chrom": bed.chrom_codes,
            "start": bed.start,
            "strand": pl.Series(read_strands(text["strand"], str(path)), dtype=pl.String),
            "code": code,
            "reads": reads,
            "methylated": np.rint(reads * value / whole),
        }
    )
    chosen = frame.filter(wanted)
    known = chosen.filter(pl.col("methylated").is_not_nan())
    distinct = known.unique(subset=known.columns[1:], keep="first", maintain_order=True)
    dropped = {
        "other_modifications": (len(frame) - len(chosen), len(frame)),
        "without_percentage": (len(chosen) - len(known), len(chosen)),
        "repeated": (len(known) - len(distinct), len(known)),
    }
    sites = _add_up(distinct, path)
    first = bed[sites["row"].to_numpy()]
    regions = Regions.from_codes(
        first.chrom_names, first.chrom_codes, first.start, first.end, sites.select("strand")
    )
    return MethylCalls(regions, sites["reads"].to_numpy(), sites["methylated"].to_numpy(), dropped)


def _columns(bed: Regions, path: Path) -> pl.DataFrame:
    """Take the columns code, strand, reads, value and hits (4, 6, 10, 11, 12) as text."""
    text = bed.columns.select(pl.all().cast(pl.String))
    names = [f"column_{i}" for i in range(4, text.width + 4)]
    text = text.rename(dict(zip(text.columns, names, strict=True)))
    if text.width == MIN_COLUMNS - 4:  # all from column 10 on in one, separated by spaces
        last = text["column_10"].str.split(" ").list
        if (last.len() < 2).fill_null(value=True).all():
            raise TaskError(_no_columns(path, text.width + 3))
        text = text.with_columns(
            last.get(i, null_on_oob=True).alias(f"column_{10 + i}") for i in range(3)
        )
    if "column_12" not in text.columns:
        text = text.with_columns(column_12=pl.lit(None, pl.String))
    return text.select(
        code="column_4", strand="column_6", reads="column_10", value="column_11", hits="column_12"
    )


def _no_columns(path: Path, width: int) -> str:
    return (
        f"{path}: has {width} columns; bedMethyl has {MIN_COLUMNS} or more, reads in 10 and "
        "percentage in 11"
    )


def _numbers(text: pl.DataFrame, path: Path) -> tuple[Numbers, Numbers]:
    """Read the number of reads and column 11; NaN where the file has no percentage."""
    reads = text["reads"].cast(pl.Float64, strict=False).to_numpy()
    value = text["value"].cast(pl.Float64, strict=False).to_numpy().copy()
    gap = text["value"].str.to_lowercase().is_in(["nan", "."]).fill_null(value=False).to_numpy()
    fits = gap | ((value >= 0) & (value <= 100))
    wrong = np.flatnonzero(~(np.isfinite(reads) & (reads >= 0) & fits))
    if len(wrong):
        row = int(wrong[0])
        raise TaskError(
            f"{path}:{line_of_region(path, row)}: {reads[row]} reads (column 10), "
            f"{value[row]} % of them methylated (column 11); this is not bedMethyl"
        )
    value[gap] = np.nan
    return reads, value


def _choose(
    names: pl.Series, modification: Modification, path: Path
) -> tuple[pl.Series, pl.Series]:
    """Find the modification of each row ("" if column 4 names none), and which rows to read."""
    code = names.str.split(",").list.first()  # modkit puts the motif behind a comma
    code = code.replace_strict(_CODES, default="", return_dtype=pl.String)
    found = set(code.unique()) - {""}
    if not found:
        if modification != "m":
            raise TaskError(
                f"{path}: column 4 names no modification (m, h), so that "
                f"modification={modification} cannot be chosen; leave it out"
            )
        return code, code == ""
    wanted = {modification} if modification != "both" else {"m", "h", "both"}
    if modification == "m" and found == {"both"}:
        logger.warning("%s: column 4 says C: 5mC and 5hmC are counted together", path)
        wanted = {"both"}
    if not wanted & found:
        known = "m and h together (C)" if found == {"both"} else ", ".join(sorted(found))
        raise TaskError(
            f"{path}: no row is of the modification {modification} (column 4 names {known}); set "
            "another (--set modification=m, h or both)"
        )
    return code, code.is_in(sorted(wanted))


def _whole(value: Numbers, reads: Numbers, hits: pl.Series, unit: Unit, path: Path) -> int:
    """Return the value of column 11 if all reads are methylated: 100 (percent) or 1 (fraction)."""
    if unit != "auto":
        if unit == "fraction" and (value > 1).any():
            row = int(np.flatnonzero(value > 1)[0])
            raise TaskError(
                f"{path}:{line_of_region(path, row)}: column 11 is {value[row]}, no fraction; "
                "leave out unit=fraction"
            )
        return 100 if unit == "percent" else 1
    some = (value > 0) & (reads > 0)
    if not some.any() or (value > 1).any():
        return 100
    value, reads = value[some], reads[some]
    counted = hits.cast(pl.Float64, strict=False).to_numpy()[some]
    # Rounded to whole percents, a proportion is off by half a hundredth at most.
    misses = [np.abs(counted - reads * value / whole) > 0.5 + 0.005 * reads for whole in (100, 1)]
    of_percent, of_fraction = (float(np.mean(miss | np.isnan(counted))) for miss in misses)
    if of_percent < 0.05 < of_fraction:
        return 100
    as_percent = reads * (value + 0.5) / 100  # methylated reads, at most
    if not (of_fraction < 0.05 < of_percent or (as_percent < 1).any()):
        raise TaskError(
            f"{path}: no value of column 11 is above 1, so that they may be percentages or "
            "fractions; set unit=percent or unit=fraction (--set unit=percent)"
        )
    logger.warning(
        "%s: column 11 is read as fractions of 1; set unit=percent (--set unit=percent) if they "
        "are percentages",
        path,
    )
    return 1


def _add_up(calls: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Add up the modified reads of each C over its modifications; all reads are the same."""
    counted = calls.group_by("chrom", "start", "strand", maintain_order=True).agg(
        pl.col("row").first(),
        pl.col("reads").first(),
        pl.col("methylated").sum(),
        last=pl.col("row").last(),
        sound=(pl.col("code").n_unique() == pl.len()) & (pl.col("reads").n_unique() == 1),
    )
    # Proportions that are rounded one by one may add up to one read too many.
    wrong = counted.filter(~pl.col("sound") | (pl.col("methylated") > pl.col("reads") + 1))
    if len(wrong):
        first, last = (line_of_region(path, wrong[name][0]) for name in ("row", "last"))
        raise TaskError(
            f"{path}:{last}: another call of the same position as in line {first}, with other "
            "numbers; give one file for each sample, with one row for each C and modification"
        )
    return counted.with_columns(pl.min_horizontal("methylated", "reads"))
