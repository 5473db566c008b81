"""The store under a library: two LanceDB tables, in a folder or behind a server.

Why LanceDB: docs/decisions/0008-library-store.md.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from genoglot.errors import LibraryError
from genoglot.regions import Regions, Universe

SETS, UNIVERSE = "sets", "universe"
KEY = "LANCEDB_API_KEY"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
KEPT_VERSIONS = timedelta(hours=1)  # so that who reads while another adds is not disturbed


class Store:
    """Where the tables of one library are.

    Parameters
    ----------
    name
        A folder; with `server`, the library's name there.
    server
        ``http://host:port`` of a server that speaks the Lance Namespace protocol, such as
        LanceDB Enterprise. ``$LANCEDB_API_KEY`` is sent to it, if set.

    Raises
    ------
    LibraryError
        If the address is no http address or the name none that a server takes.
    """

    def __init__(self, name: str | Path, server: str | None = None) -> None:
        self.name, self.server = str(name), server
        self.where = f"{self.name} at {server}" if server else self.name
        if server is None:
            return
        if not re.match(r"https?://[^/]", server):
            raise LibraryError(f"{server}: no address of a server; give http://host:port")
        if not NAME.fullmatch(self.name):
            raise LibraryError(
                f"{self.name!r}: no name for a library on a server; use letters, digits, _ and -"
            )

    def open(self, table: str, *, push: bool = False) -> Any:
        """Open a table; None if it is not there.

        With `push`, a server runs the queries. Of no use for keywords: LanceDB 0.40 sends a server
        the name of the query's type and fields as if they were the words.
        """
        if self.server is None and not Path(self.name, f"{table}.lance").is_dir():
            return None
        with self.errors():
            connection = self._connect(push=push)
            try:
                return connection.open_table(self._table(table))
            except Exception as error:
                if self.server is not None and _is_missing(error):
                    return None
                raise

    def create(self, table: str, rows: pa.Table) -> Any:
        """Make a table, in one step: it is there with all its rows or not at all."""
        with self.errors():
            connection = self._connect()
            return connection.create_table(self._table(table), data=rows, mode="overwrite")

    def _table(self, table: str) -> str:
        return table if self.server is None else f"{self.name}.{table}"

    def _connect(self, *, push: bool = False) -> Any:
        # Lance writes notices for its developers on standard error.
        os.environ.setdefault("LANCEDB_LOG", "error")
        import lancedb

        if self.server is None:
            # Absolute, as hg38:encode and s3: are names of folders, not addresses.
            return lancedb.connect(Path(self.name).absolute())
        headers = {"header.x-api-key": os.environ[KEY]} if os.environ.get(KEY) else {}
        return lancedb.connect(
            namespace_client_impl="rest",
            namespace_client_properties={"uri": self.server.rstrip("/"), **headers},
            namespace_client_pushdown_operations=["QueryTable"] if push else [],
        )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Say in one line what the store complains of."""
        try:
            yield
        except (RuntimeError, ValueError, OSError, pa.ArrowException) as error:
            raise LibraryError(f"{self.where}: {_reason(error)}") from error


def read_all(table: Any, columns: list[str]) -> pa.Table:
    """Read some columns of all rows. Without a limit it would be the first ten."""
    return table.search().select(columns).limit(max(table.count_rows(), 1)).to_arrow()


def sets_schema(text_dim: int, sketch_dim: int) -> pa.Schema:
    """Columns of the table of region sets. Vectors of half precision rank as well as of single."""
    # Told of the key, Lance keeps two processes from adding the same id at once.
    key = {"lance-schema:unenforced-primary-key": "true"}
    texts = ("description", "assay", "target", "biosample", "words")
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False, metadata=key),
            *(pa.field(name, pa.string()) for name in texts),
            pa.field("meaning", pa.list_(pa.float16(), text_dim)),
            pa.field("sketch", pa.list_(pa.float16(), sketch_dim)),
            pa.field("n_regions", pa.int32()),
            pa.field("tokens", pa.large_binary()),
        ]
    )


def make_indexes(table: Any) -> None:
    """Index ids and words. Vectors are compared one by one: see the decision."""
    from lancedb.index import FTS, BTree

    table.create_index("id", config=BTree())
    # Names of factors and cells are no English: neither stems nor stop words. Ids are long words.
    config = FTS(
        with_position=False,
        stem=False,
        remove_stop_words=False,
        ascii_folding=True,
        max_token_length=None,
    )
    table.create_index("words", config=config)


def words_query(text: str) -> Any:
    """Make a query of the words in a text: as a string, its quotes would be a query's syntax."""
    from lancedb import query

    match: Any = query.MatchQuery
    return match(text, "words")


def tidy(table: Any) -> None:
    """Join small files and index what is new; searches are right without it, but slower.

    Where another process changes the table meanwhile, that one will tidy up.
    """
    try:
        details = [index.index_details or {} for index in table.list_indices()]
        # None: killed while it was made. A limit: made when 40 letters were the longest word.
        if not details or any(one.get("max_token_length") for one in details):
            make_indexes(table)
        table.optimize(cleanup_older_than=KEPT_VERSIONS)
    except RuntimeError as error:
        if "conflict" not in str(error):
            raise


def vectors(rows: NDArray[np.float32], empty: NDArray[np.bool_] | None = None) -> pa.Array:
    """Put (n, dim) vectors into a column of half precision; null where `empty`."""
    flat = pa.array(rows.astype(np.float16).ravel())
    mask = None if empty is None else pa.array(empty)
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1], mask=mask)


def universe_table(universe: Universe) -> pa.Table:
    """Put a universe into a table; `row` keeps the order, on which the ids stand."""
    regions = universe.regions
    columns = {"code": regions.chrom_codes, "start": regions.start, "end": regions.end}
    return pa.table({"row": np.arange(len(regions)), **columns})


def read_universe(table: pa.Table, chromosomes: list[str], genome: str) -> Universe:
    """Read what `universe_table` gave, in whatever order."""
    table = table.sort_by("row")
    code, start, end = (table[name].to_numpy() for name in ("code", "start", "end"))
    return Universe(Regions.from_codes(chromosomes, code, start, end), genome=genome)


def quoted(values: list[str]) -> str:
    """SQL's list of some texts.

    Examples
    --------
    >>> quoted(["a", "5'-end"])
    "('a', '5''-end')"
    """
    return "(" + ", ".join("'" + value.replace("'", "''") + "'" for value in values) + ")"


def _is_missing(error: Exception) -> bool:
    return "not found" in str(error).lower()


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "Connect" in text and "error" in text:
        return "the server cannot be reached; is the address right, and is it running?"
    # What follows is a place in Lance's own source.
    text = re.split(r", (?:/\S+/)?[\w.-]+(?:/[\w.-]+)*\.rs:\d+", text)[0]
    shown = text if len(text) <= 300 else text[:297] + "..."
    return f"the store cannot be used ({shown})"
