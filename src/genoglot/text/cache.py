"""Embeddings kept on disk, so that a text is put through the network once only."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger("genoglot")

CREATE = (
    "CREATE TABLE IF NOT EXISTS embedding "
    "(key BLOB PRIMARY KEY, vector BLOB NOT NULL, truncated INTEGER NOT NULL) WITHOUT ROWID"
)
SELECT = "SELECT vector, truncated FROM embedding WHERE key = ?"
INSERT = "INSERT OR REPLACE INTO embedding VALUES (?, ?, ?)"


class EmbeddingCache:
    """Embeddings by content: the key is a digest of the model's identity and the text.

    One SQLite file. Its transactions make it safe against several processes at once and
    against one that is killed. The rollback journal is kept rather than WAL because home
    folders of clusters are network file systems, where WAL does not work. A connection is
    opened per call (0.2 ms), so threads and forks share none. A cache that cannot be used is
    reported once and then left alone: it must never stand in the way of a result.

    Parameters
    ----------
    folder
        Where `embeddings.sqlite` lies, or shall lie.
    model
        Identity of the model, such as the digest of its weights.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self.path = folder / "embeddings.sqlite"
        self._model = model.encode()
        self._usable = True

    def get(self, texts: list[str]) -> dict[str, tuple[NDArray[np.float32], bool]]:
        """Look texts up: text -> (embedding, whether the text was truncated)."""
        if not self._usable:
            return {}
        found: dict[str, tuple[NDArray[np.float32], bool]] = {}
        try:
            with closing(self._connect()) as connection:
                for text in texts:
                    row = connection.execute(SELECT, (self._key(text),)).fetchone()
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
                connection.executemany(INSERT, values)
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(self._model + b"\0" + text.encode("utf-8", "surrogatepass")).digest()

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=30)
        # Waiting for the disk costs 25 ms a query. Without it a killed process still loses and
        # breaks nothing; only a power cut may, and then the file is removed.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(CREATE)
        return connection

    def _give_up(self, error: Exception) -> None:
        self._usable = False
        log.warning("%s: cache of embeddings not used (%s); remove the file", self.path, error)
