"""Methyl96: how often a CpG is methylated, from the 500 bp around it.

Source format: bedMethyl of ENCODE (BED9+2, as the UCSC schema of wgEncodeHaibMethylRrbs tells): 10
is the number of reads, 11 the percentage of them that is methylated; later columns are ignored.
Positions are of the C on either strand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from genoglot.errors import TaskError
from genoglot.regions import Regions
from genoglot.regions.bed import line_of_region
from genoglot.sequence import Genome
from genoglot.tasks.dataset import Floats, Ints, TaskData
from genoglot.tasks.places import check_chromosomes, example_columns
from genoglot.tasks.splits import RRBS, chromosome_parts
from genoglot.tasks.task import Task, published_figures
from genoglot.tasks.writer import write_task

WINDOW = 501
MIN_COLUMNS = 11
_BATCH = 8192
_C, _G = 1, 2


class Calls(NamedTuple):
    """CpGs of one sample: by chromosome, positions of the C on the plus strand and counts."""

    name: str
    sites: dict[str, tuple[Ints, Ints, Ints]]
    """Position (sorted), reads, methylated reads."""
    dropped: int
    """Calls that are no CpG of the genome."""


def build(
    sources: Sequence[Path],
    out: Path,
    *,
    genome: Genome | None = None,
    seed: int = 0,
    leakage: bool = True,
    overwrite: bool = False,
    min_reads: int = 10,
) -> TaskData:
    """Build the task.

    An example is a CpG that has enough reads in one of the samples, both strands together: the 501
    bp around its C, and in every sample methylated over all reads, NaN where there are too few.

    Split: `chromosome` (12 and 13 validate; 10, 11, X and Y test; if the genome lacks them, its
    last chromosomes), `leave-out:CHROM`.

    Parameters
    ----------
    sources
        A file for each sample.
    out, genome, leakage, overwrite
        See `Task.build`.
    seed
        Not used: nothing is random.
    min_reads
        Reads that a CpG must have in a sample. (The seed names no number.)

    Raises
    ------
    GenoglotError
        If a file is no bedMethyl, or its calls are not CpGs of the genome.
    """
    assert genome is not None
    samples = [read_calls(path, genome, min_reads) for path in sources]
    sites = {}
    for chrom in genome.names:
        found = [sample.sites[chrom][0] for sample in samples if chrom in sample.sites]
        if found:
            sites[chrom] = np.unique(np.concatenate(found))
    if len(sites) < 3:
        raise TaskError(
            f"{len(sites)} chromosomes have CpGs with {min_reads} reads; three are needed to "
            "train, validate and test on"
        )
    part_of, rule = chromosome_parts(list(sites), RRBS, [len(at) for at in sites.values()])
    with write_task(
        out,
        task=TASK.name,
        name=TASK.name,
        kind="real",
        outputs=[sample.name for sample in samples],
        metrics=TASK.metrics,
        length=WINDOW,
        default_split="chromosome",
        sources=list(sources),
        splits={"chromosome": rule},
        notes={"min_reads": min_reads, "calls_not_at_a_CpG": sum(s.dropped for s in samples)},
        genome=genome.digest,
        leakage=leakage,
        overwrite=overwrite,
    ) as writer:
        for chrom, position in sites.items():
            for i in range(0, len(position), _BATCH):
                at = position[i : i + _BATCH]
                places = Regions.from_codes([chrom], np.zeros(len(at), np.int32), at, at + 1)
                columns = example_columns(places, [f"{chrom}:{one + 1}" for one in at])
                columns["split:chromosome"] = [part_of[chrom]] * len(at)
                writer.add(genome.fetch(places, WINDOW), _levels(samples, chrom, at), columns)
    return TaskData.open(out)


def read_calls(path: Path, genome: Genome, min_reads: int) -> Calls:
    """Read one sample, and put the calls of both strands of a CpG together.

    Raises
    ------
    TaskError
        If the file has fewer than 11 columns or values that cannot be; or if more than half of
        the calls on the genome are not at a CpG of it, so that it must be another assembly.
    """
    calls = Regions.from_bed(path)
    if calls.columns.width < MIN_COLUMNS - 3:
        raise TaskError(
            f"{path}: has {calls.columns.width + 3} columns; bedMethyl has {MIN_COLUMNS} or more, "
            "reads in 10 and percentage in 11"
        )
    reads, percent = (
        calls.columns.to_series(column).cast(pl.String).cast(pl.Float64, strict=False).to_numpy()
        for column in (6, 7)
    )
    wrong = np.flatnonzero(~(np.isfinite(reads) & (reads >= 0) & (percent >= 0) & (percent <= 100)))
    if len(wrong):
        row = int(wrong[0])
        raise TaskError(
            f"{path}:{line_of_region(path, row)}: {reads[row]} reads (column 10), of which "
            f"{percent[row]} % are methylated (column 11); no bedMethyl"
        )
    inside = check_chromosomes(calls, genome, path)
    calls, reads, percent = calls[inside], reads[inside], percent[inside]
    # A call of both strands together is 2 bp long and begins at the C.
    calls = Regions.from_codes(calls.chrom_names, calls.chrom_codes, calls.start, calls.start + 1)
    # Two bases on either side tell whether a C, or the G opposite to one, is of a CpG.
    around = genome.fetch(calls, 3)
    forward = (around[:, 1] == _C) & (around[:, 2] == _G)
    backward = (around[:, 1] == _G) & (around[:, 0] == _C)
    cpg = forward | backward
    if len(calls) and cpg.mean() < 0.5:
        row = int(np.flatnonzero(~cpg)[0])
        raise TaskError(
            f"{path}: {1 - cpg.mean():.0%} of the calls are not at a CpG of the genome (such as "
            f"{calls[[row]].loci[0]}); give the assembly that the file is of"
        )
    at = calls.start - backward
    methylated = np.rint(reads * percent / 100)
    sites: dict[str, tuple[Ints, Ints, Ints]] = {}
    for code, name in enumerate(calls.chrom_names):
        rows = np.flatnonzero((calls.chrom_codes == code) & cpg)
        place, index = np.unique(at[rows], return_inverse=True)
        total = np.bincount(index, reads[rows], len(place)).astype(np.int64)
        hits = np.bincount(index, methylated[rows], len(place)).astype(np.int64)
        enough = total >= max(min_reads, 1)
        if enough.any():
            sites[name] = place[enough], total[enough], hits[enough]
    name = path.name.removesuffix(".gz").removesuffix(".bed").removesuffix(".bedMethyl")
    return Calls(name, sites, int((~cpg).sum()))


def _levels(samples: Sequence[Calls], chrom: str, at: Ints) -> Floats:
    """Share of methylated reads of each site in each sample, NaN where it is not known."""
    levels = np.full((len(at), len(samples)), np.nan, np.float32)
    for i, sample in enumerate(samples):
        if chrom not in sample.sites:
            continue
        place, reads, hits = sample.sites[chrom]
        found = np.minimum(np.searchsorted(place, at), len(place) - 1)
        here = place[found] == at
        levels[here, i] = (hits[found] / reads[found])[here]
    return levels


_METRICS = ("Spearman", "MSE")

TASK = Task(
    name="Methyl96",
    kind="real",
    metrics=_METRICS,
    split="chromosome",
    sources="bedMethyl files, one for each sample",
    needs_genome=True,
    builder=build,
    published=published_figures(
        _METRICS,
        {
            "Attention": (0.607, 0.052),
            "CNN+FC": (0.576,),
            "CNN+LSTM": (0.572,),
            "Attention, from scratch": (0.592, 0.055),
            "Attention, from Track7878": (0.598, 0.049),
        },
    ),
)
