"""Ridge regression from DNA, or from an embedding, to the matrix of motif scores of a sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from genoglot.models.dna.genebert_batches import GeneBertBatches
from genoglot.models.dna.genebert_data import GeneBertData
from genoglot.sequence.kmers import kmer_counts
from genoglot.sequence.motifs import MotifScanner, jaspar

Floats = NDArray[np.float32]
Features = Callable[[NDArray[np.uint8]], Floats]

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


class Ridge:
    """Ridge regression of many values; the penalty is chosen by the squared error on validation.

    Parameters
    ----------
    x, y
        Features and values to fit, float32 (n, features), (n, values).
    x_validation, y_validation
        Those that the penalty is chosen by.
    """

    def __init__(self, x: Floats, y: Floats, x_validation: Floats, y_validation: Floats) -> None:
        self.mean = x.mean(0)
        self.scale = np.maximum(x.std(0), 1e-6)
        self.center = y.mean(0)
        x = (x - self.mean) / self.scale
        values, vectors = np.linalg.eigh(x.T @ x / len(x))
        target = vectors.T @ (x.T @ (y - self.center) / len(x))
        self.error = np.inf
        for penalty in PENALTIES:
            weights = vectors @ (target / (np.maximum(values, 0) + penalty)[:, None])
            predicted = (x_validation - self.mean) / self.scale @ weights + self.center
            error = float(((predicted - y_validation) ** 2).mean())
            if error < self.error:
                self.error, self.penalty, self.weights = error, penalty, weights

    def predict(self, x: Floats) -> Floats:
        """Predict, float32 (n, values)."""
        return np.asarray((x - self.mean) / self.scale @ self.weights + self.center, np.float32)


def cosine(a: Floats, b: Floats) -> Floats:
    """Cosine similarity of all rows of `a` and of `b`, (rows of a, rows of b)."""
    a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9) for x in (a, b))
    return np.asarray(a @ b.T)


def kmer_features(k: int) -> Features:
    """Return a function that counts k-mers."""
    return lambda codes: kmer_counts(codes, k).astype(np.float32)


def motif_features(motifs: Sequence[str]) -> Features:
    """Return a function that computes the best score of JASPAR's motifs with these ids."""
    by_id = {motif.id: motif for motif in jaspar(tax_group=None)}
    scanner = MotifScanner([by_id[name].log_odds for name in motifs])

    def scores(codes: NDArray[np.uint8]) -> Floats:
        found = scanner.max_scores(codes)
        return np.where(np.isneginf(found), np.float32(-20), found)

    return scores


def predict_matrices(
    data: GeneBertData, batches: GeneBertBatches, features: Features, ids: NDArray[np.int64]
) -> Floats:
    """Fit motif scores of single regions to the DNA that is read of them; predict those of samples.

    Parameters
    ----------
    data
        The data set. The regions of its training subset are fitted to.
    batches
        Reads the DNA of samples, as the model does.
    features
        Features of the DNA of a region.
    ids
        Regions of the samples, int64 (samples, regions).

    Returns
    -------
    Floats
        Predicted matrices, (samples, regions * motifs).
    """
    margin = (data.width - batches.bases) // 2
    read = slice(margin, margin + batches.bases)
    parts = [np.flatnonzero(data.subset == i) for i in (0, 1)]
    x, x_validation = (features(data.codes(part)[:, read]) for part in parts)
    y, y_validation = (data.motif_scores(part) for part in parts)
    ridge = Ridge(x, y, x_validation, y_validation)
    codes = batches.codes(ids)
    found = ridge.predict(features(codes.reshape(-1, batches.bases)))
    return found.reshape(len(ids), -1)
