from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path

import pytest

from genoglot.atlas import read_encode_json, read_sheet
from genoglot.errors import SampleSheetError


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        'file,description,age\na.bed,"CTCF, liver",5\nb.bed,MAX,\n',
        '\ufefffile,description,age\r\na.bed,"CTCF, liver",5\r\nb.bed,MAX,\r\n',
        "age\tDescription\tFILE\n5\tCTCF, liver\t a.bed \n\tMAX\tb.bed",
    ],
)
def test_csv_and_tsv_of_any_make(tmp_path: Path, text: str) -> None:
    table = read_sheet(write(tmp_path / "sheet", text))
    assert table["file"].to_list() == table["id"].to_list() == ["a.bed", "b.bed"]
    assert table["description"].to_list() == ["CTCF, liver", "MAX"]
    assert table["age"].to_list() == ["5", None]


def test_experiment_is_the_group_and_numbers_stay_text(tmp_path: Path) -> None:
    text = "id,file,description,experiment\n001,a.bed,x,E1\n002,b.bed,y,E1\n"
    table = read_sheet(write(tmp_path / "sheet.csv", text))
    assert table["id"].to_list() == ["001", "002"]
    assert table["group"].to_list() == ["E1", "E1"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,text\na.bed,x\n", "no column 'file' and no column 'description'"),
        ("file,text\na.bed,x\n", "no column 'description'"),
        ("file,description\n", "no files"),
        ("file,description\na.bed,\nb.bed,  \n", "no description in rows 2, 3"),
        ("file,description\na.bed,x\n,y\n", "no file in row 3"),
        ("file,description\na.bed,x\na.bed,y\n", "file a.bed repeated"),
        ("id,file,description\n1,a.bed,x\n1,b.bed,y\n", "id 1 repeated"),
        ("file,File,description\na.bed,b.bed,x\n", "two columns of one name"),
        ("file,description\na.bed,x,y,z\n", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SampleSheetError, match=problem) as raised:
        read_sheet(write(tmp_path / "sheet.csv", text))
    assert "\n" not in str(raised.value)
    assert "sheet.csv" in str(raised.value)


def test_all_missing_files_are_counted_and_named(tmp_path: Path) -> None:
    write(tmp_path / "a.bed", "")
    text = "file,description\na.bed,x\n" + "".join(f"{i}.bed,x\n" for i in range(7))
    with pytest.raises(SampleSheetError, match=r"7 of 8 files .* 0.bed, 1.bed, .*, \.\.\."):
        read_sheet(write(tmp_path / "sheet.csv", text), tmp_path)
    with pytest.raises(SampleSheetError, match="no such file"):
        read_sheet(tmp_path / "none.csv")


FILE_JSON = {
    "accession": "ENCFF001",
    "dataset": "/experiments/ENCSR001/",
    "assay_title": "TF ChIP-seq",
    "assay_term_name": "ChIP-seq",
    "target": {"label": "CTCF", "investigated_as": ["transcription factor"]},
    "biosample_ontology": {"term_name": "K562", "classification": "cell line"},
    "biosample_summary": "Homo sapiens K562",
    "description": "CTCF ChIP-seq on human K562",
    "assembly": "GRCh38",
}


def encode_folder(tmp_path: Path, **about: object) -> Path:
    for name, content in about.items():
        (tmp_path / f"{name}.bed.gz").write_bytes(gzip.compress(b"chr1\t0\t10\n"))
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def test_encode_metadata_as_the_portal_gives_it(tmp_path: Path) -> None:
    experiment = {
        "accession": "ENCSR002",
        "assay_term_name": "ATAC-seq",
        "biosample_ontology": "/biosample-types/tissue_UBERON_0002113/",
        "biosample_summary": "Homo sapiens kidney",
        "target": "/targets/H3K27ac-human/",
        "description": " ",
        "files": [{"anything": 1}],
    }
    table = read_encode_json(encode_folder(tmp_path, one=FILE_JSON, two=experiment))
    one, two = table.rows(named=True)
    assert one == {
        "id": "one",
        "file": "one.bed.gz",
        "description": "CTCF ChIP-seq on human K562",
        "assay": "TF ChIP-seq",
        "target": "CTCF",
        "biosample": "K562",
        "group": "ENCSR001",
        "accession": "ENCFF001",
        "assembly": "GRCh38",
        "output_type": None,
    }
    assert two["description"] == "H3K27ac ATAC-seq in Homo sapiens kidney"
    assert (two["target"], two["group"]) == ("H3K27ac", "ENCSR002")


def test_encode_fields_may_be_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = encode_folder(tmp_path, bare={"description": "peaks"}, nothing={"accession": "X"})
    write(folder / "lone.bed", "")
    write(folder / "alone.json", "{}")
    write(folder / "notes.txt", "")
    with caplog.at_level(logging.WARNING, "genoglot"):
        table = read_encode_json(folder)
    assert table["id"].to_list() == ["bare"]
    assert table["target"].to_list() == table["group"].to_list() == [None]
    text = caplog.text
    assert all(name in text for name in ("lone", "alone", "nothing.json"))
    assert "notes" not in text


@pytest.mark.parametrize("content", ["{", "[]", "\x1f\x8b"])
def test_broken_encode_json_is_named(tmp_path: Path, content: str) -> None:
    encode_folder(tmp_path, one=FILE_JSON)
    (tmp_path / "one.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(SampleSheetError, match=r"one\.json"):
        read_encode_json(tmp_path)


def test_folders_without_encode_files(tmp_path: Path) -> None:
    with pytest.raises(SampleSheetError, match="no NAME"):
        read_encode_json(tmp_path)
    with pytest.raises(SampleSheetError, match="no such folder"):
        read_encode_json(tmp_path / "none")
