"""Find models and tokenizers in a local folder or on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from genoglot.errors import GenoglotError
from genoglot.permissions import explains_denial


@explains_denial
def local_folder(
    path: str | Path,
    *,
    what: str,
    error: type[GenoglotError],
    patterns: Sequence[str] | None = None,
    cached: bool = False,
) -> Path:
    """Return the path of a folder, or of the local copy of a hub repository.

    Parameters
    ----------
    path
        A folder, or the name of a repository, `owner/name`.
    what
        What the folder should hold, for the error.
    error
        Class of the error to raise.
    patterns
        Patterns of the files to download from the hub; by default all files.
    cached
        Use an earlier download without asking the hub for a newer version.

    Returns
    -------
    Path
        A local folder.

    Raises
    ------
    error
        If there is neither such a folder nor such a repository.
    """
    folder = Path(path)
    if folder.is_dir():
        return folder
    if folder.exists() or str(path).count("/") != 1 or str(path).startswith((".", "/", "~")):
        raise error(f"{path}: no {what} here (no such folder, and not a hub id)")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    fetch = partial(snapshot_download, str(path), allow_patterns=list(patterns or []) or None)
    try:
        if cached:
            with suppress(LocalEntryNotFoundError):
                return Path(fetch(local_files_only=True))
        return Path(fetch())
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as problem:
        reason = str(problem).strip().splitlines()[0]
        raise error(
            f"{path}: no such folder, and no download from the hub ({reason}); "
            f"give a folder or the name of a {what}"
        ) from None
