from __future__ import annotations

import gzip
import json
import logging
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genoglot.atlas import Atlas, build_atlas, read_encode_json, read_sheet
from genoglot.errors import AtlasError, ChromosomeNameError, SampleSheetError, UniverseError
from genoglot.regions import Regions, Universe


@pytest.fixture(scope="module")
def universe() -> Universe:
    """1,000 regions of 100 bp, one every 1,000 bp, on two chromosomes."""
    start = np.tile(np.arange(500) * 1000, 2)
    return Universe(Regions(["chr1"] * 500 + ["chr2"] * 500, start, start + 100), genome="hg38")


@pytest.fixture
def peaks(tmp_path: Path, universe: Universe) -> Path:
    """A folder of 12 BED files, some gzip, and `sheet.csv`; set i has every (i + 2)th region."""
    folder = tmp_path / "peaks"
    (folder / "files").mkdir(parents=True)
    lines = ['file,description,assay,target,biosample,"source"']
    for i in range(12):
        regions = universe.decode(np.arange(0, 1000, i + 2))
        rows = zip(regions.chrom, regions.start + 10, regions.end + 10, strict=True)
        text = "".join(f"{c}\t{s}\t{e}\tpeak\n" for c, s, e in rows)
        name = f"files/{i}.bed" + (".gz" if i % 2 else "")
        data = text.encode()
        (folder / name).write_bytes(gzip.compress(data) if i % 2 else data)
        lines.append(f'{name},"peaks {i}, human",ChIP-seq,TF{i % 3},cell{i // 3},made up')
    (folder / "sheet.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_files_become_sets_with_their_descriptions(
    tmp_path: Path, peaks: Path, universe: Universe
) -> None:
    report = build_atlas(peaks, peaks / "sheet.csv", universe, tmp_path / "atlas", jobs=2)
    atlas = report.atlas
    assert report.skipped == []
    assert (len(atlas), atlas.genome) == (12, "hg38")
    for i in range(12):
        assert np.array_equal(atlas.tokens(i), np.arange(0, 1000, i + 2))
    row = atlas.metadata.row(4, named=True)
    assert row["file"] == row["id"] == "files/4.bed"
    assert row["description"] == "peaks 4, human"
    assert (row["target"], row["biosample"], row["source"]) == ("TF1", "cell1", "made up")
    assert row["n_regions"] == row["n_tokens"] == len(np.arange(0, 1000, 6))
    atlas.verify()


def test_signal_ranks_come_from_the_signal_of_each_file(
    tmp_path: Path, peaks: Path, universe: Universe
) -> None:
    # Two peaks lie on region 0, and the strongest of all on no region.
    signals = [(0, 3.5), (50, 8.0), (2000, 1.5), (2500, 99.0), (4000, 5.0)]
    lines = [f"chr1\t{s}\t{s + 40}\t.\t0\t.\t{v}\t-1\t-1\t20\n" for s, v in signals]
    (peaks / "files/1.bed.gz").write_bytes(gzip.compress("".join(lines).encode()))
    atlas = build_atlas(peaks, peaks / "sheet.csv", universe, tmp_path / "a").atlas
    assert atlas.tokens(1).tolist() == [0, 2, 4]
    assert atlas.signal_ranks(1).tolist() == [1 + 254 * 3 // 4, 1, 1 + 254 * 2 // 4]
    assert (atlas.signal_ranks(0) == 255).all()
    atlas.verify()


def test_any_number_of_jobs_gives_the_same_atlas(
    tmp_path: Path, peaks: Path, universe: Universe
) -> None:
    universe.regions.to_bed(tmp_path / "universe.bed")
    digests = {
        build_atlas(
            peaks, peaks / "sheet.csv", tmp_path / "universe.bed", tmp_path / f"{jobs}", jobs=jobs
        ).atlas.digest
        for jobs in (1, 2, 7, None)
    }
    assert len(digests) == 1


def test_broken_files_are_left_out_and_reported(
    tmp_path: Path, peaks: Path, universe: Universe
) -> None:
    (peaks / "files/3.bed.gz").write_bytes((peaks / "files/3.bed.gz").read_bytes()[:50])
    with (peaks / "files/6.bed").open("a") as file:
        file.write("chr1\tten\t20\n")
    report = build_atlas(peaks, peaks / "sheet.csv", universe, tmp_path / "a")
    assert [name for name, _ in report.skipped] == ["files/3.bed.gz", "files/6.bed"]
    assert "damaged gzip" in report.skipped[0][1]
    assert "6.bed:126" in report.skipped[1][1]
    assert len(report.atlas) == 10
    assert np.array_equal(report.atlas.tokens(3), np.arange(0, 1000, 6))  # file 4
    lenient = build_atlas(peaks, peaks / "sheet.csv", universe, tmp_path / "b", on_error="skip")
    assert [name for name, _ in lenient.skipped] == ["files/3.bed.gz"]


def test_no_atlas_if_all_files_are_broken(tmp_path: Path, peaks: Path, universe: Universe) -> None:
    for file in (peaks / "files").iterdir():
        file.write_bytes(b"\x1f\x8bno gzip")
    with pytest.raises(AtlasError, match=r"none of the 12 files .*0\.bed"):
        build_atlas(peaks, peaks / "sheet.csv", universe, tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["peaks"]


def test_other_chromosome_names_are_refused_once_with_the_way_out(
    tmp_path: Path, peaks: Path, universe: Universe
) -> None:
    ensembl = Universe(universe.regions.rename_chroms("ensembl"), genome="GRCh38")
    with pytest.raises(ChromosomeNameError, match=r"0\.bed.*--alias ensembl") as raised:
        build_atlas(peaks, peaks / "sheet.csv", ensembl, tmp_path / "a")
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["peaks"]
    atlas = build_atlas(peaks, peaks / "sheet.csv", ensembl, tmp_path / "a", alias="ensembl").atlas
    assert np.array_equal(atlas.tokens(0), np.arange(0, 1000, 2))


@pytest.mark.parametrize("odd", [0, 2])
def test_one_file_with_other_names_is_left_out(
    tmp_path: Path, peaks: Path, universe: Universe, odd: int
) -> None:
    (peaks / f"files/{odd}.bed").write_text("1\t0\t100\n")
    report = build_atlas(peaks, peaks / "sheet.csv", universe, tmp_path / "a")
    assert [name for name, _ in report.skipped] == [f"files/{odd}.bed"]
    assert len(report.atlas) == 11


def test_files_that_are_no_text_are_left_out_by_what_they_are(
    tmp_path: Path, peaks: Path, universe: Universe
) -> None:
    (peaks / "files/0.bed").write_bytes(b"PK\x03\x04 xl/workbook.xml")
    damaged = bytearray((peaks / "files/1.bed.gz").read_bytes())
    damaged[10:12] = b"\xff\xff"
    (peaks / "files/1.bed.gz").write_bytes(damaged)
    (peaks / "files/2.bed").write_text("<!DOCTYPE html>\n<html>no such file</html>\n")
    report = build_atlas(peaks, peaks / "sheet.csv", universe, tmp_path / "a")
    problems = dict(report.skipped)
    assert len(report.atlas) == 9 and len(problems) == 3
    assert "an Excel workbook" in problems["files/0.bed"]
    assert "damaged gzip file" in problems["files/1.bed.gz"]
    assert "a web page" in problems["files/2.bed"]


def test_empty_sets_are_kept_with_a_notice(
    tmp_path: Path, peaks: Path, universe: Universe, caplog: pytest.LogCaptureFixture
) -> None:
    (peaks / "files/2.bed").write_text("chr1\t500\t600\nchrUn\t0\t100\n")
    with caplog.at_level(logging.WARNING, "genoglot"):
        report = build_atlas(peaks, peaks / "sheet.csv", universe, tmp_path / "a")
    assert report.skipped == []
    assert len(report.atlas.tokens(2)) == 0
    assert report.atlas.metadata["n_regions"][2] == 2
    assert "1 of 12 files have no region in the universe" in caplog.text
    assert "become empty sets: 'files/2.bed'" in caplog.text


def test_no_atlas_of_empty_sets_only(tmp_path: Path, peaks: Path, universe: Universe) -> None:
    for file in (peaks / "files").iterdir():
        data = b"NC_000001.11\t0\t5000\nNC_000002.12\t0\t50\n"
        file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
    with pytest.raises(AtlasError, match=r"none of the files \(12\) has a region") as raised:
        build_atlas(peaks, peaks / "sheet.csv", universe, tmp_path / "a")
    for part in ("files/0.bed, has 2 regions, on NC_000001.11", "'chr1', 'chr2'", "one genome?"):
        assert part in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["peaks"]
    universe.decode([3]).to_bed(peaks / "files/4.bed")
    atlas = build_atlas(peaks, peaks / "sheet.csv", universe, tmp_path / "a").atlas
    assert [len(tokens) for tokens in atlas.tokens_of(range(12))] == [0] * 4 + [1] + [0] * 7


def test_overlap_thresholds_count(tmp_path: Path, peaks: Path, universe: Universe) -> None:
    (peaks / "files/0.bed").write_text("chr1\t90\t110\nchr1\t1000\t1100\n")
    for options, expected in [({}, [0, 1]), ({"min_bp": 11}, [1]), ({"min_fraction": 0.6}, [1])]:
        out = tmp_path / str(options)
        atlas = build_atlas(peaks, peaks / "sheet.csv", universe, out, **options).atlas  # type: ignore[arg-type]
        assert atlas.tokens(0).tolist() == expected


def test_bad_sheets_and_universes_stop_the_build(
    tmp_path: Path, peaks: Path, universe: Universe
) -> None:
    (peaks / "files/5.bed.gz").unlink()
    with pytest.raises(SampleSheetError, match="1 of 12 files"):
        build_atlas(peaks, peaks / "sheet.csv", universe, tmp_path / "a")
    with pytest.raises(SampleSheetError, match="1 of 12 files"):
        build_atlas(peaks, read_sheet(peaks / "sheet.csv"), universe, tmp_path / "a")
    (peaks / "universe.bed").write_text("chr1\t0\t10\nchr1\t5\t20\n")
    few = read_sheet(peaks / "sheet.csv")[:5]
    with pytest.raises(UniverseError):
        build_atlas(peaks, few, peaks / "universe.bed", tmp_path / "a")
    with pytest.raises(AtlasError, match="hg19"):
        build_atlas(peaks, few, universe, tmp_path / "a", genome="hg19")
    unnamed = Universe(universe.regions)
    atlas = build_atlas(peaks, few, unnamed, tmp_path / "a", genome="hg19").atlas
    assert atlas.genome == atlas.universe.genome == "hg19"


def test_a_folder_from_encode(tmp_path: Path, universe: Universe) -> None:
    folder = tmp_path / "encode"
    folder.mkdir()
    for i in range(3):
        universe.decode([i, i + 10]).to_bed(folder / f"ENCFF{i}.bed.gz")
        about = {"accession": f"ENCFF{i}", "description": f"peaks {i}", "dataset": "/e/ENCSR1/"}
        (folder / f"ENCFF{i}.json").write_text(json.dumps(about))
    atlas = build_atlas(folder, read_encode_json(folder), universe, tmp_path / "a").atlas
    assert atlas.descriptions() == ["peaks 0", "peaks 1", "peaks 2"]
    assert atlas.metadata["group"].to_list() == ["ENCSR1"] * 3
    assert [tokens.tolist() for tokens in atlas.tokens_of([0, 2])] == [[0, 10], [2, 12]]


def test_files_of_another_assembly_than_declared(
    tmp_path: Path, peaks: Path, universe: Universe, caplog: pytest.LogCaptureFixture
) -> None:
    sheet = read_sheet(peaks / "sheet.csv")
    mixed = sheet.with_columns(assembly=pl.Series(["hg38"] * 7 + ["mm10"] * 4 + ["GRCm38"]))
    problem = r"'hg38' for 7 files \(as files/0.bed\) and 'mm10' for 5 files .*--assembly"
    for genome in ("", "hg38"):
        with pytest.raises(SampleSheetError, match=problem):
            build_atlas(peaks, mixed, universe, tmp_path / "a", genome=genome)
    for column in ("assembly", "genome"):
        wrong = sheet.with_columns(pl.lit("GRCh37").alias(column))
        with pytest.raises(SampleSheetError, match=r"'GRCh37' for 12 files .* of 'hg38'"):
            build_atlas(peaks, wrong, universe, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    same = sheet.with_columns(assembly=pl.Series(["GRCh38", "hg38", "GRCh38.p14", *[None] * 9]))
    with caplog.at_level(logging.WARNING, "genoglot"):
        report = build_atlas(peaks, same, universe, tmp_path / "a", genome="grch38")
    assert "9 of 12 files name no assembly" in caplog.text
    assert len(report.atlas) == 12 and report.atlas.genome == "hg38"
    unnamed = Universe(universe.regions)
    assert len(build_atlas(peaks, same, unnamed, tmp_path / "b").atlas) == 12


ENDLESS = """
import sys, pathlib, polars as pl
from genoglot.atlas import build_atlas
from genoglot.regions import Universe
folder = pathlib.Path(sys.argv[1])
sheet = pl.DataFrame({
    "id": [str(i) for i in range(20_000)], "file": ["files/0.bed"] * 20_000,
    "description": ["text"] * 20_000,
})
universe = Universe.from_bed(folder / "universe.bed")
build_atlas(folder, sheet, universe, folder / "out/atlas", jobs=2)
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_stopped_build_leaves_no_atlas(
    peaks: Path, universe: Universe, name: str, unmeasured: dict[str, str]
) -> None:
    universe.regions.to_bed(peaks / "universe.bed")
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(peaks)],
        stderr=subprocess.PIPE, text=True, env=unmeasured,
    )  # fmt: skip
    out = peaks / "out"
    while not list(out.glob(".atlas.*/atlas/tokens.parquet")):
        assert process.poll() is None  # still at work
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    os.kill(process.pid, getattr(signal, name))
    _, errors = process.communicate()
    assert process.returncode != 0
    assert not (out / "atlas").exists()
    with pytest.raises(AtlasError, match="no atlas"):
        Atlas.open(out / "atlas")
    if name == "SIGINT":
        assert list(out.iterdir()) == []
        assert "KeyboardInterrupt" in errors
    small = pl.DataFrame({"file": ["files/0.bed"], "description": ["text"]})
    assert len(build_atlas(peaks, small, universe, out / "atlas").atlas) == 1


@pytest.mark.parametrize("shown", [True, False])
def test_a_progress_bar_on_a_terminal_only_when_wanted(
    tmp_path: Path, peaks: Path, universe: Universe, shown: bool
) -> None:
    universe.regions.to_bed(peaks / "universe.bed")
    script = (
        "import sys; from genoglot.atlas import build_atlas; p = sys.argv[1]\n"
        f"build_atlas(p, p + '/sheet.csv', p + '/universe.bed', p + '/atlas', progress={shown})"
    )
    terminal, end = pty.openpty()
    subprocess.run([sys.executable, "-c", script, str(peaks)], stderr=end, check=True)
    os.write(end, b"END")
    seen = b""
    while not seen.endswith(b"END"):
        seen += os.read(terminal, 4096)
    assert (b"Reading region sets" in seen) == shown


def test_regions_of_an_atlas_go_back_to_bed(
    tmp_path: Path, peaks: Path, universe: Universe
) -> None:
    atlas = build_atlas(peaks, peaks / "sheet.csv", universe, tmp_path / "a").atlas
    atlas.universe.decode(atlas.tokens(5)).to_bed(tmp_path / "five.bed")
    assert Regions.from_bed(tmp_path / "five.bed") == universe.decode(np.arange(0, 1000, 7))
