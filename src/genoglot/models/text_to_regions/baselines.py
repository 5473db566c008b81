"""Three baselines, which every generator is compared with: cheap, closed-form, hard to beat."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from genoglot.atlas import Atlas
from genoglot.models.text_to_regions.generator import Generator, Scores
from genoglot.models.text_to_regions.text_features import MAX_WORDS
from genoglot.models.universe_model import SetRows
from genoglot.saved import Arrays, Saved
from genoglot.settings import Settings
from genoglot.text import MiniLM, TextEncoder, Tfidf, TfidfMiniLM
from genoglot.text.encoder import check_texts

if TYPE_CHECKING:
    from scipy.sparse import csr_array

PENALTIES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # candidates of cross-validation
MAX_REGIONS = 4096  # regions on which a penalty is chosen
FOLDS = 10  # maximum number of folds of cross-validation


class Popularity(Generator):
    """The regions that most training sets contain, whatever the text."""

    model_type = "popularity"
    fitted = ("frequency",)
    frequency: NDArray[np.float32]  # (universe,)

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Compute the frequency of each region."""
        super().prepare(atlas, rows)
        self.frequency = region_frequency(atlas.presence(rows))

    def score(self, texts: Sequence[str]) -> Scores:
        """Score each region by the fraction of training sets that contain it."""
        return np.repeat(self.frequency[None], len(check_texts(texts)), axis=0)


class _StoredSets(Generator):
    """A generator that stores the training sets and weighs them by their descriptions."""

    fitted: ClassVar[tuple[str, ...]] = ("frequency", "vectors", "text_encoder")
    signal_rank = False  # whether presence is the signal rank of peaks instead of 0 or 1
    presence: csr_array  # (sets, universe)
    frequency: NDArray[np.float32]  # (universe,), mean presence of each region
    text_encoder: TextEncoder
    vectors: NDArray[np.float32]  # (sets, dim), encoded descriptions

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Store the training sets and encode their descriptions."""
        super().prepare(atlas, rows)
        self.presence = atlas.presence(rows, signal_rank=self.signal_rank)
        self.frequency = (self.presence.sum(0) / max(self.presence.shape[0], 1)).astype(np.float32)
        descriptions = atlas.descriptions(rows)
        self.text_encoder = self._new_encoder(descriptions)
        self.vectors = self.text_encoder.encode(descriptions)

    def _new_encoder(self, descriptions: list[str]) -> TextEncoder:
        raise NotImplementedError

    def _arrays(self) -> Arrays:
        values = {"values": self.presence.data.astype(np.float32)} if self.signal_rank else {}
        return {
            **super()._arrays(),
            "indices": self.presence.indices.astype(np.int32),
            "indptr": self.presence.indptr.astype(np.int64),
            **values,
        }

    def _restore(self, saved: Saved) -> None:
        from scipy.sparse import csr_array

        super()._restore(saved)
        indices, indptr = saved.arrays["indices"], saved.arrays["indptr"]
        values = saved.arrays.get("values", np.ones(len(indices), np.float32))
        shape = (len(indptr) - 1, len(self.frequency))
        self.presence = csr_array((values, indices, indptr), shape=shape)


class Nearest(_StoredSets):
    """The training set with the most similar description (cosine of MiniLM), then popularity."""

    model_type = "nearest"

    def _new_encoder(self, descriptions: list[str]) -> TextEncoder:
        return MiniLM()

    def score(self, texts: Sequence[str]) -> Scores:
        """Score regions of the nearest set 0.5 to 1 and others 0 to 0.5, each by its frequency."""
        nearest = (self.text_encoder.encode(texts) @ self.vectors.T).argmax(1)
        scores: Scores = 0.5 * np.repeat(self.frequency[None], len(nearest), axis=0)
        for row, chosen in zip(scores, nearest, strict=True):
            row[self.presence.indices[slice(*self.presence.indptr[chosen : chosen + 2])]] += 0.5
        return scores


class RidgeSettings(Settings):
    """Settings of a `Ridge`.

    Attributes
    ----------
    penalty
        Weight of the squared coefficients.
    choose_penalty
        Choose the penalty by the squared error in a cross-validation over the experiments of the
        training sets, and ignore `penalty`.
    signal_rank
        Learn the signal ranks of peaks (0 to 1) instead of presence (0 or 1).
    text
        Encoder of descriptions: words ("tfidf"), or words and meaning ("tfidf+minilm").
    """

    penalty: PositiveFloat = 1.0
    choose_penalty: bool = False
    signal_rank: bool = False
    text: Literal["tfidf", "tfidf+minilm"] = "tfidf"


class Ridge(_StoredSets):
    """Ridge regression from the vector of a description to presence in the universe.

    It is solved in closed form, with the frequency of each region as the mean. A network that is
    not better has no purpose. The coefficients (words x universe) are never computed: a text gives
    a weight to each training set.

    By default it reads presence and words only. `direct`, `text2bed`, `diffusion` and `seq2regions`
    also read the signal ranks of peaks and MiniLM; compare them with a ridge regression of equal
    inputs: ``Ridge(signal_rank=True, text="tfidf+minilm", choose_penalty=True)``.

    Parameters
    ----------
    **settings
        Fields of `RidgeSettings`.

    Attributes
    ----------
    penalty
        Penalty of the regression: that of the settings, or the chosen one.
    """

    model_type = "ridge"
    settings_class = RidgeSettings
    settings: RidgeSettings
    fitted = (*_StoredSets.fitted, "penalty")

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.penalty: float = self.settings.penalty
        self.signal_rank = self.settings.signal_rank

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Store the training sets, encode their descriptions and choose the penalty."""
        super().prepare(atlas, rows)
        self.__dict__.pop("_solution", None)
        if self.settings.choose_penalty:
            groups = atlas.metadata["group"].to_numpy()
            self.penalty = self._best_penalty(groups if rows is None else groups[np.asarray(rows)])

    def _best_penalty(self, groups: NDArray[Any]) -> float:
        """Return the penalty with the least squared error on experiments that are left out."""
        some = np.flatnonzero(self.frequency)
        some = some[:: -(-len(some) // MAX_REGIONS) or 1]
        presence = self.presence[:, some].toarray()
        group = np.unique(groups, return_inverse=True)[1]

        def error(penalty: float) -> float:
            predicted = ridge_out_of_fold(self.vectors, presence, group, penalty=penalty, seed=0)
            return float(((predicted - presence) ** 2).sum())

        return min(PENALTIES, key=error)

    def _new_encoder(self, descriptions: list[str]) -> TextEncoder:
        if self.settings.text == TfidfMiniLM.model_type:
            return TfidfMiniLM.fit(descriptions, max_words=MAX_WORDS)
        return Tfidf(max_words=MAX_WORDS).fit(descriptions)

    def score(self, texts: Sequence[str]) -> Scores:
        """Score each region by its predicted presence or signal rank, clipped to 0 and 1."""
        weights = self.weights(texts)
        predicted = (self.presence.T @ weights.T).T  # (texts, universe)
        predicted += np.outer(1 - weights.sum(1), self.frequency)
        scores: Scores = np.asarray(predicted.clip(0, 1), np.float32, order="C")
        return scores

    @cached_property
    def _solution(self) -> NDArray[np.float32]:
        return ridge_weights(self.vectors, self.penalty)

    def weights(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Compute the weight of each training set for each text, float32 (texts, sets)."""
        weights: NDArray[np.float32] = self.text_encoder.encode(texts) @ self._solution
        return weights


def region_frequency(presence: csr_array) -> NDArray[np.float32]:
    """Compute the fraction of region sets that contain each region.

    Parameters
    ----------
    presence
        Sparse matrix (sets, universe), in which any stored value means presence.

    Returns
    -------
    NDArray
        float32 (universe,).
    """
    sets, universe = presence.shape
    counts = np.bincount(presence.indices, minlength=universe).astype(np.float32)
    return counts / np.float32(max(sets, 1))


def ridge_weights(vectors: NDArray[np.float32], penalty: float) -> NDArray[np.float32]:
    """Solve a ridge regression: `x @ weights` is the weight of each training example for `x`.

    Parameters
    ----------
    vectors
        Inputs of the training examples, float32 (examples, dim).
    penalty
        Weight of the squared coefficients.

    Returns
    -------
    NDArray
        float32 (dim, examples): (X'X + penalty I)^-1 X', solved on the smaller side.
    """
    x = vectors.astype(np.float64)
    examples, dim = x.shape
    if examples <= dim:
        solution = x.T @ np.linalg.inv(x @ x.T + penalty * np.eye(examples))
    else:
        solution = np.linalg.solve(x.T @ x + penalty * np.eye(dim), x.T)
    return solution.astype(np.float32)


def ridge_out_of_fold(
    vectors: NDArray[np.float32],
    values: NDArray[np.float32],
    groups: NDArray[np.int64],
    *,
    penalty: float,
    seed: int,
) -> NDArray[np.float32]:
    """Predict the values of each training set by a ridge regression without its group.

    Parameters
    ----------
    vectors
        Inputs, float32 (sets, dim).
    values
        Outputs, float32 (sets, outputs).
    groups
        Number of each set's group, int64 (sets,), from 0: sets of an experiment have the same one.
    penalty
        Weight of the squared coefficients.
    seed
        Seed of the assignment of groups to folds.

    Returns
    -------
    NDArray
        float32 (sets, outputs).
    """
    n_groups = int(groups.max()) + 1
    folds = min(FOLDS, n_groups)
    fold = (np.random.default_rng(seed).permutation(n_groups) % folds)[groups]
    predicted = np.zeros_like(values)
    for k in range(folds):
        train = fold != k
        if train.any():
            # The mean is that of the training sets too: that of all sets would leak the others.
            mean = values[train].mean(0)
            weights = ridge_weights(vectors[train], penalty)
            predicted[~train] = mean + (vectors[~train] @ weights) @ (values[train] - mean)
    return predicted
