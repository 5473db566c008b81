from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genoglot.atlas import Atlas
from genoglot.errors import AtlasError, GenoglotError
from genoglot.regions import Regions, Universe


@pytest.fixture(scope="module")
def universe() -> Universe:
    """1,000 regions of 100 bp, one every 1,000 bp, on two chromosomes."""
    start = np.tile(np.arange(500) * 1000, 2)
    return Universe(Regions(["chr1"] * 500 + ["chr2"] * 500, start, start + 100), genome="hg38")


@pytest.fixture(scope="module")
def token_lists() -> list[np.ndarray]:
    """60 random sets; number 7 and the last are empty."""
    rng = np.random.default_rng(0)
    sets = [
        np.sort(rng.choice(1000, rng.integers(1, 300), replace=False)).astype(np.int32)
        for _ in range(60)
    ]
    sets[7] = sets[-1] = np.empty(0, np.int32)
    return sets


@pytest.fixture(scope="module")
def metadata() -> pl.DataFrame:
    cells, factors = ["A549", "K562", "HepG2", "GM12878"], ["CTCF", "MAX", "MYC", None]
    rows = [
        {
            "id": f"set{i}",
            "description": f"{factors[i // 4 % 4] or 'open chromatin'} in {cells[i % 4]}, {i}",
            "assay": "ChIP-seq" if factors[i // 4 % 4] else "ATAC-seq",
            "target": factors[i // 4 % 4],
            "biosample": cells[i % 4],
            "age": i,
        }
        for i in range(60)
    ]
    return pl.DataFrame(rows)


@pytest.fixture
def atlas(
    tmp_path: Path, universe: Universe, metadata: pl.DataFrame, token_lists: list[np.ndarray]
) -> Atlas:
    return Atlas.from_sets(tmp_path / "atlas", universe, metadata, token_lists)


def dense(token_lists: list[np.ndarray], n: int = 1000) -> np.ndarray:
    table = np.zeros((len(token_lists), n), np.float32)
    for row, tokens in enumerate(token_lists):
        table[row, tokens] = 1
    return table


def test_what_was_written_is_read(
    atlas: Atlas, universe: Universe, metadata: pl.DataFrame, token_lists: list[np.ndarray]
) -> None:
    again = Atlas.open(atlas.path)
    assert len(again) == 60
    assert again.universe == universe
    assert (again.genome, again.universe_size, again.universe_digest) == (
        "hg38",
        1000,
        universe.digest,
    )
    for i, tokens in enumerate(token_lists):
        assert np.array_equal(again.tokens(i), tokens)
        assert again.tokens(i).dtype == np.int32
    assert again.metadata.select(metadata.columns).equals(metadata)
    assert again.metadata["n_tokens"].to_list() == [len(tokens) for tokens in token_lists]
    assert again.descriptions() == metadata["description"].to_list()
    assert again.descriptions([3, 0]) == [metadata["description"][3], metadata["description"][0]]
    again.verify()


def test_presence_is_the_multi_hot_matrix(atlas: Atlas, token_lists: list[np.ndarray]) -> None:
    expected = dense(token_lists)
    presence = atlas.presence()
    assert presence.dtype == np.float32
    assert presence.has_canonical_format
    assert np.array_equal(presence.toarray(), expected)
    rows = [5, 59, 7, 5]
    assert np.array_equal(atlas.presence(rows).toarray(), expected[rows])
    mask = np.arange(60) % 3 == 0
    assert np.array_equal(atlas.presence(mask).toarray(), expected[mask])
    assert atlas.presence([]).shape == (0, 1000)
    assert atlas.tokens_of([]) == []


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sets=st.lists(st.sets(st.integers(0, 99), max_size=30), min_size=1, max_size=40),
    group=st.integers(1, 60),
    data=st.data(),
)
def test_any_rows_in_any_order_whatever_the_row_groups(
    tmp_path_factory: pytest.TempPathFactory,
    sets: list[set[int]],
    group: int,
    data: st.DataObject,
) -> None:
    start = np.arange(100) * 10
    universe = Universe(Regions(["chr1"] * 100, start, start + 5))
    about = pl.DataFrame({"description": ["text"] * len(sets)})
    lists = [sorted(s) for s in sets]
    signal_ranks = [[1 + 37 * i * (t + 1) % 255 for t in s] for i, s in enumerate(lists)]
    path = tmp_path_factory.mktemp("any") / "atlas"
    atlas = Atlas.from_sets(
        path, universe, about, lists, signal_ranks=iter(signal_ranks), row_group_tokens=group
    )
    rows = data.draw(st.lists(st.integers(0, len(sets) - 1), max_size=60))
    assert [tokens.tolist() for tokens in atlas.tokens_of(rows)] == [lists[row] for row in rows]
    assert [atlas.signal_ranks(row).tolist() for row in rows] == [signal_ranks[row] for row in rows]
    assert np.array_equal(atlas.presence().toarray(), dense([np.array(s, int) for s in lists], 100))
    footer = pq.read_metadata(path / "tokens.parquet")
    sizes = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
    assert all(size >= group for size in sizes[:-1])  # whole sets: full, or over by part of one
    atlas.verify()


def test_signal_ranks_are_saved_and_weigh_presence(
    tmp_path: Path, universe: Universe, metadata: pl.DataFrame, token_lists: list[np.ndarray]
) -> None:
    rng = np.random.default_rng(2)
    signal_ranks = [rng.integers(1, 256, len(tokens)) for tokens in token_lists]
    path = tmp_path / "a"
    atlas = Atlas.from_sets(path, universe, metadata, token_lists, signal_ranks=signal_ranks)
    expected = dense(token_lists)
    for i, (tokens, signal_rank) in enumerate(zip(token_lists, signal_ranks, strict=True)):
        assert atlas.signal_ranks(i).dtype == np.uint8
        assert np.array_equal(atlas.signal_ranks(i), signal_rank)
        assert np.array_equal(atlas.tokens(i), tokens)
        expected[i, tokens] = (1 + signal_rank / 255) / 2
    assert np.array_equal(atlas.presence().toarray(), dense(token_lists))
    weighed = atlas.presence([5, 59, 5], signal_rank=True)
    assert weighed.dtype == np.float32
    assert np.array_equal(weighed.toarray(), expected[[5, 59, 5]])
    assert atlas.presence([], signal_rank=True).shape == (0, 1000)
    atlas.verify()


def test_without_signal_ranks_all_are_the_highest(
    atlas: Atlas, universe: Universe, metadata: pl.DataFrame, token_lists: list[np.ndarray]
) -> None:
    assert all((atlas.signal_ranks(i) == 255).all() for i in range(60))
    assert np.array_equal(atlas.presence(signal_rank=True).toarray(), atlas.presence().toarray())
    full = [[255] * len(tokens) for tokens in token_lists]
    path = atlas.path.parent / "full"
    again = Atlas.from_sets(path, universe, metadata, token_lists, signal_ranks=full)
    assert again.digest == atlas.digest


@pytest.mark.parametrize(
    ("signal_ranks", "problem"),
    [
        ([[9], [1]], "set 1: 1 signal ranks for 2 ids"),
        ([[9], [0, 1]], "set 1: signal ranks are 1 to 255"),
        ([[9], [256, 1]], "set 1: signal ranks are 1 to 255"),
        ([[9], [0.5, 1]], "set 1: signal ranks must be a list of integers"),
        ([[9]], "set 1: 0 signal ranks for 2 ids"),
        ([[9], [1, 2], [3]], "set 2: 1 signal ranks for 0 ids"),
    ],
)
def test_bad_signal_ranks_are_refused_and_nothing_is_left(
    tmp_path: Path, universe: Universe, signal_ranks: list[list[int]], problem: str
) -> None:
    about = pl.DataFrame({"description": ["one", "two"]})
    with pytest.raises(AtlasError, match=problem):
        Atlas.from_sets(tmp_path / "a", universe, about, [[1], [2, 3]], signal_ranks=signal_ranks)
    assert list(tmp_path.iterdir()) == []


def test_threads_and_other_processes_read_the_same(
    atlas: Atlas, token_lists: list[np.ndarray]
) -> None:
    rows = np.random.default_rng(1).integers(0, 60, 300).tolist()
    with ThreadPoolExecutor(4) as pool:
        for row, tokens in zip(rows, pool.map(atlas.tokens, rows), strict=True):
            assert np.array_equal(tokens, token_lists[row])
    assert np.array_equal(pickle.loads(pickle.dumps(atlas)).tokens(3), token_lists[3])
    with multiprocessing.get_context("spawn").Pool(1) as processes:
        assert np.array_equal(processes.apply(atlas.tokens, (4,)), token_lists[4])


def test_defaults_fill_what_the_metadata_lacks(tmp_path: Path, universe: Universe) -> None:
    about = pl.DataFrame({"description": ["one", "two"]})
    atlas = Atlas.from_sets(tmp_path / "a", universe, about, ([i] for i in (3, 4)))
    assert atlas.metadata["id"].to_list() == atlas.metadata["group"].to_list() == ["0", "1"]
    assert atlas.metadata["n_regions"].to_list() == [1, 1]
    assert atlas.metadata["assay"].null_count() == 2


def test_group_is_told_from_assay_target_and_biosample(tmp_path: Path, universe: Universe) -> None:
    about = pl.DataFrame(
        {
            "description": list("abcdef"),
            "assay": ["ChIP-seq", "ChIP-seq", "ATAC-seq", None, None, "ATAC-seq"],
            "target": ["CTCF", "CTCF", None, None, None, None],
            "biosample": ["K562", "K562", "K562", "K562", "K562", None],
            "group": ["mine", None, None, None, None, None],
        }
    )
    atlas = Atlas.from_sets(tmp_path / "a", universe, about, [[]] * 6)
    assert atlas.metadata["group"].to_list() == [
        *("mine", "ChIP-seq | CTCF | K562", "ATAC-seq |  | K562", "3", "4", "5"),
    ]


def test_the_digest_is_of_the_content(
    tmp_path: Path, universe: Universe, metadata: pl.DataFrame, token_lists: list[np.ndarray]
) -> None:
    def digest(about: pl.DataFrame, lists: list[np.ndarray], over: Universe = universe) -> str:
        return Atlas.from_sets(tmp_path / "a", over, about, lists, overwrite=True).digest

    first = digest(metadata, token_lists)
    assert digest(metadata, token_lists) == first
    changed = [token_lists[0][1:], *token_lists[1:]]
    moved = Universe(
        Regions(universe.regions.chrom, universe.regions.start + 1, universe.regions.end)
    )
    others = [
        digest(metadata, changed),
        digest(metadata.with_columns(age=pl.col("age") + 1), token_lists),
        digest(metadata, token_lists, moved),
    ]
    full = [np.full(len(tokens), 255) for tokens in token_lists]
    full[3][0] = 254
    weaker = Atlas.from_sets(tmp_path / "b", universe, metadata, token_lists, signal_ranks=full)
    assert len({first, *others, weaker.digest}) == 5


@pytest.mark.parametrize(
    ("tokens", "problem"),
    [
        ([3, 2], "not sorted"),
        ([2, 2], "not sorted"),
        ([5, 1000], "outside"),
        ([-1, 5], "outside"),
        ([0.5], "integers"),
        ([[1]], "integers"),
    ],
)
def test_bad_ids_are_refused_and_nothing_is_left(
    tmp_path: Path, universe: Universe, tokens: list[int], problem: str
) -> None:
    about = pl.DataFrame({"description": ["one", "two"]})
    with pytest.raises(AtlasError, match=f"set 1.*{problem}"):
        Atlas.from_sets(tmp_path / "a", universe, about, [[1], tokens])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("about", "problem"),
    [
        ({"description": ["one"]}, "1 rows of metadata for 2"),
        ({"text": ["one", "two"]}, "description"),
        ({"description": ["one", None]}, "description"),
        ({"description": ["one", "two"], "id": ["a", "a"]}, "id of its own"),
        ({"description": ["one", "two"], "_offset": [1, 2]}, "reserved"),
    ],
)
def test_bad_metadata_is_refused_and_nothing_is_left(
    tmp_path: Path, universe: Universe, about: dict[str, list[str]], problem: str
) -> None:
    with pytest.raises(AtlasError, match=problem):
        Atlas.from_sets(tmp_path / "a", universe, pl.DataFrame(about), [[1], [2]])
    assert list(tmp_path.iterdir()) == []


def test_only_an_atlas_is_replaced_and_only_when_asked(
    tmp_path: Path, atlas: Atlas, universe: Universe
) -> None:
    about = pl.DataFrame({"description": ["one"]})
    with pytest.raises(GenoglotError, match="not empty"):
        Atlas.from_sets(atlas.path, universe, about, [[1]])
    assert len(Atlas.open(atlas.path)) == 60
    assert len(Atlas.from_sets(atlas.path, universe, about, [[1]], overwrite=True)) == 1
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers/thesis.txt").write_text("words")
    with pytest.raises(AtlasError, match="no atlas"):
        Atlas.from_sets(tmp_path / "papers", universe, about, [[1]], overwrite=True)
    assert (tmp_path / "papers/thesis.txt").exists()


@pytest.mark.parametrize("rows", [[60], [-1], [0.5], [[1]], np.ones(59, bool)])
def test_rows_that_are_not_there(atlas: Atlas, rows: list[int]) -> None:
    for read in (atlas.tokens_of, atlas.presence, atlas.descriptions):
        with pytest.raises(AtlasError):
            read(rows)


def test_another_version_is_refused(atlas: Atlas) -> None:
    file = atlas.path / "atlas.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 99}))
    with pytest.raises(AtlasError, match="format 99"):
        Atlas.open(atlas.path)


@pytest.mark.parametrize("name", ["atlas.json", "metadata.parquet", "tokens.parquet"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "folder"])
def test_damage_is_seen_at_opening(atlas: Atlas, name: str, damage: str) -> None:
    file = atlas.path / name
    data = file.read_bytes()
    file.unlink()
    if damage == "folder":
        file.mkdir()
    elif damage != "missing":
        file.write_bytes(data[: len(data) // 2] if damage == "truncated" else b"")
    with pytest.raises(AtlasError) as raised:
        Atlas.open(atlas.path)
    assert "\n" not in str(raised.value)


def test_parts_of_another_atlas_are_seen_at_opening(
    atlas: Atlas, tmp_path: Path, universe: Universe
) -> None:
    about = pl.DataFrame({"description": ["one"]})
    other = Atlas.from_sets(tmp_path / "other", universe, about, [[1]])
    for name in ("metadata.parquet", "tokens.parquet", "universe.parquet"):
        mixed = shutil.copytree(atlas.path, tmp_path / f"mixed-{name}")
        shutil.copy(other.path / name, mixed / name)
        if name != "universe.parquet":
            with pytest.raises(AtlasError, match="damaged"):
                Atlas.open(mixed)
    moved = Universe(Regions(["chr1"] * 3, [0, 10, 20], [5, 15, 25]))
    moved.save(mixed / "universe.parquet")
    with pytest.raises(AtlasError, match="damaged"):
        len(Atlas.open(mixed).universe)
    (mixed / "universe.parquet").unlink()
    with pytest.raises(AtlasError, match="damaged"):
        len(Atlas.open(mixed).universe)


def test_a_flipped_bit_is_found_by_verify(atlas: Atlas) -> None:
    for name in ("metadata.parquet", "tokens.parquet", "universe.parquet"):
        file = atlas.path / name
        data = bytearray(file.read_bytes())
        good = bytes(data)
        data[len(data) // 3] ^= 1
        file.write_bytes(data)
        with pytest.raises(AtlasError):
            Atlas.open(atlas.path).verify()
        file.write_bytes(good)
    Atlas.open(atlas.path).verify()


def test_info_says_what_is_in_it(atlas: Atlas, token_lists: list[np.ndarray]) -> None:
    info = atlas.info()
    assert info["n_sets"] == 60
    assert info["n_tokens"] == sum(map(len, token_lists))
    assert (info["n_targets"], info["n_biosamples"], info["n_assays"]) == (3, 4, 2)
    assert info["splits"] == []
    assert info["bytes"] > 0
    assert json.dumps(info)


def test_a_large_atlas_opens_in_under_a_second(tmp_path: Path, universe: Universe) -> None:
    """As many sets and row groups as 100,000 sets of 50,000 regions have; the sets are shorter."""
    n, groups = 100_000, 100_000 * 50_000 // 262_144
    about = pl.DataFrame(
        {"description": [f"CTCF ChIP-seq in human cell line {i}, replicate" for i in range(n)]}
    )
    sets = ([i % 1000] for i in range(n))
    Atlas.from_sets(tmp_path / "a", universe, about, sets, row_group_tokens=n // groups)
    began = time.process_time()  # what others do meanwhile does not count
    atlas = Atlas.open(tmp_path / "a")
    assert time.process_time() - began < 1
    assert atlas.tokens(99_999).tolist() == [999]
    assert pq.read_metadata(tmp_path / "a/tokens.parquet").num_row_groups >= groups
