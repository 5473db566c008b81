"""Features of sequences that baselines read: motifs on both strands, and composition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.sequence.alphabet import Codes, N
from genoglot.sequence.motifs import jaspar
from genoglot.tasks.dataset import Floats
from genoglot.tasks.lazy_array import LazyArray

Sequences = Codes | LazyArray
Inputs = Sequences | tuple[Sequences, Sequences]
"""Codes; for variants, codes without and with the variant."""

_BLOCK = 1 << 21  # bases at a time
_SCANNED = 1 << 13  # bases at a time where motifs are looked for


class Motifs:
    """The motifs of JASPAR 2018, CORE, vertebrates (579 matrices), for counting their sites.

    Source: Khan et al. 2018, Nucleic Acids Research 46:D260; the matrices come with pyjaspar.

    Parameters
    ----------
    threshold
        Relative score, 0 for the worst and 1 for the best sequence, from which a place is a site.

    Attributes
    ----------
    names
        Of the motifs, such as CTCF.
    """

    def __init__(self, threshold: float = 0.85) -> None:
        self.names = [motif.name for motif in jaspar()]
        tables = [_relative(motif.log_odds) for motif in jaspar()]
        self._threshold = np.float32(threshold)
        widths = np.array([len(table) for table in tables])
        self._by_width = [
            (int(width), rows, _lookups(np.stack([tables[i] for i in rows])))
            for width in np.unique(widths)
            for rows in (np.flatnonzero(widths == width),)
        ]

    def counts(self, codes: Codes) -> Floats:
        """Count the sites of each motif, on either strand.

        Parameters
        ----------
        codes
            uint8 (n, length). No site holds N.

        Returns
        -------
        float32 (n, motifs)
        """
        n, length = codes.shape
        out = np.zeros((n, len(self.names)), np.float32)
        step = max(_SCANNED // max(length, 1), 1)
        for i in range(0, n, step):
            block = np.asarray(codes[i : i + step])
            unknown = np.cumsum(np.pad(block == N, ((0, 0), (1, 0))), axis=1, dtype=np.int32)
            words = _words(block)
            for width, motifs, lookups in self._by_width:
                places = length - width + 1
                if places < 1:
                    continue
                scores = lookups[0].take(words[:, :places].ravel(), axis=0)
                for j, table in enumerate(lookups[1:], start=1):
                    scores += table.take(words[:, 4 * j : 4 * j + places].ravel(), axis=0)
                both = (scores >= self._threshold).reshape(len(block), places, 2, -1)
                hits = both[:, :, 0] | both[:, :, 1]
                hits &= (unknown[:, width:] == unknown[:, :places])[:, :, None]
                out[i : i + step, motifs] = hits.view(np.uint8).sum(axis=1, dtype=np.uint32)
        return out


def _words(codes: Codes) -> NDArray[np.intp]:
    """Make a number of each base and the three behind it; N, and what is past the end, is A."""
    ranks = np.pad(codes & np.uint8(3), ((0, 0), (0, 3)))
    first, second = ranks[:, :-1] * np.uint8(4) + ranks[:, 1:], np.uint8(16)
    return (first[:, :-2] * second + first[:, 2:]).astype(np.intp)


def _lookups(tables: NDArray[np.float64]) -> list[Floats]:
    """Score of every four bases at places 0, 4, 8, ... of motifs of one width.

    Adding up three or so looked-up rows is much less work than a product with one-hot bases.

    Parameters
    ----------
    tables
        (motifs, width, 4).

    Returns
    -------
    float32 (256, 2 * motifs) each: as they are, then reverse complements
    """
    both = np.concatenate([tables, tables[:, ::-1, ::-1]])
    both = np.pad(both, ((0, 0), (0, -tables.shape[1] % 4), (0, 0)))
    bases = np.arange(256)[:, None] >> 2 * np.arange(3, -1, -1) & 3
    return [
        both[:, first + np.arange(4), bases].sum(axis=2).T.astype(np.float32)
        for first in range(0, both.shape[1], 4)
    ]


def _relative(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shift and scale log-odds (width, 4) so that a site's sum is its relative score."""
    worst = log_odds.min(axis=1, keepdims=True)
    scaled: NDArray[np.float64] = (log_odds - worst) / (log_odds - worst).max(axis=1).sum()
    return scaled


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
    """Compute features block by block, so that the sequences need not fit into memory.

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
