"""From a simulated world to BED files and a results table, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from genoglot.atlas import Atlas
from genoglot.evaluation import ResultsTable, differences_markdown, paired_differences
from genoglot.files import file_digest
from genoglot.models import create, load
from genoglot.regions import Genes, Regions
from genoglot.simulate import World

Run = Callable[..., Any]

QUERY = "kidney, human, cancer"
COLUMNS = ["chrom", "start", "end", "name", "score", "strand", "rank", "raw"]


def test_the_command_simulates_the_same_world_as_the_function(
    world: Path, run: Run, folder: Path
) -> None:
    run("simulate", "again", "--size", "small", "--seed", "0")

    def digests(path: Path) -> dict[str, str]:
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return {str(file.relative_to(path)): file_digest(file) for file in files}

    assert digests(folder / "again") == digests(world.resolve())


def test_the_atlas_is_that_of_the_sheet(world: Path, atlas: Path, run: Run) -> None:
    sheet = World.open(world).sheet
    opened = Atlas.open(atlas)
    assert opened.metadata["file"].to_list() == sheet["file"].to_list()
    facts = json.loads(run("atlas", "info", atlas, "--json").stdout)
    assert (facts["n_sets"], facts["genome"]) == (len(sheet), "simulated")
    shown = run("atlas", "info", atlas).stdout
    assert facts["digest"][:50] in shown


def test_a_model_keeps_its_settings(ridge: Path, direct: Path) -> None:
    def settings(model: Path) -> dict[str, object]:
        return dict(json.loads((model / "config.json").read_text())["settings"])

    assert settings(ridge) == {
        "penalty": 2.0,
        "choose_penalty": False,
        "signal_rank": False,
        "text": "tfidf",
    }
    assert (settings(direct)["epochs"], settings(direct)["heads"]) == (2, 1)
    logs = direct.with_name("direct.training")
    assert pl.read_csv(logs / "validation.csv")["step"].to_list() == [3, 6]  # after each epoch
    assert pl.read_csv(logs / "loss.csv")["step"].to_list() == [1, 2, 3, 4, 5, 6]
    assert not ridge.with_name("ridge.training").exists()


def test_generated_regions_on_standard_output(ridge: Path, run: Run, folder: Path) -> None:
    done = run("generate", "ridge", QUERY, "-n", "7")
    assert done.stderr == ""
    header, *lines = done.stdout.splitlines()
    assert header == "#" + "\t".join(COLUMNS)
    (folder / "piped.bed").write_text(done.stdout)
    read, expected = Regions.from_bed(folder / "piped.bed"), load(ridge).generate(QUERY, 7)
    assert len(lines) == 7
    assert read.columns["name"].to_list() == expected.columns["name"].to_list()
    assert (read.start == expected.start).all() and (read.end == expected.end).all()
    assert read.columns["rank"].cast(int).to_list() == list(range(1, 8))
    raw = read.columns["raw"].cast(float).to_numpy()
    assert np.allclose(raw, expected.columns["raw"], atol=1e-6)


def test_nearest_genes_beside_the_regions(direct: Path, world: Path, run: Run) -> None:
    run("generate", "direct", QUERY, "-n", "50", "-o", "out.bed.gz", "--genes", "world/genes.gtf")
    read = Regions.from_bed(direct.with_name("out.bed.gz"))
    assert read.columns.columns == [*COLUMNS[3:], "gene", "distance"]
    names, distance = Genes.from_file(world / "genes.gtf").nearest(read)
    assert read.columns["gene"].to_list() == list(names)
    assert read.columns["distance"].cast(int).to_list() == distance.tolist()


def test_a_reader_that_stops_early_is_no_error(ridge: Path, folder: Path) -> None:
    command = f"{sys.executable} -m genoglot generate ridge '{QUERY}' -n 5000 | head -n 2"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=folder, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2


def test_hnsw_reports_its_recall(toy_atlas: Atlas, run: Run, folder: Path) -> None:
    model = create("text2bed-published", dim=8, region_epochs=1, epochs=1).fit(toy_atlas)
    model.save_pretrained(folder / "t2b")
    done = run("generate", "t2b", QUERY, "-n", "20", "--index", "hnsw")
    assert len(done.stdout.splitlines()) == 21
    (notice,) = done.stderr.splitlines()
    assert notice.startswith("genoglot: HNSW found ") and "recall@20" in notice


def test_decoding_region_by_region(toy_atlas: Atlas, run: Run, folder: Path) -> None:
    model = create("seq2regions", rank=20, min_steps=2, epochs=1, dim=16).fit(toy_atlas)
    model.save_pretrained(folder / "s2r")
    answers = [
        run("generate", "s2r", QUERY, "-n", "20", "--decode", *how.split()).stdout
        for how in ("beam --beams 2", "sample --seed 1 --top-p 0.9")
    ]
    assert all(len(answer.splitlines()) == 21 for answer in answers)
    assert len(set(answers)) == 2
    done = run(
        "generate", "s2r", QUERY, "-n", "9", "--decode", "sample", "--temperature", "0", status=2
    )
    assert "a temperature above 0" in done.stderr


def test_evaluating_beside_the_baselines(ridge: Path, run: Run, split: str, folder: Path) -> None:
    done = run(
        *("evaluate", "ridge", "--atlas", "atlas", "--split", split),
        *("-n", "100", "-o", "results.parquet", "--markdown", "results.md", "--device", "cpu"),
    )
    table = ResultsTable.from_parquet(folder / "results.parquet")
    assert table.results["model"].unique(maintain_order=True).to_list() == [
        *("popularity", "nearest", "ridge", "./ridge")
    ]
    assert "precision@100" in table.results["metric"].to_list()
    assert table.results["n_sets"].unique().to_list() == [14]
    assert (folder / "results.md").read_text() == table.to_markdown()
    assert "average" in done.stdout and "popularity" in done.stdout


def test_evaluating_against_a_baseline_set_by_set(
    ridge: Path, run: Run, split: str, folder: Path
) -> None:
    evaluate = ("evaluate", "ridge", "--atlas", "atlas")
    done = run(
        *(*evaluate, "--split", split, "--columns", "target/assay,organ", "--against", "columns"),
        *("-o", "against.parquet"),
    )
    table = ResultsTable.from_parquet(folder / "against.parquet")
    assert "columns" in table.results["model"].to_list()
    assert differences_markdown(paired_differences(table, "columns")) in done.stdout
    refused = {
        ("--split", split, "--against", "direct"): "--against direct: not in the table",
        ("--split", split, "--columns", "tissue"): "no column 'tissue' in the sample sheet",
        ("--columns", "organ"): "give --split",
    }
    for options, problem in refused.items():
        assert problem in run(*evaluate, *options, status=2).stderr


def test_a_pretrained_region2vec_that_is_none_is_refused(
    atlas: Path, run: Run, folder: Path
) -> None:
    given = ("--preset", "published", "--set", f"region2vec={folder / 'nowhere'}")
    done = run("train", "text2bed", "--atlas", atlas, "-o", "published", *given, status=2)
    assert "not a Region2Vec that geniml exported" in done.stderr and "Traceback" not in done.stderr
    assert not (folder / "published").exists()


def test_no_score_is_called_a_probability(run: Run) -> None:
    shown = " ".join(run("generate", "--help").stdout.split())
    assert "not calibrated" in shown
    assert "probabilit" not in shown.replace("not probabilities", "")


def test_evaluating_on_a_held_out_atlas(ridge: Path, run: Run, folder: Path) -> None:
    sheet = World.open(folder / "world").sheet.head(20)
    sheet.write_csv(folder / "aside.csv")
    run(
        *("atlas", "build", "world", "--sheet", "aside.csv"),
        *("--universe", "world/universe.bed", "-o", "aside"),
    )
    done = run("evaluate", "ridge", "--atlas", "aside", "-o", "aside.parquet")
    assert "no baselines" in done.stderr
    table = ResultsTable.from_parquet(folder / "aside.parquet")
    assert table.results["model"].unique().to_list() == ["ridge"]
    assert table.results["n_sets"].unique().to_list() == [20]
