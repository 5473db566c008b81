"""Name the file or folder whose permissions forbid reading it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import ParamSpec, TypeVar

from genoglot.errors import GenoglotError

P = ParamSpec("P")
T = TypeVar("T")

MAX_FOLDERS = 100  # folders that are searched: everything that is saved has fewer
_EFFECTIVE = os.access in os.supports_effective_ids


def explains_denial(read: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that reads a file or folder, so that its error names a denied file.

    Libraries call such a file missing or damaged, and the advice to make it again would be wrong.
    If the function fails, the permissions of the paths among its arguments are checked.

    Parameters
    ----------
    read
        A function that raises `GenoglotError` or `OSError` if it cannot read.

    Returns
    -------
    callable
        The function, which raises a GenoglotError if a path, a folder above it or something in it
        cannot be read.
    """

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except (GenoglotError, OSError) as error:
            problem = f"{error} {error.__cause__}"
            for path in _paths([*args, *kwargs.values(), getattr(error, "filename", None)]):
                if denied := next(_denied(path, problem), None):
                    raise GenoglotError(f"{denied}: cannot be read (permission denied)") from None
            raise

    return reading


def _paths(arguments: list[object]) -> Iterator[Path]:
    for value in arguments:
        for path in value if isinstance(value, list | tuple) else [value]:
            if isinstance(path, str | Path):
                yield Path(path)


def _denied(path: Path, problem: str) -> Iterator[Path]:
    """Find what cannot be read: a folder above a path, the path, or what a problem is about."""
    for folder in reversed(path.absolute().parents):
        if folder.is_dir() and not _may_read(folder, os.X_OK):
            yield folder
            return
    if not os.path.exists(path):  # noqa: PTH110  (Path.exists raises at a name that is too long)
        return
    if not _may_read(path):
        yield path
    for parent, folders, files in islice(os.walk(path), MAX_FOLDERS):
        for name in (*folders, *files):
            inside = Path(parent, name)
            if not _may_read(inside) and (name in problem or "ermission denied" in problem):
                yield inside


def _may_read(path: Path, mode: int | None = None) -> bool:
    if mode is None:
        mode = os.R_OK | os.X_OK if path.is_dir() else os.R_OK
    return os.access(path, mode, effective_ids=_EFFECTIVE)
