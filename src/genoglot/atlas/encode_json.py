"""Sample sheets from the JSON metadata that ENCODE provides for each file or experiment."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

import polars as pl

from genoglot.atlas.sample_sheet import complete_sheet, some
from genoglot.errors import GenoglotError, SampleSheetError
from genoglot.files import read_bytes
from genoglot.tables import MISSING

log = logging.getLogger("genoglot")

ENDINGS = (".bed", ".narrowPeak", ".broadPeak", ".gappedPeak")
_BIOSAMPLE = ("biosample_term_name", "biosample_summary", "simple_biosample_summary")


def read_encode_json(
    folder: str | Path, *, assembly: str | None = None, missing: Collection[str] = MISSING
) -> pl.DataFrame:
    """Describe the files of a folder by the ENCODE metadata beside them.

    Each `NAME.bed.gz` (or .narrowPeak, .broadPeak, plain or gzip) has a `NAME.json` beside it, as
    the ENCODE portal provides it for a file or an experiment. Missing fields remain empty. A
    missing description is composed of target, assay and biosample. Files without JSON, and JSON
    without a file, are left out with a warning.

    Parameters
    ----------
    folder
        The folder.
    assembly, missing
        As in `read_sheet`.

    Returns
    -------
    polars.DataFrame
        A sheet as from `read_sheet`, with the further columns `accession`, `assembly` and
        `output_type`.

    Raises
    ------
    SampleSheetError
        If the folder has no file with JSON, has one file twice, or a JSON file cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SampleSheetError(f"{folder}: no such folder; give the one with the BED files")
    beds: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if name := _name(file):
            if name in beds:
                log.warning("%s: %s is used, not %s", folder, beds[name].name, file.name)
            beds.setdefault(name, file)
    sheets = {file.stem: file for file in sorted(folder.glob("*.json"))}
    for alone, what, other in (
        (beds.keys() - sheets.keys(), "BED", "JSON"),
        (sheets.keys() - beds.keys(), "JSON", "BED"),
    ):
        if alone:
            names = some("file", sorted(alone))
            log.warning("%s: no %s beside the %s %s; left out", folder, other, what, names)
    rows = []
    for name in sorted(beds.keys() & sheets.keys()):
        row = _describe(sheets[name])
        if row["description"] is None:
            log.warning("%s: does not describe the file; left out", sheets[name])
        else:
            rows.append({"id": name, "file": beds[name].name, **row})
    if not rows:
        raise SampleSheetError(f"{folder}: no NAME.bed.gz with a NAME.json that describes it")
    table = pl.DataFrame(rows, infer_schema_length=None).with_columns(pl.all().cast(pl.String))
    return complete_sheet(table, folder, assembly=assembly, missing=missing)


def _describe(path: Path) -> dict[str, str | None]:
    """Return the fields of an ENCODE file or experiment that a sample sheet has."""
    try:
        fields = json.loads(read_bytes(path))
    except (ValueError, GenoglotError) as error:
        raise SampleSheetError(f"{path}: not JSON ({error}); download it again") from None
    if not isinstance(fields, dict):
        raise SampleSheetError(f"{path}: not the JSON of an ENCODE file or experiment")
    accession = _text(fields.get("accession"))
    experiment = _text(fields.get("dataset")) or _text(fields.get("experiment"), "accession")
    if experiment is None and accession is not None and accession.startswith("ENCSR"):
        experiment = accession
    # A target is an object, or a path such as /targets/CTCF-human/.
    target = _text(fields.get("target"), "label")
    if path_of_target := _text(fields.get("target")):
        target = path_of_target.strip("/").removeprefix("targets/").rsplit("-", 1)[0]
    assay = _text(fields.get("assay_title")) or _text(fields.get("assay_term_name"))
    biosample = _text(fields.get("biosample_ontology"), "term_name") or next(
        filter(None, (_text(fields.get(name)) for name in _BIOSAMPLE)), None
    )
    experiments_assembly = fields.get("assembly")  # a list
    if isinstance(experiments_assembly, list) and len(experiments_assembly) == 1:
        fields["assembly"] = experiments_assembly[0]
    subject = " ".join(filter(None, (target, assay)))
    composed = " in ".join(filter(None, (subject, biosample)))
    return {
        "description": _text(fields.get("description")) or composed or None,
        "assay": assay,
        "target": target,
        "biosample": biosample,
        "group": experiment.strip("/").rsplit("/", 1)[-1] if experiment else None,
        "accession": accession,
        "assembly": _text(fields.get("assembly")),
        "output_type": _text(fields.get("output_type")),
    }


def _text(value: Any, field: str | None = None) -> str | None:
    """Return a string, or a field of an object that is one; None if it is missing or blank."""
    if field is not None:
        value = value.get(field) if isinstance(value, dict) else None
    return value.strip() if isinstance(value, str) and value.strip() else None


def _name(file: Path) -> str | None:
    """Return the name of a region file without its endings, or None for another file."""
    plain = file.name.removesuffix(".gz")
    ending = next((ending for ending in ENDINGS if plain.endswith(ending)), None)
    return plain.removesuffix(ending) if ending else None
