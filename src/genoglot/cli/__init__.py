"""The `genoglot` command: one file per group of commands, each imported in milliseconds.

What a command needs is imported when the command runs, so that `genoglot --help` is quick.
"""

from __future__ import annotations

from typing import Annotated

import typer

from genoglot.cli import (
    annotate,
    atlas,
    bench,
    demo,
    evaluate,
    genebert,
    generate,
    library,
    motifs,
    predict,
    pretrain,
    simulate,
    task,
    train,
)
from genoglot.cli.session import Commands, show_version

app = typer.Typer(
    name="genoglot",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Translate between text, region sets (BED) and DNA.",
)
app.command("simulate")(simulate.simulate)
app.add_typer(atlas.app, name="atlas")
app.command("train")(train.train)
app.command("generate")(generate.generate)
app.command("annotate")(annotate.annotate)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(library.app, name="library")
app.add_typer(motifs.app, name="motifs")
app.add_typer(task.app, name="task")
app.add_typer(bench.app, name="bench")
app.add_typer(genebert.app, name="genebert")
app.add_typer(pretrain.app, name="pretrain")
app.command("embed")(predict.embed)
app.command("predict")(predict.predict)
app.command("demo")(demo.demo)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Read the options that come before the command."""


def main() -> None:
    """Run the command that the arguments name, and exit."""
    app(prog_name="genoglot")


__all__ = ["app", "main"]
