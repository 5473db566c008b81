"""PromVary and PromFix: whether a sequence holds a promoter.

Source formats of the Eukaryotic Promoter Database (EPDnew): its BED files of eight columns;
columns 7 and 8 reach from the transcription start site (TSS) 10 bp downstream, as in `chr1 960583
960643 KLHL17_1 900 + 960632 960643`; and its .fps files, functional position sets of the SSA
toolkit, in fixed columns, as described in the EPD user manual (The FP line): name in 6-25, sequence
in 34-51, strand in 53, position from 1 in 54-63. Other BED files are peaks of CAGE, as FANTOM5 has
them (columns 7 and 8 are the TSS, 1 bp); gene models, whose columns 7 and 8 are the coding
sequence, so that the TSS is where the gene begins; or regions of 1 bp, which are TSSs.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.files import read_text
from genoglot.regions import Regions
from genoglot.regions.bed import line_of_region
from genoglot.regions.chromosomes import rename_chromosome
from genoglot.regions.strand import read_strands
from genoglot.sequence import Genome
from genoglot.sequence.alphabet import N
from genoglot.tasks.genome_positions import OUTSIDE, find_inside, window_batches
from genoglot.tasks.notes import Notes
from genoglot.tasks.source_tables import LINE, SourceTable
from genoglot.tasks.splits import DART, TaskSplit, random_subsets, split_by_chromosome
from genoglot.tasks.task import Task, check_choice, published_results
from genoglot.tasks.writer import TaskContent

logger = logging.getLogger("genoglot")

Tss = Literal["auto", "region", "thick"]
Positions = NDArray[np.int64]

WINDOW = 500
CENTER = -100
CORE = (-250, 50)
"""What a positive window must hold, bp from the TSS, half-open: it is centered as the window is."""

SHIFT = 100
"""Maximum number of bp that a window may be shifted either way and still hold the core."""

FRACTIONS = (0.8, 0.1, 0.1)
TSS_WIDTHS = (1, 11)
"""Lengths of columns 7 and 8 that begin at the TSS: in peaks of CAGE, and in EPD (10 bp more).

Three bases code for one amino acid: a coding sequence has neither length.
"""

_TRIES = 200  # batches of random positions, until enough negatives are found

# Human chromosomes under the names that .fps files have: NC_000001.11 is chr1 (RefSeq).
_REFSEQ = re.compile(r"NC_0000(0[1-9]|1\d|2[0-4])\.\d+")


def build(
    sources: Sequence[Path], *, genome: Genome, shifted: bool, seed: int = 0, tss: Tss = "auto"
) -> TaskContent:
    """Make the content of the task.

    A positive is a window of 500 bp centered 100 bp before a TSS, in the direction of the gene; in
    PromVary it is shifted at random, so that it still holds all from -250 to +50. A negative is a
    random window of the genome, on either strand, that touches no promoter's -250 to +50 and holds
    no N; there are as many as positives. A TSS that several rows share, as transcripts do, is taken
    once.

    Splits: `random` (80/10/10 %), `chromosome`.

    Parameters
    ----------
    sources
        The promoters, .fps or .bed.
    genome, seed
        See `Task.build`.
    shifted
        Shift the windows of positives.
    tss
        Where the TSS is in a BED file: see `read_promoters`.

    Raises
    ------
    GenoglotError
        With file and line, if the file is malformed; or if it is not of the genome.
    """
    (path,) = sources
    check_choice("tss", tss, get_args(Tss))
    promoters = read_promoters(path, genome, tss)
    first = promoters.frame.select(pl.struct("chrom", "start", "strand").is_first_distinct())
    distinct = first.to_series().to_numpy()
    notes = Notes(promoters=int(distinct.sum()))
    notes.count_dropped(
        "repeated_promoters", "rows repeat the TSS of another: left out", path, distinct
    )
    promoters = promoters[distinct]
    rng = np.random.default_rng(seed)
    shift = rng.integers(-SHIFT, SHIFT + 1, len(promoters))
    windows = _around(promoters, CENTER - WINDOW // 2 + (shift if shifted else 0), WINDOW)
    whole = find_inside(windows, genome, path).wholly & (windows.end - windows.start == WINDOW)
    notes.count_dropped("promoters_off_the_genome", f"promoters {OUTSIDE}", path, whole)
    windows = windows[whole]
    if not len(windows):
        raise TaskError(f"{path}: no promoter lies wholly in the genome; give the one it is of")
    core = _around(promoters, CORE[0], CORE[1] - CORE[0])
    negatives = _draw_negatives(genome, core, len(windows), rng)
    order = rng.permutation(len(windows) + len(negatives))
    examples = Regions.concat([windows, negatives])[order]
    random = TaskSplit("80/10/10 %, at random", random_subsets(len(order), FRACTIONS, rng))
    splits = {"random": random, **split_by_chromosome(Counter(examples.chrom), DART)}
    batches = window_batches(
        genome,
        examples,
        WINDOW,
        ids=examples.columns["name"],
        labels=(order < len(windows)).astype(np.float32),
        splits=splits,
    )
    return TaskContent(sources, ["promoter"], WINDOW, splits, batches, notes)


def read_promoters(path: Path, genome: Genome | None = None, tss: Tss = "auto") -> Regions:
    r"""Read transcription start sites, from EPD's .fps or .bed.

    Parameters
    ----------
    path
        The file, plain or gzip. A .fps file has lines that begin with FP.
    genome
        Genome whose spelling RefSeq names of chromosomes (NC_000001.11) are turned into.
    tss
        Where the TSS is in a BED file. thick: at the beginning of columns 7 and 8, in the direction
        of the gene, as in EPD. region: at the beginning of the region. auto: thick if columns
        7 and 8 are 11 bp long in all rows (EPD), or 1 bp (peaks of CAGE); else region, if the file
        has gene models (columns 7 and 8 of any length) or regions of 1 bp.

    Returns
    -------
    Regions
        Regions of 1 bp with columns name and strand.

    Raises
    ------
    TaskError
        With the line, if it is malformed or a BED line has no strand; or if it is not clear where
        the TSS is.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.bed"
    >>> _ = path.write_text("chr1\t960583\t960643\tKLHL17_1\t900\t+\t960632\t960643\n")
    >>> read_promoters(path)
    Regions(1 regions on 1 chromosomes: chr1:960632-960633)
    """
    with read_text(path) as lines:
        is_fps = any(line.startswith("FP ") for line in lines)
    found = _read_fps(path, genome) if is_fps else _read_bed(path, tss)
    if not len(found):
        raise TaskError(f"{path}: no promoters in this file")
    return found


def _read_fps(path: Path, genome: Genome | None) -> Regions:
    with read_text(path) as lines:
        rows = [(i, line) for i, line in enumerate(lines, 1) if line.startswith("FP ")]
    text = pl.col("text").str
    frame = pl.DataFrame(rows, {LINE: pl.Int64, "text": pl.String}, orient="row").with_columns(
        name=text.slice(5, 20).str.strip_chars(),
        sequence=text.slice(33, 18).str.strip_chars(),
        strand=text.slice(52, 1),
        position=text.slice(53, 10).str.strip_chars().cast(pl.Int64, strict=False).fill_null(0),
    )
    SourceTable(path, frame).refuse(
        ~pl.col("strand").is_in(["+", "-"]) | (pl.col("sequence") == "") | (pl.col("position") < 1),
        lambda row: (
            "no FP line of EPD (name in columns 6-25, sequence in 34-51, strand in 53, position in "
            f"54-63): {row['text'].rstrip()[:80]!r}"
        ),
    )
    known = set() if genome is None else set(genome.names)
    chrom = [_chromosome(sequence, known) for sequence in frame["sequence"]]
    start = frame["position"].to_numpy() - 1
    return Regions(chrom, start, start + 1, frame.select("name", "strand"))


def _chromosome(sequence: str, known: set[str]) -> str:
    """Spell a sequence of a .fps file as the genome does: NC_000023.10 is chrX, or X."""
    match = _REFSEQ.fullmatch(sequence)
    if sequence in known or match is None:
        return sequence
    number = int(match[1])
    bare = {23: "X", 24: "Y"}.get(number, str(number))
    return bare if bare in known else rename_chromosome(bare, "ucsc")


def _read_bed(path: Path, tss: Tss) -> Regions:
    regions = Regions.from_bed(path)
    columns = regions.columns
    if not len(regions):
        return regions
    known = columns.to_series(2) if columns.width > 2 else [None] * len(regions)
    strand = read_strands(known, str(path))
    empty = regions.end == regions.start
    for wrong, problem in ((strand == ".", "has no strand in column 6"), (empty, "is 0 bp long")):
        if wrong.any():
            line = line_of_region(path, int(np.flatnonzero(wrong)[0]))
            raise TaskError(
                f"{path}:{line}: the promoter {problem}; give EPD's BED or .fps file, or gene "
                "models with their strand"
            )
    start, end = _beginning(regions, tss, path)
    at = np.where(strand == "+", start, end - 1)
    names = columns.to_series(0)
    named = pl.DataFrame({"name": names, "strand": pl.Series(strand, dtype=pl.String)})
    return Regions.from_codes(regions.chrom_names, regions.chrom_codes, at, at + 1, named)


def _beginning(regions: Regions, tss: Tss, path: Path) -> tuple[Positions, Positions]:
    """Choose the intervals that begin at the TSS, in the direction of the gene."""
    thick = regions.columns.select(pl.col("^thick(Start|End)$"))
    has_thick = thick.dtypes == [pl.Int64, pl.Int64] and not any(thick.null_count().row(0))
    points = bool((regions.end - regions.start == 1).all())
    low, high = (
        (thick["thickStart"].to_numpy(), thick["thickEnd"].to_numpy())
        if has_thick
        else (regions.start, regions.end)
    )
    widths = np.unique(high - low)
    at_tss = has_thick and not points and len(widths) == 1 and int(widths[0]) in TSS_WIDTHS
    if tss == "thick" or (tss == "auto" and at_tss):
        if not has_thick or (high <= low).any():
            raise TaskError(f"{path}: columns 7 and 8 are not intervals; leave out tss=thick")
        return low, high
    if tss == "auto" and not points:
        if not has_thick:
            raise TaskError(
                f"{path}: neither columns 7 and 8 nor regions of 1 bp show where the TSS is; "
                "give EPD's BED or .fps file, or set tss=region (--set tss=region) if each region "
                "begins at its TSS"
            )
        logger.warning(
            "%s: read as gene models: the TSS is where a region begins, in the direction of its "
            "strand; set tss=thick (--set tss=thick) if it is where columns 7 and 8 begin",
            path,
        )
    return regions.start, regions.end


def _around(promoters: Regions, offset: Positions | int, width: int) -> Regions:
    """Make windows that begin `offset` bp from each TSS, in the direction of the gene."""
    plus = promoters.columns["strand"].to_numpy() == "+"
    start = np.where(plus, promoters.start + offset, promoters.start - offset - width + 1)
    # A window that would reach past the beginning of a chromosome is cut.
    return Regions.from_codes(
        promoters.chrom_names,
        promoters.chrom_codes,
        np.maximum(start, 0),
        np.maximum(start + width, 0),
        promoters.columns,
    )


def _draw_negatives(genome: Genome, core: Regions, n: int, rng: np.random.Generator) -> Regions:
    """Draw windows from the genome that touch no promoter and hold no N.

    Raises
    ------
    TaskError
        If the genome does not have enough space for them.
    """
    extents = genome.extents
    room = np.maximum(extents.end - extents.start - WINDOW + 1, 0)
    found: list[Regions] = []
    left = n
    for _ in range(_TRIES if room.sum() else 0):
        drawn = rng.integers(0, room.sum(), max(2 * left, 64))
        record = np.searchsorted(np.cumsum(room), drawn, "right")
        start = extents.start[record] + drawn - (np.cumsum(room) - room)[record]
        windows = Regions(np.array(genome.names, object)[record], start, start + WINDOW)
        touched = np.zeros(len(windows), bool)
        touched[windows.overlaps(core)[0]] = True
        clean = ~touched & ~(genome.fetch(windows) == N).any(axis=1)
        windows = windows[np.flatnonzero(clean)[:left]]
        strand = np.where(rng.integers(0, 2, len(windows)), "-", "+")
        names = [f"random:{locus}" for locus in windows.loci]
        found.append(windows.with_columns(name=names, strand=strand.tolist()))
        left -= len(windows)
        if not left:
            return Regions.concat(found)
    raise TaskError(
        f"the genome has no space for {n} windows that touch no promoter; give a larger one"
    )


_METRICS = ("AUROC", "AUPRC", "MCC", "precision (macro)", "recall (macro)")

PROM_VARY = Task(
    name="PromVary",
    target="binary",
    metrics=_METRICS,
    split="random",
    sources="EPD promoters, .fps or .bed",
    needs_genome=True,
    builder=partial(build, shifted=True),
    published=published_results(
        _METRICS,
        {
            "Attention": (0.954, 0.905),
            "CNN+FC": (0.939, 0.880),
            "CNN+LSTM": (0.942, 0.887),
            "Attention, rotary": (0.945, 0.897),
            "Attention, relative": (0.942, 0.891),
            "Attention, absolute": (0.935, 0.885),
        },
    ),
)

PROM_FIX = replace(
    PROM_VARY,
    name="PromFix",
    builder=partial(build, shifted=False),
    published=published_results(
        _METRICS,
        {
            "Attention, rotary": (0.979, 0.982),
            "Attention, relative": (0.980, 0.983),
            "Attention, absolute": (0.971, 0.975),
        },
    ),
)
