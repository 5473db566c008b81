"""Sequences that stand in two parts of a split: exact and near duplicates, on either strand."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.sequence.alphabet import Codes, reverse_complement
from genoglot.sequence.kmers import UNKNOWN, Hashes, canonical_kmers
from genoglot.tasks.dataset import SUBSETS, LazyArray, RowIndices, TaskData
from genoglot.tasks.minimizers import Sketch, aligned, minimizers, row_hashes

K, WINDOW = 15, 8
"""Minimizers: two sequences with 22 bases in common share one."""

VERIFY_K = 12
"""k-mers by which a near duplicate is verified."""

CONTAINMENT = 0.5
"""Near duplicates share such a part of the k-mers of the one that has fewer."""

LEAST_SHARED = 12
"""k-mers that near duplicates share at least, so that they have 23 bases in common or more: low
complexity alone makes no duplicate."""

_KEPT = 4  # sequences of the searched part that are kept for a minimizer, the first ones
_TRIED = 3  # candidates that are verified for each sequence
_INDEXED = 50_000_000  # bases of the searched part that are indexed at a time
_ASKED = 100_000_000  # bases of the held-out part that are looked up at a time
_PAIRS = 4_000_000  # candidate pairs at a time

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


class Matches(NamedTuple):
    """The best match of each sequence in another set; arrays are (n,).

    Attributes
    ----------
    row
        Of the match, int64; -1 if there is none.
    kind
        0 none, 1 near duplicate, 2 the reverse complement, 3 the same.
    containment
        Share of the common k-mers, float64; 1 for exact duplicates, 0 without a match.
    """

    row: RowIndices
    kind: NDArray[np.int8]
    containment: NDArray[np.float64]


KINDS = ("", "near", "reverse complement", "same")


def find_leakage(data: TaskData) -> tuple[dict[str, Any], pl.DataFrame]:
    """Look through all splits of a dataset for duplicates between their parts.

    Validation is compared with train, test with train and with validation. Of tasks about
    variants the sequences with the alternative allele are compared.

    Returns
    -------
    report
        By split, a list of: subset, other_subset, examples, same, reverse_complement, near (counts
        of the subset's examples by their best match), rate (fraction of them with any match).
    pairs
        One row per example with a duplicate: see `SCHEMA`.
    """
    report: dict[str, Any] = {}
    frames = [pl.DataFrame(schema=SCHEMA)]
    for split in data.splits:
        report[split] = []
        part_rows = {part: data.rows(split, part) for part in SUBSETS}
        for part, other in (("validation", "train"), ("test", "train"), ("test", "validation")):
            rows, others = part_rows[part], part_rows[other]
            found = match(_sequences(data, rows), _sequences(data, others))
            report[split].append(
                {
                    "subset": part,
                    "other_subset": other,
                    "examples": len(rows),
                    **_counts(found.kind),
                }
            )
            hit = np.flatnonzero(found.kind)
            frames.append(
                pl.DataFrame(
                    {
                        "split": [split] * len(hit),
                        "subset": [part] * len(hit),
                        "row": rows[hit],
                        "other_subset": [other] * len(hit),
                        "other_row": others[found.row[hit]],
                        "kind": np.array(KINDS, object)[found.kind[hit]].astype(str),
                        "containment": found.containment[hit].round(6),
                    },
                    schema=SCHEMA,
                )
            )
    return report, pl.concat(frames)


def _sequences(data: TaskData, rows: RowIndices) -> LazyArray:
    part = data.take(rows)
    return part.codes if part.alternative is None else part.alternative


def _counts(kind: NDArray[np.int8]) -> dict[str, Any]:
    _, near, reverse, same = np.bincount(kind, minlength=4).tolist()
    rate = round((near + reverse + same) / max(len(kind), 1), 6)
    return {"same": same, "reverse_complement": reverse, "near": near, "rate": rate}


def match(asked: LazyArray | Codes, searched: LazyArray | Codes) -> Matches:
    """Find for each sequence its best duplicate in another set.

    Exact duplicates are found by a hash of the whole sequence, without the N that it is filled up
    with at either end, and compared base by base: none is missed and none made up. Candidates for
    near ones share minimizers; each is verified by the containment of its 12-mers, of the shorter
    one if their lengths differ. The searched set is indexed in pieces, so that memory does not grow
    with it. A minimizer of many sequences (of a repeat, or of a family of variants) is kept for the
    first few of them only: a match is still found, though not always the very best.

    Parameters
    ----------
    asked
        uint8 (n, length).
    searched
        uint8 (m, the same or another length).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> train = rng.integers(0, 4, (50, 100), dtype=np.uint8)
    >>> changed = train[1].copy()
    >>> changed[50] = 3 - changed[50]
    >>> test = np.stack([train[7], reverse_complement(train[9]), changed])
    >>> match(test, train).row.tolist(), match(test, train).kind.tolist()
    ([7, 9, 1], [3, 2, 1])
    """
    n = len(asked)
    found = Matches(np.full(n, -1, np.int64), np.zeros(n, np.int8), np.zeros(n, np.float64))
    if not n or not len(searched):
        return found
    width = max(asked.shape[1], searched.shape[1])
    step = max(_INDEXED // width, 1)
    asked_step = max(_ASKED // width, 1)
    for begin in range(0, n, asked_step):
        some = slice(begin, begin + asked_step)
        part = Matches(found.row[some], found.kind[some], found.containment[some])
        block = np.asarray(asked[begin : begin + asked_step])
        whole = aligned(block, width)
        hashes = row_hashes(whole)
        wanted = minimizers(block, K, WINDOW)
        sketch, distinct = wanted.by_hash(), np.bincount(wanted.rows, minlength=len(block))
        for i in range(0, len(searched), step):
            others = np.asarray(searched[i : i + step])
            _exact(part, whole, hashes, others, i)
            _near(part, block, sketch, distinct, others, i)
    return found


def _exact(
    found: Matches, asked: Codes, hashes: NDArray[np.uint64], searched: Codes, offset: int
) -> None:
    """Note exact duplicates of sequences that are aligned, on the same strand first."""
    for kind in (3, 2):
        turned = searched if kind == 3 else reverse_complement(searched)
        other = aligned(turned, asked.shape[1])
        theirs = row_hashes(other)
        order = np.argsort(theirs, kind="stable")
        at = np.searchsorted(theirs[order], hashes)
        at = order[np.minimum(at, len(order) - 1)]
        hit = np.flatnonzero((theirs[at] == hashes) & (found.kind < kind))
        hit = hit[(asked[hit] == other[at[hit]]).all(axis=1)]
        found.row[hit], found.kind[hit], found.containment[hit] = at[hit] + offset, kind, 1.0


def _near(
    found: Matches,
    asked: Codes,
    sketch: Sketch,
    distinct: RowIndices,
    searched: Codes,
    offset: int,
) -> None:
    """Note near duplicates among the sequences that have no exact one."""
    hashes, rows = sketch
    keys, owners = minimizers(searched, K, WINDOW).by_hash()
    theirs = np.bincount(owners, minlength=len(searched))
    first = np.flatnonzero(np.r_[len(keys) > 0, keys[1:] != keys[:-1]])
    count = np.minimum(np.diff(np.r_[first, len(keys)]), _KEPT)
    keys = keys[first]
    open_ = found.kind[rows] < 2
    hashes, rows = hashes[open_], rows[open_]
    at = np.searchsorted(keys, hashes)  # both are sorted, so that this walks through memory
    at = np.minimum(at, max(len(keys) - 1, 0))
    hit = np.flatnonzero(keys[at] == hashes) if len(keys) else np.empty(0, np.int64)
    shared: list[NDArray[np.int64]] = []
    for i in range(0, len(hit), _PAIRS // _KEPT):
        some = hit[i : i + _PAIRS // _KEPT]
        times = count[at[some]]
        within = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        other = owners[np.repeat(first[at[some]], times) + within]
        shared.append(np.repeat(rows[some], times) * len(searched) + other)
    if shared:
        _verify(found, asked, np.concatenate(shared), (distinct, theirs), searched, offset)


def _verify(
    found: Matches,
    asked: Codes,
    pairs: RowIndices,
    minimizers_of: tuple[RowIndices, RowIndices],
    searched: Codes,
    offset: int,
) -> None:
    """Keep, of candidate pairs (asked * len(searched) + searched), the true near duplicates."""
    distinct, theirs = minimizers_of
    pair, shared = np.unique(pairs, return_counts=True)
    row, other = np.divmod(pair, len(searched))
    # Half of the k-mers in common, of the sequence that has fewer, leaves more than a tenth of its
    # minimizers in common.
    likely = shared >= np.maximum(0.1 * np.minimum(distinct[row], theirs[other]), 1)
    row, other, shared = row[likely], other[likely], shared[likely]
    order = np.lexsort((-shared, row))
    row, other = row[order], other[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    row, other = row[rank < _TRIED], other[rank < _TRIED]
    step = max(_PAIRS // max(asked.shape[1], searched.shape[1]), 1)
    for i in range(0, len(row), step):
        a, b = row[i : i + step], other[i : i + step]
        share = containment(asked[a], searched[b])
        for j in np.lexsort((b, -share)):
            if share[j] >= CONTAINMENT and share[j] > found.containment[a[j]]:
                found.row[a[j]], found.kind[a[j]] = b[j] + offset, 1
                found.containment[a[j]] = share[j]


def containment(a: Codes, b: Codes, k: int = VERIFY_K) -> NDArray[np.float64]:
    """Share of the distinct k-mers, of either strand, that two sequences have in common.

    Parameters
    ----------
    a, b
        uint8 (n, length), compared row by row.
    k
        1 to 15.

    Returns
    -------
    Common k-mers over those of the sequence that has fewer, float64 (n,); 0 where less than
    `LEAST_SHARED` are common.
    """
    ours, theirs = (_distinct(canonical_kmers(codes, k)) for codes in (a, b))
    both = np.sort(np.concatenate([ours, theirs], axis=1), axis=1)
    common = ((both[:, 1:] == both[:, :-1]) & (both[:, 1:] != UNKNOWN)).sum(axis=1)
    fewer = np.minimum(*((found != UNKNOWN).sum(axis=1) for found in (ours, theirs)))
    return np.where(common >= LEAST_SHARED, common / np.maximum(fewer, 1), 0.0)


def _distinct(kmers: Hashes) -> Hashes:
    """Replace repeats within a row by `UNKNOWN`."""
    ordered = np.sort(kmers, axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = UNKNOWN
    return ordered
