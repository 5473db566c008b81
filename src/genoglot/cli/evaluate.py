"""`genoglot evaluate`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genoglot.errors import GenoglotError

if TYPE_CHECKING:
    from genoglot.atlas import Atlas

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
        bool,
        typer.Option(
            help="Put popularity, nearest and ridge beside generators, majority, nearest set and "
            "ridge beside annotators."
        ),
    ] = True,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Put beside generators a baseline that adds up log-odds of these columns of the "
            "sample sheet, such as target/assay,biosample (a/b: b where a is empty).",
            show_default="none",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Also print each model's difference from this one, set by set: a name in the "
            "table, such as ridge.",
            show_default="none",
        ),
    ] = None,
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
    """Measure generators, or annotators, on region sets kept aside, beside the baselines."""
    from rich.console import Console

    from genoglot.atlas import Atlas
    from genoglot.evaluation import (
        differences_markdown,
        evaluate,
        evaluate_annotators,
        paired_differences,
    )
    from genoglot.models import ColumnOdds, is_annotator, load, load_annotator

    if split and train_atlas:
        raise GenoglotError("give --split or --train-atlas, not both")
    if columns and not split:
        raise GenoglotError("--columns learns from a split's training part; give --split")
    opened = Atlas.open(atlas)
    backwards = [is_annotator(model) for model in models]
    if any(backwards) and not all(backwards):
        other = models[backwards.index(not backwards[0])]
        raise GenoglotError(
            f"{models[0]} and {other}: a generator and an annotator have no measure in common; "
            "evaluate them apart"
        )
    if columns and backwards[0]:
        raise GenoglotError("--columns is a baseline of generators; leave it out for annotators")
    fitted: dict[str, Any] = {}
    if baselines and split:
        fitted |= _baselines(opened, split, annotators=backwards[0])
    elif baselines and train_atlas:
        fitted |= _baselines(Atlas.open(train_atlas), None, annotators=backwards[0])
    elif baselines:
        log.warning("no baselines: they learn from a --split's training part or a --train-atlas")
    if columns and split:
        odds = ColumnOdds(opened, [name.strip() for name in columns.split(",")])
        fitted[odds.kind] = odds.fit(opened.split(split).train)
    names = _names(models, taken=set(fitted))
    if against is not None and against not in (known := [*fitted, *names]):
        raise GenoglotError(f"--against {against}: not in the table, which has {', '.join(known)}")
    read: Callable[[str], Any] = load_annotator if backwards[0] else load
    fitted |= {name: read(path) for name, path in zip(names, models, strict=True)}
    where: dict[str, Any] = {"split": split or "", "subset": part, "seed": seed}
    if backwards[0]:
        table = evaluate_annotators(fitted, opened, **where)
    else:
        table = evaluate(fitted, opened, n=n, **where)
    differences = paired_differences(table, against) if against is not None else []
    if out is not None:
        table.to_parquet(out)
    if markdown is not None:
        table.to_markdown(markdown)
    Console().print(table)
    if differences:
        typer.echo(differences_markdown(differences))


def _baselines(atlas: Atlas, split: str | None, *, annotators: bool) -> dict[str, Any]:
    """Fit the baselines to a split's training part, or to all sets."""
    from genoglot.models import BASELINES, create
    from genoglot.models.regions_to_text.baselines import MajorityLabels, NearestSet, RidgeBackwards

    rows = None if split is None else atlas.split(split).train
    if annotators:
        simple = (MajorityLabels(), NearestSet(), RidgeBackwards())
        return {one.kind: one.fit(atlas, rows) for one in simple}
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
