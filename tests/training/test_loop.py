"""The training loop with a network of its own: named losses, and the state it is left in."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genoglot.errors import ModelError
from genoglot.training.device import choose_device
from genoglot.training.examples import Batch, Draw, Examples
from genoglot.training.loop import train
from genoglot.training.losses import Loss, Losses
from genoglot.training.schedule import Schedule

X = torch.linspace(-1, 1, 24)[:, None]


class TwoTasks(nn.Module):
    """Fits y = 2 x, and y = -x on the examples above 0 only."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.twice, self.minus = nn.Linear(1, 1), nn.Linear(1, 1)

    def forward(self, batch: Batch) -> Losses:
        x = batch["x"]
        above = x[x > 0][:, None]
        return {
            "twice": Loss((self.twice(x) - 2 * x).square().mean(), len(x)),
            "minus": Loss((self.minus(above) + above).square().sum() / max(len(above), 1),
                          len(above), weight=0.5),
        }  # fmt: skip


def make_batch(draw: Draw) -> dict[str, Tensor]:
    return {"x": X[torch.from_numpy(draw.rows)]}


def fitted(folder: Path | None, steps: int = 30) -> TwoTasks:
    network = TwoTasks()
    schedule = Schedule(steps, 0.1, weight_decay=0.0)
    train(network, Examples(24, 8, make_batch), schedule, seed=0, folder=folder, device="cpu")
    return network


def rows(folder: Path) -> list[dict[str, float]]:
    with (folder / "loss.csv").open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def test_each_named_loss_is_logged_and_their_weighted_sum_is_minimized(tmp_path: Path) -> None:
    network = fitted(tmp_path, 60)
    logged = rows(tmp_path)
    assert list(logged[0]) == ["step", "loss", "twice", "minus", "learning_rate"]
    for row in logged:
        assert row["loss"] == pytest.approx(row["twice"] + 0.5 * row["minus"], rel=1e-6)
    assert logged[-1]["loss"] < 0.05 * logged[0]["loss"]
    assert float(network.twice.weight) == pytest.approx(2, abs=0.3)
    assert float(network.minus.weight) == pytest.approx(-1, abs=0.3)


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_loop import Examples, Schedule, TwoTasks, make_batch, train
from genoglot.training.device import DeviceOptions
train(TwoTasks(), Examples(24, 8, make_batch), Schedule(9, 0.1, weight_decay=0.0), seed=0,
      folder=Path(sys.argv[1]), device=DeviceOptions("cpu", 2, strategy="ddp"))
"""


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one_though_their_parts_count_differently(
    tmp_path: Path,
) -> None:
    # Of a batch of 8, one process may have 4 examples above 0 and the other none.
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent)))
    done = subprocess.run(
        [sys.executable, script, tmp_path / "two"], capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    fitted(tmp_path / "one", 9)
    one, two = rows(tmp_path / "one"), rows(tmp_path / "two")
    assert len(one) == 9
    for ours, theirs in zip(one, two, strict=True):
        # The parts are logged as means over the processes; their sum is what is minimized.
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_a_network_is_left_in_the_mode_in_which_it_was(tmp_path: Path) -> None:
    network = TwoTasks().eval()
    network.minus.train()
    train(network, Examples(24, 8, make_batch), Schedule(2, 0.1), seed=0, device="cpu")
    assert not network.training and not network.twice.training and network.minus.training


def test_random_numbers_outside_are_left_alone() -> None:
    network = TwoTasks()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train(network, Examples(24, 8, make_batch), Schedule(2, 0.1), seed=5, device="cpu")
    assert torch.equal(torch.rand(3), expected)


def test_the_last_batch_of_an_epoch_is_filled_or_smaller() -> None:
    sizes: dict[bool, list[int]] = {True: [], False: []}
    for whole in (True, False):

        def record(draw: Draw, whole: bool = whole) -> dict[str, Tensor]:
            sizes[whole].append(len(draw.rows))
            assert draw.epoch == draw.step // 3
            return make_batch(draw)

        train(TwoTasks(), Examples(20, 8, record, whole), Schedule(6, 0.1), seed=0, device="cpu")
    assert sizes == {True: [8] * 6, False: [8, 8, 4] * 2}


def test_devices_are_chosen_in_one_place() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    auto = choose_device("auto")
    assert auto.type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ModelError, match="no device 'gpu'; choose auto, cpu or cuda"):
        choose_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="no CUDA device here"):
            choose_device("cuda")


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(ModelError, match="nothing to learn from"):
        train(TwoTasks(), Examples(0, 8, make_batch), Schedule(2, 0.1), seed=0, device="cpu")
    with pytest.raises(ModelError, match="no device"):
        train(TwoTasks(), Examples(8, 8, make_batch), Schedule(2, 0.1), seed=0, device="tpu9")


def test_an_epoch_reads_every_example_once() -> None:
    seen: list[np.ndarray] = []

    def record(draw: Draw) -> dict[str, Tensor]:
        seen.append(draw.rows)
        return make_batch(draw)

    train(TwoTasks(), Examples(24, 8, record), Schedule(6, 0.1), seed=3, device="cpu")
    for epoch in (0, 1):
        read = np.concatenate(seen[3 * epoch : 3 * epoch + 3])
        assert np.array_equal(np.sort(read), np.arange(24))
    assert not np.array_equal(seen[0], seen[3])
