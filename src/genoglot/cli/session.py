"""Behavior of every command: notices on standard error, errors in one line, exit statuses.

A command that is stopped by a signal removes unfinished files, prints one line and exits with the
status 128 + number of the signal, as in a shell.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import typer
from typer.core import TyperGroup

from genoglot import __version__
from genoglot.errors import GenoglotError, ModelError

if TYPE_CHECKING:
    from genoglot.sequence import Genome

log = logging.getLogger("genoglot")

BAD_INPUT, STOPPED = 2, 128

_advice: ContextVar[Callable[[], str]] = ContextVar("advice")


class Stopped(BaseException):
    """Raised when a signal asks the process to stop."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Commands(TyperGroup):
    """The top command group, which turns exceptions into one line and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        log_to_stderr()
        _advice.set(str)
        try:
            with stopped_by_signals():
                return super().invoke(ctx)
        except Stopped as stop:
            if is_first_process():
                advice = _advice.get()()
                name = signal.Signals(stop.number).name
                typer.echo(f"genoglot: stopped by {name}{advice and '; '}{advice}", err=True)
            raise typer.Exit(STOPPED + stop.number) from None
        except GenoglotError as error:
            fail(str(error), debug=ctx.params["debug"])
        except BrokenPipeError:
            # The reader has closed the pipe (as head does). The rest of the output is discarded.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except OSError as error:
            if error.filename is None:
                raise
            fail(f"{error.filename}: {error.strerror}", debug=ctx.params["debug"])


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM, SIGHUP and SIGINT raise `Stopped`; a signal that is ignored stays ignored.

    `Stopped` is also raised if the code in the block replaces it by another exception.
    """
    asked: list[int] = []

    def stop(number: int, _: Any) -> None:
        asked.append(number)
        raise Stopped(number)

    handlers = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup does
                handlers[number] = signal.signal(number, stop)
    try:
        yield
    except BaseException:
        if asked:
            raise Stopped(asked[0]) from None
        raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def advise(advice: Callable[[], str]) -> None:
    """Set the advice that is printed when the command is stopped."""
    _advice.set(advice)


def fail(message: str, *, debug: bool) -> NoReturn:
    """Print an error in one line (with `debug`, after the traceback) and exit."""
    if debug:
        traceback.print_exc()
    typer.echo(f"genoglot: error: {' '.join(message.splitlines())}", err=True)
    raise typer.Exit(BAD_INPUT)


def log_to_stderr() -> None:
    """Print each message of the `genoglot` logger on a line of standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("genoglot: %(message)s"))
    logger = logging.getLogger("genoglot")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def show_version(wanted: bool) -> None:
    """Print the version and exit, if `wanted`."""
    if wanted:
        typer.echo(f"genoglot {__version__}")
        raise typer.Exit


def read_pairs(options: list[str] | None, option: str) -> dict[str, str]:
    """Read the values of a repeated option that have the form ``NAME=VALUE``.

    Parameters
    ----------
    options
        The values.
    option
        Name of the option, for error messages.

    Raises
    ------
    GenoglotError
        If a value has no ``=`` or no name, or if a name is given twice.

    Examples
    --------
    >>> read_pairs(["assay=ATAC-seq"], "--within")
    {'assay': 'ATAC-seq'}
    """
    found: dict[str, str] = {}
    for text in options or []:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise GenoglotError(f"{option} {text!r}: give it as NAME=VALUE")
        if name in found:
            raise GenoglotError(f"{option} {text!r}: {name} is given twice")
        found[name] = value
    return found


def read_settings(options: list[str] | None) -> dict[str, Any]:
    """Read the settings of `--set`. A value is read as JSON or, if it is not JSON, as text.

    Names and types are checked by the model (`genoglot.settings.Settings`) or by the task.

    Examples
    --------
    >>> read_settings(["epochs=3", "text=tfidf", "widths=[8, 16]"])
    {'epochs': 3, 'text': 'tfidf', 'widths': [8, 16]}
    """
    settings: dict[str, Any] = {}
    for name, text in read_pairs(options, "--set").items():
        try:
            settings[name] = json.loads(text)
        except ValueError:
            settings[name] = text
    return settings


def merge_settings(settings: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Add the settings that have options of their own, if they are given.

    Examples
    --------
    >>> merge_settings({"dim": 64}, epochs=3, max_steps=None)
    {'dim': 64, 'epochs': 3}
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name in sorted(settings.keys() & given.keys()):
        raise GenoglotError(f"--set {name}: use the option --{name.replace('_', '-')} instead")
    return settings | given


def report_skipped(skipped: list[tuple[str, str]], n_read: int) -> None:
    """Report the files that could not be read, if there are any, and exit.

    Parameters
    ----------
    skipped
        File and problem of each.
    n_read
        Number of files that were read.
    """
    for name, problem in skipped:
        log.error("skipped %s: %s", name, problem)
    if skipped:
        log.error("%d of %d files were skipped", len(skipped), len(skipped) + n_read)
        raise typer.Exit(BAD_INPUT)


def check_out(out: Path, sources: Iterable[str | Path | None], *, overwrite: bool) -> None:
    """Check before long work that its folder can be written, and that no source is in it.

    Parameters
    ----------
    out
        The folder.
    sources
        What is read: see `check_apart`.
    overwrite
        Whether existing output is replaced.
    """
    from genoglot.files import check_apart

    if out.is_file():
        raise GenoglotError(f"{out}: is a file; choose another name")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise GenoglotError(f"{out}: already exists; choose another name or use --overwrite")
    check_apart(out, sources)


def check_training(log_folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Check before a training that no other one is unfinished.

    Parameters
    ----------
    log_folder
        Folder of the logs and checkpoints.
    resume, overwrite
        Whether an unfinished training is continued, and whether existing output is replaced.
    """
    advise(lambda: "continue with --resume" if _has_checkpoint(log_folder) else "")
    unfinished = _has_checkpoint(log_folder)
    if unfinished and not resume and not overwrite:
        raise GenoglotError(
            f"{log_folder}: contains an unfinished training; use --resume or --overwrite"
        )
    if resume and not unfinished:
        log.warning("%s: no checkpoint to resume from; training from the start", log_folder)


def _has_checkpoint(log_folder: Path) -> bool:
    return any(log_folder.rglob("checkpoints/[!.]*"))  # an ensemble has a folder for each network


@contextmanager
def trainer_errors() -> Iterator[None]:
    """Report wrong options of Lightning's trainer as bad input."""
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    try:
        yield
    except MisconfigurationException as error:  # such as more devices than there are
        raise ModelError(str(error)) from error


def is_first_process() -> bool:
    """Return whether this process saves the model, if several trained it together."""
    if "lightning" not in sys.modules:
        return True
    from lightning.pytorch.utilities import rank_zero_only

    rank: int = getattr(rank_zero_only, "rank", 0)
    return rank == 0


def open_genome(
    files: list[Path],
    origin: list[str] | None,
    alias: Literal["ucsc", "ensembl"] | None,
    *,
    named: bool = True,
) -> Genome:
    """Open the genome of `--genome`, `--origin` and `--alias`.

    Parameters
    ----------
    files
        FASTA files of the genome.
    origin
        Positions of records, as RECORD=CHROM:FIRST.
    alias
        Naming that chromosomes are renamed to.
    named
        Without `origin`, read the names of records such as 22:20000001-21000000 as their positions.

    Returns
    -------
    Genome
        The genome.
    """
    from genoglot.sequence import Genome

    windows = {name: _read_start(text) for name, text in read_pairs(origin, "--origin").items()}
    return Genome.open(files, record_positions=windows or ("names" if named else None), alias=alias)


def _read_start(text: str) -> tuple[str, int]:
    """Read CHROM:FIRST, where FIRST is counted from 1.

    >>> _read_start("chr20:1000001")
    ('chr20', 1000000)
    """
    chrom, _, first = text.rpartition(":")
    if not chrom or not first.isdecimal() or int(first) < 1:
        raise GenoglotError(
            f"--origin {text!r}: give it as RECORD=CHROM:FIRST, such as z=chr20:1000001"
        )
    return chrom, int(first) - 1
