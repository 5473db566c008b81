"""Splits of region sets into training, validation and test sets, with a reason for each set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from genoglot.atlas.held_out import TEST, TRAIN, UNUSED, VALIDATION, RowIndices, SplitKind, Units
from genoglot.errors import AtlasError
from genoglot.files import atomic_path
from genoglot.permissions import explains_denial


@dataclass(frozen=True, eq=False)
class Split:
    """The assignment of region sets to training, validation and test sets.

    Attributes
    ----------
    name
        Name under which an atlas stores the split.
    subset
        "train", "validation", "test" or "unused" for each region set, shape (n,).
    reason
        Why each region set is in that subset, n texts.
    settings
        Settings that the split was made with: kind, seed, fractions and fold.
    """

    name: str
    subset: NDArray[np.str_]
    reason: list[str]
    settings: dict[str, Any]

    @property
    def train(self) -> RowIndices:
        """Indices of the region sets to train on."""
        return np.flatnonzero(self.subset == TRAIN)

    @property
    def validation(self) -> RowIndices:
        """Indices of the region sets to choose models and thresholds on."""
        return np.flatnonzero(self.subset == VALIDATION)

    @property
    def test(self) -> RowIndices:
        """Indices of the region sets to test on, once."""
        return np.flatnonzero(self.subset == TEST)

    @property
    def unused(self) -> RowIndices:
        """Indices of the region sets in no subset, because they could leak a held-out set."""
        return np.flatnonzero(self.subset == UNUSED)

    def same_as(self, other: Split) -> bool:
        """Return whether another split has the same settings and the same subsets."""
        return self.settings == other.settings and np.array_equal(self.subset, other.subset)

    def write(self, path: Path, ids: pl.Series, atlas_digest: str) -> None:
        """Write the split as a Parquet file with the columns id, subset and reason.

        Parameters
        ----------
        path
            The file; an existing file is replaced.
        ids
            Id of each region set.
        atlas_digest
            Digest of the atlas that the split is for.
        """
        table = pa.table(
            {"id": ids.to_list(), "subset": self.subset.tolist(), "reason": self.reason}
        )
        origin = {"genoglot.atlas": atlas_digest, "genoglot.split": json.dumps(self.settings)}
        with atomic_path(path) as temporary:
            pq.write_table(table.replace_schema_metadata(origin), temporary)

    @classmethod
    @explains_denial
    def read(cls, path: Path, *, atlas_digest: str) -> Split:
        """Read a split of the atlas with a given digest.

        Parameters
        ----------
        path
            The Parquet file.
        atlas_digest
            Digest of the atlas.

        Raises
        ------
        AtlasError
            If the file is damaged, or the split was made for other data.
        """
        try:
            table = pq.read_table(path.absolute())
            origin = table.schema.metadata or {}
            made_for = origin[b"genoglot.atlas"].decode()
            settings = json.loads(origin[b"genoglot.split"])
            subset = np.array(table["subset"].to_pylist(), dtype=np.str_)
            reason = table["reason"].to_pylist()
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise AtlasError(f"{path}: damaged split ({error}); make it again") from None
        if made_for != atlas_digest:
            raise AtlasError(
                f"{path}: made for the atlas {made_for[:12]}, but this one is {atlas_digest[:12]}; "
                "make the split again"
            )
        return cls(path.stem, subset, reason, settings)


def make_split(
    metadata: pl.DataFrame,
    kind: SplitKind,
    *,
    seed: int = 0,
    test: float = 0.1,
    validation: float = 0.1,
    fold: int | None = None,
    folds: int | None = None,
    within: Mapping[str, str] | None = None,
    name: str | None = None,
) -> Split:
    """Split region sets by their metadata. Store the split with `Atlas.add_split`.

    Parameters
    ----------
    metadata
        Metadata of an atlas, with the columns group, biosample, target and assay.
    kind
        ``random``: any sets. ``random-group``: whole experiment groups. ``unseen-combination``:
        the biosample of each held-out set occurs in training and so does its factor (its target,
        or its assay if it has no target), but never both together. ``unseen-biosample``: the
        biosample does not occur in training, but the factor does.
    seed
        Random seed.
    test, validation
        Fraction of the eligible region sets to hold out for each; not exceeded, unless the
        smallest unit is larger.
    fold, folds
        Cross-validation: all units that can be held out are divided into `folds` folds, the same
        for every `fold` (from 0). Fold number `fold` is the test set, and `test` is not used.
    within
        Column -> value: only hold out such region sets, for example ``{"assay": "ATAC-seq"}``.
        Other sets of the same unit are then unused.
    name
        Name of the split; by default its kind, and its fold if there is one.

    Returns
    -------
    Split
        The split.

    Raises
    ------
    AtlasError
        If no such split exists, or a setting is invalid.

    Examples
    --------
    >>> metadata = pl.DataFrame({
    ...     "group": list("abcd"), "assay": ["ChIP-seq"] * 4,
    ...     "biosample": ["A549", "A549", "K562", "K562"],
    ...     "target": ["CTCF", "MAX", "CTCF", "MAX"],
    ... })
    >>> split = make_split(metadata, "unseen-combination", test=0.25, validation=0.0)
    >>> len(split.test), split.reason[split.test[0]].startswith("test: ")
    (1, True)
    """
    _check_settings(kind, len(metadata), test, validation, fold, folds)
    units = Units(metadata, kind, within)
    if fold is not None and folds is not None:
        test_units = units.deal(folds, np.random.default_rng(seed))[fold]
    else:
        test_units = units.draw(test, [], np.random.default_rng([seed, 0]), TEST)
    rng = np.random.default_rng([seed, 1 if fold is None else 2 + fold])
    validation_units = units.draw(validation, test_units, rng, VALIDATION)
    subset, reason = units.assign(test_units, validation_units)
    settings = {
        "kind": kind,
        "seed": seed,
        "test": test if fold is None else None,
        "validation": validation,
        "fold": fold,
        "folds": folds,
        "within": dict(within) if within else None,
    }
    if name is None:
        name = kind if fold is None else f"{kind}-fold-{fold}-of-{folds}"
    return Split(name, subset, reason, settings)


def _check_settings(
    kind: str, n: int, test: float, validation: float, fold: int | None, folds: int | None
) -> None:
    if kind not in get_args(SplitKind):
        kinds = ", ".join(get_args(SplitKind))
        raise AtlasError(f"unknown kind of split {kind!r}; use one of {kinds}")
    if n < 2:
        raise AtlasError(f"too few region sets to split: {n}")
    if not (0 < test < 1 and 0 <= validation < 1 and test + validation < 1):
        raise AtlasError(
            f"test={test}, validation={validation}: give fractions with a sum below 1, and test "
            "above 0"
        )
    if (fold is None) != (folds is None):
        raise AtlasError("give both fold and folds, or neither")
    if fold is not None and folds is not None and not (folds >= 2 and 0 <= fold < folds):
        raise AtlasError(f"fold {fold} of {folds}: folds are numbered from 0 and at least 2")
