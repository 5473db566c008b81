"""What describes the files: sample sheets, and the JSON that ENCODE gives beside each file."""

from __future__ import annotations

import json
import logging
import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from genoglot.errors import GenoglotError, SampleSheetError
from genoglot.files import read_bytes
from genoglot.regions.assembly import assembly_name, same_assembly
from genoglot.tables import MISSING, missing_values, read_table

log = logging.getLogger("genoglot")

NEEDED = ("file", "description")
LABELS = ("assay", "target", "biosample", "group")
KNOWN = (*NEEDED, "id", *LABELS, "experiment", "assembly", "genome")
ASSEMBLY = ("assembly", "genome")  # columns that name the assembly of a file
_BETWEEN = re.compile(r"(?<!\d)[\s_-]+|[\s_-]+(?!\d)")  # 1-12 and 11-2 are not alike
ENDINGS = (".bed", ".narrowPeak", ".broadPeak", ".gappedPeak")


def read_sheet(
    path: str | Path,
    folder: str | Path | None = None,
    *,
    assembly: str | None = None,
    missing: Collection[str] = MISSING,
) -> pl.DataFrame:
    r"""Read a sample sheet: a table with a header, a row per file.

    What spreadsheets and R write is understood: see `genoglot.tables.read_table`.

    Parameters
    ----------
    path
        The sheet, plain or gzip. Columns `file` and `description` are needed; `id`, `assay`,
        `target`, `biosample`, `group` (or `experiment`) and `assembly` (or `genome`) are understood
        in any case of letters; all others are kept.
    folder
        Where the files are; if given, each is looked for.
    assembly
        Take only the files of this genome assembly, such as "hg38".
    missing
        Texts, in any case of letters, that say that a value is missing; by default NA, N/A, nan,
        null, none, - and the like. They are counted in a notice. An empty cell always is.

    Returns
    -------
    A string column each, missing values null, `id` (default: the file) and `group` included.

    Raises
    ------
    SampleSheetError
        If it cannot be read, lacks a column or a value, or repeats or misses a file.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> sheet = pathlib.Path(tempfile.mkdtemp()) / "sheet.csv"
    >>> _ = sheet.write_text('file,description\na.bed,"CTCF, human liver"\n')
    >>> read_sheet(sheet).row(0, named=True)["description"]
    'CTCF, human liver'
    """
    table, rows, _ = read_table(path, NEEDED, error=SampleSheetError)
    names = {name: name.lower() for name in table.columns if name.lower() in KNOWN}
    if len(set(names.values())) < len(names):
        raise SampleSheetError(f"{path}: two columns of one name among {', '.join(table.columns)}")
    table = _without_missing(table.rename(names), missing, str(path))
    if lacking := [name for name in NEEDED if name not in table.columns]:
        raise SampleSheetError(
            f"{path}: no column {' and no column '.join(map(repr, lacking))} "
            f"(there are: {', '.join(table.columns)}); add it"
        )
    if table.is_empty():
        raise SampleSheetError(f"{path}: no files in this sheet; add a row per file")
    for name in NEEDED:
        if empty := table[name].is_null().arg_true().to_list():
            where = _some("row", [rows[i] for i in empty])
            raise SampleSheetError(f"{path}: no {name} in {where}; fill it in")
    if "experiment" in table.columns and "group" not in table.columns:
        table = table.with_columns(group="experiment")
    if "id" not in table.columns:
        table = table.with_columns(id="file")
    table = table.with_columns(pl.coalesce("id", "file").alias("id"))
    _refuse_repeats("file", table["file"], _places(table["file"], folder), str(path), rows)
    _refuse_repeats("id", table["id"], table["id"], str(path), rows)
    if assembly is not None:
        table = _of_assembly(table, assembly, str(path))
    _note_spellings(table, str(path))
    if folder is not None:
        check_files(table, folder, str(path))
    return table


def check_files(table: pl.DataFrame, folder: str | Path, where: str = "sample sheet") -> None:
    """Refuse a sheet that names files which are not in the folder, all in one message."""
    gone = [name for name in table["file"] if not (Path(folder) / name).is_file()]
    if gone:
        raise SampleSheetError(
            f"{where}: {len(gone)} of {len(table)} files are not in {folder}: "
            f"{_some('file', gone)}; add them or remove their rows"
        )


def check_assembly(table: pl.DataFrame, genome: str) -> None:
    """Refuse files that are declared to be of several assemblies, or of another than `genome`.

    Files that name none are counted in a notice, where others name one.
    """
    column = _assembly_column(table)
    if column is None:
        return
    counts = _per_assembly(table, column)
    if len(counts) > 1:
        raise SampleSheetError(
            f"the column {column} says {' and '.join(counts.values())}, but an atlas is of one "
            "assembly; take the files of one with assembly= (--assembly)"
        )
    if not same_assembly(genome, next(iter(counts))):
        raise SampleSheetError(
            f"the column {column} says {' and '.join(counts.values())}, but the universe is "
            f"declared to be of {genome!r}; give the universe and the files of one assembly, or "
            "rename a column that is none of assemblies"
        )
    if unnamed := table[column].null_count():
        log.warning(
            "%d of %d files name no %s; they are taken with the others", unnamed, len(table), column
        )


def read_encode_json(
    folder: str | Path, *, assembly: str | None = None, missing: Collection[str] = MISSING
) -> pl.DataFrame:
    """Describe the files of a folder by the ENCODE metadata beside them.

    Each `NAME.bed.gz` (or .narrowPeak, .broadPeak, plain or gzip) goes with a `NAME.json`, as the
    ENCODE portal gives for a file or an experiment. Fields that are missing stay empty; a missing
    description is put together from target, assay and biosample. Files without JSON, and JSON
    without a file, are left out with a notice in the log.

    Parameters
    ----------
    folder
        The folder.
    assembly, missing
        As in `read_sheet`.

    Returns
    -------
    A sheet as of `read_sheet`, with `accession`, `assembly` and `output_type` besides.

    Raises
    ------
    SampleSheetError
        If the folder has no such pair, one file twice, or a JSON file cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SampleSheetError(f"{folder}: no such folder; give the one with the BED files")
    beds: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if (name := _stem(file.name)) is not None:
            if name in beds:
                log.warning("%s: %s is taken, not %s", folder, beds[name].name, file.name)
            beds.setdefault(name, file)
    sheets = {file.stem: file for file in sorted(folder.glob("*.json"))}
    if lone := sorted(beds.keys() - sheets.keys()):
        log.warning("%s: no JSON beside the BED %s; left out", folder, _some("file", lone))
    if lone := sorted(sheets.keys() - beds.keys()):
        log.warning("%s: no BED beside the JSON %s; left out", folder, _some("file", lone))
    rows = []
    for name in sorted(beds.keys() & sheets.keys()):
        row = _encode_row(sheets[name])
        if row["description"] is None:
            log.warning("%s: says nothing of the file; left out", sheets[name])
        else:
            rows.append({"id": name, "file": beds[name].name, **row})
    if not rows:
        raise SampleSheetError(f"{folder}: no NAME.bed.gz with a NAME.json that describes it")
    table = pl.DataFrame(rows, infer_schema_length=None).with_columns(pl.all().cast(pl.String))
    table = _without_missing(table, missing, str(folder), untouched=("id", *NEEDED))
    _refuse_repeats("file", table["file"], _places(table["file"], folder), str(folder))
    if assembly is not None:
        table = _of_assembly(table, assembly, str(folder))
    _note_spellings(table, str(folder))
    return table


def _encode_row(path: Path) -> dict[str, str | None]:
    """Pick the fields of one ENCODE file or experiment."""
    try:
        about = json.loads(read_bytes(path))
    except (ValueError, GenoglotError) as error:
        raise SampleSheetError(f"{path}: not JSON ({error}); fetch it again") from None
    if not isinstance(about, dict):
        raise SampleSheetError(f"{path}: not the JSON of an ENCODE file or experiment")
    accession = _text(about.get("accession"))
    experiment = _text(about.get("dataset")) or _text(about.get("experiment"), "accession")
    if experiment is None and accession is not None and accession.startswith("ENCSR"):
        experiment = accession
    row = {
        "description": _text(about.get("description")),
        "assay": _text(about.get("assay_title")) or _text(about.get("assay_term_name")),
        "target": _target(about.get("target")),
        "biosample": _text(about.get("biosample_ontology"), "term_name")
        or _text(about.get("biosample_term_name"))
        or _text(about.get("biosample_summary"))
        or _text(about.get("simple_biosample_summary")),
        "group": experiment.strip("/").rsplit("/", 1)[-1] if experiment else None,
        "accession": accession,
        "assembly": _text(_only(about.get("assembly"))),
        "output_type": _text(about.get("output_type")),
    }
    if row["description"] is None:
        what = " ".join(part for part in (row["target"], row["assay"]) if part)
        parts = [part for part in (what, row["biosample"]) if part]
        row["description"] = " in ".join(parts) or None
    return row


def _target(value: Any) -> str | None:
    """Give the label of a target, which is an object, or a path such as /targets/CTCF-human/."""
    path = _text(value)
    if path is not None:
        return path.strip("/").removeprefix("targets/").rsplit("-", 1)[0]
    return _text(value, "label")


def _only(value: Any) -> Any:
    """Give the one element of a list, as an experiment has of assemblies."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _text(value: Any, field: str | None = None) -> str | None:
    """Give a string, or an object's field that is one, or None if there is none or it is blank."""
    if field is not None:
        value = value.get(field) if isinstance(value, dict) else None
    return value.strip() if isinstance(value, str) and value.strip() else None


def _stem(name: str) -> str | None:
    """Give the name of a region file without its endings, or None for another file."""
    plain = name.removesuffix(".gz")
    for ending in ENDINGS:
        if plain.endswith(ending):
            return plain.removesuffix(ending) or None
    return None


def _without_missing(
    table: pl.DataFrame, markers: Collection[str], where: str, untouched: Collection[str] = ()
) -> pl.DataFrame:
    """Make null what says that a value is missing, and count it in a notice."""
    counts = []
    for name in sorted(table.columns, key=lambda name: name not in KNOWN):
        if name in untouched:
            continue
        column = table[name]
        gone = missing_values(column, markers)
        written = column.filter(gone & column.is_not_null())
        if len(written):
            table = table.with_columns(column.set(gone, None))
            texts = ", ".join(written.unique(maintain_order=True)[:5])
            counts.append(f"{len(written)} in the column {name} (written {texts})")
    if counts:
        shown, others = "; ".join(counts[:6]), len(counts) - 6
        more = f"; and some in {_count(others, 'other column')}" if others > 0 else ""
        log.warning("%s: missing values: %s%s", where, shown, more)
    return table


def _places(files: pl.Series, folder: str | Path | None) -> list[Any]:
    """Give what is equal for one file, whatever its path, spelling or link."""
    places: list[Any] = []
    for name in files:
        try:
            about = (Path(folder) / name).stat() if folder is not None else None
        except OSError:
            about = None  # not there, which is said later
        places.append((about.st_dev, about.st_ino) if about else os.path.normpath(name))
    return places


def _refuse_repeats(
    name: str, shown: pl.Series, values: Iterable[Any], where: str, rows: Sequence[int] = ()
) -> None:
    """Refuse what is in two rows, naming both."""
    first: dict[Any, int] = {}
    for i, value in enumerate(values):
        before = first.setdefault(value, i)
        if before != i:
            same = shown[i] if shown[i] == shown[before] else f"{shown[before]} (as {shown[i]})"
            at = f" in rows {rows[before]} and {rows[i]}" if rows else ""
            raise SampleSheetError(f"{where}: {name} {same} repeated{at}; keep one")


def _note_spellings(table: pl.DataFrame, where: str) -> None:
    """Say which labels differ in case, blanks and hyphens only: they are two, and may be one."""
    for name in LABELS:
        if name not in table.columns:
            continue
        counts = table[name].drop_nulls().value_counts(name="n")
        counts = counts.sort("n", name, descending=[True, False])
        alike: dict[str, list[str]] = {}
        for label, n in counts.iter_rows():
            plain = _BETWEEN.sub("", unicodedata.normalize("NFKC", label).casefold())
            alike.setdefault(plain, []).append(f"{label!r} ({_count(n, 'file')})")
        twice = [" and ".join(spellings) for spellings in alike.values() if len(spellings) > 1]
        if twice:
            log.warning(
                "%s: different labels in the column %s that look alike: %s",
                *(where, name, "; ".join(twice[:5]) + ("; ..." if len(twice) > 5 else "")),
            )


def _assembly_column(table: pl.DataFrame) -> str | None:
    """Return the column that names the assembly of a file, if one does."""
    named = (n for n in ASSEMBLY if n in table.columns and table[n].null_count() < len(table))
    return next(named, None)


def _per_assembly(table: pl.DataFrame, column: str) -> dict[str, str]:
    """Say how many files are of each assembly, with one of them, for a message."""
    files: dict[str, list[tuple[str, str]]] = {}
    for name, file in table.select(pl.col(column, "file").cast(pl.String)).drop_nulls().iter_rows():
        files.setdefault(assembly_name(name), []).append((name, file))
    return {
        assembly: f"{held[0][0]!r} for {_count(len(held), 'file')} (as {held[0][1]})"
        for assembly, held in files.items()
    }


def _of_assembly(table: pl.DataFrame, assembly: str, where: str) -> pl.DataFrame:
    """Take the files of one assembly, with a notice that counts the others."""
    column = _assembly_column(table)
    if column is None:
        raise SampleSheetError(
            f"{where}: no file names its assembly, by which to take those of {assembly!r}; add a "
            "column assembly, or take all"
        )
    wanted = assembly_name(assembly)
    fits = pl.Series([assembly_name(name or "") == wanted for name in table[column]])
    others = _per_assembly(table.filter(~fits), column)
    if not fits.any():
        raise SampleSheetError(
            f"{where}: no file is of {assembly!r}; the column {column} says "
            f"{' and '.join(others.values())}"
        )
    if not fits.all():
        unnamed = table[column].null_count()
        left = [*others.values(), *([f"nothing for {unnamed}"] if unnamed else [])]
        log.warning(
            "%s: took %d of %d files, those of %s; of the others, the column %s says %s",
            *(where, fits.sum(), len(table), assembly, column, ", ".join(left)),
        )
    return table.filter(fits)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def _some(noun: str, names: list[Any]) -> str:
    """Name a few of many."""
    shown = ", ".join(map(str, names[:5]))
    return f"{noun}{'s' if len(names) > 1 else ''} {shown}{', ...' if len(names) > 5 else ''}"
