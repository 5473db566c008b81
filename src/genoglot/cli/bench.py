"""`genoglot bench run`, `list` and `table`."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genoglot.cli.options import Device, Precision
from genoglot.cli.session import advise, check_device, read_pairs
from genoglot.errors import GenoglotError

if TYPE_CHECKING:
    from genoglot.bench.plan import Run
    from genoglot.bench.recipe import Recipe
    from genoglot.sequence import Genome
    from genoglot.tasks.dataset import TaskData

log = logging.getLogger("genoglot")

app = typer.Typer(
    no_args_is_help=True,
    help="Run models on tasks, with several settings and seeds, and show the results.",
)

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder that contains task data, at any depth.", show_default=False
    ),
]
Size = Annotated[
    Literal["published", "small"],
    typer.Option(help="Published size, or a size that takes minutes on two CPU cores."),
]
Fasta = Annotated[
    list[Path] | None,
    typer.Option(
        help="FASTA file to pre-train on and to learn byte pairs from.", show_default=False
    ),
]
Split = Annotated[
    str | None,
    typer.Option(help="Split of every dataset.", show_default="the recipe's, or the task's own"),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        help="Only runs that match, such as model=attention or dataset='GUE/*'.", show_default=False
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
    size: Size = "published",
    genome: Fasta = None,
    split: Split = None,
    only: Only = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Do the runs of a recipe that are not done yet. OUT/results has one file for each run.

    If a run fails, an error is shown, the other runs go on, and the exit status is 1. The same
    command, started several times at once, shares the runs between its processes.
    """
    from genoglot.bench.results import done_keys
    from genoglot.bench.run import run_missing
    from genoglot.bench.workspace import Workspace
    from genoglot.training.device import DeviceOptions

    check_device(device)
    plan, datasets, dna, runs = _planned(recipe, data, size, genome, split, only)
    if not runs:
        raise GenoglotError("no run matches --only; genoglot bench list shows all runs")
    advise(lambda: "the same command goes on")
    plan.copy_to(out)
    done = done_keys(out, plan.name)
    missing = [one for one in runs if one.key not in done]
    log.info("%s: %d runs, %d done", plan.name, len(runs), len(runs) - len(missing))
    numbers = count(1)

    def report(one: Run, row: Mapping[str, Any] | Exception) -> None:
        if isinstance(row, GenoglotError):
            outcome = f"failed: {row}"
        elif isinstance(row, Exception):
            outcome = f"failed: {type(row).__name__}: {row}"
        else:
            main = datasets[one.dataset].metrics[0]
            value = "not defined" if math.isnan(row[main]) else f"{row[main]:.3f}"
            seconds = "" if row["seconds"] is None else f", {row['seconds']:.1f} s"
            outcome = f"{main} {value}{seconds}"
        outcome = " ".join(outcome.splitlines())
        log.info("%d/%d %s: %s", next(numbers), len(missing), one, outcome)

    options = DeviceOptions(device, precision=precision)
    failed = run_missing(missing, Workspace(out, datasets, dna, options), report)
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
    size: Size = "published",
    genome: Fasta = None,
    split: Split = None,
    only: Only = None,
) -> None:
    """List the recipes and tasks; or, for a recipe and --data, its runs and which are done."""
    from genoglot.bench.recipe import Recipe, shipped
    from genoglot.bench.results import done_keys
    from genoglot.tasks import TASKS

    if recipe is None:
        for name in shipped():
            typer.echo(f"{name}\t{Recipe.read(name).title}")
        for task in TASKS.values():
            typer.echo(f"{task.name}\t{', '.join(task.metrics)}; from {task.sources}")
        return
    plan, _, _, runs = _planned(recipe, data, size, genome, split, only)
    done = done_keys(out, plan.name) if out else set()
    for one in runs:
        typer.echo(f"{'done' if one.key in done else '-'}\t{one.key}\t{one}")


@app.command("table")
def table(
    out: Annotated[Path, typer.Argument(help="Folder of results.", show_default=False)],
    form: Annotated[
        Literal["rich", "markdown", "csv"], typer.Option("--format", help="Format of the tables.")
    ] = "rich",
) -> None:
    """Show results with intervals, beside baselines and published figures."""
    from rich.console import Console

    from genoglot.bench.tables import RecipeTables, to_csv

    found = RecipeTables.read(out)
    if form == "csv":
        typer.echo(to_csv(found), nl=False)
    elif form == "markdown":
        typer.echo("\n".join(tables.to_markdown() for tables in found), nl=False)
    else:
        Console().print(*found, sep="\n")


def _planned(
    recipe: str,
    data: Path | None,
    size: str,
    fasta: list[Path] | None,
    split: str | None,
    only: list[str] | None,
) -> tuple[Recipe, dict[str, TaskData], Genome | None, list[Run]]:
    """Read a recipe and list its runs."""
    from genoglot.bench.plan import find_datasets, plan_runs
    from genoglot.bench.recipe import Recipe
    from genoglot.sequence import Genome

    patterns = read_pairs(only or [], "--only")
    plan = Recipe.read(recipe)
    if data is None:
        raise GenoglotError("--data is missing; give the folder with the task data")
    datasets = find_datasets(data)
    genome = Genome.open(fasta) if fasta else None
    runs = plan_runs(plan, size, datasets, genome, split)
    return plan, datasets, genome, [one for one in runs if one.matches(patterns)]
