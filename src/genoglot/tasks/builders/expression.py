"""GeneExp: expression of a gene in many tissues, from the 40 kb around its start.

Source formats, as ExPecto (Zhou et al. 2018, Nature Genetics 50:1171) publishes them: geneanno.csv
with the columns id, symbol, seqnames, strand, TSS, CAGE_representative_TSS (positions from 1) and
type; and geneanno.exp.csv, a first column without a name and one column of RPKM for each tissue,
rows in the order of geneanno.csv (or named by its ids).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from genoglot.errors import TaskError
from genoglot.regions import Regions
from genoglot.regions.strand import read_strands
from genoglot.sequence import Genome
from genoglot.tasks.dataset import Floats, TaskData
from genoglot.tasks.genome_positions import OUTSIDE, example_columns, find_inside
from genoglot.tasks.source_tables import line_of, numbers, present, read_table
from genoglot.tasks.splits import EXPECTO, split_by_chromosome
from genoglot.tasks.task import SEED, Published, Task
from genoglot.tasks.writer import note_count, write_task

PIECE, PIECES = 200, 200
WINDOW = PIECE * PIECES
PSEUDOCOUNT = 0.0001
_BATCH = 256
_GENES = ("id", "seqnames", "strand", "TSS")
_BEST_TSS = "CAGE_representative_TSS"


def build(
    sources: Sequence[Path],
    out: Path,
    *,
    genome: Genome | None = None,
    seed: int = 0,
    leakage: bool = True,
    overwrite: bool = False,
    pseudocount: float = PSEUDOCOUNT,
) -> TaskData:
    """Build the task.

    An example is a gene: the 40 kb around its TSS (that of CAGE where it is known), which is base
    number 20,000 from 0 in the direction of the gene, to be read as 200 pieces of 200 bp, with N
    beyond the chromosome's ends (`genoglot predict --width 40000` reads a BED file of TSS so too);
    and the natural logarithm of its RPKM plus a pseudocount in each tissue.

    Split: `chromosome` (X and Y validate, 8 tests; if the genome lacks them, its last
    chromosomes), `leave-out:CHROM`.

    Parameters
    ----------
    sources
        The table of genes, and the table of their expression.
    out, genome, leakage, overwrite
        See `Task.build`.
    seed
        Not used: nothing is random.
    pseudocount
        Added to RPKM before the logarithm is taken; ExPecto's.

    Raises
    ------
    GenoglotError
        With file and line, if a table is malformed, or both do not fit together.
    """
    assert genome is not None
    if len(sources) != 2:
        raise TaskError(f"{TASK.name} is built from {TASK.sources}; {len(sources)} files are given")
    notes: dict[str, Any] = {"pseudocount": pseudocount}
    genes = _genes(sources[0])
    rpkm, tissues = _expression(sources[1], genes["id"].to_list(), notes)
    starts = genes["tss"].to_numpy() - 1
    places = Regions(genes["seqnames"].to_numpy(), starts, starts + 1, {"strand": genes["strand"]})
    inside = find_inside(places, genome, sources[0]).wholly
    silent = inside & np.isnan(rpkm).all(axis=1)
    counts = {sources[0]: (int((~inside).sum()), len(inside))}
    note_count(notes, "genes_off_the_genome", f"genes {OUTSIDE}", counts)
    counts = {sources[1]: (int(silent.sum()), len(silent))}
    note_count(notes, "genes_without_expression", "genes have no value: left out", counts)
    known = inside & ~silent
    genes, places = genes.filter(pl.Series(known)), places[known]
    levels = np.log(rpkm[known] + pseudocount).astype(np.float32)
    parts, rule = split_by_chromosome(places.chrom, EXPECTO)
    if parts is None:
        raise TaskError(
            f"{sources[0]}: genes on {len(places.chrom_names)} chromosomes of the genome; three "
            "are needed to train, validate and test on"
        )
    with write_task(
        out,
        task=TASK.name,
        name=TASK.name,
        target="regression",
        outputs=tissues,
        metrics=TASK.metrics,
        length=WINDOW,
        default_split="chromosome",
        sources=list(sources),
        splits={"chromosome": rule},
        notes=notes,
        genome=genome.digest,
        leakage=leakage,
        overwrite=overwrite,
    ) as writer:
        for i in range(0, len(places), _BATCH):
            some = places[i : i + _BATCH]
            columns = example_columns(some, genes["id"][i : i + _BATCH])
            columns["split:chromosome"] = parts[i : i + _BATCH].astype(str)
            writer.add(genome.fetch(some, WINDOW), levels[i : i + _BATCH], columns)
    return TaskData.open(out)


def _genes(path: Path) -> pl.DataFrame:
    """Read id, seqnames, strand and tss (from 1) of each gene."""
    table = read_table(path, _GENES)
    for column in ("id", "seqnames"):
        present(table, column, path)
    strand = read_strands(table["strand"], str(path))
    unknown = np.flatnonzero(strand == ".")
    if len(unknown):
        row = int(unknown[0])
        raise TaskError(
            f"{path}:{line_of(path, row)}: strand is {table['strand'][row]!r}, neither + nor -"
        )
    tss = numbers(table, "TSS", path)
    if _BEST_TSS in table.columns:
        best = numbers(table, _BEST_TSS, path)
        tss = best.fill_null(tss)
    wrong = (tss.is_null() | (tss < 1)).arg_true()
    if len(wrong):
        raise TaskError(
            f"{path}:{line_of(path, int(wrong[0]))}: the TSS is missing; remove the gene"
        )
    wrong = (tss != tss.round()).arg_true()
    if len(wrong):
        row = int(wrong[0])
        raise TaskError(
            f"{path}:{line_of(path, row)}: the TSS is {tss[row]}, no position; correct it"
        )
    if table["id"].is_duplicated().any():
        raise TaskError(f"{path}: gene {table['id'].filter(table['id'].is_duplicated())[0]} twice")
    return table.select(
        "id", "seqnames", strand=pl.Series(strand, dtype=pl.String), tss=tss.cast(pl.Int64)
    )


def _expression(path: Path, ids: list[str], notes: dict[str, Any]) -> tuple[Floats, list[str]]:
    """Read RPKM (genes, tissues), rows as `ids`, NaN where missing, and the tissues' names."""
    table = read_table(path, [])
    first, *tissues = table.columns
    if not tissues:
        raise TaskError(f"{path}:1: no column for a tissue behind the first one")
    names = table[first].to_list()
    values = np.stack(
        [numbers(table, name, path).cast(pl.Float64).to_numpy() for name in tissues], axis=1
    )
    wrong = np.argwhere(values < 0)
    if len(wrong):
        row, column = wrong[0].tolist()
        raise TaskError(
            f"{path}:{line_of(path, row)}: {tissues[column]} is {values[row, column]}; "
            "RPKM are not negative (give them as they are, no logarithm)"
        )
    row_of = {name: i for i, name in enumerate(names)}
    wanted = set(ids)
    if wanted <= row_of.keys():
        for i, name in enumerate(names):
            if name in wanted and row_of[name] != i:
                raise TaskError(
                    f"{path}:{line_of(path, row_of[name])}: gene {name} twice; remove one row"
                )
        other = {path: (len(row_of) - len(wanted), len(row_of))}
        note_count(notes, "other_genes", "genes are not in the table of genes: left out", other)
        return values[[row_of[name] for name in ids]].astype(np.float32), tissues
    if len(names) != len(ids) or not all((name or "").isdecimal() for name in names):
        raise TaskError(
            f"{path}: has {len(names)} rows that begin with {names[0]!r}; give a row for each of "
            f"the {len(ids)} genes, in their order or under their ids"
        )
    order = [int(name) for name in names]
    if any(number >= after for number, after in pairwise(order)):
        raise TaskError(
            f"{path}: the numbers of the rows do not rise, so that it is not clear which gene each "
            "is of; give the genes' ids in the first column"
        )
    return values.astype(np.float32), tissues


TASK = Task(
    name="GeneExp",
    target="regression",
    metrics=("Spearman", "MSE"),
    split="chromosome",
    sources="geneanno.csv and geneanno.exp.csv, as ExPecto has them",
    needs_genome=True,
    builder=build,
    published=(
        Published("Attention", "Spearman", 0.843, SEED),
        Published("CNN+FC", "Spearman", 0.835, SEED),
        Published("CNN+LSTM", "Spearman", 0.835, SEED),
    ),
)
