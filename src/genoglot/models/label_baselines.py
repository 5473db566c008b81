"""The two baselines beside every annotator: the commonest labels, and those of the nearest set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.atlas import Atlas
from genoglot.models.annotation import FIELDS, Annotation, Answer, Labels, label_table
from genoglot.models.annotator import jaccard_of
from genoglot.regions import Universe
from genoglot.text import MiniLM

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
        self._descriptions: pl.Series = about["description"]
        return self

    def annotate(self, ids: ArrayLike) -> Annotation:
        """Give the labels of the nearest set, with probability 1."""
        row = self._table.row(self._nearest(ids), named=True)
        answers = tuple(Answer(field, (row[field],), (1.0,), accepted=True) for field in FIELDS)
        return Annotation(len(np.asarray(ids)), True, answers, (), ())

    def rank(self, sets: Sequence[ArrayLike], texts: Sequence[str]) -> Floats:
        """Cosine (MiniLM) of each text to the description of the nearest set: (sets, texts)."""
        nearest = [self._descriptions[self._nearest(ids)] for ids in sets]
        encoder = MiniLM()
        cosine: Floats = encoder.encode(nearest) @ encoder.encode(texts).T
        return cosine

    def _nearest(self, ids: ArrayLike) -> int:
        return int(jaccard_of(np.asarray(ids, np.int32), self.presence).argmax())
