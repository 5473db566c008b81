"""`genoglot train`."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genoglot.cli.options import Device, Devices, NumNodes, Overwrite, Resume, Seed, Settings
from genoglot.cli.session import (
    check_device,
    check_free,
    is_first_process,
    pairs,
    trainer_errors,
)
from genoglot.errors import AtlasError, ModelError
from genoglot.registry import create, model_class, names

PUBLISHED = "-published"
MODELS = tuple(
    name
    for name in (*names("text-to-regions"), *names("regions-to-text"))
    if not name.endswith(PUBLISHED)
)
CLOSED_FORM = (*names("text-to-regions", baseline=True), *names("regions-to-text"))

if TYPE_CHECKING:
    Model = str
else:
    Model = Literal[MODELS]  # a type checker cannot follow it

log = logging.getLogger("genoglot")


def train(
    name: Annotated[Model, typer.Argument(help="Kind of model.", show_default=False)],
    atlas: Annotated[Path, typer.Option(help="Atlas to learn from.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Model to make.", show_default=False)],
    split: Annotated[
        str | None,
        typer.Option(
            help="Learn from the training part of this split; measure the loss on its validation "
            "part (annotator: calibrate by it); without, learn from all sets."
        ),
    ] = None,
    preset: Annotated[
        Literal["better", "published"],
        typer.Option(
            help="The improved model, or the one of Fay et al. 2024 (text2bed, direct, diffusion, "
            "seq2regions)."
        ),
    ] = "better",
    seed: Seed = 0,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data.", show_default="the model's")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Epochs without a better validation loss after which to stop and keep the best "
            "weights; 0: never.",
            show_default="10 for published models, else 0",
        ),
    ] = None,
    settings: Settings = None,
    index: Annotated[
        Literal["exact", "hnsw"] | None,
        typer.Option(help="Index to save with text2bed.", show_default="exact"),
    ] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    device: Device = "auto",
    devices: Devices = 1,
    num_nodes: NumNodes = 1,
    strategy: Annotated[
        Literal["auto", "ddp", "fsdp"], typer.Option(help="How several devices share the work.")
    ] = "auto",
) -> None:
    """Train a generator or an annotator, or fit a baseline.

    A generator answers text with regions (generate), an annotator regions with text (annotate).
    The model is saved when it is done; logs (CSV, TensorBoard) and checkpoints are in OUT.training.
    """
    from genoglot.atlas import Atlas

    if name in CLOSED_FORM and preset == "published":
        raise ModelError(
            f"{name} has one form only; --preset published is for text2bed, direct, diffusion "
            "and seq2regions"
        )
    if index and name != "text2bed":
        raise ModelError(f"{name} has no index; --index is for text2bed")
    log_folder = out.with_name(f"{out.name}.training")
    check_free(out, log_folder, resume=resume, overwrite=overwrite)
    check_device(device)
    opened = Atlas.open(atlas)
    parts = opened.split(split) if split is not None else None
    rows, validation = (parts.train, parts.validation) if parts else (None, None)
    held = opened.metadata["n_tokens"].to_numpy()
    if not held[slice(None) if rows is None else rows].any():
        raise AtlasError(f"{atlas}: none of the sets to learn from has a region in its universe")
    model_type = f"{name}{PUBLISHED}" if preset == "published" else name
    model = create(model_type, **_settings(model_type, seed, epochs, settings or []))
    if name == "annotator":
        model.fit(opened, rows, validation=validation)
        log.info("calibrated on %s", model.calibrated_on)
    else:
        from genoglot.training.device import DeviceOptions

        with trainer_errors():
            model.fit(
                opened,
                rows,
                validation=validation,
                log_folder=log_folder,
                patience=patience,
                resume=resume,
                device=DeviceOptions(device, devices, num_nodes, strategy),
            )
    if index:
        model.use_index(index)
    if name in CLOSED_FORM or is_first_process():
        model.save_pretrained(out, overwrite=overwrite)
        log.info(
            "%s: %s trained on %d sets", out, model_type, len(opened if rows is None else rows)
        )


def _settings(model_type: str, seed: int, epochs: int | None, given: list[str]) -> dict[str, Any]:
    """Put the options that are settings together; `create` validates them."""
    fields = model_class(model_type).settings_class.model_fields
    chosen: dict[str, Any] = {"seed": seed} if "seed" in fields else {}
    if epochs is not None:
        chosen["epochs"] = epochs
        if "min_steps" in fields:  # so many epochs and no more
            chosen["min_steps"] = 1
    for name, text in pairs(given, "--set").items():
        try:
            chosen[name] = json.loads(text)
        except ValueError:
            chosen[name] = text
    return chosen
