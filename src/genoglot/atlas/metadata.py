"""Metadata of region sets: the columns that every atlas has, and experiment groups."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import AtlasError

TEXT_COLUMNS = ("id", "file", "description", "assay", "target", "biosample", "group")


def complete_metadata(metadata: pl.DataFrame, n_tokens: pl.Series) -> pl.DataFrame:
    """Check the metadata of region sets and add the columns that every atlas has.

    Parameters
    ----------
    metadata
        One row per region set: see `AtlasWriter.finish`.
    n_tokens
        Number of tokens of each region set, int32.

    Returns
    -------
    polars.DataFrame
        `TEXT_COLUMNS` (blank text is null), `n_regions`, `n_tokens`, then all further columns.

    Raises
    ------
    AtlasError
        If a description is missing, or an id is missing or repeated.
    """
    n = len(metadata)
    rows = pl.Series("id", [str(i) for i in range(n)], pl.String)
    defaults = [
        (rows if name == "id" else pl.lit(None, pl.String)).alias(name)
        for name in TEXT_COLUMNS
        if name not in metadata.columns
    ]
    n_regions = metadata.get_column("n_regions", default=n_tokens).cast(pl.Int32)
    table = metadata.with_columns(
        *defaults, n_regions.alias("n_regions"), n_tokens.alias("n_tokens")
    )
    text = pl.col(TEXT_COLUMNS).cast(pl.String)
    # Blank text is missing. Otherwise all sets with "" would be one group and one biosample.
    table = table.with_columns(pl.when(text.str.strip_chars() != "").then(text))
    if table["description"].null_count():
        raise AtlasError("metadata: every region set needs a description")
    if table["id"].null_count() or table["id"].n_unique() < n:
        raise AtlasError("metadata: every region set needs an id of its own")
    return table.with_columns(experiment_group()).select(
        pl.col(*TEXT_COLUMNS, "n_regions", "n_tokens"),
        pl.exclude(*TEXT_COLUMNS, "n_regions", "n_tokens"),
    )


def experiment_group() -> pl.Expr:
    """Return the experiment group of each region set, which splits keep together.

    This is the column `group` where it has a value. Elsewhere it is assay, target and biosample
    together, if the biosample and one of the other two are known. A set with fewer labels is a
    group of its own.
    """
    known = pl.col("biosample").is_not_null() & pl.any_horizontal(
        pl.col("assay", "target").is_not_null()
    )
    together = pl.concat_str(pl.col("assay", "target", "biosample").fill_null(""), separator=" | ")
    derived = pl.when(known).then(together).otherwise(pl.col("id"))
    return pl.coalesce(pl.col("group"), derived).alias("group")


def misses_target(metadata: pl.DataFrame) -> NDArray[np.bool_]:
    """Return which sets have no target although other sets of their assay have one.

    ATAC-seq has no target, but ChIP-seq whose target is missing can be of any factor.

    Parameters
    ----------
    metadata
        Metadata with the columns `assay` and `target`.

    Returns
    -------
    numpy.ndarray
        bool, shape (n,).

    Examples
    --------
    >>> metadata = {"assay": ["ChIP", "ChIP", "ATAC"], "target": ["CTCF", None, None]}
    >>> misses_target(pl.DataFrame(metadata))
    array([False,  True, False])
    """
    targeted = metadata.filter(pl.col("target").is_not_null())["assay"].drop_nulls().unique()
    missing = metadata["target"].is_null() & metadata["assay"].is_in(targeted.to_list())
    return missing.fill_null(value=False).to_numpy()
