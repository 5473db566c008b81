"""Writing task data: batch by batch, whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.files import atomic_path, file_digest
from genoglot.models.dna.target import NUCLEOTIDES, TaskTarget
from genoglot.sequence.alphabet import Codes, N
from genoglot.tasks.dataset import (
    ALTERNATIVE,
    CLASSES,
    CODES,
    EXAMPLES,
    LABELS,
    LEAKAGE,
    SUBSETS,
    TaskData,
    canonical,
    holds_bits,
)
from genoglot.tasks.leakage import find_leakage
from genoglot.tasks.notes import Notes
from genoglot.tasks.splits import TaskSplit

if TYPE_CHECKING:
    import pyarrow.parquet as pq

COLUMNS = {
    "id": pl.String,
    "chrom": pl.String,
    "start": pl.Int64,
    "end": pl.Int64,
    "strand": pl.String,
    "group": pl.String,
}
"""Columns of every table of examples; null where an example has no position or group."""

_ROWS = 1 << 17  # examples in a row group of the table


class Batch(NamedTuple):
    """Some examples that a builder made.

    Attributes
    ----------
    codes
        DNA, uint8 (n, length).
    labels
        (n, outputs), or class numbers (n, 1); or, if `packed`, bits as of `np.packbits`. For
        nucleotide-classes, class numbers of the nucleotides in the middle of each sequence,
        (n, positions), -1 where one is missing.
    examples
        Any of `COLUMNS`, and for each split a column `split:NAME` that holds train, validation,
        test or null; n rows.
    alternative
        In tasks about variants, `codes` with the other allele.
    packed
        Whether the labels are bits.
    """

    codes: Codes
    labels: NDArray[Any]
    examples: pl.DataFrame | Mapping[str, Any]
    alternative: Codes | None = None
    packed: bool = False


@dataclass
class TaskContent:
    """What a builder made of its source files.

    Attributes
    ----------
    files
        The files; their names and digests are written down.
    outputs
        Names of the label's columns, or of the classes.
    length
        Length of the sequences in bp.
    splits
        The splits by name.
    batches
        The examples.
    notes
        Facts such as the number of rows that were left out. They may be added to while the examples
        are made.
    output_groups
        Group of each output.
    default_split
        The split to use if none is named; by default the published one, or the first one if that
        is not known or the data do not have it.
    name
        Name of the dataset; by default the task's.
    """

    files: Sequence[Path]
    outputs: Sequence[str]
    length: int
    splits: Mapping[str, TaskSplit]
    batches: Iterable[Batch]
    notes: Notes = field(default_factory=Notes)
    output_groups: Sequence[str] = ()
    default_split: str = ""
    name: str = ""


def write_task(
    out: str | Path,
    content: TaskContent,
    *,
    task: str,
    target: TaskTarget,
    metrics: Sequence[str],
    published_split: str = "",
    genome: str | None = None,
    leakage: bool = True,
    overwrite: bool = False,
) -> TaskData:
    """Write task data into a directory that appears when it is complete.

    Parameters
    ----------
    out
        The directory; it must not exist, or be empty.
    content
        What to write.
    task, target, metrics, published_split
        Attributes of the task: see `Task`.
    genome
        Digest of the genome.
    leakage
        Search the splits for duplicates.
    overwrite
        Replace a directory that is not empty.

    Raises
    ------
    TaskError
        If there is no example, a subset is empty, or a class is in validation or test only.
    """
    outputs, notes = list(content.outputs), content.notes
    if repeated := [name for i, name in enumerate(outputs) if name in outputs[:i]]:
        raise TaskError(f"two outputs are called {repeated[0]!r}; give them different names")
    if target == "multi-label" and len(outputs) == 1:
        target = "binary"
    split = published_split if published_split in content.splits else next(iter(content.splits))
    with atomic_path(out, directory=True, overwrite=overwrite) as folder:
        writer = _Writer(folder, target, len(outputs))
        for batch in content.batches:
            writer.add(batch)
        digests = writer.close()
        if not writer.n_examples:
            counts = ", ".join(f"{name.replace('_', ' ')}: {n}" for name, n in notes.items())
            raise TaskError(f"no examples are left ({counts or 'the files hold none'})")
        data = TaskData(
            folder,
            task=task,
            name=content.name or task,
            target=target,
            outputs=outputs,
            output_groups=list(content.output_groups),
            metrics=list(metrics),
            length=content.length,
            paired=ALTERNATIVE in digests,
            n_examples=writer.n_examples,
            default_split=content.default_split or split,
            split_rules={name: one.rule for name, one in content.splits.items()},
            sources=[{"file": file.name, "sha256": file_digest(file)} for file in content.files],
            genome=genome,
            notes={**notes, **_simulated(content.files)},
        )
        sizes = {name: _split_sizes(data, name) for name in data.splits}
        data = replace(data, split_sizes=sizes, digest=data.content_digest(digests))
        if leakage:
            report, pairs = find_leakage(data)
            pairs.write_parquet(folder / LEAKAGE)
            data = replace(data, leakage=report)
        data.save()
    return TaskData.open(out)


def _split_sizes(data: TaskData, split: str) -> dict[str, int]:
    """Count the examples of each subset, and refuse a split that no model can learn from."""
    assignment = data.assignment(split)
    sizes = {name: int((assignment == i).sum()) for i, name in enumerate(SUBSETS)}
    if data.target in CLASSES:
        learned, held_out = (
            {int(c) for block in data.take(rows).labels.blocks() for c in np.unique(block)}
            for rows in (np.flatnonzero(assignment == 0), np.flatnonzero(assignment > 0))
        )
        unknown = sorted(held_out - learned - {-1})
        if unknown:
            raise TaskError(
                f"class {data.outputs[unknown[0]]!r} is in validation or test of split "
                f"{split!r}, but not in train; no model can learn it: remove its rows or split "
                "otherwise"
            )
    if empty := [name for name, size in sizes.items() if not size]:
        raise TaskError(f"split {split!r} has no example in {empty[0]} ({sizes}); give more data")
    return sizes


class _Writer:
    """Writes the arrays and the table of a dataset, batch by batch."""

    def __init__(self, folder: Path, target: TaskTarget, n_outputs: int) -> None:
        self._folder, self._bits = folder, holds_bits(target)
        self._width: int | None = 1 if target == "multi-class" else n_outputs
        self._dtype: type[np.generic] = np.float32
        if target == NUCLEOTIDES:
            self._width, self._dtype = None, np.int8
        self._arrays: dict[str, _Array] = {}
        self._table = _Table(folder / EXAMPLES)
        self.n_examples = 0

    def add(self, batch: Batch) -> None:
        codes, labels, n = batch.codes, batch.labels, len(batch.codes)
        frame = pl.DataFrame(batch.examples)
        if n != len(frame):
            raise TaskError(f"{n} sequences, {len(frame)} rows; give as many of each")
        if codes.max(initial=0) > N:
            raise TaskError(f"code {codes.max()} is none of A C G T N = 0 1 2 3 4")
        if not batch.packed:
            labels = np.asarray(labels, self._dtype).reshape(n, self._width or labels.shape[1])
            if self._bits:
                if not np.isin(labels, (0, 1)).all():
                    raise TaskError("binary labels must be 0 or 1")
                labels = np.packbits(labels > 0, axis=1)
        for name, rows in ((CODES, codes), (LABELS, labels), (ALTERNATIVE, batch.alternative)):
            if rows is not None:
                if name not in self._arrays:
                    self._arrays[name] = _Array(self._folder / name, rows.dtype, rows.shape[1])
                self._arrays[name].add(rows)
        known = [
            pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype).alias(name)
            for name, dtype in COLUMNS.items()
        ]
        self._table.add(frame.select(*known, pl.exclude(*COLUMNS)))
        self.n_examples += n

    def close(self) -> dict[str, str]:
        """Finish the files and return their digests."""
        digests = {name: array.close() for name, array in self._arrays.items()}
        return {**digests, EXAMPLES: self._table.close()}


class _Array:
    """A .npy file that grows by rows."""

    def __init__(self, path: Path, dtype: np.dtype[Any], width: int) -> None:
        self._dtype, self._width = dtype, width
        self._rows, self._digest = 0, hashlib.sha256()
        self._file = path.open("wb")
        self._write_header()

    def _write_header(self) -> None:
        # numpy leaves space for the number of rows to grow, so that the header keeps its length.
        description = np.lib.format.dtype_to_descr(self._dtype)
        shape = (self._rows, self._width)
        header = {"descr": description, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def add(self, rows: NDArray[Any]) -> None:
        data = np.ascontiguousarray(rows, self._dtype).tobytes()
        self._file.write(data)
        self._digest.update(data)
        self._rows += len(rows)

    def close(self) -> str:
        self._file.seek(0)
        self._write_header()
        self._file.close()
        return self._digest.hexdigest()


class _Table:
    """A Parquet file that grows by row groups."""

    def __init__(self, path: Path) -> None:
        self._path, self._digest = path, hashlib.sha256()
        self._waiting: list[pl.DataFrame] = []
        self._writer: pq.ParquetWriter | None = None

    def add(self, frame: pl.DataFrame) -> None:
        self._digest.update(canonical(frame))
        self._waiting.append(frame)
        if sum(map(len, self._waiting)) >= _ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow.parquet as pq

        table = pl.concat(self._waiting).to_arrow(compat_level=pl.CompatLevel.oldest())
        self._waiting.clear()
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table)

    def close(self) -> str:
        if self._waiting:
            self._flush()
        if self._writer is not None:
            self._writer.close()
        return self._digest.hexdigest()


def _simulated(files: Iterable[Path]) -> dict[str, bool]:
    """Note that files are of the simulated world, so that nobody takes them for biology."""
    worlds = (file.resolve().parent.parent / "world.json" for file in files)
    return {"simulated": True} if any(world.is_file() for world in worlds) else {}
