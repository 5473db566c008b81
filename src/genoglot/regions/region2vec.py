"""Region2Vec: vectors for universe regions, learned from the sets that they occur in together."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import ModelError, UniverseMismatchError
from genoglot.pretrained import Pretrained
from genoglot.regions.regions import Regions
from genoglot.regions.universe import Universe
from genoglot.saved import Arrays, Saved

Vectors = NDArray[np.float32]

log = logging.getLogger("genoglot")

UNIVERSE_FILE = "universe.bed"  # of an export of geniml
_SENTENCE = 10_000  # gensim drops, silently, what a document holds beyond so many words


class Region2Vec(Pretrained):
    """One vector for each region of a universe; regions never seen in training have zeros.

    Parameters
    ----------
    vectors
        float32, shape (universe, dim).
    universe_digest
        Digest of the universe whose ids the rows are.

    References
    ----------
    Gharavi et al., Embeddings of genomic region sets capture rich biological associations in
    lower dimensions, Bioinformatics 37 (2021).
    """

    model_type = "region2vec"

    def __init__(self, vectors: Vectors, universe_digest: str = "") -> None:
        super().__init__()
        self.vectors = vectors
        self.universe_digest = universe_digest

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    @classmethod
    def fit(
        cls,
        token_lists: Sequence[ArrayLike],
        universe_size: int,
        dim: int = 100,
        *,
        window: int = 5,
        epochs: int = 10,
        negative: int = 5,
        max_tokens: int | None = None,
        seed: int = 0,
        workers: int = 1,
        universe_digest: str = "",
    ) -> Region2Vec:
        """Train skip-gram word2vec, in which a region set is a document and a region id a word.

        Regions of a set have no order, so that each epoch shuffles each set anew: the window then
        is a random sample of its companions.

        Parameters
        ----------
        token_lists
            Universe ids of each region set.
        universe_size
            Number of regions of the universe.
        dim
            Length of the vectors.
        window
            Companions on either side of a region that it is trained on.
        epochs
            Passes over all sets.
        negative
            Random regions that each pair is contrasted with.
        max_tokens
            Take a new random sample of at most so many regions of each set in each epoch.
        seed
            Same seed, same vectors, if `workers` is 1.
        workers
            Threads.
        universe_digest
            Digest of the universe, to be checked on loading.

        Raises
        ------
        ModelError
            If all sets are empty or an id is outside the universe.

        Examples
        --------
        >>> model = Region2Vec.fit([[0, 1], [0, 1], [2, 3]], universe_size=5, dim=4)
        >>> model.vectors.shape, model.vectors[4].any()
        ((5, 4), np.False_)
        """
        from gensim.models import Word2Vec

        corpus = _Corpus([np.asarray(t, np.int64) for t in token_lists], max_tokens, seed)
        counts = corpus.counts(universe_size)
        model = Word2Vec(
            vector_size=dim,
            window=window,
            negative=negative,
            min_count=1,
            sample=0,  # a universe has no stop words to thin out
            sg=1,
            seed=seed,
            workers=workers,
        )
        seen = np.flatnonzero(counts)
        corpus.words = dict(zip(seen.tolist(), map(str, seen.tolist()), strict=True))
        frequency = dict(zip(corpus.words.values(), counts[seen].tolist(), strict=True))
        model.build_vocab_from_freq(frequency, corpus_count=len(corpus))
        model.train(corpus, total_examples=len(corpus), total_words=corpus.n_words(), epochs=epochs)
        vectors = np.zeros((universe_size, dim), np.float32)
        vectors[np.array(model.wv.index_to_key, dtype=np.int64)] = model.wv.vectors
        return cls(vectors, universe_digest)

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Whether each region occurred in training, shape (universe,)."""
        return np.asarray(self.vectors.any(axis=1))

    def embed(self, ids: ArrayLike) -> Vectors:
        """Average the vectors of a region set.

        Regions never seen in training are left out; zeros if none is left.

        Parameters
        ----------
        ids
            Universe ids, shape (n,).

        Returns
        -------
        vector
            float32, shape (dim,).
        """
        rows = np.asarray(ids, dtype=np.int64)
        rows = rows[self.seen[rows]]
        if not len(rows):
            return np.zeros(self.dim, np.float32)
        mean: Vectors = self.vectors[rows].mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean

    def check_universe(self, universe: Universe) -> None:
        """Refuse a universe that the vectors were not made for.

        Raises
        ------
        UniverseMismatchError
            If the digest of the universe or, if that is not known, its number of regions differs.
        """
        if self.universe_digest:
            universe.check_same(self.universe_digest)
        elif len(universe) != len(self.vectors):
            raise UniverseMismatchError(
                f"the vectors were made for a universe of {len(self.vectors)} regions, but this "
                f"one has {len(universe)}; use the same universe"
            )

    def _arrays(self) -> Arrays:
        return {"vectors": self.vectors}

    def _metadata(self) -> dict[str, Any]:
        return {"universe_digest": self.universe_digest}

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        return cls(saved.arrays["vectors"], saved.config["universe_digest"])

    @classmethod
    def from_geniml(cls, path: str | Path, universe: Universe) -> Region2Vec:
        """Read a Region2Vec that geniml exported, for the regions of a universe.

        Parameters
        ----------
        path
            Folder of `universe.bed`, `config.yaml` and the weights: `checkpoint.pt` as geniml's
            `Region2VecExModel.export` writes it, or `model.safetensors`. Row i of the weights is
            line i of `universe.bed`; special tokens come after the regions. A checkpoint is read
            as plain tensors: a pickle that holds more is refused.
        universe
            The universe whose regions need vectors. A region that is not in the export, with the
            same chromosome, start and end, has zeros, as one never seen in training.

        Raises
        ------
        ModelError
            If a file is missing, damaged, or does not fit the others.
        UniverseMismatchError
            If less than half of the universe's regions are in the export.
        """
        folder = Path(path)
        weights = _geniml_weights(folder)
        listed = Regions.from_bed(folder / UNIVERSE_FILE)
        if not len(listed) <= len(weights):
            raise ModelError(
                f"{folder}: {len(listed)} regions in {UNIVERSE_FILE}, but weights for "
                f"{len(weights)}; export the model again"
            )
        key = ["chrom", "start", "end"]
        lines = listed.frame.select(key).with_row_index("line").unique(key, keep="first")
        places = universe.regions.frame.select(key).with_row_index("id").join(lines, on=key)
        if 2 * len(places) < len(universe):
            raise UniverseMismatchError(
                f"{folder}: vectors for {len(places)} of the {len(universe)} regions of the "
                f"universe; build the atlas with --universe {folder / UNIVERSE_FILE}"
            )
        if missing := len(universe) - len(places):
            log.warning(
                "%s: no vector for %d of %d regions of the universe", folder, missing, len(universe)
            )
        vectors = np.zeros((len(universe), weights.shape[1]), np.float32)
        vectors[places["id"].to_numpy()] = weights[places["line"].to_numpy()]
        return cls(vectors, universe.digest)


def _geniml_weights(folder: Path) -> Vectors:
    """Read weights of a geniml export, (regions and special tokens, dim), checked against config.

    The size of the vectors has had two names in geniml's config.
    """
    import torch
    import yaml
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        size = (config["vocab_size"], config.get("embedding_dim", config.get("embedding_size")))
        if (folder / "model.safetensors").exists():
            state = load_file(folder / "model.safetensors")
        else:
            state = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
        weights: Vectors = state["projection.weight"].float().numpy()
    except (
        *(OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError),
        *(yaml.YAMLError, SafetensorError, pickle.UnpicklingError),
    ) as error:
        problem = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ModelError(
            f"{folder}: no Region2Vec that geniml exported ({problem}); it has universe.bed, "
            "config.yaml and checkpoint.pt"
        ) from None
    if weights.shape != size:
        raise ModelError(f"{folder}: weights of shape {weights.shape}, but config.yaml says {size}")
    return weights


class _Corpus:
    """Shuffled documents of words, made anew each time it is iterated."""

    def __init__(
        self, documents: list[NDArray[np.int64]], max_tokens: int | None, seed: int
    ) -> None:
        self.documents = documents
        self.max_tokens = max_tokens
        self.generator = np.random.default_rng(seed)
        self.words: dict[int, str] = {}

    def counts(self, universe_size: int) -> NDArray[np.int64]:
        """How often each region occurs, shape (universe,)."""
        counts = np.zeros(universe_size, np.int64)
        for document in self.documents:
            outside = document[(document < 0) | (document >= universe_size)]
            if len(outside):
                raise ModelError(
                    f"id {outside[0]} is outside the universe of {universe_size} regions; "
                    "encode the region sets with that universe"
                )
            np.add.at(counts, document, 1)
        if not counts.any():
            raise ModelError("all region sets are empty; Region2Vec needs at least one region")
        return counts

    def _lengths(self) -> Iterable[int]:
        for document in self.documents:
            yield len(document) if self.max_tokens is None else min(len(document), self.max_tokens)

    def n_words(self) -> int:
        return sum(self._lengths())

    def __len__(self) -> int:
        return sum(-(-length // _SENTENCE) for length in self._lengths())

    def __iter__(self) -> Iterator[list[str]]:
        for document in self.documents:
            shuffled = self.generator.permutation(document)[: self.max_tokens].tolist()
            for at in range(0, len(shuffled), _SENTENCE):
                # The vocabulary's own strings: no new ones are made.
                yield [self.words[i] for i in shuffled[at : at + _SENTENCE]]
