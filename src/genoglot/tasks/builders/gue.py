"""GUE: folders of train.csv, dev.csv and test.csv with the columns sequence and label.

Format and published figures: Zhou et al. 2023, DNABERT-2 (arXiv:2306.15006), table 4; any folder
of that shape is a task, a folder of such folders a family.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import SequenceError, TaskError
from genoglot.sequence import Genome
from genoglot.sequence.alphabet import Codes, to_codes
from genoglot.tables import MISSING, missing_values
from genoglot.tasks.dataset import LENGTH
from genoglot.tasks.label_leaks import SHARED_BASES, edited_copies_mcc, shuffled_fraction
from genoglot.tasks.notes import Notes
from genoglot.tasks.source_tables import LINE, SourceTable
from genoglot.tasks.splits import TaskSplit, random_subsets
from genoglot.tasks.task import Dataset, PublishedResult, Task
from genoglot.tasks.writer import Batch, TaskContent

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
    PublishedResult(model, "MCC", round(value / 100, 4), "DNABERT-2, table 4 (one seed)", name)
    for name, values in _TABLE.items()
    for model, value in zip(_MODELS, values, strict=True)
)


def find_datasets(sources: Sequence[Path], out: Path) -> list[Dataset]:
    """Find the folders with a test.csv below those given, and the directory to write for each.

    Raises
    ------
    TaskError
        If there is none below a folder, or if one that has a test.csv holds another.
    """
    found: list[Dataset] = []
    for source in sources:
        folders = sorted(file.parent for file in source.rglob(FILES["test"]))
        if not folders:
            raise TaskError(f"{source}: no folder with train.csv, dev.csv and test.csv in it")
        if source not in folders:
            found += [Dataset([folder], out / folder.relative_to(source)) for folder in folders]
        elif len(folders) > 1:
            raise TaskError(
                f"{folders[1]} lies in {source}, which has a test.csv itself; give one of them"
            )
        else:
            folder = out if len(sources) == 1 else out / _dataset_name(source)
            found.append(Dataset([source], folder))
    return found


def build(sources: Sequence[Path], *, genome: Genome | None = None, seed: int = 0) -> TaskContent:
    """Make the content of a task from one folder.

    Class numbers follow the sorted text of the labels, in which 0.0 is 0. Sequences shorter than
    the longest are padded with N at their end, and the column `length` of the examples holds their
    lengths. A folder without train.csv (as the splice set is found at times) has its dev.csv split
    80 to 20 into train and validation, which the notes say. They also say if many sequences are
    shuffles of others, or edited copies (`genoglot.tasks.label_leaks`).

    Parameters
    ----------
    sources
        The folder.
    genome
        Not used: the files hold the sequences.
    seed
        See `Task.build`.

    Raises
    ------
    TaskError
        With file and line, if a file is missing, its header differs, a label is missing (empty,
        NaN, NA, null) or spelled in two ways (Yes, yes), a number that is not a class (0.5), or in
        test only; or if a sequence consists of N only.
    SequenceError
        With file and line, if a character is not a DNA letter.
    """
    (folder,) = sources
    files = {subset: folder / name for subset, name in FILES.items() if (folder / name).is_file()}
    if missing := [FILES[subset] for subset in ("validation", "test") if subset not in files]:
        raise TaskError(f"{folder}: no {missing[0]} there; a task has train.csv, dev.csv, test.csv")
    frame = pl.concat(
        _read_csv(path).select(LINE, *COLUMNS, file=pl.lit(str(path)), subset=pl.lit(subset))
        for subset, path in files.items()
    )
    classes = _classes(frame, folder)
    lengths = frame["sequence"].str.len_bytes().cast(pl.Int64)
    length = int(lengths.max())  # type: ignore[arg-type]
    codes = _padded_codes(frame, length)
    labels = np.searchsorted(classes, frame["label"].to_numpy())
    subsets = frame["subset"].to_numpy()
    notes = _count_ambiguous(frame)
    rule = "the files train.csv, dev.csv and test.csv"
    assigned = subsets.copy()
    if "train" not in files:
        rule = "the file test.csv; dev.csv split at random, 80 to 20, into train and validation"
        notes["train"] = "train.csv is missing"
        logger.warning("%s: no train.csv; 80 %% of dev.csv are trained on instead", folder)
        dev = subsets == "validation"
        assigned[dev] = random_subsets(int(dev.sum()), (0.8, 0.2, 0.0), np.random.default_rng(seed))
    _note_label_leaks(notes, folder, codes, labels, subsets)
    examples = frame.select(
        pl.format("{}:{}", "subset", pl.int_range(pl.len()).over("subset")).alias("id"),
        pl.Series("split:given", assigned.astype(str)),
        *([lengths.alias(LENGTH)] if (lengths != length).any() else []),
    )
    return TaskContent(
        list(files.values()),
        classes,
        length,
        {"given": TaskSplit(rule, assigned)},
        [Batch(codes, labels, examples)],
        notes,
        name=_dataset_name(folder),
    )


def _read_csv(path: Path) -> pl.DataFrame:
    """Read one of the files: columns sequence and label, both text; a label 0.0 becomes 0."""
    table = SourceTable.read(path, COLUMNS)
    table.require(*COLUMNS)
    label, sequence = (table.frame[name] for name in ("label", "sequence"))

    def refuse(name: str, wrong: pl.Series, problem: str) -> None:
        table.refuse(
            wrong,
            lambda row: f"the {name} {problem} ({row[name][:20]!r}); correct or remove the row",
        )

    refuse("label", missing_values(label, _NO_LABEL), "is missing")
    refuse("label", label.str.contains(_FRACTION), "is not a class")
    refuse("sequence", sequence.str.contains("^[Nn]+$"), "is nothing but N")
    number = pl.col("label").str.extract(_WHOLE, 1).cast(pl.Int64, strict=False).cast(pl.String)
    return table.frame.with_columns(label=pl.coalesce(number, "label"))


def _classes(frame: pl.DataFrame, folder: Path) -> list[str]:
    """List the classes of all files, sorted by their text."""
    spelled: dict[str, str] = {}
    for path, line, label in frame.select("file", LINE, "label").iter_rows():
        other = spelled.setdefault(label.casefold(), label)
        if other != label:
            raise TaskError(
                f"{path}:{line}: the label is {label!r} where others are {other!r}; "
                "write one class in one way"
            )
    classes = sorted(spelled.values())
    if not all(name.removeprefix("-").isdecimal() for name in classes):
        shown = ", ".join(f"{i} is {name}" for i, name in enumerate(classes[:10]))
        logger.info("%s: %d classes: %s", folder, len(classes), shown)
    return classes


def _count_ambiguous(frame: pl.DataFrame) -> Notes:
    """Count the sequences of each file that have a letter for more than one base."""
    notes = Notes()
    ambiguous = pl.col("sequence").str.contains("(?i)[RYSWKMBDHV]").sum()
    counts = frame.group_by("file", maintain_order=True).agg(ambiguous, pl.len())
    notes.count(
        "sequences_with_ambiguous_letters",
        "sequences have IUPAC letters for more than one base, such as R: read as N",
        {Path(file): (n, total) for file, n, total in counts.iter_rows()},
    )
    return notes


def _padded_codes(frame: pl.DataFrame, length: int) -> Codes:
    """Read all sequences, uint8 (n, length), padded with N; an error names file and line."""
    padded = frame["sequence"].str.pad_end(length, "N")
    try:
        return to_codes(str(padded.str.join("")[0])).reshape(-1, length)
    except (SequenceError, ValueError):
        for text, path, line in frame.select("sequence", "file", LINE).iter_rows():
            to_codes(text, name=f"{path}:{line}")
        raise


def _note_label_leaks(
    notes: Notes,
    folder: Path,
    codes: Codes,
    labels: NDArray[np.int64],
    subsets: NDArray[np.object_],
) -> None:
    """Note, and warn of, negatives that were made from positives."""
    length = codes.shape[1]
    fraction = shuffled_fraction(codes, labels)
    if fraction > 0.1 and length >= 50:  # shorter ones may share their counts by chance
        notes["shuffled"] = fraction
        logger.warning(
            "%s: %.0f %% of the sequences are shuffles of one of another class, or it of them",
            folder, 100 * fraction,
        )  # fmt: skip
    train, test = subsets == "train", subsets == "test"
    if train.any() and labels.max() == 1 and length >= 2 * SHARED_BASES:
        mcc = edited_copies_mcc(codes[train], labels[train], codes[test], labels[test])
        if mcc > 0.3:
            notes["edited_copies_mcc"] = mcc
            logger.warning(
                "%s: the class opposite to training sequences with the same %d bases at the same "
                "position is right on the test file with a Matthews correlation of %.3f: "
                "negatives look like edited copies of positives of another file",
                folder, SHARED_BASES, mcc,
            )  # fmt: skip


def _dataset_name(folder: Path) -> str:
    return "/".join(folder.resolve().parts[-2:])


TASK = Task(
    name="GUE",
    target="multi-class",
    metrics=("MCC", "accuracy", "precision (macro)", "recall (macro)", "AUROC"),
    split="given",
    sources="a folder with train.csv, dev.csv and test.csv (sequence,label), or one of those",
    needs_genome=False,
    builder=build,
    expand=find_datasets,
    published=PUBLISHED,
)
