"""Duplicates are found whatever their strand, and only true ones."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoglot.sequence import reverse_complement, to_codes, to_text
from genoglot.tasks import TASKS, find_matches
from genoglot.tasks.leakage import CONTAINMENT, KINDS, LEAST_SHARED, containment
from genoglot.tasks.minimizers import find_minimizers

DNA = st.text("ACGTN", min_size=1, max_size=60)


@given(st.text("ACGT", min_size=22, max_size=60), DNA, DNA)
def test_sequences_with_enough_in_common_share_a_minimizer(common: str, a: str, b: str) -> None:
    one, other = to_codes(a + common), to_codes(reverse_complement(common) + b)
    ours, theirs = (
        set(find_minimizers(codes[None], 15, 8).hashes.tolist()) for codes in (one, other)
    )
    assert ours & theirs


@given(DNA, DNA)
def test_containment_counts_common_kmers(a: str, b: str) -> None:
    def kmers(text: str) -> set[str]:
        found = (text[i : i + 3] for i in range(len(text) - 2))
        return {min(kmer, reverse_complement(kmer)) for kmer in found if "N" not in kmer}

    x, y = kmers(a), kmers(b)
    common = len(x & y)
    wanted = common / min(len(x), len(y)) if common >= LEAST_SHARED else 0.0
    assert containment(to_codes(a)[None], to_codes(b)[None], 3)[0] == pytest.approx(wanted)


@pytest.fixture
def planted() -> tuple[np.ndarray, np.ndarray, list[tuple[int, str]]]:
    """Train and test sequences of 120 bp, and for each test sequence its match and kind."""
    rng = np.random.default_rng(0)
    train = rng.integers(0, 4, (400, 120), dtype=np.uint8)
    changed = train[3].copy()
    changed[[20, 70]] = 3 - changed[[20, 70]]
    shifted = np.r_[train[5][30:], rng.integers(0, 4, 30, dtype=np.uint8)]
    barely = np.r_[train[6][80:], rng.integers(0, 4, 80, dtype=np.uint8)]
    with_n = train[8].copy()
    with_n[110:] = 4
    train[9] = 0
    poly = np.r_[np.zeros(100, np.uint8), rng.integers(0, 4, 20, dtype=np.uint8)]
    test = [
        (train[1], 1, "same"),
        (reverse_complement(train[2]), 2, "reverse complement"),
        (changed, 3, "near"),
        (reverse_complement(changed), 3, "near"),
        (shifted, 5, "near"),
        (barely, -1, ""),
        (with_n, 8, "near"),
        (poly, -1, ""),
        (rng.integers(0, 4, 120, dtype=np.uint8), -1, ""),
        (np.zeros(120, np.uint8), 9, "same"),
    ]
    return train, np.stack([row[0] for row in test]), [(row[1], row[2]) for row in test]


@pytest.mark.parametrize("block", [50_000_000, 1_000])  # all sequences at once, or some at a time
def test_planted_duplicates_are_found_and_nothing_else(
    planted: tuple[np.ndarray, np.ndarray, list[tuple[int, str]]],
    block: int,
) -> None:
    train, test, wanted = planted
    found = find_matches(test, train, block=block)
    assert [
        (int(row), KINDS[kind]) for row, kind in zip(found.row, found.kind, strict=True)
    ] == wanted
    assert (found.containment[found.kind == 1] >= CONTAINMENT).all()
    assert found.containment[0] == 1 and found.containment[5] == 0


def test_a_family_of_variants_is_found_though_all_share_their_minimizers() -> None:
    rng = np.random.default_rng(1)
    family = np.tile(rng.integers(0, 4, 300, dtype=np.uint8), (200, 1))
    at = np.arange(200)
    family[at, at + 50] = 3 - family[at, at + 50]
    found = find_matches(family[::5], family[np.arange(200) % 5 != 0])
    assert (found.kind == 1).all()


def test_sequences_of_other_lengths_and_none_at_all() -> None:
    rng = np.random.default_rng(2)
    long = rng.integers(0, 4, (20, 200), dtype=np.uint8)
    assert find_matches(long[:4, 50:150], long).row.tolist() == [0, 1, 2, 3]
    assert find_matches(long[:0], long).row.tolist() == []
    assert find_matches(long[:2], long[:0]).kind.tolist() == [0, 0]
    assert find_matches(long[:2, :5], long).kind.tolist() == [0, 0]  # shorter than any k-mer


@pytest.mark.parametrize(("shortest", "longest"), [(8, 30), (30, 120), (60, 700)])
def test_duplicates_of_unequal_length_are_found_on_both_strands(
    shortest: int, longest: int
) -> None:
    rng = np.random.default_rng(shortest)

    def dna(n: int | None = None) -> str:
        return to_text(rng.integers(0, 4, n or rng.integers(shortest, longest), dtype=np.uint8))

    def rows(texts: list[str], width: int) -> np.ndarray:
        return np.stack([to_codes(text.ljust(width, "N")) for text in texts])

    train = list(dict.fromkeys(dna() for _ in range(100)))
    whole = [*train[:20], *map(reverse_complement, train[10:40])]
    inside = [text[2:-3] for text in train[40:60]]
    around = [dna(7) + text + dna(longest) for text in train[60:80]]
    test = whole + inside + around + [dna() for _ in range(30)]
    test += list(map(reverse_complement, inside + around))
    widest = max(map(len, train + test))
    # Sets of other widths, as two files may have them, and of the same.
    for asked, searched in ((widest, max(map(len, train))), (widest, widest)):
        found = find_matches(rows(test, asked), rows(train, searched))
        for text, row, kind, share in zip(test, *found, strict=True):
            if text in train:
                assert (train[row], kind) == (text, 3)
                continue
            if reverse_complement(text) in train:
                assert (train[row], kind) == (reverse_complement(text), 2)
                continue
            same = rows([text] * len(train), asked)
            shared = containment(same, rows(train, searched)).tolist()
            assert kind == (1 if max(shared) >= CONTAINMENT else 0)
            assert share == pytest.approx(max(shared) if kind else 0)
            assert not kind or shared[row] == max(shared)


def test_filling_up_at_either_end_makes_no_other_sequence() -> None:
    rng = np.random.default_rng(3)
    inner = rng.integers(0, 4, (6, 40), dtype=np.uint8)
    train = np.pad(inner, ((0, 0), (0, 20)), constant_values=4)
    moved = np.pad(inner, ((0, 0), (13, 7)), constant_values=4)
    for test, kind in ((moved, 3), (reverse_complement(moved), 2), (reverse_complement(train), 2)):
        found = find_matches(test, train)
        assert found.row.tolist() == list(range(6)) and set(found.kind.tolist()) == {kind}


def test_the_report_of_a_task_counts_its_pairs(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    texts = [to_text(rng.integers(0, 4, 70, dtype=np.uint8)) for _ in range(60)]
    near = texts[0][:30] + texts[0][31:] + "A"
    tables = {
        "train": texts[:40],
        "dev": [*texts[40:50], texts[7]],
        "test": [*texts[50:], texts[3], reverse_complement(texts[4]), texts[41], near],
    }
    for name, rows in tables.items():
        lines = [f"{text},{i % 2}" for i, text in enumerate(rows)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["sequence,label", *lines, ""]))
    (data,) = TASKS["GUE"].build([tmp_path], tmp_path / "out")
    report = {(row["subset"], row["other_subset"]): row for row in data.leakage["given"]}
    assert report["validation", "train"]["same"] == 1
    seen = report["test", "train"]
    assert (seen["same"], seen["reverse_complement"], seen["near"]) == (1, 1, 1)
    assert seen["rate"] == pytest.approx(3 / 14, abs=1e-6)
    assert report["test", "validation"]["same"] == 1
    exact, all_ = (data.leaked("given", "test", near=near) for near in (False, True))
    assert np.flatnonzero(exact).tolist() == [10, 11, 12]
    assert np.flatnonzero(all_).tolist() == [10, 11, 12, 13]
