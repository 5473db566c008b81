"""`genoglot annotate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from genoglot.cli.options import Alias, OnError, Overlap, with_groups
from genoglot.cli.output import print_json, print_table


@with_groups
def annotate(
    model: Annotated[str, typer.Argument(help="Saved annotator.", show_default=False)],
    beds: Annotated[
        list[Path],
        typer.Argument(metavar="BED...", help="BED files, plain or gzip.", show_default=False),
    ],
    top: Annotated[
        int, typer.Option(min=1, help="Number of labels and of similar sets to show.")
    ] = 5,
    alias: Alias = None,
    on_error: OnError = "raise",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: a list with one object for each file.")
    ] = False,
    *,
    overlap: Overlap,
) -> None:
    """Annotate BED files: assay, target and biosample, and the descriptions that fit best.

    Probabilities are calibrated on held-out sets. The answer is "none of these" if the best label
    is less probable than the threshold of the model, or if the file resembles no labeled set.
    """
    from genoglot.models import load
    from genoglot.reports.annotate import annotate_file

    annotator = load(model, "regions-to-text")
    options = {"top": top, "alias": alias, "on_error": on_error, **asdict(overlap)}
    # All files are read before anything is printed: an error leaves no part of an answer.
    found = [annotate_file(annotator, bed, **options) for bed in beds]
    if as_json:
        print_json([one.to_dict() for one in found])
        return
    for one in found:
        typer.echo(one.summary())
        for table in one.tables():
            print_table(*table, right=("probability", "match", "Jaccard"))
