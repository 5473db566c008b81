"""What cheap baselines see of a sequence: motifs on both strands, and composition."""

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
"""Codes, or those without and with a variant."""

_BLOCK = 1 << 21  # bases at a time


def composition(codes: Codes) -> Floats:
    """Share of G and C, and CpG over what that share lets expect: float32 (n, 2).

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


def described(inputs: Inputs, describe: Callable[[Codes], Floats]) -> Floats:
    """Describe sequences block by block; of variants, the change and what stood before.

    Parameters
    ----------
    inputs
        Codes (n, length), or those without and with a variant.
    describe
        uint8 (n, length) to float32 (n, features).

    Returns
    -------
    float32 (n, features), of variants (n, 2 * features): with less without, then without
    """
    reference, alternative = inputs if isinstance(inputs, tuple) else (inputs, None)
    step = max(_BLOCK // max(reference.shape[1], 1), 1)
    parts = []
    for i in range(0, len(reference), step):
        found = describe(_block(reference, i, step))
        if alternative is not None:
            found = np.hstack([describe(_block(alternative, i, step)) - found, found])
        parts.append(found)
    if not parts:
        raise TaskError("there is no sequence; give at least one")
    return np.vstack(parts)


def chosen(inputs: Inputs, rows: NDArray[Any]) -> Inputs:
    """Read some rows of the inputs into memory."""
    if isinstance(inputs, tuple):
        return np.asarray(inputs[0][rows]), np.asarray(inputs[1][rows])
    return np.asarray(inputs[rows])


def _block(sequences: Sequences, first: int, step: int) -> Codes:
    codes: Codes = np.asarray(sequences[first : first + step])
    return codes
