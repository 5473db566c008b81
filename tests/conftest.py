"""What many tests share: a tiny atlas, the small simulated world and its tasks, and a cache."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from genoglot.atlas import Atlas
from genoglot.regions import Regions, Universe
from genoglot.sequence import Genome
from genoglot.simulate import World, simulate
from genoglot.tasks import TASKS, TaskData

# The same examples in every run, and no limit of time: a busy machine is no reason to fail.
settings.register_profile(
    "genoglot", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("genoglot")

FACTORS = ("CTCF", "GATA1", "SPI1", "REST", "MYC")
CELLS = ("liver", "kidney", "B cell", "brain", "lung", "heart")


@pytest.fixture(scope="session")
def unmeasured() -> dict[str, str]:
    """Environment for a process that a signal stops: coverage is not measured there.

    An exception that a signal raises while the tracer of coverage holds its lock leaves it locked,
    so that the process would wait for ever.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


@pytest.fixture(scope="session")
def toy_universe() -> Universe:
    start = np.arange(400) * 1000
    return Universe(Regions(["chr1"] * 200 + ["chr2"] * 200, start, start + 300), genome="toy")


@pytest.fixture(scope="session")
def toy_atlas(tmp_path_factory: pytest.TempPathFactory, toy_universe: Universe) -> Atlas:
    """Five factors in six tissues, twice each: a region is bound where it is both fit and open."""
    rng = np.random.default_rng(0)
    fit = {f: rng.random(400) < 0.4 for f in FACTORS}
    open_in = {c: rng.random(400) < 0.4 for c in CELLS}
    rows, sets, signal_ranks = [], [], []
    for cell in CELLS:
        for factor in FACTORS:
            for replicate in (1, 2):
                bound = fit[factor] & open_in[cell]
                kept = np.flatnonzero(
                    np.where(bound, rng.random(400) < 0.95, rng.random(400) < 0.02)
                )
                sets.append(kept.astype(np.int32))
                signal_ranks.append(rng.integers(1, 256, len(kept)).astype(np.uint8))
                rows.append(
                    {
                        "id": f"{factor}.{cell}.{replicate}",
                        "file": f"{factor}.{cell}.{replicate}.bed",
                        "description": f"{factor} ChIP-seq in human {cell}, replicate {replicate}",
                        "assay": "TF ChIP-seq",
                        "target": factor,
                        "biosample": cell,
                        "group": f"{factor}.{cell}",
                        "n_regions": len(kept),
                    }
                )
    path = tmp_path_factory.mktemp("toy") / "atlas"
    return Atlas.from_sets(path, toy_universe, pl.DataFrame(rows), sets, signal_ranks=signal_ranks)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Folder that all workers share: what the first one makes there, the others only read."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def world(shared: Path) -> World:
    """The small world of seed 0."""
    path = shared / "world"
    with FileLock(f"{path}.lock"):
        return World.open(path) if path.exists() else simulate(path, size="small", seed=0)


@pytest.fixture(scope="session")
def genome(world: World) -> Genome:
    return Genome.open(world.genome_path)


@pytest.fixture(scope="session")
def sources(world: World) -> dict[str, list[Path]]:
    """The public files of each task, as the world writes them."""
    assays = world.path / "assays"
    peaks = sorted((world.path / "files").glob("*.bed.gz"))[:9]
    return {
        "PromVary": [assays / "promoters.fps"],
        "PromFix": [assays / "promoters.bed"],
        "Methyl96": sorted(assays.glob("*.bedMethyl.gz")),
        "Track7878": peaks,
        "DeepSEA919": peaks,
        "GeneExp": [assays / "geneanno.csv", assays / "geneanno.exp.csv"],
        "CausalSNP": [assays / "finemapping_DAPG.txt.gz"],
        "MPRAProm": [assays / "saturation_mutagenesis.tsv.gz"],
        "SpliceSites": [world.genes_path],
    }


@pytest.fixture(scope="session")
def built(sources: dict[str, list[Path]], genome: Genome, shared: Path) -> Callable[..., TaskData]:
    """Build a task of the world, each one once."""
    done: dict[str, TaskData] = {}

    def build(name: str) -> TaskData:
        if name not in done:
            path = shared / f"task-{name}"
            dna = None if name == "MPRAProm" else genome
            with FileLock(f"{path}.lock"):
                if not path.exists():
                    TASKS[name].build(sources[name], path, genome=dna)
                done[name] = TaskData.open(path)
        return done[name]

    return build


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Embeddings are cached for the session, in the tests' own folder, for subprocesses too."""
    os.environ["GENOGLOT_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")


@pytest.fixture(scope="session")
def toy_genebert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a `GeneBertData` of three chromosomes, three cell types and twelve motifs."""
    from scipy.sparse import csr_array

    from genoglot.atlas.accessibility import Accessibility
    from genoglot.models.dna.genebert_data import GeneBertData
    from genoglot.regions import Regions
    from genoglot.sequence import Genome
    from genoglot.sequence.motifs import jaspar

    folder, rng = tmp_path_factory.mktemp("genebert"), np.random.default_rng(0)
    lengths = {"chr1": 20_000, "chr2": 4_000, "chr3": 4_000}
    letters = {name: "".join(rng.choice(list("ACGT"), n)) for name, n in lengths.items()}
    fasta = folder / "genome.fa"
    fasta.write_text("".join(f">{name}\n{dna}\n" for name, dna in letters.items()))
    # Some regions are so close that windows of 50 bp overlap, and some lie in longer ones.
    rows = [
        (name, start, start + length)
        for name, n in lengths.items()
        for start, length in zip(
            np.cumsum(rng.choice([40, 45, 150], n // 100)),
            np.random.default_rng(1).choice([40, 40, 40, 240], n // 100),
            strict=True,
        )
        if start + length <= n
    ]
    regions = Regions(*map(list, zip(*rows, strict=True)))
    is_open = rng.random((3, len(regions))) < np.array([[1.0], [0.7], [0.5]])
    accessible = Accessibility(regions, ["glia", "neuron", "vessel"], csr_array(is_open), "toy")
    data = GeneBertData.build(
        folder / "data", accessible, Genome.open(fasta), jaspar()[:12], width=60,
        validation=["chr2"], test=["chr3"], progress=False,
    )  # fmt: skip
    return data.path
