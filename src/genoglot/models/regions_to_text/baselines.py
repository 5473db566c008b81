"""The baselines beside every annotator: commonest labels, nearest set, ridge read backwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.atlas import Atlas
from genoglot.models.regions_to_text.annotation import (
    FIELDS,
    Annotation,
    Answer,
    Labels,
    label_table,
)
from genoglot.models.regions_to_text.annotator import jaccard_of
from genoglot.models.text_to_regions.baselines import Ridge
from genoglot.regions import Universe

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float32]
Rows = Sequence[int] | NDArray[Any]


class MajorityLabels:
    """The most frequent assay, target and biosample, whatever the region set."""

    kind: ClassVar[str] = "majority"
    universe: Universe
    labels: Labels

    def fit(self, atlas: Atlas, rows: Rows | None = None) -> Self:
        """Count the labels."""
        table = label_table(atlas.metadata if rows is None else atlas.metadata[rows])
        self.universe, self.labels = atlas.universe, Labels.of(table)
        answers = []
        for field in FIELDS:
            counts = table[field].value_counts().sort(["count", field], descending=[True, False])
            label, count = counts.row(0)
            answers.append(Answer(field, (label,), (count / len(table),), accepted=True))
        self._answers = tuple(answers)
        return self

    def annotate(self, ids: ArrayLike) -> Annotation:
        """Give the same answers to every set; a label's probability is its share in training."""
        return Annotation(len(np.asarray(ids)), True, self._answers, (), ())

    def rank(self, sets: Sequence[ArrayLike], texts: Sequence[str]) -> None:
        """Have no opinion on descriptions."""


class NearestSet:
    """The labels of the labelled set with the largest Jaccard index, as sure as can be."""

    kind: ClassVar[str] = "nearest set"
    universe: Universe
    labels: Labels
    presence: csr_array

    def fit(self, atlas: Atlas, rows: Rows | None = None) -> Self:
        """Keep the sets."""
        about = atlas.metadata if rows is None else atlas.metadata[rows]
        self.universe, self.labels = atlas.universe, Labels.of(about)
        self.presence, self._table = atlas.presence(rows), label_table(about)
        return self

    def annotate(self, ids: ArrayLike) -> Annotation:
        """Give the labels of the nearest set, with probability 1."""
        row = self._table.row(self._nearest(ids), named=True)
        answers = tuple(Answer(field, (row[field],), (1.0,), accepted=True) for field in FIELDS)
        return Annotation(len(np.asarray(ids)), True, answers, (), ())

    def rank(self, sets: Sequence[ArrayLike], texts: Sequence[str]) -> None:
        """Have no opinion on descriptions: its own would be first, and never a held-out one."""

    def _nearest(self, ids: ArrayLike) -> int:
        return int(jaccard_of(np.asarray(ids, np.int32), self.presence).argmax())


class RidgeBackwards:
    """The baseline `Ridge`, read from regions to text.

    Ridge regression predicts the regions of any text. A text fits a region set as well as the
    cosine between the set and what is predicted for the text, both less the mean of the training
    sets. The labels are those of the training set whose description fits best, as sure as can be.
    """

    kind: ClassVar[str] = "ridge"
    universe: Universe
    labels: Labels

    def fit(self, atlas: Atlas, rows: Rows | None = None) -> Self:
        """Fit the regression to descriptions and region sets."""
        about = atlas.metadata if rows is None else atlas.metadata[rows]
        self.universe, self.labels = atlas.universe, Labels.of(about)
        self._ridge = Ridge().fit(atlas, rows)
        self._table, self._texts = label_table(about), about["description"].to_list()
        presence, share = self._ridge.presence, self._ridge.share
        self._mean = presence @ share  # (sets,) overlap of each set with the mean set
        self._share_square = float(share @ share)
        gram = (presence @ presence.T).toarray()
        self._gram = gram - self._mean[:, None] - self._mean + self._share_square
        return self

    def annotate(self, ids: ArrayLike) -> Annotation:
        """Give the labels of the training set whose description fits best, with probability 1."""
        row = self._table.row(int(self.rank([ids], self._texts)[0].argmax()), named=True)
        answers = tuple(Answer(field, (row[field],), (1.0,), accepted=True) for field in FIELDS)
        return Annotation(len(np.asarray(ids)), True, answers, (), ())

    def rank(self, sets: Sequence[ArrayLike], texts: Sequence[str]) -> Floats:
        """Tell how well each text fits each set: (sets, texts), up to a factor of each set."""
        weights = self._ridge.weights(texts)
        length = np.sqrt(np.einsum("ti,ij,tj->t", weights, self._gram, weights, optimize=True))
        fits = []
        for ids in sets:
            held = np.zeros(len(self.universe), np.float32)
            held[np.asarray(ids, np.int64)] = 1
            overlap = self._ridge.presence @ held - float(held @ self._ridge.share)
            fits.append(weights @ (overlap - self._mean + self._share_square))
        cosine: Floats = np.array(fits, np.float32) / np.maximum(length, 1e-12)
        return cosine
