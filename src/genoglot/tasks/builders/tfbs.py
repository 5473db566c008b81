"""TFBS: whether a transcription factor binds a sequence, against two kinds of negatives.

Positives are windows around the summits of ChIP-seq peaks. Negatives of the dataset `shuffled` are
the positives, shuffled so that each keeps its dinucleotides, as Mo et al. 2021 have them (GeneBERT,
section 4.2). No genome has sequences such as these, so that they are easy negatives: a model may
learn to distinguish DNA from shuffled DNA. Negatives of the dataset `genomic` are windows of the
genome outside of all peaks with the same G + C. Both are built, so that both are seen.

Source format: narrowPeak (ENCODE: BED6+4, summit in column 10), broadPeak or any BED file, plain or
gzip; one file is one factor in one cell line.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import BedFormatError, TaskError
from genoglot.regions import Regions
from genoglot.regions.bed import line_of_region
from genoglot.regions.formats import read_numbers
from genoglot.sequence import Genome
from genoglot.sequence.alphabet import Codes, N
from genoglot.sequence.shuffle import dinucleotide_shuffle
from genoglot.tasks.builders.tracks import OnError, track_name
from genoglot.tasks.genome_positions import OUTSIDE, find_inside
from genoglot.tasks.notes import Notes
from genoglot.tasks.splits import DEEPSEA, TaskSplit, random_subsets, split_by_chromosome
from genoglot.tasks.task import Dataset, PublishedResult, Task
from genoglot.tasks.writer import Batch, TaskContent

log = logging.getLogger("genoglot")

Negatives = Literal["shuffled", "genomic"]
NEGATIVES: tuple[Negatives, ...] = ("shuffled", "genomic")

FRACTIONS = (0.8, 0.1, 0.1)
GC_BIN = 0.02
"""Width of the bins of G + C in which positives and genomic negatives are matched."""

ENDINGS = (".narrowPeak", ".broadPeak", ".bed")
_TRIES = 500  # windows of the genome that are looked at for each positive
_BATCH = 1 << 22  # bases of windows that are looked at together


class Examples(NamedTuple):
    """Examples with one label.

    Attributes
    ----------
    codes
        DNA, uint8 (n, width).
    regions
        Where each is; of a shuffle, where the sequence is that was shuffled.
    """

    codes: Codes
    regions: Regions


def find_datasets(sources: Sequence[Path], out: Path) -> list[Dataset]:
    """List two datasets, one for each kind of negatives, of every peak file.

    Raises
    ------
    TaskError
        If a folder has no peak file.
    """
    files: list[Path] = []
    for source in sources:
        if source.is_dir():
            found = [f for f in sorted(source.iterdir()) if track_name(f) != _without_gzip(f)]
            if not found:
                raise TaskError(f"{source}: no file in it ends in {', '.join(ENDINGS)} or .gz")
            files += found
        else:
            files.append(source)
    folders = [out if len(files) == 1 else out / track_name(file) for file in files]
    return [
        Dataset([file], folder / negatives, {"negatives": negatives})
        for file, folder in zip(files, folders, strict=True)
        for negatives in NEGATIVES
    ]


def _without_gzip(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".bgz")


def build(
    sources: Sequence[Path],
    *,
    genome: Genome,
    negatives: Negatives,
    seed: int = 0,
    width: int = 101,
    on_error: OnError = "raise",
) -> TaskContent:
    """Make the content of one dataset: as many negatives as positives.

    A positive and its negative are in the same subset of every split. Peaks with the same window
    are one positive. Windows that reach past the end of a sequence or hold N are left out and
    counted. A positive is in the same subset whatever the negatives are, so that a model can be
    tested against the other ones.

    Splits: `chromosome` (of three or more), `random` (80/10/10 % of the pairs of a positive and its
    negative; windows of neighboring peaks may overlap, which the leakage report counts) and
    `leave-out:CHROM`.

    Parameters
    ----------
    sources
        The peak file.
    genome, seed
        See `Task.build`.
    negatives
        shuffled: each positive, shuffled by `dinucleotide_shuffle`. genomic: windows of the genome,
        see `draw_matched`; positives for which none is found are left out and counted.
    width
        Length of the windows in bp. They are centered on the summit (column 10 of narrowPeak), or
        on the center of the peak if there is none.
    on_error
        `"skip"` leaves out malformed lines of the peak file, also those whose summit is not in the
        peak, and logs how many there are.

    Raises
    ------
    GenoglotError
        With file and line, if the file cannot be read; or if its chromosomes are not the genome's.
    """
    (path,) = sources
    if width < 4:
        raise TaskError(f"width is {width}; give at least 4 bp")
    rng, notes = np.random.default_rng(seed), Notes()
    peaks = Regions.from_bed(path, on_error=on_error)
    peaks, center = _with_centers(peaks, path, on_error)
    positives = _positives(peaks, center, genome, width, path, notes)
    chroms = Counter(positives.regions.chrom.astype(str).tolist())
    pairs = random_subsets(len(positives.codes), FRACTIONS, np.random.default_rng([seed, 1]))
    if negatives == "shuffled":
        drawn = int(rng.integers(1 << 31))
        shuffled = dinucleotide_shuffle(positives.codes, seed=drawn)
        matched = (shuffled != positives.codes).any(axis=1)
        notes.count_dropped(
            "positives_without_shuffle", "positives have no other shuffle: left out", path, matched
        )
        others = _take(Examples(shuffled, positives.regions), matched)
    else:
        whole = Regions.from_codes(peaks.chrom_names, peaks.chrom_codes, peaks.start, peaks.end)
        taken = Regions.concat([whole, positives.regions])
        others, matched = draw_matched(positives, taken, genome, rng)
        notes.count_dropped(
            "positives_without_match",
            f"positives have no window of their G + C (in bins of {GC_BIN:.0%}) outside of peaks "
            "on their chromosome: left out",
            path,
            matched,
        )
    positives, pairs = _take(positives, matched), pairs[matched]
    n = len(positives.codes)
    notes["positives"] = n
    splits = split_by_chromosome(chroms, DEEPSEA)
    splits["random"] = TaskSplit(
        "80/10/10 % of the pairs of a positive and its negative, at random",
        np.concatenate([pairs, pairs]),
    )
    rng.permutation(n)  # not used; examples stay in the order of earlier versions
    batch = _batch(positives, others, negatives, splits, rng.permutation(2 * n))
    return TaskContent(
        sources, ["bound"], width, splits, [batch] if n else [], notes,
        name=f"{track_name(path)}/{negatives}",
    )  # fmt: skip


def _take(examples: Examples, rows: NDArray[np.bool_]) -> Examples:
    return Examples(examples.codes[rows], examples.regions[rows])


def _with_centers(
    peaks: Regions, path: Path, on_error: OnError
) -> tuple[Regions, NDArray[np.int64]]:
    """Find the centers of the windows: the summits, or the middle of peaks without one."""
    middle = (peaks.start + peaks.end) // 2
    if "peak" not in peaks.columns.columns:
        return peaks, middle
    text = peaks.columns["peak"].cast(pl.String)
    found = read_numbers(text)
    offset = np.nan_to_num(found.values, nan=-1)
    # Peaks of ENCODE have summits at their end.
    wrong = (offset != np.floor(offset)) | (offset < -1) | (offset > peaks.end - peaks.start)
    wrong[found.unreadable] = True
    center = np.where(offset >= 0, peaks.start + np.where(wrong, 0, offset).astype(int), middle)
    if not wrong.any():
        return peaks, center
    row = int(wrong.argmax())
    if on_error == "raise":
        problem = (
            f"the summit {text[row]!r} is not in the peak: column 10 is its offset from the start, "
            "or -1"
        )
        line = "\t".join(map(str, peaks.frame.row(row)))
        raise BedFormatError(path, line_of_region(path, row), line, problem)
    log.warning("%s: skipped %d lines whose summit is not in the peak", path, wrong.sum())
    return peaks[~wrong], center[~wrong]


def _positives(
    peaks: Regions,
    center: NDArray[np.int64],
    genome: Genome,
    width: int,
    path: Path,
    notes: Notes,
) -> Examples:
    """Cut the windows around the centers, each one once."""
    start = center - width // 2
    windows = Regions.from_codes(
        peaks.chrom_names, peaks.chrom_codes, np.maximum(start, 0), np.maximum(start + width, 0)
    )
    keys = pl.DataFrame({"chrom": windows.chrom_codes, "start": start})
    first = keys.select(pl.struct("chrom", "start").is_first_distinct()).to_series().to_numpy()
    notes.count_dropped("repeated_peaks", "peaks have the window of another: left out", path, first)
    windows, start = windows[first], start[first]
    whole = find_inside(windows, genome, path).wholly & (start >= 0)
    notes.count_dropped("peaks_off_the_genome", f"windows of peaks {OUTSIDE}", path, whole)
    windows = windows[whole]
    codes = genome.fetch(windows) if len(windows) else np.empty((0, width), np.uint8)
    known = (codes != N).all(axis=1)
    notes.count_dropped("peaks_with_unknown_bases", "windows hold N: left out", path, known)
    return _take(Examples(codes, windows), known)


def draw_matched(
    positives: Examples, taken: Regions, genome: Genome, rng: np.random.Generator
) -> tuple[Examples, NDArray[np.bool_]]:
    """Draw a window of the genome for each positive: its chromosome, its G + C, outside of peaks.

    Windows are drawn from those that follow one another from a random position on, so that none
    overlaps another, without replacement.

    Parameters
    ----------
    positives
        The positives, without N.
    taken
        Regions that no window may overlap.
    genome
        The genome.
    rng
        Source of random numbers.

    Returns
    -------
    tuple
        The windows, one for each positive that has one, in their order; and which these are, bool
        (n,).
    """
    codes, regions = positives
    width = codes.shape[1]
    level = _gc_bin(codes)
    found_codes, found_start = np.zeros_like(codes), np.zeros(len(codes), np.int64)
    matched = np.zeros(len(codes), bool)
    extents = genome.extents
    rows_of, taken_of = _rows_by_chromosome(regions), _rows_by_chromosome(taken)
    none = np.empty(0, np.int64)
    for name, begin, end in zip(genome.names, extents.start, extents.end, strict=True):
        rows, near = rows_of.get(name, none), taken_of.get(name, none)
        peaks = Regions.from_codes(
            [name], np.zeros(len(near), np.int32), taken.start[near], taken.end[near]
        )
        phase = int(rng.integers(width))
        order = rng.permutation(max((int(end - begin) - phase) // width, 0))
        order = order[: _TRIES * len(rows)]
        step = max(_BATCH // width, 1)
        for i in range(0, len(order), step):
            waiting = rows[~matched[rows]]
            if not len(waiting):
                break
            start = begin + phase + width * order[i : i + step]
            windows = Regions(np.full(len(start), name, object), start, start + width)
            drawn = genome.fetch(windows)
            free = (drawn != N).all(axis=1)
            free[windows.overlaps(peaks)[0]] = False
            drawn, start = drawn[free], start[free]
            ours, theirs = _match(level[waiting], _gc_bin(drawn))
            found_codes[waiting[ours]], found_start[waiting[ours]] = drawn[theirs], start[theirs]
            matched[waiting[ours]] = True
    chosen = Regions.from_codes(
        regions.chrom_names, regions.chrom_codes, found_start, found_start + width
    )
    return _take(Examples(found_codes, chosen), matched), matched


def _rows_by_chromosome(regions: Regions) -> dict[str, NDArray[np.int64]]:
    """Return the rows of each chromosome, in order."""
    order = np.argsort(regions.chrom_codes, kind="stable")
    counts = np.bincount(regions.chrom_codes, minlength=len(regions.chrom_names))
    return dict(zip(regions.chrom_names, np.split(order, np.cumsum(counts)[:-1]), strict=True))


def _gc_bin(codes: Codes) -> NDArray[np.int64]:
    """Compute the number of the bin of G + C of each sequence, int64 (n,)."""
    count = ((codes == 1) | (codes == 2)).sum(axis=1)
    return np.asarray(count // max(round(GC_BIN * codes.shape[1]), 1), np.int64)


def _match(
    wanted: NDArray[np.int64], offered: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair equal numbers, each one once, the first ones first: indices into both."""
    both = [
        pl.DataFrame({"bin": side}).with_row_index(name).with_columns(
            rank=pl.int_range(pl.len()).over("bin")
        )
        for side, name in ((wanted, "ours"), (offered, "theirs"))
    ]  # fmt: skip
    pairs = both[0].join(both[1], on=["bin", "rank"], maintain_order="left")
    return pairs["ours"].to_numpy().astype(np.int64), pairs["theirs"].to_numpy().astype(np.int64)


def _batch(
    positives: Examples,
    others: Examples,
    negatives: Negatives,
    splits: Mapping[str, TaskSplit],
    order: NDArray[np.int64],
) -> Batch:
    """Make the examples, in random order."""
    n = len(positives.codes)
    positions = Regions.concat([positives.regions, others.regions])
    chrom = positions.chrom.astype(str)
    is_shuffle = np.arange(2 * n) >= (n if negatives == "shuffled" else 2 * n)
    prefix = np.where(np.arange(2 * n) < n, "", f"{negatives}:").astype(object)
    columns: dict[str, Any] = {
        "id": prefix + np.array(positions.loci, object),
        "chrom": chrom,
        "start": pl.Series(positions.start).set(pl.Series(is_shuffle), None),
        "end": pl.Series(positions.end).set(pl.Series(is_shuffle), None),
        "strand": ["+"] * (2 * n),
        "group": chrom,
    }
    for name, (_, subsets) in splits.items():
        columns[f"split:{name}"] = (
            pl.Series(chrom).replace_strict(subsets)
            if isinstance(subsets, Mapping)
            else subsets.astype(str)
        )
    codes = np.concatenate([positives.codes, others.codes])[order]
    labels = (order < n).astype(np.float32)
    return Batch(codes, labels, pl.DataFrame(columns)[order])


_COLLAPSED = "DNABERT, reproduced by Mo et al. 2021 (collapsed: one class for everything)"
_TABLE = {  # precision, recall and AUC of GeneBERT, and the AUC of DNABERT
    ("A549", "UT-A"): (0.908, 0.899, 0.983, 0.501),
    ("A549", "UW"): (0.925, 0.921, 0.983, 0.542),
    ("AG04449", "UW"): (0.907, 0.894, 0.983, 0.523),
    ("AG04450", "UW"): (0.929, 0.925, 0.987, 0.501),
    ("AG09309", "UW"): (0.931, 0.927, 0.987, 0.545),
    ("AG09319", "UW"): (0.924, 0.919, 0.983, 0.529),
    ("AG10803", "UW"): (0.934, 0.932, 0.981, 0.535),
    ("AoAF", "UW"): (0.917, 0.913, 0.982, 0.531),
    ("BE(2)-C", "UW"): (0.937, 0.935, 0.989, 0.540),
}
_METRICS = ("AUROC", "MCC", "precision (macro)", "recall (macro)")


def _published() -> tuple[PublishedResult, ...]:
    """List the figures, each for the name of the paper and of ENCODE's uniform peak file."""
    found = []
    for (cell, lab), (precision, recall, auc, collapsed_auc) in _TABLE.items():
        short = "".join(letter for letter in cell if letter.isalnum()).capitalize()
        uniform = f"wgEncodeAwgTfbs{lab.replace('-', '').capitalize()}{short}CtcfUniPk"
        for name in (f"CTCF_{cell}_CTCF_{lab}", uniform):
            for model, values in (
                ("GeneBERT", (auc, precision, recall)),
                (_COLLAPSED, (collapsed_auc, 0.25, 0.5)),
            ):
                found += [
                    PublishedResult(
                        model, metric, value, "Mo et al. 2021, table 2", f"{name}/shuffled"
                    )
                    for metric, value in zip((_METRICS[0], *_METRICS[2:]), values, strict=True)
                ]
    return tuple(found)


TASK = Task(
    name="TFBS",
    target="binary",
    metrics=_METRICS,
    split="",  # the paper does not say
    sources="peak files (narrowPeak, broadPeak or BED), or a folder of them",
    needs_genome=True,
    builder=build,
    expand=find_datasets,
    published=_published(),
)
