"""`genoglot generate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genoglot.cli.options import Device, GenesAlias
from genoglot.cli.session import check_device
from genoglot.errors import GenoglotError

if TYPE_CHECKING:
    from genoglot.regions import Regions


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
        typer.Option(help="Genes (GTF, GFF3 or BED): add the nearest gene and its distance."),
    ] = None,
    alias: GenesAlias = None,
    table: Annotated[
        bool,
        typer.Option(
            "--table",
            help="Print a table (region, score; with --genes also gene and distance) instead of "
            "BED; with -o, in addition to it.",
        ),
    ] = False,
    igv: Annotated[
        Path | None,
        typer.Option(
            help="Write a page (HTML) that shows the regions in igv.js. The page contains the "
            "regions; igv.js is downloaded from its CDN when the page is opened."
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
            help="Let seq2regions decode one region after another, given those before it.",
            show_default="rank all regions at once",
        ),
    ] = None,
    beams: Annotated[int, typer.Option(min=1, help="With --decode beam: number of beams.")] = 4,
    temperature: Annotated[
        float,
        typer.Option(help="With --decode sample: below 1, probable regions become more probable."),
    ] = 1.0,
    top_p: Annotated[
        float,
        typer.Option(
            help="With --decode sample: draw among the best regions that together have this "
            "probability."
        ),
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="With --decode sample: seed of the draw.")] = 0,
    device: Device = "auto",
) -> None:
    """Translate a text into a BED file, best region first.

    Columns: chrom, start, end, name, score (raw times 1000), strand, rank, raw (the model's score,
    0 to 1); with --genes also gene and distance (bp, negative upstream of the gene's start).
    Scores rank regions; they are not calibrated probabilities.
    """
    from genoglot.models import load
    from genoglot.regions import Genes
    from genoglot.reports.answer import answer_query
    from genoglot.reports.browser import write_igv_page, write_track

    if table and track and out == "-":
        raise GenoglotError("--table and --track both print; use -o FILE for the track")
    check_device(device)
    annotation = Genes.from_file(genes, alias=alias) if genes is not None else None
    generator = load(model, "text-to-regions")
    generator.to(device)
    given = {"beams": beams, "temperature": temperature, "top_p": top_p, "seed": seed}
    options = {} if decode is None else given
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
        _print_table(regions)


def _print_table(regions: Regions) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from genoglot.reports.browser import tabulate_regions

    header, rows = tabulate_regions(regions)
    shown = Table(box=box.SIMPLE)
    for name in header:
        right = name.startswith(("distance", "raw"))
        shown.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*map(Text, row))
    Console().print(shown)
