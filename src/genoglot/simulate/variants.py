"""Effects of single bases of the simulated genome, in the formats of GTEx and of an MPRA."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.sequence.alphabet import LETTERS, Codes
from genoglot.sequence.fasta import read_fasta
from genoglot.simulate.assays import tissue_id
from genoglot.simulate.elements import PROMOTER, Elements
from genoglot.simulate.genome import SimulatedGenome
from genoglot.simulate.regulation import Regulation, sigmoid
from genoglot.simulate.tsv import write_gzip
from genoglot.simulate.world import World

TISSUES = 3
"""Number of biosamples with fine-mapped variants: the first ones."""

CAUSAL, NEUTRAL = 0.1, 0.01
"""Minimum change of openness of a causal variant, and maximum change of a neutral one."""

VARIANTS = 20_000
"""Maximum number of variants in motif sites, and of variants elsewhere."""

PROMOTERS = 6
"""Number of promoters with saturation mutagenesis; the first is measured in two biosamples."""

DELETION = 4
"""Number of the deletion among the changes of a base; the others are A C G T = 0 1 2 3."""

_LETTERS = np.array(list(LETTERS[:4]))
_KEYS = ("Element", "Release")


class Changes(NamedTuple):
    """Changes of single bases in motif sites; every array has the shape (changes,).

    Attributes
    ----------
    site
        int64, index of the motif site.
    position
        int64, 0-based position on the chromosome.
    reference, alternative
        uint8, codes A C G T = 0 1 2 3 on the plus strand.
    score
        float32, relative motif score of the site after the change.
    """

    site: NDArray[np.int64]
    position: NDArray[np.int64]
    reference: Codes
    alternative: Codes
    score: NDArray[np.float32]


def change_sites(
    genome: SimulatedGenome, site: NDArray[np.int64], column: NDArray[np.int64], base: Codes
) -> Changes:
    """Replace one base in each of some motif sites.

    Parameters
    ----------
    genome
        The simulated genome.
    site
        Indices of motif sites, (changes,).
    column
        Position of the base in the site, along the strand of the site, (changes,).
    base
        Code that replaces it, along the strand of the site, (changes,).
    """
    sites = genome.sites
    before = sites.bases[site, column]
    bases = sites.bases[site].copy()
    bases[np.arange(len(site)), column] = base
    score = np.empty(len(site), np.float32)
    for i, motif in enumerate(genome.motifs):
        mine = np.flatnonzero(sites.factor[site] == i)
        score[mine] = motif.relative_scores(bases[mine, : len(motif)])
    forward = sites.strand[site] > 0
    at = np.where(forward, sites.start[site] + column, sites.end[site] - 1 - column)
    reference, alternative = (np.where(forward, code, 3 - code) for code in (before, base))
    return Changes(site, at, reference.astype(np.uint8), alternative.astype(np.uint8), score)


def write_eqtls(world: World, genome: SimulatedGenome, rng: np.random.Generator) -> None:
    """Write fine-mapped variants in the format of DAP-G's table for GTEx, and their true effects.

    Half of the variants change a base of a motif site in an element that regulates a gene. They
    are causal (posterior above 0.9) if they change the openness of the element much, not causal
    (below 0.01) if they do not change it, and anything between otherwise. The other variants are
    outside of elements and not causal. One in twenty is written as a deletion of two bases.

    Parameters
    ----------
    world
        The world, with its genome, genes and rules.
    genome
        The simulated genome.
    rng
        Source of the draws.
    """
    genes, elements, regulation = world.ground_truth("genes"), genome.elements, world.regulation
    changes, gene = _draw_changes(genome, world.ground_truth("links"), rng)
    element = genome.sites.element[changes.site]
    inside = pl.DataFrame(
        {
            "chrom": elements.chrom[element],
            "position": changes.position,
            "ref": changes.reference,
            "alt": changes.alternative,
            "element": element,
            "gene": gene,
        }
    )
    table = pl.concat([inside, _draw_elsewhere(world, elements, genes, len(inside), rng)])
    table = table.with_columns(
        chrom=elements.chromosome_names(table["chrom"].to_numpy()),
        ref=pl.Series(_LETTERS[table["ref"].to_numpy()]),
        alt=pl.Series(_LETTERS[table["alt"].to_numpy()]),
    )
    longer = pl.Series(rng.random(len(table)) < 0.05)
    ref = pl.when(longer).then(pl.col("ref") + "N").otherwise("ref")
    rows, effects = [], []
    for sample in regulation.biosamples[:TISSUES]:
        after = regulation.log_odds_after(changes.site, changes.score, sample)
        effect = np.zeros(len(table))
        effect[: len(inside)] = (
            sigmoid(after.astype(np.float64)) - regulation.openness(sample)[element]
        )
        posterior = _draw_posterior(effect, rng)
        tissue = pl.lit(tissue_id(sample))
        effects.append(table.with_columns(tissue=tissue, effect=effect))
        rows.append(
            table.select(
                tissue_id=tissue,
                gene_id=genes["gene_id"].gather(table["gene"]),
                cluster_id=pl.lit(1),
                cluster_pip=pl.Series(np.maximum(posterior, 0.5)),
                variant_id=pl.format(
                    "{}_{}_{}_{}_sim", "chrom", pl.col("position") + 1, ref, "alt"
                ),
                variant_pip=pl.Series(posterior),
            )
        )
    pl.concat(effects).write_parquet(world.ground_truth_path / "variants.parquet")
    write_gzip(world.assays_path / "finemapping_DAPG.txt.gz", pl.concat(rows))


def _draw_changes(
    genome: SimulatedGenome, links: pl.DataFrame, rng: np.random.Generator
) -> tuple[Changes, NDArray[np.int64]]:
    """Draw changes of motif sites in elements that regulate a gene, and return them with it."""
    sites = genome.sites
    linked = links.unique("element", keep="first", maintain_order=True)
    gene_of = np.full(len(genome.elements), -1, np.int64)
    gene_of[linked["element"].to_numpy()] = linked["gene"].to_numpy()
    usable = np.flatnonzero(gene_of[sites.element] >= 0)
    site = np.sort(rng.choice(usable, min(VARIANTS, len(usable)), replace=False))
    column = (rng.random(len(site)) * (sites.end[site] - sites.start[site])).astype(np.int64)
    base = (sites.bases[site, column] + rng.integers(1, 4, len(site))) % 4
    changes = change_sites(genome, site, column, base.astype(np.uint8))
    return changes, gene_of[sites.element[site]]


def _draw_posterior(effect: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the posterior probability of each variant of being causal."""
    n = len(effect)
    causal, neutral = np.abs(effect) >= CAUSAL, np.abs(effect) <= NEUTRAL
    drawn = [rng.uniform(0.91, 1.0, n), 10 ** rng.uniform(-5, -2.05, n)]
    return np.select([causal, neutral], drawn, rng.uniform(0.02, 0.85, n)).round(6)


def _draw_elsewhere(
    world: World, elements: Elements, genes: pl.DataFrame, n: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Draw up to `n` variants outside of elements, each with any gene of its chromosome."""
    frames = []
    fraction = elements.chrom_sizes / elements.chrom_sizes.sum()
    for code, record in enumerate(read_fasta(world.genome_path)):
        sequence = record.codes
        at = np.unique(rng.integers(600, len(sequence) - 600, int(n * fraction[code])))
        at = at[elements.containing(code, at) < 0]
        gene = np.flatnonzero((genes["chrom"].cast(pl.String) == record.name).to_numpy())
        if len(gene):
            frame = {
                "chrom": np.full(len(at), code, elements.chrom.dtype),
                "position": at,
                "ref": sequence[at],
                "alt": ((sequence[at] + rng.integers(1, 4, len(at))) % 4).astype(np.uint8),
                "element": np.full(len(at), -1, np.int32),
                "gene": gene[rng.integers(0, len(gene), len(at))],
            }
            frames.append(pl.DataFrame(frame))
    return pl.concat(frames)


def write_mutagenesis(world: World, genome: SimulatedGenome, rng: np.random.Generator) -> None:
    """Write saturation mutagenesis of some promoters like Kircher et al. 2019, and its truth.

    The activity of a reporter is 0.1 plus the probability that the promoter is open. An effect is
    the log2 ratio of activities, with an error that falls with the number of barcodes. A deletion
    of a base destroys its motif site.

    Parameters
    ----------
    world
        The world, with its genome, genes and rules.
    genome
        The simulated genome.
    rng
        Source of the draws.
    """
    elements, regulation = genome.elements, world.regulation
    named = dict(world.ground_truth("genes").select("promoter", "gene_name").iter_rows())
    first, second = regulation.biosamples[:2]
    opened = regulation.openness(first)
    n_sites = np.bincount(genome.sites.element, minlength=len(elements))
    likely = (elements.kind == PROMOTER) & (opened > 0.4) & (opened < 0.95) & (n_sites >= 3)
    chosen = [row for row in np.flatnonzero(likely).tolist() if row in named][:PROMOTERS]
    experiments = [(named[row], row, first) for row in chosen]
    experiments[:1] = [
        (f"{name}-{letter}", row, sample)
        for name, row, _ in experiments[:1]
        for letter, sample in (("A", first), ("B", second))
    ]
    if not experiments:
        return
    bases = {
        row: record.codes[elements.start[row] : elements.end[row]].copy()
        for code, record in enumerate(read_fasta(world.genome_path))
        for row in chosen
        if elements.chrom[row] == code
    }
    frames = []
    for name, row, sample in experiments:
        effect = _effects(row, genome, regulation, sample)
        chrom = elements.chrom_names[int(elements.chrom[row])].removeprefix("chr")
        frames.append(_measure(name, chrom, int(elements.start[row]), bases[row], effect, rng))
    table = pl.concat(frames)
    truth = table.select("Chrom", "Pos", "Alt", "Element", "effect")
    truth.write_parquet(world.ground_truth_path / "mutagenesis.parquet")
    table = table.drop("effect").cast(pl.String)
    measured = [name for name in table.columns if name not in _KEYS]
    unmeasured = table[-2:].with_columns(pl.lit("NA").alias(name) for name in measured)
    path = world.assays_path / "saturation_mutagenesis.tsv.gz"
    write_gzip(path, pl.concat([table, unmeasured]))


def _effects(
    row: int, genome: SimulatedGenome, regulation: Regulation, biosample: str
) -> NDArray[np.float64]:
    """Return the log2 effects of A, C, G, T and a deletion at each position of an element.

    Returns
    -------
    numpy.ndarray
        float64 (length, 5).
    """
    elements, sites = genome.elements, genome.sites
    effect = np.zeros((int(elements.end[row] - elements.start[row]), 5))
    mine = np.flatnonzero(sites.element == row)
    width = sites.end[mine] - sites.start[mine]
    site = np.repeat(mine, 4 * width)
    column = np.concatenate([np.repeat(np.arange(w), 4) for w in width])
    base = np.tile(np.arange(4, dtype=np.uint8), int(width.sum()))
    changes = change_sites(genome, site, column, base)
    before = _activity(regulation.log_odds_open(biosample)[row])
    after = _activity(regulation.log_odds_after(site, changes.score, biosample))
    position = changes.position - elements.start[row]
    effect[position, changes.alternative] = np.log2(after / before)
    lost = regulation.log_odds_after(site, np.zeros(len(site), np.float32), biosample)
    effect[position, DELETION] = np.log2(_activity(lost) / before)
    return effect


def _activity(log_odds: NDArray[np.float32] | np.float32) -> NDArray[np.float64]:
    return 0.1 + sigmoid(np.asarray(log_odds, np.float64))


def _measure(
    name: str,
    chrom: str,
    start: int,
    bases: Codes,
    effect: NDArray[np.float64],
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Draw measurements of all changes of an element: the public columns, and `effect`."""
    position, alt = np.nonzero(np.arange(5) != bases[:, None])
    measured = (alt < DELETION) | (rng.random(len(alt)) < 0.8)
    position, alt = position[measured], alt[measured]
    truth = effect[position, alt]
    barcodes = np.maximum(rng.lognormal(4.0, 0.8, len(position)), 2).astype(np.int64)
    error = 0.8 / np.sqrt(barcodes)
    coefficient = truth + rng.normal(0, 1, len(position)) * error
    dna = barcodes * 12
    z = np.abs(coefficient) / error
    return pl.DataFrame(
        {
            "Chrom": [chrom] * len(position),
            "Pos": start + position + 1,
            "Ref": _LETTERS[bases[position]],
            "Alt": np.array([*_LETTERS, "-"])[alt],
            "Barcodes": barcodes,
            "DNA": dna,
            "RNA": np.rint(dna * 2**coefficient).astype(np.int64),
            "Coefficient": coefficient.round(6),
            # Two-sided p-value of a normal distribution, within some percent.
            "pValue": np.exp(-0.717 * z - 0.416 * z**2).round(8),
            "Element": [name] * len(position),
            "Release": ["simulated"] * len(position),
            "effect": truth,
        }
    )
