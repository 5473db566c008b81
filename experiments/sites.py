"""Where two alleles of a sequence differ by one base, and what changes there."""

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
"""Bases kept on both sides of a site; the longest motif (of 30 bp) reaches no farther."""

_BLOCK = 1 << 22  # bases of the whole sequences read at a time
_OF_N = -3.0  # log-odds of an unknown base: a site that holds one is hardly a site


class Sites(NamedTuple):
    """Single-base changes.

    Attributes
    ----------
    sequence
        A number of the whole reference sequence: equal for changes of the same element, int64 (n,).
    at
        Where in it the change lies, from 0, int64 (n,).
    reference, alternative
        The bases around it, uint8 (n, 2 * FLANK + 1), N past the ends.
    """

    sequence: NDArray[np.int64]
    at: NDArray[np.int64]
    reference: Codes
    alternative: Codes

    def some(self, rows: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Sites:
        """Take some of them."""
        return Sites(
            self.sequence[rows], self.at[rows], self.reference[rows], self.alternative[rows]
        )

    @property
    def letters(self) -> tuple[Codes, Codes]:
        """The base without and with the change, uint8 (n,) each."""
        return self.reference[:, FLANK], self.alternative[:, FLANK]


def find_sites(inputs: Inputs) -> Sites:
    """Find where the alleles of each pair differ.

    Parameters
    ----------
    inputs
        Codes without and with the variant, uint8 (n, length) each.

    Raises
    ------
    TaskError
        If the inputs are no pairs, or a pair differs by more or less than one base.

    Examples
    --------
    >>> from genoglot.sequence import to_codes
    >>> sites = find_sites((to_codes("ACGT")[None], to_codes("ACTT")[None]))
    >>> int(sites.at[0]), [int(letter[0]) for letter in sites.letters]
    (2, [2, 3])
    """
    if not isinstance(inputs, tuple):
        raise TaskError("one sequence for each example; this model needs the one of each allele")
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
    """Count the k-mers that hold the changed base: with it less without, float32 (n, k-mers)."""
    near = slice(FLANK - k + 1, FLANK + k)
    return kmer_counts(sites.alternative[:, near], k) - kmer_counts(sites.reference[:, near], k)


class SiteMotifs:
    """How strongly the motifs of JASPAR 2018 (CORE, vertebrates) fit a place.

    Parameters
    ----------
    threshold
        Share of a motif's best log-odds from which its sites count. Low, so that weak sites,
        most of those in promoters, do count.

    Attributes
    ----------
    names
        Of the motifs.
    """

    def __init__(self, threshold: float = 0.4) -> None:
        self.names = [motif.name for motif in jaspar()]
        self._tables = [_with_unknown(motif.log_odds) for motif in jaspar()]
        self._threshold = threshold

    def occupancy(self, codes: Codes) -> Floats:
        """Fit of the motifs to sites that hold the middle base, on either strand.

        Over all such sites i with log-odds s_i, and t the threshold: log(1 + sum exp(s_i - t)),
        which is 0 where nothing fits and grows like the best site's log-odds.

        Parameters
        ----------
        codes
            uint8 (n, 2 * FLANK + 1), as in `Sites`.

        Returns
        -------
        float32 (n, motifs)
        """
        # The three changes of a position share what stands there without them.
        codes, same = np.unique(codes, axis=0, return_inverse=True)
        found = np.empty((len(codes), len(self._tables)), np.float32)
        for motif, table in enumerate(self._tables):
            width = len(table)
            best = table[:, :4].max(axis=1).sum()
            total = np.zeros(len(codes), np.float32)
            turned = table[::-1, [3, 2, 1, 0, N]]
            for strand in (table, turned):
                scores = np.zeros((len(codes), width), np.float32)  # of each site's first base
                for i, row in enumerate(strand):
                    first = FLANK - width + 1 + i
                    scores += row[codes[:, first : first + width]]
                total += np.exp(scores - np.float32(self._threshold * best)).sum(axis=1)
            found[:, motif] = np.log1p(total)
        return found[same.reshape(-1)]

    def changes(self, sites: Sites) -> Floats:
        """`occupancy` with the change less that without it, float32 (n, motifs)."""
        return self.occupancy(sites.alternative) - self.occupancy(sites.reference)


def _with_unknown(log_odds: NDArray[np.float64]) -> Floats:
    """Natural log-odds of those in bits, float32 (width, 5); the last column is N's."""
    natural = np.log(2) * log_odds
    table: Floats = np.pad(natural, ((0, 0), (0, 1)), constant_values=_OF_N).astype(np.float32)
    return table


def _numbers(codes: Codes) -> NDArray[np.int64]:
    """Give each sequence a number that tells of its content only."""
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in codes)
    return np.frombuffer(digests, np.int64)
