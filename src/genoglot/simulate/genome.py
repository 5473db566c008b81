"""The simulated genome: its DNA between and in elements, with motif sites and splice sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genoglot.sequence.alphabet import LETTERS, Codes, reverse_complement
from genoglot.sequence.motifs import Motif
from genoglot.simulate.elements import PROMOTER, Elements, MotifSites
from genoglot.simulate.genes import Gene

LINE = 60
"""Number of bases on a line of the FASTA file."""

_ASCII = np.frombuffer(LETTERS.encode(), np.uint8)

# First-order Markov chains: rows are the base before, columns the base after, A C G T.
_BACKGROUND = np.array(  # human dinucleotides: 41 % GC, CG a fifth as often as by chance
    [
        [0.33, 0.17, 0.24, 0.26],
        [0.35, 0.26, 0.05, 0.34],
        [0.29, 0.21, 0.26, 0.24],
        [0.22, 0.20, 0.25, 0.33],
    ]
)
# Durbin et al. 1998, Biological Sequence Analysis, table 3.1: outside and inside CpG islands.
_ELEMENT = np.array(
    [
        [0.300, 0.205, 0.285, 0.210],
        [0.322, 0.298, 0.078, 0.302],
        [0.248, 0.246, 0.298, 0.208],
        [0.177, 0.239, 0.292, 0.292],
    ]
)
_ISLAND = np.array(
    [
        [0.180, 0.274, 0.426, 0.120],
        [0.171, 0.368, 0.274, 0.187],
        [0.161, 0.339, 0.375, 0.125],
        [0.079, 0.355, 0.384, 0.182],
    ]
)

# Base frequencies around the splice sites of human introns, A C G T: the last 3 bases of the
# exon and the first 6 of the intron (MAG|GTRAGT); the last 14 of the intron and the first of
# the exon (polypyrimidine tract, NYAG|G). After Zhang 1998, Human Molecular Genetics 7.
_DONOR = np.array(
    [
        [0.33, 0.37, 0.18, 0.12], [0.60, 0.13, 0.12, 0.15], [0.08, 0.04, 0.81, 0.07],
        [0, 0, 1, 0], [0, 0, 0, 1], [0.49, 0.03, 0.45, 0.03], [0.71, 0.07, 0.12, 0.10],
        [0.06, 0.05, 0.84, 0.05], [0.15, 0.16, 0.21, 0.48],
    ]
)  # fmt: skip
_ACCEPTOR = np.array(
    [[0.10, 0.30, 0.10, 0.50]] * 10
    + [[0.25] * 4, [0.04, 0.65, 0.01, 0.30], [1, 0, 0, 0], [0, 0, 1, 0], [0.25, 0.14, 0.49, 0.12]]
)
_POLY_A_SIGNAL = np.array([0, 0, 3, 0, 0, 0], np.uint8)  # AATAAA, 20 bp before a gene's end


@dataclass(frozen=True)
class SimulatedGenome:
    """What the simulated genome consists of.

    Attributes
    ----------
    elements
        The elements.
    sites
        The motif sites in the elements.
    motifs
        Motif of each factor.
    genes
        The genes, in the order of their promoters.
    """

    elements: Elements
    sites: MotifSites
    motifs: list[Motif]
    genes: list[Gene]


def draw_sequences(
    chain: NDArray[np.float64], n: int, length: int, rng: np.random.Generator
) -> Codes:
    """Draw independent sequences from a first-order Markov chain.

    All sequences grow together by one base per step. A table from (base, 12 random bits) to the
    next base makes each step a single look-up.

    Parameters
    ----------
    chain
        Probability of the next base (column) after each base (row), float64 (4, 4).
    n
        Number of sequences.
    length
        Length of each sequence, bp.
    rng
        Source of the draws.

    Returns
    -------
    numpy.ndarray
        uint8 (n, length), codes A C G T = 0 1 2 3.
    """
    bits = 4096
    edges = np.rint(chain.cumsum(1) * bits).astype(np.int64)
    table = (np.arange(bits)[None, :, None] >= edges[:, None, :3]).sum(2).astype(np.uint8).ravel()
    out = np.empty((length, n), np.uint8)
    state = rng.integers(0, 4, n, dtype=np.uint8)
    for step in range(length):
        state = table[state.astype(np.int32) * bits + rng.integers(0, bits, n, dtype=np.uint16)]
        out[step] = state
    return out.T


def _write_at(sequence: Codes, start: NDArray[np.int64], bases: Codes) -> None:
    """Write each row of `bases`, (n, width), into the sequence at its start."""
    sequence[start[:, None] + np.arange(bases.shape[1])] = bases


def chromosome_sequence(index: int, genome: SimulatedGenome, rng: np.random.Generator) -> Codes:
    """Draw the sequence of one chromosome.

    Parameters
    ----------
    index
        Index of the chromosome.
    genome
        The simulated genome.
    rng
        Source of the draws.

    Returns
    -------
    numpy.ndarray
        uint8 (length,), codes A C G T = 0 1 2 3.
    """
    elements, sites = genome.elements, genome.sites
    size = int(elements.chrom_sizes[index])
    stretch = 2048
    sequence = draw_sequences(_BACKGROUND, -(-size // stretch), stretch, rng).ravel()[:size].copy()

    first, last = np.searchsorted(elements.chrom, [index, index + 1])
    start, end = elements.start[first:last], elements.end[first:last]
    promoter = elements.kind[first:last] == PROMOTER
    for chain, chosen in ((_ISLAND, promoter), (_ELEMENT, ~promoter)):
        rows = np.flatnonzero(chosen)
        longest = int((end - start)[rows].max(initial=0))
        for block in np.array_split(rows, 1 + len(rows) // 20_000):  # bounds memory
            bases = draw_sequences(chain, len(block), longest, rng)
            column = np.arange(longest)
            inside = column < (end - start)[block, None]
            sequence[(start[block, None] + column)[inside]] = bases[inside]

    a, b = np.searchsorted(sites.element, [first, last])
    length = (sites.end - sites.start)[a:b]
    for width in np.unique(length):
        mine = a + np.flatnonzero(length == width)
        bases = sites.bases[mine, :width]
        backward = sites.strand[mine] < 0
        bases[backward] = reverse_complement(bases[backward])
        _write_at(sequence, sites.start[mine], bases)
    here = [gene for gene in genome.genes if elements.chrom[gene.promoter] == index]
    _write_splice_sites(sequence, here, rng)
    return sequence


def _write_splice_sites(sequence: Codes, genes: Sequence[Gene], rng: np.random.Generator) -> None:
    """Write the consensus around the ends of each intron, and the poly-A signal of each gene."""
    for strand in (1, -1):
        own = [gene.exons for gene in genes if gene.strand == strand]
        # The boundaries of the introns along the genome: 5' to 3' on the plus strand.
        low = [end for exons in own for _, end in exons[:-1]]
        high = [start for exons in own for start, _ in exons[1:]]
        tail = [exons[-1][1] - 26 if strand > 0 else exons[0][0] + 20 for exons in own]
        donor, acceptor = (low, high) if strand > 0 else (high, low)
        for table, boundary, before in ((_DONOR, donor, 3), (_ACCEPTOR, acceptor, 14)):
            width = len(table)
            draws = rng.random((len(boundary), width, 1))
            bases = (draws >= table.cumsum(1)[None, :, :3]).sum(2).astype(np.uint8)
            start = np.array(boundary, np.int64) - (before if strand > 0 else width - before)
            _write_at(sequence, start, bases if strand > 0 else reverse_complement(bases))
        signal = _POLY_A_SIGNAL if strand > 0 else reverse_complement(_POLY_A_SIGNAL)
        _write_at(sequence, np.array(tail, np.int64), np.tile(signal, (len(tail), 1)))


def write_fasta(
    path: Path, genome: SimulatedGenome, seeds: Sequence[np.random.SeedSequence]
) -> None:
    """Write the simulated genome as FASTA, and its index (`.fai`) beside it.

    Parameters
    ----------
    path
        The FASTA file.
    genome
        The simulated genome.
    seeds
        Seed of each chromosome.
    """
    index_lines = []
    with path.open("wb") as file:
        for i, name in enumerate(genome.elements.chrom_names):
            sequence = chromosome_sequence(i, genome, np.random.default_rng(seeds[i]))
            file.write(f">{name}\n".encode())
            index_lines.append(f"{name}\t{len(sequence)}\t{file.tell()}\t{LINE}\t{LINE + 1}\n")
            whole = len(sequence) // LINE * LINE
            lines = np.full((whole // LINE, LINE + 1), ord("\n"), np.uint8)
            lines[:, :LINE] = _ASCII[sequence[:whole]].reshape(-1, LINE)
            file.write(lines.tobytes())
            if whole < len(sequence):
                file.write(_ASCII[sequence[whole:]].tobytes() + b"\n")
    Path(f"{path}.fai").write_text("".join(index_lines), encoding="utf-8")
