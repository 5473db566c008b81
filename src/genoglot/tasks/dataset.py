"""`TaskData`: the examples of a benchmark task on disk, which are read when they are indexed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.files import ContentDigest, read_manifest, write_manifest
from genoglot.models.dna.target import NUCLEOTIDES, TaskTarget
from genoglot.permissions import explains_denial
from genoglot.tasks.lazy_array import LazyArray, RowIndices

FORMAT = 2
METADATA, CODES, LABELS = "dataset.json", "codes.npy", "labels.npy"
ALTERNATIVE, EXAMPLES, LEAKAGE = "alternative.npy", "examples.parquet", "leakage.parquet"

LENGTH = "length"
"""Column of the examples: length of each in bp, where they are padded with N to one length."""

Subset = Literal["train", "validation", "test"]
"""A part of the data: what a model learns from, is chosen by, and is tested on."""

SUBSETS = ("train", "validation", "test")
CLASSES = ("multi-class", NUCLEOTIDES)
"""Targets whose outputs are classes."""

LEAVE_OUT = "leave-out:"
"""`leave-out:NAME` is a split that every task with groups has, without a column of its own."""

Floats = NDArray[np.float32]


def holds_bits(target: TaskTarget) -> bool:
    """Whether labels are stored as bits, eight to a byte."""
    return target in ("binary", "multi-label")


class Examples(NamedTuple):
    """Some examples of a dataset, such as those of a subset; arrays are read when indexed.

    Attributes
    ----------
    codes
        DNA, A C G T N = 0 1 2 3 4, uint8 (n, length).
    labels
        float32 (n, outputs), NaN where a label is missing; for multi-class, class numbers (n, 1);
        for nucleotide-classes those of the nucleotides in the middle of each sequence, int8
        (n, positions), -1 where one is missing.
    alternative
        In tasks about variants, `codes` with the other allele, uint8 (n, length); otherwise None.
    shortest
        Length of the shortest sequence in bp, before it was padded with N.
    """

    codes: LazyArray
    labels: LazyArray
    alternative: LazyArray | None
    shortest: int

    @property
    def inputs(self) -> LazyArray | tuple[LazyArray, LazyArray]:
        """Codes, or codes and those with the other allele: the input of a baseline."""
        return self.codes if self.alternative is None else (self.codes, self.alternative)


@dataclass(frozen=True, eq=False)
class TaskData:
    """A benchmark task on disk; written by `Task.build`, opened by `TaskData.open`.

    Attributes
    ----------
    path
        The directory; all other attributes are in its `dataset.json`.
    task
        Name of the task, a key of `TASKS`.
    name
        Name of the dataset: the task's, or that of one dataset of a family, such as tf/0.
    target
        What the labels are.
    outputs
        Names of the label's columns (tracks, tissues), or of the classes.
    output_groups
        Group of each output, such as its assay; empty if the groups are unknown.
    metrics
        Names of the task's metrics; the first one is the main one.
    length
        Length of the sequences in bp.
    paired
        Whether there are sequences with the other allele of a variant.
    n_examples
        Number of examples.
    default_split
        The split that is used if none is named.
    split_rules
        The rule of each split, in words. `leave-out:GROUP` is possible too.
    split_sizes
        For each split, the number of examples of each subset.
    sources
        File name and SHA-256 of each file that the task was built from.
    genome
        Digest of the genome, if there was one.
    notes
        Facts such as the number of rows that were left out.
    leakage
        For each split that was searched for duplicates, what was found: see `find_leakage`.
    digest
        SHA-256 of the content.
    """

    path: Path
    task: str
    name: str
    target: TaskTarget
    outputs: list[str]
    output_groups: list[str]
    metrics: list[str]
    length: int
    paired: bool
    n_examples: int
    default_split: str
    split_rules: dict[str, str]
    sources: list[dict[str, str]]
    genome: str | None
    notes: dict[str, Any]
    split_sizes: dict[str, dict[str, int]] = field(default_factory=dict)
    leakage: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    digest: str = ""

    @classmethod
    @explains_denial
    def open(cls, folder: str | Path) -> TaskData:
        """Open the directory that a task was built in.

        Raises
        ------
        TaskError
            If it is not such a directory, is of another format, or its files do not fit together.
        """
        folder = Path(folder)
        file, advice = folder / METADATA, "build it again"
        metadata = read_manifest(file, "task data", FORMAT, advice=advice, error=TaskError)
        del metadata["format"]
        try:
            data = cls(folder, **metadata)
        except TypeError as error:
            raise TaskError(f"{file}: damaged ({error}); {advice}") from None
        expected = [(CODES, (len(data), data.length)), (LABELS, (len(data),))]
        expected += [(ALTERNATIVE, (len(data), data.length))] if data.paired else []
        for name, shape in expected:
            found = data._array(name).shape
            if found[: len(shape)] != shape:
                raise TaskError(
                    f"{folder / name}: has shape {found}, but {METADATA} says {shape}; "
                    "build it again"
                )
        return data

    def save(self) -> None:
        """Write the attributes into `dataset.json`."""
        metadata = {"format": FORMAT, **asdict(self)}
        del metadata["path"]
        write_manifest(self.path / METADATA, metadata)

    def __len__(self) -> int:
        return self.n_examples

    def __repr__(self) -> str:
        return f"TaskData({self.name!r}, {len(self):,} examples of {self.length} bp)"

    @property
    def splits(self) -> list[str]:
        """Names of the splits; `leave-out:GROUP` is possible too."""
        return list(self.split_rules)

    @property
    def context(self) -> int:
        """Number of bp at both ends of a sequence that are context of nucleotides with labels."""
        return self.length - self.labels.shape[1] if self.target == NUCLEOTIDES else 0

    @property
    def codes(self) -> LazyArray:
        """All sequences, uint8 (n, length)."""
        return LazyArray(self._array(CODES))

    @property
    def alternative(self) -> LazyArray | None:
        """All sequences with the other allele, if the task is about variants."""
        return LazyArray(self._array(ALTERNATIVE)) if self.paired else None

    @property
    def labels(self) -> LazyArray:
        """All labels: see `Examples`."""
        return self._labels(None)

    @cached_property
    def examples(self) -> pl.DataFrame:
        """One row per example: id, chrom, start, end, strand, group, `split:NAME`, ..."""
        return _read_table(self.path / EXAMPLES)

    @cached_property
    def groups(self) -> list[str]:
        """Distinct groups (elements, tissues, chromosomes, ...), sorted; empty without any."""
        found = pl.scan_parquet(self.path / EXAMPLES, glob=False).select(pl.col("group").unique())
        return sorted(found.collect()["group"].drop_nulls().to_list())

    def assignment(self, split: str | None = None) -> NDArray[np.int8]:
        """Return the subset of each example.

        Parameters
        ----------
        split
            One of `splits`, by default `default_split`; or `leave-out:GROUP`, which tests on one
            group, validates on the next one and trains on all others.

        Returns
        -------
        NDArray
            Index in `SUBSETS`, -1 for none, int8 (n,).

        Raises
        ------
        TaskError
            If there is no such split.
        """
        split = split or self.default_split
        column, subset_of = f"split:{split}", dict(zip(SUBSETS, range(3), strict=True))
        default = -1
        if split not in self.splits:
            column, default = "group", 0
            group, groups = split.removeprefix(LEAVE_OUT), self.groups
            if not split.startswith(LEAVE_OUT) or group not in groups:
                known = ", ".join([*self.splits, *(LEAVE_OUT + name for name in groups[:3])])
                raise TaskError(f"{self.path}: no split {split!r}; it has {known}")
            if len(groups) < 3:
                raise TaskError(f"{self.path}: {len(groups)} groups are too few to leave one out")
            subset_of = {group: 2, groups[(groups.index(group) + 1) % len(groups)]: 1}
        found = self._column(column).replace_strict(
            subset_of, default=default, return_dtype=pl.Int8
        )
        return found.to_numpy()

    def rows(self, split: str | None, subset: str) -> RowIndices:
        """Return the sorted indices of the examples of a subset, int64 (m,).

        Raises
        ------
        TaskError
            If there is no such split or subset.
        """
        if subset not in SUBSETS:
            raise TaskError(f"no subset {subset!r}; choose one of {', '.join(SUBSETS)}")
        return np.flatnonzero(self.assignment(split) == SUBSETS.index(subset))

    def subset(self, split: str | None, subset: str) -> Examples:
        """Return the examples of a subset; they are read when indexed.

        Parameters
        ----------
        split
            As in `assignment`.
        subset
            train, validation or test.
        """
        return self.take(self.rows(split, subset))

    def take(self, rows: RowIndices) -> Examples:
        """Return the examples with these indices, int64 (m,); they are read when indexed."""
        other = LazyArray(self._array(ALTERNATIVE), rows) if self.paired else None
        shortest = self.length
        if LENGTH in pl.read_parquet_schema(self.path / EXAMPLES):
            shortest = int(self._column(LENGTH).to_numpy()[rows].min(initial=self.length))
        return Examples(LazyArray(self._array(CODES), rows), self._labels(rows), other, shortest)

    def leaked(self, split: str | None, subset: str, *, near: bool = False) -> NDArray[np.bool_]:
        """Find the examples of a subset that have a duplicate in the subsets before it.

        Parameters
        ----------
        split, subset
            As in `subset`; the build must have searched the split for duplicates.
        near
            Count near duplicates too, not only exact ones (on either strand).

        Returns
        -------
        NDArray
            bool (m,), in the order of `rows`.

        Raises
        ------
        TaskError
            If the split was not searched for duplicates.
        """
        split = split or self.default_split
        if split not in self.leakage:
            raise TaskError(f"{self.path}: split {split!r} was not searched for duplicates")
        pairs = _read_table(self.path / LEAKAGE).filter(
            pl.col("split") == split, pl.col("subset") == subset
        )
        pairs = pairs if near else pairs.filter(pl.col("kind") != "near")
        return np.isin(self.rows(split, subset), pairs["row"].to_numpy())

    def balance(self, split: str | None = None) -> list[dict[str, Any]]:
        """Count the examples and the labels of each subset.

        Returns
        -------
        list of dict
            For each subset: subset, examples, missing (proportion of labels that are missing), and
            classes (number of examples, or nucleotides, of each class, in order), positive
            (proportion of the known binary labels, over all outputs), or mean and sd (of the known
            values).
        """
        assignment = self.assignment(split)
        found: list[dict[str, Any]] = []
        for i, name in enumerate(SUBSETS):
            rows = np.flatnonzero(assignment == i)
            classes = np.zeros(len(self.outputs), np.int64)
            sums = np.zeros(4)  # labels, known labels, their sum and the sum of their squares
            for block in self._labels(rows).blocks():
                known = block >= 0 if self.target == NUCLEOTIDES else ~np.isnan(block)
                values = block[known].astype(np.float64)
                sums += block.size, len(values), values.sum(), (values**2).sum()
                if self.target in CLASSES:
                    classes += np.bincount(values.astype(np.int64), minlength=len(classes))
            count, n_known, *moments = sums.tolist()
            mean, square = (x / n_known if n_known else float("nan") for x in moments)
            row = {"subset": name, "examples": len(rows)}
            row["missing"] = 1 - n_known / count if count else 0.0
            if self.target in CLASSES:
                row["classes"] = classes.tolist()
            elif self.target == "regression":
                row |= {"mean": mean, "sd": max(square - mean**2, 0.0) ** 0.5}
            else:
                row["positive"] = mean
            found.append(row)
        return found

    def verify(self) -> None:
        """Read everything and compare it with the digest.

        Raises
        ------
        TaskError
            If the content has changed since it was built.
        """
        digests = {}
        for name in (CODES, LABELS, ALTERNATIVE) if self.paired else (CODES, LABELS):
            digest = ContentDigest()
            for block in LazyArray(self._array(name)).blocks():
                digest.add(block)
            digests[name] = digest.hexdigest()
        digest = ContentDigest()
        for frame in self.examples.iter_slices(1 << 17):
            digest.add(canonical(frame))
        digests[EXAMPLES] = digest.hexdigest()
        if self.content_digest(digests) != self.digest:
            raise TaskError(f"{self.path}: the content is not what was built; build it again")

    def content_digest(self, digests: dict[str, str]) -> str:
        """Return the SHA-256 of the names in a dataset, and of the digests of its files."""
        names = [self.task, self.name, self.target, self.outputs, self.output_groups]
        content = ContentDigest()
        content.add([FORMAT, *names, self.length, len(self), self.splits, sorted(digests.items())])
        return content.hexdigest()

    def _column(self, name: str) -> pl.Series:
        return _read_table(self.path / EXAMPLES, [name])[name]

    def _labels(self, rows: RowIndices | None) -> LazyArray:
        bits = len(self.outputs) if holds_bits(self.target) else None
        return LazyArray(self._array(LABELS), rows, bits)

    def _array(self, name: str) -> NDArray[Any]:
        return _read_array(self.path / name)


@explains_denial
def _read_array(file: Path) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise TaskError(f"{file}: cannot be read ({error})") from None
    return found


@explains_denial
def _read_table(file: Path, columns: list[str] | None = None) -> pl.DataFrame:
    return pl.read_parquet(file, columns=columns, glob=False)


def canonical(examples: pl.DataFrame) -> bytes:
    """Write a table of examples as bytes that do not depend on any library's version."""
    return examples.write_csv(include_header=False).encode()
