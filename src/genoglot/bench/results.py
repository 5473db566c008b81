"""`Scoreboard`: the results of a bench as tables, beside what others published."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import polars as pl

from genoglot.bench.cache import digest_of
from genoglot.bench.recipe import Choice, Figure, Recipe
from genoglot.bench.run import read_results
from genoglot.errors import TaskError
from genoglot.tasks.registry import TASKS
from genoglot.tasks.task import PublishedResult

if TYPE_CHECKING:
    from rich.console import RenderableType

_AXES = Choice._fields


@dataclass(frozen=True)
class Line:
    """A model on a dataset, over all seeds; or what somebody published.

    Attributes
    ----------
    choice
        Value of each axis of `Choice`; None where it has none or nobody told.
    seeds
        That it was trained with; none of a published figure.
    values
        By metric: mean over the seeds; mean of the bounds of their 95 % bootstrap intervals over
        test examples; least and most of the seeds. Of a published figure, the value alone.
    validation, without_duplicates
        Mean over the seeds of the main metric on validation data, and on the test examples that
        have no duplicate in the parts before; NaN if not known.
    seconds, parameters
        Of fitting and predicting, mean over the seeds; and how many numbers are learned.
    settings
        Digest of the settings.
    """

    choice: dict[str, Any]
    seeds: tuple[int, ...]
    values: dict[str, tuple[float, ...]]
    validation: float = math.nan
    without_duplicates: float = math.nan
    seconds: float = math.nan
    parameters: int | None = None
    settings: str = ""


@dataclass(frozen=True)
class Section:
    """The lines of one dataset and split."""

    dataset: str
    split: str
    metrics: tuple[str, ...]
    lines: tuple[Line, ...]
    published: tuple[Line, ...]
    caption: str

    @property
    def best(self) -> tuple[Line, ...]:
        """The lines that are best on validation data."""
        known = [line for line in self.lines if not math.isnan(line.validation)]
        most = max((line.validation for line in known), default=math.nan)
        return tuple(line for line in known if line.validation == most)

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows; axes on which all lines agree are left out."""
        everything = (*self.lines, *self.published)
        axes = [
            axis
            for axis in _AXES
            if axis == "model" or len({line.choice[axis] for line in self.lines} - {None}) > 1
        ]
        twice = len({tuple(line.choice.values()) for line in self.lines}) < len(self.lines)
        header = [axis.replace("_", " ") for axis in axes] + (["settings"] if twice else [])
        main = self.metrics[0]
        searched = any(not math.isnan(line.without_duplicates) for line in self.lines)
        header += [main, "min-max", *(["without duplicates"] if searched else [])]
        header += [*self.metrics[1:], f"validation {main}", "seeds"]
        rows = []
        for line in everything:
            row = [_shown(line.choice[axis]) for axis in axes]
            row += [line.settings[:6]] if twice else []
            row += [_interval(line.values.get(main)), _spread(line, main)]
            row += [_number(line.without_duplicates)] if searched else []
            row += [_interval(line.values.get(metric)) for metric in self.metrics[1:]]
            star = " *" if line in self.best else ""
            row += [_number(line.validation) + star, " ".join(map(str, line.seeds))]
            rows.append(row)
        return header, rows


@dataclass(frozen=True)
class Scoreboard:
    """The tables of one recipe at one size; made by `Scoreboard.read`."""

    recipe: Recipe
    size: str
    sections: tuple[Section, ...]
    caption: str

    @classmethod
    def read(cls, out: str | Path) -> list[Self]:
        """Read the results of a bench: one board for each recipe and size.

        Parameters
        ----------
        out
            Folder that `genoglot bench run` has written.

        Raises
        ------
        TaskError
            If no run is there.
        """
        table = read_results(out)
        if not len(table):
            raise TaskError(f"{out}: no results there; genoglot bench run makes some")
        boards = []
        for (name, size), rows in table.group_by(["recipe", "size"], maintain_order=True):
            recipe = Recipe.kept(out, str(name))
            sections = tuple(
                _section(recipe, part)
                for _, part in rows.group_by(["dataset", "split", "digest"], maintain_order=True)
            )
            boards.append(cls(recipe, str(size), sections, _caption(str(size), rows)))
        return boards

    def to_markdown(self) -> str:
        """All tables, with captions."""
        parts = [f"## {self.recipe.title}"]
        for section in self.sections:
            header, rows = section.cells()
            lines = [header, ["---"] * len(header), *rows]
            table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
            parts.append(f"### {section.dataset}\n\n{table}\n\n{section.caption}")
        parts.append(self.caption)
        return "\n\n".join(parts) + "\n"

    def frame(self) -> pl.DataFrame:
        """One row per line and metric, with all numbers."""
        return pl.DataFrame(list(self._records()), infer_schema_length=None)

    def __rich__(self) -> RenderableType:
        """Show it in a terminal, with ``rich.print``."""
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        shown: list[RenderableType] = [Text(self.recipe.title, style="bold")]
        for section in self.sections:
            table = Table(
                title=Text(section.dataset), title_justify="left", box=box.SIMPLE, padding=0,
                caption=Text(section.caption), caption_justify="left",
            )  # fmt: skip
            header, rows = section.cells()
            for column in zip(header, *rows, strict=True):
                # Cells break between words, never within a figure.
                longest = max((len(word) for cell in column for word in cell.split()), default=1)
                table.add_column(column[0], min_width=longest)
            for row in rows:
                table.add_row(*map(Text, row))  # as text: "[0.1, 0.2]" is no markup
            shown.append(table)
        return Group(*shown, Text(self.caption))

    def _records(self) -> Iterator[dict[str, Any]]:
        ends = ("value", "low", "high", "least", "most")
        for section in self.sections:
            for line in (*section.lines, *section.published):
                for metric, found in line.values.items():
                    yield {
                        "recipe": self.recipe.name,
                        "size": self.size if line.seeds else "published",
                        "dataset": section.dataset,
                        "split": section.split if line.seeds else None,
                        **line.choice,
                        "metric": metric,
                        **dict.fromkeys(ends),
                        **dict(zip(ends, found, strict=False)),
                        "validation": None if math.isnan(line.validation) else line.validation,
                        "without_duplicates": (
                            None
                            if math.isnan(line.without_duplicates) or metric != section.metrics[0]
                            else line.without_duplicates
                        ),
                        "best_on_validation": line in section.best,
                        "seeds": " ".join(map(str, line.seeds)),
                        "parameters": line.parameters,
                        "seconds": None if math.isnan(line.seconds) else line.seconds,
                        "settings": line.settings,
                    }


def to_csv(boards: list[Scoreboard]) -> str:
    """Write `frame` of several boards as one CSV."""
    file = io.StringIO()
    pl.concat([board.frame() for board in boards], how="vertical_relaxed").write_csv(file)
    return file.getvalue()


def _section(recipe: Recipe, rows: pl.DataFrame) -> Section:
    """Make the section of the runs of one dataset and split."""
    first = rows.row(0, named=True)
    task = TASKS[first["task"]]
    metrics = tuple(name for name in task.metrics if rows[name].is_not_null().any())
    groups = rows.group_by([*_AXES, "settings"], maintain_order=True)
    lines = tuple(_line(runs.sort("seed"), metrics) for _, runs in groups)
    published, source = _published(recipe, first["dataset"], metrics)
    if source and first["split"] != task.split:
        source += f", of split {task.split}"
    caption = _facts(rows, source)
    return Section(first["dataset"], first["split"], metrics, lines, published, caption)


def _line(runs: pl.DataFrame, metrics: tuple[str, ...]) -> Line:
    """Put the seeds of one configuration together."""
    values = {}
    for name in metrics:
        ends = [runs[column].mean() for column in (name, f"{name}_low", f"{name}_high")]
        ends += [runs[name].min(), runs[name].max()]
        values[name] = tuple(math.nan if end is None else float(end) for end in ends)  # type: ignore[arg-type]
    row = runs.row(0, named=True)
    names = ("validation", "without_duplicates", "seconds")
    means = [runs[name].drop_nans().mean() for name in names]
    validation, without_duplicates, seconds = (math.nan if m is None else float(m) for m in means)  # type: ignore[arg-type]
    return Line(
        {axis: row[axis] for axis in _AXES},
        tuple(runs["seed"].to_list()),
        values,
        validation,
        without_duplicates,
        seconds,
        row["parameters"],
        digest_of(json.loads(row["settings"])),
    )


def _published(
    recipe: Recipe, dataset: str, metrics: tuple[str, ...]
) -> tuple[tuple[Line, ...], str]:
    """List what the recipe and the task know of a dataset, and the sources."""
    own = [figure for figure in recipe.figures if figure.dataset == dataset]
    sources = [recipe.published.source] if recipe.published and own else []
    lines = [_told(figure) for figure in own]
    name = dataset.partition("/")[2]
    of_task: dict[tuple[str, str], dict[str, float]] = {}
    for figure in TASKS[dataset.split("/")[0]].published_results(name):
        if own and any(source.startswith(_root(figure)) for source in sources[:1]):
            continue  # the same publication: the recipe says which of its figures belong here
        of_task.setdefault((figure.model, figure.source), {})[figure.metric] = figure.value
    for (model, source), values in of_task.items():
        sources += [source] if source not in sources else []
        lines.append(_told(Figure(dataset=dataset, model=model, values=values)))
    kept = [line for line in lines if line.values.keys() & set(metrics)]
    return tuple(kept), "; ".join(sources) if kept else ""


def _root(figure: PublishedResult) -> str:
    return figure.source.partition(",")[0]


def _told(figure: Figure) -> Line:
    choice = {axis: getattr(figure, axis) for axis in _AXES}
    choice["model"] = f"published: {figure.model}"
    return Line(choice, (), {metric: (value,) for metric, value in figure.values.items()})


def _facts(rows: pl.DataFrame, source: str) -> str:
    """Say what the runs of a section were run on."""
    first = rows.row(0, named=True)
    most = max(rows["n_train"].to_list())
    parts = [
        f"Split {first['split']}",
        f"{most:,} examples of train, {first['n_validation']:,} of validation, "
        f"{first['n_test']:,} of test"
        + (
            f" ({first['n_duplicates']:,} of them duplicates, exact or near, of what is in the "
            "other parts)"
            if first["n_duplicates"]
            else ""
        ),
        f"data {first['digest'][:12]}",
    ]
    if groups := json.loads(first["settings"])["measured"]:
        parts.append(f"measured: outputs of the groups {groups}, where groups are known")
    if source:
        parts.append(f"published figures: {source}")
    simulated = " Simulated data: no figure says anything about biology."
    return "; ".join(parts) + "." + (simulated if rows["simulated"].any() else "")


def _caption(size: str, rows: pl.DataFrame) -> str:
    """Say what is shown, and what the runs were run with."""
    told = (
        "Mean over the seeds and, in brackets, the 95 % interval of one trained model (bootstrap "
        "over test examples, its bounds averaged over the seeds); min-max is over the seeds. "
        "* is best on validation data; nothing is chosen by test data."
    )
    if size == "small":
        told += " Small size, trained for minutes: not the published size."
    facts = "; ".join(
        f"{name} {', '.join(rows[name].unique(maintain_order=True))}"
        for name in ("commit", "version", "hardware")
    )
    return f"{told} {facts[0].upper()}{facts[1:]}."


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _interval(found: tuple[float, ...] | None) -> str:
    """Write a value with its interval.

    Examples
    --------
    >>> _interval((0.5, 0.41, 0.62, 0.5, 0.5)), _interval((0.945,)), _interval(None)
    ('0.500 [0.410, 0.620]', '0.945', '')
    """
    if found is None or math.isnan(found[0]):
        return ""
    if len(found) == 1 or math.isnan(found[1]):
        return _number(found[0])
    return f"{found[0]:.3f} [{found[1]:.3f}, {found[2]:.3f}]"


def _spread(line: Line, metric: str) -> str:
    if len(line.seeds) < 2 or math.isnan(line.values[metric][0]):
        return ""
    *_, least, most = line.values[metric]
    return f"{least:.3f}-{most:.3f}"
