"""The steps of building the data set of GeneBERT: choose regions, split them, scan their DNA."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import ModelError, some
from genoglot.files import ContentDigest, atomic_path
from genoglot.progress import with_progress
from genoglot.regions.chromosomes import parent_chromosome

if TYPE_CHECKING:
    from genoglot.atlas.accessibility import Accessibility
    from genoglot.regions import Regions
    from genoglot.sequence import Genome
    from genoglot.sequence.motifs import Motif

log = logging.getLogger("genoglot")

Scores = Literal["max", "sum"]
OnError = Literal["raise", "skip"]
Ints = NDArray[np.int64]
Subsets = NDArray[np.int8]
"""Subset of each region, as an index into `SUBSETS`; `UNUSED` if it is in none."""

SUBSETS = ("train", "validation", "test")
UNUSED = -1
FRACTION = 0.1
"""Fraction of the regions to validate on, and to test on."""

GAP = 10_000
"""Minimum distance of two subsets on one chromosome, bp."""

CODES, SCORES, PROGRESS = "codes.npy", "motif_scores.npy", "progress.json"

_SHOWN = 10  # chromosomes that the rule of a split names
_BLOCK = 1024  # regions that are scanned before they are on the disk for good


class Chosen(NamedTuple):
    """Regions and cell types that the data set has.

    Attributes
    ----------
    regions
        n regions, sorted by chromosome and start, each open in at least one cell type.
    cell_types
        Names of the cell types, each with at least one region.
    offsets, ids
        The open regions of cell type i are ids[offsets[i] : offsets[i + 1]], sorted; int64
        (cell types + 1,) and int32.
    """

    regions: Regions
    cell_types: list[str]
    offsets: Ints
    ids: NDArray[np.int32]


def choose_regions(source: Accessibility, genome: Genome, on_error: OnError) -> Chosen:
    """Take the regions that lie in the genome and are open in a cell type, in sorted order.

    Raises
    ------
    ModelError
        If a region lies outside of the genome or a cell type has no open region, and `on_error` is
        "raise"; if two regions are the same, or if no region is left.
    ChromosomeNameError
        If the genome spells the chromosomes differently, or has none of them.
    """
    from genoglot.regions.intervals import sorted_rows
    from genoglot.sequence.inside import find_inside

    regions, presence = source.regions, source.open_regions
    inside = find_inside(regions, genome, source.name).wholly
    n_outside = int((~inside).sum())
    if n_outside and on_error == "raise":
        first = regions[[int(np.flatnonzero(~inside)[0])]].loci[0]
        raise ModelError(
            f"{source.name}: {n_outside:,} of {len(regions):,} regions lie outside of the genome's "
            f"sequences, such as {first}; give the genome that they are of, or leave them out "
            'with on_error="skip" (--on-error skip)'
        )
    n_open = np.bincount(presence.indices, minlength=len(regions))
    _count_left_out(source.name, n_outside, "regions lie outside of the genome's sequences")
    _count_left_out(source.name, (inside & (n_open == 0)).sum(), "regions are open in no cell type")
    rows = sorted_rows(regions)
    rows = rows[(inside & (n_open > 0))[rows]]
    if not len(rows):
        raise ModelError(
            f"{source.name}: no region is both in the genome and open in a cell type; give the "
            "genome that the regions are of"
        )
    found = regions[rows]
    same = np.flatnonzero(
        (np.diff(found.start) == 0) & (np.diff(found.end) == 0) & (np.diff(found.chrom_codes) == 0)
    )
    if len(same):
        raise ModelError(
            f"{source.name}: {len(same):,} regions are there twice, such as "
            f"{found[[int(same[0])]].loci[0]}; merge them"
        )
    sorted_presence = presence[:, rows].tocsr()
    sorted_presence.sort_indices()
    sizes = np.diff(sorted_presence.indptr)
    empty = [name for name, size in zip(source.cell_types, sizes, strict=True) if not size]
    if empty and on_error == "raise":
        raise ModelError(
            f"{source.name}: {len(empty):,} cell types have no open region: {some(empty)}; correct "
            'the data, or leave them out with on_error="skip" (--on-error skip)'
        )
    if empty:
        log.warning(
            "%s: %d cell types have no open region in the genome and are left out: %s",
            *(source.name, len(empty), some(empty)),
        )
    names = [name for name, size in zip(source.cell_types, sizes, strict=True) if size]
    offsets = np.concatenate([[0], np.cumsum(sizes[sizes > 0], dtype=np.int64)])
    return Chosen(found, names, offsets, sorted_presence.indices.astype(np.int32))


def _count_left_out(name: str, count: int, what: str) -> None:
    if count:
        log.warning("%s: %s %s: left out", name, f"{count:,}", what)


def split_regions(
    regions: Regions, validation: Sequence[str], test: Sequence[str], width: int
) -> tuple[Subsets, str]:
    """Assign regions to subsets, so that no chromosome is in two of them.

    A chromosome and its alternative sequences (chr6, chr6_GL000250v2_alt) stay together. Without
    names, chromosomes are taken from the one with most regions downwards, for the test and then for
    the validation subset, as long as a subset has at most a tenth of all regions. If fewer than
    half of these are on chromosomes with a hundredth of all regions or more, the smallest
    chromosome that has more than a tenth is taken instead. If a subset is too small nevertheless,
    as with a single chromosome, the regions are split by position, those of the chromosome with
    most regions last: the last tenth is tested on, the tenth before is validated on. Then regions
    within `GAP` bp of an earlier subset are in none, and neither are those of alternative
    sequences.

    Parameters
    ----------
    regions
        Sorted regions.
    validation, test
        Names of chromosomes; both or neither must be given.
    width
        Width of the windows of DNA, bp.

    Returns
    -------
    subsets
        int8 (n,). A notice reports a validation or test subset that is far from a tenth.
    rule
        The rule in words.

    Raises
    ------
    ModelError
        If a chromosome is unknown or named twice, or a subset would be empty.
    """
    names = regions.chrom_names
    chromosome = {name: parent_chromosome(name, names) for name in names}
    named = bool(validation or test)
    if named:
        _check_named(names, validation, test)
        held_out = [{chromosome[name] for name in given} for given in (validation, test)]
        if both := sorted(set.intersection(*held_out)):
            raise ModelError(f"chromosome {both[0]!r} cannot be both validated and tested on")
    else:
        held_out = _choose_chromosomes(regions, chromosome)
    subset_of = np.array(
        [next((i for i in (1, 2) if chromosome[name] in held_out[i - 1]), 0) for name in names],
        np.int8,
    )
    subsets = subset_of[regions.chrom_codes]
    sizes = _sizes(subsets)
    if named and not sizes[0]:
        raise ModelError("no chromosome is left to train on; hold out fewer")
    if named or (sizes[0] >= max(sizes) and min(sizes[1:]) >= len(regions) * FRACTION / 2):
        lists = [_list([names[k] for k in np.flatnonzero(subset_of == i)]) for i in (1, 2)]
        rule = f"by chromosome: validation {lists[0]}; test {lists[1]}"
    else:
        alternative = np.array([chromosome[name] != name for name in names])[regions.chrom_codes]
        subsets, rule = _split_by_position(regions, alternative, width)
    for i in (1, 2):
        fraction = _sizes(subsets)[i] / len(regions)
        if not FRACTION / 2 <= fraction <= FRACTION * 2:
            log.warning(
                "the %s subset has %.2g %% of the regions, far from a tenth; name other "
                "chromosomes (--validation, --test) if that is not intended",
                *(SUBSETS[i], 100 * fraction),
            )
    return subsets, rule


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN:,} others" if len(names) > _SHOWN else shown


def _sizes(subsets: Subsets) -> list[int]:
    return [int((subsets == i).sum()) for i in range(len(SUBSETS))]


def _choose_chromosomes(regions: Regions, chromosome: dict[str, str]) -> list[set[str]]:
    """Return chromosomes to validate and to test on."""
    sizes = dict.fromkeys(chromosome.values(), 0)
    counts = np.bincount(regions.chrom_codes, minlength=len(chromosome))
    for name, size in zip(regions.chrom_names, counts.tolist(), strict=True):
        sizes[chromosome[name]] += size
    tenth = len(regions) * FRACTION
    test = _take(sizes, tenth)
    return [_take({name: sizes[name] for name in sizes if name not in test}, tenth), test]


def _take(sizes: dict[str, int], wanted: float) -> set[str]:
    """Take chromosomes, the largest first, with at most a number of regions, or one with more.

    One with more is taken if most of the regions would be on tiny chromosomes, which have too few
    consecutive regions.
    """
    order = sorted(sizes, key=lambda name: -sizes[name])
    taken, left = set(), wanted
    for name in order:
        if sizes[name] <= left:
            taken.add(name)
            left -= sizes[name]
    on_large = sum(sizes[name] for name in taken if sizes[name] >= wanted / 10)
    larger = [name for name in order if sizes[name] > wanted]
    return {larger[-1]} if larger and on_large < wanted / 2 else taken


def _check_named(names: Sequence[str], validation: Sequence[str], test: Sequence[str]) -> None:
    from genoglot.regions.chromosomes import unknown_chromosome

    if not (validation and test):
        raise ModelError("name chromosomes both to validate and to test on, or neither")
    for name in (*validation, *test):
        if name not in names:
            raise unknown_chromosome(name, names, ours="the split", theirs="the set of regions")


def _split_by_position(
    regions: Regions, alternative: NDArray[np.bool_], width: int
) -> tuple[Subsets, str]:
    """Split regions by their position; those of alternative sequences are in no subset.

    Chromosomes with few regions come first, so that they are trained on.
    """
    counts = np.bincount(regions.chrom_codes)[regions.chrom_codes]
    rows = np.argsort(counts, kind="stable")
    rows = rows[~alternative[rows]]
    n, chrom = len(rows), regions.chrom_codes[rows]
    bounds = [round(n * (1 - 2 * FRACTION)), round(n * (1 - FRACTION))]
    start, end = regions.start[rows], regions.end[rows]
    center = (start + end) // 2
    low, high = np.minimum(start, center - width), np.maximum(end, center + width)
    found = np.zeros(n, np.int8)
    for i, bound in enumerate(bounds, start=1):
        found[bound:] = i
    for bound in bounds:
        if 0 < bound < n:
            same = chrom == chrom[bound - 1]
            reach = high[:bound][same[:bound]].max() + GAP
            found[bound:][same[bound:] & (low[bound:] < reach)] = UNUSED
    for name, size in zip(SUBSETS, _sizes(found), strict=True):
        if not size:
            raise ModelError(
                f"too few regions ({n:,} on {len(np.unique(chrom))} chromosomes) to split them: "
                f"none is left for the {name} subset; give more regions"
            )
    subsets = np.full(len(regions), UNUSED, np.int8)
    subsets[rows] = found
    return subsets, (
        f"by position, as there are no chromosomes with about {FRACTION:.0%} of the regions: "
        f"{1 - 2 * FRACTION:.0%} training, {FRACTION:.0%} validation, {FRACTION:.0%} test, at "
        f"least {GAP:,} bp apart"
    )


def scan_regions(
    folder: Path,
    chosen: Chosen,
    genome: Genome,
    motifs: Sequence[Motif],
    *,
    width: int,
    scores: Scores,
    overwrite: bool = False,
    progress: bool = True,
) -> None:
    """Write the DNA and the motif scores of the regions, or what is still missing of them.

    Parameters
    ----------
    folder
        An existing folder. `progress.json` there says for which data, and how far, an earlier call
        came; what is on the disk is not computed again.
    chosen
        The regions.
    genome, motifs, width, scores
        See `GeneBertData.build`.
    overwrite
        Replace an unfinished build of other data.
    progress
        Show a progress bar in a terminal.

    Raises
    ------
    ModelError
        If the folder has an unfinished build of other data, and `overwrite` is false.
    """
    from genoglot.sequence.motifs import MotifScanner

    n = len(chosen.regions)
    identity = _identity(chosen, genome, motifs, width, scores)
    done = _done(folder, identity, overwrite)
    if done:
        log.info("%s: %s of %s regions are there already", folder, f"{done:,}", f"{n:,}")
        arrays = [np.load(folder / name, mmap_mode="r+") for name in (CODES, SCORES)]
    else:
        arrays = [
            np.lib.format.open_memmap(folder / CODES, "w+", np.uint8, (n, width)),
            np.lib.format.open_memmap(folder / SCORES, "w+", np.float16, (n, len(motifs))),
        ]
    codes, found = arrays
    scanner = MotifScanner([motif.log_odds for motif in motifs])
    score = scanner.max_scores if scores == "max" else scanner.sum_scores
    blocks: Sequence[int] = range(done, n, _BLOCK)
    for i in with_progress(blocks, "scanning motifs", shown=progress):
        rows = slice(i, min(i + _BLOCK, n))
        codes[rows] = genome.fetch(chosen.regions[rows], width, stranded=False)
        found[rows] = score(np.asarray(codes[rows]))
        for array in arrays:
            array.flush()
        _note(folder, identity, rows.stop)


def _identity(
    chosen: Chosen, genome: Genome, motifs: Sequence[Motif], width: int, scores: str
) -> str:
    content = ContentDigest()
    content.add([genome.digest, width, scores, chosen.regions.chrom_names])
    for array in (chosen.regions.chrom_codes, chosen.regions.start, chosen.regions.end):
        content.add(array)
    for motif in motifs:
        content.add(motif.id)
        content.add(motif.log_odds)
    return content.hexdigest()


def _done(folder: Path, identity: str, overwrite: bool) -> int:
    """Return the number of regions that an earlier, unfinished build of the data has written."""
    progress = folder / PROGRESS
    if not all((folder / name).exists() for name in (PROGRESS, CODES, SCORES)):
        progress.unlink(missing_ok=True)
        return 0
    noted = json.loads(progress.read_text())
    if noted["identity"] == identity:
        return int(noted["done"])
    if not overwrite:
        raise ModelError(
            f"{folder}: contains an unfinished build of other data ({noted['done']:,} regions are "
            "scanned); remove it, or replace it with overwrite=True (--overwrite)"
        )
    progress.unlink()  # first: it is not of the arrays that follow
    return 0


def _note(folder: Path, identity: str, done: int) -> None:
    with atomic_path(folder / PROGRESS) as file:
        file.write_text(json.dumps({"identity": identity, "done": done}))


def measure_scores(
    scores: NDArray[np.float16], rows: Ints
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation of each motif's finite scores in some regions.

    Parameters
    ----------
    scores
        float16 (n, motifs), minus infinity where a region has no site without N.
    rows
        Indices of regions.

    Returns
    -------
    mean, deviation
        float32 (motifs,) each. A motif without two different scores has the deviation 1.
    """
    count = np.zeros(scores.shape[1])
    total, squares = count.copy(), count.copy()
    for block in _blocks(scores, rows):
        known = np.isfinite(block)
        block[~known] = 0
        count += known.sum(axis=0)
        total += block.sum(axis=0)
        squares += (block**2).sum(axis=0)
    mean = total / np.maximum(count, 1)
    deviation = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0))
    deviation[deviation < 1e-4] = 1
    return mean.astype(np.float32), deviation.astype(np.float32)


def _blocks(scores: NDArray[np.float16], rows: Ints) -> Iterator[NDArray[np.float64]]:
    for i in range(0, len(rows), _BLOCK):
        yield scores[rows[i : i + _BLOCK]].astype(np.float64)


def save_arrays(folder: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays as NAME.npy."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
