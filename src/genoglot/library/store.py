"""Storage of a library: two LanceDB tables, in a folder or on a server.

The reasons for LanceDB are in docs/decisions/0008-library-store.md.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from genoglot.errors import LibraryError
from genoglot.regions import Regions, Universe

SETS, UNIVERSE = "sets", "universe"
KEY = "LANCEDB_API_KEY"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
VERSIONS_RETAINED = timedelta(hours=1)
"""How long old versions of a table are retained, for other processes that are reading them."""

FIELDS = ("description", "assay", "target", "biosample")
"""Metadata of a region set, beside its id."""

TEXT_VECTOR, REGION_VECTOR = "meaning", "region_vector"
"""Columns with the vectors of the description and of the regions."""


class Store:
    """The tables of one library.

    Parameters
    ----------
    name
        A folder; with `server`, the name of the library on that server.
    server
        ``http://host:port`` of a server that speaks the Lance Namespace protocol, such as
        LanceDB Enterprise. ``$LANCEDB_API_KEY`` is sent to it, if set.

    Raises
    ------
    LibraryError
        If the address is not an http address, or the name is not valid on a server.
    """

    def __init__(self, name: str | Path, server: str | None = None) -> None:
        self.name, self.server = str(name), server
        self.where = f"{self.name} at {server}" if server else self.name
        if server is None:
            return
        if not re.match(r"https?://[^/]", server):
            raise LibraryError(f"{server}: not the address of a server; give http://host:port")
        if not NAME.fullmatch(self.name):
            raise LibraryError(
                f"{self.name!r}: not a name of a library on a server; use letters, digits, _ and -"
            )

    def open(self, table: str, *, push: bool = False) -> Any:
        """Open a table; None if it does not exist.

        Parameters
        ----------
        table
            Name of the table.
        push
            Let a server run the queries. Queries for keywords must be run here: LanceDB 0.40 sends
            the server the name of the query's type and fields as if they were the words.
        """
        if self.server is None and not Path(self.name, f"{table}.lance").is_dir():
            return None
        with self.errors():
            connection = self._connect(push=push)
            try:
                return connection.open_table(self._table(table))
            except Exception as error:
                if self.server is not None and "not found" in str(error).lower():
                    return None
                raise

    def create(self, table: str, rows: pa.Table) -> Any:
        """Create a table with all its rows, or not at all."""
        with self.errors():
            connection = self._connect()
            return connection.create_table(self._table(table), data=rows, mode="overwrite")

    def _table(self, table: str) -> str:
        return table if self.server is None else f"{self.name}.{table}"

    def _connect(self, *, push: bool = False) -> Any:
        # Without this, Lance writes messages for its developers to the standard error.
        os.environ.setdefault("LANCEDB_LOG", "error")
        import lancedb

        if self.server is None:
            # Absolute, because hg38:encode and s3: are names of folders here, not URLs.
            return lancedb.connect(Path(self.name).absolute())
        headers = {"header.x-api-key": os.environ[KEY]} if os.environ.get(KEY) else {}
        return lancedb.connect(
            namespace_client_impl="rest",
            namespace_client_properties={"uri": self.server.rstrip("/"), **headers},
            namespace_client_pushdown_operations=["QueryTable"] if push else [],
        )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what LanceDB raises as a `LibraryError` of one line."""
        try:
            yield
        except (RuntimeError, ValueError, OSError, pa.ArrowException) as error:
            raise LibraryError(f"{self.where}: {_reason(error)}") from error


def read_all(table: Any, columns: list[str]) -> pa.Table:
    """Read some columns of all rows; without a limit, LanceDB reads the first ten."""
    return table.search().select(columns).limit(max(table.count_rows(), 1)).to_arrow()


def sets_schema(text_dim: int, region_dim: int) -> pa.Schema:
    """Return the schema of the table of region sets, for vectors of these dimensions.

    Vectors have half precision, which ranks as well as single precision.
    """
    # With a key, Lance prevents two processes from adding the same id at the same time.
    key = {"lance-schema:unenforced-primary-key": "true"}
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False, metadata=key),
            *(pa.field(name, pa.string()) for name in (*FIELDS, "words")),
            pa.field(TEXT_VECTOR, pa.list_(pa.float16(), text_dim)),
            pa.field(REGION_VECTOR, pa.list_(pa.float16(), region_dim)),
            pa.field("n_regions", pa.int32()),
            pa.field("tokens", pa.large_binary()),
        ]
    )


def make_indexes(table: Any) -> None:
    """Index ids and words. Vectors are compared without an index: see the decision."""
    from lancedb.index import FTS, BTree

    table.create_index("id", config=BTree())
    # Names of factors and cells are not English: no stemming and no stop words. Ids are long.
    config = FTS(
        with_position=False,
        stem=False,
        remove_stop_words=False,
        ascii_folding=True,
        max_token_length=None,
    )
    table.create_index("words", config=config)


def words_query(text: str) -> Any:
    """Return a query for the words in a text. In a plain string, quotes would be query syntax."""
    from lancedb import query

    match: Any = query.MatchQuery
    return match(text, "words")


def optimize(table: Any) -> None:
    """Merge small files and index new rows. Searches are correct without this, but slower.

    If another process changes the table at the same time, that process will optimize it.
    """
    try:
        if not table.list_indices():  # the process that created the table was killed
            make_indexes(table)
        table.optimize(cleanup_older_than=VERSIONS_RETAINED)
    except RuntimeError as error:
        if "conflict" not in str(error):
            raise


def set_rows(
    metadata: pl.DataFrame,
    sets: Sequence[NDArray[np.int32]],
    text_vectors: NDArray[np.float32],
    region_vectors: NDArray[np.float32],
) -> pa.Table:
    """Return region sets as rows of the table of region sets.

    Parameters
    ----------
    metadata
        id, description, assay, target and biosample of n region sets.
    sets
        Sorted ids of each region set.
    text_vectors, region_vectors
        float32 (n, dim). The region vector of an empty set is null in the table.
    """
    n_regions = np.array([len(ids) for ids in sets], np.int32)
    words = metadata.select(pl.concat_str("id", *FIELDS, separator=" ", ignore_nulls=True))
    columns = {
        **{name: metadata[name].to_arrow().cast(pa.string()) for name in ("id", *FIELDS)},
        "words": words.to_series().to_arrow().cast(pa.string()),
        TEXT_VECTOR: _vector_column(text_vectors, np.zeros(len(sets), bool)),
        REGION_VECTOR: _vector_column(region_vectors, n_regions == 0),
        "n_regions": pa.array(n_regions),
        "tokens": pa.array([pack_ids(ids) for ids in sets], pa.large_binary()),
    }
    schema = sets_schema(text_vectors.shape[1], region_vectors.shape[1])
    return pa.table(columns, schema=schema)


def _vector_column(vectors: NDArray[np.float32], empty: NDArray[np.bool_]) -> pa.Array:
    """Return vectors (n, dim) as a column of half precision, null where `empty` (n,) is true."""
    flat = pa.array(vectors.astype(np.float16).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1], mask=pa.array(empty))


def pack_ids(ids: NDArray[np.int32]) -> bytes:
    """Return sorted ids as bytes: their differences, compressed (about 1 byte per id).

    Examples
    --------
    >>> unpack_ids(pack_ids(np.array([3, 4, 900], np.int32)), 3)
    array([  3,   4, 900], dtype=int32)
    """
    steps = np.diff(ids, prepend=np.int32(0)).astype("<i4")
    return bytes(pa.compress(steps.tobytes(), codec="zstd", asbytes=True))


def unpack_ids(packed: bytes, n: int) -> NDArray[np.int32]:
    """Return the `n` ids that `pack_ids` packed, int32, shape (n,)."""
    steps = pa.decompress(packed, 4 * n, codec="zstd", asbytes=True)
    return np.frombuffer(steps, "<i4").cumsum(dtype=np.int32)


def universe_table(universe: Universe) -> pa.Table:
    """Return a universe as a table. The column `row` is the id of each region."""
    regions = universe.regions
    columns = {"code": regions.chrom_codes, "start": regions.start, "end": regions.end}
    return pa.table({"row": np.arange(len(regions)), **columns})


def read_universe(table: pa.Table, chromosomes: list[str], genome: str) -> Universe:
    """Return the universe of a table that `universe_table` made, in any order of its rows."""
    table = table.sort_by("row")
    code, start, end = (table[name].to_numpy() for name in ("code", "start", "end"))
    return Universe(Regions.from_codes(chromosomes, code, start, end), genome=genome)


def sql_list(values: list[str]) -> str:
    """Return texts as a list of SQL.

    Examples
    --------
    >>> sql_list(["a", "5'-end"])
    "('a', '5''-end')"
    """
    return "(" + ", ".join("'" + value.replace("'", "''") + "'" for value in values) + ")"


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "Connect" in text and "error" in text:
        return "the server cannot be reached; is the address right, and is it running?"
    # The rest is a line of the source code of Lance.
    text = re.split(r", (?:/\S+/)?[\w.-]+(?:/[\w.-]+)*\.rs:\d+", text)[0]
    shown = text if len(text) <= 300 else text[:297] + "..."
    return f"the library cannot be used ({shown})"
