"""Models and tokenizers from a folder or from the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genoglot.errors import GenoglotError


def local_folder(
    path: str | Path,
    *,
    what: str,
    error: type[GenoglotError],
    patterns: Sequence[str] | None = None,
) -> Path:
    """Return the folder itself, or the local copy of a hub repository `owner/name`.

    Parameters
    ----------
    path
        A folder or the name of a repository.
    what
        What should be there, as an error calls it.
    error
        Class of the error to raise.
    patterns
        Files to fetch from the hub; by default all.

    Raises
    ------
    error
        If there is neither such a folder nor such a repository.
    """
    folder = Path(path)
    if folder.is_dir():
        return folder
    if folder.exists() or str(path).count("/") != 1 or str(path).startswith((".", "/", "~")):
        raise error(f"{path}: no {what} here (neither a directory nor a hub id)")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    allowed = list(patterns) if patterns is not None else None
    try:
        return Path(snapshot_download(str(path), allow_patterns=allowed))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as problem:
        reason = str(problem).splitlines()[0]
        raise error(
            f"{path}: no such directory, and not to be had from the hub ({reason})"
        ) from None
