"""What describes the files: sample sheets, and the JSON that ENCODE gives beside each file."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import polars as pl

from genoglot.errors import GenoglotError, SampleSheetError
from genoglot.files import read_bytes

log = logging.getLogger("genoglot")

NEEDED = ("file", "description")
KNOWN = (*NEEDED, "id", "assay", "target", "biosample", "group", "experiment")
ENDINGS = (".bed", ".narrowPeak", ".broadPeak", ".gappedPeak")


def read_sheet(path: str | Path, folder: str | Path | None = None) -> pl.DataFrame:
    r"""Read a sample sheet: CSV or TSV, a header line, a row per file.

    Parameters
    ----------
    path
        The sheet, plain or gzip. Columns `file` and `description` are needed; `id`, `assay`,
        `target`, `biosample` and `group` (or `experiment`) are understood in any case of letters;
        all others are kept.
    folder
        Where the files are; if given, each is looked for.

    Returns
    -------
    A string column each, empty cells null, `id` (default: the file) and `group` included.

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
    table = _read_table(path)
    if missing := [name for name in NEEDED if name not in table.columns]:
        raise SampleSheetError(
            f"{path}: no column {' and no column '.join(map(repr, missing))} "
            f"(there are: {', '.join(table.columns)}); add it"
        )
    if table.is_empty():
        raise SampleSheetError(f"{path}: no files in this sheet; add a row per file")
    for name in NEEDED:
        if empty := table[name].is_null().arg_true().to_list():
            raise SampleSheetError(f"{path}: no {name} in {_some('row', empty)}; fill it in")
    if "experiment" in table.columns and "group" not in table.columns:
        table = table.with_columns(group="experiment")
    if "id" not in table.columns:
        table = table.with_columns(id="file")
    table = table.with_columns(pl.coalesce("id", "file").alias("id"))
    for name in ("file", "id"):
        repeated = table.filter(table[name].is_duplicated())[name].unique(maintain_order=True)
        if len(repeated):
            raise SampleSheetError(f"{path}: {_some(name, repeated.to_list())} repeated; keep one")
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


def read_encode_json(folder: str | Path) -> pl.DataFrame:
    """Describe the files of a folder by the ENCODE metadata beside them.

    Each `NAME.bed.gz` (or .narrowPeak, .broadPeak, plain or gzip) goes with a `NAME.json`, as the
    ENCODE portal gives for a file or an experiment. Fields that are missing stay empty; a missing
    description is put together from target, assay and biosample. Files without JSON, and JSON
    without a file, are left out with a notice in the log.

    Returns
    -------
    A sheet as of `read_sheet`, with `accession`, `assembly` and `output_type` besides.

    Raises
    ------
    SampleSheetError
        If the folder has no such pair or a JSON file cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SampleSheetError(f"{folder}: no such folder; give the one with the BED files")
    beds = {name: f for f in sorted(folder.iterdir()) if (name := _stem(f.name)) is not None}
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
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(pl.all().cast(pl.String))


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
        "assembly": _text(about.get("assembly")),
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


def _read_table(path: str | Path) -> pl.DataFrame:
    try:
        data = read_bytes(path).removeprefix(b"\xef\xbb\xbf")
        header = data.split(b"\n", 1)[0]
        separator = "\t" if b"\t" in header else ","
        table = pl.read_csv(io.BytesIO(data), separator=separator, infer_schema=False)
    except (GenoglotError, pl.exceptions.PolarsError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SampleSheetError(f"{path}: cannot be read as CSV or TSV ({reason})") from None
    names = {name: name.strip() for name in table.columns}
    names |= {old: new.lower() for old, new in names.items() if new.lower() in KNOWN}
    if len(set(names.values())) < len(names):
        raise SampleSheetError(f"{path}: two columns of one name among {', '.join(table.columns)}")
    table = table.rename(names).with_columns(pl.all().str.strip_chars())
    return table.with_columns(
        pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in table.columns
    )


def _some(noun: str, names: list[Any]) -> str:
    """Name a few of many."""
    if noun == "row":
        names = [number + 2 for number in names]  # as a spreadsheet counts, the header being 1
    shown = ", ".join(map(str, names[:5]))
    return f"{noun}{'s' if len(names) > 1 else ''} {shown}{', ...' if len(names) > 5 else ''}"
