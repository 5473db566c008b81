"""Errors that Genoglot raises: in one line, what is wrong, where, and what to do."""

from collections.abc import Iterable
from pathlib import Path


class GenoglotError(Exception):
    """Base class of every error that Genoglot raises on bad input."""


class BedFormatError(GenoglotError):
    """A line of a BED file that cannot be read.

    Parameters
    ----------
    path
        The file.
    line_number
        1-based number of the line.
    line
        The line itself.
    problem
        What is wrong with it.

    Examples
    --------
    >>> print(BedFormatError("a.bed", 3, "chr1 9 5", "end 5 is before start 9"))
    a.bed:3: end 5 is before start 9: 'chr1 9 5' (fix the line, or skip such lines ...)
    """

    def __init__(self, path: str | Path, line_number: int, line: str, problem: str) -> None:
        self.path, self.line_number, self.line, self.problem = path, line_number, line, problem
        shown = line if len(line) <= 120 else line[:117] + "..."
        self.what = f"{path}:{line_number}: {problem}: {shown!r}"
        super().__init__(
            f'{self.what} (fix the line, or skip such lines with on_error="skip" / --on-error skip)'
        )


class ChromosomeNameError(GenoglotError):
    """Chromosome names that do not match those of the universe or genome."""


class AnnotationError(GenoglotError):
    """A gene annotation that cannot be read."""


class UniverseError(GenoglotError):
    """A universe with duplicate, overlapping or unsorted regions, or an id outside it."""


class UniverseMismatchError(GenoglotError):
    """A model, atlas or file that was made for another universe."""


class AtlasError(GenoglotError):
    """An atlas that is missing, damaged or of another version."""


class LibraryError(GenoglotError):
    """A library of region sets that is missing, damaged or unreachable, or an invalid search."""


class SampleSheetError(GenoglotError):
    """A sample sheet without the required columns, or with names of files that do not exist."""


class TextError(GenoglotError):
    """A query or description that cannot be encoded."""


class SequenceError(GenoglotError):
    """DNA that cannot be read: a character that is not a DNA letter, or a damaged FASTA file."""


class ModelError(GenoglotError):
    """A saved model that is missing, damaged or of an unknown kind."""


class TaskError(GenoglotError):
    """Data of a benchmark task that are missing, damaged or not suitable for the task."""


def some(names: Iterable[str]) -> str:
    """List the first five names, for a message.

    Returns
    -------
    str
        Quoted names, and the number of the others.

    Examples
    --------
    >>> some(["c", "a", "b", "f", "e", "d", "g"])
    "'c', 'a', 'b', 'f', 'e' and 2 others"
    """
    known = list(dict.fromkeys(names))
    others = len(known) - 5
    more = "" if others < 1 else " and 1 other" if others == 1 else f" and {others} others"
    return f"{', '.join(repr(name[:60]) for name in known[:5])}{more}"
