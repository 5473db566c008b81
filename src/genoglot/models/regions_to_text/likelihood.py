"""`Evidence`: what each region of a set says of the factor and of the biosample."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array

Floats = NDArray[np.float32]
Codes = NDArray[np.int64]

CHUNK = 1 << 12  # regions fitted at a time
FOLDS = 5  # of factors, to learn slopes from
ROUNDS = 3  # of adjusting factors and biosamples to each other
FACTOR_PRIOR = 2.0  # sets' worth of popularity that a factor starts with
FACTOR_SLACK, BIOSAMPLE_SLACK = 0.3, 0.1  # added to counts, so that none is 0
SLOPE_PRIOR = 20.0  # information's worth of slope 1
MOST_BOUND, MOST_OPEN, STEEPEST = 9.0, 3.0, 2.0  # bounds of log-odds, and of slopes


class Evidence(NamedTuple):
    """How likely a region set is, for each factor and biosample.

    A region is in a set of factor f and biosample c, each region by itself, with log-odds

        bound[r, f] + slope[f] * opened[r, c]

    where `opened` says how much more open the region is in the biosample than elsewhere, and the
    slope how much the factor minds: nothing for one that binds whether or not, and below 0 for a
    repressive mark. So the log-likelihood of a set is a sum over its regions, less a constant of f
    and c, and a factor and biosample that were never measured together are judged like others.

    Attributes
    ----------
    regions
        (kept,) int32 ids, sorted: the regions that at least two training sets hold.
    log_odds
        (kept, factors + biosamples) float16: bound, then opened.
    slope
        (factors,) float32.
    normalizer
        (factors, biosamples) float64: sum over regions of log(1 + exp(log-odds)); infinite where no
        set of the factor or of the biosample was seen.
    """

    regions: NDArray[np.int32]
    log_odds: NDArray[np.float16]
    slope: Floats
    normalizer: NDArray[np.float64]

    @classmethod
    def fit(cls, presence: csr_array, factor: Codes, biosample: Codes, *, sizes: Size) -> Self:
        """Estimate log-odds and slopes.

        Parameters
        ----------
        presence
            (sets, universe) of 0 and 1.
        factor, biosample
            (sets,) numbers of each set's labels.
        sizes
            How many factors and biosamples there are.
        """
        held = np.bincount(presence.indices, minlength=presence.shape[1])
        regions = np.flatnonzero(held >= min(2, len(factor))).astype(np.int32)
        share = (held[regions] / len(factor)).astype(np.float32)
        design = _Design.of(factor, biosample, sizes)
        counts = _pair_counts(presence, factor, biosample, design)[:, regions]
        parts = [slice(start, start + CHUNK) for start in range(0, len(regions), CHUNK)]
        # A slope is one number: some thousands of regions, evenly spread, tell it.
        sample = slice(None, None, -(-len(regions) // CHUNK) or 1)
        slope = design.slopes(counts[:, sample].toarray(), share[sample])
        log_odds = np.empty((len(regions), sizes.factors + sizes.biosamples), np.float16)
        normalizer = np.zeros((sizes.factors, sizes.biosamples))
        for part in parts:
            log_odds[part] = design.solve(counts[:, part].toarray(), share[part], slope).T
            normalizer += _normalizers(log_odds[part].astype(np.float32).T, slope)
        normalizer[design.n_factor == 0] = np.inf
        normalizer[:, design.n_biosample == 0] = np.inf
        return cls(regions, log_odds, slope, normalizer)

    def score(self, ids: NDArray[np.int32]) -> NDArray[np.float64]:
        """Log-likelihood per known region of a set: (factors, biosamples).

        Per region, because neighbors tell much the same: a set of ten times as many regions is not
        ten times as sure. Minus infinity for labels that were not seen.

        Parameters
        ----------
        ids
            Sorted, unique universe ids of the set.
        """
        place = np.searchsorted(self.regions, ids).clip(max=max(len(self.regions) - 1, 0))
        known = place[self.regions[place] == ids] if len(self.regions) else place[:0]
        told = self.log_odds[known].sum(0, dtype=np.float64)
        factors = len(self.slope)
        likelihood = told[:factors, None] + self.slope[:, None] * told[factors:] - self.normalizer
        return np.asarray(likelihood / max(len(known), 1))


class Size(NamedTuple):
    """How many labels there are."""

    factors: int
    biosamples: int


class _Design(NamedTuple):
    """Which factor was measured in which biosample how often: one entry per pair that was."""

    factor: Codes  # (pairs,)
    biosample: Codes  # (pairs,)
    sets: Floats  # (pairs,)
    n_factor: Floats  # (factors,)
    n_biosample: Floats  # (biosamples,)

    @classmethod
    def of(cls, factor: Codes, biosample: Codes, sizes: Size) -> Self:
        pair, sets = np.unique(factor * sizes.biosamples + biosample, return_counts=True)
        return cls(
            pair // sizes.biosamples,
            pair % sizes.biosamples,
            sets.astype(np.float32),
            np.bincount(factor, minlength=sizes.factors).astype(np.float32),
            np.bincount(biosample, minlength=sizes.biosamples).astype(np.float32),
        )

    def solve(self, counts: Floats, share: Floats, slope: Floats) -> Floats:
        """Log-odds from counts, by a few rounds of matching observed and expected ones.

        Parameters
        ----------
        counts
            (pairs, regions): sets of each pair that hold each region.
        share
            (regions,): share of all sets that hold each.
        slope
            (factors,): what has none says nothing of how open a region is.

        Returns
        -------
        (factors + biosamples, regions).
        """
        tells = slope.clip(0, 1)[self.factor][:, None]
        per_factor = self._per_factor(counts)
        per_biosample = self._per_biosample(tells * counts)
        chance = per_factor + FACTOR_PRIOR * share
        chance = (chance / (self.n_factor[:, None] + FACTOR_PRIOR)).clip(1e-4, 0.999)
        bound = np.log(chance / (1 - chance))
        opened = np.zeros((len(self.n_biosample), len(share)), np.float32)
        for _ in range(ROUNDS):
            expected = self._expected(bound, opened, slope)
            opened += _log_ratio(
                per_biosample, self._per_biosample(tells * expected), BIOSAMPLE_SLACK
            )
            opened = opened.clip(-MOST_OPEN, MOST_OPEN)
            # Half a step: both sides move at once.
            bound += 0.5 * _log_ratio(per_factor, self._per_factor(expected), FACTOR_SLACK)
            bound = bound.clip(-MOST_BOUND, MOST_BOUND)
        return np.concatenate([bound, opened]).astype(np.float32)

    def slopes(self, counts: Floats, share: Floats) -> Floats:
        """How much each factor minds how open a region is: (factors,), 1 for the usual one.

        How open a region is in a biosample is told by the sets of other factors alone: a factor's
        own would agree with themselves. What is regressed on it is how a factor's biosamples
        differ; a factor of one biosample has slope 1, the prior.
        """
        factors = len(self.n_factor)
        gain, weight = np.zeros((2, factors))
        n = self.n_factor.clip(min=1)[:, None]
        rate = (self._per_factor(counts) / n)[self.factor]
        for fold in range(FOLDS):
            held_out = self.factor % FOLDS == fold
            others = self._replace(sets=np.where(held_out, 0, self.sets))
            told = np.where(held_out[:, None], 0, counts)
            opened = others.solve(told, share, np.ones(factors, np.float32))[factors:]
            openness = opened[self.biosample]
            sets = self.sets[:, None]
            openness -= (self._per_factor(sets * openness) / n)[self.factor]
            up = ((counts - sets * rate) * openness).sum(1)
            down = (sets * rate * (1 - rate) * openness**2).sum(1)
            gain += np.bincount(self.factor, up * held_out, factors)
            weight += np.bincount(self.factor, down * held_out, factors)
        up = gain > 0
        usual = gain[up].sum() / weight[up].sum() if up.any() else 1.0
        slope = (gain / usual + SLOPE_PRIOR) / (weight + SLOPE_PRIOR)
        return slope.clip(-STEEPEST, STEEPEST).astype(np.float32)

    def _expected(self, bound: Floats, opened: Floats, slope: Floats) -> Floats:
        """Return how many sets of each pair should hold each region: (pairs, regions)."""
        log_odds = bound[self.factor] + slope[self.factor][:, None] * opened[self.biosample]
        expected: Floats = self.sets[:, None] / (1 + np.exp(-log_odds))
        return expected

    def _per_factor(self, per_pair: Floats) -> Floats:
        return _sum(self.factor, per_pair, len(self.n_factor))

    def _per_biosample(self, per_pair: Floats) -> Floats:
        return _sum(self.biosample, per_pair, len(self.n_biosample))


def _sum(labels: Codes, per_pair: Floats, n: int) -> Floats:
    """Sum over the pairs of each label: (pairs, regions) -> (n, regions)."""
    from scipy.sparse import csr_array

    ones = np.ones(len(labels), np.float32)
    weights = csr_array((ones, (labels, np.arange(len(labels)))), shape=(n, len(labels)))
    return np.asarray(weights @ per_pair, np.float32)


def _log_ratio(observed: Floats, expected: Floats, slack: float) -> Floats:
    ratio: Floats = np.log((observed + slack) / (expected + slack))
    return ratio


def _pair_counts(
    presence: csr_array, factor: Codes, biosample: Codes, design: _Design
) -> csc_array:
    """How many sets of each pair hold each region: (pairs, universe), sparse."""
    from scipy.sparse import csc_array, csr_array

    n = len(design.n_biosample)
    pair = np.searchsorted(design.factor * n + design.biosample, factor * n + biosample)
    ones, sets = np.ones(len(pair), np.float32), np.arange(len(pair))
    return csc_array(
        csr_array((ones, (pair, sets)), shape=(len(design.sets), len(pair))) @ presence
    )


def _normalizers(log_odds: Floats, slope: Floats) -> NDArray[np.float64]:
    """Sum over regions of log(1 + exp(log-odds)) for every pair: (factors, biosamples)."""
    bound, opened = np.split(log_odds, [len(slope)])
    # Bounded as the log-odds are, no power overflows.
    return np.stack(
        [
            np.log1p(np.exp(one + steep * opened)).sum(1, dtype=np.float64)
            for one, steep in zip(bound, slope, strict=True)
        ]
    )
