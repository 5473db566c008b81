"""Speed and memory of scanning DNA for motifs, beside MOODS and memelite, on the same DNA.

    python benchmarks/motifs.py [--sequences 10000] [--runs 3] [--stream 10000 100000] [--json FILE]

Random sequences of 500 bp are scanned on both strands with the 579 motifs of JASPAR 2018. Each side
runs in a process of its own, with two threads (MOODS, which holds Python's lock, in two processes);
figures are medians of all processes. The seconds of all
cores depend less on what else the machine does. Two things are measured:

- the score of the best site of each motif in each sequence, which only genoglot computes without
  listing all sites; the others list the sites of a few sequences, and their time is multiplied;
- hits with p <= 0.0001. Thresholds are computed before the clock starts ("set-up").

Scores of the best sites, and the number of hits of MOODS with genoglot's rounded matrices, are
compared with genoglot's before any figure is printed. memelite rounds scores to 0.1 bits and has
other hits; their number is printed.

Then `genoglot motifs scan` writes the hits, and the scores, of more and more regions (1,000,000 of
them with 10 motifs): its peak of memory does not depend on their number.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LENGTH, FEW, P_VALUE, THREADS = 500, 3, 1e-4, 2
GENOME = 50_000_000
UNIFORM = [0.25] * 4
ENVIRONMENT = {
    name: str(THREADS) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
}
SIDES = ("genoglot", "MOODS", "memelite")


def make_codes(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, (n, LENGTH), np.uint8)


def timed(work: Callable[[], Any]) -> tuple[np.ndarray, Any]:
    """Seconds, and seconds of all cores (with ended child processes), of some work."""
    begin = np.array([time.perf_counter(), sum(os.times()[:4])])
    found = work()
    return np.array([time.perf_counter(), sum(os.times()[:4])]) - begin, found


def peak() -> float:
    """Peak memory of this process, MB."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def run_genoglot(n: int) -> dict[str, Any]:
    from genoglot.regions import Regions
    from genoglot.sequence import Genome, to_text
    from genoglot.sequence.motif_hits import HitFinder
    from genoglot.sequence.motifs import MotifScanner, jaspar

    motifs, codes = jaspar(), make_codes(n)
    figures = {}
    MotifScanner([motifs[0].log_odds]).max_scores(codes[:1])  # PyTorch is loaded
    setup = timed(lambda: MotifScanner([motif.log_odds for motif in motifs]))
    figures["set-up, best sites"], scanner = setup
    figures["best sites"], best = timed(lambda: scanner.max_scores(codes))
    figures["sums of all sites"], _ = timed(lambda: scanner.sum_scores(codes))
    figures["set-up, hits"], finder = timed(lambda: HitFinder(motifs, P_VALUE))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GENOGLOT_CACHE"] = folder
        path = Path(folder) / "a.fa"
        path.write_text("".join(f">{i}\n{to_text(row)}\n" for i, row in enumerate(codes)))
        genome = Genome.open(path)
        regions = Regions([str(i) for i in range(n)], np.zeros(n), np.full(n, LENGTH))

        def hits() -> int:
            return sum(len(part) for part in finder.find(regions, genome))

        figures["hits"], found = timed(hits)
    few = np.round(best[:FEW].astype(float), 3).tolist()
    return {"figures": figures, "best": few, "hits": found, "peak": peak()}


def _moods_matrices() -> tuple[list[Any], list[Any], list[float]]:
    """Matrices of both strands, the same rounded, and the thresholds of these."""
    from genoglot.sequence.motif_hits import HitFinder, round_matrix
    from genoglot.sequence.motifs import jaspar

    matrices = [motif.log_odds for motif in jaspar()]
    both, rounded = (
        [m.T.tolist() for m in some] + [m[::-1, ::-1].T.tolist() for m in some]
        for some in (matrices, [round_matrix(m) for m in matrices])
    )
    return both, rounded, HitFinder(jaspar(), P_VALUE).thresholds.clip(max=1e3).tolist() * 2


def _moods_all(texts: list[str]) -> int:
    pool = multiprocessing.get_context("fork").Pool(THREADS)  # has the scanner
    found = sum(pool.map(_moods_hits, [texts[i::8] for i in range(8)], 1))
    pool.close()
    pool.join()
    return found


def _moods_hits(texts: list[str]) -> int:
    return sum(len(hits) for text in texts for hits in SCANNERS[0].scan(text))


SCANNERS: list[Any] = []  # of MOODS, which forked processes inherit


def run_MOODS(n: int) -> dict[str, Any]:  # noqa: N802
    from MOODS import scan, tools

    from genoglot.sequence import to_text

    texts = [to_text(row) for row in make_codes(n)]
    both, rounded, thresholds = _moods_matrices()
    figures = {}

    def set_up() -> None:
        for matrix in both:
            tools.threshold_from_p(matrix, UNIFORM, P_VALUE)
        SCANNERS.append(scan.Scanner(7))
        SCANNERS[0].set_motifs(rounded, UNIFORM, thresholds)

    figures["set-up, hits"], _ = timed(set_up)
    figures["hits"], found = timed(lambda: _moods_all(texts))
    memory = peak()

    def best_of(text: str) -> list[float]:
        found = scan.scan_dna(text, both, UNIFORM, [-1e9] * len(both), 6)
        best = [max(hit.score for hit in hits) for hits in found]
        return np.maximum(best[: len(best) // 2], best[len(best) // 2 :]).tolist()

    seconds, best = timed(lambda: [best_of(text) for text in texts[:FEW]])
    figures["best sites"] = seconds / FEW * n / [THREADS, 1]
    return {"figures": figures, "best": best, "hits": found, "peak": memory}


def run_memelite(n: int) -> dict[str, Any]:
    from memelite import fimo

    from genoglot.sequence.motifs import jaspar

    motifs = {motif.id: motif.probabilities.T.copy() for motif in jaspar()}
    one_hot = np.eye(4, dtype=np.int8)[make_codes(n)].transpose(0, 2, 1).copy()
    fimo(motifs, one_hot[:2])  # compiled before the clock starts
    figures = {}
    one = [timed(lambda: fimo(motifs, one_hot[:1], threshold=P_VALUE))[0] for _ in range(3)]
    figures["set-up, hits"] = np.median(one, axis=0)
    both, found = timed(lambda: fimo(motifs, one_hot, threshold=P_VALUE))
    figures["hits"] = both - figures["set-up, hits"]
    n_hits, memory = sum(map(len, found)), peak()
    seconds, found = timed(lambda: fimo(motifs, one_hot[:FEW], threshold=1.1))
    assert all(found[0].groupby("sequence_name")["score"].max() > 0)
    figures["best sites"] = seconds / FEW * n
    return {"figures": figures, "hits": n_hits, "peak": memory}


def measure(side: str, n: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--side", side, "--sequences", str(n)]
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure_stream(folder: Path, n: int, *options: str) -> tuple[float, float]:
    """Seconds and peak memory (MB) of `genoglot motifs scan` in n regions."""
    bed = folder / f"{n}.bed"
    if not bed.exists():
        start = np.random.default_rng(n).integers(0, GENOME - LENGTH, n)
        bed.write_text("".join(f"chr1\t{at}\t{at + LENGTH}\n" for at in start.tolist()))
    command = [sys.executable, "-m", "genoglot", "motifs", "scan", "genome.fa", "--bed", bed.name]
    begin = time.perf_counter()
    process = subprocess.Popen(
        [*command, *options],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT, "GENOGLOT_CACHE": str(folder / "cache")},
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} failed")
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


def stream(sizes: list[int]) -> list[tuple[Any, ...]]:
    from genoglot.sequence.motifs import jaspar

    few = [part for motif in jaspar()[::58] for part in ("--name", motif.id)]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        letters = np.frombuffer(b"ACGT", np.uint8)
        codes = np.random.default_rng(1).integers(0, 4, GENOME, np.uint8)
        (folder / "genome.fa").write_bytes(b">chr1\n" + letters[codes].tobytes() + b"\n")
        measure_stream(folder, 10, "-o", "warm.bed")  # the genome is packed
        for n in sizes:
            motifs = few if n >= 1_000_000 else []
            n_motifs = len(few) // 2 if motifs else 579
            for what, output in (("hits", "-o"), ("scores", "--scores")):
                out = "out.bed.gz" if output == "-o" else "out.parquet"
                seconds, memory = measure_stream(folder, n, output, out, *motifs)
                rows.append((n, n_motifs, what, seconds, memory))
                size = (folder / out).stat().st_size / 1e6
                print(
                    f"{n:>9,} regions x {n_motifs} motifs, {what:6} {seconds:7.1f} s, "
                    f"peak {memory:6.0f} MB, file {size:7.1f} MB",
                    flush=True,
                )
    return rows


def compare(n: int, n_runs: int) -> dict[str, dict[str, list[float]]]:
    """Print and return the figures of all sides."""
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    load = os.getloadavg()[0]
    for _ in range(n_runs):
        for side in SIDES:
            runs[side].append(measure(side, n))
    ours, moods, memelite = (runs[side][0] for side in SIDES)
    np.testing.assert_allclose(ours["best"], moods["best"], atol=1e-3)
    assert ours["hits"] == moods["hits"], (ours["hits"], moods["hits"])
    figures = {}
    for side, done in runs.items():
        measured = [run["figures"] for run in done]
        figures[side] = {
            key: np.median([one[key] for one in measured], axis=0).tolist() for key in measured[0]
        }
    print(f"{n:,} x {LENGTH} bp x 579 motifs, both strands, {THREADS} threads; load {load:.1f}")
    print(f"{'':34}  seconds    ratio  seconds of all cores    ratio  minutes per million")
    for key in dict.fromkeys(key for side in figures.values() for key in side):
        for side in SIDES:
            if key in figures[side]:
                wall, cpu = figures[side][key]
                ratios = np.array([wall, cpu]) / figures["genoglot"][key]
                million = "" if "set-up" in key else f"{wall * 1e6 / n / 60:20.1f}"
                print(
                    f"{key:24}{side:10}{wall:9.2f}{ratios[0]:9.2f}{cpu:22.2f}{ratios[1]:9.2f}"
                    f"{million}"
                )
    print("hits:", ours["hits"], moods["hits"], memelite["hits"])
    print("peak of the process, MB:", *(f"{runs[s][0]['peak']:.0f}" for s in SIDES))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3, help="processes per side; 0: none")
    parser.add_argument("--stream", type=int, nargs="*", default=[10_000, 30_000])
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    n = options.sequences
    if options.side:
        found = globals()[f"run_{options.side}"](n)
        print(json.dumps(found, default=np.ndarray.tolist))
        return
    figures = compare(n, options.runs) if options.runs else {}
    rows = stream(options.stream)
    if options.json:
        options.json.write_text(json.dumps({"figures": figures, "stream": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
