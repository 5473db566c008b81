"""`EmbeddingCache`: embeddings on disk, so that each text is embedded only once."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger("genoglot")

_CREATE = (
    "CREATE TABLE IF NOT EXISTS embedding "
    "(key BLOB PRIMARY KEY, vector BLOB NOT NULL, truncated INTEGER NOT NULL) WITHOUT ROWID"
)
_SELECT = "SELECT vector, truncated FROM embedding WHERE key = ?"
_INSERT = "INSERT OR REPLACE INTO embedding VALUES (?, ?, ?)"


class EmbeddingCache:
    """Cache of embeddings by content: the key is a digest of the model and the text.

    The cache is an SQLite file. Its transactions make it safe if several processes write at once or
    one is killed. It uses a rollback journal and not WAL, because home folders of clusters are
    network file systems, where WAL does not work. Each call opens its own connection (0.2 ms), so
    that threads and forks do not share one. A cache that cannot be used is reported once and then
    ignored: it must never prevent a result.

    Parameters
    ----------
    folder
        Folder of `embeddings.sqlite`, made if it does not exist.
    model
        Identity of the model, such as the digest of its weights.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self.path = folder / "embeddings.sqlite"
        self._model = model.encode()
        self._usable = True

    def get(self, texts: list[str]) -> dict[str, tuple[NDArray[np.float32], bool]]:
        """Look up texts.

        Returns
        -------
        dict
            For each text that is in the cache its embedding, float32, shape (dim,), and whether
            the text was truncated.
        """
        if not self._usable:
            return {}
        found: dict[str, tuple[NDArray[np.float32], bool]] = {}
        try:
            with closing(self._connect()) as connection:
                for text in texts:
                    row = connection.execute(_SELECT, (self._key(text),)).fetchone()
                    if row is not None:
                        found[text] = (np.frombuffer(row[0], dtype="<f4"), bool(row[1]))
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)
        return found

    def put(self, rows: Iterable[tuple[str, NDArray[np.float32], bool]]) -> None:
        """Store (text, embedding, truncated) rows in one transaction."""
        if not self._usable:
            return
        values = [(self._key(text), vector.astype("<f4").tobytes(), t) for text, vector, t in rows]
        try:
            with closing(self._connect()) as connection, connection:
                connection.executemany(_INSERT, values)
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(self._model + b"\0" + text.encode("utf-8", "surrogatepass")).digest()

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=30)
        # Waiting for the disk takes 25 ms a query. Without it a killed process breaks nothing;
        # only a power cut can damage the file, which can then be removed.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(_CREATE)
        return connection

    def _give_up(self, error: Exception) -> None:
        self._usable = False
        logger.warning(
            "%s: the cache of embeddings is not used (%s); remove the file", self.path, error
        )
