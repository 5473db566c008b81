"""Baselines of annotators: most frequent labels, nearest set, ridge regression backwards.

They are refitted for each evaluation and cannot be saved.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.atlas import Atlas
from genoglot.models.regions_to_text.annotation import Annotation, Answer
from genoglot.models.regions_to_text.labels import FIELDS, Labels, label_table
from genoglot.models.regions_to_text.likelihood import Floats
from genoglot.models.regions_to_text.similarity import jaccard_with
from genoglot.models.text_to_regions.baselines import Ridge
from genoglot.models.universe_model import SetRows
from genoglot.regions import Universe

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class AnnotatorBaseline(ABC):
    """A cheap annotator. A subclass implements `_fit` and `_labels`, and may override `rank`.

    Attributes
    ----------
    model_type
        Name in the tables of an evaluation.
    """

    model_type: ClassVar[str]
    universe: Universe
    labels: Labels
    table: pl.DataFrame  # assay, target and biosample of the training sets

    def fit(self, atlas: Atlas, rows: SetRows | None = None) -> Self:
        """Fit to labeled sets, by default all of the atlas."""
        metadata = atlas.metadata if rows is None else atlas.metadata[rows]
        self.universe, self.labels = atlas.universe, Labels.of(metadata)
        self.table = label_table(metadata)
        self._fit(atlas, rows)
        return self

    def annotate(self, ids: ArrayLike) -> Annotation:
        """Predict assay, target and biosample of a set of universe ids; all are accepted."""
        answers = tuple(
            Answer(field, (label,), (p,), accepted=True)
            for field, (label, p) in self._labels(np.asarray(ids, np.int32)).items()
        )
        return Annotation(len(np.asarray(ids)), True, answers, (), ())

    def rank(self, sets: Sequence[ArrayLike], texts: Sequence[str]) -> Floats | None:
        """Compute how well each text describes each set: (sets, texts); None: not predicted."""
        return None

    @abstractmethod
    def _fit(self, atlas: Atlas, rows: SetRows | None) -> None:
        """Fit what the baseline needs besides the labels."""

    @abstractmethod
    def _labels(self, ids: NDArray[np.int32]) -> dict[str, tuple[str, float]]:
        """Predict the label of each field, and its probability."""

    def _labels_of(self, row: int) -> dict[str, tuple[str, float]]:
        """Return the labels of a training set, with probability 1."""
        return {field: (label, 1.0) for field, label in self.table.row(row, named=True).items()}


class MajorityLabels(AnnotatorBaseline):
    """The most frequent assay, target and biosample, whatever the region set.

    The probability of a label is its proportion in the training sets.
    """

    model_type = "majority"

    def _fit(self, atlas: Atlas, rows: SetRows | None) -> None:
        self._majority = {}
        for field in FIELDS:
            counts = self.table[field].value_counts()
            label, count = counts.sort(["count", field], descending=[True, False]).row(0)
            self._majority[field] = (label, count / len(self.table))

    def _labels(self, ids: NDArray[np.int32]) -> dict[str, tuple[str, float]]:
        return self._majority


class NearestSet(AnnotatorBaseline):
    """The labels of the training set with the largest Jaccard index, with probability 1.

    Descriptions are not ranked: the nearest set's own would be first, and never a held-out one.
    """

    model_type = "nearest set"
    presence: csr_array

    def _fit(self, atlas: Atlas, rows: SetRows | None) -> None:
        self.presence = atlas.presence(rows)

    def _labels(self, ids: NDArray[np.int32]) -> dict[str, tuple[str, float]]:
        return self._labels_of(int(jaccard_with(ids, self.presence).argmax()))


class RidgeBackwards(AnnotatorBaseline):
    """The baseline `Ridge` of generators, from regions to text.

    Ridge regression predicts the regions of any text. A text fits a region set as well as the
    cosine between the set and what is predicted for the text, both minus the mean of the training
    sets. The labels are those of the training set whose description fits best, with probability 1.
    """

    model_type = "ridge"

    def _fit(self, atlas: Atlas, rows: SetRows | None) -> None:
        self._ridge = Ridge().fit(atlas, rows)
        self._texts = atlas.descriptions(rows)
        presence, frequency = self._ridge.presence, self._ridge.frequency
        self._overlap = presence @ frequency  # (sets,) of each set with the mean set
        self._square = float(frequency @ frequency)
        gram = (presence @ presence.T).toarray()
        self._gram = gram - self._overlap[:, None] - self._overlap + self._square

    def _labels(self, ids: NDArray[np.int32]) -> dict[str, tuple[str, float]]:
        return self._labels_of(int(self.rank([ids], self._texts)[0].argmax()))

    def rank(self, sets: Sequence[ArrayLike], texts: Sequence[str]) -> Floats:
        """Compute how well each text fits each set: (sets, texts), up to a factor per set."""
        weights = self._ridge.weights(texts)
        length = np.sqrt(np.einsum("ti,ij,tj->t", weights, self._gram, weights, optimize=True))
        fits = []
        for ids in sets:
            present = np.zeros(len(self.universe), np.float32)
            present[np.asarray(ids, np.int64)] = 1
            overlap = self._ridge.presence @ present - float(present @ self._ridge.frequency)
            fits.append(weights @ (overlap - self._overlap + self._square))
        cosine: Floats = np.array(fits, np.float32) / np.maximum(length, 1e-12)
        return cosine
