"""Scoring models on the region sets of an atlas."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.atlas import Atlas
from genoglot.errors import AtlasError, GenoglotError, ModelError, UniverseMismatchError
from genoglot.evaluation.metrics import Measures, measure, metric_names
from genoglot.evaluation.provenance import code_version, hardware
from genoglot.evaluation.table import Result, Table, summarize
from genoglot.regions import Universe

log = logging.getLogger("genoglot")

SUBSETS = ("train", "validation", "test")


class Scorer(Protocol):
    """What evaluation needs to know of a model."""

    @property
    def model_type(self) -> str:
        """Kind of model, such as "diffusion"."""

    @property
    def universe(self) -> Universe:
        """The regions that it scores."""

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Score every region for every text: (n, universe), higher is more likely."""


class Measured(NamedTuple):
    """Measures of the region sets of one batch of texts."""

    rows: list[int]
    measures: list[Measures]
    seconds: float  # that scoring took


def evaluate(
    generators: Mapping[str, Scorer],
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
) -> Table:
    """Query models with descriptions and compare what they score with the true region sets.

    Each distinct description is scored once. Region sets without regions are left out, with a
    notice. Memory is that of `batch` scored texts: 68 MB for 16 at a million regions.

    Parameters
    ----------
    generators
        Name -> model, in the order of the table.
    atlas
        Holds the region sets and the descriptions.
    rows
        Which region sets: indices or a mask. Default: those of `subset` of the split `split`; all
        without a split.
    task, split, subset
        Recorded in the table; `subset` is "train", "validation" or "test".
    seed
        That the models were fitted with, as recorded in the table; and that of the bootstrap.
    n
        How many top regions precision and recall look at.
    batch
        Texts to score at once.
    progress
        Show a progress bar, if the error output is a terminal.

    Returns
    -------
    Table
        Means with intervals, and the measures of each region set.

    Raises
    ------
    UniverseMismatchError
        If a model is for another universe than the atlas's.
    ModelError
        If scores are of the wrong shape or not numbers.
    AtlasError
        If there is no region set to evaluate on.
    """
    if not generators:
        raise GenoglotError("nothing to evaluate: name at least one model")
    if batch < 1 or n < 1:
        raise GenoglotError(f"batch {batch} and n {n} must be at least 1")
    for name, generator in generators.items():
        try:
            generator.universe.check_same(atlas.universe_digest, genome=atlas.genome)
        except UniverseMismatchError as error:
            raise UniverseMismatchError(f"model {name!r} and atlas {atlas.path}: {error}") from None
    rows, subset = rows_to_evaluate(atlas, rows, split, subset)
    texts = _rows_of_texts(atlas, rows)
    lengths = atlas.universe.regions.end - atlas.universe.regions.start
    commit, machine = code_version(), hardware()
    results: list[Result] = []
    frames: list[pl.DataFrame] = []
    for name, generator in generators.items():
        batches = _measured(name, generator, atlas, texts, lengths, n, batch)
        done = list(_with_progress(batches, -(-len(texts) // batch), name, progress))
        keys: dict[str, str | int] = {
            "task": task,
            "split": split,
            "subset": subset,
            "data": atlas.digest,
            "model": name,
            "kind": generator.model_type,
            "seed": seed,
        }
        frame = _frame(keys, atlas, done, n)
        seconds = sum(measured.seconds for measured in done)
        results += summarize(frame, commit=commit, hardware=machine, seconds=seconds, seed=seed)
        frames.append(frame)
    return Table.of(results, pl.concat(frames))


def rows_to_evaluate(
    atlas: Atlas, rows: ArrayLike | None, split: str, subset: str
) -> tuple[NDArray[np.int64], str]:
    """Distinct rows of sets with regions, and the name of the subset: see `evaluate`."""
    chosen, subset = _rows(atlas, rows, split, subset)
    return _not_empty(atlas, chosen), subset


def _rows(
    atlas: Atlas, rows: ArrayLike | None, split: str, subset: str
) -> tuple[NDArray[np.int64], str]:
    """Distinct rows to evaluate on, and the name of the subset that they are."""
    if rows is not None:
        array = np.asarray(rows)
        if array.dtype == bool:
            if array.shape != (len(atlas),):
                raise AtlasError(f"mask of shape {array.shape} for {len(atlas)} region sets")
            array = np.flatnonzero(array)
        array = np.unique(array).astype(np.int64)
        if len(array) and (array[0] < 0 or array[-1] >= len(atlas)):
            raise AtlasError(f"rows {array[0]} to {array[-1]}, but {len(atlas)} region sets")
        return array, subset
    if not split:
        return np.arange(len(atlas)), "all"
    if subset not in SUBSETS:
        raise AtlasError(f"subset {subset!r}; use one of {', '.join(SUBSETS)}")
    held: NDArray[np.int64] = np.flatnonzero(atlas.split(split).subset == subset)
    return held, subset


def _not_empty(atlas: Atlas, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    about = atlas.metadata[rows]
    empty: NDArray[np.bool_] = about["n_tokens"].to_numpy() == 0
    if empty.any():
        log.warning(
            "%d of %d region sets have no region in the universe and are left out, the first: %s",
            *(empty.sum(), len(rows), about["id"][int(np.argmax(empty))]),
        )
    if empty.all():
        raise AtlasError(f"{atlas.path}: no region set to evaluate on; choose other rows")
    return rows[~empty]


def _rows_of_texts(atlas: Atlas, rows: NDArray[np.int64]) -> list[tuple[str, list[int]]]:
    """Each distinct description with its rows: replicates often share theirs."""
    rows_of: dict[str, list[int]] = {}
    for row, text in zip(rows.tolist(), atlas.descriptions(rows), strict=True):
        rows_of.setdefault(text, []).append(row)
    return list(rows_of.items())


def _measured(
    name: str,
    generator: Scorer,
    atlas: Atlas,
    texts: list[tuple[str, list[int]]],
    lengths: NDArray[np.int64],
    n: int,
    batch: int,
) -> Iterator[Measured]:
    """Score and measure batch by batch; no batch's scores outlive it."""

    def measured(some: list[tuple[str, list[int]]]) -> Measured:
        before = time.perf_counter()
        scores = generator.score([text for text, _ in some])
        seconds = time.perf_counter() - before
        if scores.shape != (len(some), len(lengths)):
            raise ModelError(
                f"scores of shape {scores.shape} for {len(some)} texts and a "
                f"universe of {len(lengths)} regions"
            )
        rows, measures = [], []
        for row_scores, (_, rows_of_text) in zip(scores, some, strict=True):
            for row, ids in zip(rows_of_text, atlas.tokens_of(rows_of_text), strict=True):
                rows.append(row)
                measures.append(measure(row_scores, ids, lengths, n))
        return Measured(rows, measures, seconds)

    for first in range(0, len(texts), batch):
        try:
            yield measured(texts[first : first + batch])
        except ModelError as error:
            raise ModelError(f"model {name!r}: {error}") from None


def about_sets(atlas: Atlas, rows: Sequence[int] | NDArray[np.int64]) -> pl.DataFrame:
    """Return id, group, factor, biosample and n_tokens of region sets.

    The factor is the target or, without one, the assay, as in splits. Factor and biosample are
    empty where the atlas does not know them.
    """
    factor = pl.coalesce("target", "assay", pl.lit("")).alias("factor")
    columns = ["id", "group", factor, pl.col("biosample").fill_null(""), "n_tokens"]
    return atlas.metadata[rows].select(columns)


def _frame(
    keys: Mapping[str, str | int], atlas: Atlas, done: list[Measured], n: int
) -> pl.DataFrame:
    """Per-set measures, in the order of the atlas."""
    rows = [row for measured in done for row in measured.rows]
    measures = np.array([m for measured in done for m in measured.measures])
    about = about_sets(atlas, rows)
    named = pl.DataFrame(measures, schema=list(metric_names(n)))
    frame = pl.concat([about, named], how="horizontal")[np.argsort(rows)]
    return frame.select(*(pl.lit(value).alias(key) for key, value in keys.items()), pl.all())


def _with_progress(
    batches: Iterable[Measured], total: int, name: str, progress: bool
) -> Iterator[Measured]:
    if not (progress and sys.stderr.isatty()):
        yield from batches
        return
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(batches, f"Evaluating {name}", total=total, console=console, transient=True)
