"""Annotation of a BED file, as the command line and the web page show it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from genoglot.errors import ChromosomeNameError, GenoglotError, UniverseError
from genoglot.models import Annotation, Annotator, Answer
from genoglot.regions import Regions
from genoglot.regions.chromosomes import Alias

log = logging.getLogger("genoglot")

NONE = "none of these"


@dataclass(frozen=True)
class FileAnnotation:
    """Annotation of a BED file.

    Attributes
    ----------
    file
        Path of the file.
    n_regions
        Number of regions in the file.
    n_overlapping
        Number of these regions that overlap the universe.
    annotation
        What the annotator answers.
    """

    file: str
    n_regions: int
    n_overlapping: int
    annotation: Annotation

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary that can be written as JSON."""
        annotation = self.annotation
        answers = {
            answer.field: {
                "answer": answer.labels[0] if answer.accepted else None,
                "labels": dict(zip(answer.labels, answer.probabilities, strict=True)),
            }
            for answer in annotation.answers
        }
        return {
            "file": self.file,
            "n_regions": self.n_regions,
            "n_overlapping": self.n_overlapping,
            "n_tokens": annotation.n_tokens,
            "familiar": annotation.familiar,
            **answers,
            "descriptions": [{"text": t, "match": match} for t, match in annotation.descriptions],
            "nearest": [asdict(neighbor) for neighbor in annotation.nearest],
        }

    def summary(self) -> str:
        """Return one or two lines about the file."""
        line = (
            f"{self.file}: {self.n_regions:,} regions, "
            f"{self.n_overlapping / self.n_regions:.0%} overlap the universe "
            f"({self.annotation.n_tokens:,} of its regions)"
        )
        if self.annotation.familiar:
            return line
        return f"{line}\nIt resembles no labeled set: do not take anything below for an answer."

    def tables(self) -> list[tuple[list[str], list[list[str]]]]:
        """Return tables of the answers, of the descriptions, and of the nearest labeled sets.

        Returns
        -------
        list of (list of str, list of list of str)
            Header and rows of each table.
        """
        annotation = self.annotation
        answers = [row for answer in annotation.answers for row in _rows(answer)]
        described = [[f"{match:.3f}", text] for text, match in annotation.descriptions]
        nearest = [[f"{n.jaccard:.3f}", n.id, n.description] for n in annotation.nearest]
        return [
            (["field", "answer", "label", "probability"], answers),
            (["match", "description"], described),
            (["Jaccard", "nearest labeled set", "description"], nearest),
        ]


def annotate_file(
    annotator: Annotator,
    path: str | Path,
    *,
    top: int = 5,
    alias: Alias | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    **overlap: Any,
) -> FileAnnotation:
    """Annotate the regions of a BED file.

    Parameters
    ----------
    annotator
        A fitted annotator.
    path
        The BED file, plain or gzip.
    top
        Maximum number of labels of each field, of descriptions and of labeled sets.
    alias, on_error
        As for `Regions.from_bed`.
    **overlap
        Minimum overlap with regions of the universe, as for `Universe.overlaps`.

    Returns
    -------
    FileAnnotation
        The annotation, and how many regions it is based on.

    Raises
    ------
    GenoglotError
        If the file cannot be read, has no regions, or none that overlaps the universe.
    """
    universe = annotator.universe
    log.addFilter(_is_not_about_an_empty_file)  # an empty file is an error here, reported once
    try:
        regions = Regions.from_bed(path, alias=alias, on_error=on_error, columns=3)
    finally:
        log.removeFilter(_is_not_about_an_empty_file)
    if not len(regions):
        raise GenoglotError(f"{path}: no regions in this file, so there is nothing to annotate")
    try:
        rows, ids = universe.overlaps(regions, **overlap)
    except ChromosomeNameError as error:
        raise ChromosomeNameError(f"{path}: {error}") from None
    if not len(ids):
        raise UniverseError(
            f"{path}: none of its {len(regions)} regions overlaps the model's universe (genome "
            f"{universe.genome or 'unnamed'}); give a file of that genome, or another model"
        )
    annotation = annotator.annotate(np.unique(ids), top=top)
    return FileAnnotation(str(path), len(regions), len(np.unique(rows)), annotation)


def _is_not_about_an_empty_file(record: logging.LogRecord) -> bool:
    return "no regions in this file" not in record.getMessage()


def _rows(answer: Answer) -> Iterator[list[str]]:
    """Rows of a field: its answer beside the first of its labels."""
    first = (answer.labels[0] or "(none)") if answer.accepted else NONE
    for i, (label, p) in enumerate(zip(answer.labels, answer.probabilities, strict=True)):
        yield ["" if i else answer.field, "" if i else first, label or "(none)", f"{p:.3f}"]
