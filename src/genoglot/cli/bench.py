"""`genoglot bench run`, `list` and `table`."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genoglot.cli.options import Device, Precision
from genoglot.cli.session import advise, check_device, read_pairs
from genoglot.errors import GenoglotError

if TYPE_CHECKING:
    from genoglot.bench.recipe import Recipe
    from genoglot.bench.run import Run
    from genoglot.sequence import Genome
    from genoglot.tasks.dataset import TaskData

log = logging.getLogger("genoglot")

app = typer.Typer(
    no_args_is_help=True, help="Run tasks x models x settings x seeds, and show the results."
)

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder with task data, in any depth.", show_default=False),
]
Size = Annotated[
    Literal["seed", "small"],
    typer.Option(help="The published size, or minutes on two CPU cores."),
]
Fasta = Annotated[
    list[Path] | None,
    typer.Option(help="FASTA to pre-train on and learn byte pairs from.", show_default=False),
]
Split = Annotated[
    str | None,
    typer.Option(help="Of every dataset.", show_default="the recipe's, or the task's own"),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        help="Runs that match, as model=attention or dataset='GUE/*'.", show_default=False
    ),
]


@app.command("run")
def run(
    recipe: Annotated[
        str, typer.Argument(help="YAML file, or name of a recipe.", show_default=False)
    ],
    data: Data,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for the results.", show_default=False)
    ],
    size: Size = "seed",
    genome: Fasta = None,
    split: Split = None,
    only: Only = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Do the runs of a recipe that are not done yet; OUT/results has a file of each.

    A run that fails is told of, and the others go on; the exit status is then 1. The same command,
    started several times at once, shares the runs between its processes.
    """
    from genoglot.bench.cache import Workshop
    from genoglot.bench.run import done_keys, run_missing
    from genoglot.training.device import DeviceOptions

    check_device(device)
    experiment, datasets, dna, runs = _planned(recipe, data, size, genome, split, only)
    if not runs:
        raise GenoglotError("no run is left by --only; genoglot bench list shows all")
    advise(lambda: "the same command goes on")
    experiment.keep(out)
    done = done_keys(out, experiment.name)
    missing = [one for one in runs if one.key not in done]
    log.info("%s: %d runs, %d done", experiment.name, len(runs), len(runs) - len(missing))
    number = 0

    def tell(one: Run, row: Mapping[str, Any] | Exception) -> None:
        nonlocal number
        number += 1
        if isinstance(row, GenoglotError):
            said = f"failed: {row}"
        elif isinstance(row, Exception):
            said = f"failed: {type(row).__name__}: {row}"
        else:
            main = datasets[one.dataset].metrics[0]
            value = "not defined" if math.isnan(row[main]) else f"{row[main]:.3f}"
            took = "" if row["seconds"] is None else f", {row['seconds']:.1f} s"
            said = f"{main} {value}{took}"
        log.info("%d/%d %s: %s", number, len(missing), one, " ".join(said.splitlines()))

    failed = run_missing(
        missing, Workshop(out, datasets, dna, DeviceOptions(device, precision=precision)), tell
    )
    if failed:
        log.error("%d of %d runs failed; run the same command to try again", failed, len(missing))
        raise typer.Exit(1)


@app.command("list")
def list_runs(
    recipe: Annotated[
        str | None, typer.Argument(help="YAML file, or name of a recipe.", show_default=False)
    ] = None,
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder of results.", show_default=False)
    ] = None,
    size: Size = "seed",
    genome: Fasta = None,
    split: Split = None,
    only: Only = None,
) -> None:
    """List the recipes and tasks; or, with a recipe and --data, its runs and which are done."""
    from genoglot.bench.recipe import Recipe, shipped
    from genoglot.bench.run import done_keys
    from genoglot.tasks import TASKS

    if recipe is None:
        for name in shipped():
            typer.echo(f"{name}\t{Recipe.read(name).title}")
        for task in TASKS.values():
            typer.echo(f"{task.name}\t{', '.join(task.metrics)}; from {task.sources}")
        return
    experiment, _, _, runs = _planned(recipe, data, size, genome, split, only)
    done = done_keys(out, experiment.name) if out else set()
    for one in runs:
        typer.echo(f"{'done' if one.key in done else '-'}\t{one.key}\t{one}")


@app.command("table")
def table(
    out: Annotated[Path, typer.Argument(help="Folder of results.", show_default=False)],
    form: Annotated[
        Literal["rich", "markdown", "csv"], typer.Option("--format", help="Of the tables.")
    ] = "rich",
) -> None:
    """Show results with intervals, beside baselines and published figures."""
    from rich.console import Console

    from genoglot.bench.results import Scoreboard, to_csv

    boards = Scoreboard.read(out)
    if form == "csv":
        typer.echo(to_csv(boards), nl=False)
    elif form == "markdown":
        typer.echo("\n".join(board.to_markdown() for board in boards), nl=False)
    else:
        console = Console()
        for board in boards:
            console.print(board)


def _planned(
    recipe: str,
    data: Path | None,
    size: str,
    fasta: list[Path] | None,
    split: str | None,
    only: list[str] | None,
) -> tuple[Recipe, dict[str, TaskData], Genome | None, list[Run]]:
    """Read a recipe and list its runs."""
    from genoglot.bench.recipe import Recipe
    from genoglot.bench.run import expand, find_datasets
    from genoglot.sequence import Genome

    wanted = read_pairs(only or [], "--only")
    experiment = Recipe.read(recipe)
    if data is None:
        raise GenoglotError("--data is missing; give the folder with the task data")
    datasets = find_datasets(data)
    genome = Genome.open(fasta) if fasta else None
    runs = expand(experiment, size, datasets, genome, split)
    return experiment, datasets, genome, [one for one in runs if one.matches(wanted)]
