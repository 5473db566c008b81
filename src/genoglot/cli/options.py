"""Options that several commands have, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Another setting, as NAME=VALUE; repeat it.", show_default=False),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on where an interrupted training stopped.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace a model or begin a training anew.")
]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="To run on.")]
Devices = Annotated[int, typer.Option(min=1, help="How many of them.")]
NumNodes = Annotated[int, typer.Option(min=1, help="Machines.")]
Precision = Annotated[
    Literal["auto", "32-true", "bf16-mixed"],
    typer.Option(help="Of numbers in training; auto: bf16-mixed on a GPU, 32-true on a CPU."),
]
Alias = Annotated[
    Literal["ucsc", "ensembl"] | None,
    typer.Option(
        help="Spell the chromosomes of the BED files chr1 (ucsc) or 1 (ensembl).",
        show_default=False,
    ),
]
GenomeFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--genome", help="FASTA of the genome, plain or gzip; repeat it.", show_default=False
    ),
]
Origin = Annotated[
    list[str] | None,
    typer.Option(
        "--origin",
        help="A record of the genome that is a window, as z=chr20:1000001; repeat it. Without, "
        "records that are named as 22:20000001-21000000 are windows.",
        show_default=False,
    ),
]
GenomeAlias = Annotated[
    Literal["ucsc", "ensembl"] | None,
    typer.Option(
        help="Spell the chromosomes of the genome chr1 (ucsc) or 1 (ensembl).", show_default=False
    ),
]
OnError = Annotated[
    Literal["raise", "skip"],
    typer.Option(help="Refuse a file with a malformed line, or skip such lines with a count."),
]
