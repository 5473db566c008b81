"""`genoglot pretrain`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genoglot.cli.options import (
    Device,
    Devices,
    GenomeAlias,
    NumNodes,
    Origin,
    Overwrite,
    Precision,
    Resume,
    Seed,
    Settings,
)
from genoglot.cli.session import (
    check_device,
    check_free,
    is_first_process,
    open_genome,
    trainer_errors,
)
from genoglot.errors import ModelError
from genoglot.registry import names

if TYPE_CHECKING:
    Tokenizer = str
else:
    Tokenizer = Literal[names("tokenizer")]  # a type checker cannot follow it

log = logging.getLogger("genoglot")


def pretrain(
    fasta: Annotated[
        list[Path], typer.Argument(help="FASTA files, plain or gzip.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Encoder to make.", show_default=False)],
    origin: Origin = None,
    alias: GenomeAlias = None,
    preset: Annotated[
        Literal["published", "small"],
        typer.Option(help="Size and schedule of Fay et al. 2024, or one for a few CPU cores."),
    ] = "published",
    tokenizer: Annotated[Tokenizer, typer.Option(help="How DNA becomes tokens.")] = "patch",
    k: Annotated[
        int | None,
        typer.Option(min=1, max=8, help="Bases of a token.", show_default="patch: 4, kmer: 5"),
    ] = None,
    positions: Annotated[
        Literal["rotary", "relative", "absolute"], typer.Option(help="Scheme of positions.")
    ] = "rotary",
    mask_rate: Annotated[float, typer.Option(help="Share of the tokens to mask.")] = 0.3,
    span: Annotated[
        int | None,
        typer.Option(min=1, help="Bases hidden together.", show_default="by the tokenizer"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes.", show_default="the preset's")
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Steps, in place of epochs.", show_default=False)
    ] = None,
    window: Annotated[
        int | None, typer.Option(min=16, help="Window, bp.", show_default="the preset's")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Windows of a step, all devices.", show_default="the preset's"),
    ] = None,
    settings: Settings = None,
    seed: Seed = 0,
    resume: Resume = False,
    overwrite: Overwrite = False,
    device: Device = "auto",
    precision: Precision = "auto",
    devices: Devices = 1,
    num_nodes: NumNodes = 1,
    strategy: Annotated[
        Literal["auto", "ddp"], typer.Option(help="How several devices share the work.")
    ] = "auto",
) -> None:
    """Pre-train an encoder of DNA on any genome, by filling in masked bases.

    The encoder is saved when it is done; loss.csv and the checkpoint are in OUT.training.
    """
    from genoglot.models.dna.attention import AttentionEncoder
    from genoglot.models.dna.masked_lm import PRESETS, MaskedLanguageModel
    from genoglot.models.dna.new_tokenizer import new_tokenizer
    from genoglot.training.device import DeviceOptions

    log_folder = out.with_name(f"{out.name}.training")
    check_free(out, log_folder, resume=resume, overwrite=overwrite)
    check_device(device)
    of_encoder, of_training = (dict(part) for part in PRESETS[preset])
    of_encoder |= {"positions": positions, "seed": seed}
    given = {"epochs": epochs, "max_steps": max_steps, "window": window, "batch_size": batch_size}
    of_training |= {"mask_rate": mask_rate, "span": span, "seed": seed}
    of_training |= {name: value for name, value in given.items() if value is not None}
    _sort_settings(settings or [], of_encoder, of_training)
    genome = open_genome(fasta, origin, alias, named=False)
    assert genome is not None
    longest = of_training.get("window", 1024)
    of_encoder.setdefault("max_length", max(longest, 1024))
    encoder = AttentionEncoder(new_tokenizer(tokenizer, genome, k=k), **of_encoder)
    with trainer_errors():
        MaskedLanguageModel(encoder, **of_training).fit(
            genome,
            log_folder=log_folder,
            resume=resume,
            device=DeviceOptions(device, devices, num_nodes, strategy, precision),
        )
    if is_first_process():
        encoder.save_pretrained(out, overwrite=overwrite)
        log.info("%s: %s encoder trained on %s bases", out, tokenizer, f"{genome.n_bases:,}")


def _sort_settings(
    texts: list[str], of_encoder: dict[str, Any], of_training: dict[str, Any]
) -> None:
    """Put each `--set` with the settings that it is of."""
    import json

    from genoglot.cli.session import pairs
    from genoglot.models.dna.attention import AttentionSettings
    from genoglot.models.dna.masked_lm import MaskedLmSettings

    for key, text in pairs(texts, "--set").items():
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        taken = False
        for kind, chosen in ((AttentionSettings, of_encoder), (MaskedLmSettings, of_training)):
            if key in kind.model_fields:
                chosen[key], taken = value, True
        if not taken:
            known = ", ".join([*AttentionSettings.model_fields, *MaskedLmSettings.model_fields])
            raise ModelError(f"--set {key}={text}: no such setting (there are: {known})")
