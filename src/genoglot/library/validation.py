"""What is added to a library, checked before it is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.atlas.layout import check_tokens
from genoglot.errors import AtlasError, LibraryError, some
from genoglot.library.ranking import FIELDS

MAX_ID = 1_000  # characters


def checked_metadata(metadata: pl.DataFrame) -> pl.DataFrame:
    """Give the columns that a library keeps, as text, known to be sound.

    Raises
    ------
    LibraryError
        If ids or descriptions are missing, or ids repeated or too long.
    """
    for name in ("id", "description"):
        if name not in metadata.columns:
            raise LibraryError(f"metadata: no column {name!r}; add it")
    about = metadata.select(
        pl.col(name).cast(pl.String)
        if name in metadata.columns
        else pl.lit(None, pl.String).alias(name)
        for name in ("id", *FIELDS)
    )
    for name in ("id", "description"):
        empty = (about[name].fill_null("").str.strip_chars() == "").arg_true()
        if len(empty):
            raise LibraryError(f"metadata: no {name} in row {empty[0]}; fill it in")
    if len(long := about.filter(pl.col("id").str.len_chars() > MAX_ID)):
        raise LibraryError(
            f"metadata: id {long['id'][0][:30]}... is longer than {MAX_ID} characters"
        )
    if len(repeated := about.filter(pl.col("id").is_duplicated())):
        twice = some(sorted(repeated["id"]))
        raise LibraryError(f"metadata: {twice} repeated; each set needs its own id")
    return about


def checked_batches(
    token_lists: Iterable[ArrayLike], n: int, batch: int, universe_size: int
) -> Iterator[tuple[int, list[NDArray[np.int32]]]]:
    """Take token lists a batch at a time, each with the number of its first.

    Raises
    ------
    LibraryError
        If a list is unsound, or there are not `n` of them.
    """
    lists = iter(token_lists)
    for first in range(0, n, batch):
        size = min(batch, n - first)
        taken = [
            checked_tokens(tokens, universe_size, f"set {first + i}")
            for i, tokens in enumerate(islice(lists, size))
        ]
        if len(taken) < size:
            raise LibraryError(f"{first + len(taken)} token lists for {n} rows of metadata")
        yield first, taken
    if next(lists, None) is not None:
        raise LibraryError(f"more token lists than the {n} rows of metadata")


def checked_tokens(tokens: ArrayLike, universe_size: int, where: str) -> NDArray[np.int32]:
    """Give sorted, unique ids of a universe; `where` they are is told if they are not that.

    Raises
    ------
    LibraryError
        If they are no integers, out of order, or outside the universe.
    """
    array = np.asarray(tokens)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise LibraryError(f"{where}: ids must be a list of integers")
    try:
        check_tokens(array, np.full(len(array), 255), universe_size, where)
    except AtlasError as error:
        raise LibraryError(str(error)) from None
    return array.astype(np.int32)
