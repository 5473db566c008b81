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

if TYPE_CHECKING:
    pass

log = logging.getLogger("genoglot")

Kind = Literal["popularity", "nearest", "ridge", "text2bed", "direct", "diffusion", "seq2regions",
               "annotator"]  # fmt: skip


def train(
    name: Annotated[
        Kind,
        typer.Argument(help="Kind of model.", show_default=False),
    ],
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
        Literal["better", "seed"],
        typer.Option(
            help="The improved model, or the published one (text2bed, direct, diffusion, "
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
    from genoglot.models import ANNOTATOR, BASELINES

    closed_form = (*BASELINES, ANNOTATOR)
    if name in closed_form and preset == "seed":
        raise ModelError(
            f"{name} has one form only; --preset seed is for text2bed, direct, diffusion "
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
    kind = f"{name}-seed" if preset == "seed" else name
    given = pairs(settings or [], "--set")
    model: Any = _new(kind, **_settings(kind, seed, epochs, given))
    if name == ANNOTATOR:
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
    if name in closed_form or is_first_process():
        model.save_pretrained(out, overwrite=overwrite)
        log.info("%s: %s trained on %d sets", out, kind, len(opened if rows is None else rows))


def _new(kind: str, **settings: Any) -> Any:
    from genoglot.models import ANNOTATOR, Annotator, create

    return Annotator(**settings) if kind == ANNOTATOR else create(kind, **settings)


def _settings(kind: str, seed: int, epochs: int | None, given: dict[str, str]) -> dict[str, Any]:
    """Put the model's settings together, checked against its defaults."""
    defaults = _new(kind)._settings()
    chosen: dict[str, Any] = {"seed": seed} if "seed" in defaults else {}
    if epochs is not None:
        given = {"epochs": str(epochs), **given}
        if "min_steps" in defaults:  # so many epochs and no more
            chosen["min_steps"] = 1
    for key, text in given.items():
        if key not in defaults:
            known = ", ".join(defaults) or "none"
            raise ModelError(f"{kind} has no setting {key!r} (it has: {known})")
        chosen[key] = _value(key, text, defaults[key])
    return chosen


def _value(key: str, text: str, default: Any) -> Any:
    """Read a setting of the type of its default; numbers other than seeds are above 0."""
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
        kind = wanted.get(type(default), "of another kind")
        raise ModelError(f"--set {key}={text}: must be {kind}, as {json.dumps(default)}")
    if type(value) in (int, float) and key != "seed" and not 0 < value < float("inf"):
        raise ModelError(f"--set {key}={text}: must be above 0")
    return value
