"""The genome assemblies that a sample sheet declares its files to be of."""

from __future__ import annotations

import logging

import polars as pl

from genoglot.errors import SampleSheetError
from genoglot.regions.assembly import assembly_name, same_assembly

log = logging.getLogger("genoglot")

ASSEMBLY_COLUMNS = ("assembly", "genome")


def check_assembly(table: pl.DataFrame, genome: str) -> None:
    """Refuse a sheet whose files are of several assemblies, or of another one than `genome`.

    Files without a declared assembly are counted in a warning if other files have one.

    Parameters
    ----------
    table
        A sample sheet.
    genome
        Name of the assembly of the universe; may be empty.

    Raises
    ------
    SampleSheetError
        If the assemblies differ.
    """
    column = _assembly_column(table)
    if column is None:
        return
    counts = _files_per_assembly(table, column)
    declared = f"the column {column} says {' and '.join(counts.values())}"
    if len(counts) > 1:
        raise SampleSheetError(
            f"{declared}, but an atlas is of one assembly; use only the files of one with "
            "assembly= (--assembly)"
        )
    if not same_assembly(genome, next(iter(counts))):
        raise SampleSheetError(
            f"{declared}, but the universe is declared to be of {genome!r}; use a universe and "
            "files of one assembly, or rename the column if it does not name assemblies"
        )
    if unnamed := table[column].null_count():
        log.warning(
            "%d of %d files name no %s; they are used like the others", unnamed, len(table), column
        )


def select_assembly(table: pl.DataFrame, assembly: str, where: str) -> pl.DataFrame:
    """Select the files of one assembly, with a warning that counts the others.

    Parameters
    ----------
    table
        A sample sheet.
    assembly
        Name of the assembly, such as "hg38".
    where
        What messages call the sheet.

    Raises
    ------
    SampleSheetError
        If no file is of that assembly, or no file declares one.
    """
    column = _assembly_column(table)
    if column is None:
        raise SampleSheetError(
            f"{where}: no file names its assembly, so those of {assembly!r} cannot be selected; "
            "add a column assembly, or use all files"
        )
    wanted = assembly_name(assembly)
    matches = pl.Series([assembly_name(name or "") == wanted for name in table[column]])
    others = _files_per_assembly(table.filter(~matches), column)
    if not matches.any():
        raise SampleSheetError(
            f"{where}: no file is of {assembly!r}; the column {column} says "
            f"{' and '.join(others.values())}"
        )
    if not matches.all():
        unnamed = table[column].null_count()
        rest = [*others.values(), *([f"nothing for {unnamed}"] if unnamed else [])]
        log.warning(
            "%s: used %d of %d files, those of %s; for the others, the column %s says %s",
            *(where, matches.sum(), len(table), assembly, column, ", ".join(rest)),
        )
    return table.filter(matches)


def _assembly_column(table: pl.DataFrame) -> str | None:
    """Return the name of the first column that names the assembly of a file."""
    columns = (name for name in ASSEMBLY_COLUMNS if name in table.columns)
    return next((name for name in columns if table[name].null_count() < len(table)), None)


def _files_per_assembly(table: pl.DataFrame, column: str) -> dict[str, str]:
    """Return for each assembly a text with its number of files and one of them."""
    files: dict[str, list[tuple[str, str]]] = {}
    for name, file in table.select(pl.col(column, "file").cast(pl.String)).drop_nulls().iter_rows():
        files.setdefault(assembly_name(name), []).append((name, file))
    return {
        assembly: f"{found[0][0]!r} for {len(found)} file{'s' * (len(found) > 1)} "
        f"(as {found[0][1]})"
        for assembly, found in files.items()
    }
