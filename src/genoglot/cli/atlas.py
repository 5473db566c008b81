"""`genoglot atlas build`, `info` and `split`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from genoglot.cli.options import AsJson, BedFolder, Overlap, Overwrite, Seed, with_groups
from genoglot.cli.output import print_facts, print_json
from genoglot.cli.session import read_pairs, report_skipped

log = logging.getLogger("genoglot")

app = typer.Typer(
    no_args_is_help=True,
    help="Build, inspect and split an atlas: a collection of described region sets.",
)

AtlasPath = Annotated[Path, typer.Argument(help="Folder of the atlas.", show_default=False)]


@app.command("build")
@with_groups
def build(
    folder: Annotated[Path, typer.Argument(help="Folder with the BED files.", show_default=False)],
    universe: Annotated[Path, typer.Option(help="BED file of the universe.", show_default=False)],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder of the new atlas.", show_default=False)
    ],
    overwrite: Overwrite = False,
    *,
    files: BedFolder,
    overlap: Overlap,
) -> None:
    """Build an atlas from BED files and their metadata.

    Files that cannot be read are listed and left out; the exit status is then 2.
    """
    from genoglot.atlas import build_atlas
    from genoglot.files import check_apart

    check_apart(out, [folder, universe, files.sheet])
    atlas, skipped = build_atlas(
        folder,
        files.metadata(folder),
        files.read_universe(universe),
        out,
        overwrite=overwrite,
        **files.arguments(overlap),
    )
    log.info("%s: %d region sets over %d regions", out, len(atlas), atlas.universe_size)
    report_skipped(skipped, len(atlas))


@app.command("info")
def info(atlas: AtlasPath, as_json: AsJson = False) -> None:
    """Show the content of an atlas."""
    from genoglot.atlas import Atlas

    facts = Atlas.open(atlas).info()
    (print_json if as_json else print_facts)(facts)


@app.command("split")
def split(
    atlas: AtlasPath,
    kind: Annotated[
        Literal["random", "random-group", "unseen-combination", "unseen-biosample"],
        typer.Argument(
            help="Kind of split, by what a held-out set has in common with the training sets.",
            show_default=False,
        ),
    ],
    seed: Seed = 0,
    test: Annotated[float, typer.Option(help="Fraction of the sets for testing.")] = 0.1,
    validation: Annotated[
        float, typer.Option(help="Fraction of the sets for choosing between models.")
    ] = 0.1,
    fold: Annotated[
        int | None,
        typer.Option(
            help="For cross-validation: number of the fold to test on, from 0.", show_default=False
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(help="For cross-validation: number of folds.", show_default=False),
    ] = None,
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
    overwrite: Overwrite = False,
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
        within=read_pairs(within, "--within") or None,
        name=name,
    )
    opened.add_split(made, overwrite=overwrite)
    subsets = sorted(set(made.subset.tolist()))
    sizes = (f"{subset} {(made.subset == subset).sum()}" for subset in subsets)
    log.info("%s: split %s: %s", atlas, made.name, ", ".join(sizes))
