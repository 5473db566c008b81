"""What the better presets share: a text reads codes from a memory of described region sets.

Region sets are factored, presence = popularity + codes x region factors. A text attends to the
descriptions of the training sets and reads their codes, in several heads; ridge regression from
text to codes is one more head, so that a network starts from the hardest baseline. Each head's code
times the region factors says how strongly the sets that it attended to hold each region.

In training a set never reads from its own experiment, its ridge code comes from regressions that
did not see it, and popularity is that among the others: what is learned is how to answer a
description that is not in memory.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models.text_to_regions.baselines import popularity, ridge_left_out, ridge_weights
from genoglot.models.text_to_regions.generator import Scores
from genoglot.models.text_to_regions.network_generator import (
    NETWORK,
    NetworkGenerator,
    NetworkSettings,
    region_ids,
)
from genoglot.models.universe_model import SetRows
from genoglot.nn.retrieval import RetrievalAttention
from genoglot.pretrained import Pretrained
from genoglot.saved import Arrays, Saved
from genoglot.text import MiniLM, Tfidf
from genoglot.training.examples import Batch
from genoglot.training.schedule import Schedule

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float32]

RIDGE_PENALTY = 0.5
CHUNK = 1 << 16  # regions scored at a time


class TextFeatures:
    """Words (TF-IDF, reduced to their principal directions) and meaning (MiniLM) side by side.

    Words tell factors apart that mean much the same to MiniLM; MiniLM knows words that no training
    description holds.

    Parameters
    ----------
    tfidf, minilm
        The encoders.
    directions
        (words, kept) float32.
    """

    def __init__(self, tfidf: Tfidf, minilm: MiniLM, directions: Floats) -> None:
        self.tfidf, self.minilm, self.directions = tfidf, minilm, directions

    @classmethod
    def fit(cls, texts: list[str], *, dim: int, seed: int) -> Self:
        """Take words and directions from training descriptions; at most `dim` directions."""
        from sklearn.decomposition import TruncatedSVD

        tfidf = Tfidf(max_words=5000).fit(texts)
        words = tfidf.encode_sparse(texts)
        kept = min(dim, words.shape[0], words.shape[1])
        svd = TruncatedSVD(kept, algorithm="randomized", n_iter=4, random_state=seed).fit(words)
        return cls(tfidf, MiniLM(), svd.components_.T.astype(np.float32))

    @classmethod
    def load(cls, saved: Saved) -> Self:
        """Take the encoders and directions that a model saved."""
        tfidf = Tfidf.from_pretrained(saved.folder / "tfidf")
        minilm = MiniLM.from_pretrained(saved.folder / "minilm")
        return cls(tfidf, minilm, saved.arrays["directions"])

    def encode(self, texts: Sequence[str]) -> Tensor:
        """(texts, kept + 384) float32."""
        words = self.tfidf.encode(texts) @ self.directions
        return torch.from_numpy(np.concatenate([words, self.minilm.encode(texts)], axis=1))


class Factors(NamedTuple):
    """presence = share + codes @ regions.T, nearly: see `factorize`."""

    codes: Floats  # (sets, rank)
    regions: Floats  # (universe, rank)


def factorize(presence: csr_array, share: Floats, rank: int, *, seed: int) -> Factors:
    """Factor centered presence by a randomized singular value decomposition.

    Halko, Martinsson and Tropp 2011, with the centering applied on the fly: `presence - share` is
    never built. Exact when `rank` reaches the number of sets.

    Parameters
    ----------
    presence
        (sets, universe) sparse; values between 0 and 1.
    share
        (universe,) float32, what is subtracted from every row.
    rank
        Length of a code; cut to the number of sets.
    seed
        Seed of the random projection.
    """
    sets = presence.shape[0]
    rank = min(rank, sets)

    transposed = presence.T.tocsr()

    def towards_regions(m: Floats) -> Floats:  # (sets, k) -> (universe, k)
        return product(transposed, m) - np.outer(share, m.sum(0))

    def towards_sets(m: Floats) -> Floats:  # (universe, k) -> (sets, k)
        return product(presence, m) - share @ m

    start = np.random.default_rng(seed).standard_normal((sets, min(rank + 16, sets)))
    basis = np.linalg.qr(start.astype(np.float32)).Q
    for _ in range(3):
        basis = np.linalg.qr(towards_sets(towards_regions(basis))).Q
    small = towards_regions(basis)
    squares, turn = np.linalg.eigh((small.T @ small).astype(np.float64))
    strongest = np.argsort(squares)[::-1][:rank]
    root = np.maximum(squares[strongest], 1e-12) ** 0.25  # split evenly between the two sides
    turn = turn[:, strongest]
    codes = (basis @ turn) * root
    regions = small @ (turn / root).astype(np.float32)
    return Factors(codes.astype(np.float32), regions)


def product(sparse: csr_array, dense: Floats) -> Floats:
    """Multiply a sparse matrix by a dense one on all CPU cores, by PyTorch: scipy uses one.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> product(csr_array(np.eye(2, 3, dtype=np.float32)), np.ones((3, 1), np.float32))
    array([[1.],
           [1.]], dtype=float32)
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse")  # is in beta; is not checked
        tensor = torch.sparse_csr_tensor(
            torch.from_numpy(sparse.indptr),
            torch.from_numpy(sparse.indices),
            torch.from_numpy(sparse.data),
            size=sparse.shape,
            check_invariants=False,
        )
        result: Floats = (tensor @ torch.from_numpy(dense)).numpy()
    return result


class TextMemory(nn.Module):
    """Text features to codes: attention over the training sets, and ridge regression.

    Parameters
    ----------
    features
        (sets, feature_dim): the training descriptions.
    codes
        (sets, rank): the training sets.
    ridge
        (feature_dim, rank): coefficients of the ridge regression.
    heads, key_dim
        Of each of the two hops.
    """

    ridge: Tensor

    def __init__(
        self, features: Tensor, codes: Tensor, ridge: Tensor, *, heads: int, key_dim: int
    ) -> None:
        super().__init__()
        self.attention = RetrievalAttention(features, codes, heads=heads, key_dim=key_dim)
        self.register_buffer("ridge", ridge)

    def forward(
        self, text: Tensor, mask: Tensor | None = None, ridge_code: Tensor | None = None
    ) -> Tensor:
        """Read codes for texts.

        Parameters
        ----------
        text
            (batch, feature_dim).
        mask
            (batch, sets) bool, True where a text may read a set; by default it may read all.
        ridge_code
            (batch, rank): in training, the code predicted without the set itself.

        Returns
        -------
        (batch, 2 * heads + 2, rank): what the heads of attention read, the ridge regression's code
        and, last, the mean code of all sets that the text may see, which is popularity.
        """
        codes = self.attention.codes
        if ridge_code is None:
            ridge_code = text @ self.ridge
        if mask is None:
            mean = codes.mean(0).expand(len(text), -1)
        else:
            weight = mask.to(codes.dtype)
            mean = (weight / weight.sum(1, keepdim=True)) @ codes
        return torch.cat([self.attention(text, mask), torch.stack([ridge_code, mean], 1)], 1)


class MemoryNetwork(nn.Module):
    """A memory, and what is made of the codes that it gives.

    Parameters
    ----------
    memory
        From text to codes.
    """

    def __init__(self, memory: TextMemory) -> None:
        super().__init__()
        self.memory = memory

    @abstractmethod
    def logits(self, codes: Tensor, factors: Tensor, share: Tensor) -> Tensor:
        """Log-odds of presence.

        Parameters
        ----------
        codes
            (batch, heads, rank), from the memory.
        factors, share
            (regions, rank) and (regions,): factors and popularity of some regions.

        Returns
        -------
        (batch, regions).
        """


class MemorySettings(NetworkSettings):
    """Settings of a `MemoryGenerator`, besides those of every generator with a network.

    Attributes
    ----------
    rank
        Length of the codes: 128 keep a universe of a million regions within 0.6 GB.
    heads
        Number of attention heads.
    key_dim
        Width of the keys of an attention head.
    words
        Maximum number of dimensions to which the descriptions' TF-IDF vectors are reduced.
    min_steps
        Minimum number of training steps; with few sets, epochs are added.
    regions_per_step
        Number of regions drawn for the loss of each step.
    """

    epochs: PositiveInt = 20
    batch_size: PositiveInt = 48
    learning_rate: PositiveFloat = 2e-3
    rank: PositiveInt = 128
    heads: PositiveInt = 6
    key_dim: PositiveInt = 64
    words: PositiveInt = 256
    min_steps: PositiveInt = 300
    regions_per_step: PositiveInt = 2048


class MemoryGenerator(NetworkGenerator):
    """A generator that reads its answer from a memory of the training sets.

    Parameters
    ----------
    **settings
        Fields of `MemorySettings`.
    """

    settings_class: ClassVar[type[MemorySettings]] = MemorySettings
    settings: MemorySettings

    network: MemoryNetwork
    features: TextFeatures
    share: Floats  # (universe,)
    factors: Tensor  # (universe, rank)

    @abstractmethod
    def _network(self, memory: TextMemory) -> MemoryNetwork:
        """Make the network around a memory."""

    def _logits(self, codes: Tensor, regions: slice | Tensor) -> Tensor:
        """Log-odds of presence: codes (batch, heads, rank) -> (batch, regions)."""
        return self.network.logits(codes, *self._region_factors(regions))

    def _region_factors(self, regions: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Factors and popularity of some regions, on the device of the network."""
        chosen = regions if isinstance(regions, slice) else regions.cpu()
        factors, share = self.factors[chosen], torch.from_numpy(self.share)[chosen]
        return factors.to(self.device), share.to(self.device)

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Fit text features, region factors and ridge regressions; make the network.

        Raises
        ------
        ModelError
            If the sets are of fewer than two experiment groups: none could read from another.
        """
        s = self.settings
        chosen = np.arange(len(atlas)) if rows is None else np.asarray(rows)
        names, groups = np.unique(atlas.metadata["group"].to_numpy()[chosen], return_inverse=True)
        if len(names) < 2:
            raise ModelError(
                f"{self.model_type} learns one experiment from others, but there are only "
                f"{len(names)} experiment groups to learn from; give more, or train a baseline"
            )
        self.universe = atlas.universe
        descriptions = atlas.descriptions(rows)
        signal_rank = atlas.presence(rows, signal_rank=True)
        self.share = (signal_rank.sum(0) / len(descriptions)).astype(np.float32)
        codes, regions = factorize(signal_rank, self.share, s.rank, seed=s.seed)
        self.factors = torch.from_numpy(regions)
        self.features = TextFeatures.fit(descriptions, dim=s.words, seed=s.seed)
        vectors = self.features.encode(descriptions)
        self._groups = torch.from_numpy(groups)
        self._ridge_codes = torch.from_numpy(
            ridge_left_out(vectors.numpy(), codes, groups, penalty=RIDGE_PENALTY, seed=s.seed)
        )
        ridge = ridge_weights(vectors.numpy(), RIDGE_PENALTY) @ codes
        # Regions that no training set holds say nothing: the loss is taken over the others.
        self._candidates = torch.from_numpy(np.flatnonzero(popularity(signal_rank)))
        torch.manual_seed(s.seed)
        self.network = self._network(
            TextMemory(
                vectors,
                torch.from_numpy(codes),
                torch.from_numpy(ridge),
                heads=s.heads,
                key_dim=s.key_dim,
            )
        )

    def schedule(self, steps: int) -> Schedule:
        """Return a schedule of one cycle."""
        return Schedule(
            steps, self.settings.learning_rate, decay="one-cycle", weight_decay=1e-4, clip_norm=None
        )

    def n_epochs(self, steps_per_epoch: int) -> int:
        """Return the number of passes over the training sets, enough for `min_steps`."""
        return max(self.settings.epochs, -(-self.settings.min_steps // steps_per_epoch))

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Words and meaning: (texts, feature_dim)."""
        return self.features.encode(texts)

    def loss(self, batch: Batch) -> Tensor:
        """Binary cross-entropy over regions drawn at random."""
        device = batch["vectors"].device
        drawn = torch.randint(len(self._candidates), (self.settings.regions_per_step,))
        regions = self._candidates[drawn]
        target = torch.from_numpy(membership(region_ids(batch), regions.numpy())).to(device)
        logits = self._logits(self._read(batch), regions)
        return F.binary_cross_entropy_with_logits(logits, target)

    def _read(self, batch: Batch) -> Tensor:
        """Codes for a batch, (batch, heads, rank): a training set does not see its own group."""
        mask = ridge_code = None
        if "rows" in batch:
            rows, device = batch["rows"].cpu(), batch["vectors"].device
            mask = (self._groups[rows][:, None] != self._groups).to(device)
            ridge_code = self._ridge_codes[rows].to(device)
        codes: Tensor = self.network.memory(batch["vectors"], mask, ridge_code)
        return codes

    @torch.inference_mode()
    def codes(self, texts: Sequence[str]) -> Tensor:
        """Read codes for texts: (texts, heads, rank)."""
        read: Tensor = self.network.memory(self.encode(texts).to(self.device))
        return read

    @torch.inference_mode()
    def score(self, texts: Sequence[str]) -> Scores:
        """Score every region between 0 and 1; the score is not calibrated, so no probability."""
        codes = self.codes(texts)
        scores = torch.empty(len(texts), len(self.universe))
        for start in range(0, len(self.universe), CHUNK):
            part = slice(start, start + CHUNK)
            scores[:, part] = self._logits(codes, part).sigmoid_().cpu()
        return scores.numpy()

    def _parts(self) -> dict[str, Pretrained]:
        return {"tfidf": self.features.tfidf, "minilm": self.features.minilm}

    def _arrays(self) -> Arrays:
        return {
            "share": self.share,
            "factors": self.factors.numpy(),
            "directions": self.features.directions,
            **super()._arrays(),
        }

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        self, arrays = super()._load(saved), saved.arrays
        self.features = TextFeatures.load(saved)
        self.share, self.factors = arrays["share"], torch.from_numpy(arrays["factors"])
        features, codes, ridge = (
            torch.from_numpy(arrays[f"{NETWORK}memory.{name}"])
            for name in ("attention.features", "attention.codes", "ridge")
        )
        s = self.settings
        memory = TextMemory(features, codes, ridge, heads=s.heads, key_dim=s.key_dim)
        self._load_network(self._network(memory), saved)
        return self


def membership(sets: Sequence[NDArray[np.int32]], regions: NDArray[np.int64]) -> Floats:
    """Whether each set holds each region: (sets, regions) float32 of 0 and 1.

    Examples
    --------
    >>> membership([np.array([2, 5], np.int32)], np.array([5, 3, 2]))
    array([[1., 0., 1.]], dtype=float32)
    """
    held = np.zeros((len(sets), len(regions)), np.float32)
    for row, ids in zip(held, sets, strict=True):
        if len(ids):
            place = np.searchsorted(ids, regions).clip(max=len(ids) - 1)
            row[:] = ids[place] == regions
    return held


def spread(vectors: Tensor) -> Tensor:
    """Take the standard deviation of each dimension, kept off zero: (n, dim) -> (dim,)."""
    deviation = vectors.std(0, correction=0)
    return deviation.clamp(min=1e-2 * float(deviation.max()))
