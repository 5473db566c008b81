"""BED files in, words out; and what `generate` shows for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from genoglot.atlas import Atlas
from genoglot.evaluation import ResultsTable
from genoglot.models import load
from genoglot.regions import Genes, Regions

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def annotator(run: Run, split: str, folder: Path) -> Path:
    train = ("train", "annotator", "--atlas", "atlas", "--split", split, "-o", "annotator")
    done = run(*train, "--set", "max_error=0.2")
    assert "calibrated on 14 sets of the validation part and 112 training sets" in done.stderr
    return folder / "annotator"


@pytest.fixture(scope="session")
def held_out(atlas: Path, split: str) -> pl.DataFrame:
    opened = Atlas.open(atlas)
    return opened.metadata[opened.split(split).test]


def test_files_are_annotated(annotator: Path, run: Run, held_out: pl.DataFrame) -> None:
    files = [f"world/{file}" for file in held_out["file"]]
    annotated = json.loads(run("annotate", "annotator", *files, "--json").stdout)
    assert [one["file"] for one in annotated] == files
    for field, chance in {"assay": 0.6, "target": 0.6, "biosample": 0.2}.items():
        best = [max(one[field]["labels"], key=one[field]["labels"].get) for one in annotated]
        assert np.mean(np.array(best) == held_out[field].fill_null("").to_numpy()) > chance
        answers = [one[field]["answer"] for one in annotated]
        assert all(a in (None, b) for a, b in zip(answers, best, strict=True))
    first = annotated[0]
    assert first["n_regions"] == held_out["n_regions"][0]
    assert first["n_tokens"] == held_out["n_tokens"][0]
    assert len(first["descriptions"]) == len(first["nearest"]) == 5
    assert first["nearest"][0]["jaccard"] >= first["nearest"][4]["jaccard"] > 0


def test_what_is_shown_to_people(annotator: Path, run: Run, held_out: pl.DataFrame) -> None:
    file = f"world/{held_out['file'][0]}"
    shown = run("annotate", "annotator", file, "--top", "2").stdout
    annotated = json.loads(run("annotate", "annotator", file, "--top", "2", "--json").stdout)[0]
    assert f"{held_out['n_regions'][0]:,} regions" in shown
    for field in ("assay", "target", "biosample"):
        assert field in shown
        assert all(f"{p:.3f}" in shown for p in annotated[field]["labels"].values())
    assert f"{annotated['nearest'][1]['jaccard']:.3f}" in shown


def test_shuffled_regions_are_none_of_these(
    annotator: Path, world: Path, run: Run, folder: Path
) -> None:
    universe = Regions.from_bed(world / "universe.bed")
    chosen = np.sort(np.random.default_rng(0).choice(len(universe), 300, replace=False))
    universe[chosen].to_bed(folder / "shuffled.bed")
    done = run("annotate", "annotator", "shuffled.bed")
    assert "resembles no labeled set" in done.stdout
    assert done.stdout.count("none of these") == 3
    annotated = json.loads(run("annotate", "annotator", "shuffled.bed", "--json").stdout)[0]
    assert not annotated["familiar"] and annotated["target"]["answer"] is None


def complaint(run: Run, *arguments: str) -> str:
    done = run(*arguments, status=2)
    (line,) = done.stderr.splitlines()
    assert line.startswith("genoglot: error: ") and done.stdout == ""
    return line


BEDS = {
    "empty.bed": ("", "no regions in this file"),
    "ensembl.bed": ("1\t0\t5000000\n", "--alias ucsc"),
    "elsewhere.bed": ("chr99\t5\t90\n", "none of its 1 regions overlaps"),
    "broken.bed": ("chr1\t9\tnine\n", "broken.bed:1:"),
}


@pytest.mark.parametrize("name", BEDS)
def test_files_that_cannot_be_annotated(
    name: str, annotator: Path, run: Run, folder: Path, held_out: pl.DataFrame
) -> None:
    content, problem = BEDS[name]
    (folder / name).write_text(content)
    line = complaint(run, "annotate", "annotator", f"world/{held_out['file'][0]}", name)
    assert problem in line and name in line


def test_models_that_do_not_fit(annotator: Path, ridge: Path, run: Run, toy_atlas: Atlas) -> None:
    bed = "world/universe.bed"
    assert "holds 'ridge', a generator of regions" in complaint(run, "annotate", "ridge", bed)
    assert "no saved model here" in complaint(run, "annotate", "nowhere", bed)
    assert "use genoglot annotate" in complaint(run, "generate", "annotator", "kidney")
    both = complaint(run, "evaluate", "annotator", "ridge", "--atlas", "atlas")
    assert "no metric in common" in both
    other = complaint(
        run, "evaluate", "annotator", "--no-baselines", "--atlas", str(toy_atlas.path)
    )
    assert "universe" in other and "preset" in complaint(
        run, "train", "annotator", "--atlas", "atlas", "-o", "new", "--preset", "published"
    )


def test_evaluated_beside_its_baselines(
    annotator: Path, run: Run, split: str, folder: Path
) -> None:
    evaluate = ("evaluate", "annotator", "--atlas", "atlas", "--split", split)
    done = run(*evaluate, "-o", "labels.parquet", "--markdown", "labels.md")
    table = ResultsTable.from_parquet(folder / "labels.parquet")
    assert set(table.results["model"]) == {"majority", "nearest set", "ridge", "annotator"}
    assert {"accuracy", "ECE", "coverage"} <= set(table.results["metric"])
    assert table.results["n_sets"].max() == 14
    assert (folder / "labels.md").read_text() == table.to_markdown()
    assert "biosample" in done.stdout


def test_table_one_in_one_command(ridge: Path, world: Path, run: Run) -> None:
    genes = ("--genes", "world/genes.gtf", "--top", "20", "--table")
    shown = run("generate", "ridge", "CTCF, kidney", *genes).stdout
    lines = [line.split() for line in shown.splitlines() if line.strip().startswith("chr")]
    expected = load(ridge).generate("CTCF, kidney", 20)
    names, distance = Genes.from_file(world / "genes.gtf").nearest(expected)
    assert [line[0] for line in lines] == expected.loci
    assert [line[1] for line in lines] == list(names)
    assert [int(line[2].replace(",", "")) for line in lines] == distance.tolist()
    assert [float(line[3]) for line in lines] == pytest.approx(expected.columns["raw"], abs=1e-3)


def test_a_track_a_browser_opens(ridge: Path, run: Run, folder: Path) -> None:
    options = ("-n", "9", "--track", "-o", "track.bed", "--igv", "igv.html", "--table")
    shown = run("generate", "ridge", 'CTCF "kidney"', *options).stdout
    header, *lines = (folder / "track.bed").read_text().splitlines()
    assert header.startswith('track name="CTCF kidney" ')
    assert {len(line.split("\t")) for line in lines} == {6} and len(lines) == 9
    assert (
        Regions.from_bed(folder / "track.bed").loci == load(ridge).generate('CTCF "kidney"', 9).loci
    )
    page = (folder / "igv.html").read_text()
    assert all(f'"name": "{line.split()[3]}"' in page for line in lines)
    assert shown.count("chr") == 9
    refused = complaint(run, "generate", "ridge", "CTCF", "--table", "--track")
    assert "use -o FILE" in refused


def test_genes_with_other_chromosome_names(
    ridge: Path, world: Path, run: Run, folder: Path
) -> None:
    generate = ("generate", "ridge", "kidney", "-n", "50")
    expected = run(*generate, "--genes", "world/genes.gtf").stdout
    (folder / "ensembl.gtf").write_text((world / "genes.gtf").read_text().replace("chr", ""))
    done = run(*generate, "--genes", "ensembl.gtf", "-o", "refused.bed", status=2)
    (line,) = done.stderr.splitlines()
    assert "the gene annotation says '" in line and "--alias ucsc" in line
    assert not (folder / "refused.bed").exists()
    assert run(*generate, "--genes", "ensembl.gtf", "--alias", "ucsc").stdout == expected
    (folder / "yeast.bed").write_text("chrIV\t5\t9\tA\t0\t1\n")
    done = run(*generate, "--genes", "yeast.bed", "-o", "refused.bed", status=2)
    assert "the gene annotation has no chromosome" in done.stderr
    (folder / "up.bed").write_text("chr1\t5\t9\tA\t0\tup\n")
    assert "strand of row 1 is 'up'" in run(*generate, "--genes", "up.bed", status=2).stderr


def test_odd_files_are_read_whole_or_refused(
    annotator: Path, world: Path, run: Run, tmp_path: Path
) -> None:
    text = (world / "universe.bed").read_text()
    file = tmp_path / "odd.bed"
    file.write_bytes(text.replace("\n", "\r").encode())
    annotated = json.loads(run("annotate", "annotator", file, "--json").stdout)[0]
    assert annotated["n_regions"] == annotated["n_tokens"] == len(text.splitlines())
    file.write_text(text.replace("chr1\t", "chr1 \t", 1))
    assert "odd.bed:1: the chromosome name" in run("annotate", "annotator", file, status=2).stderr
    file.write_text(text.replace("chr", "Chr"))
    assert "--alias ucsc" in run("annotate", "annotator", file, status=2).stderr
