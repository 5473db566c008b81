"""Probabilities that mean what they say."""

import numpy as np
import pytest

from genoglot.errors import ModelError
from genoglot.models.regions_to_text.calibration import (
    acceptance_threshold,
    best_temperature,
    expected_calibration_error,
)


def test_the_temperature_of_overconfident_scores_is_found() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 5))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    label = np.array([rng.choice(5, p=row) for row in p])

    def loss(temperature: float) -> float:
        scaled = 30 * logits / temperature
        scaled -= scaled.max(1, keepdims=True)
        told = scaled - np.log(np.exp(scaled).sum(1, keepdims=True))
        return float(-told[np.arange(len(label)), label].mean())

    assert best_temperature(loss) == pytest.approx(30, rel=0.1)


def test_calibration_error_is_the_gap_bin_by_bin() -> None:
    rng = np.random.default_rng(1)
    sure = rng.random(500)
    right = rng.random(500) < sure**2
    expected = 0.0
    for low in range(10):
        inside = np.floor(sure * 10) == low
        if inside.any():
            expected += inside.mean() * abs(sure[inside].mean() - right[inside].mean())
    assert expected_calibration_error(sure, right) == pytest.approx(expected)
    assert expected_calibration_error([1.0, 1.0], [True, True]) == 0


def test_calibration_error_needs_answers() -> None:
    with pytest.raises(ModelError, match="0 probabilities"):
        expected_calibration_error([], [])
    with pytest.raises(ModelError, match="2 probabilities of 1"):
        expected_calibration_error([0.1, 0.2], [True])


def test_few_enough_of_the_accepted_are_wrong() -> None:
    rng = np.random.default_rng(2)
    sure = rng.random(2000)
    right = rng.random(2000) < sure
    threshold = acceptance_threshold(sure, right, max_error=0.2)
    accepted = sure >= threshold
    assert 0.5 < threshold < 0.9
    assert (~right[accepted]).mean() <= 0.2
    # The lowest: with one answer more in, too many would be wrong.
    lower = sure >= np.sort(sure[~accepted])[-5]
    assert (~right[lower]).sum() + 1 > 0.2 * (lower.sum() + 1) or lower.sum() == accepted.sum()


def test_no_threshold_where_answers_are_no_good_or_few() -> None:
    assert acceptance_threshold([0.9] * 8, [True] * 8, max_error=0.1) > 1
    assert acceptance_threshold([0.9] * 9, [True] * 9, max_error=0.1) == 0.9
    assert acceptance_threshold([0.9] * 100, [False] * 100, max_error=0.1) > 1
    assert acceptance_threshold([], [], max_error=0.1) > 1
