from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from genoglot.errors import GenoglotError
from genoglot.evaluation import ResultsTable, bootstrap_interval, metric_names
from genoglot.evaluation.results import summarize


def run(
    model: str = "ridge", seed: int = 0, split: str = "groups", shift: float = 0.0
) -> ResultsTable:
    """A model's results on 20 region sets in 10 experiments."""
    difficulty = np.random.default_rng(0).random(20)
    luck = np.random.default_rng([seed, len(model)]).normal(0, 0.02, 20)
    per_set = pl.DataFrame(
        {
            "task": "text-to-regions",
            "split": split,
            "subset": "test",
            "data": "0123456789abcdef",
            "model": model,
            "model_type": model,
            "seed": seed,
            "id": [f"set{i}" for i in range(20)],
            "group": [f"experiment{i // 2}" for i in range(20)],
            "n_tokens": 100,
            "average_precision": difficulty + luck + shift,
            "fold_enrichment": 20 * difficulty,
        }
    )
    return ResultsTable(
        summarize(per_set, commit=f"c0ffee{seed}", hardware="one machine", seconds=2.0), per_set
    )


def test_results_are_means_with_intervals_over_experiments() -> None:
    table = run()
    first = table.results.row(0, named=True)
    values = table.per_set["average_precision"].to_numpy()
    interval = bootstrap_interval(values, groups=table.per_set["group"].to_numpy())
    assert (first["metric"], first["n_sets"], first["seeds"]) == ("average_precision", 20, [0])
    assert (first["value"], first["low"], first["high"]) == interval
    assert len(table.results) == 2
    assert table.results["metric"].to_list() == ["average_precision", "fold_enrichment"]


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    table = ResultsTable.concat([run(), run("diffusion", seed=1)])
    table.to_parquet(tmp_path / "out" / "results.parquet")
    again = ResultsTable.from_parquet(tmp_path / "out" / "results.parquet")
    assert again.results.equals(table.results)
    assert again.per_set.equals(table.per_set)
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["results.parquet", "results.sets.parquet"]


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GenoglotError, match="results table"):
        ResultsTable.from_parquet(tmp_path / "missing.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(GenoglotError, match="results table"):
        ResultsTable.from_parquet(tmp_path / "text.parquet")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(GenoglotError, match="no column 'task'"):
        ResultsTable.from_parquet(tmp_path / "other.parquet")
    with pytest.raises(GenoglotError, match="no tables to put together"):
        ResultsTable.concat([])


def test_markdown_has_a_row_per_model_and_a_column_per_metric(tmp_path: Path) -> None:
    table = ResultsTable.concat([run(), run("diffusion", shift=-0.3)])
    text = table.to_markdown(tmp_path / "table.md")
    assert (tmp_path / "table.md").read_text() == text
    header, _, ridge, diffusion, _, caption = text.strip().split("\n")
    assert header == "| model | average precision | fold enrichment | sets |"
    first = table.results.row(0, named=True)
    cell = "{value:.3f} [{low:.3f}, {high:.3f}]".format(**first)
    assert ridge.startswith(f"| ridge | {cell} | ")
    assert ridge.endswith("| 20 |")
    assert diffusion.startswith("| diffusion | ")
    for fact in ("text-to-regions", "groups", "test", "0123456789ab", "c0ffee0", "one machine"):
        assert fact in caption
    assert "0123456789abc" not in text


def test_what_differs_between_rows_gets_a_column() -> None:
    text = ResultsTable.concat([run(), run(seed=1), run(split="biosamples")]).to_markdown()
    assert text.startswith("| split | model | seeds | average precision |")
    assert "| groups | ridge | 1 | " in text
    assert "| biosamples | ridge | 0 | " in text


def test_small_and_large_figures_keep_three_digits() -> None:
    result = run().results.row(0, named=True)
    figures = [(0.012345, 0.0111, 0.0139), (123.45, 99.9, 150.2), (0.0, 0.0, 0.1)]
    rows = [
        {**result, "model": str(i), "value": value, "low": low, "high": high}
        for i, (value, low, high) in enumerate(figures)
    ]
    one = {**result, "model": "one experiment", "value": 0.5, "low": np.nan, "high": np.nan}
    text = ResultsTable(pl.DataFrame([*rows, one]), run().per_set).to_markdown()
    for cell in (
        "| 0.0123 [0.0111, 0.0139] |",
        "| 123 [100, 150] |",
        "| 0.000 [0.000, 0.100] |",
        "| one experiment | 0.500 |",
    ):
        assert cell in text


def test_the_terminal_shows_the_same() -> None:
    out = io.StringIO()
    Console(file=out, width=200).print(run())
    first = run().results.row(0, named=True)
    assert "{value:.3f} [{low:.3f}, {high:.3f}]".format(**first) in out.getvalue()
    assert "average precision" in out.getvalue()


def test_a_narrow_terminal_cuts_no_figure() -> None:
    result = run("popularity").results.row(0, named=True)
    rows = [
        {**result, "metric": metric, "value": 0.01234, "low": 0.01, "high": 0.02}
        for metric in metric_names(1000)
    ]
    out = io.StringIO()
    Console(file=out, width=80).print(ResultsTable(pl.DataFrame(rows), run().per_set))
    assert out.getvalue().count("0.0200]") == 6
    assert "…" not in out.getvalue()


def test_a_metric_that_a_model_lacks_is_left_blank() -> None:
    other = run("diffusion")
    lacking = ResultsTable(
        other.results.filter(pl.col("metric") != "fold_enrichment"),
        other.per_set.drop("fold_enrichment"),
    )
    table = ResultsTable.concat([run(), lacking])
    assert "|  | 20 |" in table.to_markdown()
    assert table.pooled().results["metric"].to_list() == [
        "average_precision",
        "fold_enrichment",
        "average_precision",
    ]


def test_seeds_are_pooled_into_one_row() -> None:
    table = ResultsTable.concat([run("a", seed=seed) for seed in range(3)] + [run("b")])
    pooled = table.pooled()
    a = pooled.results.row(0, named=True)
    per_seed = table.results.filter(model="a", metric="average_precision")["value"]
    assert len(per_seed) == 3
    assert a["value"] == pytest.approx(per_seed.mean())
    assert (a["seeds"], a["n_sets"], a["seconds"]) == ([0, 1, 2], 20, 6.0)
    assert a["commit"] == "c0ffee0, c0ffee1, c0ffee2"
    assert pooled.results.select("model", "seeds").rows()[::2] == [("a", [0, 1, 2]), ("b", [0])]
    assert pooled.pooled().results.equals(pooled.results)


def test_more_seeds_on_the_same_sets_do_not_make_an_interval_much_narrower() -> None:
    """The sets differ far more than the seeds, and there are no more of them."""
    one = run("a").results.row(0, named=True)
    pooled = ResultsTable.concat([run("a", seed=seed) for seed in range(10)]).pooled()
    ten = pooled.results.row(0, named=True)
    assert ten["high"] - ten["low"] > 0.85 * (one["high"] - one["low"])


def test_splits_are_not_pooled() -> None:
    pooled = ResultsTable.concat([run(seed=0), run(seed=1), run(split="biosamples")]).pooled()
    assert pooled.results["split"].to_list()[::2] == ["groups", "biosamples"]


def test_what_was_evaluated_twice_alike_is_kept_once() -> None:
    table = ResultsTable.concat([run(), run("diffusion"), run()])
    assert len(table.results) == 4
    assert len(table.per_set) == 40
    with pytest.raises(GenoglotError, match="evaluated twice on region set 'set0'"):
        ResultsTable.concat([run(), run(shift=0.1)])
