"""How every command behaves: notices on standard error, errors in one line, exit statuses.

A command that a signal asks to stop removes what is half-written, says so in one line and exits
with the status 128 + number of the signal, as shells have it.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
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
    """Raised by a signal that asks the process to stop."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Commands(TyperGroup):
    """The command group at the top: what a command raises becomes a line and an exit status."""

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
            # The reader has seen enough (| head). What is left in the buffer goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except OSError as error:
            if error.filename is None:
                raise
            fail(f"{error.filename}: {error.strerror}", debug=ctx.params["debug"])


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM, SIGHUP and SIGINT end the block by `Stopped`; what is ignored stays so.

    Whatever the block makes of that exception, `Stopped` comes out of it.
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
    """Set what the line about a stop says besides: what to do then."""
    _advice.set(advice)


def fail(message: str, *, debug: bool) -> NoReturn:
    """Say in one line what is wrong (with `debug`, after the traceback) and exit."""
    if debug:
        traceback.print_exc()
    typer.echo(f"genoglot: error: {' '.join(message.splitlines())}", err=True)
    raise typer.Exit(BAD_INPUT)


def log_to_stderr() -> None:
    """Show the notices of the `genoglot` logger, a line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("genoglot: %(message)s"))
    logger = logging.getLogger("genoglot")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def show_version(wanted: bool) -> None:
    """Print the version and exit, if it is asked for."""
    if wanted:
        typer.echo(f"genoglot {__version__}")
        raise typer.Exit


def pairs(options: list[str], option: str) -> dict[str, str]:
    """Read options of the form ``key=value``.

    Raises
    ------
    GenoglotError
        If one has no ``=`` or no key, or a key is repeated.

    Examples
    --------
    >>> pairs(["assay=ATAC-seq"], "--within")
    {'assay': 'ATAC-seq'}
    """
    found: dict[str, str] = {}
    for text in options:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise GenoglotError(f"{option} {text!r}: give it as key=value")
        if key in found:
            raise GenoglotError(f"{option} {text!r}: {key} is given twice")
        found[key] = value
    return found


def check_free(out: Path, log_folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse before a training what could not be saved after it."""
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not overwrite):
        raise GenoglotError(f"{out}: exists; choose another name or --overwrite it")
    advise(lambda: "go on with --resume" if _begun(log_folder) else "")
    begun = _begun(log_folder)
    if begun and not resume and not overwrite:
        raise GenoglotError(
            f"{log_folder}: holds a training begun before; --resume it, or --overwrite it"
        )
    if resume and not begun:
        log.warning("%s: no checkpoint to resume from; training from the start", log_folder)


def _begun(log_folder: Path) -> bool:
    return any(log_folder.rglob("checkpoints/[!.]*"))  # an ensemble has a folder of each network


def check_device(device: str) -> None:
    """Refuse a GPU that is not there."""
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise ModelError("--device cuda: PyTorch finds no GPU here; use --device cpu")


@contextmanager
def trainer_errors() -> Iterator[None]:
    """Make an error of bad input of what Lightning says of its options."""
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    try:
        yield
    except MisconfigurationException as error:  # such as more devices than there are
        raise ModelError(str(error)) from error


def is_first_process() -> bool:
    """Whether this is the process that saves, of those that trained together."""
    if "lightning" not in sys.modules:
        return True
    from lightning.pytorch.utilities import rank_zero_only

    rank: int = getattr(rank_zero_only, "rank", 0)
    return rank == 0


def open_genome(
    files: list[Path] | None,
    origin: list[str] | None,
    alias: Literal["ucsc", "ensembl"] | None,
    *,
    named: bool = True,
) -> Genome | None:
    """Open the genome of `--genome`, `--origin` and `--alias`; None if there is none.

    Without `--origin`, records with the names of windows are windows if `named`; else, where it
    does not matter what places they are of, they stay records as any.
    """
    from genoglot.sequence import Genome

    if not files:
        for option, given in (("--origin", origin), ("--alias", alias)):
            if given:
                raise GenoglotError(f"{option} is about the genome; give one with --genome")
        return None
    windows = {record: _window(text) for record, text in pairs(origin or [], "--origin").items()}
    return Genome.open(files, record_positions=windows or ("names" if named else None), alias=alias)


def _window(text: str) -> tuple[str, int]:
    """Read chrom:first, counted from 1.

    Examples
    --------
    >>> _window("chr20:1000001")
    ('chr20', 1000000)
    """
    chrom, _, first = text.rpartition(":")
    if not chrom or not first.isdecimal() or int(first) < 1:
        raise GenoglotError(
            f"--origin {text!r}: give it as record=chrom:first, such as z=chr20:1000001"
        )
    return chrom, int(first) - 1
