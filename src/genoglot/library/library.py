"""`Library`: region sets to be found by what is said of them and by the regions they hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import LibraryError, TextError, some
from genoglot.library.additions import checked_batches, checked_metadata, checked_tokens
from genoglot.library.lance import (
    SETS,
    UNIVERSE,
    Store,
    make_indexes,
    quoted,
    read_all,
    read_universe,
    sets_schema,
    tidy,
    universe_table,
    vectors,
    words_query,
)
from genoglot.library.ranking import FIELDS, Found, Hit, condition_of, fuse, run
from genoglot.library.signatures import DIM, CountSketch, pack, unpack
from genoglot.regions import Regions, Universe, jaccard_of_ids
from genoglot.regions.assembly import same_assembly
from genoglot.text import check_query
from genoglot.text.query import MAX_CHARACTERS

if TYPE_CHECKING:
    from genoglot.atlas.store import Atlas
    from genoglot.text import TextEncoder

VERSION = 1
ABOUT = b"genoglot"
CANDIDATES = 300
"""Sets that each way of searching proposes at least."""

Existing = Literal["refuse", "skip", "replace"]
Acknowledge = Callable[[list[str]], object]


class Library:
    """Described region sets on disk, or on a server, that can be searched, added to and taken from.

    What `add` and `remove` have acknowledged is in the store's files: a process that is killed
    loses none of it. Several processes may use a library at once.

    Opened by `Library.open`, made by `Library.create`.

    Examples
    --------
    >>> import tempfile
    >>> universe = Universe(Regions(["chr1"] * 4, [0, 10, 20, 30], [5, 15, 25, 35]))
    >>> library = Library.create(tempfile.mkdtemp(), universe)
    >>> about = {"id": ["a", "b"], "description": ["CTCF in liver", "ATAC-seq of kidney"]}
    >>> library.add(pl.DataFrame(about), [[0, 1, 2], [2, 3]])
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
        if ABOUT not in metadata:
            raise LibraryError(f"{store.where}: holds tables, but no library of Genoglot's")
        self._about: dict[str, Any] = json.loads(metadata[ABOUT])
        if self._about["version"] != VERSION:
            raise LibraryError(
                f"{store.where}: library format version {self._about['version']}, but this "
                f"Genoglot reads {VERSION}; make it again"
            )

    @classmethod
    def create(
        cls,
        path: str | Path,
        universe: Universe,
        *,
        store: str | None = None,
        encoder: TextEncoder | None = None,
    ) -> Self:
        """Make an empty library.

        Parameters
        ----------
        path
            A new or empty folder; with `store`, a name.
        universe
            The universe of all sets that it will ever hold.
        store
            ``http://host:port`` of a server: see `genoglot.library.lance.Store`.
        encoder
            Encoder of the descriptions; default MiniLM.

        Raises
        ------
        LibraryError
            If something is there already or the server cannot be reached.
        """
        cls.check_free(path, store=store)
        place = Store(path, store)
        encoder = encoder or _minilm()
        about = {
            "version": VERSION,
            "genome": universe.genome,
            "universe": universe.digest,
            "universe_size": len(universe),
            "chromosomes": list(universe.regions.chrom_names),
            "sketch_dim": DIM,
            "text": [encoder.model_type, encoder.dim, getattr(encoder, "digest", "")],
        }
        place.create(UNIVERSE, universe_table(universe))
        schema = sets_schema(encoder.dim, DIM).with_metadata({ABOUT: json.dumps(about).encode()})
        table = place.create(SETS, schema.empty_table())
        with place.errors():
            make_indexes(table)
        return cls(place, table, encoder)

    @classmethod
    def open(
        cls, path: str | Path, *, store: str | None = None, encoder: TextEncoder | None = None
    ) -> Self:
        """Open a library; parameters as of `create`.

        Raises
        ------
        LibraryError
            If it is missing, damaged or of another version, or the server cannot be reached.
        """
        place = Store(path, store)
        table = place.open(SETS)
        if table is None:
            raise LibraryError(
                f"{place.where}: no library here; make one with `genoglot library add`"
            )
        return cls(place, table, encoder)

    @classmethod
    def check_free(cls, path: str | Path, *, store: str | None = None) -> None:
        """Refuse a place where `create` cannot make a library.

        Raises
        ------
        LibraryError
            If something is there already or the server cannot be reached.
        """
        place = Store(path, store)
        if place.open(SETS) is not None:
            raise LibraryError(f"{place.where}: there is a library already; open it")
        # What is left of a creation that was killed is a universe, and may be replaced.
        if store is None and Path(path).exists():
            others = {f.name for f in Path(path).iterdir()} if Path(path).is_dir() else {""}
            if others - {f"{UNIVERSE}.lance", f"{SETS}.lance"}:
                raise LibraryError(f"{path}: exists and is no library; choose another name")

    @classmethod
    def exists(cls, path: str | Path, *, store: str | None = None) -> bool:
        """Whether there is a library to open."""
        return Store(path, store).open(SETS) is not None

    def __len__(self) -> int:
        with self._newest() as table:
            return int(table.count_rows())

    def __repr__(self) -> str:
        return f"Library({self._store.where!r}, {len(self)} region sets)"

    @property
    def universe_digest(self) -> str:
        """Digest of its universe, known without loading it."""
        return str(self._about["universe"])

    @property
    def genome(self) -> str:
        """Name of the genome assembly, such as "hg38"; may be empty."""
        return str(self._about["genome"])

    @cached_property
    def universe(self) -> Universe:
        """The universe of its sets."""
        table = self._store.open(UNIVERSE)
        if table is None:
            raise LibraryError(f"{self._store.where}: damaged library (no universe); make it again")
        with self._store.errors():
            rows = read_all(table, ["row", "code", "start", "end"])
        universe = read_universe(rows, self._about["chromosomes"], self._about["genome"])
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

        Each batch is written as a whole: when `acknowledge` hears of it, and when `add` returns,
        its sets survive the end of the process.

        Parameters
        ----------
        metadata
            A row per set: `id` and `description`; `assay`, `target` and `biosample` if known.
            Other columns are not kept.
        token_lists
            Per set its sorted, unique ids of the universe, taken a batch at a time.
        existing
            Sets whose id is there already: refuse them all before anything is written, skip
            them (which goes on with what was interrupted), or replace them.
        batch
            Sets per write.
        acknowledge
            Called with the ids of each batch once it is written.

        Returns
        -------
        Number of sets written.

        Raises
        ------
        LibraryError
            If ids or descriptions are missing, repeated or there already, or token lists
            unsorted, outside the universe or not as many as rows.
        """
        if existing not in get_args(Existing):
            raise LibraryError(
                f"existing is {existing!r}; use one of {', '.join(get_args(Existing))}"
            )
        about = checked_metadata(metadata)
        known = set(self.ids()) & set(about["id"])
        if known and existing == "refuse":
            raise LibraryError(
                f"{self._store.where}: holds {some(sorted(known))} already; "
                "replace or skip what is there"
            )
        skipped = known if existing == "skip" else set()
        added = 0
        size = self._about["universe_size"]
        for first, lists in checked_batches(token_lists, len(about), batch, size):
            rows = about[first : first + len(lists)]
            kept = (~rows["id"].is_in(list(skipped))).to_numpy()
            if not kept.any():
                continue
            lists = [tokens for tokens, keep in zip(lists, kept, strict=True) if keep]
            self._write(rows.filter(kept), lists, replace=existing == "replace")
            added += len(lists)
            if acknowledge is not None:
                acknowledge(rows.filter(kept)["id"].to_list())
        if added:
            with self._newest() as table:
                tidy(table)
        return added

    def add_atlas(
        self,
        atlas: Atlas,
        *,
        existing: Existing = "refuse",
        acknowledge: Acknowledge | None = None,
    ) -> int:
        """Add every region set of an atlas over the library's universe: see `add`.

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
        """Remove region sets, all or none; gone for good when this returns.

        Raises
        ------
        LibraryError
            If one is not there.
        """
        wanted = list(dict.fromkeys(ids))
        if missing := set(wanted) - set(self.ids()):
            unknown = some(sorted(missing))
            raise LibraryError(f"{self._store.where}: no {unknown}; nothing was removed")
        if wanted:
            with self._newest() as table:
                table.delete(f"id IN {quoted(wanted)}")

    def ids(self) -> list[str]:
        """Ids of all sets, in no order."""
        return self._column("id")["id"].to_list()

    def metadata(self) -> pl.DataFrame:
        """Table of all sets: id, description, assay, target, biosample, n_regions; by id."""
        return self._column("id", *FIELDS, "n_regions").sort("id")

    def info(self) -> dict[str, Any]:
        """Facts to show."""
        return {
            "library": self._store.where,
            "format_version": VERSION,
            "n_sets": len(self),
            "genome": self.genome,
            "universe_size": self._about["universe_size"],
            "universe_digest": self.universe_digest,
            "text_encoder": self._about["text"][0],
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
        """Find region sets by meaning, by words, by regions, or by several at once.

        Each way ranks the sets on its own: the cosine of the description's and the text's vectors,
        BM25 of the words in id, description, assay, target and biosample, and the Jaccard
        index with the regions. Rankings are joined by reciprocal rank fusion.

        Parameters
        ----------
        text
            What to look for. Its words are looked up too, unless `keywords` are given.
        regions
            A region set, or its ids of the library's universe.
        keywords
            Words to look up, with or without a text; "" looks up none.
        where
            Only sets with these values, as ``{"assay": "ATAC-seq"}``; of assay, target, biosample.
        n
            Hits at most.

        Returns
        -------
        Hits, best first; equal ones by id.

        Raises
        ------
        TextError
            If the text is empty or not in Latin letters, or words are more than 10,000 characters.
        LibraryError
            If nothing is asked for, no region is in the universe, or a filter is unknown.
        ChromosomeNameError
            If the regions' chromosomes are spelled otherwise than the universe's.
        """
        if n < 1:
            raise LibraryError(f"n is {n}; ask for at least one hit")
        if keywords is None:
            keywords = text or ""
        if text is not None:
            check_query(text)
        if len(keywords) > MAX_CHARACTERS:
            raise TextError(
                f"{len(keywords):,} characters of keywords; give {MAX_CHARACTERS:,} at most"
            )
        if text is None and regions is None and not keywords.strip():
            raise LibraryError("nothing to search for; give a text, keywords or regions")
        condition, depth = condition_of(where), max(CANDIDATES, 10 * n)
        ids = None if regions is None else self._ids_of(regions)
        vector = None if text is None else self._encode_texts([text])[0]
        ways: dict[str, list[Found]] = {}
        with self._newest() as table:
            if vector is not None:
                query = self._vectors.search(vector, vector_column_name="meaning")
                found = run(query.distance_type("cosine"), condition, depth, "_distance")
                ways["meaning"] = [Found(row, 1 - row["_distance"]) for row in found]
            if keywords.strip():
                query = table.search(words_query(keywords), query_type="fts")
                found = run(query, condition, depth, "_score")
                ways["keywords"] = [Found(row, row["_score"]) for row in found]
            if ids is not None:
                query = self._vectors.search(self._sketch.encode([ids])[0], "sketch")
                query = query.distance_type("cosine")
                found = run(query, condition, depth, "_distance", "tokens")
                ways["jaccard"] = self._compared(ids, found)
        return fuse(ways, n)

    def _compared(self, ids: NDArray[np.int32], rows: list[dict[str, Any]]) -> list[Found]:
        """Compare exactly what the sketches proposed; what shares nothing falls out."""
        sets = [unpack(row["tokens"], row["n_regions"]) for row in rows]
        values = jaccard_of_ids(ids, sets, self._about["universe_size"]).tolist()
        return [Found(row, value) for row, value in zip(rows, values, strict=True) if value > 0]

    def _ids_of(self, regions: Regions | ArrayLike) -> NDArray[np.int32]:
        if not isinstance(regions, Regions):
            ids = checked_tokens(regions, self._about["universe_size"], "the query")
        else:
            ids = self.universe.encode(regions)
        if not len(ids):
            raise LibraryError(
                f"no region of the query is in the universe of {self._store.where}; "
                "is it the same genome?"
            )
        return ids

    def _write(self, about: pl.DataFrame, sets: list[NDArray[np.int32]], *, replace: bool) -> None:
        """Write a batch in one commit of the store."""
        n = [len(tokens) for tokens in sets]
        words = about.select(pl.concat_str("id", *FIELDS, separator=" ", ignore_nulls=True))
        meaning = self._encode_texts(about["description"].to_list())
        columns = {
            **{name: about[name].to_arrow().cast(pa.string()) for name in ("id", *FIELDS)},
            "words": words.to_series().to_arrow().cast(pa.string()),
            "meaning": vectors(meaning),
            "sketch": vectors(self._sketch.encode(sets), empty=np.array(n) == 0),
            "n_regions": pa.array(n, pa.int32()),
            "tokens": pa.array([pack(tokens) for tokens in sets], pa.large_binary()),
        }
        rows = pa.table(columns, schema=sets_schema(meaning.shape[1], DIM))
        with self._newest() as table:
            merge = table.merge_insert("id").when_not_matched_insert_all()
            if replace:
                merge = merge.when_matched_update_all()
            merge.execute(rows, on_bad_vectors="null")  # that of an empty set

    @cached_property
    def _sketch(self) -> CountSketch:
        return CountSketch(self._about["universe_size"], self._about["sketch_dim"])

    def _encode_texts(self, texts: list[str]) -> NDArray[np.float32]:
        if self._encoder is None:
            self._encoder = _minilm()
        actual = [self._encoder.model_type, self._encoder.dim, getattr(self._encoder, "digest", "")]
        if actual != self._about["text"]:
            raise LibraryError(
                f"{self._store.where}: made with another text encoder "
                f"({self._about['text'][0]} {self._about['text'][2][:12]}); open it with that one"
            )
        return self._encoder.encode(texts)

    @contextmanager
    def _newest(self) -> Iterator[Any]:
        """Give the table as others have left it, its errors told in one line."""
        with self._store.errors():
            self._table.checkout_latest()
            if self._vectors is not self._table:
                self._vectors.checkout_latest()
            yield self._table

    def _column(self, *names: str) -> pl.DataFrame:
        with self._newest() as table:
            rows = read_all(table, list(names))
        return pl.DataFrame(pl.from_arrow(rows))


def _minilm() -> TextEncoder:
    from genoglot.text import MiniLM

    return MiniLM()
