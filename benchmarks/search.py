"""Top-N over a million region vectors: exact beside HNSW (hnswlib, usearch).

    python benchmarks/search.py [--vectors 1063880] [--json figures.json]

Each way runs in a process of its own, on the same vectors and queries. The vectors are clustered,
as region vectors are: 2,000 centers with noise. Recall is against the exact answer. Needs
`pip install "genoglot[bench]"`; HNSW takes minutes to build.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

DIM = 100
QUERIES = 20
DEPTHS = (100, 1_000, 10_000)
WAYS = ("exact", "usearch M=16", "hnswlib M=16")


def make(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((2_000, DIM)).astype(np.float32)
    vectors = centers[rng.integers(len(centers), size=n)]
    vectors += 0.7 * rng.standard_normal(vectors.shape, dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = centers[:QUERIES] + 0.5 * rng.standard_normal((QUERIES, DIM)).astype(np.float32)
    return vectors, (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)


def rss() -> float:
    """Memory now held, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def measure(way: str, n: int) -> dict[str, Any]:
    from genoglot.models.text_to_regions.vector_index import ExactIndex, HnswIndex

    vectors, queries = make(n)
    exact = ExactIndex(vectors)
    truth = {k: [set(exact.top(q, k)[0].tolist()) for q in queries] for k in DEPTHS}
    before, start = rss(), time.perf_counter()
    if way == "exact":
        top = exact.top
    elif way.startswith("usearch"):
        top = HnswIndex(vectors, links=int(way.split("=")[1]), threads=2).top
    else:
        import hnswlib

        graph = hnswlib.Index(space="ip", dim=DIM)
        graph.init_index(n, M=int(way.split("=")[1]), ef_construction=100, random_seed=0)
        graph.add_items(vectors, num_threads=2)

        def top(query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            graph.set_ef(max(2 * k, 200))
            ids, distances = graph.knn_query(query, k=k, num_threads=1)
            return ids[0], distances[0]

    figures: dict[str, Any] = {"build_s": time.perf_counter() - start, "build_mb": rss() - before}
    for k in DEPTHS:
        top(queries[0], k)
        times, recalls = [], []
        for query, right in zip(queries, truth[k], strict=True):
            start = time.perf_counter()
            ids = top(query, k)[0]
            times.append(time.perf_counter() - start)
            recalls.append(len(right & {int(i) for i in ids}) / k)
        figures[f"ms@{k}"] = 1000 * statistics.median(times)
        figures[f"recall@{k}"] = statistics.mean(recalls)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=1_063_880)
    parser.add_argument("--json")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.vectors)))
        return
    results = {}
    print(f"{options.vectors:,} vectors of {DIM}, {QUERIES} queries, median")
    print(
        f"{'':14}{'build':>9}{'memory':>10}"
        + "".join(f"{f'N={k:,}':>12}{'recall':>8}" for k in DEPTHS)
    )
    for way in WAYS:
        command = [sys.executable, __file__, "--way", way, "--vectors", str(options.vectors)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        f = results[way] = json.loads(output)
        cells = "".join(f"{f[f'ms@{k}']:>9.1f} ms{f[f'recall@{k}']:>8.3f}" for k in DEPTHS)
        print(f"{way:14}{f['build_s']:>7.1f} s{f['build_mb']:>7.0f} MB{cells}", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
