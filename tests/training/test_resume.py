"""Training under Lightning: what is written, stopping early, what is no checkpoint."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models import create
from genoglot.models.text_to_regions import train
from genoglot.models.text_to_regions.trainable import Trainable
from genoglot.training.checkpoints import SafeCheckpointIO


def losses(folder: Path) -> dict[int, tuple[str, str]]:
    """Training and validation loss of each epoch."""
    found: dict[int, dict[str, str]] = {}
    for row in csv.DictReader((folder / "csv" / "metrics.csv").read_text().splitlines()):
        for name in ("train_loss_epoch", "validation_loss"):
            if row.get(name):
                found.setdefault(int(row["epoch"]), {})[name] = row[name]
    return {
        e: (v["train_loss_epoch"], v["validation_loss"]) for e, v in found.items() if len(v) == 2
    }


def test_logs_and_checkpoints_are_written_without_pickle(toy_atlas: Atlas, tmp_path: Path) -> None:
    model = create("direct-published", epochs=2)
    train(
        model, toy_atlas, range(40), validation=range(40, 60), log_folder=tmp_path, progress=False
    )
    assert len(losses(tmp_path)) == 2
    assert list((tmp_path / "tensorboard").glob("events*"))
    names = {p.name for p in (tmp_path / "checkpoints").rglob("*") if p.is_file()}
    assert {name.partition(".")[2] for name in names} == {"json", "tensors.safetensors"}


def test_training_stops_early_and_keeps_the_best_weights(toy_atlas: Atlas, tmp_path: Path) -> None:
    def trained(log_folder: Path | None) -> Trainable:
        model = create("direct-published", epochs=400, learning_rate=1e-2)
        train(
            model, toy_atlas, range(10), validation=range(40, 60), log_folder=log_folder,
            patience=3, progress=False,
        )  # fmt: skip
        assert isinstance(model, Trainable)
        return model

    model, unlogged = trained(tmp_path), trained(None)
    texts = toy_atlas.descriptions(range(40, 60))
    assert np.array_equal(model.score(texts), unlogged.score(texts))
    curve = {epoch: float(v) for epoch, (_, v) in losses(tmp_path).items()}
    assert len(curve) < 400
    # Gone on with, it stops where it had stopped.
    again = create("direct-published", epochs=400, learning_rate=1e-2)
    train(
        again, toy_atlas, range(10), validation=range(40, 60), log_folder=tmp_path, resume=True,
        patience=3, progress=False,
    )  # fmt: skip
    assert np.array_equal(again.score(texts), unlogged.score(texts))
    assert {e: float(v) for e, (_, v) in losses(tmp_path).items()} == curve
    batch = next(iter(model._loader(toy_atlas, range(40, 60), training=False)))
    with torch.no_grad():
        vectors = model.encode(toy_atlas.descriptions(range(40, 60)))
        everything = batch._replace(
            rows=torch.arange(20), ids=toy_atlas.tokens_of(range(40, 60)), vectors=vectors
        )
        assert float(model.loss(everything)) == pytest.approx(min(curve.values()), rel=1e-3)


def test_an_annealed_training_keeps_its_last_weights(toy_atlas: Atlas) -> None:
    # Early stopping would cut its schedule; validation sets are watched and change nothing.
    texts = toy_atlas.descriptions(range(40, 60))

    def scores(**how: object) -> np.ndarray:
        model = create("direct", rank=16, epochs=40, min_steps=1, regions_per_step=64)
        return train(model, toy_atlas, range(40), progress=False, **how).score(texts)  # type: ignore[arg-type]

    plain = scores()
    assert np.array_equal(scores(validation=range(40, 60)), plain)
    assert not np.array_equal(scores(validation=range(40, 60), patience=1), plain)


def test_a_checkpoint_of_another_training_is_refused(toy_atlas: Atlas, tmp_path: Path) -> None:
    train(
        create("direct-published", epochs=1),
        toy_atlas,
        range(20),
        log_folder=tmp_path,
        progress=False,
    )
    with pytest.raises(ModelError, match="of another model, other settings or other data"):
        train(
            create("direct-published", epochs=1), toy_atlas, range(30), log_folder=tmp_path,
            resume=True, progress=False,
        )  # fmt: skip
    (tmp_path / "checkpoints" / "last.ckpt" / "state.json").write_text("{")
    with pytest.raises(ModelError, match="no whole checkpoint"):
        train(
            create("direct-published", epochs=1), toy_atlas, range(20), log_folder=tmp_path,
            resume=True, progress=False,
        )  # fmt: skip


def test_a_checkpoint_holds_what_was_put_in(tmp_path: Path) -> None:
    state = {
        "epoch": 3,
        "nested": [1.5, None, "text", (True, torch.arange(3))],
        0: {"momentum": torch.randn(2, 2, generator=torch.Generator().manual_seed(0))},
    }
    SafeCheckpointIO().save_checkpoint(state, tmp_path / "a.ckpt")
    found = SafeCheckpointIO().load_checkpoint(tmp_path / "a.ckpt")
    assert found["epoch"] == 3
    assert found["nested"][:3] == [1.5, None, "text"]
    assert isinstance(found["nested"][3], tuple)
    assert torch.equal(found["nested"][3][1], torch.arange(3))
    assert torch.equal(found[0]["momentum"], state[0]["momentum"])  # type: ignore[index]
    with pytest.raises(ModelError, match="cannot be saved"):
        SafeCheckpointIO().save_checkpoint({"x": object()}, tmp_path / "b.ckpt")
    assert not (tmp_path / "b.ckpt").exists()


def test_a_baseline_is_trained_by_the_same_call(toy_atlas: Atlas) -> None:
    model = train(create("ridge"), toy_atlas, np.arange(30))
    assert model.score(["CTCF in liver"]).shape == (1, 400)
