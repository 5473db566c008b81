"""`Region2Vec`: vectors of universe regions, trained on the region sets in which they co-occur."""

from __future__ import annotations

import logging
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

logger = logging.getLogger("genoglot")

_UNIVERSE_FILE = "universe.bed"  # in an export of geniml
_MAX_WORDS = 10_000  # of a document: gensim drops the others without notice


class Region2Vec(Pretrained):
    """One vector for each region of a universe; zeros for regions that no training set has.

    Parameters
    ----------
    vectors
        float32, shape (universe, dim).
    universe_digest
        Digest of the universe whose ids are the rows; "" if unknown.

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
        """Train skip-gram word2vec: a region set is a document, and a region id is a word.

        The regions of a set have no order, so that each set is shuffled in each epoch: the window
        around a region is a random sample of the set.

        Parameters
        ----------
        token_lists
            Universe ids of each region set, shape (number of ids,) each.
        universe_size
            Number of regions of the universe.
        dim
            Length of the vectors.
        window
            Number of regions on either side that a region is trained to predict.
        epochs
            Number of passes over all sets.
        negative
            Number of random regions to contrast with each pair (negative sampling).
        max_tokens
            Maximum number of regions of a set in an epoch, a new random sample each time; by
            default all.
        seed
            Random seed. The same seed gives the same vectors if `workers` is 1.
        workers
            Number of threads.
        universe_digest
            Digest of the universe, which is checked on loading.

        Returns
        -------
        Region2Vec
            The trained vectors.

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
            sample=0,  # a universe has no stop words
            sg=1,
            seed=seed,
            workers=workers,
        )
        used = np.flatnonzero(counts).tolist()
        corpus.words = {id_: str(id_) for id_ in used}
        frequency = {str(id_): int(counts[id_]) for id_ in used}
        model.build_vocab_from_freq(frequency, corpus_count=len(corpus))
        model.train(corpus, total_examples=len(corpus), total_words=corpus.n_words(), epochs=epochs)
        vectors = np.zeros((universe_size, dim), np.float32)
        vectors[np.array(model.wv.index_to_key, dtype=np.int64)] = model.wv.vectors
        return cls(vectors, universe_digest)

    @cached_property
    def trained(self) -> NDArray[np.bool_]:
        """Mask of the regions that some training set has, bool, shape (universe,)."""
        return np.asarray(self.vectors.any(axis=1))

    def embed(self, ids: ArrayLike) -> Vectors:
        """Average the vectors of the regions of a set.

        Parameters
        ----------
        ids
            Universe ids, shape (n,).

        Returns
        -------
        NDArray
            float32, shape (dim,). Regions that no training set has are left out; zeros if all are.
        """
        rows = np.asarray(ids, dtype=np.int64)
        rows = rows[self.trained[rows]]
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
            Folder with `universe.bed`, `config.yaml` and the weights: `checkpoint.pt` as geniml's
            `Region2VecExModel.export` writes it, or `model.safetensors`. Row i of the weights
            belongs to line i of `universe.bed`; special tokens follow the regions. Only plain
            tensors are read from a checkpoint: a pickle with anything else is refused.
        universe
            The universe whose regions need vectors. The vector of a region that is not in the
            export, with the same chromosome, start and end, is zero.

        Returns
        -------
        Region2Vec
            The vectors.

        Raises
        ------
        ModelError
            If a file is missing, damaged, or does not fit the others.
        UniverseMismatchError
            If less than half of the universe's regions are in the export.
        """
        folder = Path(path)
        weights = _geniml_weights(folder)
        exported = Regions.from_bed(folder / _UNIVERSE_FILE)
        if len(exported) > len(weights):
            raise ModelError(
                f"{folder}: {len(exported)} regions in {_UNIVERSE_FILE}, but weights for "
                f"{len(weights)}; export the model again"
            )
        key = ["chrom", "start", "end"]
        lines = exported.frame.select(key).with_row_index("line").unique(key, keep="first")
        found = universe.regions.frame.select(key).with_row_index("id").join(lines, on=key)
        if 2 * len(found) < len(universe):
            raise UniverseMismatchError(
                f"{folder}: vectors for {len(found)} of the {len(universe)} regions of the "
                f"universe; build the atlas with --universe {folder / _UNIVERSE_FILE}"
            )
        if missing := len(universe) - len(found):
            logger.warning(
                "%s: no vector for %d of %d regions of the universe", folder, missing, len(universe)
            )
        vectors = np.zeros((len(universe), weights.shape[1]), np.float32)
        vectors[found["id"].to_numpy()] = weights[found["line"].to_numpy()]
        return cls(vectors, universe.digest)


def _geniml_weights(folder: Path) -> Vectors:
    """Read the weights of a geniml export, float32, shape (regions and special tokens, dim).

    The size of the vectors has one of two names in geniml's config.
    """
    import torch
    import yaml
    from safetensors.torch import load_file

    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        size = (config["vocab_size"], config.get("embedding_dim", config.get("embedding_size")))
        if (folder / "model.safetensors").exists():
            state = load_file(folder / "model.safetensors")
        else:
            state = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
        weights: Vectors = state["projection.weight"].float().numpy()
    except Exception as error:  # unpickling a damaged checkpoint may raise any exception
        problem = (str(error).strip() or repr(error)).splitlines()[0]
        raise ModelError(
            f"{folder}: not a Region2Vec that geniml exported ({problem}); the folder must have "
            "universe.bed, config.yaml and checkpoint.pt"
        ) from None
    if weights.shape != size:
        raise ModelError(f"{folder}: weights of shape {weights.shape}, but config.yaml says {size}")
    return weights


class _Corpus:
    """Documents of words, shuffled again in each iteration."""

    def __init__(
        self, documents: list[NDArray[np.int64]], max_tokens: int | None, seed: int
    ) -> None:
        self.documents = documents
        self.max_tokens = max_tokens
        self.generator = np.random.default_rng(seed)
        self.words: dict[int, str] = {}

    def counts(self, universe_size: int) -> NDArray[np.int64]:
        """Count the occurrences of each region, int64, shape (universe,)."""
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
        return sum(-(-length // _MAX_WORDS) for length in self._lengths())

    def __iter__(self) -> Iterator[list[str]]:
        for document in self.documents:
            shuffled = self.generator.permutation(document)[: self.max_tokens].tolist()
            for at in range(0, len(shuffled), _MAX_WORDS):
                # The strings of the vocabulary: making new ones would take longer.
                yield [self.words[i] for i in shuffled[at : at + _MAX_WORDS]]
