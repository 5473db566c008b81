"""Sequences for a model: the records of a FASTA file, or the regions of a BED file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import SequenceError
from genoglot.regions import Regions
from genoglot.regions.chromosomes import check_names, unknown_chromosome
from genoglot.sequence.alphabet import Codes, Lengths, N
from genoglot.sequence.fasta import FastaRecord, Header, is_fasta, read_fasta, scan_fasta
from genoglot.sequence.genome import Genome, on_minus, window_starts
from genoglot.sequence.inside import Inside, sequence_ends

logger = logging.getLogger("genoglot")

_BASES = 1 << 24  # of a batch, unless a single sequence has more


class SequenceBatch(NamedTuple):
    """A batch of sequences.

    Attributes
    ----------
    metadata
        A row of each sequence: `name`; or `chrom`, `start`, `end` and the other columns of regions.
    codes
        A C G T N = 0 1 2 3 4, uint8 (n, length of the longest), padded with N.
    lengths
        Number of bases of each sequence, int64 (n,).
    """

    metadata: pl.DataFrame
    codes: Codes
    lengths: NDArray[np.int64]


def read_sequences(
    path: str | Path,
    *,
    genome: Genome | str | Path | None = None,
    width: int | None = None,
    default_width: int | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    check: Callable[[int, str], None] | None = None,
    readable: Callable[[Codes, Lengths], NDArray[np.bool_]] | None = None,
    batch: int = 1024,
) -> Iterator[SequenceBatch]:
    r"""Read sequences, a batch at a time.

    Windows that reach past the end of a chromosome are padded with N. The number of such windows is
    logged, and the number of sequences in which a model can read nothing.

    Parameters
    ----------
    path
        A FASTA or a BED file, plain or gzip, recognized by its first bytes; `-` is standard input.
    genome
        Genome of the regions of a BED file, or its FASTA file or packed file.
    width
        Length in bp of windows around the centers of regions: see `window_starts`. By default the
        regions themselves, which must be of the same length.
    default_width
        Length in bp of windows if no width is given and the regions have another length, which is
        logged.
    on_error
        `"skip"` leaves malformed lines and regions outside of the genome out, and logs how many.
    check
        Function of a length in bp and a name that raises an error if a model cannot read such a
        sequence. It is called for the shortest and for the longest sequence before the first
        batch (from standard input: for every sequence).
    readable
        Function of codes and lengths that returns in which sequences a model can read anything,
        bool (n,), such as `DnaTokenizer.readable`; by default in those with a known base.
    batch
        Maximum number of sequences of a batch. Batches of long sequences are smaller: of 16 million
        bases, or of one sequence.

    Yields
    ------
    SequenceBatch
        In the order of the file.

    Raises
    ------
    SequenceError
        If regions have no genome or are outside of it, if they are empty or of different lengths
        and no width is given, or if a file cannot be read.
    ChromosomeNameError
        If the genome has another spelling of the chromosomes.
    BedFormatError
        At a line of a BED file that cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.fa"
    >>> _ = path.write_text(">one\nACGT\n>two\nAC\n")
    >>> for metadata, codes, lengths in read_sequences(path):
    ...     print(metadata["name"].to_list(), codes.tolist(), lengths.tolist())
    ['one', 'two'] [[0, 1, 2, 3], [0, 1, 4, 4]] [4, 2]
    """
    if is_fasta(path):
        if genome is not None or width is not None:
            raise SequenceError(f"{path}: is FASTA; a genome and a width are for BED files")
        if check is not None and str(path) != "-":
            for record, length in _extremes(path):
                check(length, f"{path}: record {record!r}")
            check = None
        return _report_unreadable(_records(path, batch, check), readable, path)
    if genome is None:
        raise SequenceError(
            f"{path}: is not a FASTA file, which begins with >, and the regions of a BED file need "
            "a genome; give its FASTA file (--genome)"
        )
    dna = genome if isinstance(genome, Genome) else Genome.open(genome)
    regions = read_regions(path, dna, on_error)
    width = _width(regions, path, width, default_width)
    if check is not None:
        check(width or int(regions.end[0] - regions.start[0]), f"{path}: windows")
    on_minus(regions, str(path))  # a strand that is none is an error
    report_padding(regions, dna, width, path)
    return _report_unreadable(_windows(regions, dna, width, batch), readable, path)


def read_regions(
    path: str | Path, genome: Genome, on_error: Literal["raise", "skip"] = "raise"
) -> Regions:
    """Read the regions of a BED file, which must lie in a genome at least partly.

    Parameters
    ----------
    path
        The BED file; `-` is standard input.
    genome
        The genome.
    on_error
        `"skip"` leaves malformed lines and regions outside of the genome out, and logs how many.

    Raises
    ------
    SequenceError
        If there is no region, or a region is outside of the genome.
    ChromosomeNameError
        If the genome has another spelling of the chromosomes.
    BedFormatError
        At a line that cannot be read.
    """
    regions = Regions.from_bed(path, on_error=on_error)
    if not len(regions):
        raise SequenceError(f"{path}: no region in this file; give one with some")
    return _inside(regions, genome, path, on_error)


def _extremes(path: str | Path) -> list[tuple[str, int]]:
    """Name and length of the shortest and of the longest record."""
    name, lengths = "", {}
    for item in scan_fasta(path):
        if isinstance(item, Header):
            name = item.name
            lengths[name] = 0
        else:
            lengths[name] += len(item)
    return [one(lengths.items(), key=lambda pair: pair[1]) for one in (min, max)]


def _records(
    path: str | Path, batch: int, check: Callable[[int, str], None] | None
) -> Iterator[SequenceBatch]:
    found: list[FastaRecord] = []
    longest = 0
    for record in read_fasta(path):
        length = len(record.codes)
        if check is not None:
            check(length, f"{path}: record {record.name!r}")
        longest = max(longest, length)
        if found and (len(found) == batch or longest * (len(found) + 1) > _BASES):
            yield _stacked(found)
            found, longest = [], length
        found.append(record)
    yield _stacked(found)


def _stacked(records: list[FastaRecord]) -> SequenceBatch:
    lengths = np.array([len(record.codes) for record in records], np.int64)
    codes = np.full((len(records), int(lengths.max())), N, np.uint8)
    for row, record in zip(codes, records, strict=True):
        row[: len(record.codes)] = record.codes
    return SequenceBatch(pl.DataFrame({"name": [r.name for r in records]}), codes, lengths)


def _windows(
    regions: Regions, genome: Genome, width: int | None, batch: int
) -> Iterator[SequenceBatch]:
    length = width or int(regions.end[0] - regions.start[0])
    step = max(min(batch, _BASES // length), 1)
    for i in range(0, len(regions), step):
        part = regions[i : i + step]
        codes = genome.fetch(part, width)
        yield SequenceBatch(part.frame, codes, np.full(len(codes), length, np.int64))


def _width(
    regions: Regions, path: str | Path, width: int | None, default_width: int | None
) -> int | None:
    """Choose the width of the windows; None for the regions themselves."""
    spans = regions.end - regions.start
    low, high = int(spans.min()), int(spans.max())
    if width is not None or (default_width is None and 0 < low == high):
        return width
    if default_width is None:
        raise SequenceError(
            f"{path}: the regions are {_span(low, high)} bp long; give a width (--width), for "
            "windows around their centers"
        )
    if low == high == default_width:
        return None
    logger.info(
        "%s: the regions are %s bp long; they are replaced by windows of %d bp around their "
        "centers, the length that the model was trained on",
        *(path, _span(low, high), default_width),
    )
    return default_width


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def _inside(
    regions: Regions, genome: Genome, path: str | Path, on_error: Literal["raise", "skip"]
) -> Regions:
    """Refuse regions that are wholly outside of the genome, or leave them out and log it."""
    check_names(
        regions.chrom_names, genome.names, ours=str(path), theirs="the genome", renamed="theirs"
    )
    outside = ~Inside.of(regions, genome).partly
    if not outside.any():
        return regions
    n, row = int(outside.sum()), int(np.flatnonzero(outside)[0])
    where = regions[[row]]
    chrom = where.chrom_names[0]
    if chrom in genome:
        there = f"the genome has {genome.extents[[genome.names.index(chrom)]].loci[0]}"
    else:
        there = str(unknown_chromosome(chrom, genome.names))
    problem = (
        f"{path}: {n} of {len(regions)} regions lie outside of the genome, the first is "
        f"{where.loci[0]}; {there}"
    )
    if 2 * n > len(regions):
        problem += "; is the file of another assembly?"
    if n == len(regions):
        raise SequenceError(problem)
    if on_error == "raise":
        raise SequenceError(
            f'{problem} (remove these regions, or leave them out with on_error="skip" / '
            "--on-error skip)"
        )
    logger.warning("%s (they are left out)", problem)
    return regions[~outside]


def report_padding(regions: Regions, genome: Genome, width: int | None, path: str | Path) -> None:
    """Log how many windows, or regions, reach past an end of the genome's sequence.

    Parameters
    ----------
    regions
        Regions of the genome.
    genome
        The genome.
    width
        Length of the windows in bp; None for the regions themselves.
    path
        What the log calls the regions.
    """
    first, last = sequence_ends(regions, genome)
    start, end = regions.start, regions.end
    if width is not None:
        start = window_starts(regions, width, on_minus(regions, str(path)))
        end = start + width
    beyond = (start < first) | (end > last)
    if beyond.any():
        logger.warning(
            "%s: %d of %d %s reach past an end of the genome's sequence and are padded "
            "with N; the first is around %s",
            *(path, beyond.sum(), len(beyond), "regions" if width is None else "windows"),
            regions[[int(np.flatnonzero(beyond)[0])]].loci[0],
        )


def _report_unreadable(
    parts: Iterator[SequenceBatch],
    readable: Callable[[Codes, Lengths], NDArray[np.bool_]] | None,
    path: str | Path,
) -> Iterator[SequenceBatch]:
    """Log at the end in how many sequences a model can read nothing."""
    n = total = 0
    first = ""
    for part in parts:
        if readable is None:
            unread = (part.codes == N).all(axis=1)
        else:
            unread = ~readable(part.codes, part.lengths)
        if unread.any() and not n:
            row = part.metadata.row(int(np.flatnonzero(unread)[0]), named=True)
            is_region = "start" in row
            first = f"{row['chrom']}:{row['start'] + 1}-{row['end']}" if is_region else row["name"]
        n, total = n + int(unread.sum()), total + len(unread)
        yield part
    if n:
        logger.warning(
            "%s: %d of %d sequences consist of N alone or are shorter than the model's tokens, the "
            "first is %s; ignore their rows",
            *(path, n, total, first),
        )
