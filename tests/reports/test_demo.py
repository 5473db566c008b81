"""The whole demo, in little: one epoch each."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from genoglot.atlas import Atlas, build_atlas
from genoglot.cli.demo import demo as command
from genoglot.errors import GenoglotError, TextError
from genoglot.evaluation import ResultsTable
from genoglot.models import load
from genoglot.regions import Genes, Regions
from genoglot.reports.demo import QUERIES
from genoglot.reports.demo_report import write_demo
from genoglot.simulate import Oracle, World

MODELS = [
    "popularity",
    "nearest",
    "ridge",
    "text2bed",
    "direct",
    "diffusion",
    "seq2regions",
    "oracle",
]


@pytest.fixture(scope="session")
def printed(shared: Path) -> tuple[Path, str]:
    """The folder that the command makes, and what it prints."""
    folder, text = shared / "demo", shared / "demo.txt"
    with FileLock(f"{folder}.lock"):
        if not text.exists():
            with redirect_stdout(io.StringIO()) as output:
                command(folder, seed=2, epochs=1)
            text.write_text(output.getvalue(), encoding="utf-8")
    return folder, text.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def made(printed: tuple[Path, str]) -> Path:
    return printed[0]


def test_the_command_prints_the_table(printed: tuple[Path, str]) -> None:
    assert all(name in printed[1] for name in MODELS)


def test_the_report_is_one_file_with_everything_in_it(made: Path) -> None:
    html = (made / "report.html").read_text(encoding="utf-8")
    assert "simulated" in html and "training is short" in html
    assert not re.search(r'(src|href)="(?!data:)', html) and "<script" not in html
    assert html.count("data:image/svg+xml;base64,") == 5
    assert all(query in html for query in QUERIES)
    assert all(f"<td>{name}</td>" in html for name in MODELS)


def test_results_are_those_of_the_report(made: Path) -> None:
    table = ResultsTable.from_parquet(made / "results.parquet")
    assert table.results["model"].unique(maintain_order=True).to_list() == MODELS
    found = table.results.filter(metric="average_precision")
    value = dict(zip(found["model"], found["value"], strict=True))
    assert max(value, key=lambda name: value[name]) == "oracle"
    html = (made / "report.html").read_text(encoding="utf-8")
    assert all(f"{v:.3f}" in html for v in value.values())


def test_answers_are_bed_files_with_genes(made: Path) -> None:
    for query in QUERIES:
        for name in ("text2bed", "direct"):
            file = made / "answers" / f"{query.replace(', ', '-')}.{name}.bed"
            regions = Regions.from_bed(file)
            expected = load(made / "models" / name).generate(query, 1000)
            assert (regions.start == expected.start).all()
            genes, distance = Genes.from_file(made / "world" / "genes.gtf").nearest(regions)
            assert regions.columns["gene"].to_list() == list(genes)
            assert regions.columns["distance"].cast(int).to_list() == distance.tolist()


def test_another_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(GenoglotError, match="not empty"):
        write_demo(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_oracle_scores_descriptions_by_the_truth(made: Path) -> None:
    world, atlas = World.open(made / "world"), Atlas.open(made / "atlas")
    oracle = Oracle(world, atlas)
    text = atlas.descriptions([5])[0]
    about = world.sheet.filter(description=text).row(0, named=True)
    expected = world.expected(about["assay"], about["target"], about["biosample"])
    assert np.array_equal(oracle.score([text]), expected[None])
    with pytest.raises(TextError, match="is not a description of the atlas"):
        oracle.score(["no such thing"])


def test_the_oracle_refuses_an_atlas_of_another_world(made: Path, tmp_path: Path) -> None:
    world = World.open(made / "world")
    (tmp_path / "short.bed").write_text("".join(world.universe_path.open().readlines()[:-1]))
    sheet = tmp_path / "sheet.csv"
    world.sheet.head(2).write_csv(sheet)
    atlas = build_atlas(world.path, sheet, tmp_path / "short.bed", tmp_path / "atlas").atlas
    with pytest.raises(GenoglotError, match="universe"):
        Oracle(world, atlas)
