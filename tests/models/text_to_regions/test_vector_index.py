from pathlib import Path

import numpy as np
import pytest

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models import create, load
from genoglot.models.text_to_regions.text2bed import Text2Bed
from genoglot.models.text_to_regions.vector_index import ExactIndex, HnswIndex


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((3000, 20)).astype(np.float32)


def test_the_exact_index_finds_the_true_neighbors(vectors: np.ndarray) -> None:
    query = vectors[7] + 0.1
    ids, products = ExactIndex(vectors).top(query, 25)
    everything = vectors @ query
    assert ids.tolist() == np.argsort(-everything)[:25].tolist()
    assert np.allclose(products, everything[ids])


def test_hnsw_finds_most_of_them_and_says_how_many(vectors: np.ndarray, tmp_path: Path) -> None:
    index = HnswIndex(vectors)
    queries = np.random.default_rng(1).standard_normal((10, 20)).astype(np.float32)
    recall = index.recall(queries, 50)
    assert 0.8 < recall <= 1
    index.save(tmp_path / "graph")
    again = HnswIndex.load(tmp_path / "graph", vectors)
    assert again.top(queries[0], 50)[0].tolist() == index.top(queries[0], 50)[0].tolist()
    (tmp_path / "graph").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="damaged HNSW index"):
        HnswIndex.load(tmp_path / "graph", vectors)


@pytest.mark.parametrize("kind", ["text2bed", "text2bed-published"])
def test_text2bed_answers_from_either_index_and_saves_it(
    kind: str, toy_atlas: Atlas, tmp_path: Path
) -> None:
    model = create(kind, epochs=2, **({"rank": 16, "min_steps": 5} if kind == "text2bed" else {}))
    model.fit(toy_atlas)
    assert isinstance(model, Text2Bed) or kind == "text2bed-published"
    exact = model.generate("CTCF in human liver", 40)
    model.use_index("hnsw")  # type: ignore[attr-defined]
    near = model.generate("CTCF in human liver", 40)
    shared = set(exact.columns["name"]) & set(near.columns["name"])
    assert len(shared) >= 30
    model.save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.index_type == "hnsw"  # type: ignore[attr-defined]
    assert loaded.generate("CTCF in human liver", 40) == near
    with pytest.raises(ModelError, match="no vector index"):
        model.use_index("faiss")  # type: ignore[attr-defined]
