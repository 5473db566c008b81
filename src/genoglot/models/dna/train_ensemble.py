"""Ensembles of residual CNNs, which read DNA as suits the data, and boosted trees."""

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
from genoglot.models.dna.heads import Target
from genoglot.models.dna.residual_cnn import ResidualCnn
from genoglot.models.dna.sequence_trees import SequenceTrees
from genoglot.models.dna.supervised import Labels, SequenceModel
from genoglot.models.settings import Settings
from genoglot.sequence.alphabet import Codes
from genoglot.training.checkpoints import CHECKPOINTS, begun, data_digest
from genoglot.training.loop import Where

log = logging.getLogger("genoglot")

STEPS = 64  # a pass, at least
PILOT_EPOCHS = 2
CLEAR = 2.0  # standard errors by which the anchored pilot must be better,
MARGIN = 0.03  # and nats: trainings alone, with other seeds, differ by as much


class EnsembleSettings(Settings):
    """Settings of `fit_ensemble`: one set for all data.

    Attributes
    ----------
    networks
        Of each kind: with the motifs of JASPAR, and without them.
    anchored
        Whether a sequence is read as it is given, and where in it something stands matters, as
        suits those around a TSS; or else it is read on either strand, and a little shifted. None:
        if validation data are clearly likelier with it, by two standard errors and 0.03 nats, of
        two small pilots that are trained for two passes.
    epochs, min_steps
        Passes over the data of each network's training; of few data more, until there are so many
        steps.
    batch_size
        Of few data smaller, so that there are 64 steps a pass.
    learning_rate, weight_decay, label_smoothing
        Of each network's training.
    shift
        Most bp that sequences are shifted by where they are not anchored.
    width, learned, blocks, dropout
        See `ResidualCnn`; without motifs a network learns twice as many first convolutions.
    head_dropout
        Before the linear layers of the head.
    trees
        The most that are grown for each output, see `SequenceTrees`; 0: no trees.
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
    where: Where | None = None,
    **settings: Any,
) -> SequenceEnsemble:
    """Train residual CNNs, with the motifs of JASPAR and without, and trees that answer together.

    Nobody has to know whether strand and place matter in the data, nor whether known motifs do.
    What is predicted is the mean of the networks and the trees, which weigh as much as all
    networks.

    Parameters
    ----------
    codes, labels
        As for `SequenceModel.fit`.
    validation
        Codes and labels that decide how networks read sequences and how many trees there are, and
        nothing else.
    target
        `"binary"`, `"multi-label"` or `"multi-class"`.
    names
        Of the outputs.
    shortest
        Bases of the shortest sequence, where sequences are filled up with N at their end; by
        default none is.
    seed
        Of the first network; each has another one.
    log_folder
        Where each network's curves are written, and its checkpoint; by default nowhere.
    resume
        Go on from the checkpoints there, to the same result.
    where
        Devices; by default one, a GPU if there is any.
    **settings
        Those of `EnsembleSettings`.

    Raises
    ------
    ModelError
        If a setting is unknown, the target is another, or data do not fit.
    """
    if target == "regression":
        raise ModelError("ensembles are of labels and classes; for values, use SequenceModel")
    s = EnsembleSettings.of(settings, "ensemble")
    folder = None if log_folder is None else Path(log_folder)
    training = _Training(
        codes, labels, validation, target, names, shortest, seed, folder, resume, where, s
    )
    anchored = training.anchored() if s.anchored is None else s.anchored
    networks = SequenceEnsemble(
        [training.member(number, anchored=anchored) for number in range(2 * s.networks)]
    )
    if not s.trees:
        return networks
    return SequenceEnsemble([networks, training.trees()])


class _Training(NamedTuple):
    """What all networks of an ensemble have in common: see `fit_ensemble`."""

    codes: Codes
    labels: Labels
    validation: tuple[Codes, Labels]
    target: Target
    names: Sequence[str] | None
    shortest: int | None
    seed: int
    folder: Path | None
    resume: bool
    where: Where | None
    settings: EnsembleSettings

    def anchored(self) -> bool:
        """Whether pilots find that strand and place matter."""
        gain = self._log_likelihoods(anchored=True) - self._log_likelihoods(anchored=False)
        found = bool(gain.mean() > max(MARGIN, CLEAR * gain.std() / np.sqrt(len(gain))))
        log.debug("sequences are read %s", "as given" if found else "on either strand, shifted")
        return found

    def member(self, number: int, *, anchored: bool) -> SequenceModel:
        """Train a network of the ensemble: every second one knows motifs."""
        s, motifs = self.settings, number % 2 == 0
        epochs = max(s.epochs, -(-s.min_steps * self._batch_size() // max(len(self.codes), 1)))
        name = f"{number}-{'motifs' if motifs else 'learned'}"
        return self._network(name, number, epochs, s.width, anchored=anchored, motifs=motifs)

    def trees(self) -> SequenceTrees:
        """Grow the trees, those of each output unless an interrupted training has."""
        s = self.settings
        trees = SequenceTrees(names=self.names, target=self.target, trees=s.trees, seed=self.seed)
        grown = None
        if self.folder is not None:
            folder = self.folder / "trees"
            about = {
                "settings": trees.settings.model_dump(),
                "data": data_digest(self.codes, self.labels, *self.validation),
            }
            grown = folder / CHECKPOINTS
            if begun(folder, about, resume=self.resume):
                total = 1 if self.target == "multi-class" else np.size(self.labels[:1])
                n = len(list(grown.glob("trees-*")))
                log.info(
                    "%s: resuming with the trees grown before, those of %d of %d outputs",
                    folder,
                    n,
                    total,
                )
        return trees.fit(
            self.codes, self.labels, self.validation, shortest=self.shortest, folder=grown
        )

    def _log_likelihoods(self, *, anchored: bool) -> NDArray[np.float64]:
        """Log-likelihood of each validation label with a pilot."""
        name, width = "pilot-anchored" if anchored else "pilot-free", -(-self.settings.width // 2)
        pilot = self._network(name, 0, PILOT_EPOCHS, width, anchored=anchored, motifs=False)
        codes, labels = self.validation
        given = _likelihoods(pilot.predict(codes, batch_size=512), labels)
        return np.log(np.maximum(given, 1e-6))

    def _batch_size(self) -> int:
        return max(min(self.settings.batch_size, len(self.codes) // STEPS), 1)

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
            log_folder=self.folder and self.folder / name, resume=self.resume, where=self.where,
        )  # fmt: skip


def _likelihoods(predicted: NDArray[np.float32], labels: Labels) -> NDArray[np.float64]:
    """Return what each known label was given: of (n, outputs), or of the classes (n,)."""
    labels = np.asarray(labels)
    if predicted.shape[1] > 1 and labels.ndim == 1:
        known = np.flatnonzero(labels >= 0)
        return predicted[known, labels[known]].astype(np.float64)
    truth = labels.reshape(predicted.shape)
    known = ~np.isnan(truth)
    given = np.where(truth > 0.5, predicted, 1 - predicted)[known]
    return given.astype(np.float64)
