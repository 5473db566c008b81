"""A progress bar for loops that take minutes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def with_progress(
    items: Iterable[T], title: str, *, total: int | None = None, shown: bool = True
) -> Iterable[T]:
    """Show a progress bar while items are read, if the standard error is a terminal.

    Parameters
    ----------
    items
        The items.
    title
        Text beside the bar.
    total
        Number of items, if they have no length.
    shown
        Whether to show the bar.

    Returns
    -------
    iterable
        The same items.
    """
    if not (shown and sys.stderr.isatty()):
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, title, total, console=Console(stderr=True), transient=True)
