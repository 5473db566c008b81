"""Speed of GeneBERT's data set: building it, and reading batches of samples at random.

    OMP_NUM_THREADS=1 python benchmarks/genebert_data.py [--regions 20000] [--json figures.json]

A data set is built of random DNA with the 579 motifs of JASPAR 2018 and 17 cell types, each with
half of the regions. Then batches of 64 samples of 10 regions are read at random, with one
thread: the ids, the DNA (500 bp), the standardized motif scores, and other segments. Beside it, the
same reads from arrays that are wholly in memory, which is as fast as numpy can be. The results are
compared before any figure is printed. Figures are medians of five rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from genoglot.atlas.accessibility import Accessibility
from genoglot.models.dna.genebert_data import GeneBertData
from genoglot.regions import Regions
from genoglot.sequence import Genome
from genoglot.sequence.motifs import jaspar

CHROMOSOMES, CELL_TYPES = 10, 17
BATCH, N_REGIONS, WIDTH, SPACING = 64, 10, 500, 600
ROUNDS, BATCHES = 5, 40


def make_source(folder: Path, n: int) -> tuple[Accessibility, Genome]:
    """Random DNA, and regions of 500 bp, one every 600 bp."""
    rng = np.random.default_rng(0)
    per_chrom = n // CHROMOSOMES
    with (folder / "genome.fa").open("wb") as file:
        for i in range(CHROMOSOMES):
            letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, per_chrom * SPACING)]
            file.write(b">chr%d\n" % i + letters.tobytes() + b"\n")
    start = np.tile(np.arange(per_chrom) * SPACING, CHROMOSOMES)
    chrom = np.repeat([f"chr{i}" for i in range(CHROMOSOMES)], per_chrom)
    opened = csr_array(rng.random((CELL_TYPES, len(start))) < 0.5)
    names = [f"type {i}" for i in range(CELL_TYPES)]
    regions = Regions(chrom, start, start + WIDTH)
    return Accessibility(regions, names, opened, "random"), Genome.open(folder / "genome.fa")


def rate(read: Callable[[np.ndarray], Any], rows: list[np.ndarray]) -> float:
    """Samples per second."""
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for batch in rows:
            read(batch)
        times.append(time.perf_counter() - begin)
    return len(rows) * BATCH / statistics.median(times)


def measure(n: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        source, genome = make_source(Path(name), n)
        begin = time.perf_counter()
        data = GeneBertData.build(Path(name) / "data", source, genome, jaspar(), width=WIDTH)
        built = data.n_regions / (time.perf_counter() - begin)
        begin = time.perf_counter()
        data = GeneBertData.open(Path(name) / "data")
        opened = time.perf_counter() - begin
        samples = data.samples("train", n_regions=N_REGIONS)
        rng = np.random.default_rng(1)
        rows = [rng.integers(0, len(samples), BATCH) for _ in range(BATCHES)]
        every = np.arange(data.n_regions)
        codes, scores = data.codes(every), data.motif_scores(every)

        def read(batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            ids = samples.region_ids(batch)
            samples.other_segment(batch, rng.random(BATCH))
            return data.codes(ids), data.motif_scores(ids)

        def read_in_memory(batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            ids = samples.region_ids(batch)
            return codes[ids], scores[ids]

        for mine, known in zip(read(rows[0]), read_in_memory(rows[0]), strict=True):
            assert np.array_equal(mine, known)
        return {
            "build, regions per s": built,
            "open, s": opened,
            "samples of the training subset": float(len(samples)),
            "samples per s": rate(read, rows),
            "samples per s, in memory": rate(read_in_memory, rows),
            "batches of 64 per s": rate(read, rows) / BATCH,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--regions", type=int, default=20_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = measure(options.regions)
    for name, value in figures.items():
        print(f"{name:32} {value:14,.4g}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
