"""Which format of the BED family a file is of, and its signal."""

import gzip

import numpy as np
import polars as pl
import pytest

from genoglot.errors import GenoglotError
from genoglot.regions import Regions, Universe
from genoglot.regions.signal import signal_column

# As ENCODE serves them, all called .bed.gz.
BROAD = ["chr1 9356548 9356648 . 0 . 182.33 5.09 -1", "chr1 9358722 9358822 . 900 . 91 4.6 2.5"]
NARROW = ["chr1 9356548 9356648 . 0 . 182 5.09 -1 50", "chr1 9358722 9358822 . 900 . 91 4.6 2 -1"]
GAPPED = [
    "chr1 700 7600 . 0 . 700 7600 0 3 1,1,1 0,5,6899 182 5.09 1",
    "chr1 17000 17600 . 900 . 17100 17200 0 1 600 0 91 4.6 2.5",
]
PEAKS = {"broadPeak": BROAD, "narrowPeak": NARROW, "gappedPeak": GAPPED}
# The signal ranks are another way round by the score than by column 7, here and above.
BED9 = ["chr1 100 200 a 900 + 100 200 255,0,0", "chr1 300 400 b 0 + 320 330 0"]


@pytest.fixture
def read(tmp_path):
    def read(lines, name="a.bed", **options):
        text = "".join(f"{line}\n" for line in lines).replace(" ", "\t").encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
        return Regions.from_bed(path, **options)

    return read


def signal_of(regions):
    """Numbers of the column that is used as the signal."""
    return regions.columns[signal_column(regions.columns)].cast(pl.Float64).to_numpy()


def signal_ranks(regions):
    """Of a universe of these regions."""
    return Universe(regions).encode_signal_ranks(regions)[1].tolist()


@pytest.mark.parametrize("peaks", PEAKS)
@pytest.mark.parametrize("ending", ["bed.gz", "bed", "txt"])
def test_peaks_named_bed_are_read_as_by_their_own_ending(read, caplog, tmp_path, peaks, ending):
    own = read(PEAKS[peaks], f"a.{peaks}.gz")
    assert signal_column(own.columns) == "signalValue"
    assert signal_ranks(own) == [255, 1]  # the other way round than by the score
    named_bed = read(PEAKS[peaks], f"a.{ending}")
    assert named_bed == own
    assert signal_ranks(named_bed) == [255, 1]
    assert not caplog.text
    again = tmp_path / f"again.{ending}"
    own.to_bed(again)
    assert Regions.from_bed(again) == own


def test_whole_numbers_are_a_signal_where_they_cannot_be_coordinates(read):
    whole = ["chr1 9356548 9356648 . 0 . 182 5 3", "chr1 9358722 9358822 . 900 . 91 4 2"]
    assert signal_ranks(read(whole)) == [255, 1]


@pytest.mark.parametrize(
    "lines",
    [
        BED9,
        ["chr1 100 200 a 900 + 0 0 0", "chr1 300 400 b 0 + 0 0 0"],  # no thick part
        ["chr1 100 200 a 900 + 50 250 0", "chr1 300 400 b 0 + 310 500 0"],  # made narrower
        ["chr1 100 200 a 900 + . . .", "chr1 300 400 b 0 + . . ."],
        [f"{line} 2 10,20 0,80" for line in BED9],
        [f"{line} 2 10,20 0,80 x y z" for line in BED9],
        [f"{line} 7" for line in BED9],
        [line.rpartition(" ")[0] for line in BED9],
        ["chr1 100 200 a 900 + HAVANA gene 0", "chr1 300 400 b 0 + ENSEMBL gene 0"],
    ],
)
def test_other_columns_are_no_signal(read, lines):
    assert signal_ranks(read(lines)) == [255, 1]


@pytest.mark.parametrize(
    ("lines", "name", "format"),
    [
        (BED9, "a.broadPeak", "bed"),
        (BED9, "a.narrowPeak.gz", "bed"),
        (NARROW, "a.broadPeak", "narrowPeak"),
        (GAPPED, "a.narrowPeak", "gappedPeak"),
        (["track type=broadPeak", *GAPPED], "a.bed", "gappedPeak"),
    ],
)
def test_the_content_counts_against_the_name_with_a_notice(read, caplog, lines, name, format):
    regions = read(lines, name)
    assert f"read as {format}, by its columns" in caplog.text
    assert regions.columns.equals(read(lines, "b.txt", format=format).columns)


def test_the_guess_can_be_overruled(read):
    assert signal_ranks(read(BROAD, format="bed")) == [1, 255]
    assert signal_ranks(read(BED9, "a.txt", format="broadPeak")) == [1, 255]
    with pytest.raises(GenoglotError, match=r"has 9 columns.* gappedPeak .* in column 13"):
        read(BROAD, format="gappedPeak")
    with pytest.raises(GenoglotError, match="format is 'bed6'; use auto, bed, bedGraph"):
        read(BROAD, format="bed6")
    with pytest.raises(GenoglotError, match="counts from 1"):
        read(["chr start end length pileup", "chr1 5 9 5 7.5"], "a.xls", on_error="skip")


@pytest.mark.parametrize(
    ("value", "name", "options"),
    [
        ("2.5", "a.bed", {}),
        ("2", "a.bedGraph", {}),
        ("2", "a.bdg.gz", {}),
        ("2", "a.bed", {"format": "bedGraph"}),
    ],
)
@pytest.mark.parametrize("track", [[], ["track type=bedGraph name=x"]])
def test_the_fourth_column_of_a_bedgraph_is_its_signal(read, value, name, options, track):
    regions = read([*track, f"1 0 5 {value}", "1 8 9 .", "1 20 25 1"], name, **options)
    assert np.array_equal(signal_of(regions), [float(value), np.nan, 1], equal_nan=True)


def test_whole_numbers_as_names_are_no_signal_but_said(read, caplog):
    regions = read(["1 0 5 7001", "1 20 25 7002"])
    assert regions.columns["name"].to_list() == ["7001", "7002"]
    assert caplog.text == ""
    assert signal_ranks(regions) == [255, 255]
    assert "column 4 holds whole numbers, which are read as names" in caplog.text
    assert "--format bedGraph" in caplog.text


@pytest.mark.parametrize(
    "missing", [".", "NA", "na", "NaN", "nan", "null", "None", "N/A", "#N/A", "<NA>", "-", ""]
)
@pytest.mark.parametrize("peaks", ["bed", *PEAKS])
@pytest.mark.parametrize("ending", ["bed", "own"])
def test_one_missing_value_leaves_the_others_their_numbers(read, caplog, missing, peaks, ending):
    scores = [f"1 {i} {i + 1} n {i}.5 +" for i in range(9)]
    lines, column = {
        "bed": (scores, 4),
        "narrowPeak": ([f"{line} {i}.5 2 3 0" for i, line in enumerate(scores)], 6),
        "broadPeak": ([f"{line} {i}.5 2 3" for i, line in enumerate(scores)], 6),
        "gappedPeak": (
            [f"{line} {i} {i + 1} 0 1 1 0 {i}.5 2 3" for i, line in enumerate(scores)],
            12,
        ),
    }[peaks]
    fields = lines[4].split(" ")
    lines[4] = " ".join([*fields[:column], missing, *fields[column + 1 :]])
    regions = read(lines, "a.bed" if ending == "bed" else f"a.{peaks}")
    expected = [i + 0.5 if i != 4 else np.nan for i in range(9)]
    assert np.array_equal(signal_of(regions), expected, equal_nan=True)
    assert regions.columns[signal_column(regions.columns)][4] is None
    assert "missing" not in caplog.text
    assert signal_ranks(regions)[3:6] == [1 + 254 * 4 // 8, 1, 1 + 254 * 5 // 8]
    assert (
        f"the {signal_column(regions.columns)} is missing in 1 of 9 regions, which rank low"
        in caplog.text
    )


@pytest.mark.parametrize("ending", ["bed", "narrowPeak"])
def test_a_text_in_the_signal_is_named_and_the_column_not_used(read, caplog, ending):
    lines = [*NARROW, *NARROW]
    lines[2] = lines[2].replace("182", "high")
    regions = read(lines, f"a.{ending}")
    assert signal_column(regions.columns) == "score"
    assert signal_ranks(regions[[2, 3]]) == [1, 255]
    assert "signalValue of region 1 is 'high', which is not a number: score is used" in caplog.text
    caplog.clear()
    without = read(["1 0 5 a 1,5 +", "1 8 9 a 2 +"])
    assert signal_ranks(without) == [255, 255]
    assert "the score of region 1 is '1,5', which is not a number: without a signal" in caplog.text


def test_infinite_values_rank_at_the_ends(read, caplog):
    lines = [f"1 {i} {i + 1} . 0 . {x} 5.1 inf 0" for i, x in enumerate(["inf", "3", "-inf", "4"])]
    regions = read(lines)
    assert signal_of(regions).tolist() == [np.inf, 3, -np.inf, 4]
    assert np.argsort(signal_ranks(regions)).tolist() == [2, 1, 3, 0]
    assert caplog.text == ""


def test_a_column_without_any_number_stays_as_it_is(read, caplog):
    regions = read(["1 0 5 a . +", "1 8 9 b . -"])
    assert regions.columns["score"].to_list() == [".", "."]
    assert signal_ranks(regions) == [255, 255]
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [(["1", "-1", "."], ["+", "-", "."]), (["F", "r", "?"], ["+", "-", "."])],
)
def test_strands_are_spelled_one_way(read, given, expected):
    regions = read([f"1 {i} 9 n 0 {strand}" for i, strand in enumerate(given)])
    assert regions.columns["strand"].to_list() == expected


def test_a_column_that_holds_other_than_strands_is_left(read):
    regions = read(["1 0 9 33.1 3.4 chr1:0-9", "1 0 9 33.1 5.4 +"])
    assert regions.columns["strand"].to_list() == ["chr1:0-9", "+"]


def test_a_summit_past_the_end_of_its_peak_leaves_a_narrowpeak_one(read):
    cut = [line.rpartition(" ")[0] + " 887" for line in NARROW]
    assert signal_ranks(read(cut)) == [255, 1]
