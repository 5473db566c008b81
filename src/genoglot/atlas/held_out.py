"""Choosing what to hold out, so that a split is fair.

Whole *units* are held out: a region set, an experiment group, all sets of one biosample and one
factor, or all sets of one biosample. Units that have sets of the same experiment group are one
unit, so that no replicate of a held-out set is in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.atlas.metadata import misses_target
from genoglot.errors import AtlasError

SplitKind = Literal["random", "random-group", "unseen-combination", "unseen-biosample"]
RowIndices = NDArray[np.int64]
TRAIN, VALIDATION, TEST, UNUSED = "train", "validation", "test", "unused"

_REASON = {
    "random": "drawn at random",
    "random-group": "its experiment group was drawn at random",
    "unseen-combination": "{biosample} and {factor} are in training, but never together",
    "unseen-biosample": "{biosample} is not in training, but {factor} is",
}
_IMPOSSIBLE = {
    "random": "too few region sets to hold some out for {subset}",
    "random-group": "too few experiment groups to hold one out for {subset}",
    "unseen-combination": "no combination of biosample and factor can be held out for {subset}: "
    "each leaves its biosample or its factor without training data",
    "unseen-biosample": "no biosample can be held out for {subset}: each leaves one of its factors "
    "without training data",
}


class Units:
    """The units of a split, and which of them can be held out.

    Parameters
    ----------
    metadata, kind, within
        As in `make_split`.

    Attributes
    ----------
    eligible
        Region sets that can be in a subset, bool (n,). A set of unknown biosample can be the
        replicate of a held-out set, and is unused in splits by biosample.
    wanted
        Eligible region sets that `within` asks to hold out, bool (n,).
    members
        Region sets of each unit.
    required
        Labels that training must share with held-out sets: for each label (biosample, factor) its
        number for each region set, int64 (n,).
    """

    def __init__(
        self, metadata: pl.DataFrame, kind: SplitKind, within: Mapping[str, str] | None
    ) -> None:
        self._kind = kind
        self._biosample = metadata["biosample"].fill_null("").to_list()
        self._factor = (
            metadata.select(pl.coalesce("target", "assay", pl.lit(""))).to_series().to_list()
        )
        self.eligible = np.ones(len(metadata), bool)
        labels: list[list[str]] = []
        if kind.startswith("unseen"):
            self.eligible &= np.array([bool(name) for name in self._biosample])
            labels = [self._factor]
        if kind == "unseen-combination":
            self.eligible &= np.array([bool(name) for name in self._factor])
            self.eligible &= ~misses_target(metadata)
            labels = [self._biosample, self._factor]
        self.required = [_numbered(label) for label in labels]
        self.wanted = self.eligible & _matches(metadata, within)
        self._unit = self._unit_of_each(metadata["group"])
        self._sizes = np.bincount(self._unit[self.wanted], minlength=self._unit.max() + 1)
        order = np.argsort(self._unit, kind="stable")
        self.members = np.split(order, np.cumsum(np.bincount(self._unit))[:-1])

    def _unit_of_each(self, group: pl.Series) -> RowIndices:
        """Return the number of each region set's unit."""
        if self._kind == "random":
            return np.arange(len(group))
        groups = _numbered([i if name is None else name for i, name in enumerate(group)])
        if self._kind == "random-group":
            return groups
        if self._kind == "unseen-combination":
            together = _numbered(list(zip(self._biosample, self._factor, strict=True)))
        else:
            together = _numbered(self._biosample)
        return _connected(together, groups, self.eligible)

    def draw(
        self, fraction: float, taken: list[int], rng: np.random.Generator, subset: str
    ) -> list[int]:
        """Draw units at random that together hold a fraction of the wanted region sets.

        Parameters
        ----------
        fraction
            Fraction of the wanted region sets, 0 to 1.
        taken
            Units that are held out already.
        rng
            Source of the draw.
        subset
            What the units are for, which an error message names.

        Raises
        ------
        AtlasError
            If no unit can be held out.
        """
        if fraction == 0:
            return []
        training = TrainingSet(self, taken)
        maximum = max(1, round(fraction * int(self.wanted.sum())))
        free = np.setdiff1d(np.flatnonzero(self._sizes), taken)
        order = rng.permutation(free).tolist()
        drawn: list[int] = []
        size = 0
        for unit in order:
            if size + self._sizes[unit] <= maximum and training.hold_out(unit):
                drawn.append(unit)
                size += int(self._sizes[unit])
        if drawn:
            return drawn
        # Every unit is larger than the maximum: take the smallest one that training can spare.
        for unit in sorted(order, key=lambda unit: int(self._sizes[unit])):
            if training.hold_out(unit):
                return [unit]
        raise AtlasError(_IMPOSSIBLE[self._kind].format(subset=subset))

    def deal(self, folds: int, rng: np.random.Generator) -> list[list[int]]:
        """Divide the units into folds of similar size, each into a fold that can spare it.

        Raises
        ------
        AtlasError
            If a fold remains empty.
        """
        dealt: list[list[int]] = [[] for _ in range(folds)]
        training = [TrainingSet(self, []) for _ in range(folds)]
        sizes = np.zeros(folds, np.int64)
        for unit in rng.permutation(np.flatnonzero(self._sizes)).tolist():
            for k in np.argsort(sizes, kind="stable"):
                if training[k].hold_out(unit):
                    dealt[k].append(unit)
                    sizes[k] += self._sizes[unit]
                    break
        if not all(dealt):
            problem = _IMPOSSIBLE[self._kind].format(subset=TEST)
            raise AtlasError(f"{problem} ({sum(map(len, dealt))} can be, for {folds} folds)")
        return dealt

    def assign(
        self, test_units: list[int], validation_units: list[int]
    ) -> tuple[NDArray[np.str_], list[str]]:
        """Return the subset of each region set, str (n,), and the reasons."""
        in_test = np.isin(self._unit, test_units)
        held_out = in_test | np.isin(self._unit, validation_units)
        subset = np.where(held_out, np.where(in_test, TEST, VALIDATION), TRAIN)
        subset[(held_out & ~self.wanted) | ~self.eligible] = UNUSED
        return subset, [self._reason(i, str(name)) for i, name in enumerate(subset)]

    def _reason(self, i: int, subset: str) -> str:
        if not self.eligible[i]:
            return "unused: its biosample or factor is not known, so it may match a held-out set"
        if subset == UNUSED:
            return "unused: held out with its unit, but not among the sets that `within` asks for"
        if subset == TRAIN:
            return "train: not held out"
        why = _REASON[self._kind].format(biosample=self._biosample[i], factor=self._factor[i])
        return f"{subset}: {why}"


class TrainingSet:
    """The training set while units are removed from it: the number of sets left for each label.

    Parameters
    ----------
    units
        All units.
    held_out
        Units that are removed already.
    """

    def __init__(self, units: Units, held_out: list[int]) -> None:
        self._units = units
        self._n = int(units.eligible.sum())
        self._counts = [
            np.bincount(numbers[units.eligible], minlength=numbers.max() + 1)
            for numbers in units.required
        ]
        self._needed = [np.zeros(len(counts), bool) for counts in self._counts]
        for unit in held_out:
            self._remove(unit)

    def hold_out(self, unit: int) -> bool:
        """Remove a unit if the training set then still has all labels of the held-out sets."""
        members = self._units.members[unit]
        if self._n <= len(members):
            return False
        wanted = members[self._units.wanted[members]]
        for numbers, counts, needed in self._labels():
            left = counts - np.bincount(numbers[members], minlength=len(counts))
            if np.any(left[needed] < 1) or np.any(left[numbers[wanted]] < 1):
                return False
        self._remove(unit)
        return True

    def _remove(self, unit: int) -> None:
        members = self._units.members[unit]
        self._n -= len(members)
        for numbers, counts, needed in self._labels():
            np.subtract.at(counts, numbers[members], 1)
            needed[numbers[members[self._units.wanted[members]]]] = True

    def _labels(self) -> list[tuple[RowIndices, RowIndices, NDArray[np.bool_]]]:
        return list(zip(self._units.required, self._counts, self._needed, strict=True))


def _numbered(values: list[Any]) -> RowIndices:
    """Replace values by numbers, in the order in which the values first appear."""
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return np.array([numbers[value] for value in values], np.int64)


def _connected(a: RowIndices, b: RowIndices, linked: NDArray[np.bool_]) -> RowIndices:
    """Return the connected component of each set; sets in `linked` connect their `a` and `b`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_a, n = int(a.max()) + 1, int(a.max() + b.max()) + 2
    links = coo_array((np.ones(int(linked.sum())), (a[linked], n_a + b[linked])), shape=(n, n))
    component = connected_components(links, directed=False)[1]
    return np.asarray(component[a], np.int64)


def _matches(metadata: pl.DataFrame, within: Mapping[str, str] | None) -> NDArray[np.bool_]:
    wanted = np.ones(len(metadata), bool)
    for column, value in (within or {}).items():
        if column not in metadata.columns:
            raise AtlasError(f"within: no column {column!r}; use one of {metadata.columns}")
        wanted &= (metadata[column].cast(pl.String) == str(value)).fill_null(False).to_numpy()
    if not wanted.any():
        raise AtlasError(f"within: no region set has {dict(within or {})}; see the metadata")
    return wanted
