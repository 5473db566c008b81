"""GeneExp: expression of a gene in many tissues, from the 40 kb around its start.

Source formats, as ExPecto (Zhou et al. 2018, Nature Genetics 50:1171) publishes them: geneanno.csv
with the columns id, symbol, seqnames, strand, TSS, CAGE_representative_TSS (positions from 1) and
type; and geneanno.exp.csv, a first column without a name and one column of RPKM for each tissue,
rows in the order of geneanno.csv (or named by its ids).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from genoglot.errors import TaskError
from genoglot.regions import Regions
from genoglot.sequence import Genome
from genoglot.tasks.dataset import Floats, TaskData
from genoglot.tasks.places import check_chromosomes, example_columns
from genoglot.tasks.splits import EXPECTO, split_by_chromosome
from genoglot.tasks.tables import numbers, present, read_table
from genoglot.tasks.task import SEED, Published, Task
from genoglot.tasks.writer import write_task

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
    genes = _genes(sources[0])
    rpkm, tissues = _expression(sources[1], genes["id"].to_list())
    starts = genes["tss"].to_numpy() - 1
    places = Regions(genes["seqnames"].to_numpy(), starts, starts + 1, {"strand": genes["strand"]})
    inside = check_chromosomes(places, genome, sources[0])
    known = inside & ~np.isnan(rpkm).all(axis=1)
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
        kind="real",
        outputs=tissues,
        metrics=TASK.metrics,
        length=WINDOW,
        default_split="chromosome",
        sources=list(sources),
        splits={"chromosome": rule},
        notes={"genes_off_the_genome": int((~inside).sum()), "pseudocount": pseudocount},
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
    wrong = (~table["strand"].is_in(["+", "-"])).fill_null(value=True).arg_true()
    if len(wrong):
        row = int(wrong[0])
        raise TaskError(f"{path}:{row + 2}: strand is {table['strand'][row]!r}, neither + nor -")
    tss = numbers(table, "TSS", path)
    if _BEST_TSS in table.columns:
        best = numbers(table, _BEST_TSS, path)
        tss = best.fill_null(tss)
    wrong = (tss.is_null() | (tss < 1)).arg_true()
    if len(wrong):
        raise TaskError(f"{path}:{int(wrong[0]) + 2}: the TSS is missing; remove the gene")
    if table["id"].is_duplicated().any():
        raise TaskError(f"{path}: gene {table['id'].filter(table['id'].is_duplicated())[0]} twice")
    return table.select("id", "seqnames", "strand", tss=tss.cast(pl.Int64))


def _expression(path: Path, ids: list[str]) -> tuple[Floats, list[str]]:
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
            f"{path}:{row + 2}: {tissues[column]} is {values[row, column]}; RPKM are not negative "
            "(give them as they are, no logarithm)"
        )
    row_of = {name: i for i, name in enumerate(names)}
    wanted = set(ids)
    if wanted <= row_of.keys():
        for i, name in enumerate(names):
            if name in wanted and row_of[name] != i:
                raise TaskError(f"{path}:{row_of[name] + 2}: gene {name} twice; remove one row")
        return values[[row_of[name] for name in ids]].astype(np.float32), tissues
    if len(names) != len(ids) or not all((name or "").isdecimal() for name in names):
        raise TaskError(
            f"{path}: has {len(names)} rows that begin with {names[0]!r}; give a row for each of "
            f"the {len(ids)} genes, in their order or under their ids"
        )
    return values.astype(np.float32), tissues


TASK = Task(
    name="GeneExp",
    kind="real",
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
