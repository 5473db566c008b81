"""Options of a genome and of BED files mean the same in every command that reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from genoglot.cli import app
from genoglot.tasks import TaskData

Here = Callable[..., str]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("options")
    rng = np.random.default_rng(0)
    with (folder / "windows.fa").open("w") as file:
        for chrom in ("1", "2", "3"):
            dna = "".join(rng.choice(list("ACGT"), 30_000))
            file.write(f">{chrom}:100000-130000\n{dna}\n")  # as bedtools getfasta names it
    rows = [f"chr{c}\t{at}\t{at + 200}\n" for c in (1, 2, 3) for at in range(101_000, 129_000, 600)]
    (folder / "a.bed").write_text("".join(rows))
    (folder / "bad.bed").write_text("".join([*rows, "chr1\t9\t5\n"]))
    (folder / "epd.bed").write_text("chr1\t9\tx\ta\t0\t+\t9\t20\n")
    return folder


def test_task_build_reads_windows_and_leaves_out_malformed_lines(here: Here, files: Path) -> None:
    arguments = ("task", "build", "Track7878", "bad.bed", "--genome", "windows.fa", "--no-leakage")
    said = here(*arguments, "-o", "x", "--alias", "ucsc", status=2)
    assert "bad.bed:142: end 5 is before start 9" in said and "--on-error skip" in said
    said = here(*arguments, "-o", "x", "--on-error", "skip", status=2)
    assert "says 'chr1' where the genome says '1'" in said and "--alias ucsc" in said
    said = here(*arguments, "-o", "t", "--alias", "ucsc", "--on-error", "skip")
    assert "skipped 1 malformed line" in said
    data = TaskData.open(files / "t")
    assert data.examples["start"].min() == 101_000
    windows = [part for i in (1, 2, 3) for part in ("--origin", f"{i}:100000-130000=chr{i}:100001")]
    here(*arguments[:3], "a.bed", *arguments[4:], "-o", "same", *windows)
    same = TaskData.open(files / "same")
    assert np.array_equal(same.codes[:], data.codes[:]) and same.examples.equals(data.examples)


def test_a_task_without_that_option_does_not_name_it(here: Here) -> None:
    arguments = ("task", "build", "PromFix", "epd.bed", "--genome", "windows.fa", "-o", "y")
    said = here(*arguments, status=2)
    assert "epd.bed:1: the end 'x' is not a whole number" in said and "--on-error" not in said
    assert "is for tasks of peak files" in here(*arguments, "--on-error", "skip", status=2)


def test_the_options_of_a_genome_are_everywhere() -> None:
    for command in (["task", "build"], ["embed"], ["predict"], ["pretrain", "mlm"]):
        shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"}).output
        wanted = ["--alias", "--origin"]
        wanted += [] if command == ["pretrain", "mlm"] else ["--genome", "--on-error"]
        for option in wanted:
            assert re.search(rf"{option}\b", shown), (command, option)
