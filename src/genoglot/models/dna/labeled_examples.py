"""Labeled sequences: checking labels, making training batches, and the loss of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genoglot.errors import ModelError
from genoglot.models.dna.heads import SequenceHead
from genoglot.models.dna.sequence_encoder import SequenceEncoder, batches
from genoglot.models.dna.target import Target
from genoglot.sequence import reverse_complement
from genoglot.sequence.alphabet import Codes, Lengths, shifted
from genoglot.training.examples import Batch, Draw, RowIndices
from genoglot.training.losses import OBJECTIVES, Loss, Losses, Objective

Labels = NDArray[Any]


def check_labels(codes: Codes, labels: Labels, target: Target) -> Labels:
    """Check labels and convert them for the losses.

    Parameters
    ----------
    codes
        Sequences, uint8 (n, length).
    labels
        (n, outputs) or, if there is one output, (n,), NaN where a label is missing; for classes
        their numbers, integers (n,), below 0 where a label is missing.
    target
        What is predicted.

    Returns
    -------
    NDArray
        float32 (n, outputs), or int64 (n,) class numbers.

    Raises
    ------
    ModelError
        If the labels do not fit the sequences or the target, or all are missing.
    """
    labels = np.asarray(labels)
    if len(labels) != len(codes):
        raise ModelError(f"{len(codes)} sequences, but labels of {len(labels)}; give one each")
    if target == "multi-class":
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise ModelError(
                f"classes are {labels.dtype} {labels.shape}; give their numbers, int64 (n,)"
            )
        missing, labels = labels < 0, labels.astype(np.int64)
    else:
        if labels.ndim not in (1, 2):
            raise ModelError(f"the labels are {labels.shape}; give (n, outputs)")
        labels = labels.astype(np.float32).reshape(len(labels), -1)
        missing = np.isnan(labels)
        if target == "binary" and labels.shape[1] != 1:
            raise ModelError(f"{labels.shape[1]} labels for each sequence; use target multi-label")
        if target != "regression" and not (missing | ((labels >= 0) & (labels <= 1))).all():
            raise ModelError("a label is not between 0 and 1; for other values use regression")
    if missing.all():
        raise ModelError("all labels are missing; give some")
    return labels


class LabeledExamples:
    """Training examples of labeled sequences, which are in memory or in a memory-mapped file.

    Parameters
    ----------
    encoder
        The encoder that will read the batches.
    codes, lengths
        Sequences, as for `SequenceModel.fit`.
    labels
        Labels that `check_labels` has returned.
    strands
        `"forward"`, `"random"` or `"both"`: see `SequenceModelSettings`.
    shift
        Maximum of the random shift of a sequence, in bp.
    frozen
        Encode all sequences at once, now; batches then contain their vectors.
    seed
        Seed of strands and shifts.
    """

    def __init__(
        self, encoder: SequenceEncoder, codes: Codes, lengths: Lengths | None, labels: Labels, *,
        strands: str, shift: int, frozen: bool, seed: int,
    ) -> None:  # fmt: skip
        self.encoder, self.codes, self.lengths, self.labels = encoder, codes, lengths, labels
        self.strands, self.shift, self.seed = strands, shift, seed
        self.vectors: list[NDArray[np.float32]] = []
        if frozen:
            self.vectors = [encoder.embed(codes, lengths)]
            if strands != "forward":
                pairs = batches(codes, lengths, 1024)
                reverse = [encoder.embed(reverse_complement(*pair), pair[1]) for pair in pairs]
                self.vectors.append(np.concatenate(reverse))

    def batch(self, draw: Draw) -> Batch:
        """Make a batch: inputs of the encoder for each strand, or its vectors, and the labels.

        Random strands and shifts depend on the seed, the example and the epoch alone.
        """
        rows = np.sort(draw.rows)  # files are read in their order
        labels = torch.from_numpy(self.labels[rows])
        reverse = np.zeros(len(rows), np.bool_)
        if self.strands == "random" or self.shift:
            generators = [np.random.default_rng((self.seed, draw.epoch, row)) for row in rows]
        if self.strands == "random":
            reverse = np.array([generator.random() < 0.5 for generator in generators])
        if self.vectors:
            return {**self._vectors_of(rows, reverse), "labels": labels}
        codes = np.asarray(self.codes[rows])
        lengths = None if self.lengths is None else self.lengths[rows]
        if reverse.any():
            codes = np.where(reverse[:, None], reverse_complement(codes, lengths), codes)
        if self.shift:
            low, high = -self.shift, self.shift + 1
            codes = shifted(codes, np.array([g.integers(low, high) for g in generators]))
        batch = self._inputs("forward", codes, lengths)
        if self.strands == "both":
            batch |= self._inputs("reverse", reverse_complement(codes, lengths), lengths)
        return {**batch, "labels": labels}

    def _vectors_of(self, rows: RowIndices, reverse: NDArray[np.bool_]) -> dict[str, Tensor]:
        read = [vectors[rows] for vectors in self.vectors]
        if self.strands == "random":
            read = [np.where(reverse[:, None], read[1], read[0])]
        strands = ("forward", "reverse")[: len(read)]
        return {f"{s}.vectors": torch.from_numpy(v) for s, v in zip(strands, read, strict=True)}

    def _inputs(self, strand: str, codes: Codes, lengths: Lengths | None) -> dict[str, Tensor]:
        batch = self.encoder.tokenize(codes, lengths)
        return {f"{strand}.{name}": tensor for name, tensor in batch.items()}


class SupervisedNetwork(nn.Module):
    """An encoder and a head, as the training loop needs them.

    Parameters
    ----------
    encoder
        The encoder.
    head
        The head.
    objective
        Name of the loss.
    smoothing
        Amount of label smoothing, in training only.
    """

    def __init__(
        self, encoder: SequenceEncoder, head: SequenceHead, objective: Objective, smoothing: float
    ) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.objective = OBJECTIVES[objective]
        self.smoothing = {"smoothing": smoothing} if smoothing else {}

    def forward(self, batch: Batch) -> Losses:
        """Compute the loss of a batch; if both strands are read, that of their mean logits."""
        strands = [strand_batch(batch, strand) for strand in ("forward", "reverse")]
        vectors = [self._vectors(strand) for strand in strands if strand]
        logits = torch.stack([self.head(part) for part in vectors]).mean(0)
        return {"labels": self.loss(logits, batch["labels"])}

    def loss(self, logits: Tensor, labels: Tensor) -> Loss:
        """Compute the loss of logits, or of standardized values."""
        if self.head.target == "regression":
            labels = (labels - self.head.center) / self.head.scale
        smoothing = self.smoothing if self.training else {}
        return self.objective(logits.float(), labels, **smoothing)

    def _vectors(self, batch: Batch) -> Tensor:
        if "vectors" in batch:
            return batch["vectors"]
        vectors: Tensor = self.encoder(batch).sequence
        return vectors


def strand_batch(batch: Batch, strand: str) -> dict[str, Tensor]:
    """Select the tensors of a strand from a batch, by their names without the strand.

    Examples
    --------
    >>> strand_batch({"forward.inputs": torch.zeros(1), "labels": torch.ones(1)}, "forward")
    {'inputs': tensor([0.])}
    """
    prefix = f"{strand}."
    return {k.removeprefix(prefix): v for k, v in batch.items() if k.startswith(prefix)}
