"""Motifs of transcription factors from JASPAR 2018, and a scanner that scores DNA against them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import SequenceError
from genoglot.sequence.alphabet import Codes, N
from genoglot.sequence.kmers import kmer_numbers, sliding

Matrix = NDArray[np.float64]
Floats = NDArray[np.float32]

BACKGROUND = 0.25
"""Probability of each base outside of motifs."""

PSEUDOCOUNT = 0.01
"""Pseudocount of a position, as a fraction of its counts; it is divided among the four bases."""

_BASES = 1 << 13  # bases scanned at a time


@dataclass(frozen=True, eq=False)
class Motif:
    """A motif, as a matrix of counts.

    Attributes
    ----------
    id, name
        Such as MA0139.1, and CTCF.
    counts
        Number of times that each base was observed at each position, float64 (width, 4), in the
        order A C G T.
    family
        Family of the factor, such as "Runt-related factors"; "" if it is not known.

    Examples
    --------
    >>> motif = Motif("X", "x", np.array([[98.0, 0, 0, 0]]))
    >>> motif.log_odds.round(1).tolist()
    [[2.0, -6.7, -6.7, -6.7]]
    """

    id: str
    name: str
    counts: Matrix
    family: str = ""

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def probabilities(self) -> Matrix:
        """Probability of each base at each position, (width, 4), with `PSEUDOCOUNT`."""
        counts = self.counts + PSEUDOCOUNT * self.counts.sum(1, keepdims=True) / 4
        probabilities: Matrix = counts / counts.sum(1, keepdims=True)
        return probabilities

    @cached_property
    def log_odds(self) -> Matrix:
        """Log-odds of each base at each position against `BACKGROUND`, bits, (width, 4)."""
        log_odds: Matrix = np.log2(self.probabilities / BACKGROUND)
        return log_odds

    @cached_property
    def relative(self) -> Matrix:
        """Log-odds shifted and scaled so that the worst site scores 0 and the best one 1."""
        shifted = self.log_odds - self.log_odds.min(axis=1, keepdims=True)
        scaled: Matrix = shifted / shifted.max(axis=1).sum()
        return scaled

    def relative_scores(self, sites: Codes) -> Floats:
        """Score sites: 0 for the worst site that is possible, 1 for the best one.

        Parameters
        ----------
        sites
            uint8 (n, width), codes A C G T = 0 1 2 3, on the strand of the motif.

        Returns
        -------
        Floats
            float32 (n,).
        """
        bases = sites[:, :, None].astype(np.intp)
        total = np.take_along_axis(self.log_odds[None], bases, 2).sum((1, 2))
        worst, best = self.log_odds.min(1).sum(), self.log_odds.max(1).sum()
        scores: Floats = ((total - worst) / (best - worst)).astype(np.float32)
        return scores

    def core(self, width: int) -> Matrix:
        """Log-odds of the `width` neighboring positions with most information, or of all."""
        if len(self) <= width:
            return self.log_odds
        information = (self.probabilities * self.log_odds).sum(1)
        windows = np.lib.stride_tricks.sliding_window_view(information, width)
        first = int(windows.sum(1).argmax())
        return self.log_odds[first : first + width]


@cache
def jaspar(
    release: str = "JASPAR2018", collection: str = "CORE", tax_group: str | None = "vertebrates"
) -> tuple[Motif, ...]:
    """Read the motifs of a release of JASPAR, in the order of their ids.

    By default the 579 motifs of JASPAR 2018, CORE, vertebrates. Of each motif the latest version of
    the release is read. The matrices come with pyjaspar; nothing is downloaded.

    Source: Khan et al. 2018, Nucleic Acids Research 46:D260, and the articles of the other releases.

    Parameters
    ----------
    release
        Name of the release, such as `"JASPAR2018"`.
    collection
        Collection of the release, such as `"CORE"`.
    tax_group
        Taxonomic group, such as `"vertebrates"` or `"fungi"`; None for all motifs of the
        collection, also those without a group.

    Returns
    -------
    tuple of Motif
        Their `family` is JASPAR's family of the factor, else its class, else "".

    Raises
    ------
    SequenceError
        If there is no such release, collection or group; it lists those that exist.

    Examples
    --------
    >>> motifs = jaspar()
    >>> len(motifs), motifs[0].id, motifs[0].name, motifs[0].counts.shape
    (579, 'MA0002.2', 'RUNX1', (11, 4))
    >>> len(jaspar(tax_group="fungi")), motifs[0].family
    (176, 'Runt-related factors')
    """
    from pyjaspar import jaspar_releases, jaspardb

    _check_choice("JASPAR release", release, jaspar_releases)
    with closing(jaspardb(release=release).conn) as connection:
        groups: dict[str, set[str]] = {}
        for name, group in connection.execute(
            "SELECT collection, val FROM MATRIX LEFT JOIN MATRIX_ANNOTATION AS annotation "
            "ON annotation.id = MATRIX.id AND tag = 'tax_group' GROUP BY 1, 2"
        ):
            groups.setdefault(name, set()).update([group] if group else [])
        _check_choice(f"collection of {release}", collection, groups)
        if tax_group is not None:
            what = f"taxonomic group of {release}, {collection}"
            _check_choice(what, tax_group, groups[collection])
    database = jaspardb(release=release)
    with closing(database.conn):
        found = database.fetch_motifs(
            collection=collection, tax_group=None if tax_group is None else [tax_group]
        )
    motifs = [
        Motif(
            str(motif.matrix_id),
            str(motif.name),
            np.array([motif.counts[base] for base in "ACGT"], np.float64).T.copy(),
            # A dimer has the families of both factors.
            "::".join(dict.fromkeys(motif.tf_family or motif.tf_class or [])),
        )
        for motif in found
    ]
    return tuple(sorted(motifs, key=lambda motif: motif.id))


def _check_choice(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        choices = ", ".join(sorted(known)) or "none, so give None"
        raise SequenceError(f"no {what} is called {name!r}; choose one of: {choices}")


class SiteScores(NamedTuple):
    """Scores of the sites of some motifs, all of one width, in some sequences.

    Attributes
    ----------
    rows
        Which sequences.
    motifs
        Indices of the motifs, (m,).
    values
        float32 (sequences, sites, 2, m): of each first base of a site, on the forward and on the
        reverse strand; minus infinity where a site contains N.
    """

    rows: slice
    motifs: NDArray[np.intp]
    values: Floats


class MotifScanner:
    """Score all sites of DNA, on both strands, against many motifs.

    Parameters
    ----------
    matrices
        Scores of the bases at each position of each motif, (width, 4), in the order A C G T, such
        as `Motif.log_odds` or `Motif.relative`. The score of a site is their sum.

    Examples
    --------
    >>> from genoglot.sequence import to_codes
    >>> scanner = MotifScanner([np.eye(4)[[3, 0, 3, 0]]])  # a point for each base of TATA
    >>> dna = to_codes("CTATACTANA")[None]
    >>> scanner.max_scores(dna).tolist(), scanner.count_sites(dna, 3).tolist()
    ([[4.0]], [[1.0]])
    """

    def __init__(self, matrices: Sequence[Matrix]) -> None:
        widths = np.array([len(matrix) for matrix in matrices])
        self._motifs = len(matrices)
        self._by_width = [
            (int(width), motifs, _lookups(np.stack([matrices[int(i)] for i in motifs])))
            for width in np.unique(widths)
            for motifs in (np.flatnonzero(widths == width),)
        ]

    def scan(self, codes: Codes) -> Iterator[SiteScores]:
        """Score all sites, some sequences and motifs at a time.

        Parameters
        ----------
        codes
            uint8 (n, length).

        Yields
        ------
        SiteScores
            Of motifs of one width in some sequences; none for motifs wider than the sequences.
        """
        n, length = codes.shape
        step = max(_BASES // max(length, 1), 1)
        for i in range(0, n, step):
            block = np.asarray(codes[i : i + step])
            unknown = block == N
            words = kmer_numbers(np.pad(block & np.uint8(3), ((0, 0), (0, 3))), 4).astype(np.intp)
            for width, motifs, lookups in self._by_width:
                sites = length - width + 1
                if sites < 1:
                    continue
                scores = lookups[0].take(words[:, :sites].ravel(), axis=0)
                for j, table in enumerate(lookups[1:], start=1):
                    scores += table.take(words[:, 4 * j : 4 * j + sites].ravel(), axis=0)
                values = scores.reshape(len(block), sites, 2, -1)
                if unknown.any():
                    values[sliding(np.logical_or, unknown, width)] = -np.inf
                yield SiteScores(slice(i, i + step), motifs, values)

    def max_scores(self, codes: Codes) -> Floats:
        """Score of the best site of each motif on either strand.

        Parameters
        ----------
        codes
            uint8 (n, length).

        Returns
        -------
        Floats
            float32 (n, motifs); minus infinity where a sequence has no site without N.
        """
        best = np.full((len(codes), self._motifs), -np.inf, np.float32)
        for rows, motifs, values in self.scan(codes):
            best[rows, motifs] = values.max(axis=(1, 2))
        return best

    def sum_scores(self, codes: Codes) -> Floats:
        """Sum of the affinities of all sites of each motif on both strands, as a logarithm.

        log2 of the sum over all sites and both strands of 2^score. If the score of a site is its
        log-odds, 2^score is proportional to its equilibrium constant of binding (Berg and von
        Hippel 1987, Journal of Molecular Biology 193:723), so that this is the logarithm of the
        expected occupancy of the sequence at a low concentration of the factor, as in TRAP
        (Roider et al. 2007, Bioinformatics 23:134) and GOMER (Granek and Clarke 2005, Genome
        Biology 6:R87).

        Parameters
        ----------
        codes
            uint8 (n, length).

        Returns
        -------
        Floats
            float32 (n, motifs), bits; minus infinity where a sequence has no site without N.
        """
        total = np.zeros((len(codes), self._motifs), np.float32)
        for rows, motifs, values in self.scan(codes):
            total[rows, motifs] = np.exp2(values).sum(axis=(1, 2))
        with np.errstate(divide="ignore"):
            return np.log2(total)

    def count_sites(self, codes: Codes, threshold: float) -> Floats:
        """Count the sites of each motif whose score on either strand reaches a threshold.

        Parameters
        ----------
        codes
            uint8 (n, length).
        threshold
            Minimum score of a site.

        Returns
        -------
        Floats
            float32 (n, motifs).
        """
        counts = np.zeros((len(codes), self._motifs), np.float32)
        for rows, motifs, values in self.scan(codes):
            reached = values >= np.float32(threshold)
            sites = reached[:, :, 0] | reached[:, :, 1]
            counts[rows, motifs] = sites.view(np.uint8).sum(axis=1, dtype=np.uint32)
        return counts


def _lookups(matrices: Matrix) -> list[Floats]:
    """Score of every four bases at positions 0, 4, 8, ... of motifs of one width.

    Adding up three or so looked-up rows is much less work than a product with one-hot bases.

    Parameters
    ----------
    matrices
        (motifs, width, 4).

    Returns
    -------
    list of Floats
        float32 (256, 2 * motifs) each: the motifs, then their reverse complements.
    """
    both = np.concatenate([matrices, matrices[:, ::-1, ::-1]])
    both = np.pad(both, ((0, 0), (0, -matrices.shape[1] % 4), (0, 0)))
    bases = np.arange(256)[:, None] >> 2 * np.arange(3, -1, -1) & 3
    return [
        both[:, first + np.arange(4), bases].sum(axis=2).T.astype(np.float32)
        for first in range(0, both.shape[1], 4)
    ]
