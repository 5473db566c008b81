"""GUE: folders of train.csv, dev.csv and test.csv with the columns sequence and label.

Format and published figures: Zhou et al. 2023, DNABERT-2 (arXiv:2306.15006), table 4; any folder
of that shape is a task, a folder of such folders a family.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from genoglot.errors import SequenceError, TaskError
from genoglot.sequence import Genome
from genoglot.sequence.alphabet import Codes, to_codes
from genoglot.tables import MISSING, missing_values
from genoglot.tasks.dataset import LENGTH, TaskData
from genoglot.tasks.label_leaks import SHARED_BASES, edited_copies_mcc, shuffled_share
from genoglot.tasks.source_tables import line_of, present, read_table
from genoglot.tasks.splits import random_parts
from genoglot.tasks.task import Published, Task
from genoglot.tasks.writer import note_count, write_task

logger = logging.getLogger("genoglot")

FILES = {"train": "train.csv", "validation": "dev.csv", "test": "test.csv"}
COLUMNS = ["sequence", "label"]

# "none" and "-" may be classes: no site of any kind, the other strand.
_NO_LABEL = set(MISSING) - {"none", "-", "."}
_WHOLE = r"^\+?(-?\d+)(?:\.0*)?$"
_FRACTION = r"^[+-]?\d*\.0*[1-9]\d*$"

_MODELS = (
    "DNABERT, best of 3- to 6-mer",
    "Nucleotide Transformer 2.5B multi",
    "DNABERT-2",
    "DNABERT-2, further pre-trained on GUE",
)
_TABLE = {
    "prom/prom_core_all": (70.92, 70.33, 69.37, 67.50),
    "prom/prom_core_notata": (70.47, 71.58, 68.04, 69.53),
    "prom/prom_core_tata": (78.15, 72.97, 74.17, 76.18),
    "prom/prom_300_tata": (69.83, 79.43, 71.59, 68.79),
    "tf/0": (67.95, 66.64, 71.99, 69.12),
    "tf/1": (73.05, 70.28, 76.06, 71.87),
    "tf/2": (61.03, 58.72, 66.52, 62.96),
    "tf/3": (53.03, 51.65, 58.54, 55.35),
    "tf/4": (71.23, 69.34, 77.43, 74.94),
    "mouse/0": (49.42, 63.31, 56.76, 64.23),
    "mouse/1": (79.95, 83.76, 84.77, 86.28),
    "mouse/2": (72.62, 71.52, 79.32, 81.28),
    "mouse/3": (55.40, 69.44, 66.47, 73.49),
    "mouse/4": (44.13, 47.07, 52.66, 50.80),
    "splice/reconstructed": (84.14, 89.35, 84.99, 85.93),
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
        If a folder holds none, or one that is a task itself holds another.
    """
    found: list[tuple[list[Path], Path]] = []
    for source in sources:
        folders = sorted(file.parent for file in source.rglob(FILES["test"]))
        if not folders:
            raise TaskError(f"{source}: no folder with train.csv, dev.csv and test.csv in it")
        if source in folders:
            if len(folders) > 1:
                raise TaskError(
                    f"{folders[1]} lies in {source}, which has a test.csv itself; give one of both"
                )
            found.append(([source], out if len(sources) == 1 else out / _name(source)))
            continue
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

    Class numbers follow the sorted text of the labels, in which 0.0 is 0. Sequences shorter than
    the longest are filled up with N at their end, and the column `length` of the examples says how
    long they are. A folder without train.csv (as the splice set is found at times) has its dev.csv
    split 80 to 20 into train and validation, which the notes say. They also say if many sequences
    are shuffles of others, or edited copies (`tasks.giveaways`).

    Raises
    ------
    TaskError
        With file and line, if a file is missing, its header differs, a label is missing (empty,
        NaN, NA, null) or spelled in two ways (Yes, yes), a number that is no class (0.5), or in
        test only; or a sequence is nothing but N.
    SequenceError
        With file and line, at a character that is no letter of DNA.
    """
    (folder,) = sources
    files = {part: folder / name for part, name in FILES.items() if (folder / name).is_file()}
    missing = [FILES[part] for part in ("validation", "test") if part not in files]
    if missing:
        raise TaskError(f"{folder}: no {missing[0]} there; a task has train.csv, dev.csv, test.csv")
    tables = {part: read_csv(path) for part, path in files.items()}
    classes = _classes(tables, files)
    length = max(int(table["sequence"].str.len_bytes().max() or 0) for table in tables.values())  # type: ignore[arg-type]
    rule = "the files train.csv, dev.csv and test.csv"
    notes: dict[str, Any] = {}
    counts = {files[part]: _ambiguous(table["sequence"]) for part, table in tables.items()}
    note_count(
        notes, "sequences_with_ambiguous_letters",
        "sequences have IUPAC letters for more than one base, such as R: read as N", counts,
    )  # fmt: skip
    if "train" not in files:
        rule = "the file test.csv; dev.csv split at random, 80 to 20, into train and validation"
        notes["train"] = "train.csv is missing"
        logger.warning("%s: no train.csv; 80 %% of dev.csv are trained on instead", folder)
    codes = {part: _codes(table["sequence"], length, files[part]) for part, table in tables.items()}
    notes |= _giveaways(folder, codes, tables, classes)
    lengths = {part: table["sequence"].str.len_bytes() for part, table in tables.items()}
    unequal = any((some != length).any() for some in lengths.values())
    with write_task(
        out,
        task="GUE",
        name=_name(folder),
        target="multi-class",
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
    """Read one of the files: columns sequence and label, both text; a label 0.0 becomes 0.

    Raises
    ------
    TaskError
        If it has other columns or one of them twice, no row, or a label or sequence is missing.
    """
    table = read_table(path, COLUMNS)
    for name in COLUMNS:
        present(table, name, path)
    table = table.select(COLUMNS)
    for name, wrong, problem in (
        ("label", missing_values(table["label"], _NO_LABEL), "is missing"),
        ("label", table["label"].str.contains(_FRACTION), "is no class"),
        ("sequence", table["sequence"].str.contains("^[Nn]+$"), "is nothing but N"),
    ):
        rows = wrong.arg_true()
        if len(rows):
            line, shown = line_of(path, rows[0]), table[name][rows[0]][:20]
            raise TaskError(
                f"{path}:{line}: the {name} {problem} ({shown!r}); correct or remove the row"
            )
    number = pl.col("label").str.extract(_WHOLE, 1).cast(pl.Int64, strict=False).cast(pl.String)
    return table.with_columns(label=pl.coalesce(number, "label"))


def _classes(tables: Mapping[str, pl.DataFrame], files: Mapping[str, Path]) -> list[str]:
    """List the classes of all files, sorted by their text."""
    spelled: dict[str, str] = {}
    for part, table in tables.items():
        for row, label in enumerate(table["label"]):
            other = spelled.setdefault(label.casefold(), label)
            if other != label:
                line = line_of(files[part], row)
                raise TaskError(
                    f"{files[part]}:{line}: the label is {label!r} where others are {other!r}; "
                    "write one class in one way"
                )
    classes = sorted(spelled.values())
    if not all(name.removeprefix("-").isdecimal() for name in classes):
        told = ", ".join(f"{i} is {name}" for i, name in enumerate(classes[:10]))
        logger.info("%s: %d classes: %s", files["test"].parent, len(classes), told)
    return classes


def _ambiguous(sequences: pl.Series) -> tuple[int, int]:
    return int(sequences.str.contains("(?i)[RYSWKMBDHV]").sum()), len(sequences)


def _codes(sequences: pl.Series, length: int, path: Path) -> Codes:
    """Codes of all sequences, filled up with N; an error names file and line."""
    filled = sequences.str.pad_end(length, "N")
    try:
        return to_codes(str(filled.str.join("")[0])).reshape(-1, length)
    except (SequenceError, ValueError):
        for row, text in enumerate(sequences):
            try:
                to_codes(text)
            except SequenceError:
                to_codes(text, name=f"{path}:{line_of(path, row)}")
        raise


def _giveaways(
    folder: Path, codes: dict[str, Codes], tables: dict[str, pl.DataFrame], classes: list[str]
) -> dict[str, float]:
    """Note, and warn of, negatives that were made from positives."""
    notes: dict[str, float] = {}
    numbers = {
        part: np.searchsorted(classes, table["label"].to_numpy()) for part, table in tables.items()
    }
    length = codes["test"].shape[1]
    share = shuffled_share(
        np.concatenate(list(codes.values())), np.concatenate(list(numbers.values()))
    )
    if share > 0.1 and length >= 50:  # shorter ones may share their counts by chance
        notes["shuffled"] = share
        logger.warning(
            "%s: %.0f %% of the sequences are shuffles of one of another class, or it of them",
            folder, 100 * share,
        )  # fmt: skip
    if "train" in codes and len(classes) == 2 and length >= 2 * SHARED_BASES:
        known = edited_copies_mcc(codes["train"], numbers["train"], codes["test"], numbers["test"])
        if known > 0.3:
            notes["edited_copies_mcc"] = known
            logger.warning(
                "%s: the class opposite to training sequences with the same %d bases at the same "
                "position is right on the test file with a Matthews correlation of %.3f: "
                "negatives look like edited copies of positives of another file",
                folder, SHARED_BASES, known,
            )  # fmt: skip
    return notes


def _name(folder: Path) -> str:
    return "/".join(folder.resolve().parts[-2:])


TASK = Task(
    name="GUE",
    target="multi-class",
    metrics=("MCC", "accuracy"),
    split="given",
    sources="a folder with train.csv, dev.csv and test.csv (sequence,label), or one of such",
    needs_genome=False,
    builder=build,
    expand=family,
    published=PUBLISHED,
)
