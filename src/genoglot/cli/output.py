"""What commands print: JSON, facts, tab-separated lines, and tables for people."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.progress import Progress


def print_json(content: Any) -> None:
    """Print JSON."""
    typer.echo(json.dumps(content, indent=1, ensure_ascii=False))


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print one line for each fact: its name and its value."""
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name.replace('_', ' '):{width}}  {_format_fact(value)}")


def print_tsv(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print tab-separated lines, the first with the names of the columns."""
    typer.echo("\t".join(header))
    for row in rows:
        typer.echo("\t".join(map(_format_cell, row)))


def print_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[str] = ()
) -> None:
    """Print a table that is as wide as the terminal; columns in `right` are right-aligned."""
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    columns = (
        Column(name, justify="right" if name in right else "left", overflow="fold")
        for name in header
    )
    table = Table(*columns, box=box.SIMPLE, padding=0)
    for row in rows:
        table.add_row(*map(Text, row))  # as text, because "[1]" would be read as markup
    Console().print(table)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Show progress bars on standard error, if it is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


def _format_fact(value: Any) -> str:
    """Show a fact.

    >>> [_format_fact(value) for value in (1200, ["a", "b"], "", None)]
    ['1,200', 'a, b', 'none', 'none']
    """
    if isinstance(value, int | float):
        return f"{value:,}"
    return (", ".join(value) if isinstance(value, list) else str(value or "")) or "none"


def _format_cell(value: Any) -> str:
    r"""Show a value in a cell: nothing for None, no tab or line break.

    >>> [_format_cell(value) for value in (None, 0.25, "CTCF\tin\nliver")]
    ['', '0.2500', 'CTCF in liver']
    """
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else " ".join(str(value).split())
