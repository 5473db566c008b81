"""Every task, built from the files of the small simulated world."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genoglot.sequence import Genome, to_text
from genoglot.simulate import World
from genoglot.tasks import TASKS, TaskData

Build = Callable[..., TaskData]


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
    }


@pytest.fixture(scope="session")
def built(
    sources: dict[str, list[Path]], genome: Genome, tmp_path_factory: pytest.TempPathFactory
) -> Build:
    """Build a task of the world, each one once."""
    folder = tmp_path_factory.mktemp("tasks")
    done: dict[str, TaskData] = {}

    def build(name: str) -> TaskData:
        if name not in done:
            dna = None if name == "MPRAProm" else genome
            (done[name],) = TASKS[name].build(sources[name], folder / name, genome=dna)
        return done[name]

    return build


@pytest.fixture(scope="session")
def letters() -> dict[str, str]:
    """Four chromosomes of random DNA."""
    rng = np.random.default_rng(0)
    return {f"chr{i}": to_text(rng.integers(0, 4, 4_000, dtype=np.uint8)) for i in range(1, 5)}


@pytest.fixture(scope="session")
def dna(letters: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Genome:
    path = tmp_path_factory.mktemp("dna") / "g.fa"
    # Repeats are in lower case, as UCSC has them.
    path.write_text("".join(f">{c}\n{s[:500].lower()}{s[500:]}\n" for c, s in letters.items()))
    return Genome.open(path)
