"""Folders of CSV files as pandas, R and people write them: their labels, and where data go."""

import logging
from pathlib import Path

import numpy as np
import pytest

from genoglot.errors import GenoglotError
from genoglot.tasks import TASKS, TaskData

SUBSETS = ("train", "dev", "test")


def folder(path: Path, labels: list[str], header: str = "sequence,label") -> Path:
    """A folder whose three files have these labels, in turn."""
    rng = np.random.default_rng(0)
    path.mkdir(parents=True, exist_ok=True)
    for part in SUBSETS:
        rows = [f"{''.join(rng.choice(list('ACGT'), 30))},{label}" for label in labels]
        (path / f"{part}.csv").write_text("\n".join([header, *rows, ""]))
    return path


def build(*sources: Path, overwrite: bool = False) -> list[TaskData]:
    out = sources[0].parent / "out"
    return TASKS["GUE"].build(sources, out, leakage=False, overwrite=overwrite)


def refused(source: Path, problem: str) -> None:
    with pytest.raises(GenoglotError, match=problem) as error:
        build(source)
    assert "\n" not in str(error.value) and not (source.parent / "out").exists()


def test_labels_that_pandas_made_reals_are_the_same_classes(tmp_path: Path) -> None:
    gue = folder(tmp_path / "gue", ["0", "1", "1", "10"])
    (plain,) = build(gue)
    text = (gue / "dev.csv").read_text()
    for old, new in ((",0\n", ",0.0\n"), (",1\n", ",1.0\n"), (",10\n", ",+10.\n")):
        text = text.replace(old, new)
    (gue / "dev.csv").write_text(text)
    (data,) = build(gue, overwrite=True)
    assert data.outputs == ["0", "1", "10"] and data.digest == plain.digest


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        *((text, r"dev.csv:3: the label is missing") for text in ("NaN", "nan", "NA", "", "null")),
        ("0.5", r"dev.csv:3: the label is not a class \('0.5'\)"),
        ("3", "class '3' is in validation or test .* not in train"),
    ],
)
def test_labels_that_are_none_are_refused_with_their_line(
    tmp_path: Path, label: str, problem: str
) -> None:
    gue = folder(tmp_path / "gue", ["0", "1", "1"])
    lines = (gue / "dev.csv").read_text().split("\n")
    lines[2] = lines[2].replace(",1", f",{label}")
    (gue / "dev.csv").write_text("\n".join(lines))
    refused(gue, problem)


def test_labels_of_text_are_classes_and_their_numbers_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "genoglot"):
        (data,) = build(folder(tmp_path / "gue", ["positive", "negative", "none"]))
    assert data.outputs == ["negative", "none", "positive"]
    assert "3 classes: 0 is negative, 1 is none, 2 is positive" in caplog.text


def test_one_class_in_two_spellings_is_refused(tmp_path: Path) -> None:
    gue = folder(tmp_path / "gue", ["True", "False"])
    (gue / "test.csv").write_text((gue / "test.csv").read_text().replace("True", "TRUE"))
    refused(gue, "test.csv:2: the label is 'TRUE' where others are 'True'")


@pytest.mark.parametrize("column", ["label", "sequence"])
def test_a_second_column_of_the_same_name_is_refused(tmp_path: Path, column: str) -> None:
    gue = folder(tmp_path / "gue", ["0,1", "1,0"], f"sequence,label,{column}")
    refused(gue, f"train.csv:1: two columns are called '{column}'")


def test_letters_for_more_than_one_base_are_counted_and_all_n_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gue = folder(tmp_path / "gue", ["0", "1"])
    with (gue / "train.csv").open("a") as file:
        file.write("ACGTRYacgtw,0\nACGTNNNN,1\n")
    (data,) = build(gue)
    assert data.notes["sequences_with_ambiguous_letters"] == 1
    assert "1 of 8 sequences have IUPAC letters" in caplog.text
    with (gue / "train.csv").open("a") as file:
        file.write("NNNNnnnn,0\n")
    (gue.parent / "out").rename(tmp_path / "before")
    refused(gue, "train.csv:6: the sequence is nothing but N")


def test_two_folders_of_one_name_are_refused_before_anything_is_replaced(tmp_path: Path) -> None:
    one, other = (folder(tmp_path / name / "tf" / "0", ["0", "1"]) for name in "ab")
    out = tmp_path / "out"
    (kept,) = TASKS["GUE"].build([one], out / "tf" / "0", leakage=False)
    for sources in ([one, other], [tmp_path / "a", tmp_path / "b"], [one, one]):
        with pytest.raises(GenoglotError, match=r"would both be written into .*tf/0; build them"):
            TASKS["GUE"].build(sources, out, leakage=False, overwrite=True)
        TaskData.open(kept.path).verify()
    assert [path.name for path in out.iterdir()] == ["tf"]


def test_sources_are_never_written_over(tmp_path: Path) -> None:
    gue = folder(tmp_path / "all" / "tf" / "0", ["0", "1"])
    before = (gue / "train.csv").read_text()
    for source, out in ((tmp_path / "all", tmp_path / "all"), (gue, gue), (gue, gue.parent)):
        with pytest.raises(GenoglotError, match=r"holds the source .* which would be replaced"):
            TASKS["GUE"].build([source], out, leakage=False, overwrite=True)
        assert (gue / "train.csv").read_text() == before


def test_a_folder_in_a_folder_is_not_passed_over(tmp_path: Path) -> None:
    gue = folder(tmp_path / "gue", ["0", "1"])
    folder(gue / "inner", ["0", "1"])
    refused(gue, "inner lies in .*gue, which has a test.csv itself")
