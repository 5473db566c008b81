"""Motifs of transcription factors, and the scanner that scores DNA against them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import SequenceError
from genoglot.sequence.alphabet import Codes, N
from genoglot.threads import one_thread

if TYPE_CHECKING:
    import torch

Matrix = NDArray[np.float64]
Floats = NDArray[np.float32]

BACKGROUND = 0.25
"""Probability of each base outside of motifs, by default."""

PSEUDOCOUNT = 0.01
"""Pseudocount of a position, as a fraction of its counts; it is divided among the four bases."""

_K = 4  # number of bases whose score is looked up at once
_LETTERS = 5  # A C G T N
_CHUNK = 64  # maximum number of motifs of one table, so that it stays in the cache
_COLUMNS = 64  # the columns of a table are padded to a multiple, which PyTorch adds up fastest


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
        return self._probabilities(PSEUDOCOUNT)

    @cached_property
    def log_odds(self) -> Matrix:
        """Log-odds of each base at each position against `BACKGROUND`, bits, (width, 4)."""
        return self.log_odds_against()

    def log_odds_against(
        self,
        background: Sequence[float] = (BACKGROUND,) * 4,
        pseudocount: float = PSEUDOCOUNT,
    ) -> Matrix:
        """Compute the log-odds of each base at each position.

        Parameters
        ----------
        background
            Probability of A, C, G and T outside of motifs, above 0, such as `base_frequencies`.
        pseudocount
            Pseudocount of a position, as a fraction of its counts, at least 0. It is divided among
            the four bases in equal parts. With 0, the log-odds of a base that was never observed
            are minus infinity.

        Returns
        -------
        Matrix
            float64 (width, 4), bits.

        Raises
        ------
        SequenceError
            If the background or the pseudocount is not valid.

        Examples
        --------
        >>> motif = Motif("X", "x", np.array([[98.0, 0, 0, 0]]))
        >>> motif.log_odds_against((0.5, 0.2, 0.2, 0.1), pseudocount=1).round(2).tolist()
        [[0.32, -0.68, -0.68, 0.32]]
        """
        check_background(background)
        if not 0 <= pseudocount < np.inf:
            raise SequenceError(f"the pseudocount is {pseudocount}; give a number from 0")
        with np.errstate(divide="ignore"):
            log_odds: Matrix = np.log2(self._probabilities(pseudocount) / np.array(background))
        return log_odds

    def _probabilities(self, pseudocount: float) -> Matrix:
        counts = self.counts + pseudocount * self.counts.sum(1, keepdims=True) / 4
        probabilities: Matrix = counts / counts.sum(1, keepdims=True)
        return probabilities

    @property
    def information(self) -> float:
        """Information of the motif against `BACKGROUND`, bits: the mean log-odds of its sites."""
        return float(self._information.sum())

    @cached_property
    def _information(self) -> NDArray[np.float64]:
        """Information of each position, bits, (width,)."""
        information: NDArray[np.float64] = (self.probabilities * self.log_odds).sum(1)
        return information

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
        windows = np.lib.stride_tricks.sliding_window_view(self._information, width)
        first = int(windows.sum(1).argmax())
        return self.log_odds[first : first + width]


@cache
def jaspar(
    release: str = "JASPAR2018", collection: str = "CORE", tax_group: str | None = "vertebrates"
) -> tuple[Motif, ...]:
    """Read the motifs of a release of JASPAR, in the order of their ids.

    By default the 579 motifs of JASPAR 2018, CORE, vertebrates. Of each motif the latest version of
    the release is read. The matrices come with pyjaspar; nothing is downloaded.

    Source: Khan et al. 2018, Nucleic Acids Research 46:D260, for that release.

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
    database = jaspardb(release=release)
    with closing(database.conn) as connection:
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
        found = database.fetch_motifs(
            collection=collection, tax_group=None if tax_group is None else [tax_group]
        )
    motifs = [
        Motif(
            str(motif.matrix_id),
            str(motif.name),
            np.array([motif.counts[base] for base in "ACGT"], np.float64).T.copy(),
            # A dimer has the families of both factors.
            "::".join(dict.fromkeys(_known(motif.tf_family) or _known(motif.tf_class))),
        )
        for motif in found
    ]
    return tuple(sorted(motifs, key=lambda motif: motif.id))


def _known(families: Sequence[str]) -> list[str]:
    return [family for family in families if family.lower() != "unknown"]


def _check_choice(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        choices = ", ".join(sorted(known))
        advice = f"choose one of: {choices}" if choices else "give tax_group=None (--tax-group all)"
        raise SequenceError(f"no {what} is called {name!r}; {advice}")


def base_frequencies(codes: Codes) -> tuple[float, float, float, float]:
    """Compute the frequency of A, C, G and T in DNA, over both strands.

    It is the background of a scan of both strands: A is as frequent as T, and C as G.

    Parameters
    ----------
    codes
        uint8, of any shape; N is not counted.

    Raises
    ------
    SequenceError
        If there is no A or T, or no C or G, so that a motif's log-odds are not defined.

    Examples
    --------
    >>> from genoglot.sequence import to_codes
    >>> base_frequencies(to_codes("AAANC"))
    (0.375, 0.125, 0.125, 0.375)
    """
    counts = np.bincount(codes.ravel(), minlength=_LETTERS)[:4]
    return strand_frequencies(counts)


def strand_frequencies(
    counts: NDArray[np.int64] | NDArray[np.float64],
) -> tuple[float, float, float, float]:
    """Compute the frequencies of `base_frequencies` from counts or frequencies, A C G T, (4,)."""
    at, cg = (counts[0] + counts[3]).item(), (counts[1] + counts[2]).item()
    if not at or not cg:
        raise SequenceError(
            f"the DNA has {at} A and T and {cg} C and G; give the background as four probabilities"
        )
    a, c = at / (at + cg) / 2, cg / (at + cg) / 2
    return a, c, c, a


def check_background(background: Sequence[float]) -> None:
    """Refuse a background that is not four probabilities above 0 with a sum of 1."""
    values = np.asarray(background, np.float64)
    if values.shape != (4,) or not (values > 0).all() or abs(values.sum() - 1) > 1e-3:
        raise SequenceError(
            f"the background is {', '.join(map(str, values.tolist()))}; give the probabilities of "
            "A, C, G and T, above 0 and with a sum of 1"
        )


class SiteScores(NamedTuple):
    """Scores of the sites of some motifs in some sequences.

    Attributes
    ----------
    rows
        Which sequences.
    motifs
        Indices of the motifs, int64 (m,).
    values
        float32 (sequences, sites, columns), on the device of the scanner: of each first base of a
        site. The first m columns are of the forward strand, the next m of the reverse strand, and
        the others have no meaning. Minus infinity where a site contains N or reaches past the end
        of the sequence.
    """

    rows: slice
    motifs: NDArray[np.int64]
    values: torch.Tensor

    def strands(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Split (..., columns) into those of the forward and of the reverse strand, (..., m)."""
        m = len(self.motifs)
        return values[..., :m], values[..., m : 2 * m]


class _Table(NamedTuple):
    """Scores of every `_K` bases of some motifs that are looked up equally often."""

    motifs: NDArray[np.int64]  # their indices, (m,)
    width: int  # of the narrowest of them, bp
    lookups: int
    # Of lookup 0, then of lookup 1, ...: float32 (lookups * 5^_K, columns). The columns are the m
    # motifs, their m reverse complements, and zeros.
    scores: torch.Tensor


class MotifScanner:
    """Score all sites of DNA, on both strands, against many motifs.

    A site is scored `_K` bases at a time: the scores of all 5^4 words of A C G T N are looked up
    and added up, which PyTorch does for many motifs at once (`embedding_bag`). How this was chosen
    is in the decision record "The motif scanner".

    Parameters
    ----------
    matrices
        Scores of the bases at each position of each motif, (width, 4), in the order A C G T, such
        as `Motif.log_odds` or `Motif.relative`. The score of a site is their sum.
    device
        Device of PyTorch on which DNA is scanned. On a CPU as many threads are used as PyTorch has.

    Examples
    --------
    >>> from genoglot.sequence import to_codes
    >>> scanner = MotifScanner([np.eye(4)[[3, 0, 3, 0]]])  # a point for each base of TATA
    >>> dna = to_codes("CTATACTANA")[None]
    >>> scanner.max_scores(dna).tolist(), scanner.count_sites(dna, 3).tolist()
    ([[4.0]], [[1.0]])
    """

    def __init__(self, matrices: Sequence[Matrix], device: str | torch.device = "cpu") -> None:
        import torch

        self._motifs = len(matrices)
        self._device = torch.device(device)
        # Scores and bases at a time: on a CPU, 2 MB of scores stay in the cache.
        on_cpu = self._device.type == "cpu"
        self._scores, self._step = (1 << 19, 1 << 15) if on_cpu else (1 << 26, 1 << 19)
        widths = np.array([len(matrix) for matrix in matrices], np.int64)
        lookups = -(-widths // _K)
        self._padding = int(lookups.max(initial=0)) * _K
        self._tables: list[_Table] = []
        for n in np.unique(lookups):
            same = np.flatnonzero(lookups == n)
            for motifs in np.array_split(same, -(-len(same) // _CHUNK)):
                scores = _look_up([matrices[i] for i in motifs], int(n))
                table = torch.from_numpy(scores).to(self._device)
                self._tables.append(_Table(motifs, int(widths[motifs].min()), int(n), table))

    def scan(self, codes: Codes, visit: Callable[[SiteScores], None]) -> None:
        """Score all sites, some sequences and motifs at a time, so that memory is bounded.

        Parameters
        ----------
        codes
            uint8 (n, length).
        visit
            Function that is called with the scores of some motifs in some sequences, until it was
            called for all motifs, but those wider than the sequences, in all sequences. On a CPU it
            is called from several threads at once, each for other sequences.
        """
        import torch

        n, length = codes.shape
        step = max(self._step // max(length, 1), 1)
        starts = range(0, n, step)

        def scan_some(first: int) -> None:
            with torch.inference_mode():
                self._scan(np.asarray(codes[first : first + step]), first, visit)

        threads = min(torch.get_num_threads(), len(starts)) if self._device.type == "cpu" else 1
        if threads < 2:
            for first in starts:
                scan_some(first)
            return
        # Threads for sequences, not PyTorch's own within each step: those wait for one another by
        # spinning, which is many times slower beside other work.
        with one_thread(), ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(scan_some, starts):
                pass

    def _scan(self, codes: Codes, first: int, visit: Callable[[SiteScores], None]) -> None:
        """Score the sequences from number `first` on."""
        import torch
        from torch.nn.functional import embedding_bag

        words, length = self._words(codes), codes.shape[1]
        for table in self._tables:
            sites = length - table.width + 1
            if sites < 1:
                continue
            looked_up = [
                words[:, _K * j : _K * j + sites] + _LETTERS**_K * j for j in range(table.lookups)
            ]
            bags = torch.stack(looked_up, 2)
            few = max(self._scores // (sites * table.scores.shape[1]), 1)
            for i in range(0, len(bags), few):
                some = bags[i : i + few]
                total = embedding_bag(some.flatten(0, 1), table.scores, mode="sum")
                rows = slice(first + i, first + i + len(some))
                visit(SiteScores(rows, table.motifs, total.view(len(some), sites, -1)))

    def _words(self, codes: Codes) -> torch.Tensor:
        """Compute the number of the word of `_K` letters at each base, and at N added at the end.

        Returns int32 (n, length + positions of the widest motif).
        """
        import torch

        padded = np.pad(codes, ((0, 0), (0, self._padding + _K - 1)), constant_values=N)
        letters = torch.from_numpy(padded).to(self._device).int()
        length = codes.shape[1] + self._padding
        words = letters[:, :length]
        for i in range(1, _K):
            words = words * _LETTERS + letters[:, i : i + length]
        return words

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

        def visit(sites: SiteScores) -> None:
            forward, reverse = sites.strands(sites.values.amax(1))
            best[sites.rows, sites.motifs] = forward.maximum(reverse).cpu().numpy()

        self.scan(codes, visit)
        return best

    def sum_scores(self, codes: Codes) -> Floats:
        """Sum of the affinities of all sites of each motif on both strands, as a logarithm.

        log2 of the sum, over all sites and both strands, of 2^score. If the score of a site is its
        log-odds, 2^score is proportional to its binding constant (Berg and von Hippel 1987, Journal
        of Molecular Biology 193:723), so that this is, but for a constant, the logarithm of the
        expected number of bound factors at a low concentration, as in GOMER (Granek and Clarke
        2005, Genome Biology 6:R87) and TRAP (Roider et al. 2007, Bioinformatics 23:134). It is at
        least the score of the best site, and grows with the number of good sites.

        Parameters
        ----------
        codes
            uint8 (n, length).

        Returns
        -------
        Floats
            float32 (n, motifs), bits; minus infinity where a sequence has no site without N.
        """
        import torch

        total = np.full((len(codes), self._motifs), -np.inf, np.float32)

        def visit(sites: SiteScores) -> None:
            # Relative to the best site, so that no power is too large or too small.
            best = sites.values.amax(1, keepdim=True).clamp_(min=-1e30)
            found = sites.values.sub_(best).exp2_().sum(1).log2_().add_(best[:, 0])
            forward, reverse = sites.strands(found)
            total[sites.rows, sites.motifs] = torch.logaddexp2(forward, reverse).cpu().numpy()

        self.scan(codes, visit)
        return total

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
        least = float(np.float32(threshold))

        def visit(sites: SiteScores) -> None:
            forward, reverse = sites.strands(sites.values >= least)
            counts[sites.rows, sites.motifs] = (forward | reverse).sum(1).cpu().numpy()

        self.scan(codes, visit)
        return counts


def _look_up(matrices: Sequence[Matrix], lookups: int) -> Floats:
    """Score every word at positions 0, `_K`, 2 `_K`, ... of motifs: `_Table.scores`."""
    m, width = len(matrices), lookups * _K
    both = np.zeros((2 * m + -2 * m % _COLUMNS, width, _LETTERS))
    for i, matrix in enumerate(matrices):
        for row, strand in ((i, matrix), (m + i, matrix[::-1, ::-1])):
            both[row, : len(matrix), :N] = strand
            both[row, : len(matrix), N] = -np.inf
    powers = _LETTERS ** np.arange(_K - 1, -1, -1)
    letters = np.arange(_LETTERS**_K)[:, None] // powers % _LETTERS
    tables = [
        both[:, first + np.arange(_K), letters].sum(axis=2).T for first in range(0, width, _K)
    ]
    return np.concatenate(tables).astype(np.float32)
