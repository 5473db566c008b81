"""The examples of a run: what is drawn, and what is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from genoglot.bench.recipe import Configuration, Recipe
from genoglot.bench.run_data import RunData
from genoglot.bench.workspace import Workspace
from genoglot.errors import TaskError
from genoglot.tasks import TaskData

MakeRecipe = Callable[..., Recipe]
MakeWorkspace = Callable[..., Workspace]


def test_train_is_drawn_by_the_seed_and_test_is_not(prom: dict[str, TaskData]) -> None:
    def parts(seed: int, fraction: float = 1.0, **bases: int) -> list[np.ndarray]:
        examples = RunData.select(
            prom["PromVary"],
            "random",
            Configuration("x", fraction=fraction),
            {"bases": bases},
            seed,
        )
        return [part.codes[:] for part in (examples.train, examples.validation, examples.test)]

    whole, few, limited = parts(0), parts(0, 0.01), parts(0, test=5000, train=5000)
    assert len(few[0]) == round(len(whole[0]) / 100) and len(few[2]) == len(whole[2])
    assert len(limited[0]) == len(limited[2]) == 10
    other = parts(1, test=5000, train=5000)
    assert (other[2] == limited[2]).all() and not (other[0] == limited[0]).all()


def test_only_the_groups_asked_for_are_measured(datasets: dict[str, TaskData]) -> None:
    data = datasets["DeepSEA919"]
    groups = ["TF ChIP-seq" if i % 2 else "DNase-seq" for i in range(len(data.outputs))]
    known = replace(data, output_groups=groups)
    settings = {"bases": {}, "measured": "*TF*"}
    examples = RunData.select(known, "random", Configuration("constant"), settings, 0)
    assert examples.outputs is not None
    assert examples.outputs.tolist() == list(range(1, len(groups), 2))
    labels = np.asarray(examples.test.labels)
    told = np.random.default_rng(0).random(labels.shape).astype(np.float32)
    value = examples.measure(labels, told, examples.data.metrics)[0].value
    told[:, ::2] = 0
    assert examples.measure(labels, told, examples.data.metrics)[0].value == value
    with pytest.raises(TaskError, match="no output is of a group 'H3'"):
        RunData.select(
            known, "random", Configuration("constant"), {"bases": {}, "measured": "H3"}, 0
        )
