"""Recipes: what is not one is refused with the place of the error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from genoglot.bench.recipe import Recipe
from genoglot.bench.workspace import Workspace
from genoglot.errors import TaskError

MakeRecipe = Callable[..., Recipe]
MakeWorkspace = Callable[..., Workspace]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("titel: x", "no key 'titel' (there are: name, title"),
        ("grid: [{tasks: PromVary, modle: a}]", "'modle' in grid.0 (there are: tasks, model"),
        ("sizes: {small: {epochs: 3}}", "no key 'epochs' in sizes.small (there are: seeds"),
        ("sizes: {tiny: {}}", "tiny"),
        ("grid: []", "grid: Tuple should have at least 1 item"),
        ("published: {source: s, figures: [{dataset: D, values: {F1: 1}}]}", "no metric 'F1'"),
        ("published: {source: s, figures: [{set: D, values: {}}]}", "(there are: dataset, model"),
        ("[", "is not YAML"),
        ("title", "is not a recipe"),
    ],
)
def test_what_is_no_recipe_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    whole = {"title": "t", "grid": [{"tasks": "PromVary", "model": "constant"}], "sizes": {}}
    if ":" in text:
        key = text.partition(":")[0]
        lines = [f"{k}: {json.dumps(v)}" for k, v in whole.items() if k != key]
        text = "\n".join([text, *lines])
    path.write_text(text)
    with pytest.raises(TaskError) as error:
        Recipe.read(path)
    assert problem in str(error.value) and str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
