"""What an annotator says of a region set, and the labels that it knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.atlas.metadata import misses_target
from genoglot.models.regions_to_text.likelihood import Size

FIELDS = ("assay", "target", "biosample")


@dataclass(frozen=True)
class Answer:
    """What an annotator says of one field.

    Attributes
    ----------
    field
        "assay", "target" or "biosample".
    labels
        The most probable labels, best first; "" where there is none, as the target of ATAC-seq.
    probabilities
        Of these labels.
    accepted
        False: none of these.
    """

    field: str
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    accepted: bool


@dataclass(frozen=True)
class Neighbor:
    """A labelled set that a region set resembles; `jaccard` counts regions of the universe."""

    id: str
    description: str
    assay: str
    target: str
    biosample: str
    jaccard: float


@dataclass(frozen=True)
class Annotation:
    """What an annotator says of a region set.

    Attributes
    ----------
    n_tokens
        Regions of the universe that the set overlaps.
    familiar
        False if the set resembles no labelled set: then no answer is accepted.
    answers
        One per field.
    descriptions
        Descriptions of labelled sets, and how well each matches (0 to 1), best first.
    nearest
        Labelled sets, most similar first.
    """

    n_tokens: int
    familiar: bool
    answers: tuple[Answer, ...]
    descriptions: tuple[tuple[str, float], ...]
    nearest: tuple[Neighbor, ...]

    def answer(self, field: str) -> Answer:
        """Return the answer of one field."""
        return next(answer for answer in self.answers if answer.field == field)


class Labels:
    """Assays, targets and biosamples; assay and target together are a factor.

    Parameters
    ----------
    factors
        (factors, 2): distinct pairs of assay and target.
    biosamples
        Distinct biosamples.
    """

    def __init__(self, factors: Sequence[Sequence[str]], biosamples: Sequence[str]) -> None:
        self.factors = [(assay, target) for assay, target in factors]
        self.biosamples = list(biosamples)
        self.size = Size(len(self.factors), len(self.biosamples))
        assays, self._assay = np.unique([a for a, _ in self.factors], return_inverse=True)
        targets, self._target = np.unique([t for _, t in self.factors], return_inverse=True)
        self.names = {"assay": assays.tolist(), "target": targets.tolist()}
        self.names["biosample"] = self.biosamples

    @classmethod
    def of(cls, metadata: pl.DataFrame) -> Self:
        """Take the labels from the metadata of an atlas."""
        table = label_table(metadata)
        factors = table.select("assay", "target").unique().sort("assay", "target").rows()
        return cls(factors, table["biosample"].unique().sort().to_list())

    def codes(self, metadata: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the factor and the biosample of each set; -1 if not known."""
        table = label_table(metadata)
        number = {factor: i for i, factor in enumerate(self.factors)}
        place = {name: i for i, name in enumerate(self.biosamples)}
        pairs = table.select("assay", "target").iter_rows()
        factor = np.array([number.get((a, t), -1) for a, t in pairs], np.int64)
        biosample = np.array([place.get(name, -1) for name in table["biosample"]], np.int64)
        return factor, biosample

    def truth(self, metadata: pl.DataFrame) -> list[dict[str, int]]:
        """Return the numbers of each set's labels, per field as in `names`; -1 if not known."""
        number = {field: {name: i for i, name in enumerate(self.names[field])} for field in FIELDS}
        rows = label_table(metadata).iter_rows(named=True)
        return [{field: number[field].get(row[field], -1) for field in FIELDS} for row in rows]

    def numbers(self, field: str) -> NDArray[np.int64]:
        """Return the number of a field's label (assay or target) for each factor."""
        return self._assay if field == "assay" else self._target


def known_labels(metadata: pl.DataFrame) -> pl.DataFrame:
    """Find which labels of each set are known: a column of true and false per field.

    A label that no set has is known to be none, and so is the target of an assay that has none; a
    label that only this set lacks is not known.

    Examples
    --------
    >>> about = pl.DataFrame({
    ...     "assay": ["ChIP", "ChIP", "ATAC"], "target": ["CTCF", None, None],
    ...     "biosample": [None, "lung", "lung"],
    ... })
    >>> known_labels(about).rows()
    [(True, True, False), (True, False, True), (True, True, True)]
    """
    return pl.DataFrame(
        {
            name: metadata[name].is_not_null() | (metadata[name].null_count() == len(metadata))
            for name in ("assay", "biosample")
        }
    ).select("assay", target=pl.Series(~misses_target(metadata)), biosample="biosample")


def all_known(metadata: pl.DataFrame) -> NDArray[np.bool_]:
    """Find the sets of which every label is known: (sets,) bool."""
    return known_labels(metadata).select(pl.all_horizontal(pl.all())).to_series().to_numpy()


def label_table(metadata: pl.DataFrame) -> pl.DataFrame:
    """Assay, target and biosample of each set; empty where there is none."""
    return metadata.select(pl.col(*FIELDS).cast(pl.String).fill_null(""))
