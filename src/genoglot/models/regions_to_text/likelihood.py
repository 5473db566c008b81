"""`Likelihood`: how likely the regions of a set are, for each factor and each biosample."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

CHUNK = 1 << 12  # regions fitted at a time
FOLDS = 5  # of factors, to estimate slopes
ROUNDS = 3  # of adjusting factors and biosamples to each other
FACTOR_PRIOR = 2.0  # number of sets of average frequency that are added to those of a factor
FACTOR_PSEUDOCOUNT, BIOSAMPLE_PSEUDOCOUNT = 0.3, 0.1
SLOPE_PRIOR = 20.0  # weight of the prior slope, 1
MAX_BINDING, MAX_OPENNESS = 9.0, 3.0  # bounds of the log-odds, either way
MAX_SLOPE = 2.0


class LabelCounts(NamedTuple):
    """Number of factors and of biosamples."""

    factors: int
    biosamples: int


class Profiles(NamedTuple):
    """Scores of a region set.

    Attributes
    ----------
    factor
        Score of each factor with its best biosample, float64 (factors,).
    biosample
        Score of each biosample with its best factor, float64 (biosamples,).
    """

    factor: NDArray[np.float64]
    biosample: NDArray[np.float64]


class Likelihood(NamedTuple):
    """Likelihood of a region set, for each pair of a factor and a biosample.

    A region is in a set of factor f and biosample c, independently of other regions, with log-odds

        binding[r, f] + slope[f] * openness[r, c]

    where `openness` is how much more open the region is in the biosample than elsewhere, and the
    slope is how strongly the factor depends on it: 0 for a factor that binds closed regions as
    well, and negative for a repressive mark. So the log-likelihood of a set is a sum over its
    regions minus a constant of f and c, and pairs that were never measured are scored like others.

    Attributes
    ----------
    regions
        Ids of the regions that at least two training sets contain, sorted, int32 (regions,).
    log_odds
        float16 (regions, factors + biosamples): binding, then openness.
    slope
        float32 (factors,).
    normalizer
        float64 (factors, biosamples): sum over regions of log(1 + exp(log-odds)); infinite for a
        factor or biosample without a training set.
    """

    regions: NDArray[np.int32]
    log_odds: NDArray[np.float16]
    slope: Floats
    normalizer: NDArray[np.float64]

    @classmethod
    def fit(
        cls, presence: csr_array, factor: Numbers, biosample: Numbers, *, labels: LabelCounts
    ) -> Self:
        """Estimate log-odds and slopes.

        Parameters
        ----------
        presence
            Presence of each region in each set, 0 or 1: (sets, universe).
        factor, biosample
            Numbers of each set's labels, (sets,).
        labels
            Number of factors and of biosamples.
        """
        held = np.bincount(presence.indices, minlength=presence.shape[1])
        regions = np.flatnonzero(held >= min(2, len(factor))).astype(np.int32)
        frequency = (held[regions] / len(factor)).astype(np.float32)
        design = _Design.of(factor, biosample, labels)
        counts = _pair_counts(presence, factor, biosample, design)[:, regions]
        chunks = [slice(start, start + CHUNK) for start in range(0, len(regions), CHUNK)]
        # A slope is one number: some thousands of regions, evenly spread, are enough.
        sample = slice(None, None, -(-len(regions) // CHUNK) or 1)
        slope = design.slopes(counts[:, sample].toarray(), frequency[sample])
        log_odds = np.empty((len(regions), sum(labels)), np.float16)
        normalizer = np.zeros(labels)
        for chunk in chunks:
            log_odds[chunk] = design.solve(counts[:, chunk].toarray(), frequency[chunk], slope).T
            normalizer += _normalizers(log_odds[chunk].astype(np.float32).T, slope)
        normalizer[design.n_factor == 0] = np.inf
        normalizer[:, design.n_biosample == 0] = np.inf
        return cls(regions, log_odds, slope, normalizer)

    def score(self, ids: NDArray[np.int32]) -> NDArray[np.float64]:
        """Compute the log-likelihood of a set, divided by its number of known regions.

        Neighboring regions are not independent: a set of ten times as many regions is not ten
        times as informative.

        Parameters
        ----------
        ids
            Sorted, unique universe ids of the set.

        Returns
        -------
        array
            float64 (factors, biosamples); minus infinity for labels without a training set.
        """
        index = np.searchsorted(self.regions, ids).clip(max=max(len(self.regions) - 1, 0))
        known = index[self.regions[index] == ids] if len(self.regions) else index[:0]
        total = self.log_odds[known].sum(0, dtype=np.float64)
        binding, openness = np.split(total, [len(self.slope)])
        likelihood = binding[:, None] + self.slope[:, None] * openness - self.normalizer
        return np.asarray(likelihood / max(len(known), 1))

    def profiles(self, ids: NDArray[np.int32]) -> Profiles:
        """Score each factor and each biosample of a set, each with the best of the other."""
        score = self.score(ids)
        return Profiles(score.max(1), score.max(0))


class _Design(NamedTuple):
    """Which factor was measured in which biosample how often: one entry per measured pair."""

    factor: Numbers  # (pairs,)
    biosample: Numbers  # (pairs,)
    sets: Floats  # (pairs,)
    n_factor: Floats  # (factors,)
    n_biosample: Floats  # (biosamples,)

    @classmethod
    def of(cls, factor: Numbers, biosample: Numbers, labels: LabelCounts) -> Self:
        pair, sets = np.unique(factor * labels.biosamples + biosample, return_counts=True)
        return cls(
            pair // labels.biosamples,
            pair % labels.biosamples,
            sets.astype(np.float32),
            np.bincount(factor, minlength=labels.factors).astype(np.float32),
            np.bincount(biosample, minlength=labels.biosamples).astype(np.float32),
        )

    def solve(self, counts: Floats, frequency: Floats, slope: Floats) -> Floats:
        """Estimate log-odds from counts, by a few rounds of matching expected to observed ones.

        Parameters
        ----------
        counts
            (pairs, regions): number of sets of each pair that contain each region.
        frequency
            (regions,): proportion of all sets that contain each region.
        slope
            (factors,): a factor without a slope is not used to estimate openness.

        Returns
        -------
        array
            float32 (factors + biosamples, regions).
        """
        weight = slope.clip(0, 1)[self.factor][:, None]
        per_factor = self._per_factor(counts)
        per_biosample = self._per_biosample(weight * counts)
        chance = per_factor + FACTOR_PRIOR * frequency
        chance = (chance / (self.n_factor[:, None] + FACTOR_PRIOR)).clip(1e-4, 0.999)
        binding = np.log(chance / (1 - chance))
        openness = np.zeros((len(self.n_biosample), len(frequency)), np.float32)
        for _ in range(ROUNDS):
            expected = self._expected(binding, openness, slope)
            openness += _log_ratio(
                per_biosample, self._per_biosample(weight * expected), BIOSAMPLE_PSEUDOCOUNT
            )
            openness = openness.clip(-MAX_OPENNESS, MAX_OPENNESS)
            # Half a step: both sides move at once.
            binding += 0.5 * _log_ratio(per_factor, self._per_factor(expected), FACTOR_PSEUDOCOUNT)
            binding = binding.clip(-MAX_BINDING, MAX_BINDING)
        return np.concatenate([binding, openness]).astype(np.float32)

    def slopes(self, counts: Floats, frequency: Floats) -> Floats:
        """Estimate how strongly each factor depends on openness: (factors,), 1 on average.

        The openness of a biosample is estimated from other factors alone, in folds: a factor's own
        sets would agree with themselves. The differences between a factor's biosamples are
        regressed on it; a factor of one biosample has slope 1, the prior.
        """
        factors = len(self.n_factor)
        gain, weight = np.zeros((2, factors))
        n = self.n_factor.clip(min=1)[:, None]
        rate = (self._per_factor(counts) / n)[self.factor]
        for fold in range(FOLDS):
            held_out = self.factor % FOLDS == fold
            others = self._replace(sets=np.where(held_out, 0, self.sets))
            counts_of_others = np.where(held_out[:, None], 0, counts)
            solved = others.solve(counts_of_others, frequency, np.ones(factors, np.float32))
            openness = solved[factors:][self.biosample]
            sets = self.sets[:, None]
            openness -= (self._per_factor(sets * openness) / n)[self.factor]
            up = ((counts - sets * rate) * openness).sum(1)
            down = (sets * rate * (1 - rate) * openness**2).sum(1)
            gain += np.bincount(self.factor, up * held_out, factors)
            weight += np.bincount(self.factor, down * held_out, factors)
        up = gain > 0
        average = gain[up].sum() / weight[up].sum() if up.any() else 1.0
        slope = (gain / average + SLOPE_PRIOR) / (weight + SLOPE_PRIOR)
        return slope.clip(-MAX_SLOPE, MAX_SLOPE).astype(np.float32)

    def _expected(self, binding: Floats, openness: Floats, slope: Floats) -> Floats:
        """Expect how many sets of each pair contain each region: (pairs, regions)."""
        log_odds = binding[self.factor] + slope[self.factor][:, None] * openness[self.biosample]
        expected: Floats = self.sets[:, None] / (1 + np.exp(-log_odds))
        return expected

    def _per_factor(self, per_pair: Floats) -> Floats:
        return _sum(self.factor, per_pair, len(self.n_factor))

    def _per_biosample(self, per_pair: Floats) -> Floats:
        return _sum(self.biosample, per_pair, len(self.n_biosample))


def _sum(labels: Numbers, per_pair: Floats, n: int) -> Floats:
    """Sum over the pairs of each label: (pairs, regions) -> (n, regions)."""
    from scipy.sparse import csr_array

    ones = np.ones(len(labels), np.float32)
    weights = csr_array((ones, (labels, np.arange(len(labels)))), shape=(n, len(labels)))
    return np.asarray(weights @ per_pair, np.float32)


def _log_ratio(observed: Floats, expected: Floats, pseudocount: float) -> Floats:
    ratio: Floats = np.log((observed + pseudocount) / (expected + pseudocount))
    return ratio


def _pair_counts(
    presence: csr_array, factor: Numbers, biosample: Numbers, design: _Design
) -> csc_array:
    """Count the sets of each pair that contain each region: (pairs, universe), sparse."""
    from scipy.sparse import csc_array, csr_array

    n = len(design.n_biosample)
    pair = np.searchsorted(design.factor * n + design.biosample, factor * n + biosample)
    ones, sets = np.ones(len(pair), np.float32), np.arange(len(pair))
    return csc_array(
        csr_array((ones, (pair, sets)), shape=(len(design.sets), len(pair))) @ presence
    )


def _normalizers(log_odds: Floats, slope: Floats) -> NDArray[np.float64]:
    """Sum log(1 + exp(log-odds)) over regions, for every pair: (factors, biosamples)."""
    binding, openness = np.split(log_odds, [len(slope)])
    # Bounded as the log-odds are, no power overflows.
    return np.stack(
        [
            np.log1p(np.exp(one + steepness * openness)).sum(1, dtype=np.float64)
            for one, steepness in zip(binding, slope, strict=True)
        ]
    )
