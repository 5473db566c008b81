"""Single-base changes: found by hand, motifs scored one by one, models held to known answers."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from mpra_models.kriging import SITE_MODELS, Kriging
from mpra_models.site_models import Standardizer
from mpra_models.sites import FLANK, SiteMotifs, find_sites, kmer_changes

from genoglot.bench.baselines import BASELINES
from genoglot.errors import TaskError
from genoglot.evaluation import measure_predictions
from genoglot.evaluation.predictions import spearman
from genoglot.sequence import reverse_complement, to_codes
from genoglot.sequence.kmers import kmer_counts
from genoglot.simulate import World
from genoglot.tasks import TaskData

Pair = tuple[np.ndarray, np.ndarray]


def mutated(
    elements: int, length: int, shown: int = 300, word: str = ""
) -> tuple[Pair, np.ndarray]:
    """All single-base changes of random elements amid N: their codes, and the element of each.

    Every element holds the word each 20 bases.
    """
    rng = np.random.default_rng(0)
    reference, alternative, of = [], [], []
    for element in range(elements):
        codes = np.full(shown, 4, np.uint8)
        first = (shown - length) // 2
        codes[first : first + length] = rng.integers(0, 4, length)
        for start in range(first + 5, first + length - len(word), 20) if word else ():
            codes[start : start + len(word)] = to_codes(word)
        for at in range(first, first + length):
            for base in set(range(4)) - {int(codes[at])}:
                other = codes.copy()
                other[at] = base
                reference.append(codes)
                alternative.append(other)
                of.append(element)
    return (np.stack(reference), np.stack(alternative)), np.array(of)


def rows_of(pair: Pair, rows: np.ndarray) -> Pair:
    return pair[0][rows], pair[1][rows]


def by_position(pair: Pair, of: np.ndarray, seed: int = 0) -> list[np.ndarray]:
    """Rows of training (60 %), validation and test; a position is in one of them."""
    at = find_sites(pair).at
    place = np.unique(of * 10_000 + at, return_inverse=True)[1]
    part = np.random.default_rng(seed).choice(3, place.max() + 1, p=[0.6, 0.2, 0.2])[place]
    return [np.flatnonzero(part == i) for i in range(3)]


def fitted(
    name: str, pair: Pair, y: np.ndarray, parts: list[np.ndarray], **options: object
) -> float:
    """Spearman of a model on the test rows."""
    train, check, test = parts
    model = SITE_MODELS[name](**options)
    model.fit(rows_of(pair, train), y[train], (rows_of(pair, check), y[check]))
    return float(spearman(y[test], model.predict(rows_of(pair, test))[:, 0])[0])


def test_sites_are_where_the_alleles_differ() -> None:
    pair, of = mutated(2, 40, shown=90)
    sites = find_sites(pair)
    for i in range(0, len(of), 7):
        (at,) = np.flatnonzero(pair[0][i] != pair[1][i])
        assert sites.at[i] == at
        assert (sites.letters[0][i], sites.letters[1][i]) == (pair[0][i, at], pair[1][i, at])
        padded = np.pad(pair[0][i], FLANK, constant_values=4)
        np.testing.assert_array_equal(sites.reference[i], padded[at : at + 2 * FLANK + 1])
    assert len(set(sites.sequence[of == 0])) == 1 and len(set(sites.sequence)) == 2
    some = rows_of(pair, np.arange(3, 9))
    np.testing.assert_array_equal(find_sites(some).sequence, sites.sequence[3:9])


def test_what_is_no_change_of_one_base_is_refused() -> None:
    pair, _ = mutated(1, 20, shown=60)
    with pytest.raises(TaskError, match="needs the sequences of both alleles"):
        find_sites(pair[0])
    with pytest.raises(TaskError, match="example 0 differ by 0 bases"):
        find_sites((pair[0], pair[0]))
    with pytest.raises(TaskError, match="one real value"):
        Kriging("binary", 1)
    with pytest.raises(TaskError, match="too small for a fit"):
        Kriging(similarity="position", noise=(-1.0,)).fit(pair, np.arange(60), (pair, np.zeros(60)))
    with pytest.raises(TaskError, match="no similarity"):
        Kriging(similarity="far")  # type: ignore[arg-type]
    with pytest.raises(TaskError, match="give one each"):
        Kriging().fit(pair, np.zeros(3), (pair, np.zeros(60)))
    with pytest.raises(TaskError, match="not fitted"):
        Kriging().predict(pair)
    with pytest.raises(TaskError, match="all labels of training or validation"):
        Kriging().fit(pair, np.full(60, np.nan), (pair, np.zeros(60)))


def test_k_mer_changes_are_those_of_the_whole_sequence() -> None:
    pair, _ = mutated(1, 30, shown=70)
    for k in (1, 4, 6):
        np.testing.assert_array_equal(
            kmer_changes(find_sites(pair), k), kmer_counts(pair[1], k) - kmer_counts(pair[0], k)
        )


def test_occupancy_is_summed_over_all_sites_that_hold_the_base() -> None:
    from pyjaspar import jaspardb

    found = jaspardb(release="JASPAR2018").fetch_motifs(
        collection="CORE", tax_group=["vertebrates"]
    )
    matrices = sorted(found, key=lambda motif: str(motif.matrix_id))
    codes = np.random.default_rng(0).integers(0, 4, (3, 2 * FLANK + 1), dtype=np.uint8)
    motifs = SiteMotifs()
    occupancy = motifs.occupancy(codes)
    for i in range(0, 579, 41):
        counts = np.array([matrices[i].counts[base] for base in "ACGT"]).T
        counts = counts + 0.01 * counts.sum(1, keepdims=True) / 4
        odds = np.log(counts / counts.sum(1, keepdims=True) / 0.25)
        width, threshold = len(odds), 0.4 * odds.max(1).sum()
        for row, sequence in enumerate(codes):
            total = 0.0
            for first in range(FLANK - width + 1, FLANK + 1):
                site = sequence[first : first + width]
                for strand in (site, 3 - site[::-1]):
                    total += np.exp(odds[np.arange(width), strand].sum() - threshold)
            np.testing.assert_allclose(occupancy[row, i], np.log1p(total), rtol=1e-4)
    np.testing.assert_allclose(
        occupancy, motifs.occupancy(np.ascontiguousarray(reverse_complement(codes))), rtol=1e-4
    )


def test_a_change_beside_n_is_scored_too() -> None:
    codes = np.full((1, 2 * FLANK + 1), 4, np.uint8)
    codes[0, FLANK] = 1
    found = SiteMotifs().occupancy(codes)
    assert np.isfinite(found).all() and found.max() < 1


def test_effects_that_depend_on_the_place_are_smoothed_from_neighbors() -> None:
    pair, of = mutated(2, 150)
    at = find_sites(pair).at
    rng = np.random.default_rng(1)
    y = (np.sin(at / 6 + 2 * of) + rng.normal(0, 0.3, len(at))).astype(np.float32)
    parts = by_position(pair, of)
    assert fitted("neighbors", pair, y, parts) > 0.85
    assert fitted("kriging-place", pair, y, parts) > 0.85
    # Neighbors share k-mers, so that some of it shows without places too.
    assert fitted("kriging-sequence", pair, y, parts) < fitted("kriging-place", pair, y, parts)


def test_effects_of_a_motif_are_found_in_an_element_that_was_never_seen() -> None:
    """GATAA, on either strand, matters; elements are left out whole."""
    pair, of = mutated(5, 100, word="GATAA")
    word = to_codes("GATAA")

    def sites(codes: np.ndarray) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(codes, 5, axis=1)
        turned = reverse_complement(word[None])[0]
        return ((windows == word).all(2) | (windows == turned).all(2)).sum(1)

    y = (sites(pair[1]) - sites(pair[0])).astype(np.float32)
    y += np.random.default_rng(0).normal(0, 0.1, len(y)).astype(np.float32)
    parts = [np.flatnonzero(of < 3), np.flatnonzero(of == 3), np.flatnonzero(of == 4)]
    model = SITE_MODELS["kriging-sequence"]()
    model.fit(rows_of(pair, parts[0]), y[parts[0]], (rows_of(pair, parts[1]), y[parts[1]]))
    broken = sites(pair[1][parts[2]]) < sites(pair[0][parts[2]])
    assert broken.sum() > 30
    told = model.predict(rows_of(pair, parts[2]))
    assert measure_predictions(broken, -told, ["AUROC"], draws=0)[0].value > 0.9
    trees = SITE_MODELS["site-boosting"](trees=[20])
    trees.fit(rows_of(pair, parts[0]), y[parts[0]], (rows_of(pair, parts[1]), y[parts[1]]))
    told = trees.predict(rows_of(pair, parts[2]))
    assert measure_predictions(broken, -told, ["AUROC"], draws=0)[0].value > 0.9
    nearby = SITE_MODELS["neighbors"]()
    nearby.fit(rows_of(pair, parts[0]), y[parts[0]], (rows_of(pair, parts[1]), y[parts[1]]))
    assert np.ptp(nearby.predict(rows_of(pair, parts[2]))) == 0


def test_motifs_count_by_what_they_told_in_the_first_fit() -> None:
    """Only GATA sites matter; after the second fit hardly any other motif is left."""
    pair, of = mutated(4, 100, word="AGATAA")
    motifs = SiteMotifs()
    gata = [i for i, name in enumerate(motifs.names) if name.startswith(("GATA", "Gata"))]
    changes = motifs.changes(find_sites(pair))
    y = changes[:, gata].sum(1) / changes[:, gata].sum(1).std()
    parts = [np.flatnonzero(of < 3), np.flatnonzero(of == 3)]
    model = Kriging(similarity="sequence")
    model.fit(rows_of(pair, parts[0]), y[parts[0]], (rows_of(pair, parts[1]), y[parts[1]]))
    weights = model.motif_weights
    assert weights is not None and weights.shape == (len(motifs.names),)
    assert weights[gata].mean() > 2 * np.delete(weights, gata).mean()


def test_labels_of_another_scale_or_unknown_sequence_are_met_in_their_own_units() -> None:
    pair, of = mutated(2, 120)
    sites = find_sites(pair)
    values = np.sin(sites.at / 6) * np.where(of == 0, 1, 3) + 2.0 * of
    standard = Standardizer(sites, values)
    z = standard.removed(sites, values)
    deviation = [z[of == element].std() for element in (0, 1)]
    assert 0.8 < deviation[0] / deviation[1] < 1.1 and abs(z.mean()) < 0.2
    np.testing.assert_allclose(standard.restored(sites, z), values, atol=1e-4)
    other = sites._replace(sequence=sites.sequence + 1)
    mean, spread = standard.of(other)
    np.testing.assert_allclose(mean, values.mean())
    np.testing.assert_allclose(spread, values.std())


def test_noise_is_chosen_on_validation_and_large_errors_count_less() -> None:
    pair, of = mutated(1, 150)
    at = find_sites(pair).at
    rng = np.random.default_rng(2)
    truth = np.sin(at / 8).astype(np.float32)
    parts = by_position(pair, of)
    noisy = (truth + rng.normal(0, 3, len(at))).astype(np.float32)
    chosen = []
    for y in (truth, noisy):
        model = Kriging(similarity="position", noise=(2.0, 0.02))
        model.fit(rows_of(pair, parts[0]), y[parts[0]], (rows_of(pair, parts[1]), y[parts[1]]))
        chosen.append(model.noise)
    assert chosen == [0.02, 2.0]
    few = rng.random(len(at)) < 0.5
    y = truth + np.where(few, rng.normal(0, 2, len(at)), 0).astype(np.float32)
    train, check, test = parts
    found = []
    for errors in (np.where(few, 2.0, 0.0)[train], None):
        model = Kriging(similarity="position", noise=(1.0, 0.5, 0.25))
        model.fit(
            rows_of(pair, train), y[train], (rows_of(pair, check), truth[check]), errors=errors
        )
        found.append(((model.predict(rows_of(pair, test))[:, 0] - truth[test]) ** 2).mean())
    assert found[0] < 0.7 * found[1]


def test_a_missing_label_is_no_label_and_the_seed_decides_what_is_drawn() -> None:
    pair, of = mutated(1, 60)
    at = find_sites(pair).at
    y = np.cos(at / 5).astype(np.float32)
    train, check, test = by_position(pair, of)
    known = np.arange(len(train)) % 3 > 0
    told = []
    for rows, labels in (
        (train, np.where(known, y[train], np.nan)),
        (train[known], y[train[known]]),
    ):
        model = Kriging(similarity="position")
        model.fit(rows_of(pair, rows), labels, (rows_of(pair, check), y[check]))
        told.append(model.predict(rows_of(pair, test)))
    np.testing.assert_allclose(told[0], told[1], atol=1e-5)
    drawn = []
    for seed in (3, 3, 4):
        model = Kriging(similarity="position", seed=seed, max_examples=40)
        model.fit(rows_of(pair, train), y[train], (rows_of(pair, check), y[check]))
        drawn.append(model.predict(rows_of(pair, test)))
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


def test_the_simulated_promoters_are_read_better_than_by_k_mers(
    built: Callable[[str], TaskData], world: World
) -> None:
    """Most of what is measured there is noise, so that predictions are held to the truth."""
    data = built("MPRAProm")
    train, validation, test = (
        data.subset("positions", name) for name in ("train", "validation", "test")
    )
    barcodes = data.examples[data.rows("positions", "train")]["barcodes"].to_numpy()
    model = SITE_MODELS["kriging"](data.target, 1, max_examples=1200)
    model.fit_subset(train, validation, 0.8 / np.sqrt(barcodes))
    cheap = BASELINES["kmer-linear"](data.target, 1, k=4)
    cheap.fit_subset(train, validation)
    truth = pl.read_parquet(world.path / "truth" / "mutagenesis.parquet")
    truth = truth.select(
        pl.format("{}:{}:{}", "Element", "Pos", "Alt").alias("key"), pl.col("effect")
    )
    keys = data.examples[data.rows("positions", "test")].select(
        key=pl.format("{}:{}:{}", "element", "end", pl.col("id").str.slice(-1))
    )
    effect = keys.join(truth, on="key", how="left", maintain_order="left")["effect"].to_numpy()
    value = [spearman(effect, m.predict(test.inputs)[:, 0])[0] for m in (model, cheap)]
    measured = spearman(effect, np.asarray(test.labels)[:, 0])[0]
    assert value[0] > 0.3 and value[0] > value[1] and value[0] > measured
