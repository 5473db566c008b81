"""BED files of real life, through every command that reads many of them."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genoglot.atlas import Atlas

Run = Callable[..., Any]

UNIVERSE = "".join(f"chr1\t{i * 1000}\t{i * 1000 + 200}\n" for i in range(40))
# The signal falls and the score rises.
BROAD = "".join(
    f"chr1\t{i * 1000}\t{i * 1000 + 100}\t.\t{i}\t.\t{90.5 - i}\t4.2\t-1\n" for i in range(0, 40, 2)
)


@pytest.fixture(scope="session")
def build(run: Run, folder: Path) -> Callable[..., Any]:
    (folder / "forty.bed").write_text(UNIVERSE)

    def build(name: str, files: dict[str, bytes], *options: str, status: int = 0):  # type: ignore[no-untyped-def]
        beds = folder / name
        beds.mkdir()
        for file, data in files.items():
            (beds / file).write_bytes(data)
        rows = "".join(f"{file},what {file} holds\n" for file in files)
        (beds / "sheet.csv").write_text(f"file,description\n{rows}")
        return run(
            *("atlas", "build", beds, "--sheet", beds / "sheet.csv", "--universe", "forty.bed"),
            *("-o", f"{name}.atlas", "--genome", "toy", *options),
            status=status,
        )

    return build


def signal_ranks(folder: Path, name: str) -> list[list[int]]:
    atlas = Atlas.open(folder / f"{name}.atlas")
    return [atlas.signal_ranks(i).tolist() for i in range(len(atlas))]


def test_a_broadpeak_has_its_signal_ranks_whatever_it_is_called(build, folder: Path) -> None:  # type: ignore[no-untyped-def]
    data = BROAD.encode()
    files = {"a.broadPeak": data, "b.bed.gz": gzip.compress(data), "c.bed": data}
    done = build("broad", files)
    assert "signal ranks: 3 sets by signalValue\n" in done.stderr
    first, *others = signal_ranks(folder, "broad")
    assert first == sorted(first, reverse=True) and first[0] == 255
    assert others == [first, first]
    done = build("scored", {"b.bed.gz": gzip.compress(data)}, "--format", "bed")
    assert "signal ranks: 1 sets by score\n" in done.stderr
    assert signal_ranks(folder, "scored") == [first[::-1]]
    message = build("short", {"a.bed": b"chr1\t1\t2\n"}, "--format", "narrowPeak", status=2).stderr
    assert "has 3 columns, but the signal of a narrowPeak file is in column 7" in message


def test_missing_and_unreadable_signals_are_said(build, folder: Path) -> None:  # type: ignore[no-untyped-def]
    lines = BROAD.splitlines(keepends=True)
    missing = "".join([*lines[:3], lines[3].replace("84.5", "NA"), *lines[4:]])
    high = missing.replace("NA", "high")
    done = build("signals", {"a.bed": missing.encode(), "b.bed": high.encode(), "c.bed": b""})
    assert "a.bed: the signalValue is missing in 1 of 20 regions, which rank lowest" in done.stderr
    assert (
        "b.bed: the signalValue of region 4 is 'high', which is not a number: score is"
        in done.stderr
    )
    assert "signal ranks: 1 sets by signalValue, 1 sets by score, 1 sets without" in done.stderr
    by_signal, by_score, _ = signal_ranks(folder, "signals")
    assert (by_signal[0], by_signal[3], by_score[0], by_score[3]) == (255, 1, 1, 1 + 254 * 3 // 19)


def test_damaged_files_of_many_are_listed_and_others_read_whole(build, folder: Path) -> None:  # type: ignore[no-untyped-def]
    whole = gzip.compress(BROAD.encode())
    header = bytearray(whole)
    header[10:12] = b"\xff\xff"
    files = {
        "cr.bed": BROAD.replace("\n", "\r").encode(),
        "one_cr.bed.gz": gzip.compress(BROAD.replace("\n", "\r", 1).encode()),
        "header.bed.gz": bytes(header),
        "ascii.bed.gz": whole.replace(b"\n", b"\r\n") + b"\r\n",
        "twice.bed.gz": whole[: len(whole) // 2] + whole,
        "blank.bed": BROAD.replace("chr1", "chr1 ").encode(),
        "quoted.bed": BROAD.replace("chr1", '"chr1"').encode(),
        "latin.bed": BROAD.replace("\t.\t", "\tna\u00efve\t").encode("latin-1"),
    }
    done = build("damaged", files, status=2)
    assert "Traceback" not in done.stderr
    for name in ("header.bed.gz", "ascii.bed.gz", "twice.bed.gz", "blank.bed", "quoted.bed"):
        assert f"skipped {name}: " in done.stderr
    assert "5 of 8 files were skipped" in done.stderr
    atlas = Atlas.open(folder / "damaged.atlas")
    assert atlas.metadata["file"].to_list() == ["cr.bed", "one_cr.bed.gz", "latin.bed"]
    assert all(atlas.tokens(i).tolist() == list(range(0, 40, 2)) for i in range(3))


def test_fractions_of_either_region(build, folder: Path) -> None:  # type: ignore[no-untyped-def]
    # 20 of 100 bp and 20 of 200 bp; all of 20 bp and 20 of 200 bp.
    bed = b"chr1\t180\t280\nchr1\t1000\t1020\n"
    for name, options, expected in (
        ("reached", ("-f", "0.2", "-F", "0.1"), [0, 1]),
        ("file", ("--min-fraction", "0.21"), [1]),
        ("universe", ("--min-universe-fraction", "0.11"), []),
    ):
        build(name, {"a.bed": bed, "b.bed": UNIVERSE.encode()}, *options)
        assert Atlas.open(folder / f"{name}.atlas").tokens(0).tolist() == expected


def test_a_universe_through_a_pipe(build, run: Run, folder: Path) -> None:  # type: ignore[no-untyped-def]
    build("piped", {"a.bed": BROAD.encode()})
    (folder / "overlap.bed").write_text("#u\nchr1\t0\t50\nchr1\t20\t90\n")
    for universe, status in (("forty.bed", 0), ("overlap.bed", 2)):
        command = (
            f"{sys.executable} -m genoglot atlas build piped --sheet piped/sheet.csv "
            f"--universe <(cat {universe}) -o {universe}.atlas"
        )
        done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert ":3: 1 overlaps with the region before" in done.stderr
    (folder / "odd.bed").write_text("chr1\t0\t50\nchr1 \t60\t90\n")
    done = run(
        *("atlas", "build", "piped", "--sheet", "piped/sheet.csv", "--universe", "odd.bed"),
        *("-o", "odd.atlas"),
        status=2,
    )
    assert "odd.bed:2: the chromosome name 'chr1 ' contains a blank" in done.stderr
    assert "--on-error" not in done.stderr  # which is for the files, not for the universe


def test_a_library_reads_files_as_an_atlas_does(run: Run, folder: Path) -> None:
    beds = folder / "library_beds"
    beds.mkdir()
    (beds / "a.bed").write_text(BROAD.replace("chr1", "1"))
    (beds / "b.bed").write_text(UNIVERSE.replace("chr1", "1") + "1\tnine\t9\n")
    (beds / "sheet.csv").write_text("file,description\na.bed,open chromatin\nb.bed,all regions\n")
    (folder / "forty.bed").write_text(UNIVERSE)
    add = ("library", "add", "bed.library", beds, "--sheet", beds / "sheet.csv")
    add = (*add, "--universe", "forty.bed")
    assert "--alias ucsc" in run(*add, status=2).stderr
    options = ("--alias", "ucsc", "--on-error", "skip", "-f", "0.9", "-F", "0.9", "--format", "bed")
    done = run(*add, *options)
    assert "skipped 1 malformed lines, read 40" in done.stderr
    assert re.search(r"a\.bed.*empty set|empty sets?: 'a\.bed'", done.stderr)  # half as long
    assert "signal ranks: 1 sets by score, 1 sets without a signal" in done.stderr

    query = folder / "query.bed"
    query.write_bytes(UNIVERSE.replace("chr1", "1").replace("\n", "\r").encode() + b"1\tx\t5\r")
    search = ("library", "search", "bed.library", "--bed", query, "--json")
    assert "query.bed:41: " in run(*search, status=2).stderr
    message = run(*search, "--on-error", "skip", status=2).stderr
    assert "'1' where the universe says 'chr1'" in message and "--alias ucsc" in message
    hits = json.loads(run(*search, "--on-error", "skip", "--alias", "ucsc").stdout)
    assert (hits[0]["id"], hits[0]["jaccard"]) == ("b.bed", 1.0)
