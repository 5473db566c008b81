"""Regulatory elements: where they lie, what they are, and which factors' sites they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from genoglot.sequence.motifs import Motif
from genoglot.simulate.biosamples import UBIQUITOUS, Program
from genoglot.simulate.factors import sample_sites
from genoglot.simulate.parameters import Parameters

KINDS = ("promoter", "enhancer", "ctcf", "inactive")
PROMOTER, ENHANCER, CTCF, INACTIVE = range(4)
UPSTREAM, DOWNSTREAM = 240, 60  # a promoter reaches so far from its transcription start site
MIN_GAP = 60
MARGIN = 5  # no site within so many bp of an element's ends
SITES = 8  # the most sites that one element has
SITE_WIDTH = 21  # the longest motif

# The classical boxes of a core promoter: factor, share of the promoters that have it, and where
# its motif's first base may lie, counted from the transcription start site (Bucher 1990,
# J. Mol. Biol. 212: TATA box near -30, CCAAT box near -80, GC boxes between).
BOXES = (("TBP", 0.3, -33, -30), ("NFYA", 0.5, -97, -82), ("SP1", 0.75, -66, -46))
_BOX_ZONE = 100  # other sites of a promoter lie further upstream than this


@dataclass(frozen=True)
class Elements:
    """The universe's regions and their hidden properties; every array is (elements,).

    Parameters
    ----------
    chrom_names
        Chromosome names in the universe's order.
    chrom_sizes
        Their lengths, bp.
    chrom
        int16 index into `chrom_names`.
    start, end
        int64, 0-based half-open, sorted, at least `MIN_GAP` apart.
    kind
        uint8 index into `KINDS`.
    program
        int16 index into the programs; -1 for an element that follows none.
    strand
        int8, +1 or -1: direction of a promoter's gene; 0 for other elements.
    baseline
        float32, log-odds of being open without any factor: what makes an element popular.
    gain
        float32, what its factors together add to that; near 0 for an inactive element.
    activity
        float32, 0 to 1: how often it carries H3K27ac when open.
    polycomb
        float32, 0 to 1: how often it carries H3K27me3 when closed.
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
        """0-based transcription start site of each promoter; -1 for other elements."""
        forward, backward = self.start + UPSTREAM, self.start + DOWNSTREAM - 1
        return np.select([self.strand > 0, self.strand < 0], [forward, backward], -1)

    def room(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Free base pairs before and after each element, up to its neighbor or chromosome end."""
        first = np.r_[True, self.chrom[1:] != self.chrom[:-1]]
        last = np.r_[first[1:], True]
        before = np.where(first, self.start, self.start - np.r_[0, self.end[:-1]])
        after = np.where(last, self.chrom_sizes[self.chrom] - self.end, np.r_[before[1:], 0])
        return before, after


@dataclass(frozen=True)
class Sites:
    """Planted motif instances, sorted by element and start; every array is (sites,).

    `bases` is uint8 (sites, `SITE_WIDTH`): the site's sequence along its own strand, codes
    A C G T = 0 1 2 3, padded with 4. Coordinates are 0-based half-open on the chromosome.
    """

    element: NDArray[np.int32]
    factor: NDArray[np.int16]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    strand: NDArray[np.int8]
    score: NDArray[np.float32]
    bases: NDArray[np.uint8]


def lay_out(
    parameters: Parameters, programs: Sequence[Program], rng: np.random.Generator
) -> Elements:
    """Place the elements along the chromosomes and draw their hidden properties."""
    n = parameters.elements
    per_chrom = np.linspace(1.3, 0.7, parameters.chromosomes)
    bounds = np.rint(np.r_[0, per_chrom.cumsum() / per_chrom.sum()] * n).astype(np.int64)
    chrom = np.repeat(np.arange(parameters.chromosomes), np.diff(bounds)).astype(np.int16)

    shares = np.array([parameters.shares[kind] for kind in KINDS])
    kind = rng.choice(len(KINDS), n, p=shares).astype(np.uint8)
    length = rng.integers(parameters.lengths[0], parameters.lengths[1] + 1, n)
    length[kind == PROMOTER] = UPSTREAM + DOWNSTREAM
    gap = MIN_GAP + rng.gamma(1.2, (parameters.mean_gap - MIN_GAP) / 1.2, n).astype(np.int64)
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
    """One program per enhancer and per tissue-specific promoter.

    Neighbors belong to a domain of some 12 elements and half of them follow its program, so
    that a gene and the enhancers around it are often active in the same tissues.
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


def _pick(pool: Sequence[int], n: int, most: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """For each of `n` elements a random choice without repeats of 2 to `most` of the pool.

    Returns int16 (n, most), padded with -1.
    """
    most_here = min(most, len(pool))
    order = rng.random((n, len(pool))).argsort(1)[:, :most_here]
    chosen = np.asarray(pool, np.int16)[order]
    chosen[np.arange(most_here) >= rng.integers(2, most_here + 1, n)[:, None]] = -1
    return np.pad(chosen, ((0, 0), (0, most - most_here)), constant_values=-1)


def choose_factors(
    elements: Elements,
    programs: Sequence[Program],
    factors: Sequence[str],
    rng: np.random.Generator,
) -> NDArray[np.int16]:
    """Choose the factors that each element has sites of.

    An enhancer takes 2 to 4 factors of its program, and one in four also takes a factor of a
    condition, so that it needs both: a part of the inflamed lung is neither lung nor
    inflammation. Columns 5 to 7 are a promoter's boxes.

    Returns
    -------
    int16 (elements, SITES), padded with -1; no factor twice in a row
    """
    index = {name: i for i, name in enumerate(factors)}
    n, kind = len(elements), elements.kind
    table = np.full((n, SITES), -1, np.int16)
    for i, program in enumerate(programs):
        rows = np.flatnonzero(elements.program == i)
        table[rows, :4] = _pick([index[name] for name in program.factors], len(rows), 4, rng)
    table[kind == PROMOTER, 2:4] = -1  # two factors of a program are enough beside the boxes

    conditions = [program for program in programs if program.kind == "condition"]
    pool = [index[name] for program in conditions for name in program.factors]
    composite = (kind == ENHANCER) & (rng.random(n) < 0.25)
    table[composite, 4] = rng.choice(pool, composite.sum())

    boxes = [name for name, *_ in BOXES]
    common = [index[name] for name in UBIQUITOUS if name in index and name not in boxes]
    common.remove(index["CTCF"])
    housekeeping = (kind == PROMOTER) & (elements.program < 0)
    table[housekeeping, :2] = _pick(common, int(housekeeping.sum()), 2, rng)
    supported = (kind == ENHANCER) & (rng.random(n) < 0.2)
    table[supported, 5] = rng.choice(common, supported.sum())
    for column, (name, share, *_) in enumerate(BOXES, start=5):
        rows = (kind == PROMOTER) & (rng.random(n) < share)
        table[rows, column] = index[name]

    table[kind == CTCF, 0] = index["CTCF"]
    # Decoys: a site in an inactive element opens nothing, as most sites in a genome do not.
    decoy = (kind == INACTIVE) & (rng.random(n) < 0.4)
    table[decoy, 0] = rng.integers(0, len(factors), decoy.sum())
    for later in range(1, SITES):
        repeated = (table[:, :later] == table[:, later, None]).any(1)
        table[repeated, later] = -1
    return table


def plant_sites(
    elements: Elements,
    table: NDArray[np.int16],
    motifs: Sequence[Motif],
    rng: np.random.Generator,
) -> Sites:
    """Give every chosen factor a site: a sequence drawn from its matrix, a place, a strand.

    Sites of one element do not overlap. Those of a promoter's boxes lie at their usual
    distances from the transcription start site, on the gene's strand.
    """
    widths = np.array([len(motif) for motif in motifs])
    width = np.where(table >= 0, widths[table], 0)  # (elements, SITES)
    promoter = elements.kind == PROMOTER
    boxed = np.zeros(table.shape, bool)
    boxed[promoter, 5:] = table[promoter, 5:] >= 0

    # Free sites, in order of column: cut the spare room at random places between them.
    free = np.where(boxed, 0, width)
    room = np.where(promoter, UPSTREAM - _BOX_ZONE, elements.end - elements.start) - 2 * MARGIN
    spare = np.maximum(room - free.sum(1), 0)
    cuts = np.sort(rng.random(table.shape), axis=1) * (spare[:, None] + 1)
    offset = MARGIN + cuts.astype(np.int64) + free.cumsum(1) - free
    for column, (_, _, low, high) in enumerate(BOXES, start=5):
        place = UPSTREAM + rng.integers(low, high + 1, len(elements))
        offset[:, column] = np.where(promoter, place, offset[:, column])
    # So far offsets of a promoter count along its gene: mirror those of the minus strand.
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
    return Sites(
        rows.astype(np.int32),
        factor,
        start,
        start + widths[factor],
        strand[rows, columns].astype(np.int8),
        score,
        bases,
    )
