"""How well annotators name and describe region sets that they have not seen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.atlas import Atlas
from genoglot.errors import GenoglotError, UniverseMismatchError
from genoglot.evaluation.evaluate import about_sets, rows_to_evaluate
from genoglot.evaluation.provenance import code_version, hardware
from genoglot.evaluation.table import Table, summarize
from genoglot.models.regions_to_text.annotation import Annotation
from genoglot.models.regions_to_text.labels import FIELDS, Labels, known_labels, label_table
from genoglot.regions import Universe

DESCRIPTION = "description"


class Describer(Protocol):
    """What evaluation needs to know of an annotator."""

    labels: Labels

    @property
    def model_type(self) -> str:
        """Kind of annotator."""

    @property
    def universe(self) -> Universe:
        """The universe whose ids it reads."""

    def annotate(self, ids: ArrayLike) -> Annotation:
        """Say what a region set is."""

    def rank(self, sets: Sequence[ArrayLike], texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Tell how well each text matches each set: (sets, texts); None: no opinion."""


def evaluate_annotators(
    annotators: Mapping[str, Describer],
    atlas: Atlas,
    rows: ArrayLike | None = None,
    *,
    split: str = "",
    subset: str = "test",
    seed: int = 0,
) -> Table:
    """Annotate labelled region sets and compare the answers with their labels.

    The table has a task per field (assay, target, biosample) with the metrics

    - `accuracy`: share of the sets whose most probable label is theirs;
    - `known`: share whose label the annotator has seen: what accuracy cannot exceed;
    - `coverage`: share that is answered at all, not by "none of these";
    - `accepted_accuracy`: accuracy among the answered;
    - `ECE`: `expected_calibration_error` of the most probable label;

    and a task "description", in which all distinct descriptions of the atlas are ranked:
    `MRR` is the mean reciprocal rank of the first description of a set of the same assay, target
    and biosample, and `accuracy` says how often that is the first of all.

    A set without an assay, target or biosample that other sets have is not judged in that field.

    Parameters
    ----------
    annotators
        Name -> annotator, in the order of the table.
    atlas
        Holds the region sets and their labels.
    rows, split, subset, seed
        As in `evaluate`.

    Raises
    ------
    UniverseMismatchError
        If an annotator is for another universe than the atlas's.
    AtlasError
        If there is no region set to evaluate on.
    """
    if not annotators:
        raise GenoglotError("nothing to evaluate: name at least one annotator")
    for name, annotator in annotators.items():
        try:
            annotator.universe.check_same(atlas.universe_digest, genome=atlas.genome)
        except UniverseMismatchError as error:
            raise UniverseMismatchError(f"model {name!r} and atlas {atlas.path}: {error}") from None
    chosen, subset = rows_to_evaluate(atlas, rows, split, subset)
    commit, machine = code_version(), hardware()
    frames, results = [], []
    for name, annotator in annotators.items():
        before = time.perf_counter()
        frame = _per_set(annotator, atlas, chosen)
        seconds = time.perf_counter() - before
        about = {"split": split, "subset": subset, "data": atlas.digest, "model": name}
        keys = {**about, "kind": annotator.model_type, "seed": seed}
        frame = frame.with_columns(pl.lit(value).alias(key) for key, value in keys.items())
        frames.append(frame)
        for _, same in frame.group_by("task", maintain_order=True):
            results += summarize(same, commit=commit, hardware=machine, seconds=seconds, seed=seed)
    order = [*FIELDS, DESCRIPTION]
    results.sort(key=lambda result: order.index(result.task))
    by_task = pl.col("task").cast(pl.Enum(order))
    return Table.of(results, pl.concat(frames).sort(by_task, maintain_order=True))


class Measured(NamedTuple):
    """What is measured of one set in one task; None: does not apply."""

    accuracy: float
    known: float | None = None
    coverage: float | None = None
    accepted_accuracy: float | None = None
    probability: float | None = None
    MRR: float | None = None


def _per_set(annotator: Describer, atlas: Atlas, rows: NDArray[np.int64]) -> pl.DataFrame:
    """Per task and set: id, group, n_tokens and the measures."""
    about = about_sets(atlas, rows)
    labels = label_table(atlas.metadata[rows])
    sets = atlas.tokens_of(rows)
    answered = [annotator.annotate(ids) for ids in sets]
    tasks = {
        field: [
            _judged(annotation, field, true, annotator.labels)
            for annotation, true in zip(answered, labels[field], strict=True)
        ]
        for field in FIELDS
    }
    if (ranks := _ranks(annotator, atlas, sets, labels)) is not None:
        tasks[DESCRIPTION] = [Measured(float(rank == 1), MRR=1 / rank) for rank in ranks]
    schema = dict.fromkeys(Measured._fields, pl.Float64)
    known = known_labels(atlas.metadata)[rows]  # a label that is not known judges no answer
    return pl.concat(
        about.select(pl.lit(task).alias("task"), pl.all())
        .hstack(pl.DataFrame(measured, schema=schema, orient="row"))
        .filter(known[task] if task in FIELDS else pl.lit(value=True))
        for task, measured in tasks.items()
    )


def _judged(annotation: Annotation, field: str, true: str, labels: Labels) -> Measured:
    answer = annotation.answer(field)
    right = float(answer.labels[0] == true)
    return Measured(
        accuracy=right,
        known=float(true in labels.names[field]),
        coverage=float(answer.accepted),
        accepted_accuracy=right if answer.accepted else None,
        probability=answer.probabilities[0],
    )


def _ranks(
    annotator: Describer, atlas: Atlas, sets: Sequence[ArrayLike], labels: pl.DataFrame
) -> list[int] | None:
    """Rank of the first right description of each set, among all of the atlas."""
    every = label_table(atlas.metadata).rows()
    right: dict[str, set[tuple[str, ...]]] = {}
    for text, key in zip(atlas.descriptions(), every, strict=True):
        right.setdefault(text, set()).add(key)
    match = annotator.rank(sets, list(right))
    if match is None:
        return None
    ranks = []
    for row, key in zip(match, labels.rows(), strict=True):
        fits = np.array([key in keys for keys in right.values()])
        # Descriptions that match as well as the right one come before it: no luck.
        ranks.append(int((row[~fits] >= row[fits].max()).sum()) + 1)
    return ranks
