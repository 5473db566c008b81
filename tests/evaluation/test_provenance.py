from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from genoglot import __version__
from genoglot.evaluation.provenance import code_version, hardware


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package in a repository with one commit, which the package is not part of yet."""
    package = tmp_path / "src" / "genoglot"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "first")
    return package


def test_a_checkout_is_of_its_commit_and_dirty_when_edited(package: Path) -> None:
    git(package, "add", ".")
    git(package, "commit", "-m", "package")
    git(package, "tag", "v9")
    assert code_version(package) == git(package, "rev-parse", "--short=12", "HEAD")
    (package / "__init__.py").write_text("edited = True")
    assert code_version(package).endswith("-dirty")


def test_a_package_in_another_repository_is_of_its_version(package: Path) -> None:
    assert code_version(package) == f"v{__version__}"


def test_without_git_it_is_the_version(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert code_version(package) == f"v{__version__}"


def test_hardware_names_system_and_cores() -> None:
    assert re.match(r"\w+ \w+, \d+ CPU cores", hardware())
