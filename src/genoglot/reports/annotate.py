"""What lies near regions."""

from __future__ import annotations

import polars as pl

from genoglot.regions import Genes, Regions


def with_nearest_gene(regions: Regions, genes: Genes) -> Regions:
    """Add the columns `gene` and `distance`: the nearest gene, and how far it is.

    Parameters
    ----------
    regions, genes
        On the same genome.

    Returns
    -------
    The regions; `distance` in base pairs is signed as by `Genes.nearest`. Both are null where the
    chromosome has no gene.

    Examples
    --------
    >>> genes = Genes(["A"], ["chr1"], [100], ["+"])
    >>> with_nearest_gene(Regions(["chr1", "chr2"], [90, 5], [99, 9]), genes).columns.rows()
    [('A', -2), (None, None)]
    """
    names, distance = genes.nearest(regions)
    nearest = pl.DataFrame({"gene": names.tolist(), "distance": distance})
    found = nearest.with_columns(pl.when(pl.col("gene") != "").then(pl.all()))
    return regions.with_columns(gene=found["gene"], distance=found["distance"])
