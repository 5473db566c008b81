"""`Recipe`: a benchmark of models on tasks, read from YAML."""

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
OneOrMany = Annotated[
    tuple[T, ...],
    BeforeValidator(lambda value: value if isinstance(value, list | tuple) else (value,)),
]
"""One value, or a list of values."""

SizeName = Literal["published", "small"]
SubsetName = Literal["train", "validation", "test"]
TokenizerName = Literal["patch", "kmer", "bpe", "onehot"]
PositionScheme = Literal["rotary", "relative", "absolute"]
MaskRate = Annotated[float, Field(gt=0, lt=1)]
Fraction = Annotated[float, Field(gt=0, le=1)]

SHIPPED = files("genoglot.bench") / "recipes"
COPIES = "recipes"  # folder of the results that holds a copy of each recipe
NONE, MLM, GENEBERT = "none", "mlm", "genebert"


class Configuration(NamedTuple):
    """A model and its settings, as a grid names them. An axis that the model does not have is None.

    Attributes
    ----------
    model
        Name of the model, a key of `BENCH_MODELS` or "package.module:Class".
    tokenizer
        Tokenizer of an attention model.
    positions
        Scheme of positions of an attention model.
    pretrained
        What the encoder was pre-trained on: "none", "mlm" (masked DNA of a genome), "genebert"
        (accessible regions of cell types), or the name of a dataset; or the folder of a saved
        encoder.
    mask_rate
        Fraction of the tokens that "mlm" masks.
    pretraining
        Name of the settings of "genebert", of those of the size.
    fraction
        Fraction of the training examples that the model is trained on.
    frozen
        Whether only the head is trained, and not the encoder. Default: what the settings `training`
        say, or false.
    """

    model: str
    tokenizer: str | None = None
    positions: str | None = None
    pretrained: str | None = None
    mask_rate: float | None = None
    pretraining: str | None = None
    fraction: float = 1.0
    frozen: bool | None = None

    def __str__(self) -> str:
        """Join what is not the default, such as "attention, patch, rotary"."""
        names = [self.model, self.tokenizer, self.positions]
        names.append(self.pretrained if self.pretrained != NONE else None)
        names.append(None if self.mask_rate is None else f"masked {self.mask_rate:g}")
        names.append(self.pretraining)
        names.append(None if self.fraction == 1 else f"{self.fraction:.3g} of train")
        names.append({None: None, True: "frozen", False: "fine-tuned"}[self.frozen])
        return ", ".join(name for name in names if name)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Grid(_Strict):
    """Every combination of the values that are listed for each axis.

    Attributes
    ----------
    tasks
        Names of datasets, such as PromFix or GUE/tf/0, or patterns such as GUE/*.
    model, tokenizer, positions, pretrained, mask_rate, pretraining, fraction, frozen
        Values of the attributes of `Configuration`. Default: that of the model; of pretraining: all
        that the size has.
    """

    tasks: OneOrMany[str]
    model: OneOrMany[str]
    tokenizer: OneOrMany[TokenizerName] | None = None
    positions: OneOrMany[PositionScheme] | None = None
    pretrained: OneOrMany[str] | None = None
    mask_rate: OneOrMany[MaskRate] | None = None
    pretraining: OneOrMany[str] | None = None
    fraction: OneOrMany[Fraction] = (1.0,)
    frozen: OneOrMany[bool] | None = None

    def configurations(self, axes: dict[str, Any], model: str) -> Iterator[Configuration]:
        """Go through all combinations for one model.

        Parameters
        ----------
        axes
            Axes that the model has, with their defaults.
        model
            Name of the model.

        Yields
        ------
        Configuration
            One combination.

        Raises
        ------
        TaskError
            If the grid lists values for an axis that the model does not have.
        """
        listed: dict[str, Any] = {}
        for axis in Configuration._fields[1:]:
            values = getattr(self, axis)
            if axis == "fraction":  # every model has it
                listed[axis] = values
                continue
            if values is not None and axis not in axes:
                raise TaskError(f"{model} has no {axis}; give it a grid of its own")
            listed[axis] = (axes.get(axis),) if values is None else values
        for combination in product(*listed.values()):
            found = Configuration(model, *combination)
            if found.pretrained != MLM:
                found = found._replace(mask_rate=None)
            yield found if found.pretrained == GENEBERT else found._replace(pretraining=None)


class SizeSettings(_Strict):
    """How large the models are, and how long they are trained. The defaults are as published.

    Attributes
    ----------
    seeds
        Random seeds: each configuration is trained with each of them.
    models
        Settings by model; those of "windowed" are for the transformer that reads the windows of
        long DNA.
    training
        Settings of `SequenceModel`.
    pretraining
        Settings of `MaskedLanguageModel`, for "mlm".
    genebert
        Settings of `GeneBert.from_preset` by the name of each pre-training, for "genebert"; also
        `preset`, and `cell_types` to train on. Those of the encoder are those of the model. The
        seed is that of the run, if none is given.
    bases
        Maximum number of bases by subset, drawn at random. The test examples do not depend on the
        seed of a run. Default: all.
    draws
        Number of bootstrap draws.
    """

    seeds: OneOrMany[Annotated[int, Field(ge=0)]] = (0, 1, 2)
    models: dict[str, dict[str, Any]] = {}
    training: dict[str, Any] = {}
    pretraining: dict[str, Any] = {}
    genebert: dict[str, dict[str, Any]] = {}
    bases: dict[SubsetName, Annotated[int, Field(ge=1)]] = {}
    draws: int = Field(1000, ge=1)


class PublishedFigure(_Strict):
    """Published values, by metric, of one configuration on one dataset."""

    dataset: str
    model: str = ""
    tokenizer: str | None = None
    positions: str | None = None
    pretrained: str | None = None
    mask_rate: float | None = None
    pretraining: str | None = None
    fraction: float | None = None
    frozen: bool | None = None
    values: dict[str, float]


class PublishedFigures(_Strict):
    """Published figures, and the publication that they are from."""

    source: str
    figures: tuple[PublishedFigure, ...]


class Recipe(_Strict):
    """A benchmark: which models, with which settings, on which tasks.

    Attributes
    ----------
    name
        Name of the recipe, that of its file.
    title
        Title of the tables.
    split
        Split of every dataset. Default: that of the dataset.
    grid
        Grids; the benchmark consists of the configurations of all of them.
    baselines
        Names of `BASELINES` that are run beside the grid, on each of its datasets.
    measured
        By dataset, a pattern of the output groups (such as assays) that the metrics are computed
        for. Default: all outputs; also where the groups of a dataset are not known.
    sizes
        Settings by size: "published", or "small", which takes minutes on two CPU cores.
    published
        Figures to compare with, in addition to those of the tasks.
    """

    name: str
    title: str
    split: str | None = None
    grid: tuple[Grid, ...] = Field(min_length=1)
    baselines: OneOrMany[str] = ("constant", "kmer-linear")
    measured: dict[str, str] = {}
    sizes: dict[SizeName, SizeSettings]
    published: PublishedFigures | None = None

    @classmethod
    @explains_denial
    def read(cls, recipe: str | Path) -> Self:
        """Read a recipe.

        Parameters
        ----------
        recipe
            YAML file, or name of a recipe that comes with Genoglot.

        Returns
        -------
        Recipe
            The recipe.

        Raises
        ------
        TaskError
            If there is no such file, or it is not a recipe. An unknown key is named.

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
            raise TaskError(f"{path}: is not YAML ({' '.join(str(error).split())})") from None
        if not isinstance(content, dict):
            raise TaskError(f"{path}: is not a recipe; a recipe has a title and a grid")
        try:
            made = cls.model_validate({"name": path.stem, **content})
        except ValidationError as error:
            raise TaskError(f"{path}: {_explain(error)}") from None
        wrong = [m for f in made.figures for m in f.values if m not in METRICS]
        if wrong:
            raise TaskError(f"{path}: no metric {wrong[0]!r}; choose one of {', '.join(METRICS)}")
        return made

    def copy_to(self, out: str | Path) -> None:
        """Write the recipe beside its results: tables take its title and figures from there."""
        import yaml

        content = self.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
        with atomic_path(Path(out) / COPIES / f"{self.name}.yaml") as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))

    @classmethod
    def read_copy(cls, out: str | Path, name: str) -> Self:
        """Read what `copy_to` has written."""
        return cls.read(Path(out) / COPIES / f"{name}.yaml")

    @property
    def figures(self) -> tuple[PublishedFigure, ...]:
        """Published figures of the recipe."""
        return self.published.figures if self.published else ()

    def size(self, name: str) -> SizeSettings:
        """Return the settings of a size; a TaskError if the recipe does not have it."""
        for known, size in self.sizes.items():
            if known == name:
                return size
        raise TaskError(
            f"recipe {self.name} has no size {name!r} (it has: {', '.join(self.sizes)})"
        )


def shipped() -> list[str]:
    """List the recipes that come with Genoglot."""
    names = (file.name for file in SHIPPED.iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def _explain(error: ValidationError) -> str:
    """Name the first thing that is wrong, and where it is."""
    # An unknown key first: a key that is missing is often a misspelled one.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    *above, key = [str(part) for part in first["loc"]] or [""]
    where = f" in {'.'.join(above)}" if above else ""
    if first["type"] == "extra_forbidden":
        known: Any = Recipe
        if above:
            known = {"grid": Grid, "sizes": SizeSettings, "published": PublishedFigures}[above[0]]
        if above[-2:-1] == ["figures"]:
            known = PublishedFigure
        return f"no key {key!r}{where} (there are: {', '.join(known.model_fields)})"
    if first["type"] == "missing":
        return f"the key {key!r} is missing{where}"
    return f"{key}{where}: {first['msg']}"
