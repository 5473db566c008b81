"""`Workshop`: what the runs of a bench share, and what is made once for several of them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from genoglot.bench.recipe import Tokens
from genoglot.errors import TaskError
from genoglot.files import atomic_path
from genoglot.sequence import DnaTokenizer, Genome
from genoglot.tasks.dataset import TaskData

if TYPE_CHECKING:
    from genoglot.training.device import DeviceOptions

log = logging.getLogger("genoglot")

CHECKPOINTS = "checkpoints"  # of a training, in its folder

FORMAT = 1
"""Of what a digest is made of. Raised where a change of the code changes results."""


def digest_of(content: Any) -> str:
    """Give settings a name: 16 hexadecimal digits of SHA-256.

    Examples
    --------
    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    text = json.dumps([FORMAT, content], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Workshop:
    """What the runs of a bench share.

    Parameters
    ----------
    folder
        Where results are, and what is made once: tokenizers and pre-trained encoders.
    datasets
        By name.
    genome
        That encoders are pre-trained on and byte pairs are learned from.
    device_options
        Device and precision of training.
    """

    def __init__(
        self,
        folder: Path,
        datasets: Mapping[str, TaskData],
        genome: Genome | None = None,
        device_options: DeviceOptions | None = None,
    ) -> None:
        self.folder, self.datasets, self._genome = folder, datasets, genome
        self.device_options = device_options

    @property
    def genome(self) -> Genome:
        """The genome; a TaskError if none was given."""
        if self._genome is None:
            raise TaskError("pre-training and byte pairs need DNA; give it as FASTA (--genome)")
        return self._genome

    @property
    def device(self) -> str:
        """What models predict on."""
        from genoglot.training.device import choose_device

        return str(choose_device(self.device_options.device if self.device_options else "auto"))

    @property
    def precision(self) -> str:
        """What models are trained in, as `lightning.Trainer` calls it."""
        from genoglot.training.device import trainer_options

        precision: str = trainer_options(self.device_options or "auto")["precision"]
        return precision

    def kept(self, name: str, about: Any, make: Callable[[Path, Path], None]) -> Path:
        """Return what is kept under a name, making it if it is not there.

        Parameters
        ----------
        name
            For people to read.
        about
            All that decides what it is, as JSON can hold it.
        make
            Called with the directory to make and one for its logs, from which it resumes.
        """
        digest = digest_of(about)
        path = self.folder / "kept" / f"{name.replace('/', '-')}-{digest}"
        if path.exists():
            return path
        with claimed(path.with_name(f"{path.name}.lock"), wait=True):
            if not path.exists():  # another process may have made it
                log_folder = path.with_name(f"{path.name}.training")
                log_folder.mkdir(parents=True, exist_ok=True)
                with atomic_path(log_folder / "about.json") as temporary:
                    temporary.write_text(json.dumps(about, indent=1) + "\n")
                make(path, log_folder)
                discard_checkpoints(log_folder)
        return path

    def tokenizer(self, name: Tokens) -> DnaTokenizer:
        """Return a tokenizer; byte pairs are learned from the genome once."""
        from genoglot.models.dna.new_tokenizer import new_tokenizer

        if name != "bpe":
            return new_tokenizer(name)
        genome = self.genome

        def learn(path: Path, _: Path) -> None:
            with atomic_path(path, directory=True) as folder:
                new_tokenizer("bpe", genome).save_pretrained(folder)

        path = self.kept("bpe", {"tokenizer": name, "genome": genome.digest}, learn)
        return DnaTokenizer.from_pretrained(path)


class Claim(NamedTuple):
    """A piece of work that no other process can do meanwhile.

    Attributes
    ----------
    again
        Whether a process that had the claim before was killed or stopped.
    """

    again: bool


@contextmanager
def claimed(lock: Path, *, wait: bool = False) -> Iterator[Claim | None]:
    """Claim a piece of work; None if another process has the claim.

    A process that ends, in whatever way, gives up its claims.

    Parameters
    ----------
    lock
        A file for it. It stays behind where a process is killed or stopped.
    wait
        Wait while another process has the claim.

    Raises
    ------
    TaskError
        If the file system has no locks.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        while True:
            again = lock.exists()
            file = stack.enter_context(lock.open("a"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    yield None
                    return
                log.info("%s: another process is making it; waiting", lock.with_suffix(""))
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                raise TaskError(
                    f"{lock}: files cannot be locked here ({error.strerror}); choose another folder"
                ) from None
            if _is_open(lock, file):
                break  # else that process was done, and removed it
        try:
            yield Claim(again)
        except Exception:
            lock.unlink()
            raise
        lock.unlink()


def has_checkpoint(folder: Path) -> bool:
    """Whether a training, or one of several in the folder, has written a checkpoint."""
    return any(folder.rglob(f"{CHECKPOINTS}/[!.]*"))


def discard_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of trainings that are over, and leave their curves."""
    for place in list(folder.rglob(CHECKPOINTS)):
        shutil.rmtree(place, ignore_errors=True)


def _is_open(path: Path, file: IO[str]) -> bool:
    return path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))
