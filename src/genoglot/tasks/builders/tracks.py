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
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.regions import Regions
from genoglot.sequence import Genome
from genoglot.tasks.genome_positions import OUTSIDE, find_inside, window_batches
from genoglot.tasks.notes import Notes
from genoglot.tasks.source_tables import SourceTable
from genoglot.tasks.splits import DEEPSEA, TaskSplit, draw_subsets, split_by_chromosome
from genoglot.tasks.task import BENCHMARK, Task, published_results
from genoglot.tasks.writer import Batch, TaskContent

BIN, CONTEXT = 200, 400
WINDOW = BIN + 2 * CONTEXT
FRACTIONS = (0.96, 0.01, 0.03)
_BINS = 50_000  # looked at together: bounds memory, whatever the genome and the number of files

OnError = Literal["raise", "skip"]


class PeakTrack(NamedTuple):
    """Peaks of one experiment.

    Attributes
    ----------
    name
        Name of the experiment: that of its file.
    group
        Its assay; empty if unknown.
    peaks
        By chromosome: starts and ends, disjoint and sorted, int32 (half the memory of int64, which
        thousands of files need).
    """

    name: str
    group: str
    peaks: dict[str, tuple[NDArray[np.int32], NDArray[np.int32]]]


def build(
    sources: Sequence[Path],
    *,
    genome: Genome,
    seed: int = 0,
    min_fraction: float = 0.5,
    on_error: OnError = "raise",
) -> TaskContent:
    """Make the content of the task.

    Of a peak that reaches past the end of a chromosome, the bases inside it count. Peaks that lie
    outside the genome, and empty ones, are left out and counted.

    Splits: `random` (96/1/3 % of the bins, each drawn independently), `chromosome`, and
    `leave-out:CHROM`. Neighboring bins share up to 800 of their 1,000 bp, so that nearly all of a
    random test set has been seen in training; the leakage report counts that.

    Parameters
    ----------
    sources
        Peak files, or one sheet that lists them.
    genome, seed
        See `Task.build`.
    min_fraction
        A bin is positive if more than this fraction of it lies in peaks.
    on_error
        `"skip"` leaves out malformed lines of peak files, and logs how many there are in each file.

    Raises
    ------
    GenoglotError
        With file and line, if a file cannot be read; or if its chromosomes are not the genome's.
    """
    notes = Notes()
    tracks, files = _read_tracks(sources, genome, notes, on_error)
    chroms = sorted({chrom for track in tracks for chrom in track.peaks}, key=genome.names.index)
    sizes = [sum(len(track.peaks.get(chrom, ((), ()))[0]) for track in tracks) for chrom in chroms]
    random = TaskSplit("96/1/3 % of the bins, at random", {})  # drawn batch by batch
    splits = {
        "random": random,
        **split_by_chromosome(dict(zip(chroms, sizes, strict=True)), DEEPSEA),
    }
    notes["bins"] = 0

    def batches() -> Iterator[Batch]:
        rng = np.random.default_rng(seed)
        n_examples = 0
        for chrom, first, last in _stretches(genome, chroms):
            notes["bins"] += last - first
            labels = positive_bins(tracks, chrom, first, last, min_fraction)
            positive = np.flatnonzero(labels.any(axis=1))
            n_examples += len(positive)
            start = (positive + first) * BIN
            bins = Regions.from_codes([chrom], np.zeros(len(start), np.int32), start, start + BIN)
            drawn = random._replace(subsets=draw_subsets(len(start), FRACTIONS, rng))
            yield from window_batches(
                genome, bins, WINDOW, ids=bins.loci, labels=labels[positive],
                splits={**splits, "random": drawn}, packed=True,
            )  # fmt: skip
        if not n_examples:
            raise TaskError(
                f"{files[0]}: no bin of {BIN} bp has more than {min_fraction:.0%} of it in peaks; "
                "for short peaks, set min_fraction=0 (--set min_fraction=0)"
            )

    groups = [track.group for track in tracks]
    return TaskContent(
        files, [track.name for track in tracks], WINDOW, splits, batches(), notes,
        output_groups=groups if any(groups) else [],
    )  # fmt: skip


def positive_bins(
    tracks: Sequence[PeakTrack], chrom: str, first: int, last: int, min_fraction: float = 0.5
) -> NDArray[np.uint8]:
    """Label bins by the experiments in whose peaks they lie.

    Parameters
    ----------
    tracks
        The experiments.
    chrom
        Chromosome.
    first, last
        Bins `first` to `last - 1`; bin i begins at 200 i.
    min_fraction
        A bin is positive if more than this fraction of it lies in peaks.

    Returns
    -------
    NDArray
        A bit for each track, as of `np.packbits`, uint8 (last - first, tracks / 8 rounded up).

    Examples
    --------
    >>> track = PeakTrack("a", "", {"chr1": (np.int32([100, 290]), np.int32([201, 401]))})
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


def _read_tracks(
    sources: Sequence[Path], genome: Genome, notes: Notes, on_error: OnError
) -> tuple[list[PeakTrack], list[Path]]:
    """Read all peak files, and list the files that the task is built from."""
    listed, files = _list_files(sources)
    sizes = genome.chrom_sizes
    tracks = []
    counts: dict[str, dict[Path, tuple[int, int]]] = {name: {} for name in _COUNTED}
    for path, group in listed:
        regions = Regions.from_bed(path, columns=3, on_error=on_error)
        wholly, partly = find_inside(regions, genome, path)
        full = regions.end > regions.start
        held = regions[partly & full].merge()
        peaks = {}
        for code, name in enumerate(held.chrom_names):
            rows = held.chrom_codes == code
            ends = np.minimum(held.end[rows], sizes[name])
            peaks[name] = held.start[rows].astype(np.int32), ends.astype(np.int32)
        tracks.append(PeakTrack(track_name(path), group, peaks))
        masks = (full & ~partly, ~full, full & partly & ~wholly, np.array([not peaks]))
        for name, mask in zip(_COUNTED, masks, strict=True):
            counts[name][path] = int(mask.sum()), len(mask)
    for name, message in _COUNTED.items():
        notes.count(name, message, counts[name])
    if not any(track.peaks for track in tracks):
        raise TaskError("no peak of any file lies in the genome; give the genome they are of")
    return tracks, files


_COUNTED = {
    "peaks_off_the_genome": f"peaks {OUTSIDE}",
    "empty_peaks": "peaks are empty: left out",
    "peaks_cut": "peaks reach past the end of a sequence: cut there",
    "tracks_without_peaks": "tracks have no peak in the genome",
}
"""What the log says of peaks, by the name under which they are counted."""


def _list_files(sources: Sequence[Path]) -> tuple[list[tuple[Path, str]], list[Path]]:
    """List peak files with their groups, and all files, which include the sheet."""
    if len(sources) > 1 or sources[0].suffix not in (".csv", ".tsv"):
        return [(path, "") for path in sources], list(sources)
    sheet = SourceTable.read(sources[0], ["file"])
    sheet.require("file")
    paths = [sheet.path.parent / name for name in sheet.frame["file"]]
    sheet.refuse(
        np.array([not path.is_file() for path in paths]),
        lambda row: f"{sheet.path.parent / row['file']} is not there; correct the sheet",
    )
    groups = [""] * len(paths)
    if "assay" in sheet.frame.columns:
        groups = sheet.frame["assay"].fill_null("").to_list()
    return list(zip(paths, groups, strict=True)), [sheet.path, *paths]


def track_name(path: Path) -> str:
    """Name the experiment that a peak file is of: the file's name without its ending."""
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
    builder=build,
    published=published_results(
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
    published=published_results(
        _METRICS,
        {
            "Attention, BPE": (0.299, 0.907),
            "Attention, one-hot": (0.340, 0.925),
            "Attention, 4-patch": (0.357, 0.935),
            "Attention, 5-mer": (0.352, 0.931),
        },
        f"{BENCHMARK}, TF columns",
    ),
)
