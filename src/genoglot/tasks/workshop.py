"""`Workshop`: what the runs of a bench share, and what is made once for several of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genoglot.errors import TaskError
from genoglot.files import atomic_path
from genoglot.sequence import DnaTokenizer, Genome
from genoglot.tasks.dataset import TaskData
from genoglot.tasks.recipe import Tokens

if TYPE_CHECKING:
    from genoglot.training.loop import Where

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
    where
        Devices, and the precision of training.
    """

    def __init__(
        self,
        folder: Path,
        datasets: Mapping[str, TaskData],
        genome: Genome | None = None,
        where: Where | None = None,
    ) -> None:
        self.folder, self.datasets, self._genome, self.where = folder, datasets, genome, where

    @property
    def genome(self) -> Genome:
        """The genome; a TaskError if none was given."""
        if self._genome is None:
            raise TaskError("pre-training and byte pairs need DNA; give it as FASTA (--genome)")
        return self._genome

    @property
    def device(self) -> str:
        """What models predict on."""
        import torch

        wanted = self.where.device if self.where else "auto"
        return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"

    @property
    def precision(self) -> str:
        """What models are trained in, as `lightning.Trainer` calls it."""
        wanted = self.where.precision if self.where else "auto"
        if wanted == "auto":
            return "bf16-mixed" if self.device == "cuda" else "32-true"
        return wanted

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
        if not path.exists():
            log_folder = path.with_name(f"{path.name}.training")
            log_folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(log_folder / "about.json") as temporary:
                temporary.write_text(json.dumps(about, indent=1) + "\n")
            make(path, log_folder)
            discard_checkpoints(log_folder)
        return path

    def tokenizer(self, name: Tokens) -> DnaTokenizer:
        """Return a tokenizer; byte pairs are learned from the genome once."""
        from genoglot.training.pretrain import make_tokenizer

        if name != "bpe":
            return make_tokenizer(name)
        genome = self.genome

        def learn(path: Path, _: Path) -> None:
            with atomic_path(path, directory=True) as folder:
                make_tokenizer("bpe", genome).save_pretrained(folder)

        path = self.kept("bpe", {"tokenizer": name, "genome": genome.digest}, learn)
        return DnaTokenizer.from_pretrained(path)


def discard_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a training that is over, and leave its curves."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
