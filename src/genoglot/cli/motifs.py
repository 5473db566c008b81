"""`genoglot motifs list` and `genoglot motifs scan`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genoglot.cli.options import Device, GenomeAlias, OnError, Origin, with_groups
from genoglot.cli.output import print_tsv
from genoglot.cli.session import open_genome
from genoglot.errors import SequenceError

if TYPE_CHECKING:
    from genoglot.regions import Regions
    from genoglot.sequence import Genome
    from genoglot.sequence.motifs import Motif

log = logging.getLogger("genoglot")

app = typer.Typer(no_args_is_help=True, help="List motifs, and find their sites in a genome.")


@dataclass(frozen=True)
class MotifSource:
    """Where the motifs come from."""

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

    def read(self) -> tuple[Motif, ...]:
        """Read the motifs."""
        from genoglot.sequence.motif_files import read_motifs
        from genoglot.sequence.motifs import jaspar

        given = {
            "release": self.release,
            "collection": self.collection,
            "tax_group": self.tax_group,
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        if self.motifs is None:
            group = {"tax_group": None} if self.tax_group == "all" else {}
            return jaspar(**{**chosen, **group})  # type: ignore[arg-type]
        for name in chosen:
            option = name.replace("_", "-")
            raise SequenceError(f"--{option} is for JASPAR's motifs; leave it or --motifs out")
        return read_motifs(self.motifs)

    def background(self, choice: str, genome: Genome) -> tuple[float, ...]:
        """Return the background that an option names."""
        from genoglot.sequence.motif_files import read_background
        from genoglot.sequence.motif_hits import genome_frequencies

        if choice == "uniform":
            return (0.25,) * 4
        if choice == "genome":
            return genome_frequencies(genome)
        if choice == "motifs":
            found = read_background(self.motifs) if self.motifs else None
            if found is None:
                raise SequenceError(
                    "--background motifs needs a MEME file with 'Background letter frequencies'; "
                    "give it with --motifs"
                )
            return found
        try:
            return tuple(float(value) for value in choice.split(","))
        except ValueError:
            raise SequenceError(
                f"--background {choice!r}: give uniform, genome, motifs or four probabilities, "
                "such as 0.3,0.2,0.2,0.3"
            ) from None


@app.command("list")
@with_groups
def list_motifs(source: MotifSource) -> None:
    """List motifs: id, name, width, information in bits, and family."""
    print_tsv(
        ("id", "name", "width", "information", "family"),
        (
            (motif.id, motif.name, len(motif), motif.information, motif.family)
            for motif in source.read()
        ),
    )


@app.command("scan")
@with_groups
def scan(
    fasta: Annotated[
        list[Path],
        typer.Argument(help="FASTA files of the genome, plain or gzip.", show_default=False),
    ],
    bed: Annotated[
        str | None,
        typer.Option(
            help="BED file of the regions to scan; - is standard input.",
            show_default="the whole genome",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            *("-o", "--out"),
            help="BED file of the hits; a name that ends in .gz is compressed.",
            show_default="standard output, unless --scores is given",
        ),
    ] = None,
    p_value: Annotated[
        float,
        typer.Option(help="Maximum probability that a random site scores as high as a hit."),
    ] = 1e-4,
    scores: Annotated[
        Path | None,
        typer.Option(
            help="Write the score of each motif in each region to this file, .parquet or .npy.",
            show_default=False,
        ),
    ] = None,
    affinity: Annotated[
        Literal["max", "sum"],
        typer.Option(
            help="What --scores has: the log-odds of the best site (max), or log2 of the sum of "
            "2^log-odds of all sites (sum)."
        ),
    ] = "max",
    background: Annotated[
        str,
        typer.Option(
            help="Probabilities of A, C, G and T outside of motifs: uniform, genome (computed from "
            "it), motifs (those of a MEME file), or four numbers, such as 0.3,0.2,0.2,0.3."
        ),
    ] = "uniform",
    pseudocount: Annotated[
        float, typer.Option(help="Pseudocount of a motif, as a fraction of its counts.")
    ] = 0.01,
    origin: Origin = None,
    alias: GenomeAlias = None,
    on_error: OnError = "raise",
    device: Device = "cpu",
    *,
    source: MotifSource,
) -> None:
    """Find the sites of motifs in a genome, or in the regions of a BED file, on both strands.

    A hit has the name of its motif, its score (log-odds, bits), strand, p-value and the id of the
    motif. The hits of a region follow those of the region before it.
    """
    from genoglot.reports.predict import check_output
    from genoglot.sequence.records import read_regions, report_padding
    from genoglot.training.device import choose_device

    if scores is not None:
        check_output(scores)
        if bed is None:
            raise SequenceError("--scores is for regions; give them with --bed")
    elif affinity != "max":
        raise SequenceError("--affinity is for --scores; give a file with --scores")
    motifs = source.read()
    genome = open_genome(fasta, origin, alias)
    options = {
        "background": source.background(background, genome),
        "pseudocount": pseudocount,
        "device": choose_device(device),
    }
    regions = genome.extents
    if bed is not None:
        regions = read_regions(bed, genome, on_error)
        report_padding(regions, genome, None, bed)
    if scores is not None:
        _write_scores(scores, regions, genome, motifs, affinity, options)
    if scores is None or out is not None:
        _write_hits(out or Path("-"), regions, genome, motifs, p_value, options)
