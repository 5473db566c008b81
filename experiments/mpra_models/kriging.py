"""Kriging: effects of single-base changes, predicted from those of similar changes.

The model is a Gaussian process whose covariance is a sum of terms. Two changes are similar if they
change the scores of the same motifs and the same k-mers: anywhere, in the same element, or near
each other. Neighbors are similar, too, and more so with the same base. With positions, the model
smooths measured effects along the element, which a random split of positions allows. Without
(`"sequence"`), it is a ridge regression on the changes of motifs and k-mers. It is fitted twice: in
the second fit, motifs have weights by how much they contributed in the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.tasks.dataset import Floats
from mpra_models.site_models import (
    Neighbors,
    SiteBoosting,
    SiteModel,
    Standardizer,
    compressed,
    expanded,
)
from mpra_models.sites import SiteMotifs, Sites, kmer_changes

Property = Literal["any", "reference", "alternative", "motifs", "profile", "4-mers", "6-mers"]
"""Properties of changes that are compared. `profile` is `motifs` times the absolute cosine: two
changes that have only a few motifs in common hardly count, unless they change all motifs in a
similar or opposite way. Strictly, this is not a covariance: some eigenvalues may be slightly below
0, which the noise makes up for."""

Neighborhood = Literal["everywhere", "element", "near", "around"]
Similarity = Literal["all", "position", "sequence"]

NEAR, AROUND = 2.8, 8.0
"""Standard deviation of a Gaussian, and length of an exponential, bp."""

_OUTLYING = 5.0  # maximum change of a motif, in standard deviations
_TINY = np.float32(1e-6)
_AT_ONCE = 1_000  # rows of a covariance that are computed at a time, to save memory
_MILDER = 0.75  # power that compresses large changes of motifs


class Term(NamedTuple):
    """A term of the covariance: similarity of a property, for changes in a neighborhood."""

    fraction: float
    property: Property
    neighborhood: Neighborhood


TERMS = (
    Term(0.15, "any", "near"),
    Term(0.04, "reference", "near"),
    Term(0.05, "any", "around"),
    Term(0.05, "reference", "around"),
    Term(0.01, "reference", "element"),
    Term(0.01, "alternative", "element"),
    Term(0.30, "motifs", "around"),
    Term(0.40, "profile", "element"),
    Term(0.20, "profile", "everywhere"),
    Term(0.10, "4-mers", "element"),
    Term(0.10, "4-mers", "everywhere"),
    Term(0.10, "6-mers", "everywhere"),
)
"""Terms, with their fractions of the variance of the effects.

The lengths, and the fractions of the terms of positions, are near the maximum of the likelihood
within elements. The others were chosen by cross-validation within the training and validation
subsets of MPRAProm, seed 0.
"""


class Kriging(SiteModel):
    """Gaussian process of the effects of single-base changes.

    Parameters
    ----------
    target, n_outputs, seed, max_examples
        See `SiteModel`. Time grows with the third power of the number of examples, memory with the
        second.
    noise
        Candidate variances of the noise; one is chosen on validation data; the variance of the
        effects is about 1. The first fit has the first one.
    similarity
        `"position"`: neighbors and bases only; `"sequence"`: motifs and k-mers only, at any
        distance; or `"all"`.

    Attributes
    ----------
    noise
        The variance that was chosen.
    motif_weights
        Weight of each motif in the second fit, float32 (motifs,); None without motifs.

    Examples
    --------
    All changes of 30 bases, half of them with an effect; fitted to every second change:

    >>> base = np.random.default_rng(0).integers(0, 4, 30).astype(np.uint8)
    >>> at = np.repeat(np.arange(30), 3)
    >>> without = np.tile(base, (90, 1))
    >>> other = without.copy()
    >>> other[np.arange(90), at] = (base[at] + np.tile([1, 2, 3], 30)) % 4
    >>> effect = np.where(at < 15, -1.0, 0.0)
    >>> model = Kriging(similarity="position")
    >>> seen, held = (slice(i, None, 2) for i in (0, 1))
    >>> check = (without[held], other[held]), effect[held]
    >>> model.fit((without[seen], other[seen]), effect[seen], check)
    >>> (model.predict((without[[4, 80]], other[[4, 80]])).ravel() < -0.5).tolist()
    [True, False]
    """

    name = "kriging"

    def __init__(
        self,
        *common: Any,
        noise: Sequence[float] = (0.5, 1.0),
        similarity: Similarity = "all",
        **named: Any,
    ) -> None:
        super().__init__(*common, **named)
        self._levels = tuple(noise)
        self.motif_weights: Floats | None = None
        if similarity not in get_args(Similarity):
            raise TaskError(
                f"no similarity {similarity!r}; choose one of {', '.join(get_args(Similarity))}"
            )
        self.terms = [term for term in TERMS if _belongs(term, similarity)]

    def _fit(
        self, sites: Sites, y: Floats, check: Sites, y_check: Floats, noise: NDArray[np.float64]
    ) -> None:
        self._standardizer = Standardizer(sites, compressed(y))
        z = self._standardizer.removed(sites, compressed(y))
        target = self._standardizer.removed(check, compressed(y_check))
        self._features = _Features(self.terms)
        self._known = self._features.fit(sites)
        if self._features.weighable:
            among = _covariance(self._known, self._known, self.terms)
            weights = _solved(among, self._levels[0] * noise, z)
            self._known, self.motif_weights = self._features.weigh(self._known, weights)
        among = _covariance(self._known, self._known, self.terms)
        between = _covariance(self._features.describe(check), self._known, self.terms)
        best = np.inf
        for level in self._levels:
            weights = _solved(among, level * noise, z)
            error = float(((between @ weights - target) ** 2).mean())
            if error < best:
                best, self.noise, self._weights = error, level, weights

    def _predict(self, sites: Sites) -> NDArray[Any]:
        like = _covariance(self._features.describe(sites), self._known, self.terms)
        return expanded(self._standardizer.restored(sites, like @ self._weights))


class _Vectors(NamedTuple):
    sites: Sites
    vectors: dict[str, Floats]  # of each property that is a vector, (n, width)

    def take(self, rows: slice) -> _Vectors:
        vectors = {name: found[rows] for name, found in self.vectors.items()}
        return _Vectors(self.sites.take(rows), vectors)


class _Features:
    """Changes of motifs and k-mers as vectors, scaled by those of the training data."""

    def __init__(self, terms: list[Term]) -> None:
        wanted = {"motifs" if term.property == "profile" else term.property for term in terms}
        self._wanted: list[str] = sorted(wanted & {"motifs", "4-mers", "6-mers"})
        self._motifs = SiteMotifs() if "motifs" in self._wanted else None

    @property
    def weighable(self) -> bool:
        """Whether motifs are among the properties, which get weights in the second fit."""
        return self._motifs is not None

    def fit(self, sites: Sites) -> _Vectors:
        """Fit the scales to changes, and compute the vectors of these changes."""
        changes = {name: self._changes(name, sites) for name in self._wanted}
        self._spread = {name: _spread_of(found) for name, found in changes.items()}
        scaled = {name: self._scaled(name, changes[name]) for name in self._wanted}
        self._scale: dict[str, Any] = {name: 1 / _length(scaled[name]) for name in scaled}
        return _Vectors(sites, {name: scaled[name] * self._scale[name] for name in scaled})

    def weigh(self, known: _Vectors, weights: Floats) -> tuple[_Vectors, Floats]:
        """Weight each motif by its contribution to a fit with weights of the changes in `known`."""
        motifs = known.vectors["motifs"]
        contribution = np.sqrt(_contribution(motifs, known.sites.sequence, weights))
        contribution /= _length(motifs * contribution)
        self._scale["motifs"] = self._scale["motifs"] * contribution
        return _Vectors(
            known.sites, {**known.vectors, "motifs": motifs * contribution}
        ), contribution

    def describe(self, sites: Sites) -> _Vectors:
        vectors = {
            name: self._scaled(name, self._changes(name, sites)) * self._scale[name]
            for name in self._wanted
        }
        return _Vectors(sites, vectors)

    def _changes(self, name: str, sites: Sites) -> Floats:
        if self._motifs and name == "motifs":
            return self._motifs.changes(sites)
        return kmer_changes(sites, int(name[0]))

    def _scaled(self, name: str, changes: Floats) -> Floats:
        """Compress large changes of motifs."""
        if name != "motifs":
            return changes
        found = np.clip(changes / self._spread[name], -_OUTLYING, _OUTLYING)
        return np.asarray(np.sign(found) * np.abs(found) ** _MILDER, np.float32)


def _spread_of(changes: Floats) -> Floats:
    """Compute the standard deviation of each column; 1 for a constant column."""
    found: Floats = np.asarray(changes.std(axis=0), np.float32)
    found[found == 0] = 1
    return found


def _length(vectors: Floats) -> np.float32:
    """Root mean square length, 1 if all are 0."""
    return np.float32(np.sqrt((vectors**2).sum(axis=1).mean()) or 1)


def _contribution(vectors: Floats, sequence: NDArray[np.int64], weights: Floats) -> Floats:
    """Compute how large the coefficient of each column is, compared with chance.

    Parameters
    ----------
    vectors
        Vectors, float32 (n, width).
    sequence
        Sequence of each vector; coefficients are computed within sequences, int64 (n,).
    weights
        Weights of the vectors in a fit, float32 (n,).

    Returns
    -------
    float32 array
        Squared coefficients, summed over sequences, divided by what random weights would give,
        (width,).
    """
    contribution, chance = np.zeros((2, vectors.shape[1]), np.float32)
    for number in np.unique(sequence):
        here = sequence == number
        contribution += (weights[here] @ vectors[here]) ** 2
        chance += (vectors[here] ** 2).sum(axis=0) * (weights[here] ** 2).mean()
    chance[chance == 0] = 1
    return contribution / chance


def _solved(among: Floats, noise: NDArray[np.float64], z: Floats) -> Floats:
    """Weights of known effects z in predictions: (among + noise on its diagonal)^-1 z."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    noisy = among.copy()
    noisy[np.diag_indices(len(z))] += noise.astype(np.float32)
    try:
        factor = cho_factor(noisy, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        raise TaskError(
            f"noise of {noise.min():.3g} is too small for a fit; give a larger one"
        ) from None
    return np.asarray(cho_solve(factor, z, check_finite=False), np.float32)


def _covariance(a: _Vectors, b: _Vectors, terms: list[Term]) -> Floats:
    """Sum of the terms, float32 (sites of a, sites of b)."""
    total = np.empty((len(a.sites.at), len(b.sites.at)), np.float32)
    for first in range(0, len(total), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        total[some] = _covariance_of(a.take(some), b, terms)
    return total


def _covariance_of(a: _Vectors, b: _Vectors, terms: list[Term]) -> Floats:
    total = np.zeros((len(a.sites.at), len(b.sites.at)), np.float32)
    found = _similarities(a, b, {term.property for term in terms})
    for where in get_args(Neighborhood):
        some = [term for term in terms if term.neighborhood == where]
        if some:
            common: Any = sum(np.float32(term.fraction) * found[term.property] for term in some)
            total += common if where == "everywhere" else common * _nearness(where, a, b)
    return total


def _similarities(a: _Vectors, b: _Vectors, wanted: set[Property]) -> dict[str, Any]:
    """Compare the properties of changes, float32 (sites of a, sites of b) for each `Property`."""
    found: dict[str, Any] = {"any": np.float32(1)}
    for i, base in enumerate(("reference", "alternative")):
        same = a.sites.letters[i][:, None] == b.sites.letters[i]
        found[base] = same.astype(np.float32)
    for name, vectors in a.vectors.items():
        found[name] = vectors @ b.vectors[name].T
    if "profile" in wanted:
        lengths = [np.sqrt((of.vectors["motifs"] ** 2).sum(axis=1)) for of in (a, b)]
        cosine = found["motifs"] / np.maximum(np.outer(*lengths), _TINY)
        found["profile"] = found["motifs"] * np.abs(cosine)
    return found


def _nearness(where: Neighborhood, a: _Vectors, b: _Vectors) -> Floats:
    near: Floats = (a.sites.sequence[:, None] == b.sites.sequence).astype(np.float32)
    if where != "element":
        far = np.abs(a.sites.at[:, None] - b.sites.at).astype(np.float32)
        near *= np.exp(-0.5 * (far / NEAR) ** 2 if where == "near" else -far / AROUND)
    return near


def _belongs(term: Term, similarity: Similarity) -> bool:
    if similarity == "all":
        return True
    if similarity == "sequence":
        return term.neighborhood == "everywhere"
    return term.property in ("any", "reference", "alternative")


SITE_MODELS: dict[str, Callable[..., SiteModel]] = {
    "neighbors": Neighbors,
    "site-boosting": SiteBoosting,
    "kriging-sequence": partial(Kriging, similarity="sequence"),
    "kriging-place": partial(Kriging, similarity="position"),
    "kriging": Kriging,
}
"""Models by name. `neighbors`, `kriging-place` and `kriging` use the positions of changes."""
