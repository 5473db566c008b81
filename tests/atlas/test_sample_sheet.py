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
        (
            "file,description\na.bed,x\n./a.bed,y\n",
            r"a.bed \(as ./a.bed\) repeated in rows 2 and 3",
        ),
        ("file,description\na.bed,x,y,z\n", "sheet.csv:2: row 2 has 4 fields"),
        ("file,description\na.bed,NA\n", "no description in row 2"),
        ("# note\nfile,description\n\na.bed,x\n-,x\n", "no file in row 5"),
        ("", "no table in this file"),
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


MARKED = """file,description,assay,target,biosample,dose
a.bed,one,ATAC-seq,NA,liver,5
b.bed,two,ATAC-seq,none,n/a,-
c.bed,three,TF ChIP-seq,NANOG,NULL,.
d.bed,four,ATAC-seq,,,0
"""


def test_markers_of_missing_values_are_missing_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sheet = write(tmp_path / "sheet.csv", MARKED)
    with caplog.at_level(logging.WARNING, "genoglot"):
        table = read_sheet(sheet)
    assert table["target"].to_list() == [None, None, "NANOG", None]
    assert table["biosample"].to_list() == ["liver", None, None, None]
    assert table["dose"].to_list() == ["5", None, None, "0"]
    (message,) = caplog.messages
    assert message.partition("sheet.csv: ")[2] == (
        "missing values: 2 in the column target (written NA, none); "
        "2 in the column biosample (written n/a, NULL); 2 in the column dose (written -, .)"
    )
    table = read_sheet(sheet, missing=["none"])
    assert table["target"].to_list() == ["NA", None, "NANOG", None]
    assert read_sheet(sheet, missing=[])["target"].to_list() == ["NA", "none", "NANOG", None]


def test_many_columns_with_missing_values_are_one_notice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"c{i}" for i in range(30)]
    text = f"file,description,{','.join(names)},target\na.bed,x{',NA' * 31}\n"
    with caplog.at_level(logging.WARNING, "genoglot"):
        assert read_sheet(write(tmp_path / "s.csv", text))["c29"].null_count() == 1
    (message,) = caplog.messages
    assert "missing values: 1 in the column target (written NA); 1 in the column c0" in message
    assert message.endswith("and some in 25 other columns")


def test_one_file_in_two_rows_is_refused_however_it_is_written(tmp_path: Path) -> None:
    write(tmp_path / "a.bed", "chr1\t0\t9\n")
    write(tmp_path / "b.bed", "chr1\t0\t9\n")
    (tmp_path / "link.bed").symlink_to("a.bed")
    (tmp_path / "hard.bed").hardlink_to(tmp_path / "a.bed")
    (tmp_path / "folder").mkdir()
    head = "id,file,description\n1,b.bed,x\n2,a.bed,x\n3,"
    for other in ("./a.bed", "folder/../a.bed", "link.bed", "hard.bed", str(tmp_path / "a.bed")):
        sheet = write(tmp_path / "sheet.csv", f"{head}{other},x\n")
        with pytest.raises(SampleSheetError, match=r"a\.bed \(as .*a?.bed\) .*rows 3 and 4; re"):
            read_sheet(sheet, tmp_path)
    read_sheet(write(tmp_path / "sheet.csv", "file,description\na.bed,x\nb.bed,x\n"), tmp_path)


def test_labels_that_look_alike_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = ["liver", "LIVER", "liver", "B cell", "B-cell", "kidney", "NKX2-1", "NKX21"]
    rows = "".join(f"{i}.bed,x,{label}\n" for i, label in enumerate(labels))
    with caplog.at_level(logging.WARNING, "genoglot"):
        table = read_sheet(write(tmp_path / "sheet.csv", f"file,description,biosample\n{rows}"))
    assert table["biosample"].to_list() == labels, "they are said, and left as they are"
    (message,) = caplog.messages
    assert "'liver' (2 files) and 'LIVER' (1 file); 'B cell' (1 file) and 'B-cell'" in message
    assert "kidney" not in message and "NKX" not in message


MIXED = """file,description,Assembly
a.bed,x,hg19
b.bed,x,GRCh37.p13
c.bed,x,GRCh38
d.bed,x,NA
"""


def test_files_of_one_assembly_are_taken_and_the_others_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sheet = write(tmp_path / "sheet.csv", MIXED)
    with caplog.at_level(logging.WARNING, "genoglot"):
        assert read_sheet(sheet, assembly="b37")["file"].to_list() == ["a.bed", "b.bed"]
    assert "used 2 of 4 files, those of b37; for the others, the column assembly " in caplog.text
    assert "'GRCh38' for 1 file (as c.bed), nothing for 1" in caplog.text
    assert read_sheet(sheet, assembly="hg38")["file"].to_list() == ["c.bed"]
    with pytest.raises(SampleSheetError, match=r"no file is of 'mm10'; .* 'hg19' for 2 files"):
        read_sheet(sheet, assembly="mm10")
    bare = write(tmp_path / "bare.csv", "file,description\na.bed,x\n")
    with pytest.raises(SampleSheetError, match="no file names its assembly"):
        read_sheet(bare, assembly="hg38")


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


def test_encode_files_of_one_assembly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    experiment = {**FILE_JSON, "assembly": ["hg19"]}
    both = {**FILE_JSON, "assembly": ["hg19", "GRCh38"]}
    folder = encode_folder(tmp_path, one=FILE_JSON, two=experiment, three=both)
    assert read_encode_json(folder)["assembly"].to_list() == ["GRCh38", None, "hg19"]
    with caplog.at_level(logging.WARNING, "genoglot"):
        assert read_encode_json(folder, assembly="hg38")["id"].to_list() == ["one"]
    assert "'hg19' for 1 file (as two.bed.gz), nothing for 1" in caplog.text


def test_an_encode_file_that_is_there_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = encode_folder(tmp_path, one=FILE_JSON, two=FILE_JSON)
    write(folder / "one.bed", "chr1\t0\t10\n")
    with caplog.at_level(logging.WARNING, "genoglot"):
        assert read_encode_json(folder)["file"].to_list() == ["one.bed", "two.bed.gz"]
    assert "one.bed is used, not one.bed.gz" in caplog.text
    (folder / "two.bed.gz").unlink()
    (folder / "two.bed.gz").symlink_to("one.bed")
    with pytest.raises(SampleSheetError, match=r"one.bed \(as two.bed.gz\) repeated; remove one"):
        read_encode_json(folder)


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
