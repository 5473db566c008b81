"""Sample sheets: tables that describe region files, one row per file."""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from genoglot.atlas.assembly_column import ASSEMBLY_COLUMNS, select_assembly
from genoglot.errors import SampleSheetError
from genoglot.tables import MISSING, missing_values, read_table

log = logging.getLogger("genoglot")

REQUIRED = ("file", "description")
LABELS = ("assay", "target", "biosample", "group")
KNOWN = (*REQUIRED, "id", *LABELS, "experiment", *ASSEMBLY_COLUMNS)
_SEPARATOR = re.compile(r"(?<!\d)[\s_-]+|[\s_-]+(?!\d)")  # not between digits: 1-12 is not 11-2


def read_sheet(
    path: str | Path,
    folder: str | Path | None = None,
    *,
    assembly: str | None = None,
    missing: Collection[str] = MISSING,
) -> pl.DataFrame:
    r"""Read a sample sheet: a table with a header and one row per file.

    Tables as spreadsheets and R write them are read: see `genoglot.tables.read_table`.

    Parameters
    ----------
    path
        The sheet, plain or gzip. The columns `file` and `description` are required. `id`, `assay`,
        `target`, `biosample`, `group` (or `experiment`) and `assembly` (or `genome`) are known, in
        upper or lower case. All other columns are returned as they are.
    folder
        Folder of the files; if given, every file must exist.
    assembly
        Only use the files of this genome assembly, such as "hg38".
    missing
        Texts that mean a missing value, in upper or lower case; by default NA, N/A, nan, null,
        none, - and similar ones. A warning counts them. An empty cell always is a missing value.

    Returns
    -------
    polars.DataFrame
        Columns of strings, null where a value is missing, with `id` (by default the file) and, if
        there is one, `group`.

    Raises
    ------
    SampleSheetError
        If the sheet cannot be read, has no required column or value, or repeats a file, or if a
        file does not exist.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> sheet = pathlib.Path(tempfile.mkdtemp()) / "sheet.csv"
    >>> _ = sheet.write_text('file,description\na.bed,"CTCF, human liver"\n')
    >>> read_sheet(sheet).row(0, named=True)["description"]
    'CTCF, human liver'
    """
    table, rows, _ = read_table(path, REQUIRED, error=SampleSheetError)
    names = {name: name.lower() for name in table.columns if name.lower() in KNOWN}
    if len(set(names.values())) < len(names):
        raise SampleSheetError(f"{path}: two columns of one name among {', '.join(table.columns)}")
    table = _mark_missing(table.rename(names), missing, str(path))
    if absent := [name for name in REQUIRED if name not in table.columns]:
        raise SampleSheetError(
            f"{path}: no column {' and no column '.join(map(repr, absent))} "
            f"(there are: {', '.join(table.columns)}); add it"
        )
    if table.is_empty():
        raise SampleSheetError(f"{path}: no files in this sheet; add a row per file")
    for name in REQUIRED:
        if empty := table[name].is_null().arg_true().to_list():
            where = some("row", [rows[i] for i in empty])
            raise SampleSheetError(f"{path}: no {name} in {where}; fill it in")
    if "experiment" in table.columns and "group" not in table.columns:
        table = table.with_columns(group="experiment")
    identifier = pl.coalesce("id", "file") if "id" in table.columns else pl.col("file")
    table = _checked(table.with_columns(id=identifier), str(path), folder, assembly, rows)
    if folder is not None:
        check_files(table, folder, str(path))
    return table


def complete_sheet(
    table: pl.DataFrame, folder: Path, *, assembly: str | None, missing: Collection[str]
) -> pl.DataFrame:
    """Check a table that describes the files of a folder, as `read_sheet` checks a sheet.

    Parameters
    ----------
    table
        Columns of strings, with `id`, `file` and `description`.
    folder
        Folder of the files.
    assembly, missing
        As in `read_sheet`.
    """
    table = _mark_missing(table, missing, str(folder), unchanged=("id", *REQUIRED))
    return _checked(table, str(folder), folder, assembly)


def check_files(table: pl.DataFrame, folder: str | Path, where: str = "sample sheet") -> None:
    """Refuse a sheet that names files which do not exist, all in one message.

    Parameters
    ----------
    table
        A sample sheet.
    folder
        Folder of the files.
    where
        What the message calls the sheet.

    Raises
    ------
    SampleSheetError
        If a file does not exist.
    """
    absent = [name for name in table["file"] if not (Path(folder) / name).is_file()]
    if absent:
        raise SampleSheetError(
            f"{where}: {len(absent)} of {len(table)} files are not in {folder}: "
            f"{some('file', absent)}; add them or remove their rows"
        )


def some(noun: str, names: Sequence[Any]) -> str:
    """Return a list of the first five names, for a message.

    Examples
    --------
    >>> some("row", [2, 3])
    'rows 2, 3'
    """
    shown = ", ".join(map(str, names[:5]))
    return f"{noun}{'s' if len(names) > 1 else ''} {shown}{', ...' if len(names) > 5 else ''}"


def _checked(
    table: pl.DataFrame,
    where: str,
    folder: str | Path | None,
    assembly: str | None,
    rows: Sequence[int] = (),
) -> pl.DataFrame:
    """Refuse repeated files and ids, select an assembly, and warn of similar labels."""
    files = [_identity(name, folder) for name in table["file"]]
    for name, values in (("file", files), ("id", table["id"].to_list())):
        _refuse_repeats(name, table[name], values, where, rows)
    if assembly is not None:
        table = select_assembly(table, assembly, where)
    _warn_of_spellings(table, where)
    return table


def _mark_missing(
    table: pl.DataFrame, markers: Collection[str], where: str, unchanged: Collection[str] = ()
) -> pl.DataFrame:
    """Set values that mean "missing" to null, and count them in a warning."""
    counts = []
    judged = [name for name in table.columns if name not in unchanged]
    for name in sorted(judged, key=lambda name: name not in KNOWN):
        column = table[name]
        gone = missing_values(column, markers)
        written = column.filter(gone & column.is_not_null())
        if len(written):
            table = table.with_columns(column.set(gone, None))
            texts = ", ".join(written.unique(maintain_order=True)[:5])
            counts.append(f"{len(written)} in the column {name} (written {texts})")
    if counts:
        shown, others = "; ".join(counts[:6]), len(counts) - 6
        more = f"; and some in {others} other column{'s' * (others > 1)}" if others > 0 else ""
        log.warning("%s: missing values: %s%s", where, shown, more)
    return table


def _identity(name: str, folder: str | Path | None) -> object:
    """Return a value that is equal for two names of one file: other paths, spellings or links."""
    try:
        if folder is not None:
            found = (Path(folder) / name).stat()
            return found.st_dev, found.st_ino
    except OSError:
        pass  # the file does not exist, which is reported later
    return os.path.normpath(name)


def _refuse_repeats(
    name: str, shown: pl.Series, values: Sequence[object], where: str, rows: Sequence[int]
) -> None:
    """Refuse a value that is in two rows, and name both."""
    first: dict[object, int] = {}
    for i, value in enumerate(values):
        before = first.setdefault(value, i)
        if before != i:
            same = shown[i] if shown[i] == shown[before] else f"{shown[before]} (as {shown[i]})"
            at = f" in rows {rows[before]} and {rows[i]}" if rows else ""
            raise SampleSheetError(f"{where}: {name} {same} repeated{at}; remove one")


def _warn_of_spellings(table: pl.DataFrame, where: str) -> None:
    """Warn of labels that differ only in case, blanks and hyphens, and could mean the same."""
    for name in [name for name in LABELS if name in table.columns]:
        counts = table[name].drop_nulls().value_counts(name="n")
        spellings: dict[str, list[str]] = {}
        for label, n in counts.sort("n", name, descending=[True, False]).iter_rows():
            plain = _SEPARATOR.sub("", unicodedata.normalize("NFKC", label).casefold())
            spellings.setdefault(plain, []).append(f"{label!r} ({n} file{'s' * (n > 1)})")
        similar = [" and ".join(found) for found in spellings.values() if len(found) > 1]
        if similar:
            log.warning(
                "%s: different labels in the column %s that look similar: %s",
                *(where, name, "; ".join(similar[:5]) + ("; ..." if len(similar) > 5 else "")),
            )
