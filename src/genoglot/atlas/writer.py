"""Writing an atlas one region set at a time. The atlas appears complete or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from genoglot.atlas import format
from genoglot.atlas.metadata import complete_metadata
from genoglot.errors import AtlasError
from genoglot.files import ContentDigest, atomic_path, file_digest, write_manifest
from genoglot.regions import Universe

ROW_GROUP_TOKENS = 262_144
"""Default number of tokens after which a row group of `tokens.parquet` is full."""


class AtlasWriter:
    """Writer of an atlas: add region sets one by one, then finish with their metadata.

    Created by `AtlasWriter.create`. It holds one row group of tokens in memory, however many
    region sets there are.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from genoglot.regions import Regions
    >>> universe = Universe(Regions(["chr1"] * 3, [0, 10, 20], [5, 15, 25]))
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "atlas"
    >>> with AtlasWriter.create(folder, universe) as writer:
    ...     writer.add([0, 2], signal_ranks=[80, 255])
    ...     writer.finish(pl.DataFrame({"description": ["CTCF in liver"]}))
    >>> sorted(file.name for file in folder.iterdir())
    ['atlas.json', 'metadata.parquet', 'splits', 'tokens.parquet', 'universe.parquet']
    """

    def __init__(
        self, folder: Path, universe: Universe, tokens: pq.ParquetWriter, row_group_tokens: int
    ) -> None:
        self._folder, self._universe, self._tokens = folder, universe, tokens
        self._row_group_tokens = row_group_tokens
        self._pending: list[tuple[NDArray[np.int32], NDArray[np.uint8]]] = []
        self._pending_tokens = 0
        self._row_groups = 0
        self._positions: list[tuple[int, int, int]] = []  # n_tokens, row group, offset
        self._digest = ContentDigest()
        self._finished = False

    @classmethod
    @contextmanager
    def create(
        cls,
        path: str | Path,
        universe: Universe,
        *,
        overwrite: bool = False,
        row_group_tokens: int = ROW_GROUP_TOKENS,
    ) -> Iterator[Self]:
        """Create a writer as a context manager; the atlas appears when the block succeeds.

        Parameters
        ----------
        path
            A new or empty directory.
        universe
            Universe of the token ids.
        overwrite
            Replace an existing atlas. Any other directory that is not empty is refused.
        row_group_tokens
            Number of tokens after which a row group of `tokens.parquet` is full. A region set is
            never divided between row groups.
        """
        path = Path(path)
        if overwrite and path.is_dir() and any(path.iterdir()):
            format.read_atlas_manifest(path)
        with (
            atomic_path(path, directory=True, overwrite=overwrite) as folder,
            pq.ParquetWriter(
                folder / format.TOKENS,
                format.TOKEN_SCHEMA,
                use_dictionary=[format.SIGNAL_RANK],
                column_encoding={format.ID: "DELTA_BINARY_PACKED"},
                compression="zstd",
                write_statistics=False,
            ) as tokens,
        ):
            writer = cls(folder, universe, tokens, row_group_tokens)
            yield writer
            if not writer._finished:
                raise AtlasError(f"{path}: no atlas was written; call finish(metadata) at the end")

    def add(self, tokens: ArrayLike, signal_ranks: ArrayLike | None = None) -> None:
        """Write the next region set.

        Parameters
        ----------
        tokens
            Ids of the universe regions in the set, sorted and unique.
        signal_ranks
            Signal rank of each id, 1 to 255; by default 255. See `Universe.encode_signal_ranks`.

        Raises
        ------
        AtlasError
            If the ids or signal ranks are invalid: see `genoglot.atlas.format.check_tokens`.
        """
        where = f"region set {len(self._positions)}"
        given = format.as_integers(tokens, f"{where}: ids")
        if signal_ranks is None:
            signal_ranks = np.full(len(given), 255, np.uint8)
        levels = format.as_integers(signal_ranks, f"{where}: signal ranks")
        format.check_tokens(given, levels, len(self._universe), where)
        ids, signal_ranks = given.astype(np.int32), levels.astype(np.uint8)
        self._positions.append((len(ids), self._row_groups, self._pending_tokens))
        self._digest.add(ids)
        self._digest.add(signal_ranks)
        self._pending.append((ids, signal_ranks))
        self._pending_tokens += len(ids)
        if self._pending_tokens >= self._row_group_tokens:
            self._write_row_group()

    def finish(self, metadata: pl.DataFrame) -> None:
        """Write metadata, universe and `atlas.json`.

        Parameters
        ----------
        metadata
            One row per region set, in the order of `add`. The column `description` is required.
            `id` (unique; by default the row number), `file`, `assay`, `target`, `biosample`,
            `group` (by default see `experiment_group`) and `n_regions` (by default the number of
            tokens) are added where they are missing. Further columns are stored unchanged.

        Raises
        ------
        AtlasError
            If the number of rows is not the number of region sets, a description is missing, or
            an id is repeated.
        """
        self._write_row_group()
        self._tokens.close()
        if len(metadata) != len(self._positions):
            raise AtlasError(
                f"{len(metadata)} rows of metadata for {len(self._positions)} region sets"
            )
        if reserved := {format.ROW_GROUP, format.OFFSET} & set(metadata.columns):
            raise AtlasError(f"metadata: the column name {min(reserved)!r} is reserved; rename it")
        n_tokens, row_group, offset = np.array(self._positions, np.int64).reshape(-1, 3).T
        metadata = complete_metadata(metadata, pl.Series(n_tokens, dtype=pl.Int32))
        metadata.with_columns(
            pl.Series(format.ROW_GROUP, row_group, pl.Int32),
            pl.Series(format.OFFSET, offset, pl.Int32),
        ).write_parquet(self._folder / format.METADATA)
        self._universe.save(self._folder / format.UNIVERSE)
        (self._folder / format.SPLITS).mkdir()
        files = (format.METADATA, format.TOKENS, format.UNIVERSE)
        manifest = {
            "format": format.VERSION,
            "genome": self._universe.genome,
            "universe": {"digest": self._universe.digest, "size": len(self._universe)},
            "n_sets": len(metadata),
            "n_tokens": int(n_tokens.sum()),
            "files": {name: file_digest(self._folder / name) for name in files},
            "digest": format.content_digest(self._universe.digest, self._digest, metadata),
        }
        write_manifest(self._folder / format.MANIFEST, manifest)
        self._finished = True

    def _write_row_group(self) -> None:
        if self._pending_tokens:
            columns = [np.concatenate(arrays) for arrays in zip(*self._pending, strict=True)]
            table = pa.Table.from_arrays(columns, schema=format.TOKEN_SCHEMA)
            self._tokens.write_table(table, row_group_size=len(table))
            self._row_groups += 1
        self._pending, self._pending_tokens = [], 0
