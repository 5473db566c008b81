"""Options that several commands share, and groups of such options.

A command that has a parameter of a group, such as `overlap: Overlap`, and is decorated with
`with_groups`, has the options of the group and receives them as one object.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from genoglot.cli.session import check_out, check_training, open_genome, read_settings
from genoglot.errors import GenoglotError, SampleSheetError

if TYPE_CHECKING:
    import polars as pl

    from genoglot.regions import Universe
    from genoglot.sequence import Genome
    from genoglot.sequence.motifs import Motif

Naming = Literal["ucsc", "ensembl"]
Seed = Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing output.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Another setting, as NAME=VALUE. Can be repeated.", show_default=False
    ),
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
    Naming | None,
    typer.Option(
        help="Rename the chromosomes of the BED files: chr1 (ucsc) or 1 (ensembl).",
        show_default=False,
    ),
]
GenesAlias = Annotated[
    Naming | None,
    typer.Option(
        "--alias",
        help="Rename the chromosomes of --genes: chr1 (ucsc) or 1 (ensembl).",
        show_default=False,
    ),
]
GenomeAlias = Annotated[
    Naming | None,
    typer.Option(
        help="Rename the chromosomes of the genome: chr1 (ucsc) or 1 (ensembl).",
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
OnError = Annotated[
    Literal["raise", "skip"],
    typer.Option(
        help="What to do with a malformed line: refuse the file (raise), or leave out the line "
        "(skip) and report how many lines were left out."
    ),
]


@dataclass(frozen=True)
class Overlap:
    """Minimum overlap of a BED region with a region of the universe."""

    min_bp: Annotated[
        int, typer.Option(min=1, help="Minimum overlap with a universe region, bp.")
    ] = 1
    min_fraction: Annotated[
        float,
        typer.Option(
            *("-f", "--min-fraction"),
            min=0,
            max=1,
            help="Minimum fraction of a BED region that the overlap covers.",
        ),
    ] = 0.0
    min_universe_fraction: Annotated[
        float,
        typer.Option(
            *("-F", "--min-universe-fraction"),
            min=0,
            max=1,
            help="Minimum fraction of a universe region that the overlap covers.",
        ),
    ] = 0.0


@dataclass(frozen=True)
class BedFolder:
    """How a folder of BED files is described and read."""

    sheet: Annotated[
        Path | None,
        typer.Option(
            help="Sample sheet, CSV or TSV, with at least the columns file and description.",
            show_default=False,
        ),
    ] = None
    encode_json: Annotated[
        bool,
        typer.Option(
            "--encode-json", help="Read the metadata from ENCODE's JSON file beside each BED file."
        ),
    ] = False
    assembly: Annotated[
        str | None,
        typer.Option(
            help="Use only files of this assembly, according to the sheet or the JSON files.",
            show_default=False,
        ),
    ] = None
    missing: Annotated[
        str | None,
        typer.Option(
            help="Cell contents of a sheet that mean a missing value, separated by commas; an "
            "empty string means only an empty cell.",
            show_default="NA, N/A, nan, null, none, -, .",
        ),
    ] = None
    genome: Annotated[str, typer.Option(help="Name of the genome assembly, such as hg38.")] = ""
    alias: Alias = None
    format: Annotated[
        Literal["auto", "bed", "bedGraph", "narrowPeak", "broadPeak", "gappedPeak"],
        typer.Option(
            help="Format of the BED files, which determines the column of the signal; auto "
            "detects it."
        ),
    ] = "auto"
    repair: Annotated[
        Literal["sort", "drop", "merge"] | None,
        typer.Option(
            help="Repair an invalid universe: sort it, drop duplicates, or merge overlapping "
            "regions.",
            show_default=False,
        ),
    ] = None
    on_error: Annotated[
        Literal["raise", "skip"],
        typer.Option(
            help="What to do with a malformed line: leave out its file (raise) or only the line "
            "(skip)."
        ),
    ] = "raise"
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Number of threads.", show_default="number of cores")
    ] = None

    def metadata(self, folder: Path) -> pl.DataFrame:
        """Read the metadata of the files, from `--sheet` or `--encode-json`."""
        from genoglot.atlas import read_encode_json, read_sheet
        from genoglot.tables import MISSING

        if (self.sheet is None) != self.encode_json:
            raise SampleSheetError("give either --sheet or --encode-json")
        missing = MISSING if self.missing is None else self.missing.split(",")
        if self.sheet is None:
            return read_encode_json(folder, assembly=self.assembly, missing=missing)
        return read_sheet(self.sheet, folder, assembly=self.assembly, missing=missing)

    def read_universe(self, path: Path) -> Universe:
        """Read the BED file of the universe."""
        from genoglot.regions import Universe

        return Universe.from_bed(path, genome=self.genome, repair=self.repair)

    def arguments(self, overlap: Overlap) -> dict[str, Any]:
        """Return the arguments of `build_atlas` that say how the files are read."""
        names = ("genome", "alias", "format", "on_error", "jobs")
        return {name: getattr(self, name) for name in names} | asdict(overlap)


@dataclass(frozen=True)
class GenomeFiles:
    """The genome, and how its records and chromosomes are named."""

    genome: Annotated[
        list[Path] | None,
        typer.Option(
            help="FASTA file of the genome, plain or gzip. Can be repeated.", show_default=False
        ),
    ] = None
    origin: Origin = None
    alias: GenomeAlias = None

    def open(self) -> Genome | None:
        """Open the genome, if one is given."""
        if self.genome:
            return open_genome(self.genome, self.origin, self.alias)
        for option, given in (("--origin", self.origin), ("--alias", self.alias)):
            if given:
                raise GenoglotError(f"{option} needs a genome; give one with --genome")
        return None


@dataclass(frozen=True)
class MotifSource:
    """Where the motifs come from, and which of them are used."""

    motifs: Annotated[
        Path | None,
        typer.Option(
            help="File of motifs (MEME, JASPAR, HOMER or TRANSFAC, plain or gzip), instead of "
            "JASPAR's.",
            show_default=False,
        ),
    ] = None
    release: Annotated[
        str | None, typer.Option(help="Release of JASPAR.", show_default="JASPAR2018")
    ] = None
    collection: Annotated[
        str | None, typer.Option(help="Collection of JASPAR.", show_default="CORE")
    ] = None
    tax_group: Annotated[
        str | None,
        typer.Option(
            help="Taxonomic group of JASPAR, such as fungi; all for every motif of the collection.",
            show_default="vertebrates",
        ),
    ] = None
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="Use only motifs with this name or id, such as CTCF. Can be repeated.",
            show_default="all motifs",
        ),
    ] = None

    def read(self) -> tuple[Motif, ...]:
        """Read the motifs."""
        from genoglot.sequence.motif_files import read_motifs
        from genoglot.sequence.motifs import jaspar

        options = ("release", "collection", "tax_group")
        given: dict[str, Any] = {
            option: value for option in options if (value := getattr(self, option)) is not None
        }
        if self.motifs is None:
            if self.tax_group == "all":
                given["tax_group"] = None
            return self._named(jaspar(**given))
        for option in given:
            raise GenoglotError(
                f"--{option.replace('_', '-')} is for JASPAR's motifs; leave it or --motifs out"
            )
        return self._named(read_motifs(self.motifs))

    def _named(self, motifs: tuple[Motif, ...]) -> tuple[Motif, ...]:
        if not self.name:
            return motifs
        wanted = {name.casefold() for name in self.name}
        found = tuple(one for one in motifs if {one.id.casefold(), one.name.casefold()} & wanted)
        known = {name.casefold() for one in found for name in (one.id, one.name)}
        for name in self.name:
            if name.casefold() not in known:
                raise GenoglotError(
                    f"--name {name!r}: none of the {len(motifs)} motifs has this name or id; "
                    "`genoglot motifs list` shows them"
                )
        return found


@dataclass(frozen=True)
class Training:
    """Options of every training."""

    settings: Settings = None
    seed: Seed = 0
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue an interrupted training from its last checkpoint."),
    ] = False
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace an existing model, and restart its training."),
    ] = False
    device: Device = "auto"

    def begin(
        self, out: Path, *sources: str | Path | None, **options: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Check that the training can begin, and read its settings.

        Parameters
        ----------
        out
            Folder of the new model. Logs and checkpoints are in the folder `out`.training.
        *sources
            What the command reads: see `check_apart`.
        **options
            Options of `DeviceOptions` besides the device.

        Returns
        -------
        settings
            Settings of the model.
        arguments
            Arguments `log_folder`, `resume` and `device` of the training.
        """
        from genoglot.training.device import DeviceOptions, choose_device

        log_folder = out.with_name(f"{out.name}.training")
        check_out(out, sources, overwrite=self.overwrite)
        check_training(log_folder, resume=self.resume, overwrite=self.overwrite)
        choose_device(self.device)
        settings = read_settings(self.settings)
        device = DeviceOptions(self.device, **options).with_settings(settings)
        return settings, {"log_folder": log_folder, "resume": self.resume, "device": device}


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of its groups.

    Parameters
    ----------
    command
        A function; some of its parameters are of dataclasses, such as `Overlap`. Each field of a
        group becomes an option of its own.

    Returns
    -------
    function
        The command as typer reads it.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters = []
    for parameter in inspect.signature(command).parameters.values():
        group = groups.get(parameter.name)
        if group is None:
            options = [(parameter.name, hints[parameter.name], parameter.default)]
        else:
            types = get_type_hints(group, include_extras=True)
            options = [(field.name, types[field.name], field.default) for field in fields(group)]
        parameters += [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
            )
            for name, annotation, default in options
        ]

    def run(**options: Any) -> None:
        for name, group in groups.items():
            names = [field.name for field in fields(group)]
            options[name] = group(**{field: options.pop(field) for field in names})
        command(**options)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run
