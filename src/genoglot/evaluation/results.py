"""`ResultsTable`: one row per model and metric, with interval and provenance."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from genoglot.errors import GenoglotError
from genoglot.evaluation.intervals import bootstrap_interval, resampling_units
from genoglot.evaluation.text_table import TextTable, distinct, format_interval
from genoglot.files import atomic_path
from genoglot.models.regions_to_text.calibration import expected_calibration_error
from genoglot.permissions import explains_denial
from genoglot.tables import read_parquet

if TYPE_CHECKING:
    from rich.table import Table

# The columns of the per-set measures that are not metrics.
MODEL = ("task", "split", "subset", "data", "model", "model_type")
RUN = (*MODEL, "seed")
REGION_SET = ("id", "group", "factor", "biosample", "n_tokens", "probability")
UNBOUNDED = ("fold_enrichment",)  # other metrics are between 0 and 1


RESULT_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("task", "model", "model_type", "split", "subset", "metric"), pl.String()),
        **dict.fromkeys(("value", "low", "high"), pl.Float64()),
        "n_sets": pl.Int64(),
        **dict.fromkeys(("data", "commit"), pl.String()),
        "seeds": pl.List(pl.Int64()),
        "hardware": pl.String(),
        "seconds": pl.Float64(),
    }
)
"""Columns of the results, one row per model and metric: what was evaluated (`task`), which model,
and the split and its subset; mean over the region sets (`value`), the bounds of its 95 %
bootstrap interval, and the number of sets; digest of the atlas (`data`), commit of the code or its
version, the seeds that the model was fitted with (several in a pooled row), the machine, and the
wall time of scoring all descriptions, in seconds, with all seeds."""


def summarize(
    per_set: pl.DataFrame, *, commit: str, hardware: str, seconds: float, seed: int = 0
) -> pl.DataFrame:
    """Compute the mean and the interval of each metric of one model.

    Parameters
    ----------
    per_set
        Rows of `ResultsTable.per_set` of one model, with one or several seeds.
    commit, hardware, seconds
        Provenance, as in `RESULT_SCHEMA`.
    seed
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        One row for each metric that has a value, with the columns of `RESULT_SCHEMA`.
    """
    results: list[dict[str, Any]] = []
    for metric in [name for name in per_set.columns if name not in (*RUN, *REGION_SET)]:
        rows = per_set.drop_nulls(metric)
        if not len(rows):
            continue
        groups, crossed = resampling_units(rows)
        interval = bootstrap_interval(
            rows[metric].to_numpy(),
            groups=groups,
            crossed=crossed,
            runs=rows["seed"].to_numpy(),
            proportion=metric not in UNBOUNDED,
            seed=seed,
        )
        results.append(
            {
                **per_set.select(MODEL).row(0, named=True),
                "metric": metric,
                "value": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "n_sets": rows["id"].n_unique(),
                "commit": commit,
                "seeds": rows["seed"].unique().sort().to_list(),
                "hardware": hardware,
                "seconds": seconds,
            }
        )
    if "probability" in per_set.columns:
        answers = per_set.drop_nulls(["probability", "accuracy"])
        if len(answers):
            error = expected_calibration_error(answers["probability"], answers["accuracy"])
            # It is not a mean over sets, so that the bootstrap of means has no interval for it.
            no_interval = {"low": math.nan, "high": math.nan}
            results.append({**results[0], "metric": "ECE", "value": error, **no_interval})
    return pl.DataFrame(results, schema=RESULT_SCHEMA)


@dataclass(frozen=True, eq=False)
class ResultsTable:
    """Results, and the per-set measures that they are made of. Made by `evaluate`.

    Attributes
    ----------
    results
        One row per model and metric, with the columns of `RESULT_SCHEMA`.
    per_set
        One row per model, seed and region set: task, split, subset, data, model, model_type, seed;
        id, group (experiment), factor, biosample and n_tokens (number of true regions) of the set;
        probability of an annotator's answer; and one column per metric.
    """

    results: pl.DataFrame
    per_set: pl.DataFrame

    @classmethod
    def concat(cls, tables: Iterable[ResultsTable]) -> ResultsTable:
        """Put tables of several seeds, splits or models together.

        Equal results, such as those of a baseline that was evaluated beside each seed of a model,
        are put into the table once.

        Raises
        ------
        GenoglotError
            If there are no tables, or the same model, seed and region set has different measures.
        """
        tables = list(tables)
        if not tables:
            raise GenoglotError("no tables to put together; give at least one")
        frames = [table.per_set for table in tables]
        per_set = pl.concat(frames, how="diagonal").unique(maintain_order=True)
        repeated = per_set.filter(per_set.select(*RUN, "id").is_duplicated())
        if len(repeated):
            model, seed, name = repeated.select("model", "seed", "id").row(0)
            raise GenoglotError(
                f"model {model!r} of seed {seed} was evaluated twice on region set {name!r}, "
                "with different results; give the models different names"
            )
        row = [name for name in RESULT_SCHEMA if name in (*MODEL, "metric", "seeds")]
        results = pl.concat([table.results for table in tables])
        return cls(results.unique(row, keep="first", maintain_order=True), per_set)

    def pooled(self, seed: int = 0) -> ResultsTable:
        """Put the seeds of each model into one row, for each split and subset.

        The value is the mean over the region sets of all seeds. Its interval covers both other
        sets and other seeds: see `bootstrap_interval`. More seeds on the same region sets do not
        count as more region sets.

        Parameters
        ----------
        seed
            Seed of the bootstrap.
        """
        results = []
        for key, frame in self.per_set.group_by(MODEL, maintain_order=True):
            same = [pl.col(name) == value for name, value in zip(MODEL, key, strict=True)]
            runs = self.results.filter(*same).unique("seeds", maintain_order=True)
            provenance = {name: distinct(runs[name]) for name in ("commit", "hardware")}
            seconds = float(runs["seconds"].sum())
            results.append(summarize(frame, **provenance, seconds=seconds, seed=seed))
        return ResultsTable(pl.concat(results), self.per_set)

    def to_parquet(self, path: str | Path) -> None:
        """Write the results to `path`, and the per-set measures beside it (``x.sets.parquet``)."""
        for frame, file in ((self.per_set, _sets_file(path)), (self.results, Path(path))):
            with atomic_path(file) as temporary:
                frame.write_parquet(temporary)

    @classmethod
    @explains_denial
    def from_parquet(cls, path: str | Path) -> ResultsTable:
        """Read what `to_parquet` has written.

        Raises
        ------
        GenoglotError
            If a file is missing or is not a results table.
        """
        what, advice = "a results table", "give a file that `to_parquet` has written"
        results = read_parquet(Path(path), RESULT_SCHEMA, what=what, advice=advice)
        return cls(results, read_parquet(_sets_file(path), RUN, what=what, advice=advice))

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Write one row per model, with the metrics as columns, and the provenance below.

        Parameters
        ----------
        path
            File to write the text to, too.

        Returns
        -------
        str
            The text.
        """
        table = self._text_table()
        text = f"{table.to_markdown()}\n\n{table.caption}\n"
        if path is not None:
            with atomic_path(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return text

    def __rich__(self) -> Table:
        """Return the table for a terminal: shown by ``rich.print``."""
        return self._text_table().__rich__()

    def _text_table(self) -> TextTable:
        """Make one row per model; what all rows have in common is in the caption."""
        intervals = self.results.select("value", "low", "high").iter_rows()
        results = self.results.with_columns(
            pl.col("data").str.head(12),
            pl.col("seeds").cast(pl.List(pl.String)).list.join(" "),
            pl.Series("cell", [_cell(*interval) for interval in intervals], pl.String),
        )
        metrics = results["metric"].unique(maintain_order=True).to_list()
        columns = {name: pl.col("cell").filter(metric=name).last() for name in metrics}
        facts = {
            key: distinct(results[key])
            for key in ("task", "split", "subset", "commit", "hardware", "data")
        }
        facts["seeds"] = ", ".join(map(str, self.results["seeds"].explode().unique().sort()))
        caption = (
            "Mean over the region sets and its 95 % interval (bootstrap over factors, biosamples "
            "and seeds, or over experiments where these are not known). "
            + "; ".join(f"{key} {value}" for key, value in facts.items() if value)
            + "."
        )
        return TextTable.pivot(
            results,
            ("task", "split", "subset", "data", "model", "seeds"),
            {**columns, "sets": pl.col("n_sets").last()},
            caption=caption,
        )


def _sets_file(path: str | Path) -> Path:
    return Path(path).with_suffix(".sets.parquet")


def _cell(value: float, low: float, high: float) -> str:
    """Write value and interval with three significant digits of the value, such as 0.0312.

    >>> _cell(0.5123, 0.4911, 0.5301)
    '0.512 [0.491, 0.530]'
    """
    size = abs(value)
    decimals = 3 if size == 0 else min(6, max(0, 2 - math.floor(math.log10(size))))
    return format_interval(value, low, high, decimals=decimals)
