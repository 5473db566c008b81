"""`genoglot train`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genoglot.cli.options import Devices, Training, with_groups
from genoglot.cli.session import is_first_process, merge_settings, trainer_errors
from genoglot.errors import ModelError
from genoglot.registry import create, model_class, names

PUBLISHED = "-published"
MODELS = tuple(
    name
    for name in (*names("text-to-regions"), *names("regions-to-text"))
    if not name.endswith(PUBLISHED)
)
WITH_PRESET = tuple(name for name in MODELS if f"{name}{PUBLISHED}" in names())

if TYPE_CHECKING:
    Model = str
else:
    Model = Literal[MODELS]  # a type checker cannot evaluate it

log = logging.getLogger("genoglot")


@with_groups
def train(
    name: Annotated[Model, typer.Argument(help="Model to train.", show_default=False)],
    atlas: Annotated[Path, typer.Option(help="Atlas to learn from.", show_default=False)],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder of the new model.", show_default=False)
    ],
    split: Annotated[
        str | None,
        typer.Option(
            help="Learn from the training subset of this split, and measure the loss on its "
            "validation subset (annotator: calibrate on it).",
            show_default="learn from all sets",
        ),
    ] = None,
    preset: Annotated[
        Literal["improved", "published"],
        typer.Option(
            help=f"The improved model, or the one of Fay et al. 2024 ({', '.join(WITH_PRESET)})."
        ),
    ] = "improved",
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of passes over the training sets.",
            show_default="depends on the model",
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Stop when the validation loss has not improved for this number of epochs, and "
            "use the best weights; 0: never stop early.",
            show_default="10 for published models, else 0",
        ),
    ] = None,
    index: Annotated[
        Literal["exact", "hnsw"] | None,
        typer.Option(help="Vector index to save with text2bed.", show_default="exact"),
    ] = None,
    devices: Devices = 1,
    *,
    training: Training,
) -> None:
    """Train a generator or an annotator, or fit a baseline.

    A generator translates a text into regions (genoglot generate), an annotator describes regions
    (genoglot annotate). The model is saved at the end; logs (CSV, TensorBoard) and checkpoints are
    in OUT.training. --set takes the settings of the model, and num_nodes, strategy and precision as
    in lightning.Trainer.
    """
    from genoglot.atlas import Atlas

    if name not in WITH_PRESET and preset == "published":
        raise ModelError(
            f"{name} has only one preset; --preset published is for {', '.join(WITH_PRESET)}"
        )
    if index and name != "text2bed":
        raise ModelError(f"{name} has no vector index; --index is for text2bed")
    model_type = f"{name}{PUBLISHED}" if preset == "published" else name
    settings, arguments = training.begin(out, atlas, devices=devices)
    settings = merge_settings(settings, **_settings(model_type, training.seed, epochs))
    model: Any = create(model_type, **settings)
    opened = Atlas.open(atlas)
    subsets = opened.split(split) if split is not None else None
    rows, validation = (subsets.train, subsets.validation) if subsets else (None, None)
    with trainer_errors():
        model.fit(opened, rows, validation=validation, patience=patience, **arguments)
    if index:
        model.use_index(index)
    if is_first_process():
        model.save_pretrained(out, overwrite=training.overwrite)
        n_sets = len(opened if rows is None else rows)
        log.info("%s: %s trained on %d sets", out, model_type, n_sets)


def _settings(model_type: str, seed: int, epochs: int | None) -> dict[str, Any]:
    """Return the settings of the model that have options of their own."""
    fields = model_class(model_type).settings_class.model_fields
    chosen: dict[str, Any] = {"seed": seed} if "seed" in fields else {}
    if epochs is not None:
        chosen["epochs"] = epochs
        if "min_steps" in fields:  # exactly this number of epochs
            chosen["min_steps"] = 1
    return chosen
