"""Speed and memory of universes and region sets, beside gtars, on the same files.

    python benchmarks/regions.py [--json figures.json]

Each side runs in processes of its own, taking turns. Both are asked for the same ids by their
fastest public calls; the ids are compared before any figure is printed. gtars returns a list with
duplicates in the order of the queries, Genoglot a sorted array without. Needs `pip install
"genoglot[bench]"`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

UNIVERSE = 1_063_878
QUERIES = (1_000, 100_000, 500_000)
ORDERS = ("shuffled", "sorted")
SIDES = ("gtars", "genoglot")
# GRCh38, chr1 to chr22, X, Y, in bp.
SIZES = [
    *(248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636),
    *(138394717, 133797422, 135086622, 133275309, 114364328, 107043718, 101991189, 90338345),
    *(83257441, 80373285, 58617616, 64444167, 46709983, 50818468, 156040895, 57227415),
]
NAMES = [f"chr{name}" for name in (*range(1, 23), "X", "Y")]


def write_bed(path: Path, codes: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
    rows = zip(codes.tolist(), start.tolist(), end.tolist(), strict=True)
    path.write_text("".join(f"{NAMES[c]}\t{s}\t{e}\n" for c, s, e in rows))


def make_files(folder: Path, seed: int = 0) -> None:
    """A duplicate-free universe in 400 bp slots, and region sets, shuffled and sorted."""
    rng = np.random.default_rng(seed)
    sizes = np.array(SIZES)
    slots = np.concatenate([[0], np.cumsum(sizes // 400 - 1)])
    chosen = np.sort(rng.choice(slots[-1], UNIVERSE, replace=False))
    codes = np.searchsorted(slots, chosen, "right") - 1
    start = (chosen - slots[codes]) * 400 + rng.integers(0, 50, UNIVERSE)
    write_bed(folder / "universe.bed", codes, start, start + rng.integers(150, 350, UNIVERSE))
    for n in QUERIES:
        codes = rng.choice(len(sizes), n, p=sizes / sizes.sum())
        start = (rng.random(n) * (sizes[codes] - 1000)).astype(int)
        end = start + rng.integers(100, 1000, n)
        for order, rows in zip(ORDERS, (slice(None), np.lexsort((start, codes))), strict=True):
            write_bed(folder / f"{order}{n}.bed", codes[rows], start[rows], end[rows])


def memory(key: str) -> float:
    """MB of this process: VmRSS now, VmHWM at its peak."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{key}:")[1].split()[0]) / 1024


def milliseconds(call: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times)


def run_side(side: str, folder: Path) -> dict[str, float]:
    """Measure one side in this process, and leave its ids in the folder."""
    universe = str(folder / "universe.bed")
    if side == "gtars":
        from gtars.models import RegionSet
        from gtars.tokenizers import Tokenizer

        build, load = Tokenizer, RegionSet

        def encode_file(model: Any, path: str) -> Any:
            return model(path)["input_ids"]

        def encode(model: Any, regions: Any) -> Any:
            return model(regions)["input_ids"]
    else:
        from genoglot.regions import Regions, Universe

        build, load = Universe.from_bed, Regions.from_bed

        def encode_file(model: Any, path: str) -> Any:
            return model.encode(Regions.from_bed(path))

        def encode(model: Any, regions: Any) -> Any:
            return model.encode(regions)

    before = memory("VmRSS")
    begin = time.perf_counter()
    model = build(universe)
    figures = {"build": 1000 * (time.perf_counter() - begin)}
    figures["build_peak_mb"] = memory("VmHWM") - before
    figures["held_mb"] = memory("VmRSS") - before
    for n in QUERIES:
        repeats = 51 if n < 10_000 else 9
        for order in ORDERS:
            path = str(folder / f"{order}{n}.bed")
            ids = np.unique(np.asarray(encode_file(model, path)))
            np.save(folder / f"{side}.{order}{n}.npy", ids[ids < UNIVERSE])
            regions = load(path)
            name = f"{n // 1000}k {order}"
            figures[f"file {name}"] = milliseconds(lambda p=path: encode_file(model, p), repeats)
            figures[f"memory {name}"] = milliseconds(lambda r=regions: encode(model, r), repeats)
    figures["peak_mb"] = memory("VmHWM") - before
    return figures


def compare_ids(folder: Path) -> None:
    for n in QUERIES:
        for order in ORDERS:
            ours, theirs = (np.load(folder / f"{side}.{order}{n}.npy") for side in SIDES)
            if not np.array_equal(ours, theirs):
                raise SystemExit(f"the ids of {order}{n}.bed differ: {len(ours)}, {len(theirs)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--runs", type=int, default=5, help="processes per side")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(run_side(arguments.side, arguments.folder)))
        return
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder))
        for _ in range(arguments.runs):
            for side in SIDES:
                command = [sys.executable, __file__, "--side", side, "--folder", folder]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                runs[side].append(json.loads(done.stdout))
        compare_ids(Path(folder))
    figures = {
        side: {key: statistics.median(run[key] for run in runs[side]) for key in runs[side][0]}
        for side in SIDES
    }
    print(f"universe of {UNIVERSE:,} regions; medians of {arguments.runs} processes; ms or MB")
    print(f"{'':24}{'gtars':>10}{'genoglot':>10}{'ratio':>8}")
    for key, theirs in figures["gtars"].items():
        ours = figures["genoglot"][key]
        print(f"{key:24}{theirs:10.2f}{ours:10.2f}{theirs / ours:8.1f}")
    print("ids identical in every set")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
