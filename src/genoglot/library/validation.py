"""Checks of region sets before they are added to a library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.atlas.format import as_integers, check_tokens
from genoglot.errors import AtlasError, LibraryError, some
from genoglot.library.store import FIELDS

MAX_ID = 1_000
"""Maximum number of characters of an id."""


def check_metadata(metadata: pl.DataFrame) -> pl.DataFrame:
    """Return the columns that a library stores, as text.

    Parameters
    ----------
    metadata
        One row per region set, with the columns `id` and `description`.

    Returns
    -------
    polars.DataFrame
        The columns id, description, assay, target and biosample.

    Raises
    ------
    LibraryError
        If an id or a description is missing, or an id is repeated or too long.
    """
    for name in ("id", "description"):
        if name not in metadata.columns:
            raise LibraryError(f"metadata: no column {name!r}; add it")
    table = metadata.select(
        pl.col(name).cast(pl.String)
        if name in metadata.columns
        else pl.lit(None, pl.String).alias(name)
        for name in ("id", *FIELDS)
    )
    for name in ("id", "description"):
        empty = (table[name].fill_null("").str.strip_chars() == "").arg_true()
        if len(empty):
            raise LibraryError(f"metadata: no {name} in row {empty[0]}; fill it in")
    if len(long := table.filter(pl.col("id").str.len_chars() > MAX_ID)):
        raise LibraryError(
            f"metadata: id {long['id'][0][:30]}... is longer than {MAX_ID} characters"
        )
    if len(repeated := table.filter(pl.col("id").is_duplicated())):
        names = some(sorted(repeated["id"]))
        raise LibraryError(f"metadata: {names} repeated; each set needs its own id")
    return table


def checked_batches(
    token_lists: Iterable[ArrayLike], n: int, batch: int, universe_size: int
) -> Iterator[tuple[int, list[NDArray[np.int32]]]]:
    """Yield checked lists of ids in batches, each with the index of its first list.

    Parameters
    ----------
    token_lists
        Ids of each region set.
    n
        Expected number of region sets.
    batch
        Number of region sets per batch.
    universe_size
        Number of regions in the universe.

    Raises
    ------
    LibraryError
        If a list is invalid, or the number of lists is not `n`.
    """
    lists = iter(token_lists)
    for first in range(0, n, batch):
        size = min(batch, n - first)
        checked = [
            check_ids(tokens, universe_size, f"set {first + i}")
            for i, tokens in enumerate(islice(lists, size))
        ]
        if len(checked) < size:
            raise LibraryError(f"{first + len(checked)} token lists for {n} rows of metadata")
        yield first, checked
    if next(lists, None) is not None:
        raise LibraryError(f"more token lists than the {n} rows of metadata")


def check_ids(tokens: ArrayLike, universe_size: int, where: str) -> NDArray[np.int32]:
    """Return ids of a universe as an array, int32.

    Parameters
    ----------
    tokens
        Sorted, unique ids.
    universe_size
        Number of regions in the universe.
    where
        What the error message calls the region set.

    Raises
    ------
    LibraryError
        If the ids are not integers, not sorted and unique, or outside the universe.
    """
    try:
        array = as_integers(tokens, f"{where}: ids")
        check_tokens(array, np.full(len(array), 255), universe_size, where)
    except AtlasError as error:
        raise LibraryError(str(error)) from None
    return array.astype(np.int32)
