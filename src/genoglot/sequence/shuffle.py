"""Shuffles of sequences that keep every dinucleotide, drawn uniformly among all such sequences.

Method: Altschul and Erickson 1985, Mol. Biol. Evol. 2:526. The dinucleotides of a sequence are the
edges of a graph of letters, and a shuffle is another Euler path from its first to its last letter:
draw the edge by which each letter but the last one is left for the last time, so that these edges
form a tree, and shuffle the other edges of each letter. They draw edges until they form a tree; a
letter that is nearly always followed by itself or by the same letter needs many draws. Here one of
the at most 16 trees is drawn by its number of edges, which has the same distribution and takes the
same time for all sequences.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoglot.sequence.alphabet import Codes, N

_BLOCK = 1 << 20  # bases at a time, so that the intermediate arrays fit into the cache
_END = np.uint64((1 << 61) - 4)  # sorts behind the other edges of a letter


def dinucleotide_shuffle(codes: Codes, *, seed: int = 0) -> Codes:
    """Shuffle sequences so that each keeps its number of every dinucleotide.

    Every sequence with these numbers, and the same first and last base, is equally likely (also
    the original one). N, such as padding, stays where it is: each run of bases between two N is
    shuffled by itself.

    Source: Altschul and Erickson 1985.

    Parameters
    ----------
    codes
        A C G T N = 0 1 2 3 4, uint8 (n, length).
    seed
        Random seed.

    Returns
    -------
    Codes
        uint8 (n, length), a new array.

    Examples
    --------
    >>> from genoglot.sequence import to_codes, to_text
    >>> codes = to_codes("ACGTACCATTGCNNNACATG")[None]
    >>> to_text(dinucleotide_shuffle(codes, seed=3)[0])
    'ATTGTACCGCACNNNACATG'
    """
    rng = np.random.default_rng(seed)
    out = np.array(codes, np.uint8)
    step = max(_BLOCK // max(out.shape[1], 1), 1)
    for i in range(0, len(out), step):
        block = out[i : i + step]
        if not (block == N).any():
            block[:] = _shuffle(block, np.full(len(block), block.shape[1]), rng)
            continue
        row, first, length = _runs(block)
        first += row * block.shape[1]
        begin = 0
        # Some runs at a time, as they are padded to the longest. A block with few N is one part.
        while begin < len(row):
            some = slice(begin, begin + max(2 * _BLOCK // int(length[begin]), 1))
            _shuffle_runs(block, first[some], length[some], rng)
            begin = some.stop
    return out


def _shuffle_runs(
    codes: Codes, first: NDArray[np.int64], length: NDArray[np.int64], rng: np.random.Generator
) -> None:
    """Shuffle runs of bases, the longest first, in place: they begin at flat positions `first`."""
    offset = np.arange(length[0])
    inside = offset < length[:, None]
    at = (first[:, None] + offset)[inside]
    runs = np.zeros(inside.shape, np.uint8)
    runs[inside] = codes.ravel()[at]
    np.put(codes, at, _shuffle(runs, length, rng)[inside])


def _runs(codes: Codes) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Find the runs of bases without N, the longest first: row, start and length of each."""
    known = np.zeros((len(codes), codes.shape[1] + 2), np.int8)
    known[:, 1:-1] = codes != N
    change = np.diff(known, axis=1)
    row, start = np.nonzero(change == 1)
    length = np.nonzero(change == -1)[1] - start
    order = np.argsort(-length, kind="stable")
    return row[order], start[order], length[order]


def _shuffle(runs: Codes, lengths: NDArray[np.int64], rng: np.random.Generator) -> Codes:
    """Shuffle runs of bases 0 to 3, (n, longest), of descending lengths; what follows is free."""
    n, longest = runs.shape
    if longest < 4:  # there is no other Euler path
        return runs
    source, target = runs[:, :-1], runs[:, 1:]
    edge = source * np.uint8(4) + target
    edge[np.arange(longest - 1) >= lengths[:, None] - 1] = 16  # behind the end of the run
    number = np.arange(n)
    counts = np.bincount((edge + 17 * number[:, None]).ravel(), minlength=17 * n)
    counts = counts.reshape(n, 17)[:, :16].reshape(n, 4, 4)
    parents = _draw_trees(counts, runs[number, lengths - 1], rng)

    # Two bits hold the target, 59 bits a random number, the highest three bits the source.
    keys = rng.integers(0, int(_END), edge.shape, np.uint64, endpoint=False)
    for letter in range(4):
        last = edge == (4 * letter + parents[:, letter])[:, None]
        # Any edge of the tree's kind will do, as all of a kind are the same.
        has = last.any(axis=1) & (parents[:, letter] != letter)
        keys[number[has], last[has].argmax(axis=1)] = _END
    keys &= ~np.uint64(3)
    keys |= target
    keys |= (edge >> np.uint8(2)).astype(np.uint64) << np.uint64(61)
    keys.sort(axis=1)  # by source, in random order, the edge of the tree last

    exits = (keys & np.uint64(3)).astype(np.uint8).ravel()
    starts = np.zeros((n, 4), np.int64)
    starts[:, 1:] = np.cumsum(counts.sum(axis=2), axis=1)[:, :3]
    next_exit = (starts + (longest - 1) * number[:, None]).ravel()
    path = np.zeros((longest, n), np.uint8)
    path[0] = runs[:, 0]
    for i in range(1, longest):
        active = int(np.searchsorted(-lengths, -i))  # runs that are longer than i
        here = 4 * number[:active] + path[i - 1, :active]
        edges = next_exit[here]
        path[i, :active] = exits[edges]
        next_exit[here] = edges + 1
    return path.T


def _trees() -> NDArray[np.int64]:
    """List the 16 trees on four letters with each root: (root, tree, letter), the parents.

    The root has itself as its parent.
    """
    found: list[list[Any]] = []
    for root in range(4):
        found.append([])
        for parents in product(range(4), repeat=4):
            reached = parents
            for _ in range(3):
                reached = tuple(parents[letter] for letter in reached)
            if parents[root] == root and reached == (root,) * 4:
                found[-1].append(parents)
    return np.array(found, np.int64)


_TREES = _trees()


def _draw_trees(
    counts: NDArray[np.int64], root: Codes, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw a tree of last edges, each with a chance in proportion to the product of its edges.

    Parameters
    ----------
    counts
        Number of each dinucleotide, int64 (n, 4, 4).
    root
        Last letter of each sequence, uint8 (n,).
    rng
        Source of random numbers.

    Returns
    -------
    NDArray
        Letter that each letter is followed by for the last time, int64 (n, 4); that of the root is
        the root.
    """
    number = np.arange(len(counts))
    edges = counts.astype(np.float64)
    absent = counts.sum(axis=2) == 0
    edges[number, :, root] += absent  # letters that do not occur hang on the root, in one way
    edges[number, root, root] = 1
    trees = _TREES[root]
    chances = np.ones(trees.shape[:2])
    for letter in range(4):
        chances *= edges[number[:, None], letter, trees[:, :, letter]]
    sums = np.cumsum(chances, axis=1)
    drawn = rng.random(len(counts)) * sums[:, -1]
    chosen: NDArray[np.int64] = trees[number, (sums > drawn[:, None]).argmax(axis=1)]
    return chosen
