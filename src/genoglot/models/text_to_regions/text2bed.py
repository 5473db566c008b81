"""Text2BED: a text becomes a point in the space of regions; the nearest regions are the answer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models.text_to_regions.generator import Generator, Ids, Scores
from genoglot.models.text_to_regions.network_generator import (
    NetworkGenerator,
    NetworkSettings,
    region_ids,
)
from genoglot.models.text_to_regions.retrieval import (
    RetrievalGenerator,
    TextRetrieval,
    WeightedHeads,
    log_odds,
)
from genoglot.models.text_to_regions.vector_index import ExactIndex, HnswIndex, VectorIndex
from genoglot.models.universe_model import SetRows
from genoglot.regions import Region2Vec
from genoglot.saved import Saved
from genoglot.text import MiniLM
from genoglot.threads import one_thread
from genoglot.training.examples import Batch

Floats = NDArray[np.float32]
IndexType = Literal["exact", "hnsw"]

GRAPH = "index.hnsw"


class VectorSearch(Generator):
    """A generator that searches a vector index of regions: exact by default, HNSW on demand.

    Attributes
    ----------
    index_type
        Type of the index.
    """

    index_type: IndexType = "exact"
    _index: VectorIndex | None = None

    @property
    @abstractmethod
    def region_vectors(self) -> Floats:
        """Vector of each region, (universe, dim)."""

    @abstractmethod
    def locate(self, texts: Sequence[str]) -> Floats:
        """Compute the points of texts in the space of regions, (texts, dim)."""

    @abstractmethod
    def _scores(self, products: Floats) -> Scores:
        """Compute scores from inner products."""

    def use_index(self, index_type: IndexType, **options: Any) -> VectorIndex:
        """Choose the index that `top` searches.

        Parameters
        ----------
        index_type
            `"exact"` or `"hnsw"`. HNSW takes minutes to build for a million regions.
        **options
            Options of `HnswIndex`.

        Returns
        -------
        VectorIndex
            The index.

        Raises
        ------
        ModelError
            If there is no such index.
        """
        if index_type not in ("exact", "hnsw"):
            raise ModelError(f"no vector index {index_type!r}; choose exact or hnsw")
        self.index_type = index_type
        self._index = HnswIndex(self.region_vectors, **options) if index_type == "hnsw" else None
        return self.index

    @property
    def index(self) -> VectorIndex:
        """The vector index of the regions."""
        if self._index is None:
            self._index = ExactIndex(self.region_vectors)
        return self._index

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Discard the index of an earlier training, and prepare everything else."""
        super().prepare(atlas, rows)
        self._index = None
        for cached in ("region_vectors", "_mean_popularity"):
            self.__dict__.pop(cached, None)

    def top(self, text: str, n: int) -> tuple[Ids, Scores]:
        """Find the regions nearest to a text: see `Generator.top`."""
        with one_thread():
            ids, products = self.index.top(self.locate([text])[0], n)
        return ids, self._scores(products)

    def _write(self, folder: Path) -> None:
        super()._write(folder)
        if isinstance(self._index, HnswIndex):
            self._index.save(folder / GRAPH)

    def _restore(self, saved: Saved) -> None:
        super()._restore(saved)
        if (graph := saved.folder / GRAPH).exists():
            self.index_type, self._index = "hnsw", HnswIndex.load(graph, self.region_vectors)


class PublishedText2BedSettings(NetworkSettings):
    """Settings of a `PublishedText2Bed`.

    Attributes
    ----------
    region2vec
        Folder of a pre-trained Region2Vec as geniml exports it (see `Region2Vec.from_geniml`),
        whose vectors are not trained further. Empty, the default: train one.
    dim
        Length of a region vector, if it is trained here.
    hidden
        Width of the network.
    region_epochs
        Number of epochs of word2vec: see `Region2Vec.fit`.
    tokens_per_epoch
        Maximum number of regions that word2vec reads in an epoch, over all sets, sampled again in
        each: about half a minute's work. With too few, the vectors of a large universe stay as
        random as their initial values.
    """

    region2vec: str = ""
    dim: PositiveInt = 100
    hidden: PositiveInt = 256
    region_epochs: PositiveInt = 5
    tokens_per_epoch: PositiveInt = 3_000_000
    epochs: PositiveInt = 50
    batch_size: PositiveInt = 16


class PublishedText2Bed(VectorSearch, NetworkGenerator):
    """Text2BED of Fay et al. 2024, as the paper describes it.

    MiniLM embedding -> feed-forward network ("vec2vec") -> the space of Region2Vec, in which a
    region set is the mean of its regions. The answer is the regions with the largest cosine. The
    paper does not give the widths of the network and its loss; we use the mean squared error to the
    vector of the set. The paper loads region vectors that were trained before, on many more sets;
    without `region2vec`, this model trains its own on the training sets.

    Parameters
    ----------
    **settings
        Fields of `PublishedText2BedSettings`.
    """

    model_type = "text2bed-published"
    settings_class = PublishedText2BedSettings
    settings: PublishedText2BedSettings
    fitted = ("minilm", "unit_vectors")

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Load or train region vectors and make the network."""
        s, universe = self.settings, atlas.universe
        if s.region2vec:
            region2vec = Region2Vec.from_geniml(s.region2vec, universe)
        else:
            sets = atlas.tokens_of(range(len(atlas)) if rows is None else rows)
            region2vec = Region2Vec.fit(
                sets, len(universe), s.dim, epochs=s.region_epochs,
                max_tokens=-(-s.tokens_per_epoch // max(1, len(sets))), seed=s.seed,
                universe_digest=universe.digest,
            )  # fmt: skip
        self.unit_vectors = _to_unit_length(region2vec.vectors)
        self.minilm = MiniLM()
        super().prepare(atlas, rows)

    def _new_network(self) -> nn.Module:
        hidden, dim = self.settings.hidden, self.unit_vectors.shape[1]
        return nn.Sequential(
            nn.Linear(self.minilm.dim, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, dim),
        )  # fmt: skip

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Compute MiniLM embeddings: (texts, 384)."""
        return torch.from_numpy(self.minilm.encode(texts))

    def loss(self, batch: Batch) -> Tensor:
        """Compute the mean squared error to the mean vector of each set."""
        zero = np.zeros(self.unit_vectors.shape[1], np.float32)  # of an empty set
        means = [self.unit_vectors[i].mean(0) if len(i) else zero for i in region_ids(batch)]
        target = torch.from_numpy(np.stack(means)).to(batch["vectors"].device)
        return F.mse_loss(self.network(batch["vectors"]), target)

    @property
    def region_vectors(self) -> Floats:
        """Region2Vec vector of each region, (universe, dim), unit length."""
        return self.unit_vectors

    @torch.inference_mode()
    def locate(self, texts: Sequence[str]) -> Floats:
        """Compute the points of texts in the space of regions, (texts, dim), unit length."""
        return _to_unit_length(self.network(self.encode(texts).to(self.device)).cpu().numpy())

    def score(self, texts: Sequence[str]) -> Scores:
        """Score every region by (1 + cosine) / 2."""
        return self._scores(self.locate(texts) @ self.region_vectors.T)

    def _scores(self, products: Floats) -> Scores:
        return ((1 + products) / 2).astype(np.float32)


class PointNetwork(WeightedHeads):
    """A network whose heads add up to a point; the nearer a region is, the likelier it is.

    Parameters
    ----------
    retrieval
        From text to set factors.
    """

    def __init__(self, retrieval: TextRetrieval) -> None:
        super().__init__(retrieval)
        self.bias = nn.Parameter(torch.zeros(1))

    def logits(self, set_factors: Tensor, region_factors: Tensor, frequency: Tensor) -> Tensor:
        """Compute the log-odds of presence: see `RetrievalNetwork`."""
        popularity = self.popularity(set_factors, region_factors, frequency)
        return self.weighted_sum(set_factors) @ region_factors.T + popularity + self.bias


class Text2Bed(VectorSearch, RetrievalGenerator):
    """Text2BED, improved: the point is retrieved from described region sets.

    The vectors of regions are the factors of the presence matrix instead of those of word2vec, with
    popularity as one more coordinate. The network that turns a text into a point is trained on the
    answer itself (binary cross-entropy of presence) instead of on the distance to a mean. The
    answer is still a nearest-neighbor search, by inner product.

    Parameters
    ----------
    **settings
        Fields of `RetrievalSettings`.
    """

    model_type = "text2bed"
    network: PointNetwork

    def _new_network(self) -> PointNetwork:
        return PointNetwork(self._new_retrieval())

    @cached_property
    def _mean_popularity(self) -> Tensor:
        return log_odds(torch.from_numpy(self.frequency)).mean()

    @cached_property
    def region_vectors(self) -> Floats:
        """Region factors and centered log-odds of frequency, (universe, rank + 1)."""
        # Centered because shorter vectors suit HNSW.
        popularity = log_odds(torch.from_numpy(self.frequency)) - self._mean_popularity
        return np.concatenate([self.region_factors, popularity.numpy()[:, None]], 1)

    @torch.inference_mode()
    def locate(self, texts: Sequence[str]) -> Floats:
        """Compute the points of texts in the space of regions, (texts, rank + 1)."""
        point = self.network.weighted_sum(self.predict_set_factors(texts))
        weight = self.network.popularity_weight.expand(len(point), 1)
        return torch.cat([point, weight], 1).cpu().numpy()

    @torch.inference_mode()
    def _scores(self, products: Floats) -> Scores:
        bias, weight = self.network.bias.cpu(), self.network.popularity_weight.cpu()
        logits = torch.from_numpy(products) + (bias + weight * self._mean_popularity)
        return logits.sigmoid().numpy()


def _to_unit_length(vectors: Floats) -> Floats:
    """Scale rows to unit length; rows of zeros do not change."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
