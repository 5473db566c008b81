"""Sample sheets of real life through the commands that read them: files and statuses."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from genoglot.atlas import Atlas
from genoglot.library import Library

Run = Callable[..., Any]

BEDS = {
    "a.bed": "chr1\t50\t90\nchr2\t520\t560\n",
    "b.bed": "chr1\t250\t260\n",
    "c.bed": "chr1\t10\t20\nchr1\t250\t255\n",
    "odd.bed": "chr01\t50\t90\n",
    "far.bed": "NC_000001.11\t50\t90\n",
}


@pytest.fixture
def beds(tmp_path: Path) -> Path:
    for name, text in BEDS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "u.bed").write_text("chr1\t0\t100\nchr1\t200\t300\nchr2\t500\t600\n")
    return tmp_path


@pytest.fixture
def run(run_in: Run, beds: Path) -> Run:
    return partial(run_in, beds)


@pytest.fixture
def build(run: Run, beds: Path) -> Run:
    """Build an atlas of the files by the sheet with this text."""

    def build(text: str | bytes, *options: str, status: int = 0) -> Any:
        data = text.encode() if isinstance(text, str) else text
        (beds / "sheet.csv").write_bytes(data)
        before = {file.name for file in beds.iterdir()}
        base = ("atlas", "build", ".", "--sheet", "sheet.csv", "--universe", "u.bed", "-o", "out")
        done = run(*base, *options, status=status)
        if status and "skipped" not in done.stderr:
            *_, last = done.stderr.splitlines()
            assert last.startswith("genoglot: error: ")
            assert {file.name for file in beds.iterdir()} == before, "something is half-written"
        return done

    return build


R_SHEET = """"","file","description","assay","target","biosample"
"1","a.bed","CTCF, liver","TF ChIP-seq","CTCF","liver"
"2","b.bed","ATAC kidney","ATAC-seq",NA,"kidney"
"3","c.bed","5"" of skin","ATAC-seq",NA,"Kidney"
"""


def test_a_sheet_of_r_with_what_is_missing_and_what_looks_similar(
    beds: Path, build: Run, run: Run
) -> None:
    done = build(R_SHEET)
    assert "missing values: 2 in the column target (written NA)" in done.stderr
    assert "'Kidney' (1 file) and 'kidney' (1 file)" in done.stderr
    about = Atlas.open(beds / "out").metadata
    assert about["target"].to_list() == ["CTCF", None, None]
    assert about["description"].to_list() == ["CTCF, liver", "ATAC kidney", '5" of skin']
    info = json.loads(run("atlas", "info", "out", "--json").stdout)
    assert (info["n_targets"], info["n_biosamples"]) == (1, 3)
    build(R_SHEET, "--missing", "", "--overwrite")
    assert Atlas.open(beds / "out").metadata["target"].to_list() == ["CTCF", "NA", "NA"]
    done = build(R_SHEET, "--missing", "kidney, NA", "--overwrite")
    assert "; 2 in the column biosample (written kidney, Kidney)" in done.stderr
    assert Atlas.open(beds / "out").metadata["biosample"].to_list() == ["liver", None, None]


EXCEL = "sep=;\nfile;description;;\na.bed;CTCF, liver;;\nb.bed;Größe;;\n;;;\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_sheet_of_excel(beds: Path, encoding: str, build: Run) -> None:
    build(EXCEL.replace("\n", "\r\n").encode(encoding))
    assert Atlas.open(beds / "out").descriptions() == ["CTCF, liver", "Größe"]


BAD = {
    "an unquoted comma": (
        "file,description,assay\na.bed,x,y\nb.bed,CTCF, liver,z\n",
        "sheet.csv:3: row 3 has 4 fields, separated by commas, where the header has 3; quote",
    ),
    "a workbook": (b"PK\x03\x04 xl/workbook.xml", "an Excel workbook (.xlsx); save it as CSV"),
    "one file twice": (
        "file,description\na.bed,x\nb.bed,y\n./a.bed,z\n",
        "file a.bed (as ./a.bed) repeated in rows 2 and 4",
    ),
    "files elsewhere": (
        "file,description\nfar.bed,x\n",
        "none of the files (1) has a region in the universe; the first, far.bed, has 1 regions, "
        "on NC_000001.11, the universe is on 'chr1', 'chr2'",
    ),
    "other names": ("file,description\nodd.bed,x\n", "--alias ucsc"),
    "two assemblies": (
        "file,description,assembly\na.bed,x,hg19\nb.bed,x,mm10\n",
        "the column assembly says 'hg19' for 1 file (as a.bed) and 'mm10' for 1 file (as b.bed)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_said_and_nothing_is_written(beds: Path, name: str, build: Run) -> None:
    text, problem = BAD[name]
    assert problem in build(text, status=2).stderr


def test_one_assembly_of_several(beds: Path, build: Run) -> None:
    text = "file,description,genome\na.bed,x,hg19\nb.bed,x,mm10\nc.bed,x,GRCh37\ngone.bed,x,mm10\n"
    options = ("--assembly", "hg19", "--genome", "hs37d5")
    done = build(text, *options)
    assert "used 2 of 4 files, those of hg19; for the others, the column genome" in done.stderr
    assert Atlas.open(beds / "out").metadata["file"].to_list() == ["a.bed", "c.bed"]
    options = ("--assembly", "hg19", "--genome", "GRCh38", "--overwrite")
    assert "declared to be of 'GRCh38'" in build(text, *options, status=2).stderr


def test_a_damaged_sheet_and_a_damaged_file_of_many(beds: Path, run: Run) -> None:
    data = bytearray(gzip.compress(b"file,description\na.bed,x\nb.gz,x\nodd.bed,x\n"))
    (beds / "whole.csv.gz").write_bytes(data)
    data[10:12] = b"\xff\xff"
    (beds / "sheet.csv.gz").write_bytes(data)
    base = ("atlas", "build", ".", "--universe", "u.bed", "-o", "out", "--sheet")
    done = run(*base, "sheet.csv.gz", status=2)
    (line,) = done.stderr.splitlines()
    assert "sheet.csv.gz: damaged gzip file" in line and not (beds / "out").exists()
    bad = bytearray(gzip.compress(BEDS["b.bed"].encode()))
    bad[10:12] = b"\xff\xff"
    (beds / "b.gz").write_bytes(bad)
    done = run(*base, "whole.csv.gz", status=2)
    assert "skipped b.gz: " in done.stderr and "skipped odd.bed: " in done.stderr
    assert Atlas.open(beds / "out").metadata["file"].to_list() == ["a.bed"]


def test_a_library_has_the_options_of_an_atlas(beds: Path, run: Run) -> None:
    """One folder, read by `atlas build` and by `library add` with the same options."""
    (beds / "u.bed").write_text("chr2\t500\t600\nchr1\t0\t100\nchr1\t200\t300\n")  # out of order
    (beds / "b.bed").write_text("1\t250\t260\n1\tbroken\t9\n")
    text = "file,description,assembly,target\na.bed,x,hg38,?\nb.bed,y,hg38,MAX\nfar.bed,z,mm10,?\n"
    (beds / "sheet.csv").write_text(text)
    options = (
        *(".", "--sheet", "sheet.csv", "--universe", "u.bed", "--repair", "sort"),
        *("--genome", "GRCh38", "--assembly", "hg38", "--missing", "?", "--alias", "ucsc"),
        *("--on-error", "skip", "--min-bp", "10", "--jobs", "1"),
    )
    run("atlas", "build", *options, "-o", "out")
    run("library", "add", "hg38:lib", *options)
    atlas, library = Atlas.open(beds / "out"), Library.open(beds / "hg38:lib")
    assert library.genome == atlas.genome == "GRCh38" and library.universe == atlas.universe
    same = ["id", "target", "n_tokens"]
    assert atlas.metadata.select(same).rows() == [("a.bed", None, 2), ("b.bed", "MAX", 1)]
    assert library.metadata().select("id", "target", "n_regions").rows() == (
        atlas.metadata.select(same).rows()
    )

    (beds / "query.bed").write_text("1\t250\t260\n1\tbroken\t9\nchr2\t500\t505\n")
    search = ("library", "search", "hg38:lib", "--bed", "query.bed")
    search = (*search, "--on-error", "skip")
    assert "--alias ucsc" in run(*search, status=2).stderr
    hits = run(*search, "--alias", "ucsc", "--min-bp", "10", "--json").stdout
    assert [(hit["id"], hit["jaccard"]) for hit in json.loads(hits)] == [("b.bed", 1.0)]


def test_a_library_that_cannot_be_filled_is_not_made(beds: Path, run: Run) -> None:
    add = ("library", "add", "new", ".", "--universe", "u.bed", "--sheet", "sheet.csv")
    for text, problem in (
        ("file,description\nfar.bed,x\n", "has a region in the universe"),
        ("file,description,assembly\na.bed,x,hg19\nb.bed,x,hg38\n", "an atlas is of one assembly"),
    ):
        (beds / "sheet.csv").write_text(text)
        assert problem in run(*add, status=2).stderr
        assert not (beds / "new").exists()
    (beds / "sheet.csv").write_text("file,description\na.bed,x\n")
    run(*add, "--genome", "hg38")
    done = run(*add, "--genome", "hg19", "--existing", "replace", status=2)
    assert "declared to be of 'hg38' there and of 'hg19' here" in done.stderr
    add_more = ("library", "add", "new", ".", "--sheet", "sheet.csv", "--genome", "hg19")
    assert "of 'hg38'" in run(*add_more, status=2).stderr
    done = run("library", "add", "new", "--atlas", "x", "--alias", "ucsc", status=2)
    assert "the sets of an atlas are added as they are" in done.stderr


def test_encode_files_go_into_a_library(beds: Path, run: Run) -> None:
    folder = beds / "encode"
    folder.mkdir()
    for name, assembly in (("ENCFF1", "GRCh38"), ("ENCFF2", "hg19")):
        (folder / f"{name}.bed").write_text(BEDS["a.bed"])
        about = {"accession": name, "assembly": assembly, "description": f"peaks {name}"}
        (folder / f"{name}.json").write_text(json.dumps(about))
    add = ("library", "add", "new", "encode", "--encode-json", "--universe", "u.bed")
    assert "'GRCh38' for 1 file" in run(*add, status=2).stderr
    run(*add, "--assembly", "hg38")
    assert Library.open(beds / "new").ids() == ["ENCFF1"]


def test_nothing_is_trained_on_empty_sets(beds: Path, toy_atlas: Atlas, run: Run) -> None:
    about = pl.DataFrame({"description": ["one", "two"]})
    Atlas.from_sets(beds / "empty", toy_atlas.universe, about, [[], []])
    done = run("train", "ridge", "--atlas", "empty", "-o", "model", status=2)
    assert "none of the sets to learn from has a region" in done.stderr
    assert not (beds / "model").exists()
