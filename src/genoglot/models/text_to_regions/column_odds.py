"""Additive log-odds over columns of the sample sheet: a baseline that does not read the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.atlas import Atlas
from genoglot.errors import ModelError, TextError
from genoglot.models.text_to_regions.baselines import region_frequency
from genoglot.models.text_to_regions.generator import Scores

PRIOR = 1.0  # number of average region sets that are added to those of each label


class ColumnOdds:
    """Log-odds of presence, summed over labels of the sample sheet, without any optimization.

    The log-odds of a region in a set are those of its frequency plus, for each column, the
    difference that the training sets with the same label make: the contributions of a factor and of
    a biosample are added. A model that reads the same labels in the description should not be
    worse.

    Only descriptions of the atlas can be scored, by the labels of their rows. This is a baseline
    for evaluation, which cannot be saved.

    Parameters
    ----------
    atlas
        The region sets and their labels.
    columns
        Columns of its sample sheet, such as "target" and "biosample". "target/assay" means the
        target or, if it is empty, the assay. A label that is empty, or that no training set has,
        contributes nothing.

    Raises
    ------
    ModelError
        If the atlas has no such column.

    Examples
    --------
    >>> import tempfile
    >>> from genoglot.regions import Regions, Universe
    >>> universe = Universe(Regions(["chr1"] * 3, [0, 100, 200], [100, 200, 300]))
    >>> sheet = pl.DataFrame({"id": list("abc"), "group": list("abc"), "target": ["x", "x", "y"],
    ...                       "description": ["x in a", "x in b", "y in a"]})
    >>> atlas = Atlas.from_sets(f"{tempfile.mkdtemp()}/atlas", universe, sheet, [[0, 1], [0], [2]])
    >>> ColumnOdds(atlas, ["target"]).fit([0, 1]).score(["y in a"]).round(2)
    array([[0.83, 0.5 , 0.17]], dtype=float32)
    """

    model_type = "columns"

    def __init__(self, atlas: Atlas, columns: Sequence[str]) -> None:
        self.atlas, self.universe = atlas, atlas.universe
        self.labels = [self._labels(column) for column in columns]

    def _labels(self, column: str) -> NDArray[Any]:
        names = column.split("/")
        if missing := [name for name in names if name not in self.atlas.metadata.columns]:
            known = ", ".join(self.atlas.metadata.columns)
            raise ModelError(
                f"{self.atlas.path}: no column {missing[0]!r} in the sample sheet (it has: {known})"
            )
        texts = (pl.col(name).cast(pl.String).str.strip_chars() for name in names)
        given = [pl.when(text != "").then(text) for text in texts]
        return self.atlas.metadata.select(pl.coalesce(*given, pl.lit(""))).to_series().to_numpy()

    def fit(self, rows: Sequence[int] | NDArray[Any] | None = None) -> Self:
        """Compute the log-odds of all regions and the contribution of each label.

        Parameters
        ----------
        rows
            Indices of the training sets; by default all.

        Returns
        -------
        ColumnOdds
            The model itself, fitted.
        """
        from scipy.special import logit

        chosen = np.arange(len(self.atlas)) if rows is None else np.asarray(rows)
        presence = self.atlas.presence(chosen)
        frequency = region_frequency(presence)
        bound = 0.5 / (len(chosen) + 1)  # no region is impossible or certain
        self.base: Scores = logit(frequency.clip(bound, 1 - bound))
        self.effects: list[dict[str, Scores]] = []
        for labels in self.labels:
            effects = {}
            for label in filter(None, np.unique(labels[chosen])):
                same = presence[np.flatnonzero(labels[chosen] == label)]
                smoothed = (same.sum(0) + PRIOR * frequency) / (same.shape[0] + PRIOR)
                effects[str(label)] = logit(smoothed.clip(bound, 1 - bound)) - self.base
            self.effects.append(effects)
        return self

    def score(self, texts: Sequence[str]) -> Scores:
        """Score every region for descriptions of the atlas.

        If sets with different labels have the same description, its score is the mean of theirs.

        Parameters
        ----------
        texts
            Descriptions of the atlas.

        Returns
        -------
        NDArray
            float32 (texts, universe), between 0 and 1.

        Raises
        ------
        TextError
            If a text is not a description of the atlas.
        """
        rows_of: dict[str, list[int]] = {}
        for row, text in enumerate(self.atlas.descriptions()):
            rows_of.setdefault(text, []).append(row)
        scores = []
        for text in texts:
            if text not in rows_of:
                raise TextError(f"{text!r} describes no region set of {self.atlas.path}")
            distinct = {tuple(labels[row] for labels in self.labels) for row in rows_of[text]}
            scores.append(np.mean([self._score(labels) for labels in sorted(distinct)], axis=0))
        return np.array(scores, np.float32)

    def _score(self, labels: tuple[str, ...]) -> Scores:
        from scipy.special import expit

        given = zip(self.effects, labels, strict=True)
        scores: Scores = expit(self.base + sum(effects.get(label, 0) for effects, label in given))
        return scores
