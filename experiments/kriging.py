"""Kriging: effects of single-base changes from those of changes that are alike.

A Gaussian process whose covariance is a sum of simple ones: two changes are alike if they change
the fit of the same motifs and the same k-mers, anywhere, in the same element, or near each other;
and if they are neighbors, more so with the same base. With places, it smooths measured effects
along the element, which a random split of positions allows; without (`"sequence"`), it is a ridge
regression on what the change does to motifs and k-mers. It is fitted twice: in the second fit the
motifs count by how much they told in the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from site_models import (
    Neighbors,
    SiteBoosting,
    SiteModel,
    Standard,
    spread,
    squeezed,
)
from sites import SiteMotifs, Sites, kmer_changes

from genoglot.errors import TaskError
from genoglot.tasks.dataset import Floats

What = Literal["any", "reference", "alternative", "motifs", "profile", "4-mers", "6-mers"]
"""`profile` is `motifs` times the size of the cosine: what two changes do to all motifs together is
alike or opposite, or else hardly counts, though they have a few motifs in common. Strictly, this is
no covariance: single directions may be slightly below 0, which the noise makes up for."""

Where = Literal["everywhere", "element", "near", "around"]
Likeness = Literal["all", "place", "sequence"]

NEAR, AROUND = 2.8, 8.0
"""Standard deviation of a Gaussian, and length of an exponential, bp."""

_OUTLYING = 5.0  # standard deviations that a change of a motif counts at most
_TINY = np.float32(1e-6)
_AT_ONCE = 1_000  # rows of a covariance made at a time, to save memory
_MILDER = 0.75  # power that draws large changes of motifs in


class Term(NamedTuple):
    """A covariance: of what two changes have in common, as far as they lie near enough."""

    share: float
    what: What
    where: Where


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
"""Shares of the variance of the effects.

The lengths and the shares of places are near the maximum of the likelihood within elements; the
others were chosen by cross-validation within the training and validation parts of MPRAProm, seed 0.
"""


class Kriging(SiteModel):
    """Gaussian process of the effects of single-base changes.

    Parameters
    ----------
    target, n_outputs, seed, most
        See `SiteModel`. Time grows with the third, memory with the second power of the examples.
    noise
        Variances of the noise to choose of on validation data; that of the effects is about 1.
        The first one is that of the first fit.
    likeness
        `"place"`: neighbors and bases only; `"sequence"`: motifs and k-mers only, wherever they
        are; or `"all"`.

    Attributes
    ----------
    noise
        The one that was chosen.

    Examples
    --------
    All changes of 30 bases, half of which matter; learned from every second change:

    >>> base = np.random.default_rng(0).integers(0, 4, 30).astype(np.uint8)
    >>> at = np.repeat(np.arange(30), 3)
    >>> without = np.tile(base, (90, 1))
    >>> other = without.copy()
    >>> other[np.arange(90), at] = (base[at] + np.tile([1, 2, 3], 30)) % 4
    >>> effect = np.where(at < 15, -1.0, 0.0)
    >>> model = Kriging(likeness="place")
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
        likeness: Likeness = "all",
        **named: Any,
    ) -> None:
        super().__init__(*common, **named)
        self._levels = tuple(noise)
        if likeness not in get_args(Likeness):
            raise TaskError(f"no likeness {likeness!r}; choose of {', '.join(get_args(Likeness))}")
        self.terms = [term for term in TERMS if _belongs(term, likeness)]

    def _fit(
        self, sites: Sites, y: Floats, check: Sites, y_check: Floats, noise: NDArray[np.float64]
    ) -> None:
        self._standard = Standard(sites, squeezed(y))
        z = self._standard.removed(sites, squeezed(y))
        target = self._standard.removed(check, squeezed(y_check))
        self._features = _Features(self.terms)
        self._known = self._features.fit(sites)
        if self._features.weighable:
            among = _covariance(self._known, self._known, self.terms)
            weights = _solved(among, self._levels[0] * noise, z)
            self._known = self._features.weigh(self._known, weights)
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
        return spread(self._standard.restored(sites, like @ self._weights))


class _Described(NamedTuple):
    sites: Sites
    vectors: dict[str, Floats]  # of each `what` that is a vector, (n, width)

    def some(self, rows: slice) -> _Described:
        vectors = {what: found[rows] for what, found in self.vectors.items()}
        return _Described(self.sites.some(rows), vectors)


class _Features:
    """Vectors of what changes, in units of the training data."""

    def __init__(self, terms: list[Term]) -> None:
        wanted = {"motifs" if term.what == "profile" else term.what for term in terms}
        self._wanted: list[str] = sorted(wanted & {"motifs", "4-mers", "6-mers"})
        self._motifs = SiteMotifs() if "motifs" in self._wanted else None

    @property
    def weighable(self) -> bool:
        """Whether there are motifs."""
        return self._motifs is not None

    def fit(self, sites: Sites) -> _Described:
        """Learn the units, and describe the sites that they are of."""
        changes = {what: self._changes(what, sites) for what in self._wanted}
        self._spread = {what: _spread_of(found) for what, found in changes.items()}
        scaled = {what: self._scaled(what, changes[what]) for what in self._wanted}
        self._scale: dict[str, Any] = {what: 1 / _length(scaled[what]) for what in scaled}
        return _Described(sites, {what: scaled[what] * self._scale[what] for what in scaled})

    def weigh(self, known: _Described, weights: Floats) -> _Described:
        """Let each motif count by how much it told in a fit, which gave the weights of `known`."""
        motifs = known.vectors["motifs"]
        told = np.sqrt(_told(motifs, known.sites.sequence, weights))
        told /= _length(motifs * told)
        self._scale["motifs"] = self._scale["motifs"] * told
        return _Described(known.sites, {**known.vectors, "motifs": motifs * told})

    def describe(self, sites: Sites) -> _Described:
        vectors = {
            what: self._scaled(what, self._changes(what, sites)) * self._scale[what]
            for what in self._wanted
        }
        return _Described(sites, vectors)

    def _changes(self, what: str, sites: Sites) -> Floats:
        if self._motifs and what == "motifs":
            return self._motifs.changes(sites)
        return kmer_changes(sites, int(what[0]))

    def _scaled(self, what: str, changes: Floats) -> Floats:
        """Draw large changes of motifs in."""
        if what != "motifs":
            return changes
        found = np.clip(changes / self._spread[what], -_OUTLYING, _OUTLYING)
        return np.asarray(np.sign(found) * np.abs(found) ** _MILDER, np.float32)


def _spread_of(changes: Floats) -> Floats:
    """Compute the standard deviation of each column; 1 where nothing ever changes."""
    found: Floats = np.asarray(changes.std(axis=0), np.float32)
    found[found == 0] = 1
    return found


def _length(vectors: Floats) -> np.float32:
    """Root mean square length, 1 if all are 0."""
    return np.float32(np.sqrt((vectors**2).sum(axis=1).mean()) or 1)


def _told(vectors: Floats, sequence: NDArray[np.int64], weights: Floats) -> Floats:
    """Compute how large the coefficient of each column is, as compared with chance.

    Parameters
    ----------
    vectors
        float32 (n, width).
    sequence
        Coefficients are those within each, int64 (n,).
    weights
        Of the rows, of a fit, float32 (n,).

    Returns
    -------
    float32 (width,): squares, summed over sequences, by what they were if the weights were drawn
    at random.
    """
    told, chance = np.zeros((2, vectors.shape[1]), np.float32)
    for number in np.unique(sequence):
        here = sequence == number
        told += (weights[here] @ vectors[here]) ** 2
        chance += (vectors[here] ** 2).sum(axis=0) * (weights[here] ** 2).mean()
    chance[chance == 0] = 1
    return told / chance


def _solved(among: Floats, noise: NDArray[np.float64], z: Floats) -> Floats:
    """Weights of known effects z in predictions: (among + noise on its diagonal)^-1 z."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    noisy = among.copy()
    noisy[np.diag_indices(len(z))] += noise.astype(np.float32)
    try:
        factor = cho_factor(noisy, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        raise TaskError(f"noise of {noise.min():.3g} is too little to fit to; give more") from None
    return np.asarray(cho_solve(factor, z, check_finite=False), np.float32)


def _covariance(a: _Described, b: _Described, terms: list[Term]) -> Floats:
    """Sum of the terms, float32 (sites of a, sites of b)."""
    total = np.empty((len(a.sites.at), len(b.sites.at)), np.float32)
    for first in range(0, len(total), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        total[some] = _covariance_of(a.some(some), b, terms)
    return total


def _covariance_of(a: _Described, b: _Described, terms: list[Term]) -> Floats:
    total = np.zeros((len(a.sites.at), len(b.sites.at)), np.float32)
    found = _in_common(a, b, {term.what for term in terms})
    for where in get_args(Where):
        some = [term for term in terms if term.where == where]
        if some:
            common: Any = sum(np.float32(term.share) * found[term.what] for term in some)
            total += common if where == "everywhere" else common * _nearness(where, a, b)
    return total


def _in_common(a: _Described, b: _Described, wanted: set[What]) -> dict[str, Any]:
    """Compare what changes, float32 (sites of a, sites of b) for each `What`."""
    found: dict[str, Any] = {"any": np.float32(1)}
    for i, base in enumerate(("reference", "alternative")):
        same = a.sites.letters[i][:, None] == b.sites.letters[i]
        found[base] = same.astype(np.float32)
    for what, vectors in a.vectors.items():
        found[what] = vectors @ b.vectors[what].T
    if "profile" in wanted:
        lengths = [np.sqrt((of.vectors["motifs"] ** 2).sum(axis=1)) for of in (a, b)]
        cosine = found["motifs"] / np.maximum(np.outer(*lengths), _TINY)
        found["profile"] = found["motifs"] * np.abs(cosine)
    return found


def _nearness(where: Where, a: _Described, b: _Described) -> Floats:
    near: Floats = (a.sites.sequence[:, None] == b.sites.sequence).astype(np.float32)
    if where != "element":
        far = np.abs(a.sites.at[:, None] - b.sites.at).astype(np.float32)
        near *= np.exp(-0.5 * (far / NEAR) ** 2 if where == "near" else -far / AROUND)
    return near


def _belongs(term: Term, likeness: Likeness) -> bool:
    if likeness == "all":
        return True
    if likeness == "sequence":
        return term.where == "everywhere"
    return term.what in ("any", "reference", "alternative")


SITE_MODELS: dict[str, Callable[..., SiteModel]] = {
    "neighbors": Neighbors,
    "site-boosting": SiteBoosting,
    "kriging-sequence": partial(Kriging, likeness="sequence"),
    "kriging-place": partial(Kriging, likeness="place"),
    "kriging": Kriging,
}
"""Models of single-base changes, by name; `neighbors`, `kriging-place` and `kriging` use places."""
