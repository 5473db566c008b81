"""Evaluation of models on the region sets of an atlas."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.atlas import Atlas
from genoglot.errors import AtlasError, GenoglotError, ModelError, UniverseMismatchError
from genoglot.evaluation.metrics import RegionMetrics, metric_names, region_metrics
from genoglot.evaluation.provenance import code_version, hardware
from genoglot.evaluation.results import RUN, ResultsTable, summarize
from genoglot.progress import with_progress
from genoglot.regions import Universe

log = logging.getLogger("genoglot")

SUBSETS = ("train", "validation", "test")


class EvaluatedModel(Protocol):
    """What the evaluation of any model of region sets needs."""

    @property
    def model_type(self) -> str:
        """Type of the model, such as "diffusion"."""

    @property
    def universe(self) -> Universe:
        """The universe whose regions the model reads or writes."""


class RegionScorer(EvaluatedModel, Protocol):
    """What `evaluate` needs of a generator."""

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Score every region for every text: (n, universe), higher is more likely."""


Model = TypeVar("Model", bound=EvaluatedModel)


def evaluate(
    generators: Mapping[str, RegionScorer],
    atlas: Atlas,
    rows: ArrayLike | None = None,
    *,
    task: str = "text-to-regions",
    split: str = "",
    subset: str = "test",
    seed: int = 0,
    n: int = 1000,
    batch: int = 16,
    progress: bool = True,
) -> ResultsTable:
    """Give descriptions to generators and compare the scores with the true region sets.

    Each distinct description is scored once. Region sets without regions are left out, with a
    warning. The memory needed is that of `batch` scored texts: 68 MB for 16 texts and a million
    regions.

    Parameters
    ----------
    generators
        Generators by name, in the order of the table.
    atlas
        Atlas with the region sets and their descriptions.
    rows
        Region sets to evaluate on: indices or a mask. Default: those of `subset` of the split
        `split`; all, if no split is given.
    task
        Name of the task, for the table.
    split, subset
        Name of a split of the atlas, and "train", "validation" or "test".
    seed
        Seed that the models were fitted with, for the table, and seed of the bootstrap.
    n
        Number of top regions that precision and recall are computed for.
    batch
        Number of texts to score at once.
    progress
        Show a progress bar, if the error output is a terminal.

    Returns
    -------
    ResultsTable
        Means with intervals, and the metrics of each region set.

    Raises
    ------
    UniverseMismatchError
        If the universe of a model is not that of the atlas.
    ModelError
        If scores have the wrong shape or are NaN.
    AtlasError
        If there is no region set to evaluate on.
    """
    if batch < 1 or n < 1:
        raise GenoglotError(f"batch {batch} and n {n} must be at least 1")
    lengths = atlas.universe.regions.end - atlas.universe.regions.start

    def per_set(
        name: str, generator: RegionScorer, rows: NDArray[np.int64]
    ) -> tuple[pl.DataFrame, float]:
        rows_of_text: dict[str, list[int]] = {}  # replicates often have the same description
        for row, text in zip(rows.tolist(), atlas.descriptions(rows), strict=True):
            rows_of_text.setdefault(text, []).append(row)
        metrics: dict[int, RegionMetrics] = {}
        seconds = 0.0
        distinct = list(rows_of_text)
        batches = [distinct[i : i + batch] for i in range(0, len(distinct), batch)]
        for texts in with_progress(batches, f"Evaluating {name}", shown=progress):
            before = time.perf_counter()
            scores = generator.score(texts)
            seconds += time.perf_counter() - before
            if scores.shape != (len(texts), len(lengths)):
                raise ModelError(
                    f"scores of shape {scores.shape} for {len(texts)} texts and a universe of "
                    f"{len(lengths)} regions"
                )
            for text, row_scores in zip(texts, scores, strict=True):
                for row, ids in zip(
                    rows_of_text[text], atlas.tokens_of(rows_of_text[text]), strict=True
                ):
                    metrics[row] = region_metrics(row_scores, ids, lengths, n)
            del scores, row_scores  # or two batches of scores would be in memory at once
        values = np.array([metrics[row] for row in rows.tolist()])
        named = pl.DataFrame(values, schema=list(metric_names(n)))
        task_column = pl.lit(task).alias("task")
        return describe_sets(atlas, rows).with_columns(task_column).hstack(named), seconds

    return evaluate_each(generators, atlas, rows, per_set, split=split, subset=subset, seed=seed)


def evaluate_each(
    models: Mapping[str, Model],
    atlas: Atlas,
    rows: ArrayLike | None,
    per_set: Callable[[str, Model, NDArray[np.int64]], tuple[pl.DataFrame, float]],
    *,
    split: str,
    subset: str,
    seed: int,
) -> ResultsTable:
    """Evaluate models one after the other, and put their results into one table.

    Parameters
    ----------
    models
        Models by name, in the order of the table.
    atlas, rows, split, subset, seed
        As in `evaluate`.
    per_set
        Function of a model's name, the model, and rows of the atlas. It returns one row for each
        task and region set, with the columns of `describe_sets`, task, and one column per metric;
        and the seconds that the model took.

    Returns
    -------
    ResultsTable
        The results of all models.

    Raises
    ------
    GenoglotError
        If there are no models, or as in `evaluate`.
    """
    if not models:
        raise GenoglotError("nothing to evaluate: give at least one model")
    for name, model in models.items():
        try:
            model.universe.check_same(atlas.universe_digest, genome=atlas.genome)
        except UniverseMismatchError as error:
            raise UniverseMismatchError(f"model {name!r} and atlas {atlas.path}: {error}") from None
    selected, subset = _select_rows(atlas, rows, split, subset)
    provenance: dict[str, Any] = {"commit": code_version(), "hardware": hardware()}
    frames, results = [], []
    for name, model in models.items():
        try:
            frame, seconds = per_set(name, model, selected)
        except ModelError as error:
            raise ModelError(f"model {name!r}: {error}") from None
        keys: dict[str, Any] = {"split": split, "subset": subset, "data": atlas.digest}
        keys |= {"model": name, "model_type": model.model_type, "seed": seed}
        frame = frame.with_columns(pl.lit(value).alias(key) for key, value in keys.items())
        frames.append(frame.select(*RUN, pl.exclude(RUN)))
        for _, same in frame.group_by("task", maintain_order=True):
            results.append(summarize(same, **provenance, seconds=seconds, seed=seed))
    return ResultsTable(pl.concat(results), pl.concat(frames))


def describe_sets(atlas: Atlas, rows: NDArray[np.int64]) -> pl.DataFrame:
    """Return id, group, factor, biosample and n_tokens of region sets.

    The factor is the target or, without one, the assay, as in splits. Factor and biosample are
    empty if the atlas does not know them.
    """
    factor = pl.coalesce("target", "assay", pl.lit("")).alias("factor")
    columns = ["id", "group", factor, pl.col("biosample").fill_null(""), "n_tokens"]
    return atlas.metadata[rows].select(columns)


def _select_rows(
    atlas: Atlas, rows: ArrayLike | None, split: str, subset: str
) -> tuple[NDArray[np.int64], str]:
    """Sorted rows of sets with regions, and the name of the subset that they are."""
    if rows is not None:
        selected = np.unique(atlas.row_indices(rows))
    elif not split:
        selected, subset = np.arange(len(atlas)), "all"
    elif subset not in SUBSETS:
        raise AtlasError(f"no subset {subset!r}; choose one of {', '.join(SUBSETS)}")
    else:
        selected = np.flatnonzero(atlas.split(split).subset == subset)
    metadata = atlas.metadata[selected]
    empty: NDArray[np.bool_] = metadata["n_tokens"].to_numpy() == 0
    if empty.any():
        log.warning(
            "%d of %d region sets have no region in the universe and are left out, the first: %s",
            *(empty.sum(), len(selected), metadata["id"][int(np.argmax(empty))]),
        )
    if empty.all():
        raise AtlasError(f"{atlas.path}: no region set to evaluate on; choose other rows")
    return selected[~empty], subset
