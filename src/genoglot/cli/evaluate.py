"""`genoglot evaluate`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genoglot.errors import GenoglotError

if TYPE_CHECKING:
    from genoglot.atlas import Atlas
    from genoglot.models import Generator

log = logging.getLogger("genoglot")


def evaluate(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="Saved models.", show_default=False)
    ],
    atlas: Annotated[Path, typer.Option(help="Atlas to evaluate on.", show_default=False)],
    split: Annotated[
        str | None, typer.Option(help="Evaluate on a part of this split; without, on all sets.")
    ] = None,
    part: Annotated[
        Literal["train", "validation", "test"], typer.Option(help="Part of the split.")
    ] = "test",
    baselines: Annotated[
        bool, typer.Option(help="Put popularity, nearest and ridge beside the models.")
    ] = True,
    train_atlas: Annotated[
        Path | None,
        typer.Option(help="Fit the baselines to this atlas, not to the split's training part."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Results as parquet, per set beside it.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="The table as Markdown.")] = None,
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="N of precision@N.")] = 1000,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the models, as recorded, and of the bootstrap.")
    ] = 0,
) -> None:
    """Measure models on region sets kept aside, beside the baselines."""
    from rich.console import Console

    from genoglot.atlas import Atlas
    from genoglot.evaluation import evaluate
    from genoglot.models import load

    if split and train_atlas:
        raise GenoglotError("give --split or --train-atlas, not both")
    opened = Atlas.open(atlas)
    generators: dict[str, Generator] = {}
    if baselines and split:
        generators |= _baselines(opened, split)
    elif baselines and train_atlas:
        generators |= _baselines(Atlas.open(train_atlas), None)
    elif baselines:
        log.warning("no baselines: they learn from a --split's training part or a --train-atlas")
    names = _names(models, taken=set(generators))
    generators |= {name: load(path) for name, path in zip(names, models, strict=True)}
    table = evaluate(generators, opened, split=split or "", part=part, seed=seed, n=n)
    if out is not None:
        table.to_parquet(out)
    if markdown is not None:
        table.to_markdown(markdown)
    Console().print(table)


def _baselines(atlas: Atlas, split: str | None) -> dict[str, Generator]:
    """Fit the baselines to a split's training part, or to all sets."""
    from genoglot.models import BASELINES, create

    rows = None if split is None else atlas.split(split).train
    return {kind: create(kind).fit(atlas, rows) for kind in BASELINES}


def _names(models: list[str], taken: set[str]) -> list[str]:
    """Names for the table: the last part of each path, or all of it where that is ambiguous.

    >>> _names(["runs/direct/", "ridge", "x/m", "y/m"], taken={"ridge"})
    ['direct', './ridge', 'x/m', 'y/m']
    """
    short = [Path(model).name for model in models]
    names = [
        name if short.count(name) == 1 and name not in taken else model
        for name, model in zip(short, models, strict=True)
    ]
    return [f"./{name}" if name in taken else name for name in names]
