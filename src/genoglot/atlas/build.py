"""Building an atlas from a folder of BED files and a sample sheet."""

from __future__ import annotations

import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.atlas.assembly_column import check_assembly
from genoglot.atlas.sample_sheet import check_files, read_sheet
from genoglot.atlas.store import Atlas
from genoglot.atlas.writer import AtlasWriter
from genoglot.errors import AtlasError, ChromosomeNameError, GenoglotError, some
from genoglot.progress import with_progress
from genoglot.regions import Regions, Universe
from genoglot.regions.assembly import same_assembly
from genoglot.regions.chromosomes import Alias
from genoglot.regions.formats import Format
from genoglot.regions.signal import signal_column

log = logging.getLogger("genoglot")

READ_AHEAD = 8
"""Maximum number of files per job that are read before they are written. It bounds memory."""
MISNAMED = 20
"""Number of files with other chromosome names, and none without, after which a build stops."""


class BuildResult(NamedTuple):
    """Result of a build.

    Attributes
    ----------
    atlas
        The atlas, opened.
    skipped
        File and problem of each file that could not be read and is not in the atlas.
    """

    atlas: Atlas
    skipped: list[tuple[str, str]]


class FileSummary(NamedTuple):
    """Summary of a region file that was encoded.

    Attributes
    ----------
    n_tokens
        Number of universe regions that its regions overlap.
    n_regions
        Number of regions in the file.
    signal
        Name of the column that the signal ranks come from, if there is one.
    chrom
        Name of the first chromosome; empty if there is none.
    """

    n_tokens: int
    n_regions: int
    signal: str | None
    chrom: str


Encoded = tuple[NDArray[np.int32], NDArray[np.uint8], FileSummary]
"""Ids of universe regions, their signal ranks, and a summary."""


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
) -> BuildResult:
    """Build an atlas from BED files.

    Files are read by several threads (reading and encoding release Python's lock). A file that
    cannot be read is left out and reported; an empty file becomes an empty set, with a warning.
    Signal ranks come from the files' signal columns: see `Universe.encode_signal_ranks`.
    The directory `out` appears complete or not at all.

    Parameters
    ----------
    folder
        Folder of the files that the sheet names.
    sheet
        A sample sheet: see `read_sheet`; or a table as from `read_sheet` or `read_encode_json`.
    universe
        A universe, or its BED file (sorted, without overlaps).
    out
        Directory of the atlas: new or empty.
    genome
        Name of the genome assembly, such as "hg38"; by default that of the universe. Files that
        the sheet declares to be of another assembly are refused.
    jobs
        Number of threads; by default one per core.
    on_error
        "skip" leaves out malformed lines; "raise" leaves out the whole file.
    alias
        Chromosome naming to translate to: see `rename_chromosome`.
    min_bp, min_fraction, min_universe_fraction
        Minimum overlap: see `Universe.encode`.
    format
        Format of the files, which determines the signal column: see `Regions.from_bed`.
    overwrite
        Replace an existing atlas.
    progress
        Show a progress bar, if the error output is a terminal.

    Returns
    -------
    BuildResult
        The atlas, and the files that are not in it.

    Raises
    ------
    SampleSheetError
        If the sheet is invalid, names files that do not exist, or names several assemblies.
    ChromosomeNameError
        If files and universe spell chromosomes differently from the first file on.
    AtlasError
        If no file could be read, or no file has a region in the universe.
    """
    folder = Path(folder)
    if isinstance(sheet, pl.DataFrame):
        check_files(sheet, folder)
    else:
        sheet = read_sheet(sheet, folder)
    universe = _with_genome(universe, genome)
    check_assembly(sheet, universe.genome)
    encode = partial(
        _encode_file,
        universe=universe,
        reading={"on_error": on_error, "alias": alias, "format": format},
        overlap={
            "min_bp": min_bp,
            "min_fraction": min_fraction,
            "min_universe_fraction": min_universe_fraction,
        },
    )
    names = sheet["file"].to_list()
    with AtlasWriter.create(out, universe, overwrite=overwrite) as writer:
        results = _in_parallel(encode, [folder / name for name in names], jobs)
        shown = with_progress(results, "Reading region sets", total=len(names), shown=progress)
        written, skipped = _write_files(writer, names, shown)
        if not written:
            raise AtlasError(
                f"{out}: no atlas: none of the {len(names)} files can be read; the first: "
                f"{skipped[0][1]}"
            )
        _check_empty({names[row]: file for row, file in written.items()}, universe)
        n_regions = pl.Series([file.n_regions for file in written.values()], dtype=pl.Int32)
        writer.finish(sheet[list(written)].with_columns(n_regions=n_regions))
    signals = Counter(file.signal for file in written.values())
    found = (
        f"{n} sets by {column}" if column else f"{n} sets without a signal (all 255)"
        for column, n in signals.most_common()
    )
    log.info("signal ranks: %s", ", ".join(found))
    return BuildResult(Atlas.open(out), skipped)


def _with_genome(universe: str | Path | Universe, genome: str) -> Universe:
    """Return the universe with the name of its genome; read it first if it is a file."""
    if not isinstance(universe, Universe):
        return Universe.from_bed(universe, genome=genome)
    if not same_assembly(genome, universe.genome):
        raise AtlasError(f"genome {genome!r}, but the universe is of {universe.genome!r}")
    if genome and not universe.genome:
        return Universe(universe.regions, genome=genome)
    return universe


def _encode_file(
    path: Path, *, universe: Universe, reading: dict[str, Any], overlap: dict[str, Any]
) -> Encoded | GenoglotError:
    """Read and encode one file. An error is returned, so that other files can be read."""
    try:
        regions = Regions.from_bed(path, **reading)
        tokens, signal_ranks = universe.encode_signal_ranks(regions, where=path, **overlap)
    except GenoglotError as error:
        return error
    chrom = next(iter(regions.chrom_names), "")
    summary = FileSummary(len(tokens), len(regions), signal_column(regions.columns), chrom)
    return tokens, signal_ranks, summary


def _write_files(
    writer: AtlasWriter, names: list[str], results: Iterable[Encoded | GenoglotError]
) -> tuple[dict[int, FileSummary], list[tuple[str, str]]]:
    """Write the region sets of the files that could be read.

    Returns
    -------
    written
        Row of the sheet -> summary of the file.
    skipped
        File and problem of each file that could not be read.
    """
    written: dict[int, FileSummary] = {}
    skipped: list[tuple[str, str]] = []
    misnamed = 0
    for row, result in enumerate(results):
        if not isinstance(result, GenoglotError):
            tokens, signal_ranks, written[row] = result
            writer.add(tokens, signal_ranks)
            continue
        skipped.append((names[row], str(result)))
        misnamed += isinstance(result, ChromosomeNameError)
        if not written and misnamed == row + 1 and row + 1 in (MISNAMED, len(names)):
            raise ChromosomeNameError(": ".join(skipped[0]))
    return written, skipped


def _check_empty(files: dict[str, FileSummary], universe: Universe) -> None:
    """Warn of files without a region in the universe, and refuse if all files are such."""
    empty = [name for name, file in files.items() if not file.n_tokens]
    if len(empty) == len(files):
        first = files[empty[0]]
        on = f", on {first.chrom}" if first.chrom else ""
        raise AtlasError(
            f"none of the files ({len(empty)}) has a region in the universe; the first, "
            f"{empty[0]}, has {first.n_regions} regions{on}, "
            f"the universe is on {some(universe.regions.chrom_names)}: are they of one genome?"
        )
    if empty:
        log.warning(
            "%d of %d files have no region in the universe and become empty sets: %s",
            *(len(empty), len(files), some(empty)),
        )


def _in_parallel(
    encode: Callable[[Path], Encoded | GenoglotError], paths: list[Path], jobs: int | None
) -> Iterator[Encoded | GenoglotError]:
    """Encode files with `jobs` threads; yield the results in the order of the files.

    Threads are as fast as processes here: decompressing, parsing and searching release Python's
    lock, and the universe is not copied. docs/decisions/0003-atlas-format.md has measurements.
    """
    jobs = jobs or os.cpu_count() or 1
    pool = ThreadPoolExecutor(jobs)
    waiting: deque[Future[Encoded | GenoglotError]] = deque()
    try:
        for path in paths:
            waiting.append(pool.submit(encode, path))
            if len(waiting) >= jobs * READ_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # at Ctrl-C too: files that have not been started are not read
        pool.shutdown(cancel_futures=True)
