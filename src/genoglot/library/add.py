"""Adding region sets to a library, which is created if it does not exist."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from genoglot.atlas import Atlas, build_atlas
from genoglot.errors import LibraryError
from genoglot.library.library import Acknowledge, Existing, Library
from genoglot.regions import Universe
from genoglot.regions.assembly import same_assembly


class AddResult(NamedTuple):
    """What was added to a library.

    Attributes
    ----------
    library
        The library, opened.
    n_added
        Number of region sets that were written.
    n_read
        Number of region sets that were read.
    skipped
        File and problem of each file that could not be read.
    """

    library: Library
    n_added: int
    n_read: int
    skipped: list[tuple[str, str]]


def add_atlas(
    path: str | Path,
    atlas: Atlas,
    *,
    store: str | None = None,
    genome: str = "",
    existing: Existing = "refuse",
    acknowledge: Acknowledge | None = None,
) -> AddResult:
    """Add the region sets of an atlas; a library that does not exist is created.

    Parameters
    ----------
    path, store
        The library, as for `Library.open`.
    atlas
        The region sets.
    genome
        Name of the genome assembly that the atlas must be of; by default any.
    existing, acknowledge
        As for `Library.add`.

    Raises
    ------
    LibraryError
        If the atlas is of another genome assembly, or as in `Library.add`.
    UniverseMismatchError
        If the library has another universe.
    """
    if not same_assembly(genome, atlas.genome):
        raise LibraryError(f"{atlas.path}: is of {atlas.genome!r}, not of {genome!r}")
    library = _open_or_create(path, atlas.universe, store)
    added = library.add_atlas(atlas, existing=existing, acknowledge=acknowledge)
    return AddResult(library, added, len(atlas), [])


def add_files(
    path: str | Path,
    folder: Path,
    metadata: pl.DataFrame,
    universe: Universe | None = None,
    *,
    store: str | None = None,
    existing: Existing = "refuse",
    acknowledge: Acknowledge | None = None,
    **reading: Any,
) -> AddResult:
    """Add the region sets of a folder of BED files; a library that does not exist is created.

    Parameters
    ----------
    path, store
        The library, as for `Library.open`.
    folder, metadata
        The files and their table, as for `build_atlas`.
    universe
        Universe of a new library; by default that of the existing library.
    existing, acknowledge
        As for `Library.add`.
    **reading
        How the files are read: arguments of `build_atlas`.

    Raises
    ------
    LibraryError
        If there is neither a library nor a universe.
    UniverseMismatchError
        If the library has another universe.
    """
    over = _choose_universe(path, universe, store)
    with tempfile.TemporaryDirectory() as temporary:
        report = build_atlas(folder, metadata, over, Path(temporary) / "atlas", **reading)
        library = _open_or_create(path, over, store)  # not before there is something to add
        added = library.add_atlas(report.atlas, existing=existing, acknowledge=acknowledge)
    return AddResult(library, added, len(report.atlas), report.skipped)


def _open_or_create(path: str | Path, universe: Universe, store: str | None) -> Library:
    """Open a library, which must have this universe, or create it."""
    if not Library.exists(path, store=store):
        return Library.create(path, universe, store=store)
    library = Library.open(path, store=store)
    universe.check_same(library.universe_digest, genome=library.genome)
    return library


def _choose_universe(path: str | Path, given: Universe | None, store: str | None) -> Universe:
    """Return the universe of a library, or the given one for a new library."""
    if not Library.exists(path, store=store):
        if given is None:
            raise LibraryError(f"{path}: a new library needs its --universe")
        Library.check_free(path, store=store)
        return given
    library = Library.open(path, store=store)
    if given is None:
        return library.universe
    given.check_same(library.universe_digest, genome=library.genome)
    return given
