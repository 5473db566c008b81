"""Baselines: their features counted by hand, their fits held against scikit-learn."""

from collections.abc import Callable

import numpy as np
import pytest

from genoglot.bench.baselines import BASELINES
from genoglot.bench.features import composition
from genoglot.bench.linear import fit_linear, predict_linear
from genoglot.errors import TaskError
from genoglot.evaluation import measure_predictions
from genoglot.sequence import reverse_complement, to_codes, to_text
from genoglot.tasks import TaskData


def test_composition_counts_known_bases_only() -> None:
    np.testing.assert_allclose(composition(to_codes("GGCN")[None])[0, 0], 1.0)


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    return x, (x @ rng.normal(size=(6, 3)) + rng.normal(size=(300, 3))).astype(np.float32)


def test_linear_models_agree_with_scikit_learn(table: tuple[np.ndarray, np.ndarray]) -> None:
    from sklearn.linear_model import LogisticRegression, Ridge

    x, z = table
    n = len(x)
    ridge = predict_linear(x, fit_linear(x, z, "regression", 0.1), "regression")
    np.testing.assert_allclose(ridge, Ridge(alpha=0.1 * n).fit(x, z).predict(x), atol=0.02)
    y = (z > 0).astype(np.float32)
    told = predict_linear(x, fit_linear(x, y, "multi-label", 0.01), "multi-label")
    for i in range(3):
        theirs = LogisticRegression(C=1 / (0.01 * n), tol=1e-8).fit(x, y[:, i])
        np.testing.assert_allclose(told[:, i], theirs.predict_proba(x)[:, 1], atol=0.02)
    label = z.argmax(1)
    one_hot = np.eye(3, dtype=np.float32)[label]
    theirs = LogisticRegression(C=1 / (0.01 * n), tol=1e-8, max_iter=1000).fit(x, label)
    ours = predict_linear(x, fit_linear(x, one_hot, "multi-class", 0.01), "multi-class")
    np.testing.assert_allclose(ours, theirs.predict_proba(x), atol=0.02)


def test_missing_labels_count_for_nothing(table: tuple[np.ndarray, np.ndarray]) -> None:
    x, z = table
    known = z.copy()
    known[100:, 1] = np.nan
    some = fit_linear(x, known, "regression", 0.1)
    np.testing.assert_allclose(some[:, 0], fit_linear(x, z, "regression", 0.1)[:, 0], atol=0.02)
    alone = fit_linear(x[:100], z[:100, 1:2], "regression", 0.1)
    np.testing.assert_allclose(some[:, 1], alone[:, 0], atol=0.02)


def simulated(target: str, n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Sequences some of which hold a word, on either strand, and labels that tell of it."""
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 4, (n, 60), dtype=np.uint8)
    which = rng.integers(0, 3, n)
    for i in np.flatnonzero(which):
        word = to_codes(["", "GATTACAG", "CCGTCCGT"][which[i]])
        word = word if rng.random() < 0.5 else reverse_complement(word)
        codes[i, 20:28] = word
    labels = {
        "multi-label": np.stack([which == 1, which == 2], axis=1),
        "multi-class": which[:, None],
        "regression": (which * 2.0 + rng.normal(0, 0.1, n))[:, None],
    }[target]
    return codes, labels.astype(np.float32)


@pytest.mark.parametrize("target", ["multi-label", "multi-class", "regression"])
@pytest.mark.parametrize(
    ("name", "options"),
    [("kmer-linear", {"k": 4}), ("kmer-boosting", {"k": 3, "trees": 30}), ("constant", {})],
)
def test_baselines_learn_what_k_mers_tell_and_repeat_it(
    target: str, name: str, options: dict[str, int]
) -> None:
    codes, labels = simulated(target)
    outputs = {"multi-label": 2, "multi-class": 3, "regression": 1}[target]
    told = []
    for _ in range(2):
        model = BASELINES[name](target, outputs, seed=3, max_examples=350, **options)
        model.fit(codes[:400], labels[:400], (codes[400:500], labels[400:500]))
        told.append(model.predict(codes[500:]))
    np.testing.assert_array_equal(told[0], told[1])
    assert told[0].shape == (100, outputs) and told[0].dtype == np.float32
    metric = {"multi-label": "AUROC", "multi-class": "MCC", "regression": "Spearman"}[target]
    value = measure_predictions(labels[500:], told[0], [metric], draws=0)[0].value
    if name == "constant":
        assert np.isnan(value) or value in (0, 0.5)
    else:
        assert value > (0.75 if target == "multi-label" else 0.55)
    if target != "regression":
        assert told[0].min() >= 0 and told[0].max() <= 1
    if target == "multi-class":
        np.testing.assert_allclose(told[0].sum(axis=1), 1, atol=1e-5)


def test_labels_of_one_class_only_are_predicted_as_such() -> None:
    codes, labels = simulated("multi-label", 60)
    labels[:, 0] = 1
    model = BASELINES["kmer-boosting"]("multi-label", 2, k=1, trees=5)
    model.fit(codes, labels, (codes, labels))
    assert (model.predict(codes)[:, 0] == 1).all()


def test_settings_are_chosen_on_validation_not_on_training() -> None:
    codes, labels = simulated("multi-label")
    noise = np.random.default_rng(0).integers(0, 2, labels.shape).astype(np.float32)
    chosen = []
    for target in (labels, noise):
        model = BASELINES["kmer-linear"]("multi-label", 2, k=4)
        model.fit(codes[:400], target[:400], (codes[400:], target[400:]))
        chosen.append(model.penalty)
    assert chosen[1] == 10.0 > chosen[0]


def test_variants_are_told_by_what_they_change(built: Callable[[str], TaskData]) -> None:
    data = built("CausalSNP")
    train, validation, test = (
        data.subset("variant", name) for name in ("train", "validation", "test")
    )
    model = BASELINES["kmer-linear"](data.target, 1, k=3)
    model.fit_subset(train, validation)
    found = measure_predictions(test.labels, model.predict(test.inputs), ["AUROC"], draws=0)
    assert found[0].value > 0.6
    with pytest.raises(TaskError, match="give as many of each"):
        model.fit(train.inputs, train.labels[:3], (validation.inputs, validation.labels))


def test_motif_counts_find_the_open_chromatin_of_the_world(
    built: Callable[[str], TaskData],
) -> None:
    data = built("PromVary")
    train, validation, test = (data.subset(None, name) for name in ("train", "validation", "test"))
    model = BASELINES["motif-linear"](data.target, 1)
    model.fit_subset(train, validation)
    found = measure_predictions(test.labels, model.predict(test.inputs), ["AUROC"], draws=100)
    assert found[0].value > 0.95 and found[0].low <= found[0].value <= found[0].high
    assert to_text(test.codes[0]).strip("ACGT") == ""
