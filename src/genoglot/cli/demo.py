"""`genoglot demo`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from genoglot.cli.options import Seed

log = logging.getLogger("genoglot")


def demo(
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder of the demo; an earlier demo is replaced.")
    ] = Path("demo"),
    seed: Seed = 0,
    epochs: Annotated[int | None, typer.Option(min=1, hidden=True)] = None,
) -> None:
    """Simulate a small world, train on it, answer three queries, and write a report (HTML)."""
    from rich.console import Console

    from genoglot.reports.demo_report import REPORT, write_demo

    settings = {} if epochs is None else {"epochs": epochs, "min_steps": 1}
    table = write_demo(out, seed=seed, **settings)
    Console().print(table)
    log.info("report: %s", out / REPORT)
