"""Speed of dinucleotide-preserving shuffles beside tangermeme (1.6.0 measured), on the same DNA.

    python benchmarks/shuffle.py [--sequences 100000] [--length 101]

Both sides shuffle all sequences once, in turn, in one process with one thread; figures are medians
of five. tangermeme reads and writes one-hot arrays, which are made before the clock starts. Then
three short sequences are shuffled 10,000 times each, and the different results counted.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import torch
from tangermeme.ersatz import dinucleotide_shuffle as peer

from genoglot.sequence import to_codes, to_text
from genoglot.sequence.shuffle import dinucleotide_shuffle

SHORT = ("ACGATCGAA", "ACAGATACA", "TGGATTTGT")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--length", type=int, default=101)
    options = parser.parse_args()
    torch.set_num_threads(1)
    shape = (options.sequences, options.length)
    codes = np.random.default_rng(0).integers(0, 4, shape, np.uint8)
    encoded = one_hot(codes)
    peer(encoded[:2], n=1, random_state=0)  # compiled before the clock starts
    ours, theirs = [], []
    for seed in range(5):
        seconds, shuffled = timed(lambda seed=seed: dinucleotide_shuffle(codes, seed=seed))
        ours.append(seconds)
        seconds, found = timed(lambda seed=seed: peer(encoded, n=1, random_state=seed))
        theirs.append(seconds)
        assert (pairs(shuffled) == pairs(codes)).all()
        assert (pairs(letters(found[:, 0])) == pairs(codes)).all()
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    print(f"{shape[0]:,} sequences of {shape[1]} bp, seconds")
    print(f"genoglot   {statistics.median(ours):.2f}")
    print(f"tangermeme {statistics.median(theirs):.2f}")
    print(f"tangermeme / genoglot {ratio:.1f}")
    for text in SHORT:
        counted = count_results(text)
        print(f"{text}: {possible(text)} possible; genoglot {counted[0]}, tangermeme {counted[1]}")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    found = work()
    return time.perf_counter() - begin, found


def one_hot(codes: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.eye(4, dtype=np.int8)[codes].transpose(0, 2, 1).copy())


def letters(encoded: torch.Tensor) -> np.ndarray:
    return encoded.numpy().argmax(axis=1).astype(np.uint8)


def pairs(codes: np.ndarray) -> np.ndarray:
    """Number of each dinucleotide of each sequence, (n, 16)."""
    numbers = (
        codes[:, :-1].astype(np.int64) * 4 + codes[:, 1:] + 16 * np.arange(len(codes))[:, None]
    )
    return np.bincount(numbers.ravel(), minlength=16 * len(codes)).reshape(-1, 16)


def possible(text: str) -> int:
    """Number of sequences with the dinucleotides of one, and its ends."""
    inner = {text[0] + "".join(order) + text[-1] for order in permutations(text[1:-1])}
    return sum(sorted(pairwise(order)) == sorted(pairwise(text)) for order in inner)


def count_results(text: str, draws: int = 10_000) -> tuple[int, int]:
    """Number of different shuffles of one sequence, of both sides."""
    codes = np.repeat(to_codes(text)[None], draws, axis=0)
    found = letters(peer(one_hot(codes[:1]), n=draws, random_state=0)[0])
    both = (dinucleotide_shuffle(codes), found)
    return tuple(len(set(map(to_text, side))) for side in both)


if __name__ == "__main__":
    main()
