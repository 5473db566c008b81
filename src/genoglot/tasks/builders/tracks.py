"""Track7878 and DeepSEA-919: in which experiments a 200-bp bin of the genome is a peak.

As Zhou and Troyanskaya 2015 (DeepSEA, Nature Methods 12:931) made it: the genome is cut into bins
of 200 bp; a bin is positive in an experiment if more than half of it lies in the peaks; bins
without any positive are dropped; the input is the bin with 400 bp on both sides. The number of
experiments is that of the files: lists of 7,878, of 919 and of three are built by the same code.

Source format: narrowPeak (ENCODE: BED6+4) or any BED file, plain or gzip; a list of them, or a
sheet (CSV or TSV) with a column `file`, and `assay` if there is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.regions import Regions
from genoglot.sequence import Genome
from genoglot.tasks.dataset import TaskData
from genoglot.tasks.genome_positions import OUTSIDE, example_columns, find_inside
from genoglot.tasks.source_tables import present, read_table
from genoglot.tasks.splits import DEEPSEA, chromosome_parts, drawn_parts
from genoglot.tasks.task import SEED, Task, published_figures
from genoglot.tasks.writer import note_count, write_task

BIN, CONTEXT = 200, 400
WINDOW = BIN + 2 * CONTEXT
SHARES = (0.96, 0.01, 0.03)
_BINS = 50_000  # looked at together: bounds memory, whatever the genome and the number of files


Places = NDArray[np.int32]


class Track(NamedTuple):
    """Peaks of one experiment: by chromosome, starts and ends, disjoint and sorted, int32."""

    name: str
    group: str
    peaks: dict[str, tuple[Places, Places]]


def build(
    sources: Sequence[Path],
    out: Path,
    *,
    task: str,
    genome: Genome | None = None,
    seed: int = 0,
    leakage: bool = True,
    overwrite: bool = False,
    min_fraction: float = 0.5,
    on_error: Literal["raise", "skip"] = "raise",
) -> TaskData:
    """Build the task.

    Of a peak that reaches past the end of a chromosome, the part inside counts. Peaks that lie
    outside the genome, and empty ones, are left out and counted.

    Splits: `random` (96/1/3 % of the bins, each drawn independently), `chromosome`, and
    `leave-out:CHROM`. Neighboring bins share up to 800 of their 1,000 bp, so that nearly all of a
    random test set has been seen in training; the leakage report counts that.

    Parameters
    ----------
    sources
        Peak files, or one sheet that lists them.
    task
        Name of the task.
    out, genome, seed, leakage, overwrite
        See `Task.build`.
    min_fraction
        A bin is positive if more than this part of it lies in peaks.
    on_error
        `"skip"` leaves out malformed lines of peak files, and says how many of each file.

    Raises
    ------
    GenoglotError
        With file and line, if a file cannot be read; or if its chromosomes are not the genome's.
    """
    assert genome is not None
    notes: dict[str, Any] = {}
    tracks, files = _tracks(sources, genome, notes, on_error)
    held = sorted({chrom for track in tracks for chrom in track.peaks}, key=genome.names.index)
    sizes = [sum(len(track.peaks.get(chrom, ((), ()))[0]) for track in tracks) for chrom in held]
    part_of, rule = chromosome_parts(held, DEEPSEA, sizes)
    splits = {"random": "96/1/3 % of the bins, at random"}
    notes["bins"] = 0
    if part_of:
        splits["chromosome"] = rule
    rng = np.random.default_rng(seed)
    n_examples = 0
    with write_task(
        out,
        task=task,
        name=task,
        target="multi-label" if len(tracks) > 1 else "binary",
        outputs=[track.name for track in tracks],
        output_groups=[track.group for track in tracks] if any(t.group for t in tracks) else [],
        metrics=TASK.metrics,
        length=WINDOW,
        default_split=DEEPSEA_919.split if task == "DeepSEA919" and part_of else "random",
        sources=files,
        splits=splits,
        notes=notes,
        genome=genome.digest,
        leakage=leakage,
        overwrite=overwrite,
    ) as writer:
        for chrom, first, last in _stretches(genome, held):
            notes["bins"] += last - first
            labels = positive_bins(tracks, chrom, first, last, min_fraction)
            kept = np.flatnonzero(labels.any(axis=1))
            n_examples += len(kept)
            start = (kept + first) * BIN
            bins = Regions.from_codes([chrom], np.zeros(len(kept), np.int32), start, start + BIN)
            columns = example_columns(bins, bins.loci)
            columns["split:random"] = drawn_parts(len(kept), SHARES, rng).astype(str)
            if part_of:
                columns["split:chromosome"] = np.full(len(kept), part_of[chrom])
            writer.add(genome.fetch(bins, WINDOW), labels[kept], columns, packed=True)
        if not n_examples:
            raise TaskError(
                f"{files[0]}: no bin of {BIN} bp has more than {min_fraction:.0%} of it in peaks; "
                "for short peaks, set min_fraction=0 (--set min_fraction=0)"
            )
    return TaskData.open(out)


def positive_bins(
    tracks: Sequence[Track], chrom: str, first: int, last: int, min_fraction: float = 0.5
) -> NDArray[np.uint8]:
    """Label bins.

    Parameters
    ----------
    tracks
        The experiments.
    chrom
        Chromosome.
    first, last
        Bins `first` to `last - 1`; bin i begins at 200 i.
    min_fraction
        A bin is positive if more than this part of it lies in peaks.

    Returns
    -------
    uint8 (last - first, tracks / 8 rounded up): a bit for each track, as `np.packbits` has them

    Examples
    --------
    >>> track = Track("a", "", {"chr1": (np.int32([100, 290]), np.int32([201, 401]))})
    >>> positive_bins([track], "chr1", 0, 3).ravel().tolist()
    [0, 128, 0]
    """
    labels = np.zeros((last - first, -(-len(tracks) // 8)), np.uint8)
    for i, track in enumerate(tracks):
        if chrom not in track.peaks:
            continue
        starts, ends = track.peaks[chrom]
        a, b = np.searchsorted(ends, first * BIN, "right"), np.searchsorted(starts, last * BIN)
        if a >= b:
            continue
        start = np.maximum(starts[a:b] - first * BIN, 0)
        end = np.minimum(ends[a:b] - first * BIN, (last - first) * BIN)
        low = start // BIN
        count = (end - 1) // BIN - low + 1
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        bins = np.repeat(low, count) + within
        covered = np.minimum(np.repeat(end, count), (bins + 1) * BIN)
        covered -= np.maximum(np.repeat(start, count), bins * BIN)
        begin = np.flatnonzero(np.r_[True, bins[1:] != bins[:-1]])
        hit = bins[begin][np.add.reduceat(covered, begin) > min_fraction * BIN]
        labels[hit, i // 8] |= np.uint8(128 >> i % 8)
    return labels


def _tracks(
    sources: Sequence[Path],
    genome: Genome,
    notes: dict[str, Any],
    on_error: Literal["raise", "skip"],
) -> tuple[list[Track], list[Path]]:
    """Read all peak files, and list the files that the task is made of."""
    listed, files = _listed(sources)
    sizes = genome.chrom_sizes
    tracks = []
    outside: dict[Path, tuple[int, int]] = {}
    empty: dict[Path, tuple[int, int]] = {}
    cut: dict[Path, tuple[int, int]] = {}
    for path, group in listed:
        regions = Regions.from_bed(path, columns=3, on_error=on_error)
        wholly, partly = find_inside(regions, genome, path)
        holds = regions.end > regions.start
        outside[path] = int((holds & ~partly).sum()), len(regions)
        empty[path] = int((~holds).sum()), len(regions)
        cut[path] = int((holds & partly & ~wholly).sum()), len(regions)
        held = regions[partly & holds].merge()
        peaks = {}
        for code, name in enumerate(held.chrom_names):
            rows = held.chrom_codes == code
            starts = held.start[rows]
            ends = np.minimum(held.end[rows], sizes[name])
            # Half the memory of int64, which thousands of files need.
            peaks[name] = starts.astype(np.int32), ends.astype(np.int32)
        tracks.append(Track(_name(path), group, peaks))
    without = {path: (int(not t.peaks), 1) for (path, _), t in zip(listed, tracks, strict=True)}
    note_count(notes, "peaks_off_the_genome", f"peaks {OUTSIDE}", outside)
    note_count(notes, "empty_peaks", "peaks are empty: left out", empty)
    note_count(notes, "peaks_cut", "peaks reach past the end of a sequence: cut there", cut)
    note_count(notes, "tracks_without_peaks", "tracks have no peak in the genome", without)
    if not any(track.peaks for track in tracks):
        raise TaskError("no peak of any file lies in the genome; give the genome they are of")
    return tracks, files


def _listed(sources: Sequence[Path]) -> tuple[list[tuple[Path, str]], list[Path]]:
    """List peak files with their groups, and all files: of a sheet, the sheet too."""
    if len(sources) > 1 or sources[0].suffix not in (".csv", ".tsv"):
        return [(path, "") for path in sources], list(sources)
    sheet = sources[0]
    table = read_table(sheet, ["file"])
    names = present(table, "file", sheet).to_list()
    known = "assay" in table.columns
    groups = table["assay"].fill_null("").to_list() if known else [""] * len(names)
    listed = [(sheet.parent / name, group) for name, group in zip(names, groups, strict=True)]
    for line, (path, _) in enumerate(listed, start=2):
        if not path.is_file():
            raise TaskError(f"{sheet}:{line}: {path} is not there; correct the sheet")
    return listed, [sheet, *(path for path, _ in listed)]


def _name(path: Path) -> str:
    name = path.name
    for ending in (".gz", ".bgz", ".bed", ".narrowPeak", ".broadPeak"):
        name = name.removesuffix(ending)
    return name


def _stretches(genome: Genome, chroms: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Cut the wanted chromosomes into runs of whole bins: chrom, first bin, one past the last."""
    extents = genome.extents
    for chrom, start, end in zip(genome.names, extents.start, extents.end, strict=True):
        first, last = -(-int(start) // BIN), int(end) // BIN
        for at in range(first, last, _BINS) if chrom in chroms else ():
            yield chrom, at, min(at + _BINS, last)


_METRICS = ("AUPRC", "AUROC")

TASK = Task(
    name="Track7878",
    target="multi-label",
    metrics=_METRICS,
    split="random",
    sources="peak files (narrowPeak or BED), or one sheet (CSV, TSV) with a column file",
    needs_genome=True,
    builder=partial(build, task="Track7878"),
    published=published_figures(
        _METRICS,
        {
            "Attention": (0.401, 0.887),
            "CNN+FC": (0.391, 0.870),
            "CNN+LSTM": (0.395, 0.874),
        },
    ),
)

DEEPSEA_919 = replace(
    TASK,
    name="DeepSEA919",
    split="chromosome",
    builder=partial(build, task="DeepSEA919"),
    published=published_figures(
        _METRICS,
        {
            "Attention, BPE": (0.299, 0.907),
            "Attention, one-hot": (0.340, 0.925),
            "Attention, 4-patch": (0.357, 0.935),
            "Attention, 5-mer": (0.352, 0.931),
        },
        f"{SEED}, TF columns",
    ),
)
