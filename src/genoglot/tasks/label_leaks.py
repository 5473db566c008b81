"""Label leaks: negatives that were made from positives, so that no biology distinguishes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoglot.evaluation.predictions import mcc
from genoglot.sequence.alphabet import Codes

SHARED_BASES = 14
"""Number of bases at the same position that show an edited copy: by chance one in 270 million."""


def shuffled_fraction(codes: Codes, labels: NDArray[Any]) -> float:
    """Fraction of sequences that have all dinucleotide counts of one of another class.

    A shuffle that preserves dinucleotides, by which negatives are often made, has exactly the
    counts of its original; two sequences of 70 bp hardly ever have them by chance.

    Parameters
    ----------
    codes
        uint8 (sequences, length).
    labels
        Class of each, (sequences,).

    Returns
    -------
    float
        From 0 to 1, rounded to four digits.
    """
    rows = np.arange(len(codes))[:, None] * 25
    pairs = codes[:, :-1].astype(np.int64) * 5 + codes[:, 1:]
    counts = np.bincount((rows + pairs).ravel(), minlength=25 * len(codes)).reshape(-1, 25)
    same = np.unique(counts, axis=0, return_inverse=True)[1].ravel()
    shared = (np.isin(same[labels == name], same[labels != name]) for name in np.unique(labels))
    return round(sum(int(part.sum()) for part in shared) / len(codes), 4)


def edited_copies_mcc(
    train: Codes, train_classes: NDArray[Any], test: Codes, test_classes: NDArray[Any]
) -> float:
    """Compute the Matthews correlation of a rule that knows edited copies, and no biology.

    Negatives that are made by replacing parts of a positive leave the other parts where they were.
    The rule predicts the class opposite to that of most training sequences that share
    `SHARED_BASES` bases at the same position; if there are none, or as many of both, class 0.

    Parameters
    ----------
    train, test
        uint8 (sequences, length).
    train_classes, test_classes
        Class of each, 0 or 1, (sequences,).

    Returns
    -------
    float
        Matthews correlation on the test sequences, rounded to four digits.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> positive = rng.integers(0, 4, (40, 60), np.uint8)
    >>> negative = positive.copy()
    >>> negative[:, 20:40] = rng.integers(0, 4, (40, 20))
    >>> edited_copies_mcc(positive[:20], np.ones(20), negative[:20], np.zeros(20))
    0.0
    >>> train = np.concatenate([positive[:20], negative[20:]])
    >>> test = np.concatenate([negative[:20], positive[20:]])
    >>> classes = np.repeat([1, 0], 20)
    >>> edited_copies_mcc(train, classes, test, 1 - classes)
    1.0
    """
    votes = np.zeros((len(test), 2), np.int64)  # of both classes
    powers = 5 ** np.arange(SHARED_BASES)
    for start in range(train.shape[1] - SHARED_BASES + 1):
        part = slice(start, start + SHARED_BASES)
        words, number = np.unique(train[:, part].astype(np.int64) @ powers, return_inverse=True)
        wanted = test[:, part].astype(np.int64) @ powers
        found = np.searchsorted(words, wanted).clip(max=len(words) - 1)
        shared = words[found] == wanted
        for one in (0, 1):
            counts = np.bincount(number.ravel(), train_classes == one, len(words))
            votes[shared, one] += counts[found[shared]].astype(np.int64)
    return round(float(mcc(test_classes, votes[:, 0] > votes[:, 1])[0]), 4)
