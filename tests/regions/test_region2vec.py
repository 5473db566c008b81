"""Region2Vec: regions that occur together lie together; saved, loaded, refused."""

import json

import numpy as np
import pytest

from genoglot.errors import GenoglotError, ModelError, UniverseMismatchError
from genoglot.regions import Region2Vec, Regions, Universe


def themed_sets(n=120, seed=0):
    """Sets drawn from one of two halves of 40 regions."""
    rng = np.random.default_rng(seed)
    return [rng.choice(20, 12, replace=False) + 20 * (i % 2) for i in range(n)]


@pytest.fixture(scope="module")
def model():
    return Region2Vec.fit(themed_sets(), 45, dim=16, epochs=20)


def test_regions_of_the_same_sets_are_alike(model):
    unit = model.vectors[:40] / np.linalg.norm(model.vectors[:40], axis=1, keepdims=True)
    likeness = unit @ unit.T
    same = likeness[:20, :20][~np.eye(20, dtype=bool)].mean()
    assert same > likeness[:20, 20:].mean() + 0.3


def test_one_worker_and_one_seed_give_one_result(model):
    again = Region2Vec.fit(themed_sets(), 45, dim=16, epochs=20)
    other = Region2Vec.fit(themed_sets(), 45, dim=16, epochs=20, seed=1)
    assert np.array_equal(again.vectors, model.vectors)
    assert not np.array_equal(other.vectors, model.vectors)


def test_a_set_is_the_mean_of_its_known_regions(model):
    assert model.vectors.dtype == np.float32
    assert not model.vectors[40:].any()
    expected = model.vectors[[3, 5]].mean(axis=0)
    assert model.embed([3, 44, 5]) == pytest.approx(expected, abs=1e-6)
    assert not model.embed([]).any()
    assert not model.embed([44]).any()


def test_long_sets_are_not_cut_and_may_be_sampled():
    whole = Region2Vec.fit([np.arange(25_000)], 25_000, dim=2, epochs=1, negative=1, window=1)
    assert whole.seen.all()
    assert Region2Vec.fit(themed_sets(), 45, dim=4, epochs=1, max_tokens=3).seen.sum() == 40


@pytest.mark.parametrize(
    ("sets", "problem"), [([[1, 7]], "7 is outside"), ([[-1]], "outside"), ([[], []], "empty")]
)
def test_wrong_sets_are_refused(sets, problem):
    with pytest.raises(ModelError, match=problem):
        Region2Vec.fit(sets, 5, dim=2)


def test_saved_and_loaded_for_its_own_universe_only(tmp_path):
    universe = Universe(Regions(["1"] * 3, [0, 9, 20], [5, 12, 30]))
    other = Universe(Regions(["1"] * 3, [0, 9, 20], [5, 12, 31]))
    model = Region2Vec.fit([[0, 1]], len(universe), dim=4, universe_digest=universe.digest)
    model.save(tmp_path / "m")
    loaded = Region2Vec.load(tmp_path / "m", universe)
    assert np.array_equal(loaded.vectors, model.vectors)
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    with pytest.raises(UniverseMismatchError):
        Region2Vec.load(tmp_path / "m", other)
    with pytest.raises(GenoglotError, match="not empty"):
        model.save(tmp_path / "m")


def test_without_a_digest_the_size_must_fit(tmp_path):
    Region2Vec.fit([[0, 1]], 2, dim=4).save(tmp_path / "m")
    with pytest.raises(UniverseMismatchError, match="2 regions"):
        Region2Vec.load(tmp_path / "m", Universe(Regions(["1"], [0], [5])))


def test_a_missing_or_other_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no saved Region2Vec"):
        Region2Vec.load(tmp_path / "none")
    Region2Vec.fit([[0, 1]], 2, dim=4).save(tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    (tmp_path / "m" / "config.json").write_text(json.dumps({**config, "kind": "cnn"}))
    with pytest.raises(ModelError, match="a cnn"):
        Region2Vec.load(tmp_path / "m")
