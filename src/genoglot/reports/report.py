"""`Report`: one HTML file that holds everything that it shows and fetches nothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from genoglot.files import atomic_path
from genoglot.reports.plots import plot_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CSS = """
:root { color-scheme: light; }
body { margin: 0; background: #fff; color: #24292f; line-height: 1.55;
  font-size: 16px;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 58rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 3rem 0 .6rem; padding-top: 1rem; border-top: 1px solid #e3e7eb; }
p, li { max-width: 46rem; }
p { margin: .6rem 0; }
.lead { font-size: 1.1rem; color: #57606a; max-width: 46rem; }
.notice { background: #fff8e6; border-left: 4px solid #e69f00; padding: .7rem 1rem;
  margin: 1.4rem 0; max-width: 46rem; }
figure { margin: 1.4rem 0 2rem; overflow-x: auto; }
figure img { display: block; width: 100%; height: auto; }
figcaption { color: #57606a; font-size: .88rem; margin: .6rem 0; max-width: 46rem; }
figcaption b { color: #24292f; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .38rem .9rem .38rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid #e3e7eb; white-space: nowrap; }
th { font-weight: 600; border-bottom: 2px solid #24292f; vertical-align: bottom;
  white-space: normal; }
th.n, td.n { text-align: right; padding: .38rem 0 .38rem 1.4rem; }
td small { display: block; color: #6e7781; font-size: .8em; }
tr.strong td { font-weight: 600; }
tr.strong td small { font-weight: 400; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid #e3e7eb; color: #57606a;
  font-size: .85rem; }
"""

Cell = str | tuple[str, str]


class Report:
    """An HTML page, written from top to bottom; all text is escaped.

    Parameters
    ----------
    title, lead
        Heading of the page, and the text below it.

    Examples
    --------
    >>> report = Report("Kidney", "What was found.")
    >>> report.section("Results")
    >>> report.paragraph("a < b")
    >>> "<p>a &lt; b</p>" in report.html()
    True
    """

    def __init__(self, title: str, lead: str = "") -> None:
        self.title = title
        self._parts = [f"<h1>{escape(title)}</h1>"]
        self._figures = self._tables = 0
        if lead:
            self._parts.append(f'<p class="lead">{escape(lead)}</p>')

    def section(self, title: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{escape(title)}</h2>")

    def paragraph(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{escape(text)}</p>")

    def notice(self, text: str) -> None:
        """Add a highlighted paragraph."""
        self._parts.append(f'<p class="notice">{escape(text)}</p>')

    def points(self, items: Sequence[str]) -> None:
        """Add a list."""
        lines = "".join(f"<li>{escape(item)}</li>" for item in items)
        self._parts.append(f"<ul>{lines}</ul>")

    def figure(self, figure: Figure, caption: str) -> None:
        """Add a figure, as SVG inside the page."""
        self._figures += 1
        data = base64.b64encode(render_svg(figure)).decode()
        self._parts.append(
            f'<figure><img alt="{escape(caption, quote=True)}" '
            f'src="data:image/svg+xml;base64,{data}">'
            f"<figcaption><b>Figure {self._figures}.</b> {escape(caption)}</figcaption></figure>"
        )

    def table(
        self,
        header: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        caption: str,
        *,
        left: int = 1,
        strong: Sequence[int] = (),
    ) -> None:
        """Add a table.

        Parameters
        ----------
        header, rows
            Cells; a cell is a text, or a text and a smaller one below it.
        caption
            Text above the table.
        left
            Number of columns, from the first, that are aligned left; the others are numbers.
        strong
            Indices of the rows to print in bold.
        """
        self._tables += 1
        lines = [_row("th", header, left)]
        lines += [_row("td", row, left, strong=i in strong) for i, row in enumerate(rows)]
        self._parts.append(
            f"<figure><figcaption><b>Table {self._tables}.</b> {escape(caption)}</figcaption>"
            f"<table>{''.join(lines)}</table></figure>"
        )

    def footer(self, text: str) -> None:
        """Add a text in small print at the end."""
        self._parts.append(f"<footer>{escape(text)}</footer>")

    def html(self) -> str:
        """Return the page."""
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{CSS}</style></head>\n<body><main>\n"
            + "\n".join(self._parts)
            + "\n</main></body></html>\n"
        )

    def write(self, path: str | Path) -> None:
        """Write the page to a file."""
        with atomic_path(path) as temporary:
            temporary.write_text(self.html(), encoding="utf-8")


def render_svg(figure: Figure) -> bytes:
    """Render a figure as SVG; the same figure gives the same bytes."""
    import matplotlib as mpl

    file = io.BytesIO()
    with plot_style():
        mpl.rcParams["svg.hashsalt"] = "genoglot"
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _row(tag: str, cells: Sequence[Cell], left: int, *, strong: bool = False) -> str:
    html = []
    for i, cell in enumerate(cells):
        main, small = (cell, "") if isinstance(cell, str) else cell
        content = escape(main) + (f"<small>{escape(small)}</small>" if small else "")
        html.append(f"<{tag}{'' if i < left else ' class=n'}>{content}</{tag}>")
    return f"<tr{' class=strong' if strong else ''}>{''.join(html)}</tr>"
