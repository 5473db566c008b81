"""Tables as people, spreadsheets and R write them: read whole, or refused by row and line."""

from __future__ import annotations

import csv
import io
import logging
import tempfile
import zipfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from genoglot.errors import GenoglotError, TaskError
from genoglot.tables import MISSING, missing_values, read_table

NEEDED = ("file", "description")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sheet.csv"


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


names = st.lists(
    st.text("abXY01_ é'(%", min_size=1, max_size=8).map(str.strip).filter(bool),
    min_size=2,
    max_size=5,
    unique_by=lambda name: " ".join(name.split()),
)
cells = st.text("ab01 ,;\t\"'\n#=|-éÅ", max_size=8)
tables = names.flatmap(
    lambda header: st.tuples(
        st.just(header),
        st.lists(st.tuples(*[cells] * len(header)), max_size=6),
    )
)


def as_read(cell: str) -> str | None:
    return cell.strip() or None


@settings(max_examples=400)
@given(
    table=tables,
    separator=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    named=st.booleans(),
    comments=st.sampled_from(["", "# made by me\n", '"# one, two; three"\n\n#\n']),
)
@example(
    table=(["a", "b"], [("x\n1,2\ny", '"')]), separator=",", end="\r", encoding="utf-8",
    quoting=csv.QUOTE_MINIMAL, named=True, comments="",
)  # fmt: skip
def test_what_csv_writes_is_read_back(
    table: tuple[list[str], list[tuple[str, ...]]],
    separator: str,
    end: str,
    encoding: str,
    quoting: int,
    named: bool,
    comments: str,
) -> None:
    header, rows = table
    text = (f"sep={separator}\n" if named else "") + comments
    lines = []
    for row in (header, *rows):
        lines.append(text.count("\n") + 1)
        out = io.StringIO()
        csv.writer(out, delimiter=separator, quoting=quoting, lineterminator="\n").writerow(row)  # type: ignore[arg-type]
        text += out.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder) / "table", text.replace("\n", end).encode(encoding))
        read = read_table(path, header)
    told = [i for i, row in enumerate(rows, 1) if any(map(as_read, row))]
    assert read.frame.columns == [" ".join(name.split()) for name in header]
    assert read.frame.rows() == [tuple(map(as_read, rows[i - 1])) for i in told]
    assert read.lines == [lines[i] for i in told]


@settings(max_examples=100)
@given(table=tables, separator=st.sampled_from(",;\t"), which=st.integers(0, 5), more=st.booleans())
def test_a_row_of_another_length_is_refused_by_its_row_and_line(
    table: tuple[list[str], list[tuple[str, ...]]], separator: str, which: int, more: bool
) -> None:
    header, rows = table
    # Of a table of one row, the field too many may be R's name of the row.
    rows = [row for row in rows if any(map(as_read, row))]
    assume(which < len(rows) and len(rows) > 1)
    broken = [list(row) for row in rows]
    broken[which] = [*broken[which], "x"] if more else ["x", *broken[which][2:]]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow(header)
    line = 2
    for i, row in enumerate(broken):
        line = out.getvalue().count("\n") + 1 if i == which else line
        writer.writerow(row)
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder) / "table", out.getvalue())
        problem = rf"table:{line}: row {which + 2} has {len(broken[which])} fields?, sep.* has \d+"
        with pytest.raises(TaskError, match=problem):
            read_table(path, header, error=TaskError)


GOOD = {
    "Excel's semicolons": "file;description\na.bed;CTCF, liver\nb.bed;MAX\n",
    "its first line": "sep=;\nfile;description\na.bed;CTCF, liver\nb.bed;MAX\n",
    "its line for tabs": "sep=\t\nfile\tdescription\na.bed\tCTCF, liver\nb.bed\tMAX\n",
    "quoted after a blank": 'file, description\na.bed, "CTCF, liver"\nb.bed, MAX\n',
    "comments": '# mine\n# file, description:\nfile,description\na.bed,"CTCF, liver"\nb.bed,MAX',
    "a quoted comment": '"# a, b",\nfile,description\na.bed,"CTCF, liver"\nb.bed,MAX\n',
    "a header behind #": '#file,description\na.bed,"CTCF, liver"\nb.bed,MAX\n',
    "comments above it": "# made by me\n#file\tdescription\na.bed\tCTCF, liver\nb.bed\tMAX\n",
    "columns of nothing": 'file,description,,\na.bed,"CTCF, liver",,\nb.bed,MAX\n,,,\n\n\n',
    "separators behind rows": "file\tdescription\na.bed\tCTCF, liver\t\nb.bed\tMAX\t\t\n",
    "unseen marks": '\ufefffile,\u200bdescription\na.bed,"CTCF, liver"\n\ufeffb.bed,MAX',
    "a separator in the header": "file\tdescription, or so\na.bed\tCTCF, liver\nb.bed\tMAX\n",
}


@pytest.mark.parametrize("name", GOOD)
def test_sheets_of_any_make(path: Path, name: str) -> None:
    read = read_table(written(path, GOOD[name]), ["file"])
    assert read.frame.rows() == [("a.bed", "CTCF, liver"), ("b.bed", "MAX")]


ROW_NAMES = {
    "write.csv": '"","file","description"\n"1","a.bed","CTCF, liver"\n"2","b.bed","MAX"\n',
    "write.table": '"file" "description"\n"1" "a.bed" "CTCF, liver"\n"2" "b.bed" "MAX"\n',
    "with commas": '"file","description"\n"1","a.bed","CTCF, liver"\n"2","b.bed","MAX"\n',
    "with tabs": "file\tdescription\n1\ta.bed\tCTCF, liver\n2\tb.bed\tMAX\n",
}


@pytest.mark.parametrize("name", ROW_NAMES)
def test_row_names_of_r_have_a_column_of_their_own(path: Path, name: str) -> None:
    frame = read_table(written(path, ROW_NAMES[name]), NEEDED).frame
    assert frame.columns == ["column_1", "file", "description"]
    assert frame.rows() == [("1", "a.bed", "CTCF, liver"), ("2", "b.bed", "MAX")]


def test_names_of_rows_may_be_texts_where_no_prose_has_the_separator(path: Path) -> None:
    frame = read_table(written(path, "liver\tlung\ng1\t1\t2\ng2\t3\t4\n")).frame
    assert frame.rows() == [("g1", "1", "2"), ("g2", "3", "4")]
    # An unquoted comma in every row is no name in front.
    with pytest.raises(GenoglotError, match=r"sheet.csv:2: row 2 has 3 fields.*has 2 \(2 of 2"):
        read_table(written(path, "file,description\na,CTCF,liver\nb,CTCF,lung\n"), NEEDED)


def test_the_first_row_is_no_header_behind_a_comment_line(path: Path) -> None:
    read = read_table(written(path, "#chr begin stop\nchr1 10 20\nchr2 5 9\n"))
    assert read.frame.columns == ["chr", "begin", "stop"]
    assert read.frame.rows() == [("chr1", "10", "20"), ("chr2", "5", "9")]


def test_a_quote_in_a_field_is_a_letter(path: Path) -> None:
    read = read_table(written(path, 'file,description\na.bed,5" of skin\nb.bed,"5"" of skin"\n'))
    assert read.frame["description"].to_list() == ['5" of skin', '5" of skin']


def test_rows_are_counted_as_a_spreadsheet_counts(path: Path) -> None:
    text = 'sep=,\n# mine\nfile,description\na.bed,"two\nlines"\n\nb.bed,x\n'
    read = read_table(written(path, text), NEEDED)
    assert read.frame["description"].to_list() == ["two\nlines", "x"]
    assert (read.rows, read.lines) == ([3, 5], [4, 7])


BAD = {
    "an unquoted comma": ("file,description\na,b\nc,CTCF, liver\n", r":3: row 3 has 3 fields.*qu"),
    "a short row": ("file,description,x\na,b,c\nd,e\n", ":3: row 3 has 2 fields, separated by co"),
    "another separator": ("file,description\na;b\n", ":2: row 2 has 1 field, .* has 2"),
    "an open quote": ('file,description\na,"CTCF\nb,MAX\n', ":2: row 2: a quote is never closed"),
    "a word quoted": ('file,description\na,x\nb,"CTCF" x\n', ":3: row 3: a quote is closed before"),
    "one name twice": ("a,label,label\n1,2,3\n", ":1: two columns are called 'label'"),
    "nothing": ("", "no table in this file, as it has no header"),
    "comments only": ("# one\n#\n", "no table in this file, as it has no header"),
    "JSON": ('[{"file": "a.bed"}]', "is not a table but JSON"),
    "a web page": ("\n<!DOCTYPE html><html>", "is not text but a web page"),
    "no text": ("f\0i\0l\0e\0,\0d\0\n\0", "is not text, it contains NUL"),
    "old Excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), r"an Excel workbook \(.xls\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_said_in_one_line(
    path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    text, problem = BAD[name]
    with pytest.raises(TaskError, match=f"sheet.csv:? ?.*{problem}") as raised:
        read_table(written(path, text), error=TaskError)
    assert "\n" not in str(raised.value) and not caplog.messages


def test_workbooks_are_called_so(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(GenoglotError, match=r"an Excel workbook \(.xlsx\); save it as CSV"):
        read_table(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sheet.csv", "a,b\n")
    with pytest.raises(GenoglotError, match="a zip archive; unpack it"):
        read_table(path)


def test_a_quote_that_may_have_been_lost_is_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = 'file,description\na,"5 cm\nb,MAX\nc,tissue"\nd,x\n'
    with caplog.at_level(logging.WARNING, "genoglot"):
        assert len(read_table(written(path, text)).frame) == 2
    assert "sheet.csv:2: row 2 has a quoted field that extends to line 4" in caplog.text


def test_a_field_may_be_a_long_sequence(path: Path) -> None:
    text = f"sequence,label\n{'ACGT' * 50_000},1\n"
    assert read_table(written(path, text)).frame["sequence"].str.len_chars().to_list() == [200_000]


def test_markers_of_what_is_missing() -> None:
    texts = ["NA", "n/a", "NaN", "NULL", "None", "-", ".", "", "  ", None, "#N/A"]
    assert missing_values(pl.Series(texts)).all()
    assert not missing_values(pl.Series(["NANOG", "0", "--", "nano"])).any()
    chosen = missing_values(pl.Series(["NA", "?", "", None]), ["?"])
    assert chosen.to_list() == [False, True, True, True]
    assert "" in MISSING
