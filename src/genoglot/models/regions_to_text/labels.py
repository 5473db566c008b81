"""`Labels`: the assays, targets and biosamples that region sets are labeled with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.atlas.metadata import misses_target
from genoglot.models.regions_to_text.likelihood import LabelCounts

FIELDS = ("assay", "target", "biosample")


class Labels:
    """All assays, targets and biosamples; an assay and a target together are a factor.

    Parameters
    ----------
    factors
        Distinct pairs of assay and target.
    biosamples
        Distinct biosamples.

    Attributes
    ----------
    counts
        Number of factors and of biosamples.
    names
        Labels of each field, sorted. A label's index here is its number.
    """

    def __init__(self, factors: Sequence[Sequence[str]], biosamples: Sequence[str]) -> None:
        self.factors = [(assay, target) for assay, target in factors]
        self.biosamples = list(biosamples)
        self.counts = LabelCounts(len(self.factors), len(self.biosamples))
        assays, self._assay = np.unique([a for a, _ in self.factors], return_inverse=True)
        targets, self._target = np.unique([t for _, t in self.factors], return_inverse=True)
        self.names = {"assay": assays.tolist(), "target": targets.tolist()}
        self.names["biosample"] = self.biosamples

    @classmethod
    def of(cls, metadata: pl.DataFrame) -> Self:
        """Collect the labels in the metadata of an atlas."""
        table = label_table(metadata)
        factors = table.select("assay", "target").unique().sort("assay", "target").rows()
        return cls(factors, table["biosample"].unique().sort().to_list())

    def numbers(self, metadata: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the number of the factor and of the biosample of each set.

        Returns
        -------
        factor, biosample
            int64 (sets,) each; -1 for a label that is not among these.
        """
        table = label_table(metadata)
        factors = {factor: i for i, factor in enumerate(self.factors)}
        biosamples = {name: i for i, name in enumerate(self.biosamples)}
        pairs = table.select("assay", "target").iter_rows()
        factor = np.array([factors.get((a, t), -1) for a, t in pairs], np.int64)
        biosample = np.array([biosamples.get(name, -1) for name in table["biosample"]], np.int64)
        return factor, biosample

    def truth(self, metadata: pl.DataFrame) -> list[dict[str, int]]:
        """Return the number of each set's label of each field, as in `names`; -1 if not known."""
        number = {field: {name: i for i, name in enumerate(self.names[field])} for field in FIELDS}
        rows = label_table(metadata).iter_rows(named=True)
        return [{field: number[field].get(row[field], -1) for field in FIELDS} for row in rows]

    def of_factors(self, field: str) -> NDArray[np.int64]:
        """Return the number of each factor's label of a field, assay or target: (factors,)."""
        return self._assay if field == "assay" else self._target


def known_labels(metadata: pl.DataFrame) -> pl.DataFrame:
    """Find which labels of each set are known.

    A label that no set has is known to be absent, and so is the target of an assay that has none.
    A label is not known if only this set has none.

    Returns
    -------
    DataFrame
        A boolean column for each field.

    Examples
    --------
    >>> metadata = pl.DataFrame({
    ...     "assay": ["ChIP", "ChIP", "ATAC"], "target": ["CTCF", None, None],
    ...     "biosample": [None, "lung", "lung"],
    ... })
    >>> known_labels(metadata).rows()
    [(True, True, False), (True, False, True), (True, True, True)]
    """
    return pl.DataFrame(
        {
            name: metadata[name].is_not_null() | (metadata[name].null_count() == len(metadata))
            for name in ("assay", "biosample")
        }
    ).select("assay", target=pl.Series(~misses_target(metadata)), biosample="biosample")


def all_known(metadata: pl.DataFrame) -> NDArray[np.bool_]:
    """Find the sets all of whose labels are known: bool (sets,)."""
    return known_labels(metadata).select(pl.all_horizontal(pl.all())).to_series().to_numpy()


def label_table(metadata: pl.DataFrame) -> pl.DataFrame:
    """Return assay, target and biosample of each set; empty strings for missing labels."""
    return metadata.select(pl.col(*FIELDS).cast(pl.String).fill_null(""))
