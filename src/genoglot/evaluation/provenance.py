"""Where a result comes from: the commit of the code and the hardware."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import genoglot


def code_version(package: Path | None = None) -> str:
    """Return the commit of the code, with "-dirty" if the code was edited since.

    Parameters
    ----------
    package
        Folder of a Python package. Default: that of Genoglot.

    Returns
    -------
    str
        The first 12 digits of the commit; or "v" and the version of Genoglot, if the package is
        not in a git repository, or is not a part of the repository that it lies in.
    """
    package = package or Path(genoglot.__file__).parent
    if _git(package, "ls-files", "--error-unmatch", "__init__.py"):
        commit = _git(package, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
        if commit:
            return commit
    return f"v{genoglot.__version__}"


def hardware() -> str:
    """Return the system, the number of processor cores and, if torch is in use, the GPU.

    Examples
    --------
    >>> "CPU" in hardware()
    True
    """
    name = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores"
    torch = sys.modules.get("torch")  # importing it takes seconds, and code that uses it has it
    if torch is not None and torch.cuda.is_available():
        name += f", {torch.cuda.get_device_name()}"
    return name


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
