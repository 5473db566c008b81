"""GUE: folders of train.csv, dev.csv and test.csv with the columns sequence and label.

Format and published figures: Zhou et al. 2023, DNABERT-2 (arXiv:2306.15006), table 4; any folder
of that shape is a task, a folder of such folders a family.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import SequenceError, TaskError
from genoglot.sequence import Genome
from genoglot.sequence.alphabet import Codes, to_codes
from genoglot.tasks.dataset import LENGTH, TaskData
from genoglot.tasks.splits import random_parts
from genoglot.tasks.tables import present, read_table
from genoglot.tasks.task import Published, Task
from genoglot.tasks.writer import write_task

logger = logging.getLogger("genoglot")

FILES = {"train": "train.csv", "validation": "dev.csv", "test": "test.csv"}
COLUMNS = ["sequence", "label"]

_MODELS = ("DNABERT, best of 3- to 6-mer", "Nucleotide Transformer 2.5B multi", "DNABERT-2")
_TABLE = {
    "prom/prom_core_all": (70.92, 70.33, 69.37),
    "prom/prom_core_notata": (70.47, 71.58, 68.04),
    "prom/prom_core_tata": (78.15, 72.97, 74.17),
    "prom/prom_300_tata": (69.83, 79.43, 71.59),
    "tf/0": (67.95, 66.64, 71.99),
    "tf/1": (73.05, 70.28, 76.06),
    "tf/2": (61.03, 58.72, 66.52),
    "tf/3": (53.03, 51.65, 58.54),
    "tf/4": (71.23, 69.34, 77.43),
    "mouse/0": (49.42, 63.31, 56.76),
    "mouse/1": (79.95, 83.76, 84.77),
    "mouse/2": (72.62, 71.52, 79.32),
    "mouse/3": (55.40, 69.44, 66.47),
    "mouse/4": (44.13, 47.07, 52.66),
    "splice/reconstructed": (84.14, 89.35, 84.99),
}
PUBLISHED = tuple(
    Published(model, "MCC", round(value / 100, 4), "DNABERT-2, table 4 (one seed)", name)
    for name, values in _TABLE.items()
    for model, value in zip(_MODELS, values, strict=True)
)


def family(sources: Sequence[Path], out: Path) -> list[tuple[list[Path], Path]]:
    """Find the folders with a test.csv below those given, and where each one's data shall go.

    Raises
    ------
    TaskError
        If a folder holds none.
    """
    found: list[tuple[list[Path], Path]] = []
    for source in sources:
        if (source / FILES["test"]).is_file():
            found.append(([source], out if len(sources) == 1 else out / _name(source)))
            continue
        folders = sorted(file.parent for file in source.rglob(FILES["test"]))
        if not folders:
            raise TaskError(f"{source}: no folder with train.csv, dev.csv and test.csv in it")
        found += [([folder], out / folder.relative_to(source)) for folder in folders]
    return found


def build(
    sources: Sequence[Path],
    out: Path,
    *,
    genome: Genome | None = None,
    seed: int = 0,
    leakage: bool = True,
    overwrite: bool = False,
) -> TaskData:
    """Build a task from one folder.

    Class numbers follow the sorted text of the labels. Sequences shorter than the longest are
    filled up with N at their end, and the column `length` of the examples says how long they are.
    A folder without train.csv (as the splice set is found at
    times) has its dev.csv split 80 to 20 into train and validation, which the notes tell; they
    tell too if many sequences are shuffles of others.

    Raises
    ------
    TaskError
        With file and line, if a file is missing, its header differs, a label is missing, or a
        class stands in test only.
    SequenceError
        With file and line, at a character that is no letter of DNA.
    """
    (folder,) = sources
    files = {part: folder / name for part, name in FILES.items() if (folder / name).is_file()}
    missing = [FILES[part] for part in ("validation", "test") if part not in files]
    if missing:
        raise TaskError(f"{folder}: no {missing[0]} there; a task has train.csv, dev.csv, test.csv")
    tables = {part: read_csv(path) for part, path in files.items()}
    classes = sorted({label for table in tables.values() for label in table["label"]})
    length = max(int(table["sequence"].str.len_bytes().max() or 0) for table in tables.values())  # type: ignore[arg-type]
    rule = "the files train.csv, dev.csv and test.csv"
    notes: dict[str, Any] = {}
    if "train" not in files:
        rule = "the file test.csv; dev.csv split at random, 80 to 20, into train and validation"
        notes["train"] = "train.csv is missing"
        logger.warning("%s: no train.csv; 80 %% of dev.csv are trained on instead", folder)
    codes = {part: _codes(table["sequence"], length, files[part]) for part, table in tables.items()}
    share = _shuffled(
        np.concatenate(list(codes.values())),
        pl.concat(table["label"] for table in tables.values()).to_numpy(),
    )
    if share > 0.1 and length >= 50:  # shorter ones may share their counts by chance
        notes["shuffled"] = share
        logger.warning(
            "%s: %.0f %% of the sequences are shuffles of one of another class, or it of them",
            folder, 100 * share,
        )  # fmt: skip
    lengths = {part: table["sequence"].str.len_bytes() for part, table in tables.items()}
    unequal = any((some != length).any() for some in lengths.values())
    with write_task(
        out,
        task="GUE",
        name=_name(folder),
        kind="classes",
        outputs=classes,
        metrics=TASK.metrics,
        length=length,
        default_split="given",
        sources=list(files.values()),
        splits={"given": rule},
        notes=notes,
        leakage=leakage,
        overwrite=overwrite,
    ) as writer:
        for part, table in tables.items():
            parts: Any = np.full(len(table), part, object)
            if part == "validation" and "train" not in files:
                parts = random_parts(len(table), (0.8, 0.2, 0.0), np.random.default_rng(seed))
            writer.add(
                codes[part],
                np.searchsorted(classes, table["label"].to_numpy()).astype(np.float32),
                {
                    "id": [f"{part}:{i}" for i in range(len(table))],
                    "split:given": parts.astype(str),
                }
                | ({LENGTH: lengths[part].cast(pl.Int64)} if unequal else {}),
            )
    return TaskData.open(out)


def read_csv(path: Path) -> pl.DataFrame:
    """Read one of the files: columns sequence and label, both text.

    Raises
    ------
    TaskError
        If it has other columns, no row, or a label or sequence is missing.
    """
    table = read_table(path, COLUMNS).select(COLUMNS)
    for name in COLUMNS:
        present(table, name, path)
    return table


def _codes(sequences: pl.Series, length: int, path: Path) -> Codes:
    """Codes of all sequences, filled up with N; an error names file and line."""
    filled = sequences.str.pad_end(length, "N")
    try:
        return to_codes(str(filled.str.join("")[0])).reshape(-1, length)
    except (SequenceError, ValueError):
        for i, text in enumerate(sequences):
            to_codes(text, name=f"{path}:{i + 2}")
        raise


def _shuffled(codes: Codes, labels: NDArray[Any]) -> float:
    """Share of sequences with all dinucleotide counts of one of another class.

    A shuffle that keeps dinucleotides, as those that negatives are made by, has the very counts of
    what it was made of; two sequences of 70 bp hardly ever have them by chance.
    """
    rows = np.arange(len(codes))[:, None] * 25
    pairs = codes[:, :-1].astype(np.int64) * 5 + codes[:, 1:]
    counts = np.bincount((rows + pairs).ravel(), minlength=25 * len(codes)).reshape(-1, 25)
    same = np.unique(counts, axis=0, return_inverse=True)[1].ravel()
    shared = (np.isin(same[labels == name], same[labels != name]) for name in np.unique(labels))
    return round(sum(int(part.sum()) for part in shared) / len(codes), 4)


def _name(folder: Path) -> str:
    return "/".join(folder.resolve().parts[-2:])


TASK = Task(
    name="GUE",
    kind="classes",
    metrics=("MCC", "accuracy"),
    split="given",
    sources="a folder with train.csv, dev.csv and test.csv (sequence,label), or one of such",
    needs_genome=False,
    builder=build,
    expand=family,
    published=PUBLISHED,
)
