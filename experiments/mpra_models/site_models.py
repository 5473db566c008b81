"""Models of single-base changes: effects of neighboring changes, and trees on the site.

They are called like the baselines: `fit(inputs, labels, validation)` and `predict(inputs)`, where
inputs are a pair of codes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.bench.baselines import Validation
from genoglot.bench.features import Inputs
from genoglot.errors import TaskError
from genoglot.models.dna.gradient_boosting import GradientBoosting, joined
from genoglot.models.dna.target import Target
from genoglot.sequence.kmers import kmer_counts
from genoglot.tasks.dataset import Examples, Floats
from mpra_models.sites import FLANK, SiteMotifs, Sites, find_sites

POWER = 0.5
"""Effects are learned as sign(y) |y|^POWER, so that a few large ones do not dominate."""

ERROR = 10.0
"""The noise variance of an effect is 1 + ERROR * e^2 times that of an exact one, where e is the
standard error of the effect, divided by the standard deviation of the effects of its element."""

MAX_ERROR = 2.0
"""Maximum of e in the noise variance."""


class Standardizer:
    """Mean and standard deviation of the values of each sequence.

    They are shrunk towards those of all values, as if each sequence had `PRIOR` more of these. A
    sequence without values has those of all values.

    Parameters
    ----------
    sites, values
        Changes, and a value for each, (n,).

    Examples
    --------
    >>> at = np.arange(8)
    >>> sites = Sites(at // 4, at, np.zeros((8, 65), np.uint8), np.ones((8, 65), np.uint8))
    >>> values = np.repeat([-1.0, 1.0], 4)
    >>> standardizer = Standardizer(sites, values)
    >>> mean, deviation = standardizer.of(sites)
    >>> bool(mean[0] < 0 < mean[-1]), deviation.shape
    (True, (8,))
    >>> bool(np.allclose(standardizer.restored(sites, standardizer.removed(sites, values)), values))
    True
    """

    PRIOR = 10.0

    def __init__(self, sites: Sites, values: NDArray[Any]) -> None:
        z = np.asarray(values, np.float64)
        self._all = np.array([z.mean(), z.std() or 1.0])
        self._numbers, of, count = np.unique(
            sites.sequence, return_inverse=True, return_counts=True
        )
        weight = count + self.PRIOR
        mean = (np.bincount(of, z) + self.PRIOR * self._all[0]) / weight
        squares = np.bincount(of, (z - mean[of]) ** 2)
        self._each = np.stack([mean, np.sqrt((squares + self.PRIOR * self._all[1] ** 2) / weight)])

    def of(self, sites: Sites) -> NDArray[np.float64]:
        """Return mean and standard deviation of the sequence of each change, (2, n)."""
        at = np.searchsorted(self._numbers, sites.sequence).clip(max=len(self._numbers) - 1)
        known = self._numbers[at] == sites.sequence
        found: NDArray[np.float64] = np.where(known, self._each[:, at], self._all[:, None])
        return found

    def removed(self, sites: Sites, values: NDArray[Any]) -> Floats:
        """Subtract the mean and divide by the standard deviation, float32 (n,)."""
        mean, deviation = self.of(sites)
        return np.asarray((values - mean) / deviation, np.float32)

    def restored(self, sites: Sites, values: NDArray[Any]) -> NDArray[Any]:
        """Undo `removed`, (n,)."""
        mean, deviation = self.of(sites)
        return np.asarray(values * deviation + mean)


class SiteModel(ABC):
    """A model of the effects of single-base changes.

    Parameters
    ----------
    target
        What the labels are; must be "regression".
    n_outputs
        Number of labels of each example; must be 1.
    seed
        Random seed.
    max_examples
        Maximum number of training examples; of more, so many are drawn at random.

    Raises
    ------
    TaskError
        If the labels are not one value for each example.
    """

    name: ClassVar[str]

    def __init__(
        self,
        target: Target = "regression",
        n_outputs: int = 1,
        *,
        seed: int = 0,
        max_examples: int = 20_000,
    ) -> None:
        if target != "regression" or n_outputs != 1:
            raise TaskError(f"{self.name} predicts one real value, not {n_outputs} of {target}")
        self.target, self.n_outputs, self.seed = target, n_outputs, seed
        self.max_examples = max_examples
        self._fitted = False

    def fit(
        self,
        inputs: Inputs,
        labels: ArrayLike,
        validation: Validation,
        errors: ArrayLike | None = None,
    ) -> None:
        """Fit to effects of changes.

        Parameters
        ----------
        inputs
            Codes without and with the change, uint8 (n, length) each.
        labels
            Effects, float32 (n,) or (n, 1), NaN where an effect is missing.
        validation
            Inputs and labels that settings are chosen by.
        errors
            Standard error of each effect, (n,). The larger it is, compared with the standard
            deviation of the effects of its sequence, the less the effect counts. Default: all
            effects count equally.

        Raises
        ------
        TaskError
            If there is no label, there is not one label for each pair, or a pair does not differ by
            exactly one base.
        """
        sites, y = _labelled(inputs, labels)
        check = _labelled(*validation)
        error = np.zeros(len(y)) if errors is None else np.asarray(errors, np.float64)
        if error.shape != y.shape:
            raise TaskError(f"{len(y)} labels and errors {error.shape}; give one each")
        rows = np.flatnonzero(~np.isnan(y))
        if len(rows) > self.max_examples:
            rng = np.random.default_rng(self.seed)
            rows = np.sort(rng.choice(rows, self.max_examples, replace=False))
        known = ~np.isnan(check[1])
        if not len(rows) or not known.any():
            raise TaskError("all labels of training or validation are missing; give some")
        sites, y, error = sites.take(rows), y[rows], error[rows]
        _, deviation = Standardizer(sites, y).of(sites)
        noise = 1 + ERROR * np.minimum(error / deviation, MAX_ERROR) ** 2
        self._fit(sites, y, check[0].take(known), check[1][known], noise)
        self._fitted = True

    def predict(self, inputs: Inputs) -> Floats:
        """Predict the effects, float32 (n, 1).

        Raises
        ------
        TaskError
            If the model is not fitted, or a pair does not differ by exactly one base.
        """
        if not self._fitted:
            raise TaskError("the model is not fitted; fit it to effects")
        return np.asarray(self._predict(find_sites(inputs)), np.float32)[:, None]

    def fit_subset(
        self, train: Examples, validation: Examples, errors: ArrayLike | None = None
    ) -> None:
        """Fit to the subsets of a split."""
        self.fit(train.inputs, train.labels, (validation.inputs, validation.labels), errors)

    @abstractmethod
    def _fit(
        self, sites: Sites, y: Floats, check: Sites, y_check: Floats, noise: NDArray[np.float64]
    ) -> None:
        """Fit; `noise` is the noise variance of each label, up to a factor."""

    @abstractmethod
    def _predict(self, sites: Sites) -> NDArray[Any]: ...


class Neighbors(SiteModel):
    """Mean effect of nearby training changes in the same sequence, weighted by distance.

    It does not read DNA: it shows what a random split of positions gives away. The width of the
    Gaussian weights (standard deviation, bp) is chosen on validation data.
    """

    name = "neighbors"

    WIDTHS: ClassVar[tuple[float, ...]] = (1, 2, 3, 5, 8)
    PRIOR = 0.5  # weight of the mean of the whole sequence

    def _fit(
        self, sites: Sites, y: Floats, check: Sites, y_check: Floats, noise: NDArray[np.float64]
    ) -> None:
        self._sites, self._y, self._weight = sites, y, 1 / noise
        errors = {}
        for width in self.WIDTHS:
            self.width = width
            errors[width] = float(((self._predict(check) - y_check) ** 2).mean())
        self.width = min(errors, key=errors.__getitem__)

    def _predict(self, sites: Sites) -> NDArray[Any]:
        predictions = np.full(len(sites.at), np.average(self._y, weights=self._weight))
        for number in np.unique(sites.sequence):
            here, there = sites.sequence == number, self._sites.sequence == number
            if not there.any():
                continue
            y, weight = self._y[there], self._weight[there]
            far = (sites.at[here, None] - self._sites.at[there]) / self.width
            near = np.exp(-0.5 * far**2) * weight
            mean = np.average(y, weights=weight)
            predictions[here] = (near @ y + self.PRIOR * mean) / (near.sum(axis=1) + self.PRIOR)
        return predictions


class SiteBoosting(SiteModel):
    """Gradient-boosted trees (XGBoost) on the features of both alleles at the site.

    The features of an allele are the scores of motifs and the 4-mers around the site. Neither the
    sequence nor the position in it is given. All labels count equally, whatever their errors.

    Parameters
    ----------
    common, named
        See `SiteModel`.
    trees
        Numbers of trees; one is chosen on validation data.
    """

    name = "site-boosting"

    def __init__(self, *common: Any, trees: Sequence[int] = (100, 300, 600), **named: Any) -> None:
        super().__init__(*common, **named)
        self._sizes = tuple(trees)

    def _fit(
        self, sites: Sites, y: Floats, check: Sites, y_check: Floats, noise: NDArray[np.float64]
    ) -> None:
        self._motifs = SiteMotifs()
        x, x_check = self._vectors(sites), self._vectors(check)
        # The first 100 of 600 trees are those of 100: one fit is enough for all numbers.
        self._model = GradientBoosting(
            "regression", seed=self.seed, trees=max(self._sizes), colsample_bytree=0.1, nthread=1
        ).fit(x, compressed(y))
        found = {n: self._model.predict(x_check, trees=n)[:, 0] for n in self._sizes}
        errors = {n: ((effects - compressed(y_check)) ** 2).mean() for n, effects in found.items()}
        self.trees = min(errors, key=errors.__getitem__)

    def _predict(self, sites: Sites) -> NDArray[Any]:
        return expanded(self._model.predict(self._vectors(sites), trees=self.trees)[:, 0])

    def _vectors(self, sites: Sites) -> Floats:
        """Features of the site without the change, and the difference that the change makes."""
        near = slice(FLANK - 3, FLANK + 4)
        without, other = (
            np.hstack([self._motifs.occupancy(codes), kmer_counts(codes[:, near], 4)])
            for codes in (sites.reference, sites.alternative)
        )
        return joined(without, other - without)


def compressed(y: Floats) -> Floats:
    """Compress large effects: sign(y) |y|^POWER.

    Examples
    --------
    >>> expanded(compressed(np.float32([-2, 0, 0.5]))).round(3).tolist()
    [-2.0, 0.0, 0.5]
    """
    drawn: Floats = np.sign(y) * np.abs(y) ** np.float32(POWER)
    return drawn


def expanded(y: NDArray[Any]) -> NDArray[Any]:
    """Undo `compressed`."""
    undone: NDArray[Any] = np.sign(y) * np.abs(y) ** (1 / POWER)
    return undone


def _labelled(inputs: Inputs, labels: ArrayLike) -> tuple[Sites, Floats]:
    sites, values = find_sites(inputs), np.asarray(labels, np.float32)
    if values.size != len(sites.at):
        raise TaskError(f"{len(sites.at)} pairs and labels {values.shape}; give one each")
    return sites, values.reshape(-1)
