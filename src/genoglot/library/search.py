"""What a search of a library asks and answers: the query's checks, the hits, joining rankings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from genoglot.errors import LibraryError
from genoglot.library.lance import quoted

FIELDS = ("description", "assay", "target", "biosample")
RRF = 60
"""Constant of reciprocal rank fusion, as in Cormack et al. 2009."""


@dataclass(frozen=True)
class Hit:
    """A region set that was found.

    Attributes
    ----------
    id, description, assay, target, biosample
        What the library knows of it.
    n_regions
        Universe regions that it holds.
    score
        What the hits are ranked by, at most 1: the Jaccard index or cosine where one way was
        searched by; else the fusion of the ranks, where 1 is first in all. BM25 alone has no
        upper end.
    meaning
        Cosine of the description's and the query's MiniLM vectors.
    keywords
        BM25 of the query's words.
    jaccard
        Jaccard index with the query's regions, exact.

    A part is None where it was not asked for, or where this way did not propose the set.
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


class Found(NamedTuple):
    """A set that one way of searching proposes, and its value there."""

    row: dict[str, Any]
    value: float


def condition_of(where: Mapping[str, str] | None) -> str | None:
    """Put a filter into SQL."""
    for name in where or {}:
        if name not in ("assay", "target", "biosample"):
            raise LibraryError(f"no filter {name!r}; filter by assay, target or biosample")
    parts = [f"{name} IN {quoted([value])}" for name, value in (where or {}).items()]
    return " AND ".join(parts) or None


def run(query: Any, condition: str | None, depth: int, *columns: str) -> list[dict[str, Any]]:
    """Run one search of the store; rows with their metadata, best first."""
    if condition is not None:
        query = query.where(condition, prefilter=True)
    query = query.select(["id", *FIELDS, "n_regions", *columns]).limit(depth)
    rows: list[dict[str, Any]] = query.to_arrow().to_pylist()
    return rows


def fuse(ways: dict[str, list[Found]], n: int) -> list[Hit]:
    """Join rankings into the `n` best hits; equal ones by id.

    A single ranking keeps its own values. Of several, the score is the mean over them of
    (RRF + 1) / (RRF + rank), 0 where one lacks the set. Equal values share their first rank.
    """
    scores: dict[str, float] = {}
    rows: dict[str, dict[str, Any]] = {}
    parts: dict[str, dict[str, float]] = {}
    for way, found in ways.items():
        values = np.array([value for _, value in found])
        ranks = np.searchsorted(np.sort(-values), -values) + 1
        shares = values if len(ways) == 1 else (RRF + 1) / (RRF + ranks) / len(ways)
        for (row, value), share in zip(found, shares.tolist(), strict=True):
            name = row["id"]
            rows[name] = row
            parts.setdefault(name, {})[way] = value
            scores[name] = scores.get(name, 0.0) + share
    best = sorted(scores, key=lambda name: (-scores[name], name))[:n]
    return [_hit(rows[name], scores[name], parts[name]) for name in best]


def _hit(row: dict[str, Any], score: float, parts: dict[str, Any]) -> Hit:
    known = {field: row[field] for field in ("id", *FIELDS, "n_regions")}
    return Hit(**known, score=score, **parts)
