"""The results table: a row per model and metric, with interval and provenance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from genoglot.errors import GenoglotError
from genoglot.evaluation.intervals import bootstrap_interval, drawn_whole
from genoglot.files import atomic_path
from genoglot.models.regions_to_text.calibration import expected_calibration_error
from genoglot.permissions import explains_denial

if TYPE_CHECKING:
    from rich.table import Table as RichTable

# What a per-set row is about; its other columns are metrics.
MODEL = ("task", "split", "subset", "data", "model", "kind")
RUN = (*MODEL, "seed")
UNBOUNDED = ("fold_enrichment",)  # other metrics are between 0 and 1
SET = ("id", "group", "factor", "biosample", "n_tokens", "probability")


@dataclass(frozen=True)
class Result:
    """One row of the results table.

    Attributes
    ----------
    task, model, kind, split, subset
        What was evaluated (a model's name in the table, and its kind), and on which sets.
    metric
        Such as "average_precision"; see `genoglot.evaluation.metrics.Ranking`.
    value, low, high
        Mean over the region sets and its 95 % bootstrap interval.
    n_sets
        Number of region sets.
    data
        Digest of the atlas.
    commit
        Of the code, or its version.
    seeds
        Seeds that the model was fitted with; several in a pooled row.
    hardware
        Machine.
    seconds
        Wall time of scoring all descriptions, with all seeds.
    """

    task: str
    model: str
    kind: str
    split: str
    subset: str
    metric: str
    value: float
    low: float
    high: float
    n_sets: int
    data: str
    commit: str
    seeds: tuple[int, ...]
    hardware: str
    seconds: float


RESULT_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("task", "model", "kind", "split", "subset", "metric"), pl.String()),
        **dict.fromkeys(("value", "low", "high"), pl.Float64()),
        "n_sets": pl.Int64(),
        **dict.fromkeys(("data", "commit"), pl.String()),
        "seeds": pl.List(pl.Int64()),
        "hardware": pl.String(),
        "seconds": pl.Float64(),
    }
)


def summarize(
    per_set: pl.DataFrame, *, commit: str, hardware: str, seconds: float, seed: int = 0
) -> list[Result]:
    """Results of one model, one per metric.

    Parameters
    ----------
    per_set
        Rows of `Table.per_set` of one model, of one or several seeds.
    commit, hardware, seconds
        As in `Result`.
    seed
        Of the bootstrap.
    """
    about = per_set.select(MODEL).row(0, named=True)
    results = []
    for metric in _metrics(per_set):
        rows = per_set.drop_nulls(metric)
        if not len(rows):
            continue
        groups, crossed = drawn_whole(rows)
        interval = bootstrap_interval(
            rows[metric].to_numpy(),
            groups=groups,
            crossed=crossed,
            runs=rows["seed"].to_numpy(),
            share=metric not in UNBOUNDED,
            seed=seed,
        )
        results.append(
            Result(
                **about,
                metric=metric,
                value=interval.mean,
                low=interval.low,
                high=interval.high,
                n_sets=rows["id"].n_unique(),
                commit=commit,
                seeds=tuple(rows["seed"].unique().sort().to_list()),
                hardware=hardware,
                seconds=seconds,
            )
        )
    if (sure := _calibration_error(per_set)) is not None:
        # No mean over sets, so that the bootstrap of means has no interval for it.
        results.append(replace(results[0], metric="ECE", value=sure, low=math.nan, high=math.nan))
    return results


def _calibration_error(per_set: pl.DataFrame) -> float | None:
    """Return the expected calibration error, where answers have probabilities."""
    if "probability" not in per_set.columns:
        return None
    told = per_set.drop_nulls(["probability", "accuracy"])
    return expected_calibration_error(told["probability"], told["accuracy"]) if len(told) else None


@dataclass(frozen=True, eq=False)
class Table:
    """Results with the per-set measures they are made of. Made by `evaluate`.

    Attributes
    ----------
    results
        A row per `Result`, with its fields as columns.
    per_set
        A row per model, seed and region set: task, split, subset, data, model, kind, seed; the
        set's id, group (experiment), factor, biosample and n_tokens (true regions); of an
        annotator's answer, its probability; and a column per metric.
    """

    results: pl.DataFrame
    per_set: pl.DataFrame

    @classmethod
    def of(cls, results: Iterable[Result], per_set: pl.DataFrame) -> Table:
        """Make a table of results."""
        rows = [asdict(result) for result in results]
        return cls(pl.DataFrame(rows, schema=RESULT_SCHEMA), per_set)

    @classmethod
    def concat(cls, tables: Iterable[Table]) -> Table:
        """Tables of several seeds, splits or models as one.

        What was evaluated several times with the same outcome, such as a baseline beside each
        seed of a model, is kept once.

        Raises
        ------
        GenoglotError
            If there are none, or the same model, seed and region set has differing measures.
        """
        tables = list(tables)
        if not tables:
            raise GenoglotError("no tables to put together")
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

    def pooled(self, seed: int = 0) -> Table:
        """Make one row of the seeds of each model, on each split and subset.

        The value is the mean over the region sets of all seeds. Its interval is that of both
        other sets and other seeds: see `bootstrap_interval`. More seeds on the same region sets
        do not make these more.

        Parameters
        ----------
        seed
            Of the bootstrap.
        """
        results: list[Result] = []
        for key, frame in self.per_set.group_by(MODEL, maintain_order=True):
            same = [pl.col(name) == value for name, value in zip(MODEL, key, strict=True)]
            runs = self.results.filter(*same).unique("seeds", maintain_order=True)
            results += summarize(
                frame,
                commit=_distinct(runs["commit"]),
                hardware=_distinct(runs["hardware"]),
                seconds=float(runs["seconds"].sum()),
                seed=seed,
            )
        return Table.of(results, self.per_set)

    def __iter__(self) -> Iterator[Result]:
        for row in self.results.iter_rows(named=True):
            yield Result(**{**row, "seeds": tuple(row["seeds"])})

    def __len__(self) -> int:
        return len(self.results)

    def to_parquet(self, path: str | Path) -> None:
        """Write the results to `path` and the per-set measures beside it (``x.sets.parquet``)."""
        for frame, file in ((self.per_set, _sets_file(path)), (self.results, Path(path))):
            with atomic_path(file) as temporary:
                frame.write_parquet(temporary)

    @classmethod
    @explains_denial
    def from_parquet(cls, path: str | Path) -> Table:
        """Read what `to_parquet` wrote.

        Raises
        ------
        GenoglotError
            If a file is missing or not a results table.
        """
        frames = []
        for file, columns in ((Path(path), RESULT_SCHEMA.names()), (_sets_file(path), [*RUN])):
            try:
                frame = pl.read_parquet(file.absolute(), glob=False)
            except (OSError, pl.exceptions.PolarsError) as error:
                problem = str(error).splitlines()[0]
                raise GenoglotError(f"{file}: no results table ({problem})") from None
            if missing := [name for name in columns if name not in frame.columns]:
                raise GenoglotError(f"{file}: no results table: it has no column {missing[0]!r}")
            frames.append(frame)
        return cls(*frames)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Write one row per model, with the metrics as columns, and the provenance below.

        Parameters
        ----------
        path
            A file to write it to, too.
        """
        header, rows = self._cells()
        lines = [header, ["---"] * len(header), *rows]
        text = "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
        )
        text += f"\n\n{self._caption()}\n"
        if path is not None:
            with atomic_path(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return text

    def __rich__(self) -> RichTable:
        """Show it in a terminal, with ``rich.print``."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        header, rows = self._cells()
        shown = RichTable(caption=Text(self._caption()), box=box.SIMPLE, padding=0)
        for column in zip((name.replace("@", " @") for name in header), *rows, strict=True):
            # Cells break between words, never within a figure: all fits into 80 columns.
            longest = max(len(word) for cell in column for word in cell.split())
            shown.add_column(column[0], min_width=longest)
        for row in rows:
            shown.add_row(*map(Text, row))  # as text: "[0.1, 0.2]" is no markup
        return shown

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Header and one row per model; what all rows share is left out."""
        keys = ["task", "split", "subset", "data", "model", "seeds"]
        rows: dict[tuple[str, ...], dict[str, str]] = {}
        for result in self:
            seeds = " ".join(map(str, result.seeds))
            key = (result.task, result.split, result.subset, result.data[:12], result.model, seeds)
            row = rows.setdefault(key, dict(zip(keys, key, strict=True)))
            row[result.metric] = _cell(result)
            row["sets"] = str(result.n_sets)
        shown = [k for i, k in enumerate(keys) if k == "model" or len({r[i] for r in rows}) > 1]
        metrics = self.results["metric"].unique(maintain_order=True).to_list()
        columns = [*shown, *metrics, "sets"]
        header = [name.replace("_", " ") for name in columns]
        return header, [[row.get(name, "") for name in columns] for row in rows.values()]

    def _caption(self) -> str:
        about = {
            key: _distinct(self.results[key])
            for key in ("task", "split", "subset", "commit", "hardware")
        }
        about["data"] = _distinct(self.results["data"].str.head(12))
        about["seeds"] = ", ".join(map(str, self.results["seeds"].explode().unique().sort()))
        facts = "; ".join(f"{key} {value}" for key, value in about.items() if value)
        return (
            "Mean over the region sets and its 95 % interval (bootstrap over factors, biosamples "
            f"and seeds, or over experiments where these are not known). {facts}."
        )


def _metrics(per_set: pl.DataFrame) -> list[str]:
    return [name for name in per_set.columns if name not in (*RUN, *SET)]


def _sets_file(path: str | Path) -> Path:
    return Path(path).with_suffix(".sets.parquet")


def _distinct(values: pl.Series) -> str:
    return ", ".join(value for value in values.unique(maintain_order=True) if value)


def _cell(result: Result) -> str:
    """Value and interval with three significant digits of the value, such as 0.0312.

    >>> from types import SimpleNamespace
    >>> _cell(SimpleNamespace(value=0.5123, low=0.4911, high=0.5301))
    '0.512 [0.491, 0.530]'
    """
    size = abs(result.value)
    decimals = 3 if size == 0 else min(6, max(0, 2 - math.floor(math.log10(size))))
    value, low, high = (f"{x:.{decimals}f}" for x in (result.value, result.low, result.high))
    return value if math.isnan(result.low) else f"{value} [{low}, {high}]"
