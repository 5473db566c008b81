"""Ensembles of residual CNNs: variants of one network, weighed by validation data."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from genoglot.errors import ModelError
from genoglot.models.ensemble import SequenceEnsemble, mixture_weights
from genoglot.models.heads import Target
from genoglot.models.residual_cnn import ResidualCnn
from genoglot.models.settings import Settings
from genoglot.sequence.alphabet import Codes
from genoglot.training.loop import Where
from genoglot.training.supervised import Labels, SequenceModel

log = logging.getLogger("genoglot")


class Variant(NamedTuple):
    """What tells the networks of an ensemble apart.

    Attributes
    ----------
    motifs
        Whether the network scans for the motifs of JASPAR, beside what it learns.
    anchored
        Whether a sequence is read as it is given, and where in it something stands matters, as
        suits those around a TSS; or else it is read on either strand, and a little shifted.
    """

    motifs: bool
    anchored: bool

    def __str__(self) -> str:
        """Its name: that of the directory of its curves."""
        words = "motifs" if self.motifs else "learned", "anchored" if self.anchored else "free"
        return "-".join(words)


VARIANTS = tuple(
    Variant(motifs, anchored) for motifs in (True, False) for anchored in (True, False)
)


class EnsembleSettings(Settings):
    """Settings of `fit_ensemble`: one set for all data.

    Attributes
    ----------
    networks
        Of each variant.
    epochs, batch_size, learning_rate, weight_decay
        Of each network's training. There are 40 steps a pass at least, in smaller batches if need
        be.
    shift
        Most bp that sequences are shifted by where they are not anchored.
    width, learned, blocks, dropout
        See `ResidualCnn`; without motifs a network learns twice as many first convolutions.
    head_dropout
        Before the linear layers of the head.
    """

    networks: int = Field(1, ge=1)
    epochs: int = Field(8, ge=1)
    batch_size: int = Field(256, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    shift: int = Field(6, ge=0)
    width: int = Field(128, ge=1)
    learned: int = Field(64, ge=1)
    blocks: int = Field(3, ge=0)
    dropout: float = Field(0.2, ge=0, lt=1)
    head_dropout: float = Field(0.3, ge=0, lt=1)


def fit_ensemble(
    codes: Codes,
    labels: Labels,
    validation: tuple[Codes, Labels],
    *,
    target: Target,
    names: Sequence[str] | None = None,
    seed: int = 0,
    log_folder: str | Path | None = None,
    where: Where | None = None,
    **settings: Any,
) -> SequenceEnsemble:
    """Train networks of all variants, and weigh them by what validation data are likeliest with.

    So nobody has to know whether strands matter, or whether known motifs do: a variant that does
    not suit the data gets no weight.

    Parameters
    ----------
    codes, labels
        As for `SequenceModel.fit`.
    validation
        Codes and labels that decide on the weights, and on nothing else.
    target
        `"binary"`, `"multi-label"` or `"multi-class"`.
    names
        Of the outputs.
    seed
        Of the first network; each has another one.
    log_folder
        Where each network's curves are written, and its checkpoint, from which an interrupted
        training goes on; by default nowhere.
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
    batch_size = max(min(s.batch_size, len(codes) // 40), 1)
    members, likelihoods = [], []
    for number in range(s.networks * len(VARIANTS)):
        variant = VARIANTS[number % len(VARIANTS)]
        encoder = ResidualCnn(
            width=s.width, learned=s.learned if variant.motifs else 2 * s.learned,
            motifs=variant.motifs, places=codes.shape[1] if variant.anchored else 0,
            blocks=s.blocks, dropout=s.dropout, seed=seed + number,
        )  # fmt: skip
        model = SequenceModel(
            encoder, target=target, names=names, seed=seed + number, epochs=s.epochs,
            batch_size=batch_size, learning_rate=s.learning_rate, weight_decay=s.weight_decay,
            warm_up=0.2, decay="cosine", dropout=s.head_dropout, hidden=s.width,
            strands="forward" if variant.anchored else "random",
            shift=0 if variant.anchored else s.shift,
        )  # fmt: skip
        folder = None if log_folder is None else Path(log_folder) / f"{number}-{variant}"
        model.fit(
            codes, labels, validation=validation, log_folder=folder,
            resume=folder is not None, where=where,
        )  # fmt: skip
        members.append(model)
        likelihoods.append(
            _likelihoods(model.predict(validation[0], batch_size=512), validation[1])
        )
    weights = mixture_weights(np.stack(likelihoods))
    for number, weight in enumerate(weights):
        log.debug("%d %s: weight %.2f", number, VARIANTS[number % len(VARIANTS)], weight)
    return SequenceEnsemble(members, weights)


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
