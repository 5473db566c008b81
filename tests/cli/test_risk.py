"""`genoglot bench risk`: what it writes, and bad input in one line."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from genoglot.sequence.vcf import Locus
from genoglot.simulate import World
from genoglot.simulate.cohort import simulate_cohort

Run = Callable[..., subprocess.CompletedProcess[str]]
Here = Callable[..., str]

LOCUS = "chr1:200,001-220,000"


@pytest.fixture(scope="module")
def files(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("risk")
    simulate_cohort(World.open(world), folder / "cohort", Locus.parse(LOCUS), people=60)
    (folder / "genome.fa").symlink_to(world.resolve() / "genome.fa")
    return folder


def arguments(*more: str, out: str = "out", vcf: str = "cohort/cohort.vcf.gz") -> list[str]:
    return ["bench", "risk", vcf, "cohort/phenotypes.csv", "-o", out, *more]


DNA = ("--genome", "genome.fa", "--locus", LOCUS)


def test_risk_of_each_person(files: Path, run: Run) -> None:
    out = files / "risk"
    done = run(
        *("bench", "risk", files / "cohort" / "cohort.vcf.gz", files / "cohort" / "phenotypes.csv"),
        *("--genome", files / "genome.fa", "--locus", LOCUS, "-o", out, "--folds", "3"),
    )
    assert "60 people, 30 cases" in done.stderr
    assert "covariates: sex=male, age" in done.stderr
    for shown in ("genotypes", "rare burden", "published", "0.770"):
        assert shown in done.stdout
    with (out / "risk.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert all(0 < float(row["genotypes"]) < 1 for row in rows)
    assert {row["fold"] for row in rows} == {"0", "1", "2"}
    assert (out / "metrics.csv").read_text().startswith("model,metric,value,low,high\nconstant,")
    assert json.loads((out / "notes.json").read_text())["missing_alleles"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--locus", LOCUS), "--genome is missing"),
        (("--genome", "genome.fa", "--locus", "chr1"), "give it as CHROM:FIRST-LAST"),
        (("--genome", "genome.fa", "--locus", "1:200,001-220,000"), "says 'chr1'; write 'chr1'"),
        ((*DNA, "--covariate", "height"), "the header has no column 'height'"),
        ((*DNA, "--case", "ill"), "the header has no column 'ill'"),
        ((*DNA, "--coding", "1/2"), "0 cases for a cross-validation"),
        ((*DNA, "--encoder", "missing"), "missing"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    files: Path, here: Here, options: tuple[str, ...], message: str
) -> None:
    said = here(*arguments(*options), status=2)
    assert message in said
    assert said.strip().splitlines()[-1].startswith("genoglot: error:")
    assert not (files / "out").exists()


def test_existing_results_are_not_replaced(files: Path, here: Here) -> None:
    (files / "full").mkdir()
    (files / "full" / "mine.txt").touch()
    assert "already exists" in here(*arguments(*DNA, out="full"), status=2)
