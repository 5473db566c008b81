"""Evaluation of saved models beside baselines, as the command line and the web page do it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from genoglot.atlas import Atlas
from genoglot.errors import GenoglotError
from genoglot.evaluation.annotation import evaluate_annotators
from genoglot.evaluation.differences import paired_differences
from genoglot.evaluation.evaluate import evaluate
from genoglot.evaluation.results import ResultsTable
from genoglot.models import ColumnOdds, create, load, names
from genoglot.models.regions_to_text.baselines import MajorityLabels, NearestSet, RidgeBackwards
from genoglot.registry import Group, group_of

log = logging.getLogger("genoglot")


class Comparison(NamedTuple):
    """Results of models and baselines on the same region sets.

    Attributes
    ----------
    table
        Results of all models.
    differences
        Differences of each model from one of them: see `paired_differences`; without rows if
        none was chosen.
    """

    table: ResultsTable
    differences: pl.DataFrame


def compare_models(
    paths: Sequence[str],
    atlas: Atlas,
    *,
    split: str | None = None,
    subset: str = "test",
    baselines: bool = True,
    train_atlas: Atlas | None = None,
    columns: Sequence[str] = (),
    against: str | None = None,
    n: int = 1000,
    seed: int = 0,
    device: str = "auto",
) -> Comparison:
    """Evaluate saved generators, or saved annotators, beside baselines.

    Parameters
    ----------
    paths
        Folders of the models.
    atlas
        Atlas to evaluate on.
    split, subset
        Split of the atlas and its subset to evaluate on; by default all sets.
    baselines
        Fit baselines to the training subset of the split, or to `train_atlas`.
    train_atlas
        Atlas to fit the baselines to, if there is no split.
    columns
        Columns of the sample sheet for the baseline `ColumnOdds`, which needs a split.
    against
        Name of a model or baseline that all others are compared with, set by set.
    n
        N of precision@N.
    seed
        Seed of the models, as recorded, and of the bootstrap.
    device
        Device of the generators: see `genoglot.training.device.choose_device`.

    Returns
    -------
    Comparison
        The results, and the differences from `against`.

    Raises
    ------
    GenoglotError
        If generators and annotators are mixed, or `against` is unknown.
    """
    group = _common_group(paths)
    if columns and group == "regions-to-text":
        raise GenoglotError("--columns is a baseline of generators; leave it out for annotators")
    models: dict[str, Any] = {}
    if baselines and (split or train_atlas):
        models = _fit_baselines(group, train_atlas or atlas, split)
    elif baselines:
        log.warning("no baselines: they learn from a --split's training subset or a --train-atlas")
    if columns and split:
        odds = ColumnOdds(atlas, columns)
        models[odds.model_type] = odds.fit(atlas.split(split).train)
    loaded = dict(zip(name_models(paths, taken=set(models)), paths, strict=True))
    if against is not None and against not in (known := [*models, *loaded]):
        raise GenoglotError(f"--against {against}: not in the table, which has {', '.join(known)}")
    models |= {name: load(path, group) for name, path in loaded.items()}
    where: dict[str, Any] = {"split": split or "", "subset": subset, "seed": seed}
    if group == "regions-to-text":
        table = evaluate_annotators(models, atlas, **where)
    else:
        for name in loaded:
            models[name].to(device)
        table = evaluate(models, atlas, n=n, **where)
    return Comparison(
        table, paired_differences(table, against) if against is not None else pl.DataFrame()
    )


def name_models(paths: Sequence[str], taken: set[str]) -> list[str]:
    """Name models in a table: by the last part of each path, or all of it where that is ambiguous.

    Parameters
    ----------
    paths
        Folders of the models.
    taken
        Names that other models have.

    Examples
    --------
    >>> name_models(["runs/direct/", "ridge", "x/m", "y/m"], taken={"ridge"})
    ['direct', './ridge', 'x/m', 'y/m']
    """
    short = [Path(path).name for path in paths]
    chosen = [
        name if short.count(name) == 1 and name not in taken else path
        for name, path in zip(short, paths, strict=True)
    ]
    return [f"./{name}" if name in taken else name for name in chosen]


def _common_group(paths: Sequence[str]) -> Group:
    """Return what all models are, generators or annotators."""
    groups = [group_of(path) for path in paths]
    for path, group in zip(paths, groups, strict=True):
        if {group, groups[0]} == {"regions-to-text", "text-to-regions"}:
            raise GenoglotError(
                f"{paths[0]} and {path}: a generator and an annotator have no metric in common; "
                "evaluate them separately"
            )
    return "regions-to-text" if "regions-to-text" in groups else "text-to-regions"


def _fit_baselines(group: Group, atlas: Atlas, split: str | None) -> dict[str, Any]:
    """Fit the baselines to a split's training subset, or to all sets."""
    rows = None if split is None else atlas.split(split).train
    if group == "regions-to-text":
        annotators = (MajorityLabels(), NearestSet(), RidgeBackwards())
        return {one.model_type: one.fit(atlas, rows) for one in annotators}
    return {name: create(name).fit(atlas, rows) for name in names(group, baseline=True)}
