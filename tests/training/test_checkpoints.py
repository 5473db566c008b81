"""The training loop: what is written, stopping early, which checkpoints are refused."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models import create
from genoglot.models.text_to_regions.network_generator import NetworkGenerator
from genoglot.training.checkpoints import SafeCheckpointIO
from genoglot.training.examples import Draw


def validation_losses(folder: Path) -> list[float]:
    with (folder / "validation.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_logs_and_checkpoints_are_written_without_pickle(toy_atlas: Atlas, tmp_path: Path) -> None:
    model = create("direct-published", epochs=2)
    model.fit(toy_atlas, range(40), validation=range(40, 60), log_folder=tmp_path)
    assert len(validation_losses(tmp_path)) == 2
    with (tmp_path / "loss.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, 17))
    assert {float(row["learning_rate"]) for row in rows} == {1e-3}
    names = {p.name for p in (tmp_path / "checkpoints").rglob("*") if p.is_file()}
    assert {name.partition(".")[2] for name in names} == {"json", "tensors.safetensors"}


def test_tensorboard_shows_the_values_of_the_csv_files(toy_atlas: Atlas, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = create("direct-published", epochs=2)
    model.fit(toy_atlas, range(40), validation=range(40, 60), log_folder=tmp_path)
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(board.Tags()["scalars"]) == {"loss/loss", "loss/learning_rate", "validation/loss"}
    with (tmp_path / "loss.csv").open() as file:
        losses = [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]
    shown = [(event.step, event.value) for event in board.Scalars("loss/loss")]
    np.testing.assert_allclose(shown, losses, rtol=1e-6)


def test_training_stops_early_and_keeps_the_best_weights(toy_atlas: Atlas, tmp_path: Path) -> None:
    def trained(log_folder: Path | None, *, resume: bool = False) -> NetworkGenerator:
        model = create("direct-published", epochs=400, learning_rate=1e-2)
        model.fit(
            toy_atlas, range(10), validation=range(40, 60), log_folder=log_folder, patience=3,
            resume=resume,
        )  # fmt: skip
        assert isinstance(model, NetworkGenerator)
        return model

    model, unlogged = trained(tmp_path), trained(None)
    texts = toy_atlas.descriptions(range(40, 60))
    assert np.array_equal(model.score(texts), unlogged.score(texts))
    curve = validation_losses(tmp_path)
    assert len(curve) < 400
    assert len(curve) == curve.index(min(curve)) + 1 + 3
    # Resumed, it stops where it had stopped.
    again = trained(tmp_path, resume=True)
    assert np.array_equal(again.score(texts), unlogged.score(texts))
    assert validation_losses(tmp_path) == curve
    batch = model.examples(toy_atlas, range(40, 60)).make_batch(Draw(np.arange(20), 0, 0))
    with torch.no_grad():
        assert float(model.loss(batch)) == pytest.approx(min(curve), rel=1e-3)


def test_an_annealed_training_keeps_its_last_weights(toy_atlas: Atlas) -> None:
    # Early stopping would cut its schedule; validation sets are watched and change nothing.
    texts = toy_atlas.descriptions(range(40, 60))

    def scores(**how: Any) -> np.ndarray:
        model = create("direct", rank=16, epochs=40, min_steps=1, regions_per_step=64)
        return model.fit(toy_atlas, range(40), **how).score(texts)

    plain = scores()
    assert np.array_equal(scores(validation=range(40, 60)), plain)
    assert not np.array_equal(scores(validation=range(40, 60), patience=1), plain)


def test_a_checkpoint_of_another_training_is_refused(toy_atlas: Atlas, tmp_path: Path) -> None:
    def fit(n: int, *, resume: bool) -> None:
        create("direct-published", epochs=1).fit(
            toy_atlas, range(n), log_folder=tmp_path, resume=resume
        )

    fit(20, resume=False)
    with pytest.raises(ModelError, match="of another model, other settings or other data"):
        fit(30, resume=True)
    (tmp_path / "checkpoints" / "last.ckpt" / "state.json").write_text("{")
    with pytest.raises(ModelError, match="not a complete checkpoint"):
        fit(20, resume=True)


def test_a_closed_form_is_fitted_by_the_same_call(toy_atlas: Atlas, tmp_path: Path) -> None:
    rows, validation = np.arange(30), np.arange(30, 40)
    model = create("ridge").fit(
        toy_atlas, rows, validation=validation, log_folder=tmp_path, device="cpu"
    )
    assert model.score(["CTCF in liver"]).shape == (1, 400)


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
