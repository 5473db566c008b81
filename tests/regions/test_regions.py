"""The operations of `Regions`, each against a brute-force reference."""

import pickle
from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoglot.errors import ChromosomeNameError, GenoglotError
from genoglot.regions import NO_NEIGHBOR, Regions, base_pair_jaccard, region_jaccard

CHROMS = ["chr1", "chr2", "chr10", "chrX"]
REGION = st.tuples(st.sampled_from(CHROMS), st.integers(0, 40), st.integers(0, 12))
ROWS = st.lists(REGION.map(lambda r: (r[0], r[1], r[1] + r[2])), max_size=14)


def table(rows):
    chrom, start, end = zip(*rows, strict=True) if rows else ((), (), ())
    return Regions(chrom, start, end)


def rows_of(regions):
    return list(zip(regions.chrom, regions.start.tolist(), regions.end.tolist(), strict=True))


def bases(rows):
    return {(chrom, at) for chrom, start, end in rows for at in range(start, end)}


def overlap(a, b):
    return bool(bases([a]) & bases([b]))


@given(ROWS, ROWS)
def test_overlaps_are_all_pairs_that_share_a_base(a, b):
    expected = [(i, j) for (i, x), (j, y) in product(enumerate(a), enumerate(b)) if overlap(x, y)]
    rows, others = table(a).overlaps(table(b))
    assert list(zip(rows.tolist(), others.tolist(), strict=True)) == expected


@given(ROWS, ROWS)
def test_intersect_cuts_out_the_shared_part_of_each_pair(a, b):
    expected = [(x[0], max(x[1], y[1]), min(x[2], y[2])) for x, y in product(a, b) if overlap(x, y)]
    assert rows_of(table(a).intersect(table(b))) == expected


@given(ROWS, st.integers(0, 5))
def test_merge_joins_what_is_at_most_gap_apart(rows, gap):
    expected = []
    for chrom, start, end in sorted(rows, key=lambda r: (CHROMS.index(r[0]), r[1], r[2])):
        if expected and expected[-1][0] == chrom and start <= expected[-1][2] + gap:
            expected[-1] = (chrom, expected[-1][1], max(end, expected[-1][2]))
        else:
            expected.append((chrom, start, end))
    assert rows_of(table(rows).merge(gap)) == expected


@given(ROWS)
def test_merging_keeps_the_bases_and_merging_again_changes_nothing(rows):
    merged = table(rows).merge()
    assert bases(rows_of(merged)) == bases(rows)
    assert (merged.end - merged.start).sum() == len(bases(rows))
    assert merged.merge() == merged


def distance(a, b):
    """Bases from a to b as `bedtools closest -D ref` counts them."""
    if a[1] < b[2] and b[1] < a[2]:
        return 0
    return b[1] - a[2] + 1 if b[1] >= a[2] else -(a[1] - b[2] + 1)


@given(ROWS, ROWS)
def test_nearest_is_the_first_of_the_least_distant(a, b):
    found, distances = table(a).nearest(table(b))
    for i, x in enumerate(a):
        near = [
            (abs(distance(x, y)), y[1], y[2], j, distance(x, y))
            for j, y in enumerate(b)
            if y[0] == x[0]
        ]
        if not near:
            assert (found[i], distances[i]) == (-1, NO_NEIGHBOR)
            continue
        least = min(n[0] for n in near)
        assert abs(distances[i]) == least
        # Several ends may be equally far to the left: the first by (start, end, row) counts.
        assert (found[i], distances[i]) == min(n[1:] for n in near if n[0] == least)[2:]


@given(ROWS, ROWS)
def test_jaccard_is_shared_bases_over_all_bases(a, b):
    either = bases(a) | bases(b)
    expected = len(bases(a) & bases(b)) / len(either) if either else 0.0
    assert base_pair_jaccard(table(a), table(b)) == pytest.approx(expected)


@given(ROWS, ROWS)
def test_region_jaccard_counts_overlapped_regions(a, b):
    hit_a = sum(any(overlap(x, y) for y in b) for x in a)
    hit_b = sum(any(overlap(x, y) for x in a) for y in b)
    shared = (hit_a + hit_b) / 2
    either = len(a) + len(b) - shared
    expected = shared / either if either else 0.0
    assert region_jaccard(table(a), table(b)) == pytest.approx(expected)
    assert region_jaccard(table(a), table(b)) == region_jaccard(table(b), table(a))


@given(st.sets(st.tuples(st.sampled_from(CHROMS), st.integers(0, 9))), st.data())
def test_region_jaccard_of_equal_regions_is_that_of_sets(bins, data):
    a = data.draw(st.sets(st.sampled_from(sorted(bins)))) if bins else set()
    either = len(a | bins)
    tables = [table([(c, 10 * i, 10 * i + 9) for c, i in sorted(part)]) for part in (a, bins)]
    expected = len(a & bins) / either if either else 0.0
    assert region_jaccard(tables[0], tables[1]) == pytest.approx(expected)


@given(ROWS)
def test_sort_is_by_natural_chromosome_start_end_and_stable(rows):
    regions = table(rows).with_columns(row=np.arange(len(rows)))
    expected = sorted(range(len(rows)), key=lambda i: (CHROMS.index(rows[i][0]), *rows[i][1:], i))
    assert regions.sort().frame["row"].to_list() == expected if rows else not len(regions.sort())


@given(ROWS, ROWS)
def test_concat_puts_one_after_the_other(a, b):
    assert rows_of(Regions.concat([table(a), table(b)])) == a + b


@given(ROWS.filter(len), st.data())
def test_rows_may_be_chosen_by_slice_index_and_mask(rows, data):
    regions = table(rows).with_columns(row=np.arange(len(rows)))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    assert regions[mask] == regions[np.flatnonzero(mask)]
    assert rows_of(regions[::-1]) == rows[::-1]
    assert regions[::-1].columns["row"].to_list() == list(range(len(rows)))[::-1]
    chosen = regions[mask]
    assert chosen.chrom_names == tuple(dict.fromkeys(chosen.chrom))


def test_concat_fills_missing_columns_with_nulls():
    named = Regions(["1"], [0], [1]).with_columns(name=["a"])
    both = Regions.concat([Regions(["2", "1"], [5, 6], [6, 7]), named])
    assert both.columns["name"].to_list() == [None, None, "a"]
    assert both.chrom_names == ("2", "1")


def test_empty_tables_go_through_every_operation():
    empty, some = Regions([], [], []), Regions(["1"], [0], [5])
    assert len(empty.sort()) == len(empty.merge()) == len(empty.intersect(some)) == 0
    assert len(some.intersect(empty)) == len(Regions.concat([])) == len(empty[:]) == 0
    assert (
        base_pair_jaccard(empty, empty)
        == region_jaccard(empty, empty)
        == base_pair_jaccard(some, empty)
        == 0.0
    )
    assert some.nearest(empty)[0].tolist() == [-1]
    assert empty.frame.columns == ["chrom", "start", "end"]


def test_a_region_without_bases_overlaps_nothing_but_has_a_place():
    point, around = Regions(["1"], [5], [5]), Regions(["1"], [0], [10])
    assert len(point.intersect(around)) == len(around.intersect(point)) == 0
    assert base_pair_jaccard(point, around) == 0.0
    assert point.nearest(around)[1].tolist() == [0]


def test_tables_cannot_be_changed_in_place():
    start = np.array([1, 2])
    regions = Regions(["1", "1"], start, [5, 6])
    start[0] = 4
    assert regions.start.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        regions.start[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        regions.chrom[0] = "2"


def test_equality_looks_at_names_coordinates_and_columns():
    a = Regions(["1", "2"], [0, 1], [5, 6])
    assert a == Regions(["1", "2"], [0, 1], [5, 6])
    assert a != Regions(["1", "3"], [0, 1], [5, 6])
    assert a != a[::-1]
    assert a != a.with_columns(score=[1, 2])
    assert a != "regions"
    assert pickle.loads(pickle.dumps(a.with_columns(x=[1, 2]))) == a.with_columns(x=[1, 2])


def test_frames_go_in_and_out():
    frame = pl.DataFrame({"chrom": ["1"], "start": [3], "end": [4], "score": [0.5]})
    assert Regions.from_frame(frame).frame.equals(frame)
    with pytest.raises(GenoglotError, match="has no column"):
        Regions.from_frame(frame.drop("end"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["1"], [5], [4]), "1:5-4"),
        ((["1"], [-1], [4]), "0 <= start"),
        ((["1"], [0.5], [4]), "whole numbers"),
        ((["1"], [1, 2], [4]), "as many"),
        ((["1"], [1], [4], {"name": ["a", "b"]}), "2 rows"),
        ((["1"], [1], [4], {"start": [1]}), "rename"),
    ],
)
def test_wrong_tables_are_refused(arguments, message):
    with pytest.raises(GenoglotError, match=message):
        Regions(*arguments)


def test_chromosomes_can_be_spelled_another_way():
    regions = Regions(["1", "chr1", "MT", "GL000192.1"], [0] * 4, [1] * 4)
    ucsc = regions.rename_chroms("ucsc")
    assert ucsc.chrom.tolist() == ["chr1", "chr1", "chrM", "GL000192.1"]
    assert ucsc.chrom_names == ("chr1", "chrM", "GL000192.1")
    assert ucsc.rename_chroms("ensembl").chrom.tolist() == ["1", "1", "MT", "GL000192.1"]
    assert regions.rename_chroms({"1": "one"}).chrom.tolist()[:2] == ["one", "chr1"]
    with pytest.raises(ChromosomeNameError, match="ucsc"):
        regions.rename_chroms("ncbi")


@given(st.sampled_from([*map(str, range(1, 23)), "X", "Y", "MT", "2L", "IV"]))
def test_the_two_spellings_are_each_other_s_inverse(name):
    one = Regions([name], [0], [1])
    assert one.rename_chroms("ucsc").rename_chroms("ensembl") == one


@pytest.mark.parametrize("name", ["chr1 ", " chr1", "chr1\u00a0", '"chr1"', "", None, 1.0, np.nan])
def test_what_is_no_chromosome_name_is_refused(name):
    with pytest.raises(GenoglotError, match="chromosome"):
        Regions(["chr1", name], [1, 2], [3, 4])
    if not isinstance(name, float):
        with pytest.raises(GenoglotError, match="chromosome"):
            Regions.from_frame(pl.DataFrame({"chrom": ["chr1", name], "start": 1, "end": 2}))
    assert Regions([1, "X", "HLA-A*01:01"], [1] * 3, [2] * 3).chrom_names == (
        *("1", "X", "HLA-A*01:01"),
    )


@pytest.mark.parametrize("method", ["overlaps", "intersect", "nearest", "concat"])
@pytest.mark.parametrize(("ours", "theirs"), [("chr1", "1"), ("MT", "chrM"), ("chr1", "CHR01")])
def test_two_tables_with_other_chromosome_names_are_refused(method, ours, theirs):
    a, b = Regions([ours, "chr7"], [1, 5], [9, 9]), Regions([theirs, "chr8"], [1, 5], [9, 9])
    with pytest.raises(ChromosomeNameError, match=f"'{ours}'.*'{theirs}'|'{theirs}'.*'{ours}'"):
        Regions.concat([a, b]) if method == "concat" else getattr(a, method)(b)
