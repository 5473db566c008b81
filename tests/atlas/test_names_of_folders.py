"""Folders whose names look like addresses, patterns or escapes are folders."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from genoglot.atlas import Atlas, make_split
from genoglot.evaluation import ResultsTable, evaluate
from genoglot.library import Library
from genoglot.models import create, load
from genoglot.regions import Regions, Universe
from genoglot.text import Tfidf

ABOUT = pl.DataFrame(
    {"id": ["a", "b"], "description": ["CTCF in liver", "MAX in lung"], "biosample": ["x", "y"]}
)


@pytest.mark.parametrize(
    "name", ["hg38:encode", "s3:", "memory:", "file:x", "db:x", "~x", "a[1]", "a*", "50%", "a b#?"]
)
def test_every_name_is_only_a_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    universe = Universe(Regions(["chr1"] * 4, [0, 10, 20, 30], [5, 15, 25, 35]))
    encoder = Tfidf().fit(ABOUT["description"].to_list())
    for base in ("", "in:side/"):
        path = base + name
        library = Library.create(path + "/library", universe, encoder=encoder)
        assert library.add(ABOUT, [[0, 1], [2]]) == 2
        assert Library.open(path + "/library").search(regions=[0])[0].id == "a"

        atlas = Atlas.from_sets(path + "/atlas", universe, ABOUT, [[0, 1], [2]])
        atlas.add_split(make_split(atlas.metadata, "random", test=0.5, validation=0))
        atlas = Atlas.open(path + "/atlas")
        atlas.verify()
        assert atlas.tokens(1).tolist() == [2] and len(atlas.split("random").test) == 1

        create("ridge").fit(atlas).save_pretrained(path + "/model")
        table = evaluate({"m": load(path + "/model")}, atlas)
        table.to_parquet(path + "/results.parquet")
        assert ResultsTable.from_parquet(path + "/results.parquet").results.equals(table.results)
    found = {file.name for file in tmp_path.iterdir()}
    assert found == {name.rstrip("/"), "in:side"}
