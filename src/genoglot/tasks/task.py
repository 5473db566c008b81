"""`Task`: what a benchmark task is made of, and how it is measured."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from genoglot.errors import TaskError
from genoglot.sequence import Genome
from genoglot.tasks.dataset import Kind, TaskData


class Published(NamedTuple):
    """A figure that somebody published.

    Attributes
    ----------
    model, metric, value
        What reached how much; metrics are shares of 1 (an MCC of 67.95 is 0.6795).
    source
        Where it stands.
    dataset
        Of a family, the dataset's name, such as tf/0; else empty.
    """

    model: str
    metric: str
    value: float
    source: str
    dataset: str = ""


SEED = "Training Transformers for Genetic Sequence Tasks"


def published_figures(
    metrics: Sequence[str], values: Mapping[str, Sequence[float]], source: str = SEED
) -> tuple[Published, ...]:
    """List what a source publishes of each model, in the order of the metrics, or of the first.

    Examples
    --------
    >>> [row[:3] for row in published_figures(("AUROC", "AUPRC"), {"a": (0.9, 0.8), "b": (0.7,)})]
    [('a', 'AUROC', 0.9), ('a', 'AUPRC', 0.8), ('b', 'AUROC', 0.7)]
    """
    return tuple(
        Published(model, metric, value, source)
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


def _check_apart(found: Sequence[tuple[list[Path], Path]]) -> None:
    """Refuse datasets that would be written over, or into, another one or their own sources."""
    order = sorted(found, key=lambda dataset: dataset[1].resolve().parts)
    for (sources, place), (others, after) in pairwise(order):
        if after.resolve().is_relative_to(place.resolve()):
            raise TaskError(
                f"{sources[0]} and {others[0]} would both be written into {place}; build them one "
                "by one, into different directories"
            )
    for sources, place in found:
        for source in sources:
            if source.resolve().is_relative_to(place.resolve()):
                raise TaskError(
                    f"{place}: holds the source {source}, which would be replaced; choose another "
                    "directory to make (-o)"
                )


Sources = Sequence[Path]

_COMMON = ("sources", "out", "task", "genome", "seed", "leakage", "overwrite")


BASELINES_OF_ALL = ("constant", "kmer-linear", "kmer-boosting", "motif-linear")


def _alone(sources: Sources, out: Path) -> list[tuple[list[Path], Path]]:
    return [(list(sources), out)]


@dataclass(frozen=True)
class Task:
    """A benchmark task.

    Attributes
    ----------
    name
        Its name, a key of `TASKS`.
    kind
        Of its labels: binary, classes or real.
    metrics
        Names of metrics of `genoglot.evaluation.predictions`, the first one is the main one.
    split
        The split that published figures are for.
    sources
        What to build it from, in words.
    needs_genome
        Whether a genome must be given.
    builder
        `builder(sources, out, *, genome, seed, leakage, overwrite, ...) -> TaskData`.
    expand
        Makes several (sources, out) of one, where the sources hold a family of tasks.
    published
        Figures to compare with.
    baselines
        Names of `genoglot.tasks.BASELINES` that fit it.
    per_group
        Whether a model is fitted to each group (such as a tissue) by itself, because the label of a
        sequence depends on the group, and models do not read that.
    """

    name: str
    kind: Kind
    metrics: tuple[str, ...]
    split: str
    sources: str
    needs_genome: bool
    builder: Callable[..., TaskData]
    expand: Callable[[Sources, Path], list[tuple[list[Path], Path]]] = _alone
    published: tuple[Published, ...] = ()
    baselines: tuple[str, ...] = BASELINES_OF_ALL
    per_group: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """What else the builder takes, with defaults."""
        parameters = inspect.signature(self.builder).parameters.values()
        return {p.name: p.default for p in parameters if p.name not in _COMMON}

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
        """Build the task's data: one dataset, or of a family several.

        Parameters
        ----------
        sources
            The source files.
        out
            Directory to make (of a family, to make directories in).
        genome
            DNA, for tasks whose sources hold places only.
        seed
            Of everything random.
        leakage
            Look for sequences that stand in two parts of a split.
        overwrite
            Let a non-empty directory be replaced.
        options
            See `options`.

        Raises
        ------
        GenoglotError
            With file and line, at bad input.
        """
        paths = [Path(source) for source in sources]
        if not paths:
            raise TaskError(f"{self.name} is built from {self.sources}; give the files")
        for path in paths:
            if not path.exists():
                raise TaskError(f"{path}: no such file")
        if self.needs_genome and genome is None:
            raise TaskError(f"{self.name} needs DNA; give the genome as FASTA (--genome)")
        if unknown := options.keys() - self.options.keys():
            known = ", ".join(self.options) or "none"
            raise TaskError(f"{self.name} has no option {min(unknown)!r}; it has {known}")
        found = self.expand(paths, Path(out))
        _check_apart(found)
        return [
            self.builder(
                part,
                place,
                genome=genome,
                seed=seed,
                leakage=leakage,
                overwrite=overwrite,
                **options,
            )
            for part, place in found
        ]

    def figures(self, dataset: str = "") -> list[Published]:
        """List the published figures of a dataset of this task."""
        return [figure for figure in self.published if figure.dataset in ("", dataset)]
