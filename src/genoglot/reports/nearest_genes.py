"""The nearest gene of each region."""

from __future__ import annotations

import polars as pl

from genoglot.regions import Genes, Regions


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
