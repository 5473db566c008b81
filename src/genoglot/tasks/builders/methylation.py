"""Methyl96: how often a CpG is methylated, from the 500 bp around it.

Source format: bedMethyl (see `genoglot.tasks.builders.bedmethyl`), a file for each sample.
Positions are those of the C on either strand, counted from 0; a call of both strands together may
be 2 bp long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.regions import Regions
from genoglot.sequence import Genome
from genoglot.tasks.builders.bedmethyl import Modification, Unit, read_bed_methyl
from genoglot.tasks.dataset import Floats
from genoglot.tasks.genome_positions import OUTSIDE, find_inside, window_batches
from genoglot.tasks.notes import Notes
from genoglot.tasks.splits import RRBS, split_by_chromosome
from genoglot.tasks.task import Task, check_choice, published_results
from genoglot.tasks.writer import Batch, TaskContent

WINDOW = 501
_BATCH = 8192
_C, _G = 1, 2

_DROPPED = {
    "other_modifications": "calls are of another modification: left out",
    "without_percentage": "calls have no percentage: left out",
    "repeated": "calls repeat another call: counted once",
    "off_the_genome": f"calls {OUTSIDE}",
    "not_at_a_CpG": "calls are not at a CpG of the genome: left out",
    "few_reads": "CpGs have too few reads: left out",
}
"""What the log says of calls, by the name under which they are counted."""

Positions = NDArray[np.int64]


class Sample(NamedTuple):
    """CpGs of one sample.

    Attributes
    ----------
    name
        Name of the sample: that of its file.
    sites
        By chromosome: position of the C on the plus strand (sorted), reads, and methylated reads.
    dropped
        For each reason of `_DROPPED`, how many calls were left out, and of how many.
    """

    name: str
    sites: dict[str, tuple[Positions, Positions, Positions]]
    dropped: dict[str, tuple[int, int]]


def build(
    sources: Sequence[Path],
    *,
    genome: Genome,
    seed: int = 0,
    min_reads: int = 10,
    modification: Modification = "m",
    unit: Unit = "auto",
) -> TaskContent:
    """Make the content of the task.

    An example is a CpG that has enough reads in one of the samples, both strands together: the 501
    bp around its C, and in every sample the proportion of its reads that are methylated, NaN where
    there are too few.

    Split: `chromosome` (12 and 13 validate; 10, 11, X and Y test; if they are not in the genome,
    its last chromosomes), `leave-out:CHROM`.

    Parameters
    ----------
    sources
        A file for each sample.
    genome
        See `Task.build`.
    seed
        Not used: nothing is random.
    min_reads
        Minimum number of reads of a CpG in a sample. (The publication names no number.)
    modification
        Modification to predict, of files that distinguish them as modkit's do: m (5mC), h (5hmC) or
        both.
    unit
        Unit of column 11: percent, fraction (0 to 1), or auto to find it out.

    Raises
    ------
    GenoglotError
        If a file is not bedMethyl, or its calls are not CpGs of the genome.
    """
    check_choice("modification", modification, get_args(Modification))
    check_choice("unit", unit, get_args(Unit))
    samples = [_read_sample(path, genome, min_reads, modification, unit) for path in sources]
    notes = Notes(min_reads=min_reads, modification=modification)
    for reason, message in _DROPPED.items():
        counts = [sample.dropped[reason] for sample in samples]
        notes.count(f"calls_{reason}", message, dict(zip(sources, counts, strict=True)))
    sites = {}
    for chrom in genome.names:
        found = [sample.sites[chrom][0] for sample in samples if chrom in sample.sites]
        if found:
            sites[chrom] = np.unique(np.concatenate(found))
    splits = split_by_chromosome({chrom: len(at) for chrom, at in sites.items()}, RRBS)
    if not splits:
        raise TaskError(
            f"{len(sites)} chromosomes have CpGs with {min_reads} reads; three are needed to "
            "train, validate and test on"
        )

    def batches() -> Iterator[Batch]:
        for chrom, position in sites.items():
            for i in range(0, len(position), _BATCH):
                at = position[i : i + _BATCH]
                yield from window_batches(
                    genome,
                    Regions.from_codes([chrom], np.zeros(len(at), np.int32), at, at + 1),
                    WINDOW,
                    ids=[f"{chrom}:{one + 1}" for one in at],
                    labels=_levels(samples, chrom, at),
                    splits=splits,
                )

    names = [sample.name for sample in samples]
    return TaskContent(sources, names, WINDOW, splits, batches(), notes)


def _read_sample(
    path: Path, genome: Genome, min_reads: int, modification: Modification, unit: Unit
) -> Sample:
    """Read one sample, and put the calls of both strands of a CpG together.

    Raises
    ------
    TaskError
        If the file is not bedMethyl; or if most of its calls are not at a CpG of the genome, so
        that it must be another assembly, or positions are counted from 1.
    """
    calls, reads, methylated, dropped = read_bed_methyl(path, modification, unit)
    inside = find_inside(calls, genome, path).wholly
    calls, reads, methylated = calls[inside], reads[inside], methylated[inside]
    cpg, position = _at_cpgs(calls, genome, path)
    sites: dict[str, tuple[Positions, Positions, Positions]] = {}
    few = total = 0
    for code, name in enumerate(calls.chrom_names):
        rows = np.flatnonzero((calls.chrom_codes == code) & cpg)
        site, index = np.unique(position[rows], return_inverse=True)
        covered = np.bincount(index, reads[rows], len(site)).astype(np.int64)
        hits = np.bincount(index, methylated[rows], len(site)).astype(np.int64)
        enough = covered >= max(min_reads, 1)
        few, total = few + int((~enough).sum()), total + len(site)
        if enough.any():
            sites[name] = site[enough], covered[enough], hits[enough]
    dropped |= {
        "off_the_genome": (int((~inside).sum()), len(inside)),
        "not_at_a_CpG": (int((~cpg).sum()), len(cpg)),
        "few_reads": (few, total),
    }
    return Sample(_sample_name(path), sites, dropped)


def _at_cpgs(calls: Regions, genome: Genome, path: Path) -> tuple[NDArray[np.bool_], Positions]:
    """Find which calls are at a CpG, and where its C is on the plus strand."""
    # A call of both strands together is 2 bp long and begins at the C, whatever its strand.
    single = calls.end - calls.start == 1
    strand = np.where(single, calls.columns["strand"].to_numpy(), ".")
    first = Regions.from_codes(calls.chrom_names, calls.chrom_codes, calls.start, calls.start + 1)
    # The bases on either side show whether a C, or the G opposite to one, is of a CpG.
    before, base, after = genome.fetch(first, 3).T
    forward, backward = (base == _C) & (strand != "-"), (base == _G) & (strand != "+") & single
    cpg = forward & (after == _G) | backward & (before == _C)
    # Callers may report every C. At random, two in five bases are a C of either strand.
    if len(calls) and cpg.mean() < 0.5 and (forward | backward).mean() < 0.9:
        row = int(np.flatnonzero(~cpg)[0])
        raise TaskError(
            f"{path}: {1 - cpg.mean():.0%} of the calls are not at a CpG of the genome (such as "
            f"{calls[[row]].loci[0]}); give the assembly that the file is of, and positions that "
            "are counted from 0"
        )
    return cpg, calls.start - backward


def _sample_name(path: Path) -> str:
    """Name a sample by its file, without the endings of its format."""
    name = path.name
    for ending in (".gz", ".bgz", ".bed", ".bedmethyl"):
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    return name


def _levels(samples: Sequence[Sample], chrom: str, at: Positions) -> Floats:
    """Proportion of methylated reads of each site in each sample, NaN where it is not known."""
    levels = np.full((len(at), len(samples)), np.nan, np.float32)
    for i, sample in enumerate(samples):
        if chrom not in sample.sites:
            continue
        sites, reads, hits = sample.sites[chrom]
        found = np.minimum(np.searchsorted(sites, at), len(sites) - 1)
        here = sites[found] == at
        levels[here, i] = (hits[found] / reads[found])[here]
    return levels


_METRICS = ("Spearman", "MSE")

TASK = Task(
    name="Methyl96",
    target="regression",
    metrics=_METRICS,
    split="chromosome",
    sources="bedMethyl files, one for each sample",
    needs_genome=True,
    builder=build,
    published=published_results(
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
