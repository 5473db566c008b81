"""Annotators beside their baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genoglot.atlas import Atlas
from genoglot.errors import GenoglotError, UniverseMismatchError
from genoglot.evaluation import ResultsTable, evaluate_annotators
from genoglot.models import Annotator
from genoglot.models.regions_to_text.baselines import MajorityLabels, NearestSet, RidgeBackwards
from genoglot.regions import Regions, Universe
from genoglot.text import Tfidf

HELD = [i for i in range(60) if (i // 2) % 4 == 1]
SEEN = [i for i in range(60) if i not in HELD]


@pytest.fixture(scope="module")
def table(toy_atlas: Atlas) -> ResultsTable:
    annotators = {
        "majority": MajorityLabels().fit(toy_atlas, SEEN),
        "nearest set": NearestSet().fit(toy_atlas, SEEN),
        "ridge": RidgeBackwards().fit(toy_atlas, SEEN),
        "annotator": Annotator().fit(toy_atlas, SEEN),
    }
    return evaluate_annotators(annotators, toy_atlas, HELD, split="toy", seed=4)


def value(table: ResultsTable, task: str, model: str, metric: str) -> float:
    return float(table.results.filter(task=task, model=model, metric=metric)["value"].item())


def test_the_annotator_beats_its_baselines(table: ResultsTable) -> None:
    for baseline in ("majority", "nearest set", "ridge"):
        for task in ("target", "biosample"):
            ours, theirs = (value(table, task, m, "accuracy") for m in ("annotator", baseline))
            assert ours >= theirs
    ours, theirs = (value(table, "description", m, "MRR") for m in ("annotator", "ridge"))
    assert 0.8 < ours <= 1 and theirs <= ours


def test_the_baseline_can_find_a_description_that_it_has_not_seen(table: ResultsTable) -> None:
    """The nearest set's own description is never that of a held-out experiment."""
    assert value(table, "description", "ridge", "accuracy") > 0.2
    described = set(table.results.filter(task="description")["model"])
    assert described == {"ridge", "annotator"}


def test_ridge_backwards_ranks_by_the_predicted_regions(toy_atlas: Atlas) -> None:
    """By the cosine of each set with what ridge regression predicts for each text."""
    baseline = RidgeBackwards().fit(toy_atlas, SEEN)
    texts = sorted(set(toy_atlas.descriptions()))
    presence = toy_atlas.presence(SEEN).toarray()
    mean = presence.mean(0)
    tfidf = Tfidf(max_words=5000).fit(toy_atlas.descriptions(SEEN))
    x = tfidf.encode(toy_atlas.descriptions(SEEN))
    coefficients = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ (presence - mean))
    predicted = tfidf.encode(texts) @ coefficients
    sets = [toy_atlas.tokens(row) for row in HELD[:5]]
    for ids, found in zip(sets, baseline.rank(sets, texts), strict=True):
        held = np.zeros(len(mean))
        held[ids] = 1
        cosine = predicted @ (held - mean) / np.linalg.norm(predicted, axis=1)
        np.testing.assert_allclose(found, cosine, rtol=1e-3, atol=1e-3)


def test_accuracy_is_that_of_the_answers(table: ResultsTable, toy_atlas: Atlas) -> None:
    nearest = []
    for row in HELD:
        ids = set(toy_atlas.tokens(row).tolist())
        others = [set(toy_atlas.tokens(i).tolist()) for i in SEEN]
        best = int(np.argmax([len(ids & o) / len(ids | o) for o in others]))
        nearest.append(toy_atlas.metadata["biosample"][SEEN[best]])
    right = np.mean(
        [a == b for a, b in zip(nearest, toy_atlas.metadata["biosample"][HELD], strict=True)]
    )
    assert value(table, "biosample", "nearest set", "accuracy") == pytest.approx(right)
    # It is sure of every answer: what it is off by is its share of wrong ones.
    error = value(table, "biosample", "nearest set", "ECE")
    assert error == pytest.approx(1 - right)


def test_accepted_answers_are_counted_apart(table: ResultsTable) -> None:
    rows = table.per_set.filter(model="annotator", task="biosample")
    accepted = rows.filter(rows["coverage"] == 1)
    assert value(table, "biosample", "annotator", "coverage") == len(accepted) / len(rows)
    assert value(table, "biosample", "annotator", "accepted_accuracy") == pytest.approx(
        accepted["accuracy"].mean()
    )
    assert value(table, "biosample", "annotator", "known") == 1


def test_labels_that_were_never_seen_cannot_be_answered(toy_atlas: Atlas) -> None:
    heart = (toy_atlas.metadata["biosample"] == "heart").to_numpy()
    nearest = NearestSet().fit(toy_atlas, np.flatnonzero(~heart))
    table = evaluate_annotators({"nearest": nearest}, toy_atlas, heart)
    assert value(table, "biosample", "nearest", "known") == 0
    assert value(table, "biosample", "nearest", "accuracy") == 0
    assert value(table, "target", "nearest", "known") == 1


def test_tables_are_shown_kept_and_pooled(table: ResultsTable, tmp_path: Path) -> None:
    table.to_parquet(tmp_path / "t.parquet")
    again = ResultsTable.from_parquet(tmp_path / "t.parquet")
    assert again.to_markdown() == table.to_markdown()
    pooled = ResultsTable.concat([again]).pooled(seed=4)
    assert pooled.to_markdown().splitlines()[2:9] == table.to_markdown().splitlines()[2:9]
    first = table.to_markdown().splitlines()[2]
    assert first.startswith("| assay | majority | 1.00 [0.63, 1.00] |")


def test_what_is_refused(toy_atlas: Atlas) -> None:
    with pytest.raises(GenoglotError, match="give at least one model"):
        evaluate_annotators({}, toy_atlas)
    other = MajorityLabels().fit(toy_atlas)
    other.universe = Universe(Regions(["chr1"], [0], [9]))
    with pytest.raises(UniverseMismatchError, match="model 'm' and atlas"):
        evaluate_annotators({"m": other}, toy_atlas)
