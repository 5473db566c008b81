"""Text2BED: a text becomes a point in the space of regions; the nearest regions are the answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models.text_to_regions.direct import log_odds
from genoglot.models.text_to_regions.generator import Arrays, Ids, Scores, SetRows
from genoglot.models.text_to_regions.network_generator import NetworkGenerator, region_ids
from genoglot.models.text_to_regions.retrieval import MemoryGenerator, MemoryNetwork, TextMemory
from genoglot.models.text_to_regions.vector_index import ExactIndex, HnswIndex, Index
from genoglot.regions import Region2Vec
from genoglot.text import MiniLM, load_text_encoder
from genoglot.threads import one_thread
from genoglot.training.examples import Batch

Floats = NDArray[np.float32]
IndexKind = Literal["exact", "hnsw"]

GRAPH = "index.hnsw"


class _Search:
    """The index over a model's region vectors: exact by default, HNSW on demand."""

    vectors: Floats
    index_kind: IndexKind = "exact"
    _index: Index | None = None

    def use_index(self, kind: IndexKind, **options: Any) -> Index:
        """Choose the index that `top` searches; HNSW takes minutes to build for a million regions.

        Parameters
        ----------
        kind
            `"exact"` or `"hnsw"`.
        **options
            Those of `HnswIndex`.

        Raises
        ------
        ModelError
            If there is no such index.
        """
        if kind not in ("exact", "hnsw"):
            raise ModelError(f"no index named {kind!r}; choose exact or hnsw")
        self.index_kind = kind
        self._index = HnswIndex(self.vectors, **options) if kind == "hnsw" else None
        return self.index

    @property
    def index(self) -> Index:
        """The index over the region vectors."""
        if self._index is None:
            self._index = ExactIndex(self.vectors)
        return self._index

    def _save_index(self, folder: Path) -> None:
        if isinstance(self._index, HnswIndex):
            self._index.save(folder / GRAPH)

    def _load_index(self, folder: Path) -> None:
        if (folder / GRAPH).exists():
            self.index_kind, self._index = "hnsw", HnswIndex.load(folder / GRAPH, self.vectors)


class SeedText2Bed(_Search, NetworkGenerator):
    """Text2BED of the seed (Fay et al. 2024), as it is described there.

    MiniLM embedding -> feed-forward network ("vec2vec") -> the space of Region2Vec, in which a
    region set is the mean of its regions; the answer is the regions of largest cosine. The widths
    of the network and its loss (mean squared error to the set's vector) are ours: the paper names
    none. The paper loads region vectors that were trained before, on many more sets; without
    `region2vec`, this model trains its own on the region sets at hand.

    Parameters
    ----------
    region2vec
        Folder of a pre-trained Region2Vec as geniml exports it (see `Region2Vec.from_geniml`), used
        as it is. Empty, the default: train one.
    dim
        Length of a region vector, if it is trained here.
    hidden
        Width of the network.
    region_epochs
        Epochs of word2vec: see `Region2Vec.fit`.
    tokens_per_epoch
        Regions that word2vec reads in an epoch, over all sets, drawn anew in each: about half a
        minute's worth. Too few and a large universe's vectors stay as random as they began.
    epochs, batch_size, learning_rate
        Of the network's training.
    seed
        Seed of everything random.
    """

    kind = "text2bed-seed"

    def __init__(
        self, *, region2vec: str = "", dim: int = 100, hidden: int = 256, region_epochs: int = 5,
        tokens_per_epoch: int = 3_000_000, epochs: int = 50, batch_size: int = 16,
        learning_rate: float = 1e-3, seed: int = 0,
    ) -> None:  # fmt: skip
        self.region2vec, self.dim, self.hidden = region2vec, dim, hidden
        self.region_epochs, self.tokens_per_epoch = region_epochs, tokens_per_epoch
        self.seed = seed
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Load or train region vectors and make the network."""
        self.universe = atlas.universe
        if self.region2vec:
            region2vec = Region2Vec.from_geniml(self.region2vec, self.universe)
            self.dim = region2vec.dim
        else:
            sets = atlas.tokens_of(range(len(atlas)) if rows is None else rows)
            region2vec = Region2Vec.fit(
                sets, len(self.universe), self.dim, epochs=self.region_epochs,
                max_tokens=-(-self.tokens_per_epoch // max(1, len(sets))), seed=self.seed,
                universe_digest=self.universe.digest,
            )  # fmt: skip
        self.vectors = _unit(region2vec.vectors)
        self._index = None
        self.minilm = MiniLM()
        torch.manual_seed(self.seed)
        self.network = self._vec2vec()

    def _vec2vec(self) -> nn.Module:
        return nn.Sequential(
            nn.Linear(self.minilm.dim, self.hidden), nn.ReLU(),
            nn.Linear(self.hidden, self.hidden), nn.ReLU(),
            nn.Linear(self.hidden, self.dim),
        )  # fmt: skip

    def encode(self, texts: Sequence[str]) -> Tensor:
        """MiniLM embeddings: (texts, 384)."""
        return torch.from_numpy(self.minilm.encode(texts))

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error to the mean vector of each set."""
        nowhere = np.zeros(self.dim, np.float32)
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

    def _settings(self) -> dict[str, Any]:
        return {"region2vec": self.region2vec, "dim": self.dim, "hidden": self.hidden,
                "region_epochs": self.region_epochs, "tokens_per_epoch": self.tokens_per_epoch,
                "epochs": self.epochs, "batch_size": self.batch_size,
                "learning_rate": self.learning_rate, "seed": self.seed}  # fmt: skip

    def _save(self, folder: Path) -> Arrays:
        self.minilm.save(folder / "minilm")
        self._save_index(folder)
        return {"vectors": self.vectors, **self._network_arrays()}

    @classmethod
    def _load(cls, folder: Path, settings: dict[str, Any], arrays: Arrays) -> Self:
        self = cls(**settings)
        minilm = load_text_encoder(folder / "minilm")
        assert isinstance(minilm, MiniLM)
        self.minilm, self.vectors = minilm, arrays["vectors"]
        self.network = self._vec2vec().eval()
        self.network.load_state_dict(cls._network_state(arrays))
        self._load_index(folder)
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
        Those of `MemoryGenerator`.
    """

    kind = "text2bed"

    network: PointNetwork

    def _network(self, memory: TextMemory) -> PointNetwork:
        return PointNetwork(memory, heads=2 * self.heads + 1)

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

    def _save(self, folder: Path) -> Arrays:
        self._save_index(folder)
        return super()._save(folder)

    @classmethod
    def _load(cls, folder: Path, settings: dict[str, Any], arrays: Arrays) -> Self:
        self = super()._load(folder, settings, arrays)
        self._load_index(folder)
        return self


def _unit(vectors: Floats) -> Floats:
    """Rows scaled to unit length; zero rows stay zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
