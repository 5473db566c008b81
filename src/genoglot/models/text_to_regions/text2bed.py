"""Text2BED: a text becomes a point in the space of regions; the nearest regions are the answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models.text_to_regions.direct import log_odds
from genoglot.models.text_to_regions.generator import Generator, Ids, Scores
from genoglot.models.text_to_regions.network_generator import (
    NetworkGenerator,
    NetworkSettings,
    region_ids,
)
from genoglot.models.text_to_regions.retrieval import MemoryGenerator, MemoryNetwork, TextMemory
from genoglot.models.text_to_regions.vector_index import ExactIndex, HnswIndex, VectorIndex
from genoglot.models.universe_model import SetRows
from genoglot.pretrained import Pretrained
from genoglot.regions import Region2Vec
from genoglot.saved import Arrays, Saved
from genoglot.text import MiniLM
from genoglot.threads import one_thread
from genoglot.training.examples import Batch

Floats = NDArray[np.float32]
IndexType = Literal["exact", "hnsw"]

GRAPH = "index.hnsw"


class _Search(Generator):
    """The index over a model's region vectors: exact by default, HNSW on demand."""

    vectors: Floats
    index_type: IndexType = "exact"
    _index: VectorIndex | None = None

    def use_index(self, index_type: IndexType, **options: Any) -> VectorIndex:
        """Choose the index that `top` searches; HNSW takes minutes to build for a million regions.

        Parameters
        ----------
        index_type
            `"exact"` or `"hnsw"`.
        **options
            Those of `HnswIndex`.

        Raises
        ------
        ModelError
            If there is no such index.
        """
        if index_type not in ("exact", "hnsw"):
            raise ModelError(f"no vector index {index_type!r}; choose exact or hnsw")
        self.index_type = index_type
        self._index = HnswIndex(self.vectors, **options) if index_type == "hnsw" else None
        return self.index

    @property
    def index(self) -> VectorIndex:
        """The index over the region vectors."""
        if self._index is None:
            self._index = ExactIndex(self.vectors)
        return self._index

    def _write(self, folder: Path) -> None:
        super()._write(folder)
        if isinstance(self._index, HnswIndex):
            self._index.save(folder / GRAPH)

    def _load_index(self, folder: Path) -> None:
        if (folder / GRAPH).exists():
            self.index_type, self._index = "hnsw", HnswIndex.load(folder / GRAPH, self.vectors)


class PublishedText2BedSettings(NetworkSettings):
    """Settings of a `PublishedText2Bed`.

    Attributes
    ----------
    region2vec
        Folder of a pre-trained Region2Vec as geniml exports it (see `Region2Vec.from_geniml`), used
        as it is. Empty, the default: train one.
    dim
        Length of a region vector, if it is trained here.
    hidden
        Width of the network.
    region_epochs
        Number of epochs of word2vec: see `Region2Vec.fit`.
    tokens_per_epoch
        Number of regions that word2vec reads in an epoch, over all sets, drawn anew in each: about
        half a minute's worth. Too few and a large universe's vectors stay as random as they began.
    """

    region2vec: str = ""
    dim: PositiveInt = 100
    hidden: PositiveInt = 256
    region_epochs: PositiveInt = 5
    tokens_per_epoch: PositiveInt = 3_000_000
    epochs: PositiveInt = 50
    batch_size: PositiveInt = 16


class PublishedText2Bed(_Search, NetworkGenerator):
    """Text2BED of Fay et al. 2024, as it is described there.

    MiniLM embedding -> feed-forward network ("vec2vec") -> the space of Region2Vec, in which a
    region set is the mean of its regions; the answer is the regions of largest cosine. The widths
    of the network and its loss (mean squared error to the set's vector) are ours: the paper names
    none. The paper loads region vectors that were trained before, on many more sets; without
    `region2vec`, this model trains its own on the region sets at hand.

    Parameters
    ----------
    **settings
        Fields of `PublishedText2BedSettings`.
    """

    model_type = "text2bed-published"
    settings_class = PublishedText2BedSettings
    settings: PublishedText2BedSettings

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Load or train region vectors and make the network."""
        self.universe = atlas.universe
        s = self.settings
        if s.region2vec:
            region2vec = Region2Vec.from_geniml(s.region2vec, self.universe)
        else:
            sets = atlas.tokens_of(range(len(atlas)) if rows is None else rows)
            region2vec = Region2Vec.fit(
                sets, len(self.universe), s.dim, epochs=s.region_epochs,
                max_tokens=-(-s.tokens_per_epoch // max(1, len(sets))), seed=s.seed,
                universe_digest=self.universe.digest,
            )  # fmt: skip
        self.vectors = _unit(region2vec.vectors)
        self._index = None
        self.minilm = MiniLM()
        torch.manual_seed(s.seed)
        self.network = self._vec2vec()

    def _vec2vec(self) -> nn.Module:
        hidden, dim = self.settings.hidden, self.vectors.shape[1]
        return nn.Sequential(
            nn.Linear(self.minilm.dim, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, dim),
        )  # fmt: skip

    def encode(self, texts: Sequence[str]) -> Tensor:
        """MiniLM embeddings: (texts, 384)."""
        return torch.from_numpy(self.minilm.encode(texts))

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error to the mean vector of each set."""
        nowhere = np.zeros(self.vectors.shape[1], np.float32)
        means = [self.vectors[ids].mean(0) if len(ids) else nowhere for ids in region_ids(batch)]
        target = torch.from_numpy(np.stack(means)).to(batch["vectors"].device)
        return F.mse_loss(self.network(batch["vectors"]), target)

    @torch.inference_mode()
    def locate(self, texts: Sequence[str]) -> Floats:
        """Points of texts in the space of regions: (texts, dim), unit length."""
        return _unit(self.network(self.encode(texts).to(self.device)).cpu().numpy())

    def score(self, texts: Sequence[str]) -> Scores:
        """Score every region by (1 + cosine) / 2."""
        return ((1 + self.locate(texts) @ self.vectors.T) / 2).astype(np.float32)

    def top(self, text: str, n: int) -> tuple[Ids, Scores]:
        """Ids and scores of the `n` nearest regions, nearest first."""
        ids, cosines = self.index.top(self.locate([text])[0], n)
        return ids, ((1 + cosines) / 2).astype(np.float32)

    def _parts(self) -> dict[str, Pretrained]:
        return {"minilm": self.minilm}

    def _arrays(self) -> Arrays:
        return {"vectors": self.vectors, **super()._arrays()}

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        self = super()._load(saved)
        self.minilm = MiniLM.from_pretrained(saved.folder / "minilm")
        self.vectors = saved.arrays["vectors"]
        self._load_network(self._vec2vec(), saved)
        self._load_index(saved.folder)
        return self


class PointNetwork(MemoryNetwork):
    """The codes of all heads, weighed and summed, are a point; regions near it are likely.

    Parameters
    ----------
    memory
        From text to codes; the last of them is popularity, which is no part of the point.
    heads
        How many the others are.
    """

    def __init__(self, memory: TextMemory, *, heads: int) -> None:
        super().__init__(memory)
        self.head_weight = nn.Parameter(torch.full((heads,), 2.0))
        self.popularity_weight = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def point(self, codes: Tensor) -> Tensor:
        """(batch, heads, rank) -> (batch, rank)."""
        return torch.einsum("bhe,h->be", codes[:, :-1], self.head_weight)

    def logits(self, codes: Tensor, factors: Tensor, share: Tensor) -> Tensor:
        """Log-odds of presence: see `MemoryNetwork`."""
        popular = log_odds((codes[:, -1] @ factors.T + share).clamp(0, 1))
        return self.point(codes) @ factors.T + self.popularity_weight * popular + self.bias


class Text2Bed(_Search, MemoryGenerator):
    """Text2BED, better: the point is read from a memory of described sets.

    Regions are the factors of the presence matrix instead of word2vec's vectors, with popularity
    as one more coordinate; the network that turns text into a point is trained on the answer
    itself (binary cross-entropy of presence) instead of on the distance to a mean. The answer is
    still a nearest neighbor search, by inner product.

    Parameters
    ----------
    **settings
        Fields of `MemorySettings`.
    """

    model_type = "text2bed"
    network: PointNetwork

    def _network(self, memory: TextMemory) -> PointNetwork:
        return PointNetwork(memory, heads=2 * self.settings.heads + 1)

    @property
    def vectors(self) -> Floats:  # type: ignore[override]
        """Regions as the index holds them: factors and popularity, (universe, rank + 1)."""
        if not hasattr(self, "_vectors"):
            popular = log_odds(torch.from_numpy(self.share))
            self._usual = popular.mean()  # left out, since shorter vectors suit HNSW
            self._vectors = torch.cat([self.factors, (popular - self._usual)[:, None]], 1).numpy()
        return self._vectors

    @torch.inference_mode()
    def locate(self, texts: Sequence[str]) -> Floats:
        """Points of texts in the space of regions: (texts, rank + 1)."""
        point = self.network.point(self.codes(texts))
        popular = self.network.popularity_weight.expand(len(point), 1)
        return torch.cat([point, popular], 1).cpu().numpy()

    def top(self, text: str, n: int) -> tuple[Ids, Scores]:
        """Ids and scores of the `n` nearest regions, by inner product, nearest first."""
        with one_thread():
            ids, products = self.index.top(self.locate([text])[0], n)
        usual = self.network.bias + self.network.popularity_weight * self._usual
        logits = torch.from_numpy(products) + usual.detach().cpu()
        return ids, logits.sigmoid().numpy()

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Fit text features, region factors and ridge regressions; make the network."""
        super().prepare(atlas, rows)
        self._index = None
        self.__dict__.pop("_vectors", None)

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        self = super()._load(saved)
        self._load_index(saved.folder)
        return self


def _unit(vectors: Floats) -> Floats:
    """Rows scaled to unit length; zero rows stay zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
