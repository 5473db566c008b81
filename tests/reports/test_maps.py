from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from genoglot.reports.maps import map_sets


def clustered(seed: int = 0) -> csr_array:
    """Three kinds of region sets, ten of each, of very different sizes."""
    rng = np.random.default_rng(seed)
    kinds = rng.random((3, 600)) < 0.3
    sets = [kinds[i % 3] & (rng.random(600) < rng.choice([0.4, 0.95])) for i in range(30)]
    return csr_array(np.array(sets, np.float32))


def test_sets_of_a_kind_lie_together() -> None:
    plane = map_sets(clustered(), seed=1)
    kind = np.arange(30) % 3
    distance = np.linalg.norm(plane[:, None] - plane[None], axis=-1) + np.diag(np.full(30, np.inf))
    assert (kind[distance.argmin(1)] == kind).all()


def test_the_same_seed_gives_the_same_map() -> None:
    assert np.array_equal(map_sets(clustered(), seed=3), map_sets(clustered(), seed=3))


def test_a_handful_of_sets() -> None:
    assert map_sets(clustered()[:3]).shape == (3, 2)
