"""Saying so where files may not be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import ParamSpec, TypeVar

from genoglot.errors import GenoglotError

P = ParamSpec("P")
T = TypeVar("T")

MOST = 100  # folders that are looked at: whatever is saved has fewer
_EFFECTIVE = os.access in os.supports_effective_ids


def explains_denial(read: Callable[P, T]) -> Callable[P, T]:
    """Let a function that reads a file or folder say so where permissions forbid it.

    Libraries call such a file missing or damaged, and advice to make it again would be wrong. If
    the function fails, the paths among its arguments are looked at.

    Parameters
    ----------
    read
        Function that raises children of `GenoglotError`.

    Raises
    ------
    GenoglotError
        If a path, a folder above it or something in it may not be read.
    """

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except Exception as error:
            problem = f"{error} {error.__cause__}"
            for path in _paths([*args, *kwargs.values(), getattr(error, "filename", None)]):
                if denied := _denied(path, problem):
                    raise GenoglotError(f"{denied}: may not be read (permission denied)") from None
            raise

    return reading


def _paths(arguments: list[object]) -> list[Path]:
    found: list[object] = []
    for value in arguments:
        found += value if isinstance(value, list | tuple) else [value]
    return [Path(value) for value in found if isinstance(value, str | Path)]


def _denied(path: Path, problem: str) -> Path | None:
    """Return what may not be read: a folder above a path, itself, or what a problem is about."""
    for folder in reversed(path.absolute().parents):
        if folder.is_dir() and not _may(folder, os.X_OK):
            return folder
    if not _there(path):
        return None
    if not _may(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
        return path
    for place, folders, files in islice(os.walk(path), MOST):
        for name in (*folders, *files):
            inside = Path(place, name)
            mode = os.R_OK | os.X_OK if name in folders else os.R_OK
            if not _may(inside, mode) and (name in problem or "ermission denied" in problem):
                return inside
    return None


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=_EFFECTIVE)


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False
