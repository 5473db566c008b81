"""Motifs and the scanner, beside site-by-site sums of JASPAR's own matrices."""

import numpy as np
import pytest

from genoglot.sequence import reverse_complement
from genoglot.sequence.motifs import Motif, MotifScanner, jaspar


@pytest.fixture(scope="module")
def scanner() -> MotifScanner:
    return MotifScanner([motif.relative for motif in jaspar()])


def matrices() -> list[np.ndarray]:
    """Log-odds of every 29th motif, from pyjaspar."""
    from pyjaspar import jaspardb

    database = jaspardb(release="JASPAR2018")
    motifs = database.fetch_motifs(collection="CORE", tax_group=["vertebrates"])
    found = []
    for motif in sorted(motifs, key=lambda motif: str(motif.matrix_id))[::29]:
        counts = np.array([motif.counts[base] for base in "ACGT"]).T
        counts = counts + 0.01 * counts.sum(1, keepdims=True) / 4
        found.append(np.log2(counts / counts.sum(1, keepdims=True) / 0.25))
    return found


def relative_scores(odds: np.ndarray, sequence: np.ndarray) -> list[float]:
    """Score of the better strand of every site without N."""
    worst, best, width = odds.min(1).sum(), odds.max(1).sum(), len(odds)
    scores = []
    for at in range(len(sequence) - width + 1):
        site = sequence[at : at + width]
        if not (site == 4).any():
            both = (site, 3 - site[::-1])
            score = max(odds[np.arange(width), s].sum() for s in both)
            scores.append((score - worst) / (best - worst))
    return scores


def test_sites_are_scored_as_one_by_one(scanner: MotifScanner) -> None:
    codes = np.random.default_rng(0).integers(0, 4, (3, 90), dtype=np.uint8)
    codes[1, 30:33] = 4
    codes[2, 4:] = 4
    counts, best = scanner.count_sites(codes, 0.85), scanner.max_scores(codes)
    assert counts.shape == best.shape == (3, 579) and counts.sum() > 100
    for i, odds in zip(range(0, 579, 29), matrices(), strict=True):
        for row, sequence in enumerate(codes):
            scores = relative_scores(odds, sequence)
            assert counts[row, i] == sum(score >= 0.85 for score in scores)
            np.testing.assert_allclose(best[row, i], max(scores, default=-np.inf), atol=1e-5)


def test_scores_do_not_depend_on_the_strand_or_on_company(scanner: MotifScanner) -> None:
    codes = np.random.default_rng(1).integers(0, 4, (40, 300), dtype=np.uint8)
    for scores in (scanner.max_scores, lambda some: scanner.count_sites(some, 0.85)):
        together = scores(codes)
        np.testing.assert_allclose(together, scores(reverse_complement(codes)), atol=1e-5)
        np.testing.assert_array_equal(together[7:9], scores(codes[7:9]))


def test_sequences_shorter_than_a_motif_have_no_site() -> None:
    scanner = MotifScanner([np.ones((2, 4)), np.ones((5, 4))])
    codes = np.zeros((1, 3), np.uint8)
    assert scanner.max_scores(codes).tolist() == [[2.0, -np.inf]]
    assert scanner.count_sites(codes, 1).tolist() == [[2, 0]]


def test_relative_scores_run_from_the_worst_to_the_best_site() -> None:
    for motif in jaspar()[:20]:
        sites = np.stack([motif.log_odds.argmin(1), motif.log_odds.argmax(1)]).astype(np.uint8)
        np.testing.assert_allclose(motif.relative_scores(sites), [0, 1], atol=1e-6)
        table = MotifScanner([motif.relative])
        np.testing.assert_allclose(table.max_scores(sites[1:]), 1, atol=1e-6)
        np.testing.assert_allclose(motif.probabilities.sum(1), 1)


def test_information_is_the_mean_log_odds_of_sites() -> None:
    flat, sharp = Motif("x", "x", np.ones((5, 4))), Motif("x", "x", np.eye(4) * 1e9)
    assert flat.information == pytest.approx(0)
    assert 7.6 < sharp.information < 8  # 2 bits per position, less by the pseudocount
    motif = next(motif for motif in jaspar() if motif.name == "CTCF")
    rng = np.random.default_rng(0)
    sites = np.stack([rng.choice(4, 20_000, p=row) for row in motif.probabilities], axis=1)
    scores = motif.log_odds[np.arange(len(motif)), sites].sum(1)
    assert motif.information == pytest.approx(scores.mean(), abs=5 * scores.std() / 20_000**0.5)


def test_the_core_of_a_wide_motif_has_its_most_informative_positions() -> None:
    flat, sharp = np.ones((6, 4)), np.eye(4)[[0, 2, 1]] * 98
    motif = Motif("X", "x", np.concatenate([flat, sharp, flat]))
    np.testing.assert_array_equal(motif.core(3), motif.log_odds[6:9])
    np.testing.assert_array_equal(motif.core(50), motif.log_odds)
