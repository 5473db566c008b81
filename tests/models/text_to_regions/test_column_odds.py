"""The baseline that adds up log-odds of columns of the sample sheet."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genoglot.atlas import Atlas
from genoglot.errors import ModelError, TextError
from genoglot.evaluation import evaluate
from genoglot.models import ColumnOdds, create
from genoglot.regions import Regions, Universe


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """Each factor in each organ; the log-odds of a region are a sum over both."""
    rng = np.random.default_rng(0)
    n, regions = 6, 500
    odds = rng.normal(0, 2, (n, 1, regions)) + rng.normal(0, 2, (1, n, regions)) - 5
    present = rng.random(odds.shape) < 1 / (1 + np.exp(-odds))
    rows = [(f, o) for f in range(n) for o in range(n)]
    metadata = pl.DataFrame(
        {
            "id": [f"set{f}{o}" for f, o in rows],
            "group": [f"set{f}{o}" for f, o in rows],
            "description": [f"factor {f} in organ {o}" for f, o in rows],
            "assay": ["ATAC-seq" if f == 0 else "ChIP-seq" for f, _ in rows],
            "target": [None if f == 0 else f"TF{f}" for f, _ in rows],
            "organ": [f"organ{o}" for _, o in rows],
        }
    )
    start = np.arange(regions) * 1000
    universe = Universe(Regions(["chr1"] * regions, start, start + 500))
    ids = [np.flatnonzero(present[f, o]) for f, o in rows]
    folder: Path = tmp_path_factory.mktemp("column-odds") / "atlas"
    return Atlas.from_sets(folder, universe, metadata, ids)


HELD_OUT = [6 * i + (i + 1) % 6 for i in range(6)]
TRAINING = [i for i in range(36) if i not in HELD_OUT]
COLUMNS = ["target/assay", "organ"]


def test_scores_are_added_log_odds_written_out(atlas: Atlas) -> None:
    odds = ColumnOdds(atlas, COLUMNS).fit(TRAINING)
    presence, metadata = atlas.presence(TRAINING).toarray(), atlas.metadata[TRAINING]
    frequency = presence.mean(0)
    low = 0.5 / (len(TRAINING) + 1)

    def log_odds(p: np.ndarray) -> np.ndarray:
        p = p.clip(low, 1 - low)
        return np.log(p / (1 - p))

    expected = log_odds(frequency)
    for mask in (metadata["target"] == "TF1", metadata["organ"] == "organ2"):
        same = presence[mask.fill_null(False).to_numpy()]
        expected = (
            expected + log_odds((same.sum(0) + frequency) / (len(same) + 1)) - log_odds(frequency)
        )
    found = odds.score(["factor 1 in organ 2"])[0]
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-expected)), rtol=1e-4)


def test_two_columns_say_more_than_one_of_a_combination_never_seen(atlas: Atlas) -> None:
    models = {
        "both": ColumnOdds(atlas, COLUMNS).fit(TRAINING),
        "factor": ColumnOdds(atlas, COLUMNS[:1]).fit(TRAINING),
        "organ": ColumnOdds(atlas, COLUMNS[1:]).fit(TRAINING),
        "popularity": create("popularity").fit(atlas, TRAINING),
    }
    table = evaluate(models, atlas, HELD_OUT, progress=False)
    precision = table.results.filter(metric="average_precision")
    found = dict(precision.select("model", "value").iter_rows())
    assert found["both"] > max(found["factor"], found["organ"]) + 0.05
    assert min(found["factor"], found["organ"]) > found["popularity"] + 0.02


def test_an_unknown_label_says_nothing(atlas: Atlas) -> None:
    unseen = [i for i in range(36) if i % 6 != 5]  # organ5 is not in training
    both, factor = (ColumnOdds(atlas, names).fit(unseen) for names in (COLUMNS, COLUMNS[:1]))
    text = ["factor 3 in organ 5"]
    assert np.array_equal(both.score(text), factor.score(text))
    assert both.score(text).max() < 1 and both.score(text).min() > 0


def test_what_it_does_not_know_is_refused(atlas: Atlas) -> None:
    with pytest.raises(ModelError, match=r"no column 'tissue' .*organ"):
        ColumnOdds(atlas, ["tissue"])
    with pytest.raises(TextError, match="no region set"):
        ColumnOdds(atlas, COLUMNS).fit(TRAINING).score(["kidney"])
