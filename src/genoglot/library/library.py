"""`Library`: stored region sets that are searched by their descriptions and by their regions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import LibraryError, TextError, some
from genoglot.library.feature_hashing import DIM, FeatureHasher
from genoglot.library.search import Hit, combine_rankings, rank, sql_filter
from genoglot.library.store import (
    FIELDS,
    SETS,
    UNIVERSE,
    Store,
    make_indexes,
    optimize,
    read_all,
    read_universe,
    set_rows,
    sets_schema,
    sql_list,
    universe_table,
)
from genoglot.library.validation import check_ids, check_metadata, checked_batches
from genoglot.regions import Regions, Universe
from genoglot.regions.assembly import same_assembly
from genoglot.text import check_query
from genoglot.text.query import MAX_CHARACTERS

if TYPE_CHECKING:
    from genoglot.atlas.store import Atlas
    from genoglot.text import TextEncoder

VERSION = 2
MANIFEST = b"genoglot"
"""Key of the table's schema metadata whose value is the manifest of the library, as JSON."""
CANDIDATES = 300
"""Minimum number of region sets that each ranking has."""

Existing = Literal["refuse", "skip", "replace"]
Acknowledge = Callable[[list[str]], object]


class Library:
    """Region sets with descriptions, on disk or on a server, that can be searched and changed.

    The data that `add` and `remove` have acknowledged are in the files: a process that is killed
    loses none of them. Several processes can use a library at the same time.

    Opened by `Library.open`, created by `Library.create`.

    Attributes
    ----------
    genome
        Name of the genome assembly, such as "hg38"; empty if it is unknown.
    universe_digest
        Digest of the universe, which is not loaded for it.

    Examples
    --------
    >>> import tempfile
    >>> universe = Universe(Regions(["chr1"] * 4, [0, 10, 20, 30], [5, 15, 25, 35]))
    >>> library = Library.create(tempfile.mkdtemp(), universe)
    >>> metadata = {"id": ["a", "b"], "description": ["CTCF in liver", "ATAC-seq of kidney"]}
    >>> library.add(pl.DataFrame(metadata), [[0, 1, 2], [2, 3]])
    2
    >>> [(hit.id, round(hit.score, 2)) for hit in library.search(regions=[0, 1])]
    [('a', 0.67)]
    >>> [hit.id for hit in library.search("renal open chromatin", n=1)]
    ['b']
    >>> library.remove(["a"])
    >>> len(library)
    1
    """

    def __init__(self, store: Store, table: Any, encoder: TextEncoder | None = None) -> None:
        self._store, self._table, self._encoder = store, table, encoder
        self._vectors = table if store.server is None else store.open(SETS, push=True)
        with store.errors():
            metadata = table.schema.metadata or {}
        if MANIFEST not in metadata:
            raise LibraryError(f"{store.where}: the tables there are not a Genoglot library")
        self._manifest: dict[str, Any] = json.loads(metadata[MANIFEST])
        if self._manifest["version"] != VERSION:
            raise LibraryError(
                f"{store.where}: library of format {self._manifest['version']}, but this version "
                f"of Genoglot reads format {VERSION}; create the library again"
            )
        self.genome = str(self._manifest["genome"])
        self.universe_digest = str(self._manifest["universe"])

    @classmethod
    def create(
        cls,
        path: str | Path,
        universe: Universe,
        *,
        store: str | None = None,
        encoder: TextEncoder | None = None,
    ) -> Self:
        """Create an empty library.

        Parameters
        ----------
        path
            A new or empty folder; with `store`, a name.
        universe
            Universe of all region sets of the library.
        store
            ``http://host:port`` of a server: see `genoglot.library.store.Store`.
        encoder
            Encoder of the descriptions; by default MiniLM.

        Raises
        ------
        LibraryError
            If `path` is in use, or the server cannot be reached.
        """
        cls.check_free(path, store=store)
        opened = Store(path, store)
        encoder = encoder or _minilm()
        manifest = {
            "version": VERSION,
            "genome": universe.genome,
            "universe": universe.digest,
            "universe_size": len(universe),
            "chromosomes": list(universe.regions.chrom_names),
            "region_dim": DIM,
            "text": _identity(encoder),
        }
        opened.create(UNIVERSE, universe_table(universe))
        schema = sets_schema(encoder.dim, DIM)
        schema = schema.with_metadata({MANIFEST: json.dumps(manifest).encode()})
        table = opened.create(SETS, schema.empty_table())
        with opened.errors():
            make_indexes(table)
        return cls(opened, table, encoder)

    @classmethod
    def open(
        cls, path: str | Path, *, store: str | None = None, encoder: TextEncoder | None = None
    ) -> Self:
        """Open a library; the parameters are those of `create`.

        Raises
        ------
        LibraryError
            If it is missing, damaged or of another version, or the server cannot be reached.
        """
        opened = Store(path, store)
        table = opened.open(SETS)
        if table is None:
            raise LibraryError(
                f"{opened.where}: no library here; create one with `genoglot library add`"
            )
        return cls(opened, table, encoder)

    @classmethod
    def check_free(cls, path: str | Path, *, store: str | None = None) -> None:
        """Check that `create` can create a library; the parameters are those of `create`.

        Raises
        ------
        LibraryError
            If `path` is in use, or the server cannot be reached.
        """
        if cls.exists(path, store=store):
            raise LibraryError(f"{Store(path, store).where}: there is a library already; open it")
        # A creation that was killed leaves the table of the universe, which can be replaced.
        if store is None and Path(path).exists():
            others = {f.name for f in Path(path).iterdir()} if Path(path).is_dir() else {""}
            if others - {f"{UNIVERSE}.lance", f"{SETS}.lance"}:
                raise LibraryError(f"{path}: exists and is not a library; choose another name")

    @classmethod
    def exists(cls, path: str | Path, *, store: str | None = None) -> bool:
        """Return whether there is a library to open; the parameters are those of `create`."""
        return Store(path, store).open(SETS) is not None

    def __len__(self) -> int:
        with self._newest() as table:
            return int(table.count_rows())

    def __repr__(self) -> str:
        return f"Library({self._store.where!r}, {len(self)} region sets)"

    @cached_property
    def universe(self) -> Universe:
        """Universe of the region sets."""
        table = self._store.open(UNIVERSE)
        if table is None:
            raise LibraryError(
                f"{self._store.where}: damaged library (no universe); create it again"
            )
        with self._store.errors():
            rows = read_all(table, ["row", "code", "start", "end"])
        universe = read_universe(rows, self._manifest["chromosomes"], self._manifest["genome"])
        universe.check_same(self.universe_digest)
        return universe

    def add(
        self,
        metadata: pl.DataFrame,
        token_lists: Iterable[ArrayLike],
        *,
        existing: Existing = "refuse",
        batch: int = 500,
        acknowledge: Acknowledge | None = None,
    ) -> int:
        """Add region sets.

        Each batch is written as a whole. Its sets survive the end of the process once
        `acknowledge` is called with their ids, and when `add` returns.

        Parameters
        ----------
        metadata
            One row per region set: `id` and `description`, and `assay`, `target` and `biosample`
            if they are known. Other columns are not stored.
        token_lists
            Sorted, unique ids of each region set, read one batch at a time.
        existing
            What to do about sets whose id is in the library already: "refuse" all sets before any
            is written, "skip" them (to continue after an interruption), or "replace" them.
        batch
            Number of region sets per batch.
        acknowledge
            Called with the ids of each batch when it is written.

        Returns
        -------
        int
            Number of region sets that were written.

        Raises
        ------
        LibraryError
            If ids or descriptions are missing, ids are repeated or in the library already, or
            token lists are not sorted, outside the universe or not as many as rows.
        """
        if existing not in get_args(Existing):
            raise LibraryError(
                f"existing is {existing!r}; use one of {', '.join(get_args(Existing))}"
            )
        metadata = check_metadata(metadata)
        known = set(self.ids()) & set(metadata["id"])
        if known and existing == "refuse":
            raise LibraryError(
                f"{self._store.where}: has {some(sorted(known))} already; replace or skip them"
            )
        new = ~metadata["id"].is_in(list(known if existing == "skip" else ())).to_numpy()
        size = self._manifest["universe_size"]
        for first, lists in checked_batches(token_lists, len(metadata), batch, size):
            wanted = new[first : first + len(lists)]
            if wanted.any():
                rows = metadata[first : first + len(lists)].filter(wanted)
                sets = [tokens for tokens, want in zip(lists, wanted, strict=True) if want]
                self._write(rows, sets, replace=existing == "replace")
                if acknowledge is not None:
                    acknowledge(rows["id"].to_list())
        if new.any():
            with self._newest() as table:
                optimize(table)
        return int(new.sum())

    def add_atlas(
        self,
        atlas: Atlas,
        *,
        existing: Existing = "refuse",
        acknowledge: Acknowledge | None = None,
    ) -> int:
        """Add all region sets of an atlas; `existing` and `acknowledge` are those of `add`.

        Raises
        ------
        UniverseMismatchError
            If the atlas has another universe, or is declared to be of another assembly.
        """
        same = atlas.universe_digest == self.universe_digest
        if not (same and same_assembly(self.genome, atlas.genome)):
            self.universe.check_same(atlas.universe_digest, genome=atlas.genome)
        lists = (atlas.tokens(i) for i in range(len(atlas)))
        return self.add(atlas.metadata, lists, existing=existing, acknowledge=acknowledge)

    def remove(self, ids: Iterable[str]) -> None:
        """Remove region sets, all of them or none.

        Parameters
        ----------
        ids
            Ids of the region sets.

        Raises
        ------
        LibraryError
            If the library does not have one of them.
        """
        wanted = list(dict.fromkeys(ids))
        if missing := set(wanted) - set(self.ids()):
            unknown = some(sorted(missing))
            raise LibraryError(f"{self._store.where}: no {unknown}; nothing was removed")
        if wanted:
            with self._newest() as table:
                table.delete(f"id IN {sql_list(wanted)}")

    def ids(self) -> list[str]:
        """Return the ids of all region sets, in any order."""
        return self._column("id")["id"].to_list()

    def metadata(self) -> pl.DataFrame:
        """Return id, description, assay, target, biosample and n_regions of all sets, by id."""
        return self._column("id", *FIELDS, "n_regions").sort("id")

    def info(self) -> dict[str, Any]:
        """Return a summary: number of sets, genome, universe and text encoder."""
        return {
            "library": self._store.where,
            "format_version": VERSION,
            "n_sets": len(self),
            "genome": self.genome,
            "universe_size": self._manifest["universe_size"],
            "universe_digest": self.universe_digest,
            "text_encoder": self._manifest["text"][0],
        }

    def search(
        self,
        text: str | None = None,
        regions: Regions | ArrayLike | None = None,
        *,
        keywords: str | None = None,
        where: Mapping[str, str] | None = None,
        n: int = 10,
    ) -> list[Hit]:
        """Search region sets by meaning, by keywords, by regions, or by several of them.

        Each of these ranks the sets on its own: by the cosine of the vectors of description and
        text; by BM25 of the words in id, description, assay, target and biosample; by the Jaccard
        index with the regions. The rankings are combined by reciprocal rank fusion.

        Parameters
        ----------
        text
            What to search for. Its words are also the keywords, unless `keywords` are given.
        regions
            A region set, or its ids of the library's universe.
        keywords
            Words to search for, with or without a text; "" for none.
        where
            Only sets with these values of assay, target or biosample, as
            ``{"assay": "ATAC-seq"}``.
        n
            Maximum number of hits.

        Returns
        -------
        list of Hit
            Best first; hits of equal score by id.

        Raises
        ------
        TextError
            If the text is empty or not in Latin letters, or the words have more than 10,000
            characters.
        LibraryError
            If the query is empty, has no region in the universe, or has an unknown filter.
        ChromosomeNameError
            If the regions and the universe spell chromosomes differently.
        """
        if n < 1:
            raise LibraryError(f"n is {n}; ask for at least one hit")
        keywords = text or "" if keywords is None else keywords
        if text is not None:
            check_query(text)
        if len(keywords) > MAX_CHARACTERS:
            raise TextError(
                f"{len(keywords):,} characters of keywords; give {MAX_CHARACTERS:,} at most"
            )
        if text is None and regions is None and not keywords.strip():
            raise LibraryError("nothing to search for; give a text, keywords or regions")
        condition = sql_filter(where)
        ids = None if regions is None else self._ids_of(regions)
        text_vector = None if text is None else self._encode_texts([text])[0]
        region_vector = None if ids is None else self._hasher.encode([ids])[0]
        with self._newest() as table:
            rankings = rank(
                table, self._vectors, max(CANDIDATES, 10 * n), text_vector=text_vector,
                keywords=keywords, ids=ids, region_vector=region_vector, condition=condition,
            )  # fmt: skip
        return combine_rankings(rankings, n)

    def _ids_of(self, regions: Regions | ArrayLike) -> NDArray[np.int32]:
        if isinstance(regions, Regions):
            ids = self.universe.encode(regions)
        else:
            ids = check_ids(regions, self._manifest["universe_size"], "the query")
        if not len(ids):
            raise LibraryError(
                f"no region of the query is in the universe of {self._store.where}; "
                "is it the same genome?"
            )
        return ids

    def _write(
        self, metadata: pl.DataFrame, sets: list[NDArray[np.int32]], *, replace: bool
    ) -> None:
        """Write a batch in one commit."""
        text_vectors = self._encode_texts(metadata["description"].to_list())
        rows = set_rows(metadata, sets, text_vectors, self._hasher.encode(sets))
        with self._newest() as table:
            merge = table.merge_insert("id").when_not_matched_insert_all()
            if replace:
                merge = merge.when_matched_update_all()
            merge.execute(rows, on_bad_vectors="null")  # the vector of an empty set

    @cached_property
    def _hasher(self) -> FeatureHasher:
        return FeatureHasher(self._manifest["universe_size"], self._manifest["region_dim"])

    def _encode_texts(self, texts: list[str]) -> NDArray[np.float32]:
        if self._encoder is None:
            self._encoder = _minilm()
        expected = self._manifest["text"]
        if _identity(self._encoder) != expected:
            raise LibraryError(
                f"{self._store.where}: created with another text encoder "
                f"({expected[0]} {expected[2][:12]}); open it with that one"
            )
        return self._encoder.encode(texts)

    @contextmanager
    def _newest(self) -> Iterator[Any]:
        """Yield the newest version of the table; errors have one line."""
        with self._store.errors():
            self._table.checkout_latest()
            if self._vectors is not self._table:
                self._vectors.checkout_latest()
            yield self._table

    def _column(self, *names: str) -> pl.DataFrame:
        with self._newest() as table:
            rows = read_all(table, list(names))
        return pl.DataFrame(pl.from_arrow(rows))


def _identity(encoder: TextEncoder) -> list[Any]:
    """Return what distinguishes a text encoder from another one: its kind, size and digest."""
    return [encoder.model_type, encoder.dim, getattr(encoder, "digest", "")]


def _minilm() -> TextEncoder:
    from genoglot.text import MiniLM

    return MiniLM()
