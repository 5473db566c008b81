"""Models and tokenizers from a folder or from the Hugging Face hub."""

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
    cached
        Take what was fetched before as it is, without asking the hub for a newer version.

    Raises
    ------
    error
        If there is neither such a folder nor such a repository.
    """
    folder = Path(path)
    if folder.is_dir():
        return folder
    if folder.exists() or str(path).count("/") != 1 or str(path).startswith((".", "/", "~")):
        raise error(f"{path}: no {what} here (no such folder, and no hub id)")
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
            f"{path}: no such folder, and not to be had from the hub ({reason}); "
            f"give a folder or the name of a {what}"
        ) from None
