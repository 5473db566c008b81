"""`Workspace`: what the runs of a benchmark share, and what is made once for several of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genoglot.bench.recipe import TokenizerName
from genoglot.errors import TaskError
from genoglot.files import atomic_path
from genoglot.locks import lock
from genoglot.sequence import DnaTokenizer, Genome
from genoglot.tasks.dataset import TaskData

if TYPE_CHECKING:
    from genoglot.models.dna.genebert_data import GeneBertData
    from genoglot.training.device import DeviceOptions

CHECKPOINTS = "checkpoints"  # folder in that of a training

FORMAT = 1
"""Version of what a digest is made of, to be raised when a change of the code changes results."""


def digest_of(content: Any) -> str:
    """Give settings a name: 16 hexadecimal digits of SHA-256.

    Parameters
    ----------
    content
        Settings, as JSON can represent them. The order of keys does not matter.

    Returns
    -------
    str
        The digits.

    Examples
    --------
    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    text = json.dumps([FORMAT, content], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Workspace:
    """Folder, data and devices that the runs of a benchmark share.

    Parameters
    ----------
    folder
        Folder of the results, and of the tokenizers and pre-trained encoders that are made once.
    datasets
        Datasets by name.
    genome
        Genome that encoders are pre-trained on, and that byte pairs are learned from.
    device_options
        Device of predictions; or device and precision of training. Default: chosen automatically.
    genebert
        Accessible regions that GeneBERT is pre-trained on.
    """

    def __init__(
        self,
        folder: Path,
        datasets: Mapping[str, TaskData],
        genome: Genome | None = None,
        device_options: str | DeviceOptions = "auto",
        genebert: GeneBertData | None = None,
    ) -> None:
        self.folder, self.datasets, self._genome = folder, datasets, genome
        self.device_options, self._genebert = device_options, genebert

    @property
    def genome(self) -> Genome:
        """The genome; a TaskError if there is none."""
        if self._genome is None:
            raise TaskError("pre-training and byte pairs need DNA; give it as FASTA (--genome)")
        return self._genome

    @property
    def genebert(self) -> GeneBertData:
        """Accessible regions to pre-train GeneBERT on; a TaskError if there are none."""
        if self._genebert is None:
            raise TaskError("GeneBERT is pre-trained on accessible regions; give them (--genebert)")
        return self._genebert

    @property
    def device(self) -> str:
        """Device that models predict on, such as "cuda" or "cpu"."""
        from genoglot.training.device import choose_device

        options = self.device_options
        return str(choose_device(options if isinstance(options, str) else options.device))

    @property
    def precision(self) -> str:
        """Precision that models are trained in, as `lightning.Trainer` names it."""
        from genoglot.training.device import trainer_options

        return str(trainer_options(self.device_options)["precision"])

    def cached(self, name: str, metadata: Any, make: Callable[[Path, Path], None]) -> Path:
        """Return the path of something that several runs need, and make it the first time.

        Parameters
        ----------
        name
            Name for people to read.
        metadata
            All that decides what it is, as JSON can represent it.
        make
            Called with the directory to make and one for its logs, from which it can resume.

        Returns
        -------
        Path
            The directory.
        """
        path = self.folder / "cache" / f"{name.replace('/', '-')}-{digest_of(metadata)}"
        if path.exists():
            return path
        with lock(path.with_name(f"{path.name}.lock"), wait=True):
            if not path.exists():  # another process may have made it meanwhile
                log_folder = path.with_name(f"{path.name}.training")
                log_folder.mkdir(parents=True, exist_ok=True)
                with atomic_path(log_folder / "metadata.json") as temporary:
                    temporary.write_text(json.dumps(metadata, indent=1) + "\n")
                make(path, log_folder)
                discard_checkpoints(log_folder)
        return path

    def tokenizer(self, name: TokenizerName) -> DnaTokenizer:
        """Return a tokenizer; byte pairs are learned from the genome the first time."""
        from genoglot.models.dna.new_tokenizer import new_tokenizer

        if name != "bpe":
            return new_tokenizer(name)
        genome = self.genome

        def learn(path: Path, _: Path) -> None:
            with atomic_path(path, directory=True) as folder:
                new_tokenizer("bpe", genome).save_pretrained(folder)

        path = self.cached("bpe", {"tokenizer": name, "genome": genome.digest}, learn)
        return DnaTokenizer.from_pretrained(path)


def has_checkpoint(folder: Path) -> bool:
    """Return whether a training, or one of several in the folder, has written a checkpoint."""
    return any(folder.rglob(f"{CHECKPOINTS}/[!.]*"))


def discard_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of finished trainings, and leave their loss curves."""
    for path in list(folder.rglob(CHECKPOINTS)):
        shutil.rmtree(path, ignore_errors=True)
