"""`TaskData`: the examples of a benchmark task on disk, read by rows, never as a whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import TaskError
from genoglot.models.dna.target import Target
from genoglot.permissions import explains_denial

FORMAT = 2
METADATA, CODES, LABELS = "dataset.json", "codes.npy", "labels.npy"
ALTERNATIVE, EXAMPLES, LEAKAGE = "alternative.npy", "examples.parquet", "leakage.parquet"

LENGTH = "length"
"""Column of the examples: bases of each, where they were filled up with N to one length."""

SUBSETS = ("train", "validation", "test")
LEAVE_OUT = "leave-out:"
"""`leave-out:NAME` is a split that every task with groups has, without a column of its own."""

Subset = Literal["train", "validation", "test"]
"""A part of the data: what a model learns from, is chosen by, and is tested on."""

RowIndices = NDArray[np.int64]
"""Indices of examples."""

Floats = NDArray[np.float32]

_BLOCK = 1 << 26  # bytes read at a time where a whole array has to be gone through


class LazyArray:
    """Some rows of an array on disk, in a given order; only what is indexed is read.

    Parameters
    ----------
    array
        (n, ...) memory-mapped.
    rows
        Which rows, int64 (m,); by default all.
    outputs
        If given, the array holds bits, eight to a byte, of so many columns: they are read as 0
        and 1, float32.

    Examples
    --------
    >>> rows = LazyArray(np.arange(12).reshape(4, 3), np.array([3, 0]))
    >>> rows.shape, rows[1].tolist(), rows[:1].tolist()
    ((2, 3), [0, 1, 2], [[9, 10, 11]])
    """

    def __init__(
        self, array: NDArray[Any], rows: RowIndices | None = None, outputs: int | None = None
    ) -> None:
        self._array, self._rows, self._outputs = array, rows, outputs
        width = array.shape[1:] if outputs is None else (outputs,)
        self.shape = (len(array) if rows is None else len(rows), *width)
        self.dtype = array.dtype if outputs is None else np.dtype(np.float32)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: int | slice | ArrayLike) -> NDArray[Any]:
        index = index if isinstance(index, int | slice) else np.asarray(index)
        found = np.asarray(self._array[index if self._rows is None else self._rows[index]])
        if self._outputs is None:
            return found
        return np.unpackbits(found, axis=-1, count=self._outputs).astype(np.float32)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        found = self[:]
        return found if dtype is None else found.astype(dtype, copy=False)

    def blocks(self, size: int | None = None) -> Iterator[NDArray[Any]]:
        """Go through all rows, so many (by default some 64 MB) at a time."""
        row = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        step = size or max(_BLOCK // max(row, 1), 1)
        for i in range(0, len(self), step):
            yield self[i : i + step]


class Examples(NamedTuple):
    """Some examples of a dataset, such as those of a subset: DNA and labels, read when indexed.

    Attributes
    ----------
    codes
        A C G T N = 0 1 2 3 4, uint8 (n, length).
    labels
        float32 (n, outputs), NaN where there is none; for multi-class, class numbers (n, 1).
    alternative
        Of tasks about variants, `codes` with the other allele, uint8 (n, length); else None.
    shortest
        Bases of the shortest sequence, before it was filled up with N to the others' length.
    """

    codes: LazyArray
    labels: LazyArray
    alternative: LazyArray | None
    shortest: int

    @property
    def inputs(self) -> LazyArray | tuple[LazyArray, LazyArray]:
        """Codes, or codes and those with the other allele: what a baseline takes."""
        return self.codes if self.alternative is None else (self.codes, self.alternative)


class TaskData:
    """A benchmark task on disk; made by a task's builder, opened by `TaskData.open`.

    Attributes
    ----------
    path
        The directory.
    metadata
        Content of `dataset.json`.
    """

    def __init__(self, path: Path, metadata: dict[str, Any]) -> None:
        self.path, self.metadata = path, metadata

    @classmethod
    @explains_denial
    def open(cls, folder: str | Path) -> TaskData:
        """Open what a builder wrote.

        Raises
        ------
        TaskError
            If it is no such directory, of another version, or files do not fit together.
        """
        folder = Path(folder)
        try:
            metadata = json.loads((folder / METADATA).read_text("utf-8"))
        except (OSError, ValueError):
            raise TaskError(f"{folder}: no task data (no readable {METADATA}); build it") from None
        if metadata.get("format") != FORMAT:
            raise TaskError(
                f"{folder}: task data of format {metadata.get('format')}, this version reads "
                f"{FORMAT}; build it again"
            )
        data = cls(folder, metadata)
        wanted = [(CODES, (len(data), data.length)), (LABELS, (len(data),))]
        wanted += [(ALTERNATIVE, (len(data), data.length))] if metadata["paired"] else []
        for name, shape in wanted:
            found = data._array(name).shape
            if found[: len(shape)] != shape:
                raise TaskError(
                    f"{folder / name}: has shape {found}, but {METADATA} tells of {shape}; "
                    "build it again"
                )
        return data

    def __len__(self) -> int:
        return int(self.metadata["examples"])

    def __repr__(self) -> str:
        return f"TaskData({self.name!r}, {len(self):,} examples of {self.length} bp)"

    @property
    def task(self) -> str:
        """Name of the task, a key of `TASKS`."""
        return str(self.metadata["task"])

    @property
    def name(self) -> str:
        """Name of the dataset: the task's, or one of its family's, such as tf/0."""
        return str(self.metadata["name"])

    @property
    def target(self) -> Target:
        """What the labels are."""
        target: Target = self.metadata["target"]
        return target

    @property
    def outputs(self) -> list[str]:
        """Names of the label's columns: tracks, tissues, or (for multi-class) the classes."""
        return list(self.metadata["outputs"])

    @property
    def output_groups(self) -> list[str]:
        """Of each output, what it belongs to, such as its assay; empty if nothing is known."""
        return list(self.metadata["output_groups"])

    @property
    def length(self) -> int:
        """Of the sequences, bp."""
        return int(self.metadata["length"])

    @property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return str(self.metadata["digest"])

    @property
    def default_split(self) -> str:
        """The split that is used where none is named."""
        return str(self.metadata["default_split"])

    @property
    def splits(self) -> list[str]:
        """Names of the splits; `leave-out:GROUP` is possible beside them."""
        return list(self.metadata["splits"])

    @property
    def codes(self) -> LazyArray:
        """All sequences, uint8 (n, length)."""
        return LazyArray(self._array(CODES))

    @property
    def alternative(self) -> LazyArray | None:
        """All sequences with the other allele, if the task is about variants."""
        return LazyArray(self._array(ALTERNATIVE)) if self.metadata["paired"] else None

    @property
    def labels(self) -> LazyArray:
        """All labels, float32 (n, outputs), for multi-class (n, 1)."""
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
        """Find the subset of each example: its index in `SUBSETS`, -1 for none, int8 (n,).

        Parameters
        ----------
        split
            One of `splits`, by default `default_split`; or `leave-out:GROUP`, which tests on one
            group, validates on the next one and trains on all others.

        Raises
        ------
        TaskError
            If there is no such split.
        """
        split = split or self.default_split
        if split in self.splits:
            column = self._column(f"split:{split}")
            return column.replace_strict(
                SUBSETS, [0, 1, 2], default=-1, return_dtype=pl.Int8
            ).to_numpy()
        group = split.removeprefix(LEAVE_OUT)
        if not split.startswith(LEAVE_OUT) or group not in self.groups:
            known = ", ".join([*self.splits, *(LEAVE_OUT + name for name in self.groups[:3])])
            raise TaskError(f"{self.path}: no split {split!r}; it has {known}")
        if len(self.groups) < 3:
            raise TaskError(f"{self.path}: {len(self.groups)} groups are too few to leave one out")
        after = self.groups[(self.groups.index(group) + 1) % len(self.groups)]
        part = self._column("group").replace_strict(
            [group, after], [2, 1], default=0, return_dtype=pl.Int8
        )
        return part.to_numpy()

    def rows(self, split: str | None, subset: str) -> RowIndices:
        """Rows of the examples of a subset, int64 (m,), sorted.

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
        """Take some examples, int64 (m,) row numbers, which are read when indexed."""
        other = self._array(ALTERNATIVE) if self.metadata["paired"] else None
        return Examples(
            LazyArray(self._array(CODES), rows),
            self._labels(rows),
            None if other is None else LazyArray(other, rows),
            self._shortest(rows),
        )

    def leaked(self, split: str | None, subset: str, *, near: bool = False) -> NDArray[np.bool_]:
        """Find the examples of a subset that have a duplicate in the subsets before it, bool (m,).

        Parameters
        ----------
        split, subset
            As in `subset`, in its order; the split must be one whose leakage was looked for.
        near
            Count near duplicates too, not only exact ones (of either strand).

        Raises
        ------
        TaskError
            If nobody has looked for duplicates in this split.
        """
        split = split or self.default_split
        if split not in self.metadata["leakage"]:
            raise TaskError(f"{self.path}: split {split!r} was not searched for duplicates")
        pairs = _read_table(self.path / LEAKAGE).filter(
            pl.col("split") == split, pl.col("subset") == subset
        )
        kept = pairs if near else pairs.filter(pl.col("kind") != "near")
        return np.isin(self.rows(split, subset), kept["row"].to_numpy())

    def balance(self, split: str | None = None) -> list[dict[str, Any]]:
        """Count the examples and the labels of each subset.

        Returns
        -------
        One row per subset: subset, examples, and `positive` (share of the known binary labels, over
        all outputs), `classes` (count of each class, in order) or `mean` and `sd` (of the known
        real labels); `missing` is the share of labels that are not known.
        """
        assignment = self.assignment(split)
        found: list[dict[str, Any]] = []
        for i, name in enumerate(SUBSETS):
            rows = np.flatnonzero(assignment == i)
            classes = np.zeros(len(self.outputs), np.int64)
            count, known, total, squares = 0, 0, 0.0, 0.0
            for block in self._labels(rows).blocks():
                there = ~np.isnan(block)
                values = block[there].astype(np.float64)
                count, known = count + block.size, known + len(values)
                total, squares = total + values.sum(), squares + (values**2).sum()
                if self.target == "multi-class":
                    classes += np.bincount(values.astype(np.int64), minlength=len(classes))
            mean = float(total) / known if known else float("nan")
            row: dict[str, Any] = {"subset": name, "examples": len(rows)}
            row["missing"] = 1 - known / count if count else 0.0
            if self.target == "multi-class":
                row["classes"] = classes.tolist()
            elif self.target in ("binary", "multi-label"):
                row["positive"] = mean
            else:
                variance = float(squares) / known - mean**2 if known else float("nan")
                row |= {"mean": mean, "sd": max(variance, 0.0) ** 0.5}
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
        for name in (CODES, LABELS, ALTERNATIVE) if self.metadata["paired"] else (CODES, LABELS):
            digest = hashlib.sha256()
            for block in LazyArray(self._array(name)).blocks():
                digest.update(np.ascontiguousarray(block).tobytes())
            digests[name] = digest.hexdigest()
        digest = hashlib.sha256()
        for frame in self.examples.iter_slices(1 << 17):
            digest.update(canonical(frame))
        digests[EXAMPLES] = digest.hexdigest()
        if content_digest(self.metadata, digests) != self.digest:
            raise TaskError(f"{self.path}: the content is not what was built; build it again")

    def _shortest(self, rows: RowIndices) -> int:
        if LENGTH not in pl.read_parquet_schema(self.path / EXAMPLES):
            return self.length
        return int(self._column(LENGTH).to_numpy()[rows].min(initial=self.length))

    def _column(self, name: str) -> pl.Series:
        return _read_table(self.path / EXAMPLES, [name])[name]

    def _labels(self, rows: RowIndices | None) -> LazyArray:
        bits = len(self.outputs) if self.metadata["bits"] else None
        return LazyArray(self._array(LABELS), rows, bits)

    def _array(self, name: str) -> NDArray[Any]:
        return _read_array(self.path / name)


@explains_denial
def _read_table(file: Path, columns: list[str] | None = None) -> pl.DataFrame:
    return pl.read_parquet(file, columns=columns, glob=False)


@explains_denial
def _read_array(file: Path) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise TaskError(f"{file}: cannot be read ({error})") from None
    return found


def canonical(examples: pl.DataFrame) -> bytes:
    """Write a table of examples as bytes that do not depend on any library's version."""
    return examples.write_csv(include_header=False).encode()


def content_digest(metadata: dict[str, Any], digests: dict[str, str]) -> str:
    """SHA-256 over what a dataset holds: its names, and the digest of each array and table."""
    keys = ("format", "task", "name", "target", "outputs", "output_groups", "length", "examples")
    content = [[metadata[key] for key in (*keys, "bits", "splits")], sorted(digests.items())]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
