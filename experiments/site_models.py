"""Models of what a single base changes: effects of neighboring changes, and trees on the site.

They stand beside the baselines and are called like them: `fit(inputs, labels, validation)`,
`predict(inputs)`, with inputs a pair of codes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sites import FLANK, SiteMotifs, Sites, find_sites

from genoglot.bench.baselines import Validation
from genoglot.bench.features import Inputs
from genoglot.errors import TaskError
from genoglot.models.dna.gradient_boosting import GradientBoosting, joined
from genoglot.models.dna.target import Target
from genoglot.sequence.kmers import kmer_counts
from genoglot.tasks.dataset import Examples, Floats

POWER = 0.5
"""Effects are learned as sign(y) |y|^POWER, so that a few large ones do not decide everything."""

ERROR = 10.0
"""An effect whose standard error is the spread (standard deviation) of the effects of its element
is noisier (variance) by so much times the noise of one that is known exactly."""

MOST = 2.0
"""Standard errors count as so many spreads of the element's effects at most."""


class Standard:
    """Mean and standard deviation of the values of each sequence.

    They are drawn a little to those of all values, as if `PRIOR` more of these stood in each
    sequence; a sequence that was not seen has the latter.

    Parameters
    ----------
    sites, values
        Changes, and a value of each, (n,).

    Examples
    --------
    >>> at = np.arange(8)
    >>> sites = Sites(at // 4, at, np.zeros((8, 65), np.uint8), np.ones((8, 65), np.uint8))
    >>> values = np.repeat([-1.0, 1.0], 4)
    >>> standard = Standard(sites, values)
    >>> mean, deviation = standard.of(sites)
    >>> bool(mean[0] < 0 < mean[-1]), deviation.shape
    (True, (8,))
    >>> bool(np.allclose(standard.restored(sites, standard.removed(sites, values)), values))
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
        """Mean and standard deviation of the sequence of each change, (2, n)."""
        at = np.searchsorted(self._numbers, sites.sequence).clip(max=len(self._numbers) - 1)
        known = self._numbers[at] == sites.sequence
        found: NDArray[np.float64] = np.where(known, self._each[:, at], self._all[:, None])
        return found

    def removed(self, sites: Sites, values: NDArray[Any]) -> Floats:
        """Take the mean off and divide by the deviation, float32 (n,)."""
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
        Of the labels; must be real.
    n_outputs
        Of the labels; must be 1.
    seed
        Of everything random.
    most
        Fit on at most so many examples, drawn at random.

    Raises
    ------
    TaskError
        If the labels are not one value each.
    """

    name: ClassVar[str]

    def __init__(
        self,
        target: Target = "regression",
        n_outputs: int = 1,
        *,
        seed: int = 0,
        most: int = 20_000,
    ) -> None:
        if target != "regression" or n_outputs != 1:
            raise TaskError(f"{self.name} predicts one real value, not {n_outputs} of {target}")
        self.target, self.n_outputs, self.seed, self.most = target, n_outputs, seed, most
        self._fitted = False

    def fit(
        self,
        inputs: Inputs,
        labels: ArrayLike,
        validation: Validation,
        errors: ArrayLike | None = None,
    ) -> None:
        """Learn.

        Parameters
        ----------
        inputs
            Codes without and with the change, uint8 (n, length) each.
        labels
            Effects, float32 (n,) or (n, 1); NaN is a missing one.
        validation
            Inputs and labels on which settings are chosen.
        errors
            Standard error of each of `labels`, (n,): the larger, as compared with the spread of
            the labels of its sequence, the less it counts. By default all count alike.

        Raises
        ------
        TaskError
            If there is no label, or not one for each, or a pair differs by more than one base.
        """
        sites, y = _labelled(inputs, labels)
        check = _labelled(*validation)
        error = np.zeros(len(y)) if errors is None else np.asarray(errors, np.float64)
        if error.shape != y.shape:
            raise TaskError(f"{len(y)} labels and errors {error.shape}; give one each")
        rows = np.flatnonzero(~np.isnan(y))
        if len(rows) > self.most:
            rng = np.random.default_rng(self.seed)
            rows = np.sort(rng.choice(rows, self.most, replace=False))
        known = ~np.isnan(check[1])
        if not len(rows) or not known.any():
            raise TaskError("no label is there to learn from, or to validate on; give some")
        sites, y, error = sites.some(rows), y[rows], error[rows]
        _, deviation = Standard(sites, y).of(sites)
        noise = 1 + ERROR * np.minimum(error / deviation, MOST) ** 2
        self._fit(sites, y, check[0].some(known), check[1][known], noise)
        self._fitted = True

    def predict(self, inputs: Inputs) -> Floats:
        """Predict the effects, float32 (n, 1).

        Raises
        ------
        TaskError
            If the model is not fitted, or a pair differs by more than one base.
        """
        if not self._fitted:
            raise TaskError("the model is not fitted; fit it to effects")
        return np.asarray(self._predict(find_sites(inputs)), np.float32)[:, None]

    def fit_subset(
        self, train: Examples, validation: Examples, errors: ArrayLike | None = None
    ) -> None:
        """`fit` on the parts of a split."""
        self.fit(train.inputs, train.labels, (validation.inputs, validation.labels), errors)

    @abstractmethod
    def _fit(
        self, sites: Sites, y: Floats, check: Sites, y_check: Floats, noise: NDArray[np.float64]
    ) -> None:
        """Learn; `noise` is the variance of each label's noise, but for a factor."""

    @abstractmethod
    def _predict(self, sites: Sites) -> NDArray[Any]: ...


class Neighbors(SiteModel):
    """Mean effect of the training changes nearby in the same sequence, weighted by distance.

    It knows nothing of DNA: what a random split of positions tells by itself. Width of the
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
        told = np.full(len(sites.at), np.average(self._y, weights=self._weight))
        for number in np.unique(sites.sequence):
            here, there = sites.sequence == number, self._sites.sequence == number
            if not there.any():
                continue
            y, weight = self._y[there], self._weight[there]
            far = (sites.at[here, None] - self._sites.at[there]) / self.width
            near = np.exp(-0.5 * far**2) * weight
            mean = np.average(y, weights=weight)
            told[here] = (near @ y + self.PRIOR * mean) / (near.sum(axis=1) + self.PRIOR)
        return told


class SiteBoosting(SiteModel):
    """Gradient-boosted trees (XGBoost) on both alleles, side by side, of what is at the site.

    An allele is described by the fit of motifs to it and the 4-mers around it. Neither the
    sequence's name nor a place in it is given. All labels count alike, whatever their errors.

    Parameters
    ----------
    common, named
        See `SiteModel`.
    trees
        Numbers of trees to choose of on validation data.
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
        best = np.inf
        for trees in self._sizes:
            model = GradientBoosting(
                "regression", seed=self.seed, n_estimators=trees, colsample_bytree=0.1, n_jobs=1
            ).fit(x, squeezed(y))
            error = float(((model.predict(x_check)[:, 0] - squeezed(y_check)) ** 2).mean())
            if error < best:
                best, self.trees, self._model = error, trees, model

    def _predict(self, sites: Sites) -> NDArray[Any]:
        return spread(self._model.predict(self._vectors(sites))[:, 0])

    def _vectors(self, sites: Sites) -> Floats:
        """Describe the site without the change, and what is other with it."""
        near = slice(FLANK - 3, FLANK + 4)
        without, other = (
            np.hstack([self._motifs.occupancy(codes), kmer_counts(codes[:, near], 4)])
            for codes in (sites.reference, sites.alternative)
        )
        return joined(without, other - without)


def squeezed(y: Floats) -> Floats:
    """Draw large effects in: sign(y) |y|^POWER.

    Examples
    --------
    >>> spread(squeezed(np.float32([-2, 0, 0.5]))).round(3).tolist()
    [-2.0, 0.0, 0.5]
    """
    drawn: Floats = np.sign(y) * np.abs(y) ** np.float32(POWER)
    return drawn


def spread(y: NDArray[Any]) -> NDArray[Any]:
    """Undo `squeezed`."""
    undone: NDArray[Any] = np.sign(y) * np.abs(y) ** (1 / POWER)
    return undone


def _labelled(inputs: Inputs, labels: ArrayLike) -> tuple[Sites, Floats]:
    sites, values = find_sites(inputs), np.asarray(labels, np.float32)
    if values.size != len(sites.at):
        raise TaskError(f"{len(sites.at)} pairs and labels {values.shape}; give one each")
    return sites, values.reshape(-1)
