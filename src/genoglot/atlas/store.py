"""`Atlas`: many region sets with descriptions on disk, read through a memory map when needed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from itertools import repeat, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.atlas import format
from genoglot.atlas.held_out import RowIndices
from genoglot.atlas.splits import Split
from genoglot.atlas.tokens import TokenFile
from genoglot.atlas.writer import ROW_GROUP_TOKENS, AtlasWriter
from genoglot.errors import AtlasError, UniverseError, UniverseMismatchError
from genoglot.files import ContentDigest, file_digest
from genoglot.permissions import explains_denial
from genoglot.regions import Universe
from genoglot.tables import read_parquet

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Tokens = NDArray[np.int32]
SignalRanks = NDArray[np.uint8]

_WEIGHTS = ((1 + np.arange(256) / 255) / 2).astype(np.float32)  # of signal_ranks, in `presence`


class Atlas:
    """Region sets with descriptions and metadata, stored as ids of a universe with signal ranks.

    Opened by `Atlas.open`. Created by `build_atlas` from files, or by `Atlas.from_sets` from
    arrays. Opening reads the metadata only; tokens are read from a memory map when they are needed.
    Several threads can read at the same time, and a copy in another process opens the directory
    again.

    Attributes
    ----------
    path
        Directory of the atlas.
    metadata
        One row per region set: id, file, description, assay, target, biosample, group, n_regions,
        n_tokens and the further columns of the sample sheet. Missing values are null.
    genome
        Name of the genome assembly, such as "hg38"; empty if it is unknown.
    universe_digest, universe_size
        Digest and number of regions of the universe, which is not loaded for them.
    n_tokens
        Number of tokens of all region sets.
    digest
        SHA-256, as hex, of universe, tokens and metadata. It identifies the data.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from genoglot.regions import Regions
    >>> universe = Universe(Regions(["chr1"] * 3, [0, 10, 20], [5, 15, 25]), genome="hg38")
    >>> metadata = pl.DataFrame({"description": ["CTCF in liver", "ATAC-seq of kidney"]})
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "atlas"
    >>> sets, signal_ranks = [[0, 2], [1]], [[51, 255], [9]]
    >>> atlas = Atlas.from_sets(folder, universe, metadata, sets, signal_ranks=signal_ranks)
    >>> len(atlas), atlas.tokens(0), atlas.descriptions([1])
    (2, array([0, 2], dtype=int32), ['ATAC-seq of kidney'])
    >>> atlas.presence().toarray()
    array([[1., 0., 1.], [0., 1., 0.]], dtype=float32)
    >>> atlas.signal_ranks(0), atlas.presence([0], signal_rank=True).toarray()
    (array([ 51, 255], dtype=uint8), array([[0.6, 0. , 1. ]], dtype=float32))
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        manifest = format.read_atlas_manifest(self.path)
        self.genome = str(manifest["genome"])
        self.universe_digest = str(manifest["universe"]["digest"])
        self.universe_size = int(manifest["universe"]["size"])
        self.n_tokens = int(manifest["n_tokens"])
        self.digest = str(manifest["digest"])
        self._file_digests: dict[str, str] = manifest["files"]
        table = read_parquet(
            self.path / format.METADATA,
            ("id", "description", "n_tokens", format.ROW_GROUP, format.OFFSET),
            what="the metadata of an atlas",
            advice=format.REBUILD,
            error=AtlasError,
        )
        self._tokens = TokenFile(self.path, table)
        self.metadata = table.drop(format.ROW_GROUP, format.OFFSET)
        expected = (manifest["n_sets"], self.n_tokens, self.n_tokens)
        found = (len(table), int(self._tokens.n_tokens.sum()), self._tokens.n_rows)
        if found != expected:
            raise AtlasError(
                f"{path}: damaged atlas: region sets, tokens and rows of {format.TOKENS} are "
                f"{found}, not {expected}; build the atlas again"
            )

    @classmethod
    @explains_denial
    def open(cls, path: str | Path) -> Atlas:
        """Open an atlas directory.

        Parameters
        ----------
        path
            The directory.

        Raises
        ------
        AtlasError
            If the atlas is missing, damaged or of another format version.
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
        row_group_tokens: int = ROW_GROUP_TOKENS,
    ) -> Atlas:
        """Write an atlas from lists of token ids, one list at a time, and open it.

        Parameters
        ----------
        path
            A new or empty directory.
        universe
            Universe of the token ids; its genome becomes the genome of the atlas.
        metadata
            One row per region set: see `AtlasWriter.finish`.
        token_lists
            Sorted, unique ids of each region set.
        signal_ranks
            Signal ranks of the ids of each region set, 1 to 255; by default 255.
        overwrite
            Replace an existing atlas.
        row_group_tokens
            Number of tokens after which a row group of `tokens.parquet` is full.

        Raises
        ------
        AtlasError
            If ids are not sorted or outside the universe, signal ranks are outside 1 to 255, or the
            numbers of sets, or of ids and signal ranks, differ.
        """
        sets: Iterable[tuple[ArrayLike, ArrayLike | None]]
        if signal_ranks is None:
            sets = zip(token_lists, repeat(None), strict=False)
        else:
            sets = zip_longest(token_lists, signal_ranks, fillvalue=())
        with AtlasWriter.create(
            path, universe, overwrite=overwrite, row_group_tokens=row_group_tokens
        ) as writer:
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
        """Universe of the token ids."""
        try:
            universe = Universe.load(self.path / format.UNIVERSE)
            universe.check_same(self.universe_digest)
        except (UniverseError, UniverseMismatchError) as error:
            raise AtlasError(f"{self.path}: damaged atlas: {error}") from None
        return universe

    def tokens(self, i: int) -> Tokens:
        """Return the ids of region set `i`: int32, shape (n_tokens,), sorted and unique."""
        return self._tokens.read(format.ID, self.row_indices([i]))[0]

    def signal_ranks(self, i: int) -> SignalRanks:
        """Return the signal ranks of region set `i`, 1 to 255: uint8, shape (n_tokens,).

        They are 255 where no signal rank is known; see `Universe.encode_signal_ranks`.
        """
        return self._tokens.read(format.SIGNAL_RANK, self.row_indices([i]))[0]

    def tokens_of(self, rows: ArrayLike) -> list[Tokens]:
        """Return the ids of several region sets, in the order of `rows`.

        Each row group of the file is read once, whatever the order of the rows (about 1 ms each).

        Parameters
        ----------
        rows
            Indices of region sets (repeats are allowed), or a mask, bool of shape (n,).

        Returns
        -------
        list of numpy.ndarray
            int32 arrays of shape (n_tokens,), each sorted and unique.

        Raises
        ------
        AtlasError
            If a region set is not in the atlas.
        """
        rows = self.row_indices(rows)
        ids, ends = self._tokens.read(format.ID, rows)
        return np.split(ids, ends[:-1]) if len(rows) else []

    def presence(self, rows: ArrayLike | None = None, *, signal_rank: bool = False) -> csr_array:
        """Return which region sets contain which regions of the universe.

        Parameters
        ----------
        rows
            Region sets, as in `tokens_of`; by default all.
        signal_rank
            Weight each region in a set by its signal rank s, as (1 + s / 255) / 2, instead of by 1.

        Returns
        -------
        scipy.sparse.csr_array
            float32, shape (n, universe_size): the weight where the set contains the region.
        """
        from scipy.sparse import csr_array

        rows = np.arange(len(self)) if rows is None else self.row_indices(rows)
        ids, ends = self._tokens.read(format.ID, rows)
        if signal_rank:
            values = _WEIGHTS[self._tokens.read(format.SIGNAL_RANK, rows)[0]]
        else:
            values = np.ones(len(ids), np.float32)
        starts = np.concatenate([[0], ends])
        return csr_array((values, ids, starts), shape=(len(rows), self.universe_size))

    def descriptions(self, rows: ArrayLike | None = None) -> list[str]:
        """Return the descriptions of region sets; `rows` as in `presence`."""
        column = self.metadata["description"]
        return (column if rows is None else column.gather(self.row_indices(rows))).to_list()

    def splits(self) -> list[str]:
        """Return the names of the stored splits."""
        return sorted(file.stem for file in (self.path / format.SPLITS).glob("*.parquet"))

    @explains_denial
    def split(self, name: str) -> Split:
        """Read a stored split.

        Parameters
        ----------
        name
            Name of the split, one of `splits()`.

        Raises
        ------
        AtlasError
            If there is no split of that name, or it was made for other data.
        """
        file = self._split_file(name)
        if not file.exists():
            known = ", ".join(self.splits()) or "none yet"
            raise AtlasError(f"{self.path}: no split {name!r} (there are: {known}); make it first")
        return Split.read(file, atlas_digest=self.digest)

    def add_split(self, split: Split, *, overwrite: bool = False) -> Split:
        """Store a split of this atlas; the same split can be stored again.

        Parameters
        ----------
        split
            A split of this atlas's metadata: see `make_split`.
        overwrite
            Replace another split of the same name.

        Returns
        -------
        Split
            The split as it is stored.

        Raises
        ------
        AtlasError
            If the name is not a file name, or another split has it.
        """
        name = split.name
        if not name or name.startswith(".") or "/" in name:
            raise AtlasError(f"{name!r} cannot be the name of a split; use letters, digits and -")
        if len(split.subset) != len(self):
            raise AtlasError(f"split of {len(split.subset)} region sets for {len(self)}")
        if name in self.splits() and not overwrite and not self.split(name).same_as(split):
            raise AtlasError(
                f"{self.path}: there is another split {name!r} already; give this one another "
                "name, or overwrite it"
            )
        split.write(self._split_file(name), self.metadata["id"], self.digest)
        return split

    def _split_file(self, name: str) -> Path:
        return self.path / format.SPLITS / f"{name}.parquet"

    def info(self) -> dict[str, Any]:
        """Return a summary: numbers of sets, tokens and labels, sizes, digests and splits."""
        sizes = self._tokens.n_tokens if len(self) else np.zeros(1)
        distinct = {
            f"n_{name}s": self.metadata[name].drop_nulls().n_unique()
            for name in ("assay", "target", "biosample", "group")
        }
        return {
            "path": str(self.path),
            "format_version": format.VERSION,
            "genome": self.genome,
            "n_sets": len(self),
            "n_tokens": self.n_tokens,
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
        """Read all data and compare them with the digests in the manifest.

        Raises
        ------
        AtlasError
            If a file is damaged, ids are not sorted or outside the universe, or signal ranks are
            outside 1 to 255.
        """
        for name, digest in self._file_digests.items():
            try:
                actual = file_digest(self.path / name)
            except OSError as error:
                raise AtlasError(f"{self.path}: damaged atlas: {name}: {error.strerror}") from None
            if actual != digest:
                raise AtlasError(
                    f"{self.path / name}: the file has changed since it was written (its digest "
                    "differs); build the atlas again"
                )
        hasher = ContentDigest()
        for row in range(len(self)):
            ids, signal_ranks = self.tokens(row), self.signal_ranks(row)
            where = f"{self.path}: region set {row}"
            format.check_tokens(ids, signal_ranks, self.universe_size, where)
            hasher.add(ids)
            hasher.add(signal_ranks)
        digest = format.content_digest(self.universe.digest, hasher, self.metadata)
        if digest != self.digest:
            raise AtlasError(
                f"{self.path}: damaged atlas: its content does not match the digest in its "
                "manifest; build the atlas again"
            )

    def row_indices(self, rows: ArrayLike) -> RowIndices:
        """Return the indices of region sets, int64, shape (m,); `rows` as in `tokens_of`.

        Raises
        ------
        AtlasError
            If a region set is not in the atlas, or `rows` are neither integers nor a mask.
        """
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
