"""`genoglot library add`, `search`, `remove`, `list` and `info`."""

from __future__ import annotations

import logging
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from genoglot.cli.options import Alias, AsJson, BedFolder, OnError, Overlap, with_groups
from genoglot.cli.output import print_facts, print_json, print_tsv, progress_bars
from genoglot.cli.session import advise, read_pairs, report_skipped
from genoglot.errors import LibraryError

log = logging.getLogger("genoglot")

app = typer.Typer(
    no_args_is_help=True, help="Store region sets, and search them by text, keywords and regions."
)

LibraryName = Annotated[
    str,
    typer.Argument(
        metavar="LIBRARY",
        help="Folder of the library; with --store, its name on the server.",
        show_default=False,
    ),
]
Server = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="Address of the server that has the library, as http://host:port.",
        show_default="on disk",
    ),
]


@app.command("add")
@with_groups
def add(
    library: LibraryName,
    folder: Annotated[
        Path | None, typer.Argument(help="Folder with the BED files.", show_default=False)
    ] = None,
    universe: Annotated[
        Path | None,
        typer.Option(
            help="BED file of the universe; required for a new library.", show_default=False
        ),
    ] = None,
    atlas: Annotated[
        Path | None,
        typer.Option(
            help="Add the region sets of this atlas instead of BED files.", show_default=False
        ),
    ] = None,
    existing: Annotated[
        Literal["refuse", "skip", "replace"],
        typer.Option(
            help="What to do if the library already has a set of the same id; skip continues an "
            "interrupted command."
        ),
    ] = "refuse",
    acknowledge: Annotated[
        bool,
        typer.Option("--acknowledge", help="Print the id of each set as soon as it is stored."),
    ] = False,
    store: Server = None,
    *,
    files: BedFolder,
    overlap: Overlap,
) -> None:
    """Add region sets from BED files or an atlas; a library that does not exist is created.

    Files that cannot be read are listed and left out; the exit status is then 2.
    """
    from genoglot.atlas import Atlas
    from genoglot.library.add import add_atlas, add_files

    advise(lambda: "continue with --existing skip")
    if atlas is not None:
        if folder or universe or files != BedFolder(genome=files.genome):
            raise LibraryError(
                "give a folder of BED files or --atlas, not both; the sets of an atlas are added "
                "as they are"
            )
        add_sets = partial(add_atlas, library, Atlas.open(atlas), genome=files.genome)
    elif folder is None or (files.sheet is None and not files.encode_json):
        raise LibraryError(
            "give a folder of BED files with its --sheet or --encode-json, or an --atlas"
        )
    else:
        metadata = files.metadata(folder)
        given = files.read_universe(universe) if universe else None
        add_sets = partial(add_files, library, folder, metadata, given, **files.arguments(overlap))
    with progress_bars() as progress:
        bar = progress.add_task("Adding region sets", total=None)

        def show_added(ids: list[str]) -> None:
            progress.advance(bar, len(ids))
            if acknowledge:
                typer.echo("\n".join(ids))

        result = add_sets(store=store, existing=existing, acknowledge=show_added)
    log.info("added %d region sets: %r", result.n_added, result.library)
    report_skipped(result.skipped, result.n_read)


@app.command("search")
@with_groups
def search(
    library: LibraryName,
    text: Annotated[
        str | None, typer.Argument(help="Text to search for.", show_default=False)
    ] = None,
    bed: Annotated[
        str | None,
        typer.Option(
            help="BED file; search for sets of similar regions. - is standard input.",
            show_default=False,
        ),
    ] = None,
    alias: Alias = None,
    on_error: OnError = "raise",
    keywords: Annotated[
        str | None,
        typer.Option(
            help='Keywords to search for; "" for none.', show_default="the words of the text"
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Only sets with this value of assay, target or biosample, such as "
            "assay=ATAC-seq. Can be repeated.",
            show_default=False,
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="Maximum number of results.")] = 10,
    as_json: AsJson = False,
    store: Server = None,
    *,
    overlap: Overlap,
) -> None:
    """Search region sets by text, keywords, a BED file, or several of them together.

    Columns: rank, id, score, meaning (cosine), keywords (BM25), jaccard, description, assay,
    target, biosample, n_regions.
    """
    from genoglot.library import Library
    from genoglot.regions import Regions

    opened = Library.open(library, store=store)
    ids = None
    if bed is not None:
        regions = Regions.from_bed(bed, alias=alias, on_error=on_error, columns=3)
        ids = opened.universe.encode(regions, **asdict(overlap))
    hits = opened.search(text, ids, keywords=keywords, where=read_pairs(where, "--where"), n=n)
    if as_json:
        print_json([asdict(hit) for hit in hits])
        return
    scores = ("id", "score", "meaning", "keywords", "jaccard")
    columns = (*scores, "description", "assay", "target", "biosample", "n_regions")
    rows = ([rank, *(getattr(hit, name) for name in columns)] for rank, hit in enumerate(hits, 1))
    print_tsv(("rank", *columns), rows)


@app.command("remove")
def remove(
    library: LibraryName,
    ids: Annotated[
        list[str],
        typer.Argument(metavar="ID...", help="Ids of the sets to remove.", show_default=False),
    ],
    store: Server = None,
) -> None:
    """Remove the region sets of the given ids, or none if one of them is not in the library."""
    from genoglot.library import Library

    opened = Library.open(library, store=store)
    opened.remove(ids)
    log.info("%s: removed %d region sets, %d are left", library, len(set(ids)), len(opened))


@app.command("list")
def list_sets(library: LibraryName, store: Server = None) -> None:
    """List the region sets: id, description, assay, target, biosample, n_regions."""
    from genoglot.library import Library

    table = Library.open(library, store=store).metadata()
    print_tsv(table.columns, table.iter_rows())


@app.command("info")
def info(library: LibraryName, as_json: AsJson = False, store: Server = None) -> None:
    """Show the content of a library: number of sets, genome, universe and text encoder."""
    from genoglot.library import Library

    facts = Library.open(library, store=store).info()
    (print_json if as_json else print_facts)(facts)
