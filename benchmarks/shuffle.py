"""Speed of dinucleotide-preserving shuffles beside tangermeme (1.6.0 measured), on the same DNA.

    python benchmarks/shuffle.py [--sequences 100000] [--length 101]

Both sides shuffle all sequences once, in turn, in one process with one thread; figures are medians
of five. tangermeme reads and writes one-hot arrays, which are made before the clock starts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tangermeme.ersatz import dinucleotide_shuffle as peer

from genoglot.sequence.shuffle import dinucleotide_shuffle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--length", type=int, default=101)
    options = parser.parse_args()
    torch.set_num_threads(1)
    shape = (options.sequences, options.length)
    codes = np.random.default_rng(0).integers(0, 4, shape, np.uint8)
    one_hot = torch.from_numpy(np.eye(4, dtype=np.int8)[codes].transpose(0, 2, 1).copy())
    peer(one_hot[:2], n=1, random_state=0)  # compiled before the clock starts
    ours, theirs = [], []
    for seed in range(5):
        seconds, shuffled = timed(lambda seed=seed: dinucleotide_shuffle(codes, seed=seed))
        ours.append(seconds)
        seconds, found = timed(lambda seed=seed: peer(one_hot, n=1, random_state=seed))
        theirs.append(seconds)
        other = found[:, 0].numpy().argmax(axis=1).astype(np.uint8)
        assert (pairs(shuffled) == pairs(codes)).all() and (pairs(other) == pairs(codes)).all()
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    print(f"{shape[0]:,} sequences of {shape[1]} bp, seconds")
    print(f"genoglot   {statistics.median(ours):.2f}")
    print(f"tangermeme {statistics.median(theirs):.2f}")
    print(f"tangermeme / genoglot {ratio:.1f}")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    found = work()
    return time.perf_counter() - begin, found


def pairs(codes: np.ndarray) -> np.ndarray:
    """Number of each dinucleotide of each sequence, (n, 16)."""
    numbers = (
        codes[:, :-1].astype(np.int64) * 4 + codes[:, 1:] + 16 * np.arange(len(codes))[:, None]
    )
    return np.bincount(numbers.ravel(), minlength=16 * len(codes)).reshape(-1, 16)


if __name__ == "__main__":
    main()
