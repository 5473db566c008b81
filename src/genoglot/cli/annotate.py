"""`genoglot annotate`."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genoglot.cli.options import Alias, MinBp, MinFraction, MinUniverseFraction, OnError

if TYPE_CHECKING:
    from genoglot.models import Annotation, Annotator, Answer

NONE = "none of these"


def annotate(
    model: Annotated[str, typer.Argument(help="Saved annotator.", show_default=False)],
    beds: Annotated[
        list[Path],
        typer.Argument(metavar="BED...", help="BED files, plain or gzip.", show_default=False),
    ],
    top: Annotated[
        int, typer.Option(min=1, help="Number of labels and of similar sets to show.")
    ] = 5,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: a list with one object for each file.")
    ] = False,
    alias: Alias = None,
    on_error: OnError = "raise",
    min_bp: MinBp = 1,
    min_fraction: MinFraction = 0.0,
    min_universe_fraction: MinUniverseFraction = 0.0,
) -> None:
    """Annotate BED files: assay, target and biosample, and the descriptions that fit best.

    Probabilities are calibrated on held-out sets. The answer is "none of these" if the best label
    is less probable than the threshold of the model, or if the file resembles no labeled set.
    """
    from genoglot.models import Annotator

    annotator = Annotator.from_pretrained(model)
    # All files are read before anything is printed: an error leaves no half of an answer.
    enough = {
        "min_bp": min_bp,
        "min_fraction": min_fraction,
        "min_universe_fraction": min_universe_fraction,
    }
    said = [_annotated(annotator, bed, top, alias, on_error, enough) for bed in beds]
    if as_json:
        typer.echo(json.dumps([_as_dict(one) for one in said], indent=1))
        return
    _show(said)


@dataclass(frozen=True)
class _Said:
    """What is said of a file of `n_regions`, of which `n_overlapping` overlap the universe."""

    file: str
    n_regions: int
    n_overlapping: int
    annotation: Annotation


def _annotated(
    annotator: Annotator,
    bed: Path,
    top: int,
    alias: Any,
    on_error: Literal["raise", "skip"],
    enough: dict[str, Any],
) -> _Said:
    import numpy as np

    from genoglot.errors import ChromosomeNameError, GenoglotError, UniverseError
    from genoglot.regions import Regions

    universe = annotator.universe
    # That a file is empty is an error here, and said once.
    with _without("no regions in this file"):
        regions = Regions.from_bed(bed, alias=alias, on_error=on_error, columns=3)
    if not len(regions):
        raise GenoglotError(f"{bed}: holds no region; there is nothing to annotate")
    try:
        rows, ids = universe.overlaps(regions, **enough)
    except ChromosomeNameError as error:
        raise ChromosomeNameError(f"{bed}: {error}") from None
    if not len(ids):
        raise UniverseError(
            f"{bed}: none of its {len(regions)} regions overlaps the model's universe (genome "
            f"{universe.genome or 'unnamed'}); give a file of that genome, or another model"
        )
    annotation = annotator.annotate(np.unique(ids), top=top)
    return _Said(str(bed), len(regions), len(np.unique(rows)), annotation)


@contextmanager
def _without(notice: str) -> Iterator[None]:
    """Keep a notice from being shown."""

    def other(record: logging.LogRecord) -> bool:
        return notice not in record.getMessage()

    handlers = logging.getLogger("genoglot").handlers
    for handler in handlers:
        handler.addFilter(other)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(other)


def _as_dict(said: _Said) -> dict[str, Any]:
    fields = {
        answer.field: {
            "answer": answer.labels[0] if answer.accepted else None,
            "labels": dict(zip(answer.labels, answer.probabilities, strict=True)),
        }
        for answer in said.annotation.answers
    }
    described = [{"text": text, "match": match} for text, match in said.annotation.descriptions]
    return {
        "file": said.file,
        "n_regions": said.n_regions,
        "n_overlapping": said.n_overlapping,
        "n_tokens": said.annotation.n_tokens,
        "familiar": said.annotation.familiar,
        **fields,
        "descriptions": described,
        "nearest": [asdict(neighbor) for neighbor in said.annotation.nearest],
    }


def _show(said: list[_Said]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()

    def show(header: list[str], rows: Iterator[list[str]]) -> None:
        table = Table(box=box.SIMPLE, padding=0)
        for name in header:
            numeric = name in ("probability", "match", "Jaccard")
            table.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))  # as text: "[1]" is no markup
        console.print(table)

    for one in said:
        annotation = one.annotation
        share = one.n_overlapping / one.n_regions
        console.print(
            Text(
                f"{one.file}: {one.n_regions:,} regions, of which {share:.0%} overlap the universe "
                f"({annotation.n_tokens:,} of its regions)",
                style="bold",
            )
        )
        if not annotation.familiar:
            console.print(Text("It resembles no labeled set: take nothing below for an answer."))
        lines = (line for answer in annotation.answers for line in _lines(answer))
        show(["field", "answer", "label", "probability"], lines)
        described = ([f"{match:.3f}", text] for text, match in annotation.descriptions)
        show(["match", "description"], described)
        nearest = ([f"{n.jaccard:.3f}", n.id, n.description] for n in annotation.nearest)
        show(["Jaccard", "nearest labeled set", "description"], nearest)


def _lines(answer: Answer) -> Iterator[list[str]]:
    """Lines of a field: its answer beside the first of its labels."""
    first = (answer.labels[0] or "(none)") if answer.accepted else NONE
    for i, (label, p) in enumerate(zip(answer.labels, answer.probabilities, strict=True)):
        yield ["" if i else answer.field, "" if i else first, label or "(none)", f"{p:.3f}"]
