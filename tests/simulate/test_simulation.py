"""Simulating: the same seed gives the same bytes; bad input is refused in one line."""

import json
from pathlib import Path

import polars as pl
import pytest

from genoglot.errors import AtlasError, GenoglotError
from genoglot.files import file_digest
from genoglot.simulate import SIZES, World, simulate
from genoglot.simulate.biosamples import CONDITIONS, ORGANS, SYSTEMS, UBIQUITOUS, biosamples
from genoglot.simulate.factors import FACTORS


def digests(path: Path) -> dict[str, str]:
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): file_digest(file) for file in files}


def test_same_seed_gives_the_same_bytes_and_another_seed_another_world(
    world: World, tmp_path: Path
) -> None:
    first = digests(world.path)
    again = simulate(tmp_path / "again", size="small", seed=0)
    assert digests(again.path) == first
    other = digests(simulate(tmp_path / "other", size="small", seed=1).path)
    assert other.keys() != first.keys() or other["genome.fa"] != first["genome.fa"]
    assert other["sheet.csv"] != first["sheet.csv"]


def test_progress_is_told_up_to_the_last_file(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    simulate(tmp_path / "w", size="small", seed=3, progress=lambda *step: told.append(step))
    assert told[-1] == ("files", 140, 140)
    assert {stage for stage, _, _ in told} == {"elements", "genome", "assays", "files"}


def test_a_full_directory_and_an_unknown_size_are_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(GenoglotError, match="not empty"):
        simulate(world.path, size="small")
    with pytest.raises(GenoglotError, match="choose one of small, medium, large"):
        simulate(tmp_path / "w", size="huge")  # type: ignore[arg-type]
    assert not (tmp_path / "w").exists()


def test_open_refuses_what_is_no_world_or_of_another_version(tmp_path: Path) -> None:
    with pytest.raises(AtlasError, match="no simulated world here"):
        World.open(tmp_path)
    (tmp_path / "world.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(AtlasError, match="format 99"):
        World.open(tmp_path)


def test_an_opened_world_knows_what_it_was_made_of(world: World) -> None:
    opened = World.open(world.path)
    assert (opened.size, opened.seed, len(opened)) == ("small", 0, SIZES["small"].elements)
    about = json.loads((world.path / "world.json").read_text())
    assert about["simulated"] is True
    assert about["parameters"]["files"] == opened.sheet.height
    assert "small" in repr(opened)


def test_unknown_tables_assays_and_biosamples_are_named(world: World) -> None:
    with pytest.raises(AtlasError, match="motif_instances"):
        world.ground_truth("nothing")
    with pytest.raises(GenoglotError, match="no assay 'TF ChIP-seq' of target 'H3K27ac'"):
        world.expected("TF ChIP-seq", "H3K27ac", "lung")
    with pytest.raises(GenoglotError, match="no biosample 'tail'"):
        world.expected("DNase-seq", "", "tail")


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_biosamples_are_distinct_and_answer_the_usual_queries(size: str) -> None:
    samples = biosamples(SIZES[size].biosamples)
    assert len(samples) == SIZES[size].biosamples
    assert len({sample.name for sample in samples}) == len(samples)
    found = {(sample.organ, sample.age, sample.state) for sample in samples}
    assert ("kidney", "adult", "cancer") in found
    assert ("lung", "pediatric", "inflammation") in found
    assert "lymphoma" in {sample.disease for sample in samples}


def test_every_factor_that_the_biology_names_exists() -> None:
    known = {factor.name for factor in FACTORS}
    assert len(known) == len(FACTORS)
    named = set(UBIQUITOUS).union(*CONDITIONS.values(), *(own for _, own in SYSTEMS.values()))
    for organ in ORGANS:
        assert organ.system in SYSTEMS
        named |= {*organ.factors, *(name for _, own in organ.cells for name in own)}
    assert named == named & known


def test_combinations_remain_unmeasured_whose_parts_are_known(world: World) -> None:
    measured = world.sheet.select("assay", "target", "biosample").unique()
    possible = (
        measured.select("assay", "target")
        .unique()
        .join(measured.select("biosample").unique(), how="cross")
    )
    assert 0.1 < measured.height / possible.height < 0.6
    unseen = possible.join(measured, on=measured.columns, how="anti").head(3)
    assert world.expected_rows(unseen).max(1).min() > 0
    assert isinstance(unseen, pl.DataFrame)
