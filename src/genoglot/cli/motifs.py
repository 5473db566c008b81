"""`genoglot motifs list` and `genoglot motifs scan`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genoglot.cli.options import Device, GenomeAlias, MotifSource, OnError, Origin, with_groups
from genoglot.cli.output import print_tsv
from genoglot.cli.session import open_genome
from genoglot.errors import GenoglotError, some

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from genoglot.regions import Regions
    from genoglot.sequence import Genome
    from genoglot.sequence.motif_hits import HitFinder
    from genoglot.sequence.motifs import Motif

log = logging.getLogger("genoglot")

app = typer.Typer(no_args_is_help=True, help="List motifs, and find their sites in a genome.")


@app.command("list")
@with_groups
def list_motifs(source: MotifSource) -> None:
    """List motifs: id, name, width in bp, information in bits, and family."""
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
            help="BED file of the regions to scan, plain or gzip; - is standard input.",
            show_default="all sequences of the FASTA files",
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
        float | None,
        typer.Option(
            help="Maximum probability that a random site scores as high as a hit.",
            show_default="0.0001",
        ),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            help="Write the score of each motif in each region to this file, .parquet or .npy.",
            show_default=False,
        ),
    ] = None,
    affinity: Annotated[
        Literal["max", "sum"] | None,
        typer.Option(
            help="What --scores has: the log-odds of the best site (max), or log2 of the sum of "
            "2^log-odds of all sites (sum).",
            show_default="max",
        ),
    ] = None,
    background: Annotated[
        str,
        typer.Option(
            help="Probabilities of A, C, G and T outside of motifs: uniform, genome (their "
            "frequencies in the FASTA files), motifs (those of a MEME file), or four numbers, such "
            "as 0.3,0.2,0.2,0.3. A and T are averaged, and C and G, since both strands are scanned."
        ),
    ] = "uniform",
    pseudocount: Annotated[
        float,
        typer.Option(
            help="Pseudocount of a position of a motif, as a fraction of its counts; divided "
            "equally among the bases."
        ),
    ] = 0.01,
    origin: Origin = None,
    alias: GenomeAlias = None,
    on_error: OnError = "raise",
    device: Device = "cpu",
    *,
    source: MotifSource,
) -> None:
    """Find the sites of motifs in a genome, or in the regions of a BED file, on both strands.

    A line of a hit has chromosome, start, end, name of the motif, score (log-odds, bits), strand,
    p-value and id of the motif. Each region is scanned for itself, and the hits of a region follow
    those of the region before it.
    """
    from genoglot.files import check_not_read, text_writer
    from genoglot.reports.predict import check_output
    from genoglot.sequence.motif_hits import HitFinder
    from genoglot.sequence.records import read_regions, report_padding
    from genoglot.training.device import choose_device

    if scores is not None:
        check_output(scores)
    elif affinity is not None:
        raise GenoglotError("--affinity is for --scores; give a file with --scores")
    if scores is not None and out is None and p_value is not None:
        raise GenoglotError("--p-value is for hits; give a file for them with --out")
    if scores is not None and out is not None and scores.resolve() == out.resolve():
        raise GenoglotError(f"--scores and --out are the same file, {out}; give two")
    for written in (out, scores):
        check_not_read(written, [*fasta, bed, source.motifs])
    motifs = source.read()
    genome = open_genome(fasta, origin, alias)
    regions = genome.extents
    if bed is not None:
        regions = read_regions(bed, genome, on_error)
        report_padding(regions, genome, None, bed)
    options: dict[str, Any] = {
        "background": _background(background, source.motifs, genome),
        "pseudocount": pseudocount,
        "device": choose_device(device),
    }
    if scores is not None and out is None:
        _write_scores(scores, regions, genome, motifs, affinity, options)
        return
    finder = HitFinder(motifs, 1e-4 if p_value is None else p_value, **options)
    hits = out or Path("-")
    with text_writer(hits) as write:  # first, to know that it can be written
        if scores is not None:
            _write_scores(scores, regions, genome, motifs, affinity, options)
        shown = str(hits) != "-" or not sys.stdout.isatty()
        _write_hits(write, finder, regions, genome, shown)


def _background(choice: str, motifs: Path | None, genome: Genome) -> Sequence[float]:
    """Return the probabilities that --background names, the same for both strands."""
    import numpy as np

    from genoglot.files import read_number
    from genoglot.sequence.motif_files import read_background
    from genoglot.sequence.motif_hits import genome_frequencies
    from genoglot.sequence.motifs import check_background, strand_frequencies

    if choice == "uniform":
        return (0.25,) * 4
    if choice == "genome":
        found = genome_frequencies(genome)
        log.info("background of the genome: %s", ", ".join(f"{value:.4f}" for value in found))
        return found
    given: Sequence[float] | None
    if choice == "motifs":
        given = read_background(motifs) if motifs else None
        if given is None:
            raise GenoglotError(
                "--background motifs needs a MEME file with 'Background letter frequencies'; "
                "give it with --motifs"
            )
    else:
        try:
            given = tuple(read_number(value) for value in choice.split(","))
        except ValueError:
            raise GenoglotError(
                f"--background {choice!r}: give uniform, genome, motifs or four probabilities, "
                "such as 0.3,0.2,0.2,0.3"
            ) from None
    check_background(given)
    if tuple(given) == tuple(given[::-1]):
        return given
    found = strand_frequencies(np.array(given))
    log.info(
        "the background is averaged over both strands, since both are scanned: %.4f for A and T, "
        "%.4f for C and G",
        *found[:2],
    )
    return found


def _write_scores(
    out: Path,
    regions: Regions,
    genome: Genome,
    motifs: Sequence[Motif],
    affinity: Literal["max", "sum"] | None,
    options: dict[str, Any],
) -> None:
    """Write the score of each motif in each region, as they are computed."""
    import numpy as np

    from genoglot.reports.predict import write_rows
    from genoglot.sequence.motif_hits import score_regions

    without = 0

    def rows() -> Iterator[tuple[pl.DataFrame, NDArray[np.float32]]]:
        nonlocal without
        for some_regions, found in score_regions(
            regions, genome, motifs, affinity or "max", **options
        ):
            without += int(np.isneginf(found).any(axis=1).sum())
            yield some_regions.frame, found

    n, n_motifs = write_rows(out, rows(), [motif.id for motif in motifs])
    log.info("%s: scores of %d motifs in %d regions", out, n_motifs, n)
    if without:
        log.warning(
            "%s: %d of %d regions have no site of a motif, since they have N or are too short; "
            "its score is -inf there",
            *(out, without, n),
        )


def _write_hits(
    write: Callable[[str], object],
    finder: HitFinder,
    regions: Regions,
    genome: Genome,
    progress: bool,
) -> None:
    """Write the hits as BED, as they are found."""
    from genoglot.regions.formats import bed_text
    from genoglot.regions.jaccard import covered_base_pairs

    motifs = finder.motifs
    never = [
        motif.id for motif, least in zip(motifs, finder.thresholds, strict=True) if isinf(least)
    ]
    if never:
        log.warning(
            "%d of %d motifs have no hit, since their best site has a p-value above %g: %s",
            *(len(never), len(motifs), finder.p_value, some(never)),
        )
    repeated = int((regions.end - regions.start).sum()) - covered_base_pairs(regions)
    if repeated:
        log.warning(
            "regions overlap by %d bp; a hit there is written once for each of them", repeated
        )
    n = 0
    for hits in finder.find(regions, genome, progress=progress):
        write(bed_text(hits.frame))
        n += len(hits)
    log.info("%d hits of %d motifs in %d regions", n, len(motifs), len(regions))
