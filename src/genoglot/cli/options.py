"""Options that several commands have, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genoglot.errors import SampleSheetError

if TYPE_CHECKING:
    import polars as pl

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
Format = Annotated[
    Literal["auto", "bed", "bedGraph", "narrowPeak", "broadPeak", "gappedPeak"],
    typer.Option(
        "--format",
        help="Format of the BED files, which says where the signal is; auto: by content.",
    ),
]
MinFraction = Annotated[
    float,
    typer.Option(
        *("-f", "--min-fraction"),
        min=0,
        max=1,
        help="Fraction of the BED file's region that the overlap must cover.",
    ),
]
MinUniverseFraction = Annotated[
    float,
    typer.Option(
        *("-F", "--min-universe-fraction"),
        min=0,
        max=1,
        help="Fraction of the universe's region that the overlap must cover.",
    ),
]
GenesAlias = Annotated[
    Literal["ucsc", "ensembl"] | None,
    typer.Option(
        "--alias",
        help="Spell the chromosomes of --genes chr1 (ucsc) or 1 (ensembl).",
        show_default=False,
    ),
]
MinBp = Annotated[
    int, typer.Option("--min-bp", min=1, help="Base pairs of overlap with a universe region.")
]
GenomeName = Annotated[str, typer.Option(help="Name of the assembly, such as hg38.")]
Repair = Annotated[
    Literal["sort", "drop", "merge"] | None,
    typer.Option(
        help="Make the universe sound: sort; drop duplicates; merge overlaps.", show_default=False
    ),
]
Sheet = Annotated[
    Path | None,
    typer.Option(
        help="CSV or TSV with at least the columns file and description.", show_default=False
    ),
]
EncodeJson = Annotated[
    bool, typer.Option("--encode-json", help="Take ENCODE's JSON beside each file instead.")
]
Assembly = Annotated[
    str | None,
    typer.Option(
        help="Take only the files that the sheet or the JSON says to be of this assembly.",
        show_default=False,
    ),
]
Missing = Annotated[
    str | None,
    typer.Option(
        help='What says in a sheet that a value is missing, separated by commas; "": only an empty '
        "cell.",
        show_default="NA, N/A, nan, null, none, -, .",
    ),
]
Jobs = Annotated[int | None, typer.Option(min=1, help="Threads.", show_default="cores")]


def described_files(
    folder: Path, sheet: Path | None, encode_json: bool, assembly: str | None, missing: str | None
) -> pl.DataFrame:
    """Read what `--sheet` or `--encode-json` says of the files of a folder."""
    from genoglot.atlas import read_encode_json, read_sheet
    from genoglot.tables import MISSING

    if (sheet is None) != encode_json:
        raise SampleSheetError("give either --sheet or --encode-json")
    markers = MISSING if missing is None else missing.split(",")
    if sheet is None:
        return read_encode_json(folder, assembly=assembly, missing=markers)
    return read_sheet(sheet, folder, assembly=assembly, missing=markers)
