"""What public archives would hold of the simulated world: promoters, methylation, expression.

Written in the very formats of EPD, ENCODE's RRBS and ExPecto, from the world's own truth; variants
are in `genoglot.simulate.variants`.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.simulate.elements import PROMOTER, Elements
from genoglot.simulate.regulation import Regulation

METHYLATION_SAMPLES = 4
"""Biosamples with methylation, the first ones."""

METHYLATED, ISLAND = 0.88, 0.20
"""Mean methylation of a CpG that lies in nothing open: anywhere, and in a promoter."""

UNMETHYLATED = 0.04
"""The same in what is open."""

_REACH = 60  # bp around an MspI site (CCGG) that reduced representation sequences
_READS = 25  # mean coverage of a strand
_CODE_OF = np.full(256, 4, np.uint8)
_CODE_OF[np.frombuffer(b"ACGT", np.uint8)] = np.arange(4)


def chromosomes(fasta: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield name and codes of each chromosome of a genome that `write_fasta` wrote."""
    with fasta.open("rb") as file:
        for line in Path(f"{fasta}.fai").read_text("utf-8").splitlines():
            name, size, offset, bases, width = line.split("\t")
            file.seek(int(offset))
            rows = -(-int(size) // int(bases))
            data = np.frombuffer(file.read(int(size) + rows * (int(width) - int(bases))), np.uint8)
            yield name, _CODE_OF[data[data != ord("\n")]]


def tissue_id(biosample: str) -> str:
    """Spell a biosample as expression tables spell tissues.

    Examples
    --------
    >>> tissue_id("pediatric lung, pneumonia")
    'Pediatric_lung_pneumonia'
    """
    name = re.sub(r"\W+", "_", biosample)
    return name[:1].upper() + name[1:]


def write_promoters(folder: Path, elements: Elements, genes: pl.DataFrame) -> None:
    """Write all promoters as EPD does: `promoters.bed` and `promoters.fps`."""
    rows = np.flatnonzero(elements.kind == PROMOTER)
    named = dict(zip(genes["promoter"].to_list(), genes["gene_name"].to_list(), strict=True))
    bed, fps = [], []
    for number, row in enumerate(rows.tolist(), start=1):
        chrom = elements.chrom_names[int(elements.chrom[row])]
        tss, plus = int(elements.tss[row]), bool(elements.strand[row] > 0)
        name, strand = f"{named.get(row, f'GLE{row}')}_1", "+" if plus else "-"
        low, high = (tss - 49, tss + 11) if plus else (tss - 10, tss + 50)
        thick = (tss, tss + 11) if plus else (tss - 10, tss + 1)
        bed.append(f"{chrom}\t{low}\t{high}\t{name}\t900\t{strand}\t{thick[0]}\t{thick[1]}\n")
        fps.append(f"FP   {name:<20}:+S  EU:{chrom:<18}1{strand}{tss + 1:>10}; {number:05}.\n")
    (folder / "promoters.bed").write_text("".join(bed), "utf-8")
    (folder / "promoters.fps").write_text("".join(fps), "utf-8")


def write_methylation(
    folder: Path,
    truth: Path,
    fasta: Path,
    elements: Elements,
    regulation: Regulation,
    rng: np.random.Generator,
) -> None:
    """Write the CpGs near MspI sites of a few biosamples as bedMethyl, and their true levels.

    A CpG is methylated but for where its element is open, and less in promoters, which are CpG
    islands. Every CpG has a level of its own around that, every strand its own reads.
    """
    samples = regulation.biosamples[:METHYLATION_SAMPLES]
    opened = np.stack([regulation.openness(sample) for sample in samples], axis=1)
    closed = np.where(elements.kind == PROMOTER, ISLAND, METHYLATED)[:, None]
    of_element = UNMETHYLATED * opened + closed * (1 - opened)
    found: list[pl.DataFrame] = []
    for code, (name, sequence) in enumerate(chromosomes(fasta)):
        site = _cpgs(sequence)
        first, last = np.searchsorted(elements.chrom, [code, code + 1])
        at = first + np.searchsorted(elements.end[first:last], site, "right")
        at = np.minimum(at, last - 1)
        inside = (elements.start[at] <= site) & (site < elements.end[at])
        mean = np.where(inside[:, None], of_element[at], METHYLATED)
        # What a CpG has of its own is the same in all samples: one draw of a uniform.
        own = rng.uniform(-1, 1, (len(site), 1))
        level = np.clip(mean + own * 0.8 * mean * (1 - mean), 0, 1)
        columns = {tissue_id(s): level[:, i].astype(np.float32) for i, s in enumerate(samples)}
        found.append(pl.DataFrame({"chrom": [name] * len(site), "start": site, **columns}))
    sites = pl.concat(found)
    sites.write_parquet(truth / "methylation.parquet")
    for name in sites.columns[2:]:
        _write_bed_methyl(folder / f"{name}.bedMethyl.gz", sites, name, rng)


def _cpgs(sequence: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Positions of the C of each CpG that reduced representation would see."""
    c, g = sequence == 1, sequence == 2
    cpg = np.flatnonzero(c[:-1] & g[1:])
    cut = np.flatnonzero(c[:-3] & c[1:-2] & g[2:-1] & g[3:])
    if not len(cut):
        return cpg[:0]
    after = np.searchsorted(cut, cpg)
    near = np.minimum(
        np.abs(cut[np.minimum(after, len(cut) - 1)] - cpg), np.abs(cpg - cut[after - 1])
    )
    seen: NDArray[np.int64] = cpg[near <= _REACH]
    return seen


def _write_bed_methyl(
    path: Path, sites: pl.DataFrame, sample: str, rng: np.random.Generator
) -> None:
    level = sites[sample].to_numpy().astype(np.float64)
    # One row for each strand: the C, and the C opposite to the G behind it.
    reads = rng.negative_binomial(2, 2 / (2 + _READS), (len(level), 2))
    methylated = rng.binomial(reads, level[:, None])
    percent = np.rint(100 * methylated / np.maximum(reads, 1)).astype(np.int64).ravel()
    start = (sites["start"].to_numpy()[:, None] + np.arange(2)).ravel()
    colors = pl.Series(["0,255,0", "255,255,0", "255,0,0"])
    frame = pl.DataFrame(
        {
            "chrom": sites["chrom"].gather(np.repeat(np.arange(len(sites)), 2)),
            "start": start,
            "end": start + 1,
            "name": pl.repeat(sample, len(start), eager=True),
            "score": np.minimum(reads.ravel(), 1000),
            "strand": pl.Series(["+", "-"] * len(sites)),
            "thickStart": start,
            "thickEnd": start + 1,
            "itemRgb": colors.gather(np.minimum(percent // 34, 2).astype(np.uint32)),
            "reads": reads.ravel(),
            "percent": percent,
        }
    )
    write_gzip(path, frame.filter(pl.col("reads") > 0), header=False)


def write_expression(
    folder: Path,
    genes: pl.DataFrame,
    links: pl.DataFrame,
    regulation: Regulation,
    rng: np.random.Generator,
) -> None:
    """Write `geneanno.csv` and `geneanno.exp.csv`, RPKM in every biosample, as ExPecto has them.

    The logarithm of a gene's RPKM grows with the openness of its promoter and, weighted, with that
    of the active enhancers that are linked to it.
    """
    tss = genes["tss"].to_numpy() + 1
    pl.DataFrame(
        {
            "id": genes["gene_id"],
            "symbol": genes["gene_name"],
            "seqnames": genes["chrom"],
            "strand": genes["strand"],
            "TSS": np.maximum(tss + rng.integers(-40, 41, len(tss)), 1),
            "CAGE_representative_TSS": tss,
            "type": ["protein_coding"] * len(tss),
        }
    ).write_csv(folder / "geneanno.csv")
    row, element = links["gene"].to_numpy(), links["element"].to_numpy()
    own = links["distance"].to_numpy() == 0
    weight = np.where(own, 5.0, 2.0 * links["weight"].to_numpy() * regulation.activity[element])
    columns: dict[str, NDArray[np.float64]] = {}
    for sample in regulation.biosamples:
        drive = np.bincount(row, weight * regulation.openness(sample)[element], len(genes))
        noise = rng.normal(0, 0.3, len(genes))
        rpkm = np.exp(-3.0 + drive + noise).round(4)
        columns[tissue_id(sample)] = np.where(rpkm < 0.02, 0, rpkm)
    table = pl.DataFrame({"": np.arange(len(genes)), **columns})
    table.write_csv(folder / "geneanno.exp.csv", quote_style="never")


def write_gzip(path: Path, frame: pl.DataFrame, *, header: bool = True) -> None:
    """Write a tab-separated table whose bytes depend on nothing but its content."""
    text = io.BytesIO()
    frame.write_csv(text, include_header=header, separator="\t")
    path.write_bytes(gzip.compress(text.getvalue(), compresslevel=1, mtime=0))
