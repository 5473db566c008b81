"""A label that is not known is none to learn, and judges no answer."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genoglot.atlas import Atlas
from genoglot.evaluation import evaluate_annotators
from genoglot.models import Annotator
from genoglot.models.regions_to_text.baselines import NearestSet


@pytest.fixture(scope="module")
def gappy(tmp_path_factory: pytest.TempPathFactory, toy_atlas: Atlas) -> Atlas:
    """Every fifth biosample is lost, every seventh target, and one assay has no targets at all."""
    rows = np.arange(len(toy_atlas))
    atac = rows % 10 < 2
    about = toy_atlas.metadata.drop("group").with_columns(
        assay=pl.Series(np.where(atac, "ATAC-seq", "TF ChIP-seq")),
        target=pl.Series([None if a or i % 7 == 3 else toy_atlas.metadata["target"][i]
                          for i, a in zip(rows.tolist(), atac, strict=True)]),
        biosample=pl.Series([None if i % 5 == 4 else toy_atlas.metadata["biosample"][i]
                             for i in rows.tolist()]),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("gappy") / "atlas"
    sets = toy_atlas.tokens_of(rows)
    return Atlas.from_sets(path, toy_atlas.universe, about, sets)


def test_unknown_labels_are_not_learned(
    tmp_path: Path, gappy: Atlas, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "genoglot"):
        annotator = Annotator().fit(gappy)
    about = gappy.metadata
    lost = (about["biosample"].is_null()) | (
        about["target"].is_null() & (about["assay"] == "TF ChIP-seq")
    )
    assert (
        f"{lost.sum()} of 60 sets have no assay, target or biosample, where others" in caplog.text
    )
    assert "" not in annotator.labels.names["biosample"]
    assert set(annotator.labels.factors) == {("ATAC-seq", "")} | {
        ("TF ChIP-seq", target) for target in about["target"].drop_nulls()
    }
    assert set(annotator.table["id"]) == set(about.filter(~lost)["id"])


def test_unknown_labels_are_not_judged(gappy: Atlas) -> None:
    table = evaluate_annotators({"nearest": NearestSet().fit(gappy)}, gappy)
    sets = {(result.task, result.metric): result.n_sets for result in table}
    values = {(result.task, result.metric): result.value for result in table}
    about = gappy.metadata
    assert sets["assay", "accuracy"] == 60
    assert sets["biosample", "accuracy"] == 60 - about["biosample"].null_count() == 48
    lost = about["target"].is_null() & (about["assay"] == "TF ChIP-seq")
    assert sets["target", "accuracy"] == 60 - lost.sum() < 60
    assert values["biosample", "accuracy"] == 1  # the nearest set of each is itself


def test_a_label_that_no_set_has_is_none(gappy: Atlas, tmp_path: Path) -> None:
    about = gappy.metadata.with_columns(biosample=pl.lit(None, pl.String))
    sets = gappy.tokens_of(np.arange(60))
    atlas = Atlas.from_sets(tmp_path / "atlas", gappy.universe, about, sets)
    annotator = Annotator().fit(atlas)
    assert annotator.labels.names["biosample"] == [""]
    lost = about["target"].is_null() & (about["assay"] == "TF ChIP-seq")
    assert len(annotator.table) == 60 - lost.sum()
