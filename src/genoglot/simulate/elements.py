"""Regulatory elements of the simulated genome, and the motif sites in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.sequence.motifs import Motif
from genoglot.simulate.biosamples import UBIQUITOUS, Program
from genoglot.simulate.factors import sample_sites
from genoglot.simulate.parameters import Parameters

KINDS = ("promoter", "enhancer", "ctcf", "inactive")
PROMOTER, ENHANCER, CTCF, INACTIVE = range(4)
UPSTREAM, DOWNSTREAM = 240, 60
"""Length of a promoter before and after its transcription start site, bp."""
MINIMUM_GAP = 60
"""Minimum distance between two elements, bp."""
MARGIN = 5
"""Minimum distance of a motif site from the ends of its element, bp."""
MAXIMUM_SITES = 8
"""Maximum number of motif sites of an element."""
SITE_WIDTH = 21
"""Width of the longest motif, bp."""
BOXES = (("TBP", 0.3, -33, -30), ("NFYA", 0.5, -97, -82), ("SP1", 0.75, -66, -46))
"""The boxes of a core promoter (Bucher 1990, J. Mol. Biol. 212: TATA box near -30, CCAAT box near
-80, GC boxes between): factor, fraction of the promoters that have it, and the first and last
position at which it can begin, relative to the transcription start site, bp."""
BOX_ZONE = 100
"""Distance from the transcription start site within which promoters only have boxes, bp."""


@dataclass(frozen=True)
class Elements:
    """The elements, which are the regions of the universe, and their properties.

    Every array but `chrom_sizes` has the shape (elements,).

    Attributes
    ----------
    chrom_names
        Names of the chromosomes, in the order of the universe.
    chrom_sizes
        Lengths of the chromosomes, bp, int64 (chromosomes,).
    chrom
        int16, index into `chrom_names`.
    start, end
        int64, 0-based half-open, sorted, at least `MINIMUM_GAP` apart.
    kind
        uint8, index into `KINDS`.
    program
        int16, index into the programs; -1 for an element that follows none.
    strand
        int8, +1 or -1: direction of the gene of a promoter; 0 for other elements.
    baseline
        float32, log-odds of being open without any factor. It makes an element popular.
    gain
        float32, log-odds that all factors of the element together add; near 0 if it is inactive.
    activity
        float32, 0 to 1: probability of H3K27ac when the element is open.
    polycomb
        float32, 0 to 1: probability of H3K27me3 when the element is closed.
    """

    chrom_names: tuple[str, ...]
    chrom_sizes: NDArray[np.int64]
    chrom: NDArray[np.int16]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    kind: NDArray[np.uint8]
    program: NDArray[np.int16]
    strand: NDArray[np.int8]
    baseline: NDArray[np.float32]
    gain: NDArray[np.float32]
    activity: NDArray[np.float32]
    polycomb: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.start)

    @property
    def tss(self) -> NDArray[np.int64]:
        """0-based transcription start site of each promoter, int64; -1 for other elements."""
        forward, backward = self.start + UPSTREAM, self.start + DOWNSTREAM - 1
        return np.select([self.strand > 0, self.strand < 0], [forward, backward], -1)

    def free_space(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the bp before and after each element, up to its neighbor or chromosome end."""
        first = np.r_[True, self.chrom[1:] != self.chrom[:-1]]
        last = np.r_[first[1:], True]
        before = np.where(first, self.start, self.start - np.r_[0, self.end[:-1]])
        after = np.where(last, self.chrom_sizes[self.chrom] - self.end, np.r_[before[1:], 0])
        return before, after

    def containing(self, chrom: int, position: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the element that contains each position of a chromosome; -1 if there is none."""
        first, last = np.searchsorted(self.chrom, [chrom, chrom + 1])
        at = first + np.searchsorted(self.end[first:last], position, "right")
        at = np.minimum(at, last - 1)
        return np.where((self.start[at] <= position) & (position < self.end[at]), at, -1)

    def chromosome_names(self, codes: NDArray[Any]) -> pl.Series:
        """Return the names of chromosomes, given as indices into `chrom_names`."""
        return pl.Series(self.chrom_names).gather(codes.astype(np.uint32))


@dataclass(frozen=True)
class MotifSites:
    """Motif sites in the elements, sorted by element and start.

    Attributes
    ----------
    element
        int32 (sites,), index of the element.
    factor
        int16 (sites,), index of the factor.
    start, end
        int64 (sites,), 0-based half-open positions on the chromosome.
    strand
        int8 (sites,), +1 or -1.
    score
        float32 (sites,), relative motif score, 0 to 1.
    bases
        uint8 (sites, SITE_WIDTH), codes A C G T N = 0 1 2 3 4 of the site along its own strand,
        padded with N.
    """

    element: NDArray[np.int32]
    factor: NDArray[np.int16]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    strand: NDArray[np.int8]
    score: NDArray[np.float32]
    bases: NDArray[np.uint8]


def draw_elements(
    parameters: Parameters, programs: Sequence[Program], rng: np.random.Generator
) -> Elements:
    """Draw the positions of the elements on the chromosomes, and their properties."""
    n = parameters.elements
    per_chrom = np.linspace(1.3, 0.7, parameters.chromosomes)
    bounds = np.rint(np.r_[0, per_chrom.cumsum() / per_chrom.sum()] * n).astype(np.int64)
    chrom = np.repeat(np.arange(parameters.chromosomes), np.diff(bounds)).astype(np.int16)

    shares = np.array([parameters.shares[kind] for kind in KINDS])
    kind = rng.choice(len(KINDS), n, p=shares).astype(np.uint8)
    length = rng.integers(parameters.lengths[0], parameters.lengths[1] + 1, n)
    length[kind == PROMOTER] = UPSTREAM + DOWNSTREAM
    spare = rng.gamma(1.2, (parameters.mean_gap - MINIMUM_GAP) / 1.2, n)
    gap = MINIMUM_GAP + spare.astype(np.int64)
    start, end = np.empty(n, np.int64), np.empty(n, np.int64)
    sizes = np.empty(parameters.chromosomes, np.int64)
    for i, (a, b) in enumerate(pairwise(bounds.tolist())):
        end[a:b] = (gap[a:b] + length[a:b]).cumsum() + 1_000
        start[a:b] = end[a:b] - length[a:b]
        sizes[i] = end[b - 1] + 1_000

    active = kind != INACTIVE
    mean = np.array([-3.0, -5.5, -2.0, -9.0])[kind]
    spread = np.array([1.3, 0.9, 2.2, 1.0])[kind]
    gain = np.where(active, rng.normal(13.0, 1.0, n), rng.uniform(0, 1, n))
    gain = np.where(kind == PROMOTER, 0.65 * gain, np.where(kind == CTCF, 0.4 * gain, gain))
    program = _choose_programs(kind, programs, rng)
    silenced = (kind == PROMOTER) & (program >= 0) | (kind == ENHANCER) & (rng.random(n) < 0.05)
    return Elements(
        tuple(f"chr{i + 1}" for i in range(parameters.chromosomes)),
        sizes,
        chrom,
        start,
        end,
        kind,
        program,
        np.where(kind == PROMOTER, rng.choice([-1, 1], n), 0).astype(np.int8),
        (mean + spread * rng.standard_normal(n)).astype(np.float32),
        gain.astype(np.float32),
        np.where(active, rng.beta(5, 1.5, n), 0.1).astype(np.float32),
        np.where(silenced, rng.beta(6, 1.5, n), 0.01).astype(np.float32),
    )


def _choose_programs(
    kind: NDArray[np.uint8], programs: Sequence[Program], rng: np.random.Generator
) -> NDArray[np.int16]:
    """Choose a program for each enhancer and for each tissue-specific promoter.

    Neighbors belong to a domain of 12 elements, and half of them follow the program of the domain,
    so that a gene and the enhancers around it are often active in the same tissues.
    """
    n = len(kind)
    weight = {"organ": 1.0, "system": 1.2, "cell": 0.4, "condition": 2.5}
    chance = np.array([weight[program.kind] for program in programs])
    chance /= chance.sum()
    own = rng.choice(len(programs), n, p=chance)
    of_domain = rng.choice(len(programs), n // 12 + 1, p=chance)[np.arange(n) // 12]
    program = np.where(rng.random(n) < 0.5, of_domain, own)
    specific = (kind == ENHANCER) | ((kind == PROMOTER) & (rng.random(n) < 0.6))
    return np.where(specific, program, -1).astype(np.int16)


def _choose_from(
    pool: Sequence[int], n: int, maximum: int, rng: np.random.Generator
) -> NDArray[np.int16]:
    """For each of `n` elements, choose 2 to `maximum` of the pool without repeats.

    Returns
    -------
    numpy.ndarray
        int16 (n, maximum), padded with -1.
    """
    width = min(maximum, len(pool))
    order = rng.random((n, len(pool))).argsort(1)[:, :width]
    chosen = np.asarray(pool, np.int16)[order]
    chosen[np.arange(width) >= rng.integers(2, width + 1, n)[:, None]] = -1
    return np.pad(chosen, ((0, 0), (0, maximum - width)), constant_values=-1)


def choose_factors(
    elements: Elements,
    programs: Sequence[Program],
    factors: Sequence[str],
    rng: np.random.Generator,
) -> NDArray[np.int16]:
    """Choose the factors that each element has motif sites of.

    An enhancer has 2 to 4 factors of its program. One in four also has a factor of a condition, and
    needs both: some enhancers of the inflamed lung are open neither in a healthy lung nor in other
    inflamed organs. Columns 5 to 7 are the boxes of promoters.

    Parameters
    ----------
    elements
        The elements.
    programs
        All programs.
    factors
        Names of all factors.
    rng
        Source of the draws.

    Returns
    -------
    numpy.ndarray
        int16 (elements, MAXIMUM_SITES), padded with -1; no factor is twice in a row.
    """
    index = {name: i for i, name in enumerate(factors)}
    n, kind = len(elements), elements.kind
    table = np.full((n, MAXIMUM_SITES), -1, np.int16)
    for i, program in enumerate(programs):
        rows = np.flatnonzero(elements.program == i)
        table[rows, :4] = _choose_from([index[name] for name in program.factors], len(rows), 4, rng)
    table[kind == PROMOTER, 2:4] = -1  # two factors of a program are enough beside the boxes

    conditions = [program for program in programs if program.kind == "condition"]
    pool = [index[name] for program in conditions for name in program.factors]
    composite = (kind == ENHANCER) & (rng.random(n) < 0.25)
    table[composite, 4] = rng.choice(pool, composite.sum())

    boxes = [name for name, *_ in BOXES]
    common = [index[name] for name in UBIQUITOUS if name in index and name not in boxes]
    common.remove(index["CTCF"])
    housekeeping = (kind == PROMOTER) & (elements.program < 0)
    table[housekeeping, :2] = _choose_from(common, int(housekeeping.sum()), 2, rng)
    supported = (kind == ENHANCER) & (rng.random(n) < 0.2)
    table[supported, 5] = rng.choice(common, supported.sum())
    for column, (name, share, *_) in enumerate(BOXES, start=5):
        rows = (kind == PROMOTER) & (rng.random(n) < share)
        table[rows, column] = index[name]

    table[kind == CTCF, 0] = index["CTCF"]
    # Decoys: a site in an inactive element has no effect, like most sites in a genome.
    decoy = (kind == INACTIVE) & (rng.random(n) < 0.4)
    table[decoy, 0] = rng.integers(0, len(factors), decoy.sum())
    for later in range(1, MAXIMUM_SITES):
        repeated = (table[:, :later] == table[:, later, None]).any(1)
        table[repeated, later] = -1
    return table


def plant_sites(
    elements: Elements,
    table: NDArray[np.int16],
    motifs: Sequence[Motif],
    rng: np.random.Generator,
) -> MotifSites:
    """Draw a sequence, a position and a strand for the motif site of each chosen factor.

    Sites of one element do not overlap. The boxes of a promoter are at their usual distances from
    the transcription start site, on the strand of the gene.

    Parameters
    ----------
    elements
        The elements.
    table
        Factors of each element: see `choose_factors`.
    motifs
        Motif of each factor.
    rng
        Source of the draws.
    """
    widths = np.array([len(motif) for motif in motifs])
    width = np.where(table >= 0, widths[table], 0)  # (elements, MAXIMUM_SITES)
    promoter = elements.kind == PROMOTER
    boxed = np.zeros(table.shape, bool)
    boxed[promoter, 5:] = table[promoter, 5:] >= 0

    # Sites that are not boxes, in the order of columns: divide the spare bp at random among them.
    free = np.where(boxed, 0, width)
    length = np.where(promoter, UPSTREAM - BOX_ZONE, elements.end - elements.start) - 2 * MARGIN
    spare = np.maximum(length - free.sum(1), 0)
    cuts = np.sort(rng.random(table.shape), axis=1) * (spare[:, None] + 1)
    offset = MARGIN + cuts.astype(np.int64) + free.cumsum(1) - free
    for column, (_, _, low, high) in enumerate(BOXES, start=5):
        begin = UPSTREAM + rng.integers(low, high + 1, len(elements))
        offset[:, column] = np.where(promoter, begin, offset[:, column])
    # So far, offsets in a promoter count along its gene: mirror those on the minus strand.
    mirrored = (elements.end - elements.start)[:, None] - offset - width
    offset = np.where((elements.strand < 0)[:, None], mirrored, offset)

    strand = rng.choice(np.array([-1, 1], np.int8), table.shape)
    strand = np.where(boxed, elements.strand[:, None], strand)
    rows, columns = np.nonzero(table >= 0)
    start = elements.start[rows] + offset[rows, columns]
    order = np.lexsort((start, rows))
    rows, columns, start = rows[order], columns[order], start[order]
    factor = table[rows, columns]

    bases = np.full((len(rows), SITE_WIDTH), 4, np.uint8)
    score = np.empty(len(rows), np.float32)
    for i, motif in enumerate(motifs):
        mine = np.flatnonzero(factor == i)
        drawn = sample_sites(motif, rng, len(mine))
        bases[mine, : len(motif)] = drawn
        score[mine] = motif.relative_scores(drawn)
    return MotifSites(
        rows.astype(np.int32),
        factor,
        start,
        start + widths[factor],
        strand[rows, columns].astype(np.int8),
        score,
        bases,
    )
