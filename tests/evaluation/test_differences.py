"""Tables of paired differences."""

import numpy as np
import polars as pl
import pytest

from genoglot.errors import GenoglotError
from genoglot.evaluation import (
    ResultsTable,
    differences_markdown,
    paired_difference,
    paired_differences,
)
from genoglot.evaluation.results import summarize

HARD = np.random.default_rng(0).random(24)


def results(model: str, shift: float, split: str = "groups") -> ResultsTable:
    """A model's results on 24 region sets, of six factors in four biosamples."""
    noise = np.random.default_rng(len(model)).normal(0, 0.02, 24)
    about = {
        **dict.fromkeys(("task", "subset", "data"), "same"),
        "split": split,
        "model": model,
        "model_type": model,
        "seed": 0,
    }
    per_set = pl.DataFrame(
        {
            **about,
            "id": [f"set{i}" for i in range(24)],
            "group": [f"experiment{i}" for i in range(24)],
            "factor": [f"factor{i % 6}" for i in range(24)],
            "biosample": [f"biosample{i // 6}" for i in range(24)],
            "n_tokens": 10,
            "average_precision": HARD + shift + noise,
            "fold_enrichment": 10 * HARD,
        }
    )
    return ResultsTable(summarize(per_set, commit="c", hardware="h", seconds=0.0), per_set)


def test_every_model_is_compared_with_the_baseline_set_by_set() -> None:
    table = ResultsTable.concat(
        [results("ridge", 0), results("direct", 0.1), results("nearest", -0.2)]
    )
    found = paired_differences(table, "ridge")
    assert found.select("model", "metric", "sets").rows() == [
        ("direct", "average_precision", 24),
        ("nearest", "average_precision", 24),
    ]
    direct, nearest = found.select("difference", "low", "high").rows()
    assert direct == paired_difference(table.per_set, "direct", "ridge", "average_precision")
    assert 0 < direct[1] < 0.1 < direct[2] < 0.15 and nearest[2] < 0
    header, _, first, second = differences_markdown(found).splitlines()
    assert header == "| model | average precision less that of ridge | sets |"
    mean, low, high = direct
    assert first == f"| direct | {mean:.3f} [{low:.3f}, {high:.3f}] | 24 |"
    assert second.startswith("| nearest | -0.")


def test_splits_are_compared_apart_and_named() -> None:
    splits = ("unseen-combination", "unseen-biosample")
    table = ResultsTable.concat(
        results(model, shift, split)
        for split in splits
        for model, shift in (("ridge", 0), ("direct", 0.1))
    )
    found = paired_differences(table, "ridge", ["average_precision", "fold_enrichment"])
    assert set(found["split"]) == set(splits) and len(found) == 4
    lines = differences_markdown(found).splitlines()
    assert lines[0].startswith("| split | model | average precision less that of ridge | fold")
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {split}" for split in splits]


def test_no_baseline_no_difference() -> None:
    table = ResultsTable.concat([results("ridge", 0), results("direct", 0.1)])
    with pytest.raises(GenoglotError, match=r"'oracle'.*ridge, direct"):
        paired_differences(table, "oracle")
    with pytest.raises(GenoglotError, match="nothing to compare"):
        paired_differences(results("ridge", 0), "ridge")
