"""Task data on disk: what is written is read back, whole, lazily, and the same every time."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from genoglot.errors import GenoglotError, TaskError
from genoglot.files import file_digest
from genoglot.tasks import TASKS, TaskData
from genoglot.tasks.dataset import SUBSETS
from genoglot.tasks.lazy_array import LazyArray
from genoglot.tasks.splits import TaskSplit
from genoglot.tasks.writer import Batch, TaskContent, write_task


def write(
    out: Path, codes: np.ndarray, labels: np.ndarray, batches: int = 3, **about: Any
) -> TaskData:
    """Write examples in some batches; every third one validates, every third tests."""
    target = about.pop("target", "multi-label")
    outputs = about.pop("outputs", [f"o{i}" for i in range(labels.shape[1])])
    source = out.parent / "source.txt"
    source.write_text("x")
    subsets = np.array(SUBSETS, object)[np.arange(len(codes)) % 3].astype(str)
    extra = {key: about.pop(key) for key in ("group", "alternative") if key in about}

    def made() -> Iterator[Batch]:
        for rows in np.array_split(np.arange(len(codes)), batches):
            table: dict[str, Any] = {"id": [str(i) for i in rows], "split:thirds": subsets[rows]}
            if "group" in extra:
                table["group"] = extra["group"][rows]
            other = extra["alternative"][rows] if "alternative" in extra else None
            yield Batch(codes[rows], labels[rows], table, other)

    splits = {"thirds": TaskSplit("every third", subsets)}
    content = TaskContent([source], outputs, codes.shape[1], splits, made(), name="toy")
    return write_task(out, content, task="GUE", target=target, metrics=["AUROC"], **about)


@pytest.fixture
def toy() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 5, (31, 40), dtype=np.uint8), rng.integers(0, 2, (31, 11)).astype(
        np.float32
    )


@pytest.mark.parametrize("missing", [False, True])
def test_what_is_written_is_read_back(
    tmp_path: Path, toy: tuple[np.ndarray, np.ndarray], missing: bool
) -> None:
    codes, labels = toy
    if missing:
        labels[4, 2] = np.nan
    target = "regression" if missing else "multi-label"
    data = write(tmp_path / "d", codes, labels, target=target)
    np.testing.assert_array_equal(np.asarray(data.codes), codes)
    np.testing.assert_array_equal(np.asarray(data.labels), labels)
    assert data.labels.dtype == np.float32 and data.codes.dtype == np.uint8
    for i, name in enumerate(SUBSETS):
        part = data.subset(None, name)
        np.testing.assert_array_equal(part.codes[:], codes[i::3])
        np.testing.assert_array_equal(part.labels[1:3], labels[i::3][1:3])
        np.testing.assert_array_equal(part.labels[np.array([2, 0])], labels[i::3][[2, 0]])
        assert part.codes.shape == codes[i::3].shape and part.alternative is None
    # Known labels without a gap take a bit each.
    size = (tmp_path / "d" / "labels.npy").stat().st_size - 128
    assert size == (31 * 11 * 4 if missing else 31 * 2)
    data.verify()


def test_a_subset_is_read_when_it_is_indexed(
    tmp_path: Path, toy: tuple[np.ndarray, np.ndarray]
) -> None:
    data = write(tmp_path / "d", *toy)
    rows = data.subset("thirds", "test").codes
    assert rows[3].shape == (40,) and rows[:0].shape == (0, 40)
    # What is written to the file after the subset was taken is seen.
    on_disk = np.load(data.path / "codes.npy", mmap_mode="r+")
    on_disk[2 + 3 * 3] = 4
    on_disk.flush()
    assert (rows[3] == 4).all() and (rows[2] == toy[0][8]).all()


def test_the_same_content_has_the_same_digest_however_it_came(
    tmp_path: Path, toy: tuple[np.ndarray, np.ndarray]
) -> None:
    codes, labels = toy
    first = write(tmp_path / "a", codes, labels)
    assert write(tmp_path / "b", codes, labels, batches=7).digest == first.digest
    codes = codes.copy()
    codes[30, 39] = (codes[30, 39] + 1) % 5
    assert write(tmp_path / "c", codes, labels).digest != first.digest


def test_changed_content_is_found_out(tmp_path: Path, toy: tuple[np.ndarray, np.ndarray]) -> None:
    data = write(tmp_path / "d", *toy)
    content = bytearray((data.path / "codes.npy").read_bytes())
    content[-1] ^= 1
    (data.path / "codes.npy").write_bytes(content)
    with pytest.raises(TaskError, match="not what was built"):
        TaskData.open(data.path).verify()
    (data.path / "codes.npy").write_bytes(content[:-5])
    with pytest.raises(TaskError, match="cannot be read"):
        TaskData.open(data.path)


def test_a_build_that_fails_leaves_nothing(
    tmp_path: Path, toy: tuple[np.ndarray, np.ndarray]
) -> None:
    codes, labels = toy
    codes[17, 3] = 9
    with pytest.raises(TaskError, match="code 9"):
        write(tmp_path / "d", codes, labels)
    assert [path.name for path in tmp_path.iterdir()] == ["source.txt"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"outputs": ["a"] * 11}, "two outputs are called 'a'"),
        ({"labels": np.full((31, 11), 0.5, np.float32)}, "must be 0 or 1"),
        ({"rows": 2}, "no example in test"),
        ({"rows": 0}, "no examples are left"),
    ],
)
def test_unusable_data_are_refused(
    tmp_path: Path, toy: tuple[np.ndarray, np.ndarray], change: dict[str, Any], problem: str
) -> None:
    codes, labels = toy
    labels, rows = change.pop("labels", labels), change.pop("rows", 31)
    with pytest.raises(TaskError, match=problem):
        write(tmp_path / "d", codes[:rows], labels[:rows], batches=1, **change)


def test_leaving_a_group_out_shares_no_group(
    tmp_path: Path, toy: tuple[np.ndarray, np.ndarray]
) -> None:
    group = np.array(list("abcdabcdabcdabcdabcdabcdabcdabc"))
    data = write(tmp_path / "d", *toy, group=group)
    assert data.groups == ["a", "b", "c", "d"]
    seen = {name: set(group[data.rows("leave-out:b", name)]) for name in SUBSETS}
    assert seen == {"train": {"a", "d"}, "validation": {"c"}, "test": {"b"}}
    assert set(group[data.rows("leave-out:d", "validation")]) == {"a"}
    with pytest.raises(TaskError, match="no split 'leave-out:z'; it has thirds, leave-out:a"):
        data.assignment("leave-out:z")
    with pytest.raises(TaskError, match="choose one of train"):
        data.rows(None, "dev")


def test_balance_counts_by_hand(tmp_path: Path, toy: tuple[np.ndarray, np.ndarray]) -> None:
    codes, labels = toy
    binary = write(tmp_path / "a", codes, labels).balance()
    for i, row in enumerate(binary):
        assert row["positive"] == pytest.approx(labels[i::3].mean()) and row["missing"] == 0
    values = np.random.default_rng(1).normal(3, 2, (31, 2)).astype(np.float32)
    values[3, 1] = values[8, 0] = np.nan
    real = write(tmp_path / "b", codes, values, target="regression").balance()
    for i, row in enumerate(real):
        mine = values[i::3]
        assert row["mean"] == pytest.approx(np.nanmean(mine), rel=1e-5)
        assert row["sd"] == pytest.approx(np.nanstd(mine), rel=1e-5)
        assert row["missing"] == pytest.approx(np.isnan(mine).mean())
    classes = (np.arange(31) // 3 % 3)[:, None].astype(np.float32)
    counted = write(tmp_path / "c", codes, classes, target="multi-class", outputs=["x", "y", "z"])
    assert counted.balance()[0]["classes"] == np.bincount(classes[::3, 0].astype(int)).tolist()


def test_open_tells_what_is_wrong(tmp_path: Path, toy: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(TaskError, match="no task data"):
        TaskData.open(tmp_path)
    data = write(tmp_path / "d", *toy)
    text = (data.path / "dataset.json").read_text()
    (data.path / "dataset.json").write_text(text.replace('"n_examples": 31', '"n_examples": 30'))
    with pytest.raises(TaskError, match="build it again"):
        TaskData.open(data.path)
    (data.path / "dataset.json").write_text(text.replace('"format": 2', '"format": 1'))
    with pytest.raises(
        TaskError, match="format 1, but this version of Genoglot reads format 2; build it again"
    ):
        TaskData.open(data.path)


def test_rows_go_by_in_blocks() -> None:
    array = np.arange(20).reshape(10, 2)
    blocks = list(LazyArray(array, np.array([9, 1, 4])).blocks(2))
    assert [len(block) for block in blocks] == [2, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), array[[9, 1, 4]])


@pytest.mark.parametrize("name", ["PromVary", "CausalSNP", "GeneExp"])
def test_a_rebuild_is_the_same_byte_by_byte(
    built: Callable[[str], TaskData],
    sources: dict[str, list[Path]],
    genome: Any,
    tmp_path: Path,
    name: str,
) -> None:
    first = built(name)
    (again,) = TASKS[name].build(sources[name], tmp_path / "again", genome=genome)
    names = sorted(path.name for path in first.path.iterdir())
    assert names == sorted(path.name for path in again.path.iterdir())
    for file in names:
        assert file_digest(first.path / file) == file_digest(again.path / file), file


def test_another_seed_is_another_draw(
    built: Callable[[str], TaskData],
    sources: dict[str, list[Path]],
    genome: Any,
    tmp_path: Path,
) -> None:
    (other,) = TASKS["PromVary"].build(
        sources["PromVary"], tmp_path / "d", genome=genome, seed=1, leakage=False
    )
    assert other.digest != built("PromVary").digest
    with pytest.raises(TaskError, match="was not searched for duplicates"):
        other.leaked(None, "test")
    with pytest.raises(GenoglotError, match="not empty"):
        TASKS["PromVary"].build(sources["PromVary"], tmp_path / "d", genome=genome)


def test_what_is_kept_of_the_sources(
    built: Callable[[str], TaskData], sources: dict[str, list[Path]], genome: Any
) -> None:
    data = built("GeneExp")
    assert data.sources == [
        {"file": path.name, "sha256": file_digest(path)} for path in sources["GeneExp"]
    ]
    assert data.genome == genome.digest
    assert isinstance(data.examples, pl.DataFrame)
