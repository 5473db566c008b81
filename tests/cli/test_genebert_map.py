"""`genoglot genebert map`: a picture, and the numbers that belong to it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from genoglot.models.dna.genebert import GeneBert
from genoglot.models.dna.genebert_data import GeneBertData

RunIn = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def models(toy_genebert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    data = GeneBertData.open(toy_genebert)
    GeneBert.from_preset("tiny", data, k=3).save_pretrained(folder / "all")
    GeneBert.from_preset("tiny", data, k=3, matching_weight=0).save_pretrained(folder / "dna")
    return folder


def test_a_map_is_a_picture_with_numbers(
    run_in: RunIn, models: Path, toy_genebert: Path, tmp_path: Path
) -> None:
    command = ("genebert", "map", models / "all", toy_genebert, "--samples", "20", "-o")
    done = run_in(tmp_path, *command, "map.png", "--unimodal", models / "dna")
    header, *rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert header == ["vectors", "silhouette", "low", "high", "permuted"]
    assert [row[0] for row in rows] == [
        "DNA, trained on DNA only",
        "DNA",
        "DNA and motif scores",
        "motif scores, no model",
    ]
    for _, value, low, high, _ in rows:
        assert float(low) <= float(value) <= float(high)
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    assert "samples of 3 cell types" in done.stderr
    again = run_in(tmp_path, *command, "map.svg", "--unimodal", models / "dna")
    assert again.stdout == done.stdout and "<svg" in (tmp_path / "map.svg").read_text()
    two = run_in(tmp_path, *command, "two.png", "--cell-type", "glia", "--cell-type", "neuron")
    assert "of 2 cell types" in two.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "map.pdf"), "map.pdf: a map is written as .png or .svg"),
        (("-o", "map.png", "--cell-type", "astrocyte"), "no cell type 'astrocyte'"),
        (("-o", "map.png", "--cell-type", "glia"), "needs at least two cell types"),
    ],
)
def test_bad_input_is_one_line(
    run_in: RunIn,
    models: Path,
    toy_genebert: Path,
    tmp_path: Path,
    options: tuple[str, ...],
    message: str,
) -> None:
    done = run_in(tmp_path, "genebert", "map", models / "all", toy_genebert, *options, status=2)
    assert message in done.stderr and not any(tmp_path.iterdir())
