"""Hits and p-values, beside all words, site-by-site sums, and MOODS."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genoglot.errors import SequenceError
from genoglot.regions import Regions
from genoglot.sequence import Genome, to_text
from genoglot.sequence.motif_hits import (
    GRANULARITY,
    MAX_LENGTH,
    HitFinder,
    ScoreDistribution,
    genome_frequencies,
    round_matrix,
    score_regions,
)
from genoglot.sequence.motifs import Motif, MotifScanner, SiteScores, base_frequencies, jaspar

MOTIFS = jaspar()[::29]
BACKGROUND = (0.3, 0.2, 0.2, 0.3)
# MOODS 1.9.4 misses the last site before an end or an N, of motifs narrower than its window.
WINDOW = 6


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("genome") / "a.fa"
    codes = rng.integers(0, 4, 9000, dtype=np.uint8)
    codes[4000:4100:7] = 4
    path.write_text(f">chr1\n{to_text(codes)}\n>chr2\n{to_text(codes[:3000])}\n")
    return Genome.open(path)


def all_scores(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Score and probability of all words."""
    words = np.array(list(itertools.product(range(4), repeat=len(matrix))))
    return matrix[np.arange(len(matrix)), words].sum(1), np.array(BACKGROUND)[words].prod(1)


def sites(chrom: str, start: int, end: int, genome: Genome) -> list[tuple[int, int, str, str]]:
    """Hits, one by one: start, end, strand and motif of each, in order."""
    finder = HitFinder(MOTIFS, 1e-3)
    codes = genome.fetch(Regions([chrom], [start], [end]))[0]
    found = []
    for number, (motif, least) in enumerate(zip(MOTIFS, finder.thresholds, strict=True)):
        width, odds = len(motif), round_matrix(motif.log_odds)
        for i in range(len(codes) - width + 1):
            site = codes[i : i + width]
            if (site < 4).all():
                for strand, bases in (("+", site), ("-", 3 - site[::-1])):
                    if odds[np.arange(width), bases].sum() >= least:
                        at = start + i
                        found.append((at, "+-".index(strand), number, at + width, motif.id))
    return [(at, end, "+-"[strand], name) for at, strand, _, end, name in sorted(found)]


def rows(hits: Regions) -> list[tuple[int, int, str, str]]:
    return hits.frame.select("start", "end", "strand", "motif_id").rows()


def test_p_values_are_those_of_all_words() -> None:
    for motif in [motif for motif in jaspar() if len(motif) <= 7][:8]:
        matrix = motif.log_odds_against(BACKGROUND)
        distribution = ScoreDistribution.of(matrix, BACKGROUND)
        rounded, probabilities = all_scores(round_matrix(matrix))
        exact = [probabilities[rounded >= score].sum() for score in rounded[::97]]
        np.testing.assert_allclose(distribution.p_values(rounded[::97]), exact, rtol=1e-9)
        scores, _ = all_scores(matrix)
        found = distribution.p_values(rounded)
        error = len(matrix) * GRANULARITY
        for score, p_value in zip(scores[::97], found[::97], strict=True):
            low = probabilities[scores >= score + error].sum()
            assert low - 1e-12 <= p_value <= probabilities[scores >= score - error].sum() + 1e-12
        finer = ScoreDistribution.of(matrix, BACKGROUND, 1e-5)
        exact = [probabilities[scores >= score - 1e-4].sum() for score in scores[::97]]
        np.testing.assert_allclose(finer.p_values(scores[::97] - 5e-5), exact, rtol=0.02)


@pytest.mark.parametrize("background", [(0.25,) * 4, BACKGROUND])
def test_hits_are_as_rare_as_they_should_be(tmp_path: Path, background: tuple[float, ...]) -> None:
    short = [motif for motif in jaspar() if len(motif) <= 8]
    assert len(short) == 84
    n_hits = 0
    for width in sorted({len(motif) for motif in short}):
        words = np.full((4**width, width + 1), 4, np.uint8)  # all of them, with N in between
        words[:, :-1] = list(itertools.product(range(4), repeat=width))
        probability = np.array(background)[words[:, :-1]].prod(1)
        (tmp_path / f"{width}.fa").write_text(f">words\n{to_text(words.ravel())}\n")
        genome = Genome.open(tmp_path / f"{width}.fa")
        motifs = [motif for motif in short if len(motif) == width]
        for p_value in (1e-4, 5e-4, 1e-3):
            finder = HitFinder(motifs, p_value, background=background)
            hits = Regions.concat(finder.find(genome.extents, genome)).frame
            for (_, strand), some in hits.group_by("motif_id", "strand") if len(hits) else ():
                n_hits += len(some)
                chance = probability[some["start"].to_numpy() // (width + 1)]
                assert chance.sum() <= p_value * (1 + 1e-9)
                # A p-value is at least the probability of the site and of all that are better.
                p, score = some["p_value"].to_numpy() * (1 + 1e-6), some["score"].to_numpy()
                assert (p >= (chance * (p[:, None] >= p)).sum(1)).all(), strand
                better = score > score[:, None] + width * GRANULARITY
                assert (p >= chance + (chance * better).sum(1)).all(), strand
    assert n_hits > 5000


def test_the_threshold_is_the_lowest_score_of_a_hit() -> None:
    for motif in MOTIFS:
        distribution = ScoreDistribution.of(motif.log_odds)
        assert distribution.survival[0] == pytest.approx(1)
        least = distribution.threshold(1e-4)
        if np.isfinite(least):
            below, at = distribution.p_values(np.array([least - 1e-6, least + 1e-6]))
            assert at <= 1e-4 < below
        tail = distribution.tail(least)
        scores = np.linspace(min(least, 1e3), motif.log_odds.max(1).sum(), 9)
        np.testing.assert_array_equal(tail.p_values(scores), distribution.p_values(scores))
        worst = motif.log_odds.min(1).sum()
        assert abs(distribution.threshold(1) - worst) < len(motif) * GRANULARITY
    assert ScoreDistribution.of(np.zeros((3, 4))).threshold(0.5) == np.inf


def test_a_base_that_never_occurs() -> None:
    motif = Motif("x", "x", np.array([[1.0, 0, 0, 0], [1, 1, 0, 0]]))
    distribution = ScoreDistribution.of(motif.log_odds_against(pseudocount=0))
    assert distribution.p_values(np.array([3.0, -np.inf])).tolist() == [1 / 8, 1 / 8]
    scanner = MotifScanner([motif.log_odds_against(pseudocount=0)])
    assert scanner.max_scores(np.array([[2, 2, 2]], np.uint8)).tolist() == [[-np.inf]]
    assert scanner.sum_scores(np.array([[0, 1, 2]], np.uint8)).tolist() == [[3.0]]


def test_hits_are_those_one_by_one(genome: Genome) -> None:
    finder = HitFinder(MOTIFS, 1e-3)
    # Longer than a tile, with N, past the end, of a few bp, and empty.
    regions = Regions(
        ["chr1", "chr2", "chr1", "chr1", "chr1"],
        [1000, 2900, 10, 500, 700],
        [8000, 3100, 30, 500, 1100],
    )
    found = Regions.concat(finder.find(regions, genome))
    expected = [
        site
        for chrom, start, end in regions.frame.rows()
        for site in sites(chrom, start, min(end, 3000) if chrom == "chr2" else end, genome)
    ]
    assert rows(found) == expected and len(expected) > 200
    assert {"chr1", "chr2"} == set(found.chrom_names)
    assert found.columns.columns == ["name", "score", "strand", "p_value", "motif_id"]
    assert (found.columns["p_value"].to_numpy() <= 1e-3 * (1 + 1e-6)).all()


def test_scores_of_hits_are_those_of_their_sites(genome: Genome) -> None:
    by_id = {motif.id: motif for motif in MOTIFS}
    finder = HitFinder(MOTIFS, 1e-3, background=BACKGROUND)
    (hits,) = finder.find(Regions(["chr1"], [0], [2000]), genome)
    for row in range(0, len(hits), 7):
        hit = hits[[row]]
        motif = by_id[hit.columns["motif_id"][0]]
        matrix = motif.log_odds_against(BACKGROUND)
        site = np.arange(len(motif)), genome.fetch(hit)[0]  # on its strand
        np.testing.assert_allclose(hit.columns["score"][0], matrix[site].sum(), rtol=1e-6)
        rounded = np.array([round_matrix(matrix)[site].sum()])
        p_value = ScoreDistribution.of(matrix, BACKGROUND).p_values(rounded)
        np.testing.assert_allclose(hit.columns["p_value"][0], p_value, rtol=1e-6)


def test_scores_of_regions(genome: Genome) -> None:
    rng = np.random.default_rng(1)
    start = rng.integers(0, 8000, 300)
    regions = Regions(["chr1"] * 300, start, start + rng.integers(5, 900, 300))
    parts = list(score_regions(regions, genome, MOTIFS))
    assert Regions.concat([part for part, _ in parts]) == regions
    scores = np.concatenate([score for _, score in parts])
    scanner = MotifScanner([motif.log_odds for motif in MOTIFS])
    sums = np.concatenate([s for _, s in score_regions(regions, genome, MOTIFS, "sum")])
    for i in range(0, 300, 11):
        codes = genome.fetch(regions[[i]])
        np.testing.assert_array_equal(scores[i], scanner.max_scores(codes)[0])
        np.testing.assert_allclose(sums[i], scanner.sum_scores(codes)[0], atol=1e-5)
    assert not list(score_regions(regions[:0], genome, MOTIFS))
    (part,) = score_regions(Regions(["chr1", "chr1"], [5, 7], [5, 90]), genome, MOTIFS)
    assert np.isneginf(part[1][0]).all() and not np.isneginf(part[1][1]).all()
    long = Regions(["chr1"], [0], [MAX_LENGTH + 1])
    with pytest.raises(SequenceError, match="chr1:1-131073 has 131,073 bp"):
        list(score_regions(long, genome, MOTIFS))


def test_many_regions_are_scanned_some_at_a_time(genome: Genome) -> None:
    start = np.random.default_rng(3).integers(0, 8000, 30_000)
    end = start + np.where(np.arange(30_000) % 1000, 100, 900)
    regions = Regions(["chr1"] * 30_000, start, end)
    motif = MOTIFS[3:4]
    parts = list(score_regions(regions, genome, motif))
    assert len(parts) > 2
    for part, scores in parts:
        assert (part.end - part.start).sum() < 1.1 * (1 << 20)
        assert scores.shape == (len(part), 1)
    assert Regions.concat([part for part, _ in parts]) == regions
    scores = np.concatenate([scores[:, 0] for _, scores in parts])
    parts = list(HitFinder(motif, 1e-2).find(regions, genome))
    assert len(parts) > 2
    # The best hit of each region, if it has one, is its score.
    finder = HitFinder(motif, 1e-2)
    n_hits = 0
    for i in range(0, 30_000, 997):
        hits = Regions.concat(finder.find(regions[[i]], genome))
        n_hits += len(hits)
        best = hits.columns["score"].max() if len(hits) else None
        assert best is None or best == pytest.approx(scores[i])
        assert (best is None) == (scores[i] < finder.thresholds[0])
    assert n_hits > 30
    together = Regions.concat(parts)
    before = Regions.concat(finder.find(regions[:15_000], genome))
    after = Regions.concat(finder.find(regions[15_000:], genome))
    assert together == Regions.concat((before, after))


def test_wrong_options_are_refused(genome: Genome) -> None:
    with pytest.raises(SequenceError, match="p-value is 0"):
        HitFinder(MOTIFS, 0)
    with pytest.raises(SequenceError, match=r"background is 0\.5, 0\.5, 0\.5, 0\.5"):
        HitFinder(MOTIFS, background=(0.5,) * 4)
    for background in ((0.4, 0.2, 0.2, 0.2), (0.3, 0.3, 0.1, 0.3)):
        with pytest.raises(SequenceError, match="give the mean of A and T for both of them"):
            HitFinder(MOTIFS, background=background)
    with pytest.raises(SequenceError, match="pseudocount is -1"):
        HitFinder(MOTIFS, pseudocount=-1)
    with pytest.raises(SequenceError, match="no motif is given"):
        HitFinder([])


def test_frequencies_of_a_genome_are_those_of_its_bases(genome: Genome) -> None:
    codes = [genome.fetch(genome.extents[[i]])[0] for i in range(2)]
    assert genome_frequencies(genome) == pytest.approx(base_frequencies(np.concatenate(codes)))


def test_scores_and_hits_are_those_of_moods(genome: Genome) -> None:
    import MOODS.scan as scan
    import MOODS.tools as tools

    motifs = jaspar()[::7]
    matrices = [motif.log_odds for motif in motifs]
    both = [m.T.tolist() for m in matrices] + [m[::-1, ::-1].T.tolist() for m in matrices]
    codes = genome.fetch(Regions(["chr1"], [3900], [4300]))
    everything: dict[int, np.ndarray] = {}

    def visit(block: SiteScores) -> None:
        for strand, values in enumerate(block.strands(block.values)):
            for column, motif in enumerate(block.motifs.tolist()):
                everything[motif + strand * len(motifs)] = values[0, :, column].numpy()

    MotifScanner(matrices).scan(codes, visit)
    found = scan.scan_dna(to_text(codes[0]), both, [0.25] * 4, [-1e9] * len(both), WINDOW)
    assert len(everything) == len(both) == len(found)
    for i, hits in enumerate(found):
        ours = everything[i]
        assert [hit.pos for hit in hits] == np.flatnonzero(np.isfinite(ours)).tolist()
        np.testing.assert_allclose(ours[np.isfinite(ours)], [h.score for h in hits], atol=1e-4)

    finder = HitFinder(motifs, 1e-4)
    for motif, matrix, least in zip(motifs, both, finder.thresholds, strict=False):
        if np.isfinite(least):
            theirs = tools.threshold_from_p(matrix, [0.25] * 4, 1e-4)
            assert abs(least - theirs) < len(motif) * GRANULARITY + 0.05, motif.id
    # The hits of all sites, by their rounded scores, which decide: see decision 0021.
    region = Regions(["chr1"], [0], [4000])
    hits = Regions.concat(finder.find(region, genome)).frame
    ours = {row[:3]: row[3] for row in hits.select("start", "motif_id", "strand", "score").rows()}
    text = to_text(genome.fetch(region)[0])
    rounded = [round_matrix(np.array(matrix)).tolist() for matrix in both]
    least = [*finder.thresholds] * 2

    def scanned(matrices: list[list[list[float]]], below: float = 0) -> dict[Any, float]:
        thresholds = [one - below for one in least]
        found = scan.scan_dna(text, matrices, [0.25] * 4, thresholds, WINDOW)
        return {
            (hit.pos, motifs[i % len(motifs)].id, "+-"[i // len(motifs)]): hit.score
            for i, some in enumerate(found)
            for hit in some
        }

    assert ours.keys() == scanned(rounded).keys() and len(ours) > 50
    scores = scanned(both, 0.1)
    for key, score in ours.items():
        assert abs(score - scores[key]) < 1e-4
    # By unrounded scores, only hits at a threshold differ.
    error = max(map(len, motifs)) * GRANULARITY / 2
    thresholds = {motif.id: one for motif, one in zip(motifs, finder.thresholds, strict=True)}
    for key in ours.keys() ^ scanned(both).keys():
        assert abs(scores[key] - thresholds[key[1]]) <= error
