"""Variants of the simulated world: what single bases change, as GTEx and an MPRA would tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.sequence.motifs import Motif
from genoglot.simulate.assays import chromosomes, tissue_id, write_gzip
from genoglot.simulate.elements import PROMOTER, Elements, Sites
from genoglot.simulate.factors import strength
from genoglot.simulate.regulation import Regulation

TISSUES = 3
"""Biosamples with fine-mapped variants, the first ones."""

CAUSAL, NEUTRAL = 0.1, 0.01
"""Change of an element's openness from which a variant is causal, and up to which it is not."""

VARIANTS = 20_000
"""The most variants in sites, and as many elsewhere."""

PROMOTERS = 6
"""Promoters whose every base is changed; the first of them is measured in two biosamples."""

_LETTERS = np.array(["A", "C", "G", "T"])


class Changes(NamedTuple):
    """Single bases of motif sites that are replaced; every array is (changes,).

    `site` is a row of the sites, `position` 0-based on the chromosome, `reference` and
    `alternative` are codes on the plus strand, `score` is the site's relative score afterwards.
    """

    site: NDArray[np.int64]
    position: NDArray[np.int64]
    reference: NDArray[np.uint8]
    alternative: NDArray[np.uint8]
    score: NDArray[np.float32]


def change_sites(
    sites: Sites,
    motifs: Sequence[Motif],
    site: NDArray[np.int64],
    column: NDArray[np.int64],
    base: NDArray[np.uint8],
) -> Changes:
    """Replace one base of sites.

    Parameters
    ----------
    sites, motifs
        Of the world.
    site
        Rows of sites.
    column
        Which base, along the strand of the site.
    base
        Code that replaces it, along the strand of the site.
    """
    before = sites.bases[site, column]
    bases = sites.bases[site].copy()
    bases[np.arange(len(site)), column] = base
    score = np.empty(len(site), np.float32)
    for i, motif in enumerate(motifs):
        mine = np.flatnonzero(sites.factor[site] == i)
        score[mine] = motif.relative_scores(bases[mine, : len(motif)])
    forward = sites.strand[site] > 0
    at = np.where(forward, sites.start[site] + column, sites.end[site] - 1 - column)
    reference, alternative = (np.where(forward, code, 3 - code) for code in (before, base))
    return Changes(site, at, reference.astype(np.uint8), alternative.astype(np.uint8), score)


def log_odds_after(
    regulation: Regulation,
    site: NDArray[np.int64],
    score: NDArray[np.float32],
    biosample: str,
) -> NDArray[np.float32]:
    """Log-odds of the element of each changed site being open: `Regulation.log_odds_open` again.

    Parameters
    ----------
    regulation
        The rules.
    site
        Rows of sites, one changed at a time.
    score
        Relative score of each one afterwards.
    biosample
        Where.

    Returns
    -------
    float32 (changes,)
    """
    levels = (regulation.affinity * regulation.expression[regulation.row_of(biosample)]).max(1)
    level = levels[regulation.site_factor]
    occupied = np.maximum(level * strength(regulation.site_score), 0.02)
    count = np.bincount(regulation.site_element, minlength=len(regulation))
    inverse = np.bincount(regulation.site_element, 1 / occupied, minlength=len(regulation))
    element = regulation.site_element[site]
    after = np.maximum(level[site] * strength(score), 0.02)
    changed = inverse[element] - 1 / occupied[site] + 1 / after
    drive = (count[element] / np.maximum(changed, 1)).astype(np.float32)
    odds: NDArray[np.float32] = regulation.baseline[element] + regulation.gain[element] * drive
    return odds


def write_eqtls(
    path: Path,
    truth: Path,
    fasta: Path,
    elements: Elements,
    sites: Sites,
    motifs: Sequence[Motif],
    genes: pl.DataFrame,
    links: pl.DataFrame,
    regulation: Regulation,
    rng: np.random.Generator,
) -> None:
    """Write fine-mapped variants as DAP-G's table for GTEx, and what they truly change.

    A base of a site in an element that regulates a gene is causal (posterior above 0.9) where it
    changes the element's openness much, spurious (below 0.01) where it changes nothing, and
    anything in between else. Variants outside of elements are spurious. One in twenty is written
    as a deletion of two bases.
    """
    linked = links.unique("element", keep="first", maintain_order=True)
    gene_of = np.full(len(elements), -1, np.int64)
    gene_of[linked["element"].to_numpy()] = linked["gene"].to_numpy()
    usable = np.flatnonzero(gene_of[sites.element] >= 0)
    site = np.sort(rng.choice(usable, min(VARIANTS, len(usable)), replace=False))
    width = sites.end[site] - sites.start[site]
    column = (rng.random(len(site)) * width).astype(np.int64)
    base = (sites.bases[site, column] + rng.integers(1, 4, len(site))) % 4
    changes = change_sites(sites, motifs, site, column, base.astype(np.uint8))
    element = sites.element[site]
    table = pl.DataFrame(
        {
            "chrom": elements.chrom[element],
            "position": changes.position,
            "ref": changes.reference,
            "alt": changes.alternative,
            "element": element,
            "gene": gene_of[element],
        }
    )
    table = pl.concat([table, _elsewhere(fasta, elements, genes, len(site), rng)])
    table = table.with_columns(
        chrom=pl.Series(elements.chrom_names).gather(table["chrom"].to_numpy().astype(np.uint32)),
        ref=pl.Series(_LETTERS).gather(table["ref"].to_numpy().astype(np.uint32)),
        alt=pl.Series(_LETTERS).gather(table["alt"].to_numpy().astype(np.uint32)),
    )
    longer = rng.random(len(table)) < 0.05
    rows, effects = [], []
    for sample in regulation.biosamples[:TISSUES]:
        after = log_odds_after(regulation, site, changes.score, sample)
        effect = np.zeros(len(table))
        effect[: len(site)] = _sigmoid(after) - regulation.openness(sample)[element]
        posterior = np.select(
            [np.abs(effect) >= CAUSAL, np.abs(effect) <= NEUTRAL],
            [rng.uniform(0.91, 1.0, len(table)), 10 ** rng.uniform(-5, -2.05, len(table))],
            rng.uniform(0.02, 0.85, len(table)),
        ).round(6)
        effects.append(table.with_columns(tissue=pl.lit(tissue_id(sample)), effect=effect))
        ref = pl.when(pl.Series(longer)).then(pl.col("ref") + "N").otherwise("ref")
        rows.append(
            table.select(
                tissue_id=pl.lit(tissue_id(sample)),
                gene_id=genes["gene_id"].gather(table["gene"]),
                cluster_id=pl.lit(1),
                cluster_pip=pl.Series(np.maximum(posterior, 0.5)),
                variant_id=pl.format(
                    "{}_{}_{}_{}_sim", "chrom", pl.col("position") + 1, ref, "alt"
                ),
                variant_pip=pl.Series(posterior),
            )
        )
    pl.concat(effects).write_parquet(truth / "variants.parquet")
    write_gzip(path, pl.concat(rows))


def _elsewhere(
    fasta: Path, elements: Elements, genes: pl.DataFrame, n: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Draw variants that lie in no element; their gene is any of the chromosome."""
    frames = []
    share = elements.chrom_sizes / elements.chrom_sizes.sum()
    for code, (name, sequence) in enumerate(chromosomes(fasta)):
        at = np.unique(rng.integers(600, len(sequence) - 600, int(n * share[code])))
        first, last = np.searchsorted(elements.chrom, [code, code + 1])
        near = first + np.searchsorted(elements.end[first:last], at, "right")
        inside = elements.start[np.minimum(near, last - 1)] <= at
        at = at[~inside | (near >= last)]
        gene = np.flatnonzero((genes["chrom"].cast(pl.String) == name).to_numpy())
        if not len(gene):
            continue
        frames.append(
            pl.DataFrame(
                {
                    "chrom": np.full(len(at), code, elements.chrom.dtype),
                    "position": at,
                    "ref": sequence[at],
                    "alt": ((sequence[at] + rng.integers(1, 4, len(at))) % 4).astype(np.uint8),
                    "element": np.full(len(at), -1, np.int32),
                    "gene": gene[rng.integers(0, len(gene), len(at))],
                }
            )
        )
    return pl.concat(frames)


def write_mutagenesis(
    path: Path,
    truth: Path,
    fasta: Path,
    elements: Elements,
    sites: Sites,
    motifs: Sequence[Motif],
    genes: pl.DataFrame,
    regulation: Regulation,
    rng: np.random.Generator,
) -> None:
    """Write saturation mutagenesis of a few promoters, as Kircher et al. have it, and the truth.

    The activity of a reporter is 0.1 plus the probability that the promoter is open; an effect is
    the log2 of the activity's ratio, measured with an error that falls with the number of barcodes.
    The deletion of a base destroys its site.
    """
    opened = regulation.openness(regulation.biosamples[0])
    sites_in = np.bincount(sites.element, minlength=len(elements))
    likely = (elements.kind == PROMOTER) & (opened > 0.4) & (opened < 0.95)
    candidates = np.flatnonzero(likely & (sites_in >= 3))
    named = dict(zip(genes["promoter"].to_list(), genes["gene_name"].to_list(), strict=True))
    chosen = [int(row) for row in candidates if int(row) in named][:PROMOTERS]
    bases_of: dict[int, NDArray[np.uint8]] = {}
    for code, (_, sequence) in enumerate(chromosomes(fasta)):
        for row in chosen:
            if elements.chrom[row] == code:
                bases_of[row] = sequence[elements.start[row] : elements.end[row]].copy()
    frames, effects = [], []
    for i, row in enumerate(chosen):
        experiments = [(named[row], regulation.biosamples[0])]
        if not i:
            experiments = [
                (f"{named[row]}-{letter}", sample)
                for letter, sample in zip("AB", regulation.biosamples[:2], strict=True)
            ]
        for name, sample in experiments:
            effect = _effects(row, elements, sites, motifs, regulation, sample)
            chrom = elements.chrom_names[int(elements.chrom[row])]
            frame = _measured(name, chrom, int(elements.start[row]), bases_of[row], effect, rng)
            effects.append(frame.select("Chrom", "Pos", "Alt", "Element", "effect"))
            frames.append(frame.drop("effect"))
    if not frames:
        return
    pl.concat(effects).write_parquet(truth / "mutagenesis.parquet")
    missing = frames[-1][-2:].select(
        *(pl.lit("NA").alias(name) for name in frames[-1].columns if name not in _KNOWN), *_KNOWN
    )
    table = pl.concat(
        [*(frame.cast(pl.String) for frame in frames), missing.select(frames[0].columns)]
    )
    write_gzip(path, table)


_KNOWN = ("Element", "Release")


def _effects(
    row: int,
    elements: Elements,
    sites: Sites,
    motifs: Sequence[Motif],
    regulation: Regulation,
    biosample: str,
) -> NDArray[np.float64]:
    """log2 effect of A, C, G, T and a deletion at each position of an element, (length, 5)."""
    effect = np.zeros((int(elements.end[row] - elements.start[row]), 5))
    mine = np.flatnonzero(sites.element == row)
    width = sites.end[mine] - sites.start[mine]
    site = np.repeat(mine, 4 * width)
    column = np.concatenate([np.repeat(np.arange(w), 4) for w in width])
    base = np.tile(np.arange(4, dtype=np.uint8), int(width.sum()))
    changes = change_sites(sites, motifs, site, column, base)
    before = _activity(regulation.log_odds_open(biosample)[row])
    after = _activity(log_odds_after(regulation, site, changes.score, biosample))
    place = changes.position - elements.start[row]
    effect[place, changes.alternative] = np.log2(after / before)
    lost = log_odds_after(regulation, site, np.zeros(len(site), np.float32), biosample)
    effect[place, 4] = np.log2(_activity(lost) / before)
    return effect


def _activity(log_odds: NDArray[np.float32] | np.float32) -> NDArray[np.float64]:
    return 0.1 + _sigmoid(np.asarray(log_odds))


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float64]:
    opened: NDArray[np.float64] = 1 / (1 + np.exp(-x.astype(np.float64)))
    return opened


def _measured(
    name: str,
    chrom: str,
    start: int,
    bases: NDArray[np.uint8],
    effect: NDArray[np.float64],
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Measure every change of one element: the columns of the public table, and `effect`."""
    place, alt = np.nonzero(np.arange(5) != bases[:, None])
    kept = (alt < 4) | (rng.random(len(alt)) < 0.8)
    place, alt = place[kept], alt[kept]
    truth = effect[place, alt]
    barcodes = np.maximum(rng.lognormal(4.0, 0.8, len(place)), 2).astype(np.int64)
    error = 0.8 / np.sqrt(barcodes)
    coefficient = truth + rng.normal(0, 1, len(place)) * error
    dna = barcodes * 12
    z = np.abs(coefficient) / error
    return pl.DataFrame(
        {
            "Chrom": [chrom.removeprefix("chr")] * len(place),
            "Pos": start + place + 1,
            "Ref": _LETTERS[bases[place]],
            "Alt": np.array([*_LETTERS, "-"])[alt],
            "Barcodes": barcodes,
            "DNA": dna,
            "RNA": np.rint(dna * 2**coefficient).astype(np.int64),
            "Coefficient": coefficient.round(6),
            "pValue": np.exp(-0.717 * z - 0.416 * z**2).round(8),  # of a normal, to some percent
            "Element": [name] * len(place),
            "Release": ["simulated"] * len(place),
            "effect": truth,
        }
    )
