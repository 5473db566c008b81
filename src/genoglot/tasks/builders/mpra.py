"""MPRAProm: what a single base changes in a promoter's activity, from saturation mutagenesis.

Source format: the table of Kircher et al. 2019, Nature Communications 10:3583 (repository
kircherlab/MPRA_SaturationMutagenesis): tab-separated Chrom, Pos (from 1), Ref, Alt (`-` is a
deletion), Barcodes, DNA, RNA, Coefficient (log2 effect), pValue, Element, Release; or as its web
page gives it: Chromosome, Position, Ref, Alt, Tags, DNA, RNA, Value, P-Value, Element.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
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
from genoglot.tasks.dataset import TaskData
from genoglot.tasks.genome_positions import find_inside
from genoglot.tasks.source_tables import numbers, present, read_table
from genoglot.tasks.splits import Parts, group_parts, random_parts
from genoglot.tasks.task import SEED, Published, Task
from genoglot.tasks.writer import TaskWriter, note_count, write_task

WINDOW = 1_400
SHARES = (0.6, 0.2, 0.2)
COLUMNS = ("Chrom", "Pos", "Ref", "Alt", "Barcodes", "Coefficient", "Element")

_WEB_NAMES = {
    "Chromosome": "Chrom",
    "Position": "Pos",
    "Tags": "Barcodes",
    "Value": "Coefficient",
    "P-Value": "pValue",
}

ENHANCERS = ("BCL11A", "IRF4", "IRF6", "MYC", "RET", "SORT1", "TCF7L2", "UC88", "ZFAND3", "ZRS")
"""Elements of Kircher et al. that are no promoters, by how their names begin (MYCrs6983267)."""

_TELLING = (1e-200, 0.9)  # p-values of which a coefficient's error can be told


def build(
    sources: Sequence[Path],
    out: Path,
    *,
    genome: Genome | None = None,
    seed: int = 0,
    leakage: bool = True,
    overwrite: bool = False,
    promoters_only: bool = True,
    min_barcodes: int = 0,
    release: str = "GRCh38",
    errors: bool = False,
) -> TaskData:
    """Build the task.

    An example is a single-base change of an element: the 1,400 bp around the element's center,
    without and with it. Without a genome the sequence is what the table's own reference bases
    give, with N on both sides; with one, its bases stand there. Deletions and rows without a
    coefficient are left out and counted.

    Splits: `positions` (the seed's: 60/20/20 % of the positions, at random; experiments on the
    same place share them), `element` (whole elements), and `leave-out:LOCUS` for each. A locus is
    an element, or several that overlap, such as the same promoter in two cell lines.

    Parameters
    ----------
    sources
        The table.
    out, genome, seed, leakage, overwrite
        See `Task.build`.
    promoters_only
        Leave the enhancers of Kircher et al. out.
    min_barcodes
        Leave out changes that fewer barcodes tell of.
    release
        The assembly to read, where the table has each element on several (column Release).
    errors
        Add a column `error`: the standard error of each effect, which the p-values of the training
        positions tell.

    Raises
    ------
    TaskError
        With file and line, if the table is malformed or contradicts itself or the genome.
    """
    (path,) = sources
    notes: dict[str, Any] = {}
    table = _read(path, release, promoters_only, min_barcodes, notes)
    elements = _elements(table, path)
    loci = _loci(elements)
    table = table.with_columns(locus=pl.col("Element").replace_strict(loci))
    splits = {"positions": "60/20/20 % of the positions of each locus, at random"}
    parts = {"positions": _by_position(table, np.random.default_rng(seed))}
    columns = {"barcodes": pl.col("Barcodes")}
    if errors:
        columns["error"] = pl.col("error")
        table = table.with_columns(
            error=standard_errors(table, parts["positions"] == "train", path)
        )
    names = sorted(set(loci.values()))
    if len(names) >= 3:
        of_locus = group_parts(names, SHARES, np.random.default_rng([seed, 1]))
        parts["element"] = table["locus"].replace_strict(of_locus).to_numpy()
        told = ", ".join(f"{name} {part}" for name, part in of_locus.items() if part != "train")
        splits["element"] = f"whole loci, at random: {told}"
    with write_task(
        out,
        task=TASK.name,
        name=TASK.name,
        target=TASK.target,
        outputs=["log2 effect"],
        metrics=TASK.metrics,
        length=WINDOW,
        paired=True,
        default_split="positions",
        sources=[path],
        splits=splits,
        notes=notes,
        genome=None if genome is None else genome.digest,
        leakage=leakage,
        overwrite=overwrite,
    ) as writer:
        for name in sorted(elements):
            rows = np.flatnonzero((table["Element"] == name).to_numpy())
            of = {split: parts[split][rows] for split in splits}
            _add(writer, table[rows], _sequence(elements[name], genome, path), columns, of)
    return TaskData.open(out)


def _add(
    writer: TaskWriter,
    changes: pl.DataFrame,
    sequence: tuple[Codes, int],
    columns: dict[str, pl.Expr],
    parts: dict[str, Parts],
) -> None:
    """Write the changes of one element, whose sequence begins at a place (from 0)."""
    reference, start = sequence
    codes = np.broadcast_to(reference, (len(changes), WINDOW))
    alternative = codes.copy()
    at = changes["Pos"].to_numpy() - 1 - start
    alternative[np.arange(len(changes)), at] = to_codes("".join(changes["Alt"]))
    metadata = changes.select(
        id=pl.format("{}:{}:{}:{}>{}", *("Element", "Chrom", "Pos", "Ref", "Alt")),
        chrom="Chrom",
        start=pl.col("Pos") - 1,
        end="Pos",
        strand=pl.lit("+"),
        group="locus",
        element="Element",
        **columns,
    ).with_columns(**{f"split:{name}": pl.Series(part.astype(str)) for name, part in parts.items()})
    effects = changes["Coefficient"].to_numpy().astype(np.float32)[:, None]
    writer.add(codes, effects, metadata, alternative)


def _read(
    path: Path, release: str, promoters_only: bool, min_barcodes: int, notes: dict[str, Any]
) -> pl.DataFrame:
    """Read the table, its single-base changes only; notes tell what was left out."""
    table = read_table(path, COLUMNS, renamed=_WEB_NAMES)
    table = table.with_row_index("line", offset=2)
    table = table.with_columns(
        numbers(table, "Pos", path, pl.Int64),
        numbers(table, "Barcodes", path, pl.Int64),
        numbers(table, "Coefficient", path),
    )
    present(table, "Element", path)
    present(table, "Chrom", path)

    def leave(name: str, left_out: pl.Expr) -> None:
        nonlocal table
        kept = table.filter(~left_out.fill_null(value=False))
        count = {path: (len(table) - len(kept), len(table))}
        note_count(notes, name, f"rows: left out ({name.replace('_', ' ')})", count)
        table = kept

    if "Release" in table.columns and table["Release"].n_unique() > 1:
        known = sorted(table["Release"].drop_nulls().unique())
        if release not in known:
            raise TaskError(f"{path}: no release {release!r}; set it to one of {', '.join(known)}")
        leave("rows_of_other_releases", pl.col("Release").ne_missing(release))
    if promoters_only:
        enhancer = pl.col("Element").str.contains(f"^({'|'.join(ENHANCERS)})")
        leave("rows_of_enhancers", enhancer)
    leave("rows_without_value", pl.any_horizontal(pl.col("Pos", "Coefficient").is_null()))
    leave("deletions", pl.col("Alt") == "-")
    leave("rows_with_few_barcodes", pl.col("Barcodes").fill_null(0) < min_barcodes)
    table = table.with_columns(pl.col("Ref", "Alt").str.to_uppercase())
    single = pl.all_horizontal(pl.col("Ref", "Alt").is_in(list("ACGT"))).fill_null(value=False)
    wrong = table.filter(~single | (pl.col("Ref") == pl.col("Alt")))
    if len(wrong):
        line, ref, alt = wrong.select("line", "Ref", "Alt").row(0)
        raise TaskError(f"{path}:{line}: {ref}>{alt} is no change of one base of A C G T")
    key = ["Element", "Pos", "Alt"]
    repeated = table.filter(pl.struct(key).is_duplicated() & ~pl.struct(key).is_first_distinct())
    if len(repeated):
        line, *change = repeated.select("line", *key).row(0)
        raise TaskError(f"{path}:{line}: {change} is there twice; remove one of them")
    if not len(table):
        raise TaskError(f"{path}: no single-base change with a coefficient")
    return table


def _elements(table: pl.DataFrame, path: Path) -> dict[str, pl.DataFrame]:
    """Find the reference base of each position of each element: Chrom, Pos, Ref, by Pos."""
    bases = table.group_by("Element", "Pos", maintain_order=True).agg(
        pl.col("Chrom").first(), pl.col("Ref").first(), pl.col("line").first(),
        same=(pl.col("Ref").n_unique() == 1) & (pl.col("Chrom").n_unique() == 1),
    )  # fmt: skip
    wrong = bases.filter(~pl.col("same"))
    if len(wrong):
        name, pos, line = wrong.select("Element", "Pos", "line").row(0)
        raise TaskError(f"{path}:{line}: position {pos} of {name} has two reference bases")
    return {str(name): part.sort("Pos") for (name,), part in bases.group_by("Element")}


def _loci(elements: dict[str, pl.DataFrame]) -> dict[str, str]:
    """Name the locus of each element: its own, or those of all that overlap, joined by +."""
    extent = {
        name: (
            rename_chromosome(str(part["Chrom"][0]), "ucsc"),
            int(part["Pos"][0]), int(part["Pos"][-1]),
        )
        for name, part in elements.items()
    }  # fmt: skip
    order = sorted(extent, key=lambda name: (extent[name], name))
    clusters: list[list[str]] = []
    reach = 0
    for before, name in pairwise(["", *order]):
        chrom, first, last = extent[name]
        if clusters and extent[before][0] == chrom and first <= reach:
            clusters[-1].append(name)
            reach = max(reach, last)
        else:
            clusters.append([name])
            reach = last
    return {name: "+".join(sorted(cluster)) for cluster in clusters for name in cluster}


def standard_errors(table: pl.DataFrame, seen: NDArray[np.bool_], path: Path) -> pl.Series:
    """Find the standard error of each coefficient, from its p-value and its barcodes.

    A coefficient is so many errors from 0 as its p-value tells of a normal, so that both give
    the error, but for coefficients near 0. Within an element the square of it falls with the
    number of barcodes; the median of their product therefore gives all of the element.

    Parameters
    ----------
    table
        Element, Coefficient, Barcodes and pValue.
    seen
        Which rows the median is of, bool (n,): those that a model may learn from.
    path
        Where it was read, for the message.

    Raises
    ------
    TaskError
        If there are no p-values, or no usable one in an element.

    Examples
    --------
    >>> rows = {"Element": ["F9", "F9"], "Coefficient": [0.98, -0.49], "Barcodes": [10, 40]}
    >>> table = pl.DataFrame({**rows, "pValue": ["0.05", "0.05"]})
    >>> standard_errors(table, np.array([True, True]), Path("table.tsv")).round(2).to_list()
    [0.5, 0.25]
    """
    from scipy.stats import norm

    if "pValue" not in table.columns:
        raise TaskError(f"{path}:1: the header has no column 'pValue', which errors are told by")
    p = numbers(table, "pValue", path).to_numpy()
    inside = seen & (p > _TELLING[0]) & (p < _TELLING[1])
    away = norm.isf(np.where(inside, p, 0.5) / 2)
    barcodes = table["Barcodes"].fill_null(0).clip(1).to_numpy()
    once = (table["Coefficient"].to_numpy() / away) ** 2 * barcodes  # error² with one barcode
    found = table.select(
        "Element", once=pl.Series(np.where(inside, once, np.nan)).fill_nan(None)
    ).select(pl.col("once").median().over("Element"))["once"]
    if found.null_count():
        name = table["Element"][int(found.is_null().arg_true()[0])]
        raise TaskError(f"{path}: no p-value of element {name!r} tells of an error; give some")
    return (found / pl.Series(barcodes)).sqrt().rename("error")


def _by_position(table: pl.DataFrame, rng: np.random.Generator) -> Parts:
    places = table.select("locus", "Pos").unique().sort("locus", "Pos")
    sizes = places.group_by("locus", maintain_order=True).len()["len"]
    parts = np.concatenate([random_parts(size, SHARES, rng) for size in sizes])
    places = places.with_columns(subset=pl.Series(parts.astype(str)))
    joined = table.join(places, on=["locus", "Pos"], how="left", maintain_order="left")
    return joined["subset"].to_numpy().astype(object)


def _sequence(element: pl.DataFrame, genome: Genome | None, path: Path) -> tuple[Codes, int]:
    """Return the 1,400 bp around an element, and where they begin (from 0)."""
    at = element["Pos"].to_numpy() - 1
    bases = to_codes("".join(element["Ref"]))
    if at[-1] - at[0] >= WINDOW:
        name = element["Element"][0]
        raise TaskError(f"{path}: element {name!r} is longer than {WINDOW} bp; split it")
    start = (int(at[0]) + int(at[-1]) + 1) // 2 - WINDOW // 2
    if genome is None:
        codes = np.full(WINDOW, N, np.uint8)
        codes[at - start] = bases
        return codes, start
    chrom = str(element["Chrom"][0])
    place = Regions([chrom], [int(at[0])], [int(at[-1]) + 1])
    if not find_inside(place, genome, path).wholly.all():
        raise TaskError(
            f"{path}: element {element['Element'][0]!r} ({place.loci[0]}) is not wholly in the "
            "genome; give the genome that the table is of"
        )
    codes = to_codes(genome.sequence(chrom, start, start + WINDOW))
    wrong = np.flatnonzero(codes[at - start] != bases)
    if len(wrong):
        i = int(wrong[0])
        raise TaskError(
            f"{path}:{element['line'][i]}: the reference base of {chrom}:{at[i] + 1} is "
            f"{LETTERS[bases[i]]}, but {LETTERS[codes[at[i] - start]]} in the genome; give the "
            "assembly that the table is of"
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
        Published("Attention", "Spearman", 0.389, SEED),
        Published("CNN+FC", "Spearman", 0.377, SEED),
        Published("CNN+LSTM", "Spearman", 0.370, SEED),
        Published("between replicates", "Spearman", 0.75, "Kircher et al. 2019, the lower end"),
    ),
)
