"""`genoglot bench run`, `list` and `table`; `risk` is in a file of its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genoglot.cli import risk
from genoglot.cli.options import Device, Precision, with_groups
from genoglot.cli.session import advise, read_pairs
from genoglot.errors import GenoglotError

if TYPE_CHECKING:
    from genoglot.bench.plan import Plan, Run

log = logging.getLogger("genoglot")

app = typer.Typer(
    no_args_is_help=True,
    help="Run models on tasks, with several settings and seeds, and show the results.",
)
app.command("risk")(risk.risk)


@dataclass(frozen=True)
class RunOptions:
    """Which runs of a recipe."""

    data: Annotated[
        Path | None,
        typer.Option(help="Folder that contains task data, at any depth.", show_default=False),
    ] = None
    size: Annotated[
        Literal["published", "small"],
        typer.Option(help="Published size, or a size that takes minutes on two CPU cores."),
    ] = "published"
    genome: Annotated[
        list[Path] | None,
        typer.Option(
            help="FASTA file to pre-train on and to learn byte pairs from. Can be repeated.",
            show_default=False,
        ),
    ] = None
    genebert: Annotated[
        Path | None,
        typer.Option(
            help="Accessible regions to pre-train GeneBERT on, a folder that genoglot genebert "
            "build has written.",
            show_default=False,
        ),
    ] = None
    split: Annotated[
        str | None,
        typer.Option(
            help="Split of every dataset.", show_default="that of the recipe, or of the dataset"
        ),
    ] = None
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Only runs that match this pattern, such as model=attention or dataset='GUE/*'. "
            "Can be repeated.",
            show_default=False,
        ),
    ] = None

    def plan(self, recipe: str) -> Plan:
        """List the runs of a recipe."""
        from genoglot.bench.plan import open_plan

        only = read_pairs(self.only, "--only")
        if self.data is None:
            raise GenoglotError("--data is missing; give the folder that contains the task data")
        return open_plan(
            recipe, self.data, size=self.size, genome=self.genome, genebert=self.genebert,
            split=self.split, only=only,
        )  # fmt: skip


@app.command("run")
@with_groups
def run(
    recipe: Annotated[
        str, typer.Argument(help="YAML file, or name of a recipe.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for the results.", show_default=False)
    ],
    which: RunOptions,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Do the runs of a recipe that are not done yet. OUT/results has one file for each run.

    If a run fails, an error is shown, the other runs continue, and the exit status is 1. The same
    command, started several times at once, divides the runs between its processes.
    """
    from genoglot.bench.results import describe_result, done_keys
    from genoglot.bench.run import run_missing
    from genoglot.bench.workspace import Workspace
    from genoglot.training.device import DeviceOptions, choose_device

    choose_device(device)
    plan = which.plan(recipe)
    if not plan.runs:
        raise GenoglotError("no run matches --only; genoglot bench list shows all runs")
    advise(lambda: "continue with the same command")
    plan.recipe.copy_to(out)
    done = done_keys(out, plan.recipe.name)
    missing = [one for one in plan.runs if one.key not in done]
    n, n_missing = len(plan.runs), len(missing)
    log.info("%s: %d runs, %d done", plan.recipe.name, n, n - n_missing)
    numbers = count(1)

    def report(one: Run, row: Mapping[str, Any] | Exception) -> None:
        if isinstance(row, Exception):
            kind = "" if isinstance(row, GenoglotError) else f"{type(row).__name__}: "
            outcome = " ".join(f"failed: {kind}{row}".split())
        else:
            outcome = describe_result(row, plan.datasets[one.dataset].metrics[0])
        log.info("%d/%d %s: %s", next(numbers), n_missing, one, outcome)

    options = DeviceOptions(device, precision=precision)
    workspace = Workspace(out, plan.datasets, plan.genome, options, plan.genebert)
    failed = run_missing(missing, workspace, report)
    if failed:
        log.error("%d of %d runs failed; run the same command to try again", failed, n_missing)
        raise typer.Exit(1)


@app.command("list")
@with_groups
def list_runs(
    which: RunOptions,
    recipe: Annotated[
        str | None, typer.Argument(help="YAML file, or name of a recipe.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder with the results.", show_default=False),
    ] = None,
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
    plan = which.plan(recipe)
    done = done_keys(out, plan.recipe.name) if out else set()
    for one in plan.runs:
        typer.echo(f"{'done' if one.key in done else '-'}\t{one.key}\t{one}")


@app.command("table")
def table(
    out: Annotated[Path, typer.Argument(help="Folder with the results.", show_default=False)],
    form: Annotated[
        Literal["rich", "markdown", "csv"], typer.Option("--format", help="Format of the tables.")
    ] = "rich",
) -> None:
    """Show results with intervals, beside baselines and published results."""
    from rich.console import Console

    from genoglot.bench.tables import RecipeTables, to_csv

    found = RecipeTables.read(out)
    if form == "csv":
        typer.echo(to_csv(found), nl=False)
    elif form == "markdown":
        typer.echo("\n".join(tables.to_markdown() for tables in found), nl=False)
    else:
        Console().print(*found, sep="\n")
