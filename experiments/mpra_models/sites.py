"""Single-base changes: their positions, and what changes there."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.bench.features import Inputs
from genoglot.errors import TaskError
from genoglot.sequence.alphabet import Codes, N
from genoglot.sequence.kmers import kmer_counts
from genoglot.sequence.motifs import jaspar
from genoglot.tasks.dataset import Floats

FLANK = 32
"""Number of bases on both sides of a site; no motif is longer (30 bp at most)."""

_BLOCK = 1 << 22  # bases of whole sequences that are read at a time
_OF_N = -3.0  # log-odds of N: a site with an N hardly counts


class Sites(NamedTuple):
    """Single-base changes.

    Attributes
    ----------
    sequence
        Number of the whole reference sequence, equal for changes of the same element, int64 (n,).
    at
        Position of the change in that sequence, 0-based, int64 (n,).
    reference, alternative
        Bases around the change, without and with it, uint8 (n, 2 * FLANK + 1), N past the ends.
    """

    sequence: NDArray[np.int64]
    at: NDArray[np.int64]
    reference: Codes
    alternative: Codes

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Sites:
        """Select some of the changes."""
        return Sites(
            self.sequence[rows], self.at[rows], self.reference[rows], self.alternative[rows]
        )

    @property
    def letters(self) -> tuple[Codes, Codes]:
        """Base without and with the change, uint8 (n,) each."""
        return self.reference[:, FLANK], self.alternative[:, FLANK]


def find_sites(inputs: Inputs) -> Sites:
    """Find the position at which the alleles of each pair differ.

    Parameters
    ----------
    inputs
        Codes without and with the variant, uint8 (n, length) each.

    Raises
    ------
    TaskError
        If the inputs are not pairs, or a pair does not differ by exactly one base.

    Examples
    --------
    >>> from genoglot.sequence import to_codes
    >>> sites = find_sites((to_codes("ACGT")[None], to_codes("ACTT")[None]))
    >>> int(sites.at[0]), [int(letter[0]) for letter in sites.letters]
    (2, [2, 3])
    """
    if not isinstance(inputs, tuple):
        raise TaskError(
            "one sequence for each example; this model needs the sequences of both alleles"
        )
    length = inputs[0].shape[1]
    step = max(_BLOCK // max(length, 1), 1)
    parts = []
    for first in range(0, len(inputs[0]), step):
        pair = [np.asarray(side[first : first + step]) for side in inputs]
        differ = pair[0] != pair[1]
        wrong = np.flatnonzero(differ.sum(axis=1) != 1)
        if len(wrong):
            raise TaskError(
                f"the alleles of example {first + wrong[0]} differ by "
                f"{differ[wrong[0]].sum()} bases; this model reads changes of one base"
            )
        at = differ.argmax(axis=1)
        around = at[:, None] + np.arange(2 * FLANK + 1)
        near = [
            np.take_along_axis(
                np.pad(codes, ((0, 0), (FLANK, FLANK)), constant_values=N), around, 1
            )
            for codes in pair
        ]
        parts.append(Sites(_numbers(pair[0]), at, *near))
    if not parts:
        raise TaskError("there is no sequence; give at least one")
    return Sites(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def kmer_changes(sites: Sites, k: int) -> Floats:
    """Count the k-mers with the changed base, minus those without, float32 (n, k-mers)."""
    near = slice(FLANK - k + 1, FLANK + k)
    return kmer_counts(sites.alternative[:, near], k) - kmer_counts(sites.reference[:, near], k)


class SiteMotifs:
    """How well the motifs of JASPAR 2018 (CORE, vertebrates) fit a position.

    Parameters
    ----------
    threshold
        Fraction of a motif's best log-odds from which its sites count. It is low, so that weak
        sites count, which most sites in promoters are.

    Attributes
    ----------
    names
        Names of the motifs.
    """

    def __init__(self, threshold: float = 0.4) -> None:
        self.names = [motif.name for motif in jaspar()]
        self._tables = [_with_unknown(motif.log_odds) for motif in jaspar()]
        self._threshold = threshold

    def occupancy(self, codes: Codes) -> Floats:
        """Score the motifs on the sites that contain the middle base, on both strands.

        The score is log(1 + sum_i exp(s_i - t)), over all such sites i with log-odds s_i, where t
        is the threshold. It is 0 where no site fits, and grows like the log-odds of the best site.

        Parameters
        ----------
        codes
            uint8 (n, 2 * FLANK + 1), as in `Sites`.

        Returns
        -------
        float32 array
            Scores, (n, motifs).
        """
        # The three changes of a position have the same reference.
        codes, same = np.unique(codes, axis=0, return_inverse=True)
        found = np.empty((len(codes), len(self._tables)), np.float32)
        for motif, table in enumerate(self._tables):
            width = len(table)
            best = table[:, :4].max(axis=1).sum()
            total = np.zeros(len(codes), np.float32)
            reverse = table[::-1, [3, 2, 1, 0, N]]
            for strand in (table, reverse):
                scores = np.zeros((len(codes), width), np.float32)  # of each site's first base
                for i, row in enumerate(strand):
                    first = FLANK - width + 1 + i
                    scores += row[codes[:, first : first + width]]
                total += np.exp(scores - np.float32(self._threshold * best)).sum(axis=1)
            found[:, motif] = np.log1p(total)
        return found[same.reshape(-1)]

    def changes(self, sites: Sites) -> Floats:
        """`occupancy` with the change minus that without it, float32 (n, motifs)."""
        return self.occupancy(sites.alternative) - self.occupancy(sites.reference)


def _with_unknown(log_odds: NDArray[np.float64]) -> Floats:
    """Turn log-odds in bits into natural ones, float32 (width, 5); the last column is for N."""
    natural = np.log(2) * log_odds
    table: Floats = np.pad(natural, ((0, 0), (0, 1)), constant_values=_OF_N).astype(np.float32)
    return table


def _numbers(codes: Codes) -> NDArray[np.int64]:
    """Give each sequence a number that depends on its content only."""
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in codes)
    return np.frombuffer(digests, np.int64)
