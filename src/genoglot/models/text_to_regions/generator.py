"""`Generator`: what every model that turns a text into regions can do."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models.universe_model import SetRows, UniverseModel, check_training_sets
from genoglot.regions import Regions
from genoglot.text import check_query

if TYPE_CHECKING:
    import torch

    from genoglot.training.device import DeviceOptions

Scores = NDArray[np.float32]
Ids = NDArray[np.int32]


class Generator(UniverseModel):
    """A model that answers a text with regions of its universe.

    A subclass implements `fit`, `score` and what it saves; ranking and generating are done here.
    Scores are in the order of the universe.
    """

    @abstractmethod
    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Fit everything that has no gradient; make the network, if the model has one.

        Deterministic: called again with the same seed it gives the same result, so that a
        checkpoint can be loaded into it.

        Parameters
        ----------
        atlas, rows
            As for `fit`.
        """

    def fit(
        self,
        atlas: Atlas,
        rows: SetRows | None = None,
        *,
        validation: SetRows | None = None,
        patience: int | None = None,
        log_folder: str | Path | None = None,
        resume: bool = False,
        progress: bool | None = None,
        device: str | DeviceOptions = "auto",
    ) -> Self:
        """Learn from region sets and their descriptions.

        A model in closed form is computed from `atlas` and `rows` alone; the other arguments have
        an effect on models with a network only.

        Parameters
        ----------
        atlas
            Collection of region sets to learn from.
        rows
            Indices of the sets to learn from; by default all.
        validation
            Indices of sets on which the loss is measured after every epoch.
        patience
            Stop when the validation loss has not improved for so many epochs, and keep the weights
            of the best one; 0: never. By default 10, and 0 for a model whose learning rate falls
            to zero by its schedule, of which the last epoch ranks best (docs/decisions/0007).
        log_folder
            Where `loss.csv`, `validation.csv`, TensorBoard's log and the checkpoints are written;
            by default nowhere. A checkpoint is written after every epoch and each minute.
        resume
            Continue from the last checkpoint in `log_folder`, if there is one: the result is that
            of a training that was never interrupted.
        progress
            Show a progress bar; by default in a terminal.
        device
            Device to train on; by default a GPU if there is one, in bf16 mixed precision.

        Raises
        ------
        ModelError
            If the checkpoint to resume from is damaged or of another training.
        AtlasError
            If there is no set to learn from, or none has a region of the universe.
        """
        check_training_sets(atlas, rows)
        self.prepare(atlas, rows)
        return self

    def to(self, device: str | torch.device) -> Self:
        """Move the network, if the model has one, to a device; a closed form stays on the CPU."""
        return self

    @abstractmethod
    def score(self, texts: Sequence[str]) -> Scores:
        """Score every region of the universe for each text.

        Returns
        -------
        (texts, universe) float32 between 0 and 1, higher for regions more likely in the set. A
        score ranks regions; it is not calibrated, so it is no probability.

        Raises
        ------
        TextError
            If a text is empty.
        """

    def top(self, text: str, n: int) -> tuple[Ids, Scores]:
        """Ids and scores of the `n` best regions for a text, best first."""
        scores = self.score([text])[0]
        ids = best(scores, n)
        return ids, scores[ids]

    def generate(self, text: str, n: int = 1000) -> Regions:
        """Answer a text with a region set.

        Parameters
        ----------
        text
            A description of the wanted region set, as `"open chromatin, human kidney"`.
        n
            How many regions.

        Returns
        -------
        Regions, best first, with columns `name` (`region_<id>`), `score` (0 to 1000, as in BED),
        `strand` (`.`), `rank` (from 1) and `raw` (the score between 0 and 1, not calibrated).

        Raises
        ------
        ModelError
            If `n` is not between 1 and the size of the universe.
        TextError
            If the text is empty, overlong or not in Latin letters.
        """
        self._check(text, n)
        return self._answer(*self.top(text, n))

    def _check(self, text: str, n: int) -> None:
        check_query(text)
        if not 1 <= n <= len(self.universe):
            raise ModelError(
                f"n is {n}, but must be between 1 and {len(self.universe)}, the universe's size"
            )

    def _answer(self, ids: NDArray[np.integer[Any]], raw: Scores) -> Regions:
        return self.universe.decode(ids).with_columns(
            name=[f"region_{i}" for i in ids.tolist()],
            score=np.rint(1000 * np.clip(raw, 0, 1)).astype(np.int32),
            strand=["."] * len(ids),
            rank=np.arange(1, len(ids) + 1, dtype=np.int32),
            raw=raw,
        )


def best(scores: Scores, n: int) -> Ids:
    """Ids of the `n` highest scores, highest first; equal ones in order of id.

    Examples
    --------
    >>> best(np.array([0.1, 0.9, 0.5, 0.9], np.float32), 3)
    array([1, 3, 2], dtype=int32)
    """
    n = min(n, len(scores))
    likely = _likely(scores, n)
    values = scores[likely]
    if n < len(likely):
        # A strict cut first: everything above the n-th value, then the first ones equal to it.
        cut = np.partition(values, len(values) - n)[len(values) - n]
        above = np.flatnonzero(values > cut)
        kept = np.concatenate([above, np.flatnonzero(values == cut)[: n - len(above)]])
        likely, values = likely[kept], values[kept]
    return likely[np.lexsort((likely, -values))].astype(np.int32)


def _likely(scores: Scores, n: int) -> NDArray[np.int64]:
    """Ids, in order, of all scores that can be among the `n` highest, and not many more.

    Every 64th score tells about where the cut is. `np.partition` alone takes 130 ms for a million
    scores of which most are nearly alike, as popularities are.
    """
    sample = np.sort(scores[::64])[::-1]
    place = 2 * n // 64 + 32
    if place < len(sample):
        ids = np.flatnonzero(scores >= sample[place])
        if len(ids) >= n:
            return ids
    return np.arange(len(scores))
