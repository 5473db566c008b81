"""Splits of an atlas into training, validation and test sets, with the reason for each set.

What is held out is a *unit*: a region set, an experiment group, all sets of a biosample and
factor that occur together, or all sets of a biosample. Units that share an experiment group are
one unit, so that no twin of a held-out set is ever trained on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from genoglot.errors import AtlasError
from genoglot.files import atomic_path
from genoglot.permissions import explains_denial

if TYPE_CHECKING:
    from genoglot.atlas.store import Atlas

Kind = Literal["random", "random-group", "unseen-combination", "unseen-biosample"]
Rows = NDArray[np.int64]
TRAIN, VALIDATION, TEST, UNUSED = PARTS = ("train", "validation", "test", "unused")


@dataclass(frozen=True, eq=False)
class Split:
    """Which region sets to train on, to choose models on and to test on.

    Attributes
    ----------
    name
        Under which it is kept in the atlas.
    part
        (n,) per region set: "train", "validation", "test" or "unused".
    reason
        (n,) per region set: why it is in that part.
    settings
        What it was made with: kind, seed, fractions, fold.
    """

    name: str
    part: NDArray[np.str_]
    reason: list[str]
    settings: dict[str, Any]

    @property
    def train(self) -> Rows:
        """Rows to train on."""
        return np.flatnonzero(self.part == TRAIN)

    @property
    def validation(self) -> Rows:
        """Rows to choose models and thresholds on."""
        return np.flatnonzero(self.part == VALIDATION)

    @property
    def test(self) -> Rows:
        """Rows to test on, once."""
        return np.flatnonzero(self.part == TEST)

    @property
    def unused(self) -> Rows:
        """Rows that would give a held-out set away, or cannot be placed."""
        return np.flatnonzero(self.part == UNUSED)

    def write(self, path: Path, ids: pl.Series, atlas_digest: str) -> None:
        """Write the split as a parquet file of id, part and reason."""
        table = pa.table({"id": ids.to_list(), "part": self.part.tolist(), "reason": self.reason})
        about = {"genoglot.atlas": atlas_digest, "genoglot.split": json.dumps(self.settings)}
        with atomic_path(path) as temporary:
            pq.write_table(table.replace_schema_metadata(about), temporary)

    @classmethod
    @explains_denial
    def read(cls, path: Path, *, atlas_digest: str) -> Split:
        """Read a split of the atlas with this digest.

        Raises
        ------
        AtlasError
            If it is damaged or was made of other data.
        """
        try:
            table = pq.read_table(path.absolute())
            about = table.schema.metadata or {}
            made_of = about[b"genoglot.atlas"].decode()
            settings = json.loads(about[b"genoglot.split"])
            part = np.array(table["part"].to_pylist(), dtype=np.str_)
            reason = table["reason"].to_pylist()
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise AtlasError(f"{path}: damaged split ({error}); make it again") from None
        if made_of != atlas_digest:
            raise AtlasError(
                f"{path}: made of the atlas {made_of[:12]}, but this one is {atlas_digest[:12]}; "
                "make the split again"
            )
        return cls(path.stem, part, reason, settings)


def split(
    atlas: Atlas,
    kind: Kind,
    *,
    seed: int = 0,
    test: float = 0.1,
    validation: float = 0.1,
    fold: int | None = None,
    folds: int | None = None,
    within: Mapping[str, str] | None = None,
    name: str | None = None,
    overwrite: bool = False,
) -> Split:
    """Split an atlas and keep the split in it: see `make_split`.

    Parameters
    ----------
    name
        Name to keep it under; default the kind, and the fold if there is one.
    overwrite
        Replace another split of that name.

    Raises
    ------
    AtlasError
        If no such split can be made, or another one of that name exists.
    """
    if name is None:
        name = kind if fold is None else f"{kind}-fold-{fold}-of-{folds}"
    if not name or name.startswith(".") or "/" in name:
        raise AtlasError(f"{name!r} cannot be the name of a split; use letters, digits and -")
    made = make_split(
        atlas.metadata,
        kind,
        seed=seed,
        test=test,
        validation=validation,
        fold=fold,
        folds=folds,
        within=within,
        name=name,
    )
    if name in atlas.splits() and not overwrite:
        there = atlas.split(name)
        if there.settings == made.settings and np.array_equal(there.part, made.part):
            return there
        raise AtlasError(
            f"{atlas.path}: another split {name!r} is there already; name this one otherwise, "
            "or overwrite it"
        )
    made.write(atlas.path / "splits" / f"{name}.parquet", atlas.metadata["id"], atlas.digest)
    return made


def make_split(
    metadata: pl.DataFrame,
    kind: Kind,
    *,
    seed: int = 0,
    test: float = 0.1,
    validation: float = 0.1,
    fold: int | None = None,
    folds: int | None = None,
    within: Mapping[str, str] | None = None,
    name: str = "split",
) -> Split:
    """Split region sets by their metadata.

    Parameters
    ----------
    metadata
        Of an atlas: columns group, biosample, target and assay.
    kind
        ``random``: any sets. ``random-group``: whole experiment groups. ``unseen-combination``:
        each held-out set's biosample occurs in training and so does its factor (its target, or
        its assay where that has none), but never both together. ``unseen-biosample``: the
        biosample does not occur in training, the factor does.
    seed
        Same seed, same split.
    test, validation
        Fraction of the eligible region sets to hold out for each; not exceeded, except by the
        smallest unit.
    fold, folds
        Cross-validation: the units that can be held out are dealt to `folds` folds, the same for
        every `fold` (from 0); fold number `fold` is the test part, and `test` is not used.
    within
        Column -> value: only such sets are held out, for example ``{"assay": "ATAC-seq"}``.
        Others of the same unit are then unused.

    Raises
    ------
    AtlasError
        If no such split can be made.

    Examples
    --------
    >>> about = pl.DataFrame({
    ...     "group": list("abcd"), "assay": ["ChIP-seq"] * 4,
    ...     "biosample": ["A549", "A549", "K562", "K562"],
    ...     "target": ["CTCF", "MAX", "CTCF", "MAX"],
    ... })
    >>> held = make_split(about, "unseen-combination", test=0.25, validation=0.0)
    >>> len(held.test), held.reason[held.test[0]].startswith("test: ")
    (1, True)
    """
    _check_settings(kind, len(metadata), test, validation, fold, folds)
    candidates = Candidates(metadata, kind, within)
    if fold is not None and folds is not None:
        dealt = candidates.deal(folds, np.random.default_rng(seed))
        test_units = dealt[fold]
    else:
        test_units = candidates.draw(test, [], np.random.default_rng([seed, 0]), TEST)
    rng = np.random.default_rng([seed, 1 if fold is None else 2 + fold])
    validation_units = candidates.draw(validation, test_units, rng, VALIDATION)
    part, reason = candidates.place(test_units, validation_units)
    settings = {
        "kind": kind,
        "seed": seed,
        "test": test if fold is None else None,
        "validation": validation,
        "fold": fold,
        "folds": folds,
        "within": dict(within) if within else None,
    }
    return Split(name, part, reason, settings)


class Candidates:
    """Units that may be held out, and what must stay in training for them to count as fair.

    Parameters
    ----------
    metadata, kind, within
        As in `make_split`.
    """

    def __init__(
        self, metadata: pl.DataFrame, kind: Kind, within: Mapping[str, str] | None
    ) -> None:
        self.kind = kind
        self.biosample = metadata["biosample"].fill_null("").to_list()
        self.factor = (
            metadata.select(pl.coalesce("target", "assay", pl.lit(""))).to_series().to_list()
        )
        self.placeable = self._placeable(metadata)
        self.wanted = self.placeable & _within(metadata, within)
        self.unit = self._units(metadata["group"])
        self.sizes = np.bincount(self.unit[self.wanted], minlength=self.unit.max() + 1)
        self.must_stay = self._must_stay()
        order = np.argsort(self.unit, kind="stable")
        self.members = np.split(order, np.cumsum(np.bincount(self.unit))[:-1])

    def _placeable(self, metadata: pl.DataFrame) -> NDArray[np.bool_]:
        """Tell which sets say enough: one of unknown biosample might be any held-out one's twin."""
        n = len(self.biosample)
        known = np.ones(n, bool)
        if self.kind.startswith("unseen"):
            known &= np.array([bool(name) for name in self.biosample])
        if self.kind == "unseen-combination":
            known &= np.array([bool(name) for name in self.factor])
            known &= ~lost_targets(metadata)
        return known

    def _units(self, group: pl.Series) -> Rows:
        """Give each set the number of its unit, which is held out as a whole."""
        n = len(group)
        if self.kind == "random":
            return np.arange(n)
        groups = _codes([i if name is None else name for i, name in enumerate(group)])
        if self.kind == "random-group":
            return groups
        if self.kind == "unseen-combination":
            together = _codes(list(zip(self.biosample, self.factor, strict=True)))
        else:
            together = _codes(self.biosample)
        return _connected(together, groups, self.placeable)

    def _must_stay(self) -> list[Rows]:
        """Per demand, the value (by number) of each set that training must keep for its sake."""
        demands = {
            "unseen-combination": [self.biosample, self.factor],
            "unseen-biosample": [self.factor],
        }
        return [_codes(values) for values in demands.get(self.kind, [])]

    def draw(
        self, fraction: float, taken: list[int], rng: np.random.Generator, part: str
    ) -> list[int]:
        """Draw units at random until they make up a fraction of the sets."""
        if fraction == 0:
            return []
        training = Training(self, taken)
        target = max(1, round(fraction * int(self.wanted.sum())))
        free = np.setdiff1d(np.flatnonzero(self.sizes), taken)
        order = rng.permutation(free).tolist()
        drawn: list[int] = []
        held = 0
        for u in order:
            if held + self.sizes[u] <= target and training.hold_out(u):
                drawn.append(u)
                held += int(self.sizes[u])
        if not drawn:  # every unit is too large: the smallest that can be spared
            for u in sorted(order, key=lambda u: int(self.sizes[u])):
                if training.hold_out(u):
                    return [u]
            raise AtlasError(self._impossible(part))
        return drawn

    def deal(self, folds: int, rng: np.random.Generator) -> list[list[int]]:
        """Deal units to folds of like size, each unit where training can spare it."""
        dealt: list[list[int]] = [[] for _ in range(folds)]
        training = [Training(self, []) for _ in range(folds)]
        held = np.zeros(folds, np.int64)
        for u in rng.permutation(np.flatnonzero(self.sizes)):
            for k in np.argsort(held, kind="stable"):
                if training[k].hold_out(int(u)):
                    dealt[k].append(int(u))
                    held[k] += self.sizes[u]
                    break
        if not all(dealt):
            n = sum(map(len, dealt))
            raise AtlasError(f"{self._impossible(TEST)} ({n} can be, for {folds} folds)")
        return dealt

    def place(
        self, test_units: list[int], validation_units: list[int]
    ) -> tuple[NDArray[np.str_], list[str]]:
        """Give each set its part and the reason."""
        in_test = np.isin(self.unit, test_units)
        held = in_test | np.isin(self.unit, validation_units)
        part = np.where(held, np.where(in_test, TEST, VALIDATION), TRAIN)
        part[(held & ~self.wanted) | ~self.placeable] = UNUSED
        return part, [self._reason(i, str(part[i])) for i in range(len(part))]

    def _reason(self, i: int, part: str) -> str:
        if not self.placeable[i]:
            return "unused: its biosample or factor is not known, so it might match a held-out set"
        if part == UNUSED:
            return "unused: held out with its unit, but not among the sets that `within` asks for"
        if part == TRAIN:
            return "train: not held out"
        why = {
            "random": "drawn at random",
            "random-group": "its experiment group was drawn at random",
            "unseen-combination": f"{self.biosample[i]} and {self.factor[i]} are trained on, "
            "never together",
            "unseen-biosample": f"{self.biosample[i]} is not trained on, {self.factor[i]} is",
        }
        return f"{part}: {why[self.kind]}"

    def _impossible(self, part: str) -> str:
        return {
            "random": f"too few region sets to hold some out for {part}",
            "random-group": f"too few experiment groups to hold one out for {part}",
            "unseen-combination": "no combination of biosample and factor can be held out for "
            f"{part}: each leaves its biosample or its factor without training data",
            "unseen-biosample": f"no biosample can be held out for {part}: each leaves one of its "
            "factors without training data",
        }[self.kind]


class Training:
    """The training part while units leave it: how many sets of each value are still there.

    Parameters
    ----------
    candidates
        The units and what must stay.
    held
        Units that are out already.
    """

    def __init__(self, candidates: Candidates, held: list[int]) -> None:
        self._candidates = candidates
        self._n = int(candidates.placeable.sum())
        self._counts = [
            np.bincount(v[candidates.placeable], minlength=v.max() + 1)
            for v in candidates.must_stay
        ]
        self._needed = [np.zeros(len(counts), bool) for counts in self._counts]
        for unit in held:
            self._remove(unit)

    def hold_out(self, unit: int) -> bool:
        """Take a unit out, if training then still has all that held-out sets need."""
        members = self._candidates.members[unit]
        if self._n <= len(members):
            return False
        wanted = members[self._candidates.wanted[members]]
        for values, counts, needed in self._demands():
            left = counts - np.bincount(values[members], minlength=len(counts))
            must = needed.copy()
            must[values[wanted]] = True
            if np.any(left[must] < 1):
                return False
        self._remove(unit)
        return True

    def _remove(self, unit: int) -> None:
        members = self._candidates.members[unit]
        wanted = members[self._candidates.wanted[members]]
        self._n -= len(members)
        for values, counts, needed in self._demands():
            np.subtract.at(counts, values[members], 1)
            needed[values[wanted]] = True

    def _demands(self) -> Iterator[tuple[Rows, Rows, NDArray[np.bool_]]]:
        return zip(self._candidates.must_stay, self._counts, self._needed, strict=True)


def lost_targets(metadata: pl.DataFrame) -> NDArray[np.bool_]:
    """Find the sets that lack the target which their assay has in other sets: (sets,) bool.

    ATAC-seq has none, but ChIP-seq without its target may be of any factor.

    Examples
    --------
    >>> about = {"assay": ["ChIP", "ChIP", "ATAC"], "target": ["CTCF", None, None]}
    >>> lost_targets(pl.DataFrame(about))
    array([False,  True, False])
    """
    targeted = metadata.filter(pl.col("target").is_not_null())["assay"].drop_nulls().unique()
    lost = metadata["target"].is_null() & metadata["assay"].is_in(targeted.to_list())
    return lost.fill_null(value=False).to_numpy()


def _codes(values: list[Any]) -> Rows:
    """Replace values by numbers, in order of appearance."""
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int64)


def _connected(a: Rows, b: Rows, rows: NDArray[np.bool_]) -> Rows:
    """Give each set the number of its connected component; `a` and `b` link those in `rows`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_a, n = int(a.max()) + 1, int(a.max() + b.max()) + 2
    links = coo_array((np.ones(int(rows.sum())), (a[rows], n_a + b[rows])), shape=(n, n))
    component = connected_components(links, directed=False)[1]
    numbers: Rows = component[a].astype(np.int64)
    return numbers


def _within(metadata: pl.DataFrame, within: Mapping[str, str] | None) -> NDArray[np.bool_]:
    wanted = np.ones(len(metadata), bool)
    for column, value in (within or {}).items():
        if column not in metadata.columns:
            raise AtlasError(f"within: no column {column!r}; use one of {metadata.columns}")
        wanted &= (metadata[column].cast(pl.String) == str(value)).fill_null(False).to_numpy()
    if not wanted.any():
        raise AtlasError(f"within: no region set has {dict(within or {})}; see the metadata")
    return wanted


def _check_settings(
    kind: str, n: int, test: float, validation: float, fold: int | None, folds: int | None
) -> None:
    if kind not in get_args(Kind):
        raise AtlasError(f"unknown kind of split {kind!r}; use one of {', '.join(get_args(Kind))}")
    if n < 2:
        raise AtlasError(f"too few region sets to split: {n}")
    if not (0 < test < 1 and 0 <= validation < 1 and test + validation < 1):
        raise AtlasError(
            f"test={test}, validation={validation}: give fractions with a sum under 1, test over 0"
        )
    if (fold is None) != (folds is None):
        raise AtlasError("give both fold and folds, or neither")
    if fold is not None and folds is not None and not (folds >= 2 and 0 <= fold < folds):
        raise AtlasError(f"fold {fold} of {folds}: folds are numbered from 0 and at least 2")
