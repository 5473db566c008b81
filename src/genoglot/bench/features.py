"""Features of sequences that baselines read: motifs on both strands, and composition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.sequence.alphabet import Codes, N
from genoglot.tasks.dataset import Floats
from genoglot.tasks.lazy_array import LazyArray

Sequences = Codes | LazyArray
Inputs = Sequences | tuple[Sequences, Sequences]
"""Codes; for variants, codes without and with the variant."""

_BLOCK = 1 << 21  # bases at a time


def composition(codes: Codes) -> Floats:
    """Compute the G + C content, and the number of CpG relative to what that content predicts.

    Parameters
    ----------
    codes
        Sequences, uint8 (n, length).

    Returns
    -------
    float32 array
        Both features, (n, 2).

    Examples
    --------
    >>> from genoglot.sequence import to_codes
    >>> composition(to_codes("CGCGAATT")[None]).round(2).tolist()
    [[0.5, 4.0]]
    """
    known = np.maximum((codes != N).sum(axis=1), 1)
    c, g = (codes == 1).sum(axis=1), (codes == 2).sum(axis=1)
    cpg = ((codes[:, :-1] == 1) & (codes[:, 1:] == 2)).sum(axis=1)
    expected = np.maximum(c * g, 1) / known
    return np.stack([(c + g) / known, cpg / expected], axis=1).astype(np.float32)


def compute_features(inputs: Inputs, describe: Callable[[Codes], Floats]) -> Floats:
    """Compute features block by block, so that not all sequences have to fit into memory.

    Parameters
    ----------
    inputs
        Codes, uint8 (n, length); for variants, codes without and with the variant.
    describe
        Function that computes the features of a block: uint8 (n, length) to float32 (n, features).

    Returns
    -------
    float32 array
        Features, (n, features). For variants (n, 2 * features): the features with the variant minus
        those without, and those without.

    Raises
    ------
    TaskError
        If there is no sequence.
    """
    reference, alternative = inputs if isinstance(inputs, tuple) else (inputs, None)
    step = max(_BLOCK // max(reference.shape[1], 1), 1)
    blocks = []
    for i in range(0, len(reference), step):
        found = describe(np.asarray(reference[i : i + step]))
        if alternative is not None:
            found = np.hstack([describe(np.asarray(alternative[i : i + step])) - found, found])
        blocks.append(found)
    if not blocks:
        raise TaskError("there is no sequence; give at least one")
    return np.vstack(blocks)


def take(inputs: Inputs, rows: NDArray[Any]) -> Inputs:
    """Read some rows of the inputs into memory."""
    if isinstance(inputs, tuple):
        return np.asarray(inputs[0][rows]), np.asarray(inputs[1][rows])
    return np.asarray(inputs[rows])
