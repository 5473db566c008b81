"""Evaluation of annotators: how well they name and describe region sets."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.atlas import Atlas
from genoglot.evaluation.evaluate import EvaluatedModel, describe_sets, evaluate_each
from genoglot.evaluation.results import ResultsTable
from genoglot.models.regions_to_text.annotation import Annotation
from genoglot.models.regions_to_text.labels import FIELDS, Labels, known_labels, label_table

DESCRIPTION = "description"


class SetAnnotator(EvaluatedModel, Protocol):
    """What `evaluate_annotators` needs of an annotator."""

    labels: Labels

    def annotate(self, ids: ArrayLike) -> Annotation:
        """Name the assay, target and biosample of a region set."""

    def rank(self, sets: Sequence[ArrayLike], texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Score how well each text matches each set: (sets, texts); None if it cannot."""


class AnswerMetrics(NamedTuple):
    """Metrics of one set in one task; None if a metric does not apply."""

    accuracy: float
    known: float | None = None
    coverage: float | None = None
    accepted_accuracy: float | None = None
    probability: float | None = None
    MRR: float | None = None


def evaluate_annotators(
    annotators: Mapping[str, SetAnnotator],
    atlas: Atlas,
    rows: ArrayLike | None = None,
    *,
    split: str = "",
    subset: str = "test",
    seed: int = 0,
) -> ResultsTable:
    """Annotate labeled region sets and compare the answers with the labels.

    The table has a task per field (assay, target, biosample) with the metrics

    - `accuracy`: proportion of the sets whose most probable label is the true one;
    - `known`: proportion whose label the annotator was fitted with, which limits the accuracy;
    - `coverage`: proportion that gets a label, and not the answer "none of these";
    - `accepted_accuracy`: accuracy among the sets that get a label;
    - `ECE`: `expected_calibration_error` of the most probable label;

    and a task "description", in which all distinct descriptions of the atlas are ranked: `MRR` is
    the mean reciprocal rank of the first description of a set of the same assay, target and
    biosample, and `accuracy` is how often that description ranks first.

    A set without an assay, target or biosample, where other sets have one, is left out of the task
    of that field.

    Parameters
    ----------
    annotators
        Annotators by name, in the order of the table.
    atlas
        Atlas with the region sets and their labels.
    rows, split, subset, seed
        As in `evaluate`.

    Returns
    -------
    ResultsTable
        Means with intervals, and the metrics of each task and region set.

    Raises
    ------
    UniverseMismatchError
        If the universe of an annotator is not that of the atlas.
    AtlasError
        If there is no region set to evaluate on.
    """

    def per_set(
        _: str, annotator: SetAnnotator, rows: NDArray[np.int64]
    ) -> tuple[pl.DataFrame, float]:
        before = time.perf_counter()
        frame = _metrics_of_each(annotator, atlas, rows)
        return frame, time.perf_counter() - before

    table = evaluate_each(annotators, atlas, rows, per_set, split=split, subset=subset, seed=seed)
    by_task = pl.col("task").cast(pl.Enum([*FIELDS, DESCRIPTION]))
    frames = (table.results, table.per_set)
    return ResultsTable(*(frame.sort(by_task, maintain_order=True) for frame in frames))


def _metrics_of_each(
    annotator: SetAnnotator, atlas: Atlas, rows: NDArray[np.int64]
) -> pl.DataFrame:
    """One row per task and set, with the description of the set and its metrics."""
    metadata = describe_sets(atlas, rows)
    labels = label_table(atlas.metadata[rows])
    sets = atlas.tokens_of(rows)
    annotations = [annotator.annotate(ids) for ids in sets]
    tasks = {
        field: [
            _answer_metrics(annotation, field, true, annotator.labels)
            for annotation, true in zip(annotations, labels[field], strict=True)
        ]
        for field in FIELDS
    }
    if (ranks := _ranks(annotator, atlas, sets, labels)) is not None:
        tasks[DESCRIPTION] = [AnswerMetrics(float(rank == 1), MRR=1 / rank) for rank in ranks]
    schema = dict.fromkeys(AnswerMetrics._fields, pl.Float64)
    known = known_labels(atlas.metadata)[rows]
    return pl.concat(
        metadata.with_columns(pl.lit(task).alias("task"))
        .hstack(pl.DataFrame(metrics, schema=schema, orient="row"))
        .filter(known[task] if task in FIELDS else pl.lit(value=True))
        for task, metrics in tasks.items()
    )


def _answer_metrics(annotation: Annotation, field: str, true: str, labels: Labels) -> AnswerMetrics:
    answer = annotation.answer(field)
    right = float(answer.labels[0] == true)
    return AnswerMetrics(
        accuracy=right,
        known=float(true in labels.names[field]),
        coverage=float(answer.accepted),
        accepted_accuracy=right if answer.accepted else None,
        probability=answer.probabilities[0],
    )


def _ranks(
    annotator: SetAnnotator, atlas: Atlas, sets: Sequence[ArrayLike], labels: pl.DataFrame
) -> list[int] | None:
    """Rank of the first right description of each set, among all descriptions of the atlas."""
    described: dict[str, set[tuple[str, ...]]] = {}
    all_labels = label_table(atlas.metadata).rows()
    for text, key in zip(atlas.descriptions(), all_labels, strict=True):
        described.setdefault(text, set()).add(key)
    scores = annotator.rank(sets, list(described))
    if scores is None:
        return None
    ranks = []
    for row, key in zip(scores, labels.rows(), strict=True):
        right = np.array([key in keys for keys in described.values()])
        # Descriptions with the score of the right one rank before it, so that luck does not help.
        ranks.append(int((row[~right] >= row[right].max()).sum()) + 1)
    return ranks
