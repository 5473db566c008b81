"""Metrics of predictions, held against scikit-learn and SciPy, and their intervals."""

from functools import partial
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as theirs

from genoglot.errors import GenoglotError
from genoglot.evaluation import METRICS, measure_predictions

SEEDS = st.integers(0, 10_000)


def drawn(seed: int, ties: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores with ties, and the weights of three bootstrap samples."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 60))
    labels = rng.integers(0, 2, n)
    labels[:2] = 0, 1
    scores = rng.integers(0, 8, n) / 8 if ties else rng.normal(size=n)
    return labels, scores, np.vstack([np.ones(n, int), rng.integers(0, 4, (2, n))])


def found_at_the_top(labels: np.ndarray, scores: np.ndarray) -> float:
    """Proportion of label 1 among the k highest scores: the mean over the orders of ties."""
    k = int(labels.sum())
    threshold = np.sort(scores)[::-1][k - 1]
    sure, tied = labels[scores > threshold], labels[scores == threshold]
    chosen = combinations(tied.tolist(), k - len(sure))
    hits = (
        np.mean([sum(some) for some in chosen])
        if len(tied) <= 10
        else (tied.mean() * (k - len(sure)))
    )
    return float(sure.sum() + hits) / k


@given(SEEDS)
def test_weights_are_repeats_and_all_metrics_agree_with_the_references(seed: int) -> None:
    labels, scores, weights = drawn(seed)
    classes = (scores * 8).astype(int) % 3
    macro = {"average": "macro", "zero_division": 0}
    references = {
        "AUROC": (scores, theirs.roc_auc_score),
        "AUPRC": (scores, theirs.average_precision_score),
        "top-k": (scores, found_at_the_top),
        "MCC": (classes, theirs.matthews_corrcoef),
        "accuracy": (classes, theirs.accuracy_score),
        "precision (macro)": (classes, partial(theirs.precision_score, **macro)),
        "recall (macro)": (classes, partial(theirs.recall_score, **macro)),
        "Spearman": (scores, lambda a, b: stats.spearmanr(a, b).statistic),
        "MSE": (scores, theirs.mean_squared_error),
    }
    assert references.keys() == METRICS.keys()
    for name, (predicted, reference) in references.items():
        found = METRICS[name](labels, predicted, weights)
        for value, weight in zip(found, weights, strict=True):
            a, b = np.repeat(labels, weight), np.repeat(predicted, weight)
            if name in ("AUROC", "AUPRC", "top-k", "Spearman") and len(np.unique(a)) < 2:
                assert np.isnan(value) or name in ("AUPRC", "top-k")
            elif name == "Spearman" and len(np.unique(b)) < 2:
                assert np.isnan(value)
            elif len(a):
                assert value == pytest.approx(reference(a, b), abs=1e-9), name


@given(SEEDS)
def test_several_classes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, scores = rng.integers(0, 4, 50), rng.random((50, 4))
    mcc, accuracy = measure_predictions(labels, scores, ["MCC", "accuracy"], draws=0)
    predicted = scores.argmax(1)
    assert mcc.value == pytest.approx(theirs.matthews_corrcoef(labels, predicted))
    assert accuracy.value == pytest.approx((labels == predicted).mean())


def test_outputs_are_averaged_without_their_missing_labels() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (200, 3)).astype(float)
    scores = rng.random((200, 3)) + labels * [0.2, 0.5, 0]
    labels[50:, 0] = np.nan
    labels[:, 2] = 0  # no positive: not defined, and left out of the mean
    found = measure_predictions(labels, scores, ["AUROC", "AUPRC"], draws=200)
    assert found[0].outputs[0] == pytest.approx(
        theirs.roc_auc_score(labels[:50, 0], scores[:50, 0])
    )
    assert np.isnan(found[0].outputs[2])
    for row in found:
        assert row.value == pytest.approx(row.outputs[:2].mean())
        assert row.low < row.value < row.high


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=150)
        y = x + rng.normal(size=150)
        row = measure_predictions(x, y, ["Spearman"], draws=200, seed=seed)[0]
        covered += row.low <= 6 / np.pi * np.arcsin(np.sqrt(0.5) / 2) <= row.high
    assert 50 <= covered <= 60


def test_groups_are_drawn_whole_and_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(12), 25)
    truth = rng.normal(size=300)
    predicted = truth + np.repeat(rng.normal(0, 2, 12), 25)
    alone, whole = (
        measure_predictions(truth, predicted, ["MSE"], groups=labels)[0] for labels in (None, group)
    )
    assert alone.value == whole.value
    assert whole.high - whole.low > 2 * (alone.high - alone.low)
    one = measure_predictions(truth, predicted, ["MSE"], groups=np.zeros(300))[0]
    assert np.isnan(one.low) and np.isnan(one.high)


def test_the_same_seed_draws_the_same() -> None:
    labels, scores, _ = drawn(3, ties=False)
    first, second, other = (
        measure_predictions(labels, scores, ["AUROC"], seed=seed) for seed in (1, 1, 2)
    )
    assert first[0][:4] == second[0][:4]
    assert first[0].low != other[0].low or first[0].high != other[0].high


def test_constant_predictions_have_no_rank_correlation() -> None:
    row = measure_predictions([1.0, 2.0, 3.0], [5.0, 5.0, 5.0], ["Spearman"])[0]
    assert np.isnan(row.value) and np.isnan(row.low)


@pytest.mark.parametrize(
    ("labels", "predicted", "metric", "problem"),
    [
        ([0, 1], [0.1, 0.2], "F1", "no metric 'F1'; choose one of AUROC"),
        ([0, 1], [0.1], "AUROC", "2 labels for 1 predictions"),
        ([], [], "AUROC", "0 labels"),
        ([0, 1], [0.1, np.nan], "AUROC", "are NaN"),
        ([[0, 1]], [[0.1, 0.2]], "MCC", "needs class numbers"),
        ([[0, 1], [1, 0]], [0.1, 0.2], "MSE", "predictions of shape"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    labels: list[float], predicted: list[float], metric: str, problem: str
) -> None:
    with pytest.raises(GenoglotError, match=problem):
        measure_predictions(labels, predicted, [metric])


def test_one_column_of_probabilities_is_that_of_class_1() -> None:
    labels = np.array([0, 1, 1, 0, 1])
    chance = np.array([0.2, 0.8, 0.6, 0.4, 0.3])
    both = np.stack([1 - chance, chance], axis=1)
    for metric in ("MCC", "accuracy"):
        one, two = (measure_predictions(labels, p, [metric], draws=0)[0] for p in (chance, both))
        assert one.value == two.value > 0
        numbers = measure_predictions(labels, (chance > 0.5).astype(int), [metric], draws=0)[0]
        assert numbers.value == one.value


@pytest.mark.parametrize(
    ("labels", "predicted"),
    [
        ([0, 1, 2], [0.2, 0.8, 0.6]),  # three classes, one probability
        ([0, 1, 1], [-0.2, 1.8, 0.6]),  # log-odds
        ([0, 1, 1], [-1, 1, 1]),  # signs
    ],
)
def test_one_column_that_names_no_class_is_refused(labels, predicted) -> None:
    with pytest.raises(GenoglotError, match="one column of predictions"):
        measure_predictions(labels, predicted, ["MCC"])


def test_a_classifier_that_predicts_one_class_has_the_figures_of_a_collapsed_one() -> None:
    labels = np.repeat([0, 1], 200)
    metrics = ["precision (macro)", "recall (macro)", "MCC", "AUROC"]
    for constant in (0.0, 0.5, 1.0):
        found = measure_predictions(labels, np.full(400, constant), metrics)
        assert [one.value for one in found] == [0.25, 0.5, 0.0, 0.5]
        precision, recall, *_ = found
        assert precision.low < 0.25 < precision.high < 0.3
        assert (recall.low, recall.high) == (0.5, 0.5)  # whatever the examples are
    # An AUROC that is not 0.5 does not save it: scores on one side of 0.5 are one class.
    ranked = measure_predictions(labels, labels / 10, metrics, draws=0)
    assert [one.value for one in ranked] == [0.25, 0.5, 0.0, 1.0]


def test_a_perfect_classifier_has_an_interval_of_macro_metrics_too() -> None:
    labels = np.repeat([0, 1], 20)
    for found in measure_predictions(labels, labels, ["precision (macro)", "recall (macro)"]):
        assert found.value == found.high == 1 and 0.8 < found.low < 0.95


@given(SEEDS)
def test_probabilities_of_classes_are_ranked_each_class_against_the_others(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(3), rng.integers(0, 3, 40)])
    scores = rng.dirichlet(np.ones(3), 43)
    (found,) = measure_predictions(labels, scores, ["AUROC"], draws=0)
    assert found.value == pytest.approx(theirs.roc_auc_score(labels, scores, multi_class="ovr"))
    two = labels % 2
    pair = np.stack([1 - scores[:, 0], scores[:, 0]], axis=1)
    for name, reference in (
        ("AUROC", theirs.roc_auc_score),
        ("AUPRC", theirs.average_precision_score),
    ):
        (found,) = measure_predictions(two, pair, [name], draws=0)
        assert found.value == pytest.approx(reference(two, scores[:, 0]))
    missing = np.where(np.arange(43) < 40, two, np.nan)
    (some,) = measure_predictions(missing, pair, ["AUROC"], draws=0)
    assert some.value == pytest.approx(theirs.roc_auc_score(two[:40], scores[:40, 0]))
    with pytest.raises(GenoglotError, match="predictions of shape"):
        measure_predictions(labels, pair, ["AUROC"])  # class 2 has no probability
