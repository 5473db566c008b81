"""`genoglot generate`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genoglot.cli.options import GenesAlias
from genoglot.errors import GenoglotError, ModelError

if TYPE_CHECKING:
    from genoglot.regions import Regions

log = logging.getLogger("genoglot")


def generate(
    model: Annotated[str, typer.Argument(help="Saved model.", show_default=False)],
    text: Annotated[str, typer.Argument(help="What to look for.", show_default=False)],
    n: Annotated[
        int, typer.Option("-n", "--n", "--top", min=1, help="How many regions, best first.")
    ] = 1000,
    out: Annotated[
        str, typer.Option("-o", "--out", help="BED file (.gz: bgzip); - is standard output.")
    ] = "-",
    genes: Annotated[
        Path | None, typer.Option(help="GTF, GFF3 or BED: adds the nearest gene and its distance.")
    ] = None,
    alias: GenesAlias = None,
    table: Annotated[
        bool,
        typer.Option(
            "--table",
            help="Print a table (region, score; with --genes also gene and distance) instead of "
            "BED; with -o, beside it.",
        ),
    ] = False,
    igv: Annotated[
        Path | None,
        typer.Option(
            help="Write a page (HTML) that shows the regions in igv.js. They are inside it; igv.js "
            "itself is fetched from its CDN when the page is opened."
        ),
    ] = None,
    track: Annotated[
        bool,
        typer.Option(
            "--track", help="BED of six columns with a track line, as genome browsers read it."
        ),
    ] = False,
    index: Annotated[
        Literal["exact", "hnsw"] | None,
        typer.Option(help="Index that text2bed searches.", show_default="as saved"),
    ] = None,
    decode: Annotated[
        Literal["greedy", "beam", "sample"] | None,
        typer.Option(
            help="Let seq2regions decode region by region, each given those before it.",
            show_default="rank regions, all at once",
        ),
    ] = None,
    beams: Annotated[int, typer.Option(min=1, help="With --decode beam: how many.")] = 4,
    temperature: Annotated[
        float, typer.Option(help="With --decode sample: below 1, fewer surprises.")
    ] = 1.0,
    top_p: Annotated[
        float,
        typer.Option(
            help="With --decode sample: draw among the best regions that together have this share "
            "of the softmax."
        ),
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="With --decode sample.")] = 0,
) -> None:
    """Answer a text with a BED file, best region first.

    Columns: chrom, start, end, name, score (raw times 1000), strand, rank, raw (the model's score,
    0 to 1); with --genes also gene and distance (bp, negative upstream of the gene's start).
    --track keeps the first six. Scores rank regions; they are not calibrated, so they are no
    probabilities.
    """
    from genoglot.models import load
    from genoglot.regions import Genes, Regions
    from genoglot.reports.browser import format_track_line, write_igv_page
    from genoglot.reports.nearest_genes import add_nearest_gene

    if table and track and out == "-":
        raise GenoglotError("--table and --track both print; give -o FILE for the track")
    annotation = Genes.from_file(genes, alias=alias) if genes is not None else None
    generator: Any = load(model, "text-to-regions")
    if index is not None and not hasattr(generator, "use_index"):
        raise ModelError(
            f"{model}: a {generator.model_type} model has no index; --index is for text2bed"
        )
    if decode is not None and not hasattr(generator, "decode"):
        raise ModelError(
            f"{model}: a {generator.model_type} model does not decode; --decode is for seq2regions"
        )
    if index is not None and index != generator.index_kind:
        generator.use_index(index)
    if decode is not None:
        regions = generator.decode(
            text, n, method=decode, beams=beams, temperature=temperature, top_p=top_p, seed=seed
        )
    else:
        regions = generator.generate(text, n)
    if getattr(generator, "index_kind", "exact") == "hnsw":
        _tell_recall(generator, text, n)
    if annotation is not None:
        regions = add_nearest_gene(regions, annotation)
    if igv is not None:
        write_igv_page(igv, regions, generator.universe, text)
    if track:
        six = regions.columns.select("name", "score", "strand")
        bed = Regions.from_frame(regions.frame.select("chrom", "start", "end").hstack(six))
        bed.to_bed(out, header=format_track_line(text, generator.universe.genome))
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


def _tell_recall(generator: Any, text: str, n: int) -> None:
    recall = generator.index.recall(generator.locate([text]), n)
    log.info("HNSW found %.1f %% of the %d nearest regions (recall@%d)", 100 * recall, n, n)
