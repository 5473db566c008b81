"""Region2Vec: regions that occur together lie together; saved, loaded, refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

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
    assert whole.trained.all()
    assert Region2Vec.fit(themed_sets(), 45, dim=4, epochs=1, max_tokens=3).trained.sum() == 40


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
    model.save_pretrained(tmp_path / "m")
    loaded = Region2Vec.from_pretrained(tmp_path / "m")
    loaded.check_universe(universe)
    assert np.array_equal(loaded.vectors, model.vectors)
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    with pytest.raises(UniverseMismatchError):
        loaded.check_universe(other)
    with pytest.raises(GenoglotError, match="not empty"):
        model.save_pretrained(tmp_path / "m")


def test_without_a_digest_the_size_must_fit(tmp_path):
    Region2Vec.fit([[0, 1]], 2, dim=4).save_pretrained(tmp_path / "m")
    with pytest.raises(UniverseMismatchError, match="2 regions"):
        Region2Vec.from_pretrained(tmp_path / "m").check_universe(
            Universe(Regions(["1"], [0], [5]))
        )


def test_a_missing_or_other_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no saved model"):
        Region2Vec.from_pretrained(tmp_path / "none")
    Region2Vec.fit([[0, 1]], 2, dim=4).save_pretrained(tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    (tmp_path / "m" / "config.json").write_text(json.dumps({**config, "model_type": "cnn"}))
    with pytest.raises(ModelError, match="no model named 'cnn'"):
        Region2Vec.from_pretrained(tmp_path / "m")


REGIONS = [("chr2", 0, 90), ("chr1", 500, 700), ("chr1", 0, 100), ("chr1", 300, 400)]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """What geniml's Region2VecExModel.export writes: five special tokens after the regions."""
    folder = tmp_path / "exported"
    folder.mkdir()
    lines = [f"{chrom}\t{start}\t{end}\n" for chrom, start, end in REGIONS]
    (folder / "universe.bed").write_text("".join(lines))
    embedding = torch.nn.Embedding(len(REGIONS) + 5, 3)
    embedding.weight.data = torch.arange(27.0).reshape(9, 3) + 1
    network = torch.nn.Module()
    network.projection = embedding
    torch.save(network.state_dict(), folder / "checkpoint.pt")
    config = {"vocab_size": 9, "embedding_dim": 3}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def test_vectors_of_a_geniml_export_are_those_of_its_regions(export, caplog):
    """Whatever the order of its lines; a region that it lacks has zeros, with a count."""
    universe = Universe.from_bed(export / "universe.bed", repair="sort")
    found = Region2Vec.from_geniml(export, universe)
    for id_, (chrom, start, end) in enumerate(universe.regions.frame.iter_rows()):
        line = REGIONS.index((chrom, start, end))
        assert found.vectors[id_].tolist() == [3 * line + 1, 3 * line + 2, 3 * line + 3]
    assert found.universe_digest == universe.digest and not caplog.text
    rows = [("chr1", 0, 100), ("chr1", 300, 401), ("chr2", 0, 90)]
    other = Universe(Regions(*map(list, zip(*rows, strict=True))))
    found = Region2Vec.from_geniml(export, other)
    assert found.vectors[:, 0].tolist() == [7, 0, 1]
    assert found.trained.tolist() == [True, False, True]
    assert "no vector for 1 of 3 regions" in caplog.text


def test_the_same_vectors_by_safetensors_and_the_older_config(export):
    from safetensors.torch import save_file

    universe = Universe.from_bed(export / "universe.bed", repair="sort")
    expected = Region2Vec.from_geniml(export, universe)
    state = torch.load(export / "checkpoint.pt", weights_only=True)
    save_file(dict(state), export / "model.safetensors")
    (export / "checkpoint.pt").unlink()
    (export / "config.yaml").write_text("vocab_size: 9\nembedding_size: 3\n")
    assert np.array_equal(Region2Vec.from_geniml(export, universe).vectors, expected.vectors)


def test_a_universe_of_other_regions_is_refused(export):
    other = Universe(Regions(["chr1"] * 3, [0, 200, 400], [100, 300, 500]))
    with pytest.raises(UniverseMismatchError, match=r"1 of the 3 regions .* --universe"):
        Region2Vec.from_geniml(export, other)


@pytest.mark.parametrize("damage", ["gone", "missing", "text", "pickle", "shape", "longer", "key"])
def test_what_is_no_geniml_export_is_refused(export, damage):
    universe = Universe.from_bed(export / "universe.bed", repair="sort")
    if damage == "gone":
        export = export / "nowhere"
    elif damage == "missing":
        (export / "checkpoint.pt").unlink()
    elif damage == "text":
        (export / "checkpoint.pt").write_text("not a checkpoint")
    elif damage == "pickle":  # code is never run: only tensors are read
        torch.save({"projection.weight": Path("x")}, export / "checkpoint.pt")
    elif damage == "shape":
        (export / "config.yaml").write_text("vocab_size: 9\nembedding_dim: 4\n")
    elif damage == "longer":
        with (export / "universe.bed").open("a") as file:
            file.write("".join(f"chr9\t{i}00\t{i}50\n" for i in range(1, 9)))
    else:
        (export / "config.yaml").write_text("vocab_size: 9\n")
    with pytest.raises(ModelError, match="export"):
        Region2Vec.from_geniml(export, universe)
