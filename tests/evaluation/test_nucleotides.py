"""Top-k accuracy and average precision of splice sites, against brute force over all positions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from genoglot.errors import GenoglotError
from genoglot.evaluation import measure_nucleotides, measure_predictions


def drawn(seed: int, n: int = 6, positions: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.choice([-1, 0, 1, 2], (n, positions), p=[0.1, 0.7, 0.1, 0.1]).astype(np.int8)
    labels[0, :3] = 0, 1, 2
    odds = rng.exponential(size=(n, positions, 3)) + 2 * rng.random() * (
        labels[:, :, None] == np.arange(3)
    )
    return labels, odds / odds.sum(axis=2, keepdims=True)


@given(st.integers(0, 10_000))
def test_values_are_those_of_jaganathan_et_al(seed: int) -> None:
    labels, predictions = drawn(seed)
    top, area = measure_nucleotides(labels, predictions, draws=0)
    assert (top.metric, area.metric) == ("top-k", "AUPRC")
    known = labels >= 0
    for i, number in enumerate((1, 2)):
        truth, score = labels[known] == number, predictions[known][:, number]
        k = truth.sum()
        best = np.argsort(score, kind="stable")[::-1][:k]  # no ties
        assert top.outputs[i] == pytest.approx(truth[best].mean())
        assert area.outputs[i] == pytest.approx(average_precision_score(truth, score))
    assert top.value == pytest.approx(top.outputs.mean())
    assert area.value == pytest.approx(area.outputs.mean())


@pytest.mark.parametrize("seed", range(4))
def test_nucleotides_that_are_counted_together_change_nothing(seed: int) -> None:
    labels, predictions = drawn(seed, n=12)
    labels[labels > 0] *= np.random.default_rng(seed).random((labels > 0).sum()) < 0.2
    labels[0, :3] = 0, 1, 2
    predictions[labels == 0] *= [[3, 0.1, 0.1]]  # most are far below all sites, as in a genome
    predictions /= predictions.sum(axis=2, keepdims=True)
    groups = np.repeat(np.arange(6), 2)
    names = ("top-k", "AUPRC", "AUROC", "MCC", "accuracy", "precision (macro)", "recall (macro)")
    found = measure_nucleotides(labels, predictions, names, groups=groups, draws=50)
    known = labels >= 0
    truth, predicted = labels[known], predictions[known]
    unit = np.repeat(groups, 40).reshape(12, 40)[known]
    sites = (truth[:, None] == [1, 2]).astype(float)
    for one in found:
        every = one.metric in ("top-k", "AUPRC", "AUROC")
        pair = (sites, predicted[:, 1:]) if every else (truth, predicted)
        (plain,) = measure_predictions(*pair, [one.metric], groups=unit, draws=50)
        np.testing.assert_allclose(one.outputs, plain.outputs)
        assert one[1:4] == pytest.approx(plain[1:4])
    # All of them alike: the majority class, for which nothing can be told apart.
    constant = np.broadcast_to(np.float32([0.9, 0.06, 0.04]), predictions.shape)
    values = {one.metric: one.value for one in measure_nucleotides(labels, constant, names)}
    frequency = (truth == 0).mean()
    assert values["AUROC"] == 0.5 and values["MCC"] == 0 and values["recall (macro)"] == 1 / 3
    assert values["precision (macro)"] == pytest.approx(frequency / 3)
    assert values["top-k"] == pytest.approx(sites.mean())


def test_intervals_draw_groups_and_hold_the_value() -> None:
    labels, predictions = drawn(1, n=60)
    alone = measure_nucleotides(labels, predictions, draws=300)
    again = measure_nucleotides(labels, predictions, draws=300)
    assert [(one.low, one.high) for one in alone] == [(one.low, one.high) for one in again]
    assert all(0 < one.low < one.value < one.high < 1 for one in alone)
    # Copies of the sequences are no more data, if the groups say that they are copies.
    twice, copies = np.tile(labels, (4, 1)), np.tile(predictions, (4, 1, 1))
    groups = np.tile(np.arange(60), 4)
    same = measure_nucleotides(twice, copies, groups=groups, draws=300)
    wrong = measure_nucleotides(twice, copies, draws=300)
    for one, grouped, naive in zip(alone, same, wrong, strict=True):
        width = one.high - one.low
        assert grouped.value == pytest.approx(one.value, abs=0.01)
        assert grouped.high - grouped.low == pytest.approx(width, rel=0.2)
        assert naive.high - naive.low < 0.75 * width


def test_a_perfect_model_is_not_given_an_interval_of_no_width() -> None:
    labels, _ = drawn(2, n=20)
    top, area = measure_nucleotides(labels, np.eye(3)[np.maximum(labels, 0)], draws=100)
    assert top.value == area.value == 1.0 == top.high and 0.9 < top.low < 1 and area.low < 1


def test_a_class_without_sites_is_not_defined() -> None:
    labels, predictions = drawn(3)
    labels[labels == 2] = 0
    top = measure_nucleotides(labels, predictions, ["top-k"], draws=0)[0]
    assert np.isnan(top.outputs[1]) and top.value == top.outputs[0]


def test_what_cannot_be_measured_is_refused() -> None:
    labels, predictions = drawn(0)
    with pytest.raises(GenoglotError, match="'MSE' is not a metric of nucleotides"):
        measure_nucleotides(labels, predictions, ["MSE"])
    with pytest.raises(GenoglotError, match="predictions of shape"):
        measure_nucleotides(labels, predictions[:, :-1])
    predictions[0, 1] = np.nan
    with pytest.raises(GenoglotError, match="NaN"):
        measure_nucleotides(labels, predictions)
