"""A simulated case-control cohort: phased genotypes of a locus, and a disease that they affect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import GenoglotError
from genoglot.files import atomic_path, write_text
from genoglot.sequence.vcf import Locus
from genoglot.simulate.world import World

VCF, PHENOTYPES, EFFECTS = "cohort.vcf.gz", "phenotypes.csv", "effects.csv"

FOUNDERS = 40
"""Number of ancestral haplotypes. Those of people are mosaics of them."""

SEGMENT = 20_000
"""Mean length of a segment of a mosaic, bp."""

RARE = 1 / 3
"""Fraction of the variants that are rare: 0.05 to 0.5 %, on haplotypes drawn at random."""


def simulate_cohort(
    world: World,
    out: str | Path,
    locus: Locus,
    *,
    people: int = 1_000,
    heritability: float = 0.3,
    prevalence: float = 0.1,
    seed: int = 0,
) -> Path:
    """Simulate people with two haplotypes of a locus, half of them cases of a disease.

    Variants are those of the world's table of fine-mapped variants (`truth/variants.parquet`), in
    its first biosample. Ancestral haplotypes carry each variant with a frequency that is drawn from
    1/f, as under neutral evolution; those of people are mosaics of them, so that neighboring
    variants are in linkage disequilibrium. A third of the variants are rare instead.

    The liability of a person is the sum of the true effects (change of the openness of an element)
    of the alleles, plus effects of sex and age, plus normal noise. Cases are drawn from the people
    with the highest liability.

    Parameters
    ----------
    world
        A simulated world.
    out
        Folder to write: `cohort.vcf.gz`, `phenotypes.csv` (person, case, sex, age) and
        `effects.csv`, the ground truth: each variant's true effect and frequency.
    locus
        The locus.
    people
        Number of people, half of them cases.
    heritability
        Proportion of the variance of the liability that the locus explains, 0 to below 0.9.
    prevalence
        Proportion of the population that is ill.
    seed
        Seed of all draws.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    GenoglotError
        If the locus has fewer than two variants or none with an effect, or a number is out of
        range.
    """
    if people < 2 or not 0 <= heritability < 0.9 or not 0 < prevalence < 1:
        raise GenoglotError(
            "a cohort needs at least 2 people, a heritability from 0 to below 0.9 and a prevalence "
            "between 0 and 1"
        )
    rng = np.random.default_rng(seed)
    variants = _variants(world, locus)
    population = int(people / 2 / min(prevalence, 1 - prevalence) * 1.2) + 10
    carried = _draw_haplotypes(variants["position"].to_numpy(), 2 * population, rng)
    dosage = carried[:, ::2] + carried[:, 1::2].astype(np.int64)
    genetic = variants["effect"].to_numpy() @ dosage
    if genetic.std() == 0:
        raise GenoglotError(f"{locus}: no variant with an effect; choose a larger locus")
    sex, age = rng.integers(0, 2, population), rng.normal(50, 10, population).round(1)
    known = 0.2 * (sex - sex.mean()) + 0.02 * (age - 50)
    noise = rng.normal(0, np.sqrt(max(1 - heritability - known.var(), 0)), population)
    liability = np.sqrt(heritability) * (genetic - genetic.mean()) / genetic.std() + known + noise
    ranked = np.argsort(-liability)
    n_ill = int(population * prevalence)
    cases = rng.choice(ranked[:n_ill], people // 2, replace=False)
    controls = rng.choice(ranked[n_ill:], people - people // 2, replace=False)
    chosen = rng.permutation(np.concatenate([cases, controls]))
    names = [f"SIM{i:05d}" for i in range(people)]
    columns = np.stack([2 * chosen, 2 * chosen + 1], axis=1)
    with atomic_path(out, directory=True) as folder:
        write_text(folder / VCF, _vcf(variants, carried[:, columns], names, locus))
        pl.DataFrame(
            {
                "person": names,
                "case": np.isin(chosen, cases).astype(np.int64),
                "sex": np.array(["female", "male"])[sex[chosen]],
                "age": age[chosen],
            }
        ).write_csv(folder / PHENOTYPES)
        frequency = carried.mean(axis=1)
        variants.with_columns(frequency=frequency).write_csv(folder / EFFECTS)
    return Path(out)


def _variants(world: World, locus: Locus) -> pl.DataFrame:
    """Return the variants of the locus, one at each position, with their true effects."""
    table = world.ground_truth("variants")
    found = (
        table.filter(
            pl.col("tissue") == table["tissue"][0],
            pl.col("chrom").cast(pl.String) == locus.chrom,
            pl.col("position").is_between(locus.start, locus.end, closed="left"),
        )
        .unique("position", keep="first", maintain_order=True)
        .sort("position")
        .select("chrom", "position", "ref", "alt", "element", "effect")
    )
    if len(found) < 2:
        raise GenoglotError(
            f"{locus}: the world has {len(found)} variants here; choose a larger locus"
        )
    return found


def _draw_haplotypes(
    position: NDArray[np.int64], n: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw which of n haplotypes carry which variant, bool (variants, n)."""
    count = FOUNDERS - 1
    weight = 1 / np.arange(1, count + 1)
    carriers = rng.choice(np.arange(1, count + 1), len(position), p=weight / weight.sum())
    order = rng.random((len(position), FOUNDERS)).argsort(axis=1)
    founders = order < carriers[:, None]
    gaps = np.diff(position, prepend=position[0])
    switch = rng.random((len(position), n)) < 1 - np.exp(-gaps / SEGMENT)[:, None]
    switch[0] = True
    drawn = rng.integers(0, FOUNDERS, (len(position), n))
    last = np.maximum.accumulate(np.where(switch, np.arange(len(position))[:, None], 0), axis=0)
    copied = np.take_along_axis(drawn, last, axis=0)
    carried = np.take_along_axis(founders, copied, axis=1)
    rare = np.flatnonzero(rng.random(len(position)) < RARE)
    frequency = 10 ** rng.uniform(-3.3, -2.3, len(rare))
    carried[rare] = rng.random((len(rare), n)) < frequency[:, None]
    return carried


def _vcf(
    variants: pl.DataFrame,
    carried: NDArray[np.bool_],
    names: list[str],
    locus: Locus,
) -> str:
    calls = np.array([["0|0", "0|1"], ["1|0", "1|1"]])
    header = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
    lines = [
        "##fileformat=VCFv4.3",
        "##source=genoglot, simulated",
        f"##contig=<ID={locus.chrom}>",
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        "\t".join([header, *names]),
    ]
    for row, pairs in zip(variants.iter_rows(named=True), carried.astype(np.intp), strict=True):
        record = [locus.chrom, str(row["position"] + 1), ".", row["ref"], row["alt"], *"...", "GT"]
        lines.append("\t".join([*record, *calls[pairs[:, 0], pairs[:, 1]].tolist()]))
    return "\n".join(lines) + "\n"
