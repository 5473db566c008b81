"""The three baselines that every generator is shown beside: cheap, closed-form, hard to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from genoglot.atlas import Atlas
from genoglot.models.text_to_regions.generator import Generator, Scores
from genoglot.models.universe_model import SetRows
from genoglot.pretrained import Pretrained
from genoglot.saved import Arrays, Saved
from genoglot.settings import Settings
from genoglot.text import MiniLM, TextEncoder, Tfidf, TfidfMiniLM
from genoglot.text.encoder import check_texts

if TYPE_CHECKING:
    from scipy.sparse import csr_array

TEXT = "text_encoder"
MAX_WORDS = 5000
PENALTIES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # to choose from
SAMPLED_REGIONS = 4096  # to choose a penalty on
FOLDS = 10  # regressions in which a training set is left out, once each


class Popularity(Generator):
    """The universe's most frequently present regions, whatever the text."""

    model_type = "popularity"

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Count how often each region is present."""
        self.universe = atlas.universe
        self.frequency = popularity(atlas.presence(rows))

    def score(self, texts: Sequence[str]) -> Scores:
        """Score each region by the share of training sets that hold it."""
        return np.repeat(self.frequency[None], len(check_texts(texts)), axis=0)

    def _arrays(self) -> Arrays:
        return {"frequency": self.frequency}

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        self = super()._load(saved)
        self.frequency = saved.arrays["frequency"]
        return self


class _Remembering(Generator):
    """A generator that keeps the training sets and weighs them by their descriptions."""

    signal_rank = False  # whether presence is the signal rank of peaks, not 0 and 1
    presence: csr_array  # (sets, universe)
    frequency: NDArray[np.float32]  # (universe,), mean presence of each region
    encoder: TextEncoder
    vectors: NDArray[np.float32]  # (sets, dim), what the encoder makes of the descriptions

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Keep the sets and encode their descriptions."""
        self.universe = atlas.universe
        self.presence = atlas.presence(rows, signal_rank=self.signal_rank)
        self.frequency = (self.presence.sum(0) / max(self.presence.shape[0], 1)).astype(np.float32)
        descriptions = atlas.descriptions(rows)
        self.encoder = self._new_encoder(descriptions)
        self.vectors = self.encoder.encode(descriptions)

    def _new_encoder(self, descriptions: list[str]) -> TextEncoder:
        raise TypeError(f"{type(self).__name__} names no text encoder")

    def _parts(self) -> dict[str, Pretrained]:
        return {TEXT: self.encoder}

    def _arrays(self) -> Arrays:
        values = {"values": self.presence.data.astype(np.float32)} if self.signal_rank else {}
        return {
            "indices": self.presence.indices.astype(np.int32),
            "indptr": self.presence.indptr.astype(np.int64),
            "frequency": self.frequency,
            "vectors": self.vectors,
            **values,
        }

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        from scipy.sparse import csr_array

        self, arrays = super()._load(saved), saved.arrays
        self.frequency, self.vectors = arrays["frequency"], arrays["vectors"]
        values = arrays.get("values", np.ones(len(arrays["indices"]), np.float32))
        shape = (len(arrays["indptr"]) - 1, len(self.frequency))
        self.presence = csr_array((values, arrays["indices"], arrays["indptr"]), shape=shape)
        self.encoder = TextEncoder.from_pretrained(saved.folder / TEXT)
        return self


class Nearest(_Remembering):
    """The training set whose description is most similar (MiniLM, cosine); then popularity."""

    model_type = "nearest"

    def _new_encoder(self, descriptions: list[str]) -> TextEncoder:
        return MiniLM()

    def score(self, texts: Sequence[str]) -> Scores:
        """Score the nearest set's regions 0.5 and more, all others less, each by popularity."""
        nearest = (self.encoder.encode(texts) @ self.vectors.T).argmax(1)
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
        Choose the penalty by cross-validation over the experiments of the training sets, by
        squared error, and ignore `penalty`.
    signal_rank
        Learn the signal ranks of peaks (0 to 1), not only which regions are present.
    text
        What is read of a description: its words ("tfidf"), or words and meaning ("tfidf+minilm").
    """

    penalty: PositiveFloat = 1.0
    choose_penalty: bool = False
    signal_rank: bool = False
    text: Literal["tfidf", "tfidf+minilm"] = "tfidf"


class Ridge(_Remembering):
    """Ridge regression from the description's vector to the presence vector.

    Solved in closed form, with popularity as the mean: no network that can't beat it has a reason
    to be. The coefficients (words x universe) are never built: a text weighs the training sets.

    The defaults read presence and words alone. `direct`, `text2bed`, `diffusion` and `seq2regions`
    also read the signal ranks of peaks and MiniLM; the fair comparison with them is a ridge of
    equal inputs: ``Ridge(signal_rank=True, text="tfidf+minilm", choose_penalty=True)``.

    Parameters
    ----------
    **settings
        Fields of `RidgeSettings`.

    Attributes
    ----------
    penalty
        The penalty used: that of the settings, or the chosen one.
    """

    model_type = "ridge"
    settings_class = RidgeSettings
    settings: RidgeSettings

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.penalty: float = self.settings.penalty
        self.signal_rank = self.settings.signal_rank

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Remember the sets, encode their descriptions and choose the penalty."""
        super().prepare(atlas, rows)
        if self.settings.choose_penalty:
            groups = atlas.metadata["group"].to_numpy()
            self.penalty = self._best_penalty(groups if rows is None else groups[np.asarray(rows)])

    def _best_penalty(self, groups: NDArray[Any]) -> float:
        """Return the penalty with the least squared error on experiments left out in turn."""
        some = np.flatnonzero(self.frequency)
        some = some[:: -(-len(some) // SAMPLED_REGIONS) or 1]
        truth = self.presence[:, some].toarray()
        group = np.unique(groups, return_inverse=True)[1]
        errors = []
        for penalty in PENALTIES:
            predicted = ridge_left_out(self.vectors, truth, group, penalty=penalty, seed=0)
            errors.append(float(((predicted - truth) ** 2).sum()))
        return PENALTIES[int(np.argmin(errors))]

    def _new_encoder(self, descriptions: list[str]) -> TextEncoder:
        if self.settings.text == TfidfMiniLM.model_type:
            return TfidfMiniLM.fit(descriptions, max_words=MAX_WORDS)
        return Tfidf(max_words=MAX_WORDS).fit(descriptions)

    def score(self, texts: Sequence[str]) -> Scores:
        """Score each region by its predicted presence, or signal rank, cut to 0 and 1."""
        weights = self.weights(texts)
        predicted = (self.presence.T @ weights.T).T  # (texts, universe)
        predicted += np.outer(1 - weights.sum(1), self.frequency)
        scores: Scores = np.asarray(predicted.clip(0, 1), np.float32, order="C")
        return scores

    def weights(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """How much each training set counts for each text: (texts, sets) float32."""
        if not hasattr(self, "_solved"):
            self._solved = ridge_weights(self.vectors, self.penalty)
        weights: NDArray[np.float32] = self.encoder.encode(texts) @ self._solved
        return weights

    def _metadata(self) -> dict[str, Any]:
        return {**super()._metadata(), "penalty": self.penalty}

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        self = super()._load(saved)
        self.penalty = saved.config["penalty"]
        return self


def popularity(presence: csr_array) -> NDArray[np.float32]:
    """Share of the sets that hold each region: (universe,) float32."""
    sets, universe = presence.shape
    counts = np.bincount(presence.indices, minlength=universe).astype(np.float32)
    return counts / np.float32(max(sets, 1))


def ridge_weights(vectors: NDArray[np.float32], penalty: float) -> NDArray[np.float32]:
    """Ridge regression as weights: `x @ weights` says how much each training example counts.

    Parameters
    ----------
    vectors
        (examples, dim).
    penalty
        Weight of the squared coefficients.

    Returns
    -------
    (dim, examples) float32: the transpose of X (X'X + penalty I)^-1, solved on the smaller side.
    """
    x = vectors.astype(np.float64)
    examples, dim = x.shape
    if examples <= dim:
        solved = x.T @ np.linalg.inv(x @ x.T + penalty * np.eye(examples))
    else:
        solved = np.linalg.solve(x.T @ x + penalty * np.eye(dim), x.T)
    return solved.astype(np.float32)


def ridge_left_out(
    vectors: NDArray[np.float32],
    values: NDArray[np.float32],
    groups: NDArray[np.int64],
    *,
    penalty: float,
    seed: int,
) -> NDArray[np.float32]:
    """Values of each training set as predicted by a ridge regression without its group.

    Parameters
    ----------
    vectors, values
        (sets, dim) and (sets, outputs).
    groups
        (sets,) numbers from 0: sets of one experiment share one.
    penalty
        Weight of the squared coefficients.
    seed
        Seed of the assignment of groups to folds.

    Returns
    -------
    (sets, outputs) float32.
    """
    number = int(groups.max()) + 1
    folds = min(FOLDS, number)
    fold = (np.random.default_rng(seed).permutation(number) % folds)[groups]
    predicted = np.zeros_like(values)
    for k in range(folds):
        kept = fold != k
        if kept.any():
            # The mean is that of the kept sets too: that of all would tell of the others.
            mean = values[kept].mean(0)
            weights = ridge_weights(vectors[kept], penalty)
            predicted[~kept] = mean + (vectors[~kept] @ weights) @ (values[kept] - mean)
    return predicted
