"""Where a result comes from: the code's commit and the hardware."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import genoglot

PACKAGE = Path(genoglot.__file__).parent


def code_version() -> str:
    """Commit of the code that runs, with "-dirty" if it was edited; else the package's version.

    A package that is installed inside some other project's repository is not of its commit.
    """
    if _git("ls-files", "--error-unmatch", "__init__.py"):
        commit = _git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
        if commit:
            return commit
    return f"v{genoglot.__version__}"


def hardware() -> str:
    """System, processor cores and, if torch is in use, the GPU.

    Examples
    --------
    >>> "CPU" in hardware()
    True
    """
    name = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores"
    torch = sys.modules.get("torch")  # importing it takes seconds, and who uses it has it
    if torch is not None and torch.cuda.is_available():
        name += f", {torch.cuda.get_device_name()}"
    return name


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(PACKAGE), *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
