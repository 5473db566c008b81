"""The runs of a benchmark: each model of a recipe, on each dataset, with each seed."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genoglot.bench.models import bench_model
from genoglot.bench.recipe import GENEBERT, MLM, NONE, Configuration, Recipe, SizeSettings
from genoglot.bench.workspace import digest_of
from genoglot.errors import GenoglotError, ModelError, TaskError
from genoglot.files import file_digest
from genoglot.saved import read_config
from genoglot.tasks.dataset import METADATA, TaskData
from genoglot.tasks.registry import TASKS

if TYPE_CHECKING:
    from genoglot.models.dna.genebert_data import GeneBertData
    from genoglot.sequence import Genome

log = logging.getLogger("genoglot")


@dataclass(frozen=True)
class Run:
    """A model on a split of a dataset, with a seed.

    Attributes
    ----------
    recipe, size
        Names of the recipe and the size that the run is for.
    dataset, digest, split
        The dataset, the digest of its content, and the split.
    configuration
        The model.
    seed
        Random seed.
    settings
        All else that decides the result, as JSON: settings of the model, its training and
        pre-training, digests of the data that it is pre-trained on, limits, and the bootstrap.
    number
        Position in the recipe, which is the order of the results.
    """

    recipe: str
    size: str
    dataset: str
    digest: str
    split: str
    configuration: Configuration
    seed: int
    settings: str
    number: int = 0

    @cached_property
    def key(self) -> str:
        """Digest of what decides the result: not of the names of the recipe and the size."""
        settings = json.loads(self.settings)
        named = self.configuration._asdict()
        del named["frozen"]  # the settings of the training say it
        if named["pretraining"] is None:  # the digest is that of versions without it
            del named["pretraining"]
        return digest_of([self.digest, self.split, list(named.values()), self.seed, settings])

    def __str__(self) -> str:
        return f"{self.dataset} ({self.split}): {self.configuration}, seed {self.seed}"

    def matches(self, patterns: Mapping[str, str]) -> bool:
        """Return whether the run matches all patterns.

        Parameters
        ----------
        patterns
            Patterns such as GUE/*, by key, dataset, split, seed, or attribute of `Configuration`.

        Raises
        ------
        TaskError
            If there is a pattern for something else.
        """
        facts = {"key": self.key, "dataset": self.dataset, "split": self.split, "seed": self.seed}
        facts |= self.configuration._asdict()
        if unknown := patterns.keys() - facts.keys():
            raise TaskError(f"runs have no {min(unknown)!r} (they have: {', '.join(facts)})")
        return all(fnmatchcase(str(facts[key]), pattern) for key, pattern in patterns.items())


def find_datasets(folder: str | Path) -> dict[str, TaskData]:
    """Open all task data below a folder.

    Returns
    -------
    dict
        Datasets by name, such as PromFix, or GUE/tf/0 for one of several datasets of a task.

    Raises
    ------
    TaskError
        If there is none, or two datasets have the same name.
    """
    found: dict[str, TaskData] = {}
    for file in sorted(Path(folder).rglob(METADATA)):
        data = TaskData.open(file.parent)
        name = data.task if data.name == data.task else f"{data.task}/{data.name}"
        if name in found:
            raise TaskError(f"{data.path} and {found[name].path}: both are {name}; remove one")
        found[name] = data
    if not found:
        raise TaskError(f"{folder}: no task data in this folder; build some (genoglot task build)")
    return found


class Plan(NamedTuple):
    """A recipe, what it is run on, and its runs.

    Attributes
    ----------
    recipe
        The recipe.
    datasets
        Datasets by name.
    genome
        Genome to pre-train on, if there is one.
    genebert
        Accessible regions to pre-train GeneBERT on, if there are any.
    runs
        The runs, in the order of the recipe.
    """

    recipe: Recipe
    datasets: dict[str, TaskData]
    genome: Genome | None
    genebert: GeneBertData | None
    runs: list[Run]


def open_plan(
    recipe: str | Path,
    data: str | Path,
    *,
    size: str = "published",
    genome: Sequence[str | Path] | None = None,
    genebert: str | Path | None = None,
    split: str | None = None,
    only: Mapping[str, str] | None = None,
) -> Plan:
    """Read a recipe and list its runs on the datasets in a folder.

    Parameters
    ----------
    recipe
        YAML file, or name of a recipe that comes with Genoglot.
    data
        Folder that contains task data, at any depth.
    size
        Name of one of the recipe's sizes.
    genome
        FASTA files of the genome to pre-train on.
    genebert
        Folder of accessible regions to pre-train GeneBERT on: see `GeneBertData`.
    split
        Split of every dataset, in place of the recipe's.
    only
        Patterns that the runs must match: see `Run.matches`.

    Raises
    ------
    GenoglotError
        As in `find_datasets` and `plan_runs`.
    """
    from genoglot.models.dna.genebert_data import GeneBertData
    from genoglot.sequence import Genome

    plan, datasets = Recipe.read(recipe), find_datasets(data)
    dna = Genome.open(genome) if genome else None
    accessible = GeneBertData.open(genebert) if genebert else None
    runs = plan_runs(plan, size, datasets, dna, split, genebert=accessible)
    runs = [run for run in runs if run.matches(only or {})]
    return Plan(plan, datasets, dna, accessible, runs)


def plan_runs(
    recipe: Recipe,
    size: str,
    datasets: Mapping[str, TaskData],
    genome: Genome | None = None,
    split: str | None = None,
    *,
    genebert: GeneBertData | None = None,
) -> list[Run]:
    """List the runs of a recipe. Datasets that are missing are left out, with a warning.

    Parameters
    ----------
    recipe
        The recipe.
    size
        Name of one of its sizes.
    datasets
        Datasets by name.
    genome
        Genome to pre-train on.
    split
        Split of every dataset, in place of the recipe's.
    genebert
        Accessible regions to pre-train GeneBERT on.

    Returns
    -------
    list of Run
        The runs, in the order of the recipe.

    Raises
    ------
    GenoglotError
        If a task, model, setting or axis is unknown; there is no dataset to run on, or to pre-train
        on; a genome, or accessible regions, are needed; or a model cannot be used on a dataset, as
        it reads shorter sequences.
    """
    try:
        settings = recipe.size(size)
        _check_settings(settings)
        runs = []
        for name, configurations in _configurations(recipe, settings, datasets).items():
            data = datasets[name]
            chosen = split or recipe.split or data.default_split
            data.assignment(chosen)  # refuses a split that the dataset does not have
            for configuration in configurations:
                decided = _run_settings(recipe, settings, name, configuration, datasets, genome)
                decided |= _genebert_settings(settings, configuration, genebert)
                _check_run(name, configuration, decided, datasets)
                text = json.dumps(decided, sort_keys=True)
                runs += [
                    Run(recipe.name, size, name, data.digest, chosen, configuration, seed, text)
                    for seed in settings.seeds
                ]
    except GenoglotError as error:
        raise TaskError(f"recipe {recipe.name}: {error}") from None
    return [replace(run, number=number) for number, run in enumerate(runs)]


def _configurations(
    recipe: Recipe, size: SizeSettings, datasets: Mapping[str, TaskData]
) -> dict[str, list[Configuration]]:
    """List the distinct configurations on each dataset, those of the baselines last."""
    found: dict[str, list[Configuration]] = {}
    missing: dict[str, None] = {}
    for name in recipe.baselines:
        bench_model(name)  # refuses an unknown one
    for grid in recipe.grid:
        axes = {model: bench_model(model).axes(model) for model in grid.model}
        if grid.pretraining is None and all("pretraining" in axes[model] for model in axes):
            grid = grid.model_copy(update={"pretraining": tuple(size.genebert) or None})
        configurations = [
            configuration
            for model in grid.model
            for configuration in grid.configurations(axes[model], model)
        ]
        configurations = [
            # A saved encoder has a tokenizer and positions of its own.
            one._replace(tokenizer=None, positions=None) if _encoder_of(one, datasets) else one
            for one in configurations
        ]
        for pattern in grid.tasks:
            if not any(fnmatchcase(task, pattern.split("/")[0]) for task in TASKS):
                raise TaskError(f"no task {pattern!r} (there are: {', '.join(TASKS)})")
            names = [name for name in datasets if fnmatchcase(name, pattern)]
            missing |= {} if names else {pattern: None}
            for name in names:
                found.setdefault(name, []).extend(configurations)
    if not found:
        raise TaskError(f"no data of {', '.join(missing)}; build some")
    for pattern in missing:
        log.warning("recipe %s: no data of %s; left out", recipe.name, pattern)
    for name, configurations in found.items():
        fitting = TASKS[datasets[name].task].baselines
        for fraction in dict.fromkeys(one.fraction for one in configurations):
            configurations += [
                Configuration(baseline, fraction=fraction)
                for baseline in recipe.baselines
                if baseline in fitting
            ]
    return {name: list(dict.fromkeys(listed)) for name, listed in found.items()}


def _check_run(
    name: str,
    configuration: Configuration,
    settings: Mapping[str, Any],
    datasets: Mapping[str, TaskData],
) -> None:
    model = bench_model(configuration.model)
    try:
        model.check_run(datasets[name], configuration, settings, datasets)
    except GenoglotError as error:
        raise TaskError(f"{name}: {configuration}: {error}") from None


def _encoder_of(configuration: Configuration, datasets: Mapping[str, TaskData]) -> Path | None:
    """Return the folder of the saved encoder that `pretrained` names; None if it names none."""
    name = configuration.pretrained
    if name is None or name in (NONE, MLM, GENEBERT) or name in datasets or not Path(name).is_dir():
        return None
    return Path(name)


def _encoder_digest(model: str, folder: Path) -> str:
    """Digest of the files of a saved encoder, or of a model that has one.

    Raises
    ------
    ModelError
        If the folder holds no saved model, or the encoder is of another kind.
    """
    from genoglot.models.dna.sequence_encoder import encoder_folder

    inside = encoder_folder(folder)
    found = read_config(inside)["model_type"]
    if found != model:
        raise ModelError(f"{folder}: is {found}, not {model}; set model to {found}")
    files = sorted(file for file in inside.rglob("*") if file.is_file())
    return digest_of([[str(file.relative_to(inside)), file_digest(file)] for file in files])


def _check_settings(size: SizeSettings) -> None:
    from genoglot.bench.network import NetworkModel, check_genebert, check_training

    for model, settings in size.models.items():
        found = NetworkModel if model == "windowed" else bench_model(model)
        found.check(model, settings)
    check_training(size.training, size.pretraining)
    for name, of_genebert in size.genebert.items():
        check_genebert(name, of_genebert)


def _run_settings(
    recipe: Recipe,
    size: SizeSettings,
    name: str,
    configuration: Configuration,
    datasets: Mapping[str, TaskData],
    genome: Genome | None,
) -> dict[str, Any]:
    """All that decides a result, besides dataset, split, configuration and seed."""
    model = bench_model(configuration.model)
    settings: dict[str, Any] = {
        "model": size.models.get(configuration.model, {}),
        "bases": size.bases,
        "draws": size.draws,
        "measured": recipe.measured.get(name),
    }
    if TASKS[datasets[name].task].per_group and model.reads_dna(configuration.model):
        settings["per_group"] = True
    if model.trained:
        frozen = {} if configuration.frozen is None else {"frozen": configuration.frozen}
        settings["training"] = size.training | frozen
        settings["windowed"] = size.models.get("windowed", {})
    if configuration.pretrained == MLM:
        settings["pretraining"] = size.pretraining
    elif folder := _encoder_of(configuration, datasets):
        settings["model"] = {}
        settings["encoder"] = _encoder_digest(configuration.model, folder)
    elif configuration.pretrained not in (None, NONE, GENEBERT):
        source = datasets.get(configuration.pretrained)
        if source is None:
            raise TaskError(
                f"no data of {configuration.pretrained} to pre-train on, and no folder of that "
                "name; build the task, or give the folder of a saved encoder"
            )
        if configuration.pretrained == name:
            raise TaskError(f"{name} cannot be pre-trained on itself; leave that out")
        settings["source"] = {"digest": source.digest, "split": source.default_split}
    if configuration.pretrained == MLM or configuration.tokenizer == "bpe":
        if genome is None:
            raise TaskError(f"{configuration}: needs a genome; give it as FASTA (--genome)")
        settings["genome"] = genome.digest
    return settings


def _genebert_settings(
    size: SizeSettings, configuration: Configuration, data: GeneBertData | None
) -> dict[str, Any]:
    """Return what else decides a result if the encoder is that of a GeneBERT."""
    if configuration.pretrained != GENEBERT:
        return {}
    if configuration.pretraining not in size.genebert:
        known = ", ".join(size.genebert) or "none"
        raise TaskError(
            f"{configuration}: no settings of this pre-training in the size (genebert has: {known})"
        )
    if data is None:
        raise TaskError(
            f"{configuration}: needs accessible regions; give the folder that genoglot genebert "
            "build has written (--genebert)"
        )
    return {"genebert": size.genebert[configuration.pretraining], "accessible": data.digest}
