"""Speed and memory of one-hot arrays, k-mers and random windows, beside peers, on the same DNA.

    python benchmarks/sequence.py [--json figures.json]

Each side runs in processes of its own, with one thread, taking turns; figures are medians. The
results are compared before any figure is printed. Peers: tangermeme (1.6.0 measured), pyfaidx
(0.9.2.2), pysam (0.24.1), the library tokenizers, and DNABERT's own way of making tokens: a list
of k-mers, joined, split and looked up in a dictionary. One that is not installed is left out.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

CHROMOSOME = 100_000_000  # bp
WINDOWS, WIDTH = 20_000, 1_000
SEQUENCES, LENGTH, K = 4_096, 510, 6
BATCH = 256
SIDES = {  # the modules that each needs
    "tangermeme": ["tangermeme"],
    "pyfaidx": ["pyfaidx"],
    "pysam": ["pysam"],
    "dnabert": [],
    "bpe": ["tokenizers"],
    "genoglot": [],
}
ONE_THREAD = {
    **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")},
    "POLARS_MAX_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def make_files(folder: Path, seed: int = 0) -> None:
    """A random chromosome with a run of N in lines of 60, windows of it, and short sequences."""
    rng = np.random.default_rng(seed)
    letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, CHROMOSOME, np.uint8)]
    letters[CHROMOSOME // 2 :][: CHROMOSOME // 100] = ord("N")
    with (folder / "genome.fa").open("wb") as file:
        file.write(b">chr1\n")
        for at in range(0, CHROMOSOME, 6_000_000):
            part = letters[at : at + 6_000_000]
            lines = np.full((-(-len(part) // 60), 61), ord("\n"), np.uint8)
            whole = len(part) // 60
            lines[:whole, :60] = part[: whole * 60].reshape(-1, 60)
            file.write(lines[:whole].tobytes())
            if len(part) % 60:
                file.write(part[whole * 60 :].tobytes() + b"\n")
    np.save(folder / "starts.npy", rng.integers(0, CHROMOSOME - WIDTH, WINDOWS))
    short = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, (SEQUENCES, LENGTH))]
    (folder / "sequences.txt").write_bytes(b"\n".join(row.tobytes() for row in short))


def memory(key: str) -> float:
    """MB of this process: VmRSS now, VmHWM at its peak."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{key}:")[1].split()[0]) / 1024


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """Median time of a call, of which the first, which may compile, is not counted."""
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - begin)
        del result
    return statistics.median(times[1:])


def digest(parts: Any) -> str:
    content = hashlib.sha256()
    for part in parts:
        content.update(part)
    return content.hexdigest()


def chromosome(folder: Path) -> str:
    return "".join((folder / "genome.fa").read_text().split("\n")[1:])


def batches(rows: Any) -> Iterator[Any]:
    for i in range(0, len(rows), BATCH):
        yield rows[i : i + BATCH]


def run_tangermeme(folder: Path) -> tuple[dict[str, float], dict[str, str]]:
    import torch
    from tangermeme.utils import one_hot_encode

    torch.set_num_threads(1)
    one_hot_encode("ACGT" * 1000)
    text = chromosome(folder)
    before = memory("VmRSS")
    figures = {"one-hot of letters, s": seconds(lambda: one_hot_encode(text), 5)}
    figures["one-hot of letters, peak MB"] = memory("VmHWM") - before
    return figures, {"one-hot": digest(np.ascontiguousarray(one_hot_encode(text).numpy()))}


def run_pyfaidx(folder: Path) -> tuple[dict[str, float], dict[str, str]]:
    from pyfaidx import Fasta

    fasta = Fasta(folder / "genome.fa", as_raw=True, sequence_always_upper=True)
    starts = np.load(folder / "starts.npy").tolist()
    rows = np.zeros((256, 4), np.int8)
    rows[list(b"ACGT")] = np.eye(4, dtype=np.int8)

    def one_hot() -> Any:
        return rows[np.frombuffer(fasta["chr1"][:].encode(), np.uint8)].T

    def fetch() -> list[str]:
        return [fasta["chr1"][start : start + WIDTH] for start in starts]

    figures = {"random windows per s": WINDOWS / seconds(fetch, 3)}
    before = memory("VmRSS")
    figures["one-hot of a FASTA file, s"] = seconds(one_hot, 1)
    figures["one-hot of a FASTA file, peak MB"] = memory("VmHWM") - before
    results = {"windows": digest(text.encode() for text in fetch())}
    return figures, results | {"one-hot": digest(np.ascontiguousarray(one_hot()))}


def run_pysam(folder: Path) -> tuple[dict[str, float], dict[str, str]]:
    import pysam

    fasta = pysam.FastaFile(str(folder / "genome.fa"))
    starts = np.load(folder / "starts.npy").tolist()

    def fetch() -> list[str]:
        return [fasta.fetch("chr1", start, start + WIDTH) for start in starts]

    figures = {"random windows per s": WINDOWS / seconds(fetch, 3)}
    return figures, {"windows": digest(text.encode() for text in fetch())}


def run_dnabert(folder: Path) -> tuple[dict[str, float], dict[str, str]]:
    texts = (folder / "sequences.txt").read_text().split("\n")
    kmers = map("".join, itertools.product("ATCG", repeat=K))
    vocabulary = {kmer: i for i, kmer in enumerate(kmers, 5)}

    def tokenize(text: str) -> list[int]:
        joined = " ".join([text[i : i + K] for i in range(len(text) + 1 - K)])
        return [vocabulary.get(kmer, 1) for kmer in joined.split()]

    def lean(text: str) -> list[int]:
        return [vocabulary.get(text[i : i + K], 1) for i in range(len(text) + 1 - K)]

    def run(call: Callable[[str], list[int]]) -> None:
        for part in batches(texts):
            [call(text) for text in part]

    n = SEQUENCES * (LENGTH - K + 1)
    figures = {
        "ns per k-mer": 1e9 / n * seconds(lambda: run(tokenize), 3),
        "ns per k-mer, no text between": 1e9 / n * seconds(lambda: run(lean), 3),
    }
    return figures, {"kmers": digest(np.array([tokenize(text) for text in texts]))}


def run_bpe(folder: Path) -> tuple[dict[str, float], dict[str, str]]:
    """Hugging Face's tokenizers, with 4,096 tokens, as many as DNABERT-2 has."""
    from tokenizers import Tokenizer, models, trainers

    texts = (folder / "sequences.txt").read_text().split("\n")
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    trainer = trainers.BpeTrainer(
        vocab_size=4096, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"],
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts[:1000], trainer)

    def tokenize() -> None:
        for part in batches(texts):
            [encoding.ids for encoding in tokenizer.encode_batch_fast(part)]

    return {"ns per base": 1e9 / (SEQUENCES * LENGTH) * seconds(tokenize, 3)}, {}


def run_genoglot(folder: Path) -> tuple[dict[str, float], dict[str, str]]:
    os.environ["GENOGLOT_CACHE"] = str(folder / f"cache{os.getpid()}")
    from genoglot.regions import Regions
    from genoglot.sequence import Genome, KmerTokenizer, one_hot, to_codes, to_text

    texts = (folder / "sequences.txt").read_text().split("\n")
    codes = to_codes("".join(texts)).reshape(SEQUENCES, LENGTH)
    tokenizer = KmerTokenizer(K, order="ATCG")
    n = SEQUENCES * (LENGTH - K + 1)

    def tokenize() -> None:
        for part in batches(texts):
            tokenizer(part, return_tensors="np")

    def from_codes() -> None:
        for part in batches(codes):
            tokenizer.from_codes(part)

    def one_by_one() -> None:
        for text in texts:
            tokenizer(text, return_tensors="np")

    figures = {
        "ns per k-mer": 1e9 / n * seconds(tokenize, 9),
        "ns per k-mer, of codes": 1e9 / n * seconds(from_codes, 9),
        "ns per k-mer, one sequence at a time": 1e9 / n * seconds(one_by_one, 5),
    }
    figures["ns per base"] = figures["ns per k-mer"] * (LENGTH - K + 1) / LENGTH
    ids = tokenizer(texts, return_tensors="np", add_special_tokens=False)["input_ids"]
    results = {"kmers": digest(ids)}

    for time_ in ("first", "second"):
        begin = time.perf_counter()
        genome = Genome.open(folder / "genome.fa")
        figures[f"opening a FASTA file for the {time_} time, s"] = time.perf_counter() - begin
    starts = np.load(folder / "starts.npy")
    regions = Regions(["chr1"] * WINDOWS, starts, starts + WIDTH)
    strand = {"strand": np.where(np.arange(WINDOWS) % 2, "+", "-").astype(object)}
    parts = [regions[i : i + BATCH] for i in range(0, WINDOWS, BATCH)]
    both = [part.with_columns(**{k: v[: len(part)] for k, v in strand.items()}) for part in parts]
    single = [regions[i : i + 1] for i in range(2000)]

    def fetch(sets: list[Regions]) -> None:
        for part in sets:
            genome.fetch(part)

    figures["random windows per s"] = WINDOWS / seconds(lambda: fetch(parts), 9)
    figures["random windows per s, both strands"] = WINDOWS / seconds(lambda: fetch(both), 9)
    figures["random windows per s, one at a time"] = 2000 / seconds(lambda: fetch(single), 9)

    def letters() -> None:
        for start in starts.tolist():
            genome.sequence("chr1", start, start + WIDTH)

    figures["random windows per s, letters, one at a time"] = WINDOWS / seconds(letters, 3)
    results["windows"] = digest(to_text(row).encode() for row in genome.fetch(regions))

    whole = Regions(["chr1"], [0], [CHROMOSOME])

    def from_genome() -> Any:
        return one_hot(genome.fetch(whole)[0], dtype=np.int8)

    before = memory("VmRSS")
    figures["one-hot of a FASTA file, s"] = seconds(from_genome, 5)
    figures["one-hot of a FASTA file, peak MB"] = memory("VmHWM") - before
    text = chromosome(folder)
    figures["one-hot of letters, s"] = seconds(lambda: one_hot(text, dtype=np.int8), 5)
    results["one-hot"] = digest(one_hot(text, dtype=np.int8))
    return figures, results


def letters_memory(folder: Path) -> float:
    """Peak of a one-hot array of letters, in a process that did nothing else."""
    from genoglot.sequence import one_hot

    one_hot("ACGT" * 1000, dtype=np.int8)
    text = chromosome(folder)
    before = memory("VmRSS")
    one_hot(text, dtype=np.int8)
    return memory("VmHWM") - before


def run_side(side: str, folder: Path) -> dict[str, Any]:
    if side == "memory":
        return {"figures": {"one-hot of letters, peak MB": letters_memory(folder)}, "results": {}}
    figures, results = globals()[f"run_{side}"](folder)
    return {"figures": figures, "results": results}


def measure(side: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD}
    )
    return dict(json.loads(done.stdout))


def compare(results: dict[str, dict[str, str]]) -> None:
    for side, digests in results.items():
        for name, value in digests.items():
            if results["genoglot"][name] != value:
                raise SystemExit(f"{name}: {side} and genoglot differ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--runs", type=int, default=3, help="processes per side")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(run_side(arguments.side, arguments.folder)))
        return
    sides = []
    for side, modules in SIDES.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        if missing:
            print(f"{side} is left out: install {', '.join(missing)}")
        else:
            sides.append(side)
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder)
        load = os.getloadavg()[0]
        for _ in range(arguments.runs):
            results = {}
            for side in sides:
                done = measure(side, folder)
                runs[side].append(done["figures"])
                results[side] = done["results"]
            compare(results)
            runs["genoglot"][-1].update(measure("memory", folder)["figures"])
    figures = {
        side: {key: statistics.median(run[key] for run in done) for key in done[0]}
        for side, done in runs.items()
    }
    print(f"medians of {arguments.runs} processes, one thread; load before {load:.1f}")
    for key in dict.fromkeys(key for side in figures.values() for key in side):
        ours = figures["genoglot"].get(key)
        for side in sides:
            if key not in figures[side]:
                continue
            value = figures[side][key]
            ratio = "" if not ours or side == "genoglot" else f"{value / ours:9.2f} x genoglot's"
            print(f"{key:46}{side:12}{value:16,.3f}{ratio}")
    print("results identical")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
