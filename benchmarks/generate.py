"""Text to BED at the full universe: time of a warm model, and memory of training one.

    python benchmarks/generate.py [--regions 1063878] [--sets 200] [--json figures.json]

A synthetic atlas of the full universe (200 sets of about 15,000 regions, with descriptions) is
made; each model is trained for a few steps in a process of its own, whose peak memory is read;
then it answers texts that it has not seen (so that no embedding is cached), N = 1,000.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

CELLS = ("liver", "kidney", "B cell", "brain cortex", "lung", "heart", "K562", "HepG2", "skin")
FACTORS = ("CTCF", "GATA1", "SPI1", "REST", "MYC", "JUND", "YY1", "MAX", "EP300", "CEBPB")
KINDS = {
    "popularity": {},
    "ridge": {},
    "text2bed": {"epochs": 1, "min_steps": 20},
    "direct": {"epochs": 1, "min_steps": 20},
    "text2bed-published": {"epochs": 1, "region_epochs": 1},
    "direct-published": {"epochs": 1},
    "diffusion": {"epochs": 1, "min_steps": 20},
    "seq2regions": {"epochs": 1, "min_steps": 20},
    "diffusion-published": {"epochs": 1},
    "seq2regions-published": {"epochs": 1},
}
FEW_SETS = {"diffusion-published": 16}  # two steps: they take long, and memory is that of one
ENOUGH_S = 60.0  # of answering, and at least three texts


def make_atlas(folder: Path, regions: int, sets: int) -> Path:
    from genoglot.atlas import Atlas
    from genoglot.regions import Regions, Universe

    rng = np.random.default_rng(0)
    chrom = np.sort(rng.integers(0, 24, regions)).astype(np.int32)
    start = np.arange(regions) * 700
    names = [f"chr{i + 1}" for i in range(24)]
    universe = Universe(Regions.from_codes(names, chrom, start, start + 300), genome="synthetic")
    weight = rng.pareto(1.0, regions) + 0.05
    rows, tokens = [], []
    for i in range(sets):
        cell, factor = CELLS[i % len(CELLS)], FACTORS[i // len(CELLS) % len(FACTORS)]
        present = rng.random(regions) < np.minimum(0.9, weight * 15_000 / weight.sum())
        tokens.append(np.flatnonzero(present).astype(np.int32))
        text = f"{factor} ChIP-seq in human {cell}, donor {i}"
        rows.append({"id": str(i), "file": f"{i}.bed", "description": text, "assay": "TF ChIP-seq",
                     "target": factor, "biosample": cell, "group": str(i),
                     "n_regions": len(tokens[-1])})  # fmt: skip
    return Atlas.from_sets(folder / "atlas", universe, pl.DataFrame(rows), tokens).path


def measure(kind: str, atlas_path: Path, n: int) -> dict[str, Any]:
    from genoglot.atlas import Atlas
    from genoglot.models import create

    atlas = Atlas.open(atlas_path)
    start = time.perf_counter()
    rows = range(FEW_SETS.get(kind, len(atlas)))
    model = create(kind, **KINDS[kind]).fit(atlas, rows)
    figures: dict[str, Any] = {"fit_s": time.perf_counter() - start}
    figures["fit_peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    texts = [f"{f} binding in human {c} tissue" for c in CELLS for f in FACTORS[:3]]
    model.generate(texts[0], n).to_bed(os.devnull)
    times = []
    for text in texts[1:]:
        if len(times) >= 3 and sum(times) > ENOUGH_S:
            break
        start = time.perf_counter()
        model.generate(text, n).to_bed(os.devnull)
        times.append(time.perf_counter() - start)
    figures["generate_ms"] = 1000 * statistics.median(times)
    figures["generate_p90_ms"] = 1000 * float(np.quantile(times, 0.9))
    if kind == "direct":
        ids = [set(model.top(text, n)[0].tolist()) for text in texts[:5]]
        full = [
            set(np.argsort(-model.score([t])[0], kind="stable")[:n].tolist()) for t in texts[:5]
        ]
        figures["shortlist_recall"] = statistics.mean(
            len(a & b) / n for a, b in zip(ids, full, strict=True)
        )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--regions", type=int, default=1_063_878)
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--json")
    parser.add_argument("--kind", help=argparse.SUPPRESS)
    parser.add_argument("--atlas", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        print(json.dumps(measure(options.kind, options.atlas, options.n)))
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GENOGLOT_CACHE"] = str(Path(folder) / "cache")
        atlas = make_atlas(Path(folder), options.regions, options.sets)
        print(f"{options.regions:,} regions, {options.sets} sets, N = {options.n:,}")
        print(f"{'':16}{'fit':>9}{'peak memory':>14}{'text to BED':>14}{'p90':>10}")
        for kind in KINDS:
            command = [sys.executable, __file__, "--kind", kind, "--atlas", str(atlas),
                       "-n", str(options.n)]  # fmt: skip
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            f = results[kind] = json.loads(done.stdout.splitlines()[-1])
            recall = f["shortlist_recall"] if kind == "direct" else 1.0
            print(f"{kind:16}{f['fit_s']:>7.1f} s{f['fit_peak_mb']:>11.0f} MB"
                  f"{f['generate_ms']:>11.1f} ms{f['generate_p90_ms']:>7.1f} ms"
                  + (f"   recall of the shortlist {recall:.4f}" if kind == "direct" else ""),
                  flush=True)  # fmt: skip
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
