"""Tables and paired differences of several results files: what docs/results prints.

    python experiments/compare.py results/combinations.*.parquet --against ridge ridge-equal \
        [--models direct ridge popularity] [--pool] [--figure FILE.svg]

The files are those of experiments/text_to_regions.py or `genoglot evaluate -o`. Folds of one atlas
are pooled; with `--pool`, different atlases (worlds), too. The labels of two worlds are
independent, so that a factor of one world is not the factor with the same name in another.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl

from genoglot.evaluation import ResultsTable, differences_markdown, paired_differences
from genoglot.reports.plots import plot_intervals

LABELS = ("id", "group", "factor", "biosample")


def as_one(table: ResultsTable) -> ResultsTable:
    """The same table as if all atlases were one."""
    labels = [
        pl.when(pl.col(name) != "").then(pl.col("data") + " " + pl.col(name)).otherwise(pl.lit(""))
        for name in LABELS
    ]
    named = [label.alias(name) for label, name in zip(labels, LABELS, strict=True)]
    same = pl.lit("all").alias("data")
    per_set = table.per_set.with_columns(named).with_columns(same, pl.lit(0).alias("seed"))
    return ResultsTable(table.results.with_columns(same), per_set)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--against", nargs="*", default=[], help="baselines to compare with")
    parser.add_argument("--models", nargs="+", help="which models, in the order of the table")
    parser.add_argument("--metrics", nargs="+", help="metrics of the table; default all")
    parser.add_argument("--within", help="COLUMN=VALUE that sets must have, such as factor=CTCF")
    parser.add_argument("--pool", action="store_true", help="different atlases as one")
    parser.add_argument("--figure", type=Path, help="figure of the average precision")
    parser.add_argument("--highlight", nargs="*", default=[], help="models to draw in color")
    options = parser.parse_args()
    files = [file for file in options.files if not file.name.endswith(".sets.parquet")]
    table = ResultsTable.concat(ResultsTable.from_parquet(file) for file in files)
    if options.within:
        column, value = options.within.split("=", 1)
        table = ResultsTable(table.results, table.per_set.filter(pl.col(column) == value))
    if options.models:
        order = pl.Enum(options.models)
        table = ResultsTable(*(
            frame.filter(pl.col("model").is_in(options.models))
            .sort(pl.col("model").cast(order), maintain_order=True)
            for frame in (table.results, table.per_set)
        ))  # fmt: skip
    table = (as_one(table) if options.pool else table).pooled()
    if options.metrics:
        results = table.results.filter(pl.col("metric").is_in(options.metrics))
        rank = pl.col("metric").cast(pl.Enum(options.metrics))
        results = results.with_row_index("row").sort(
            pl.col("row") // len(options.metrics), rank, maintain_order=True
        )
        table = ResultsTable(results.drop("row"), table.per_set)
    print(table.to_markdown())
    for baseline in options.against:
        found = paired_differences(table, baseline)
        print(differences_markdown(found) + "\n")
    if options.figure:
        figure = plot_intervals(table.results, "average_precision", highlight=options.highlight)
        figure.savefig(options.figure)


if __name__ == "__main__":
    main()
