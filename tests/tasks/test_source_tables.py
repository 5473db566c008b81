"""Tables of tasks: any separator, and the line of what is wrong however the file is laid out."""

from __future__ import annotations

from pathlib import Path

import pytest

from genoglot.errors import TaskError
from genoglot.tasks.source_tables import SourceTable

ROWS = [("g1", "0.5", "x"), ("g2", "n/a", "y"), ("g3", "12", "two\nlines"), ("g4", "WRONG", "")]


def table(path: Path, text: str) -> SourceTable:
    path.write_text(text)
    return SourceTable.read(path, ["id", "value"])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("top", ["", "# made by me\n\n", "#"])
def test_values_and_their_lines(tmp_path: Path, separator: str, top: str) -> None:
    path = tmp_path / "values.txt"
    lines = ["id,value,note", "g1,0.5,x", "", "g2,n/a,y", 'g3,12,"two\nlines"', "g4,WRONG,"]
    text = top + "\n".join(lines).replace(",", separator) + "\n"
    read = table(path, text)
    assert read.frame[:, 1:].rows() == [tuple(cell or None for cell in row) for row in ROWS]
    line = text[: text.index("g4")].count("\n") + 1
    with pytest.raises(TaskError, match=rf"values.txt:{line}: value is 'WRONG', which is not"):
        read.numbers("value")
    with pytest.raises(TaskError, match=rf"values.txt:{line}: the note is missing"):
        read.require("note")
    assert read._replace(frame=read.frame[:3]).numbers("value").to_list() == [0.5, None, 12.0]


@pytest.mark.parametrize("text", ["NA", "nan", "NULL", "-", ".", "#N/A", " "])
def test_markers_are_no_numbers(tmp_path: Path, text: str) -> None:
    read = table(tmp_path / "a.csv", f"id,value\na,1\nb,{text}\n")
    assert read.numbers("value").to_list() == [1.0, None]


def test_a_column_twice_or_a_row_too_long(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"a.csv:1: two columns are called 'value'"):
        table(tmp_path / "a.csv", "id,value,value\na,1,2\n")
    with pytest.raises(TaskError, match=r"a.csv:3: row 3 has 3 fields"):
        table(tmp_path / "a.csv", "id,value\na,1\nb,0,5\n")
