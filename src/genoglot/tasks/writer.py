"""Writing task data: batch by batch, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.files import atomic_path, file_digest
from genoglot.models.dna.target import Target
from genoglot.sequence.alphabet import Codes, N
from genoglot.tasks.dataset import (
    ALTERNATIVE,
    CODES,
    EXAMPLES,
    FORMAT,
    LABELS,
    LEAKAGE,
    METADATA,
    SUBSETS,
    TaskData,
    canonical,
    content_digest,
)
from genoglot.tasks.leakage import find_leakage

if TYPE_CHECKING:
    import pyarrow.parquet as pq

logger = logging.getLogger("genoglot")

COLUMNS = {
    "id": pl.String,
    "chrom": pl.String,
    "start": pl.Int64,
    "end": pl.Int64,
    "strand": pl.String,
    "group": pl.String,
}
"""What is known of every example; null where it has no place or group."""

_ROWS = 1 << 17  # examples in a row group of the table


class TaskWriter:
    """Takes the examples of a task in batches; made by `write_task`."""

    def __init__(
        self,
        folder: Path,
        *,
        task: str,
        name: str,
        target: Target,
        outputs: Sequence[str],
        output_groups: Sequence[str] = (),
        metrics: Sequence[str],
        length: int,
        paired: bool = False,
        missing: bool = False,
    ) -> None:
        if len(set(outputs)) < len(outputs):
            twice = next(name for i, name in enumerate(outputs) if name in outputs[:i])
            raise TaskError(f"two outputs are called {twice!r}; give them different names")
        self.metadata: dict[str, Any] = {
            "format": FORMAT,
            "task": task,
            "name": name,
            "target": target,
            "outputs": list(outputs),
            "output_groups": list(output_groups),
            "metrics": list(metrics),
            "length": length,
            "paired": paired,
            "bits": target in ("binary", "multi-label") and not missing,
        }
        width = 1 if target == "multi-class" else len(outputs)
        self._width = width
        self._folder = folder
        columns = -(-width // 8) if self.metadata["bits"] else width
        self._arrays = {
            CODES: _Array(folder / CODES, np.dtype(np.uint8), length),
            LABELS: _Array(
                folder / LABELS,
                np.dtype(np.uint8 if self.metadata["bits"] else np.float32),
                columns,
            ),
        }
        if paired:
            self._arrays[ALTERNATIVE] = _Array(folder / ALTERNATIVE, np.dtype(np.uint8), length)
        self._examples = _Table(folder / EXAMPLES)
        self._counts: dict[str, dict[str, int]] = {}
        self._taught: dict[str, set[float]] = {}  # by split: classes that stand in train
        self._asked: dict[str, set[float]] = {}  # by split: classes that stand elsewhere

    def add(
        self,
        codes: Codes,
        labels: NDArray[Any],
        examples: pl.DataFrame | Mapping[str, Any],
        alternative: Codes | None = None,
        *,
        packed: bool = False,
    ) -> None:
        """Append a batch of examples.

        Parameters
        ----------
        codes, alternative
            uint8 (n, length).
        labels
            (n, outputs), or class numbers (n, 1); or, if `packed`, bits as of `np.packbits`.
        examples
            Any of the columns id, chrom, start, end, strand, group, and for each split a column
            `split:NAME` that holds train, validation, test or null; n rows.
        packed
            Whether binary labels are bits.
        """
        if not packed:
            labels = np.asarray(labels, np.float32).reshape(len(codes), self._width)
        frame = pl.DataFrame(examples)
        known = [
            pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, kind).alias(name)
            for name, kind in COLUMNS.items()
        ]
        frame = frame.select(*known, *(name for name in frame.columns if name not in COLUMNS))
        if not len(codes) == len(frame):
            raise TaskError(f"{len(codes)} sequences, {len(frame)} rows; give as many of each")
        if codes.max(initial=0) > N:
            raise TaskError(f"code {codes.max()} is none of A C G T N = 0 1 2 3 4")
        if packed:
            self._arrays[LABELS].add(labels)
        elif self.metadata["bits"]:
            if not np.isin(labels, (0, 1)).all():
                raise TaskError("binary labels must be 0 or 1")
            self._arrays[LABELS].add(np.packbits(labels > 0, axis=1))
        else:
            self._arrays[LABELS].add(labels)
        self._arrays[CODES].add(codes)
        if alternative is not None:
            self._arrays[ALTERNATIVE].add(alternative)
        self._examples.add(frame)
        self._count(frame, labels)

    def _count(self, frame: pl.DataFrame, labels: NDArray[Any]) -> None:
        for column in (name for name in frame.columns if name.startswith("split:")):
            split = column.removeprefix("split:")
            counts = self._counts.setdefault(split, dict.fromkeys(SUBSETS, 0))
            for part, n in frame[column].drop_nulls().value_counts().iter_rows():
                counts[part] += n
            if self.metadata["target"] == "multi-class":
                train = (frame[column] == "train").fill_null(value=False).to_numpy()
                other = frame[column].is_in(SUBSETS[1:]).fill_null(value=False).to_numpy()
                self._taught.setdefault(split, set()).update(np.unique(labels[train]).tolist())
                self._asked.setdefault(split, set()).update(np.unique(labels[other]).tolist())

    def close(
        self,
        *,
        splits: Mapping[str, str],
        default_split: str,
        sources: Iterable[Path],
        notes: Mapping[str, Any],
        genome: str | None,
        leakage: bool,
    ) -> None:
        """Finish all files; the arguments are those of `write_task`."""
        n = self._arrays[CODES].close()
        digests = {name: array.digest() for name, array in self._arrays.items()}
        for array in self._arrays.values():
            array.close()
        if n == 0:
            raise TaskError(f"no examples are left ({_told(notes) or 'the files hold none'})")
        digests[EXAMPLES] = self._examples.close()
        if set(self._counts) != set(splits):
            raise TaskError(f"splits {sorted(self._counts)}, but described are {sorted(splits)}")
        for split, taught in self._taught.items():
            if unknown := self._asked[split] - taught:
                label = self.metadata["outputs"][int(min(unknown))]
                raise TaskError(
                    f"class {label!r} stands in validation or test of split {split!r}, but not in "
                    "train; no model can learn it: remove its rows or split otherwise"
                )
        for split, counts in self._counts.items():
            empty = [part for part, count in counts.items() if not count]
            if empty:
                raise TaskError(
                    f"split {split!r} has no example in {empty[0]} ({counts}); give more data"
                )
        self.metadata |= {
            "examples": n,
            "default_split": default_split,
            "splits": list(splits),
            "split_rules": dict(splits),
            "split_sizes": self._counts,
            "sources": [{"file": path.name, "sha256": file_digest(path)} for path in sources],
            "genome": genome,
            "notes": {**notes, **_simulated(sources)},
            "leakage": {},
        }
        self.metadata["digest"] = content_digest(self.metadata, digests)
        self._save()
        if leakage:
            found, pairs = find_leakage(TaskData(self._folder, self.metadata))
            self.metadata["leakage"] = found
            pairs.write_parquet(self._folder / LEAKAGE)
            self._save()

    def _save(self) -> None:
        text = json.dumps(self.metadata, indent=1, ensure_ascii=False) + "\n"
        (self._folder / METADATA).write_text(text, "utf-8")


@contextmanager
def write_task(
    out: str | Path,
    *,
    default_split: str,
    sources: Sequence[Path],
    splits: dict[str, str],
    notes: dict[str, Any] | None = None,
    genome: str | None = None,
    leakage: bool = True,
    overwrite: bool = False,
    **writer: Any,
) -> Iterator[TaskWriter]:
    """Write task data into a directory that appears when all is there.

    Parameters
    ----------
    out
        The directory; it must not exist, or be empty.
    default_split
        The split that is used where none is named.
    sources
        Files that it is made of: their names and digests are kept.
    splits
        Name of each split, and its rule in words.
    notes
        What else is to be known, such as the number of lines left out; may be filled in while
        the examples are written.
    genome
        Digest of the genome.
    leakage
        Look for sequences that stand in two parts of a split.
    overwrite
        Let a non-empty directory be replaced.
    writer
        What `TaskWriter` takes: task, name, target, outputs, output_groups, metrics, length,
        paired (with alternative alleles), missing (binary labels may be NaN).

    Raises
    ------
    TaskError
        If there is no example, a part is empty, or a class stands in test only.
    """
    with atomic_path(out, directory=True, overwrite=overwrite) as folder:
        task = TaskWriter(folder, **writer)
        yield task
        task.close(
            splits=splits,
            default_split=default_split,
            sources=sources,
            notes={} if notes is None else notes,
            genome=genome,
            leakage=leakage,
        )


def note_count(
    notes: dict[str, Any], name: str, said: str, counts: Mapping[Path, tuple[int, int]]
) -> None:
    """Note how many rows of the source files were left out or changed, and log that if any were.

    Parameters
    ----------
    notes
        Notes of the dataset, to which the number is added.
    name
        Name of the note.
    said
        What the log says behind the number.
    counts
        For each file, the number of rows concerned, and of how many.

    Examples
    --------
    >>> notes = {}
    >>> note_count(notes, "empty_peaks", "peaks are empty: left out", {Path("a.bed"): (0, 5)})
    >>> notes
    {'empty_peaks': 0}
    """
    number = sum(n for n, _ in counts.values())
    notes[name] = number
    if not number:
        return
    some = [path for path, (n, _) in counts.items() if n]
    where = str(some[0])
    if len(counts) > 1:
        where = f"{len(some)} of {len(counts)} files, such as {some[0]}"
    total = sum(total for _, total in counts.values())
    logger.warning("%s: %s of %s %s", where, f"{number:,}", f"{total:,}", said)


class _Array:
    """A .npy file that grows by rows."""

    def __init__(self, path: Path, dtype: np.dtype[Any], width: int) -> None:
        self._path, self._dtype, self._width = path, dtype, width
        self._rows, self._sum = 0, hashlib.sha256()
        self._file: BinaryIO = path.open("wb")
        self._header()

    def _header(self) -> None:
        # numpy leaves room for the number of rows to grow, so that the header keeps its length.
        np.lib.format.write_array_header_1_0(
            self._file,
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self._rows, self._width),
            },
        )

    def add(self, rows: NDArray[Any]) -> None:
        if rows.ndim != 2 or rows.shape[1] != self._width:
            raise TaskError(f"{self._path.name}: rows of shape {rows.shape} for {self._width}")
        data = np.ascontiguousarray(rows, self._dtype).tobytes()
        self._file.write(data)
        self._sum.update(data)
        self._rows += len(rows)

    def close(self) -> int:
        if not self._file.closed:
            self._file.seek(0)
            self._header()
            self._file.close()
        return self._rows

    def digest(self) -> str:
        return self._sum.hexdigest()


class _Table:
    """A Parquet file that grows by row groups."""

    def __init__(self, path: Path) -> None:
        self._path, self._sum = path, hashlib.sha256()
        self._waiting: list[pl.DataFrame] = []
        self._writer: pq.ParquetWriter | None = None

    def add(self, frame: pl.DataFrame) -> None:
        self._sum.update(canonical(frame))
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
        return self._sum.hexdigest()


def _simulated(sources: Iterable[Path]) -> dict[str, bool]:
    """Note that files are of the simulated world, which nobody shall take for biology."""
    made = (path.resolve().parent.parent / "world.json" for path in sources)
    return {"simulated": True} if any(file.is_file() for file in made) else {}


def _told(notes: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in notes.items())
