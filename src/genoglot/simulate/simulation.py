"""Build a simulated world: genome, genes, universe, experiments, and the truth behind them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl

from genoglot.files import atomic_path
from genoglot.sequence.motifs import Motif
from genoglot.simulate.assays import write_expression, write_methylation, write_promoters
from genoglot.simulate.biosamples import Biosample, biosamples, expression, programs
from genoglot.simulate.elements import Elements, Sites, choose_factors, lay_out, plant_sites
from genoglot.simulate.experiments import DROPOUT, OFF_UNIVERSE, SPURIOUS, PeakWriter, design
from genoglot.simulate.factors import FACTORS, load_motifs
from genoglot.simulate.genes import Gene, gene_table, link_table, make_genes, write_gtf
from genoglot.simulate.genome import write_fasta
from genoglot.simulate.parameters import Parameters, Size, parameters_of
from genoglot.simulate.peaks import SHARED_SPREAD
from genoglot.simulate.regulation import Regulation
from genoglot.simulate.truth import read_regulation, write_truth
from genoglot.simulate.variants import write_eqtls, write_mutagenesis
from genoglot.simulate.world import FORMAT, World

Progress = Callable[[str, int, int], None]
"""Called with the name of a stage, the steps done and the steps there are."""


def simulate(
    out: str | Path, size: Size = "small", seed: int = 0, progress: Progress | None = None
) -> World:
    """Simulate a small genome in which text, region sets and DNA agree, and write it to disk.

    The same size and seed give the same bytes.

    Parameters
    ----------
    out
        Directory to make; it must not exist, or be empty.
    size
        small (seconds), medium (a minute) or large (the size of the ENCODE elements on GRCh38,
        many minutes).
    seed
        Seed of everything random.
    progress
        Called as `progress(stage, done, total)` as the work goes on.

    Returns
    -------
    The world, opened from `out`.

    Raises
    ------
    GenoglotError
        If the size is unknown or `out` is not empty.

    Examples
    --------
    >>> import tempfile
    >>> world = simulate(tempfile.mkdtemp(), size="small")
    >>> len(world), world.sheet.height
    (5000, 140)
    """
    parameters = parameters_of(size)
    tell = progress or (lambda stage, done, total: None)
    with atomic_path(out, directory=True) as directory:
        _build(directory, parameters, size, seed, tell)
    return World.open(out)


def _build(directory: Path, parameters: Parameters, size: Size, seed: int, tell: Progress) -> None:
    streams = np.random.SeedSequence(seed).spawn(7)
    biology, layout, sites_seed, genome, plan, noise, assays = streams
    factors = FACTORS[: parameters.factors]
    names = [factor.name for factor in factors]
    motifs = load_motifs(factors)
    samples = biosamples(parameters.biosamples)
    known = programs(samples, names)
    levels = expression(samples, names, np.random.default_rng(biology))

    tell("elements", 0, 1)
    rng = np.random.default_rng(layout)
    elements = lay_out(parameters, known, rng)
    genes = make_genes(elements, rng)
    rng = np.random.default_rng(sites_seed)
    table = choose_factors(elements, known, names, rng)
    sites = plant_sites(elements, table, motifs, rng)
    truth = directory / "truth"
    write_truth(truth, elements, sites, factors, motifs, samples, known, levels)
    tell("elements", 1, 1)

    tell("genome", 0, 1)
    _write_genome(directory, elements, sites, genes, genome)
    tell("genome", 1, 1)

    regulation = read_regulation(truth)
    tell("assays", 0, 1)
    _write_assays(directory, elements, sites, motifs, regulation, assays)
    tell("assays", 1, 1)

    rng = np.random.default_rng(plan)
    experiments = design(parameters, samples, factors, regulation, rng)
    experiments = experiments.insert_column(0, _file_names(experiments))
    experiments.write_parquet(truth / "experiments.parquet")
    _sheet(experiments, samples).write_csv(directory / "sheet.csv")
    description = {
        "format": FORMAT,
        "simulated": True,
        "size": size,
        "seed": seed,
        "genome": "simulated",
        "parameters": parameters.as_dict(),
        "noise": {"dropout": DROPOUT, "spurious": SPURIOUS, "off_universe": OFF_UNIVERSE},
    }
    (directory / "world.json").write_text(json.dumps(description, indent=1) + "\n", "utf-8")
    _write_files(directory, elements, regulation, experiments, noise, tell)


def _write_genome(
    directory: Path,
    elements: Elements,
    sites: Sites,
    genes: list[Gene],
    seed: np.random.SeedSequence,
) -> None:
    """Write FASTA, GTF, universe, and the truth about the genes."""
    *chromosomes, transcripts = seed.spawn(len(elements.chrom_names) + 1)
    write_fasta(directory / "genome.fa", elements, sites, genes, chromosomes)
    write_gtf(directory / "genes.gtf", elements, genes, np.random.default_rng(transcripts))
    truth = directory / "truth"
    gene_table(elements, genes).write_parquet(truth / "genes.parquet")
    link_table(elements, genes).write_parquet(truth / "links.parquet")
    universe = pl.read_parquet(truth / "elements.parquet", columns=["chrom", "start", "end"])
    universe.write_csv(directory / "universe.bed", separator="\t", include_header=False)


def _write_assays(
    directory: Path,
    elements: Elements,
    sites: Sites,
    motifs: list[Motif],
    regulation: Regulation,
    seed: np.random.SeedSequence,
) -> None:
    """Write what other public archives would hold, each from a seed of its own."""
    methylation, expressed, eqtls, mutagenesis = map(np.random.default_rng, seed.spawn(4))
    folder, truth, fasta = directory / "assays", directory / "truth", directory / "genome.fa"
    folder.mkdir()
    genes = pl.read_parquet(truth / "genes.parquet")
    links = pl.read_parquet(truth / "links.parquet")
    write_promoters(folder, elements, genes)
    write_methylation(folder, truth, fasta, elements, regulation, methylation)
    write_expression(folder, genes, links, regulation, expressed)
    write_eqtls(
        folder / "finemapping_DAPG.txt.gz",
        *(truth, fasta, elements, sites, motifs, genes, links, regulation, eqtls),
    )
    write_mutagenesis(
        folder / "saturation_mutagenesis.tsv.gz",
        *(truth, fasta, elements, sites, motifs, genes, regulation, mutagenesis),
    )


def _file_names(experiments: pl.DataFrame) -> pl.Series:
    return experiments.select(
        pl.format("files/{}.{}.bed.gz", "experiment", "replicate").alias("file")
    ).to_series()


def _sheet(experiments: pl.DataFrame, samples: list[Biosample]) -> pl.DataFrame:
    """Tabulate what a user gets to see of the experiments: no probability, no noise parameter."""
    about = pl.DataFrame([sample._asdict() for sample in samples]).rename({"name": "biosample"})
    return experiments.join(about, on="biosample", how="left", maintain_order="left").select(
        *("file", "description", "assay", "target", "biosample", "organ", "system"),
        *("age", "state", "disease", "replicate", "experiment"),
        pl.lit("simulated").alias("genome"),
    )


def _write_files(
    directory: Path,
    elements: Elements,
    regulation: Regulation,
    experiments: pl.DataFrame,
    seed: np.random.SeedSequence,
    tell: Progress,
) -> None:
    """Write every BED file, one biosample at a time in each thread.

    An experiment draws its positives once; its replicates share them, and each loses some and
    adds noise of its own. Seeds hang on the experiment's number, never on the order of work.
    """
    (directory / "files").mkdir()
    writer = PeakWriter(elements)
    entropy = list(seed.generate_state(4))

    def write_biosample(rows: pl.DataFrame) -> int:
        biosample = str(rows["biosample"][0])
        openness = regulation.log_odds_open(biosample)
        for (experiment,), group in rows.group_by("experiment", maintain_order=True):
            rng = np.random.default_rng([*entropy, int(str(experiment).removeprefix("SIMEX"))])
            assay, target = str(group["assay"][0]), str(group["target"][0])
            chance = regulation.presence(assay, target, biosample, openness)
            present = np.flatnonzero(rng.random(len(chance), np.float32) < chance)
            effect = rng.lognormal(0, SHARED_SPREAD, len(present)).astype(np.float32)
            for row in group.iter_rows(named=True):
                path = directory / str(row["file"])
                writer.write(path, present, chance[present], effect, row, rng)
        return rows.height

    done = 0
    tell("files", done, experiments.height)
    groups = experiments.partition_by("biosample", maintain_order=True)
    # A thread holds some vectors over the universe: at most eight, whatever the machine.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        try:
            for n in pool.map(write_biosample, groups):
                done += n
                tell("files", done, experiments.height)
        except BaseException:
            # Also Ctrl-C: what has not begun never will, so that leaving takes a biosample's time.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
