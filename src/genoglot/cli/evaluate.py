"""`genoglot evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from genoglot.cli.options import Device
from genoglot.errors import GenoglotError


def evaluate(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Saved models.", show_default=False)
    ],
    atlas: Annotated[Path, typer.Option(help="Atlas to evaluate on.", show_default=False)],
    split: Annotated[
        str | None,
        typer.Option(
            help="Evaluate on a subset of this split.", show_default="evaluate on all sets"
        ),
    ] = None,
    subset: Annotated[
        Literal["train", "validation", "test"], typer.Option(help="Subset of the split.")
    ] = "test",
    baselines: Annotated[
        bool,
        typer.Option(
            help="Also evaluate baselines: popularity, nearest and ridge for generators; majority, "
            "nearest set and ridge for annotators."
        ),
    ] = True,
    columns: Annotated[
        str | None,
        typer.Option(
            help="For generators, also evaluate a baseline that adds up log-odds of these columns "
            "of the sample sheet, such as target/assay,biosample (a/b: b where a is empty).",
            show_default="none",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Also print the difference of each model from this one, set by set: a name in "
            "the table, such as ridge.",
            show_default="none",
        ),
    ] = None,
    train_atlas: Annotated[
        Path | None,
        typer.Option(
            help="Fit the baselines to this atlas instead of the training subset of the split.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="Parquet file for the results; those of each set are written beside it.",
            show_default=False,
        ),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Markdown file for the table.", show_default=False)
    ] = None,
    n: Annotated[
        int,
        typer.Option(
            "-n",
            "--n",
            min=1,
            help="Number N of best regions that precision@N and recall@N are computed for.",
        ),
    ] = 1000,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            help="Seed of the bootstrap; the table also records it as the seed of the models.",
        ),
    ] = 0,
    device: Device = "auto",
) -> None:
    """Evaluate generators or annotators on held-out region sets, beside baselines."""
    from rich.console import Console

    from genoglot.atlas import Atlas
    from genoglot.evaluation import differences_markdown
    from genoglot.evaluation.saved_models import compare_models
    from genoglot.training.device import choose_device

    if split and train_atlas:
        raise GenoglotError("give --split or --train-atlas, not both")
    if columns and not split:
        raise GenoglotError("--columns learns from a split's training subset; give --split")
    choose_device(device)
    table, differences = compare_models(
        models,
        Atlas.open(atlas),
        split=split,
        subset=subset,
        baselines=baselines,
        train_atlas=Atlas.open(train_atlas) if train_atlas else None,
        columns=[name.strip() for name in columns.split(",")] if columns else (),
        against=against,
        n=n,
        seed=seed,
        device=device,
    )
    if out is not None:
        table.to_parquet(out)
    if markdown is not None:
        table.to_markdown(markdown)
    Console().print(table)
    if len(differences):
        typer.echo(differences_markdown(differences))
