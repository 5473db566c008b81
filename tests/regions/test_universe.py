"""Universes: ids, overlaps, what is refused and what is repaired."""

import itertools
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoglot.errors import ChromosomeNameError, GenoglotError, UniverseError, UniverseMismatchError
from genoglot.regions import Regions, Universe, jaccard_of_ids

CHROMS = ["chr2", "chr1", "chrX"]
QUERY = st.tuples(st.sampled_from([*CHROMS, "chrUn_1"]), st.integers(0, 300), st.integers(0, 90))
QUERIES = st.lists(QUERY.map(lambda q: (q[0], q[1], q[1] + q[2])), max_size=12)


@st.composite
def universes(draw):
    rows = []
    for chrom in CHROMS:
        cuts = sorted(draw(st.sets(st.integers(0, 250), max_size=60)))
        # Neighbors share a cut now and then, so that bookended regions occur.
        pairs = list(itertools.pairwise(cuts))
        rows += [(chrom, *pair) for pair in pairs if draw(st.booleans())]
    return rows or [("chr2", 0, 5)]


def table(rows):
    chrom, start, end = zip(*rows, strict=True) if rows else ((), (), ())
    return Regions(chrom, start, end)


def shared(a, b):
    return min(a[2], b[2]) - max(a[1], b[1]) if a[0] == b[0] else 0


# Fractions that some overlap has exactly, too.
FRACTION = st.floats(0, 1) | st.sampled_from([0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1])


@given(universes(), QUERIES, st.integers(1, 30), FRACTION, FRACTION)
def test_encode_and_overlaps_agree_with_looking_at_every_pair(
    rows, queries, min_bp, of_query, of_universe
):
    universe = Universe(table(rows))
    pairs = [
        (i, j, shared(q, u))
        for i, q in enumerate(queries)
        for j, u in enumerate(rows)
        if shared(q, u) > 0
    ]
    ids = universe.encode(table(queries))
    assert ids.dtype == np.int32
    assert ids.tolist() == sorted({j for _, j, _ in pairs})
    found = universe.overlaps(table(queries))
    assert list(zip(*(x.tolist() for x in found), strict=True)) == [p[:2] for p in pairs]
    enough = {
        j
        for i, j, bp in pairs
        if bp >= min_bp
        and bp / (queries[i][2] - queries[i][1]) >= of_query
        and bp / (rows[j][2] - rows[j][1]) >= of_universe
    }
    strict = {"min_bp": min_bp, "min_fraction": of_query, "min_universe_fraction": of_universe}
    assert universe.encode(table(queries), **strict).tolist() == sorted(enough)
    assert universe.encode_signal_ranks(table(queries), **strict)[0].tolist() == sorted(enough)


def test_a_fraction_is_reached_exactly_and_is_that_of_one_of_the_two():
    universe = Universe(Regions(["1", "1"], [0, 1000], [30, 1300]))
    assert universe.encode(Regions(["1"], [27], [57]), min_fraction=0.1).tolist() == [0]
    small = Regions(["1"], [1000], [1030])  # all of it, a tenth of the universe's region
    assert universe.encode(small, min_fraction=1).tolist() == [1]
    assert universe.encode(small, min_universe_fraction=0.1).tolist() == [1]
    assert universe.encode(small, min_universe_fraction=0.11).tolist() == []
    for wrong in (-0.1, 1.5, 50):
        with pytest.raises(GenoglotError, match="give 0 to 1"):
            universe.overlaps(small, min_universe_fraction=wrong)


@given(universes())
def test_every_region_encodes_to_its_own_row(rows):
    universe = Universe(table(rows))
    assert universe.encode(universe.regions).tolist() == list(range(len(rows)))
    assert universe.decode(np.arange(len(rows))) == universe.regions


@pytest.mark.parametrize("reach", [10_000, 2_000_000])
@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("shift", [0, 4_000_000_000])
def test_large_sets_agree_with_one_search_per_chromosome(reach, crowded, shift):
    rng = np.random.default_rng(0)
    n = 20_000
    step = 3 if crowded else 5_000
    start = np.concatenate([np.arange(n) * step + 10_000_000 * crowded] * 2) + shift
    universe = Universe(Regions(["chr2"] * n + ["chr1"] * n, start, start + 2))
    at = rng.integers(0, 100_000_000, 9_000) + shift
    queries = Regions(rng.choice(CHROMS, 9_000), at, at + rng.integers(0, reach, 9_000))
    hit = np.zeros(2 * n, bool)
    for chrom, base in (("chr2", 0), ("chr1", n)):
        mine = (queries.chrom == chrom) & (queries.end > queries.start)
        lo = np.searchsorted(start[:n] + 2, queries.start[mine], "right")
        hi = np.searchsorted(start[:n], queries.end[mine], "left")
        for a, b in zip(lo, hi, strict=True):
            hit[base + a : base + b] = True
    assert np.array_equal(universe.encode(queries), np.flatnonzero(hit))
    assert np.array_equal(universe.encode(queries.sort()), np.flatnonzero(hit))
    assert np.array_equal(np.unique(universe.overlaps(queries)[1]), np.flatnonzero(hit))


def test_ids_are_the_lines_of_the_file(tmp_path):
    path = tmp_path / "u.bed"
    path.write_text("# mine\nchr2\t5\t9\ta\nchr2\t9\t12\tb\nchr10\t0\t4\tc\nchr1\t0\t4\td\n")
    universe = Universe.from_bed(path, genome="hg38")
    assert universe.genome == "hg38"
    assert universe.regions.chrom.tolist() == ["chr2", "chr2", "chr10", "chr1"]
    assert universe.regions.columns.width == 0
    assert universe.encode(Regions(["chr1"], [3], [9])).tolist() == [3]
    assert len(universe.encode(Regions(["chr1"], [4], [9]))) == 0


@pytest.mark.parametrize(
    ("lines", "line", "problem", "sort", "drop", "merge"),
    [
        (["1 0 5", "1 0 5", "1 7 9"], 3, "1 exact duplicates", None, 2, 2),
        (["1 0 5", "1 3 9", "1 9 12"], 3, "1 overlaps", None, None, 2),
        (["1 0 50", "1 3 9", "1 9 12"], 3, "2 overlaps|1 overlaps", None, None, 1),
        (["1 7 9", "1 0 5"], 3, "1 regions out of order", 2, 2, 2),
        (["1 0 5", "2 0 5", "1 7 9"], 4, "1 regions out of order", 3, 3, 3),
        (["1 0 5", "1 5 5"], 3, "1 empty regions", None, 1, 1),
        (["1 5 5"], 2, "1 empty regions", None, None, None),
    ],
)
def test_what_is_no_universe_is_refused_or_repaired(
    tmp_path, lines, line, problem, sort, drop, merge
):
    path = tmp_path / "u.bed"
    path.write_text("\n".join(["#u", *lines]).replace(" ", "\t"))
    with pytest.raises(UniverseError, match=problem) as raised:
        Universe.from_bed(path)
    assert str(raised.value).startswith(f"{path}:{line}: ")
    with pytest.raises(UniverseError, match=problem):
        Universe(Regions.from_bed(path))
    for repair, size in (("sort", sort), ("drop", drop), ("merge", merge)):
        if size is None:
            with pytest.raises(UniverseError):
                Universe.from_bed(path, repair=repair)
        else:
            assert len(Universe.from_bed(path, repair=repair)) == size
            again = Universe(Regions.from_bed(path), repair=repair)
            assert again == Universe.from_bed(path, repair=repair)


def test_a_universe_from_a_pipe_is_refused_with_the_line(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for text, line in (("#u\n1\t0\t5\n1\t3\t9\n", 3), ("#u\n1\t0\tfive\n", 2)):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(pipe.write_text, text)
            with pytest.raises(UniverseError, match=f"pipe:{line}: "):
                Universe.from_bed(pipe)


def test_an_empty_universe_and_an_unknown_repair_are_refused(tmp_path):
    (tmp_path / "u.bed").write_text("")
    with pytest.raises(UniverseError, match="at least one"):
        Universe.from_bed(tmp_path / "u.bed")
    with pytest.raises(UniverseError, match="repair"):
        Universe(Regions(["1"], [0], [1]), repair="fix")


@pytest.mark.parametrize(
    ("ours", "theirs", "alias"),
    [
        ("chr1", "1", "ucsc"),
        ("1", "chr1", "ensembl"),
        ("chrM", "MT", "ucsc"),
        ("MT", "M", "ensembl"),
    ],
)
def test_the_other_spelling_of_a_chromosome_is_refused_with_the_way_out(ours, theirs, alias):
    universe = Universe(Regions([ours], [0], [10]))
    queries = Regions([theirs, "chrUn_gl000220"], [5, 5], [6, 6])
    with pytest.raises(ChromosomeNameError, match=f'alias="{alias}" .--alias {alias}.'):
        universe.encode(queries)
    with pytest.raises(ChromosomeNameError):
        universe.overlaps(queries)
    assert universe.encode(queries.rename_chroms(alias)).tolist() == [0]


def test_chromosomes_that_the_universe_lacks_match_nothing():
    universe = Universe(Regions(["chr1"], [0], [10]))
    assert len(universe.encode(Regions(["chr7", "GL000192.1", "7"], [0] * 3, [9] * 3))) == 0
    assert len(universe.encode(Regions([], [], []))) == 0


@pytest.mark.parametrize("ids", [[2], [-1], [0, 99]])
def test_ids_outside_the_universe_are_refused(ids):
    universe = Universe(Regions(["1", "1"], [0, 9], [5, 12]))
    with pytest.raises(UniverseError, match="outside this universe of 2 regions"):
        universe.decode(ids)


def test_decode_keeps_the_order_and_takes_no_ids():
    universe = Universe(Regions(["1", "2"], [0, 9], [5, 12]))
    assert universe.decode([1, 0, 1]).start.tolist() == [9, 0, 9]
    assert len(universe.decode([])) == 0


@given(universes())
def test_the_digest_tells_universes_apart(rows):
    universe = Universe(table(rows), genome="hg38")
    assert Universe(table(rows)).digest == universe.digest
    moved = [*rows[:-1], (rows[-1][0], rows[-1][1], rows[-1][2] + 1)]
    assert Universe(table(moved)).digest != universe.digest
    renamed = Universe(table(rows).rename_chroms("ensembl"))
    with pytest.raises(UniverseMismatchError, match="use the same universe"):
        universe.check_same(renamed)
    assert universe.check_same(universe.digest) is None


def test_saved_and_loaded_it_is_the_same(tmp_path):
    universe = Universe(Regions(["2", "2", "1"], [0, 9, 3], [5, 12, 4]), genome="GRCh38")
    universe.save(tmp_path / "u.parquet")
    loaded = Universe.load(tmp_path / "u.parquet")
    assert (loaded, loaded.genome) == (universe, "GRCh38")
    assert loaded.regions == universe.regions
    assert loaded.encode(universe.regions).tolist() == [0, 1, 2]
    (tmp_path / "other.parquet").write_bytes(b"no parquet")
    for name in ("other.parquet", "missing.parquet"):
        with pytest.raises(UniverseError, match="not a saved universe"):
            Universe.load(tmp_path / name)


def test_it_can_be_sent_to_another_process():
    universe = Universe(Regions(["2", "1"], [0, 3], [5, 4]), genome="hg38")
    copy = pickle.loads(pickle.dumps(universe))
    assert (copy, copy.genome, hash(copy)) == (universe, "hg38", hash(universe))
    assert copy.encode(Regions(["1"], [3], [9])).tolist() == [1]
    assert "2 regions" in repr(copy)


@given(st.sets(st.integers(0, 20)), st.lists(st.sets(st.integers(0, 20)), max_size=4))
def test_jaccard_of_ids_is_that_of_sets(ids, others):
    expected = [len(ids & other) / len(ids | other) if ids | other else 0.0 for other in others]
    found = jaccard_of_ids([*ids], [[*other] for other in others], universe_size=21)
    assert found.tolist() == pytest.approx(expected)
