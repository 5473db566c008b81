"""The files of an atlas directory: their names and schema, and how they are read and checked.

The reasons for this format are in docs/decisions/0003-atlas-format.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import AtlasError
from genoglot.files import ContentDigest, read_manifest

VERSION = 2
MANIFEST, METADATA, TOKENS = "atlas.json", "metadata.parquet", "tokens.parquet"
UNIVERSE, SPLITS = "universe.parquet", "splits"
ROW_GROUP, OFFSET = "_row_group", "_offset"
"""Metadata columns: the row group that holds the tokens of a region set, and where they begin."""
ID, SIGNAL_RANK = "id", "signal_rank"
TOKEN_SCHEMA = pa.schema(
    [pa.field(ID, pa.int32(), nullable=False), pa.field(SIGNAL_RANK, pa.uint8(), nullable=False)]
)
REBUILD = "build the atlas again"


def read_atlas_manifest(path: Path) -> dict[str, Any]:
    """Read `atlas.json`, and refuse a directory that is not an atlas or has another format."""
    file = path / MANIFEST
    manifest = read_manifest(file, "atlas", VERSION, advice=REBUILD, error=AtlasError)
    expected = {"genome", "universe", "n_sets", "n_tokens", "files", "digest"}
    if missing := expected - manifest.keys():
        raise AtlasError(f"{file}: damaged (no {', '.join(sorted(missing))}); {REBUILD}")
    return manifest


def unreadable(file: Path, error: Exception) -> AtlasError:
    """Return the error for a file of an atlas that a library cannot read."""
    reason = str(error).splitlines()[0]
    return AtlasError(f"{file}: missing or damaged ({reason}); {REBUILD}")


def as_integers(values: ArrayLike, what: str) -> NDArray[np.integer]:
    """Return a list of integers as an array; an AtlasError names `what` if it is another list."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise AtlasError(f"{what} must be a list of integers, not {array.dtype}")
    return array if array.size else np.empty(0, np.int32)


def check_tokens(
    tokens: NDArray[np.integer], signal_ranks: NDArray[np.integer], universe_size: int, where: str
) -> None:
    """Refuse ids that are not sorted, unique and in the universe, and signal ranks not in 1 to 255.

    Parameters
    ----------
    tokens
        Ids of universe regions, shape (n,).
    signal_ranks
        Signal rank of each id, shape (n,).
    universe_size
        Number of regions in the universe.
    where
        What the error message calls the region set.

    Raises
    ------
    AtlasError
        If a value is out of range, ids are not sorted and unique, or the lengths differ.
    """
    if len(tokens) and (tokens[0] < 0 or tokens[-1] >= universe_size):
        outside = tokens[0] if tokens[0] < 0 else tokens[-1]
        raise AtlasError(f"{where}: id {outside} is outside a universe of {universe_size} regions")
    if np.any(np.diff(tokens) <= 0):
        raise AtlasError(f"{where}: ids are not sorted and unique; pass them through numpy.unique")
    if len(signal_ranks) != len(tokens):
        raise AtlasError(f"{where}: {len(signal_ranks)} signal ranks for {len(tokens)} ids")
    if len(signal_ranks) and (signal_ranks.min() < 1 or signal_ranks.max() > 255):
        raise AtlasError(
            f"{where}: signal ranks are 1 to 255, not {signal_ranks.min()} to {signal_ranks.max()}"
        )


def content_digest(universe_digest: str, tokens: ContentDigest, metadata: pl.DataFrame) -> str:
    """Return the digest of an atlas's universe, tokens and metadata, as hex.

    Parameters
    ----------
    universe_digest
        Digest of the universe.
    tokens
        Digest to which the ids (int32) and the signal ranks (uint8) of each region set were added
        in turn. The metadata say how many belong to each set.
    metadata
        Metadata without the columns `ROW_GROUP` and `OFFSET`.
    """
    total = ContentDigest()
    # The leading 1 is the version of this rule, which is older than the version of the files.
    total.add(f"1 {universe_digest} {tokens.hexdigest()}\n")
    total.add(metadata.columns)
    for row in metadata.iter_rows():
        total.add(row)
    return total.hexdigest()
