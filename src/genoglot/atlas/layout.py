"""The files of an atlas directory: names, format version, reading with checks, digests.

See docs/decisions/0003-atlas-format.md for why they are as they are.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from genoglot.errors import AtlasError

VERSION = 2
ABOUT, METADATA, TOKENS = "atlas.json", "metadata.parquet", "tokens.parquet"
UNIVERSE, SPLITS = "universe.parquet", "splits"
ROW_GROUP, OFFSET = "_row_group", "_offset"  # where a region set's tokens lie
GROUP_TOKENS = 262_144
"""Tokens after which a row group is full; a region set lies within one."""
ID, SIGNAL_RANK = "id", "signal_rank"
TOKEN_SCHEMA = pa.schema(
    [pa.field(ID, pa.int32(), nullable=False), pa.field(SIGNAL_RANK, pa.uint8(), nullable=False)]
)


def read_about(path: Path) -> dict[str, Any]:
    """Read `atlas.json`; refuse what is no atlas or of another version."""
    try:
        about = json.loads((path / ABOUT).read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise AtlasError(f"{path}: no atlas here (no {ABOUT}); build one first") from None
    except (OSError, ValueError) as error:
        raise AtlasError(f"{path / ABOUT}: damaged ({error}); build the atlas again") from None
    version = about.get("version") if isinstance(about, dict) else None
    if version != VERSION:
        raise AtlasError(
            f"{path}: atlas format version {version}, but this Genoglot reads {VERSION}; "
            "build the atlas again or use another version of Genoglot"
        )
    expected = {"genome", "universe", "n_sets", "n_tokens", "files", "digest"}
    if missing := expected - about.keys():
        raise AtlasError(f"{path / ABOUT}: damaged (no {', '.join(sorted(missing))})")
    return dict(about)


def read_metadata(path: Path) -> pl.DataFrame:
    """Read `metadata.parquet` with the columns that say where tokens lie."""
    file = path / METADATA
    try:
        table = pl.read_parquet(file.absolute(), glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise AtlasError(f"{file}: missing or damaged ({reason}); build the atlas again") from None
    for column in ("id", "description", "n_tokens", ROW_GROUP, OFFSET):
        if column not in table.columns:
            raise AtlasError(f"{file}: damaged (no column {column!r}); build the atlas again")
    return table


def open_tokens(path: Path) -> pq.ParquetFile:
    """Open `tokens.parquet` through a memory map: its footer is read, its tokens are not."""
    file = path / TOKENS
    try:
        # Absolute, as pyarrow takes hg38:encode/tokens.parquet for an address.
        tokens = pq.ParquetFile(file.absolute(), memory_map=True)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise AtlasError(f"{file}: missing or damaged ({reason}); build the atlas again") from None
    if not tokens.schema_arrow.equals(TOKEN_SCHEMA):
        raise AtlasError(f"{file}: damaged (not ids and signal_ranks); build the atlas again")
    return tokens


def check_tokens(
    tokens: NDArray[np.integer], signal_ranks: NDArray[np.integer], universe_size: int, where: str
) -> None:
    """Refuse ids not sorted, unique and within the universe, and signal ranks not 1 to 255."""
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


class TokenDigest:
    """Digest of region sets, told one after the other."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, tokens: NDArray[np.int32], signal_ranks: NDArray[np.uint8]) -> None:
        """Take the next set in; how many tokens belong to it is the metadata's to say."""
        self._hash.update(np.ascontiguousarray(tokens, "<i4").data)
        self._hash.update(np.ascontiguousarray(signal_ranks).data)

    def hexdigest(self) -> str:
        """SHA-256, as hex."""
        return self._hash.hexdigest()


def content_digest(universe_digest: str, tokens: TokenDigest, metadata: pl.DataFrame) -> str:
    """Digest of the content, which stays the same whatever library version wrote the files."""
    total = hashlib.sha256(f"{VERSION} {universe_digest} {tokens.hexdigest()}\n".encode())
    total.update(json.dumps(metadata.columns).encode())
    for row in metadata.iter_rows():
        total.update(json.dumps(row, default=str).encode())
    return total.hexdigest()
