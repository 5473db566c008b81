"""`genoglot simulate`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from genoglot.cli.options import Seed
from genoglot.cli.output import progress_bars

log = logging.getLogger("genoglot")


def simulate(
    out: Annotated[Path, typer.Argument(help="Folder of the simulated world.", show_default=False)],
    size: Annotated[
        Literal["small", "medium", "large"],
        typer.Option(
            help="Size of the world: small takes seconds, medium a minute, and large, which has "
            "the size of ENCODE, much longer."
        ),
    ] = "small",
    seed: Seed = 0,
) -> None:
    """Simulate a genome, genes, a universe, BED files and their sample sheet, with ground truth."""
    from genoglot.simulate import simulate

    with progress_bars() as progress:
        bars = {}

        def show_progress(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                bars[stage] = progress.add_task(f"Simulating {stage}", total=total)
            progress.update(bars[stage], completed=done)

        world = simulate(out, size, seed, show_progress)
    log.info("%s: simulated %d BED files over %d regions", out, len(world.sheet), len(world))
