"""`--overwrite` replaces earlier output, and never what a command reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from genoglot.cli import app

Run = Callable[..., Any]

DNA = "--genome data/g.fa"
COMMANDS = {
    "atlas build": "beds --sheet data/sheet.csv --universe u.bed",
    "bench risk": f"data/a.vcf people.csv --locus chr1:1-4 {DNA}",
    "genebert build": f"matrix.mtx --peaks data/peaks.bed {DNA}",
    "pretrain genebert": "accessible --encoder data/dnabert",
    "pretrain mlm": "data/g.fa",
    "task build": f"TFBS ctcf.bed {DNA}",
    "task train": "data",
    "train": "ridge --atlas data",
}
"""A command line of each command that replaces a folder, with something to read in it."""


def replacing(command: Any, name: str = "") -> Iterator[str]:
    """Names of the commands with both `--out` and `--overwrite`."""
    if hasattr(command, "commands"):
        for part, below in command.commands.items():
            yield from replacing(below, f"{name} {part}".strip())
    elif {"out", "overwrite"} <= {parameter.name for parameter in command.params}:
        yield name


def test_every_command_that_replaces_a_folder_is_tested() -> None:
    assert set(replacing(typer.main.get_command(app))) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_reads_is_not_replaced(command: str, run_in: Run, tmp_path: Path) -> None:
    out = tmp_path / ("data/shuffled" if command == "task build" else "data")
    out.mkdir(parents=True)
    for name in ("a.vcf", "people.csv", "sheet.csv", "peaks.bed", "dnabert", "ctcf.bed"):
        for folder in (tmp_path, out):
            (folder / name).touch()
    (out / "g.fa").write_text(">chr1\nACGT\n")
    line = COMMANDS[command].replace("data", str(out.relative_to(tmp_path)))
    before = sorted(tmp_path.rglob("*"))
    done = run_in(tmp_path, *command.split(), *line.split(), "-o", "data", "--overwrite", status=2)
    (error,) = done.stderr.splitlines()
    assert "holds the source" in error and "would be replaced; choose another" in error
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_is_not_replaced_by_a_folder(run_in: Run, tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(">chr1\nACGT\n")
    (tmp_path / "x").touch()
    risk = "bench risk a.vcf people.csv --locus chr1:1-4 --genome g.fa"
    for line in (risk, "train ridge --atlas atlas"):
        done = run_in(tmp_path, *line.split(), "-o", "x", "--overwrite", status=2)
        assert done.stderr == "genoglot: error: x: is a file; choose another name\n"


@pytest.mark.parametrize(
    "line",
    [
        "motifs scan g.fa -o g.fa",
        "motifs scan g.fa -o ./here/../p.bed --bed p.bed",
        "motifs scan g.fa --bed p.bed --motifs m.jaspar -o m.jaspar",
        "motifs scan g.fa --bed p.npy --scores p.npy",
        "embed model p.npy --genome g.fa -o p.npy",
        "predict model p.bed --genome p.npy -o p.npy",
        "generate model liver --genes genes.bed -o genes.bed",
        "generate model liver --genes genes.bed --igv genes.bed",
    ],
)
def test_a_file_that_is_read_is_not_replaced(run_in: Run, tmp_path: Path, line: str) -> None:
    (tmp_path / "here").mkdir()
    for name in ("g.fa", "p.bed", "p.npy", "m.jaspar", "genes.bed"):
        (tmp_path / name).write_text(">chr1\nACGT\n" if name == "g.fa" else name)
    before = {path: path.read_text() for path in tmp_path.iterdir() if path.is_file()}
    (error,) = run_in(tmp_path, *line.split(), status=2).stderr.splitlines()
    assert "is read, and would be replaced; choose another output (-o)" in error
    assert {path: path.read_text() for path in tmp_path.iterdir() if path.is_file()} == before


def test_what_is_read_from_standard_input_can_be_written(run_in: Run, tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(">chr1\nACGT\n")
    done = run_in(tmp_path, *["motifs", "scan", "g.fa", "--bed", "-", "-o", "-"], status=2)
    assert "replaced" not in done.stderr  # but there are no regions
