"""Answering a text with regions, as the command line and the web page do."""

from __future__ import annotations

import logging
from typing import Any, Literal

import polars as pl

from genoglot.errors import ModelError
from genoglot.models import Generator
from genoglot.regions import Genes, Regions

log = logging.getLogger("genoglot")


def answer_query(
    generator: Generator,
    text: str,
    n: int = 1000,
    *,
    index: Literal["exact", "hnsw"] | None = None,
    decoding: Literal["greedy", "beam", "sample"] | None = None,
    genes: Genes | None = None,
    **decoding_options: Any,
) -> Regions:
    """Answer a text with the best regions of a generator.

    Parameters
    ----------
    generator
        A fitted generator.
    text
        Description of the wanted regions.
    n
        Number of regions.
    index
        Vector index to search, of a model that has one; by default the saved one. The recall of an
        HNSW index is logged.
    decoding
        Decode one region after another, if the model can; by default all regions are ranked at
        once.
    genes
        Add the nearest of these genes to each region, and its distance.
    **decoding_options
        As for `genoglot.models.text_to_regions.set_decoder.SetDecoder.decode`.

    Returns
    -------
    Regions
        Regions, best first, with columns as `Generator.generate` gives them.

    Raises
    ------
    ModelError
        If the model has no vector index, or does not decode.
    """
    model: Any = generator
    if index is not None:
        if not hasattr(model, "use_index"):
            raise ModelError(f"a {model.model_type} model has no vector index, only text2bed has")
        if index != model.index_type:
            model.use_index(index)
    if decoding is None:
        regions = generator.generate(text, n)
    elif hasattr(model, "decode"):
        regions = model.decode(text, n, method=decoding, **decoding_options)
    else:
        raise ModelError(f"a {model.model_type} model does not decode, only seq2regions does")
    if getattr(model, "index_type", "exact") == "hnsw":
        recall = model.index.recall(model.locate([text]), n)
        log.info("HNSW found %.1f %% of the %d nearest regions (recall@%d)", 100 * recall, n, n)
    return regions if genes is None else add_nearest_gene(regions, genes)


def add_nearest_gene(regions: Regions, genes: Genes) -> Regions:
    """Add the columns `gene` and `distance`: the nearest gene, and its distance in bp.

    Parameters
    ----------
    regions, genes
        Regions and genes of one genome.

    Returns
    -------
    Regions
        The regions; `distance` has the sign that `Genes.nearest` gives it. Both columns are null
        where the chromosome has no gene.

    Examples
    --------
    >>> genes = Genes(["A"], ["chr1"], [100], ["+"])
    >>> add_nearest_gene(Regions(["chr1", "chr2"], [90, 5], [99, 9]), genes).columns.rows()
    [('A', -2), (None, None)]
    """
    names, distance = genes.nearest(regions)
    nearest = pl.DataFrame({"gene": names.tolist(), "distance": distance})
    found = nearest.with_columns(pl.when(pl.col("gene") != "").then(pl.all()))
    return regions.with_columns(gene=found["gene"], distance=found["distance"])
