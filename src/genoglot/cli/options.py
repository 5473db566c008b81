"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genoglot.errors import SampleSheetError

if TYPE_CHECKING:
    import polars as pl

Seed = Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Another setting, as NAME=VALUE. Can be repeated.", show_default=False
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Continue an interrupted training from its last checkpoint."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an existing model, and restart its training.")
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option(help="Device to run on; auto is a GPU if there is one."),
]
Devices = Annotated[int, typer.Option(min=1, help="Number of devices to train on.")]
Precision = Annotated[
    Literal["auto", "32-true", "bf16-mixed"],
    typer.Option(
        help="Numerical precision of the training; auto is bf16-mixed on a GPU, 32-true on a CPU."
    ),
]
Alias = Annotated[
    Literal["ucsc", "ensembl"] | None,
    typer.Option(
        help="Rename the chromosomes of the BED files: chr1 (ucsc) or 1 (ensembl).",
        show_default=False,
    ),
]
GenomeFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--genome",
        help="FASTA file of the genome, plain or gzip. Can be repeated.",
        show_default=False,
    ),
]
Origin = Annotated[
    list[str] | None,
    typer.Option(
        "--origin",
        help="Position of a genome record that is only a part of a chromosome, as "
        "RECORD=CHROM:FIRST, such as z=chr20:1000001. Can be repeated. By default, names such as "
        "22:20000001-21000000 are read as positions.",
        show_default=False,
    ),
]
GenomeAlias = Annotated[
    Literal["ucsc", "ensembl"] | None,
    typer.Option(
        help="Rename the chromosomes of the genome: chr1 (ucsc) or 1 (ensembl).",
        show_default=False,
    ),
]
OnError = Annotated[
    Literal["raise", "skip"],
    typer.Option(
        help="Refuse a file with a malformed line, or skip such lines and report their number."
    ),
]
Format = Annotated[
    Literal["auto", "bed", "bedGraph", "narrowPeak", "broadPeak", "gappedPeak"],
    typer.Option(
        "--format",
        help="Format of the BED files, which decides the column of the signal; auto detects it.",
    ),
]
MinFraction = Annotated[
    float,
    typer.Option(
        *("-f", "--min-fraction"),
        min=0,
        max=1,
        help="Minimum fraction of a BED region that the overlap covers.",
    ),
]
MinUniverseFraction = Annotated[
    float,
    typer.Option(
        *("-F", "--min-universe-fraction"),
        min=0,
        max=1,
        help="Minimum fraction of a universe region that the overlap covers.",
    ),
]
GenesAlias = Annotated[
    Literal["ucsc", "ensembl"] | None,
    typer.Option(
        "--alias",
        help="Rename the chromosomes of --genes: chr1 (ucsc) or 1 (ensembl).",
        show_default=False,
    ),
]
MinBp = Annotated[
    int, typer.Option("--min-bp", min=1, help="Minimum overlap with a universe region, bp.")
]
GenomeName = Annotated[str, typer.Option(help="Name of the genome assembly, such as hg38.")]
Repair = Annotated[
    Literal["sort", "drop", "merge"] | None,
    typer.Option(
        help="Repair an invalid universe: sort it, drop duplicates, or merge overlapping regions.",
        show_default=False,
    ),
]
Sheet = Annotated[
    Path | None,
    typer.Option(
        help="Sample sheet, CSV or TSV, with at least the columns file and description.",
        show_default=False,
    ),
]
EncodeJson = Annotated[
    bool,
    typer.Option(
        "--encode-json", help="Read the metadata from ENCODE's JSON file beside each BED file."
    ),
]
Assembly = Annotated[
    str | None,
    typer.Option(
        help="Use only files of this assembly, according to the sheet or the JSON files.",
        show_default=False,
    ),
]
Missing = Annotated[
    str | None,
    typer.Option(
        help="Cell contents of a sheet that mean a missing value, separated by commas; an empty "
        "string means only an empty cell.",
        show_default="NA, N/A, nan, null, none, -, .",
    ),
]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Number of threads.", show_default="number of cores")
]


def described_files(
    folder: Path, sheet: Path | None, encode_json: bool, assembly: str | None, missing: str | None
) -> pl.DataFrame:
    """Read the metadata of a folder's files, from `--sheet` or `--encode-json`."""
    from genoglot.atlas import read_encode_json, read_sheet
    from genoglot.tables import MISSING

    if (sheet is None) != encode_json:
        raise SampleSheetError("give either --sheet or --encode-json")
    markers = MISSING if missing is None else missing.split(",")
    if sheet is None:
        return read_encode_json(folder, assembly=assembly, missing=markers)
    return read_sheet(sheet, folder, assembly=assembly, missing=markers)
