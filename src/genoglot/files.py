"""Reading and writing files safely: whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast

from genoglot.errors import GenoglotError


@contextmanager
def atomic_path(
    path: str | Path, *, directory: bool = False, overwrite: bool = False
) -> Iterator[Path]:
    """Yield a temporary path beside `path` that becomes `path` when the block succeeds.

    Parameters
    ----------
    path
        Where the file or directory shall be in the end. Missing parents are made.
    directory
        Make the temporary path a directory to fill.
    overwrite
        Let a non-empty directory at `path` be replaced. A file is always replaced.

    Raises
    ------
    GenoglotError
        If `path` is a non-empty directory and `overwrite` is false, or not of the wanted kind.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "out.txt"
    >>> with atomic_path(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    path = Path(path)
    if path.exists() and path.is_dir() != directory:
        kind = "a directory" if path.is_dir() else "a file"
        raise GenoglotError(f"{path}: is {kind}; choose another name")
    if directory and path.exists() and any(path.iterdir()) and not overwrite:
        raise GenoglotError(f"{path}: exists and is not empty; remove it or choose another name")
    if path.exists() and not path.is_dir() and not path.is_file():
        with tempfile.TemporaryDirectory() as elsewhere:
            temporary = Path(elsewhere) / path.name
            yield temporary
            # A pipe or device, as /dev/stdout, is written to, never replaced.
            with temporary.open("rb") as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary = holder / path.name
    try:
        if directory:
            temporary.mkdir()
        yield temporary
        if directory and path.exists():
            path.replace(holder / "replaced")
        temporary.replace(path)
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes, as hex.

    Examples
    --------
    >>> file_digest("/dev/null")[:8]
    'e3b0c442'
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_bytes(path: str | Path) -> bytes:
    """Read all bytes of a file, decompressed if it is gzip or bgzip; `-` is standard input.

    Raises
    ------
    GenoglotError
        If the file is missing, unreadable or a truncated gzip file.
    """
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else Path(path).read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except FileNotFoundError:
        raise GenoglotError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise GenoglotError(f"{path}: is a directory, not a file") from None
    except PermissionError:
        raise GenoglotError(f"{path}: may not be read (permission denied)") from None
    except (EOFError, OSError) as error:
        raise GenoglotError(f"{path}: damaged gzip file ({error}); fetch it again") from None


def read_text(path: str | Path) -> TextIO:
    """Read a file's text (plain, gzip or bgzip; `-`: standard input) without any UTF-8 mark."""
    data = read_bytes(path).removeprefix(b"\xef\xbb\xbf")
    return cast(TextIO, io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="replace"))


def cache_folder() -> Path:
    """`$GENOGLOT_CACHE`, else `$XDG_CACHE_HOME/genoglot`, else `~/.cache/genoglot`."""
    if chosen := os.environ.get("GENOGLOT_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genoglot"
