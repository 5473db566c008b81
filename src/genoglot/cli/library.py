"""`genoglot library add`, `search`, `remove`, `list` and `info`."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genoglot.cli.options import (
    Alias,
    Assembly,
    EncodeJson,
    Format,
    GenomeName,
    Jobs,
    MinBp,
    MinFraction,
    MinUniverseFraction,
    Missing,
    OnError,
    Repair,
    Sheet,
    described_files,
)
from genoglot.cli.session import BAD_INPUT, advise, read_pairs
from genoglot.errors import LibraryError

if TYPE_CHECKING:
    from genoglot.atlas import Atlas
    from genoglot.library import Library
    from genoglot.library.library import Existing
    from genoglot.regions import Universe

log = logging.getLogger("genoglot")

app = typer.Typer(
    no_args_is_help=True, help="Keep region sets, and find them by text, by words, by regions."
)

LibraryName = Annotated[
    str,
    typer.Argument(metavar="LIBRARY", help="Folder; with --store a name.", show_default=False),
]
Server = Annotated[
    str | None,
    typer.Option("--store", help="http://host:port of a server.", show_default="on disk"),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command("add")
def add(
    library: LibraryName,
    folder: Annotated[
        Path | None, typer.Argument(help="Where the BED files are.", show_default=False)
    ] = None,
    sheet: Sheet = None,
    encode_json: EncodeJson = False,
    assembly: Assembly = None,
    missing: Missing = None,
    universe: Annotated[
        Path | None, typer.Option(help="BED file of the universe; needed for a new library.")
    ] = None,
    genome: GenomeName = "",
    alias: Alias = None,
    format: Format = "auto",
    min_bp: MinBp = 1,
    min_fraction: MinFraction = 0.0,
    min_universe_fraction: MinUniverseFraction = 0.0,
    repair: Repair = None,
    on_error: Annotated[
        Literal["raise", "skip"],
        typer.Option(help="A malformed line: leave the file out, or only the line (skip)."),
    ] = "raise",
    jobs: Jobs = None,
    atlas: Annotated[
        Path | None, typer.Option(help="Add the sets of this atlas, not of a folder.")
    ] = None,
    existing: Annotated[
        Literal["refuse", "skip", "replace"],
        typer.Option(help="What if an id is there; skip goes on with what was interrupted."),
    ] = "refuse",
    acknowledge: Annotated[
        bool, typer.Option("--acknowledge", help="Print each id as soon as its set is stored.")
    ] = False,
    store: Server = None,
) -> None:
    """Add the region sets of a folder of BED files, or of an atlas. A new library is made.

    Files that cannot be read are listed and left out; the exit status is then 2.
    """
    from genoglot.atlas import Atlas, build_atlas
    from genoglot.regions import Universe
    from genoglot.regions.assembly import same_assembly

    of_files = (folder, sheet, universe, assembly, missing, alias, repair)
    advise(lambda: "go on with --existing skip")
    if atlas is not None:
        if any(option is not None for option in of_files) or encode_json:
            raise LibraryError(
                "give a folder of BED files or --atlas, not both; the sets of an atlas are added "
                "as they are"
            )
        source = Atlas.open(atlas)
        if not same_assembly(genome, source.genome):
            raise LibraryError(f"{atlas}: is of {source.genome!r}, not of {genome!r}")
        _add(_open(library, store, source.universe), source, existing, acknowledge)
        return
    if folder is None or (sheet is None and not encode_json):
        raise LibraryError(
            "give a folder of BED files with its --sheet or --encode-json, or an --atlas"
        )
    described = described_files(folder, sheet, encode_json, assembly, missing)
    given = None
    if universe is not None:
        given = Universe.from_bed(universe, genome=genome, repair=repair)
    # The library is made when there is something to put into it.
    over = _universe(library, store, given)
    with tempfile.TemporaryDirectory() as temporary:
        report = build_atlas(
            folder,
            described,
            over,
            Path(temporary) / "atlas",
            genome=genome,
            jobs=jobs,
            on_error=on_error,
            alias=alias,
            min_bp=min_bp,
            min_fraction=min_fraction,
            min_universe_fraction=min_universe_fraction,
            format=format,
        )
        _add(_open(library, store, over), report.atlas, existing, acknowledge)
    for name, problem in report.skipped:
        log.error("skipped %s: %s", name, problem)
    if report.skipped:
        raise typer.Exit(BAD_INPUT)


@app.command("search")
def search(
    library: LibraryName,
    text: Annotated[
        str | None, typer.Argument(help="What to look for.", show_default=False)
    ] = None,
    bed: Annotated[
        str | None, typer.Option(help="Find sets of like regions; - is standard input.")
    ] = None,
    alias: Alias = None,
    on_error: OnError = "raise",
    min_bp: MinBp = 1,
    min_fraction: MinFraction = 0.0,
    min_universe_fraction: MinUniverseFraction = 0.0,
    keywords: Annotated[
        str | None,
        typer.Option(help='Words to look up; "" for none.', show_default="those of the text"),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Only such sets, as assay=ATAC-seq; repeat it.", show_default=False),
    ] = None,
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="How many sets.")] = 10,
    as_json: AsJson = False,
    store: Server = None,
) -> None:
    """Find region sets by text, by words, by a BED file, or by several of them together.

    Columns: rank, id, score, meaning (cosine), keywords (BM25), jaccard, description, assay,
    target, biosample, n_regions.
    """
    from genoglot.library import Library
    from genoglot.regions import Regions

    opened = Library.open(library, store=store)
    regions = None
    if bed is not None:
        read = Regions.from_bed(bed, alias=alias, on_error=on_error, columns=3)
        regions = opened.universe.encode(
            read,
            min_bp=min_bp,
            min_fraction=min_fraction,
            min_universe_fraction=min_universe_fraction,
        )
    filters = read_pairs(where or [], "--where")
    hits = opened.search(text, regions, keywords=keywords, where=filters, n=n)
    if as_json:
        typer.echo(json.dumps([asdict(hit) for hit in hits], indent=1, ensure_ascii=False))
        return
    parts = ("id", "score", "meaning", "keywords", "jaccard")
    about = ("description", "assay", "target", "biosample", "n_regions")
    rows = ((rank, *(getattr(hit, p) for p in parts + about)) for rank, hit in enumerate(hits, 1))
    _print_table(("rank", *parts, *about), rows)


@app.command("remove")
def remove(
    library: LibraryName,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", show_default=False)],
    store: Server = None,
) -> None:
    """Remove region sets: all that are named, or none if one of them is not there."""
    from genoglot.library import Library

    opened = Library.open(library, store=store)
    opened.remove(ids)
    log.info("%s: removed %d region sets, %d are left", library, len(set(ids)), len(opened))


@app.command("list")
def list_sets(library: LibraryName, store: Server = None) -> None:
    """List the region sets: id, description, assay, target, biosample, n_regions."""
    from genoglot.library import Library

    table = Library.open(library, store=store).metadata()
    _print_table(table.columns, table.iter_rows())


@app.command("info")
def info(library: LibraryName, as_json: AsJson = False, store: Server = None) -> None:
    """Show what a library holds."""
    from genoglot.library import Library

    facts = Library.open(library, store=store).info()
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    for name, value in facts.items():
        shown = f"{value:,}" if isinstance(value, int) else value or "none"
        typer.echo(f"{name.replace('_', ' '):16} {shown}")


def _open(library: str, store: str | None, universe: Universe) -> Library:
    """Open a library, which must be of this universe, or make it."""
    from genoglot.library import Library

    if not Library.exists(library, store=store):
        return Library.create(library, universe, store=store)
    opened = Library.open(library, store=store)
    universe.check_same(opened.universe_digest, genome=opened.genome)
    return opened


def _universe(library: str, store: str | None, given: Universe | None) -> Universe:
    """Return the universe of a library, or that which is given for a new one."""
    from genoglot.library import Library

    if Library.exists(library, store=store):
        opened = Library.open(library, store=store)
        if given is None:
            return opened.universe
        given.check_same(opened.universe_digest, genome=opened.genome)
        return given
    if given is None:
        raise LibraryError(f"{library}: a new library needs its --universe")
    Library.check_free(library, store=store)
    return given


def _add(library: Library, atlas: Atlas, existing: Existing, acknowledge: bool) -> None:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Adding region sets", total=len(atlas))

        def tell(ids: list[str]) -> None:
            progress.advance(bar, len(ids))
            if acknowledge:
                typer.echo("\n".join(ids))

        added = library.add_atlas(atlas, existing=existing, acknowledge=tell)
    log.info("added %d region sets: %r", added, library)


def _print_table(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print tab-separated lines, the first with the names."""
    typer.echo("\t".join(names))
    for row in rows:
        typer.echo("\t".join(map(_cell, row)))


def _cell(value: Any) -> str:
    r"""Show a value in one cell: nothing for None, no tab or line break.

    >>> [_cell(value) for value in (None, 0.25, "CTCF\tin\nliver")]
    ['', '0.2500', 'CTCF in liver']
    """
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else " ".join(str(value).split())
