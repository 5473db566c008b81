"""`Recipe`: an experiment over tasks, models and settings, read from YAML."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from genoglot.errors import TaskError
from genoglot.evaluation.predictions import METRICS
from genoglot.files import atomic_path
from genoglot.permissions import explains_denial

T = TypeVar("T")
Many = Annotated[
    tuple[T, ...],
    BeforeValidator(lambda value: value if isinstance(value, list | tuple) else (value,)),
]
"""One value, or a list of them."""

SizeName = Literal["seed", "small"]
PartName = Literal["train", "validation", "test"]
Tokens = Literal["patch", "kmer", "bpe", "onehot"]
Scheme = Literal["rotary", "relative", "absolute"]
MaskRate = Annotated[float, Field(gt=0, lt=1)]
Fraction = Annotated[float, Field(gt=0, le=1)]

SHIPPED = files("genoglot.bench") / "recipes"
KEPT = "recipes"
NONE, MLM = "none", "mlm"


class Choice(NamedTuple):
    """A model as a grid names it; an axis that it does not have is None.

    Attributes
    ----------
    model
        Its kind.
    tokenizer
        Of an attention model.
    positions
        Of an attention model.
    pretrained
        What its encoder has seen before: "none", "mlm" (a genome, masked) or a task.
    mask_rate
        Of "mlm".
    fraction
        Of the training data.
    """

    model: str
    tokenizer: str | None = None
    positions: str | None = None
    pretrained: str | None = None
    mask_rate: float | None = None
    fraction: float = 1.0

    def __str__(self) -> str:
        """Join what tells it from the usual, such as "attention, patch, rotary"."""
        told = [self.model, self.tokenizer, self.positions]
        told.append(self.pretrained if self.pretrained != NONE else None)
        told.append(None if self.mask_rate is None else f"masked {self.mask_rate:g}")
        told.append(None if self.fraction == 1 else f"{self.fraction:.3g} of train")
        return ", ".join(part for part in told if part)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Block(_Strict):
    """A part of the grid: every combination of what is listed.

    Attributes
    ----------
    tasks
        Names of datasets, such as PromFix or GUE/tf/0; patterns such as GUE/* are allowed.
    model, tokenizer, positions, pretrained, mask_rate, fraction
        See `Choice`; what is left out has the model's default.
    """

    tasks: Many[str]
    model: Many[str]
    tokenizer: Many[Tokens] | None = None
    positions: Many[Scheme] | None = None
    pretrained: Many[str] | None = None
    mask_rate: Many[MaskRate] | None = None
    fraction: Many[Fraction] = (1.0,)

    def choices(self, axes: dict[str, Any], model: str) -> Iterator[Choice]:
        """All combinations for a model that has these axes, with their defaults.

        Raises
        ------
        TaskError
            If the block gives an axis that the model does not have.
        """
        listed = {}
        for axis in Choice._fields[1:-1]:
            given = getattr(self, axis)
            if given is not None and axis not in axes:
                raise TaskError(f"{model} has no {axis}; give it a block of its own")
            listed[axis] = (axes.get(axis),) if given is None else given
        for values in product(*listed.values(), self.fraction):
            choice = Choice(model, *values)
            yield choice if choice.pretrained == MLM else choice._replace(mask_rate=None)


class Size(_Strict):
    """How large a model is and how long it is trained; the defaults are the published ones.

    Attributes
    ----------
    seeds
        Each configuration is trained with every one of them.
    models
        Settings by model, and of "windowed", the upper transformer over long DNA.
    training
        Settings of `SequenceModel`.
    pretraining
        Settings of `pretrain`, for "mlm".
    bases
        By part: most bases that are used of it, drawn at random (the test part by no seed of a
        run); by default all.
    draws
        Of the bootstrap.
    """

    seeds: Many[Annotated[int, Field(ge=0)]] = (0, 1, 2)
    models: dict[str, dict[str, Any]] = {}
    training: dict[str, Any] = {}
    pretraining: dict[str, Any] = {}
    bases: dict[PartName, Annotated[int, Field(ge=1)]] = {}
    draws: int = Field(1000, ge=1)


class Figure(_Strict):
    """What somebody published of one configuration on one dataset; values by metric."""

    dataset: str
    model: str = ""
    tokenizer: str | None = None
    positions: str | None = None
    pretrained: str | None = None
    mask_rate: float | None = None
    fraction: float | None = None
    values: dict[str, float]


class Figures(_Strict):
    """Published figures, and where they stand."""

    source: str
    figures: tuple[Figure, ...]


class Recipe(_Strict):
    """An experiment: which models, with which settings, on which tasks.

    Attributes
    ----------
    name
        That of its file.
    title
        Heads the table.
    split
        Of every dataset; by default the dataset's own.
    grid
        Its parts.
    baselines
        Names of `BASELINES` that stand beside the grid, on each of its datasets.
    measured
        By dataset, a pattern of the output groups (such as assays) that are measured; by default,
        and where groups are not known, all outputs are.
    sizes
        seed: the published size. small: minutes on two CPU cores.
    published
        Figures to compare with, beside those that the tasks know of.
    """

    name: str
    title: str
    split: str | None = None
    grid: tuple[Block, ...] = Field(min_length=1)
    baselines: Many[str] = ("constant", "kmer-linear")
    measured: dict[str, str] = {}
    sizes: dict[SizeName, Size]
    published: Figures | None = None

    @classmethod
    @explains_denial
    def read(cls, recipe: str | Path) -> Self:
        """Read a recipe.

        Parameters
        ----------
        recipe
            A YAML file, or the name of one that comes with Genoglot.

        Raises
        ------
        TaskError
            If there is none, or it is no recipe; at an unknown key with its name.

        Examples
        --------
        >>> Recipe.read("positions").grid[0].positions
        ('rotary', 'relative', 'absolute')
        """
        import yaml

        path = Path(recipe)
        try:
            if path.suffix in (".yaml", ".yml") or path.is_file():
                text = path.read_text("utf-8")
            elif str(recipe) in shipped():
                text = (SHIPPED / f"{recipe}.yaml").read_text("utf-8")
            else:
                raise TaskError(
                    f"no recipe {str(recipe)!r}; give a YAML file or one of {', '.join(shipped())}"
                )
            content = yaml.safe_load(text)
        except (OSError, UnicodeDecodeError) as error:
            raise TaskError(f"{path}: cannot be read ({error})") from None
        except yaml.YAMLError as error:
            raise TaskError(f"{path}: no YAML ({' '.join(str(error).split())})") from None
        if not isinstance(content, dict):
            raise TaskError(f"{path}: no recipe; it begins with a title and a grid")
        try:
            made = cls.model_validate({"name": path.stem, **content})
        except ValidationError as error:
            raise TaskError(f"{path}: {_problem(error)}") from None
        wrong = [m for f in made.figures for m in f.values if m not in METRICS]
        if wrong:
            raise TaskError(f"{path}: no metric {wrong[0]!r}; choose of {', '.join(METRICS)}")
        return made

    @classmethod
    def kept(cls, out: str | Path, name: str) -> Self:
        """Read what `keep` has written."""
        return cls.read(Path(out) / KEPT / f"{name}.yaml")

    def keep(self, out: Path) -> None:
        """Write it beside the results of its runs, which its title and figures are shown with."""
        import yaml

        content = self.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
        with atomic_path(out / KEPT / f"{self.name}.yaml") as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Published figures that come with it."""
        return self.published.figures if self.published else ()

    def size(self, name: str) -> Size:
        """One of its sizes; a TaskError if it has none of that name."""
        for known, size in self.sizes.items():
            if known == name:
                return size
        raise TaskError(
            f"recipe {self.name} has no size {name!r} (it has: {', '.join(self.sizes)})"
        )


def shipped() -> list[str]:
    """Names of the recipes that come with Genoglot."""
    return sorted(
        file.name.removesuffix(".yaml") for file in SHIPPED.iterdir() if file.name.endswith(".yaml")
    )


def _problem(error: ValidationError) -> str:
    """Say what is wrong first, and where."""
    # An unknown key first: what is missing is often what it was meant to be.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    *above, key = [str(part) for part in first["loc"]] or [""]
    where = f" in {'.'.join(above)}" if above else ""
    if first["type"] == "extra_forbidden":
        known: dict[str, Any] = {"grid": Block, "sizes": Size, "published": Figures}
        if above[-2:-1] == ["figures"]:
            kind: Any = Figure
        else:
            kind = known[above[0]] if above else Recipe
        return f"no key {key!r}{where} (there are: {', '.join(kind.model_fields)})"
    if first["type"] == "missing":
        return f"the key {key!r} is missing{where}"
    return f"{key}{where}: {first['msg']}"
