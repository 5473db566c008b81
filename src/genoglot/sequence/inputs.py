"""Sequences to read with a model: records of a FASTA file, or the regions of a BED file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import SequenceError
from genoglot.regions import Regions
from genoglot.sequence.alphabet import Codes, N
from genoglot.sequence.fasta import FastaRecord, read_fasta
from genoglot.sequence.genome import Genome

FASTA, BED = (".fa", ".fasta", ".fna", ".ffn"), (".bed", ".narrowpeak", ".broadpeak")


class Sequences(NamedTuple):
    """Some sequences.

    Attributes
    ----------
    about
        A row of each: `name`; or `chrom`, `start`, `end` and what columns the regions have.
    codes
        A C G T N = 0 1 2 3 4, uint8 (n, length of the longest), filled up with N.
    lengths
        Bases of each, int64 (n,).
    """

    about: pl.DataFrame
    codes: Codes
    lengths: NDArray[np.int64]


def read_sequences(
    path: str | Path,
    *,
    genome: str | Path | None = None,
    width: int | None = None,
    batch: int = 1024,
) -> Iterator[Sequences]:
    r"""Read sequences, a batch at a time.

    Parameters
    ----------
    path
        A FASTA or a BED file, plain or gzip, told apart by their names.
    genome
        FASTA file, or packed genome, that the regions of a BED file are of.
    width
        Length of windows around the centers of regions, bp; by default the regions themselves,
        which must be equally long.
    batch
        Sequences of a batch.

    Raises
    ------
    SequenceError
        If the name tells of neither, regions come without a genome, or a file cannot be read.
    BedFormatError
        At a line of a BED file that cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.fa"
    >>> _ = path.write_text(">one\nACGT\n>two\nAC\n")
    >>> for about, codes, lengths in read_sequences(path):
    ...     print(about["name"].to_list(), codes.tolist(), lengths.tolist())
    ['one', 'two'] [[0, 1, 2, 3], [0, 1, 4, 4]] [4, 2]
    """
    kind = Path(str(path).lower().removesuffix(".gz")).suffix
    if kind not in (*FASTA, *BED):
        raise SequenceError(f"{path}: neither FASTA ({', '.join(FASTA)}) nor BED by its name")
    if kind in FASTA:
        if genome is not None or width is not None:
            raise SequenceError(f"{path}: is FASTA; a genome and a width are for BED files")
        return _records(path, batch)
    if genome is None:
        raise SequenceError(f"{path}: regions are of a genome; give its FASTA file (--genome)")
    return _windows(Regions.from_bed(path), Genome.open(genome), width, batch)


def _records(path: str | Path, batch: int) -> Iterator[Sequences]:
    records = read_fasta(path)
    while some := list(islice(records, batch)):
        lengths = np.array([len(record.codes) for record in some], np.int64)
        codes = np.full((len(some), int(lengths.max())), N, np.uint8)
        for row, record in zip(codes, some, strict=True):
            row[: len(record.codes)] = record.codes
        yield Sequences(_names(some), codes, lengths)


def _names(records: list[FastaRecord]) -> pl.DataFrame:
    return pl.DataFrame({"name": [record.name for record in records]})


def _windows(
    regions: Regions, genome: Genome, width: int | None, batch: int
) -> Iterator[Sequences]:
    if width is None and len(regions):
        spans: NDArray[Any] = regions.end - regions.start
        if (spans != spans[0]).any():
            raise SequenceError(
                f"the regions are {spans.min()} to {spans.max()} bp long; give a width (--width), "
                "for windows around their centers"
            )
    for i in range(0, len(regions), batch):
        part = regions[i : i + batch]
        codes = genome.fetch(part, width)
        yield Sequences(part.frame, codes, np.full(len(codes), codes.shape[1], np.int64))
