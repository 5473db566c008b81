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

    A subclass implements `prepare` and `score` and names in `fitted` what is saved; ranking and
    generating are done here. Scores are in the order of the universe.
    """

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Fit everything that has no gradient, and make the network if the model has one.

        The result depends on the data and the seed alone, so that a checkpoint of a training can be
        loaded into it. The state of PyTorch's random number generator does not change.

        Parameters
        ----------
        atlas
            Collection of region sets to learn from.
        rows
            Indices of the sets to learn from; by default all.
        """
        self.universe = atlas.universe

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
            Stop when the validation loss has not improved for this number of epochs, and use the
            weights of the best one; 0: never. By default 10, and 0 for a model whose learning rate
            falls to zero by its schedule, since its last epoch ranks best (docs/decisions/0007).
        log_folder
            Folder of `loss.csv`, `validation.csv`, TensorBoard's log and the checkpoints; by
            default nothing is written. A checkpoint is written after every epoch and each minute.
        resume
            Continue from the last checkpoint in `log_folder`, if there is one: the result is that
            of a training without interruption.
        progress
            Show a progress bar; by default in a terminal.
        device
            Device to train on; by default a GPU if there is one, in bf16 mixed precision.

        Returns
        -------
        Generator
            The model itself, fitted.

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
        """Move the network to a device; a model without a network stays on the CPU."""
        return self

    @abstractmethod
    def score(self, texts: Sequence[str]) -> Scores:
        """Score every region of the universe for each text.

        Parameters
        ----------
        texts
            Descriptions of region sets.

        Returns
        -------
        NDArray
            float32 (texts, universe), between 0 and 1. The higher a score, the more likely the
            region is in the set; a score is not calibrated, so that it is not a probability.

        Raises
        ------
        TextError
            If a text is empty.
        """

    def top(self, text: str, n: int) -> tuple[Ids, Scores]:
        """Find the best regions for a text.

        Parameters
        ----------
        text
            Description of a region set.
        n
            Number of regions.

        Returns
        -------
        tuple of NDArray
            Universe ids, int32 (n,), and scores, float32 (n,), best first.
        """
        scores = self.score([text])[0]
        ids = best(scores, n)
        return ids, scores[ids]

    def generate(self, text: str, n: int = 1000) -> Regions:
        """Answer a text with a region set.

        Parameters
        ----------
        text
            Description of the wanted region set, such as `"open chromatin, human kidney"`.
        n
            Number of regions.

        Returns
        -------
        Regions
            Regions, best first, with columns `name` (`region_<id>`), `score` (0 to 1000, as in
            BED), `strand` (`.`), `rank` (from 1) and `raw` (the score between 0 and 1, which is
            not calibrated).

        Raises
        ------
        ModelError
            If `n` is not between 1 and the size of the universe.
        TextError
            If the text is empty, overlong or not in Latin letters.
        """
        self._check_request(text, n)
        return self._answer(*self.top(text, n))

    def _check_request(self, text: str, n: int) -> None:
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
    """Find the highest scores.

    Parameters
    ----------
    scores
        float32 (universe,).
    n
        Number of scores to find, or more than there are.

    Returns
    -------
    NDArray
        Ids, int32 (n,), highest score first; equal scores are in the order of their ids.

    Examples
    --------
    >>> best(np.array([0.1, 0.9, 0.5, 0.9], np.float32), 3)
    array([1, 3, 2], dtype=int32)
    """
    n = min(n, len(scores))
    ids = _candidates(scores, n)
    values = scores[ids]
    if n < len(ids):
        # Everything above the n-th value, then the first ones that are equal to it.
        cut = np.partition(values, len(values) - n)[len(values) - n]
        above = np.flatnonzero(values > cut)
        chosen = np.concatenate([above, np.flatnonzero(values == cut)[: n - len(above)]])
        ids, values = ids[chosen], values[chosen]
    return ids[np.lexsort((ids, -values))].astype(np.int32)


def _candidates(scores: Scores, n: int) -> NDArray[np.int64]:
    """Return the ids, in order, of all scores that can be among the `n` highest, and few others.

    Every 64th score shows about where the cut is. `np.partition` alone takes 130 ms for a million
    scores if most are nearly equal, as popularities are.
    """
    sample = np.sort(scores[::64])[::-1]
    position = 2 * n // 64 + 32
    if position < len(sample):
        ids = np.flatnonzero(scores >= sample[position])
        if len(ids) >= n:
            return ids
    return np.arange(len(scores))
