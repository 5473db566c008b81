"""The command answers at once, and knows what there is."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import pytest

from genoglot import __version__
from genoglot.cli import simulate
from genoglot.cli.options import BedFolder
from genoglot.regions.formats import Format
from genoglot.simulate import SIZES

Run = Callable[..., Any]


def test_version(process: Run) -> None:
    assert process("--version").stdout == f"genoglot {__version__}\n"


def test_help_is_quick(process: Run) -> None:
    process("--help")  # compiles what is not compiled yet

    def seconds() -> float:
        """Of the processor: what others do on it meanwhile does not count."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "generate" in process("--help").stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.5


def test_nothing_heavy_is_imported_before_a_command_runs() -> None:
    code = "import sys, genoglot.cli; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "polars", "torch", "lightning", "matplotlib", "sklearn", "transformers"}
    assert "typer" in done.stdout.split()
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize("name", ["text2bed", "direct", "diffusion", "seq2regions", "annotator"])
def test_asking_a_model_does_not_wait_for_lightning(name: str) -> None:
    code = (
        f"import sys; from genoglot.registry import model_class; model_class({name!r}); "
        "print('lightning' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_choices_are_those_of_the_packages() -> None:
    def choices(command: Callable[..., Any] | type[Any], parameter: str) -> set[str]:
        return set(get_args(get_type_hints(command)[parameter]))

    assert choices(simulate.simulate, "size") == set(SIZES)
    assert choices(BedFolder, "format") == set(get_args(Format))
