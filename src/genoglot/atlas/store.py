"""`Atlas`: many described region sets on disk, read lazily through a memory map."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cached_property
from itertools import repeat, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from genoglot.atlas import layout
from genoglot.atlas.splits import Split
from genoglot.atlas.writer import AtlasWriter
from genoglot.errors import AtlasError, UniverseError, UniverseMismatchError
from genoglot.files import file_digest
from genoglot.permissions import explains_denial
from genoglot.regions import Universe

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Tokens = NDArray[np.int32]
SignalRanks = NDArray[np.uint8]

_WEIGHTS = ((1 + np.arange(256) / 255) / 2).astype(np.float32)  # of signal ranks, in `presence`


class Atlas:
    """Region sets, as ids of a universe with signal ranks, with their descriptions and metadata.

    Opened by `Atlas.open`; made by `build_atlas` from files or by `Atlas.from_sets` from arrays.
    Opening reads the metadata only; tokens are read from a memory map when asked for. Several
    threads may read at once; a copy sent to another process opens the directory anew.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from genoglot.regions import Regions
    >>> universe = Universe(Regions(["chr1"] * 3, [0, 10, 20], [5, 15, 25]), genome="hg38")
    >>> about = pl.DataFrame({"description": ["CTCF in liver", "ATAC-seq of kidney"]})
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "atlas"
    >>> ranks = [[51, 255], [9]]
    >>> atlas = Atlas.from_sets(folder, universe, about, [[0, 2], [1]], signal_ranks=ranks)
    >>> len(atlas), atlas.tokens(0), atlas.descriptions([1])
    (2, array([0, 2], dtype=int32), ['ATAC-seq of kidney'])
    >>> atlas.presence().toarray()
    array([[1., 0., 1.], [0., 1., 0.]], dtype=float32)
    >>> atlas.signal_ranks(0), atlas.presence([0], signal_rank=True).toarray()
    (array([ 51, 255], dtype=uint8), array([[0.6, 0. , 1. ]], dtype=float32))
    """

    path: Path
    metadata: pl.DataFrame

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._about = layout.read_about(self.path)
        table = layout.read_metadata(self.path)
        self._tokens = layout.open_tokens(self.path)
        self._n_tokens = table["n_tokens"].to_numpy()
        self._row_group = table[layout.ROW_GROUP].to_numpy()
        self._offset = table[layout.OFFSET].to_numpy()
        self.metadata = table.drop(layout.ROW_GROUP, layout.OFFSET)
        self._lock = threading.Lock()
        self._last_group: dict[str, tuple[int, NDArray[Any]]] = {}
        counts = {"sets": len(table), "tokens": int(self._n_tokens.sum())}
        for what, count in counts.items():
            if count != self._about[f"n_{what}"]:
                raise AtlasError(
                    f"{path}: damaged atlas: {count} {what} where atlas.json says "
                    f"{self._about[f'n_{what}']}; build it again"
                )
        if self._tokens.metadata.num_rows != counts["tokens"]:
            raise AtlasError(
                f"{path}: damaged atlas: tokens.parquet and metadata.parquet differ; build it again"
            )

    @classmethod
    @explains_denial
    def open(cls, path: str | Path) -> Atlas:
        """Open an atlas directory.

        Raises
        ------
        AtlasError
            If it is missing, damaged or of another format version.
        """
        return cls(path)

    @classmethod
    def from_sets(
        cls,
        path: str | Path,
        universe: Universe,
        metadata: pl.DataFrame,
        token_lists: Iterable[ArrayLike],
        *,
        signal_ranks: Iterable[ArrayLike] | None = None,
        overwrite: bool = False,
    ) -> Atlas:
        """Write an atlas from token lists, taken one at a time, and open it.

        Parameters
        ----------
        path
            A new or empty directory.
        universe
            What the ids mean; its genome becomes the atlas's.
        metadata
            A row per region set; see `AtlasWriter.finish`.
        token_lists
            Per region set its sorted, unique ids.
        signal_ranks
            Per region set the signal rank of each token, 1 to 255; None: all 255.
        overwrite
            Replace an atlas that is there.

        Raises
        ------
        AtlasError
            If ids are unsorted or outside the universe, signal ranks outside 1 to 255, or the
            numbers of sets, or of ids and signal ranks, differ.
        """
        sets: Iterable[tuple[ArrayLike, ArrayLike | None]]
        if signal_ranks is None:
            sets = zip(token_lists, repeat(None), strict=False)
        else:
            sets = zip_longest(token_lists, signal_ranks, fillvalue=())
        with AtlasWriter.create(path, universe, overwrite=overwrite) as writer:
            for tokens, levels in sets:
                writer.add(tokens, levels)
            writer.finish(metadata)
        return cls(path)

    def __len__(self) -> int:
        return len(self.metadata)

    def __repr__(self) -> str:
        return (
            f"Atlas({len(self)} region sets over {self.universe_size} regions, "
            f"genome={self.genome!r}, digest={self.digest[:12]})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Atlas, (self.path,)

    @cached_property
    def universe(self) -> Universe:
        """The universe whose ids the tokens are."""
        try:
            universe = Universe.load(self.path / layout.UNIVERSE)
            universe.check_same(self.universe_digest)
        except (UniverseError, UniverseMismatchError) as error:
            raise AtlasError(f"{self.path}: damaged atlas: {error}") from None
        return universe

    @property
    def universe_digest(self) -> str:
        """Digest of the universe, known without loading it."""
        return str(self._about["universe"]["digest"])

    @property
    def universe_size(self) -> int:
        """Number of regions in the universe, known without loading it."""
        return int(self._about["universe"]["size"])

    @property
    def genome(self) -> str:
        """Name of the genome assembly, such as "hg38"; may be empty."""
        return str(self._about["genome"])

    @property
    def digest(self) -> str:
        """SHA-256, as hex, of universe, tokens and metadata: the identity of the data."""
        return str(self._about["digest"])

    def tokens(self, i: int) -> Tokens:
        """Ids of region set `i`: int32, sorted, unique."""
        return self._gather(layout.ID, self._rows([i]))[0]

    def signal_ranks(self, i: int) -> SignalRanks:
        """Strength of each token of region set `i`, 1 to 255: uint8, shape (n_tokens,).

        See `Universe.encode_signal_ranks`; all 255 where the signal rank is not known.
        """
        return self._gather(layout.SIGNAL_RANK, self._rows([i]))[0]

    def tokens_of(self, rows: ArrayLike) -> list[Tokens]:
        """Ids of several region sets, in the order of `rows`.

        Each row group of the file is read once whatever the order, so a shuffled batch costs
        what its distinct row groups do (about 1 ms each).

        Parameters
        ----------
        rows
            Indices (repeats allowed) or a mask of shape (n,).

        Raises
        ------
        AtlasError
            If a row is not in the atlas.
        """
        return self._lists_of(layout.ID, rows)

    def signal_ranks_of(self, rows: ArrayLike) -> list[SignalRanks]:
        """Signal ranks of several region sets, read as by `tokens_of`."""
        return self._lists_of(layout.SIGNAL_RANK, rows)

    def presence(self, rows: ArrayLike | None = None, *, signal_rank: bool = False) -> csr_array:
        """Which region set holds which region of the universe.

        Parameters
        ----------
        rows
            As in `tokens_of`; None: all.
        signal_rank
            Weigh what is present by its signal rank s, as (1 + s / 255) / 2: above 0.5 to 1.

        Returns
        -------
        (n, universe) sparse float32 array; where present 1, or the weight.
        """
        from scipy.sparse import csr_array

        rows = np.arange(len(self)) if rows is None else self._rows(rows)
        ids, ends = self._gather(layout.ID, rows)
        if signal_rank:
            values = _WEIGHTS[self._gather(layout.SIGNAL_RANK, rows)[0]]
        else:
            values = np.ones(len(ids), np.float32)
        starts = np.concatenate([[0], ends])
        return csr_array((values, ids, starts), shape=(len(rows), self.universe_size))

    def descriptions(self, rows: ArrayLike | None = None) -> list[str]:
        """Descriptions of region sets; `rows` as in `presence`."""
        column = self.metadata["description"]
        return (column if rows is None else column.gather(self._rows(rows))).to_list()

    def splits(self) -> list[str]:
        """Names of the splits that were made of this atlas."""
        return sorted(file.stem for file in (self.path / layout.SPLITS).glob("*.parquet"))

    @explains_denial
    def split(self, name: str) -> Split:
        """Read a split that `genoglot.atlas.split` made.

        Raises
        ------
        AtlasError
            If there is none of that name, or it was made of other data.
        """
        file = self.path / layout.SPLITS / f"{name}.parquet"
        if not file.exists():
            known = ", ".join(self.splits()) or "none yet"
            raise AtlasError(f"{self.path}: no split {name!r} (there are: {known}); make it first")
        return Split.read(file, atlas_digest=self.digest)

    def info(self) -> dict[str, Any]:
        """Facts to show: counts, sizes, digests, distinct values, splits."""
        sizes = self._n_tokens if len(self) else np.zeros(1)
        distinct = {
            f"n_{name}s": self.metadata[name].drop_nulls().n_unique()
            for name in ("assay", "target", "biosample", "group")
        }
        return {
            "path": str(self.path),
            "format_version": layout.VERSION,
            "genome": self.genome,
            "n_sets": len(self),
            "n_tokens": int(self._n_tokens.sum()),
            "median_tokens": float(np.median(sizes)),
            "min_tokens": int(sizes.min()),
            "max_tokens": int(sizes.max()),
            "universe_size": self.universe_size,
            "universe_digest": self.universe_digest,
            **distinct,
            "bytes": sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file()),
            "splits": self.splits(),
            "digest": self.digest,
        }

    def verify(self) -> None:
        """Read everything and compare it with the digests that were written.

        Raises
        ------
        AtlasError
            If a file is damaged, ids are out of order or outside the universe, or signal ranks
            outside 1 to 255.
        """
        for name, digest in self._about["files"].items():
            try:
                actual = file_digest(self.path / name)
            except OSError as error:
                raise AtlasError(f"{self.path}: damaged atlas: {name}: {error.strerror}") from None
            if actual != digest:
                raise AtlasError(
                    f"{self.path / name}: content is not what was written (digest differs); "
                    "build the atlas again"
                )
        hasher = layout.TokenDigest()
        for i in range(self._tokens.num_row_groups):
            columns = self._group(layout.ID, i), self._group(layout.SIGNAL_RANK, i)
            for row in np.flatnonzero(self._row_group == i):
                ids, signal_ranks = (c[self._offset[row] :][: self._n_tokens[row]] for c in columns)
                where = f"{self.path}: region set {row}"
                layout.check_tokens(ids, signal_ranks, self.universe_size, where)
                hasher.update(ids, signal_ranks)
        digest = layout.content_digest(self.universe.digest, hasher, self.metadata)
        if digest != self.digest:
            raise AtlasError(
                f"{self.path}: content and digest in atlas.json differ; build it again"
            )

    def _rows(self, rows: ArrayLike) -> NDArray[np.int64]:
        array = np.asarray(rows)
        if array.dtype == bool:
            if array.shape != (len(self),):
                raise AtlasError(f"mask of shape {array.shape} for {len(self)} region sets")
            return np.flatnonzero(array)
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise AtlasError(f"rows must be a list of integers or a mask, not {array.dtype}")
        array = array.astype(np.int64)
        outside = array[(array < 0) | (array >= len(self))]
        if len(outside):
            raise AtlasError(f"{self.path}: no region set {outside[0]} among {len(self)}")
        return array

    def _lists_of(self, column: str, rows: ArrayLike) -> list[NDArray[Any]]:
        rows = self._rows(rows)
        flat, ends = self._gather(column, rows)
        return np.split(flat, ends[:-1]) if len(rows) else []

    def _gather(
        self, column: str, rows: NDArray[np.int64]
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Values (id or signal_rank) of the rows one after the other, and where each row ends."""
        ends = np.cumsum(self._n_tokens[rows], dtype=np.int64)
        kind = layout.TOKEN_SCHEMA.field(column).type.to_pandas_dtype()
        flat = np.empty(ends[-1] if len(ends) else 0, kind)
        for k in np.argsort(self._row_group[rows], kind="stable"):
            row, n = rows[k], self._n_tokens[rows[k]]
            if n:
                group, first = self._group(column, self._row_group[row]), self._offset[row]
                flat[ends[k] - n : ends[k]] = group[first : first + n]
        return flat, ends

    def _group(self, column: str, i: int) -> NDArray[Any]:
        """One column of a row group; the last is kept, which makes a walk through rows cheap."""
        kept, values = self._last_group.get(column, (-1, np.empty(0)))
        if kept != i:
            try:
                with self._lock:
                    table = self._tokens.read_row_group(i, columns=[column], use_threads=False)
            except (OSError, pa.ArrowException) as error:
                raise AtlasError(
                    f"{self.path / layout.TOKENS}: damaged ({error}); build the atlas again"
                ) from None
            values = table[column].combine_chunks().to_numpy(zero_copy_only=False)
            self._last_group[column] = (i, values)
        return values
