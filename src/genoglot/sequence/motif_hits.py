"""Sites of motifs in a genome that are better than chance, and the scores of regions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import SequenceError
from genoglot.progress import with_progress
from genoglot.regions import Regions
from genoglot.regions.chromosomes import in_order_of_appearance
from genoglot.sequence.alphabet import Codes, N
from genoglot.sequence.genome import Genome
from genoglot.sequence.motifs import (
    BACKGROUND,
    PSEUDOCOUNT,
    Floats,
    Matrix,
    Motif,
    MotifScanner,
    SiteScores,
    check_background,
    strand_frequencies,
)

if TYPE_CHECKING:
    import torch

Ints = NDArray[np.int64]

GRANULARITY = 2.0**-9
"""Scores are rounded to multiples of this for their distribution, bits."""

COLUMNS = ("name", "score", "strand", "p_value", "motif_id")
"""Columns of hits after their coordinates."""

MAX_LENGTH = 1 << 17
"""Maximum length of a region for `score_regions`, bp."""

_TILE = 1 << 9  # bp; long regions are scanned in tiles
_BATCH = 1 << 20  # bases that are scanned at a time
_UNIFORM = (BACKGROUND,) * 4


def round_matrix(matrix: Matrix, granularity: float = GRANULARITY) -> Matrix:
    """Round the scores of bases to multiples of a granularity, such as those of a distribution.

    >>> round_matrix(np.array([[1.001, -0.3, 0.2, -np.inf]]), 0.25).tolist()
    [[1.0, -0.25, 0.25, -inf]]
    """
    rounded: Matrix = np.rint(matrix / granularity) * granularity
    return rounded


@dataclass(frozen=True, eq=False)
class ScoreDistribution:
    """Distribution of the rounded score of a random site, which is exact.

    The score of each base at each position is rounded (`round_matrix`), and the probability of each
    sum is computed position by position (Staden 1989, CABIOS 5:89; Touzet and Varré 2007,
    Algorithms for Molecular Biology 2:15). The rounded score of a site differs from its score by at
    most half of `granularity` for each position: 0.02 bits for 20 positions. Look up only rounded
    scores: many sites may have the same one, which all count or all do not.

    Attributes
    ----------
    lowest
        The lowest score, in units of `granularity`.
    survival
        Probability of each score, from the lowest to the highest, or a higher one, float64.
    granularity
        Unit of scores, bits.

    Examples
    --------
    >>> tata = ScoreDistribution.of(np.eye(4)[[3, 0, 3, 0]])  # a point for each base of TATA
    >>> tata.p_values(np.array([4.0, 3.0])).tolist()  # 1 and 13 of 256 words
    [0.00390625, 0.05078125]
    >>> 3 < tata.threshold(0.01) < 4
    True
    """

    lowest: int
    survival: NDArray[np.float64]
    granularity: float

    @classmethod
    def of(
        cls,
        matrix: Matrix,
        background: Sequence[float] = _UNIFORM,
        granularity: float = GRANULARITY,
    ) -> ScoreDistribution:
        """Compute the distribution.

        Parameters
        ----------
        matrix
            Score of each base at each position, (width, 4), such as `Motif.log_odds`. A site with a
            score of minus infinity counts as worse than all others.
        background
            Probability of A, C, G and T at each position of a random site.
        granularity
            Unit to which the scores are rounded, bits.
        """
        check_background(background)
        density, lowest = np.ones(1), 0
        for row in round_matrix(matrix, granularity) / granularity:
            possible = np.isfinite(row)
            least = int(row[possible].min())
            shifts = (row[possible] - least).astype(np.int64)
            longer = np.zeros(len(density) + int(shifts.max()))
            for shift, probability in zip(shifts, np.array(background)[possible], strict=True):
                longer[shift : shift + len(density)] += probability * density
            density, lowest = longer, lowest + least
        return cls(lowest, density[::-1].cumsum()[::-1], granularity)

    def p_values(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probability that a random site has these rounded scores or higher ones, float64."""
        units = np.floor(scores / self.granularity + 0.5) - self.lowest
        known = np.clip(units, 0, len(self.survival) - 1).astype(np.int64)
        p_values: NDArray[np.float64] = self.survival[known]
        return p_values

    def threshold(self, p_value: float) -> float:
        """Lowest score whose p-value is at most this, infinite if that of the best site is larger.

        Rounded scores from here on are those with `p_values(score) <= p_value`: the threshold is in
        the middle between two of them.
        """
        enough = int(np.searchsorted(-self.survival, -p_value))
        if enough == len(self.survival):
            return np.inf
        return (self.lowest + enough - 0.5) * self.granularity

    def tail(self, threshold: float) -> ScoreDistribution:
        """Return the part from a threshold on, which takes much less memory."""
        last = len(self.survival) - 1
        first = last
        if np.isfinite(threshold):
            first = min(max(round(threshold / self.granularity + 0.5) - self.lowest, 0), last)
        return ScoreDistribution(
            self.lowest + first, self.survival[first:].copy(), self.granularity
        )


class HitFinder:
    r"""Find the sites of motifs whose score is better than chance.

    Parameters
    ----------
    motifs
        The motifs.
    p_value
        Maximum probability that a random site has the score of a hit or a higher one.
    background
        Probability of A, C, G and T, for the log-odds and for random sites. Since both strands are
        scanned, A must be as frequent as T, and C as G, as in `base_frequencies`.
    pseudocount
        As for `Motif.log_odds_against`.
    device
        Device of PyTorch on which DNA is scanned.

    Attributes
    ----------
    motifs, p_value
        As given.
    thresholds
        Lowest rounded score (`round_matrix`) of a hit of each motif, bits, float64 (motifs,);
        infinite where even the best site is not better than `p_value`.

    Raises
    ------
    SequenceError
        If the p-value, the background or the pseudocount is not valid, or there is no motif.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.fa"
    >>> _ = path.write_text(">chr1\nCCCCTATAAACCCCC\n")
    >>> tata = Motif("T1", "TATA", np.eye(4)[[3, 0, 3, 0, 0, 0]])
    >>> finder = HitFinder([tata], p_value=1e-3)
    >>> for hits in finder.find(Regions(["chr1"], [0], [15]), Genome.open(path)):
    ...     print(hits, hits.columns.row(0)[::2])
    Regions(1 regions on 1 chromosomes: chr1:4-10) ('TATA', '+', 'T1')
    """

    def __init__(
        self,
        motifs: Sequence[Motif],
        p_value: float = 1e-4,
        *,
        background: Sequence[float] = _UNIFORM,
        pseudocount: float = PSEUDOCOUNT,
        device: str | torch.device = "cpu",
    ) -> None:
        if not 0 < p_value <= 1:
            raise SequenceError(f"the p-value is {p_value}; give one above 0, at most 1")
        self.motifs, self.p_value = tuple(motifs), p_value
        self._matrices = log_odds(motifs, background, pseudocount)
        # Sums of rounded scores are exact in float32, so that a p-value is that of its site.
        self._scanner = MotifScanner([round_matrix(matrix) for matrix in self._matrices], device)
        self._distributions = []
        self.thresholds = np.empty(len(self._matrices))
        for i, matrix in enumerate(self._matrices):
            distribution = ScoreDistribution.of(matrix, background)
            self.thresholds[i] = distribution.threshold(p_value)
            self._distributions.append(distribution.tail(self.thresholds[i]))
        self._widths = np.array([len(matrix) for matrix in self._matrices])

    def find(self, regions: Regions, genome: Genome, *, progress: bool = True) -> Iterator[Regions]:
        """Find the hits in regions, on both strands, some regions at a time.

        Parameters
        ----------
        regions
            The regions, of any length; their strand has no meaning. Each is scanned for itself, so
            that a site in two regions is a hit twice.
        genome
            The genome. A site with N, or past the end of a chromosome, is not a hit.
        progress
            Whether to show a progress bar in a terminal.

        Yields
        ------
        Regions
            Hits, in the order of the regions, then of their position, with the columns `COLUMNS`:
            name of the motif, score (log-odds, bits, float32), strand (+ or -), p-value of the
            rounded score (float32) and id of the motif.
        """
        for tiles in _tiles(regions, int(self._widths.max()), progress=progress):
            found: list[Ints] = []
            values: list[Floats] = []
            for rows, codes in _fetch(tiles, genome):
                coordinates, rounded = self._hits(codes, tiles.sites[rows])
                values.append(self._values(codes, coordinates, rounded))
                coordinates[0] = rows[coordinates[0]]
                found.append(coordinates)
            yield self._regions(tiles, np.concatenate(found, axis=1), np.concatenate(values, 1))

    def _hits(self, codes: Codes, sites: Ints) -> tuple[Ints, Floats]:
        """Sequence, position, strand (0, 1) and motif of hits, int64 (4, n), and rounded scores."""
        import torch

        blocks = [(np.empty((4, 0), np.int64), np.empty(0, np.float32))]

        def visit(block: SiteScores) -> None:
            m = len(block.motifs)
            least = torch.full(block.values.shape[2:], torch.inf)
            least[:m] = least[m : 2 * m] = torch.from_numpy(self.thresholds[block.motifs])
            least = least.to(block.values.device)
            # Most sequences have no hit of a motif, which the score of their best site shows.
            rows, columns = torch.nonzero(block.values.amax(1) >= least, as_tuple=True)
            scores = block.values[rows, :, columns]
            chosen, at = torch.nonzero(scores >= least[columns, None], as_tuple=True)
            parts = rows[chosen], at, columns[chosen], scores[chosen, at]
            row, position, column, values = (part.cpu().numpy() for part in parts)
            inside = position < sites[block.rows][row]
            row, position, column = row[inside], position[inside], column[inside]
            coordinates = row + block.rows.start, position, column // m, block.motifs[column % m]
            blocks.append((np.stack(coordinates), values[inside]))

        self._scanner.scan(codes, visit)
        found, rounded = zip(*blocks, strict=True)
        return np.concatenate(found, axis=1), np.concatenate(rounded)

    def _values(self, codes: Codes, coordinates: Ints, rounded: Floats) -> Floats:
        """Scores and p-values of hits, float32 (2, n)."""
        values = np.empty((2, len(rounded)), np.float32)
        order = np.argsort(coordinates[3], kind="stable")
        motifs, first = np.unique(coordinates[3, order], return_index=True)
        for motif, hits in zip(motifs.tolist(), np.split(order, first)[1:], strict=True):
            matrix = self._matrices[motif]
            row, position, strand, _ = coordinates[:, hits, None]
            at = np.arange(len(matrix))
            strands = np.stack([matrix, matrix[::-1, ::-1]])
            values[0, hits] = strands[strand, at, codes[row, position + at]].sum(axis=1)
            values[1, hits] = self._distributions[motif].p_values(rounded[hits])
        return values

    def _regions(self, tiles: _Tiles, coordinates: Ints, values: Floats) -> Regions:
        order = np.lexsort(coordinates[[3, 2, 1, 0]])
        tile, position, strand, motif = coordinates[:, order]
        score, p_value = values[:, order]
        start = tiles.start[tile] + position
        names, chrom = in_order_of_appearance(tiles.names, tiles.chrom[tile])
        columns = {
            "name": pl.Series([one.name for one in self.motifs], dtype=pl.String).gather(motif),
            "score": score,
            "strand": pl.Series(["+", "-"]).gather(strand),
            "p_value": p_value,
            "motif_id": pl.Series([one.id for one in self.motifs], dtype=pl.String).gather(motif),
        }
        end = start + self._widths[motif]
        return Regions.from_codes(names, chrom, start, end, pl.DataFrame(columns))


def score_regions(
    regions: Regions,
    genome: Genome,
    motifs: Sequence[Motif],
    affinity: Literal["max", "sum"] = "max",
    *,
    background: Sequence[float] = _UNIFORM,
    pseudocount: float = PSEUDOCOUNT,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> Iterator[tuple[Regions, Floats]]:
    """Compute a score of each motif in each region, some regions at a time.

    Parameters
    ----------
    regions, genome
        As for `HitFinder.find`; no region is longer than `MAX_LENGTH`.
    motifs, background, pseudocount, device
        As for `HitFinder`.
    affinity
        `"max"` for the best site (`MotifScanner.max_scores`), `"sum"` for all sites
        (`MotifScanner.sum_scores`).
    progress
        Whether to show a progress bar in a terminal.

    Yields
    ------
    regions
        Some regions, in their order.
    Floats
        float32 (regions, motifs), bits; minus infinity where a region has no site without N.

    Raises
    ------
    SequenceError
        If a region is too long, or an option is not valid.
    """
    lengths = regions.end - regions.start
    if len(lengths) and lengths.max() > MAX_LENGTH:
        longest = regions[[int(lengths.argmax())]]
        raise SequenceError(
            f"the region {longest.loci[0]} has {lengths.max():,} bp; scores are of regions of at "
            f"most {MAX_LENGTH:,} bp: divide it"
        )
    scanner = MotifScanner(log_odds(motifs, background, pseudocount), device)
    score = scanner.max_scores if affinity == "max" else scanner.sum_scores
    for tiles in _tiles(regions, 1, MAX_LENGTH, progress=progress):
        scores = np.empty((len(tiles.start), len(motifs)), np.float32)
        for rows, codes in _fetch(tiles, genome):
            scores[rows] = score(codes)
        yield regions[tiles.region], scores


def log_odds(
    motifs: Sequence[Motif],
    background: Sequence[float] = _UNIFORM,
    pseudocount: float = PSEUDOCOUNT,
) -> list[Matrix]:
    """Return the log-odds of motifs for both strands: see `Motif.log_odds_against`."""
    if not motifs:
        raise SequenceError("no motif is given; give some")
    check_background(background)
    if not np.allclose(background, background[::-1], rtol=0, atol=1e-6):
        raise SequenceError(
            f"the background is {', '.join(map(str, background))}; both strands are scanned, so "
            "give the mean of A and T for both of them, and that of C and G"
        )
    return [motif.log_odds_against(background, pseudocount) for motif in motifs]


def genome_frequencies(genome: Genome) -> tuple[float, float, float, float]:
    """Compute the frequencies of A, C, G and T in a genome: see `base_frequencies`."""
    counts = np.zeros(N + 1, np.int64)
    for tiles in _tiles(genome.extents, 1, progress=True):
        for _, codes in _fetch(tiles, genome):
            counts += np.bincount(codes.ravel(), minlength=N + 1)
    return strand_frequencies(counts[:N])


class _Tiles(NamedTuple):
    """Parts of regions, which are scanned at once."""

    names: tuple[str, ...]  # of chromosomes
    chrom: NDArray[np.int32]
    region: Ints
    start: Ints
    end: Ints  # of the DNA that is read; sites begin in the first `sites` bp
    sites: Ints


def _tiles(
    regions: Regions, widest: int, longest: int = _TILE, *, progress: bool
) -> Iterator[_Tiles]:
    """Divide regions into tiles, whose DNA overlaps by the widest motif less 1 bp."""
    lengths = np.maximum(regions.end - regions.start, 1)  # an empty region has a tile as well
    n_tiles = -(-lengths // longest)
    ends = n_tiles.cumsum()
    # The first tile of each batch: the one with base 0, _BATCH, 2 _BATCH, ... of all regions.
    base = np.arange(0, lengths.sum(), _BATCH)
    region = np.searchsorted(lengths.cumsum(), base, side="right")
    offset = base - (lengths.cumsum() - lengths)[region]
    bounds = np.unique([*((ends - n_tiles)[region] + offset // longest), n_tiles.sum()])
    pairs = list(pairwise(bounds.tolist()))
    for first, stop in with_progress(pairs, "Scanning", shown=progress):
        tile = np.arange(first, stop)
        region = np.searchsorted(ends, tile, side="right")
        start = regions.start[region] + (tile - (ends - n_tiles)[region]) * longest
        sites = np.minimum(regions.end[region] - start, longest)
        end = np.minimum(start + sites + widest - 1, regions.end[region])
        yield _Tiles(regions.chrom_names, regions.chrom_codes[region], region, start, end, sites)


def _fetch(tiles: _Tiles, genome: Genome) -> Iterator[tuple[Ints, Codes]]:
    """Read the DNA of tiles of similar length: their rows, and codes padded with N."""
    lengths = tiles.end - tiles.start
    order = np.argsort(-lengths, kind="stable")
    first = 0
    while first < len(order):
        longest = int(lengths[order[first]])
        # Those of at least half of that length.
        stop = first + int((2 * lengths[order[first:]] >= longest).sum())
        rows = order[first:stop]
        start = tiles.start[rows]
        windows = Regions.from_codes(tiles.names, tiles.chrom[rows], start, start + longest)
        codes = genome.fetch(windows)
        codes[np.arange(longest) >= lengths[rows, None]] = N
        yield rows, codes
        first = stop
