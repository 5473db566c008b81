"""Finding a saved model: in a folder, or on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from genoglot.errors import ModelError
from genoglot.permissions import explains_denial


@explains_denial
def local_folder(
    path: str | Path,
    *,
    what: str,
    patterns: Sequence[str] | None = None,
    cached: bool = False,
) -> Path:
    """Return a local folder as it is, or download a repository of the Hugging Face hub.

    Parameters
    ----------
    path
        A folder, or the name of a repository (`owner/name`).
    what
        What the folder should hold, for error messages.
    patterns
        Files to download from the hub, such as `*.json`; by default all.
    cached
        Use an earlier download, if there is one, without asking the hub for a newer version.

    Returns
    -------
    Path
        The local folder.

    Raises
    ------
    ModelError
        If there is neither such a folder nor such a repository.
    """
    folder = Path(path)
    if folder.is_dir():
        return folder
    if folder.exists() or str(path).count("/") != 1 or str(path).startswith((".", "/", "~")):
        raise ModelError(f"{path}: no {what} here (no such folder, and no hub id)")
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
        raise ModelError(
            f"{path}: no such folder, and the hub does not provide it ({reason}); "
            f"give a folder or the name of a {what}"
        ) from None
