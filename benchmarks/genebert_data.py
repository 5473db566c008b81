"""GeneBERT's data set: time and memory of building it, and of reading samples beside training.

    OMP_NUM_THREADS=1 python benchmarks/genebert_data.py [--regions 20000] [--json figures.json]

A data set is built of random DNA with the 579 motifs of JASPAR 2018 and 17 cell types, each with
half of the regions. Then, with one thread, batches of 64 samples of 10 regions are read at random:
as arrays (ids, DNA of 500 bp, standardized motif scores), and as the batches that the model trains
on (k-mers, masked; other segments; motif scores). Beside it, training steps of the preset `small`
on such batches, without reading them. Figures are medians of five rounds, which take turns.

With `--regions 1000029`, the number of Mo et al. 2021, this takes some minutes more. With
`--folder`, what was built is in that folder, and a run that was stopped is continued by the next.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_array

from genoglot.atlas.accessibility import Accessibility
from genoglot.models.dna.genebert import GeneBert
from genoglot.models.dna.genebert_data import GeneBertData
from genoglot.models.dna.masking import Masker
from genoglot.regions import Regions
from genoglot.sequence import Genome
from genoglot.sequence.motifs import jaspar
from genoglot.training.examples import Batch, Draw
from genoglot.training.schedule import Schedule

CHROMOSOMES, CELL_TYPES = 25, 17
N_REGIONS, WIDTH, SPACING = 10, 500, 100
PUBLISHED = 1_000_029, 579  # regions and motifs of Mo et al. 2021
ROUNDS, BATCHES = 5, 4


def make_source(folder: Path, n: int) -> tuple[Accessibility, Genome]:
    """Random DNA, and overlapping regions of 500 bp, one every 100 bp."""
    rng = np.random.default_rng(0)
    per_chrom = -(-n // CHROMOSOMES)
    with (folder / "genome.fa").open("wb") as file:
        for i in range(CHROMOSOMES):
            codes = rng.integers(0, 4, per_chrom * SPACING + WIDTH, np.uint8)
            letters = np.frombuffer(b"ACGT", np.uint8)[codes]
            file.write(b">chr%d\n" % i + letters.tobytes() + b"\n")
    start = np.tile(np.arange(per_chrom) * SPACING, CHROMOSOMES)[:n]
    chrom = np.repeat([f"chr{i}" for i in range(CHROMOSOMES)], per_chrom)[:n]
    rows = [np.flatnonzero(rng.random(n) < 0.5) for _ in range(CELL_TYPES)]
    offsets, columns = np.cumsum([0, *map(len, rows)]), np.concatenate(rows)
    opened = csr_array((np.ones(len(columns), bool), columns, offsets), (CELL_TYPES, n))
    names = [f"type {i}" for i in range(CELL_TYPES)]
    regions = Regions(chrom, start, start + WIDTH)
    return Accessibility(regions, names, opened, "random"), Genome.open(folder / "genome.fa")


def memory(field: str) -> float:
    """GiB of this process: RssAnon, without files that are mapped, or RssFile."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(field)) / 2**20


def build(folder: Path, n: int) -> tuple[GeneBertData, dict[str, float]]:
    source, genome = make_source(folder, n)
    motifs = jaspar()
    before, begin = memory("RssAnon"), time.perf_counter()
    data = GeneBertData.build(folder / "data", source, genome, motifs, width=WIDTH)
    seconds = time.perf_counter() - begin
    return data, {
        "build, s (of a continued build: the rest)": seconds,
        "before the build, GiB": before,
        "peak of the build, with mapped files, GiB": resource.getrusage(
            resource.RUSAGE_SELF
        ).ru_maxrss
        / 2**20,
    }


class Sides:
    """What is measured: each method reads or trains on one batch."""

    def __init__(self, data: GeneBertData) -> None:
        self.data, self.samples = data, data.samples("train", n_regions=N_REGIONS)
        self.model = GeneBert.from_preset("small", data).train()
        s = self.model.settings
        self.size = s.batch_size
        self.masker = Masker(self.model.encoder.tokenizer, rate=s.mask_rate, span=s.span)
        self.batches = self.model.batches(data, self.samples)
        self.optimizer, _ = Schedule(1000, 1e-4, 1, "linear", 0.01).optimizer(self.model)
        self.rng = np.random.default_rng(1)
        self.ready = [self.batch() for _ in range(BATCHES)]

    def arrays(self) -> None:
        ids = self.samples.region_ids(self.rng.integers(0, len(self.samples), self.size))
        self.data.codes(ids)
        self.data.motif_scores(ids)

    def batch(self) -> Batch:
        draw = Draw(self.rng.integers(0, len(self.samples), self.size), 0, 0)
        return self.batches.draw(draw, self.masker, segments=True, matrix=True)

    def step(self) -> None:
        batch = self.ready.pop(0)
        self.ready.append(batch)
        self.optimizer.zero_grad()
        total = sum(
            (loss.weight * loss.mean for loss in self.model(batch).values()), torch.zeros(())
        )
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()

    def rates(self) -> dict[str, float]:
        """Samples per second of each side."""
        calls: dict[str, tuple[Callable[[], object], int]] = {
            "arrays": (self.arrays, 10 * BATCHES),
            "batches": (self.batch, BATCHES),
            "training": (self.step, BATCHES),
        }
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(ROUNDS):
            for name, (call, n) in calls.items():
                begin = time.perf_counter()
                for _ in range(n):
                    call()
                times[name].append((time.perf_counter() - begin) / n)
        return {name: self.size / statistics.median(found) for name, found in times.items()}


def measure(folder: Path, n: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    if (folder / "data").exists():
        data = GeneBertData.open(folder / "data")
    else:
        data, figures = build(folder, n)
    before, begin = memory("RssAnon"), time.perf_counter()
    data = GeneBertData.open(folder / "data")
    figures |= {
        "regions": data.n_regions,
        "open, s": time.perf_counter() - begin,
        "memory of the open data set, GiB": memory("RssAnon") - before,
        "motif scores on disk, GB": (folder / "data/motif_scores.npy").stat().st_size / 1e9,
        "the same of 1,000,029 x 579, GB": 2 * PUBLISHED[0] * PUBLISHED[1] / 1e9,
        "data set on disk, GB": data.info()["bytes"] / 1e9,
    }
    sides = Sides(data)
    before = memory("RssAnon")
    for _ in range(100):
        sides.arrays()
    figures["growth by reading 6,400 samples, GiB"] = memory("RssAnon") - before
    rates = sides.rates()
    return {
        **figures,
        "samples of the training subset": len(sides.samples),
        **{f"{name}, samples per s": rate for name, rate in rates.items()},
        "training step of 64 samples, s": sides.size / rates["training"],
        "batches beside training, ratio": rates["batches"] / rates["training"],
        "memory of the process, GiB": memory("RssAnon"),
        "mapped files in memory, GiB": memory("RssFile"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--regions", type=int, default=20_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = measure(folder, options.regions)
    for name, value in figures.items():
        print(f"{name:44} {value:14,.4g}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
