from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from matplotlib.figure import Figure

from genoglot.reports.report import Report, render_svg

EMPTY = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """What a browser would read: tags, their links, and whether all are closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def picture() -> Figure:
    figure = Figure()
    figure.add_subplot().plot([1, 2], [3, 5])
    return figure


def a_report() -> Report:
    report = Report("Title <1>", "Lead & more.")
    report.notice("<script>alert(1)</script>")
    report.section("Section")
    report.points(["one", "two"])
    report.figure(picture(), 'A "quoted" caption.')
    report.table(["model", "value"], [["a", ("0.5", "0.4 to 0.6")], ["b<", "1"]], "A.", strong=[0])
    report.table(["x"], [["1"]], "B.")
    report.footer("small print")
    return report


def test_the_page_is_whole_and_fetches_nothing(tmp_path: Path) -> None:
    a_report().write(tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert page.open == []
    assert page.links and all(link.startswith("data:") for link in page.links)
    assert not re.search(r"@import|url\(|<script|<link", html)
    assert {"h1", "h2", "ul", "figure", "table", "footer"} <= set(page.tags)


def test_text_stays_text() -> None:
    page = Page(a_report().html())
    assert {"Title <1>", "Lead & more.", "<script>alert(1)</script>", "b<"} <= set(page.text)
    assert "script" not in page.tags


def test_figures_and_tables_are_numbered() -> None:
    text = Page(a_report().html()).text
    assert [part for part in text if re.match(r"(Figure|Table) \d", part)] == [
        *("Figure 1.", "Table 1.", "Table 2.")
    ]


def test_the_same_picture_gives_the_same_bytes() -> None:
    assert render_svg(picture()) == render_svg(picture())
    assert b"<svg" in render_svg(picture())
