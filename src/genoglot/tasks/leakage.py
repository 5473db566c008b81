"""Sequences that are in two subsets of a split: exact and near duplicates, on either strand."""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.sequence.alphabet import Codes, reverse_complement
from genoglot.sequence.kmers import UNKNOWN, Hashes, canonical_kmers
from genoglot.tasks.dataset import SUBSETS, TaskData
from genoglot.tasks.lazy_array import LazyArray, RowIndices
from genoglot.tasks.minimizers import Minimizers, align_left, find_minimizers, hash_rows

K, WINDOW = 15, 8
"""Minimizers: two sequences with 22 bases in common share one."""

VERIFY_K = 12
"""Length of the k-mers by which a near duplicate is verified."""

CONTAINMENT = 0.5
"""Minimum proportion of k-mers that near duplicates share, of the one that has fewer."""

LEAST_SHARED = 12
"""Minimum number of k-mers that near duplicates share, so that they have 23 bases in common or
more: low complexity alone makes no duplicate."""

_OWNERS = 4  # references that are looked up for a minimizer, the first ones
_TRIED = 3  # candidates that are verified for each query

SCHEMA = {
    "split": pl.String,
    "subset": pl.String,
    "row": pl.Int64,
    "other_subset": pl.String,
    "other_row": pl.Int64,
    "kind": pl.String,
    "containment": pl.Float64,
}
"""Columns of the list of pairs: one row per held-out example with a duplicate, its best match."""

KINDS = ("", "near", "reverse complement", "same")


class Matches(NamedTuple):
    """The best match of each query among the references; arrays are (n,).

    Attributes
    ----------
    row
        Index of the match, int64; -1 if there is none.
    kind
        Index in `KINDS`: 0 none, 1 near duplicate, 2 the reverse complement, 3 the same, int8.
    containment
        Proportion of common k-mers, float64; 1 for exact duplicates, 0 without a match.
    """

    row: RowIndices
    kind: NDArray[np.int8]
    containment: NDArray[np.float64]


def find_leakage(data: TaskData) -> tuple[dict[str, Any], pl.DataFrame]:
    """Search all splits of a dataset for duplicates between their subsets.

    Validation is compared with train, test with train and with validation. In tasks about variants
    the sequences with the alternative allele are compared.

    Returns
    -------
    dict
        For each split, a list of: subset, other_subset, examples, same, reverse_complement, near
        (numbers of the subset's examples by their best match), rate (proportion of the subset's
        examples with any match).
    polars.DataFrame
        One row per example with a duplicate: see `SCHEMA`.
    """
    report: dict[str, Any] = {}
    frames = [pl.DataFrame(schema=SCHEMA)]
    for split in data.splits:
        report[split] = []
        rows_of = {subset: data.rows(split, subset) for subset in SUBSETS}
        for other, subset in combinations(SUBSETS, 2):
            rows, others = rows_of[subset], rows_of[other]
            found = find_matches(_sequences(data, rows), _sequences(data, others))
            _, *counts = np.bincount(found.kind, minlength=len(KINDS)).tolist()
            report[split].append(
                {
                    "subset": subset,
                    "other_subset": other,
                    "examples": len(rows),
                    **dict(zip(("same", "reverse_complement", "near"), counts[::-1], strict=True)),
                    "rate": round(sum(counts) / max(len(rows), 1), 6),
                }
            )
            hit = np.flatnonzero(found.kind)
            pairs = {
                "split": split,
                "subset": subset,
                "row": rows[hit],
                "other_subset": other,
                "other_row": others[found.row[hit]],
                "kind": np.array(KINDS)[found.kind[hit]],
                "containment": found.containment[hit].round(6),
            }
            frames.append(pl.DataFrame(pairs, schema=SCHEMA))
    return report, pl.concat(frames)


def _sequences(data: TaskData, rows: RowIndices) -> LazyArray:
    examples = data.take(rows)
    return examples.codes if examples.alternative is None else examples.alternative


def find_matches(
    queries: LazyArray | Codes, references: LazyArray | Codes, *, block: int = 50_000_000
) -> Matches:
    """Find the best duplicate of each query among the references.

    Exact duplicates are found by a hash of the whole sequence, without the N that it is padded with
    at either end, and compared base by base: none is missed and none made up. Candidates for near
    duplicates share minimizers; each is verified by the containment of its 12-mers, those of the
    shorter sequence if the lengths differ. The references are indexed block by block, so that
    memory does not grow with them. A minimizer of many references (of a repeat, or of a family of
    variants) is looked up in the first few of them only: a match is still found, though not always
    the very best.

    Parameters
    ----------
    queries
        uint8 (n, length).
    references
        uint8 (m, the same or another length).
    block
        Number of bases of the references that are indexed at a time.

    Returns
    -------
    Matches
        A match for each query.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> train = rng.integers(0, 4, (50, 100), dtype=np.uint8)
    >>> changed = train[1].copy()
    >>> changed[50] = 3 - changed[50]
    >>> test = np.stack([train[7], reverse_complement(train[9]), changed])
    >>> found = find_matches(test, train)
    >>> found.row.tolist(), found.kind.tolist()
    ([7, 9, 1], [3, 2, 1])
    """
    n = len(queries)
    found = Matches(np.full(n, -1, np.int64), np.zeros(n, np.int8), np.zeros(n, np.float64))
    width = max(queries.shape[1], references.shape[1])
    step = max(block // width, 1)
    for i in range(0, n if len(references) else 0, 2 * step):
        rows = slice(i, i + 2 * step)
        # Views, which are filled in.
        some = Matches(found.row[rows], found.kind[rows], found.containment[rows])
        codes = np.asarray(queries[rows])
        whole = align_left(codes, width)
        hashes = hash_rows(whole)
        minimizers = find_minimizers(codes, K, WINDOW)
        numbers = np.bincount(minimizers.rows, minlength=len(codes))
        minimizers = minimizers.sort()
        for j in range(0, len(references), step):
            others = np.asarray(references[j : j + step])
            _find_exact(some, whole, hashes, others, j)
            _find_near(some, codes, minimizers, numbers, others, j, max(block // 12, _OWNERS))
    return found


def _find_exact(
    found: Matches, queries: Codes, hashes: NDArray[np.uint64], references: Codes, offset: int
) -> None:
    """Note exact duplicates of sequences that are aligned, on the same strand first."""
    for kind in (3, 2):
        strand = references if kind == 3 else reverse_complement(references)
        other = align_left(strand, queries.shape[1])
        theirs = hash_rows(other)
        order = np.argsort(theirs, kind="stable")
        at = np.searchsorted(theirs[order], hashes)
        at = order[np.minimum(at, len(order) - 1)]
        hit = np.flatnonzero((theirs[at] == hashes) & (found.kind < kind))
        hit = hit[(queries[hit] == other[at[hit]]).all(axis=1)]
        found.row[hit], found.kind[hit], found.containment[hit] = at[hit] + offset, kind, 1.0


def _find_near(
    found: Matches,
    queries: Codes,
    minimizers: Minimizers,
    numbers: RowIndices,
    references: Codes,
    offset: int,
    n_pairs: int,
) -> None:
    """Note near duplicates of the queries that have no exact one, for some pairs at a time."""
    keys, owners = find_minimizers(references, K, WINDOW).sort()
    if not len(keys):
        return
    theirs = np.bincount(owners, minlength=len(references))
    keys, first, counts = np.unique(keys, return_index=True, return_counts=True)
    counts = np.minimum(counts, _OWNERS)
    unmatched = found.kind[minimizers.rows] < 2
    hashes, rows = minimizers.hashes[unmatched], minimizers.rows[unmatched]
    at = np.searchsorted(keys, hashes)  # both are sorted, so that this walks through memory
    at = np.minimum(at, len(keys) - 1)
    hit = np.flatnonzero(keys[at] == hashes)
    pairs = [np.empty(0, np.int64)]
    for i in range(0, len(hit), n_pairs // _OWNERS):
        some = hit[i : i + n_pairs // _OWNERS]
        times = counts[at[some]]
        within = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        other = owners[np.repeat(first[at[some]], times) + within]
        pairs.append(np.repeat(rows[some], times) * len(references) + other)
    pair, shared = np.unique(np.concatenate(pairs), return_counts=True)
    row, other = np.divmod(pair, len(references))
    # Half of the k-mers in common, of the sequence that has fewer, leaves more than a tenth of its
    # minimizers in common.
    likely = shared >= np.maximum(0.1 * np.minimum(numbers[row], theirs[other]), 1)
    row, other, shared = row[likely], other[likely], shared[likely]
    order = np.lexsort((-shared, row))
    row, other = row[order], other[order]
    tried = np.arange(len(row)) - np.searchsorted(row, row) < _TRIED
    row, other = row[tried], other[tried]
    step = max(n_pairs // max(queries.shape[1], references.shape[1]), 1)
    for i in range(0, len(row), step):
        a, b = row[i : i + step], other[i : i + step]
        common = containment(queries[a], references[b])
        for j in np.lexsort((b, -common)):
            if common[j] >= CONTAINMENT and common[j] > found.containment[a[j]]:
                found.row[a[j]], found.kind[a[j]] = b[j] + offset, 1
                found.containment[a[j]] = common[j]


def containment(a: Codes, b: Codes, k: int = VERIFY_K) -> NDArray[np.float64]:
    """Compute the proportion of distinct k-mers, of either strand, that two sequences share.

    Parameters
    ----------
    a, b
        uint8 (n, length), compared row by row.
    k
        Length of the k-mers, 1 to 15.

    Returns
    -------
    NDArray
        Number of common k-mers over those of the sequence that has fewer, float64 (n,); 0 if fewer
        than `LEAST_SHARED` are common.
    """
    ours, theirs = (_distinct(canonical_kmers(codes, k)) for codes in (a, b))
    both = np.sort(np.concatenate([ours, theirs], axis=1), axis=1)
    common = ((both[:, 1:] == both[:, :-1]) & (both[:, 1:] != UNKNOWN)).sum(axis=1)
    fewer = np.minimum(*((kmers != UNKNOWN).sum(axis=1) for kmers in (ours, theirs)))
    return np.where(common >= LEAST_SHARED, common / np.maximum(fewer, 1), 0.0)


def _distinct(kmers: Hashes) -> Hashes:
    """Replace repeats within a row by `UNKNOWN`."""
    ordered = np.sort(kmers, axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = UNKNOWN
    return ordered
