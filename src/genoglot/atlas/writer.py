"""Writing an atlas: one region set at a time, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from genoglot.atlas import layout
from genoglot.errors import AtlasError
from genoglot.files import atomic_path, file_digest
from genoglot.regions import Universe

TEXT_COLUMNS = ("id", "file", "description", "assay", "target", "biosample", "group")


class AtlasWriter:
    """Write region sets one by one, then their metadata.

    Memory stays at one row group of tokens, however many sets there are. Made by `create`.

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

    def __init__(self, folder: Path, universe: Universe, tokens: pq.ParquetWriter) -> None:
        self._folder, self._universe, self._tokens = folder, universe, tokens
        self._pending: list[tuple[NDArray[np.int32], NDArray[np.uint8]]] = []
        self._pending_tokens = 0
        self._groups_written = 0
        self._places: list[tuple[int, int, int]] = []  # n_tokens, row group, offset
        self._digest = layout.TokenDigest()
        self._finished = False

    @classmethod
    @contextmanager
    def create(
        cls, path: str | Path, universe: Universe, *, overwrite: bool = False
    ) -> Iterator[Self]:
        """Yield a writer; its directory appears when the block ends without error.

        Parameters
        ----------
        path
            A new or empty directory.
        universe
            What the ids mean.
        overwrite
            Replace an atlas that is there (nothing but an atlas is ever replaced).
        """
        path = Path(path)
        if overwrite and path.is_dir() and any(path.iterdir()):
            layout.read_about(path)
        with (
            atomic_path(path, directory=True, overwrite=overwrite) as folder,
            pq.ParquetWriter(
                folder / layout.TOKENS,
                layout.TOKEN_SCHEMA,
                use_dictionary=[layout.SIGNAL_RANK],
                column_encoding={layout.ID: "DELTA_BINARY_PACKED"},
                compression="zstd",
                write_statistics=False,
            ) as tokens,
        ):
            writer = cls(folder, universe, tokens)
            yield writer
            if not writer._finished:
                raise AtlasError(f"{path}: finish(metadata) was not called; no atlas is written")

    def add(self, tokens: ArrayLike, signal_ranks: ArrayLike | None = None) -> None:
        """Write the next region set.

        Parameters
        ----------
        tokens
            Its ids.
        signal_ranks
            Signal rank of each token, 1 to 255; None: all 255. See `Universe.encode_signal_ranks`.

        Raises
        ------
        AtlasError
            If its ids are not sorted, unique and within the universe, or the signal ranks not as
            many or not 1 to 255.
        """
        where = f"region set {len(self._places)}"
        given = _integers(tokens, f"{where}: ids")
        if signal_ranks is None:
            signal_ranks = np.full(len(given), 255, np.uint8)
        levels = _integers(signal_ranks, f"{where}: signal ranks")
        layout.check_tokens(given, levels, len(self._universe), where)
        ids, signal_ranks = given.astype(np.int32), levels.astype(np.uint8)
        self._places.append((len(ids), self._groups_written, self._pending_tokens))
        self._digest.update(ids, signal_ranks)
        self._pending.append((ids, signal_ranks))
        self._pending_tokens += len(ids)
        if self._pending_tokens >= layout.GROUP_TOKENS:
            self._write_group()

    def finish(self, metadata: pl.DataFrame) -> None:
        """Write metadata, universe and `atlas.json`.

        Parameters
        ----------
        metadata
            A row per region set, in the order of `add`. `description` is needed. `id` (unique;
            default the row's number), `file`, `assay`, `target`, `biosample` and `group` (default
            the id) are filled where missing, `n_regions` with the number of tokens; further
            columns are kept.

        Raises
        ------
        AtlasError
            If the rows are not as many as the sets, a description is missing or an id repeated.
        """
        self._write_group()
        self._tokens.close()
        metadata = self._complete(metadata)
        digest = layout.content_digest(self._universe.digest, self._digest, metadata)
        n_tokens, row_group, offset = np.array(self._places, np.int64).reshape(-1, 3).T
        metadata.with_columns(
            pl.Series(layout.ROW_GROUP, row_group, pl.Int32),
            pl.Series(layout.OFFSET, offset, pl.Int32),
        ).write_parquet(self._folder / layout.METADATA)
        self._universe.save(self._folder / layout.UNIVERSE)
        (self._folder / layout.SPLITS).mkdir()
        parts = (layout.METADATA, layout.TOKENS, layout.UNIVERSE)
        about = {
            "version": layout.VERSION,
            "genome": self._universe.genome,
            "universe": {"digest": self._universe.digest, "size": len(self._universe)},
            "n_sets": len(metadata),
            "n_tokens": int(n_tokens.sum()),
            "files": {name: file_digest(self._folder / name) for name in parts},
            "digest": digest,
        }
        (self._folder / layout.ABOUT).write_text(json.dumps(about, indent=1) + "\n")
        self._finished = True

    def _write_group(self) -> None:
        if self._pending_tokens:
            columns = [np.concatenate(arrays) for arrays in zip(*self._pending, strict=True)]
            table = pa.Table.from_arrays(columns, schema=layout.TOKEN_SCHEMA)
            self._tokens.write_table(table, row_group_size=len(table))
            self._groups_written += 1
        self._pending, self._pending_tokens = [], 0

    def _complete(self, metadata: pl.DataFrame) -> pl.DataFrame:
        """Check the metadata and fill the columns that every atlas has."""
        n = len(self._places)
        if len(metadata) != n:
            raise AtlasError(f"{len(metadata)} rows of metadata for {n} region sets")
        if taken := {layout.ROW_GROUP, layout.OFFSET} & set(metadata.columns):
            raise AtlasError(f"metadata: the column name {min(taken)!r} is taken; rename it")
        rows = pl.Series("id", [str(i) for i in range(n)], pl.String)
        defaults = [
            (rows if name == "id" else pl.lit(None, pl.String)).alias(name)
            for name in TEXT_COLUMNS
            if name not in metadata.columns
        ]
        n_tokens = pl.Series("n_tokens", [place[0] for place in self._places], pl.Int32)
        n_regions = metadata.get_column("n_regions", default=n_tokens)
        table = metadata.with_columns(
            *defaults, n_regions.cast(pl.Int32).alias("n_regions"), n_tokens
        )
        text = pl.col(TEXT_COLUMNS).cast(pl.String)
        # Blank is missing: "" would be one group, one factor and one biosample of all such sets.
        table = table.with_columns(pl.when(text.str.strip_chars() != "").then(text))
        if table["description"].null_count():
            raise AtlasError("metadata: every region set needs a description")
        if table["id"].null_count() or table["id"].n_unique() < n:
            raise AtlasError("metadata: every region set needs an id of its own")
        first = [*TEXT_COLUMNS, "n_regions", "n_tokens"]
        rest = [name for name in table.columns if name not in first]
        return table.with_columns(experiment_group()).select(*first, *rest)


def _integers(values: ArrayLike, what: str) -> NDArray[np.integer]:
    array = np.asarray(values)
    if array.size == 0:
        return np.empty(0, np.int32)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise AtlasError(f"{what} must be a list of integers, not {array.dtype}")
    return array


def experiment_group() -> pl.Expr:
    """Give the experiment that each region set belongs to, for splits that keep it together.

    The column `group` where it has a value; else what assay, target and biosample say together;
    where they say too little, the set is a group by itself.
    """
    known = pl.col("biosample").is_not_null() & pl.any_horizontal(
        pl.col("assay", "target").is_not_null()
    )
    together = pl.concat_str(pl.col("assay", "target", "biosample").fill_null(""), separator=" | ")
    derived = pl.when(known).then(together).otherwise(pl.col("id"))
    return pl.coalesce(pl.col("group"), derived).alias("group")
