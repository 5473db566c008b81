"""`genoglot generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from genoglot.cli.options import Device, GenesAlias
from genoglot.cli.output import print_table
from genoglot.errors import GenoglotError


def generate(
    model: Annotated[str, typer.Argument(help="Saved model.", show_default=False)],
    text: Annotated[
        str, typer.Argument(help="Description of the wanted regions.", show_default=False)
    ],
    n: Annotated[
        int, typer.Option("-n", "--n", "--top", min=1, help="Number of regions, best first.")
    ] = 1000,
    out: Annotated[
        str,
        typer.Option("-o", "--out", help="BED file to write (.gz: bgzip); - is standard output."),
    ] = "-",
    genes: Annotated[
        Path | None,
        typer.Option(
            help="Genes (GTF, GFF3 or BED): add the nearest gene and its distance to each region.",
            show_default=False,
        ),
    ] = None,
    alias: GenesAlias = None,
    table: Annotated[
        bool,
        typer.Option(
            "--table",
            help="Print a table (region and score, with --genes also gene and distance) instead "
            "of BED; with -o, in addition to the BED file.",
        ),
    ] = False,
    igv: Annotated[
        Path | None,
        typer.Option(
            help="Write a page (HTML) that shows the regions in igv.js. The page contains the "
            "regions; igv.js is downloaded from its CDN when the page is opened.",
            show_default=False,
        ),
    ] = None,
    track: Annotated[
        bool,
        typer.Option("--track", help="Write six columns and a track line, for genome browsers."),
    ] = False,
    index: Annotated[
        Literal["exact", "hnsw"] | None,
        typer.Option(help="Vector index that text2bed searches.", show_default="as saved"),
    ] = None,
    decode: Annotated[
        Literal["greedy", "beam", "sample"] | None,
        typer.Option(
            help="Let seq2regions choose one region after another, each given the ones before it.",
            show_default="rank all regions at once",
        ),
    ] = None,
    beams: Annotated[int, typer.Option(min=1, help="With --decode beam: number of beams.")] = 4,
    temperature: Annotated[
        float,
        typer.Option(
            help="With --decode sample: temperature. Below 1, likely regions are drawn even more "
            "often."
        ),
    ] = 1.0,
    top_p: Annotated[
        float,
        typer.Option(
            help="With --decode sample: draw only from the most likely regions, which together "
            "make up this fraction of all draws."
        ),
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="With --decode sample: random seed.")] = 0,
    device: Device = "auto",
) -> None:
    """Translate a text into a BED file, best region first.

    Columns: chrom, start, end, name, score (raw times 1000), strand, rank, raw (the model's score,
    0 to 1); with --genes also gene and distance (bp, negative upstream of the gene's start).
    Scores rank regions; they are not calibrated and not probabilities.
    """
    from genoglot.files import check_not_read
    from genoglot.models import load
    from genoglot.regions import Genes
    from genoglot.reports.answer import answer_query
    from genoglot.reports.browser import tabulate_regions, write_igv_page, write_track
    from genoglot.training.device import choose_device

    if table and track and out == "-":
        raise GenoglotError("--table and --track both print; use -o FILE for the track")
    for written in (out, igv):
        check_not_read(written, [genes])
    chosen = choose_device(device)
    annotation = Genes.from_file(genes, alias=alias) if genes is not None else None
    generator = load(model, "text-to-regions").to(chosen)
    decoding = {"beams": beams, "temperature": temperature, "top_p": top_p, "seed": seed}
    options = {} if decode is None else decoding
    regions = answer_query(
        generator, text, n, index=index, decoding=decode, genes=annotation, **options
    )
    if igv is not None:
        write_igv_page(igv, regions, generator.universe, text)
    if track:
        write_track(out, regions, text, generator.universe.genome)
    elif out != "-" or not table:
        regions.to_bed(out, header="#" + "\t".join(regions.frame.columns))
    if table:
        print_table(*tabulate_regions(regions), right=("distance (bp)", "raw score"))
