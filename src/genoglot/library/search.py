"""Searching the table of a library: hits, filters, queries and combining rankings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from genoglot.errors import LibraryError
from genoglot.library.store import FIELDS, sql_list

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


class Candidate(NamedTuple):
    """A row of the table that one ranking found, and its value in that ranking."""

    row: dict[str, Any]
    value: float


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


def run_query(query: Any, condition: str | None, n: int, *columns: str) -> list[dict[str, Any]]:
    """Run one query of the table.

    Parameters
    ----------
    query
        A LanceDB query.
    condition
        Condition of SQL that all rows must meet, or None.
    n
        Maximum number of rows.
    columns
        Columns to read beside the metadata.

    Returns
    -------
    list of dict
        Rows, best first.
    """
    if condition is not None:
        query = query.where(condition, prefilter=True)
    query = query.select([*COLUMNS, *columns]).limit(n)
    rows: list[dict[str, Any]] = query.to_arrow().to_pylist()
    return rows


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
        values = np.array([candidate.value for candidate in candidates])
        ranks = np.searchsorted(np.sort(-values), -values) + 1
        parts = values if len(rankings) == 1 else (RRF + 1) / (RRF + ranks) / len(rankings)
        for (row, value), part in zip(candidates, parts.tolist(), strict=True):
            hit = hits.setdefault(row["id"], {name: row[name] for name in COLUMNS})
            hit[ranking] = value
            scores[row["id"]] = scores.get(row["id"], 0.0) + part
    best = sorted(scores, key=lambda name: (-scores[name], name))[:n]
    return [Hit(**hits[name], score=scores[name]) for name in best]
