"""`SequenceEnsemble`: models of the same labels, that answer together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import ModelError
from genoglot.files import atomic_path
from genoglot.models.predictor import SequencePredictor
from genoglot.models.pretrained import local_folder, read_arrays, read_config, write_model
from genoglot.models.sequence_encoder import Lengths
from genoglot.sequence.alphabet import Codes

KIND = "sequence-ensemble"
ROUNDS = 1000  # of the fit of weights; more change nothing that a prediction shows


class SequenceEnsemble:
    """The weighted mean of what several models predict.

    Parameters
    ----------
    members
        Models of the same outputs.
    weights
        Of each, 0 or more; they are scaled to a sum of 1. By default all are the same.

    Raises
    ------
    ModelError
        If there is no member, or weights or outputs do not fit.
    """

    def __init__(
        self, members: Sequence[SequencePredictor], weights: ArrayLike | None = None
    ) -> None:
        self.members = list(members)
        if not self.members:
            raise ModelError("an ensemble of no model; give some")
        given = np.ones(len(self.members)) if weights is None else np.asarray(weights, np.float64)
        if given.shape != (len(self.members),) or (given < 0).any() or not given.sum() > 0:
            raise ModelError(f"{len(self.members)} models, but weights {given.tolist()}")
        self.weights: NDArray[np.float64] = given / given.sum()
        if len({tuple(member.names or ()) for member in self.members}) > 1:
            raise ModelError("the models of an ensemble have other names of outputs")

    @property
    def names(self) -> list[str] | None:
        """Of the outputs: labels, values or classes; None if they have none."""
        return self.members[0].names

    def predict(
        self, codes: Codes, lengths: Lengths | None = None, *, batch_size: int = 64
    ) -> NDArray[np.float32]:
        """Predict probabilities of labels or classes, or values: float32 (n, outputs)."""
        told = [
            weight * member.predict(codes, lengths, batch_size=batch_size)
            for member, weight in zip(self.members, self.weights, strict=True)
            if weight > 0
        ]
        mean: NDArray[np.float32] = np.sum(told, axis=0, dtype=np.float32)
        return mean

    def to(self, device: str | torch.device) -> Self:
        """Move to a device, as torch modules do."""
        for member in self.members:
            member.to(device)
        return self

    def save_pretrained(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Save into a directory: `config.json`, the weights, and a directory of each member.

        Raises
        ------
        GenoglotError
            If the directory exists, is not empty and `overwrite` is false.
        """
        with atomic_path(path, directory=True, overwrite=overwrite) as folder:
            for i, member in enumerate(self.members):
                member.save_pretrained(folder / f"member-{i}")
            settings = {"members": len(self.members)}
            write_model(folder, KIND, settings, {"weights": self.weights})

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Self:
        """Load an ensemble, from a directory or a hub id.

        Raises
        ------
        ModelError
            If there is none, or it is damaged.
        """
        folder = local_folder(path)
        config = read_config(folder)
        if config["kind"] != KIND:
            raise ModelError(f"{path}: holds a {config['kind']!r}, no ensemble")
        weights = read_arrays(folder).get("weights")
        n = config["settings"].get("members")
        if weights is None or weights.shape != (n,):
            raise ModelError(f"{path}: damaged model (no weights of its members); save it again")
        members = [SequencePredictor.from_pretrained(folder / f"member-{i}") for i in range(n)]
        return cls(members, weights)


def mixture_weights(likelihoods: NDArray[Any]) -> NDArray[np.float64]:
    """Weights of a mixture that make what was seen likeliest, by expectation maximization.

    Parameters
    ----------
    likelihoods
        What each member gave to what each example turned out to be, (members, examples).

    Returns
    -------
    float64 (members,), of sum 1

    Examples
    --------
    >>> mixture_weights(np.array([[0.9, 0.8, 0.9], [0.5, 0.5, 0.5]])).round(2)
    array([1., 0.])
    """
    given = np.maximum(np.asarray(likelihoods, np.float64), 1e-12)
    weights = np.full(len(given), 1 / len(given))
    for _ in range(ROUNDS):
        share = weights[:, None] * given
        weights = (share / share.sum(axis=0)).mean(axis=1)
    found: NDArray[np.float64] = weights
    return found
