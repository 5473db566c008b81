"""Files as public archives provide them: promoters, methylation and expression.

They have the formats of EPD, of ENCODE's RRBS and of ExPecto, and follow from the ground truth of
the simulated world. Variants are in `genoglot.simulate.variants`.
"""

from __future__ import annotations

import re

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.sequence.alphabet import Codes
from genoglot.sequence.fasta import read_fasta
from genoglot.simulate.elements import PROMOTER, Elements
from genoglot.simulate.tsv import write_gzip
from genoglot.simulate.world import World

METHYLATION_SAMPLES = 4
"""Number of biosamples with methylation: the first ones."""

METHYLATED, ISLAND = 0.88, 0.20
"""Mean methylation of a CpG that is not in an open element: anywhere, and in a promoter."""

UNMETHYLATED = 0.04
"""Mean methylation of a CpG in an open element."""

_REACH = 60  # distance from an MspI site (CCGG) that reduced representation sequences, bp
_READS = 25  # mean coverage of a strand


def tissue_id(biosample: str) -> str:
    """Return the name of a biosample as expression tables write tissues.

    Examples
    --------
    >>> tissue_id("pediatric lung, pneumonia")
    'Pediatric_lung_pneumonia'
    """
    name = re.sub(r"\W+", "_", biosample)
    return name[:1].upper() + name[1:]


def write_promoters(world: World, elements: Elements) -> None:
    """Write all promoters in two formats of EPD: `promoters.bed` and `promoters.fps`.

    Parameters
    ----------
    world
        The world, with its genes.
    elements
        The elements.
    """
    rows = np.flatnonzero(elements.kind == PROMOTER)
    named = dict(world.ground_truth("genes").select("promoter", "gene_name").iter_rows())
    bed, fps = [], []
    for number, row in enumerate(rows.tolist(), start=1):
        chrom = elements.chrom_names[int(elements.chrom[row])]
        tss, plus = int(elements.tss[row]), bool(elements.strand[row] > 0)
        name, strand = f"{named.get(row, f'GLE{row}')}_1", "+" if plus else "-"
        low, high = (tss - 49, tss + 11) if plus else (tss - 10, tss + 50)
        thick = (tss, tss + 11) if plus else (tss - 10, tss + 1)
        bed.append(f"{chrom}\t{low}\t{high}\t{name}\t900\t{strand}\t{thick[0]}\t{thick[1]}\n")
        fps.append(f"FP   {name:<20}:+S  EU:{chrom:<18}1{strand}{tss + 1:>10}; {number:05}.\n")
    (world.assays_path / "promoters.bed").write_text("".join(bed), "utf-8")
    (world.assays_path / "promoters.fps").write_text("".join(fps), "utf-8")


def write_methylation(world: World, elements: Elements, rng: np.random.Generator) -> None:
    """Write CpGs near MspI sites of some biosamples as bedMethyl, and their true levels.

    A CpG is methylated unless its element is open, and less in promoters, which are CpG islands.
    Each CpG has a level of its own around that mean, and each strand has its own reads.

    Parameters
    ----------
    world
        The world, with its genome and rules.
    elements
        The elements.
    rng
        Source of the draws.
    """
    regulation = world.regulation
    samples = regulation.biosamples[:METHYLATION_SAMPLES]
    opened = np.stack([regulation.openness(sample) for sample in samples], axis=1)
    closed = np.where(elements.kind == PROMOTER, ISLAND, METHYLATED)[:, None]
    of_element = UNMETHYLATED * opened + closed * (1 - opened)
    found: list[pl.DataFrame] = []
    for code, record in enumerate(read_fasta(world.genome_path)):
        site = _find_cpgs(record.codes)
        element = elements.containing(code, site)[:, None]
        mean = np.where(element >= 0, of_element[element[:, 0]], METHYLATED)
        # The level of a CpG differs from the mean in the same way in all samples.
        own = rng.uniform(-1, 1, (len(site), 1))
        level = np.clip(mean + own * 0.8 * mean * (1 - mean), 0, 1)
        columns = {tissue_id(s): level[:, i].astype(np.float32) for i, s in enumerate(samples)}
        found.append(pl.DataFrame({"chrom": [record.name] * len(site), "start": site, **columns}))
    sites = pl.concat(found)
    sites.write_parquet(world.ground_truth_path / "methylation.parquet")
    for name in sites.columns[2:]:
        frame = _bed_methyl(sites, name, rng)
        write_gzip(world.assays_path / f"{name}.bedMethyl.gz", frame, header=False)


def _find_cpgs(sequence: Codes) -> NDArray[np.int64]:
    """Return the positions of the C of each CpG that reduced representation sequences."""
    c, g = sequence == 1, sequence == 2
    cpg = np.flatnonzero(c[:-1] & g[1:])
    cut = np.flatnonzero(c[:-3] & c[1:-2] & g[2:-1] & g[3:])
    if not len(cut):
        return cpg[:0]
    after = np.searchsorted(cut, cpg)
    near = np.minimum(
        np.abs(cut[np.minimum(after, len(cut) - 1)] - cpg), np.abs(cpg - cut[after - 1])
    )
    return np.asarray(cpg[near <= _REACH])


def _bed_methyl(sites: pl.DataFrame, sample: str, rng: np.random.Generator) -> pl.DataFrame:
    """Draw reads of both strands of each CpG in a biosample."""
    level = sites[sample].to_numpy().astype(np.float64)
    # One row per strand: the C, and the C opposite to the G after it.
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
    return frame.filter(pl.col("reads") > 0)


def write_expression(world: World, rng: np.random.Generator) -> None:
    """Write `geneanno.csv` and `geneanno.exp.csv`, RPKM in every biosample, like ExPecto.

    The logarithm of the RPKM of a gene rises with the openness of its promoter and with the
    weighted openness of the active enhancers that are linked to it.

    Parameters
    ----------
    world
        The world, with its genes and rules.
    rng
        Source of the draws.
    """
    genes, links = world.ground_truth("genes"), world.ground_truth("links")
    regulation = world.regulation
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
    ).write_csv(world.assays_path / "geneanno.csv")
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
    table.write_csv(world.assays_path / "geneanno.exp.csv", quote_style="never")
