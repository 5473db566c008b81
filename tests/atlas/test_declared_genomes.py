"""Two things that are declared to be of different assemblies never meet in silence."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from genoglot.atlas import Atlas
from genoglot.errors import UniverseMismatchError
from genoglot.evaluation import evaluate, evaluate_annotators
from genoglot.library import Library
from genoglot.models import create
from genoglot.models.regions_to_text.baselines import MajorityLabels
from genoglot.regions import Regions, Universe


def atlas_of(path: Path, genome: str) -> Atlas:
    start = [100 * i for i in range(8)]
    universe = Universe(Regions(["chr1"] * 8, start, [s + 50 for s in start]), genome=genome)
    about = pl.DataFrame(
        {
            "description": ["CTCF in liver", "MAX in liver"],
            "assay": "ChIP",
            "target": ["CTCF", "MAX"],
        }
    )
    return Atlas.from_sets(path, universe, about, [[0, 1, 2], [2, 5]])


@pytest.fixture
def hg38(tmp_path: Path) -> Atlas:
    return atlas_of(tmp_path / "hg38", "hg38")


def test_a_model_and_an_atlas(tmp_path: Path, hg38: Atlas) -> None:
    model, annotator = create("popularity").fit(hg38), MajorityLabels().fit(hg38)
    hg19 = atlas_of(tmp_path / "hg19", "hg19")
    with pytest.raises(UniverseMismatchError, match=r"'m' .* of 'hg19' there and of 'hg38'"):
        evaluate({"m": model}, hg19)
    with pytest.raises(UniverseMismatchError, match=r"'m' .* of 'hg19' there and of 'hg38'"):
        evaluate_annotators({"m": annotator}, hg19)
    for genome in ("GRCh38.p14", ""):
        other = atlas_of(tmp_path / f"other{genome}", genome)
        assert len(evaluate({"m": model}, other).results)
        assert len(evaluate_annotators({"m": annotator}, other).results)


def test_a_library_and_an_atlas(tmp_path: Path, hg38: Atlas) -> None:
    library = Library.create(tmp_path / "library", hg38.universe)
    with pytest.raises(UniverseMismatchError, match="of 'mm10' there and of 'hg38' here"):
        library.add_atlas(atlas_of(tmp_path / "mm10", "mm10"))
    assert len(library) == 0
    assert library.add_atlas(atlas_of(tmp_path / "same", "GRCh38")) == 2
