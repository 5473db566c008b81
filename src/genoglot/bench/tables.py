"""`RecipeTables`: the results of a benchmark as tables, beside published figures."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import polars as pl

from genoglot.bench.recipe import Configuration, PublishedFigure, Recipe
from genoglot.bench.results import read_results
from genoglot.bench.workspace import digest_of
from genoglot.errors import TaskError
from genoglot.evaluation.text_table import TextTable, distinct, format_interval
from genoglot.tasks.registry import TASKS

if TYPE_CHECKING:
    from rich.console import RenderableType

AXES = Configuration._fields


@dataclass(frozen=True)
class RecipeTables:
    """The tables of one recipe at one size, one for each dataset. Made by `RecipeTables.read`.

    Attributes
    ----------
    title
        Title of the recipe.
    results
        One row per dataset, configuration and metric: mean over the seeds, mean of the bounds of
        their 95 % bootstrap intervals over test examples, minimum and maximum of the seeds; and one
        row per published value.
    tables
        The results as text.
    caption
        What the tables show, and what the runs were run with.
    """

    title: str
    results: pl.DataFrame
    tables: tuple[TextTable, ...]
    caption: str

    @classmethod
    def read(cls, out: str | Path) -> list[Self]:
        """Read the results of a benchmark.

        Parameters
        ----------
        out
            Folder that `genoglot bench run` has written.

        Returns
        -------
        list of RecipeTables
            One for each recipe and size.

        Raises
        ------
        TaskError
            If there are no results.
        """
        runs = read_results(out)
        if not len(runs):
            raise TaskError(f"{out}: no results in this folder; make some (genoglot bench run)")
        found = []
        for (name, size), rows in runs.group_by(["recipe", "size"], maintain_order=True):
            recipe = Recipe.read_copy(out, str(name))
            datasets = rows.group_by(["dataset", "split", "digest"], maintain_order=True)
            frames, tables = zip(*(_table(recipe, same) for _, same in datasets), strict=True)
            results = pl.concat(frames, how="vertical_relaxed")
            found.append(cls(recipe.title, results, tables, _caption(str(size), rows)))
        return found

    def to_markdown(self) -> str:
        """Write all tables, with titles and captions."""
        tables = (
            f"### {table.title}\n\n{table.to_markdown()}\n\n{table.caption}"
            for table in self.tables
        )
        return "\n\n".join([f"## {self.title}", *tables, self.caption]) + "\n"

    def __rich__(self) -> RenderableType:
        """Return the tables for a terminal: shown by ``rich.print``."""
        from rich.console import Group
        from rich.text import Text

        return Group(Text(self.title, style="bold"), *self.tables, Text(self.caption))


def to_csv(tables: Iterable[RecipeTables]) -> str:
    """Write the `results` of several recipes as one CSV."""
    return pl.concat([one.results for one in tables], how="vertical_relaxed").write_csv()


def _table(recipe: Recipe, runs: pl.DataFrame) -> tuple[pl.DataFrame, TextTable]:
    """Make the results, and the table, of the runs on one split of a dataset."""
    first = runs.row(0, named=True)
    task = TASKS[first["task"]]
    metrics = [name for name in task.metrics if runs[name].is_not_null().any()]
    figures, source = _published(recipe, first["dataset"], metrics)
    if source and first["split"] != task.split:
        source += f", of split {task.split}" if task.split else ", of a split that is not known"
    own = _results(runs, metrics)
    published = pl.DataFrame(list(_records(figures, recipe.name)), schema=own.schema)
    results = pl.concat([own, published])
    caption = _facts(runs, source)
    return results.drop("line"), _text_table(results, metrics, first["dataset"], caption)


def _results(runs: pl.DataFrame, metrics: list[str]) -> pl.DataFrame:
    """One row per configuration and metric, over all seeds."""
    groups = [*AXES, "settings"]
    frames = []
    for number, metric in enumerate(metrics):
        ends = {"value": metric, "low": f"{metric}_low", "high": f"{metric}_high"}
        frame = runs.group_by(groups, maintain_order=True).agg(
            pl.first("recipe", "size", "dataset", "split", "parameters"),
            pl.col("seed").sort().cast(pl.String).str.join(" ").alias("seeds"),
            *(pl.mean(column).fill_null(math.nan).alias(end) for end, column in ends.items()),
            pl.min(metric).fill_null(math.nan).alias("minimum"),
            pl.max(metric).fill_null(math.nan).alias("maximum"),
            pl.col("validation", "without_duplicates", "seconds").drop_nans().mean(),
        )
        main = pl.lit(value=number == 0)
        frames.append(
            frame.with_row_index("line").with_columns(
                pl.lit(metric).alias("metric"),
                pl.when(main).then("without_duplicates").alias("without_duplicates"),
                (pl.col("validation") == pl.max("validation"))
                .fill_null(value=False)
                .alias("best_on_validation"),
                pl.col("settings").map_elements(
                    lambda text: digest_of(json.loads(text)), return_dtype=pl.String
                ),
            )
        )
    columns = ["line", "recipe", "size", "dataset", "split", *AXES, "metric", "value", "low"]
    columns += ["high", "minimum", "maximum", "validation", "without_duplicates"]
    columns += ["best_on_validation", "seeds", "parameters", "seconds", "settings"]
    return pl.concat(frames).sort("line", maintain_order=True).select(columns)


def _text_table(results: pl.DataFrame, metrics: list[str], dataset: str, caption: str) -> TextTable:
    """Make one row per configuration; axes on which all configurations agree are left out."""
    own = results.filter(pl.col("seeds") != "")
    axes = [axis for axis in AXES if axis == "model" or own[axis].drop_nulls().n_unique() > 1]
    several_settings = own.select(AXES).n_unique() < own["line"].n_unique()
    texts = [
        {
            **{axis: _shown(row[axis]) for axis in AXES},
            "line": str(row["line"]),
            "settings": row["settings"][:6],
            "metric": row["metric"],
            "cell": format_interval(row["value"], row["low"], row["high"]),
            "min-max": _range(row),
            "without duplicates": format_interval(row["without_duplicates"]),
            "validation": format_interval(row["validation"])
            + (" *" if row["best_on_validation"] else ""),
            "seeds": row["seeds"],
        }
        for row in results.rows(named=True)
    ]
    main, *others = metrics
    of_main = pl.col("metric") == main
    columns = {
        main: pl.col("cell").filter(of_main).first(),
        "min-max": pl.col("min-max").filter(of_main).first(),
    }
    if own["without_duplicates"].is_not_null().any():
        columns["without duplicates"] = pl.col("without duplicates").filter(of_main).first()
    columns |= {name: pl.col("cell").filter(metric=name).first() for name in others}
    columns |= {f"validation {main}": pl.first("validation"), "seeds": pl.first("seeds")}
    shown = axes + (["settings"] if several_settings else [])
    return TextTable.pivot(
        pl.DataFrame(texts), ["line", *AXES, "settings"], columns,
        shown=shown, title=dataset, caption=caption,
    )  # fmt: skip


def _published(
    recipe: Recipe, dataset: str, metrics: list[str]
) -> tuple[list[PublishedFigure], str]:
    """List the published figures of a dataset, the recipe's before the task's, and the sources."""
    own = [figure for figure in recipe.figures if figure.dataset == dataset]
    sources = [recipe.published.source] if recipe.published and own else []
    values: dict[tuple[str, str], dict[str, float]] = {}
    for figure in TASKS[dataset.split("/")[0]].published_results(dataset.partition("/")[2]):
        if any(source.startswith(figure.source.partition(",")[0]) for source in sources):
            continue  # the same publication: the recipe has those of its figures that belong here
        values.setdefault((figure.model, figure.source), {})[figure.metric] = figure.value
    sources += dict.fromkeys(source for _, source in values)
    own += [PublishedFigure(dataset=dataset, model=m, values=v) for (m, _), v in values.items()]
    shown = [figure for figure in own if figure.values.keys() & set(metrics)]
    return shown, "; ".join(sources) if shown else ""


def _records(figures: list[PublishedFigure], recipe: str) -> Iterator[dict[str, Any]]:
    """Turn published figures into rows of the results."""
    for number, figure in enumerate(figures):
        for metric, value in figure.values.items():
            yield {
                **figure.model_dump(include=set(AXES)),
                "line": 2**31 + number,
                "recipe": recipe,
                "dataset": figure.dataset,
                "model": f"published: {figure.model}",
                "size": "published figures",
                "metric": metric,
                "value": value,
                "best_on_validation": False,
                "seeds": "",
                "settings": "",
            }


def _facts(runs: pl.DataFrame, source: str) -> str:
    """State what the runs of a table were run on."""
    first = runs.row(0, named=True)
    subsets = (
        f"{max(runs['n_train'].to_list()):,} examples of train, {first['n_validation']:,} of "
        f"validation, {first['n_test']:,} of test"
    )
    if first["n_duplicates"]:
        subsets += (
            f" ({first['n_duplicates']:,} of them duplicates, exact or near, of examples in the "
            "other subsets)"
        )
    facts = [f"Split {first['split']}", subsets, f"data {first['digest'][:12]}"]
    if groups := json.loads(first["settings"])["measured"]:
        facts.append(f"metrics of the outputs of the groups {groups}, if groups are known")
    if source:
        facts.append(f"published figures: {source}")
    simulated = " Simulated data: the figures say nothing about biology."
    return "; ".join(facts) + "." + (simulated if runs["simulated"].any() else "")


def _caption(size: str, runs: pl.DataFrame) -> str:
    """State what the tables show, and what the runs were run with."""
    text = (
        "Mean over the seeds and, in brackets, the 95 % interval of one trained model (bootstrap "
        "over test examples, its bounds averaged over the seeds); min-max is over the seeds. "
        "* is best on validation data; nothing is chosen by test data."
    )
    if size == "small":
        text += " Small size, trained for minutes: not the published size."
    names = ("commit", "version", "hardware")
    facts = "; ".join(f"{name} {distinct(runs[name])}" for name in names)
    return f"{text} {facts[0].upper()}{facts[1:]}."


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _range(row: dict[str, Any]) -> str:
    """Minimum and maximum, if there are several seeds."""
    if " " not in row["seeds"] or math.isnan(row["value"]):
        return ""
    return f"{row['minimum']:.3f}-{row['maximum']:.3f}"
