"""The three baselines that every generator is shown beside: cheap, closed-form, hard to beat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from genoglot.atlas import Atlas
from genoglot.models.generator import Arrays, Generator, Scores
from genoglot.text import MiniLM, TextEncoder, Tfidf, load_text_encoder
from genoglot.text.encoder import check_texts

if TYPE_CHECKING:
    from scipy.sparse import csr_array

TEXT = "text_encoder"


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

    presence: csr_array  # (sets, universe)
    share: NDArray[np.float32]  # (universe,)
    encoder: TextEncoder
    vectors: NDArray[np.float32]  # (sets, dim), what the encoder makes of the descriptions

    def fit(self, atlas: Atlas, rows: Sequence[int] | NDArray[Any] | None = None) -> Self:
        """Keep the sets and encode their descriptions."""
        self.universe = atlas.universe
        self.presence = atlas.presence(rows)
        self.share = popularity(self.presence)
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
        return {
            "indices": self.presence.indices.astype(np.int32),
            "indptr": self.presence.indptr.astype(np.int64),
            "share": self.share,
            "vectors": self.vectors,
        }

    @classmethod
    def _load(cls, folder: Path, settings: dict[str, Any], arrays: Arrays) -> Self:
        from scipy.sparse import csr_array

        self = cls(**settings)
        self.share, self.vectors = arrays["share"], arrays["vectors"]
        ones = np.ones(len(arrays["indices"]), np.float32)
        shape = (len(arrays["indptr"]) - 1, len(self.share))
        self.presence = csr_array((ones, arrays["indices"], arrays["indptr"]), shape=shape)
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
    """Ridge regression from the description's TF-IDF vector to the presence vector.

    Solved in closed form, with popularity as the mean: no network that can't beat it has a reason
    to be. The coefficients (words x universe) are never built: a text weighs the training sets.

    Parameters
    ----------
    penalty
        Weight of the squared coefficients.
    """

    kind = "ridge"

    def __init__(self, *, penalty: float = 1.0) -> None:
        self.penalty = penalty

    def _new_encoder(self, descriptions: list[str]) -> TextEncoder:
        return Tfidf(max_words=5000).fit(descriptions)

    def score(self, texts: Sequence[str]) -> Scores:
        """Score each region by its predicted presence, cut to 0 and 1."""
        weights = self.encoder.encode(texts) @ self._coefficients()  # (texts, sets)
        predicted = (self.presence.T @ weights.T).T  # (texts, universe)
        predicted += np.outer(1 - weights.sum(1), self.share)
        scores: Scores = np.asarray(predicted.clip(0, 1), np.float32, order="C")
        return scores

    def _coefficients(self) -> NDArray[np.float32]:
        """Weights from text vectors to training sets, (dim, sets), solved on first use."""
        if not hasattr(self, "_solved"):
            self._solved = ridge_weights(self.vectors, self.penalty)
        return self._solved

    def _settings(self) -> dict[str, Any]:
        return {"penalty": self.penalty}


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
