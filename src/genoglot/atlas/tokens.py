"""Reading the tokens of an atlas from a memory map, by row groups."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from genoglot.atlas import format
from genoglot.atlas.held_out import RowIndices
from genoglot.errors import AtlasError


class TokenFile:
    """The file `tokens.parquet` of an atlas. Opening it reads its footer, but no tokens.

    Parameters
    ----------
    folder
        Directory of the atlas.
    metadata
        Metadata with the columns n_tokens, `ROW_GROUP` and `OFFSET`.

    Attributes
    ----------
    n_tokens
        Number of tokens of each region set.
    n_rows
        Number of tokens in the file.

    Raises
    ------
    AtlasError
        If the file is missing or damaged.
    """

    def __init__(self, folder: Path, metadata: pl.DataFrame) -> None:
        self._path = folder / format.TOKENS
        self.n_tokens = metadata["n_tokens"].to_numpy()
        self._row_group = metadata[format.ROW_GROUP].to_numpy()
        self._offset = metadata[format.OFFSET].to_numpy()
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[int, NDArray[Any]]] = {}
        try:
            # Absolute, because pyarrow reads hg38:encode/tokens.parquet as a URL.
            self._file = pq.ParquetFile(self._path.absolute(), memory_map=True)
        except (OSError, pa.ArrowException) as error:
            raise format.unreadable(self._path, error) from None
        if not self._file.schema_arrow.equals(format.TOKEN_SCHEMA):
            raise AtlasError(f"{self._path}: damaged (not ids and signal ranks); {format.REBUILD}")
        self.n_rows = int(self._file.metadata.num_rows)

    def read(self, column: str, rows: RowIndices) -> tuple[NDArray[Any], RowIndices]:
        """Read the ids or the signal ranks of several region sets.

        Parameters
        ----------
        column
            `ID` or `SIGNAL_RANK`.
        rows
            Indices of region sets, (n,).

        Returns
        -------
        values
            Values of all sets, one set after the other.
        ends
            End of each set in `values`, int64 (n,).
        """
        ends = np.cumsum(self.n_tokens[rows], dtype=np.int64)
        dtype = format.TOKEN_SCHEMA.field(column).type.to_pandas_dtype()
        values = np.empty(ends[-1] if len(ends) else 0, dtype)
        for k in np.argsort(self._row_group[rows], kind="stable"):
            row, n = rows[k], self.n_tokens[rows[k]]
            if n:
                group, first = self._read_group(column, self._row_group[row]), self._offset[row]
                values[ends[k] - n : ends[k]] = group[first : first + n]
        return values, ends

    def _read_group(self, column: str, i: int) -> NDArray[Any]:
        """Read a column of a row group. The last one is cached, so reading in order is fast."""
        cached, values = self._cache.get(column, (-1, np.empty(0)))
        if cached != i:
            try:
                with self._lock:
                    table = self._file.read_row_group(i, columns=[column], use_threads=False)
            except (OSError, pa.ArrowException) as error:
                raise format.unreadable(self._path, error) from None
            values = table[column].combine_chunks().to_numpy(zero_copy_only=False)
            self._cache[column] = (i, values)
        return values
