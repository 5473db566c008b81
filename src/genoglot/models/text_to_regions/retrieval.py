"""What the improved generators share: a text retrieves the factors of described region sets.

Region sets are factorized: presence is about frequency + set factors x region factors. A text
attends to the descriptions of the training sets and retrieves their set factors, in several heads.
Two more heads are a ridge regression from text to set factors, so that a network starts from the
strongest baseline, and the mean of the training sets. The set factors of a head times the region
factors give the log-odds of each region in the sets to which the head attends.

In training a set never retrieves from its own experiment, the ridge regression is one that was
fitted without it, and the mean is that of the other sets: the network learns to answer descriptions
that no training set has.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models.text_to_regions.baselines import (
    region_frequency,
    ridge_out_of_fold,
    ridge_weights,
)
from genoglot.models.text_to_regions.factorization import factorize
from genoglot.models.text_to_regions.generator import Scores
from genoglot.models.text_to_regions.network_generator import (
    NetworkGenerator,
    NetworkSettings,
    region_ids,
)
from genoglot.models.text_to_regions.text_features import TextFeatures
from genoglot.models.universe_model import SetRows
from genoglot.nn.retrieval import RetrievalAttention
from genoglot.training.examples import Batch
from genoglot.training.schedule import Schedule

Floats = NDArray[np.float32]

RIDGE_PENALTY = 0.5
CHUNK = 1 << 16  # regions scored at a time


class TextRetrieval(nn.Module):
    """From text features to set factors: attention over the training sets, and ridge regression.

    The three arrays are not part of the state dict.

    Parameters
    ----------
    features
        Encoded descriptions of the training sets, (sets, feature_dim).
    set_factors
        Factors of the training sets, (sets, rank).
    ridge
        Coefficients of the ridge regression, (feature_dim, rank).
    heads
        Number of heads of each of the two hops of attention.
    key_dim
        Width of the keys of a head.
    """

    ridge: Tensor

    def __init__(
        self, features: Tensor, set_factors: Tensor, ridge: Tensor, *, heads: int, key_dim: int
    ) -> None:
        super().__init__()
        self.attention = RetrievalAttention(features, set_factors, heads=heads, key_dim=key_dim)
        self.register_buffer("ridge", ridge, persistent=False)
        self.heads = 2 * heads + 2  # of the output

    def forward(
        self, text: Tensor, mask: Tensor | None = None, ridge_factors: Tensor | None = None
    ) -> Tensor:
        """Retrieve set factors for texts.

        Parameters
        ----------
        text
            (batch, feature_dim).
        mask
            bool (batch, sets), True where a text can read a set; by default it can read all.
        ridge_factors
            Set factors of the ridge regression, (batch, rank); in training those that were
            predicted without the set itself. By default they are computed here.

        Returns
        -------
        Tensor
            (batch, heads, rank): what the `2 * heads` heads of attention have retrieved, the
            prediction of the ridge regression and, last, the mean of all sets that a text can read.
        """
        set_factors = self.attention.values
        if ridge_factors is None:
            ridge_factors = text @ self.ridge
        if mask is None:
            mean = set_factors.mean(0).expand(len(text), -1)
        else:
            weight = mask.to(set_factors.dtype)
            mean = (weight / weight.sum(1, keepdim=True)) @ set_factors
        return torch.cat([self.attention(text, mask), torch.stack([ridge_factors, mean], 1)], 1)


class RetrievalNetwork(nn.Module):
    """A network that retrieves set factors for a text and computes log-odds from them.

    Parameters
    ----------
    retrieval
        From text to set factors.
    """

    def __init__(self, retrieval: TextRetrieval) -> None:
        super().__init__()
        self.retrieval = retrieval

    @abstractmethod
    def logits(self, set_factors: Tensor, region_factors: Tensor, frequency: Tensor) -> Tensor:
        """Compute the log-odds of presence.

        Parameters
        ----------
        set_factors
            What a text has retrieved, (batch, heads, rank).
        region_factors
            Factors of some regions, (regions, rank).
        frequency
            Frequency of these regions, (regions,).

        Returns
        -------
        Tensor
            (batch, regions).
        """


class WeightedHeads(RetrievalNetwork):
    """A network in which the heads, except for the last one, are added up with learned weights.

    The last head, the mean of the training sets, gives the popularity of the regions, which has a
    weight of its own.

    Parameters
    ----------
    retrieval
        From text to set factors.
    """

    def __init__(self, retrieval: TextRetrieval) -> None:
        super().__init__(retrieval)
        self.head_weight = nn.Parameter(torch.full((retrieval.heads - 1,), 2.0))
        self.popularity_weight = nn.Parameter(torch.ones(1))

    def weighted_sum(self, set_factors: Tensor) -> Tensor:
        """Add up the heads: (batch, heads, rank) -> (batch, rank)."""
        return torch.einsum("bhe,h->be", set_factors[:, :-1], self.head_weight)

    def popularity(self, set_factors: Tensor, region_factors: Tensor, frequency: Tensor) -> Tensor:
        """Compute weighted log-odds of the mean of the training sets: as `logits`."""
        mean = set_factors[:, -1] @ region_factors.T + frequency
        return self.popularity_weight * log_odds(mean.clamp(0, 1))


class RetrievalSettings(NetworkSettings):
    """Settings of a `RetrievalGenerator`, besides those of every generator with a network.

    Attributes
    ----------
    rank
        Number of factors of a set and of a region. With 128, those of a million regions take
        0.5 GB.
    heads
        Number of attention heads of each hop.
    key_dim
        Width of the keys of an attention head.
    tfidf_dim
        Maximum number of dimensions to which the TF-IDF vectors of descriptions are reduced.
    min_steps
        Minimum number of training steps; if there are few sets, epochs are added.
    regions_per_step
        Number of regions that are sampled for the loss of each step.
    """

    epochs: PositiveInt = 20
    batch_size: PositiveInt = 48
    learning_rate: PositiveFloat = 2e-3
    rank: PositiveInt = 128
    heads: PositiveInt = 6
    key_dim: PositiveInt = 64
    tfidf_dim: PositiveInt = 256
    min_steps: PositiveInt = 300
    regions_per_step: PositiveInt = 2048


class RetrievalGenerator(NetworkGenerator):
    """A generator that answers a text with what it retrieves from the training sets.

    Parameters
    ----------
    **settings
        Fields of `RetrievalSettings`.

    Attributes
    ----------
    tfidf, minilm, directions
        Encoders of descriptions: see `TextFeatures`.
    frequency
        Mean signal rank of each region, float32 (universe,).
    region_factors
        Factors of the regions, float32 (universe, rank).
    features
        Encoded descriptions of the training sets, float32 (sets, feature_dim).
    set_factors
        Factors of the training sets, float32 (sets, rank).
    ridge
        Coefficients of the ridge regression from text to set factors, float32 (feature_dim, rank).
    """

    settings_class: ClassVar[type[RetrievalSettings]] = RetrievalSettings
    settings: RetrievalSettings
    network: RetrievalNetwork
    fitted: ClassVar[tuple[str, ...]] = (
        *TextFeatures._fields, "frequency", "region_factors", "features", "set_factors", "ridge"
    )  # fmt: skip

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Fit text features, factors and ridge regressions; make the network.

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
        descriptions = atlas.descriptions(rows)
        signal_rank = atlas.presence(rows, signal_rank=True)
        self.frequency = (signal_rank.sum(0) / len(descriptions)).astype(np.float32)
        self.set_factors, self.region_factors = factorize(
            signal_rank, self.frequency, s.rank, seed=s.seed
        )
        text_features = TextFeatures.fit(descriptions, dim=s.tfidf_dim, seed=s.seed)
        self.tfidf, self.minilm, self.directions = text_features
        self.features = text_features.encode(descriptions).numpy()
        self.ridge = ridge_weights(self.features, RIDGE_PENALTY) @ self.set_factors
        self._groups = torch.from_numpy(groups)
        self._out_of_fold = torch.from_numpy(
            ridge_out_of_fold(
                self.features, self.set_factors, groups, penalty=RIDGE_PENALTY, seed=s.seed
            )
        )
        # The loss ignores regions that no training set contains: they teach nothing.
        self._candidates = torch.from_numpy(np.flatnonzero(region_frequency(signal_rank)))
        super().prepare(atlas, rows)

    def _new_retrieval(self) -> TextRetrieval:
        arrays = map(torch.from_numpy, (self.features, self.set_factors, self.ridge))
        return TextRetrieval(*arrays, heads=self.settings.heads, key_dim=self.settings.key_dim)

    def schedule(self, steps: int) -> Schedule:
        """Return a one-cycle schedule of the learning rate."""
        return Schedule(
            steps, self.settings.learning_rate, decay="one-cycle", weight_decay=1e-4, clip_norm=None
        )

    def n_epochs(self, steps_per_epoch: int) -> int:
        """Return the number of passes over the training sets: enough for `min_steps`."""
        return max(self.settings.epochs, -(-self.settings.min_steps // steps_per_epoch))

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Encode words and meaning: (texts, feature_dim)."""
        return TextFeatures(self.tfidf, self.minilm, self.directions).encode(texts)

    def loss(self, batch: Batch) -> Tensor:
        """Compute the binary cross-entropy over a random sample of regions."""
        regions = self._sample_candidates()
        target = contains(region_ids(batch), regions.numpy())
        logits = self._logits(self._retrieve(batch), regions)
        return F.binary_cross_entropy_with_logits(logits, torch.from_numpy(target).to(self.device))

    def _sample_candidates(self) -> Tensor:
        sample = torch.randint(len(self._candidates), (self.settings.regions_per_step,))
        return self._candidates[sample]

    def _retrieve(self, batch: Batch) -> Tensor:
        """Retrieve set factors, (batch, heads, rank); training sets do not read their own group."""
        mask = ridge_factors = None
        if "rows" in batch:
            rows = batch["rows"].cpu()
            mask = (self._groups[rows][:, None] != self._groups).to(self.device)
            ridge_factors = self._out_of_fold[rows].to(self.device)
        retrieved: Tensor = self.network.retrieval(batch["vectors"], mask, ridge_factors)
        return retrieved

    @torch.inference_mode()
    def predict_set_factors(self, texts: Sequence[str]) -> Tensor:
        """Compute the set factors from which regions are scored: (texts, heads, rank)."""
        predicted: Tensor = self.network.retrieval(self.encode(texts).to(self.device))
        return predicted

    @torch.inference_mode()
    def score(self, texts: Sequence[str]) -> Scores:
        """Score every region between 0 and 1; scores are not calibrated probabilities."""
        set_factors = self.predict_set_factors(texts)

        def score(regions: slice) -> Tensor:
            return self._logits(set_factors, regions).sigmoid_()

        return in_chunks(score, len(texts), len(self.universe)).numpy()

    def _logits(self, set_factors: Tensor, regions: slice | Tensor) -> Tensor:
        """Compute log-odds of presence: (batch, heads, rank) -> (batch, regions)."""
        return self.network.logits(set_factors, *self._regions(regions))

    def _regions(self, regions: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Return factors and frequency of some regions, on the device of the network."""
        chosen = regions if isinstance(regions, slice) else regions.cpu()
        factors, frequency = map(torch.from_numpy, (self.region_factors, self.frequency))
        return factors[chosen].to(self.device), frequency[chosen].to(self.device)


def contains(sets: Sequence[NDArray[np.int32]], regions: NDArray[np.int64]) -> Floats:
    """Find out which sets contain which regions.

    Parameters
    ----------
    sets
        Sorted universe ids of each set.
    regions
        Universe ids, in any order.

    Returns
    -------
    NDArray
        float32 (sets, regions), 1 where a set contains a region, else 0.

    Examples
    --------
    >>> contains([np.array([2, 5], np.int32)], np.array([5, 3, 2]))
    array([[1., 0., 1.]], dtype=float32)
    """
    found = np.zeros((len(sets), len(regions)), np.float32)
    for row, ids in zip(found, sets, strict=True):
        if len(ids):
            position = np.searchsorted(ids, regions).clip(max=len(ids) - 1)
            row[:] = ids[position] == regions
    return found


def in_chunks(compute: Callable[[slice], Tensor], texts: int, regions: int) -> Tensor:
    """Compute values of all regions for some texts, a limited number of regions at a time.

    Parameters
    ----------
    compute
        Function of a slice of regions that returns (texts, regions of the slice).
    texts
        Number of texts.
    regions
        Number of all regions.

    Returns
    -------
    Tensor
        float32 (texts, regions), on the CPU.
    """
    values = torch.empty(texts, regions)
    for start in range(0, regions, CHUNK):
        chunk = slice(start, start + CHUNK)
        values[:, chunk] = compute(chunk).cpu()
    return values


def log_odds(frequency: Tensor) -> Tensor:
    """Compute log-odds of frequencies between 0 and 1, bounded at about -7 and 7."""
    return ((frequency + 1e-3) / (1.001 - frequency)).log()
