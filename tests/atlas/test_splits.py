from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from genoglot.atlas import Atlas, Split, make_split
from genoglot.errors import AtlasError
from genoglot.regions import Regions, Universe

KINDS = ["random", "random-group", "unseen-combination", "unseen-biosample"]
COLUMNS = ("group", "assay", "target", "biosample")


def table(rows: Sequence[tuple[str | None, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")


def factor(row: dict[str, Any]) -> str | None:
    return row["target"] or row["assay"]


def check_fair(about: pl.DataFrame, kind: str, made: Split) -> None:
    """The promises of a split, said as plainly as can be."""
    rows = list(about.iter_rows(named=True))
    parts = [made.train, made.validation, made.test, made.unused]
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(rows)))
    assert len(made.train)
    assert len(made.test)
    assert all(r.startswith(str(p)) for p, r in zip(made.subset, made.reason, strict=True))

    train = [rows[i] for i in made.train]
    train_factors = {factor(row) or "" for row in train}
    train_biosamples = {row["biosample"] for row in train}
    for held in (made.test, made.validation):
        for i in held:
            row = rows[i]
            if kind == "unseen-combination":
                assert row["biosample"] in train_biosamples
                assert factor(row) in train_factors
                assert all(
                    (r["biosample"], factor(r)) != (row["biosample"], factor(row)) for r in train
                )
            if kind == "unseen-biosample":
                assert row["biosample"]
                assert row["biosample"] not in train_biosamples
                assert (factor(row) or "") in train_factors
    unit = {
        "random": lambda i: i,
        "random-group": lambda i: rows[i]["group"],
        "unseen-combination": lambda i: (rows[i]["biosample"], factor(rows[i])),
        "unseen-biosample": lambda i: rows[i]["biosample"],
    }[kind]
    named = [{unit(i) for i in part} for part in parts[:3]]
    groups = [{rows[i]["group"] for i in part} for part in parts[:3]]
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        assert named[a].isdisjoint(named[b])
        assert kind == "random" or groups[a].isdisjoint(groups[b])


def letters(names: str) -> st.SearchStrategy[str | None]:
    return st.sampled_from([*names, None])


sheets = st.lists(
    st.tuples(st.sampled_from("abcdefghijkl"), letters("xy"), letters("PQRS"), letters("KLMNO")),
    min_size=2,
    max_size=50,
).map(table)


@settings(max_examples=150)
@given(
    about=sheets,
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 5),
    test=st.sampled_from([0.05, 0.2, 0.5]),
    validation=st.sampled_from([0, 0.1, 0.4]),
    within=st.sampled_from([None, {"assay": "x"}]),
)
def test_nothing_leaks_whatever_the_metadata(
    about: pl.DataFrame,
    kind: Any,
    seed: int,
    test: float,
    validation: float,
    within: dict[str, str] | None,
) -> None:
    try:
        made = make_split(about, kind, seed=seed, test=test, validation=validation, within=within)
    except AtlasError:
        assume(False)
        return
    check_fair(about, kind, made)
    assert (len(made.validation) > 0) == (validation > 0)
    again = make_split(about, kind, seed=seed, test=test, validation=validation, within=within)
    assert np.array_equal(made.subset, again.subset)
    if within:
        held = np.concatenate([made.test, made.validation])
        assert set(about["assay"].gather(held)) == {"x"}


@settings(max_examples=80)
@given(
    about=sheets,
    kind=st.sampled_from(KINDS),
    folds=st.integers(2, 4),
    validation=st.sampled_from([0, 0.1]),
)
def test_folds_share_out_what_can_be_held_out(
    about: pl.DataFrame, kind: Any, folds: int, validation: float
) -> None:
    try:
        made = [
            make_split(about, kind, fold=k, folds=folds, validation=validation)
            for k in range(folds)
        ]
    except AtlasError:
        assume(False)
        return
    for one in made:
        check_fair(about, kind, one)
    tested = np.concatenate([one.test for one in made])
    assert len(np.unique(tested)) == len(tested)
    if kind.startswith("random"):
        assert len(tested) == len(about)


def grid(biosamples: int, targets: int, replicates: int = 1) -> pl.DataFrame:
    """Every target in every biosample; replicates share an experiment group."""
    return table(
        [
            (f"{b}-{t}", "TF ChIP-seq", f"T{t}", f"B{b}")
            for b in range(biosamples)
            for t in range(targets)
            for _ in range(replicates)
        ]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_fractions_are_met(kind: Any) -> None:
    about = grid(20, 10, 2)
    made = make_split(about, kind, test=0.1, validation=0.2)
    check_fair(about, kind, made)
    assert (len(made.test), len(made.validation), len(made.train)) == (40, 80, 280)


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_differ(kind: Any) -> None:
    about = grid(10, 10)
    first, second = (make_split(about, kind, seed=seed) for seed in (0, 1))
    assert not np.array_equal(first.subset, second.subset)


def test_every_combination_of_a_grid_is_tested_once_over_the_folds() -> None:
    about = grid(6, 5)
    made = [make_split(about, "unseen-combination", fold=k, folds=3) for k in range(3)]
    assert sorted(np.concatenate([one.test for one in made]).tolist()) == list(range(30))
    assert [len(one.test) for one in made] == [10, 10, 10]


def test_assay_stands_in_for_a_missing_target() -> None:
    rows = [(f"{b}{a}", a, None, b) for b in "KLMN" for a in ("ATAC-seq", "DNase-seq")]
    made = make_split(table(rows), "unseen-combination", test=0.2, validation=0)
    check_fair(table(rows), "unseen-combination", made)
    assert "never together" in made.reason[made.test[0]]


def test_sets_of_unknown_biosample_are_unused_with_the_reason() -> None:
    about = pl.concat([grid(4, 3), table([("z", "ATAC-seq", None, None)])])
    made = make_split(about, "unseen-biosample", test=0.3)
    assert made.unused.tolist() == [12]
    assert "not known" in made.reason[12]


def test_within_holds_out_one_assay_and_sets_the_biosamples_others_aside() -> None:
    atac = table([(f"a{b}", "ATAC-seq", None, f"B{b}") for b in range(5)])
    about = pl.concat([grid(5, 3), atac])
    made = make_split(
        about, "unseen-biosample", test=0.2, validation=0.2, within={"assay": "ATAC-seq"}
    )
    check_fair(about, "unseen-biosample", made)
    assert len(made.test) == len(made.validation) == 1
    assert set(about["assay"].gather(made.test)) == {"ATAC-seq"}
    assert len(made.unused) == 6  # the ChIP-seq of the two biosamples
    assert all("`within`" in made.reason[i] for i in made.unused)


def test_a_target_of_its_own_never_tests_nor_keeps_its_biosample_from_testing() -> None:
    lone = table([("z", "TF ChIP-seq", "LONE", "B0")])
    about = pl.concat([grid(4, 3), lone])
    for seed in range(5):
        made = make_split(about, "unseen-combination", seed=seed, test=0.3, validation=0)
        assert made.subset[12] == "train"
    tested = {
        str(name)
        for seed in range(20)
        for name in about["biosample"].gather(make_split(about, "unseen-biosample", seed=seed).test)
    }
    assert tested == {"B1", "B2", "B3"}  # B0 cannot be: nothing else would be left of LONE


@pytest.mark.parametrize(
    ("about", "kind", "problem"),
    [
        (grid(1, 1), "random", "too few region sets"),
        (grid(1, 1, 4), "random-group", "too few experiment groups"),
        (grid(1, 5), "unseen-combination", "no combination"),
        (grid(1, 5), "unseen-biosample", "no biosample"),
        (table([("a", None, None, None)] * 3), "unseen-biosample", "no biosample"),
        (table([("one", "x", t, b) for t in "PQ" for b in "KL"]), "unseen-combination", "no comb"),
    ],
)
def test_what_cannot_be_split_is_said_in_one_line(
    about: pl.DataFrame, kind: Any, problem: str
) -> None:
    with pytest.raises(AtlasError, match=problem) as raised:
        make_split(about, kind)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"kind": "by-weekday"}, "unknown kind"),
        ({"test": 0}, "fractions"),
        ({"test": 0.6, "validation": 0.4}, "fractions"),
        ({"fold": 1}, "both"),
        ({"fold": 3, "folds": 3}, "fold 3 of 3"),
        ({"fold": 0, "folds": 1}, "at least 2"),
        ({"fold": 0, "folds": 99}, "for 99 folds"),
        ({"within": {"color": "red"}}, "no column 'color'"),
        ({"within": {"assay": "red"}}, "no region set"),
    ],
)
def test_bad_settings_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(AtlasError, match=problem):
        make_split(grid(5, 4), **{"kind": "random", **options})


def add_split(atlas: Atlas, kind: Any, *, overwrite: bool = False, **settings: Any) -> Split:
    return atlas.add_split(make_split(atlas.metadata, kind, **settings), overwrite=overwrite)


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    about = grid(5, 4).with_columns(description=pl.lit("peaks"))
    universe = Universe(Regions(["chr1"] * 3, [0, 10, 20], [5, 15, 25]))
    return Atlas.from_sets(tmp_path / "atlas", universe, about, ([i % 3] for i in range(20)))


def test_a_split_is_kept_in_the_atlas_with_its_reasons(atlas: Atlas) -> None:
    made = add_split(atlas, "unseen-combination", seed=3)
    add_split(atlas, "random-group", fold=0, folds=2)
    again = Atlas.open(atlas.path)
    assert again.splits() == ["random-group-fold-0-of-2", "unseen-combination"]
    read = again.split("unseen-combination")
    assert np.array_equal(read.subset, made.subset)
    assert (read.reason, read.settings, read.name) == (made.reason, made.settings, made.name)
    check_fair(atlas.metadata, "unseen-combination", read)
    kept = pl.read_parquet(atlas.path / "splits/unseen-combination.parquet")
    assert kept.columns == ["id", "subset", "reason"]
    assert kept["id"].to_list() == atlas.metadata["id"].to_list()
    assert again.digest == atlas.digest
    again.verify()


def test_a_split_is_not_replaced_by_another_unasked(atlas: Atlas) -> None:
    first = add_split(atlas, "random", name="mine")
    assert np.array_equal(add_split(atlas, "random", name="mine").subset, first.subset)
    with pytest.raises(AtlasError, match="another split 'mine'"):
        add_split(atlas, "random", seed=1, name="mine")
    assert np.array_equal(atlas.split("mine").subset, first.subset)
    second = add_split(atlas, "random", seed=1, name="mine", overwrite=True)
    assert np.array_equal(atlas.split("mine").subset, second.subset)
    with pytest.raises(AtlasError, match="cannot be the name"):
        add_split(atlas, "random", name="../mine")


def test_splits_that_are_missing_damaged_or_of_other_data(atlas: Atlas, tmp_path: Path) -> None:
    with pytest.raises(AtlasError, match="none yet"):
        atlas.split("random")
    add_split(atlas, "random")
    with pytest.raises(AtlasError, match="there are: random"):
        atlas.split("randon")
    about = pl.DataFrame({"description": ["one", "two"]})
    other = Atlas.from_sets(tmp_path / "other", atlas.universe, about, [[1], [2]])
    file = atlas.path / "splits/random.parquet"
    (other.path / "splits/random.parquet").write_bytes(file.read_bytes())
    with pytest.raises(AtlasError, match="made for the atlas"):
        other.split("random")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(AtlasError, match="damaged"):
        atlas.split("random")
    pq.write_table(pq.read_table(other.path / "tokens.parquet"), file)
    with pytest.raises(AtlasError, match="damaged"):
        atlas.split("random")


def test_a_set_whose_target_is_lost_is_not_of_the_assay_as_a_factor() -> None:
    """ATAC-seq has no target; ChIP-seq without one may be of any factor, a held-out one too."""
    rows = [
        (f"{assay}-{target}-{b}", assay, target, b)
        for b in "ABCDE"
        for assay, target in [("ChIP", "CTCF"), ("ChIP", "MAX"), ("ChIP", None), ("ATAC", None)]
    ]
    about = table(rows)
    lost = {i for i, row in enumerate(rows) if row[1:3] == ("ChIP", None)}
    for seed in range(5):
        made = make_split(about, "unseen-combination", test=0.3, validation=0.1, seed=seed)
        assert set(made.unused) == lost
        assert all("not known" in made.reason[i] for i in lost)
    held = {
        i for seed in range(20) for i in make_split(about, "unseen-combination", seed=seed).test
    }
    assert any(rows[i][1] == "ATAC" for i in held), "open chromatin is a factor of its own"


@pytest.mark.parametrize("nothing", [None, "", " "])
def test_sets_without_labels_are_no_group(tmp_path: Path, nothing: str | None) -> None:
    universe = Universe(Regions(["chr1"] * 4, [0, 10, 20, 30], [5, 15, 25, 35]))
    about = pl.DataFrame(
        {"description": list("abcdef")}
        | {name: [nothing] * 3 + ["x"] * 3 for name in ("assay", "target", "biosample", "group")},
        schema_overrides={"group": pl.String},
    )
    atlas = Atlas.from_sets(tmp_path / "atlas", universe, about, [[i % 4] for i in range(6)])
    assert atlas.metadata["group"].to_list() == ["0", "1", "2", "x", "x", "x"]
    assert atlas.metadata["target"].null_count() == 3 and atlas.info()["n_biosamples"] == 1
    made = make_split(atlas.metadata, "random-group", test=0.5, validation=0)
    assert len(made.test) in (2, 3)
    raw = atlas.metadata.with_columns(group=pl.lit(None, pl.String))
    assert len(make_split(raw, "random-group", test=0.34, validation=0).test) == 2
