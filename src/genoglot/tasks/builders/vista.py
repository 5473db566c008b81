"""VISTA and VISTATissues: whether DNA is an enhancer in mouse embryos, and in which tissues.

Source format: the FASTA file of the VISTA Enhancer Browser (Visel et al. 2007, Nucleic Acids Res.
35:D88), whose headers are `>Human|chr16:80372593-80373755 | element 4 | positive | neural
tube[6/10] | hindbrain (rhombencephalon)[10/10]`: species, position from 1 (human: hg19, mouse:
mm9), element, result of the assay, and tissues with the number of embryos.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.sequence import Genome
from genoglot.sequence.alphabet import Codes, N
from genoglot.sequence.fasta import read_fasta
from genoglot.tasks.dataset import LENGTH
from genoglot.tasks.homologs import deal_groups, group_homologs
from genoglot.tasks.notes import Notes
from genoglot.tasks.splits import TaskSplit
from genoglot.tasks.task import Task
from genoglot.tasks.writer import Batch, TaskContent

FOLDS = 5
_POSITION = re.compile(r"(\S+):(\d+)-(\d+)")


class Element(NamedTuple):
    """An element that was tested in mouse embryos.

    Attributes
    ----------
    species, chrom
        Species, and chromosome in its genome.
    start, end
        Position, 0-based half-open, in bp.
    name
        Name, such as "Human element 4": elements of man and of mouse have the same numbers.
    positive
        Whether it was active.
    tissues
        Tissues in which it was active.
    codes
        DNA, uint8 (length,).
    """

    species: str
    chrom: str
    start: int
    end: int
    name: str
    positive: bool
    tissues: tuple[str, ...]
    codes: Codes


def read_elements(path: Path) -> list[Element]:
    r"""Read the FASTA file of the VISTA Enhancer Browser.

    Raises
    ------
    TaskError
        With the header, if it is not one of the browser's, or if an element is there twice.
    SequenceError
        With the line, if the file is not FASTA.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "vista.fa"
    >>> _ = path.write_text(">Mouse|chr4:11-14 | element 5 | positive  | limb[4/6]\nACGT\n")
    >>> (element,) = read_elements(path)
    >>> element.name, element.start, element.end, element.tissues
    ('Mouse element 5', 10, 14, ('limb',))
    """
    elements = {}
    for record in read_fasta(path):
        header = f"{record.name} {record.description}"
        fields = [field.strip() for field in header.split("|")]
        position = _POSITION.fullmatch(fields[1]) if len(fields) > 3 else None
        if position is None or fields[3] not in ("positive", "negative"):
            raise TaskError(
                f"{path}: the header {header[:60].strip()!r} is none of the VISTA Enhancer "
                "Browser: species|chrom:start-end | element | positive or negative | tissues"
            )
        name = f"{fields[0]} {fields[2]}"
        if name in elements:
            raise TaskError(f"{path}: {name} is there twice; remove one")
        tissues = (field.partition("[")[0].strip() for field in fields[4:])
        chrom, start, end = position.groups()
        elements[name] = Element(
            fields[0], chrom, int(start) - 1, int(end), name, fields[3] == "positive",
            tuple(dict.fromkeys(filter(None, tissues))), record.codes,
        )  # fmt: skip
    return list(elements.values())


def build(
    sources: Sequence[Path],
    *,
    label: Literal["activity", "tissues"],
    genome: Genome | None = None,
    seed: int = 0,
    width: int = 2000,
    min_elements: int = 20,
) -> TaskContent:
    """Make the content of one of the two tasks.

    VISTA: whether an element is positive. VISTATissues: of the positive elements, in which tissues.

    Splits: `fold-0` to `fold-4`. Elements are dealt to five folds; a split tests on its fold,
    validates on the next one and trains on the other three. Elements that share DNA, as an enhancer
    of man and that of mouse do, are in one fold (`genoglot.tasks.homologs`), and have the same
    `group`.

    Parameters
    ----------
    sources
        The FASTA file, plain or gzip.
    label
        Which of the two tasks.
    genome
        Not used: the file holds the sequences.
    seed
        See `Task.build`.
    width
        Maximum length in bp. Of longer elements, the central part is read; shorter ones are padded
        with N at their end, and the column `length` of the examples holds their lengths.
    min_elements
        Minimum number of elements of a tissue; rarer tissues are left out and counted.

    Raises
    ------
    GenoglotError
        If the file is malformed: see `read_elements`.
    """
    (path,) = sources
    if width < 1:
        raise TaskError(f"width is {width}; give the maximum length in bp")
    elements, notes = read_elements(path), Notes()
    # Homologs are looked for in all elements, so that the folds do not depend on the label.
    group = group_homologs(_padded(elements, max((len(e.codes) for e in elements), default=0)))
    notes["homologs"] = int((np.bincount(group)[group] > 1).sum()) if len(group) else 0
    outputs = ["enhancer"]
    labels = np.array([[element.positive] for element in elements], np.float32)
    if label == "tissues":
        kept = np.array([bool(element.tissues) for element in elements], bool)
        positive = labels[:, 0] > 0
        notes.count_dropped(
            "positives_without_tissue", "positive elements have no tissue: left out", path,
            kept | ~positive,
        )  # fmt: skip
        kept &= positive
        group = group[kept]
        elements = [element for element, keep in zip(elements, kept, strict=True) if keep]
        outputs, labels = _tissues(elements, min_elements, path, notes)
    rule = "fold {} of 5, homologs together; validation: the next fold"
    folds = list(deal_groups(group, FOLDS, np.random.default_rng(seed)))
    splits = {}
    for i, test in enumerate(folds):
        subsets = np.full(len(elements), "train", object)
        subsets[folds[(i + 1) % FOLDS]], subsets[test] = "validation", "test"
        splits[f"fold-{i}"] = TaskSplit(rule.format(i), subsets)
    fits = np.array([e.end - e.start == len(e.codes) for e in elements], bool)
    notes.count(
        "positions_of_another_length", "elements are longer or shorter than their position: the "
        "sequence is read, the position is left out",
        {path: (int((~fits).sum()), len(fits))},
    )  # fmt: skip
    shortened = np.array([len(element.codes) <= width for element in elements], bool)
    notes.count(
        "shortened_elements", f"elements are longer than {width:,} bp: their center is read",
        {path: (int((~shortened).sum()), len(shortened))},
    )  # fmt: skip
    batches = [_batch(elements, labels, group, width, splits)] if elements else []
    return TaskContent(sources, outputs, width, splits, batches, notes)


def _tissues(
    elements: Sequence[Element], min_elements: int, path: Path, notes: Notes
) -> tuple[list[str], NDArray[np.float32]]:
    """List the tissues of enough elements, the most frequent first, and label the elements."""
    counts = Counter(tissue for element in elements for tissue in element.tissues)
    tissues = [tissue for tissue, count in counts.most_common() if count >= min_elements]
    if not tissues:
        raise TaskError(
            f"{path}: no tissue has {min_elements} elements; set a lower min_elements "
            "(--set min_elements=5)"
        )
    notes.count(
        "rare_tissues", f"tissues have fewer than {min_elements} elements: left out",
        {path: (len(counts) - len(tissues), len(counts))},
    )  # fmt: skip
    labels = [[tissue in element.tissues for tissue in tissues] for element in elements]
    return tissues, np.array(labels, np.float32)


def _center(element: Element, width: int) -> tuple[int, int]:
    """Choose the part of an element that is read: first base and one past the last."""
    length = len(element.codes)
    first = max(length - width, 0) // 2
    return first, min(first + width, length)


def _padded(elements: Sequence[Element], width: int) -> Codes:
    """Read the central `width` bp of each element, padded with N at the end."""
    codes: Codes = np.full((len(elements), width), N, np.uint8)
    for row, element in zip(codes, elements, strict=True):
        first, last = _center(element, width)
        row[: last - first] = element.codes[first:last]
    return codes


def _batch(
    elements: Sequence[Element],
    labels: NDArray[np.float32],
    group: NDArray[np.int64],
    width: int,
    splits: dict[str, TaskSplit],
) -> Batch:
    """Make the examples; a group is named after its first element."""
    parts = np.array([_center(element, width) for element in elements])
    first_of: dict[int, str] = {}
    for number, element in zip(group.tolist(), elements, strict=True):
        first_of.setdefault(number, element.name)
    length = parts[:, 1] - parts[:, 0]
    start = np.array([element.start for element in elements]) + parts[:, 0]
    known = pl.Series([element.end - element.start == len(element.codes) for element in elements])
    examples = pl.DataFrame(
        {
            "id": [element.name for element in elements],
            "chrom": [element.chrom for element in elements],
            "start": pl.Series(start).set(~known, None),
            "end": pl.Series(start + length).set(~known, None),
            "strand": "+",
            "group": [first_of[number] for number in group.tolist()],
            "species": [element.species for element in elements],
            LENGTH: length,
            **{f"split:{name}": pl.Series(split.subsets) for name, split in splits.items()},
        }
    )
    return Batch(_padded(elements, width), labels, examples)


TISSUES = Task(
    name="VISTATissues",
    target="multi-label",
    metrics=("AUROC", "AUPRC"),
    split="",  # no results are published
    sources="the FASTA file of the VISTA Enhancer Browser",
    needs_genome=False,
    builder=partial(build, label="tissues"),
)

ACTIVITY = replace(
    TISSUES,
    name="VISTA",
    target="binary",
    metrics=("MCC", "AUROC", "AUPRC"),
    builder=partial(build, label="activity"),
)
