"""Trees on vectors: they learn, leave out missing labels, and are the same for a seed."""

import numpy as np
import pytest

from genoglot.errors import ModelError
from genoglot.models.dna.gradient_boosting import (
    BoostedTrees,
    GradientBoosting,
    RandomForest,
    Trees,
    joined,
)

KINDS = [RandomForest, pytest.param(GradientBoosting, id="GradientBoosting")]


def made(kind: type[Trees], target: str, seed: int = 0) -> Trees:
    return kind(target, seed=seed, trees=100)  # type: ignore[arg-type]


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    reference = rng.standard_normal((200, 3)).astype(np.float32)
    alternative = rng.standard_normal((200, 3)).astype(np.float32)
    return joined(reference, alternative), reference[:, 0] - alternative[:, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_they_learn_from_both_alleles(kind: type[Trees]) -> None:
    vectors, effect = data()
    effect[150:160] = np.nan
    values = made(kind, "regression").fit(vectors[:160], effect[:160]).predict(vectors[160:])
    assert values.shape == (40, 1) and values.dtype == np.float32
    assert np.corrcoef(values[:, 0], effect[160:])[0, 1] > 0.7
    labels = np.where(np.isnan(effect), np.nan, effect > 0).astype(np.float32)
    shares = made(kind, "binary").fit(vectors[:160], labels[:160, None]).predict(vectors[160:])
    assert shares.shape == (40, 1)
    assert ((shares[:, 0] > 0.5) == labels[160:]).mean() > 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_classes_keep_their_numbers(kind: type[Trees]) -> None:
    vectors, _ = data()
    classes = np.digitize(vectors[:, 0], [-0.5, 0.5])
    shares = made(kind, "multi-class").fit(vectors, classes).predict(vectors)
    assert shares.shape == (200, 3)
    assert (shares.argmax(1) == classes).mean() > 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_without_examples_has_no_probability(kind: type[Trees]) -> None:
    vectors, _ = data()
    classes = np.where(vectors[:, 0] > 0, 3, 1)
    probabilities = made(kind, "multi-class").fit(vectors, classes).predict(vectors)
    assert probabilities.shape == (200, 4) and (probabilities[:, [0, 2]] == 0).all()
    assert (probabilities.argmax(1) == classes).mean() > 0.8


def test_the_first_trees_are_those_of_a_smaller_number() -> None:
    vectors, effect = data()
    few, many = (
        GradientBoosting("regression", trees=n, colsample_bytree=0.5).fit(vectors, effect)
        for n in (20, 60)
    )
    np.testing.assert_array_equal(many.predict(vectors, trees=20), few.predict(vectors))
    assert not np.array_equal(many.predict(vectors), few.predict(vectors))


def test_trees_are_saved_and_stop_where_validation_does_not_gain() -> None:
    vectors, effect = data()
    y = (effect > 0).astype(np.float32)
    trees = BoostedTrees.fit(
        vectors[:100], y[:100], (vectors[100:], y[100:]), target="binary", trees=500, patience=5
    )
    again = BoostedTrees.from_bytes(trees.to_bytes())
    np.testing.assert_array_equal(again.predict(vectors), trees.predict(vectors))
    whole = BoostedTrees.fit(vectors[:100], y[:100], target="binary", trees=500)
    assert len(trees.to_bytes()) < len(whole.to_bytes())


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_decides(kind: type[Trees]) -> None:
    vectors, effect = data()
    one, same, other = (
        made(kind, "regression", seed).fit(vectors, effect).predict(vectors) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_what_does_not_fit_is_named() -> None:
    vectors, effect = data()
    with pytest.raises(ModelError, match="200 vectors, but labels"):
        RandomForest().fit(vectors, effect[:10])
    with pytest.raises(ModelError, match="all labels are missing"):
        RandomForest().fit(vectors, np.full(200, np.nan))
    with pytest.raises(ModelError, match="all 100 training examples have the same label, 1"):
        RandomForest().fit(vectors, np.where(np.arange(200) < 100, 1, np.nan))
    with pytest.raises(ModelError, match="not fitted"):
        RandomForest().predict(vectors)
    with pytest.raises(ModelError, match="predict one label"):
        RandomForest("multi-label")
