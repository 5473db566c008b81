"""A bench: the runs of a recipe, those that are missing, and the results table they go into."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from genoglot import __version__
from genoglot.bench.cache import (
    Workshop,
    claimed,
    digest_of,
    discard_checkpoints,
    has_checkpoint,
)
from genoglot.bench.contender import Problem, contender_class, fit_and_predict
from genoglot.bench.recipe import MLM, NONE, Choice, Recipe, Size
from genoglot.errors import GenoglotError, TaskError
from genoglot.evaluation.predictions import METRICS
from genoglot.evaluation.provenance import code_version, hardware
from genoglot.files import atomic_path
from genoglot.permissions import explains_denial
from genoglot.tasks.dataset import METADATA, TaskData
from genoglot.tasks.registry import TASKS

if TYPE_CHECKING:
    from genoglot.sequence import Genome

log = logging.getLogger("genoglot")

RESULTS = "results"  # folder: one file per run, so that several processes can write into it
TOGETHER = "results.parquet"  # all runs in one file, as versions before 0.1 wrote them
SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("recipe", "key", "size", "task", "dataset", "digest"), pl.String()),
        **dict.fromkeys(("split", "model", "tokenizer", "positions", "pretrained"), pl.String()),
        **dict.fromkeys(("mask_rate", "fraction"), pl.Float64()),
        **dict.fromkeys(("seed", "n_train", "n_validation", "n_test"), pl.Int64()),
        "n_duplicates": pl.Int64(),  # of test, exact or near, in the parts before it
        **dict.fromkeys(
            [f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")], pl.Float64()
        ),
        "validation": pl.Float64(),  # the task's main metric
        "without_duplicates": pl.Float64(),  # the same, of test examples that have none
        "seconds": pl.Float64(),
        "parameters": pl.Int64(),
        "simulated": pl.Boolean(),
        **dict.fromkeys(("settings", "commit", "hardware", "version"), pl.String()),
    }
)
"""Columns of the results table, one row per run; a metric that a task lacks is null."""


@dataclass(frozen=True)
class Run:
    """One line of a bench: a model, on a split of a dataset, with a seed.

    Attributes
    ----------
    recipe, size
        Why it is run.
    dataset, digest, split
        What on.
    choice
        The model.
    seed
        Of everything random.
    settings
        All else that decides the result, as JSON: settings of the model, its training and
        pre-training, the digests of what it is pre-trained on, limits, the bootstrap.
    number
        Its place in the recipe, which is the order of results.
    """

    recipe: str
    size: str
    dataset: str
    digest: str
    split: str
    choice: Choice
    seed: int
    settings: str
    number: int = 0

    @cached_property
    def key(self) -> str:
        """Digest of what decides the result: not of the recipe's name or the size's."""
        about = [self.digest, self.split, list(self.choice), self.seed, json.loads(self.settings)]
        return digest_of(about)

    def __str__(self) -> str:
        return f"{self.dataset} ({self.split}): {self.choice}, seed {self.seed}"

    def matches(self, only: Mapping[str, str]) -> bool:
        """Whether its dataset, split, seed and choice are like the patterns given for them.

        Raises
        ------
        TaskError
            If a pattern is for something else.
        """
        facts = {"dataset": self.dataset, "split": self.split, "seed": self.seed}
        facts |= self.choice._asdict()
        if unknown := only.keys() - facts.keys():
            raise TaskError(f"runs have no {min(unknown)!r} (they have: {', '.join(facts)})")
        return all(fnmatchcase(str(facts[key]), pattern) for key, pattern in only.items())


def find_datasets(folder: str | Path) -> dict[str, TaskData]:
    """Open all task data below a folder.

    Returns
    -------
    By name, such as PromFix or, of a family, GUE/tf/0

    Raises
    ------
    TaskError
        If there is none, or two of the same name.
    """
    found: dict[str, TaskData] = {}
    for file in sorted(Path(folder).rglob(METADATA)):
        data = TaskData.open(file.parent)
        name = data.task if data.name == data.task else f"{data.task}/{data.name}"
        if name in found:
            raise TaskError(
                f"{data.path} and {found[name].path}: both hold {name}; leave one there"
            )
        found[name] = data
    if not found:
        raise TaskError(f"{folder}: no task data in this folder; build some (genoglot task build)")
    return found


def expand(
    recipe: Recipe,
    size: str,
    datasets: Mapping[str, TaskData],
    genome: Genome | None = None,
    split: str | None = None,
) -> list[Run]:
    """List the runs of a recipe; a dataset that is not there is left out, with a warning.

    Parameters
    ----------
    recipe
        The recipe.
    size
        Of which of its sizes.
    datasets
        What there is.
    genome
        What is pre-trained on.
    split
        In place of the recipe's.

    Raises
    ------
    GenoglotError
        If a task, model, setting or axis is unknown; no dataset is there; a dataset to pre-train
        on is not; or a genome is needed.
    """
    try:
        return _expanded(recipe, recipe.size(size), size, datasets, genome, split or recipe.split)
    except GenoglotError as error:
        raise TaskError(f"recipe {recipe.name}: {error}") from None


def _expanded(
    recipe: Recipe,
    size: Size,
    size_name: str,
    datasets: Mapping[str, TaskData],
    genome: Genome | None,
    split: str | None,
) -> list[Run]:
    _check_settings(size)
    wanted: dict[str, list[Choice]] = {}
    missing = []
    for block in recipe.grid:
        choices = [
            choice
            for model in block.model
            for choice in block.choices(contender_class(model).axes(model), model)
        ]
        for pattern in block.tasks:
            if not any(fnmatchcase(task, pattern.split("/")[0]) for task in TASKS):
                raise TaskError(f"no task {pattern!r} (there are: {', '.join(TASKS)})")
            names = [name for name in datasets if fnmatchcase(name, pattern)]
            missing += [] if names else [pattern]
            for name in names:
                wanted.setdefault(name, []).extend(choices)
    if not wanted:
        raise TaskError(f"no data of {', '.join(dict.fromkeys(missing))}; build some")
    for pattern in dict.fromkeys(missing):
        log.warning("recipe %s: no data of %s; left out", recipe.name, pattern)
    runs = []
    for name, choices in wanted.items():
        data = datasets[name]
        chosen = split or data.default_split
        data.assignment(chosen)  # refuses a split that it does not have
        for fraction in dict.fromkeys(choice.fraction for choice in choices):
            choices = choices + [Choice(b, fraction=fraction) for b in _baselines(recipe, data)]
        for choice in dict.fromkeys(choices):
            settings = _settings(recipe, size, name, choice, datasets, genome)
            text = json.dumps(settings, sort_keys=True)
            runs += [
                Run(recipe.name, size_name, name, data.digest, chosen, choice, seed, text)
                for seed in size.seeds
            ]
    return [replace(run, number=number) for number, run in enumerate(runs)]


def _baselines(recipe: Recipe, data: TaskData) -> list[str]:
    for name in recipe.baselines:
        contender_class(name)
    fitting = TASKS[data.task].baselines
    return [name for name in recipe.baselines if name in fitting]


def _check_settings(size: Size) -> None:
    from genoglot.bench.networks import Network, check_training

    for model, settings in size.models.items():
        kind = Network if model == "windowed" else contender_class(model)
        kind.check(model, settings)
    check_training(size.training, size.pretraining)


def _settings(
    recipe: Recipe,
    size: Size,
    name: str,
    choice: Choice,
    datasets: Mapping[str, TaskData],
    genome: Genome | None,
) -> dict[str, Any]:
    """All that decides a result besides dataset, split, choice and seed."""
    settings: dict[str, Any] = {
        "model": size.models.get(choice.model, {}),
        "bases": size.bases,
        "draws": size.draws,
        "measured": recipe.measured.get(name),
    }
    if TASKS[datasets[name].task].per_group and contender_class(choice.model).reads_dna(
        choice.model
    ):
        settings["per_group"] = True
    if contender_class(choice.model).trained:
        settings["training"] = size.training
        settings["windowed"] = size.models.get("windowed", {})
    if choice.pretrained == MLM:
        settings["pretraining"] = size.pretraining
    elif choice.pretrained not in (None, NONE):
        source = datasets.get(choice.pretrained)
        if source is None:
            raise TaskError(f"no data of {choice.pretrained} to pre-train on; build some")
        if choice.pretrained == name:
            raise TaskError(f"{name} is no source to transfer to itself from; leave that out")
        settings["source"] = {"digest": source.digest, "split": source.default_split}
    if choice.pretrained == MLM or choice.tokenizer == "bpe":
        if genome is None:
            raise TaskError(f"{choice}: reads a genome; give it as FASTA (--genome)")
        settings["genome"] = genome.digest
    return settings


def read_results(out: str | Path) -> pl.DataFrame:
    """Read the results of a bench, a row per run; without any, an empty table.

    Raises
    ------
    TaskError
        If a file is none of a bench.
    """
    files = [Path(out) / TOGETHER] if (Path(out) / TOGETHER).exists() else []
    files += sorted(Path(out, RESULTS).glob("*/*.parquet"))
    return pl.concat([pl.DataFrame(schema=SCHEMA), *map(_read, files)])


@explains_denial
def _read(path: Path) -> pl.DataFrame:
    try:
        found = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise TaskError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from None
    if missing := [name for name in SCHEMA if name not in found.columns]:
        raise TaskError(f"{path}: no results of a bench (no column {missing[0]!r}); move it away")
    return found.select(SCHEMA.names())


def done_keys(out: str | Path, recipe: str) -> set[str]:
    """Keys of the runs of a recipe that are done."""
    done = {_key(file) for file in Path(out, RESULTS, recipe).glob("*.parquet")}
    if (Path(out) / TOGETHER).exists():
        done |= set(_read(Path(out) / TOGETHER).filter(recipe=recipe)["key"])
    return done


def _key(file: Path) -> str:
    return file.stem.rpartition("-")[2]


def _write(out: Path, run: Run, row: Mapping[str, Any]) -> None:
    file = out / RESULTS / run.recipe / f"{run.number:05d}-{run.key}.parquet"
    with atomic_path(file) as temporary:
        pl.DataFrame([dict(row)], schema=SCHEMA).write_parquet(temporary)


def _known(out: Path, run: Run) -> dict[str, Any] | None:
    """Return the row of the same run in another recipe."""
    files = [
        *Path(out, RESULTS).glob(f"*/*-{run.key}.parquet"),
        *(file for file in [out / TOGETHER] if file.exists()),
    ]
    for file in files:
        for row in _read(file).filter(key=run.key).rows(named=True):
            return {**row, "recipe": run.recipe, "size": run.size}
    return None


Tell = Callable[[Run, Mapping[str, Any] | Exception], None]


def run_missing(runs: Sequence[Run], workshop: Workshop, tell: Tell) -> int:
    """Do the runs that are not done, one after the other, and write a row for each.

    Several processes may do so in one folder: a run that another process is doing is left to it.

    Parameters
    ----------
    runs
        Runs of `expand`.
    workshop
        Its folder holds the results.
    tell
        Called after each run with its row, or with what went wrong; the others go on.

    Returns
    -------
    How many failed
    """
    failed = 0
    for run in runs:
        folder = workshop.folder / "runs" / run.key
        with claimed(folder.with_name(f"{run.key}.lock")) as claim:
            if run.key in done_keys(workshop.folder, run.recipe):
                continue
            if claim is None:
                log.info("%s: another process is doing this run", run)
                continue
            if claim.again:
                how = "goes on from its checkpoint" if has_checkpoint(folder) else "is done again"
                log.info("%s: was interrupted, and %s", run, how)
            try:
                row = _known(workshop.folder, run) or do(run, workshop)
            except Exception as error:  # one that does not fit shall not stop a night's work
                log.debug("%s", run, exc_info=True)
                failed += 1
                tell(run, error)
                continue
            if claim.again:
                row = {**row, "seconds": None}  # nobody knows how many there were before
            _write(workshop.folder, run, row)
            discard_checkpoints(folder)
        tell(run, row)
    return failed


def do(run: Run, workshop: Workshop) -> dict[str, Any]:
    """Fit the model of a run on train, choose on validation, test it once.

    Returns
    -------
    A row of the results table
    """
    data = workshop.datasets[run.dataset]
    settings = json.loads(run.settings)
    problem = Problem.of(data, run.split, run.choice, settings, run.seed)
    started = time.perf_counter()
    told, predictions, n_parameters = fit_and_predict(
        problem, workshop, workshop.folder / "runs" / run.key
    )
    seconds = time.perf_counter() - started
    (chosen, *_) = problem.measure(problem.validation.labels, told, draws=0)
    measured = problem.measure(problem.test.labels, predictions, settings["draws"])
    row: dict[str, Any] = {
        **dict.fromkeys(SCHEMA),
        "recipe": run.recipe,
        "key": run.key,
        "size": run.size,
        "task": data.task,
        "dataset": run.dataset,
        "digest": run.digest,
        "split": run.split,
        **run.choice._asdict(),
        "seed": run.seed,
        "n_train": len(problem.train.codes),
        "n_validation": len(problem.validation.codes),
        "n_test": len(problem.test.codes),
        "n_duplicates": None if problem.duplicated is None else int(problem.duplicated.sum()),
        "validation": chosen.value,
        "without_duplicates": problem.without_duplicates(predictions),
        "seconds": seconds,
        "parameters": n_parameters,
        "simulated": bool(data.notes.get("simulated")),
        "settings": run.settings,
        "commit": code_version(),
        "hardware": f"{hardware()}, {workshop.precision}",
        "version": __version__,
    }
    for metric in measured:
        row[metric.metric] = metric.value
        row[f"{metric.metric}_low"], row[f"{metric.metric}_high"] = metric.low, metric.high
    return row
