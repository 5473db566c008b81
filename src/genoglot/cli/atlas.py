"""`genoglot atlas build`, `info` and `split`."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Literal

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
    Repair,
    Sheet,
    described_files,
)
from genoglot.cli.session import BAD_INPUT, read_pairs

log = logging.getLogger("genoglot")

app = typer.Typer(
    no_args_is_help=True,
    help="Build, inspect and split an atlas: a collection of described region sets.",
)

AtlasPath = Annotated[Path, typer.Argument(help="Folder of the atlas.", show_default=False)]


@app.command("build")
def build(
    folder: Annotated[Path, typer.Argument(help="Folder with the BED files.", show_default=False)],
    universe: Annotated[Path, typer.Option(help="BED file of the universe.", show_default=False)],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder of the new atlas.", show_default=False)
    ],
    sheet: Sheet = None,
    encode_json: EncodeJson = False,
    assembly: Assembly = None,
    missing: Missing = None,
    genome: GenomeName = "",
    alias: Alias = None,
    format: Format = "auto",
    min_bp: MinBp = 1,
    min_fraction: MinFraction = 0.0,
    min_universe_fraction: MinUniverseFraction = 0.0,
    repair: Repair = None,
    on_error: Annotated[
        Literal["raise", "skip"],
        typer.Option(
            help="If a line is malformed: leave out the file (raise) or only the line (skip)."
        ),
    ] = "raise",
    jobs: Jobs = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing atlas.")
    ] = False,
) -> None:
    """Build an atlas from BED files and a sample sheet.

    Files that cannot be read are listed and left out; the exit status is then 2.
    """
    from genoglot.atlas import build_atlas
    from genoglot.regions import Universe

    report = build_atlas(
        folder,
        described_files(folder, sheet, encode_json, assembly, missing),
        Universe.from_bed(universe, genome=genome, repair=repair),
        out,
        jobs=jobs,
        on_error=on_error,
        alias=alias,
        min_bp=min_bp,
        min_fraction=min_fraction,
        min_universe_fraction=min_universe_fraction,
        format=format,
        overwrite=overwrite,
    )
    for name, problem in report.skipped:
        log.error("skipped %s: %s", name, problem)
    atlas, skipped = report.atlas, len(report.skipped)
    log.info("%s: %d region sets over %d regions", out, len(atlas), atlas.universe_size)
    if skipped:
        log.error("%d of %d files were skipped: see above", skipped, skipped + len(atlas))
        raise typer.Exit(BAD_INPUT)


@app.command("info")
def info(
    atlas: AtlasPath,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the content of an atlas."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from genoglot.atlas import Atlas

    facts = Atlas.open(atlas).info()
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")  # digests in full
    for name, value in facts.items():
        shown = f"{value:,}" if isinstance(value, int | float) else value or "none"
        shown = ", ".join(shown) if isinstance(shown, list) else shown
        table.add_row(name.replace("_", " "), Text(shown))
    Console().print(table)


@app.command("split")
def split(
    atlas: AtlasPath,
    kind: Annotated[
        Literal["random", "random-group", "unseen-combination", "unseen-biosample"],
        typer.Argument(
            help="Kind of split, by what a held-out set shares with the training sets.",
            show_default=False,
        ),
    ],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random split.")] = 0,
    test: Annotated[float, typer.Option(help="Fraction of the sets to test on.")] = 0.1,
    validation: Annotated[
        float, typer.Option(help="Fraction of the sets to choose models on.")
    ] = 0.1,
    fold: Annotated[
        int | None, typer.Option(help="Number of the fold to test on, from 0 (cross-validation).")
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Number of folds.")] = None,
    within: Annotated[
        list[str] | None,
        typer.Option(
            help="Hold out only sets with this value of a column, such as assay=ATAC-seq. Can be "
            "repeated.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the split.", show_default="its kind")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing split.")
    ] = False,
) -> None:
    """Split an atlas into training, validation and test sets, and save the split in it."""
    from genoglot.atlas import Atlas, make_split

    opened = Atlas.open(atlas)
    made = make_split(
        opened.metadata,
        kind,
        seed=seed,
        test=test,
        validation=validation,
        fold=fold,
        folds=folds,
        within=read_pairs(within or [], "--within") or None,
        name=name,
    )
    opened.add_split(made, overwrite=overwrite)
    subsets = sorted(set(made.subset.tolist()))
    sizes = (f"{subset} {(made.subset == subset).sum()}" for subset in subsets)
    log.info("%s: split %s: %s", atlas, made.name, ", ".join(sizes))
