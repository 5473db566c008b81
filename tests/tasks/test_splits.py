"""Subsets have the sizes that were asked for, and chromosomes and groups stay whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoglot.errors import TaskError
from genoglot.tasks.dataset import SUBSETS
from genoglot.tasks.splits import (
    DART,
    DEEPSEA,
    EXPECTO,
    RRBS,
    assign_groups,
    draw_subsets,
    random_subsets,
    split_by_chromosome,
)


@given(st.integers(3, 500), st.integers(0, 9))
def test_random_subsets_have_exact_fractions_and_none_is_empty(n: int, seed: int) -> None:
    subsets = random_subsets(n, (0.7, 0.1, 0.2), np.random.default_rng(seed))
    held = {name: int((subsets == name).sum()) for name in SUBSETS}
    assert held["validation"] == max(round(0.1 * n), 1)
    assert held["test"] == max(round(0.2 * n), 1)
    assert sum(held.values()) == n and held["train"] > 0


def test_drawn_subsets_do_not_depend_on_batches() -> None:
    fractions = (0.96, 0.01, 0.03)
    whole = draw_subsets(100_000, fractions, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    batches = [draw_subsets(n, fractions, rng) for n in (40_000, 60_000)]
    assert (whole == np.concatenate(batches)).all()
    for name, fraction in zip(SUBSETS, fractions, strict=True):
        assert (whole == name).mean() == pytest.approx(fraction, abs=0.005)


@pytest.mark.parametrize("prefix", ["chr", ""])
def test_published_chromosomes_are_taken_where_they_are(prefix: str) -> None:
    names = [f"{prefix}{name}" for name in [*range(1, 23), "X", "Y"]]
    wanted = {
        RRBS: ({"12", "13"}, {"10", "11", "X", "Y"}),
        EXPECTO: ({"X", "Y"}, {"8"}),
        DEEPSEA: ({"7"}, {"8", "9"}),
        DART: ({"6", "21"}, {"5", "10", "14", "18", "20", "22"}),
    }
    for held, (validation, test) in wanted.items():
        rule, subsets = split_by_chromosome(dict.fromkeys(names, 1), held)["chromosome"]
        found = [{n.removeprefix("chr") for n in names if subsets[n] == p} for p in SUBSETS[1:]]
        assert found == [validation, test]
        assert held.source in rule


def test_haplotypes_and_unplaced_sequences_go_with_their_chromosome() -> None:
    names = [f"chr{name}" for name in [*range(1, 23), "X", "Y"]]
    names += ["chr6_apd_hap1", "chr10_KI270824v1_alt", "chr1_KI270706v1_random", "chrUn_KI270302v1"]
    _, subsets = split_by_chromosome(dict.fromkeys(names, 1), DART)["chromosome"]
    assert subsets["chr6_apd_hap1"] == subsets["chr6"] == "validation"
    assert subsets["chr10_KI270824v1_alt"] == subsets["chr10"] == "test"
    assert subsets["chr1_KI270706v1_random"] == subsets["chrUn_KI270302v1"] == "train"


def test_other_genomes_hold_out_their_last_chromosomes() -> None:
    weights = {"chrII": 5, "chrI": 80, "chr3": 60, "chr10": 70}
    rule, subsets = split_by_chromosome(weights, RRBS)["chromosome"]
    assert set(subsets.values()) == set(SUBSETS)
    assert "our choice" in rule
    # chr20 and chr22 are of DART-Eval's test, but nothing of its validation is there.
    weights = dict.fromkeys(["chr1", "chr17", "chr20", "chr22"], 1)
    rule, subsets = split_by_chromosome(weights, DART)["chromosome"]
    assert (subsets["chr20"], subsets["chr22"]) == ("validation", "test") and "our choice" in rule
    large = {f"chr{i}": 100 - i for i in range(1, 30)}
    _, subsets = split_by_chromosome(large, RRBS._replace(test=(), validation=()))["chromosome"]
    for name in ("test", "validation"):
        share = sum(large[c] for c in large if subsets[c] == name) / sum(large.values())
        assert 0.1 <= share < 0.2
    assert split_by_chromosome({"chr1": 1, "chr2": 1}, RRBS) == {}


def test_groups_stay_whole() -> None:
    subsets = assign_groups([*"aabbccddee"], (0.6, 0.2, 0.2), np.random.default_rng(0))
    assert sorted(subsets) == [*"abcde"]
    assert sorted(subsets.values()) == ["test", "train", "train", "train", "validation"]
    with pytest.raises(TaskError, match="2 groups are too few"):
        assign_groups([*"aab"], (0.6, 0.2, 0.2), np.random.default_rng(0))
