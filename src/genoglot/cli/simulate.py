"""`genoglot simulate`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from genoglot.cli.options import Seed

log = logging.getLogger("genoglot")


def simulate(
    out: Annotated[Path, typer.Argument(help="Directory to make.", show_default=False)],
    size: Annotated[
        Literal["small", "medium", "large"],
        typer.Option(help="Seconds, a minute, or the size of ENCODE and many minutes."),
    ] = "small",
    seed: Seed = 0,
) -> None:
    """Simulate a world whose truth is known: genome, genes, universe, BED files, sample sheet."""
    from rich.console import Console
    from rich.progress import Progress

    from genoglot.simulate import simulate

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bars = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                bars[stage] = progress.add_task(f"Simulating {stage}", total=total)
            progress.update(bars[stage], completed=done)

        world = simulate(out, size, seed, tell)
    log.info("%s: simulated %d BED files over %d regions", out, len(world.sheet), len(world))
