"""`genoglot pretrain genebert` as a user runs it, what reads its model, and what is refused."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genoglot.models import load
from genoglot.models.dna.genebert import GeneBert

Here = Callable[..., str]

TRAIN = ("pretrain", "genebert", "data", "--preset", "tiny", "--device", "cpu")


@pytest.fixture(scope="module")
def files(toy_genebert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrain")
    shutil.copytree(toy_genebert, folder / "data")
    (folder / "some.fa").write_text(">a\nACGTACGTACGT\n>b\nTTGACATTGACA\n")
    return folder


@pytest.fixture
def model(here: Here, files: Path) -> Path:
    """A model, trained once."""
    if not (files / "model").exists():
        said = here(*TRAIN, "-o", "model", "--k", "3", "--max-steps", "6")
        assert "model: trained on GeneBertData(280 regions, 3 cell types, 12 motifs" in said
    return files / "model"


def test_the_model_and_its_curve_are_written(here: Here, model: Path, files: Path) -> None:
    with (files / "model.training" / "loss.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    for row in rows:
        parts = [float(row[name]) for name in ("masked", "next_segment", "matching")]
        assert float(row["loss"]) == pytest.approx(np.dot(parts, [1, 1, 0.5]), rel=1e-5)
    again = here(*TRAIN, "-o", "model", status=2)
    assert "model: already exists; choose another name or use --overwrite" in again


def test_embed_reads_its_encoder_of_dna(here: Here, model: Path, files: Path) -> None:
    here("embed", "model", "some.fa", "-o", "vectors.npy", "--device", "cpu")
    loaded = load(model)
    assert isinstance(loaded, GeneBert)
    codes = np.array([[0, 1, 2, 3] * 3, [3, 3, 2, 0, 1, 0] * 2], np.uint8)
    np.testing.assert_allclose(np.load(files / "vectors.npy"), loaded.encoder.embed(codes))


def test_a_training_begins_with_an_encoder_and_chosen_cell_types(
    here: Here, model: Path, files: Path
) -> None:
    options = ("--encoder", "model", "--cell-type", "glia", "--cell-type", "neuron")
    here(*TRAIN, "-o", "second", *options, "--max-steps", "2", "--set", "matching_weight=0")
    second = load(files / "second")
    assert second.region_encoder is None and second.encoder.tokenizer.k == 3
    header = (files / "second.training" / "loss.csv").read_text().splitlines()[0]
    assert header == "step,loss,masked,next_segment,learning_rate"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--set", "region_depth=3"), "no setting 'region_depth' (it has: "),
        (("--set", "batch_size=x"), "batch_size: Input should be a valid integer"),
        (("--set", "region_backbone=swin-x"), "backbone: Input should be 'patches', 'swin-t'"),
        (("--cell-type", "liver"), "no cell type 'liver'"),
        (("--encoder", "model", "--k", "4"), "k is that of the encoder to begin with"),
        (("--encoder", "data"), "data: no weights here"),
        (("--encoder", "nothing"), "nothing: no k-mer BERT here"),
        (("--region-weights", "model"), "no weights are published for patches"),
        (
            ("--set", "region_bases=61", "--set", "max_length=999"),
            "has 60 bp of each region, but 61 are read",
        ),
    ],
)
def test_what_is_refused_writes_nothing(
    here: Here, model: Path, files: Path, arguments: tuple[str, ...], says: str
) -> None:
    before = sorted(files.iterdir())
    said = here(*TRAIN, "-o", "refused", *arguments, status=2).strip()
    assert says in said and "\n" not in said
    assert sorted(files.iterdir()) == before
    said = here("pretrain", "genebert", "some.fa", "-o", "refused", status=2)
    assert "some.fa: no GeneBERT data set here" in said
