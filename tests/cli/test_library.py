"""`genoglot library`: adding, searching and removing, each in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

Run = Callable[..., Any]


def table(done: Any) -> list[dict[str, str]]:
    names, *lines = (line.split("\t") for line in done.stdout.splitlines())
    return [dict(zip(names, line, strict=True)) for line in lines]


@pytest.fixture(scope="session")
def library(run: Run, atlas: Path, folder: Path) -> Path:
    done = run("library", "add", "sets.library", "--atlas", "atlas")
    assert "added 140 region sets: Library('sets.library', 140 region sets)" in done.stderr
    return folder / "sets.library"


@pytest.fixture(scope="session")
def sheet(world: Path) -> pl.DataFrame:
    return pl.read_csv(world / "sheet.csv")


def test_a_text_a_bed_file_and_both(
    library: Path, sheet: pl.DataFrame, world: Path, run: Run
) -> None:
    first = sheet.row(0, named=True)
    hits = table(run("library", "search", "sets.library", first["description"], "-n", "3"))
    assert len(hits) == 3 and hits[0]["description"] == first["description"]
    assert hits[0]["meaning"] == "1.0000" and hits[0]["jaccard"] == ""

    bed = ("--bed", world / first["file"])
    hits = table(run("library", "search", "sets.library", *bed, "-n", "2"))
    assert (hits[0]["id"], hits[0]["jaccard"], hits[0]["rank"]) == (first["file"], "1.0000", "1")
    assert hits[1]["biosample"] == first["biosample"]  # the replicate

    done = run("library", "search", "sets.library", first["description"], *bed, "--json")
    both = json.loads(done.stdout)
    assert both[0]["id"] == first["file"] and both[0]["score"] > 0.9
    assert both[0]["jaccard"] == 1 and both[0]["keywords"] > 0
    assert both[0]["n_regions"] > 0


def test_words_and_filters(library: Path, sheet: pl.DataFrame, run: Run) -> None:
    target = sheet["target"].drop_nulls()[0]
    search = ("library", "search", "sets.library")
    hits = table(run(*search, "--keywords", target, "-n", "200"))
    assert {hit["target"] for hit in hits} == {target}
    hits = table(run(*search, "open chromatin", "--where", "assay=ATAC-seq", "-n", "200"))
    assert hits and {hit["assay"] for hit in hits} == {"ATAC-seq"}


def test_a_folder_of_files_is_added_and_its_sets_removed(
    world: Path, sheet: pl.DataFrame, run: Run, folder: Path
) -> None:
    few = folder / "few"
    few.mkdir()
    rows = sheet.head(3).with_columns(file=pl.Series(["a.bed.gz", "b.bed.gz", "broken.bed"]))
    for old, new in zip(sheet["file"], rows["file"], strict=False):
        (few / new).write_bytes((world / old).read_bytes())
    (few / "broken.bed").write_text("chr1\t9\tnine\n")
    rows.select("file", "description", "assay", "target", "biosample").write_csv(few / "few.csv")

    add = ("library", "add", "few.library", "few", "--sheet", "few/few.csv")
    assert "needs its --universe" in run(*add, status=2).stderr
    assert not (folder / "few.library").exists()
    done = run(*add, "--universe", "world/universe.bed", "--acknowledge", status=2)
    assert "skipped broken.bed: " in done.stderr and done.stdout.split() == ["a.bed.gz", "b.bed.gz"]
    assert "added 2 region sets" in run(*add, "--existing", "replace", status=2).stderr

    done = run("library", "remove", "few.library", "a.bed.gz")
    assert done.stderr == "genoglot: few.library: removed 1 region sets, 1 are left\n"
    (left,) = table(run("library", "list", "few.library"))
    assert left["id"] == "b.bed.gz"
    assert "n sets           1\n" in run("library", "info", "few.library").stdout


BAD = {
    "search nowhere kidney": "nowhere: no library here",
    "search sets.library": "nothing to search for; give a text, keywords or regions",
    "search sets.library --bed nowhere.bed": "nowhere.bed: no such file",
    "search sets.library kidney --where assay": "--where 'assay': give it as NAME=VALUE",
    "search sets kidney --store http://127.0.0.1:9": "the server cannot be reached",
    "remove sets.library wat": "sets.library: no 'wat'; nothing was removed",
    "add sets.library": "with its --sheet or --encode-json, or an --atlas",
    "add sets.library world --atlas atlas": "not both",
    "add sets.library --atlas nowhere": "nowhere: no atlas here",
    "add sets.library --atlas atlas": "and 135 others already; replace or skip",
    "add sets.library world --sheet world/sheet.csv --universe other.bed": "made for the universe",
    "add world --atlas atlas": "world: exists and is not a library",
}


@pytest.mark.parametrize("command", BAD)
def test_bad_input_is_reported_in_one_line(
    command: str, library: Path, run: Run, folder: Path
) -> None:
    (folder / "other.bed").write_text("chr1\t0\t10\n")
    done = run("library", *command.split(), status=2)
    (line,) = done.stderr.splitlines()
    assert line.startswith("genoglot: error: ") and BAD[command] in line
    assert done.stdout == ""


def test_killed_while_adding_and_taken_up_again(library: Path, run: Run, folder: Path) -> None:
    add = ("library", "add", "killed.library", "--atlas", "atlas", "--acknowledge")
    process = subprocess.Popen(
        [sys.executable, "-m", "genoglot", *add], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = process.stdout.readline().strip()
    process.send_signal(signal.SIGKILL)
    acknowledged = [first, *process.stdout.read().splitlines()]
    process.wait()
    there = {row["id"] for row in table(run("library", "list", "killed.library"))}
    assert set(acknowledged) <= there
    again = run(*add, "--existing", "skip")
    assert there.isdisjoint(again.stdout.split())
    assert len(there) + len(again.stdout.split()) == 140
