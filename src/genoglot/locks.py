"""Locks, so that several processes can work in one folder."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from genoglot.errors import GenoglotError

log = logging.getLogger("genoglot")


@contextmanager
def lock(path: Path, *, wait: bool = False) -> Iterator[bool | None]:
    """Hold a lock, so that no other process does the same work at the same time.

    The lock of a process that ends, in whatever way, is free again.

    Parameters
    ----------
    path
        File of the lock. It is removed at the end, unless the process is killed or stopped.
    wait
        Wait while another process holds the lock.

    Yields
    ------
    bool or None
        Whether a process that held the lock before was killed or stopped; None if another process
        holds the lock.

    Raises
    ------
    GenoglotError
        If the file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        while True:
            interrupted = path.exists()
            file = stack.enter_context(path.open("a"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    yield None
                    return
                log.info("%s: another process is making it; waiting", path.with_suffix(""))
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                raise GenoglotError(
                    f"{path}: files cannot be locked here ({error.strerror}); choose another folder"
                ) from None
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                break  # else the process that held the lock has finished and removed the file
        try:
            yield interrupted
        except Exception:
            path.unlink()
            raise
        path.unlink()
