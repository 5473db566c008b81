"""Building an atlas from a folder of BED files and a sample sheet."""

from __future__ import annotations

import logging
import os
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.atlas.sample_sheet import check_assembly, check_files, read_sheet
from genoglot.atlas.store import Atlas
from genoglot.atlas.writer import AtlasWriter
from genoglot.errors import AtlasError, ChromosomeNameError, GenoglotError, some
from genoglot.regions import Regions, Universe
from genoglot.regions.assembly import same_assembly
from genoglot.regions.chromosomes import Alias
from genoglot.regions.formats import Format
from genoglot.regions.signal import signal_column

log = logging.getLogger("genoglot")

IN_FLIGHT = 8  # files read ahead per job: bounds memory when the writer is the slower one
ALIKE = 20  # files with other chromosome names, and none without, after which all have them


@dataclass(frozen=True)
class BuildReport:
    """What came of a build.

    Attributes
    ----------
    atlas
        The atlas, opened.
    skipped
        (file, problem) of each file that could not be read and is not in it.
    """

    atlas: Atlas
    skipped: list[tuple[str, str]]


class Tokenized(NamedTuple):
    """A region file as ids with their signal ranks, or what is wrong with it."""

    tokens: NDArray[np.int32]
    signal_ranks: NDArray[np.uint8]
    n_regions: int
    signal: str | None = None  # column that the signal ranks are of
    chrom: str = ""  # the first, to say where a file is that is elsewhere
    error: GenoglotError | None = None


@dataclass(frozen=True)
class Tokenizer:
    """How a BED file becomes the ids of universe regions, and their signal ranks."""

    universe: Universe
    on_error: Literal["raise", "skip"]
    alias: Alias | None
    min_bp: int
    min_fraction: float
    min_universe_fraction: float
    format: Format

    def __call__(self, path: Path) -> Tokenized:
        """Read and encode one file; an error is returned, so that others go on."""
        try:
            regions = Regions.from_bed(
                path, on_error=self.on_error, alias=self.alias, format=self.format
            )
            tokens, signal_ranks = self.universe.encode_signal_ranks(
                regions,
                min_bp=self.min_bp,
                min_fraction=self.min_fraction,
                min_universe_fraction=self.min_universe_fraction,
                where=path,
            )
        except GenoglotError as error:
            return Tokenized(np.empty(0, np.int32), np.empty(0, np.uint8), 0, error=error)
        first = next(iter(regions.chrom_names), "")
        return Tokenized(tokens, signal_ranks, len(regions), signal_column(regions.columns), first)


def build_atlas(
    folder: str | Path,
    sheet: str | Path | pl.DataFrame,
    universe: str | Path | Universe,
    out: str | Path,
    *,
    genome: str = "",
    jobs: int | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    alias: Alias | None = None,
    min_bp: int = 1,
    min_fraction: float = 0.0,
    min_universe_fraction: float = 0.0,
    format: Format = "auto",
    overwrite: bool = False,
    progress: bool = True,
) -> BuildReport:
    """Build an atlas from BED files.

    Files are read by several threads (reading and encoding release Python's lock). A file that
    cannot be read is left out and reported; an empty one is kept with a notice. Signal ranks come
    from the files' signal columns: see `Universe.encode_signal_ranks`. The directory `out` appears
    when all is written, or not at all.

    Parameters
    ----------
    folder
        Where the files of the sheet are.
    sheet
        See `read_sheet`; or a table as it and `read_encode_json` give.
    universe
        A universe, or its BED file (sorted, without overlaps).
    out
        The atlas's directory: new or empty.
    genome
        Name of the genome assembly, such as "hg38"; default the universe's. Files that the sheet
        declares to be of another one are refused.
    jobs
        Threads; default one per core.
    on_error
        "skip" leaves malformed lines out; "raise" makes the file count as broken.
    alias
        Spelling of chromosomes to translate to: see `rename_chromosome`.
    min_bp, min_fraction, min_universe_fraction
        Overlap that counts: see `Universe.encode`.
    format
        Format of the files, which says where the signal is: see `Regions.from_bed`.
    overwrite
        Replace an atlas that is there.
    progress
        Show a progress bar, if the error output is a terminal.

    Raises
    ------
    SampleSheetError
        If the sheet is not sound, names files that are not there, or several assemblies.
    ChromosomeNameError
        If files and universe spell chromosomes differently from the first file on.
    AtlasError
        If no file could be read, or none has a region in the universe.
    """
    folder = Path(folder)
    if isinstance(sheet, pl.DataFrame):
        check_files(sheet, folder)
    else:
        sheet = read_sheet(sheet, folder)
    universe = _named(universe, genome)
    check_assembly(sheet, universe.genome)
    tokenizer = Tokenizer(
        universe, on_error, alias, min_bp, min_fraction, min_universe_fraction, format
    )
    kept: list[int] = []
    n_regions: list[int] = []
    signals: Counter[str | None] = Counter()
    outside: dict[str, Tokenized] = {}
    skipped: list[tuple[str, str]] = []
    misnamed = 0
    with AtlasWriter.create(out, universe, overwrite=overwrite) as writer:
        results = _in_parallel(tokenizer, [folder / name for name in sheet["file"]], jobs)
        for row, result in enumerate(_with_progress(results, len(sheet), progress)):
            name = str(sheet["file"][row])
            if result.error is None:
                if not len(result.tokens):
                    outside[name] = result
                writer.add(result.tokens, result.signal_ranks)
                kept.append(row)
                n_regions.append(result.n_regions)
                signals[result.signal] += 1
                continue
            skipped.append((name, str(result.error)))
            misnamed += isinstance(result.error, ChromosomeNameError)
            if not kept and misnamed == row + 1 and row + 1 in (ALIKE, len(sheet)):
                first_name, problem = skipped[0]
                raise ChromosomeNameError(f"{first_name}: {problem}")
        if not kept:
            raise AtlasError(
                f"{out}: no atlas: none of the {len(sheet)} files can be read; the first: "
                f"{skipped[0][1]}"
            )
        _report_outside(outside, len(kept), universe)
        writer.finish(sheet[kept].with_columns(n_regions=pl.Series(n_regions, dtype=pl.Int32)))
    found = (
        f"{n} sets by {column}" if column else f"{n} sets without a signal (all 255)"
        for column, n in signals.most_common()
    )
    log.info("signal ranks: %s", ", ".join(found))
    return BuildReport(Atlas.open(out), skipped)


def _named(universe: str | Path | Universe, genome: str) -> Universe:
    """Read the universe, if need be, and name its genome."""
    if not isinstance(universe, Universe):
        return Universe.from_bed(universe, genome=genome)
    if not same_assembly(genome, universe.genome):
        raise AtlasError(f"genome {genome!r}, but the universe is of {universe.genome!r}")
    if genome and not universe.genome:
        return Universe(universe.regions, genome=genome)
    return universe


def _report_outside(outside: dict[str, Tokenized], n: int, universe: Universe) -> None:
    """Say how many of `n` files have no region in the universe, and refuse if it is all."""
    if not outside:
        return
    if len(outside) == n:
        name, first = next(iter(outside.items()))
        raise AtlasError(
            f"none of the files ({n}) has a region in the universe; the first, {name}, has "
            f"{first.n_regions} regions{f', on {first.chrom}' * bool(first.chrom)}, the universe "
            f"is on {some(universe.regions.chrom_names)}: are they of one genome?"
        )
    log.warning(
        "%d of %d files have no region in the universe and become empty sets: %s",
        *(len(outside), n, some(outside)),
    )


def _in_parallel(tokenizer: Tokenizer, paths: list[Path], jobs: int | None) -> Iterator[Tokenized]:
    """Tokenize files with `jobs` threads; results in the order of the files.

    Threads, not processes: one file's decompression, parsing and search leave Python's lock, and
    the universe need not be copied. Measured in docs/decisions/0003-atlas-format.md.
    """
    jobs = jobs or os.cpu_count() or 1
    pool = ThreadPoolExecutor(jobs)
    waiting: deque[Future[Tokenized]] = deque()
    try:
        for path in paths:
            waiting.append(pool.submit(tokenizer, path))
            if len(waiting) >= jobs * IN_FLIGHT:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # also at Ctrl-C: what is not begun is not begun
        pool.shutdown(cancel_futures=True)


def _with_progress(results: Iterable[Tokenized], total: int, progress: bool) -> Iterator[Tokenized]:
    if not (progress and sys.stderr.isatty()):
        yield from results
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(
        results, "Reading region sets", total=total, console=Console(stderr=True), transient=True
    )
