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
from genoglot.permissions import explains_denial

FORMAT = 1
ABOUT, CODES, LABELS = "dataset.json", "codes.npy", "labels.npy"
ALTERNATIVE, EXAMPLES, LEAKAGE = "alternative.npy", "examples.parquet", "leakage.parquet"

LENGTH = "length"
"""Column of the examples: bases of each, where they were filled up with N to one length."""

PARTS = ("train", "validation", "test")
LEAVE_OUT = "leave-out:"
"""`leave-out:NAME` is a split that every task with groups has, without a column of its own."""

Kind = Literal["binary", "classes", "real"]
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

_BLOCK = 1 << 26  # bytes read at a time where a whole array has to be gone through


class Rows:
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
    >>> rows = Rows(np.arange(12).reshape(4, 3), np.array([3, 0]))
    >>> rows.shape, rows[1].tolist(), rows[:1].tolist()
    ((2, 3), [0, 1, 2], [[9, 10, 11]])
    """

    def __init__(
        self, array: NDArray[Any], rows: Ints | None = None, outputs: int | None = None
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


class Part(NamedTuple):
    """One part of a split: what a model reads, and what it shall say.

    Attributes
    ----------
    codes
        A C G T N = 0 1 2 3 4, uint8 (n, length).
    labels
        float32 (n, outputs), NaN where there is none; of kind "classes", class numbers (n, 1).
    alternative
        Of tasks about variants, `codes` with the other allele, uint8 (n, length); else None.
    shortest
        Bases of the shortest sequence, before it was filled up with N to the others' length.
    """

    codes: Rows
    labels: Rows
    alternative: Rows | None
    shortest: int

    @property
    def inputs(self) -> Rows | tuple[Rows, Rows]:
        """Codes, or codes and those with the other allele: what a baseline takes."""
        return self.codes if self.alternative is None else (self.codes, self.alternative)


class TaskData:
    """A benchmark task on disk; made by a task's builder, opened by `TaskData.open`.

    Attributes
    ----------
    path
        The directory.
    about
        Content of `dataset.json`.
    """

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path, self.about = path, about

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
            about = json.loads((folder / ABOUT).read_text("utf-8"))
        except (OSError, ValueError):
            raise TaskError(f"{folder}: no task data (no readable {ABOUT}); build it") from None
        if about.get("format") != FORMAT:
            raise TaskError(
                f"{folder}: task data of format {about.get('format')}, this version reads "
                f"{FORMAT}; build it again"
            )
        data = cls(folder, about)
        wanted = [(CODES, (len(data), data.length)), (LABELS, (len(data),))]
        wanted += [(ALTERNATIVE, (len(data), data.length))] if about["paired"] else []
        for name, shape in wanted:
            found = data._array(name).shape
            if found[: len(shape)] != shape:
                raise TaskError(
                    f"{folder / name}: has shape {found}, but {ABOUT} tells of {shape}; "
                    "build it again"
                )
        return data

    def __len__(self) -> int:
        return int(self.about["examples"])

    def __repr__(self) -> str:
        return f"TaskData({self.name!r}, {len(self):,} examples of {self.length} bp)"

    @property
    def task(self) -> str:
        """Name of the task, a key of `TASKS`."""
        return str(self.about["task"])

    @property
    def name(self) -> str:
        """Name of the dataset: the task's, or one of its family's, such as tf/0."""
        return str(self.about["name"])

    @property
    def kind(self) -> Kind:
        """binary, classes or real."""
        kind: Kind = self.about["kind"]
        return kind

    @property
    def outputs(self) -> list[str]:
        """Names of the label's columns: tracks, tissues, or (of kind "classes") the classes."""
        return list(self.about["outputs"])

    @property
    def output_groups(self) -> list[str]:
        """Of each output, what it belongs to, such as its assay; empty if nothing is known."""
        return list(self.about["output_groups"])

    @property
    def length(self) -> int:
        """Of the sequences, bp."""
        return int(self.about["length"])

    @property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return str(self.about["digest"])

    @property
    def default_split(self) -> str:
        """The split that is used where none is named."""
        return str(self.about["default_split"])

    @property
    def splits(self) -> list[str]:
        """Names of the splits; `leave-out:GROUP` is possible beside them."""
        return list(self.about["splits"])

    @property
    def codes(self) -> Rows:
        """All sequences, uint8 (n, length)."""
        return Rows(self._array(CODES))

    @property
    def alternative(self) -> Rows | None:
        """All sequences with the other allele, if the task is about variants."""
        return Rows(self._array(ALTERNATIVE)) if self.about["paired"] else None

    @property
    def labels(self) -> Rows:
        """All labels, float32 (n, outputs), of kind "classes" (n, 1)."""
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

    def parts(self, split: str | None = None) -> NDArray[np.int8]:
        """Tell which part each example is in: index into `PARTS`, -1 for none, int8 (n,).

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
                PARTS, [0, 1, 2], default=-1, return_dtype=pl.Int8
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

    def rows(self, split: str | None, part: str) -> Ints:
        """Rows of the examples of a part, int64 (m,), sorted.

        Raises
        ------
        TaskError
            If there is no such split or part.
        """
        if part not in PARTS:
            raise TaskError(f"no part {part!r}; choose one of {', '.join(PARTS)}")
        return np.flatnonzero(self.parts(split) == PARTS.index(part))

    def part(self, split: str | None, part: str) -> Part:
        """One part of a split, to be read by rows.

        Parameters
        ----------
        split
            As in `parts`.
        part
            train, validation or test.
        """
        return self.at(self.rows(split, part))

    def at(self, rows: Ints) -> Part:
        """Take some examples, int64 (m,) row numbers, as a part that is read by rows."""
        other = self._array(ALTERNATIVE) if self.about["paired"] else None
        return Part(
            Rows(self._array(CODES), rows),
            self._labels(rows),
            None if other is None else Rows(other, rows),
            self._shortest(rows),
        )

    def leaked(self, split: str | None, part: str, *, near: bool = False) -> NDArray[np.bool_]:
        """Which examples of a part have a duplicate in the parts before it, bool (m,).

        Parameters
        ----------
        split, part
            As in `part`, in its order; the split must be one whose leakage was looked for.
        near
            Count near duplicates too, not only exact ones (of either strand).

        Raises
        ------
        TaskError
            If nobody has looked for duplicates in this split.
        """
        split = split or self.default_split
        if split not in self.about["leakage"]:
            raise TaskError(f"{self.path}: split {split!r} was not searched for duplicates")
        pairs = _read_table(self.path / LEAKAGE).filter(
            pl.col("split") == split, pl.col("part") == part
        )
        kept = pairs if near else pairs.filter(pl.col("kind") != "near")
        return np.isin(self.rows(split, part), kept["row"].to_numpy())

    def balance(self, split: str | None = None) -> list[dict[str, Any]]:
        """Size and labels of each part.

        Returns
        -------
        One row per part: part, examples, and `positive` (share of the known binary labels, over
        all outputs), `classes` (count of each class, in order) or `mean` and `sd` (of the known
        real labels); `missing` is the share of labels that are not known.
        """
        parts = self.parts(split)
        found: list[dict[str, Any]] = []
        for i, name in enumerate(PARTS):
            rows = np.flatnonzero(parts == i)
            classes = np.zeros(len(self.outputs), np.int64)
            count, known, total, squares = 0, 0, 0.0, 0.0
            for block in self._labels(rows).blocks():
                there = ~np.isnan(block)
                values = block[there].astype(np.float64)
                count, known = count + block.size, known + len(values)
                total, squares = total + values.sum(), squares + (values**2).sum()
                if self.kind == "classes":
                    classes += np.bincount(values.astype(np.int64), minlength=len(classes))
            mean = float(total) / known if known else float("nan")
            row: dict[str, Any] = {"part": name, "examples": len(rows)}
            row["missing"] = 1 - known / count if count else 0.0
            if self.kind == "classes":
                row["classes"] = classes.tolist()
            elif self.kind == "binary":
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
        for name in (CODES, LABELS, ALTERNATIVE) if self.about["paired"] else (CODES, LABELS):
            digest = hashlib.sha256()
            for block in Rows(self._array(name)).blocks():
                digest.update(np.ascontiguousarray(block).tobytes())
            digests[name] = digest.hexdigest()
        digest = hashlib.sha256()
        for frame in self.examples.iter_slices(1 << 17):
            digest.update(canonical(frame))
        digests[EXAMPLES] = digest.hexdigest()
        if content_digest(self.about, digests) != self.digest:
            raise TaskError(f"{self.path}: the content is not what was built; build it again")

    def _shortest(self, rows: Ints) -> int:
        if LENGTH not in pl.read_parquet_schema(self.path / EXAMPLES):
            return self.length
        return int(self._column(LENGTH).to_numpy()[rows].min(initial=self.length))

    def _column(self, name: str) -> pl.Series:
        return _read_table(self.path / EXAMPLES, [name])[name]

    def _labels(self, rows: Ints | None) -> Rows:
        bits = len(self.outputs) if self.about["bits"] else None
        return Rows(self._array(LABELS), rows, bits)

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


def content_digest(about: dict[str, Any], digests: dict[str, str]) -> str:
    """SHA-256 over what a dataset holds: its names, and the digest of each array and table."""
    keys = ("format", "task", "name", "kind", "outputs", "output_groups", "length", "examples")
    content = [[about[key] for key in (*keys, "bits", "splits")], sorted(digests.items())]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
