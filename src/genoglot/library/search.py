"""Searching the table of a library: hits, filters, queries and combining rankings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import LibraryError
from genoglot.library.store import (
    FIELDS,
    REGION_VECTOR,
    TEXT_VECTOR,
    sql_list,
    unpack_ids,
    words_query,
)
from genoglot.regions import jaccard_of_ids

COLUMNS = ("id", *FIELDS, "n_regions")
FILTERS = ("assay", "target", "biosample")
RRF = 60
"""Constant of reciprocal rank fusion (Cormack et al. 2009)."""


@dataclass(frozen=True)
class Hit:
    """A region set that a search found.

    `meaning`, `keywords` and `jaccard` are None if the search did not use them, or if the set was
    not among the best by them.

    Attributes
    ----------
    id, description, assay, target, biosample
        Metadata of the region set.
    n_regions
        Number of universe regions in the set.
    score
        Value by which the hits are ranked. It is the Jaccard index, the cosine or BM25 if the
        search used one of them; else the combination of the ranks, at most 1, which is reached by
        a set that is first in all of them.
    meaning
        Cosine of the MiniLM vectors of the description and the query.
    keywords
        BM25 of the words of the query.
    jaccard
        Exact Jaccard index with the regions of the query.
    """

    id: str
    description: str
    assay: str | None
    target: str | None
    biosample: str | None
    n_regions: int
    score: float
    meaning: float | None = None
    keywords: float | None = None
    jaccard: float | None = None


Candidate = tuple[dict[str, Any], float]
"""A row of the table that one ranking found, and its value in that ranking."""


def sql_filter(where: Mapping[str, str] | None) -> str | None:
    """Return a filter, column -> value, as a condition of SQL; None if it is empty.

    Raises
    ------
    LibraryError
        If a column is not one of `FILTERS`.
    """
    for name in where or {}:
        if name not in FILTERS:
            raise LibraryError(f"no filter {name!r}; filter by assay, target or biosample")
    conditions = [f"{name} IN {sql_list([value])}" for name, value in (where or {}).items()]
    return " AND ".join(conditions) or None


def rank(
    table: Any,
    vectors: Any,
    n: int,
    *,
    text_vector: NDArray[np.float32] | None,
    keywords: str,
    ids: NDArray[np.int32] | None,
    region_vector: NDArray[np.float32] | None,
    condition: str | None,
) -> dict[str, list[Candidate]]:
    """Rank the region sets by each part of a query. What is None, or "", is not searched for.

    Parameters
    ----------
    table
        LanceDB table of region sets.
    vectors
        The same table, in which vectors are compared.
    n
        Maximum number of candidates per ranking.
    text_vector
        Vector of the text, float32 (dim,).
    keywords
        Words to search for.
    ids
        Ids of the regions, int32 (n,).
    region_vector
        Vector of the regions, float32 (dim,).
    condition
        Condition of SQL that all hits must meet.

    Returns
    -------
    dict
        "meaning", "keywords" or "jaccard" -> candidates. Those of "jaccard" share a region with the
        query: feature hashing proposes them, and the exact index ranks them.
    """

    def run(search: Any, *columns: str) -> list[dict[str, Any]]:
        if condition is not None:
            search = search.where(condition, prefilter=True)
        return list(search.select([*COLUMNS, *columns]).limit(n).to_arrow().to_pylist())

    rankings: dict[str, list[Candidate]] = {}
    if text_vector is not None:
        search = vectors.search(text_vector, TEXT_VECTOR).distance_type("cosine")
        found = run(search, "_distance")
        rankings["meaning"] = [(row, 1 - row["_distance"]) for row in found]
    if keywords.strip():
        found = run(table.search(words_query(keywords), query_type="fts"), "_score")
        rankings["keywords"] = [(row, row["_score"]) for row in found]
    if ids is not None:
        search = vectors.search(region_vector, REGION_VECTOR).distance_type("cosine")
        found = run(search, "_distance", "tokens")
        sets = [unpack_ids(row["tokens"], row["n_regions"]) for row in found]
        size = 1 + max(int(some[-1]) for some in (ids, *sets) if len(some))
        values = jaccard_of_ids(ids, sets, size).tolist()
        rankings["jaccard"] = [(row, j) for row, j in zip(found, values, strict=True) if j > 0]
    return rankings


def combine_rankings(rankings: dict[str, list[Candidate]], n: int) -> list[Hit]:
    """Combine rankings by reciprocal rank fusion.

    The score of a set is the mean over the rankings of (RRF + 1) / (RRF + rank), where a ranking
    without the set counts as 0. Equal values have the same rank. With a single ranking, the score
    is the value itself.

    Parameters
    ----------
    rankings
        Name of a ranking, which is an attribute of `Hit` -> its candidates.
    n
        Maximum number of hits.

    Returns
    -------
    list of Hit
        Best first; hits of equal score by id.
    """
    scores: dict[str, float] = {}
    hits: dict[str, dict[str, Any]] = {}
    for ranking, candidates in rankings.items():
        values = np.array([value for _, value in candidates])
        ranks = np.searchsorted(np.sort(-values), -values) + 1
        parts = values if len(rankings) == 1 else (RRF + 1) / (RRF + ranks) / len(rankings)
        for (row, value), part in zip(candidates, parts.tolist(), strict=True):
            hit = hits.setdefault(row["id"], {name: row[name] for name in COLUMNS})
            hit[ranking] = value
            scores[row["id"]] = scores.get(row["id"], 0.0) + part
    best = sorted(scores, key=lambda name: (-scores[name], name))[:n]
    return [Hit(**hits[name], score=scores[name]) for name in best]
