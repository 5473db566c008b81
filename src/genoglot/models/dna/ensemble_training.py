"""Training an ensemble of residual CNNs and boosted trees: the default of `genoglot task train`.

This page holds every choice of the default: two networks, one with the motifs of JASPAR and one
without; boosted trees beside them; and pilots, two small trainings whose validation loss decides
whether sequences are read as they are given or on either strand with shifts. The setting `anchored`
replaces the pilots, `networks` and `trees` change the members.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from genoglot.errors import ModelError
from genoglot.models.dna.ensemble import SequenceEnsemble
from genoglot.models.dna.labeled_examples import Labels
from genoglot.models.dna.residual_cnn import ResidualCnn
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.models.dna.sequence_trees import SequenceTrees
from genoglot.models.dna.target import Target
from genoglot.sequence.alphabet import Codes
from genoglot.settings import Settings
from genoglot.training.device import DeviceOptions
from genoglot.training.identity import data_digest

log = logging.getLogger("genoglot")

MIN_STEPS_PER_EPOCH = 64
PILOT_EPOCHS = 2
# The anchored pilot is chosen if its validation loss is lower by this many standard errors, and by
# this many nats: trainings differ by as much with other seeds.
STANDARD_ERRORS, MARGIN = 2.0, 0.03


class EnsembleSettings(Settings):
    """Settings of `fit_ensemble`: one set for all data.

    Attributes
    ----------
    networks
        Number of networks with the motifs of JASPAR, and of networks without them.
    anchored
        Read sequences as they are given, with weights for positions, as suits sequences around a
        TSS; or else read them on either strand, with small shifts. By default two small pilots
        decide, trained for two passes: anchored if the validation loss is lower with it by two
        standard errors and by 0.03 nats.
    epochs, min_steps
        Number of passes over the data in each network's training, and the minimum number of
        optimizer steps, for which small data sets get more passes.
    batch_size
        Number of sequences of a step; fewer for small data sets, so that a pass has 64 steps.
    learning_rate, weight_decay, label_smoothing
        Settings of each network's training.
    shift
        Largest shift of a sequence that is not anchored, bp.
    width, learned, blocks, dropout
        See `ResidualCnn`; a network without motifs learns twice as many first convolutions.
    head_dropout
        Dropout rate in the head.
    trees
        Maximum number of trees for each output, see `SequenceTrees`; 0: no trees.
    """

    networks: int = Field(1, ge=1)
    anchored: bool | None = None
    epochs: int = Field(6, ge=1)
    min_steps: int = Field(768, ge=1)
    batch_size: int = Field(256, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    label_smoothing: float = Field(0.05, ge=0, lt=1)
    shift: int = Field(6, ge=0)
    width: int = Field(128, ge=1)
    learned: int = Field(64, ge=1)
    blocks: int = Field(3, ge=0)
    dropout: float = Field(0.2, ge=0, lt=1)
    head_dropout: float = Field(0.3, ge=0, lt=1)
    trees: int = Field(1500, ge=0)


def fit_ensemble(
    codes: Codes,
    labels: Labels,
    validation: tuple[Codes, Labels],
    *,
    target: Target,
    names: Sequence[str] | None = None,
    shortest: int | None = None,
    seed: int = 0,
    log_folder: str | Path | None = None,
    resume: bool = False,
    device: str | DeviceOptions = "auto",
    **settings: Any,
) -> SequenceEnsemble:
    """Train residual CNNs, with the motifs of JASPAR and without, and boosted trees.

    The user does not have to know whether strand, position or known motifs matter in the data. The
    prediction is the mean of the networks' mean and the trees' prediction.

    Parameters
    ----------
    codes, labels
        As for `SequenceModel.fit`.
    validation
        Codes and labels that decide how networks read sequences and the number of trees, and
        nothing else.
    target
        What is predicted; not `"regression"`.
    names
        Names of the outputs.
    shortest
        Length of the shortest sequence in bp, where sequences are filled up with N at their end;
        by default none is.
    seed
        Seed of the first network; each further one has the next seed.
    log_folder
        Where the logs and the checkpoint of each network are written; by default nowhere.
    resume
        Continue from the checkpoints there, to the same result.
    device
        Device to train on; by default a GPU if there is one.
    **settings
        Those of `EnsembleSettings`.

    Raises
    ------
    ModelError
        If a setting is unknown, the target is `"regression"`, or the data do not fit.
    """
    if target == "regression":
        raise ModelError("an ensemble predicts labels or classes; for values use SequenceModel")
    s = EnsembleSettings.of(settings, "ensemble")
    folder = None if log_folder is None else Path(log_folder)
    training = _Training(
        codes, labels, validation, target, names, shortest, seed, folder, resume, device, s
    )
    anchored = training.anchored() if s.anchored is None else s.anchored
    networks = SequenceEnsemble(
        [training.member(number, anchored=anchored) for number in range(2 * s.networks)]
    )
    if not s.trees:
        return networks
    return SequenceEnsemble([networks, training.trees()])


class _Training(NamedTuple):
    """What all members of an ensemble share: see `fit_ensemble`."""

    codes: Codes
    labels: Labels
    validation: tuple[Codes, Labels]
    target: Target
    names: Sequence[str] | None
    shortest: int | None
    seed: int
    folder: Path | None
    resume: bool
    device: str | DeviceOptions
    settings: EnsembleSettings

    def anchored(self) -> bool:
        """Return whether the pilots find that strand and position matter."""
        gain = self._log_likelihoods(anchored=True) - self._log_likelihoods(anchored=False)
        found = bool(gain.mean() > max(MARGIN, STANDARD_ERRORS * gain.std() / np.sqrt(len(gain))))
        log.debug("sequences are read %s", "as given" if found else "on either strand, shifted")
        return found

    def member(self, number: int, *, anchored: bool) -> SequenceModel:
        """Train a network of the ensemble; every second one has the motifs."""
        s, motifs = self.settings, number % 2 == 0
        epochs = max(s.epochs, -(-s.min_steps * self._batch_size() // max(len(self.codes), 1)))
        name = f"{number}-{'motifs' if motifs else 'learned'}"
        return self._network(name, number, epochs, s.width, anchored=anchored, motifs=motifs)

    def trees(self) -> SequenceTrees:
        """Grow the trees of each output that an interrupted training has not grown."""
        from genoglot.training.checkpoints import CHECKPOINTS, can_resume

        s = self.settings
        trees = SequenceTrees(names=self.names, target=self.target, trees=s.trees, seed=self.seed)
        grown = None
        if self.folder is not None:
            folder = self.folder / "trees"
            identity = {
                "settings": trees.settings.model_dump(),
                "data": data_digest(self.codes, self.labels, *self.validation),
            }
            grown = folder / CHECKPOINTS
            if can_resume(folder, identity, resume=self.resume):
                total = 1 if self.target == "multi-class" else np.size(self.labels[:1])
                n = len(list(grown.glob("trees-*")))
                log.info(
                    "%s: resuming with the trees of %d of %d outputs, grown before",
                    folder,
                    n,
                    total,
                )
        return trees.fit(
            self.codes, self.labels, self.validation, shortest=self.shortest, folder=grown
        )

    def _log_likelihoods(self, *, anchored: bool) -> NDArray[np.float64]:
        """Train a pilot; return the log-likelihood of each validation label."""
        name, width = "pilot-anchored" if anchored else "pilot-free", -(-self.settings.width // 2)
        pilot = self._network(name, 0, PILOT_EPOCHS, width, anchored=anchored, motifs=False)
        codes, labels = self.validation
        likelihoods = _likelihoods(pilot.predict(codes, batch_size=512), labels)
        return np.log(np.maximum(likelihoods, 1e-6))

    def _batch_size(self) -> int:
        return max(min(self.settings.batch_size, len(self.codes) // MIN_STEPS_PER_EPOCH), 1)

    def _network(
        self, name: str, number: int, epochs: int, width: int, *, anchored: bool, motifs: bool
    ) -> SequenceModel:
        s, seed = self.settings, self.seed + number
        encoder = ResidualCnn(
            width=width, learned=s.learned if motifs else 2 * s.learned, motifs=motifs,
            positions=self.codes.shape[1] if anchored else 0, blocks=s.blocks, dropout=s.dropout,
            seed=seed,
        )  # fmt: skip
        model = SequenceModel(
            encoder, target=self.target, names=self.names, seed=seed, epochs=epochs,
            batch_size=self._batch_size(), learning_rate=s.learning_rate,
            weight_decay=s.weight_decay, warm_up=0.2, decay="cosine",
            label_smoothing=s.label_smoothing, dropout=s.head_dropout, hidden=width,
            strands="forward" if anchored else "random",
            shift=0 if anchored else s.shift,
        )  # fmt: skip
        return model.fit(
            self.codes, self.labels, shortest=self.shortest, validation=self.validation,
            log_folder=self.folder and self.folder / name, resume=self.resume, device=self.device,
        )  # fmt: skip


def _likelihoods(predicted: NDArray[np.float32], labels: Labels) -> NDArray[np.float64]:
    """Return the predicted probability of each known label, (n, outputs) or classes (n,)."""
    labels = np.asarray(labels)
    if predicted.shape[1] > 1 and labels.ndim == 1:
        known = np.flatnonzero(labels >= 0)
        return predicted[known, labels[known]].astype(np.float64)
    truth = labels.reshape(predicted.shape)
    known = ~np.isnan(truth)
    likelihoods = np.where(truth > 0.5, predicted, 1 - predicted)[known]
    return likelihoods.astype(np.float64)
