"""Simulating a world: genome, genes, universe, experiments, and the ground truth behind them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl

from genoglot.errors import GenoglotError
from genoglot.files import atomic_path, write_manifest
from genoglot.simulate.assays import write_expression, write_methylation, write_promoters
from genoglot.simulate.biosamples import Biosample, Program, biosamples, expression, programs
from genoglot.simulate.elements import choose_factors, draw_elements, plant_sites
from genoglot.simulate.experiments import DROPOUT, OFF_UNIVERSE, SPURIOUS, PeakWriter, design
from genoglot.simulate.factors import FACTORS, load_motifs
from genoglot.simulate.genes import draw_genes, write_gtf
from genoglot.simulate.genome import SimulatedGenome, write_fasta
from genoglot.simulate.ground_truth import write_ground_truth
from genoglot.simulate.parameters import SIZES, Parameters, WorldSize
from genoglot.simulate.peaks import SHARED_SPREAD
from genoglot.simulate.variants import write_eqtls, write_mutagenesis
from genoglot.simulate.world import FORMAT, MANIFEST, World

Progress = Callable[[str, int, int], None]
"""Function that is called with the name of a stage, the steps done and the number of steps."""


def simulate(
    out: str | Path, size: WorldSize = "small", seed: int = 0, progress: Progress | None = None
) -> World:
    """Simulate a genome in which text, region sets and DNA agree, and write it to disk.

    The same size and seed give the same bytes.

    Parameters
    ----------
    out
        Directory of the world; it must not exist, or be empty.
    size
        small (seconds), medium (a minute) or large (as many elements as ENCODE has on GRCh38; many
        minutes).
    seed
        Random seed.
    progress
        Called as `progress(stage, done, total)` while the simulation runs.

    Returns
    -------
    World
        The world, opened from `out`.

    Raises
    ------
    GenoglotError
        If the size is unknown, or `out` is not empty.

    Examples
    --------
    >>> import tempfile
    >>> world = simulate(tempfile.mkdtemp(), size="small")
    >>> len(world), world.sheet.height
    (5000, 140)
    """
    if size not in SIZES:
        raise GenoglotError(f"no world of size {size!r}; choose one of {', '.join(SIZES)}")
    report = progress or (lambda stage, done, total: None)
    with atomic_path(out, directory=True) as folder:
        _simulate(World(folder, size, seed), SIZES[size], report)
    return World.open(out)


def _simulate(world: World, parameters: Parameters, report: Progress) -> None:
    """Simulate a world in a temporary folder. Each step has a random seed of its own."""
    streams = np.random.SeedSequence(world.seed).spawn(7)
    biology, arrangement, sites, sequences, plan, noise, assays = streams
    factors = FACTORS[: parameters.factors]
    names = [factor.name for factor in factors]
    samples = biosamples(parameters.biosamples)
    known = programs(samples, names)
    levels = expression(samples, names, np.random.default_rng(biology))

    report("elements", 0, 1)
    genome = _draw_genome(parameters, known, arrangement, sites)
    write_ground_truth(world.ground_truth_path, genome, factors, samples, known, levels)
    report("elements", 1, 1)

    report("genome", 0, 1)
    _write_genome(world, genome, sequences)
    report("genome", 1, 1)

    report("assays", 0, 1)
    _write_assays(world, genome, assays)
    report("assays", 1, 1)

    rng = np.random.default_rng(plan)
    experiments = design(parameters, samples, factors, world.regulation, rng)
    file = pl.format("files/{}.{}.bed.gz", "experiment", "replicate")
    experiments = experiments.select(file.alias("file"), pl.all())
    experiments.write_parquet(world.ground_truth_path / "experiments.parquet")
    _sheet(experiments, samples).write_csv(world.path / "sheet.csv")
    manifest = {
        "format": FORMAT,
        "simulated": True,
        "size": world.size,
        "seed": world.seed,
        "genome": "simulated",
        "parameters": asdict(parameters),
        "noise": {"dropout": DROPOUT, "spurious": SPURIOUS, "off_universe": OFF_UNIVERSE},
    }
    write_manifest(world.path / MANIFEST, manifest)
    _write_files(world, genome, experiments, noise, report)


def _draw_genome(
    parameters: Parameters,
    programs: list[Program],
    arrangement: np.random.SeedSequence,
    sites: np.random.SeedSequence,
) -> SimulatedGenome:
    """Draw elements, genes and motif sites."""
    factors = FACTORS[: parameters.factors]
    motifs, names = load_motifs(factors), [factor.name for factor in factors]
    rng = np.random.default_rng(arrangement)
    elements = draw_elements(parameters, programs, rng)
    genes = draw_genes(elements, rng)
    rng = np.random.default_rng(sites)
    table = choose_factors(elements, programs, names, rng)
    return SimulatedGenome(elements, plant_sites(elements, table, motifs, rng), motifs, genes)


def _write_genome(world: World, genome: SimulatedGenome, seed: np.random.SeedSequence) -> None:
    """Write FASTA, GTF and universe."""
    elements = genome.elements
    *chromosomes, transcripts = seed.spawn(len(elements.chrom_names) + 1)
    write_fasta(world.genome_path, genome, chromosomes)
    write_gtf(world.genes_path, elements, genome.genes, np.random.default_rng(transcripts))
    universe = world.ground_truth("elements").select("chrom", "start", "end")
    universe.write_csv(world.universe_path, separator="\t", include_header=False)


def _write_assays(world: World, genome: SimulatedGenome, seed: np.random.SeedSequence) -> None:
    """Write files as other public archives provide them, each with a random seed of its own."""
    methylation, expressed, eqtls, mutagenesis = map(np.random.default_rng, seed.spawn(4))
    world.assays_path.mkdir()
    write_promoters(world, genome.elements)
    write_methylation(world, genome.elements, methylation)
    write_expression(world, expressed)
    write_eqtls(world, genome, eqtls)
    write_mutagenesis(world, genome, mutagenesis)


def _sheet(experiments: pl.DataFrame, samples: list[Biosample]) -> pl.DataFrame:
    """Return the sample sheet: the experiments without their probabilities and noise."""
    labels = pl.DataFrame([sample._asdict() for sample in samples]).rename({"name": "biosample"})
    return experiments.join(labels, on="biosample", how="left", maintain_order="left").select(
        *("file", "description", "assay", "target", "biosample", "organ", "system"),
        *("age", "state", "disease", "replicate", "experiment"),
        pl.lit("simulated").alias("genome"),
    )


def _write_files(
    world: World,
    genome: SimulatedGenome,
    experiments: pl.DataFrame,
    seed: np.random.SeedSequence,
    report: Progress,
) -> None:
    """Write all BED files, one biosample at a time in each thread.

    The positive elements of an experiment are drawn once. Its replicates share them, and each
    misses some and adds noise of its own. Random seeds depend on the number of the experiment, not
    on the order of the work.
    """
    (world.path / "files").mkdir()
    writer, regulation = PeakWriter(genome.elements), world.regulation
    entropy = list(seed.generate_state(4))

    def write_biosample(rows: pl.DataFrame) -> int:
        biosample = str(rows["biosample"][0])
        log_odds = regulation.log_odds_open(biosample)
        for (experiment,), group in rows.group_by("experiment", maintain_order=True):
            rng = np.random.default_rng([*entropy, int(str(experiment).removeprefix("SIMEX"))])
            assay, target = str(group["assay"][0]), str(group["target"][0])
            chance = regulation.presence(assay, target, biosample, log_odds)
            present = np.flatnonzero(rng.random(len(chance), np.float32) < chance)
            effect = rng.lognormal(0, SHARED_SPREAD, len(present)).astype(np.float32)
            for row in group.iter_rows(named=True):
                writer.write(world.path / row["file"], present, chance[present], effect, row, rng)
        return rows.height

    done = 0
    report("files", done, experiments.height)
    groups = experiments.partition_by("biosample", maintain_order=True)
    # Each thread holds some arrays over the universe, so there are at most eight.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        try:
            for n in pool.map(write_biosample, groups):
                done += n
                report("files", done, experiments.height)
        except BaseException:
            # Also at Ctrl-C: biosamples that have not been started are not written.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
