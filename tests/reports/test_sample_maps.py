"""Maps of samples: cell types with DNA of their own lie apart, and the numbers say how far."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread
from scipy.sparse import csr_array
from sklearn.metrics import silhouette_score

from genoglot.atlas.accessibility import Accessibility
from genoglot.errors import GenoglotError
from genoglot.models.dna.genebert import GeneBert
from genoglot.models.dna.genebert_data import GeneBertData
from genoglot.regions import Regions
from genoglot.reports.plots import plot_sample_maps
from genoglot.reports.sample_maps import map_samples, write_map
from genoglot.sequence import Genome
from genoglot.sequence.motifs import jaspar

TYPES = ["at rich", "gc rich", "mixed"]
COMPOSITION = {"at rich": (0.4, 0.1, 0.1, 0.4), "gc rich": (0.1, 0.4, 0.4, 0.1)}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> GeneBertData:
    """Three cell types, each with every third region; two have a composition of their own."""
    folder, rng = tmp_path_factory.mktemp("map"), np.random.default_rng(0)
    n, width = 300, 60
    with (folder / "g.fa").open("w") as file:
        for chrom in ("chr1", "chr2", "chr3"):
            parts = [
                rng.choice(list("ACGT"), width, p=COMPOSITION.get(TYPES[i % 3])) for i in range(n)
            ]
            file.write(f">{chrom}\n{''.join(np.concatenate(parts))}\n")
    start = np.tile(np.arange(n) * width, 3)
    regions = Regions(np.repeat(["chr1", "chr2", "chr3"], n), start, start + width)
    kind = np.tile(np.arange(n) % 3, 3)
    accessible = Accessibility(regions, TYPES, csr_array(kind == np.arange(3)[:, None]), "planted")
    return GeneBertData.build(
        folder / "data", accessible, Genome.open(folder / "g.fa"), jaspar()[:12], width=width,
        validation=["chr2"], test=["chr3"], progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(data: GeneBertData) -> GeneBert:
    return GeneBert.from_preset("tiny", data, k=3)


def test_cell_types_with_dna_of_their_own_lie_apart(data: GeneBertData, model: GeneBert) -> None:
    drawn, maps = map_samples(model, data, cell_types=TYPES[:2], n=60)
    assert [one.name for one in maps] == ["DNA", "DNA and motif scores", "motif scores, no model"]
    assert sorted(set(drawn.cell_type)) == TYPES[:2]
    ids = drawn.samples.region_ids(drawn.rows)
    assert (data.chrom[ids] == 2).all()  # of the test chromosome
    assert [TYPES[i % 3] for i in ids[:, 0]] == drawn.cell_type.tolist()
    assert len(np.unique(ids)) == ids.size  # no two have a region in common
    scores = maps[-1]
    assert scores.silhouette.low <= scores.silhouette.mean <= scores.silhouette.high
    assert scores.silhouette.mean > 0.2 > 0.1 > abs(scores.chance)
    own = data.motif_scores(ids).reshape(len(ids), -1)
    own -= own.mean(axis=0)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    assert scores.silhouette.mean == pytest.approx(silhouette_score(own, drawn.cell_type), abs=1e-5)
    # On the plane, the nearest neighbor is of the same cell type.
    distance = np.linalg.norm(scores.plane[:, None] - scores.plane, axis=-1)
    nearest = (distance + np.diag(np.full(len(distance), np.inf))).argmin(axis=1)
    assert (drawn.cell_type[nearest] == drawn.cell_type).mean() > 0.9


def test_the_same_seed_gives_the_same_map(data: GeneBertData, model: GeneBert) -> None:
    first, second = (map_samples(model, data, n=20, seed=3)[1] for _ in range(2))
    other = map_samples(model, data, n=20, seed=4)[1]
    for one, same in zip(first, second, strict=True):
        assert (one.plane == same.plane).all() and one[2:] == same[2:]
    assert first[0].silhouette != other[0].silhouette


def test_a_model_without_regions_has_maps_of_dna_only(data: GeneBertData, model: GeneBert) -> None:
    alone = GeneBert.from_preset("tiny", data, k=3, matching_weight=0, seed=1)
    assert [one.name for one in map_samples(alone, data, n=20)[1]] == [
        "DNA",
        "motif scores, no model",
    ]
    _, maps = map_samples(model, data, unimodal=alone, n=20)
    assert maps[0].name == "DNA, trained on DNA only" and len(maps) == 4
    assert maps[0].silhouette != maps[1].silhouette


def test_pictures_are_png_or_svg(data: GeneBertData, model: GeneBert, tmp_path: Path) -> None:
    drawn, maps = map_samples(model, data, n=30)
    write_map(tmp_path / "map.svg", drawn, maps)
    write_map(tmp_path / "again.svg", drawn, maps)
    svg = (tmp_path / "map.svg").read_bytes()
    assert svg == (tmp_path / "again.svg").read_bytes() and b"<svg" in svg
    write_map(tmp_path / "map.png", drawn, maps)
    assert imread(tmp_path / "map.png").std() > 0.05
    with pytest.raises(GenoglotError, match=r"map\.pdf: a map is written as \.png or \.svg"):
        write_map(tmp_path / "map.pdf", drawn, maps)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.svg", "map.png", "map.svg"]


def test_each_point_has_the_style_of_its_cell_type() -> None:
    names = [f"type {i:02d}" for i in range(12)]
    plane = np.arange(48.0).reshape(24, 2)
    figure = plot_sample_maps({"one": (plane, "0.1"), "two": (-plane, "0.2")}, names * 2)
    axes = figure.axes
    assert [a.get_title(loc="left") for a in axes] == ["one", "two"]
    assert axes[0].lines[3].get_xydata().tolist() == plane[[3, 15]].tolist()
    styles = {(line.get_color(), line.get_marker()) for line in axes[1].lines}
    assert len(styles) == 12
    (legend,) = figure.legends
    entries = {
        t.get_text(): h for t, h in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }
    for name, line in zip(names, axes[0].lines, strict=True):
        handle = entries[name]
        assert isinstance(handle, mpl.lines.Line2D)
        assert (handle.get_color(), handle.get_marker()) == (line.get_color(), line.get_marker())


def test_too_little_to_map_is_refused(data: GeneBertData, model: GeneBert) -> None:
    with pytest.raises(GenoglotError, match="of 1 cell types in the subset test"):
        map_samples(model, data, cell_types=["mixed"])
    with pytest.raises(GenoglotError, match="no cell type 'glia'"):
        map_samples(model, data, cell_types=["glia", "mixed"])
