"""`Task`: what a benchmark task consists of, and how it is measured."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from genoglot.errors import BedFormatError, TaskError
from genoglot.files import check_apart
from genoglot.models.dna.target import TaskTarget
from genoglot.sequence import Genome
from genoglot.tasks.dataset import TaskData
from genoglot.tasks.writer import TaskContent, write_task

BENCHMARK = "Training Transformers for Genetic Sequence Tasks"
"""The published benchmark that most of the tasks are of."""

COMMON_BASELINES = ("constant", "kmer-linear", "kmer-boosting", "motif-linear")
"""Baselines that fit every task."""


class PublishedResult(NamedTuple):
    """A result that somebody published.

    Attributes
    ----------
    model, metric, value
        Name of the model, name of the metric, and its value; an MCC of 67.95 % is 0.6795.
    source
        The publication, and where it is in it.
    dataset
        In a family of tasks, the dataset's name, such as tf/0; otherwise empty.
    """

    model: str
    metric: str
    value: float
    source: str
    dataset: str = ""


def published_results(
    metrics: Sequence[str], values: Mapping[str, Sequence[float]], source: str = BENCHMARK
) -> tuple[PublishedResult, ...]:
    """List what a source publishes of each model, in the order of the metrics, or of the first.

    Examples
    --------
    >>> [row[:3] for row in published_results(("AUROC", "AUPRC"), {"a": (0.9, 0.8), "b": (0.7,)})]
    [('a', 'AUROC', 0.9), ('a', 'AUPRC', 0.8), ('b', 'AUROC', 0.7)]
    """
    return tuple(
        PublishedResult(model, metric, value, source)
        for model, row in values.items()
        for metric, value in zip(metrics, row, strict=False)
    )


def check_choice(option: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a value of a task's option that is none of its choices.

    Raises
    ------
    TaskError
        With the choices.
    """
    if value not in choices:
        raise TaskError(f"{option} is {value!r}; choose one of {', '.join(choices)}")


Sources = Sequence[Path]
Builder = Callable[..., TaskContent]
"""`builder(sources, *, genome, seed, ...)`: what else it takes and has a default for are options of
the task; what has none is decided for each dataset by `Task.expand`."""


class Dataset(NamedTuple):
    """One of the datasets that are built of some sources.

    Attributes
    ----------
    sources
        Its source files.
    out
        Directory to write.
    options
        Arguments of the builder that differ between the datasets.
    """

    sources: list[Path]
    out: Path
    options: Mapping[str, Any] = {}


def _one_dataset(sources: Sources, out: Path) -> list[Dataset]:
    return [Dataset(list(sources), out)]


def _check_datasets(datasets: Sequence[Dataset], genome: Genome | None) -> None:
    """Refuse datasets that would be written over, or into, another one or what they are made of."""
    order = sorted(datasets, key=lambda dataset: dataset.out.resolve().parts)
    for one, other in pairwise(order):
        if other.out.resolve().is_relative_to(one.out.resolve()):
            raise TaskError(
                f"{one.sources[0]} and {other.sources[0]} would both be written into {one.out}; "
                "build them one by one, into different directories"
            )
    for dataset in datasets:
        check_apart(dataset.out, [*dataset.sources, *(genome.files if genome else ())])


@dataclass(frozen=True)
class Task:
    """A benchmark task.

    Attributes
    ----------
    name
        Name of the task, a key of `TASKS`.
    target
        What its labels are.
    metrics
        Names of metrics of `genoglot.evaluation.predictions`; the first one is the main one.
    split
        The split that published results are for; empty if it is not known, or there are no results.
    sources
        The files that it is built from, in words.
    needs_genome
        Whether a genome must be given.
    builder
        Function that makes the content of a dataset: see `Builder`.
    expand
        Function that makes several datasets of the sources, if they hold a family of tasks.
    published
        Results to compare with.
    baselines
        Names of `genoglot.bench.baselines.BASELINES` that fit it.
    per_group
        Whether a model is fitted to each group (such as a tissue) by itself, because the label of a
        sequence depends on the group, and models do not read that.
    """

    name: str
    target: TaskTarget
    metrics: tuple[str, ...]
    split: str
    sources: str
    needs_genome: bool
    builder: Builder
    expand: Callable[[Sources, Path], list[Dataset]] = _one_dataset
    published: tuple[PublishedResult, ...] = ()
    baselines: tuple[str, ...] = COMMON_BASELINES
    per_group: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """Options of the task, with their defaults."""
        decided = {"sources", "genome", "seed"}
        if isinstance(self.builder, partial):
            decided |= self.builder.keywords.keys()
        parameters = inspect.signature(self.builder).parameters.values()
        return {
            p.name: p.default
            for p in parameters
            if p.name not in decided and p.default is not inspect.Parameter.empty
        }

    def build(
        self,
        sources: Sources,
        out: str | Path,
        *,
        genome: Genome | None = None,
        seed: int = 0,
        leakage: bool = True,
        overwrite: bool = False,
        **options: Any,
    ) -> list[TaskData]:
        """Build the task's data: one dataset, or several if the sources hold a family.

        Parameters
        ----------
        sources
            The source files.
        out
            Directory to write (for a family, the directory above them).
        genome
            DNA, for tasks whose sources hold positions only.
        seed
            Seed of everything random.
        leakage
            Search the splits for sequences that are in two subsets.
        overwrite
            Replace a directory that is not empty.
        **options
            See `options`.

        Raises
        ------
        GenoglotError
            With file and line, if a source is malformed.
        """
        paths = [Path(source) for source in sources]
        if not paths:
            raise TaskError(f"{self.name} is built from {self.sources}; give the files")
        for path in paths:
            if not path.exists():
                raise TaskError(f"{path}: no such file")
        if self.needs_genome and genome is None:
            raise TaskError(f"{self.name} needs DNA; give the genome as FASTA (--genome)")
        self._check_options(options)
        datasets = self.expand(paths, Path(out))
        _check_datasets(datasets, genome)
        return [
            write_task(
                dataset.out,
                self._content(
                    dataset.sources, genome=genome, seed=seed, **dataset.options, **options
                ),
                task=self.name,
                target=self.target,
                metrics=self.metrics,
                published_split=self.split,
                genome=None if genome is None else genome.digest,
                leakage=leakage,
                overwrite=overwrite,
            )
            for dataset in datasets
        ]

    def _content(self, files: Sources, **options: Any) -> TaskContent:
        """Make the content of a dataset; advise to skip lines only where that is possible."""
        try:
            return self.builder(files, **options)
        except BedFormatError as error:
            if "on_error" in self.options:
                raise
            raise TaskError(f"{error.what}; correct the line") from None

    def _check_options(self, options: Mapping[str, Any]) -> None:
        """Refuse unknown options, and values of another type than the default."""
        for name, value in options.items():
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                raise TaskError(f"{self.name} has no option {name!r}; it has {known}")
            default = self.options[name]
            types = (int, float) if isinstance(default, float) else type(default)
            if not isinstance(value, types) or isinstance(value, bool) != isinstance(default, bool):
                wanted = (
                    "true or false" if isinstance(default, bool) else f"a value such as {default!r}"
                )
                raise TaskError(f"{self.name}: {name} is {value!r}; give {wanted}")

    def published_results(self, dataset: str = "") -> list[PublishedResult]:
        """List the published results of a dataset of this task."""
        return [result for result in self.published if result.dataset in ("", dataset)]
