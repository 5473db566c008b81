from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genoglot.atlas import Atlas, make_split
from genoglot.errors import AtlasError, GenoglotError, ModelError, UniverseMismatchError
from genoglot.evaluation import evaluate, region_metrics
from genoglot.evaluation.provenance import code_version, hardware
from genoglot.regions import Regions, Universe

N_SETS, SIZE = 24, 300


@dataclass
class Model:
    """A model that scores a text by a function of it."""

    universe: Universe
    answer: Callable[[str], np.ndarray]
    model_type: str = "by-hand"
    asked: list[list[str]] = field(default_factory=list)

    def score(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.append(list(texts))
        return np.stack([self.answer(text) for text in texts]).astype(np.float32)


def a_universe(size: int = SIZE) -> Universe:
    start = np.arange(size) * 1000
    lengths = np.random.default_rng(0).integers(100, 400, size)
    return Universe(Regions(["chr1"] * size, start, start + lengths), genome="hg38")


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    """24 sets in 8 experiments; number 5 is empty; twins 0 and 1 share a description."""
    rng = np.random.default_rng(1)
    sets = [np.sort(rng.choice(SIZE, rng.integers(5, 60), replace=False)) for _ in range(N_SETS)]
    sets[5] = np.empty(0, np.int64)
    about = pl.DataFrame(
        {
            "id": [f"set{i}" for i in range(N_SETS)],
            "description": [f"peaks of experiment {max(i, 1)}" for i in range(N_SETS)],
            "group": [f"experiment{i // 3}" for i in range(N_SETS)],
        }
    )
    return Atlas.from_sets(tmp_path / "atlas", a_universe(), about, sets)


@pytest.fixture
def oracle(atlas: Atlas) -> Model:
    """Knows the region set of each description (of twins, the second)."""
    presence = dict(zip(atlas.descriptions(), atlas.presence().toarray(), strict=True))
    return Model(atlas.universe, lambda text: presence[text], model_type="oracle")


@pytest.fixture
def guess(atlas: Atlas) -> Model:
    def answer(text: str) -> np.ndarray:
        return np.random.default_rng(list(text.encode())).random(SIZE)

    return Model(atlas.universe, answer, model_type="random")


def test_the_truth_gets_full_marks_and_a_guess_the_background(
    atlas: Atlas, oracle: Model, guess: Model
) -> None:
    table = evaluate({"truth": oracle, "guess": guess}, atlas, np.arange(1, N_SETS), n=10)
    value = {(r["model"], r["metric"]): r for r in table.results.rows(named=True)}
    for metric in ("average_precision", "region_jaccard", "base_pair_jaccard"):
        assert value["truth", metric]["value"] == 1
        assert value["guess", metric]["value"] < 0.4
    assert value["guess", "fold_enrichment"]["value"] == pytest.approx(1, abs=0.5)
    assert value["guess", "average_precision"]["low"] < value["guess", "average_precision"]["value"]
    assert set(table.results["n_sets"]) == {N_SETS - 2}
    assert table.results["model"].to_list()[::6] == ["truth", "guess"]


def test_per_set_measures_are_those_of_each_set(atlas: Atlas, guess: Model) -> None:
    table = evaluate({"guess": guess}, atlas, n=20, batch=5)
    lengths = atlas.universe.regions.end - atlas.universe.regions.start
    rows = [i for i in range(N_SETS) if i != 5]
    assert table.per_set["id"].to_list() == [f"set{i}" for i in rows]
    for i, row in zip(rows, table.per_set.iter_rows(named=True), strict=True):
        scores = guess.answer(atlas.descriptions([i])[0]).astype(np.float32)
        expected = region_metrics(scores, atlas.tokens(i), lengths, 20)
        got = list(row.values())[-6:]
        assert got == pytest.approx(list(expected))
        assert (row["group"], row["n_tokens"]) == (f"experiment{i // 3}", len(atlas.tokens(i)))
    assert "precision@20" in table.per_set.columns


def test_batches_do_not_change_the_outcome_and_texts_are_scored_once(
    atlas: Atlas, guess: Model
) -> None:
    tables = [evaluate({"guess": guess}, atlas, batch=batch) for batch in (1, 7, 100)]
    assert tables[0].per_set.equals(tables[1].per_set)
    assert tables[0].per_set.equals(tables[2].per_set)
    assert [len(texts) for texts in guess.asked[-1:]] == [N_SETS - 2]  # twins ask once
    assert max(len(texts) for texts in guess.asked[N_SETS - 2 : -1]) == 7


def test_empty_sets_are_left_out_with_a_notice(
    atlas: Atlas, guess: Model, caplog: pytest.LogCaptureFixture
) -> None:
    table = evaluate({"guess": guess}, atlas, [4, 5, 6])
    assert table.per_set["id"].to_list() == ["set4", "set6"]
    assert "1 of 3 region sets" in caplog.text
    assert "set5" in caplog.text
    with pytest.raises(AtlasError, match="no region set to evaluate on"):
        evaluate({"guess": guess}, atlas, [5])


def test_the_subset_of_a_split_is_evaluated_on(atlas: Atlas, guess: Model) -> None:
    held = atlas.add_split(make_split(atlas.metadata, "random-group", test=0.25, validation=0.15))
    for subset in ("test", "validation"):
        table = evaluate({"guess": guess}, atlas, split="random-group", subset=subset)
        rows = [i for i in getattr(held, subset) if i != 5]
        assert table.per_set["id"].to_list() == [f"set{i}" for i in rows]
        assert set(table.results.select("split", "subset").rows()) == {("random-group", subset)}
    assert set(evaluate({"guess": guess}, atlas).results["subset"]) == {"all"}
    with pytest.raises(AtlasError, match="no subset 'tests'"):
        evaluate({"guess": guess}, atlas, split="random-group", subset="tests")
    with pytest.raises(AtlasError, match="no split"):
        evaluate({"guess": guess}, atlas, split="other")


def test_rows_as_mask_or_indices(atlas: Atlas, guess: Model) -> None:
    mask = np.zeros(N_SETS, bool)
    mask[[2, 9, 11]] = True
    by_mask = evaluate({"guess": guess}, atlas, mask).per_set
    assert by_mask.equals(evaluate({"guess": guess}, atlas, [11, 2, 9]).per_set)
    with pytest.raises(AtlasError, match="no region set"):
        evaluate({"guess": guess}, atlas, [N_SETS])
    with pytest.raises(AtlasError, match="mask"):
        evaluate({"guess": guess}, atlas, np.ones(3, bool))


def test_another_universe_is_refused_before_anything_is_scored(atlas: Atlas, guess: Model) -> None:
    stranger = Model(a_universe(SIZE - 1), guess.answer)
    with pytest.raises(UniverseMismatchError, match="model 'stranger'"):
        evaluate({"guess": guess, "stranger": stranger}, atlas)
    assert guess.asked == []


def test_bad_scores_are_refused_with_the_name_of_the_model(atlas: Atlas) -> None:
    short = Model(atlas.universe, lambda text: np.zeros(7))
    with pytest.raises(ModelError, match=r"^model 'short': scores of shape \(16, 7\)"):
        evaluate({"short": short}, atlas)
    broken = Model(atlas.universe, lambda text: np.full(SIZE, np.nan))
    with pytest.raises(ModelError, match=r"^model 'broken': .*NaN"):
        evaluate({"broken": broken}, atlas)
    with pytest.raises(GenoglotError, match="at least one model"):
        evaluate({}, atlas)
    with pytest.raises(GenoglotError, match="batch 0"):
        evaluate({"broken": broken}, atlas, batch=0)


def test_a_result_says_where_it_comes_from(atlas: Atlas, guess: Model) -> None:
    result = evaluate({"guess": guess}, atlas, seed=3, task="peaks").results.row(0, named=True)
    expected = {"task": "peaks", "model_type": "random", "seeds": [3], "data": atlas.digest}
    expected |= {"commit": code_version(), "hardware": hardware()}
    assert expected.items() <= result.items()
    assert result["seconds"] > 0


def test_memory_is_that_of_a_batch_of_scores(tmp_path: Path) -> None:
    size = 100_000
    universe = a_universe(size)
    about = pl.DataFrame({"description": [f"set {i}" for i in range(40)]})
    rng = np.random.default_rng(0)
    sets = [np.sort(rng.choice(size, 1000, replace=False)) for _ in range(40)]
    atlas = Atlas.from_sets(tmp_path / "large", universe, about, sets)

    class Wide:
        model_type = "wide"

        def __init__(self) -> None:
            self.universe = atlas.universe

        def score(self, texts: Sequence[str]) -> np.ndarray:
            return rng.random((len(texts), size), dtype=np.float32)

    wide = Wide()
    evaluate({"wide": wide}, atlas, [0])  # universe and lazily imported modules are loaded now
    tracemalloc.start()
    evaluate({"wide": wide}, atlas, batch=8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.9 * 8 * size * 4  # never two batches at once


def test_heavy_packages_are_not_loaded() -> None:
    code = (
        "import sys, genoglot.evaluation as e; from genoglot.evaluation.provenance import *; "
        "code_version(), hardware(); "
        "print([m for m in ('torch', 'sklearn', 'matplotlib', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
