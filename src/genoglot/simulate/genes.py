"""Genes of the simulated genome: exons in the gaps between elements, and their enhancers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from genoglot.simulate.elements import ENHANCER, PROMOTER, Elements

_MARGIN = 30  # minimum distance of exons from elements, bp: splice sites never meet motif sites
_REACH = 12  # number of elements on either side of a promoter that can regulate its gene
_DECAY = 20_000  # distance over which the weight of an enhancer falls by a factor of e, bp


@dataclass(frozen=True)
class Gene:
    """A gene.

    Attributes
    ----------
    promoter
        Index of its promoter element.
    strand
        +1 or -1.
    exons
        Start and end of its exons in genomic order, 0-based half-open.
    """

    promoter: int
    strand: int
    exons: list[tuple[int, int]]


def draw_genes(elements: Elements, rng: np.random.Generator) -> list[Gene]:
    """Draw one gene for each promoter that has enough space for one.

    The first exon reaches from the transcription start site into the gap after the promoter. The
    other exons are in later gaps, before the next gene. Two genes that face each other share the
    space between them.
    """
    promoters = np.flatnonzero(elements.kind == PROMOTER)
    strand, chrom, tss = elements.strand, elements.chrom, elements.tss
    genes = []
    for i, promoter in enumerate(promoters.tolist()):
        direction = int(strand[promoter])
        beside = i + direction
        limit = len(elements) - 1 if direction > 0 else 0
        if 0 <= beside < len(promoters) and chrom[promoters[beside]] == chrom[promoter]:
            neighbor = int(promoters[beside])
            faces = strand[neighbor] != direction
            limit = (promoter + neighbor) // 2 if faces else neighbor - direction
        # Gap g lies between elements g and g + 1.
        forward, backward = range(promoter, limit), range(promoter - 1, limit - 1, -1)
        gaps = forward if direction > 0 else backward
        exons = _draw_exons(elements, direction, int(tss[promoter]), gaps, rng)
        if exons:
            genes.append(Gene(promoter, direction, exons))
    return genes


def _draw_exons(
    elements: Elements, direction: int, tss: int, gaps: range, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw the exons of a gene, in gaps between elements in the order of transcription."""
    wanted, length, spread = int(rng.poisson(4)) + 1, rng.integers(50, 250, 64), rng.random(64)
    exons: list[tuple[int, int]] = []
    skip = 0
    for gap in gaps:
        if len(exons) == wanted or elements.chrom[gap] != elements.chrom[gap + 1]:
            break
        low, high = int(elements.end[gap]) + _MARGIN, int(elements.start[gap + 1]) - _MARGIN
        draw = len(exons) % 64
        if not exons:  # the first exon starts at the transcription start site
            inside = min(int(length[draw]), max(high - low, 0))
            if direction > 0:
                exons.append((tss, low - _MARGIN + max(inside, 10)))
            else:
                exons.append((high + _MARGIN - max(inside, 10), tss + 1))
            continue
        if skip > 0 or high - low < 60:
            skip -= 1
            continue
        size = min(int(length[draw]), high - low)
        at = low + int(spread[draw] * (high - low - size + 1))
        exons.append((at, at + size))
        skip = int(rng.integers(0, 3))
    return sorted(exons)


def gene_table(elements: Elements, genes: list[Gene]) -> pl.DataFrame:
    """Return a table of the genes, with positions that are 0-based half-open.

    Returns
    -------
    polars.DataFrame
        gene_id, gene_name, chrom, start, end, strand, tss, promoter (index of an element) and exons
        (number of them).
    """
    n = len(genes)
    promoter = np.array([gene.promoter for gene in genes], np.int64)
    return pl.DataFrame(
        {
            "gene_id": [f"GLTG{i + 1:08d}" for i in range(n)],
            "gene_name": [f"GLT{i + 1}" for i in range(n)],
            "chrom": elements.chromosome_names(elements.chrom[promoter]),
            "start": [gene.exons[0][0] for gene in genes],
            "end": [gene.exons[-1][1] for gene in genes],
            "strand": ["+" if gene.strand > 0 else "-" for gene in genes],
            "tss": elements.tss[promoter],
            "promoter": promoter,
            "exons": [len(gene.exons) for gene in genes],
        }
    )


def link_table(elements: Elements, genes: list[Gene]) -> pl.DataFrame:
    """Return a table of the elements that regulate each gene.

    The promoter of a gene has weight 1. Up to five of the nearest enhancers have a weight that
    falls exponentially with the distance to the transcription start site.

    Returns
    -------
    polars.DataFrame
        gene (row of the gene table), element, distance (bp, negative upstream on the strand of the
        gene) and weight.
    """
    promoter = np.array([gene.promoter for gene in genes], np.int64)
    step = np.r_[-_REACH:0, 1 : _REACH + 1]
    near = promoter[:, None] + step[None]  # (genes, 2 * _REACH)
    inside = (near >= 0) & (near < len(elements))
    near = np.clip(near, 0, len(elements) - 1)
    same = elements.chrom[near] == elements.chrom[promoter][:, None]
    middle = (elements.start + elements.end) // 2
    tss = elements.tss[promoter][:, None]
    distance = (middle[near] - tss) * elements.strand[promoter][:, None]
    usable = inside & same & (elements.kind[near] == ENHANCER)
    order = np.where(usable, np.abs(distance), np.iinfo(np.int64).max).argsort(1)[:, :5]
    rows = np.arange(len(genes))[:, None]
    row, rank = np.nonzero(usable[rows, order])
    column = order[row, rank]
    distances = distance[row, column]
    own = np.arange(len(genes))
    table = pl.DataFrame(
        {
            "gene": np.r_[own, row],
            "element": np.r_[promoter, near[row, column]],
            "distance": np.r_[np.zeros(len(genes), np.int64), distances],
            "weight": np.r_[np.ones(len(genes)), np.exp(-np.abs(distances) / _DECAY)],
        }
    )
    return table.sort("gene", "element")


def write_gtf(path: Path, elements: Elements, genes: list[Gene], rng: np.random.Generator) -> None:
    """Write genes, transcripts and exons as GTF (1-based, closed).

    Three in ten genes with four or more exons have a second transcript that skips one of them.

    Parameters
    ----------
    path
        The GTF file.
    elements
        The elements.
    genes
        The genes.
    rng
        Source of the second transcripts.
    """
    table = gene_table(elements, genes)
    codes = elements.chrom[table["promoter"].to_numpy()]
    columns = table.select("gene_id", "gene_name", "chrom", "strand").rows()
    alternative, skipped = rng.random(len(genes)) < 0.3, rng.random(len(genes))
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("##description: simulated genes, not of any organism\n")
        for row in np.lexsort((table["start"].to_numpy(), codes)):
            exons = genes[row].exons
            transcripts = [exons]
            if alternative[row] and len(exons) >= 4:
                out = 1 + int(skipped[row] * (len(exons) - 2))
                transcripts.append(exons[:out] + exons[out + 1 :])
            gene_id, name, chrom, strand = columns[row]
            file.writelines(_gtf_lines(gene_id, name, chrom, strand, transcripts))


def _gtf_lines(
    gene_id: str, name: str, chrom: str, strand: str, transcripts: list[list[tuple[int, int]]]
) -> Iterator[str]:
    """Yield the lines of a gene, given the exons of each of its transcripts."""

    def line(feature: str, start: int, end: int, attributes: str) -> str:
        where = f"{start + 1}\t{end}\t.\t{strand}\t."
        return f"{chrom}\tgenoglot\t{feature}\t{where}\t{attributes}\n"

    shared = f'gene_id "{gene_id}"; gene_name "{name}"; gene_type "protein_coding";'
    yield line("gene", transcripts[0][0][0], transcripts[0][-1][1], shared)
    for number, exons in enumerate(transcripts, start=1):
        transcript = f"{gene_id.replace('GLTG', 'GLTT')}.{number}"
        ids = f'{shared} transcript_id "{transcript}";'
        yield line("transcript", exons[0][0], exons[-1][1], ids)
        ordered = exons if strand == "+" else exons[::-1]
        for exon, (start, end) in enumerate(ordered, start=1):
            yield line("exon", start, end, f"{ids} exon_number {exon};")
