"""MPRAProm: what a single base changes in a promoter's activity, from saturation mutagenesis.

Source format: the table of Kircher et al. 2019, Nature Communications 10:3583 (repository
kircherlab/MPRA_SaturationMutagenesis): tab-separated Chrom, Pos (from 1), Ref, Alt (`-` is a
deletion), Barcodes, DNA, RNA, Coefficient (log2 effect), pValue, Element, Release; or as its web
page gives it: Chromosome, Position, Ref, Alt, Tags, DNA, RNA, Value, P-Value, Element.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.regions import Regions
from genoglot.regions.chromosomes import rename_chromosome
from genoglot.sequence import Genome, to_codes
from genoglot.sequence.alphabet import LETTERS, Codes, N
from genoglot.tasks.genome_positions import find_inside
from genoglot.tasks.notes import Notes
from genoglot.tasks.source_tables import LINE, SourceTable
from genoglot.tasks.splits import SubsetNames, TaskSplit, assign_groups, random_subsets
from genoglot.tasks.task import PublishedResult, Task, published_results
from genoglot.tasks.writer import Batch, TaskContent

WINDOW = 1_400
FRACTIONS = (0.6, 0.2, 0.2)
COLUMNS = ("Chrom", "Pos", "Ref", "Alt", "Barcodes", "Coefficient", "Element")

_WEB_NAMES = {
    "Chromosome": "Chrom",
    "Position": "Pos",
    "Tags": "Barcodes",
    "Value": "Coefficient",
    "P-Value": "pValue",
}

ENHANCERS = ("BCL11A", "IRF4", "IRF6", "MYC", "RET", "SORT1", "TCF7L2", "UC88", "ZFAND3", "ZRS")
"""Elements of Kircher et al. that are not promoters, by how their names begin (MYCrs6983267)."""

_USABLE_P = (1e-200, 0.9)  # p-values between which they give the error of a coefficient


def build(
    sources: Sequence[Path],
    *,
    genome: Genome | None = None,
    seed: int = 0,
    promoters_only: bool = True,
    min_barcodes: int = 0,
    release: str = "GRCh38",
    errors: bool = False,
) -> TaskContent:
    """Make the content of the task.

    An example is a single-base change of an element: the 1,400 bp around the element's center,
    without and with it. Without a genome the sequence consists of the table's own reference bases,
    with N on both sides; with one, of the genome's bases. Deletions and rows without a coefficient
    are left out and counted.

    Splits: `positions` (the published one: 60/20/20 % of the positions, at random; experiments on
    the same locus share them), `element` (whole elements), and `leave-out:LOCUS` for each. A locus
    is an element, or several that overlap, such as the same promoter in two cell lines.

    Parameters
    ----------
    sources
        The table.
    genome, seed
        See `Task.build`.
    promoters_only
        Leave the enhancers of Kircher et al. out.
    min_barcodes
        Minimum number of barcodes of a change.
    release
        Assembly to read, where the table has each element on several (column Release).
    errors
        Add a column `error`: the standard error of each effect, computed from the p-values of the
        training positions.

    Raises
    ------
    TaskError
        With file and line, if the table is malformed or contradicts itself or the genome.
    """
    (path,) = sources
    notes = Notes()
    table = _read_changes(path, release, promoters_only, min_barcodes, notes)
    elements = _reference_bases(table)
    loci = _loci(elements)
    changes = table.frame.with_columns(locus=pl.col("Element").replace_strict(loci))
    positions = _split_positions(changes, np.random.default_rng(seed))
    rule = "60/20/20 % of the positions of each locus, at random"
    splits = {"positions": TaskSplit(rule, positions)}
    names = sorted(set(loci.values()))
    if len(names) >= 3:
        of_locus = assign_groups(names, FRACTIONS, np.random.default_rng([seed, 1]))
        held_out = ", ".join(f"{name} {s}" for name, s in of_locus.items() if s != "train")
        splits["element"] = TaskSplit(
            f"whole loci, at random: {held_out}",
            changes["locus"].replace_strict(of_locus).to_numpy(),
        )
    columns: dict[str, Any] = {
        "id": pl.format("{}:{}:{}:{}>{}", *("Element", "Chrom", "Pos", "Ref", "Alt")),
        "chrom": "Chrom",
        "start": pl.col("Pos") - 1,
        "end": "Pos",
        "strand": pl.lit("+"),
        "group": "locus",
        "element": "Element",
        "barcodes": "Barcodes",
    }
    if errors:
        columns["error"] = standard_errors(changes, positions == "train", path)
    columns |= {
        f"split:{name}": pl.Series(np.asarray(s.subsets).astype(str)) for name, s in splits.items()
    }
    examples = changes.select(**columns)

    def batches() -> Iterator[Batch]:
        for name in sorted(elements):
            codes, start = _sequence(elements[name], genome, path)
            rows = np.flatnonzero((changes["Element"] == name).to_numpy())
            some = changes[rows]
            reference = np.broadcast_to(codes, (len(rows), WINDOW))
            alternative = reference.copy()
            at = some["Pos"].to_numpy() - 1 - start
            alternative[np.arange(len(rows)), at] = to_codes("".join(some["Alt"]))
            effects = some["Coefficient"].to_numpy()[:, None]
            yield Batch(reference, effects, examples[rows], alternative)

    return TaskContent(sources, ["log2 effect"], WINDOW, splits, batches(), notes)


def _read_changes(
    path: Path, release: str, promoters_only: bool, min_barcodes: int, notes: Notes
) -> SourceTable:
    """Read the single-base changes of the table; the rest is counted in the notes."""
    table = SourceTable.read(path, COLUMNS, renamed=_WEB_NAMES)
    table.require("Element", "Chrom")
    frame = table.frame.with_columns(
        table.numbers("Pos", pl.Int64),
        table.numbers("Barcodes", pl.Int64),
        table.numbers("Coefficient"),
        pl.col("Ref", "Alt").str.to_uppercase(),
    )
    drops: dict[str, pl.Expr] = {}
    if "Release" in frame.columns and frame["Release"].n_unique() > 1:
        known = sorted(frame["Release"].drop_nulls().unique())
        if release not in known:
            raise TaskError(f"{path}: no release {release!r}; set it to one of {', '.join(known)}")
        drops["rows_of_other_releases"] = pl.col("Release").ne_missing(release)
    if promoters_only:
        drops["rows_of_enhancers"] = pl.col("Element").str.contains(f"^({'|'.join(ENHANCERS)})")
    drops["rows_without_value"] = pl.any_horizontal(pl.col("Pos", "Coefficient").is_null())
    drops["deletions"] = pl.col("Alt") == "-"
    drops["rows_with_few_barcodes"] = pl.col("Barcodes").fill_null(0) < min_barcodes
    for name, dropped in drops.items():
        keep = frame.select(~dropped.fill_null(value=False)).to_series().to_numpy()
        message = f"rows: left out ({name.replace('_', ' ')})"
        notes.count_dropped(name, message, path, keep)
        frame = frame.filter(keep)
    table = SourceTable(path, frame)
    single = pl.all_horizontal(pl.col("Ref", "Alt").is_in(list("ACGT"))).fill_null(value=False)
    table.refuse(
        ~single | (pl.col("Ref") == pl.col("Alt")),
        lambda row: f"{row['Ref']}>{row['Alt']} is not a change of one base of A C G T",
    )
    table.refuse(
        ~pl.struct("Element", "Pos", "Alt").is_first_distinct(),
        lambda row: (
            f"the change of {row['Element']} at {row['Pos']} to {row['Alt']} is there twice; "
            "remove one of them"
        ),
    )
    if not len(frame):
        raise TaskError(f"{path}: no single-base change with a coefficient")
    return table


def _reference_bases(table: SourceTable) -> dict[str, pl.DataFrame]:
    """Find the reference base of each position of each element: Chrom, Pos, Ref, by Pos."""
    bases = table.frame.group_by("Element", "Pos", maintain_order=True).agg(
        pl.col("Chrom", "Ref", LINE).first(),
        same=(pl.col("Ref").n_unique() == 1) & (pl.col("Chrom").n_unique() == 1),
    )
    table._replace(frame=bases).refuse(
        ~pl.col("same"),
        lambda row: f"position {row['Pos']} of {row['Element']} has two reference bases",
    )
    return {str(name): rows.sort("Pos") for (name,), rows in bases.group_by("Element")}


def _loci(elements: dict[str, pl.DataFrame]) -> dict[str, str]:
    """Name the locus of each element: its own, or those of all that overlap, joined by +."""
    names = sorted(elements)
    extents = Regions(
        [rename_chromosome(str(elements[name]["Chrom"][0]), "ucsc") for name in names],
        [elements[name]["Pos"][0] for name in names],
        [elements[name]["Pos"][-1] + 1 for name in names],
    )
    _, locus = extents.overlaps(extents.merge(gap=-1))  # without those that only touch
    together = pl.DataFrame({"name": names, "locus": locus}).select(
        pl.col("name").str.join("+").over("locus")
    )
    return dict(zip(names, together["name"], strict=True))


def standard_errors(table: pl.DataFrame, known: NDArray[np.bool_], path: Path) -> pl.Series:
    """Compute the standard error of each coefficient from its p-value and its barcodes.

    A coefficient is as many errors from 0 as a normal distribution gives for its p-value, so that
    both give the error, except for coefficients near 0. Within an element the square of the error
    falls with the number of barcodes; the median of their product therefore gives all errors of the
    element.

    Parameters
    ----------
    table
        Element, Coefficient, Barcodes and pValue.
    known
        Rows that the median is taken of, bool (n,): those that a model may learn from.
    path
        File that the table was read from, as errors name it.

    Returns
    -------
    polars.Series
        Standard errors (n,).

    Raises
    ------
    TaskError
        If there are no p-values, or no usable one in an element.

    Examples
    --------
    >>> rows = {"Element": ["F9", "F9"], "Coefficient": [0.98, -0.49], "Barcodes": [10, 40]}
    >>> table = pl.DataFrame({LINE: [2, 3], **rows, "pValue": ["0.05", "0.05"]})
    >>> standard_errors(table, np.array([True, True]), Path("table.tsv")).round(2).to_list()
    [0.5, 0.25]
    """
    from scipy.stats import norm

    if "pValue" not in table.columns:
        raise TaskError(f"{path}:1: the header has no column 'pValue', which gives the errors")
    p = SourceTable(path, table).numbers("pValue").to_numpy()
    usable = known & (p > _USABLE_P[0]) & (p < _USABLE_P[1])
    n_errors = norm.isf(np.where(usable, p, 0.5) / 2)
    barcodes = table["Barcodes"].fill_null(0).clip(1).to_numpy()
    square = (table["Coefficient"].to_numpy() / n_errors) ** 2 * barcodes  # with one barcode
    found = table.select(
        "Element", square=pl.Series(np.where(usable, square, np.nan)).fill_nan(None)
    ).select(pl.col("square").median().over("Element"))["square"]
    if found.null_count():
        name = table["Element"][int(found.is_null().arg_true()[0])]
        raise TaskError(f"{path}: element {name!r} has no p-value that gives an error; give some")
    return (found / pl.Series(barcodes)).sqrt()


def _split_positions(table: pl.DataFrame, rng: np.random.Generator) -> SubsetNames:
    positions = table.select("locus", "Pos").unique().sort("locus", "Pos")
    sizes = positions.group_by("locus", maintain_order=True).len()["len"]
    subsets = np.concatenate([random_subsets(size, FRACTIONS, rng) for size in sizes])
    positions = positions.with_columns(subset=pl.Series(subsets.astype(str)))
    joined = table.join(positions, on=["locus", "Pos"], how="left", maintain_order="left")
    return joined["subset"].to_numpy().astype(object)


def _sequence(element: pl.DataFrame, genome: Genome | None, path: Path) -> tuple[Codes, int]:
    """Return the 1,400 bp around an element, and the position at which they begin (from 0)."""
    name, chrom = element["Element"][0], str(element["Chrom"][0])
    at = element["Pos"].to_numpy() - 1
    bases = to_codes("".join(element["Ref"]))
    if at[-1] - at[0] >= WINDOW:
        raise TaskError(f"{path}: element {name!r} is longer than {WINDOW} bp; split it")
    start = (int(at[0]) + int(at[-1]) + 1) // 2 - WINDOW // 2
    if genome is None:
        codes = np.full(WINDOW, N, np.uint8)
        codes[at - start] = bases
        return codes, start
    region = Regions([chrom], [int(at[0])], [int(at[-1]) + 1])
    if not find_inside(region, genome, path).wholly.all():
        raise TaskError(
            f"{path}: element {name!r} ({region.loci[0]}) is not wholly in the genome; give the "
            "genome that the table is of"
        )
    codes = to_codes(genome.sequence(chrom, start, start + WINDOW))
    SourceTable(path, element.with_columns(genome=codes[at - start], table=bases)).refuse(
        pl.col("genome") != pl.col("table"),
        lambda row: (
            f"the reference base of {chrom}:{row['Pos']} is {LETTERS[row['table']]}, but "
            f"{LETTERS[row['genome']]} in the genome; give the assembly that the table is of"
        ),
    )
    return codes, start


TASK = Task(
    name="MPRAProm",
    target="regression",
    metrics=("Spearman", "MSE"),
    split="positions",
    sources="the table of saturation mutagenesis (satMutMPRA TSV)",
    needs_genome=False,
    builder=build,
    published=(
        *published_results(
            ("Spearman",), {"Attention": (0.389,), "CNN+FC": (0.377,), "CNN+LSTM": (0.370,)}
        ),
        PublishedResult(
            "between replicates", "Spearman", 0.75, "Kircher et al. 2019, the lower end"
        ),
    ),
)
