"""`genoglot generate`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from genoglot.errors import ModelError

log = logging.getLogger("genoglot")


def generate(
    model: Annotated[str, typer.Argument(help="Saved model.", show_default=False)],
    text: Annotated[str, typer.Argument(help="What to look for.", show_default=False)],
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="How many regions.")] = 1000,
    out: Annotated[
        str, typer.Option("-o", "--out", help="BED file (.gz: bgzip); - is standard output.")
    ] = "-",
    genes: Annotated[
        Path | None, typer.Option(help="GTF, GFF3 or BED: adds the nearest gene and its distance.")
    ] = None,
    index: Annotated[
        Literal["exact", "hnsw"] | None,
        typer.Option(help="Index that text2bed searches.", show_default="as saved"),
    ] = None,
) -> None:
    """Answer a text with a BED file, best region first.

    Columns: chrom, start, end, name, score (0 to 1000), strand, rank, raw (0 to 1); with --genes
    also gene and distance (bp, negative upstream of the gene's start).
    """
    from genoglot.interpret.annotate import with_nearest_gene
    from genoglot.models import load
    from genoglot.regions import Genes

    annotation = Genes.from_file(genes) if genes is not None else None
    generator: Any = load(model)
    if index is not None and not hasattr(generator, "use_index"):
        raise ModelError(f"{model}: a {generator.kind} model has no index; --index is for text2bed")
    if index is not None and index != generator.index_kind:
        generator.use_index(index)
    regions = generator.generate(text, n)
    if getattr(generator, "index_kind", "exact") == "hnsw":
        _tell_recall(generator, text, n)
    if annotation is not None:
        regions = with_nearest_gene(regions, annotation)
    regions.to_bed(out, header="#" + "\t".join(regions.frame.columns))


def _tell_recall(generator: Any, text: str, n: int) -> None:
    recall = generator.index.recall(generator.locate([text]), n)
    log.info("HNSW found %.1f %% of the %d nearest regions (recall@%d)", 100 * recall, n, n)
