"""A library of region sets: rate of adding, time of a search, recall@10 against exact.

    python benchmarks/library.py [--sets 100000] [--universe 100000] [--store http://host:port]

The sets are drawn from 40 factors in 50 cell types over one universe: a region is in a set where
the factor and the cell type have it, the more likely the better the experiment. Queries are sets
that are not in the library. Descriptions repeat, as replicates' do, so that adding is timed with
MiniLM's embeddings of 2,000 distinct texts made before; `text` queries are new texts and include
MiniLM. Recall is the share of the first ten whose Jaccard index is that of the exact first ten.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from genoglot.library import Library
from genoglot.regions import Regions, Universe, jaccard_index
from genoglot.text import MiniLM

FACTORS, CELLS = 40, 50
QUERIES = 50
TIMES = 200  # searches timed of each kind


class World:
    """Sets whose truth is a factor and a cell type."""

    def __init__(self, universe: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.size = universe
        share = 0.05 ** rng.random(FACTORS)  # of the universe: 5 % to all
        self.factors = [np.flatnonzero(rng.random(universe) < 0.5 * s) for s in share]
        self.cells = [rng.random(universe) < 0.15 for _ in range(CELLS)]

    def draw(self, n: int, seed: int) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(seed)
        for i in range(n):
            factor, cell = self.factors[i % FACTORS], self.cells[i // FACTORS % CELLS]
            bound = factor[cell[factor]]
            kept = bound[rng.random(len(bound)) < rng.uniform(0.3, 0.95)]
            noise = rng.integers(0, self.size, rng.integers(1, 1 + len(bound) // 4 + 5))
            yield np.union1d(kept, noise).astype(np.int32)

    def describe(self, n: int) -> pl.DataFrame:
        factor = [f"TF{i % FACTORS}" for i in range(n)]
        cell = [f"cell type {i // FACTORS % CELLS}" for i in range(n)]
        text = [f"{f} ChIP-seq in human {c}" for f, c in zip(factor, cell, strict=True)]
        ids = [f"SET{i:07}" for i in range(n)]
        return pl.DataFrame({"id": ids, "description": text, "target": factor, "biosample": cell})


def exact(sets: list[np.ndarray], queries: list[np.ndarray], size: int) -> np.ndarray:
    """Every Jaccard index, (queries, sets)."""
    lengths = np.array([len(s) for s in sets])
    flat, starts = np.concatenate(sets), np.concatenate([[0], np.cumsum(lengths)[:-1]])
    rows = []
    for query in queries:
        mask = np.zeros(size, np.int64)
        mask[query] = 1
        shared = np.add.reduceat(mask[flat], starts)
        rows.append(jaccard_index(shared, lengths, len(query)))
    return np.array(rows)


def timed(search: Callable[[int], object]) -> tuple[float, float]:
    """Median and 99th percentile, in ms."""
    for i in range(3):
        search(i)
    times = []
    for i in range(TIMES):
        start = time.perf_counter()
        search(i)
        times.append(1000 * (time.perf_counter() - start))
    p50, p99 = np.percentile(times, [50, 99])
    return float(p50), float(p99)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=100_000)
    parser.add_argument("--universe", type=int, default=100_000)
    parser.add_argument("--store", help="a server, rather than a folder")
    parser.add_argument("--json")
    options = parser.parse_args()
    n, world = options.sets, World(options.universe)
    start = np.arange(world.size) * 1000
    universe = Universe(Regions(["chr1"] * world.size, start, start + 300))
    about, sets = world.describe(n), list(world.draw(n, seed=1))
    queries = list(world.draw(QUERIES * 37, seed=2))[::37]  # of many factors and cell types
    regions = [universe.decode(query) for query in queries]
    figures: dict[str, float] = {"sets": n, "regions per set": float(np.mean([*map(len, sets)]))}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GENOGLOT_CACHE"] = str(Path(folder) / "cache")
        encoder = MiniLM()
        encoder.encode(about["description"].unique().to_list())
        place = "benchmark" if options.store else str(Path(folder) / "library")
        library = Library.create(place, universe, store=options.store, encoder=encoder)
        begin = time.perf_counter()
        library.add(about, sets)
        figures["added per s"] = n / (time.perf_counter() - begin)
        files = Path(folder, "library").rglob("*")
        figures["MB on disk"] = sum(f.stat().st_size for f in files if f.is_file()) / 2**20
        begin = time.perf_counter()
        library = Library.open(place, store=options.store, encoder=MiniLM(cache=False))
        figures["open ms"] = 1000 * (time.perf_counter() - begin)
        truth = exact(sets, queries, world.size)
        index = {name: i for i, name in enumerate(about["id"])}
        recall = []
        for row, query in zip(truth, queries, strict=True):
            tenth = np.sort(row)[-10]
            hits = library.search(regions=query)
            recall.append(np.mean([row[index[hit.id]] >= tenth for hit in hits]))
        figures["recall@10"] = float(np.mean(recall))

        def text(i: int) -> str:
            return f"binding of TF{i % FACTORS} in cells of type {i % CELLS}, sample {i}"

        ways: dict[str, Callable[[int], object]] = {
            "keywords": lambda i: library.search(keywords=f"TF{i % FACTORS} type {i % CELLS}"),
            "text": lambda i: library.search(text(i)),
            "bed": lambda i: library.search(regions=regions[i % QUERIES]),
            "text + bed": lambda i: library.search(text(i), regions[i % QUERIES]),
        }
        for name, way in ways.items():
            figures[f"{name} p50 ms"], figures[f"{name} p99 ms"] = timed(way)
    figures["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, value in figures.items():
        shown = f"{value:,.3f}" if value < 10 else f"{value:,.0f}"
        print(f"{name:18}{shown:>12}")
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
