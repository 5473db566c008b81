"""Random DNA."""

import numpy as np
import pytest

from genoglot.sequence import Genome, to_text


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
