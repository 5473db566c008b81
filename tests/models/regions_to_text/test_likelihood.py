"""Likelihoods of region sets, beside sums written out."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from genoglot.models.regions_to_text.likelihood import LabelCounts, Likelihood


@pytest.fixture(scope="module")
def world() -> tuple[csr_array, np.ndarray, np.ndarray]:
    """Four factors in six biosamples, thrice each; the last factor binds closed regions."""
    rng = np.random.default_rng(0)
    fit = rng.normal(-1, 1.5, (4, 600))
    opened = rng.normal(0, 1.5, (6, 600))
    factor, biosample = (x.ravel() for x in np.mgrid[:4, :6])
    factor, biosample = np.repeat(factor, 3), np.repeat(biosample, 3)
    sign = np.array([1, 1, 1, -1])[factor][:, None]
    chance = 1 / (1 + np.exp(-fit[factor] - sign * opened[biosample]))
    held = rng.random(chance.shape) < chance
    return csr_array(held.astype(np.float32)), factor, biosample


def test_score_is_the_mean_log_likelihood(world: tuple[csr_array, np.ndarray, np.ndarray]) -> None:
    presence, factor, biosample = world
    fitted = Likelihood.fit(presence, factor, biosample, labels=LabelCounts(4, 6))
    ids = presence[[5]].indices
    binding, openness = np.split(fitted.log_odds.astype(np.float64), [4], axis=1)
    held = np.isin(fitted.regions, ids)
    for f in range(4):
        for c in range(6):
            p = 1 / (1 + np.exp(-binding[:, f] - fitted.slope[f] * openness[:, c]))
            likelihood = np.log(np.where(held, p, 1 - p)).sum()
            assert fitted.score(ids)[f, c] == pytest.approx(likelihood / held.sum(), rel=1e-4)


def test_pairs_without_training_sets_are_recognized(
    world: tuple[csr_array, np.ndarray, np.ndarray],
) -> None:
    presence, factor, biosample = world
    for f, c in [(0, 1), (2, 5), (3, 2)]:
        held_out = (factor == f) & (biosample == c)
        seen = ~held_out
        fitted = Likelihood.fit(
            presence[seen], factor[seen], biosample[seen], labels=LabelCounts(4, 6)
        )
        for row in np.flatnonzero(held_out):
            score = fitted.score(presence[[row]].indices)
            assert np.unravel_index(score.argmax(), score.shape) == (f, c)


def test_a_repressive_factor_has_a_negative_slope(
    world: tuple[csr_array, np.ndarray, np.ndarray],
) -> None:
    slope = Likelihood.fit(*world, labels=LabelCounts(4, 6)).slope
    assert (slope[:3] > 0.5).all() and slope[3] < -0.5


def test_labels_without_sets_are_impossible(
    world: tuple[csr_array, np.ndarray, np.ndarray],
) -> None:
    presence, factor, biosample = world
    seen = factor != 2
    fitted = Likelihood.fit(presence[seen], factor[seen], biosample[seen], labels=LabelCounts(4, 7))
    score = fitted.score(presence[[0]].indices)
    assert np.isneginf(score[2]).all() and np.isneginf(score[:, 6]).all()
    assert np.isfinite(np.delete(score[:, :6], 2, axis=0)).all()


def test_regions_of_one_training_set_are_ignored() -> None:
    presence = csr_array(np.array([[1, 1, 0, 0], [1, 0, 1, 0]], np.float32))
    fitted = Likelihood.fit(presence, np.array([0, 1]), np.array([0, 0]), labels=LabelCounts(2, 1))
    assert fitted.regions.tolist() == [0]
    alone = fitted.score(np.array([0], np.int32))
    assert np.array_equal(fitted.score(np.array([0, 1, 3], np.int32)), alone)
    assert np.isfinite(fitted.score(np.array([3], np.int32))).all()
