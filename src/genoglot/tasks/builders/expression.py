"""GeneExp: expression of a gene in many tissues, from the 40 kb around its start.

Source formats, as ExPecto (Zhou et al. 2018, Nature Genetics 50:1171) publishes them: geneanno.csv
with the columns id, symbol, seqnames, strand, TSS, CAGE_representative_TSS (positions from 1) and
type; and geneanno.exp.csv, a first column without a name and one column of RPKM for each tissue,
rows in the order of geneanno.csv (or named by its ids).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from genoglot.errors import TaskError
from genoglot.regions import Regions
from genoglot.regions.strand import read_strands
from genoglot.sequence import Genome
from genoglot.tasks.dataset import Floats
from genoglot.tasks.genome_positions import OUTSIDE, find_inside, window_batches
from genoglot.tasks.notes import Notes
from genoglot.tasks.source_tables import SourceTable
from genoglot.tasks.splits import EXPECTO, split_by_chromosome
from genoglot.tasks.task import Task, published_results
from genoglot.tasks.writer import TaskContent

WINDOW = 40_000
PSEUDOCOUNT = 0.0001
_GENES = ("id", "seqnames", "strand", "TSS")
_BEST_TSS = "CAGE_representative_TSS"


def build(
    sources: Sequence[Path], *, genome: Genome, seed: int = 0, pseudocount: float = PSEUDOCOUNT
) -> TaskContent:
    """Make the content of the task.

    An example is a gene: the 40 kb around its TSS (that of CAGE where it is known), which is base
    number 20,000 from 0 in the direction of the gene, to be read as 200 windows of 200 bp, with N
    beyond the chromosome's ends (`genoglot predict --width 40000` reads a BED file of TSSs like
    this too); and the natural logarithm of its RPKM plus a pseudocount in each tissue.

    Split: `chromosome` (X and Y validate, 8 tests; if the genome does not have them, its last
    chromosomes), `leave-out:CHROM`.

    Parameters
    ----------
    sources
        The table of genes, and the table of their expression.
    genome
        See `Task.build`.
    seed
        Not used: nothing is random.
    pseudocount
        Number added to RPKM before the logarithm is taken; the default is ExPecto's.

    Raises
    ------
    GenoglotError
        With file and line, if a table is malformed, or if the tables do not fit together.
    """
    if len(sources) != 2:
        raise TaskError(f"{TASK.name} is built from {TASK.sources}; {len(sources)} files are given")
    notes = Notes(pseudocount=pseudocount)
    genes = _read_genes(sources[0])
    rpkm, tissues = _read_expression(sources[1], genes["id"].to_list(), notes)
    start = genes["tss"].to_numpy() - 1
    regions = Regions(genes["seqnames"].to_numpy(), start, start + 1, {"strand": genes["strand"]})
    inside = find_inside(regions, genome, sources[0]).wholly
    silent = inside & np.isnan(rpkm).all(axis=1)
    notes.count_dropped("genes_off_the_genome", f"genes {OUTSIDE}", sources[0], inside)
    notes.count_dropped(
        "genes_without_expression", "genes have no value: left out", sources[1], ~silent
    )
    known = inside & ~silent
    regions = regions[known]
    splits = split_by_chromosome(Counter(regions.chrom), EXPECTO)
    if not splits:
        raise TaskError(
            f"{sources[0]}: genes on {len(regions.chrom_names)} chromosomes of the genome; three "
            "are needed to train, validate and test on"
        )
    batches = window_batches(
        genome,
        regions,
        WINDOW,
        ids=genes["id"].filter(known),
        labels=np.log(rpkm[known] + pseudocount).astype(np.float32),
        splits=splits,
    )
    return TaskContent(sources, tissues, WINDOW, splits, batches, notes)


def _read_genes(path: Path) -> pl.DataFrame:
    """Read id, seqnames, strand and tss (from 1) of each gene."""
    table = SourceTable.read(path, _GENES)
    table.require("id", "seqnames")
    strand = read_strands(table.frame["strand"], str(path))
    table.refuse(strand == ".", lambda row: f"strand is {row['strand']!r}, neither + nor -")
    tss = table.numbers("TSS")
    if _BEST_TSS in table.frame.columns:
        tss = table.numbers(_BEST_TSS).fill_null(tss)
    table = table._replace(frame=table.frame.with_columns(tss=tss))
    table.refuse(tss.is_null() | (tss < 1), "the TSS is missing; remove the gene")
    table.refuse(
        tss != tss.round(),
        lambda row: f"the TSS is {row['tss']}, which is not a position; correct it",
    )
    table.refuse(
        ~pl.col("id").is_first_distinct(), lambda row: f"gene {row['id']} twice; remove one row"
    )
    return table.frame.select(
        "id", "seqnames", strand=pl.Series(strand, dtype=pl.String), tss=tss.cast(pl.Int64)
    )


def _read_expression(path: Path, ids: list[str], notes: Notes) -> tuple[Floats, list[str]]:
    """Read RPKM (genes, tissues), rows as `ids`, NaN where missing, and the tissues' names."""
    table = SourceTable.read(path, [])
    _, first, *tissues = table.frame.columns
    if not tissues:
        raise TaskError(f"{path}:1: no column for a tissue behind the first one")
    names = table.frame[first].to_list()
    columns = []
    for tissue in tissues:
        columns.append(table.numbers(tissue))
        table.refuse(
            columns[-1] < 0,
            f"the value of {tissue} is below 0; RPKM are not negative (give them as they are, "
            "without taking the logarithm)",
        )
    values = np.stack([column.to_numpy() for column in columns], axis=1).astype(np.float32)
    row_of = {name: i for i, name in enumerate(names)}
    if row_of.keys() >= set(ids):
        again = pl.col(first).is_in(ids) & ~pl.col(first).is_first_distinct()
        table.refuse(again, lambda row: f"gene {row[first]} twice; remove one row")
        other = {path: (len(row_of) - len(ids), len(row_of))}
        notes.count("other_genes", "genes are not in the table of genes: left out", other)
        return values[[row_of[name] for name in ids]], tissues
    if len(names) != len(ids) or not all((name or "").isdecimal() for name in names):
        raise TaskError(
            f"{path}: has {len(names)} rows that begin with {names[0]!r}; give a row for each of "
            f"the {len(ids)} genes, in their order or under their ids"
        )
    if any(int(number) >= int(after) for number, after in pairwise(names)):
        raise TaskError(
            f"{path}: the numbers of the rows do not rise, so that it is not clear which gene each "
            "is of; give the genes' ids in the first column"
        )
    return values, tissues


TASK = Task(
    name="GeneExp",
    target="regression",
    metrics=("Spearman", "MSE"),
    split="chromosome",
    sources="geneanno.csv and geneanno.exp.csv, as ExPecto publishes them",
    needs_genome=True,
    builder=build,
    published=published_results(
        ("Spearman",), {"Attention": (0.843,), "CNN+FC": (0.835,), "CNN+LSTM": (0.835,)}
    ),
)
