"""The three baselines that every generator is shown beside: cheap, closed-form, hard to beat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models.text_to_regions.generator import Arrays, Generator, Scores
from genoglot.text import MiniLM, TextEncoder, Tfidf, TfidfMiniLM, load_text_encoder
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

    kind = "popularity"

    def fit(self, atlas: Atlas, rows: Sequence[int] | NDArray[Any] | None = None) -> Self:
        """Count how often each region is present."""
        self.universe = atlas.universe
        self.share = popularity(atlas.presence(rows))
        return self

    def score(self, texts: Sequence[str]) -> Scores:
        """Score each region by the share of training sets that hold it."""
        return np.repeat(self.share[None], len(check_texts(texts)), axis=0)

    def _settings(self) -> dict[str, Any]:
        return {}

    def _save(self, folder: Path) -> Arrays:
        return {"share": self.share}

    @classmethod
    def _load(cls, folder: Path, settings: dict[str, Any], arrays: Arrays) -> Self:
        self = cls()
        self.share = arrays["share"]
        return self


class _Remembering(Generator):
    """A generator that keeps the training sets and weighs them by their descriptions."""

    signal_rank = False  # whether presence is the signal rank of peaks, not 0 and 1
    presence: csr_array  # (sets, universe)
    share: NDArray[np.float32]  # (universe,)
    encoder: TextEncoder
    vectors: NDArray[np.float32]  # (sets, dim), what the encoder makes of the descriptions

    def fit(self, atlas: Atlas, rows: Sequence[int] | NDArray[Any] | None = None) -> Self:
        """Keep the sets and encode their descriptions."""
        self.universe = atlas.universe
        self.presence = atlas.presence(rows, signal_rank=self.signal_rank)
        self.share = (self.presence.sum(0) / max(self.presence.shape[0], 1)).astype(np.float32)
        descriptions = atlas.descriptions(rows)
        self.encoder = self._new_encoder(descriptions)
        self.vectors = self.encoder.encode(descriptions)
        return self

    def _new_encoder(self, descriptions: list[str]) -> TextEncoder:
        raise TypeError(f"{type(self).__name__} names no text encoder")

    def _settings(self) -> dict[str, Any]:
        return {}

    def _save(self, folder: Path) -> Arrays:
        self.encoder.save(folder / TEXT)
        values = {"values": self.presence.data.astype(np.float32)} if self.signal_rank else {}
        return {
            "indices": self.presence.indices.astype(np.int32),
            "indptr": self.presence.indptr.astype(np.int64),
            "share": self.share,
            "vectors": self.vectors,
            **values,
        }

    @classmethod
    def _load(cls, folder: Path, settings: dict[str, Any], arrays: Arrays) -> Self:
        from scipy.sparse import csr_array

        self = cls(**settings)
        self.share, self.vectors = arrays["share"], arrays["vectors"]
        values = arrays.get("values", np.ones(len(arrays["indices"]), np.float32))
        shape = (len(arrays["indptr"]) - 1, len(self.share))
        self.presence = csr_array((values, arrays["indices"], arrays["indptr"]), shape=shape)
        self.encoder = load_text_encoder(folder / TEXT)
        return self


class Nearest(_Remembering):
    """The training set whose description is most similar (MiniLM, cosine); then popularity."""

    kind = "nearest"

    def _new_encoder(self, descriptions: list[str]) -> TextEncoder:
        return MiniLM()

    def score(self, texts: Sequence[str]) -> Scores:
        """Score the nearest set's regions 0.5 and more, all others less, each by popularity."""
        nearest = (self.encoder.encode(texts) @ self.vectors.T).argmax(1)
        scores: Scores = 0.5 * np.repeat(self.share[None], len(nearest), axis=0)
        for row, chosen in zip(scores, nearest, strict=True):
            row[self.presence.indices[slice(*self.presence.indptr[chosen : chosen + 2])]] += 0.5
        return scores


class Ridge(_Remembering):
    """Ridge regression from the description's vector to the presence vector.

    Solved in closed form, with popularity as the mean: no network that can't beat it has a reason
    to be. The coefficients (words x universe) are never built: a text weighs the training sets.

    The defaults read presence and words alone. `direct`, `text2bed`, `diffusion` and `seq2regions`
    also read the signal rank of peaks and MiniLM; the fair comparison with them is a ridge of equal
    inputs: ``Ridge(signal_rank=True, text="tfidf+minilm", choose_penalty=True)``.

    Parameters
    ----------
    penalty
        Weight of the squared coefficients.
    choose_penalty
        Choose the penalty by cross-validation over the experiments of the training sets, by
        squared error, and ignore `penalty`.
    signal_rank
        Learn how strong peaks are (0 to 1), not only which regions are present.
    text
        What is read of a description: its words ("tfidf"), or words and meaning ("tfidf+minilm").

    Raises
    ------
    ModelError
        If `text` is neither.
    """

    kind = "ridge"

    def __init__(
        self,
        *,
        penalty: float = 1.0,
        choose_penalty: bool = False,
        signal_rank: bool = False,
        text: str = "tfidf",
    ) -> None:
        if text not in (Tfidf.kind, TfidfMiniLM.kind):
            raise ModelError(f"ridge: text {text!r}; use {Tfidf.kind} or {TfidfMiniLM.kind}")
        self.penalty, self.choose_penalty = penalty, choose_penalty
        self.signal_rank, self.text = signal_rank, text

    def fit(self, atlas: Atlas, rows: Sequence[int] | NDArray[Any] | None = None) -> Self:
        """Remember the sets, encode their descriptions and choose the penalty."""
        super().fit(atlas, rows)
        if self.choose_penalty:
            groups = atlas.metadata["group"].to_numpy()
            self.penalty = self._best_penalty(groups if rows is None else groups[np.asarray(rows)])
        return self

    def _best_penalty(self, groups: NDArray[Any]) -> float:
        """Return the penalty with the least squared error on experiments left out in turn."""
        some = np.flatnonzero(self.share)
        some = some[:: -(-len(some) // SAMPLED_REGIONS) or 1]
        truth = self.presence[:, some].toarray()
        group = np.unique(groups, return_inverse=True)[1]
        errors = []
        for penalty in PENALTIES:
            predicted = ridge_left_out(self.vectors, truth, group, penalty=penalty, seed=0)
            errors.append(float(((predicted - truth) ** 2).sum()))
        return PENALTIES[int(np.argmin(errors))]

    def _new_encoder(self, descriptions: list[str]) -> TextEncoder:
        if self.text == TfidfMiniLM.kind:
            return TfidfMiniLM.fit(descriptions, max_words=MAX_WORDS)
        return Tfidf(max_words=MAX_WORDS).fit(descriptions)

    def score(self, texts: Sequence[str]) -> Scores:
        """Score each region by its predicted presence, or signal rank, cut to 0 and 1."""
        weights = self.weights(texts)
        predicted = (self.presence.T @ weights.T).T  # (texts, universe)
        predicted += np.outer(1 - weights.sum(1), self.share)
        scores: Scores = np.asarray(predicted.clip(0, 1), np.float32, order="C")
        return scores

    def weights(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """How much each training set counts for each text: (texts, sets) float32."""
        if not hasattr(self, "_solved"):
            self._solved = ridge_weights(self.vectors, self.penalty)
        weights: NDArray[np.float32] = self.encoder.encode(texts) @ self._solved
        return weights

    def _settings(self) -> dict[str, Any]:
        return {
            "penalty": self.penalty,
            "choose_penalty": self.choose_penalty,
            "signal_rank": self.signal_rank,
            "text": self.text,
        }


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
